package overlay

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"shoal/internal/core/group"
	"shoal/internal/core/ident"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// node is a host on loopback, with all that it was told and what it told.
type node struct {
	*Host
	t      testing.TB
	at     netip.AddrPort
	events chan Event

	mu     sync.Mutex
	known  map[ident.NodeID]bool
	refuse map[netip.AddrPort]bool
}

// ports is a TCP and a UDP socket with one number.
func sockets(t testing.TB) (*net.TCPListener, *net.UDPConn) {
	t.Helper()
	for range 20 {
		l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		u, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: l.Addr().(*net.TCPAddr).Port})
		if err == nil {
			t.Cleanup(func() { u.Close() })
			return l, u
		}
		l.Close()
	}
	t.Fatal("no port that is free for both")
	return nil, nil
}

// seeds makes every node of a test run another one.
var seeds struct {
	sync.Mutex
	n byte
}

func newKey() ident.Key {
	seeds.Lock()
	defer seeds.Unlock()
	seeds.n++
	return ident.NewKey([32]byte{seeds.n, 'o'})
}

// start makes a node; change may alter its configuration.
func start(t testing.TB, change func(*Config)) *node {
	t.Helper()
	l, u := sockets(t)
	n := &node{t: t, events: make(chan Event, 1000), known: make(map[ident.NodeID]bool), refuse: make(map[netip.AddrPort]bool),
		at: l.Addr().(*net.TCPAddr).AddrPort()}
	cfg := Config{Key: newKey(), TCP: []net.Listener{l}, UDP: []Datagrams{{Conn: u}},
		Known: func(id ident.NodeID) bool { n.mu.Lock(); defer n.mu.Unlock(); return n.known[id] },
		Allow: func(a netip.AddrPort) error {
			n.mu.Lock()
			defer n.mu.Unlock()
			if !a.Addr().IsLoopback() || n.refuse[a] {
				return errors.New("not allowed in this test")
			}
			return nil
		},
		times: times{idle: usualTimes.idle, busy: usualTimes.busy, dead: usualTimes.dead, leave: 500 * time.Millisecond, hands: usualTimes.hands},
		Events: func(e Event) {
			select {
			case n.events <- e:
			default:
			}
		},
	}
	if change != nil {
		change(&cfg)
	}
	if cfg.TCP == nil {
		l.Close()
	}
	h, err := New(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	n.Host = h
	t.Cleanup(func() { h.Close() })
	return n
}

// quicOnly leaves a node without TCP.
func quicOnly(c *Config) { c.TCP = nil }

// knows makes nodes known to n, and n to them.
func (n *node) knows(others ...*node) {
	for _, o := range others {
		n.set(o, true)
		o.set(n, true)
	}
}

func (n *node) set(o *node, known bool) {
	n.mu.Lock()
	n.known[o.ID()] = known
	n.mu.Unlock()
}

// keepApart lets none of the two dial or answer the other: of the dialler the address is
// not known before, so the listening side refuses nothing.
func keepApart(a, b *node, apart bool) {
	for _, p := range [][2]*node{{a, b}, {b, a}} {
		p[0].mu.Lock()
		p[0].refuse[p[1].at] = apart
		p[0].mu.Unlock()
	}
}

func (n *node) addr() []group.Address { return []group.Address{{At: n.at}} }

func ctx(t testing.TB) context.Context {
	c, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return c
}

// connect connects n to o by o's address.
func (n *node) connect(o *node) {
	n.t.Helper()
	if err := n.Connect(ctx(n.t), o.ID(), o.addr()); err != nil {
		n.t.Fatal(err)
	}
}

// wait waits for an event.
func (n *node) wait(what string, ok func(Event) bool) Event {
	n.t.Helper()
	late := time.After(patience)
	for {
		select {
		case e := <-n.events:
			if ok(e) {
				return e
			}
		case <-late:
			n.t.Fatalf("no event: %s", what)
		}
	}
}

// throughRelay waits until n has a place at r, and gives the way.
func (n *node) throughRelay(r *node) []group.Address {
	n.t.Helper()
	way := func() []group.Address {
		for _, a := range n.Addrs() {
			if a.Via == r.ID() {
				return []group.Address{a}
			}
		}
		return nil
	}
	if way() == nil {
		n.wait("a place at the relay", func(e Event) bool { return e.Kind == Addresses && way() != nil })
	}
	return way()
}

// trio is two nodes that can't reach each other, and a relay that both know; b has a place.
func trio(t testing.TB, change func(*Config)) (a, b, r *node) {
	t.Helper()
	r = start(t, func(c *Config) {
		c.RelayBytes = 1 << 30
		if change != nil {
			change(c)
		}
	})
	a = start(t, nil)
	b = start(t, func(c *Config) { c.UsePlaces = true })
	a.knows(b, r)
	b.knows(r)
	keepApart(a, b, true)
	b.connect(r)
	return a, b, r
}

const echoName = "/shoal/test/echo"

// echo serves a protocol that sends back what it gets, and counts its streams.
func (n *node) echo() <-chan *Stream {
	seen := make(chan *Stream, 1000)
	n.Handle(echoName, func(s *Stream) {
		defer s.Close()
		seen <- s
		io.Copy(s, s)
	})
	return seen
}

// open opens an echo stream.
func (n *node) open(o *node) *Stream {
	n.t.Helper()
	s, err := n.Open(ctx(n.t), o.ID(), echoName)
	if err != nil {
		n.t.Fatal(err)
	}
	s.SetDeadline(time.Now().Add(patience))
	return s
}

// say sends a text and wants it back.
func say(t testing.TB, s *Stream, text string) {
	t.Helper()
	got := make([]byte, len(text))
	if _, err := io.WriteString(s, text); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(s, got); err != nil || string(got) != text {
		t.Fatalf("%q, %v; want %q", got, err, text)
	}
}
