//go:build linux

package fault

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"shoal/bench/clients"
	"shoal/internal/core/wire"
)

// maxRSS is what a node may have resident while it transfers, in MiB.
const maxRSS = 96

// field is what most tests with hostile peers need: a file, its .torrent, and its
// content for peers written by hand.
type field struct {
	*clients.Lab
	t       *testing.T
	path    string
	torrent string
	seed    shared
	content *content
}

func newField(ctx context.Context, t *testing.T, size int64, args ...string) *field {
	t.Helper()
	l := lab(t)
	path := file(t, "field.bin", size)
	seed := newNode(t, l).share(ctx, path, args...)
	torrent := seed.torrent(ctx)
	return &field{l, t, path, torrent, seed, readContent(t, torrent, path)}
}

// leech starts a get that is told of these peers.
func (f *field) leech(peers []string, args ...string) (*node, *proc, string) {
	f.t.Helper()
	n := newNode(f.t, f.Lab)
	out := f.t.TempDir()
	line := append([]string{"get", f.torrent, "-o", out}, args...)
	for _, p := range peers {
		line = append(line, "--peer", p)
	}
	return n, n.start(line...), out
}

// guest is leech with a node that runs beside, so that no event is missed; args are the node's.
func (f *field) guest(ctx context.Context, peers []string, args ...string) (p, up *proc, w *watch, out string) {
	f.t.Helper()
	n := newNode(f.t, f.Lab)
	up = n.start(append([]string{"up"}, args...)...)
	up.event(ctx, "ready", nil)
	w = n.watch(ctx)
	out = f.t.TempDir()
	line := []string{"get", f.torrent, "-o", out}
	for _, p := range peers {
		line = append(line, "--peer", p)
	}
	return n.start(line...), up, w, out
}

// accused are the penalised events about one address so far.
func (w *watch) accused(host string) (list []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, e := range w.list {
		if a, err := netip.ParseAddrPort(e.Peer); e.Event == "penalised" && err == nil && a.Addr().String() == host {
			list = append(list, e.Reason+"/"+e.Action)
		}
	}
	return list
}

// finishes waits for the end of a get and looks at what came out.
func (f *field) finishes(ctx context.Context, p *proc, out string) (done progress) {
	f.t.Helper()
	p.event(ctx, "done", &done)
	if rss := peakRSS(p.PID()); rss > maxRSS {
		f.t.Errorf("%.0f MiB resident, at most %d", rss, maxRSS)
	}
	if r := p.wait(ctx); r.code != 0 {
		f.t.Errorf("exit %d: %s", r.code, r.stderr)
	}
	sound(f.t, f.path, filepath.Join(out, filepath.Base(f.path)))
	return done
}

// penalties are the penalised events of a get about one address.
func penalties(p *proc, host string) (list []string) {
	for _, e := range p.events("penalised") {
		if a, err := netip.ParseAddrPort(e.Peer); err == nil && a.Addr().String() == host {
			list = append(list, e.Reason+"/"+e.Action)
		}
	}
	return list
}

// spared fails when a peer was banned or accused of bad data.
func (f *field) spared(p *proc, hosts ...string) {
	f.t.Helper()
	for _, h := range hosts {
		for _, x := range penalties(p, h) {
			if strings.HasSuffix(x, "/ban") || strings.HasPrefix(x, "bad") || strings.HasPrefix(x, "protocol") {
				f.t.Errorf("the honest %s was penalised: %s", h, x)
			}
		}
	}
}

