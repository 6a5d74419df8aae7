package overlay

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"slices"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"shoal/internal/core/group"
	"shoal/internal/core/ident"
)

// peerID is the NodeID in libp2p's clothes.
func peerID(id ident.NodeID) peer.ID { return peer.ID(id.PeerID()) }

// nodeID is the way back; false for keys of other kinds.
func nodeID(p peer.ID) (ident.NodeID, bool) {
	id, err := ident.ParsePeerID([]byte(p))
	return id, err == nil
}

// Names of transports, as Peer has them.
const (
	TCP   = "tcp"
	QUIC  = "quic"
	Relay = "relay"
)

// way is a multiaddr as far as the house knows them: an address, a transport, and the
// relay that listens there.
type way struct {
	at    netip.AddrPort
	udp   bool
	relay bool
	via   ident.NodeID // of a relayed way, where it is named
}

// parse reads a multiaddr; false for what has no address and port.
func parse(m ma.Multiaddr) (w way, ok bool) {
	var ip netip.Addr
	for _, c := range m {
		raw := c.RawValue()
		switch c.Protocol().Code {
		case ma.P_IP4, ma.P_IP6:
			if !ip.IsValid() {
				ip, _ = netip.AddrFromSlice(raw)
			}
		case ma.P_TCP, ma.P_UDP:
			if ip.IsValid() && !w.at.IsValid() && len(raw) == 2 {
				w.at = netip.AddrPortFrom(ip.Unmap(), binary.BigEndian.Uint16(raw))
				w.udp = c.Protocol().Code == ma.P_UDP
			}
		case ma.P_P2P:
			if !w.relay {
				w.via, _ = nodeID(peer.ID(raw))
			}
		case ma.P_CIRCUIT:
			w.relay = true
		}
	}
	if !w.relay {
		w.via = ident.NodeID{}
	}
	return w, w.at.IsValid()
}

// name is the transport's name.
func (w way) name() string {
	switch {
	case w.relay:
		return Relay
	case w.udp:
		return QUIC
	}
	return TCP
}

// component is one part of a multiaddr that is right by construction.
func component(code int, raw []byte) ma.Component {
	p := ma.ProtocolWithCode(code)
	b := bytes.Clone(p.VCode)
	if p.Size < 0 {
		b = binary.AppendUvarint(b, uint64(len(raw)))
	}
	m, err := ma.NewMultiaddrBytes(append(b, raw...))
	if err != nil {
		panic("overlay: " + err.Error()) // only for lengths that netip and NodeID do not have
	}
	return m[0]
}

// multiaddr writes an address for TCP or QUIC.
func multiaddr(at netip.AddrPort, udp bool) ma.Multiaddr {
	ip := at.Addr().WithZone("").Unmap()
	first := ma.P_IP6
	if ip.Is4() {
		first = ma.P_IP4
	}
	m := ma.Multiaddr{component(first, ip.AsSlice())}
	port := binary.BigEndian.AppendUint16(nil, at.Port())
	if !udp {
		return append(m, component(ma.P_TCP, port))
	}
	return append(m, component(ma.P_UDP, port), component(ma.P_QUIC_V1, nil))
}

// multiaddrs are the ways that an address stands for: TCP and QUIC at one port.
func multiaddrs(a group.Address) []ma.Multiaddr {
	if !usable(a.At) {
		return nil
	}
	ways := []ma.Multiaddr{multiaddr(a.At, false), multiaddr(a.At, true)}
	if a.Via.IsZero() {
		return ways
	}
	for i := range ways {
		ways[i] = append(ways[i], component(ma.P_P2P, a.Via.PeerID()), component(ma.P_CIRCUIT, nil))
	}
	return ways
}

// usable tells that an address may be told to others at all.
func usable(at netip.AddrPort) bool {
	return at.Port() != 0 && at.Addr().IsValid() && !at.Addr().IsUnspecified() && !at.Addr().IsMulticast() &&
		!ident.IsOverlay(at.Addr())
}

// ofListener is the multiaddr that a socket's own address stands for.
func ofListener(a net.Addr) (ma.Multiaddr, bool) {
	switch a := a.(type) {
	case *net.TCPAddr:
		at := a.AddrPort()
		return multiaddr(netip.AddrPortFrom(at.Addr().Unmap(), at.Port()), false), true
	case *net.UDPAddr:
		at := a.AddrPort()
		return multiaddr(netip.AddrPortFrom(at.Addr().Unmap(), at.Port()), true), true
	}
	return nil, false
}

// tell drops what nobody else can use: loopback addresses where there are others, and what
// is not usable.
func tell(all []ma.Multiaddr) []ma.Multiaddr {
	beyond := slices.ContainsFunc(all, func(m ma.Multiaddr) bool {
		w, ok := parse(m)
		return ok && usable(w.at) && !w.at.Addr().IsLoopback()
	})
	return slices.DeleteFunc(all, func(m ma.Multiaddr) bool {
		w, ok := parse(m)
		return !ok || !usable(w.at) || beyond && w.at.Addr().IsLoopback()
	})
}

// public keeps the direct ways that lead through the Internet.
func public(all []ma.Multiaddr) []ma.Multiaddr {
	return slices.DeleteFunc(all, func(m ma.Multiaddr) bool {
		w, ok := parse(m)
		return !ok || w.relay || !usable(w.at) || !manet.IsPublicAddr(m)
	})
}

// Addrs are the addresses to put in a ticket, the best first: those that members have
// found reachable, public ones, those of the local network, then relays.
func (h *Host) Addrs() []group.Address {
	reachable, unreachable, _ := h.host.ConfirmedAddrs()
	all := append(reachable, h.host.Addrs()...)
	if h.seen != nil {
		all = append(all, h.seen.Addrs(1)...)
	}
	if len(unreachable) > 0 {
		all = slices.DeleteFunc(all, func(m ma.Multiaddr) bool { return ma.Contains(unreachable, m) })
	}
	var direct, near, relays []group.Address
	for _, m := range tell(ma.Unique(all)) {
		w, ok := parse(m)
		if !ok {
			continue
		}
		a := group.Address{At: w.at}
		list := &near
		switch {
		case w.relay && w.via.IsZero():
			continue
		case w.relay:
			a.Via, list = w.via, &relays
		case manet.IsPublicAddr(m):
			list = &direct
		}
		if !slices.Contains(*list, a) {
			*list = append(*list, a)
		}
	}
	return slices.Concat(direct, near, relays)
}
