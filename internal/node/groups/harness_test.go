package groups

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"shoal/internal/core/group"
	"shoal/internal/core/ident"
)

func key(n int) ident.Key       { return ident.NewKey([ident.SeedSize]byte{byte(n), byte(n >> 8), 9}) }
func nodeID(n int) ident.NodeID { return key(n).ID() }

// world is an overlay in memory.
type world struct {
	t     testing.TB
	mu    sync.Mutex
	hosts map[ident.NodeID]*host
	links map[[2]ident.NodeID]*link
	cut   map[[2]ident.NodeID]bool // who cannot reach whom
	opens int
	delay time.Duration // of opening a stream
	deaf  ident.NodeID  // it takes streams and never reads them
	all   bool          // streams are carried between nodes that are not linked, too
}

// host is one node of it: what its Service takes for the Net.
type host struct {
	w    *world
	n    int
	id   ident.NodeID
	addr group.Address
	dir  string
	*Service
	dropped []ident.NodeID
	dials   int
}

// link is a connection with its streams.
type link struct{ streams []net.Conn }

// stream is one end of a stream.
type stream struct {
	net.Conn
	peer ident.NodeID
}

func (s stream) Peer() ident.NodeID { return s.peer }

var errNoWay = errors.New("no way there")

func newWorld(t testing.TB) *world {
	w := &world{t: t, hosts: make(map[ident.NodeID]*host), links: make(map[[2]ident.NodeID]*link), cut: make(map[[2]ident.NodeID]bool)}
	t.TempDir() // its removal is noted first, so that it comes after the nodes have ended
	t.Cleanup(func() {
		for _, h := range w.hosts {
			h.stop()
		}
	})
	return w
}

// home makes node n with a home of its own.
func (w *world) home(n int) *host {
	w.t.Helper()
	h := &host{w: w, n: n, id: nodeID(n), dir: w.t.TempDir() + "/groups"}
	h.addr.At = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(n)}), 7463)
	return h
}

// add makes node n and starts it.
func (w *world) add(n int) *host {
	w.t.Helper()
	h := w.home(n)
	h.start()
	return h
}

func (h *host) start() {
	h.w.t.Helper()
	s, err := Open(Config{Key: key(h.n), Name: "node " + string(rune('a'+h.n%26)), Dir: h.dir, Net: h, Rand: rand.New(rand.NewPCG(uint64(h.n), 1))})
	if err != nil {
		h.w.t.Fatal(err)
	}
	h.w.mu.Lock()
	h.Service = s
	h.w.hosts[h.id] = h
	h.w.mu.Unlock()
	s.Run(nil)
}

// stop ends a node as a kill does for the others: its connections are gone.
func (h *host) stop() {
	h.w.mu.Lock()
	if h.w.hosts[h.id] != h {
		h.w.mu.Unlock()
		return
	}
	delete(h.w.hosts, h.id)
	var linked [][2]ident.NodeID
	for p := range h.w.links {
		if p[0] == h.id || p[1] == h.id {
			linked = append(linked, p)
		}
	}
	h.w.mu.Unlock()
	for _, p := range linked {
		h.w.unlink(p[0], p[1])
	}
	h.Service.Close()
}

func pair(a, b ident.NodeID) [2]ident.NodeID {
	if before(b, a) {
		a, b = b, a
	}
	return [2]ident.NodeID{a, b}
}

// Addrs is part of Net.
func (h *host) Addrs() []group.Address { return []group.Address{h.addr} }

// Connect is part of Net.
func (h *host) Connect(_ context.Context, id ident.NodeID, addrs []group.Address) error {
	w := h.w
	w.mu.Lock()
	h.dials++
	to := w.hosts[id]
	linked := w.links[pair(h.id, id)] != nil
	way := to != nil && w.hosts[h.id] == h && !w.cut[pair(h.id, id)] && slices.Contains(addrs, to.addr)
	if way && !linked {
		w.links[pair(h.id, id)] = &link{}
	}
	w.mu.Unlock()
	if linked {
		return nil
	}
	if !way {
		return errNoWay
	}
	h.Connected(id, []group.Address{to.addr})
	to.Connected(h.id, nil)
	return nil
}

// Drop is part of Net.
func (h *host) Drop(id ident.NodeID) {
	h.w.mu.Lock()
	h.dropped = append(h.dropped, id)
	h.w.mu.Unlock()
	h.w.unlink(h.id, id)
}