// TestLiars: peers that send wrong bytes are found out and banned, honest ones are not,
// and little is fetched in vain. In each format: what tells the blocks apart differs.
func TestLiars(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"v1", "v2", "hybrid"} {
		for _, c := range []struct {
			name            string
			honest, lying   int
			lie             func(n int64) bool
			waste           float64
			size            int64
			everyoneIsFound bool
		}{
			{"one always", 4, 1, func(int64) bool { return true }, 0.15, 24 << 20, true},
			// What is asked of a liar before the first verdict is in vain whatever the
			// size: the share has to be large enough for a part of it to say something.
			{"one in five", 7, 3, func(n int64) bool { return n%5 == 0 }, 0.15, 128 << 20, true},
			{"three of ten", 7, 3, func(int64) bool { return true }, 0.15, 128 << 20, true},
			{"rarely", 4, 2, func(n int64) bool { return n%64 == 0 }, 0.15, 24 << 20, false},
		} {
			t.Run(format+"/"+c.name, func(t *testing.T) {
				ctx := deadline(t, 45*time.Second)
				f := newField(ctx, t, c.size, "--format", format, "--piece-size", "64K")
				var good, bad []*rival
				var peers []string
				for i := range c.honest + c.lying {
					if i < c.lying {
						r := newRival(t, f.Lab, f.content, liar(c.lie))
						bad, peers = append(bad, r), append(peers, r.addr())
						continue
					}
					r := newRival(t, f.Lab, f.content, honest)
					good, peers = append(good, r), append(peers, r.addr())
				}
				// The slower a machine hashes beside what else it does, the more comes before a
				// verdict; at this rate every machine keeps up.
				p, up, w, out := f.guest(ctx, peers, "--down-limit", "32M")
				done := f.finishes(ctx, p, out)
				if rss := peakRSS(up.PID()); rss > maxRSS {
					t.Errorf("%.0f MiB resident", rss)
				}
				if part := float64(done.Wasted) / float64(c.size); part > c.waste {
					t.Errorf("%.1f %% was fetched in vain, at most %.0f %%", 100*part, 100*c.waste)
				} else {
					t.Logf("%.2f %% was fetched in vain", 100*part)
				}
				for _, r := range good {
					for _, x := range w.accused(r.host) {
						if strings.HasSuffix(x, "/ban") || strings.HasPrefix(x, "bad") || strings.HasPrefix(x, "protocol") {
							t.Errorf("an honest peer was penalised: %s", x)
						}
					}
				}
				for _, r := range bad {
					if list := w.accused(r.host); r.lied.Load() > 0 && c.everyoneIsFound && !contains(list, "bad_block/ban") {
						t.Errorf("a liar that sent %d wrong blocks was not banned: %v", r.lied.Load(), list)
					}
				}
			})
		}
	}
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}

func frame(id wire.ID, payload ...byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(1+len(payload)))
	return append(append(b, byte(id)), payload...)
}

