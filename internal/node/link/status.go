package link

import (
	"net/netip"

	"shoal/internal/core/metainfo"
	"shoal/internal/core/swarm"
)

// Status is one connected peer of one share at one moment, for people.
type Status struct {
	Addr     netip.AddrPort
	Client   string
	Incoming bool
	Relayed  bool    // another node carries it
	Have     float64 // part of the share that it has, 0 to 1
	In, Out  int64   // bytes of blocks
	InRate   int64   // bytes a second
	OutRate  int64
	Flags    string // see Flags
	Pending  int    // requests outstanding
	Queued   int    // requests of theirs that wait to be served
}

// Status is the peer as it is now and as the swarm sees it; info may be nil. In and Out are
// left to the owner.
func (c *Conn) Status(v swarm.PeerView, info *metainfo.Info) Status {
	p := Status{Addr: c.Addr, Client: c.Client(), Incoming: c.Incoming, Relayed: c.Relayed, InRate: int64(v.DownRate),
		OutRate: int64(v.UpRate), Flags: Flags(v, c.Fast()), Pending: v.Pending, Queued: v.Queued}
	if info != nil && info.NumPieces() > 0 {
		p.Have = float64(v.Have) / float64(info.NumPieces())
	}
	return p
}
