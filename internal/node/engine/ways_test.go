package engine

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"shoal/internal/adapter/store"
	"shoal/internal/core/group"
	"shoal/internal/core/metainfo"
	"shoal/internal/core/swarm/candidates"
	"shoal/internal/core/wire"
)

// way is a Locator that writes down what it is told, and finds what it is given.
type way struct {
	open   bool
	source candidates.Source
	found  []netip.AddrPort

	mu    sync.Mutex
	heard []string
	seeks int // under way
}

func (w *way) Name() string              { return "way" }
func (w *way) Source() candidates.Source { return w.source }
func (w *way) Open() bool                { return w.open }
func (w *way) Cost() Cost                { return Cost{} }

func (w *way) note(seeks int, format string, a ...any) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seeks += seeks
	w.heard = append(w.heard, fmt.Sprintf(format, a...))
}

func (w *way) Offer(o Offer) {
	w.note(0, "offer %s complete=%t wanted=%t groups=%d", o.ID[:4], o.Complete, o.Wanted, len(o.Groups))
}

func (w *way) Withdraw(id string) { w.note(0, "withdraw %s", id[:4]) }

func (w *way) Seek(ctx context.Context, o Offer, found func([]netip.AddrPort)) {
	w.note(1, "seek %s", o.ID[:4])
	defer w.note(-1, "enough")
	found(w.found)
	<-ctx.Done()
}

// said is what the way was told since.
func (w *way) said() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	defer func() { w.heard = nil }()
	return strings.Join(w.heard, ", ")
}

func (w *way) expect(t *testing.T, what string, want ...string) {
	t.Helper()
	if got := w.said(); got != strings.Join(want, ", ") {
		t.Errorf("%s: heard %q, want %q", what, got, want)
	}
}

func with(ways ...Locator) func(*Config) { return func(c *Config) { c.Locators = ways } }

// TestOffered: every way hears of each share that is here and is not paused, also of parked
// ones and after a restart; strangers hear neither of private ones nor of those of groups.
func TestOffered(t *testing.T) {
	for _, c := range []struct {
		what    string
		groups  []group.ID
		private bool
		open    bool // hears of it
		closed  bool
	}{
		{"public", nil, false, true, true},
		{"private", nil, true, false, false},
		{"a group's", []group.ID{family}, false, false, true},
		{"a group's, private", []group.ID{family}, true, false, true},
	} {
		x := make1(t, testPiece, store.CreateOptions{Private: c.private})
		home := t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			w, k := &network{}, &club{}
			id := x.meta.Hash.ID()[:4]
			offered, gone := fmt.Sprintf("offer %s complete=true wanted=false groups=%d", id, len(c.groups)), "withdraw "+id
			open, closed := &way{open: true}, &way{}
			expect := func(what, heard string) {
				t.Helper()
				synctest.Wait()
				for y, may := range map[*way]bool{open: c.open, closed: c.closed} {
					if may && heard != "" {
						y.expect(t, c.what+", "+what, heard)
					} else {
						y.expect(t, c.what+", "+what)
					}
				}
			}
			a := w.resident(t, home, k, 1, with(open, closed), quick)
			a.offer(x, c.groups...)
			for len(a.running()) > 0 {
				<-time.After(time.Second)
			}
			if got := open.said(); (got == offered || strings.HasSuffix(got, ", "+offered)) != c.open {
				t.Errorf("%s: an open way heard %q", c.what, got)
			}
			if got := closed.said(); (got == offered || strings.HasSuffix(got, ", "+offered)) != c.closed {
				t.Errorf("%s: a closed way heard %q", c.what, got)
			}
			if _, err := a.SetPaused(x.meta.Hash.ID(), true); err != nil {
				t.Error(err)
			}
			expect("paused", gone)
			if _, err := a.SetPaused(x.meta.Hash.ID(), false); err != nil {
				t.Error(err)
			}
			expect("again", offered)
			a.stop()
			expect("stopped", "")
			open, closed = &way{open: true}, &way{}
			a = w.resident(t, home, k, 1, with(open, closed), quick)
			expect("after a restart", offered)
			if len(a.running()) > 0 {
				t.Error("it runs for that")
			}
			if _, _, err := a.Remove(x.meta.Hash.ID(), false); err != nil {
				t.Error(err)
			}
			expect("removed", gone)
			w.close(a.node)
		})
	}
}

