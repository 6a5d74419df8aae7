//go:build linux

package lab

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"shoal/bench/measure"
)

// How long the ticket may take: a direct way after joining, and the first byte.
const (
	directTime    = 10 * time.Second
	firstByteTime = 15 * time.Second
)

// contentDir is what folder made.
var contentDir atomic.Pointer[string]

// folderMade is the folder to remove at the end, or "".
func folderMade() string {
	if p := contentDir.Load(); p != nil {
		return *p
	}
	return ""
}

// folder makes the content of the ticket's tests once: 300 MiB in 300 files, with odd names
// among them.
var folder = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "shoal-lab-content-")
	if err != nil {
		return "", err
	}
	contentDir.Store(&dir)
	path := filepath.Join(dir, "holiday")
	if err := measure.WriteMany(filepath.Join(path, "pictures"), 272, 1<<20); err != nil {
		return "", err
	}
	if err := measure.WriteFile(filepath.Join(path, "film.mkv"), "film", 27<<20); err != nil {
		return "", err
	}
	return path, measure.WriteTree(filepath.Join(path, "odd"))
})

// TestTicket is the promise: two computers behind home routers, one types `invite`, the other
// `join` and `get`. Where the routers let it, the bytes go straight; where not, through a
// member who can be reached. The node that fetches is killed half-way.
func TestTicket(t *testing.T) {
	t.Parallel()
	needNetworks(t)
	for _, c := range []struct {
		name string
		kind translation
	}{{"endpoint-independent", independent}, {"endpoint-dependent", dependent}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			ticket(t, c.kind)
		})
	}
}

func ticket(t *testing.T, kind translation) {
	ctx := deadline(t, 110*time.Second)
	path, err := folder()
	must(t, err)
	w := newWorld(t, kind)
	member, left, right := newNode(t, w.public("member", 1)), newNode(t, w.left), newNode(t, w.right)
	member.up(ctx)
	inviter := left.up(ctx)
	said[struct{ ID string }](ctx, member, "group", "new", "friends")
	member.admit(ctx, "friends", left, "--admin")
	s := left.publish(ctx, path, "--to", "friends")

	guest := right.up(ctx)
	ticket := left.invite(ctx, "friends")
	a := said[admission](ctx, right, "join", ticket)
	joined := time.Now()
	e := inviter.event(ctx, "member_joined", func(e event) bool { return e.NodeID == right.id })
	if a.Code == "" || a.Code != e.Code {
		t.Errorf("who joins is shown %q, who invited %q", a.Code, e.Code)
	}
	out := t.TempDir()
	get := []string{"get", s.Link, "-o", out}
	fetch := right.start(get...)
	right.until(ctx, s.InfoHash, "the first byte", func(v share) bool { return v.Done > 0 })
	within(t, "first byte", joined, firstByteTime)
	if kind == independent {
		p := right.untilPeer(ctx, left, "a direct way", direct)
		within(t, "direct by "+p.How, joined, directTime)
	}

	v := right.until(ctx, s.InfoHash, "half of it", func(v share) bool { return v.Wanted > 0 && v.Done >= v.Wanted/2 })
	guest.kill()
	fetch.Kill()
	if v.Done == v.Wanted {
		t.Errorf("all was there before the kill")
	}
	t.Logf("half %v after join", time.Since(joined).Round(time.Millisecond))
	right.up(ctx)
	had := right.until(ctx, s.InfoHash, "the share", func(share) bool { return true })
	again := time.Now()
	right.ok(ctx, get...)
	t.Logf("the rest %v after the kill", time.Since(again).Round(time.Millisecond))
	same(t, path, out)
	// What a piece lacked when it happened is fetched again, and no more.
	now := right.until(ctx, s.InfoHash, "the share", func(v share) bool { return v.Done == v.Wanted })
	if got := now.Downloaded - had.Downloaded; got > now.Wanted-v.Done+32<<20 {
		t.Errorf("%d bytes were fetched after the kill, of %d that were missing", got, now.Wanted-v.Done)
	}
	told(ctx, t, kind, member, left, right)
}

