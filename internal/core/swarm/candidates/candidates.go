// Package candidates keeps the addresses that may lead to peers of one share, with when to
// try each: policy without sockets. It never dials, resolves a name or reads a clock, and
// does not judge whether an address may be contacted; that is the scope's (DESIGN.md §4).
package candidates

import (
	"math/rand/v2"
	"net/netip"
	"time"
)

// Bounds of the list of candidates.
const (
	maxCandidates   = 2000        // limits card: 3,000 addresses a list; more are of no use to 200 connections
	personRetry     = time.Second // a person's peer may be starting just now
	otherRetry      = time.Minute // strangers' addresses: at most two tries in ten minutes at first (security.md T09)
	personRetries   = 30 * time.Second
	maxRetry        = time.Hour
	maxFailureTries = 6 // after so many a stranger's address is forgotten
)

type candidate struct {
	addr   netip.AddrPort
	source Source
	fails  int
	next   time.Duration
	busy   bool // being dialled, or connected
	lot    uint32
}

// List is the list of addresses that may lead to peers of one share, with when to
// try each. It is bounded; when it is full the least promising makes room.
type List struct {
	rng  *rand.Rand
	list []candidate
	at   map[netip.AddrPort]int
}

// New makes an empty list.
func New(rng *rand.Rand) *List {
	return &List{rng: rng, at: make(map[netip.AddrPort]int)}
}

// Len is the number of addresses known.
func (c *List) Len() int { return len(c.list) }

// Add notes an address; now is a time that only grows. It reports whether it is new.
func (c *List) Add(now time.Duration, addr netip.AddrPort, source Source) bool {
	if i, ok := c.at[addr]; ok {
		k := &c.list[i]
		if source < k.source {
			k.source = source
		}
		if source <= FromLink && !k.busy {
			k.next, k.fails = now, 0 // asked for again: try now
		}
		return false
	}
	if len(c.list) >= maxCandidates && !c.evict(source) {
		return false
	}
	c.at[addr] = len(c.list)
	c.list = append(c.list, candidate{addr: addr, source: source, next: now, lot: c.rng.Uint32()})
	return true
}

// evict removes the least promising candidate that is not better than the source.
func (c *List) evict(source Source) bool {
	worst := -1
	for i := range c.list {
		k := &c.list[i]
		if k.busy || k.source < source {
			continue
		}
		if worst < 0 || k.fails > c.list[worst].fails {
			worst = i
		}
	}
	if worst < 0 {
		return false
	}
	c.remove(worst)
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

// Next takes the best candidate that is due, for the driver to dial.
func (c *List) Next(now time.Duration) (netip.AddrPort, Source, bool) {
	best := -1
	for i := range c.list {
		k := &c.list[i]
		if k.busy || k.next > now {
			continue
		}
		if best < 0 || k.before(&c.list[best]) {
			best = i
		}
	}
	if best < 0 {
		return netip.AddrPort{}, 0, false
	}
	k := &c.list[best]
	k.busy = true
	return k.addr, k.source, true
}

func (k *candidate) before(o *candidate) bool {
	if k.fails != o.fails {
		return k.fails < o.fails
	}
	if k.source != o.source {
		return k.source < o.source
	}
	return k.lot < o.lot
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
	if k.source > FromLink && k.fails >= maxFailureTries {
		c.remove(i)
		return
	}
	base, most := otherRetry, maxRetry
	if k.source <= FromLink {
		base, most = personRetry, personRetries
	}
	d := min(base<<min(k.fails, 10), most)
	k.next = now + d + time.Duration(c.rng.Int64N(int64(d)/4+1))
}

// Forget removes an address for good, such as our own or one that is banned.
func (c *List) Forget(addr netip.AddrPort) {
	if i, ok := c.at[addr]; ok {
		c.remove(i)
	}
}
