package candidates

import (
	"cmp"
	"math/bits"
	"net/netip"
	"time"
)

// Near says how near an address is: a class, not a measure, so that what differs by little
// counts as equal and the next rule decides. The zero value is not known.
type Near uint8

// How near an address is without that it was measured.
const (
	NearUnknown Near = iota
	SameMachine      // it leads to this machine
	SameLink         // it is on the same local network
	measured         // a round trip of less than a millisecond; each further class doubles
)

// RoundTrip is the class of a measured round trip; of none it is NearUnknown.
func RoundTrip(d time.Duration) Near {
	if d <= 0 {
		return NearUnknown
	}
	return measured + Near(bits.Len64(uint64(d.Milliseconds())))
}

// nearOf is what an address and its source tell by themselves: what is heard by multicast on
// the link was sent there.
func nearOf(addr netip.AddrPort, source Source) Near {
	switch {
	case addr.Addr().IsLoopback():
		return SameMachine
	case source == FromLAN:
		return SameLink
	}
	return NearUnknown
}

// compare orders the nearer first, the unknown last.
func (n Near) compare(o Near) int { return cmp.Compare(n-1, o-1) }

func nearer(a, b Near) Near {
	if a.compare(b) < 0 {
		return a
	}
	return b
}
