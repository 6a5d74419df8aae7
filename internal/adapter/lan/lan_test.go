package lan

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"testing"
)

func TestConfig(t *testing.T) {
	for _, c := range []Config{{}, {Port: 1}, {Found: func(Found) {}}} {
		if _, err := New(c); !errors.Is(err, ErrConfig) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	l, err := New(Config{Port: 1, Found: func(Found) {}})
	if err != nil {
		t.Fatal(err)
	}
	l.Announce([][20]byte{hashA}) // kept for Start
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if s := l.Stats(); s != (Stats{}) {
		t.Errorf("without Start: %+v", s)
	}
}

// Which interfaces and addresses are used.
func TestLook(t *testing.T) {
	const up = net.FlagUp | net.FlagMulticast
	addrs := map[string][]string{
		"eth0": {"127.0.0.1/8", "10.0.0.1/24", "11.0.0.1/24", "fe80::1/64", "2a00::1/64", "fd00::1/64"},
		"eth1": {"11.0.0.1/24", "2a00::1/64"},
		"wg0":  {"10.1.0.1/24"},
		"down": {"10.2.0.1/24"},
		"lo":   {"127.0.0.1/8", "10.3.0.1/24"},
		"eth2": {"10.4.0.1/24"},
	}
	ifaces := []net.Interface{{Index: 1, Name: "lo", Flags: up | net.FlagLoopback}, {Index: 2, Name: "eth0", Flags: up}, {Index: 3, Name: "eth1", Flags: up},
		{Index: 4, Name: "wg0", Flags: net.FlagUp}, {Index: 5, Name: "down", Flags: net.FlagMulticast}, {Index: 6, Name: "gone", Flags: up}, {Index: 7, Name: "eth2", Flags: up}}
	get := func(i net.Interface) ([]netip.Prefix, error) {
		var out []netip.Prefix
		for _, a := range addrs[i.Name] {
			out = append(out, netip.MustParsePrefix(a))
		}
		if out == nil {
			return nil, errors.New("no such interface")
		}
		return out, nil
	}
	allow := func(a netip.Addr) bool { return a.IsPrivate() || a == netip.MustParseAddr("fe80::1%eth0") }
	links := look(ifaces, get, allow)
	if len(links) != 2 || links[0].name != "eth0" || links[1].name != "eth2" {
		t.Fatalf("%+v", links)
	}
	l := links[0]
	if !slices.Equal(l.addrs[v4], []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24")}) ||
		!slices.Equal(l.addrs[v6], []netip.Prefix{netip.MustParsePrefix("fe80::1/64"), netip.MustParsePrefix("fd00::1/64")}) {
		t.Errorf("%+v", l.addrs)
	}
	if l.source(v4).String() != "10.0.0.1" || l.source(v6).String() != "fe80::1" || links[1].source(v6).IsValid() {
		t.Errorf("sources %v %v %v", l.source(v4), l.source(v6), links[1].source(v6))
	}
	var many []net.Interface
	for i := range 40 {
		many = append(many, net.Interface{Index: i + 1, Name: "eth2", Flags: up})
	}
	if n := len(look(many, get, allow)); n != maxLinks {
		t.Errorf("%d links", n)
	}
}
