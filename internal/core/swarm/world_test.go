package swarm

import (
	"container/heap"
	"encoding/binary"
	"fmt"
	"hash"
	"hash/fnv"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"shoal/internal/core/metainfo"
)

// world wires several T's together: virtual time, latency, bandwidth, and peers that
// lie, dawdle or leave. Everything follows from the seed.
type world struct {
	t     testing.TB
	rng   *rand.Rand
	info  *metainfo.Info
	now   time.Duration
	seq   int
	queue queue
	nodes []*node
	trace hash.Hash64
	every int // Steps between two full checks of the counters
	steps int
}

type queue []todo

type todo struct {
	at  time.Duration
	seq int
	do  func()
}

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	return q[i].at < q[j].at || q[i].at == q[j].at && q[i].seq < q[j].seq
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(todo)) }
func (q *queue) Pop() any {
	old := *q
	x := old[len(old)-1]
	*q = old[:len(old)-1]
	return x
}

// traits are how a node behaves.
type traits struct {
	seed     bool
	rate     float64       // bytes a second of its uplink; 0 = 100 MB/s
	limit    float64       // bytes a second by Tokens; 0 = none
	lies     float64       // share of the blocks it sends that are wrong
	latency  time.Duration // one way, to everybody; 0 = 5 ms
	noFast   bool          // does not speak BEP 6
	deaf     bool          // does not honour suggestions
	have     func(p int) bool
	prio     func(p int) uint8
	noDigest bool // the driver has no digests at PieceGood
	slots    int
	stalls   time.Duration // now and then the node does nothing for up to so long
}

// node is a T with what a driver would keep for it.
type node struct {
	w       *world
	id      int
	traits  traits
	t       *T
	in      Events
	out     Effects
	links   []*link // by slot
	got     map[uint32][]byte
	wakeAt  time.Duration
	free    time.Duration // when the uplink is free
	bucket  float64
	filled  time.Duration
	waiting bool // for tokens
	done    time.Duration
	bad     map[int]int // verdicts of bad pieces, by who had a part
	banned  map[int]bool
	asked   int
	dup     int64 // bytes that came and were thrown away
	sent    int64 // bytes of blocks
	asleep  bool  // it stalls
	lost    bool  // it lost pieces that others may still believe in
}

// link is one side of a connection.
type link struct {
	to   *node
	slot Peer // of us at them
	up   bool
	fast bool
}

var epoch = time.Unix(1_000_000, 0)

func newWorld(t testing.TB, seed uint64, info *metainfo.Info) *world {
	return &world{t: t, rng: rand.New(rand.NewPCG(seed, 1)), info: info, trace: fnv.New64a(), every: 64}
}

// share describes a v1 share of one file.
func share(t testing.TB, length, pieceLength int64) *metainfo.Info {
	t.Helper()
	info, err := metainfo.PlanLayout("x", true, []metainfo.BuildFile{{Path: []string{"x"}, Length: length}}, metainfo.V1, pieceLength)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func (w *world) after(d time.Duration, f func()) {
	w.seq++
	heap.Push(&w.queue, todo{w.now + d, w.seq, f})
}

func (w *world) add(c traits) *node {
	n := &node{w: w, id: len(w.nodes), traits: c, got: make(map[uint32][]byte), bad: make(map[int]int), banned: make(map[int]bool), wakeAt: -1}
	if n.traits.rate == 0 {
		n.traits.rate = 100e6
	}
	if n.traits.latency == 0 {
		n.traits.latency = 5 * time.Millisecond
	}
	n.t = New(Config{Limited: c.limit > 0, Slots: c.slots}, rand.New(rand.NewPCG(w.rng.Uint64(), 2)))
	n.t.Start(epoch)
	have, prio := c.have, c.prio
	if have == nil {
		have = func(int) bool { return c.seed }
	}
	if prio == nil {
		prio = func(int) uint8 { return 2 }
	}
	n.t.SetInfo(w.info, have, prio)
	w.nodes = append(w.nodes, n)
	return n
}

func (n *node) addr() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(n.id >> 8), byte(n.id)}), 7463)
}