// TestBrokenPeers: each breaks the protocol in its own way, beside an honest seed. The
// transfer goes on; the offender is dropped where it must be, with a reason that is told.
func TestBrokenPeers(t *testing.T) {
	t.Parallel()
	f := newField(deadline(t, 120*time.Second), t, 24<<20, "--piece-size", "64K")
	pieces := f.content.meta.Info.NumPieces()
	bits := f.content.bits()
	send := func(frames ...[]byte) func(*link) {
		return func(l *link) {
			for _, b := range frames {
				if l.send(b) != nil {
					return
				}
			}
			l.drain()
		}
	}
	field := func(b []byte) []byte { return frame(wire.Bitfield, b...) }
	spare := bytes.Clone(bits)
	spare = append(spare[:len(spare):len(spare)], 0)
	req := func(p, b, n uint32) []byte { return wire.RequestMsg{Piece: p, Begin: b, Length: n}.Append(nil) }
	all := wire.AppendState(nil, wire.HaveAll)
	repeat := func(n int, b ...[]byte) []byte { return bytes.Repeat(bytes.Join(b, nil), n) }
	ext := func(s string) []byte { return wire.AppendExtended(nil, wire.ExtHandshakeID, []byte(s)) }
	state := func(id wire.ID) []byte { return wire.AppendState(nil, id) }
	for _, c := range []struct {
		name   string
		script func(*link)
		reason string // of the penalty that must be told; "": none must
	}{
		{"short bitfield", send(field(bits[:len(bits)-1])), "protocol"},
		{"long bitfield", send(field(spare)), "protocol"},
		{"bitfield twice", send(field(bits), field(bits)), ""}, // some clients correct theirs,
		{"bitfield after have all", send(all, field(bits)), ""},
		{"no bitfield bytes", send(field(nil)), "protocol"},
		{"length of 4 GiB", send([]byte{0xff, 0xff, 0xff, 0xff, 7}), "protocol"},
		{"length of 2 MiB", send([]byte{0, 0x20, 0, 0, 20}), "protocol"},
		{"choke with a body", send(frame(wire.Choke, 1)), "protocol"},
		{"request without a body", send(frame(wire.Request)), "protocol"},
		{"have beyond the end", send(wire.HaveMsg{Piece: uint32(pieces)}.Append(nil)), "protocol"},
		{"request beyond the end", send(req(uint32(pieces), 0, 16384)), "protocol"},
		{"request of 4 GiB", send(req(0, 0, 0xffffffff)), "protocol"},
		{"request that wraps", send(req(0, 0xffffc000, 0x8000)), "protocol"},
		{"request of nothing", send(req(0, 0, 0)), "protocol"},
		{"block beyond the end", send(all, wire.PieceHeader{Piece: 1 << 30, DataLen: 16384}.Append(nil), make([]byte, 16384)), "protocol"},
		{"block of one byte", send(all, append(wire.PieceHeader{DataLen: 1}.Append(nil), 0)), "protocol"},
		{"blocks nobody asked for", send(all, repeat(200, wire.PieceHeader{DataLen: 16384}.Append(nil), make([]byte, 16384))), "unrequested"},
		{"absent pieces asked for", send(repeat(100000, req(1, 0, 16384))), "flood"},
		{"unknown ids", send(all, repeat(1000, frame(99, 1, 2, 3), frame(200), frame(255, make([]byte, 1000)...))), ""},
		{"cancels", send(all, repeat(100000, wire.CancelMsg{Piece: 1, Length: 16384}.Append(nil))), ""},
		{"choke and unchoke", send(all, repeat(50000, state(wire.Choke), state(wire.Unchoke))), ""},
		{"interest and none", send(all, repeat(50000, state(wire.Interested), state(wire.NotInterested))), ""},
		{"haves", send(repeat(100000, wire.HaveMsg{Piece: 3}.Append(nil))), ""},
		{"have and have not", send(all, repeat(20000, wire.DontHave{Piece: 3}.Append(nil, wire.ExtDontHave), wire.HaveMsg{Piece: 3}.Append(nil))), ""},
		{"rejects", send(all, repeat(100000, wire.RejectMsg{Piece: 1, Length: 16384}.Append(nil))), ""},
		{"suggestions", send(all, repeat(100000, wire.SuggestMsg{Piece: 1}.Append(nil))), ""},
		{"keep-alives", send(make([]byte, 4<<18)), ""},
		{"extended nothing", send(frame(wire.Extended)), "protocol"},
		{"handshake of depth", send(ext(strings.Repeat("l", 10000))), "protocol"},
		{"handshake bomb", send(ext("d1:md" + strings.Repeat("1:ai1e", 2000) + "ee")), "protocol"},
		{"handshake of numbers", send(ext("d1:mi3e13:metadata_sizei99999999999999e1:pi-1e4:reqqi-5e1:vi3ee")), ""},
		{"handshake of a megabyte", send(wire.AppendExtended(nil, 0, append([]byte("d1:v999990:"), make([]byte, 999991)...))), "protocol"},
		{"handshakes", send(repeat(5000, ext("d1:md11:ut_metadatai3eee"))), ""},
		{"exchange of nonsense", send(wire.AppendExtended(nil, wire.ExtPEX, []byte("d5:added7:1234567e"))), "protocol"},
		{"hash requests", send(repeat(20000, frame(wire.HashRequest, make([]byte, 48)...))), ""},
		{"hashes nobody asked for", send(repeat(2000, frame(wire.Hashes, make([]byte, 48+64)...))), ""},
		{"silent", func(l *link) { l.drain() }, ""},
		{"closes at once", func(*link) {}, ""},
		{"half a frame", send([]byte{0, 0, 0x40, 9, 7, 0, 0}), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx := deadline(t, 20*time.Second)
			r := newRival(t, f.Lab, f.content, c.script)
			f := *f
			f.t = t
			n, p, out := f.leech([]string{r.addr()}, "--seed")
			must(t, poll(ctx, func() (bool, error) { return r.links.Load() > 0, nil }))
			if c.reason != "" {
				must(t, poll(ctx, func() (bool, error) {
					var text string
					err := n.ask(ctx, "GET", "/metrics", &text)
					return strings.Contains(text, `shoal_penalties_total{reason="`+c.reason+`"`), err
				}))
			}
			n.until(ctx, f.content.meta.Hash.ID(), "an answer", func(share) bool { return true })
			n.ok(ctx, "get", f.torrent, "-o", out, "--peer", f.seed.node.addr()) // tells the node of the seed
			p.event(ctx, "done", nil)
			sound(t, f.path, filepath.Join(out, "field.bin"))
			if rss := peakRSS(p.PID()); rss > maxRSS {
				t.Errorf("%.0f MiB resident", rss)
			}
			f.spared(p, f.seed.node.host)
			if res, took := p.stopped(ctx, syscall.SIGINT); res.code != 0 || took > stopTime {
				t.Errorf("exit %d after %v: %s", res.code, took, res.stderr)
			}
		})
	}
}

