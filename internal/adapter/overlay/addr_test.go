package overlay

import (
	"net"
	"net/netip"
	"slices"
	"testing"

	ma "github.com/multiformats/go-multiaddr"

	"shoal/internal/core/group"
	"shoal/internal/core/ident"
)

var relayID = ident.NewKey([32]byte{1, 'r'}).ID()

// TestWays writes addresses as libp2p does, and reads them back.
func TestWays(t *testing.T) {
	via := "/p2p/" + relayID.String() + "/p2p-circuit"
	for _, c := range []struct {
		a    group.Address
		want []string
	}{
		{group.Address{At: netip.MustParseAddrPort("11.0.0.1:7463")}, []string{"/ip4/11.0.0.1/tcp/7463", "/ip4/11.0.0.1/udp/7463/quic-v1"}},
		{group.Address{At: netip.MustParseAddrPort("[2a00::1]:1")}, []string{"/ip6/2a00::1/tcp/1", "/ip6/2a00::1/udp/1/quic-v1"}},
		{group.Address{At: netip.MustParseAddrPort("[::ffff:11.0.0.1]:1")}, []string{"/ip4/11.0.0.1/tcp/1", "/ip4/11.0.0.1/udp/1/quic-v1"}},
		{group.Address{At: netip.MustParseAddrPort("11.0.0.1:2"), Via: relayID}, []string{"/ip4/11.0.0.1/tcp/2" + via, "/ip4/11.0.0.1/udp/2/quic-v1" + via}},
		{group.Address{At: netip.MustParseAddrPort("11.0.0.1:0")}, nil},
		{group.Address{At: netip.MustParseAddrPort("0.0.0.0:1")}, nil},
		{group.Address{At: netip.MustParseAddrPort("224.0.0.1:1")}, nil},
		{group.Address{At: relayID.Addr()}, nil},
		{group.Address{}, nil},
	} {
		var got []string
		for i, m := range multiaddrs(c.a) {
			got = append(got, m.String())
			w, ok := parse(m)
			if !ok || w.at.Addr() != c.a.At.Addr().Unmap() || w.at.Port() != c.a.At.Port() || w.via != c.a.Via || w.relay == c.a.Via.IsZero() || w.udp != (i == 1) {
				t.Errorf("%s is read as %+v", m, w)
			}
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%v: %q, want %q", c.a, got, c.want)
		}
	}
}

// TestParse takes what peers write into their addresses.
func TestParse(t *testing.T) {
	for text, ok := range map[string]bool{
		"/dns4/evil.example/tcp/1":                            false,
		"/ip4/11.0.0.1":                                       false,
		"/p2p-circuit":                                        false,
		"/p2p/" + relayID.String():                            false,
		"/ip4/11.0.0.1/tcp/1/ws":                              true,
		"/ip6zone/eth0/ip6/fe80::1/tcp/1":                     true,
		"/ip4/11.0.0.1/udp/1/quic-v1/p2p/" + relayID.String(): true,
	} {
		if w, got := parse(ma.StringCast(text)); got != ok || !w.via.IsZero() {
			t.Errorf("%s: %v %+v", text, got, w)
		}
	}
}

// TestTold holds what is told to whom.
func TestTold(t *testing.T) {
	of := func(texts ...string) (all []ma.Multiaddr) {
		for _, s := range texts {
			all = append(all, ma.StringCast(s))
		}
		return all
	}
	overlayAddr := "/ip6/" + relayID.Addr().Addr().String() + "/tcp/7463"
	all := of("/ip4/127.0.0.1/tcp/1", "/ip4/192.168.1.2/tcp/1", "/ip4/11.0.0.1/udp/1/quic-v1", overlayAddr, "/p2p-circuit",
		"/ip4/11.0.0.9/tcp/1/p2p/"+relayID.String()+"/p2p-circuit")
	if got := tell(slices.Clone(all)); len(got) != 3 {
		t.Errorf("told %v", got)
	}
	if got := tell(of("/ip4/127.0.0.1/tcp/1", overlayAddr)); len(got) != 1 {
		t.Errorf("on loopback alone: %v", got)
	}
	if got := public(slices.Clone(all)); len(got) != 1 || got[0].String() != "/ip4/11.0.0.1/udp/1/quic-v1" {
		t.Errorf("public: %v", got)
	}
	if got := (punchable{}).FilterLocal("", of("/ip4/11.0.0.1/tcp/1", "/ip4/11.0.0.1/udp/1/quic-v1", "/ip4/10.0.0.1/udp/1/quic-v1")); len(got) != 1 {
		t.Errorf("offered for opening a way: %v", got)
	}
}

// FuzzParse reads any address that a peer can write without harm.
func FuzzParse(f *testing.F) {
	for _, s := range []string{"/ip4/11.0.0.1/tcp/1", "/ip6/::1/udp/1/quic-v1/p2p/" + relayID.String() + "/p2p-circuit"} {
		f.Add(ma.StringCast(s).Bytes())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ma.NewMultiaddrBytes(b)
		if err != nil {
			return
		}
		w, ok := parse(m)
		if !ok || !usable(w.at) || w.relay && w.via.IsZero() {
			return
		}
		for _, out := range multiaddrs(group.Address{At: w.at, Via: w.via}) {
			if again, ok := parse(out); !ok || again.at != w.at || again.via != w.via || again.relay != w.relay {
				t.Fatalf("%s: %+v, then %+v", m, w, again)
			}
		}
	})
}

func TestStale(t *testing.T) {
	_, here, err := net.ParseCIDR("192.168.1.7/32")
	if err != nil {
		t.Fatal(err)
	}
	own := own([]net.Addr{here, &net.IPNet{IP: net.ParseIP("fe80::1"), Mask: net.CIDRMask(64, 128)}})
	if len(own) != 1 {
		t.Errorf("a container that comes or goes is a move: %v", own)
	}
	for local, want := range map[string]bool{"192.168.1.7": false, "192.168.1.8": true, "fe80::1%eth0": false, "fe80::2%eth0": false,
		"127.0.0.5": false, "::1": false, "0.0.0.0": false, "::": false} {
		if stale(netip.MustParseAddr(local), own) != want {
			t.Errorf("%s: not %v", local, want)
		}
	}
}
