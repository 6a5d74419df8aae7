package candidates

import (
	"net/netip"
	"testing"
)

// TestKeep: who may not be dialled any more is forgotten, also while that is being tried.
func TestKeep(t *testing.T) {
	c := list()
	for n := range 10 {
		c.Add(0, addr(n), FromTracker)
	}
	c.Add(0, addr(20), FromPerson)
	busy, _, _ := c.Next(0)
	c.Keep(func(a netip.AddrPort, s Source) bool { return s == FromTracker && a != addr(3) })
	if c.Len() != 9 {
		t.Errorf("%d are left", c.Len())
	}
	c.Done(0, busy, false) // forgotten: of no consequence
	for c.Len() > 0 {
		a, _, ok := c.Next(0)
		if !ok || a == addr(3) || a == addr(20) {
			t.Fatalf("next is %v, %v", a, ok)
		}
		c.Forget(a)
	}
}
