package engine

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"shoal/internal/adapter/store"
	"shoal/internal/core/group"
	"shoal/internal/core/ident"
	"shoal/internal/core/metainfo"
	"shoal/internal/core/wire"
	"shoal/internal/node/link"
)

// club is who is in which group.
type club struct {
	mu sync.Mutex
	in map[group.ID]map[netip.Addr]bool
}

func (k *club) set(g group.ID, in bool, list ...*resident) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.in == nil {
		k.in = make(map[group.ID]map[netip.Addr]bool)
	}
	if k.in[g] == nil {
		k.in[g] = make(map[netip.Addr]bool)
	}
	for _, r := range list {
		k.in[g][r.overlay.at.Addr()] = in
	}
}

func (k *club) member(g group.ID, a netip.Addr) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.in[g][a]
}

// resident is a node of a network in memory that lives at a plain address and at one of the
// overlay.
type resident struct {
	*node
	plain, overlay *host
}

// overlayAddr is the overlay address of the n-th node.
func overlayAddr(n byte) netip.AddrPort { return ident.NewKey([ident.SeedSize]byte{n}).ID().Addr() }

// resident starts the n-th node of a network.
func (w *network) resident(t *testing.T, home string, k *club, n byte, options ...func(*Config)) *resident {
	t.Helper()
	r := &resident{plain: w.host(netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, n}), 1).String()),
		overlay: w.host(overlayAddr(n).String())}
	r.node = startNodeAt(t, home, append([]func(*Config){inMemory(r.plain), func(c *Config) {
		c.Listeners, c.Member = append(c.Listeners, r.overlay), k.member
		c.Dial = func(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
			if ident.IsOverlay(to.Addr()) {
				return r.overlay.dial(ctx, to)
			}
			return r.plain.dial(ctx, to)
		}
	}}, options...)...)
	return r
}

// made is something to share.
type made struct {
	meta *metainfo.Metainfo
	path string
	rep  *store.Report
}

func make1(t *testing.T, size int, o store.CreateOptions) made {
	t.Helper()
	path := filepath.Join(t.TempDir(), "content")
	writeFile(t, path, size)
	o.PieceLength = testPiece
	m, report, err := store.Create(t.Context(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	return made{m, path, report}
}

// offer shares it for groups.
func (r *resident) offer(x made, groups ...group.ID) {
	r.t.Helper()
	if _, err := r.Add(Spec{Meta: x.meta, Dir: filepath.Dir(x.path), InPlace: true, Resume: x.rep.Resume, Groups: groups}); err != nil {
		r.t.Fatal(err)
	}
	r.wait("ready", func(e Event) bool { return e.Status != nil && e.Status.State == Seeding })
}

var family = group.ID{1}

// TestMembersFetch: a link leads members to the share, over the overlay alone; its link and
// its .torrent say whose it is.
func TestMembersFetch(t *testing.T) {
	x := make1(t, 5*testPiece, store.CreateOptions{Version: metainfo.V2})
	homes, dir := []string{t.TempDir(), t.TempDir()}, t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w, k := &network{delay: time.Millisecond}, &club{}
		scope := func(c *Config) { // addresses of the overlay are in no scope, and none is asked
			c.Allow = func(a netip.AddrPort, _ swarmSource) error { return c.AllowIncoming(a) }
			c.AllowIncoming = func(a netip.AddrPort) error {
				if !a.Addr().Is4() {
					return errFull
				}
				return nil
			}
		}
		a, b := w.resident(t, homes[0], k, 1, scope), w.resident(t, homes[1], k, 2, scope)
		defer w.close(a.node, b.node)
		k.set(family, true, a, b)
		a.offer(x, family)
		if l := a.Listening(); len(l) != 1 || l[0] != a.plain.at {
			t.Errorf("others are told that it listens at %v", l)
		}
		st, err := a.Status(x.meta.Hash.ID())
		if err != nil || len(st.Groups) != 1 || st.Groups[0] != family || !strings.Contains(st.Link, "x.group=01000") {
			t.Fatalf("%+v, %v", st, err)
		}
		m, err := metainfo.ParseMagnet(st.Link)
		if err != nil {
			t.Fatal(err)
		}
		b.fetch(Spec{Magnet: m, Dir: dir, Peers: []string{a.plain.at.String(), a.overlay.at.String()}})
		done := b.waitDone(x.meta.Hash)
		sameTree(t, x.path, filepath.Join(dir, "content"))
		if len(done.Sources) != 1 || done.Sources[0].Addr != a.overlay.at || len(done.Groups) != 1 {
			t.Errorf("%+v of %v", done.Sources, done.Groups)
		}
		torrent, err := b.Torrent(x.meta.Hash.ID())
		if got, err2 := metainfo.Parse(torrent); err != nil || err2 != nil || len(got.Groups) != 1 || got.Groups[0] != [32]byte(family) {
			t.Errorf("the .torrent is for %v: %v, %v", got, err, err2)
		}
	})
}

