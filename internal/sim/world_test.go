package sim

import (
	"bytes"
	"encoding/binary"
	"hash/fnv"
	"math/rand/v2"
	"net/netip"
	"time"

	"shoal/internal/core/kad"
	"shoal/internal/core/kad/krpc"
)

var epoch = time.Unix(1_000_000, 0)

// header is IPv4 and UDP about each datagram; it counts in every figure of bytes.
const header = 28

// settings are what a world is like.
type settings struct {
	seed     uint64
	n        int
	k, alpha int
	delay    LogNormal // of one node's access; a datagram takes the sum of both ends'
	loss     float64
	sessions Weibull // Shape 0: everybody stays
	liars    float64 // share of nodes that answer with fabricated nodes
	genuine  bool    // liars name each other under their true ids instead
	spread   bool    // liars spread their made-up ids about the target as true ones would be
	bound    bool    // ids are bound to addresses as to keys
	open     bool    // no limits of diversity and no BEP 42
}

// accident is one event of a world.
type accident struct {
	kind      kind
	node      int32
	from      int32
	born      uint32 // of the node meant: later ones at the place are not
	mask, hid bool   // a datagram to, or from, the port under which a liar plays another
	data      []byte
	do        func()
}

type kind uint8

const (
	delivery kind = iota
	wake
	departure
	action
)

// dweller is a place in the world and the node that is there now.
type dweller struct {
	t      *kad.T
	id     krpc.ID
	addr   netip.AddrPort
	born   uint32 // number of the node at the place
	since  time.Duration
	access time.Duration
	wakeAt time.Duration
	liar   bool
	done   map[uint64]func(kad.Result)
	sought []*sought // by searches of the node
	peers  map[uint64]func([]netip.AddrPort)
}

// sought is a node that a search should ask.
type sought struct {
	target  krpc.ID
	addr    netip.AddrPort
	reached bool
}

// world is a network of DHT nodes in virtual time. Everything follows from the settings.
type world struct {
	settings
	rng    *rand.Rand
	queue  Queue[accident]
	nodes  []*dweller
	byAddr map[netip.AddrPort]int32
	crooks []int32
	attack bool // the liars lie
	still  bool // queries are answered with an id alone, and nobody hears of them
	in     kad.Events
	out    kad.Effects
	pool   [][]byte // memory of datagrams
	spent  [][]byte // of those being looked at
	msg    krpc.Message
	handle uint64
	fakes  []krpc.Node

	datagrams, bytes int64
	steps            int64
	trace            uint64 // hash of everything sent
}

func newWorld(s settings) *world {
	w := &world{settings: s, rng: rand.New(rand.NewPCG(s.seed, 7)), byAddr: map[netip.AddrPort]int32{}}
	for i := range s.n {
		w.nodes = append(w.nodes, &dweller{})
		w.settle(int32(i), float64(i) < s.liars*float64(s.n))
	}
	return w
}

// settle puts a new node at a place.
func (w *world) settle(i int32, liar bool) {
	d := w.nodes[i]
	delete(w.byAddr, d.addr)
	*d = dweller{born: d.born + 1, since: w.queue.Now(), access: w.delay.Draw(w.rng), liar: liar, wakeAt: -1,
		done: map[uint64]func(kad.Result){}, peers: map[uint64]func([]netip.AddrPort){}}
	for d.addr = w.address(); ; d.addr = w.address() {
		if _, taken := w.byAddr[d.addr]; !taken && kad.Public(d.addr) {
			break
		}
	}
	w.byAddr[d.addr] = i
	for j := range d.id {
		d.id[j] = byte(w.rng.Uint32())
	}
	if w.bound {
		d.id = bind(d.id, d.addr)
	} else if !w.open {
		d.id = krpc.MakeID(d.addr.Addr(), d.id)
	}
	cfg := kad.Config{ID: d.id, K: w.k, Alpha: w.alpha, Diversity: !w.open, Secure: !w.open && !w.bound}
	if w.bound {
		cfg.Bound = func(id krpc.ID, a netip.AddrPort) bool { return bind(id, a) == id }
	}
	d.t = kad.New(cfg, rand.New(rand.NewPCG(w.rng.Uint64(), w.rng.Uint64())))
	if liar {
		w.crooks = append(w.crooks, i)
	}
}