// TestSlowPeers: peers that hold what they were asked for, or trickle it, do not keep the
// share from being complete as soon as the quick one can.
func TestSlowPeers(t *testing.T) {
	t.Parallel()
	ctx := deadline(t, 60*time.Second)
	f := newField(ctx, t, 8<<20, "--piece-size", "64K")
	silent := func(l *link) {
		if l.greet() == nil {
			l.drain()
		}
	}
	trickle := func(l *link) {
		if l.greet() != nil {
			return
		}
		l.serve(func(r wire.RequestMsg) []byte {
			data := l.c.block(r)
			b := append(wire.PieceHeader{Piece: r.Piece, Begin: r.Begin, DataLen: len(data)}.Append(nil), data...)
			tick := time.NewTicker(time.Second) // a byte a second
			defer tick.Stop()
			for i := range b {
				if l.send(b[i:i+1]) != nil {
					break
				}
				<-tick.C
			}
			return nil
		})
	}
	var peers []string
	for i := range 9 {
		script := silent
		if i%2 == 0 {
			script = trickle
		}
		peers = append(peers, newRival(t, f.Lab, f.content, script).addr())
	}
	good := newRival(t, f.Lab, f.content, honest)
	began := time.Now()
	_, p, out := f.leech(append(peers, good.addr()))
	done := f.finishes(ctx, p, out)
	t.Logf("complete after %v, %d bytes in vain", time.Since(began), done.Wasted)
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("nine slow peers delayed it to %v", took)
	}
	f.spared(p, good.host)
}

