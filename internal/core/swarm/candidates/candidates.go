// Package candidates keeps the addresses that may lead to peers of one share, with when to
// try each: policy without sockets. It never dials, resolves a name or reads a clock, and
// does not judge whether an address may be contacted; that is the scope's (DESIGN.md §4).
package candidates

import (
	"cmp"
	"math"
	"math/rand/v2"
	"net/netip"
	"time"
)

// maxCandidates bounds the list. Limits card: 3,000 addresses a list; more are of no use to
// 200 connections.
const maxCandidates = 2000

type candidate struct {
	addr   netip.AddrPort
	next   time.Duration
	fails  int
	lot    uint32
	source Source
	near   Near
	served bool // bytes of the share came from it
	busy   bool // being dialled, or connected
	again  bool // Hurry called for it meanwhile
}

// List is the list of addresses that may lead to peers of one share, with when to
// try each. It is bounded; when it is full the least promising makes room.
type List struct {
	rng  *rand.Rand
	list []candidate
	at   map[netip.AddrPort]int
	due  time.Duration // before that none is
}

// New makes an empty list.
func New(rng *rand.Rand) *List {
	return &List{rng: rng, at: make(map[netip.AddrPort]int), due: math.MaxInt64}
}

// Len is the number of addresses known.
func (c *List) Len() int { return len(c.list) }

// Add notes an address; now is a time that only grows. It reports whether it is new.
func (c *List) Add(now time.Duration, addr netip.AddrPort, source Source) bool {
	if i, ok := c.at[addr]; ok {
		c.again(&c.list[i], now, source)
		return false
	}
	k := candidate{addr: addr, source: source, next: now, lot: c.rng.Uint32(), near: nearOf(addr, source)}
	if len(c.list) >= maxCandidates && !c.makeRoom(&k) {
		return false
	}
	c.at[addr] = len(c.list)
	c.list = append(c.list, k)
	c.due = min(c.due, now)
	return true
}

// again is told of a candidate that is known. A better source may try it sooner; the same
// one, saying it again, not.
func (c *List) again(k *candidate, now time.Duration, source Source) {
	if source < k.source {
		k.source = source
		k.near = nearer(k.near, nearOf(k.addr, source))
		k.next = min(k.next, now+k.pause())
	}
	if source.given() && !k.busy {
		k.next, k.fails = now, 0 // asked for again: try now
	}
	if !k.busy {
		c.due = min(c.due, k.next)
	}
}

// makeRoom removes a candidate for a new one, and tells whether there is room. It is taken
// from the source that has most in the list, so that no flood of one pushes out what others
// say; of that source the least promising goes, and that may be the new one itself. What a
// person or the link gave makes room only for more of it.
func (c *List) makeRoom(k *candidate) bool {
	var count [numSources]int
	var worst [numSources]int // index of the least promising that is not in use; -1: none
	for s := range worst {
		worst[s] = -1
	}
	for i := range c.list {
		o := &c.list[i]
		count[o.source]++
		if w := worst[o.source]; !o.busy && (w < 0 || c.list[w].before(o)) {
			worst[o.source] = i
		}
	}
	from := k.source
	for s := Source(numSources) - 1; !s.given(); s-- {
		if worst[s] >= 0 && (count[s] > count[from] || from.given()) {
			from = s
		}
	}
	victim := worst[from]
	if victim < 0 || from == k.source && !k.before(&c.list[victim]) {
		return false
	}
	c.remove(victim)
	return true
}

func (c *List) remove(i int) {
	delete(c.at, c.list[i].addr)
	last := len(c.list) - 1
	if i != last {
		c.list[i] = c.list[last]
		c.at[c.list[i].addr] = i
	}
	c.list = c.list[:last]
}

// Next takes the best candidate that is due, for the driver to dial. While none is due it
// costs nothing to ask.
func (c *List) Next(now time.Duration) (netip.AddrPort, Source, bool) { return c.next(now, false) }

// NextKnown is Next among those whose source is Known.
func (c *List) NextKnown(now time.Duration) (netip.AddrPort, Source, bool) { return c.next(now, true) }

func (c *List) next(now time.Duration, known bool) (netip.AddrPort, Source, bool) {
	if now < c.due {
		return netip.AddrPort{}, 0, false
	}
	best, due := -1, time.Duration(math.MaxInt64)
	for i := range c.list {
		k := &c.list[i]
		if k.busy {
			continue
		}
		due = min(due, k.next)
		if k.next <= now && (!known || k.source.Known()) && (best < 0 || k.before(&c.list[best])) {
			best = i
		}
	}
	c.due = due
	if best < 0 {
		return netip.AddrPort{}, 0, false
	}
	k := &c.list[best]
	k.busy = true
	return k.addr, k.source, true
}

// before tells that k promises more than o: it failed less often, a person gave it, it is
// nearer, it was of use before, it is better vouched for; among equals the lot decides, so
// that not all of a swarm run to the same peer.
func (k *candidate) before(o *candidate) bool {
	return cmp.Or(
		cmp.Compare(k.fails, o.fails),
		-compareBool(k.source.given(), o.source.given()),
		k.near.compare(o.near),
		-compareBool(k.served, o.served),
		cmp.Compare(k.source, o.source),
		cmp.Compare(k.lot, o.lot),
	) < 0
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// Done tells how a dial or the connection after it ended: ok when it was of use.
func (c *List) Done(now time.Duration, addr netip.AddrPort, ok bool) {
	i, known := c.at[addr]
	if !known {
		return
	}
	k := &c.list[i]
	k.busy = false
	if ok {
		k.fails = 0
	} else {
		k.fails++
	}
	if most := k.tries(); most > 0 && k.fails >= most {
		c.remove(i)
		return
	}
	d := k.pause()
	k.next = now + d + time.Duration(c.rng.Int64N(int64(d)/4+1))
	if k.again && !ok {
		k.next = now
	}
	k.again = false
	c.due = min(c.due, k.next)
}

// Served notes that bytes of the share came from an address: it is tried earlier than
// others, sooner again, and kept longer.
func (c *List) Served(addr netip.AddrPort) {
	if i, ok := c.at[addr]; ok {
		c.list[i].served = true
	}
}

// SetNear notes how near an address is, instead of what was known of it.
func (c *List) SetNear(addr netip.AddrPort, near Near) {
	if i, ok := c.at[addr]; ok {
		c.list[i].near = near
	}
}

// Forget removes an address for good, such as our own or one that is banned.
func (c *List) Forget(addr netip.AddrPort) {
	if i, ok := c.at[addr]; ok {
		c.remove(i)
	}
}