// TestSought: peers are looked for while some are wanted, by every way; what it found is
// fetched from, and counted; a link that turns out to be of a private share is withdrawn
// from all.
func TestSought(t *testing.T) {
	for _, private := range []bool{false, true} {
		x := make1(t, 3*testPiece, store.CreateOptions{Version: metainfo.Hybrid, Private: private})
		homes, dir := []string{t.TempDir(), t.TempDir()}, t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			w, k := &network{delay: time.Millisecond}, &club{}
			a := w.resident(t, homes[0], k, 1)
			open := &way{open: true, source: candidates.FromDHT, found: []netip.AddrPort{a.plain.at}}
			member := &way{source: candidates.FromMember, found: []netip.AddrPort{a.overlay.at}}
			b := w.resident(t, homes[1], k, 2, with(open, member))
			defer w.close(a.node, b.node)
			a.offer(x)
			m := magnet(metainfo.InfoHash{V1: x.meta.Hash.V1, Version: metainfo.V1}) // it gets another ID
			if _, err := b.Add(Spec{Magnet: m, Dir: dir, Paused: true}); err != nil {
				t.Fatal(err)
			}
			<-time.After(2 * time.Second)
			open.expect(t, "paused")
			if _, err := b.SetPaused(m.Hash.ID(), false); err != nil {
				t.Fatal(err)
			}
			if private { // and then a person says where to go on
				b.wait("the description", func(e Event) bool { return e.Status != nil && e.Status.Pieces > 0 })
				if _, err := b.AddPeers(x.meta.Hash.ID(), []string{a.plain.at.String()}); err != nil {
					t.Fatal(err)
				}
			}
			b.waitDone(x.meta.Hash)
			sameTree(t, x.path, filepath.Join(dir, "content"))
			synctest.Wait()
			open.mu.Lock()
			seeks := open.seeks
			open.mu.Unlock()
			known := map[string]bool{}
			heard := open.said()
			for _, h := range strings.Split(heard, ", ") {
				if f := strings.Fields(h); len(f) > 1 && f[0] != "seek" {
					known[f[1]] = f[0] == "offer"
				}
			}
			if seeks != 0 || known[m.Hash.ID()[:4]] || known[x.meta.Hash.ID()[:4]] == private {
				t.Errorf("private=%t: %d look for peers still; heard %q", private, seeks, heard)
			}
			if private {
				return
			}
			st, err := b.Status(x.meta.Hash.ID())
			var got Yield
			for _, y := range st.Yield {
				got.Bytes += y.Bytes
				got.Connected += y.Connected
			}
			if err != nil || got.Bytes != x.meta.Info.Bytes() || got.Connected == 0 || !slices.Equal(st.Yield, b.Yields()) {
				t.Errorf("%+v, of all shares %+v", st.Yield, b.Yields())
			}
			if _, _, err := b.Remove(x.meta.Hash.ID(), false); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(st.Yield, b.Yields()) {
				t.Errorf("of a share that is gone %+v", b.Yields())
			}
		})
	}
}

// TestLinkIsOffered: on some ways an offer is a question too, so it does not wait for the
// description.
func TestLinkIsOffered(t *testing.T) {
	home := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := &network{}
		open := &way{open: true}
		a := w.resident(t, home, &club{}, 1, with(open))
		defer w.close(a.node)
		hash := metainfo.InfoHash{V1: [20]byte{7}, Version: metainfo.V1}
		a.fetch(Spec{Magnet: magnet(hash), Dir: home})
		synctest.Wait()
		open.expect(t, "a link", "offer 0700 complete=false wanted=true groups=0", "seek 0700")
	})
}

