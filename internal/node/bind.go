package node

import (
	"net"
	"net/netip"

	"shoal/internal/door/api"
)

// ParseBind reads --bind: an address of this machine or an interface's name. It
// fails closed: an interface that is not there or has no address is an error,
// never "any address".
func ParseBind(s string) (Bind, error) {
	if s == "" {
		return Bind{}, nil
	}
	if a, err := netip.ParseAddr(s); err == nil {
		return bindAddr(s, a)
	}
	b := Bind{Iface: s}
	return b, b.Refresh()
}

func bindAddr(s string, a netip.Addr) (Bind, error) {
	a = a.Unmap()
	if a.IsUnspecified() || a.IsMulticast() {
		return Bind{}, api.Errorf(api.Invalid, s, "--bind needs an address of this machine or an interface")
	}
	if a.IsLoopback() {
		return Bind{Addrs: []netip.Addr{a}}, nil // all of 127.0.0.0/8 is ours
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return Bind{}, api.Errorf(api.Internal, s, "the addresses of this machine cannot be listed: %w", err)
	}
	for _, have := range fromNetAddrs(addrs, "") {
		if have.WithZone("") == a.WithZone("") {
			return Bind{Addrs: []netip.Addr{a}}, nil
		}
	}
	return Bind{}, api.Errorf(api.Refused, s, "this machine has no such address, so nothing is bound").
		Try("give --bind one of its addresses or interfaces")
}

// Refresh reads an interface's addresses anew, as they may change. An interface
// that is gone leaves no address, and an error of the kind api.Refused.
func (b *Bind) Refresh() error {
	if b.Iface == "" {
		return nil
	}
	b.Addrs = nil
	iface, err := net.InterfaceByName(b.Iface)
	if err != nil {
		return api.Errorf(api.Refused, b.Iface, "there is no such interface or address, so nothing is bound").
			Try("give --bind an address of this machine or the name of an interface")
	}
	addrs, err := iface.Addrs()
	if err != nil {
		return api.Errorf(api.Refused, b.Iface, "the addresses of the interface cannot be read: %w", err)
	}
	if b.Addrs = fromNetAddrs(addrs, b.Iface); len(b.Addrs) == 0 {
		return api.Errorf(api.Refused, b.Iface, "the interface has no address, so nothing is bound")
	}
	return nil
}

// fromNetAddrs turns what package net lists into addresses; link-local IPv6
// ones get the zone.
func fromNetAddrs(list []net.Addr, zone string) []netip.Addr {
	var out []netip.Addr
	for _, n := range list {
		p, err := netip.ParsePrefix(n.String())
		if err != nil {
			continue
		}
		a := p.Addr().Unmap()
		if zone != "" && a.Is6() && a.IsLinkLocalUnicast() {
			a = a.WithZone(zone)
		}
		out = append(out, a)
	}
	return out
}

// ListenAddrs are the addresses to listen on: those of the bind, else both
// loopback addresses in scope loopback, else every address of the machine. An
// address of the bind that the scope does not hold is left out; if none is left
// that is an error.
func ListenAddrs(s Scope, b Bind) ([]netip.Addr, error) {
	if !b.Set() {
		if s == Loopback {
			return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}, nil
		}
		return []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}, nil
	}
	var out []netip.Addr
	for _, a := range b.Addrs {
		if s == Internet || s.AllowFrom(netip.AddrPortFrom(a, 1), FromPerson) == nil {
			out = append(out, a)
		}
	}
	if len(out) == 0 {
		return nil, api.Errorf(api.Refused, b.String(), "no address of this bind lies in scope %s", s).
			Try("choose another --bind or --scope")
	}
	return out, nil
}

// DialFrom is the local address to dial a peer from: the zero Addr for "any", an
// error if the bind has no address of the peer's family.
func (b Bind) DialFrom(peer netip.Addr) (netip.Addr, error) {
	if !b.Set() {
		return netip.Addr{}, nil
	}
	peer = peer.Unmap()
	for _, a := range b.Addrs {
		if a.Is4() == peer.Is4() && a.IsLinkLocalUnicast() == peer.IsLinkLocalUnicast() {
			return a, nil
		}
	}
	for _, a := range b.Addrs {
		if a.Is4() == peer.Is4() {
			return a, nil
		}
	}
	return netip.Addr{}, api.Errorf(api.OutOfScope, peer.String(), "the bind %s has no address to reach it from", b)
}