// TestMemberLater: who is named before it is known as a member is dialled as soon as it is.
func TestMemberLater(t *testing.T) {
	x := make1(t, testPiece, store.CreateOptions{Version: metainfo.V2})
	homes, dir := []string{t.TempDir(), t.TempDir()}, t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w, ka, kb := &network{delay: time.Millisecond}, &club{}, &club{}
		a, b := w.resident(t, homes[0], ka, 1), w.resident(t, homes[1], kb, 2)
		defer w.close(a.node, b.node)
		ka.set(family, true, a, b)
		a.offer(x, family)
		link := magnet(x.meta.Hash)
		link.Groups, link.Peers = [][32]byte{family}, []string{a.overlay.at.String()}
		b.fetch(Spec{Magnet: link, Dir: dir})
		<-time.After(5 * time.Second)
		kb.set(family, true, a, b)
		begun := time.Now()
		b.Recheck()
		b.waitDone(x.meta.Hash)
		if took := time.Since(begun); took > time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// knock is what a stranger hears who asks for a share by a handshake, and after how long the
// connection ends.
func (h *host) knock(t *testing.T, to netip.AddrPort, name [20]byte) (heard []byte, took time.Duration) {
	t.Helper()
	nc, err := h.dial(t.Context(), to)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	begun := time.Now()
	hello := wire.Handshake{InfoHash: name, PeerID: wire.PeerID{7}}
	hello.Set(wire.CapFast | wire.CapExtended | wire.CapV2)
	if _, err := nc.Write(hello.Append(nil)); err != nil && err != io.ErrClosedPipe {
		t.Fatal(err)
	}
	time.AfterFunc(20*time.Second, func() { nc.Close() })
	heard, _ = io.ReadAll(nc)
	return heard, time.Since(begun)
}

// TestStrangersSeeNothing: to whoever is no member a group's share looks like one that is not
// there, by the same bytes at the same time, and nothing wakes for it. A TCP peer cannot
// come from an address of the overlay.
func TestStrangersSeeNothing(t *testing.T) {
	x := make1(t, 2*testPiece, store.CreateOptions{Version: metainfo.V2})
	home := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w, k := &network{delay: time.Millisecond}, &club{}
		a := w.resident(t, home, k, 1, quick)
		defer w.close(a.node)
		friend, foe := w.host(overlayAddr(2).String()), w.host(overlayAddr(3).String())
		k.set(family, true, a, &resident{overlay: friend})
		a.offer(x, family)
		for len(a.running()) > 0 {
			<-time.After(time.Second)
		}
		name, unknown := x.meta.Hash.V2Short(), [20]byte{9}
		for _, c := range []struct {
			who  string
			from *host
			to   netip.AddrPort
		}{
			{"a stranger", w.host("10.0.0.9:1"), a.plain.at},
			{"somebody with a member's address", friend, a.plain.at},
			{"a member of another group", foe, a.overlay.at},
		} {
			heard, took := c.from.knock(t, c.to, name)
			nothing, usual := c.from.knock(t, c.to, unknown)
			if !bytes.Equal(heard, nothing) || len(heard) > 0 || took != usual {
				t.Errorf("%s heard %x after %v; of an unknown share %x after %v", c.who, heard, took, nothing, usual)
			}
			synctest.Wait()
			if n := len(a.running()); n != 0 {
				t.Errorf("%s woke the share", c.who)
			}
		}
		if heard, _ := friend.knock(t, a.overlay.at, name); len(heard) < wire.HandshakeLen {
			t.Errorf("a member heard %x", heard)
		}
	})
}

