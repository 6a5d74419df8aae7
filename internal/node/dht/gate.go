package dht

import (
	"hash/maphash"
	"net/netip"
	"time"
)

// Limits of one source, far above what an honest node sends: core/kad stops answering at
// five queries a second already. The gate is there to make dropping cheap.
const (
	gateRate  = 50  // datagrams a second
	gateBurst = 200 // at once
	gateSlots = 4096
)

// gate bounds what one source may bring before anything is done with it. Sources are kept
// apart by a keyed hash, so nobody can choose whom to share a slot with; a node that shares
// a flood's slot by chance (1 in 4,096) suffers with it.
type gate struct {
	seed    maphash.Seed
	slots   []slot
	dropped int64
}

type slot struct {
	level float32 // datagrams, as of at
	at    uint32  // ms
}

func newGate() *gate { return &gate{seed: maphash.MakeSeed(), slots: make([]slot, gateSlots)} }

// admit counts a datagram and tells whether it may go on. since is the time since the start.
func (g *gate) admit(from netip.Addr, since time.Duration) bool {
	s := &g.slots[maphash.Comparable(g.seed, source(from))%gateSlots]
	now := uint32(since.Milliseconds())
	s.level = max(0, s.level-gateRate*float32(now-s.at)/1000)
	s.at = now
	if s.level+1 > gateBurst {
		g.dropped++
		return false
	}
	s.level++
	return true
}

// source is what counts as one: an address of IPv4, or a /64 of IPv6.
func source(a netip.Addr) [8]byte {
	if a = a.Unmap(); a.Is4() {
		b := a.As4()
		return [8]byte{4: b[0], 5: b[1], 6: b[2], 7: b[3]}
	}
	b := a.As16()
	return [8]byte(b[:8])
}
