package lan

import (
	"net"
	"net/netip"
	"slices"
)

// family is IPv4 or IPv6: each has a group of its own on every link.
type family uint8

const (
	v4 family = iota
	v6
	families
)

// familyOf is the family of an address.
func familyOf(a netip.Addr) family {
	if a.Is4() {
		return v4
	}
	return v6
}

// maxLinks is how many interfaces are used: Linux lets a socket join 20 groups.
const maxLinks = 16

// link is one interface as it stands now: the addresses that we have there, with the
// subnets around them.
type link struct {
	index int
	name  string
	addrs [families][]netip.Prefix // none: the family is not used there
}

// same tells that two looks at an interface saw the same.
func (l link) same(o link) bool {
	return l.index == o.index && l.name == o.name && slices.Equal(l.addrs[v4], o.addrs[v4]) && slices.Equal(l.addrs[v6], o.addrs[v6])
}

// source is the address that packets of a family come from. In IPv6 it is the link-local
// one where there is one: it is on this link for certain, tells nothing about the node
// elsewhere, and outlives a change of provider.
func (l link) source(f family) netip.Addr {
	if len(l.addrs[f]) == 0 {
		return netip.Addr{}
	}
	for _, p := range l.addrs[f] {
		if f == v6 && p.Addr().IsLinkLocalUnicast() {
			return p.Addr()
		}
	}
	return l.addrs[f][0].Addr()
}

// near tells whether an address lies in one of the interface's own subnets.
func (l link) near(a netip.Addr) bool {
	for _, p := range l.addrs[familyOf(a)] {
		if p.Contains(a.WithZone("")) {
			return true
		}
	}
	return false
}

// zoned gives a link-local IPv6 address the interface as its zone, without which nobody
// can dial it.
func (l link) zoned(a netip.Addr) netip.Addr {
	if a = a.WithZone(""); a.Is6() && a.IsLinkLocalUnicast() {
		return a.WithZone(l.name)
	}
	return a
}

// usable tells whether multicast can be sent and heard on an interface. Loopback is not
// a network.
func usable(i net.Interface) bool {
	const want = net.FlagUp | net.FlagMulticast
	return i.Flags&want == want && i.Flags&net.FlagLoopback == 0 && i.Index > 0
}

// look makes links of interfaces. An address that allow forbids for this node is not
// used, and neither is an interface that is left without any.
func look(ifaces []net.Interface, addrs func(net.Interface) ([]netip.Prefix, error), allow func(netip.Addr) bool) []link {
	var out []link
	for _, i := range ifaces {
		if !usable(i) || len(out) == maxLinks {
			continue
		}
		prefixes, err := addrs(i)
		if err != nil {
			continue // gone meanwhile
		}
		l := link{index: i.Index, name: i.Name}
		for _, p := range prefixes {
			p = netip.PrefixFrom(p.Addr().Unmap().WithZone(""), p.Bits())
			a := p.Addr()
			if p.IsValid() && !a.IsLoopback() && !a.IsMulticast() && !a.IsUnspecified() && allow(l.zoned(a)) {
				l.addrs[familyOf(a)] = append(l.addrs[familyOf(a)], p)
			}
		}
		if len(l.addrs[v4])+len(l.addrs[v6]) > 0 {
			out = append(out, l)
		}
	}
	return out
}

// prefixesOf are the addresses of an interface with their subnets.
func prefixesOf(i net.Interface) ([]netip.Prefix, error) {
	addrs, err := i.Addrs()
	if err != nil {
		return nil, err
	}
	var out []netip.Prefix
	for _, a := range addrs {
		n, ok := a.(*net.IPNet)
		if !ok {
			continue
		}
		ip, ok := netip.AddrFromSlice(n.IP)
		if !ok {
			continue
		}
		ones, bits := n.Mask.Size()
		if ip = ip.Unmap(); bits == ip.BitLen() {
			out = append(out, netip.PrefixFrom(ip, ones))
		}
	}
	return out, nil
}
