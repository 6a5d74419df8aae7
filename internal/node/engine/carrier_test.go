package engine

import (
	"net/netip"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"shoal/internal/adapter/store"
	"shoal/internal/core/group"
	"shoal/internal/core/ident"
	"shoal/internal/core/metainfo"
	"shoal/internal/core/swarm/candidates"
	"shoal/internal/core/wire"
)

// peers are the addresses of those who are connected, sorted.
func (n *node) peers(id string) []netip.Addr {
	n.t.Helper()
	d, err := n.Detail(id)
	if err != nil {
		n.t.Fatal(err)
	}
	var list []netip.Addr
	for _, p := range d.Peers {
		list = append(list, p.Addr.Addr())
	}
	slices.SortFunc(list, netip.Addr.Compare)
	return list
}

// TestOnePeerTwoCarriers: a peer that comes over the overlay and by TCP has one connection,
// that of the overlay; whoever takes its name on TCP displaces nothing.
func TestOnePeerTwoCarriers(t *testing.T) {
	x := make1(t, testPiece, store.CreateOptions{Version: metainfo.V2})
	plain, friend, relay := netip.MustParseAddrPort("10.0.0.9:1"), overlayAddr(2), ident.NewKey([ident.SeedSize]byte{9}).ID()
	name, me, other := x.meta.Hash.V2Short(), wire.PeerID{1}, wire.PeerID{2}
	type arrival struct {
		from  netip.AddrPort
		id    wire.PeerID
		relay ident.NodeID
	}
	for what, c := range map[string]struct {
		come []arrival
		want []netip.Addr
		left []int // who of them is still connected
	}{
		"a copied name":     {[]arrival{{friend, me, ident.NodeID{}}, {plain, me, ident.NodeID{}}}, []netip.Addr{friend.Addr()}, []int{0}},
		"TCP before":        {[]arrival{{plain, me, ident.NodeID{}}, {friend, me, ident.NodeID{}}}, []netip.Addr{friend.Addr()}, []int{1}},
		"others":            {[]arrival{{plain, me, ident.NodeID{}}, {friend, other, ident.NodeID{}}}, []netip.Addr{plain.Addr(), friend.Addr()}, []int{0, 1}},
		"relayed, then TCP": {[]arrival{{friend, me, relay}, {plain, me, ident.NodeID{}}}, []netip.Addr{plain.Addr(), friend.Addr()}, []int{0, 1}},
		"TCP, then relayed": {[]arrival{{plain, me, ident.NodeID{}}, {friend, me, relay}}, []netip.Addr{plain.Addr(), friend.Addr()}, []int{0, 1}},
		"started again":     {[]arrival{{friend, me, ident.NodeID{}}, {friend, other, ident.NodeID{}}}, []netip.Addr{friend.Addr()}, []int{1}},
		"the line was cut":  {[]arrival{{friend, me, relay}, {friend, me, ident.NodeID{}}}, []netip.Addr{friend.Addr()}, []int{1}},
	} {
		home := t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			w, k := &network{delay: time.Millisecond}, &club{}
			a := w.resident(t, home, k, 1)
			defer w.close(a.node)
			a.offer(x)
			ended := make([]atomic.Bool, len(c.come))
			for i, v := range c.come {
				h, to := w.host(v.from.String()), a.plain.at
				if h.relay = v.relay; ident.IsOverlay(v.from.Addr()) {
					to = a.overlay.at
				}
				p := h.greet(t, to, name, v.id, 0)
				go func() { p.next(); ended[i].Store(true) }()
				<-time.After(time.Second)
			}
			for i := range ended {
				if ended[i].Load() == slices.Contains(c.left, i) {
					t.Errorf("%s: the connection %d has ended: %t", what, i, ended[i].Load())
				}
			}
			if got := a.peers(x.meta.Hash.ID()); !slices.Equal(got, c.want) {
				t.Errorf("%s: connected are %v", what, got)
			}
		})
	}
}

// TestRelayedIsOutrun: who fetches gives a relayed way up when the same peer has given more
// by another, and not before.
func TestRelayedIsOutrun(t *testing.T) {
	x := make1(t, 320*testPiece, store.CreateOptions{Version: metainfo.V2})
	homes, dir := []string{t.TempDir(), t.TempDir()}, t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w, k := &network{delay: time.Millisecond}, &club{}
		a, b := w.resident(t, homes[0], k, 1), w.resident(t, homes[1], k, 2)
		defer w.close(a.node, b.node)
		b.overlay.relay, b.overlay.slow = ident.NewKey([ident.SeedSize]byte{9}).ID(), 300*time.Millisecond
		a.offer(x)
		if err := a.SetLimits("", 1<<20, 0); err != nil {
			t.Fatal(err)
		}
		b.fetch(Spec{Meta: x.meta, Dir: dir, Peers: []string{a.overlay.at.String()}})
		<-time.After(3 * time.Second)
		if _, err := b.AddPeers(x.meta.Hash.ID(), []string{a.plain.at.String()}); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Second)
		if got := b.peers(x.meta.Hash.ID()); len(got) != 2 {
			t.Errorf("at first connected to %v", got)
		}
		b.waitDone(x.meta.Hash)
		sameTree(t, x.path, filepath.Join(dir, "content"))
		if got := b.peers(x.meta.Hash.ID()); !slices.Equal(got, []netip.Addr{a.plain.at.Addr()}) {
			t.Errorf("at last connected to %v", got)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if b.overlay.dials > 2 {
			t.Errorf("the relay was asked %d times", b.overlay.dials)
		}
	})
}

