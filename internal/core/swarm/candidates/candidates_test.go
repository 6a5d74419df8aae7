package candidates

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

func addr(n int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, byte(2 + n>>8), byte(n)}), 6881)
}

func list() *List { return New(rand.New(rand.NewPCG(1, 1))) }

// order tells in which order all that are due are given, as n of addr.
func order(c *List, now time.Duration) (got []int) {
	for {
		a, _, ok := c.Next(now)
		if !ok {
			return got
		}
		b := a.Addr().As4()
		got = append(got, int(b[2]-2)<<8|int(b[3]))
	}
}

func wantOrder(t *testing.T, c *List, now time.Duration, want ...int) {
	t.Helper()
	if got := order(c, now); !slices.Equal(got, want) {
		t.Errorf("given in the order %v, want %v", got, want)
	}
}

func TestBetterSourceFirst(t *testing.T) {
	c := list()
	for _, s := range []Source{FromDHT, FromPEX, FromTracker, FromPeer, FromGroup, FromMember, FromLAN, FromLink, FromPerson} {
		c.Add(0, addr(int(s)), s)
	}
	c.SetNear(addr(int(FromLAN)), NearUnknown)
	wantOrder(t, c, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8)
	wantOrder(t, c, time.Hour) // none is given twice
}

func TestSourceWords(t *testing.T) {
	var words []string
	for s := FromPerson; s <= numSources; s++ {
		words = append(words, s.String())
	}
	if got := strings.Join(words, " "); got != "person link lan member group peer tracker pex dht unknown" {
		t.Error(got)
	}
}

func TestNearerFirst(t *testing.T) {
	c := list()
	for n := range 8 {
		c.Add(0, addr(n), FromTracker)
	}
	c.Add(0, addr(8), FromLink)
	c.Add(0, addr(9), FromMember)
	c.SetNear(addr(1), RoundTrip(300*time.Millisecond))
	c.SetNear(addr(2), RoundTrip(40*time.Millisecond))
	c.SetNear(addr(3), RoundTrip(300*time.Microsecond))
	c.SetNear(addr(4), SameLink)
	c.SetNear(addr(5), SameMachine)
	c.SetNear(addr(6), RoundTrip(time.Hour))
	c.SetNear(addr(7), SameMachine)
	c.SetNear(addr(7), RoundTrip(0)) // not measured after all
	c.SetNear(addr(99), SameMachine) // nobody knows it
	c.Forget(addr(0))
	wantOrder(t, c, 0, 8, 5, 4, 3, 2, 1, 6, 9, 7)
}

// What differs by little is equally near: then what is known of them decides.
func TestAlmostEquallyNear(t *testing.T) {
	c := list()
	c.Add(0, addr(1), FromPEX)
	c.Add(0, addr(2), FromTracker)
	c.Add(0, addr(3), FromDHT)
	c.SetNear(addr(1), RoundTrip(36*time.Millisecond))
	c.SetNear(addr(2), RoundTrip(40*time.Millisecond))
	c.SetNear(addr(3), RoundTrip(42*time.Millisecond))
	c.Served(addr(3))
	wantOrder(t, c, 0, 3, 2, 1)
}

// An address of this machine, and one heard on the link, are near without being measured.
func TestNearByItself(t *testing.T) {
	c := list()
	c.Add(0, addr(1), FromMember)
	c.Add(0, addr(2), FromLAN)
	c.Add(0, addr(3), FromDHT)
	c.Add(0, addr(3), FromLAN) // and said again by the link
	here := netip.MustParseAddrPort("127.0.0.1:6881")
	c.Add(0, here, FromDHT)
	if a, _, _ := c.Next(0); a != here {
		t.Errorf("first is %v", a)
	}
	got := order(c, 0)
	if len(got) != 3 || got[2] != 1 {
		t.Errorf("then %v", got)
	}
}