func (w *world) unlink(a, b ident.NodeID) {
	w.mu.Lock()
	l := w.links[pair(a, b)]
	delete(w.links, pair(a, b))
	ends := []*host{w.hosts[a], w.hosts[b]}
	w.mu.Unlock()
	if l == nil {
		return
	}
	for _, c := range l.streams {
		c.Close()
	}
	if ends[0] != nil {
		ends[0].Disconnected(b)
	}
	if ends[1] != nil {
		ends[1].Disconnected(a)
	}
}

// Open is part of Net.
func (h *host) Open(_ context.Context, id ident.NodeID, protocol string) (Stream, error) {
	w := h.w
	if w.delay > 0 {
		<-time.After(w.delay)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	l, to := w.links[pair(h.id, id)], w.hosts[id]
	if to == nil || l == nil && !w.all {
		return nil, errNoWay
	}
	w.opens++
	a, b := net.Pipe()
	if l != nil {
		l.streams = append(l.streams, a, b)
	}
	there := stream{b, h.id}
	switch {
	case id == w.deaf:
	case protocol == JoinProtocol:
		go to.HandleJoin(there)
	default:
		go to.HandleSync(there)
	}
	return stream{a, id}, nil
}

// separate cuts a from b; heal undoes it.
func (w *world) separate(a, b *host) {
	w.mu.Lock()
	w.cut[pair(a.id, b.id)] = true
	w.mu.Unlock()
	w.unlink(a.id, b.id)
}

func (w *world) heal(a, b *host) {
	w.mu.Lock()
	delete(w.cut, pair(a.id, b.id))
	w.mu.Unlock()
}

// within fails unless ok becomes true in that (virtual) time.
func (w *world) within(d time.Duration, what string, ok func() bool) {
	w.t.Helper()
	for end := time.Now().Add(d); ; {
		synctest.Wait()
		if ok() {
			return
		}
		if time.Now().After(end) {
			for _, h := range w.hosts {
				for _, g := range h.look().sorted() {
					w.t.Logf("node %d: %v", h.n, h.members(h.look().groups[g].Name()))
				}
			}
			w.t.Fatalf("not after %v: %s", d, what)
		}
		<-time.After(20 * time.Millisecond)
	}
}

// members are the names of a group's members at a node, sorted: "abc" for nodes 0, 1, 2.
func (h *host) members(name string) string {
	g, err := h.find(name)
	if err != nil {
		return ""
	}
	var names []string
	for _, p := range g.Members() {
		names = append(names, strings.TrimPrefix(p.Name, "node "))
	}
	slices.Sort(names)
	return strings.Join(names, "")
}

// all waits until all these nodes agree on the members of a group.
func (w *world) agree(d time.Duration, name, want string, hosts ...*host) {
	w.t.Helper()
	w.within(d, "members of "+name+" are "+want, func() bool {
		return !slices.ContainsFunc(hosts, func(h *host) bool { return h.members(name) != want })
	})
}

// invite makes a ticket.
func (h *host) invite(name string, rights group.Rights) string {
	h.w.t.Helper()
	tk, _, err := h.Invite(name, 1, time.Hour, rights, nil)
	if err != nil {
		h.w.t.Fatal(err)
	}
	return tk.String()
}

// join brings a node in by an invitation of another.
func (h *host) join(by *host, name string, rights group.Rights) Admission {
	h.w.t.Helper()
	a, err := h.Join(context.Background(), by.invite(name, rights))
	if err != nil {
		h.w.t.Fatal(err)
	}
	return a
}

func (h *host) create(name string) group.ID {
	h.w.t.Helper()
	sum, err := h.Create(name)
	if err != nil {
		h.w.t.Fatal(err)
	}
	return sum.ID
}

// bubble runs a test on virtual time and ends all nodes within it.
func bubble(t *testing.T, f func(t *testing.T, w *world)) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		f(t, w)
	})
}

// got takes the events that have come.
func got(events <-chan Event) (all []Event) {
	synctest.Wait()
	for {
		select {
		case e, ok := <-events:
			if !ok {
				return all
			}
			all = append(all, e)
		default:
			return all
		}
	}
}

// only are the events of one kind.
func only(all []Event, kind EventKind) (some []Event) {
	for _, e := range all {
		if e.Kind == kind {
			some = append(some, e)
		}
	}
	return some
}
