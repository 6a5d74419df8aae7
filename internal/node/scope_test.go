package node

import (
	"net/netip"
	"testing"

	"shoal/internal/door/api"
)

// TestScopeTable is the table of DESIGN.md §4, address by address. The letters
// say who may name it: s a stranger, n somebody near, p the person; - nobody.
func TestScopeTable(t *testing.T) {
	for _, tc := range []struct {
		addr                    string
		loopback, lan, internet string
	}{
		// Loopback, in all its clothes.
		{"127.0.0.1", "snp", "snp", "p"},
		{"127.255.255.254", "snp", "snp", "p"},
		{"::1", "snp", "snp", "p"},
		{"::ffff:127.0.0.1", "snp", "snp", "p"},
		{"::1%lo", "-", "-", "-"},
		{"::ffff:127.0.0.1%lo", "-", "-", "-"},
		// Private and link-local.
		{"10.0.0.1", "-", "snp", "np"},
		{"172.16.0.1", "-", "snp", "np"},
		{"172.31.255.255", "-", "snp", "np"},
		{"192.168.1.1", "-", "snp", "np"},
		{"::ffff:192.168.1.1", "-", "snp", "np"},
		{"169.254.1.1", "-", "snp", "np"},
		{"fe80::1", "-", "snp", "np"},
		{"fe80::1%eth0", "-", "snp", "np"},
		{"fd00::1", "-", "snp", "np"},
		{"fc00::1", "-", "snp", "np"},
		{"fd00::1%eth0", "-", "-", "-"},
		{"fd73:686f:616c::1", "-", "-", "-"},
		// A carrier's own network is neither ours nor the world's.
		{"100.64.0.1", "-", "-", "np"},
		{"100.127.255.255", "-", "-", "np"},
		// The world, up to the edges of what is not.
		{"1.1.1.1", "-", "-", "snp"},
		{"100.63.255.255", "-", "-", "snp"},
		{"100.128.0.0", "-", "-", "snp"},
		{"172.15.255.255", "-", "-", "snp"},
		{"172.32.0.0", "-", "-", "snp"},
		{"9.255.255.255", "-", "-", "snp"},
		{"223.255.255.255", "-", "-", "snp"},
		{"2600::1", "-", "-", "snp"},
		{"2001:4860::1", "-", "-", "snp"},
		{"2001:200::1", "-", "-", "snp"},
		{"::ffff:1.1.1.1", "-", "-", "snp"},
		{"2600::1%eth0", "-", "-", "-"},
		{"::ffff:1.1.1.1%eth0", "-", "-", "-"},
		// NAT64: what is inside counts.
		{"64:ff9b::1.1.1.1", "-", "-", "snp"},
		{"64:ff9b::10.0.0.1", "-", "-", "-"},
		{"64:ff9b::127.0.0.1", "-", "-", "-"},
		{"64:ff9b:1::1.1.1.1", "-", "-", "-"},
		// Multicast, unspecified, broadcast.
		{"224.0.0.1", "-", "-", "-"},
		{"239.255.255.255", "-", "-", "-"},
		{"ff02::1", "-", "-", "-"},
		{"ff0e::1", "-", "-", "-"},
		{"0.0.0.0", "-", "-", "-"},
		{"0.1.2.3", "-", "-", "-"},
		{"::", "-", "-", "-"},
		{"::ffff:0.0.0.0", "-", "-", "-"},
		{"255.255.255.255", "-", "-", "-"},
		{"240.0.0.1", "-", "-", "-"},
		// Documentation, benchmarks, and what once led elsewhere.
		{"192.0.2.1", "-", "-", "-"},
		{"198.51.100.1", "-", "-", "-"},
		{"203.0.113.1", "-", "-", "-"},
		{"198.18.0.1", "-", "-", "-"},
		{"198.19.255.255", "-", "-", "-"},
		{"192.0.0.8", "-", "-", "-"},
		{"192.88.99.1", "-", "-", "-"},
		{"2001:db8::1", "-", "-", "-"},
		{"3fff::1", "-", "-", "-"},
		{"3fff:1000::1", "-", "-", "snp"},
		{"2001::1", "-", "-", "-"},
		{"2001:2::1", "-", "-", "-"},
		{"2002:a00:1::1", "-", "-", "-"},
		{"2002:101:101::1", "-", "-", "-"},
		{"::10.0.0.1", "-", "-", "-"},
		{"100::1", "-", "-", "-"},
		{"5f00::1", "-", "-", "-"},
		{"fec0::1", "-", "-", "-"},
		{"4000::1", "-", "-", "-"},
	} {
		for scope, want := range map[Scope]string{Loopback: tc.loopback, LAN: tc.lan, Internet: tc.internet} {
			a := netip.AddrPortFrom(netip.MustParseAddr(tc.addr), 6881)
			got := ""
			for i, from := range []Learnt{FromStranger, FromNear, FromPerson} {
				err := scope.AllowFrom(a, from)
				if err == nil {
					got += "snp"[i : i+1]
				} else if api.KindOf(err) != api.OutOfScope {
					t.Errorf("%s: kind of %v", tc.addr, err)
				}
			}
			if got == "" {
				got = "-"
			}
			if got != want {
				t.Errorf("%s in scope %s: %s, want %s", tc.addr, scope, got, want)
			}
			if (scope.Allow(a) == nil) != (scope.AllowFrom(a, FromStranger) == nil) {
				t.Errorf("%s: Allow is not AllowFrom a stranger", tc.addr)
			}
		}
	}
	for _, s := range []Scope{Internet, LAN, Loopback} {
		if s.AllowFrom(netip.MustParseAddrPort("127.0.0.1:0"), FromPerson) == nil {
			t.Errorf("%s: port 0 is allowed", s)
		}
		if s.AllowFrom(netip.AddrPort{}, FromPerson) == nil {
			t.Errorf("%s: no address at all is allowed", s)
		}
	}
}

