package link

import (
	"bytes"
	"time"

	"shoal/internal/core/wire"
)

// atOnce is how long two connections count as opened at the same time: what a handshake may
// take. Over the overlay what comes later than crossing did not cross the other on its way.
const (
	atOnce   = 10 * time.Second
	crossing = 3 * time.Second
)

// Twin tells that both lead to one peer, or to one address where each counts once (onePerIP,
// but not for loopback). Over the overlay an address is a peer. What calls itself the same on
// either carrier is taken for one peer too, unless the overlay's way is relayed: then it
// shows which is better.
func (c *Conn) Twin(o *Conn, onePerIP bool) bool {
	named := o.Theirs.PeerID == c.Theirs.PeerID
	switch {
	case c.Overlay() != o.Overlay():
		return named && !c.Relayed && !o.Relayed
	case c.Overlay():
		return o.Addr.Addr() == c.Addr.Addr()
	}
	same := named || onePerIP && c.Addr.IsValid() && !c.Addr.Addr().IsLoopback()
	return same && o.Addr.Addr() == c.Addr.Addr()
}

// Supersedes tells whether c, the later of two twins, stays. ours is what we call ourselves.
//
// Anybody can take another's name on TCP: that never displaces the overlay. A peer of the
// overlay that comes again has lost the connection before. Of two that were opened at once,
// one from either side, both sides must choose the same, and do when both are of our kind.
func (c *Conn) Supersedes(o *Conn, ours wire.PeerID) bool {
	theirs := c.Theirs.PeerID
	switch {
	case c.Overlay() != o.Overlay():
		return c.Overlay()
	case c.Overlay() && (o.Incoming == c.Incoming || o.Theirs.PeerID != theirs || time.Since(o.Since) >= crossing):
		return true
	}
	return o.Theirs.PeerID == theirs && bytes.HasPrefix(theirs[:], []byte(wire.PeerIDPrefix)) &&
		o.Incoming != c.Incoming && time.Since(o.Since) < atOnce && c.Incoming == (bytes.Compare(theirs[:], ours[:]) < 0)
}
