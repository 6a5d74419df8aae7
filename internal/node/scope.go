package node

import (
	"fmt"
	"net/netip"
	"strings"

	"shoal/internal/core/ident"
	"shoal/internal/door/api"
)

// Scope is how far the node may reach. It holds for dialling, answering and
// everything that metainfo, trackers, web seeds, peer exchange and the DHT name.
type Scope uint8

// The scopes of DESIGN.md §4.
const (
	Internet Scope = iota // all but special ranges
	LAN                   // loopback, link-local and private ranges
	Loopback              // 127.0.0.0/8 and ::1
)

var scopeNames = [...]string{Internet: "internet", LAN: "lan", Loopback: "loopback"}

func (s Scope) String() string {
	if int(s) < len(scopeNames) {
		return scopeNames[s]
	}
	return fmt.Sprintf("scope(%d)", uint8(s))
}

// ParseScope reads loopback, lan or internet.
func ParseScope(s string) (Scope, error) {
	for i, name := range scopeNames {
		if s == name {
			return Scope(i), nil
		}
	}
	return 0, api.Errorf(api.Invalid, s, "this is not a scope").Try("write loopback, lan or internet")
}

// UnmarshalText reads a scope from the configuration.
func (s *Scope) UnmarshalText(b []byte) (err error) {
	*s, err = ParseScope(string(b))
	return err
}

// MarshalText writes a scope as the configuration has it.
func (s Scope) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Multicast says whether multicast may be sent and listened to.
func (s Scope) Multicast() bool { return s == LAN || s == Internet }

// PortMapping says whether the router may be asked for a port.
func (s Scope) PortMapping() bool { return s == Internet }

// Elsewhere says whether names may be resolved and bootstrap nodes and trackers
// outside the local network be asked.
func (s Scope) Elsewhere() bool { return s == Internet }

// PerIPLimits says whether limits for each address hold: on loopback everyone
// has the same one.
func (s Scope) PerIPLimits() bool { return s != Loopback }

// Learnt says where an address was learnt, which decides whether a private one
// is believed.
type Learnt uint8

// Where an address may come from.
const (
	FromStranger Learnt = iota // metainfo, tracker, peer exchange, DHT, web seed, a link
	FromNear                   // the local network (discovery, an incoming connection) or a member
	FromPerson                 // typed by the person: --peer, connect
)

// Allow says why an address that a stranger named must not be contacted or
// answered in this scope; nil if it may.
func (s Scope) Allow(a netip.AddrPort) error { return s.AllowFrom(a, FromStranger) }

// AllowFrom is Allow for an address that was learnt in a certain way. In scope
// internet a private address is allowed if it was learnt nearby or typed, a
// loopback one only if it was typed; in the other scopes it makes no difference.
func (s Scope) AllowFrom(a netip.AddrPort, from Learnt) error {
	if a.Port() == 0 {
		return refusedAddr(a, s, "port 0")
	}
	c := classify(a.Addr())
	ok := false
	switch s {
	case Loopback:
		ok = c == classLoopback
	case LAN:
		ok = c == classLoopback || c == classLinkLocal || c == classPrivate
	case Internet:
		switch c {
		case classPublic:
			ok = true
		case classPrivate, classLinkLocal, classCarrier:
			ok = from != FromStranger
		case classLoopback:
			ok = from == FromPerson
		}
	}
	if !ok {
		return refusedAddr(a, s, c.String())
	}
	return nil
}

func refusedAddr(a netip.AddrPort, s Scope, why string) error {
	return &api.Error{Kind: api.OutOfScope, Subject: a.String(), Reason: why + " address, not allowed in scope " + s.String()}
}

// class is what sort of address this is.
type class uint8

const (
	classSpecial   class = iota // never contacted: documentation, benchmarks, reserved, malformed
	classPublic                 // globally reachable
	classPrivate                // RFC 1918, RFC 4193
	classLinkLocal              // RFC 3927, fe80::/10
	classCarrier                // RFC 6598, a carrier's own network
	classLoopback
	classMulticast
	classUnspecified
)

var classNames = [...]string{"special", "public", "private", "link-local", "carrier", "loopback", "multicast", "unspecified"}

func (c class) String() string { return classNames[c] }