// told looks at what the two are told of their way to each other by peers, status and doctor.
func told(ctx context.Context, t *testing.T, kind translation, member, left, right *node) {
	t.Helper()
	for _, pair := range [][2]*node{{left, right}, {right, left}} {
		n, other := pair[0], pair[1]
		if kind == independent {
			n.untilPeer(ctx, other, "a direct way", direct)
		} else {
			n.untilPeer(ctx, other, "a relay and why", func(c contact) bool { return c.How == "relay" && c.Why != "" })
		}
		p := n.peers(ctx)
		c := p.of(other)
		t.Logf("%s says of %s: %+v", n.s.name, other.s.name, c)
		status := string(n.ok(ctx, "status").out)
		if kind == independent {
			if !direct(c) || c.Relay != nil {
				t.Errorf("%s is told %+v of %s", n.s.name, c, other.s.name)
			}
			continue
		}
		if c.How != "relay" || c.Relay == nil || c.Relay.NodeID != member.id || c.Why == "" {
			t.Errorf("%s is told %+v of %s", n.s.name, c, other.s.name)
		}
		if !strings.Contains(status, `"relay"`) || !strings.Contains(status, member.id) {
			t.Errorf("%s: status says nothing of the relay: %s", n.s.name, status)
		}
		natFound(ctx, t, n)
	}
}

// finding is a line of doctor.
type finding struct{ Check, Verdict, What, Means, Do string }

// doctor is what doctor finds.
func (n *node) doctor(ctx context.Context) (all []finding) {
	n.t.Helper()
	r := n.run(ctx, "doctor")
	for l := range strings.Lines(string(r.out)) {
		var f finding
		if json.Unmarshal([]byte(l), &f) == nil && f.Check != "" {
			all = append(all, f)
		}
	}
	if len(all) < 5 {
		n.t.Errorf("%s: doctor: exit %d: %s%s", n.s.name, r.code, r.out, r.stderr)
	}
	return all
}

// natFound fails unless doctor finds that the router stands in the way.
func natFound(ctx context.Context, t *testing.T, n *node) {
	t.Helper()
	all := n.doctor(ctx)
	told := false
	for _, f := range all {
		switch {
		case f.Verdict == "ok" && f.Do != "", f.Verdict == "bad" && f.Do == "":
			t.Errorf("%s: %+v", n.s.name, f)
		case f.Check == "members" && f.Verdict == "warn" && strings.Contains(f.What, "through another member"):
			told = f.Means != "" && f.Do != ""
		case f.Check == "reach" && f.Verdict == "ok":
			t.Errorf("%s is behind a router that lets nobody in, and doctor says: %+v", n.s.name, f)
		}
	}
	if !told {
		t.Errorf("%s: doctor does not say that others reach it through a relay alone: %+v", n.s.name, all)
	}
}

// TestNobodyInBetween: both homes let nobody in and there is no member outside. It cannot
// work, and both sides are told why.
func TestNobodyInBetween(t *testing.T) {
	t.Parallel()
	needNetworks(t)
	ctx := deadline(t, 100*time.Second)
	w := newWorld(t, independent)
	left, right := newNode(t, w.left), newNode(t, w.right)
	left.up(ctx)
	right.up(ctx)
	left.ok(ctx, "group", "new", "hermits")
	began := time.Now()
	r := right.run(ctx, "join", left.invite(ctx, "hermits"))
	within(t, "join gave up", began, time.Minute)
	if r.code != 3 || strings.Count(r.stderr, "\n") != 1 || !strings.Contains(r.stderr, "shoal doctor") {
		t.Errorf("exit %d: %s", r.code, r.stderr)
	}
	if strings.Contains(r.stderr, "shoal:join/") {
		t.Error("the message holds the ticket")
	}
	for _, f := range left.doctor(ctx) {
		if f.Check == "reach" && (f.Verdict == "ok" || f.Means == "" || f.Do == "") {
			t.Errorf("doctor: %+v", f)
		}
	}
}