// TestNoTrackerOfGroup: no tracker hears of a group's share, whoever names it.
func TestNoTrackerOfGroup(t *testing.T) {
	url, events := heard(t)
	a := startNode(t, withTracker(t))
	path := filepath.Join(t.TempDir(), "content")
	writeFile(t, path, testPiece)
	m, report, err := store.Create(t.Context(), path, store.CreateOptions{PieceLength: testPiece, Trackers: [][]string{{url}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Add(Spec{Meta: m, Dir: filepath.Dir(path), InPlace: true, Resume: report.Resume, Groups: []group.ID{family}}); err != nil {
		t.Fatal(err)
	}
	link := magnet(metainfo.InfoHash{V2: [32]byte{5}, Version: metainfo.V2})
	link.Trackers, link.Groups = []string{url}, [][32]byte{family}
	a.fetch(Spec{Magnet: link})
	d, err := a.Detail(m.Hash.ID())
	if err != nil || len(d.Trackers) > 0 || strings.Contains(d.Link, "tr=") {
		t.Errorf("%+v, %v", d.Trackers, err)
	}
	public, report, err := store.Create(t.Context(), path, store.CreateOptions{Name: "other", PieceLength: testPiece, Trackers: [][]string{{url}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Add(Spec{Meta: public, Dir: filepath.Dir(path), Base: "content", InPlace: true, Resume: report.Resume}); err != nil {
		t.Fatal(err)
	}
	for range public.Hash.Wire() {
		if e := next(t, events); e != "started 0" {
			t.Errorf("the tracker was told %q", e)
		}
	}
	a.stop()
	for range public.Hash.Wire() {
		if e := next(t, events); e != "stopped 0" {
			t.Errorf("the tracker was told %q", e)
		}
	}
	if len(events) > 0 {
		t.Errorf("the tracker was also told %q", <-events)
	}
}

// TestRemoved: who is removed while it fetches gets not a byte more, nor does anybody take
// one from it, and it is not dialled again.
func TestRemoved(t *testing.T) {
	x := make1(t, 64*testPiece, store.CreateOptions{Version: metainfo.V2})
	homes, dir := []string{t.TempDir(), t.TempDir()}, t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w, ka, kb := &network{delay: time.Millisecond}, &club{}, &club{}
		a, b := w.resident(t, homes[0], ka, 1), w.resident(t, homes[1], kb, 2)
		defer w.close(a.node, b.node)
		ka.set(family, true, a, b)
		kb.set(family, true, a, b)
		a.offer(x, family)
		if err := a.SetLimits("", 200_000, 0); err != nil {
			t.Fatal(err)
		}
		b.fetch(Spec{Meta: x.meta, Dir: dir, Groups: []group.ID{family}, Peers: []string{a.overlay.at.String()}})
		for down := int64(0); down < 10*testPiece; down, _ = b.Payload() {
			<-time.After(100 * time.Millisecond)
		}
		ka.set(family, false, b)
		a.Recheck()
		_, before := a.Payload()
		if d, err := a.Detail(x.meta.Hash.ID()); err != nil || d.Candidates != 0 {
			t.Errorf("%d candidates are left, %v", d.Candidates, err)
		}
		<-time.After(time.Minute) // b knocks again and again
		if _, after := a.Payload(); after != before || a.Conns() != 0 {
			t.Errorf("%d bytes more went to who was removed; %d connections", after-before, a.Conns())
		}
		st, err := b.Status(x.meta.Hash.ID())
		if err != nil || st.Complete || st.Peers != 0 {
			t.Errorf("the other side: %+v, %v", st, err)
		}
		ka.set(family, true, b)
		if err := a.SetLimits("", 0, 0); err != nil {
			t.Fatal(err)
		}
		b.Online(a.overlay.at.Addr())
		b.waitDone(x.meta.Hash)
		sameTree(t, x.path, filepath.Join(dir, "content"))
	})
}

// TestOtherAudience: a share that is here is not taken for one of another audience.
func TestOtherAudience(t *testing.T) {
	x := make1(t, testPiece, store.CreateOptions{})
	other := group.ID{2}
	for i, c := range []struct {
		here, again []group.ID
		share       bool
		want        error
	}{
		{nil, nil, true, nil},
		{nil, []group.ID{family}, true, ErrAudience},
		{[]group.ID{family}, nil, true, ErrAudience},
		{[]group.ID{family}, []group.ID{family}, true, nil},
		{[]group.ID{family}, []group.ID{other}, true, ErrAudience},
		{[]group.ID{family}, nil, false, nil},
		{nil, []group.ID{family}, false, ErrAudience}, // strangers would go on hearing of it
		{[]group.ID{family}, []group.ID{other}, false, ErrAudience},
		{[]group.ID{family, other}, []group.ID{other}, false, nil},
	} {
		home := t.TempDir()
		n := startNodeAt(t, home, quick)
		spec := Spec{Meta: x.meta, Dir: filepath.Dir(x.path), InPlace: true, Resume: x.rep.Resume, Groups: c.here}
		if _, err := n.Add(spec); err != nil {
			t.Fatal(err)
		}
		spec.Groups, spec.InPlace = c.again, c.share
		if _, err := n.Add(spec); err != c.want {
			t.Errorf("%d: %v, want %v", i, err, c.want)
		}
		n.stop()
		m := startNodeAt(t, home, quick) // and it stays so
		if st, err := m.Status(x.meta.Hash.ID()); err != nil || len(st.Groups) != len(c.here) {
			t.Errorf("%d: after a restart %v, %v", i, st.Groups, err)
		}
		m.stop()
	}
}

// greet shakes hands as a peer of that name and returns the connection.
func (h *host) greet(t *testing.T, to netip.AddrPort, name [20]byte, id wire.PeerID, caps wire.Capability) *rawPeer {
	t.Helper()
	nc, err := h.dial(t.Context(), to)
	if err != nil {
		t.Fatal(err)
	}
	hello := wire.Handshake{InfoHash: name, PeerID: id}
	hello.Set(wire.CapFast | wire.CapExtended | wire.CapV2 | caps)
	if _, err := nc.Write(hello.Append(nil)); err != nil {
		t.Fatal(err)
	}
	theirs, err := link.ReadHandshake(nc)
	if err != nil {
		t.Fatal(err)
	}
	return &rawPeer{t: t, nc: nc, theirs: theirs}
}

// TestGreetings: a TCP peer is told where it can dial and what its own address is; over the
// overlay both are names that are nobody's business.
func TestGreetings(t *testing.T) {
	x := make1(t, testPiece, store.CreateOptions{Version: metainfo.V2})
	home := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := &network{delay: time.Millisecond}
		a := w.resident(t, home, &club{}, 1)
		defer w.close(a.node)
		a.offer(x)
		for _, c := range []struct {
			from string
			to   netip.AddrPort
			port uint16
			ip   netip.Addr
		}{
			{"10.0.0.9:1", a.plain.at, a.plain.at.Port(), netip.MustParseAddr("10.0.0.9")},
			{overlayAddr(2).String(), a.overlay.at, 0, netip.Addr{}},
		} {
			p := w.host(c.from).greet(t, c.to, x.meta.Hash.V2Short(), wire.PeerID{c.from[0]}, 0)
			_, payload, _ := p.next(wire.Extended)
			_, body, err := wire.ParseExtended(payload)
			if err != nil {
				t.Fatal(err)
			}
			h, err := wire.ParseExtHandshake(body)
			if err != nil || h.Port != c.port || h.YourIP != c.ip {
				t.Errorf("%s is told %+v, %v", c.from, h, err)
			}
		}
	})
}

// TestRemovedAtTheDoor: who is removed while hands are shaken does not come in.
func TestRemovedAtTheDoor(t *testing.T) {
	x := make1(t, testPiece, store.CreateOptions{Version: metainfo.V2})
	home := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := &network{delay: time.Millisecond}
		asked := 0
		a := w.resident(t, home, &club{}, 1, func(c *Config) {
			c.Member = func(group.ID, netip.Addr) bool { asked++; return asked == 1 }
		})
		defer w.close(a.node)
		a.offer(x, family)
		p := w.host(overlayAddr(2).String()).greet(t, a.overlay.at, x.meta.Hash.V2Short(), wire.PeerID{1}, 0)
		if n, err := p.nc.Read(make([]byte, 1)); n > 0 || err == nil || a.Conns() != 0 {
			t.Errorf("it was told something; %d connections", a.Conns())
		}
	})
}

