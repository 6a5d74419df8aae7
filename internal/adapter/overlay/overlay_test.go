package overlay

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/p2p/protocol/identify"

	"shoal/internal/core/group"
)

// carriers are the three ways that a pair may be connected, b listening.
var carriers = []struct {
	name string
	pair func(t testing.TB) (a, b *node)
}{
	{TCP, func(t testing.TB) (*node, *node) { return connected(t, start(t, nil), start(t, nil)) }},
	{QUIC, func(t testing.TB) (*node, *node) { return connected(t, start(t, nil), start(t, quicOnly)) }},
	{Relay, func(t testing.TB) (*node, *node) {
		a, b, r := trio(t, nil)
		b.echo()
		if err := a.Connect(ctx(t), b.ID(), b.throughRelay(r)); err != nil {
			t.Fatal(err)
		}
		return a, b
	}},
}

func connected(t testing.TB, a, b *node) (*node, *node) {
	t.Helper()
	b.echo()
	a.knows(b)
	a.connect(b)
	return a, b
}

// TestStream is a net.Conn between two keys on every carrier.
func TestStream(t *testing.T) {
	for _, c := range carriers {
		t.Run(c.name, func(t *testing.T) {
			a, b := c.pair(t)
			s := a.open(b)
			say(t, s, "hello")
			if via, _ := s.Via(); via != c.name {
				t.Errorf("over %s", via)
			}
			if s.Peer() != b.ID() || s.RemoteAddr().(*net.TCPAddr).AddrPort() != b.ID().Addr() || s.LocalAddr().(*net.TCPAddr).AddrPort() != a.ID().Addr() {
				t.Errorf("between %s and %s (%s)", s.LocalAddr(), s.RemoteAddr(), s.Peer())
			}
			s.SetReadDeadline(time.Now())
			if _, err := s.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("past the deadline: %v", err)
			}
			s.SetReadDeadline(time.Now().Add(patience))
			text := make([]byte, 1<<20)
			go func() { s.Write(text); s.CloseWrite() }()
			if got, err := io.ReadAll(s); err != nil || !bytes.Equal(got, text) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			s.Close()
			if _, err := a.Open(ctx(t), b.ID(), "/shoal/test/none"); !errors.Is(err, ErrProtocol) {
				t.Errorf("a protocol that is not served: %v", err)
			}
		})
	}
}

// TestBegin: a stream that begins before the peer has agreed is one like any other, and what
// the peer does not speak is told by the first read.
func TestBegin(t *testing.T) {
	for _, c := range carriers {
		t.Run(c.name, func(t *testing.T) {
			a, b := c.pair(t)
			begin := func(name string) *Stream {
				s, err := a.Begin(ctx(t), b.ID(), name)
				if err != nil {
					t.Fatal(err)
				}
				s.SetDeadline(time.Now().Add(patience))
				return s
			}
			s := begin(echoName)
			say(t, s, "hello")
			text := make([]byte, 1<<20)
			go func() { s.Write(text); s.CloseWrite() }()
			if got, err := io.ReadAll(s); err != nil || !bytes.Equal(got, text) {
				t.Errorf("%d bytes, %v", len(got), err)
			}
			s.Close()
			s = begin(echoName) // that says nothing
			if err := s.CloseWrite(); err != nil {
				t.Error(err)
			}
			if got, err := io.ReadAll(s); err != nil || len(got) != 0 {
				t.Errorf("an echo of nothing: %d bytes, %v", len(got), err)
			}
			s.Close()
			s = begin("/shoal/test/none")
			if _, err := io.WriteString(s, "hello"); err != nil {
				t.Error(err)
			}
			if _, err := s.Read(make([]byte, 1)); !errors.Is(err, ErrProtocol) {
				t.Errorf("a protocol that is not served: %v", err)
			}
			s.Close()
		})
	}
	a := start(t, nil)
	if _, err := a.Begin(ctx(t), start(t, nil).ID(), echoName); !errors.Is(err, ErrStranger) {
		t.Errorf("with a stranger: %v", err)
	}
}