// TestRequestFloods: a seed is asked for far more than anybody may, by peers that read
// nothing of it, and goes on serving an honest one.
func TestRequestFloods(t *testing.T) {
	t.Parallel()
	ctx := deadline(t, 60*time.Second)
	f := newField(ctx, t, 16<<20, "--piece-size", "64K")
	name := f.content.meta.Hash.Wire()[0]
	events := f.seed.node.watch(ctx)
	pid := f.seed.proc.PID()
	info := f.content.meta.Info
	flood := func(l *link) {
		if l.send(wire.AppendState(nil, wire.Interested)) != nil {
			return
		}
		for {
			if id, _, err := l.frame(); err != nil || id == wire.Unchoke {
				break
			}
		}
		var b []byte
		for i := range 100000 {
			b = wire.RequestMsg{Piece: uint32(i % info.NumPieces()), Length: 16384}.Append(b)
		}
		for len(b) > 0 && l.send(b[:min(len(b), 1<<20)]) == nil { // and never reads
			b = b[min(len(b), 1<<20):]
		}
		<-ctx.Done()
	}
	for range 4 {
		go func() { _ = newRival(t, f.Lab, f.content, flood).dial(f.seed.node.addr(), name) }()
	}
	_, err := events.find(ctx, func(e progress) bool { return e.Event == "penalised" && e.Reason == "flood" })
	if err != nil {
		t.Errorf("nobody was penalised for a flood: %v", err)
	}
	_, p, out := f.leech([]string{f.seed.node.addr()})
	f.finishes(ctx, p, out)
	if rss := peakRSS(pid); rss > maxRSS {
		t.Errorf("the seed has %.0f MiB resident", rss)
	} else {
		t.Logf("the seed had %.0f MiB resident at most", rss)
	}
	if f.seed.proc.PID() != pid {
		t.Error("another process")
	}
}

// TestLyingMetadata: a link whose metadata some offer wrongly is still described by the
// honest one.
func TestLyingMetadata(t *testing.T) {
	t.Parallel()
	ctx := deadline(t, 90*time.Second)
	f := newField(ctx, t, 20<<20, "--piece-size", "16K")
	info := f.content.meta.InfoBytes
	offer := func(size int64, answer func(l *link, ext byte, m wire.MetadataMsg)) func(*link) {
		return func(l *link) {
			hello := fmt.Sprintf("d1:md11:ut_metadatai2ee13:metadata_sizei%dee", size)
			if l.send(append(wire.AppendExtended(nil, 0, []byte(hello)), wire.AppendState(nil, wire.HaveNone)...)) != nil {
				return
			}
			for {
				id, b, err := l.frame()
				if err != nil {
					return
				}
				if id != wire.Extended || len(b) < 1 || b[0] != 2 {
					continue
				}
				if m, err := wire.ParseMetadata(b[1:]); err == nil && m.Type == wire.MetadataRequest {
					answer(l, wire.ExtMetadata, m)
				}
			}
		}
	}
	wrong := func(size int64) func(l *link, ext byte, m wire.MetadataMsg) {
		return func(l *link, ext byte, m wire.MetadataMsg) {
			data := bytes.Repeat([]byte{'x'}, wire.MetadataPieceSize(size, m.Piece))
			_ = l.send(wire.MetadataMsg{Type: wire.MetadataData, Piece: m.Piece, TotalSize: size, Data: data}.Append(nil, ext))
		}
	}
	silent := func(*link, byte, wire.MetadataMsg) {}
	reject := func(l *link, ext byte, m wire.MetadataMsg) {
		_ = l.send(wire.MetadataMsg{Type: wire.MetadataReject, Piece: m.Piece}.Append(nil, ext))
	}
	raw := func(s string) func(*link, byte, wire.MetadataMsg) {
		return func(l *link, ext byte, _ wire.MetadataMsg) { _ = l.send(wire.AppendExtended(nil, ext, []byte(s))) }
	}
	right := int64(len(info))
	for _, c := range []struct {
		name    string
		scripts []func(*link)
	}{
		{"wrong bytes", []func(*link){offer(right, wrong(right))}},
		{"2 GiB", []func(*link){offer(1<<31, silent), offer(1<<31-1, wrong(1<<24))}},
		{"16 MiB of nothing", []func(*link){offer(16<<20, wrong(16<<20)), offer(16<<20, wrong(16<<20))}},
		{"another size, silent", []func(*link){offer(right+1, silent)}},
		{"the right size, silent", []func(*link){offer(right, silent)}},
		{"several sizes", []func(*link){offer(right-1, wrong(right-1)), offer(right+7, silent), offer(1, wrong(1)), offer(50000, reject)}},
		{"rejects", []func(*link){offer(right, reject), offer(right, reject)}},
		{"nonsense", []func(*link){offer(right, raw("d8:msg_typei1e5:piecei0e10:total_sizei-5ee")), offer(right, raw("x"))}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var peers []string
			var liars []*rival
			for _, s := range c.scripts {
				r := newRival(t, f.Lab, f.content, s)
				liars, peers = append(liars, r), append(peers, r.addr())
			}
			n := newNode(t, f.Lab)
			out := t.TempDir()
			ctx := deadline(t, 60*time.Second)
			line := []string{"get", f.seed.Link, "-o", out, "--seed"}
			for _, p := range peers {
				line = append(line, "--peer", p)
			}
			p := n.start(line...)
			began := time.Now()
			for _, r := range liars {
				must(t, poll(ctx, func() (bool, error) { return r.links.Load() > 0, nil }))
			}
			n.ok(ctx, "get", f.seed.Link, "-o", out, "--peer", f.seed.node.addr())
			sound(t, f.path, filepath.Join(out, "field.bin"))
			took := time.Since(began)
			t.Logf("complete after %v, %.0f MiB resident", took, peakRSS(p.PID()))
			if took > 30*time.Second {
				t.Errorf("liars delayed it to %v", took)
			}
			if rss := peakRSS(p.PID()); rss > maxRSS {
				t.Errorf("%.0f MiB resident", rss)
			}
		})
	}
}

