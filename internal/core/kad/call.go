package kad

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"shoal/internal/core/kad/krpc"
)

// never is a time that doesn't come.
const never = time.Duration(1<<63 - 1)

// Bounds of a time-out. Until enough round trips are known it is firstDue.
const (
	firstSlow = 400 * time.Millisecond
	firstDue  = time.Second
	leastDue  = 50 * time.Millisecond
	mostDue   = 5 * time.Second
	lingering = 10 * time.Second // longest that a late answer is waited for
)

// purpose is what a query was sent for.
type purpose uint8

const (
	forTable  purpose = iota // to see whether the node lives, or for the nodes it names
	forSearch                // a step of a search
	forStore                 // its end: an announcement or an item
)

// call is a query that is out.
type call struct {
	used, slow, lost bool
	purpose          purpose
	path, round      uint8
	tag              uint16 // drawn: who cannot see our queries cannot answer them
	node             krpc.Node
	sent, next       time.Duration // next is when the following of slow, due and end is to happen
	due, end         time.Duration
	search           *lookup
}

// current tells whether a search still waits for the query.
func (x *call) current() bool {
	return x.search != nil && !x.search.over && x.search.round == x.round
}

// calls are the queries out, and what their round trips teach.
type calls struct {
	list  []call
	free  []uint16
	used  int
	wake  time.Duration
	trips [64]uint16 // the last round trips in ms
	seen  int        // round trips measured
	p50   time.Duration
	p75   time.Duration
	p90   time.Duration
}

func (c *calls) at() time.Duration {
	if c.used == 0 {
		return never
	}
	return c.wake
}

// awaits tells whether an answer from the address is waited for.
func (c *calls) awaits(a netip.AddrPort) bool {
	for i := range c.list {
		if c.list[i].used && c.list[i].node.Addr == a {
			return true
		}
	}
	return false
}

// learn takes a round trip.
func (c *calls) learn(rtt time.Duration) {
	c.trips[c.seen%len(c.trips)] = uint16(min(rtt.Milliseconds(), 30_000))
	c.seen++
	if c.seen > len(c.trips) && c.seen%8 != 0 {
		return
	}
	sorted := c.trips
	n := min(c.seen, len(sorted))
	slices.Sort(sorted[:n])
	at := func(percent int) time.Duration {
		return time.Duration(sorted[min(n*percent/100, n-1)]+1) * time.Millisecond
	}
	c.p50, c.p75, c.p90 = at(50), at(75), at(90)
}

// timeouts are when a query to a node is slow and when it counts as lost: by the node's own round trips if it has any,
// else by those of all.
func (c *calls) timeouts(n *node) (slow, due time.Duration) {
	switch {
	case n != nil && n.srtt > 0:
		slow = time.Duration(n.srtt+n.rttvar) * time.Millisecond
		due = time.Duration(int(n.srtt)+4*int(n.rttvar)) * time.Millisecond
	case c.seen >= 8:
		slow, due = max(c.p75, c.p50*5/4), max(c.p90, c.p50*3/2)
	default:
		slow, due = firstSlow, firstDue
	}
	due = min(max(due, leastDue), mostDue)
	return min(max(slow, leastDue), due), due
}

// open finds room for a query to a node. The address must be one that takes allows.
func (t *T) open(to krpc.Node, what purpose) (*call, bool) {
	c := &t.calls
	if len(c.free) == 0 {
		if len(c.list) >= maxCalls {
			return nil, false
		}
		c.free = append(c.free, uint16(len(c.list)))
		c.list = append(c.list, call{})
	}
	slot := c.free[len(c.free)-1]
	c.free = c.free[:len(c.free)-1]
	var known *node
	if net := t.net(to.Addr.Addr()); !to.ID.IsZero() {
		if known = net.find(to.ID); known != nil {
			known.checked = inSeconds(t.now)
		}
	}
	slow, due := c.timeouts(known)
	x := &c.list[slot]
	*x = call{used: true, purpose: what, tag: uint16(t.rng.Uint32()), node: to, sent: t.now, next: t.now + slow,
		due: t.now + due, end: t.now + min(max(4*due, time.Second), lingering)}
	if c.used++; c.used == 1 || x.next < c.wake {
		c.wake = x.next
	}
	binary.BigEndian.PutUint16(t.tid[:], slot)
	binary.BigEndian.PutUint16(t.tid[2:], x.tag)
	t.msg.Reset()
	t.msg.Kind, t.msg.ID, t.msg.ReadOnly, t.msg.Version = krpc.Query, t.id, t.cfg.ReadOnly, t.cfg.Version
	t.msg.TID = t.tid[:]
	t.Counted.Asked++
	return x, true
}