// TestBeginIsBounded: who begins with a peer that never answers waits no longer than it wants.
func TestBeginIsBounded(t *testing.T) {
	for _, c := range carriers {
		t.Run(c.name, func(t *testing.T) {
			a, b := c.pair(t)
			over := make(chan struct{})
			defer close(over)
			b.hall.Swarm.SetStreamHandler(func(s network.Stream) { <-over; s.Reset() })
			for what, end := range map[string]func(s *Stream) error{
				"a deadline": func(s *Stream) error { return s.SetDeadline(time.Now().Add(50 * time.Millisecond)) },
				"a close":    (*Stream).Close,
				"a reset":    (*Stream).Reset,
			} {
				s, err := a.Begin(ctx(t), b.ID(), echoName)
				if err != nil {
					t.Fatal(err)
				}
				ended := make(chan error, 1)
				go func() {
					_, err := io.WriteString(s, "hello")
					if err == nil {
						_, err = s.Read(make([]byte, 1))
					}
					ended <- err
				}()
				if err := end(s); err != nil {
					t.Errorf("%s: %v", what, err)
				}
				select {
				case err := <-ended:
					if err == nil {
						t.Errorf("%s: something was read", what)
					}
				case <-time.After(patience):
					t.Errorf("%s: still reading", what)
				}
				s.Reset()
			}
		})
	}
}

// TestPeers tells the truth of each carrier.
func TestPeers(t *testing.T) {
	for _, c := range carriers {
		t.Run(c.name, func(t *testing.T) {
			a, b := c.pair(t)
			s := a.open(b)
			say(t, s, strings.Repeat("x", 1000))
			var p Peer
			for _, q := range a.Peers() {
				if q.ID == b.ID() {
					p = q
				}
			}
			if p.Transport != c.name || p.Direct != (c.name != Relay) || p.Via.IsZero() != p.Direct || p.Inbound {
				t.Errorf("%+v", p)
			}
			if p.In != 1000 || p.Out != 1000 || p.Streams != 1 || p.Since.IsZero() {
				t.Errorf("%+v", p)
			}
			if p.Direct && p.Addr != b.at {
				t.Errorf("at %s, want %s", p.Addr, b.at)
			}
			s.Close()
			for _, q := range b.Peers() {
				if q.ID == a.ID() && !q.Inbound {
					t.Errorf("%+v", q)
				}
			}
		})
	}
}

// TestStranger is refused before any byte reaches a handler, on every carrier.
func TestStranger(t *testing.T) {
	for _, c := range []string{TCP, QUIC, Relay} {
		for _, door := range []bool{false, true} {
			t.Run(c+map[bool]string{true: " with a door for guests"}[door], func(t *testing.T) {
				var a, b *node
				var way []group.Address
				switch c {
				case Relay:
					var r *node
					a, b, r = trio(t, nil)
					way = b.throughRelay(r)
				default:
					a = start(t, nil)
					b = start(t, map[string]func(*Config){QUIC: quicOnly}[c])
					way = b.addr()
				}
				a.set(b, true)
				b.set(a, false)
				seen := b.echo()
				if door {
					b.HandleAnyone("/shoal/test/door", func(s *Stream) { io.Copy(s, s) })
				}
				a.Learn(b.ID(), way)
				if s, err := a.Open(ctx(t), b.ID(), echoName); err == nil {
					if n, err := s.Read(make([]byte, 1)); err == nil {
						t.Errorf("a stranger reads %d bytes", n)
					}
				}
				if len(seen) > 0 {
					t.Error("a stranger reached the handler")
				}
				if !door {
					b.wait("a refusal", func(e Event) bool { return e.Kind == Refused && e.Peer == a.ID() && e.Reason == ReasonStranger })
					return
				}
				s, err := a.Open(ctx(t), b.ID(), "/shoal/test/door")
				if err != nil {
					t.Fatal(err)
				}
				say(t, s, "let me in")
				s.Close()
				if p, _ := a.host.Peerstore().GetProtocols(peerID(b.ID())); len(p) > 0 {
					t.Errorf("a guest was told of the protocols %v", p)
				}
				if len(b.Peers()) != 0 && c != Relay {
					t.Errorf("a guest is listed: %+v", b.Peers())
				}
				// Known now, it comes in by a new connection.
				b.set(a, true)
				if err := a.Renew(ctx(t), b.ID()); err != nil {
					t.Fatal(err)
				}
				say(t, a.open(b), "as a member")
			})
		}
	}
}

