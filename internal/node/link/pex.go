package link

import (
	"net/netip"
	"slices"
	"time"

	"shoal/internal/core/wire"
)

// Peer exchange (BEP 11): once a minute, what is new and what is gone.
const (
	pexInterval = time.Minute
	pexMost     = 50 // addresses of either kind in one message
)

// Exchange is what one peer was told about others, and when it told us. The zero value is
// of a new connection; it is for one goroutine.
type Exchange struct {
	told    map[netip.AddrPort]struct{}
	at, got time.Time
	crowd   int // of those that the peer knows all about
}

// Due tells whether the peer may be told again and there may be news. crowd is a number
// that changes with those who are here; the first is not 0.
func (x *Exchange) Due(now time.Time, crowd int) bool {
	return crowd != x.crowd && now.Sub(x.at) >= pexInterval
}

// Take tells whether a message of the peer's is to be read: not if it sends them more
// often than BEP 11 allows.
func (x *Exchange) Take(now time.Time) bool {
	if now.Sub(x.got) < pexInterval/2 {
		return false
	}
	x.got = now
	return true
}

// Next is what to tell the peer now that these others are there; ok is false if there is
// nothing new. What does not fit follows when Due says so again.
func (x *Exchange) Next(now time.Time, crowd int, others []wire.PEXPeer) (m wire.PEX, ok bool) {
	here := make(map[netip.AddrPort]struct{}, len(others))
	for _, p := range others {
		here[p.Addr] = struct{}{}
	}
	for a := range x.told {
		if _, still := here[a]; !still && len(m.Dropped) < pexMost {
			m.Dropped = append(m.Dropped, a)
		}
	}
	slices.SortFunc(m.Dropped, netip.AddrPort.Compare)
	if x.told == nil {
		x.told = make(map[netip.AddrPort]struct{})
	}
	for _, p := range others {
		if _, told := x.told[p.Addr]; !told && len(m.Added) < pexMost {
			m.Added = append(m.Added, p)
			x.told[p.Addr] = struct{}{}
		}
	}
	for _, a := range m.Dropped {
		delete(x.told, a)
	}
	if len(m.Added) < pexMost && len(m.Dropped) < pexMost {
		x.crowd = crowd
	}
	if len(m.Added)+len(m.Dropped) == 0 {
		return m, false
	}
	x.at = now
	return m, true
}

// Hosts keeps one of several peers at one address, but on loopback, where all are (BEP 11
// "Security Considerations").
func Hosts(added []wire.PEXPeer) (kept []wire.PEXPeer) {
	for _, p := range added {
		same := func(o wire.PEXPeer) bool { return o.Addr.Addr() == p.Addr.Addr() }
		if p.Addr.Addr().IsLoopback() || !slices.ContainsFunc(kept, same) {
			kept = append(kept, p)
		}
	}
	return kept
}

// Client is what the peer calls itself, printable.
func (c *Conn) Client() string {
	if name := c.Ext.Client(); name != "" {
		return name
	}
	return wire.ClientName(c.Theirs.PeerID)
}

// Reachable is the address that others can dial the peer at; invalid if unknown.
func (c *Conn) Reachable() netip.AddrPort {
	switch {
	case c.Dialled.IsValid():
		return c.Dialled
	case c.Overlay():
		return c.Addr
	case c.Ext.Port != 0 && c.Addr.IsValid():
		return netip.AddrPortFrom(c.Addr.Addr(), c.Ext.Port)
	}
	return netip.AddrPort{}
}

// Told is the peer as others are told of it by peer exchange.
func (c *Conn) Told() wire.PEXPeer {
	p := wire.PEXPeer{Addr: c.Reachable()}
	if c.Dialled.IsValid() {
		p.Flags |= wire.PEXReachable
	}
	if c.Ext.UploadOnly {
		p.Flags |= wire.PEXSeed
	}
	return p
}
