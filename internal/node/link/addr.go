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
// overlay gives both ends such an address. Over TCP anybody may come from any address, but
// arrives at one of ours.
func Proven(nc net.Conn) bool {
	return !ident.IsOverlay(AddrOf(nc.RemoteAddr()).Addr()) || ident.IsOverlay(AddrOf(nc.LocalAddr()).Addr())
}

// Overlay tells that the connection is one of the overlay, whose address proves who the peer
// is.
func (c *Conn) Overlay() bool { return ident.IsOverlay(c.Addr.Addr()) }

// relayed tells that a carrier says so: it names the relay.
func relayed(nc net.Conn) bool {
	v, ok := nc.(interface{ Via() (string, ident.NodeID) })
	if !ok {
		return false
	}
	_, relay := v.Via()
	return !relay.IsZero()
}