// TestUnknownIsNotDialled refuses on our side too.
func TestUnknownIsNotDialled(t *testing.T) {
	a, b := start(t, nil), start(t, nil)
	if err := a.Connect(ctx(t), b.ID(), b.addr()); !errors.Is(err, ErrStranger) {
		t.Errorf("connect: %v", err)
	}
	if _, err := a.Open(ctx(t), a.ID(), echoName); !errors.Is(err, ErrStranger) {
		t.Errorf("to itself: %v", err)
	}
}

// TestRefusedAddress dials nothing that the scope forbids, and says so.
func TestRefusedAddress(t *testing.T) {
	a, b := start(t, nil), start(t, nil)
	a.knows(b)
	keepApart(a, b, true)
	err := a.Connect(ctx(t), b.ID(), b.addr())
	if !errors.Is(err, ErrUnreachable) {
		t.Errorf("connect: %v", err)
	}
	if why := a.Why(b.ID()); why == "" {
		t.Error("no reason")
	}
	if err := a.Connect(ctx(t), b.ID(), []group.Address{{At: b.ID().Addr()}}); !errors.Is(err, ErrUnreachable) {
		t.Errorf("an address that stands for a node: %v", err)
	}
}

// TestDrop ends open streams at once, and the node stays out.
func TestDrop(t *testing.T) {
	for _, c := range carriers {
		t.Run(c.name, func(t *testing.T) {
			a, b := c.pair(t)
			s := a.open(b)
			say(t, s, "still in")
			ended := make(chan error, 1)
			go func() {
				_, err := s.Read(make([]byte, 1))
				ended <- err
			}()
			b.set(a, false)
			b.Drop(a.ID())
			select {
			case err := <-ended:
				if err == nil {
					t.Error("the stream goes on")
				}
			case <-time.After(patience):
				t.Fatal("the stream of a removed node stands")
			}
			if s, err := a.Open(ctx(t), b.ID(), echoName); err == nil {
				if _, err := s.Read(make([]byte, 1)); err == nil {
					t.Error("a removed node is served")
				}
			}
			for _, p := range b.Peers() {
				if p.ID == a.ID() {
					t.Errorf("a removed node is listed: %+v", p)
				}
			}
		})
	}
}

// TestDropAtRelay ends the circuits of a removed node through a relay that hears of it.
func TestDropAtRelay(t *testing.T) {
	a, b, r := trio(t, nil)
	b.echo()
	if err := a.Connect(ctx(t), b.ID(), b.throughRelay(r)); err != nil {
		t.Fatal(err)
	}
	s := a.open(b)
	say(t, s, "still in")
	r.set(a, false)
	r.Drop(a.ID())
	if _, err := s.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the circuit of a removed node stands: %v", err)
	}
	if err := a.Connect(ctx(t), b.ID(), nil); !errors.Is(err, ErrUnreachable) {
		t.Errorf("a removed node is relayed: %v", err)
	}
}

// moving is a stream on which something comes again and again, however slow the machine.
type moving struct{ *Stream }

func (m moving) Read(b []byte) (int, error) {
	m.SetReadDeadline(time.Now().Add(patience))
	return m.Stream.Read(b)
}

