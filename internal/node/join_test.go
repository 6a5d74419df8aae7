package node

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"shoal/internal/core/metainfo"
	"shoal/internal/door/api"
)

// longest is how long a test waits for something that must happen.
const longest = 30 * time.Second

// heard is a node with what it told, so that a test can wait for it.
type heard struct {
	*Node
	t      *testing.T
	events *api.Subscription
}

func startHeard(t *testing.T, name string) *heard {
	t.Helper()
	n := startNode(t, openHome(t), func(o *Options) {
		o.Config.Node.Name, o.Config.Disk.Reserve = name, 0
	})
	h := &heard{Node: n, t: t, events: n.Subscribe(1000)}
	t.Cleanup(h.events.Close)
	return h
}

// wait returns when the node has told what fits, or what it tells next does.
func (h *heard) wait(what string, fits func(api.Event) bool) {
	h.t.Helper()
	late := time.NewTimer(longest)
	defer late.Stop()
	for {
		select {
		case e := <-h.events.C():
			if e == nil {
				h.t.Fatalf("%s: the node ended", what)
			}
			if fits(e) {
				return
			}
		case <-late.C:
			h.t.Fatalf("%s did not happen", what)
		}
	}
}

// missesAll returns when no member is online any more, of which nothing is told.
func (h *heard) missesAll() {
	h.t.Helper()
	tick, late := time.NewTicker(5*time.Millisecond), time.NewTimer(longest)
	defer tick.Stop()
	defer late.Stop()
	for h.Status(h.t.Context()).Online > 0 {
		select {
		case <-tick.C:
		case <-late.C:
			h.t.Fatal("somebody is still online")
		}
	}
}

// join takes the others into a group of h and compares the codes.
func (h *heard) join(name string, others ...*heard) string {
	h.t.Helper()
	g, err := h.NewGroup(h.t.Context(), api.GroupRequest{Name: name})
	if err != nil {
		h.t.Fatal(err)
	}
	inv, err := h.Invite(h.t.Context(), g.ID, api.InviteRequest{Uses: len(others), Expires: 60, Rights: api.RightsMember})
	if err != nil {
		h.t.Fatal(err)
	}
	for _, o := range others {
		a, err := o.Join(h.t.Context(), inv.Ticket)
		if err != nil {
			h.t.Fatal(err)
		}
		h.wait("the guest", func(e api.Event) bool {
			m, ok := e.(*api.MemberEvent)
			return ok && m.Event == api.EventMemberJoined && m.NodeID == o.ID() && m.Code == a.Code
		})
	}
	return g.ID
}

// share publishes a file for groups and returns its link.
func (h *heard) share(groups ...string) (api.Created, []byte) {
	h.t.Helper()
	content := make([]byte, 3<<20+5)
	rand.NewChaCha8([32]byte{1}).Read(content)
	path := filepath.Join(h.t.TempDir(), "letters.bin")
	if err := os.WriteFile(path, content, 0o644); err != nil {
		h.t.Fatal(err)
	}
	c, err := h.Create(h.t.Context(), api.CreateRequest{Path: path, Groups: groups}, func(api.Progress) {})
	if err != nil {
		h.t.Fatal(err)
	}
	return c, content
}

// gets fetches by the link alone.
func (h *heard) gets(link string, want []byte) {
	h.t.Helper()
	dir := h.t.TempDir()
	if _, err := h.Add(h.t.Context(), api.AddRequest{Link: link, Dir: dir}); err != nil {
		h.t.Fatal(err)
	}
	h.wait("the download", func(e api.Event) bool { _, ok := e.(*api.Done); return ok })
	got, err := os.ReadFile(filepath.Join(dir, "letters.bin"))
	if err != nil || !bytes.Equal(got, want) {
		h.t.Errorf("what came is not what was shared: %v", err)
	}
}

// TestOneTicket: who joined fetches what is shared with the group by the link alone, over
// the overlay; who did not is refused, and a node that was removed is as a stranger.
func TestOneTicket(t *testing.T) {
	a, b, c := startHeard(t, "ada"), startHeard(t, "ben"), startHeard(t, "cy")
	id := a.join("home", b, c)
	made, content := a.share(id)
	if m, err := metainfo.ParseMagnet(made.Link); err != nil || len(m.Groups) != 1 || m.Hash.HasV1() {
		t.Errorf("link %s: %v", made.Link, err)
	}
	b.gets(made.Link, content)
	sh, err := b.Detail(t.Context(), made.InfoHash)
	if err != nil || len(sh.Groups) != 1 || sh.Groups[0].Name != "home" {
		t.Errorf("the audience at who fetched it: %+v %v", sh.Groups, err)
	}
	if _, err := startHeard(t, "eve").Add(t.Context(), api.AddRequest{Link: made.Link, Dir: t.TempDir()}); api.KindOf(err) != api.Refused {
		t.Errorf("who is no member may ask strangers for it: %v", err)
	}
	if _, err := a.RemoveMember(t.Context(), id, c.ID()); err != nil {
		t.Fatal(err)
	}
	c.wait("the removal", func(e api.Event) bool {
		g, ok := e.(*api.GroupEvent)
		return ok && g.Event == api.EventGroupLeft && g.Removed
	})
	if _, err := c.Add(t.Context(), api.AddRequest{Link: made.Link, Dir: t.TempDir()}); api.KindOf(err) != api.Refused {
		t.Errorf("who was removed may ask for it: %v", err)
	}
}

