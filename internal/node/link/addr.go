package link

import (
	"net"
	"net/netip"

	"shoal/internal/core/ident"
)

// AddrOf is the address of a TCP or overlay peer, in its short form; of others the zero value.
func AddrOf(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		ap := t.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}

// Proven tells that the peer is who its address says, where that is one of the overlay: the
// carrier is the overlay, which gives both ends such an address. Over TCP anybody may come
// from any address, and whoever gives out addresses on the local network even to one of ours
// that looks so.
func Proven(nc net.Conn) bool {
	if !ident.IsOverlay(AddrOf(nc.RemoteAddr()).Addr()) {
		return true
	}
	_, carried := nc.(carrier)
	return carried && ident.IsOverlay(AddrOf(nc.LocalAddr()).Addr())
}

// carrier is what streams of the overlay are, and no other connection is: it names the
// transport, and the relay if there is one.
type carrier interface {
	Via() (transport string, relay ident.NodeID)
}

// Overlay tells that the connection is one of the overlay, whose address proves who the peer
// is.
func (c *Conn) Overlay() bool { return ident.IsOverlay(c.Addr.Addr()) }

// relayed tells that a carrier says so: it names the relay.
func relayed(nc net.Conn) bool {
	v, ok := nc.(carrier)
	if !ok {
		return false
	}
	_, relay := v.Via()
	return !relay.IsZero()
}
