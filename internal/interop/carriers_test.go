//go:build linux

package interop

import (
	"bytes"
	"context"
	"encoding/json"
	"net/netip"
	"path/filepath"
	"strconv"
	"testing"

	"shoal/bench/clients"
	"shoal/bench/clients/testlab"
	"shoal/internal/core/ident"
)

// perSource is what each source of a transfer may send a second: the 12 MiB take one alone
// six seconds.
const perSource = 2 << 20

// member makes a home that has not started.
func member(t *testing.T, l *clients.Lab) *clients.ShoalNode {
	t.Helper()
	s, err := clients.NewShoalNode(l)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// joins has a new member join a group.
func joins(ctx context.Context, t *testing.T, l *clients.Lab, g *clients.Group) *clients.Member {
	t.Helper()
	m, err := g.Join(ctx, member(t, l))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// say runs a command of a node that must succeed.
func say(ctx context.Context, t *testing.T, s *clients.ShoalNode, args ...string) []byte {
	t.Helper()
	out, code, err := s.Do(ctx, args...)
	if err != nil || code != 0 {
		t.Fatalf("shoal %s: exit %d, %v: %.600s", args[0], code, err, out)
	}
	return out
}

// shareOnce publishes a path by a node that is up, so slowly that others are needed.
func shareOnce(ctx context.Context, t *testing.T, s *clients.ShoalNode, path string, args ...string) clients.Shared {
	t.Helper()
	var shared clients.Shared
	out := say(ctx, t, s, append([]string{"share", path, "--piece-size", "64K", "--up-limit", strconv.Itoa(perSource)}, args...)...)
	if err := json.Unmarshal(out, &shared); err != nil {
		t.Fatal(err)
	}
	return shared
}

// TestTwoCarriers: one fetch takes a public share from a member, over the overlay, and from a
// BitTorrent client of others, over TCP, at the same time.
func TestTwoCarriers(t *testing.T) {
	t.Parallel()
	for _, c := range []*clients.Client{clients.Libtorrent(), clients.Aria2()} {
		everyFormat(t, c, func(t *testing.T, f clients.Format) {
			t.Parallel()
			need(t, is(c), is(clients.Shoal()))
			twoCarriers(t, c, f)
		})
	}
}

func twoCarriers(t *testing.T, c *clients.Client, f clients.Format) {
	ctx, l := testlab.Deadline(t, pairTime), testlab.New(t)
	dir, name := content(t, true)
	path := filepath.Join(dir, name)
	founder := member(t, l)
	g, err := clients.NewGroup(ctx, founder, "two")
	if err != nil {
		t.Fatal(err)
	}
	fetcher := joins(ctx, t, l, g)
	shared := shareOnce(ctx, t, founder, path, "--format", f.String())
	made := filepath.Join(l.Root(), "made.torrent")
	say(ctx, t, founder, "torrent", shared.Hash(), "-o", made)
	theirs, _ := content(t, true)
	seed, err := c.Start(ctx, l, clients.Job{Dir: theirs, Torrent: made, Seed: true, Up: perSource})
	if err != nil {
		t.Fatal(err)
	}
	to := t.TempDir()
	var done fetched
	lastLine(t, say(ctx, t, fetcher.ShoalNode, "get", shared.Link, "-o", to, "--peer", seed.Addr()), &done)
	same(t, path, to, clients.Shoal())
	gave := map[string]int64{}
	for _, p := range done.Peers {
		if overlay(p.Address) {
			gave["the member"] += p.Bytes
		} else if p.Address == seed.Addr() {
			gave[c.Name] += p.Bytes
		}
	}
	for _, who := range []string{"the member", c.Name} {
		if gave[who] < done.Bytes/5 {
			t.Errorf("%s gave %d of %d bytes: %+v", who, gave[who], done.Bytes, done.Peers)
		}
	}
	if alone := float64(done.Bytes) / perSource; done.Seconds > 0.9*alone {
		t.Errorf("it took %.1f s, one source alone takes %.1f s", done.Seconds, alone)
	}
}

// fetched is the part of the last line of `get --json` that says who gave what.
type fetched struct {
	Bytes   int64
	Seconds float64
	Peers   []struct {
		Address string
		Bytes   int64
	}
}

// overlay tells whether an address stands for a member.
func overlay(address string) bool {
	a, err := netip.ParseAddrPort(address)
	return err == nil && ident.IsOverlay(a.Addr())
}

// lastLine decodes the last line of a command's output.
func lastLine(t *testing.T, out []byte, v any) {
	t.Helper()
	out = bytes.TrimSpace(out)
	if err := json.Unmarshal(out[bytes.LastIndexByte(out, '\n')+1:], v); err != nil {
		t.Fatal(err)
	}
}

// TestGroupAtOnce: three members fetch at once what a fourth shares with their group, from the
// link alone, and one of them joins when the others are half-way. They give to each other:
// the first one is too slow to send all of it three times in the time that there is.
func TestGroupAtOnce(t *testing.T) {
	t.Parallel()
	need(t, is(clients.Shoal()))
	ctx, l := testlab.Deadline(t, pairTime), testlab.New(t)
	dir, name := content(t, false)
	path := filepath.Join(dir, name)
	founder := member(t, l)
	g, err := clients.NewGroup(ctx, founder, "all")
	if err != nil {
		t.Fatal(err)
	}
	early := []*clients.Member{joins(ctx, t, l, g), joins(ctx, t, l, g)}
	shared := shareOnce(ctx, t, founder, path, "--to", g.Name)
	fetch := func(m *clients.Member) (*clients.Process, string) {
		to := t.TempDir()
		p, err := m.Run("get", shared.Link, "-o", to)
		if err != nil {
			t.Fatal(err)
		}
		return p, to
	}
	var gets [3]*clients.Process
	var folders [3]string
	for i, m := range early {
		gets[i], folders[i] = fetch(m)
	}
	halfway(ctx, t, gets[0])
	gets[2], folders[2] = fetch(joins(ctx, t, l, g))
	for i, p := range gets {
		if code, err := p.Wait(ctx); err != nil || code != 0 {
			t.Fatalf("get %d: exit %d, %v: %s", i, code, err, p.Tail(600))
		}
		same(t, path, folders[i], clients.Shoal())
		var done fetched
		lastLine(t, p.Output(), &done)
		if len(done.Peers) < 2 {
			t.Errorf("get %d took all from %+v", i, done.Peers)
		}
		for _, from := range done.Peers {
			if !overlay(from.Address) {
				t.Errorf("get %d: %s is not a member", i, from.Address)
			}
		}
	}
	var sent struct{ Uploaded int64 }
	lastLine(t, say(ctx, t, founder, "show", shared.Hash()), &sent)
	if sent.Uploaded > 2*shared.Bytes {
		t.Errorf("the first one sent %d bytes of %d for three", sent.Uploaded, shared.Bytes)
	}
}

// halfway waits until a fetch has half of it.
func halfway(ctx context.Context, t *testing.T, p *clients.Process) {
	t.Helper()
	_, err := p.Line(ctx, func(line []byte) bool {
		var e struct {
			Event        string
			Bytes, Total int64
		}
		return json.Unmarshal(line, &e) == nil && e.Event == "progress" && e.Total > 0 && e.Bytes >= e.Total/2
	})
	if err != nil {
		t.Fatal(err)
	}
}