func (w *world) address() netip.AddrPort {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], w.rng.Uint32())
	return netip.AddrPortFrom(netip.AddrFrom4(b), 6881)
}

// bind gives an id the half that its address decides, as a hash of a key decides both.
func bind(id krpc.ID, a netip.AddrPort) krpc.ID {
	h := fnv.New64a()
	b := a.Addr().As4()
	h.Write(b[:])
	h.Write([]byte("key"))
	x := h.Sum64() * 0x9e3779b97f4a7c15
	binary.BigEndian.PutUint64(id[:], x^x>>29)
	return id
}

// contact is how others know the node at a place.
func (w *world) contact(i int32) krpc.Node {
	return krpc.Node{ID: w.nodes[i].id, Addr: w.nodes[i].addr}
}

// join lets a node know a few others.
func (w *world) join(i int32, others ...int32) {
	var list []krpc.Node
	for _, o := range others {
		list = append(list, w.contact(o))
	}
	w.event(i, kad.Event{Kind: kad.Bootstrap, Nodes: list})
}

// live lets the node at a place leave when its session ends, and another come.
func (w *world) live(i int32, length time.Duration) {
	w.queue.Put(w.queue.Now()+length, accident{kind: departure, node: i, born: w.nodes[i].born})
}

func (w *world) after(d time.Duration, f func()) {
	w.queue.Put(w.queue.Now()+d, accident{kind: action, do: f})
}

// run lets time pass.
func (w *world) run(d time.Duration) {
	until := w.queue.Now() + d
	for {
		a, ok := w.queue.Take(until)
		if !ok {
			return
		}
		switch a.kind {
		case action:
			a.do()
		case departure:
			if w.nodes[a.node].born == a.born {
				w.settle(a.node, w.nodes[a.node].liar)
				w.join(a.node, w.rng.Int32N(int32(w.n)), w.rng.Int32N(int32(w.n)), w.rng.Int32N(int32(w.n)))
				w.live(a.node, w.sessions.Draw(w.rng))
			}
		case wake:
			if d := w.nodes[a.node]; d.born == a.born && w.queue.Now() >= d.wakeAt {
				d.wakeAt = -1
				w.event(a.node, kad.Event{Kind: kad.Wake})
			}
		case delivery:
			w.arrive(a)
		}
	}
}

// arrive gives a node the datagrams that come to it at the same moment, as one batch.
func (w *world) arrive(a accident) {
	to := a.node
	w.in.Reset()
	for {
		if d := w.nodes[to]; d.born == a.born && !w.nod(a) && !w.lie(a) {
			from := w.nodes[a.from].addr
			if a.hid {
				from = masked(from)
			}
			w.in.List = append(w.in.List, kad.Event{Kind: kad.Datagram, Addr: from, Data: a.data})
		}
		w.spent = append(w.spent, a.data)
		next, ok := w.queue.Next()
		if !ok || next.kind != delivery || next.node != to {
			break
		}
		a, _ = w.queue.Take(w.queue.Now())
	}
	if len(w.in.List) > 0 {
		w.step(to)
	}
	w.pool = append(w.pool, w.spent...)
	w.spent = w.spent[:0]
}

// event is one Step of a node.
func (w *world) event(i int32, e kad.Event) {
	w.in.Reset()
	w.in.List = append(w.in.List, e)
	w.step(i)
}

func (w *world) step(i int32) {
	d := w.nodes[i]
	w.out.Reset()
	w.steps++
	d.t.Step(epoch.Add(w.queue.Now()), &w.in, &w.out)
	for k := range w.out.List {
		f := &w.out.List[k]
		switch f.Kind {
		case kad.Send:
			w.send(i, f.Addr, f.Data)
		case kad.Done:
			if done := d.done[f.Handle]; done != nil {
				r := *f.Result
				w.after(0, func() { done(r) })
			}
		case kad.FoundPeers:
			if got := d.peers[f.Handle]; got != nil {
				got(f.Addrs)
			}
		case kad.Identity:
			d.id = f.ID
		}
	}
	if at := d.t.NextWake().Sub(epoch); d.wakeAt < 0 || at < d.wakeAt {
		d.wakeAt = max(at, w.queue.Now())
		w.queue.Put(d.wakeAt, accident{kind: wake, node: i, born: d.born})
	}
}