// TestRelay carries 20 MB between two nodes that can't dial each other.
func TestRelay(t *testing.T) {
	const size = 20 << 20
	a, b, r := trio(t, nil)
	b.echo()
	if err := a.Connect(ctx(t), b.ID(), b.throughRelay(r)); err != nil {
		t.Fatal(err)
	}
	s := a.open(b)
	text := make([]byte, size)
	rng := rand.NewChaCha8([32]byte{1})
	rng.Read(text)
	s.SetDeadline(time.Time{})
	go func() { s.Write(text); s.CloseWrite() }()
	got, err := io.ReadAll(moving{s})
	if err != nil || !bytes.Equal(got, text) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	if used, of := r.RelayUsed(); used < 2*size || used > 2*size+size/4 || of != 1<<30 {
		t.Errorf("%d of %d bytes counted for %d", used, of, 2*size)
	}
	for _, p := range a.Peers() {
		if p.ID == b.ID() && (p.Transport != Relay || p.Via != r.ID() || p.Addr != r.at) {
			t.Errorf("%+v", p)
		}
	}
}

// TestRelayBudget ends circuits when the owner's bytes are used up, and refuses new ones
// with that reason.
func TestRelayBudget(t *testing.T) {
	a, b, r := trio(t, func(c *Config) { c.RelayBytes = 1 << 20 })
	b.echo()
	if err := a.Connect(ctx(t), b.ID(), b.throughRelay(r)); err != nil {
		t.Fatal(err)
	}
	s := a.open(b)
	go func() { s.Write(make([]byte, 4<<20)); s.CloseWrite() }()
	n, err := io.Copy(io.Discard, s)
	if err == nil || n > 1<<20 {
		t.Errorf("%d bytes, %v", n, err)
	}
	r.wait("the budget's end", func(e Event) bool { return e.Kind == Refused && e.Reason == ReasonBudget })
	if used, of := r.RelayUsed(); used != of {
		t.Errorf("%d of %d bytes used", used, of)
	}
	err = a.Connect(ctx(t), b.ID(), nil)
	if !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "RESOURCE_LIMIT_EXCEEDED") {
		t.Errorf("a new circuit: %v", err)
	}
}