// TestForbiddenAddresses: what peer exchange names outside the scope is never dialled.
func TestForbiddenAddresses(t *testing.T) {
	needStrace(t)
	t.Parallel()
	ctx := deadline(t, 40*time.Second)
	f := newField(ctx, t, 2<<20)
	decoy := newRival(t, f.Lab, f.content, honest)
	r := newRival(t, f.Lab, f.content, func(l *link) {
		var m wire.PEX
		for _, a := range []string{"8.8.8.8:6881", "192.168.1.1:80", "10.0.0.1:6881", "169.254.169.254:80", "224.0.0.1:6881", "0.0.0.0:6881", "255.255.255.255:1"} {
			m.Added = append(m.Added, wire.PEXPeer{Addr: netip.MustParseAddrPort(a)})
		}
		m.Added = append(m.Added, wire.PEXPeer{Addr: netip.AddrPortFrom(netip.MustParseAddr("2001:db8::1"), 6881)},
			wire.PEXPeer{Addr: netip.MustParseAddrPort("[::ffff:8.8.4.4]:6881")},
			wire.PEXPeer{Addr: netip.AddrPortFrom(decoy.ip(), peerPort)})
		hello := wire.AppendExtended(nil, 0, []byte("d1:md6:ut_pexi1eee"))
		_ = l.send(m.Append(hello, wire.ExtPEX))
		l.drain()
	})
	n := newNode(t, f.Lab)
	log := filepath.Join(n.dir, "strace.txt")
	n.wrap = []string{"strace", "-f", "-qq", "-o", log, "-e", "trace=connect,sendto,sendmsg"}
	out := t.TempDir()
	p := n.start("get", f.torrent, "-o", out, "--peer", r.addr())
	if res := p.wait(ctx); res.code != 0 { // the decoy is a seed that only the exchange names
		t.Fatalf("exit %d: %s", res.code, res.stderr)
	}
	text, err := os.ReadFile(log)
	must(t, err)
	for l := range strings.Lines(string(text)) {
		if strings.Contains(l, "AF_INET") && !strings.Contains(l, `inet_addr("127.`) {
			t.Errorf("something outside was contacted: %s", l)
		}
	}
	if decoy.links.Load() == 0 {
		t.Error("the address that may be dialled was not")
	}
}