// ranges are the IANA special-purpose registries for IPv4 and IPv6, those that
// are not globally reachable. The first that holds an address decides.
var ranges = []struct {
	prefix netip.Prefix
	class  class
}{
	{netip.MustParsePrefix("0.0.0.0/32"), classUnspecified},
	{netip.MustParsePrefix("0.0.0.0/8"), classSpecial},        // RFC 791 "this network"
	{netip.MustParsePrefix("10.0.0.0/8"), classPrivate},       // RFC 1918
	{netip.MustParsePrefix("100.64.0.0/10"), classCarrier},    // RFC 6598
	{netip.MustParsePrefix("127.0.0.0/8"), classLoopback},     // RFC 1122
	{netip.MustParsePrefix("169.254.0.0/16"), classLinkLocal}, // RFC 3927
	{netip.MustParsePrefix("172.16.0.0/12"), classPrivate},    // RFC 1918
	{netip.MustParsePrefix("192.0.0.0/24"), classSpecial},     // RFC 6890
	{netip.MustParsePrefix("192.0.2.0/24"), classSpecial},     // RFC 5737 documentation
	{netip.MustParsePrefix("192.88.99.0/24"), classSpecial},   // RFC 7526, was 6to4 relays
	{netip.MustParsePrefix("192.168.0.0/16"), classPrivate},   // RFC 1918
	{netip.MustParsePrefix("198.18.0.0/15"), classSpecial},    // RFC 2544 benchmarks
	{netip.MustParsePrefix("198.51.100.0/24"), classSpecial},  // RFC 5737 documentation
	{netip.MustParsePrefix("203.0.113.0/24"), classSpecial},   // RFC 5737 documentation
	{netip.MustParsePrefix("224.0.0.0/4"), classMulticast},    // RFC 1112
	{netip.MustParsePrefix("240.0.0.0/4"), classSpecial},      // RFC 1112 reserved, and broadcast
	{netip.MustParsePrefix("0.0.0.0/0"), classPublic},

	{netip.MustParsePrefix("::/128"), classUnspecified},
	{netip.MustParsePrefix("::1/128"), classLoopback},
	{ident.OverlayNet, classSpecial},                     // nobody listens there
	{netip.MustParsePrefix("fc00::/7"), classPrivate},    // RFC 4193
	{netip.MustParsePrefix("fe80::/10"), classLinkLocal}, // RFC 4291
	{netip.MustParsePrefix("ff00::/8"), classMulticast},  // RFC 4291
	{netip.MustParsePrefix("2001::/23"), classSpecial},   // RFC 2928: Teredo, ORCHID, benchmarks
	{netip.MustParsePrefix("2001:db8::/32"), classSpecial},
	{netip.MustParsePrefix("2002::/16"), classSpecial}, // RFC 7526, was 6to4: may hold any IPv4
	{netip.MustParsePrefix("3fff::/20"), classSpecial}, // RFC 9637 documentation
	{netip.MustParsePrefix("2000::/3"), classPublic},   // RFC 4291: all that is assigned for global use
	{netip.MustParsePrefix("::/0"), classSpecial},      // the rest: discard, local NAT64, SRv6, site-local, unassigned
}

// nat64 is the well-known prefix of RFC 6052; the last four bytes are an IPv4
// address, and that is judged.
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// classify sorts an address. An IPv4 address in IPv6 clothes (::ffff:a.b.c.d, or
// the NAT64 prefix) is judged as what it is. A zone is allowed on link-local
// addresses only.
func classify(a netip.Addr) class {
	zone := a.Zone() != ""
	a = a.WithZone("")
	if a.Is4In6() {
		a = a.Unmap()
	}
	if nat64.Contains(a) {
		b := a.As16()
		if c := classify(netip.AddrFrom4([4]byte(b[12:]))); c != classPublic {
			return classSpecial // RFC 6052 §3.1 forbids it
		}
		a = netip.AddrFrom4([4]byte(b[12:]))
	}
	for _, r := range ranges {
		if r.prefix.Contains(a) {
			if zone && (r.class != classLinkLocal || a.Is4()) {
				return classSpecial
			}
			return r.class
		}
	}
	return classSpecial // the zero Addr
}

// Bind narrows where the node listens and what it dials from: to one address,
// or to the addresses of one interface. The zero Bind narrows nothing.
type Bind struct {
	Iface string // interface name, or ""
	Addrs []netip.Addr
}

// String is the flag that gives this Bind.
func (b Bind) String() string {
	if b.Iface != "" {
		return b.Iface
	}
	var s []string
	for _, a := range b.Addrs {
		s = append(s, a.String())
	}
	return strings.Join(s, ",")
}

// Set says whether anything is narrowed.
func (b Bind) Set() bool { return b.Iface != "" || len(b.Addrs) > 0 }