// TestRelayIsForMembers refuses strangers at both ends; guests get a little, if the owner
// wants it so, and only to members.
func TestRelayIsForMembers(t *testing.T) {
	for _, guests := range []int{0, 1} {
		a, b, r := trio(t, func(c *Config) { c.Guests = guests })
		way := b.throughRelay(r)
		r.set(a, false)
		a.set(r, false)
		b.set(a, false)
		b.HandleAnyone("/shoal/test/door", func(s *Stream) { io.Copy(s, s) })
		a.Learn(b.ID(), way)
		s, err := a.Open(ctx(t), b.ID(), "/shoal/test/door")
		if guests == 0 {
			if err == nil {
				t.Error("a stranger was relayed")
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		say(t, s, "let me in")
		go s.Write(make([]byte, 1<<20))
		if n, err := io.Copy(io.Discard, s); err == nil || n > guestBytes {
			t.Errorf("a guest sent %d bytes there and back, %v", n, err)
		}
		// Let in, it comes anew to both, and is no guest of the relay either.
		a.knows(b, r)
		b.echo()
		if err := a.Renew(ctx(t), b.ID()); err != nil {
			t.Fatal(err)
		}
		say(t, a.open(b), strings.Repeat("as a member ", guestBytes/4))
	}
}

// TestPromote ends the connection of a guest who is known by now, but not what is under way.
func TestPromote(t *testing.T) {
	a, b := start(t, nil), start(t, nil)
	b.HandleAnyone("/shoal/test/door", func(s *Stream) { io.Copy(s, s) })
	a.set(b, true)
	a.connect(b)
	s, err := a.Open(ctx(t), b.ID(), "/shoal/test/door")
	if err != nil {
		t.Fatal(err)
	}
	say(t, s, "let me in")
	b.set(a, true)
	if n := b.Promote(); n != 1 {
		t.Fatalf("%d guests are busy", n)
	}
	say(t, s, "still there")
	s.Close()
	gone := func() bool { return b.Promote() == 0 }
	for end := time.Now().Add(patience); !gone() && time.Now().Before(end); {
		runtime.Gosched()
	}
	a.wait("the end of the connection", func(e Event) bool { return e.Kind == Disconnected })
	a.connect(b)
	b.wait("a member", func(e Event) bool { return e.Kind == Connected && e.Peer == a.ID() })
}

// TestPromoteBeforeOwnStreams: both came to know each other, one a moment later, and that one has
// opened a stream that stands for good, over what it took for a guest's connection. The guest
// becomes a member all the same.
func TestPromoteBeforeOwnStreams(t *testing.T) {
	a, b := start(t, nil), start(t, nil)
	b.HandleAnyone("/shoal/test/door", func(s *Stream) { io.Copy(s, s) })
	a.echo()
	a.set(b, true)
	a.connect(b)
	s, err := a.Open(ctx(t), b.ID(), "/shoal/test/door")
	if err != nil {
		t.Fatal(err)
	}
	say(t, s, "let me in")
	b.set(a, true)
	say(t, b.open(a), "for good")
	s.Close()
	for end := time.Now().Add(patience); b.Promote() > 0 && time.Now().Before(end); {
		runtime.Gosched()
	}
	a.wait("the end of the connection", func(e Event) bool { return e.Kind == Disconnected })
	a.connect(b)
	b.wait("a member", func(e Event) bool { return e.Kind == Connected && e.Peer == a.ID() })
}

// TestPlaces keeps a place only while it is needed and the relay is a member.
func TestPlaces(t *testing.T) {
	_, b, r := trio(t, nil)
	b.throughRelay(r)
	if got := b.Reach().Relays; len(got) != 1 || got[0] != r.ID() {
		t.Errorf("relays %v", got)
	}
	b.set(r, false)
	b.Drop(r.ID())
	for _, a := range b.Addrs() {
		if !a.Via.IsZero() {
			t.Errorf("still through %s", a.Via)
		}
	}
}

// TestClimb goes straight as soon as it can, and leaves the relay.
func TestClimb(t *testing.T) {
	a, b, r := trio(t, nil)
	b.echo()
	if err := a.Connect(ctx(t), b.ID(), append(b.throughRelay(r), b.addr()...)); err != nil {
		t.Fatal(err)
	}
	s := a.open(b)
	say(t, s, "through the relay")
	keepApart(a, b, false)
	a.wait("a direct way", func(e Event) bool { return e.Kind == Direct && e.Peer == b.ID() })
	s2 := a.open(b)
	say(t, s2, "straight")
	if via, _ := s2.Via(); via != TCP {
		t.Errorf("over %s", via)
	}
	if _, err := s.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the relayed stream stands: %v", err)
	}
	say(t, s2, "still")
}

// TestFlood bounds the streams of one peer, and serves another beside it.
func TestFlood(t *testing.T) {
	b := start(t, func(c *Config) { c.Streams = map[string]int{"/shoal/test/many": 20} })
	a, c := start(t, nil), start(t, nil)
	b.knows(a, c)
	for name, limit := range map[string]int{echoName: DefaultStreams, "/shoal/test/many": 20} {
		b.Handle(name, func(s *Stream) { defer s.Close(); io.Copy(s, s) })
		a.connect(b)
		var open []*Stream
		for range limit {
			s, err := a.Open(ctx(t), b.ID(), name)
			if err != nil {
				t.Fatalf("%s: stream %d: %v", name, len(open), err)
			}
			open = append(open, s)
			say(t, s, "x")
		}
		for range 3 * limit {
			if s, err := a.Open(ctx(t), b.ID(), name); err == nil {
				s.SetDeadline(time.Now().Add(patience))
				if _, err := s.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
					t.Fatalf("%s: more than %d streams", name, limit)
				}
				s.Reset()
			}
		}
		c.connect(b)
		s, err := c.Open(ctx(t), b.ID(), name)
		if err != nil {
			t.Fatal(err)
		}
		say(t, s, "beside it")
		s.Close()
		for _, s := range open {
			s.Close()
		}
	}
}

