package candidates

import "net/netip"

// Keep forgets all addresses but those that keep calls for, also such as are being dialled.
func (c *List) Keep(keep func(netip.AddrPort, Source) bool) {
	for i := len(c.list) - 1; i >= 0; i-- {
		if !keep(c.list[i].addr, c.list[i].source) {
			c.remove(i)
		}
	}
}