// pexOf reads what a peer is told by its first peer exchange.
func (p *rawPeer) pexOf() wire.PEX {
	p.t.Helper()
	for {
		_, payload, ok := p.next(wire.Extended)
		if !ok {
			p.t.Fatal("the connection ended before peers were told")
		}
		if ext, body, err := wire.ParseExtended(payload); err == nil && ext == pexID {
			m, err := wire.ParsePEX(body)
			if err != nil {
				p.t.Fatal(err)
			}
			return m
		}
	}
}

// pexID is the number that the tests' peers give to peer exchange.
const pexID = 7

// extended tells what a peer by hand takes, and what peers it knows.
func (p *rawPeer) extended(theirs byte, about ...netip.AddrPort) {
	p.t.Helper()
	h := wire.ExtHandshake{M: wire.Extensions{PEX: pexID}, Port: 6881}
	p.send(h.Append(wire.AppendState(nil, wire.HaveNone)))
	if len(about) > 0 {
		var m wire.PEX
		for _, a := range about {
			m.Added = append(m.Added, wire.PEXPeer{Addr: a})
		}
		p.send(m.Append(nil, theirs))
	}
}

// TestExchangeOfOverlay: in a public share nobody is told of overlay addresses, for of two
// members neither need know the other's groups, and nobody is believed about them.
func TestExchangeOfOverlay(t *testing.T) {
	x := make1(t, testPiece, store.CreateOptions{Version: metainfo.V2})
	home := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w, k := &network{delay: time.Millisecond}, &club{}
		a := w.resident(t, home, k, 1)
		defer w.close(a.node)
		a.offer(x)
		name := x.meta.Hash.V2Short()
		liar := overlayAddr(77)
		stranger := w.host("10.0.0.9:1").greet(t, a.plain.at, name, wire.PeerID{1}, 0)
		stranger.extended(wire.ExtPEX, liar, netip.MustParseAddrPort("10.0.0.50:1"))
		friend := w.host(overlayAddr(2).String()).greet(t, a.overlay.at, name, wire.PeerID{2}, 0)
		friend.extended(wire.ExtPEX, overlayAddr(3))
		other := w.host(overlayAddr(4).String()).greet(t, a.overlay.at, name, wire.PeerID{4}, 0)
		other.extended(wire.ExtPEX)
		for _, c := range []struct {
			who  string
			peer *rawPeer
			want []netip.AddrPort
		}{
			{"a friend", friend, []netip.AddrPort{netip.MustParseAddrPort("10.0.0.9:6881")}},
			{"a stranger", stranger, nil},
		} {
			var got []netip.AddrPort
			if c.want != nil {
				for len(got) < len(c.want) {
					for _, p := range c.peer.pexOf().Added {
						got = append(got, p.Addr)
					}
				}
			} else { // what there is to tell is told within a minute
				go func() { <-time.After(2 * time.Minute); c.peer.nc.Close() }()
				for {
					_, payload, ok := c.peer.next(wire.Extended)
					if !ok {
						break
					}
					if bytes.Contains(payload, netip.MustParsePrefix("fd73:686f:616c::/48").Addr().AsSlice()[:6]) {
						t.Errorf("a stranger was told %x", payload)
					}
				}
			}
			slices.SortFunc(got, netip.AddrPort.Compare)
			if !slices.Equal(got, c.want) {
				t.Errorf("%s was told of %v, want %v", c.who, got, c.want)
			}
		}
		var known []netip.AddrPort
		s := a.running()[0]
		s.call(func() {
			for {
				c, _, ok := s.scout.Next(1<<60, false)
				if !ok {
					return
				}
				known = append(known, c)
			}
		})
		if slices.Contains(known, overlayAddr(3)) || slices.Contains(known, liar) {
			t.Errorf("candidates are %v", known)
		}
	})
}