// TestPublicByMembers: what a member shares with everybody is found at it by the link alone.
func TestPublicByMembers(t *testing.T) {
	a, b := startHeard(t, "ada"), startHeard(t, "ben")
	a.join("home", b)
	made, content := a.share()
	b.gets(made.Link, content)
}

// TestByTheDHT: with no group, no tracker and no address, a public link is enough once a node
// of the DHT is known.
func TestByTheDHT(t *testing.T) {
	a, b, c := startHeard(t, "ada"), startHeard(t, "ben"), startHeard(t, "cy")
	for _, n := range []*heard{b, c} {
		if got, err := n.Connect(t.Context(), api.ConnectRequest{Address: a.Listening()[0]}); err != nil || !got.DHT {
			t.Fatalf("%+v %v", got, err)
		}
	}
	made, content := b.share()
	c.gets(made.Link, content)
}

// TestPeersAndConnect: members are listed with how they are reached, and those that are away
// with why and what to do.
func TestPeersAndConnect(t *testing.T) {
	a, b := startHeard(t, "ada"), startHeard(t, "ben")
	a.join("home", b)
	got, err := b.Connect(t.Context(), api.ConnectRequest{Node: a.ID()})
	if err != nil || got.Member == nil || got.Member.Name != "ada" || got.Member.How != api.HowTCP || got.Member.Groups[0].Name != "home" {
		t.Errorf("%+v %v", got.Member, err)
	}
	if st := b.Status(t.Context()); st.Groups != 1 || st.Members != 1 || st.Online != 1 {
		t.Errorf("status: %+v", st)
	}
	stop(t, a.Node)
	b.missesAll() // the connection ends a moment later here
	_, err = b.Connect(t.Context(), api.ConnectRequest{Node: a.ID()})
	if api.KindOf(err) != api.Unreachable || api.AsError(err).Remedy == "" {
		t.Errorf("who is away: %v", err)
	}
	p, err := b.Peers(t.Context())
	if err != nil || len(p.Members) != 1 || p.Members[0].Connected || p.Members[0].Why == "" || p.Members[0].Do == "" {
		t.Errorf("%+v %v", p.Members, err)
	}
}

// TestGroupsOffline: an offline node has its groups, and what needs others says so.
func TestGroupsOffline(t *testing.T) {
	h := openHome(t)
	n := startNode(t, h, nil)
	if _, err := n.NewGroup(t.Context(), api.GroupRequest{Name: "home"}); err != nil {
		t.Fatal(err)
	}
	if _, err := n.NewGroup(t.Context(), api.GroupRequest{Name: "home"}); api.KindOf(err) != api.Exists {
		t.Errorf("the same once more: %v", err)
	}
	stop(t, n)
	n = startNode(t, h, func(o *Options) { o.Offline = true })
	if list, err := n.Groups(t.Context()); err != nil || len(list) != 1 || list[0].Name != "home" || list[0].Rights != api.RightsAdmin {
		t.Errorf("%+v %v", list, err)
	}
	if _, err := n.Connect(t.Context(), api.ConnectRequest{Address: "127.0.0.1:1"}); api.KindOf(err) != api.Unavailable {
		t.Errorf("connect: %v", err)
	}
	if _, err := n.Join(t.Context(), "shoal:join/nothing"); !errors.Is(err, api.TicketRefused().Cause) {
		t.Errorf("join: %v", err)
	}
}

// TestDoctorLooks: a node that runs is judged by every check, and on a machine that is well
// nothing of a fresh node is bad.
func TestDoctorLooks(t *testing.T) {
	n := startHeard(t, "ada")
	list, err := n.Doctor(t.Context())
	if err != nil || len(list) < 15 {
		t.Fatalf("%d findings, %v", len(list), err)
	}
	for _, f := range list {
		if f.Verdict == api.VerdictBad {
			t.Errorf("%+v", f)
		}
	}
}