// slotFor finds a free slot for a link.
func (n *node) slotFor(l *link) Peer {
	for i := range n.links {
		if n.links[i] == nil {
			n.links[i] = l
			return Peer(i)
		}
	}
	n.links = append(n.links, l)
	return Peer(len(n.links) - 1)
}

func (w *world) connect(a, b *node) {
	fast := !a.traits.noFast && !b.traits.noFast
	ab, ba := &link{to: b, up: true, fast: fast}, &link{to: a, up: true, fast: fast}
	ba.slot, ab.slot = a.slotFor(ab), b.slotFor(ba)
	for _, x := range [2]struct {
		n *node
		l *link
		s Peer
	}{{a, ab, ba.slot}, {b, ba, ab.slot}} {
		var flags uint8
		if fast {
			flags |= Fast
		}
		x.n.in.List = append(x.n.in.List,
			Event{Kind: PeerUp, Peer: x.s, Flags: flags, Addr: x.l.to.addr()},
			Event{Kind: Credit, Peer: x.s, N: 512 << 10}, Event{Kind: GotReqQ, Peer: x.s, N: maxQueue})
		x.n.step()
	}
}

// mesh connects everybody with everybody, in an order drawn by lot.
func (w *world) mesh() {
	var pairs [][2]int
	for i := range w.nodes {
		for j := range i {
			pairs = append(pairs, [2]int{i, j})
		}
	}
	w.rng.Shuffle(len(pairs), func(i, j int) { pairs[i], pairs[j] = pairs[j], pairs[i] })
	for _, p := range pairs {
		w.connect(w.nodes[p[0]], w.nodes[p[1]])
	}
}

// cut ends a connection at both sides.
func (n *node) cut(slot Peer) {
	l := n.links[slot]
	if l == nil || !l.up {
		return
	}
	far, farSlot := l.to, l.slot
	for _, x := range [2]struct {
		n *node
		s Peer
	}{{n, slot}, {far, farSlot}} {
		x.n.links[x.s].up = false
		x.n.w.after(0, func() {
			x.n.asleep = false
			x.n.in.List = append(x.n.in.List, Event{Kind: PeerDown, Peer: x.s})
			x.n.step()
			x.n.links[x.s] = nil
		})
	}
}

// step runs the T on what is in its inbox and does what it says, as the engine does.
func (n *node) step() {
	if n.asleep {
		return
	}
	if n.traits.stalls > 0 && n.w.rng.IntN(200) == 0 {
		n.asleep = true
		n.w.after(time.Duration(n.w.rng.Int64N(int64(n.traits.stalls))), func() { n.asleep = false; n.step() })
		return
	}
	for {
		n.w.steps++
		n.t.Step(epoch.Add(n.w.now), &n.in, &n.out)
		if n.w.steps%n.w.every == 0 {
			n.w.check(n)
		}
		n.perform()
		n.in.Reset()
		n.out.Reset()
		if !n.t.Starved() || !n.tokens() {
			break
		}
	}
	if at := n.t.NextWake(); !at.IsZero() {
		n.wake(max(at.Sub(epoch), n.w.now))
	}
}

func (n *node) wake(at time.Duration) {
	if n.wakeAt >= n.w.now && n.wakeAt <= at {
		return
	}
	n.wakeAt = at
	n.w.after(at-n.w.now, func() {
		if n.wakeAt == at {
			n.wakeAt = -1
			n.event(Event{Kind: Wake, Peer: NoPeer})
		}
	})
}

func (n *node) event(e Event) {
	n.in.List = append(n.in.List, e)
	n.step()
}

// tokens grants what a bucket of 100 ms holds, or comes again in 10 ms.
func (n *node) tokens() bool {
	n.bucket = min(n.bucket+n.traits.limit*(n.w.now-n.filled).Seconds(), max(n.traits.limit/10, 32<<10))
	n.filled = n.w.now
	if k := min(int(n.bucket), 256<<10); k > 0 {
		n.bucket -= float64(k)
		n.in.List = append(n.in.List, Event{Kind: Tokens, Peer: NoPeer, N: uint32(k)})
		return true
	}
	if !n.waiting {
		n.waiting = true
		n.w.after(10*time.Millisecond, func() { n.waiting = false; n.step() })
	}
	return false
}

