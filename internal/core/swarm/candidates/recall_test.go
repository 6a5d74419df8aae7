package candidates

import (
	"net/netip"
	"testing"
	"time"
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

// TestHurryWhileDialled: who is called for while it is dialled is dialled once more, as soon as
// that has failed, and then no sooner than usual.
func TestHurryWhileDialled(t *testing.T) {
	all := func(netip.AddrPort, Source) bool { return true }
	for _, ok := range []bool{false, true} {
		c := list()
		c.Add(0, addr(1), FromMember)
		c.Add(0, addr(2), FromMember)
		a, _, _ := c.Next(0)
		b, _, _ := c.Next(0)
		c.Hurry(time.Second, 10, func(at netip.AddrPort, _ Source) bool { return at == a })
		wantOrder(t, c, time.Second)
		c.Done(2*time.Second, a, ok)
		c.Done(2*time.Second, b, ok)
		got, _, due := c.Next(2 * time.Second)
		if due == ok || due && got != a {
			t.Errorf("ok=%t: due is %v, %t", ok, got, due)
		}
		c.Done(3*time.Second, a, false)
		wantOrder(t, c, 3*time.Second)
		if n := c.Hurry(3*time.Second, 10, all); n != 2 {
			t.Errorf("ok=%t: %d wait", ok, n)
		}
	}
}

// TestHurry: the best of those that wait are due at once, and no more than were asked for;
// what is being dialled is left alone.
func TestHurry(t *testing.T) {
	all := func(netip.AddrPort, Source) bool { return true }
	c := list()
	for n := range 10 {
		c.Add(0, addr(n), FromPEX)
	}
	c.Add(0, addr(20), FromMember)
	for range 11 {
		a, _, _ := c.Next(0)
		c.Done(0, a, false)
	}
	wantOrder(t, c, time.Millisecond)
	if n := c.Hurry(time.Millisecond, 4, all); n != 4 {
		t.Errorf("%d hurry", n)
	}
	if got := order(c, time.Millisecond); len(got) != 4 || got[0] != 20 {
		t.Errorf("due are %v", got)
	}
	if n := c.Hurry(time.Millisecond, 100, func(a netip.AddrPort, from Source) bool { return a == addr(20) || from == FromDHT }); n != 0 {
		t.Errorf("%d hurry that are not called for", n)
	}
	if n := c.Hurry(time.Millisecond, 100, all); n != 7 {
		t.Errorf("%d of the other seven hurry", n)
	}
	if n := c.Hurry(0, -1, all); n != 0 {
		t.Errorf("%d hurry where none may", n)
	}
}

// While places are few those that strangers named wait, and lose nothing by it.
func TestNextKnown(t *testing.T) {
	c := list()
	c.Add(0, addr(1), FromDHT)
	c.Add(0, addr(2), FromPeer)
	if a, _, ok := c.NextKnown(0); ok {
		t.Errorf("%v is a stranger's word", a)
	}
	for n, s := range []Source{FromPerson, FromLink, FromLAN, FromMember, FromGroup} {
		c.Add(0, addr(3+n), s)
		if a, from, ok := c.NextKnown(0); !ok || a != addr(3+n) || from != s {
			t.Errorf("%v of %v, want one of %v", a, from, s)
		}
	}
	wantOrder(t, c, 0, 2, 1)
}
