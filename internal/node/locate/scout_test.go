package locate

import (
	"math/rand/v2"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"shoal/internal/core/group"
	"shoal/internal/core/swarm/candidates"
)

func at(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// TestScout: what is near is tried before what is far, what was of use before what was not,
// and it is counted what each source brought.
func TestScout(t *testing.T) {
	who := public
	forbidden := at("192.0.2.1:1")
	s := NewScout(rand.New(rand.NewPCG(1, 1)), &who, func(a netip.AddrPort, _ candidates.Source) bool { return a != forbidden },
		[]Yield{{Source: candidates.FromDHT, Found: 10}})
	far, slow, fast, lan, here := at("198.51.100.1:1"), at("198.51.100.2:1"), at("198.51.100.3:1"), at("192.168.1.2:1"), at("127.0.0.1:1")
	for _, a := range []netip.AddrPort{far, slow, fast, lan, here, forbidden, at("198.51.100.9:0"), friend} {
		s.Add(0, a, candidates.FromTracker)
		s.Add(0, a, candidates.FromTracker)
	}
	s.Connected(slow, candidates.FromTracker, 300*time.Millisecond)
	s.Connected(fast, candidates.FromTracker, 20*time.Millisecond)
	s.Connected(netip.AddrPort{}, candidates.FromPeer, 0)
	s.Gave(netip.AddrPort{}, candidates.FromPeer, 7)
	s.Gave(far, candidates.FromTracker, 0)
	s.Gave(fast, candidates.FromTracker, 100)
	for _, want := range []netip.AddrPort{here, lan, fast, slow, far} {
		a, from, ok := s.Next(0, false)
		if !ok || a != want || from != candidates.FromTracker {
			t.Errorf("next is %v, want %v", a, want)
		}
		s.Dialled(from)
	}
	if a, _, ok := s.Next(0, false); ok {
		t.Errorf("%v is too much", a)
	}
	want := []Yield{{candidates.FromPeer, 0, 0, 1, 7}, {candidates.FromTracker, 5, 5, 2, 105}, {candidates.FromDHT, 10, 0, 0, 0}}
	if got := s.Yields([]Yield{{Source: candidates.FromTracker, Bytes: 5}}); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v", got)
	}
}

// TestScoutForgets: who is no member any more is not dialled, whether anybody says so or not,
// and neither is what a share may not have that turns out to be private.
func TestScoutForgets(t *testing.T) {
	in := true
	who := familys
	who.Member = func(_ group.ID, a netip.Addr) bool { return in && a == friend.Addr() }
	s := NewScout(rand.New(rand.NewPCG(1, 1)), &who, func(netip.AddrPort, candidates.Source) bool { return true }, nil)
	s.Add(0, friend, candidates.FromMember)
	s.Add(0, foe, candidates.FromMember)
	if in = false; s.Len() != 1 {
		t.Errorf("%d candidates", s.Len())
	}
	if a, _, ok := s.Next(0, false); ok || s.Len() != 0 {
		t.Errorf("%v may be dialled", a)
	}
	in = true
	s.Add(0, friend, candidates.FromMember)
	s.Next(0, false)
	s.Done(0, friend, false)
	s.Hurry(0, friend.Addr())
	if a, _, ok := s.Next(0, false); !ok || a != friend {
		t.Error("not hurried")
	}
	s.Again(0, friend, candidates.FromMember)
	if a, _, ok := s.Next(0, false); !ok || a != friend {
		t.Error("not again")
	}
	in = false
	s.Again(0, friend, candidates.FromMember)
	if s.Recheck(); s.Len() != 0 {
		t.Errorf("%d candidates", s.Len())
	}
	who = public
	s.Add(0, stranger, candidates.FromPEX)
	who.Private = true
	if a, _, ok := s.Next(0, false); ok {
		t.Errorf("%v may be dialled for a private share", a)
	}
}

// TestHurry: when the machine is back all that wait are tried at once; those whom strangers
// named are not tried again and again because it goes and comes.
func TestHurry(t *testing.T) {
	who := public
	s := NewScout(rand.New(rand.NewPCG(1, 1)), &who, func(netip.AddrPort, candidates.Source) bool { return true }, nil)
	s.Add(0, stranger, candidates.FromDHT)
	s.Add(0, friend, candidates.FromMember)
	tried := func(now time.Duration) (n int) {
		for {
			a, _, ok := s.Next(now, false)
			if !ok {
				return n
			}
			s.Done(now, a, false)
			n++
		}
	}
	for i, c := range []struct {
		now  time.Duration
		at   netip.Addr
		want int
	}{
		{0, netip.Addr{}, 2}, // which are due anyhow
		{time.Second, foe.Addr(), 0},
		{time.Second, friend.Addr(), 1},
		{time.Minute, netip.Addr{}, 1}, // once more
	} {
		s.Hurry(c.now, c.at)
		if got := tried(c.now); got != c.want {
			t.Errorf("%d: %d are tried, want %d", i, got, c.want)
		}
	}
}
