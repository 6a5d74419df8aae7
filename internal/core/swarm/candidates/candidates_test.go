package candidates

import (
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"
)

func addr(n int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, byte(2 + n>>8), byte(n)}), 6881)
}

func list() *List { return New(rand.New(rand.NewPCG(1, 1))) }

func TestNearestSourceFirst(t *testing.T) {
	c := list()
	c.Add(0, addr(1), FromPEX)
	c.Add(0, addr(2), FromTracker)
	c.Add(0, addr(3), FromPerson)
	for _, want := range []int{3, 2, 1} {
		got, _, ok := c.Next(0)
		if !ok || got != addr(want) {
			t.Errorf("next is %v, want %v", got, addr(want))
		}
	}
	if got, _, ok := c.Next(0); ok {
		t.Errorf("%v is given twice", got)
	}
}

func TestBackOffAndForget(t *testing.T) {
	c := list()
	c.Add(0, addr(1), FromTracker)
	now := time.Duration(0)
	for try := 1; ; try++ {
		a, _, ok := c.Next(now)
		if !ok {
			t.Fatalf("not due at %v", now)
		}
		c.Done(now, a, false)
		if c.Len() == 0 {
			if try != maxFailureTries {
				t.Errorf("forgotten after %d tries", try)
			}
			return
		}
		next := c.list[0].next
		if wait := next - now; wait < otherRetry || wait > maxRetry*5/4 {
			t.Errorf("try %d: next in %v", try, wait)
		}
		if _, _, ok := c.Next(next - 1); ok {
			t.Error("given before it is due")
		}
		now = next
	}
}

// A peer that a person named may be starting just now: it is tried soon, and never forgotten.
func TestPersonsPeerIsTriedAgainSoon(t *testing.T) {
	c := list()
	c.Add(0, addr(1), FromPerson)
	now := time.Duration(0)
	for range 20 {
		a, _, ok := c.Next(now)
		if !ok {
			t.Fatal("forgotten")
		}
		c.Done(now, a, false)
		next := c.list[0].next
		if next-now > personRetries*5/4 {
			t.Errorf("next in %v", next-now)
		}
		now = next
	}
	c.Next(now)
	c.Done(now, addr(1), false)
	c.Add(now, addr(1), FromPerson)
	if _, _, ok := c.Next(now); !ok {
		t.Error("named again and not tried at once")
	}
}

func TestBound(t *testing.T) {
	c := list()
	for n := range maxCandidates + 100 {
		c.Add(0, addr(n), FromPEX)
	}
	if c.Len() != maxCandidates {
		t.Errorf("%d candidates, at most %d", c.Len(), maxCandidates)
	}
	mine := netip.MustParseAddrPort("198.51.100.7:1")
	if !c.Add(0, mine, FromPerson) {
		t.Error("no room for a person's peer among strangers")
	}
	if got, _, _ := c.Next(0); got != mine {
		t.Errorf("next is %v", got)
	}
}