// TestNothingTakenOfRemoved: what is on its way in from who is removed just now is not taken.
func TestNothingTakenOfRemoved(t *testing.T) {
	x := make1(t, testPiece, store.CreateOptions{Version: metainfo.V2})
	for _, removed := range []bool{false, true} {
		home, dir := t.TempDir(), t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			w, k := &network{delay: time.Millisecond}, &club{}
			b := w.resident(t, home, k, 1)
			defer w.close(b.node)
			evil := w.host(overlayAddr(2).String())
			defer evil.Close()
			k.set(family, true, &resident{overlay: evil})
			gate, sent := make(chan struct{}), make(chan struct{})
			evil.stranger(t, x.meta.Hash.V2Short(), "-XX0000-000000000001", func(p *rawPeer) {
				if _, err := p.nc.Write(wire.AppendState(wire.AppendState(nil, wire.HaveAll), wire.Unchoke)); err != nil {
					return
				}
				_, body, ok := p.next(wire.Request)
				q, err := wire.ParseRequest(body)
				if !ok || err != nil {
					return
				}
				s := b.running()[0]
				go s.call(func() { <-gate }) // the loop is busy while the block comes
				synctest.Wait()
				block := make([]byte, q.Length)
				_, _ = p.nc.Write(append(wire.PieceHeader{Piece: q.Piece, Begin: q.Begin, DataLen: len(block)}.Append(nil), block...))
				close(sent)
				p.next()
			})
			b.fetch(Spec{Meta: x.meta, Dir: dir, Groups: []group.ID{family}, Peers: []string{evil.at.String()}})
			<-sent
			<-time.After(100 * time.Millisecond) // it waits for the loop
			if removed {
				k.set(family, false, &resident{overlay: evil})
				go b.Recheck()
				synctest.Wait()
			}
			close(gate)
			<-time.After(time.Second)
			if down, _ := b.Payload(); (down == 0) != removed {
				t.Errorf("removed=%t: %d bytes were taken", removed, down)
			}
		})
	}
}

