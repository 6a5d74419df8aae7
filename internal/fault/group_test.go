//go:build linux

package fault

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// goOnTime is how long a transfer may stand still after a member of its swarm has died.
const goOnTime = 15 * time.Second

// moved is how much more has to come until a transfer is said to go on: more than could be
// on its way from one peer, at the rate of these transfers.
const moved = 2 << 20

// crew are five homes joined by one ticket: the first two share the same file with the
// group, the others fetch it.
type crew struct {
	t     *testing.T
	nodes [5]*node
	ups   [5]*proc
	out   [5]string // where it fetches to; empty: it shares
	path  string
	hash  string
}

// up starts a node and waits until it answers.
func (c *crew) up(ctx context.Context, i int) {
	c.t.Helper()
	c.ups[i] = c.nodes[i].start("up")
	c.ups[i].event(ctx, "ready", nil)
}

// newCrew joins the five and begins the transfers, each so slow that none ends by itself.
func newCrew(ctx context.Context, t *testing.T, bytes int64, rate string) *crew {
	t.Helper()
	l := lab(t)
	c := &crew{t: t, path: file(t, "cargo.bin", bytes)}
	for i := range c.nodes {
		c.nodes[i] = newNode(t, l)
		c.up(ctx, i)
	}
	c.nodes[0].ok(ctx, "group", "new", "crew")
	var ticket struct{ Ticket string }
	must(t, json.Unmarshal(c.nodes[0].ok(ctx, "invite", "crew", "--uses", "4").out, &ticket))
	for _, n := range c.nodes[1:] {
		n.ok(ctx, "join", ticket.Ticket)
	}
	var link struct {
		Link string
		Hash string `json:"info_hash"`
	}
	for i := range 2 {
		copied := filepath.Join(t.TempDir(), filepath.Base(c.path))
		must(t, os.Link(c.path, copied))
		must(t, json.Unmarshal(c.nodes[i].ok(ctx, "share", copied, "--to", "crew", "--piece-size", "64K").out, &link))
	}
	c.hash = link.Hash
	for i := 2; i < 5; i++ {
		c.out[i] = t.TempDir()
		get := c.nodes[i].start("get", link.Link, "-o", c.out[i], "--down-limit", rate)
		c.nodes[i].until(ctx, c.hash, "a beginning", func(s share) bool { return s.Done > moved })
		if r, _ := get.stopped(ctx, syscall.SIGINT); r.code != 130 { // it goes on in the node
			t.Fatalf("get: exit %d: %s", r.code, r.stderr)
		}
	}
	return c
}

// done is what a node has of the file.
func (c *crew) done(ctx context.Context, i int) int64 {
	return c.nodes[i].until(ctx, c.hash, "the share", func(share) bool { return true }).Done
}

// loses kills one of them, and starts it again once all others have gone on without it.
func (c *crew) loses(ctx context.Context, victim int) {
	c.t.Helper()
	var had [5]int64
	for i := range c.nodes {
		had[i] = c.done(ctx, i)
	}
	c.ups[victim].Kill()
	began := time.Now()
	for i := 2; i < 5; i++ {
		if i != victim {
			c.goesOn(ctx, i, had[i], began)
		}
	}
	c.up(ctx, victim)
	began = time.Now()
	if victim < 2 {
		c.nodes[victim].until(ctx, c.hash, "it offers again", func(s share) bool { return s.State == "seeding" })
		return
	}
	if now := c.nodes[victim].until(ctx, c.hash, "it fetches again", func(s share) bool { return s.State == "downloading" }); now.Done < had[victim] {
		c.t.Errorf("node %d had %d bytes before it was killed, %d after", victim, had[victim], now.Done)
	}
	c.goesOn(ctx, victim, had[victim], began)
}

// goesOn fails unless a transfer moves again in time.
func (c *crew) goesOn(ctx context.Context, i int, had int64, began time.Time) {
	c.t.Helper()
	s := c.nodes[i].until(ctx, c.hash, "more of it", func(s share) bool { return s.Done >= had+moved })
	took := time.Since(began)
	c.t.Logf("node %d goes on after %v: %d → %d bytes, %d peers", i, took.Round(time.Millisecond), had, s.Done, len(s.PeerList))
	if took > goOnTime {
		c.t.Errorf("node %d went on after %v, want %v", i, took, goOnTime)
	}
	if s.Done == s.Wanted {
		c.t.Errorf("node %d was done before all had been killed", i)
	}
}

// TestMembersKilled kills members of a group while three of them fetch, whoever it is: one
// that shares or one that fetches. The others go on, and so does it when it is back.
func TestMembersKilled(t *testing.T) {
	t.Parallel()
	ctx := deadline(t, 3*time.Minute)
	seed := rand.Uint64()
	if text := os.Getenv("SHOAL_FAULT_SEED"); text != "" {
		var err error
		seed, err = strconv.ParseUint(text, 10, 64)
		must(t, err)
	}
	t.Logf("SHOAL_FAULT_SEED=%d", seed)
	lot := rand.New(rand.NewPCG(seed, 0))
	c := newCrew(ctx, t, 96<<20, "2MB")
	victims := lot.Perm(5)
	if !long() {
		victims = []int{lot.IntN(2), 2 + lot.IntN(3)} // one that shares, one that fetches
	}
	for _, v := range victims {
		t.Logf("kill node %d", v)
		c.loses(ctx, v)
	}
	for i := 2; i < 5; i++ {
		c.nodes[i].ok(ctx, "limit", c.hash, "--down", "unlimited")
		c.nodes[i].until(ctx, c.hash, "all of it", func(s share) bool { return s.State == "seeding" })
		sound(t, c.path, filepath.Join(c.out[i], filepath.Base(c.path)))
	}
	for i, n := range c.nodes {
		late := time.AfterFunc(stopTime, func() { _ = c.ups[i].program(syscall.SIGQUIT) }) // for the stacks
		r, took := c.ups[i].stopped(ctx, syscall.SIGTERM)
		late.Stop()
		if r.code != 0 || took > stopTime {
			t.Errorf("node %d: exit %d after %v: %s", i, r.code, took, r.stderr)
		}
		n.ok(ctx, "fsck")
	}
}