// TestGuestsAreBounded lets no more in than MaxGuests.
func TestGuestsAreBounded(t *testing.T) {
	b := start(t, nil)
	b.HandleAnyone("/shoal/test/door", func(s *Stream) { io.Copy(s, s) })
	var streams []*Stream
	for range MaxGuests + 2 {
		a := start(t, nil)
		a.set(b, true)
		a.Learn(b.ID(), b.addr())
		s, err := a.Open(ctx(t), b.ID(), "/shoal/test/door")
		if err == nil {
			streams = append(streams, s)
		}
	}
	if len(streams) != MaxGuests {
		t.Errorf("%d guests", len(streams))
	}
	b.wait("a refusal", func(e Event) bool { return e.Reason == ReasonGuests })
}

// TestNothingLeaks connects and parts fifty times; then both nodes close.
func TestNothingLeaks(t *testing.T) {
	runtime.GC()
	before := runtime.NumGoroutine()
	a, b := start(t, nil), start(t, nil)
	b.echo()
	a.knows(b)
	round := func() {
		a.connect(b)
		s := a.open(b)
		say(t, s, "round")
		s.Close()
		a.Drop(b.ID())
		b.wait("the end", func(e Event) bool { return e.Kind == Disconnected })
	}
	round()
	idle := settle(t, before+1000)
	for range 50 {
		round()
	}
	if n := settle(t, idle+3); n > idle+3 {
		t.Errorf("%d goroutines after one round, %d after fifty more", idle, n)
	}
	a.Close()
	b.Close()
	if n := settle(t, before+2); n > before+2 {
		buf := make([]byte, 1<<20)
		t.Errorf("%d goroutines before, %d after closing\n%s", before, n, buf[:runtime.Stack(buf, true)])
	}
}

// settle waits until there are not more goroutines than that, or for long enough, and
// counts them.
func settle(t *testing.T, enough int) int {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	late := time.After(5 * time.Second)
	for {
		select {
		case <-tick.C:
			if n := runtime.NumGoroutine(); n <= enough {
				return n
			}
		case <-late:
			return runtime.NumGoroutine()
		}
	}
}

// TestAddrs are of the sockets, never of what stands for a node.
func TestAddrs(t *testing.T) {
	out := start(t, nil)
	if got := out.Addrs(); len(got) != 1 || got[0] != (group.Address{At: out.at}) {
		t.Errorf("%v", got)
	}
}

// TestGoneWithoutAWord ends a connection whose path swallows everything.
func TestGoneWithoutAWord(t *testing.T) {
	quick := func(c *Config) { c.times.busy, c.times.dead = 50*time.Millisecond, 500*time.Millisecond }
	a, b := start(t, quick), start(t, nil)
	b.echo()
	a.knows(b)
	path, cut := swallower(t, b.at.String())
	if err := a.Connect(ctx(t), b.ID(), []group.Address{{At: path}}); err != nil {
		t.Fatal(err)
	}
	s := a.open(b)
	say(t, s, "hello")
	cut()
	if _, err := s.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read from nowhere: %v", err)
	}
	a.wait("the end", func(e Event) bool { return e.Kind == Disconnected && e.Peer == b.ID() })
}

