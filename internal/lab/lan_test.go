//go:build linux

package lab

import (
	"context"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"shoal/bench/measure"
)

// nearTime is how long two nodes on one wire may take to find each other.
const nearTime = 2 * time.Second

// alone is a link without the addresses that it was made with.
func alone(link string) string {
	return regexp.MustCompile(`&x\.pe=[^&]*`).ReplaceAllString(link, "")
}

// lan is a local network with no way out and two nodes on it that are not up yet.
func lan(t *testing.T, addrs [2]string, network ...string) (a, b *node) {
	t.Helper()
	wire := newBridge(t, "wire")
	for i, n := range []**node{&a, &b} {
		s := newSpace(t, []string{"attic", "cellar"}[i])
		wire.plug(s, addrs[i])
		*n = newNode(t, s, network...)
	}
	return a, b
}

// TestLAN: with no way out, all that two nodes on one wire need is a link, or a ticket, or to
// have met before.
func TestLAN(t *testing.T) {
	t.Parallel()
	needNetworks(t)
	for _, c := range []struct {
		name  string
		addrs [2]string
		scope string
	}{
		{"link, IPv4", [2]string{"10.9.0.1/24", "10.9.0.2/24"}, "internet"},
		{"link, IPv6 of the wire alone", [2]string{"fe80::1/64", "fe80::2/64"}, "internet"},
		{"link, scope lan", [2]string{"169.254.3.1/16", "169.254.3.2/16"}, "lan"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b := lan(t, c.addrs, "scope = \""+c.scope+"\"")
			byLink(deadline(t, 40*time.Second), t, a, b)
		})
	}
	t.Run("ticket", func(t *testing.T) {
		ctx := deadline(t, 60*time.Second)
		a, b := lan(t, [2]string{"10.9.0.1/24", "10.9.0.2/24"})
		ups := []*proc{a.up(ctx), b.up(ctx)}
		a.ok(ctx, "group", "new", "house")
		ticket := a.invite(ctx, "house")
		began := time.Now()
		b.ok(ctx, "join", ticket)
		a.untilPeer(ctx, b, "connected", direct)
		b.untilPeer(ctx, a, "connected", direct)
		within(t, "connected by the ticket", began, nearTime)
		path := filepath.Join(t.TempDir(), "tree")
		must(t, measure.WriteTree(path))
		s := a.publish(ctx, path, "--to", "house")
		out := t.TempDir()
		b.ok(ctx, "get", alone(s.Link), "-o", out)
		same(t, path, out)

		// Both come back with other addresses: what they know of each other is no good.
		for i, n := range []*node{a, b} {
			must(t, ups[i].Signal(syscall.SIGTERM))
			ups[i].wait(ctx)
			n.s.sh("ip", "addr", "flush", "dev", "eth0")
			n.s.address("eth0", []string{"10.9.0.11/24", "10.9.0.12/24"}[i])
			n.s.multicast("eth0")
		}
		a.up(ctx)
		must(t, poll(ctx, func() (bool, error) { // it knocks where the other one was
			out, err := a.s.try("", "ip", "neigh", "show", "10.9.0.2")
			return strings.Contains(out, "10.9.0.2"), err
		}))
		b.up(ctx)
		began = time.Now()
		a.untilPeer(ctx, b, "met again", direct)
		b.untilPeer(ctx, a, "met again", direct)
		within(t, "met again at other addresses", began, nearTime)
	})
}

// byLink has a node fetch what another one offers, who was there before, and who comes later.
func byLink(ctx context.Context, t *testing.T, a, b *node) {
	a.up(ctx)
	path := filepath.Join(t.TempDir(), "tree")
	must(t, measure.WriteTree(path))
	s := a.publish(ctx, path)
	b.up(ctx)
	out := t.TempDir()
	began := time.Now()
	get := b.start("get", alone(s.Link), "-o", out)
	b.until(ctx, s.InfoHash, "a peer", func(v share) bool { return v.Peers > 0 || v.Done > 0 })
	within(t, "the sharer found by the link", began, nearTime)
	if r := get.wait(ctx); r.code != 0 {
		t.Errorf("exit %d: %s", r.code, r.stderr)
	}
	same(t, path, out)

	// Who looks before anybody offers finds it when somebody does.
	other := filepath.Join(t.TempDir(), "late.bin")
	must(t, measure.WriteFile(other, "late", 3<<20))
	s = a.publish(ctx, other)
	a.ok(ctx, "rm", s.InfoHash)
	get = b.start("get", alone(s.Link), "-o", out)
	b.until(ctx, s.InfoHash, "the share", func(share) bool { return true })
	a.publish(ctx, other)
	began = time.Now()
	b.until(ctx, s.InfoHash, "a peer", func(v share) bool { return v.Peers > 0 || v.Done > 0 })
	within(t, "the sharer found when it began", began, nearTime)
	if r := get.wait(ctx); r.code != 0 {
		t.Errorf("exit %d: %s", r.code, r.stderr)
	}
	same(t, other, out)
}

// within fails when something took longer than it may.
func within(t *testing.T, what string, began time.Time, most time.Duration) {
	t.Helper()
	took := time.Since(began)
	t.Logf("%s after %v", what, took.Round(time.Millisecond))
	if took > most {
		t.Errorf("%s after %v, at most %v", what, took, most)
	}
}

// same compares what arrived in a folder with the original, byte by byte.
func same(t *testing.T, want, out string) {
	t.Helper()
	if err := measure.Same(want, filepath.Join(out, filepath.Base(want))); err != nil {
		t.Error(err)
	}
}