// send carries a node's datagram, or loses it.
func (w *world) send(i int32, to netip.AddrPort, b []byte) { w.carry(accident{node: i}, to, b) }

// carry does so for a node that may wear its mask.
func (w *world) carry(from accident, to netip.AddrPort, b []byte) {
	i := from.node
	w.datagrams++
	w.bytes += int64(len(b) + header)
	h := fnv.New64a()
	h.Write(b)
	w.trace = w.trace*0x100000001b3 ^ h.Sum64() ^ uint64(w.queue.Now())
	for _, s := range w.nodes[i].sought {
		if s.addr == to && bytes.Contains(b, s.target[:]) {
			s.reached = true
		}
	}
	j, there := w.byAddr[to]
	mask := false
	if !there && w.attack {
		if j, there = w.byAddr[netip.AddrPortFrom(to.Addr(), to.Port()-1)]; there {
			mask = true
			there = w.nodes[j].liar
		}
	}
	if w.rng.Float64() < w.loss || !there {
		return
	}
	var room []byte
	if n := len(w.pool); n > 0 {
		room, w.pool = w.pool[n-1], w.pool[:n-1]
	}
	d := w.nodes[j]
	w.queue.Put(w.queue.Now()+w.nodes[i].access+d.access, accident{kind: delivery, node: j, from: i, born: d.born, mask: mask, hid: from.mask, data: append(room[:0], b...)})
}

// nod answers a query with an id and nothing else while tables are filled by hand.
func (w *world) nod(a accident) bool {
	if !w.still || w.msg.Parse(a.data) != nil || w.msg.Kind != krpc.Query {
		return false
	}
	m := krpc.Message{Kind: krpc.Response, TID: w.msg.TID, ID: w.nodes[a.node].id}
	w.send(a.node, w.nodes[a.from].addr, m.Append(nil))
	return true
}

// lie is what a liar answers: nodes next to the target that are liars' addresses under made-up ids, or the liars that in
// truth are closest. It tells whether there was anything to answer.
func (w *world) lie(a accident) bool {
	if !w.attack || !w.nodes[a.node].liar || w.msg.Parse(a.data) != nil || w.msg.Kind != krpc.Query || w.msg.Method == krpc.Ping {
		return a.mask
	}
	target := w.msg.Target
	m := krpc.Message{Kind: krpc.Response, TID: w.msg.TID, ID: w.nodes[a.node].id, Token: []byte("12345678")}
	if a.mask {
		m.ID = w.fake(target, a.node)
	}
	w.fakes = w.fakes[:0]
	if w.genuine {
		for _, l := range w.crooks {
			w.insert(w.contact(l), target)
		}
	} else {
		for range w.k {
			l := w.crooks[w.rng.IntN(len(w.crooks))]
			w.fakes = append(w.fakes, krpc.Node{ID: w.fake(target, l), Addr: masked(w.nodes[l].addr)})
		}
	}
	m.Nodes = w.fakes
	w.carry(accident{node: a.node, mask: a.mask}, w.nodes[a.from].addr, m.Append(nil))
	return true
}

// masked is where a liar answers under made-up ids.
func masked(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr(), a.Port()+1) }

// fake is the id that a liar claims to be near a target.
func (w *world) fake(target krpc.ID, liar int32) krpc.ID {
	if w.spread { // anywhere among the k closest
		part := (0.02 + 0.98*float64(uint32(liar)*2654435761)/(1<<32)) * float64(w.k) / float64(w.n)
		binary.BigEndian.PutUint64(target[:], binary.BigEndian.Uint64(target[:])^uint64(part*(1<<63)*2))
	}
	binary.BigEndian.PutUint32(target[16:], binary.BigEndian.Uint32(target[16:])^uint32(liar+1))
	return target
}

// insert keeps the k nodes closest to the target.
func (w *world) insert(n krpc.Node, target krpc.ID) {
	at := len(w.fakes)
	for at > 0 && target.CmpDistance(n.ID, w.fakes[at-1].ID) < 0 {
		at--
	}
	if at >= w.k {
		return
	}
	if len(w.fakes) < w.k {
		w.fakes = append(w.fakes, krpc.Node{})
	}
	copy(w.fakes[at+1:], w.fakes[at:])
	w.fakes[at] = n
}