// reply turns a message that is sent into the event at the other side.
var reply = map[Kind]Kind{
	SendChoke: GotChoke, SendUnchoke: GotUnchoke, SendInterested: GotInterested, SendUninterested: GotUninterested,
	SendHave: GotHave, SendHaveAll: GotHaveAll, SendHaveNone: GotHaveNone, SendBitfield: GotBitfield, SendRequest: GotRequest,
	SendCancel: GotCancel, SendReject: GotReject, SendSuggest: GotSuggest, SendAllowedFast: GotAllowedFast, SendDontHave: GotDontHave,
}

func (n *node) perform() {
	requested := make(map[Peer]bool)
	for i := range n.out.List {
		f := n.out.List[i]
		n.note(&f)
		switch f.Kind {
		case Accept:
			n.accept(&n.in.List[f.Ref])
		case Discard:
			n.dup += int64(n.in.List[f.Ref].N)
		case PieceFull:
			n.verdict(f.P)
		case PieceReset:
			delete(n.got, f.P)
		case Complete:
			if n.done == 0 {
				n.done = max(n.w.now, 1)
			}
		case Close:
			if f.Ban {
				n.ban(n.links[f.Peer].to)
			}
			n.cut(f.Peer)
		case SendBlock:
			n.sendBlock(&f)
		default:
			if f.Kind == SendRequest {
				n.request(&f)
				requested[f.Peer] = true
			}
			n.send(&f)
		}
	}
	for id := range requested {
		if p := n.t.peer(id); p != nil && p.pending() > max(min(p.win.size, p.reqQ), 1) {
			n.w.t.Fatalf("%v: node %d has %d requests at %d with a window of %d", n.w.now, n.id, p.pending(), id, p.win.size)
		}
	}
}

func (n *node) note(f *Effect) {
	var b [40]byte
	binary.LittleEndian.PutUint64(b[:], uint64(n.w.now))
	for i, v := range [...]uint32{uint32(n.id), uint32(f.Kind), uint32(f.Peer), f.P, f.B, f.N, uint32(f.Ref)} {
		binary.LittleEndian.PutUint32(b[8+4*i:], v)
	}
	n.w.trace.Write(b[:])
}

func (n *node) send(f *Effect) {
	kind, ok := reply[f.Kind]
	l := n.links[f.Peer]
	if !ok || !l.up {
		return
	}
	if !l.fast && (f.Kind == SendReject || f.Kind == SendSuggest || f.Kind == SendHaveAll || f.Kind == SendHaveNone || f.Kind == SendAllowedFast) {
		n.w.t.Fatalf("kind %d sent to a peer without BEP 6", f.Kind)
	}
	if f.Kind == SendSuggest && l.to.traits.deaf {
		return
	}
	e := Event{Kind: kind, Peer: l.slot, P: f.P, B: f.B, N: f.N}
	if f.Kind == SendBitfield {
		e.Data = n.t.AppendBitfield(nil)
	}
	back := l.to.links[l.slot]
	n.w.after(n.traits.latency, func() {
		if back.up {
			l.to.event(e)
		}
	})
}

// sendBlock lets the block go through the uplink, then on its way.
func (n *node) sendBlock(f *Effect) {
	l := n.links[f.Peer]
	if !n.t.Have(int(f.P)) {
		n.w.t.Fatalf("node %d sends piece %d, which it lacks", n.id, f.P)
	}
	if !l.up {
		return
	}
	n.sent += int64(f.N)
	n.free = max(n.free, n.w.now) + time.Duration(float64(f.N)/n.traits.rate*1e9)
	e := Event{Kind: GotBlock, Peer: l.slot, P: f.P, B: f.B, N: f.N}
	if n.w.rng.Float64() < n.traits.lies {
		e.When = epoch // marks a lie: swarm does not look at it
	}
	slot, back := f.Peer, l.to.links[l.slot]
	n.w.after(n.free-n.w.now, func() {
		if l.up {
			n.event(Event{Kind: Credit, Peer: slot, N: e.N})
		}
	})
	n.w.after(n.free-n.w.now+n.traits.latency, func() {
		if back.up {
			l.to.event(e)
		}
	})
}

