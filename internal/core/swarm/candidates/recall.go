package candidates

import (
	"net/netip"
	"slices"
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

// Hurry makes the best of those that wait due now: the way to them may be open again. It
// makes at most so many due, and returns how many.
func (c *List) Hurry(now time.Duration, most int) int {
	var waiting []*candidate
	for i := range c.list {
		if k := &c.list[i]; !k.busy && k.next > now {
			waiting = append(waiting, k)
		}
	}
	slices.SortFunc(waiting, func(a, b *candidate) int {
		if a.before(b) {
			return -1
		}
		return 1
	})
	waiting = waiting[:min(most, len(waiting))]
	for _, k := range waiting {
		k.next = now
	}
	return len(waiting)
}