// expireCalls looks for queries that are slow, lost or too old to be answered.
func (t *T) expireCalls() {
	t.calls.wake = never
	for i := range t.calls.list {
		x := &t.calls.list[i]
		if !x.used {
			continue
		}
		if t.now >= x.next && !x.slow {
			x.slow, x.next = true, x.due
			t.slowed(x)
		}
		if t.now >= x.next && !x.lost {
			x.lost, x.next = true, x.end
			t.lost(x)
		}
		if t.now >= x.next {
			t.release(i)
			continue
		}
		t.calls.wake = min(t.calls.wake, x.next)
	}
}

// release ends a query's time.
func (t *T) release(slot int) {
	t.calls.list[slot] = call{}
	t.calls.free = append(t.calls.free, uint16(slot))
	t.calls.used--
	t.dirty, t.full = t.dirty || t.full, false
}

// slowed lets the search go on without waiting.
func (t *T) slowed(x *call) {
	if x.purpose == forSearch && x.current() {
		x.search.slowed(x)
		t.mark(x.search)
	}
}

// lost is called when an answer is overdue.
func (t *T) lost(x *call) {
	t.Counted.Lost++
	t.silent(x.node, x.sent)
	if x.current() {
		x.search.lost(x)
		t.mark(x.search)
	}
}

// silent counts against a node that it didn't answer. It is asked once more soon; one that stays silent makes room for
// another, and is dropped when others have answered since it was asked: else it may be our own line.
func (t *T) silent(n krpc.Node, asked time.Duration) {
	net := t.net(n.Addr.Addr())
	b := net.bucket(n.ID)
	x := findNode(b.nodes, n.ID)
	if x == nil || x.Addr != n.Addr {
		b.uncache(n)
		return
	}
	x.fails = min(x.fails+1, 100)
	if x.fails >= 3 && t.lastAnswer > asked {
		net.drop(n.ID)
	} else if x.fails <= 2 {
		t.check(n)
	}
	if x.fails >= 2 && len(b.cache) > 0 {
		t.check(b.cache[len(b.cache)-1].Node)
	}
}

// answered takes an answer or an error apart.
func (t *T) answered(from netip.AddrPort) {
	m := &t.in
	if len(m.TID) != 4 {
		t.Counted.Refused++
		return
	}
	slot := int(binary.BigEndian.Uint16(m.TID))
	if slot >= len(t.calls.list) || !t.calls.list[slot].used || t.calls.list[slot].tag != binary.BigEndian.Uint16(m.TID[2:]) ||
		t.calls.list[slot].node.Addr != from {
		t.Counted.Refused++
		return
	}
	x := t.calls.list[slot]
	t.release(slot)
	rtt := t.now - x.sent
	t.calls.learn(rtt)
	if t.lastAnswer+2*feelGap < t.now {
		t.mended()
	}
	t.lastAnswer = t.now
	t.guard.prove(from.Addr(), t.now)
	if m.IP.IsValid() {
		t.vote(from, m.IP)
	}
	if m.Kind == krpc.Error {
		t.Counted.Errors++
		t.refused(&x)
		return
	}
	t.Counted.Answers++
	if m.ID == t.id || !x.node.ID.IsZero() && m.ID != x.node.ID {
		t.net(from.Addr()).forget(from) // another node has its place, or it doesn't know who it is
		t.refused(&x)
		return
	}
	n := krpc.Node{ID: m.ID, Addr: from}
	t.heard(n, rtt)
	net := t.net(from.Addr())
	t.leak(net)
	if x.current() {
		t.took(&x, n)
	} else if x.purpose == forTable {
		t.learnContacts(net)
	}
}

// refused ends a query that was answered with nothing of use.
func (t *T) refused(x *call) {
	if x.current() {
		x.search.refused(x)
		t.mark(x.search)
	}
}

// heard takes a node that answered.
func (t *T) heard(n krpc.Node, rtt time.Duration) {
	net := t.net(n.Addr.Addr())
	first := net.size == 0
	if t.spared(n.Addr) {
		net.bucket(n.ID).uncache(n)
		return
	}
	if !net.add(n, rtt) {
		t.replace(net, n.ID)
		return
	}
	b := net.bucket(n.ID)
	b.due = max(b.due, t.now+questionable)
	if first {
		net.selfAt, net.thin = 0, 0
		t.choreAt = 0
		t.retry = retryFirst
	}
}

// replace asks the bucket's oldest node whether it still lives, if it hasn't been heard for long: only its silence makes
// room (BEP 5 "Routing Table").
func (t *T) replace(net *table, id krpc.ID) {
	b := net.bucket(id)
	var oldest *node
	for i := range b.nodes {
		if x := &b.nodes[i]; oldest == nil || x.heard < oldest.heard {
			oldest = x
		}
	}
	if oldest == nil || t.now < time.Duration(oldest.heard)*time.Second+questionable ||
		t.now < time.Duration(oldest.checked)*time.Second+time.Minute {
		return
	}
	t.check(oldest.Node)
}
