package dht

import (
	"bytes"
	"context"
	"crypto/sha1"
	"net/netip"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"shoal/internal/core/kad/krpc"
)

// world is a network in memory, in virtual time: a datagram takes 20 ms.
type world struct {
	t     *testing.T
	mu    sync.Mutex
	nodes map[netip.AddrPort]*node
	cut   netip.AddrPort                                 // who is cut off from the others
	seen  func(from, to netip.AddrPort, m *krpc.Message) // every datagram, if set; called with mu held
}

// node is one DHT in it.
type node struct {
	*DHT
	at   netip.AddrPort
	stop func() // ends it and waits
}

// host is the address of node number i, each in a /16 of its own.
func host(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{byte(11 + i/200), byte(1 + i%200), 7, 7}), 7463)
}

func hash(i int) krpc.ID { return sha1.Sum([]byte("hash " + strconv.Itoa(i))) }

func newWorld(t *testing.T) *world {
	return &world{t: t, nodes: make(map[netip.AddrPort]*node)}
}

// send carries one datagram.
func (w *world) send(from, to netip.AddrPort, b []byte) {
	b = bytes.Clone(b)
	w.mu.Lock()
	if w.seen != nil {
		m, err := krpc.Parse(b)
		if err != nil {
			w.t.Errorf("%v sends %q: %v", from, b, err)
		}
		w.seen(from, to, &m)
	}
	cut := from == w.cut || to == w.cut
	w.mu.Unlock()
	if cut {
		return
	}
	time.AfterFunc(20*time.Millisecond, func() {
		w.mu.Lock()
		n := w.nodes[to]
		w.mu.Unlock()
		if n != nil {
			n.Datagram(b, from)
		}
	})
}

// make makes node number i, not running.
func (w *world) make(i int, cfg Config) *node {
	n := &node{at: host(i)}
	cfg.Seed = [32]byte{1, byte(i), byte(i >> 8)}
	if cfg.Send == nil {
		cfg.Send = func(to netip.AddrPort, b []byte) { w.send(n.at, to, b) }
	}
	n.DHT = New(cfg)
	w.mu.Lock()
	w.nodes[n.at] = n
	w.mu.Unlock()
	return n
}

// run starts a node. It is ended with the test's bubble at the latest.
func (w *world) run(n *node) *node {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		n.Run(ctx)
		close(done)
	}()
	n.stop = func() {
		cancel()
		<-done
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.nodes[n.at] == n {
			delete(w.nodes, n.at)
		}
	}
	return n
}

// start makes and starts node number i. All but the first begin with the first.
func (w *world) start(i int, cfg Config) *node {
	n := w.run(w.make(i, cfg))
	if i > 0 && cfg.Bootstrap == nil && cfg.Saved.Nodes == nil {
		n.Add(host(0))
	}
	return n
}

// end ends all nodes.
func (w *world) end() {
	w.mu.Lock()
	var list []*node
	for _, n := range w.nodes {
		list = append(list, n)
	}
	w.mu.Unlock()
	for _, n := range list {
		if n.stop != nil {
			n.stop()
		}
	}
}

// inWorld runs a test in virtual time with so many nodes that know each other.
func inWorld(t *testing.T, count int, f func(t *testing.T, w *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.end()
		for i := range count {
			w.start(i, Config{})
		}
		pass(time.Minute)
		f(t, w)
	})
}

func (w *world) node(i int) *node { return w.nodes[host(i)] }

// query is a question of a stranger.
func query(i int) []byte {
	m := krpc.Message{Kind: krpc.Query, Method: krpc.Ping, TID: []byte("aa"), ID: hash(i)}
	return m.Append(nil)
}

func deadline(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// pass lets virtual time pass, and all that happens in it happen.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func must(t *testing.T, ok bool, format string, args ...any) {
	t.Helper()
	if !ok {
		t.Fatalf(format, args...)
	}
}
