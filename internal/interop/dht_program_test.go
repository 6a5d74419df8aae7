//go:build linux

package interop

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"shoal/bench/clients"
	"shoal/bench/clients/testlab"
)

// enters makes the home of a node that is told of one node of the DHT and of nothing else.
func enters(t *testing.T, l *clients.Lab, by netip.AddrPort) *clients.ShoalNode {
	t.Helper()
	s, err := clients.NewShoalNode(l)
	if err == nil {
		err = os.MkdirAll(s.Home, 0o700)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(s.Home, "config.toml"), fmt.Appendf(nil, "[network]\nbootstrap = [%q]\n", by), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestDHTOfPrograms: the program itself is one of libtorrent's DHT. What it shares is found
// there by both hashes, and what libtorrent seeds it fetches by a link that names nobody.
func TestDHTOfPrograms(t *testing.T) {
	t.Parallel()
	need(t, is(clients.Libtorrent()), is(clients.Shoal()))
	ctx, l := testlab.Deadline(t, dhtTime), testlab.New(t)
	c := startCrowd(ctx, t, l, 40)
	for i := range c.hosts {
		c.do(i, "meet", nodes(c.at((i+1)%40), c.at((i+7)%40), c.at((i+23)%40)))
	}
	for i := range 3 {
		if _, err := enters(t, l, c.at(i)).Run("up"); err != nil {
			t.Fatal(err)
		}
	}
	shares(ctx, t, l, c)
	fetches(ctx, t, l, c)
}

// shares has a node share a file, which sessions of libtorrent must find.
func shares(ctx context.Context, t *testing.T, l *clients.Lab, c *crowd) {
	t.Helper()
	dir, name := content(t, true)
	s := enters(t, l, c.at(10))
	p, err := s.Run("share", filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	var shared clients.Shared
	if _, err := p.Line(ctx, func(b []byte) bool { return json.Unmarshal(b, &shared) == nil && shared.Link != "" }); err != nil {
		t.Fatal(err)
	}
	at := netip.AddrPortFrom(netip.MustParseAddr(s.Host), clients.PeerPort).String()
	for i, hash := range []string{shared.V1, shared.V2[:40]} {
		again(ctx, t, "the share by hash "+hash, func() bool {
			list, _ := c.do(30+i, "peers", map[string]any{"hash": hash}).([]any)
			return slices.Contains(list, any(at))
		})
	}
}

// fetches has a node fetch what a session of libtorrent seeds.
func fetches(ctx context.Context, t *testing.T, l *clients.Lab, c *crowd) {
	t.Helper()
	dir, name := content(t, true)
	path, made := torrent(ctx, t, clients.MakeRequest{Path: filepath.Join(dir, name), Format: clients.V1, Piece: pieceLength})
	c.do(20, "seed", map[string]any{"torrent": path, "dir": dir})
	to := t.TempDir()
	p, err := enters(t, l, c.at(5)).Run("get", "magnet:?xt=urn:btih:"+made.V1, "-o", to)
	if err != nil {
		t.Fatal(err)
	}
	if code, err := p.Wait(ctx); err != nil || code != 0 {
		t.Fatalf("get: exit %d, %v: %s", code, err, p.Output())
	}
	same(t, filepath.Join(dir, name), to, clients.Shoal())
}