// TestMoved: when a better way to a peer opens its session is opened anew, whichever side is
// told, and the transfer goes on.
func TestMoved(t *testing.T) {
	x := make1(t, 64*testPiece, store.CreateOptions{Version: metainfo.V2})
	for told := range 3 { // the one that serves, the one that fetches, both
		homes, dir := []string{t.TempDir(), t.TempDir()}, t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			w, k := &network{delay: time.Millisecond}, &club{}
			a, b := w.resident(t, homes[0], k, 1), w.resident(t, homes[1], k, 2)
			defer w.close(a.node, b.node)
			k.set(family, true, a, b)
			a.offer(x, family)
			if err := a.SetLimits("", 1<<19, 0); err != nil {
				t.Fatal(err)
			}
			b.fetch(Spec{Magnet: magnet(x.meta.Hash), Groups: []group.ID{family}, Dir: dir, Peers: []string{a.overlay.at.String()}})
			<-time.After(2 * time.Second)
			since := func(n *node) time.Time {
				var at time.Time
				s := n.running()[0]
				s.call(func() {
					for _, c := range s.conns {
						if c != nil && c.up {
							at = c.Since
						}
					}
				})
				return at
			}
			was := since(b.node)
			if told != 1 {
				a.Moved(b.overlay.at.Addr())
			}
			if told != 0 {
				b.Moved(a.overlay.at.Addr())
			}
			at := time.Now()
			<-time.After(3 * time.Second)
			if is := since(b.node); was.IsZero() || !is.After(was) || is.Sub(at) > time.Second {
				t.Errorf("told %d: the session began at %v, then at %v; told at %v", told, was, is, at)
			}
			b.waitDone(x.meta.Hash)
			sameTree(t, x.path, filepath.Join(dir, "content"))
		})
	}
}

// TestOnline: when the machine is back those who could not be reached are tried at once.
func TestOnline(t *testing.T) {
	x := make1(t, testPiece, store.CreateOptions{Version: metainfo.V2})
	homes, dir := []string{t.TempDir(), t.TempDir()}, t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w, k := &network{delay: time.Millisecond}, &club{}
		found := &way{open: true, source: candidates.FromDHT, found: []netip.AddrPort{netip.MustParseAddrPort("10.0.0.1:1")}}
		b := w.resident(t, homes[1], k, 2, with(found))
		b.fetch(Spec{Meta: x.meta, Dir: dir})
		<-time.After(time.Second)
		a := w.resident(t, homes[0], k, 1)
		defer w.close(a.node, b.node)
		a.offer(x)
		<-time.After(20 * time.Second) // a stranger's address is tried again after a minute
		w.mu.Lock()
		if b.plain.dials != 1 {
			t.Errorf("dialled %d times", b.plain.dials)
		}
		w.mu.Unlock()
		b.Online(b.overlay.at.Addr()) // a member came: strangers are not dialled for that
		<-time.After(time.Second)
		w.mu.Lock()
		if b.plain.dials != 1 {
			t.Errorf("dialled %d times since a member came", b.plain.dials)
		}
		w.mu.Unlock()
		begun := time.Now()
		b.Online(netip.Addr{})
		b.waitDone(x.meta.Hash)
		if took := time.Since(begun); took > 3*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// TestPort (BEP 5): peers of public shares are told of our DHT node, and name theirs, once;
// those of private ones do not hear of it. What the share has is told before (BEP 3: a bitfield
// is only ever sent as the first message).
func TestPort(t *testing.T) {
	for _, private := range []bool{false, true} {
		x := make1(t, testPiece, store.CreateOptions{Version: metainfo.V2, Private: private})
		home := t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			w, k := &network{delay: time.Millisecond}, &club{}
			nodes := make(chan netip.AddrPort, 10)
			a := w.resident(t, home, k, 1, func(c *Config) { c.DHTPort, c.DHTNode = 4242, func(n netip.AddrPort) { nodes <- n } })
			defer w.close(a.node)
			a.offer(x)
			p := w.host("10.0.0.9:1").greet(t, a.plain.at, x.meta.Hash.V2Short(), wire.PeerID{1}, wire.CapDHT)
			if p.theirs.Has(wire.CapDHT) == private {
				t.Errorf("private=%t: the handshake says %x", private, p.theirs.Reserved)
			}
			p.send(wire.PortMsg{Port: 999}.Append(wire.PortMsg{Port: 998}.Append(nil)))
			go func() { <-time.After(10 * time.Second); p.nc.Close() }()
			if first, _, _ := p.next(wire.Port, wire.HaveAll); first != wire.HaveAll {
				t.Errorf("private=%t: message %d comes before what the share has", private, first)
			}
			_, body, told := p.next(wire.Port)
			if m, err := wire.ParsePort(body); told == private || told && (err != nil || m.Port != 4242) {
				t.Errorf("private=%t: told %x, %v", private, body, err)
			}
			for p.nc != nil { // until the end
				if _, _, ok := p.next(wire.Port); !ok {
					break
				}
				t.Error("told again")
			}
			close(nodes)
			var got []netip.AddrPort
			for n := range nodes {
				got = append(got, n)
			}
			if want := []netip.AddrPort{netip.MustParseAddrPort("10.0.0.9:998")}; !private && !slices.Equal(got, want) || private && len(got) > 0 {
				t.Errorf("private=%t: heard of %v", private, got)
			}
		})
	}
}