// TestStrangers: half-open connections, nonsense instead of a handshake, and a thousand
// idle peers, beside an honest transfer.
func TestStrangers(t *testing.T) {
	t.Parallel()
	ctx := deadline(t, 60*time.Second)
	var limit syscall.Rlimit
	must(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit))
	need(t, limit.Max >= 4096, "too few descriptors are allowed")
	l := lab(t)
	path := file(t, "field.bin", 32<<20)
	n := newNode(t, l, "[network]", "connections = 2000", "connections_per_share = 2000")
	seed := n.share(ctx, path)
	torrent := seed.torrent(ctx)
	f := &field{l, t, path, torrent, seed, readContent(t, torrent, path)}
	name := f.content.meta.Hash.Wire()[0]
	base := n.metric(ctx, "shoal_goroutines")
	rss := statusMiB(seed.proc.PID(), "VmRSS:")

	// Nonsense is answered by nothing but the end of the connection.
	for _, b := range []string{"GET / HTTP/1.1\r\n\r\n", strings.Repeat("\x00", 68), "\x13BitTorrent protocol" + strings.Repeat("\xff", 48), "\x16\x03\x01", strings.Repeat("A", 4096)} {
		nc, err := net.Dial("tcp", n.addr())
		must(t, err)
		_, err = nc.Write([]byte(b))
		must(t, err)
		_ = nc.SetReadDeadline(time.Now().Add(12 * time.Second))
		var got [100]byte
		if m, err := nc.Read(got[:]); m != 0 || os.IsTimeout(err) {
			t.Errorf("%.20q: %d bytes, %v", b, m, err)
		}
		nc.Close()
	}

	// A flood of half-open ones, each from an address of its own: who is honest still
	// gets in, at the latest when they have run out.
	for i := range 500 {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 9, byte(i>>8), byte(i))}}
		nc, err := d.Dial("tcp", n.addr())
		must(t, err)
		t.Cleanup(func() { nc.Close() })
	}
	began := time.Now()
	_, p, out := f.leech([]string{n.addr()})
	f.finishes(ctx, p, out)
	t.Logf("a get beside 500 half-open connections took %v", time.Since(began))
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("a get beside 500 half-open connections took %v", took)
	}

	// A thousand idle ones.
	var up atomic.Int64
	idle := func(l *link) {
		if l.send(wire.AppendState(nil, wire.HaveNone)) == nil {
			up.Add(1)
			l.drain()
		}
	}
	for i := range 1000 {
		r := &rival{t: t, c: f.content, host: fmt.Sprintf("127.10.%d.%d", i>>8, i&255), caps: wire.CapFast | wire.CapExtended, script: idle}
		r.newID()
		t.Cleanup(r.close)
		go func() {
			// There may be too many handshakes at a time.
			_ = poll(ctx, func() (bool, error) { err := r.dial(n.addr(), name); return err == nil, err })
		}()
	}
	n.until(ctx, seed.Hash(), "a thousand connections", func(s share) bool { return s.Peers >= 1000 })
	began = time.Now()
	_, p, out = f.leech([]string{n.addr()})
	f.finishes(ctx, p, out)
	t.Logf("a get beside 1000 idle peers took %v; the node: %.0f MiB resident (%.0f before), %.0f goroutines (%.0f before)", time.Since(began),
		statusMiB(seed.proc.PID(), "VmRSS:"), rss, n.metric(ctx, "shoal_goroutines"), base)
	if most := peakRSS(seed.proc.PID()); most > maxRSS {
		t.Errorf("%.0f MiB resident", most)
	}
	s := n.until(ctx, seed.Hash(), "the idle peers", func(share) bool { return true })
	if s.Peers < 1000 {
		t.Errorf("only %d connections are held", s.Peers)
	}
	if r, took := seed.proc.stopped(ctx, syscall.SIGINT); r.code != 0 || took > stopTime {
		t.Errorf("exit %d after %v: %s", r.code, took, r.stderr)
	}
}