func TestServedFirst(t *testing.T) {
	c := list()
	c.Add(0, addr(1), FromMember)
	c.Add(0, addr(2), FromDHT)
	c.Add(0, addr(3), FromPerson)
	c.Add(0, addr(4), FromDHT)
	c.Served(addr(2))
	c.Served(addr(99)) // nobody knows it
	wantOrder(t, c, 0, 3, 2, 1, 4)
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
			if try != otherTries {
				t.Errorf("forgotten after %d tries", try)
			}
			return
		}
		next := c.list[0].next
		if wait := next - now; wait < otherRetry || wait > otherMost*5/4 {
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
	for range 60 {
		a, _, ok := c.Next(now)
		if !ok {
			t.Fatal("forgotten")
		}
		c.Done(now, a, false)
		next := c.list[0].next
		if next-now > givenMost*5/4 || now < time.Minute && next-now > 5*time.Second { // whose computer starts anew is away for so long
			t.Errorf("after %v next in %v", now, next-now)
		}
		now = next
	}
	if now < 15*time.Minute {
		t.Errorf("60 tries in %v", now)
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

// waits are the pauses before each try of an address that never answers.
func waits(t *testing.T, c *List, a netip.AddrPort) (pauses []time.Duration) {
	t.Helper()
	now := time.Duration(0)
	for len(pauses) < 100 {
		if _, _, ok := c.Next(now); !ok {
			t.Fatalf("%v is not due at %v", a, now)
		}
		c.Done(now, a, false)
		i, known := c.at[a]
		if !known {
			break
		}
		pauses = append(pauses, c.list[i].next-now)
		now = c.list[i].next
	}
	return pauses
}

// Members of a group and neighbours are tried again soon, at most once a minute; members are
// not given up for half an hour.
func TestMembersAreTriedAgainSoon(t *testing.T) {
	for source, tries := range map[Source]int{FromMember: memberTries, FromGroup: memberTries, FromLAN: otherTries} {
		c := list()
		c.Add(0, addr(1), source)
		got := waits(t, c, addr(1))
		if len(got) != tries-1 {
			t.Errorf("%v: forgotten after %d tries", source, len(got)+1)
		}
		for n, wait := range got {
			if least := min(2*time.Second<<(n+1), time.Minute); wait < least || wait > least*5/4 {
				t.Errorf("%v: %v after failure %d", source, wait, n+1)
			}
		}
		c.Add(0, addr(2), source)
		c.Next(0)
		if c.Done(0, addr(2), true); c.list[c.at[addr(2)]].next > 3*time.Second {
			t.Errorf("%v: again in %v after a connection ended", source, c.list[0].next)
		}
	}
}

// Who gave bytes is tried sooner than other strangers, and kept longer.
func TestServedIsKeptLonger(t *testing.T) {
	c := list()
	c.Add(0, addr(1), FromTracker)
	c.Served(addr(1))
	got := waits(t, c, addr(1))
	if len(got) != 2*otherTries-1 || got[0] > 5*time.Second || got[len(got)-1] < time.Hour/2 {
		t.Errorf("pauses %v", got)
	}
}

// A better source has an address tried sooner that a stranger had named; the same source,
// naming it again, has not.
func TestBetterSourceHasItTriedSooner(t *testing.T) {
	c := list()
	c.Add(0, addr(1), FromPEX)
	for range 3 {
		c.list[0].next = 0
		c.due = 0
		c.Next(0)
		c.Done(0, addr(1), false)
	}
	was := c.list[0].next
	c.Add(0, addr(1), FromPEX)
	c.Add(0, addr(1), FromDHT)
	if c.list[0].next != was || c.list[0].source != FromPEX {
		t.Errorf("due at %v by %v, was %v", c.list[0].next, c.list[0].source, was)
	}
	c.Add(0, addr(1), FromMember)
	if a, s, ok := c.Next(16 * time.Second); !ok || a != addr(1) || s != FromMember {
		t.Errorf("next is %v by %v, %v", a, s, ok)
	}
}

// fill fills the list, half from each of two sources.
func fill(c *List, a, b Source) {
	for n := range maxCandidates {
		c.Add(0, addr(n), []Source{a, b}[n%2])
	}
}

func count(c *List) (n [numSources]int) {
	for i := range c.list {
		n[c.list[i].source]++
	}
	return n
}

// A flood of one source, better or worse, cannot push out all that others say: it gets its
// share, and then pushes out its own.
func TestFloodOfOneSource(t *testing.T) {
	for _, flood := range []Source{FromLAN, FromMember, FromTracker, FromPEX, FromDHT} {
		c := list()
		fill(c, FromPeer, FromGroup)
		c.Add(0, addr(5000), FromPerson)
		for n := range 2 * maxCandidates {
			c.Add(0, addr(6000+n), flood)
		}
		n := count(c)
		third := maxCandidates / 3
		if c.Len() != maxCandidates || n[FromPerson] != 1 || n[FromPeer] < third-1 || n[FromGroup] < third-1 || n[flood] < third-1 {
			t.Errorf("flood of %v: %v of %d", flood, n, c.Len())
		}
	}
}

// Alone, a source may have all of the list; as soon as others want in they get half.
func TestHalfForOthers(t *testing.T) {
	c := list()
	for n := range 2 * maxCandidates {
		c.Add(0, addr(n), FromTracker)
	}
	if n := count(c); n[FromTracker] != maxCandidates {
		t.Fatalf("%v", n)
	}
	for n := range 2 * maxCandidates {
		c.Add(0, addr(5000+n), FromDHT)
	}
	if n := count(c); n[FromTracker] != maxCandidates/2 || n[FromDHT] != maxCandidates/2 {
		t.Errorf("%v", n)
	}
}

// Not even the link's own addresses are pushed out; many of a person's make room for more.
func TestGivenStay(t *testing.T) {
	c := list()
	for n := range maxCandidates {
		c.Add(0, addr(n), FromLink)
	}
	if c.Add(0, addr(5000), FromMember) {
		t.Error("a member pushed out what the link gave")
	}
	for n := range 3 {
		c.Next(0)
		c.Done(0, addr(n), false)
	}
	failed := c.list[0].addr
	for i := range c.list {
		if c.list[i].fails > 0 {
			failed = c.list[i].addr
		}
	}
	if c.list[c.at[failed]].fails == 0 || !c.Add(0, addr(5001), FromLink) {
		t.Error("no room for another one of the link in place of one that failed")
	}
}

// Within a source the least promising makes room; who serves, is near or is being dialled
// stays.
func TestLeastPromisingMakesRoom(t *testing.T) {
	c := list()
	for n := range maxCandidates {
		c.Add(0, addr(n), FromTracker)
	}
	busy, _, _ := c.Next(0)
	var kept []netip.AddrPort
	for n := range 10 {
		a := addr(100 + n)
		if a == busy {
			continue
		}
		if n%2 == 0 {
			c.Served(a)
		} else {
			c.SetNear(a, SameLink)
		}
		kept = append(kept, a)
	}
	for n := range 3 * maxCandidates {
		c.Add(0, addr(5000+n), FromPEX)
		c.Add(0, addr(40_000+n), FromTracker)
	}
	for _, a := range append(kept, busy) {
		if _, ok := c.at[a]; !ok {
			t.Errorf("%v was pushed out", a)
		}
	}
}

// Asked at every occasion, the list costs next to nothing while none is due, and allocates
// nothing.
func TestNextIsCheapAndKeepsTime(t *testing.T) {
	c := list()
	for n := range maxCandidates {
		c.Add(0, addr(n), FromTracker)
	}
	for {
		a, _, ok := c.Next(0)
		if !ok {
			break
		}
		c.Done(0, a, false)
	}
	first := c.due
	if first < 2*otherRetry {
		t.Errorf("due at %v", first)
	}
	if _, _, ok := c.Next(first - 1); ok {
		t.Error("given before it is due")
	}
	if n := testing.AllocsPerRun(100, func() {
		a, _, ok := c.Next(first)
		if !ok {
			t.Fatal("not given when it is due")
		}
		c.Done(first-2*otherRetry, a, true)
		c.list[c.at[a]].next, c.due = first, min(c.due, first)
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkNextNoneDue(b *testing.B) {
	c := list()
	for n := range maxCandidates {
		c.Add(time.Hour, addr(n), FromTracker)
	}
	for b.Loop() {
		c.Next(0)
	}
}

func BenchmarkAddToFull(b *testing.B) {
	c := list()
	fill(c, FromTracker, FromPEX)
	n := 0
	for b.Loop() {
		c.Add(0, addr(2000+n%60000), FromDHT)
		n++
	}
}