func TestScopeWords(t *testing.T) {
	for _, tc := range []struct {
		s                                                 Scope
		name                                              string
		multicast, portMapping, elsewhere, limitsOfEachIP bool
	}{
		{Loopback, "loopback", false, false, false, false},
		{LAN, "lan", true, false, false, true},
		{Internet, "internet", true, true, true, true},
	} {
		if p, err := ParseScope(tc.name); err != nil || p != tc.s || p.String() != tc.name {
			t.Errorf("%s: %v %v", tc.name, p, err)
		}
		if tc.s.Multicast() != tc.multicast || tc.s.PortMapping() != tc.portMapping || tc.s.Elsewhere() != tc.elsewhere || tc.s.PerIPLimits() != tc.limitsOfEachIP {
			t.Errorf("%s: wrong row", tc.name)
		}
	}
	for _, bad := range []string{"", "Internet", "wan", "loopback "} {
		if _, err := ParseScope(bad); api.KindOf(err) != api.Invalid {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestBindFailsClosed(t *testing.T) {
	if b, err := ParseBind(""); err != nil || b.Set() {
		t.Errorf("nothing: %v %v", b, err)
	}
	b, err := ParseBind("127.0.0.5")
	if err != nil || !b.Set() || b.String() != "127.0.0.5" {
		t.Fatalf("an address: %v %v", b, err)
	}
	if from, err := b.DialFrom(netip.MustParseAddr("127.0.0.1")); err != nil || from.String() != "127.0.0.5" {
		t.Errorf("dial from: %v %v", from, err)
	}
	if _, err := b.DialFrom(netip.MustParseAddr("::1")); api.KindOf(err) != api.OutOfScope {
		t.Errorf("another family: %v", err)
	}
	if list, err := ListenAddrs(Loopback, b); err != nil || len(list) != 1 || list[0].String() != "127.0.0.5" {
		t.Errorf("listen: %v %v", list, err)
	}
	for _, bad := range []string{"nosuch0", "203.0.113.9", "0.0.0.0", "::", "224.0.0.1"} {
		if b, err := ParseBind(bad); err == nil {
			t.Errorf("%s: bound to %v", bad, b)
		}
	}
	outside := Bind{Addrs: []netip.Addr{netip.MustParseAddr("192.168.1.2")}}
	if list, err := ListenAddrs(Loopback, outside); err == nil {
		t.Errorf("a bind outside of the scope listens on %v", list)
	}
	for s, want := range map[Scope]string{Loopback: "127.0.0.1", LAN: "0.0.0.0", Internet: "0.0.0.0"} {
		if list, err := ListenAddrs(s, Bind{}); err != nil || len(list) != 2 || list[0].String() != want {
			t.Errorf("%s: %v %v", s, list, err)
		}
	}
}
