package link

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"shoal/internal/core/wire"
)

// peersAt are n peers, the first at port from.
func peersAt(from, n int) (list []wire.PEXPeer) {
	for i := range n {
		list = append(list, wire.PEXPeer{Addr: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(from+i))})
	}
	return list
}

// TestExchange: what is new and what is gone, at most fifty of each, once a minute (BEP 11).
func TestExchange(t *testing.T) {
	var x Exchange
	now := time.Unix(1e9, 0)
	if !x.Due(now, 1) {
		t.Fatal("a new peer is not told at once")
	}
	if _, ok := x.Next(now, 1, nil); ok || x.Due(now, 1) || !x.Due(now, 2) {
		t.Error("nothing was told: somebody new is told of at once, and nobody is looked for twice")
	}
	m, ok := x.Next(now, 2, peersAt(1, 60))
	if !ok || !slices.Equal(m.Added, peersAt(1, 50)) || len(m.Dropped) > 0 {
		t.Errorf("first: %+v", m)
	}
	if x.Due(now.Add(pexInterval-1), 2) || !x.Due(now.Add(pexInterval), 2) {
		t.Error("not once a minute, the rest included")
	}
	m, ok = x.Next(now, 3, peersAt(2, 59))
	if !ok || !slices.Equal(m.Added, peersAt(51, 10)) || !slices.Equal(m.Dropped, []netip.AddrPort{peersAt(1, 1)[0].Addr}) {
		t.Errorf("then: %+v", m)
	}
	if m, ok := x.Next(now, 3, peersAt(2, 59)); ok || x.Due(now.Add(pexInterval), 3) {
		t.Errorf("the same again: %+v", m)
	}
	if m, _ := x.Next(now, 4, nil); len(m.Dropped) != 50 || !x.Due(now.Add(pexInterval), 4) {
		t.Errorf("%d dropped at once", len(m.Dropped))
	}
	if m, _ := x.Next(now, 4, nil); len(m.Dropped) != 9 || x.Due(now.Add(pexInterval), 4) {
		t.Errorf("%d dropped then", len(m.Dropped))
	}
}

// TestBEP11_duplicate_addresses: "Duplicate IP addresses (e.g. with different ports) should be
// ignored", so that nobody has all of a swarm knock at one host's ports. On loopback one
// address is all there is.
func TestBEP11_duplicate_addresses(t *testing.T) {
	at := func(list ...string) (peers []wire.PEXPeer) {
		for _, a := range list {
			peers = append(peers, wire.PEXPeer{Addr: netip.MustParseAddrPort(a)})
		}
		return peers
	}
	in := at("8.8.8.8:6881", "8.8.8.8:6882", "9.9.9.9:6881", "[2a00::1]:6881", "127.0.0.1:1", "[2a00::1]:7000", "127.0.0.1:2", "8.8.8.8:6883")
	want := at("8.8.8.8:6881", "9.9.9.9:6881", "[2a00::1]:6881", "127.0.0.1:1", "127.0.0.1:2")
	if got := Hosts(in); !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
}

// TestExchangeTake: messages that come too often are not read.
func TestExchangeTake(t *testing.T) {
	var x Exchange
	now := time.Unix(1e9, 0)
	for _, tc := range []struct {
		after time.Duration
		want  bool
	}{{0, true}, {time.Second, false}, {29 * time.Second, false}, {30 * time.Second, true}, {31 * time.Second, false}} {
		if got := x.Take(now.Add(tc.after)); got != tc.want {
			t.Errorf("after %v: %t", tc.after, got)
		}
	}
}

func TestMeter(t *testing.T) {
	var m Meter
	now := time.Unix(1e9, 0)
	m.Tick(now)
	for range 20 {
		m.Add(3000)
		now = now.Add(3 * time.Second)
		m.Tick(now)
		m.Tick(now.Add(time.Millisecond)) // ignored
	}
	if m.Rate() != 1000 {
		t.Errorf("rate %d of 1000 bytes a second", m.Rate())
	}
	for range 30 {
		now = now.Add(time.Second)
		m.Tick(now)
	}
	if m.Rate() != 0 {
		t.Errorf("rate %d after half a minute of nothing", m.Rate())
	}
}