// TestCloseDoesNotAsk ends a host while it tells a peer something that does not answer: it
// does not wait for the answer.
func TestCloseDoesNotAsk(t *testing.T) {
	a, b := start(t, nil), start(t, nil)
	a.knows(b)
	path, cut := swallower(t, b.at.String())
	if err := a.Connect(ctx(t), b.ID(), []group.Address{{At: path}}); err != nil {
		t.Fatal(err)
	}
	cut()
	a.host.SetStreamHandler("/shoal/news/1", func(network.Stream) {}) // libp2p pushes what is new
	for until := time.Now().Add(patience); !pushing(a); runtime.Gosched() {
		if time.Now().After(until) {
			t.Fatal("nothing is told")
		}
	}
	begun := time.Now()
	a.Close()
	if took := time.Since(begun); took > time.Second {
		t.Errorf("closing took %v", took)
	}
}

// pushing tells whether a node is telling others what it can do.
func pushing(n *node) bool {
	for _, c := range n.host.Network().Conns() {
		for _, s := range c.GetStreams() {
			if s.Protocol() == identify.IDPush {
				return true
			}
		}
	}
	return false
}

// TestSecondConnection has the first ended soon if it is dead: the peer came again because it
// had lost it. One that lives stays.
func TestSecondConnection(t *testing.T) {
	patient := func(c *Config) { c.times.dead = time.Hour }
	a, b, c := start(t, patient), start(t, nil), start(t, nil)
	b.echo()
	c.echo()
	a.knows(b, c)
	path, cut := swallower(t, b.at.String())
	if err := a.Connect(ctx(t), b.ID(), []group.Address{{At: path}}); err != nil {
		t.Fatal(err)
	}
	a.connect(c)
	dead, alive := a.open(b), a.open(c)
	say(t, dead, "hello")
	say(t, alive, "hello")
	a.measured(b) // an answer that is on its way would speak for the dead
	cut()
	b.Drop(a.ID())
	b.connect(a)
	a.suspects(c)
	if _, err := dead.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read from nowhere: %v", err)
	}
	say(t, alive, "still there")
	say(t, a.open(b), "by the other")
}

// measured waits until no ping of a connection to another is under way.
func (n *node) measured(o *node) {
	n.t.Helper()
	for until := time.Now().Add(patience); ; runtime.Gosched() {
		n.Host.mu.Lock()
		c := n.peers[o.ID()]
		done := c.rtt.Load() > 0 && !c.pinging
		n.Host.mu.Unlock()
		if done {
			return
		}
		if time.Now().After(until) {
			n.t.Fatal("no round trip is known")
		}
	}
}

// suspects has a node look whether its connections to another live.
func (n *node) suspects(o *node) {
	n.Host.mu.Lock()
	n.peers[o.ID()].suspect = true
	n.Host.mu.Unlock()
	n.rouse()
}

// swallower passes connections on to an address until it is cut: then it swallows all.
func swallower(t *testing.T, to string) (at netip.AddrPort, cut func()) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	var gone atomic.Bool
	over := make(chan struct{})
	t.Cleanup(func() { close(over) })
	pass := func(dst, src net.Conn) {
		buf := make([]byte, 32<<10)
		for {
			n, err := src.Read(buf)
			if err != nil {
				if gone.Load() { // not even the end comes through
					<-over
				}
				dst.Close()
				return
			}
			if !gone.Load() {
				dst.Write(buf[:n])
			}
		}
	}
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp4", to)
			if err != nil {
				in.Close()
				continue
			}
			go pass(out, in)
			go pass(in, out)
		}
	}()
	return l.Addr().(*net.TCPAddr).AddrPort(), func() { gone.Store(true) }
}

// TestOldSession opens no new stream for a node that was removed, even before Drop.
func TestOldSession(t *testing.T) {
	for _, c := range carriers {
		t.Run(c.name, func(t *testing.T) {
			a, b := c.pair(t)
			served := b.echo()
			b.HandleAnyone("/shoal/test/door", func(s *Stream) { io.Copy(s, s) })
			b.set(a, false)
			if s, err := a.Open(ctx(t), b.ID(), echoName); err == nil {
				if _, err := s.Read(make([]byte, 1)); err == nil {
					t.Error("a removed node is served")
				}
			}
			if len(served) > 0 {
				t.Error("a removed node reached the handler")
			}
		})
	}
}
