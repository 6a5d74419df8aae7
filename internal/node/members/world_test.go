package members

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"shoal/internal/adapter/overlay"
	"shoal/internal/core/group"
	"shoal/internal/core/ident"
	"shoal/internal/node/groups"
)

// patience is how long a test waits for what must happen.
const patience = 20 * time.Second

// node is a Service on loopback with what it told.
type node struct {
	*Service
	t   testing.TB
	n   byte
	dir string
	at  netip.AddrPort
	sub func(*Config)

	mu     sync.Mutex
	told   []Event
	tried  []netip.AddrPort        // what it dialled, where a test notes that
	refuse map[netip.AddrPort]bool // addresses that it neither dials nor answers
	more   chan struct{}           // closed at each event
}

// home makes a node with a home of its own, but does not start it.
func home(t testing.TB, n byte, change func(*Config)) *node {
	t.Helper()
	return &node{t: t, n: n, dir: t.TempDir() + "/groups", sub: change, refuse: make(map[netip.AddrPort]bool), more: make(chan struct{})}
}

func (n *node) key() ident.Key   { return ident.NewKey([ident.SeedSize]byte{n.n, 'm'}) }
func (n *node) id() ident.NodeID { return n.key().ID() }

// start makes a node and starts it.
func start(t testing.TB, n byte, change func(*Config)) *node {
	t.Helper()
	x := home(t, n, change)
	x.begin()
	return x
}

// sockets is a TCP and a UDP socket of one number.
func sockets(t testing.TB) (*net.TCPListener, *net.UDPConn) {
	t.Helper()
	for range 20 {
		l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		u, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: l.Addr().(*net.TCPAddr).Port})
		if err == nil {
			return l, u
		}
		l.Close()
	}
	t.Fatal("no port that is free for both")
	return nil, nil
}

// begin starts the node, at another port than before.
func (n *node) begin() {
	n.t.Helper()
	l, u := sockets(n.t)
	n.at = l.Addr().(*net.TCPAddr).AddrPort()
	cfg := Config{Key: n.key(), Name: "node " + string(rune('a'+n.n)), Dir: n.dir, Rand: rand.New(rand.NewPCG(uint64(n.n), 1)), Events: n.hear}
	cfg.Overlay = overlay.Config{TCP: []net.Listener{l}, UDP: []overlay.Datagrams{{Conn: u}}, Allow: n.allow}
	if n.sub != nil {
		n.sub(&cfg)
	}
	if len(cfg.Overlay.TCP) == 0 {
		l.Close()
	}
	s, err := Open(cfg)
	if err == nil {
		err = s.Start(context.Background())
	}
	if err != nil {
		n.t.Fatal(err)
	}
	n.Service = s
	n.t.Cleanup(func() { s.Close(); u.Close() })
}

func (n *node) allow(a netip.AddrPort) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !a.Addr().IsLoopback() || n.refuse[a] {
		return errors.New("not allowed in this test")
	}
	return nil
}

func (n *node) hear(e Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.told = append(n.told, e)
	close(n.more)
	n.more = make(chan struct{})
}

// wait waits for an event; those before the last wait's are not looked at again.
func (n *node) wait(what string, ok func(Event) bool) Event {
	n.t.Helper()
	late := time.After(patience)
	for {
		n.mu.Lock()
		for i, e := range n.told {
			if ok(e) {
				n.told = n.told[i+1:]
				n.mu.Unlock()
				return e
			}
		}
		more := n.more
		n.mu.Unlock()
		select {
		case <-more:
		case <-late:
			n.t.Fatalf("no event: %s", what)
		}
	}
}

func (n *node) sees(kind EventKind, of *node) {
	n.t.Helper()
	n.wait("of a connection", func(e Event) bool { return e.Kind == kind && e.Peer == of.id() })
}

// within waits until something is so.
func within(t testing.TB, d time.Duration, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(d); !ok(); {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("not after %v: %s", d, what)
		}
	}
}

func soon(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// found makes a node found a group.
func (n *node) found(name string) group.ID {
	n.t.Helper()
	g, err := n.Groups().Create(name)
	if err != nil {
		n.t.Fatal(err)
	}
	return g.ID
}

// invites lets another node join by a ticket.
func (n *node) invites(name string, o *node) groups.Admission {
	n.t.Helper()
	if err := n.Ready(soon(n.t)); err != nil {
		n.t.Fatal(err)
	}
	t, _, err := n.Groups().Invite(name, 1, time.Hour, group.Admin, nil)
	if err != nil {
		n.t.Fatal(err)
	}
	a, err := o.Join(soon(n.t), t.String())
	if err != nil {
		n.t.Fatal(err)
	}
	return a
}

// cast starts nodes of which the first founds a group that the others join.
func cast(t testing.TB, count int, change func(*Config)) ([]*node, group.ID) {
	t.Helper()
	var all []*node
	for i := range count {
		all = append(all, start(t, byte(i+1), change))
	}
	g := all[0].found("home")
	for _, o := range all[1:] {
		all[0].invites("home", o)
	}
	return all, g
}

// echo serves swarm streams: what comes goes back.
func (n *node) echo() {
	go func() {
		for {
			c, err := n.Listener().Accept()
			if err != nil {
				return
			}
			go func() { defer c.Close(); io.Copy(c, c) }()
		}
	}()
}

// dial opens a swarm stream.
func (n *node) dial(o *node) net.Conn {
	n.t.Helper()
	c, err := n.Dial(soon(n.t), o.id().Addr())
	if err != nil {
		n.t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(patience))
	n.t.Cleanup(func() { c.Close() })
	return c
}

// say sends a text and wants it back.
func say(t testing.TB, c net.Conn, text string) {
	t.Helper()
	got := make([]byte, len(text))
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, got); err != nil || string(got) != text {
		t.Fatalf("%q, %v; want %q", got, err, text)
	}
}
