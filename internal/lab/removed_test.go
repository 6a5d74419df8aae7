//go:build linux

package lab

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"shoal/bench/measure"
)

// swarmProtocol is that of the overlay's streams of shares.
const swarmProtocol = "/shoal/swarm/1"

// removedTime is how long a removal may take to be felt on every member that is online.
const removedTime = 5 * time.Second

// members are the members of a group as one of them sees it.
type members struct {
	Rights string
	List   []member `json:"member_list"`
}

type member struct {
	NodeID  string `json:"node_id"`
	Refuses bool
}

func (n *node) members(ctx context.Context, group string) (m members, err error) {
	err = n.ask(ctx, "GET", "/api/v1/groups/"+group, &m)
	return m, err
}

func (m members) has(id string) bool {
	for _, x := range m.List {
		if x.NodeID == id {
			return true
		}
	}
	return false
}

// TestRemoved: who is removed loses the sessions that stand, and with the home of before, in
// which it still is a member, it gets nothing by any way.
func TestRemoved(t *testing.T) {
	t.Parallel()
	needNetworks(t)
	ctx := deadline(t, 100*time.Second)
	w := newWorld(t, independent)
	relay, left, right, other := newNode(t, w.public("relay", 1)), newNode(t, w.left), newNode(t, w.right), newNode(t, w.public("other", 2))
	relay.up(ctx)
	relay.ok(ctx, "group", "new", "club")
	left.up(ctx)
	relay.admit(ctx, "club", left, "--admin")
	gone := right.up(ctx)
	left.admit(ctx, "club", right)
	other.up(ctx)
	left.admit(ctx, "club", other)
	right.untilPeer(ctx, left, "a direct way", direct)

	// Another one's program ends, and what goes on with its key keeps no rule.
	ghost := newNode(t, w.public("ghost", 3))
	ghostUp := ghost.up(ctx)
	left.admit(ctx, "club", ghost)
	relay.untilPeer(ctx, ghost, "connected", connected)
	must(t, ghostUp.Signal(syscall.SIGTERM))
	ghostUp.wait(ctx)
	relay.untilPeer(ctx, ghost, "gone", func(c contact) bool { return !c.Connected })
	haunt, err := newRogue(ctx, ghost.s, "11.0.1.2:7463", ghost.keyOf())
	must(t, err)
	if ok, err := haunt.speaks(ctx, swarmProtocol); !ok {
		t.Fatalf("a member may not open streams of shares: %v", err)
	}

	path := filepath.Join(t.TempDir(), "minutes.bin")
	must(t, measure.WriteFile(path, "minutes", 64<<20))
	s := left.publish(ctx, path, "--to", "club", "--up-limit", "2MB")
	get := []string{"get", s.Link, "-o", t.TempDir()}
	fetch := right.start(get...)
	right.until(ctx, s.InfoHash, "some of it", func(v share) bool { return v.Done > 0 })

	// As it was with the membership: what a node that hears nothing of the removal would use.
	must(t, gone.Signal(syscall.SIGSTOP))
	before := filepath.Join(t.TempDir(), "home")
	must(t, copyFiles(right.home, before))
	must(t, gone.Signal(syscall.SIGCONT))

	left.ok(ctx, "group", "remove", "club", right.id)
	removed := time.Now()
	for _, n := range []*node{left, relay, other} {
		must(t, poll(ctx, func() (bool, error) {
			m, err := n.members(ctx, "club")
			return err == nil && !m.has(right.id), err
		}))
		n.untilPeer(ctx, right, "no more connected", func(c contact) bool { return !c.Connected })
		within(t, n.s.name+" has let go of it", removed, removedTime)
	}
	left.ok(ctx, "group", "remove", "club", ghost.id)
	haunted := time.Now()
	select {
	case <-haunt.err:
		within(t, "an old session has ended", haunted, removedTime)
	case <-ctx.Done():
		t.Error("an old session goes on")
	}
	for _, protocol := range []string{swarmProtocol, "/shoal/ask/1", "/shoal/dht/1"} {
		if r, err := newRogue(ctx, ghost.s, "11.0.1.2:7463", ghost.keyOf()); err == nil {
			if ok, err := r.speaks(ctx, protocol); ok || err != nil {
				t.Errorf("who was removed may speak %s: %v %v", protocol, ok, err)
			}
			r.close()
		}
	}
	gone.event(ctx, "group_left", nil)
	within(t, "it is told", removed, removedTime)
	v := left.until(ctx, s.InfoHash, "nobody is served", func(v share) bool { return v.Peers == 0 })
	within(t, "the session has ended", removed, removedTime)
	for _, p := range []*proc{fetch, gone} {
		must(t, p.Signal(syscall.SIGTERM))
		p.wait(ctx)
	}

	for _, way := range []struct{ name, block string }{
		{"TCP", "udp dport 1-65535"},
		{"QUIC", "tcp dport 1-65535"},
		{"relay", "ip daddr 11.0.101.2"},
	} {
		t.Run(way.name, func(t *testing.T) { refused(ctx, t, right, before, s, way.block, get) })
	}
	now := left.until(ctx, s.InfoHash, "the share", func(share) bool { return true })
	// What was on its way when it happened is not held against it.
	if now.Uploaded > v.Uploaded {
		t.Errorf("%d bytes went out after the removal", now.Uploaded-v.Uploaded)
	}
	// The others are served as before.
	other.start("get", s.Link, "-o", t.TempDir())
	other.until(ctx, s.InfoHash, "some of it", func(v share) bool { return v.Done > 0 })
}

// copyFiles copies a folder's files and folders, and nothing else.
func copyFiles(from, to string) error {
	return filepath.WalkDir(from, func(p string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, p)
		switch {
		case err != nil:
			return err
		case d.IsDir():
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		case !d.Type().IsRegular():
			return nil
		}
		b, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), b, 0o600)
	})
}

// refused runs the removed node with its home of before, where only one way to the others is
// open, until it knows that it was removed or time is up: it never receives a byte.
func refused(ctx context.Context, t *testing.T, n *node, before string, s shared, block string, get []string) {
	must(t, os.RemoveAll(n.home))
	must(t, copyFiles(before, n.home))
	n.s.nft("table ip oneway {\n chain out {\n type filter hook output priority 0\n oifname != \"lo\" " + block + " drop\n }\n}\n")
	defer n.s.sh("nft", "delete", "table", "ip", "oneway")
	up := n.up(ctx)
	start := n.until(ctx, s.InfoHash, "the share", func(share) bool { return true })
	fetch := n.start(get...)
	got := int64(0)
	// It may knock, as everybody may who comes with a ticket, and is told where it stands.
	told, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if err := poll(told, func() (bool, error) {
		m, err := n.members(ctx, "club")
		return err == nil && (m.Rights == "none" || slices.ContainsFunc(m.List, func(x member) bool { return x.Refuses })), err
	}); err != nil {
		t.Errorf("it is not told: %v", err)
	}
	bounded, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	_ = poll(bounded, func() (bool, error) {
		var v share
		if err := n.ask(bounded, "GET", "/api/v1/shares/"+s.InfoHash+"/detail", &v); err == nil {
			got = v.Downloaded - start.Downloaded
		}
		return got > 0, nil
	})
	if got > 0 {
		t.Errorf("%d bytes came in", got)
	}
	for _, p := range []*proc{fetch, up} {
		_ = p.Signal(syscall.SIGTERM)
		p.wait(ctx)
	}
}
