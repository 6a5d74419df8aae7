package candidates

import (
	"net/netip"
	"time"
)

// Keep forgets all addresses but those that keep calls for, also such as are being dialled.
func (c *List) Keep(keep func(netip.AddrPort, Source) bool) {
	for i := len(c.list) - 1; i >= 0; i-- {
		if !keep(c.list[i].addr, c.list[i].source) {
			c.remove(i)
		}
	}
}

// Hurry makes the best of those that wait and that which calls for due now, at most so many:
// the network is back, or a member is. Their failures count on. What is being dialled is due
// again as soon as that has failed, for it began before. It returns how many are due.
func (c *List) Hurry(now time.Duration, most int, which func(netip.AddrPort, Source) bool) int {
	for i := range c.list {
		k := &c.list[i]
		k.again = k.again || k.busy && which(k.addr, k.source)
	}
	for n := range most {
		best := -1
		for i := range c.list {
			k := &c.list[i]
			if !k.busy && k.next > now && (best < 0 || k.before(&c.list[best])) && which(k.addr, k.source) {
				best = i
			}
		}
		if best < 0 {
			return n
		}
		c.list[best].next, c.due = now, min(c.due, now)
	}
	return max(most, 0)
}