// TestRemovedWhileDialled: who is removed while it is being dialled is not told which share
// was meant.
func TestRemovedWhileDialled(t *testing.T) {
	x := make1(t, testPiece, store.CreateOptions{Version: metainfo.V2})
	for _, removed := range []bool{false, true} {
		home, dir := t.TempDir(), t.TempDir()
		synctest.Test(t, func(t *testing.T) {
			w, k := &network{delay: time.Millisecond}, &club{}
			evil := &resident{overlay: w.host(overlayAddr(2).String())}
			defer evil.overlay.Close()
			k.set(family, true, evil)
			b := w.resident(t, home, k, 1, func(c *Config) {
				dial := c.Dial
				c.Dial = func(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
					nc, err := dial(ctx, to)
					k.set(family, !removed, evil)
					return nc, err
				}
			})
			defer w.close(b.node)
			b.fetch(Spec{Meta: x.meta, Dir: dir, Groups: []group.ID{family}, Peers: []string{evil.overlay.at.String()}})
			nc, err := evil.overlay.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			heard := make([]byte, wire.HandshakeLen)
			if n, _ := io.ReadFull(nc, heard); (n == 0) != removed {
				t.Errorf("removed=%t: it was told %x", removed, heard[:n])
			}
		})
	}
}

// TestLinkOfGroupsShare: a link to everybody that turns out to lead to a share of groups does
// not take its place, whatever name either of them came by.
func TestLinkOfGroupsShare(t *testing.T) {
	x := make1(t, 2*testPiece, store.CreateOptions{})
	for name, link := range map[string]metainfo.InfoHash{
		"v1": {V1: x.meta.Hash.V1, Version: metainfo.V1},
		"v2": {V2: x.meta.Hash.V2, Version: metainfo.V2},
	} {
		homes := []string{t.TempDir(), t.TempDir()}
		synctest.Test(t, func(t *testing.T) {
			w, k := &network{delay: time.Millisecond}, &club{}
			a, b := w.resident(t, homes[0], k, 1), w.resident(t, homes[1], k, 2)
			defer w.close(a.node, b.node)
			a.offer(x)
			other := metainfo.InfoHash{V1: x.meta.Hash.V1, Version: metainfo.V1}
			if link.HasV1() {
				other = metainfo.InfoHash{V2: x.meta.Hash.V2, Version: metainfo.V2}
			}
			b.fetch(Spec{Magnet: metainfo.Magnet{Hash: other, Groups: [][32]byte{family}}, Dir: filepath.Join(homes[1], "group")})
			b.fetch(Spec{Magnet: magnet(link), Dir: filepath.Join(homes[1], "all"), Peers: []string{a.plain.at.String()}})
			b.wait("failed", func(e Event) bool { return e.Status != nil && e.Status.State == Failed && len(e.Status.Groups) == 0 })
			if st, err := b.Status(other.ID()); err != nil || len(st.Groups) != 1 {
				t.Errorf("%s: the group's share is for %v, %v", name, st.Groups, err)
			}
			b.mu.Lock()
			defer b.mu.Unlock()
			if e := b.names[other.Wire()[0]]; e == nil || len(e.groups) != 1 {
				t.Errorf("%s: its name leads to %+v", name, e)
			}
		})
	}
}