func (n *node) request(f *Effect) {
	n.asked++
	if n.t.Have(int(f.P)) {
		n.w.t.Fatalf("%v: node %d asks for piece %d, which it has", n.w.now, n.id, f.P)
	}
	if p := n.t.peer(f.Peer); !p.has(f.P) || n.links[f.Peer].up && !n.links[f.Peer].to.lost && !n.links[f.Peer].to.t.Have(int(f.P)) {
		n.w.t.Fatalf("%v: node %d asks %d for piece %d, which it lacks", n.w.now, n.id, f.Peer, f.P)
	}
}

// accept keeps a block: 1 for a good one, else 2 + who sent it and a lot.
func (n *node) accept(e *Event) {
	g := n.got[e.P]
	if g == nil {
		g = make([]byte, n.t.blocksOf(e.P))
		n.got[e.P] = g
	}
	b := e.B / blockLen
	if g[b] != 0 {
		n.w.t.Fatalf("%v: node %d accepts block %d of piece %d twice", n.w.now, n.id, b, e.P)
	}
	g[b] = 1
	if !e.When.IsZero() {
		g[b] = byte(2 + n.w.rng.IntN(250))
	}
}

func (n *node) verdict(piece uint32) {
	g := n.got[piece]
	e := Event{Kind: PieceGood, Peer: NoPeer, P: piece}
	for _, v := range g {
		if v == 0 {
			n.w.t.Fatalf("node %d: piece %d is full and lacks a block", n.id, piece)
		}
		if v != 1 {
			e.Kind = PieceBad
		}
		d := [digestLen]byte{v}
		e.Data = append(e.Data, d[:]...)
	}
	if e.Kind == PieceGood && n.traits.noDigest {
		e.Data = nil
	}
	if o := n.t.opened(piece); e.Kind == PieceBad && o != nil {
		for _, s := range o.senders {
			b := s.key.Addr.As4()
			n.bad[int(b[2])<<8|int(b[3])]++
		}
	}
	delete(n.got, piece)
	n.w.after(2*time.Millisecond, func() { n.event(e) })
}

func (n *node) ban(liar *node) {
	if liar.traits.lies == 0 {
		n.w.t.Fatalf("%v: node %d bans %d, which is honest", n.w.now, n.id, liar.id)
	}
	n.banned[liar.id] = true
}

// run goes on until every node is complete; it fails when that takes longer than most.
func (w *world) run(most time.Duration) {
	w.runUntil(most, func() bool {
		for _, n := range w.nodes {
			if n.t.Needed() > 0 {
				return false
			}
		}
		return true
	})
}

func (w *world) runUntil(most time.Duration, done func() bool) {
	w.t.Helper()
	for !done() {
		if len(w.queue) == 0 || w.queue[0].at > most {
			for _, n := range w.nodes {
				if n.t.Needed() > 0 {
					w.t.Logf("node %d: %s", n.id, n.state())
				}
			}
			w.t.Fatalf("not done after %v and %d steps", w.now, w.steps)
		}
		x := heap.Pop(&w.queue).(todo)
		w.now = x.at
		x.do()
	}
	for _, n := range w.nodes {
		w.check(n)
	}
}

func (n *node) state() string {
	s := fmt.Sprintf("needs %d, open %d, free %d, sole %d", n.t.nNeeded, len(n.t.open), n.t.nFree, n.t.nSole)
	for _, id := range n.t.live {
		p := n.t.peers[id]
		s += fmt.Sprintf("; peer %d→%d: pending %d window %d choked %v interested %v useful %d snubbed %v parole %d refused %d queue %d later %d",
			id, n.links[id].to.id, p.pending(), p.win.size, p.choked, p.interested, p.useful, p.snubbed, p.parole, len(p.refused), len(p.queue)-p.qhead, len(p.later))
	}
	return s
}
