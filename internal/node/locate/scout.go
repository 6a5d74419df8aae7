package locate

import (
	"cmp"
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"shoal/internal/core/ident"
	"shoal/internal/core/swarm/candidates"
)

// When the way is open again so many candidates are tried at once, of those that strangers
// named not more often than this.
const (
	hurried  = 50
	calmTime = 5 * time.Minute
)

// Scout keeps the candidates of one share, as far as its Audience takes them, and what those
// of each source were good for. It is for one goroutine. Times are those of package
// candidates.
type Scout struct {
	list   *candidates.List
	who    *Audience
	scope  func(netip.AddrPort, candidates.Source) bool
	yields map[candidates.Source]*Yield
	calm   time.Duration // until then strangers' addresses are not hurried
}

// NewScout is a Scout without candidates. scope says which addresses this node may contact
// at all. before is what an earlier one counted.
func NewScout(rng *rand.Rand, who *Audience, scope func(netip.AddrPort, candidates.Source) bool, before []Yield) *Scout {
	s := &Scout{list: candidates.New(rng), who: who, scope: scope, yields: make(map[candidates.Source]*Yield)}
	for _, y := range before {
		s.yields[y.Source] = &y
	}
	return s
}

// Len is the number of candidates.
func (s *Scout) Len() int { return s.list.Len() }

// Add notes an address, if this node may contact it for this share.
func (s *Scout) Add(now time.Duration, a netip.AddrPort, from candidates.Source) {
	if a.Port() == 0 || !s.who.Takes(a.Addr(), from) || !s.scope(a, from) || !s.list.Add(now, a, from) {
		return
	}
	s.of(from).Found++
	if ip := a.Addr(); (ip.IsPrivate() || ip.IsLinkLocalUnicast()) && !ident.IsOverlay(ip) {
		s.list.SetNear(a, candidates.SameLink)
	}
}

// Again is Add for one that is known and worth being tried now.
func (s *Scout) Again(now time.Duration, a netip.AddrPort, from candidates.Source) {
	s.list.Forget(a)
	if s.who.Takes(a.Addr(), from) {
		s.list.Add(now, a, from)
	}
}

// Next takes the best candidate that is due, to be dialled now; of those alone that no
// stranger named, if they are to be known. Who may not be dialled any more is forgotten.
func (s *Scout) Next(now time.Duration, known bool) (netip.AddrPort, candidates.Source, bool) {
	next := s.list.Next
	if known {
		next = s.list.NextKnown
	}
	for {
		a, from, ok := next(now)
		if !ok || s.who.Takes(a.Addr(), from) {
			return a, from, ok
		}
		s.list.Forget(a)
	}
}

// Done tells how a candidate turned out; the zero address is nobody.
func (s *Scout) Done(now time.Duration, a netip.AddrPort, ok bool) {
	if a.IsValid() {
		s.list.Done(now, a, ok)
	}
}

// Forget removes an address for good.
func (s *Scout) Forget(a netip.AddrPort) { s.list.Forget(a) }

// Recheck forgets who may not be dialled any more.
func (s *Scout) Recheck() {
	s.list.Keep(func(a netip.AddrPort, from candidates.Source) bool { return s.who.Takes(a.Addr(), from) })
}

// Hurry makes candidates that wait due now, not too many: those at an address, or with the
// zero address all, for the machine has come back. Strangers' addresses are not dialled
// again and again because our line comes and goes (security.md T09).
func (s *Scout) Hurry(now time.Duration, at netip.Addr) {
	strangers := !at.IsValid() && now >= s.calm
	if strangers {
		s.calm = now + calmTime
	}
	s.list.Hurry(now, hurried, func(a netip.AddrPort, from candidates.Source) bool {
		return a.Addr() == at || !at.IsValid() && (strangers || from.Known())
	})
}

// Dialled counts a candidate that is dialled.
func (s *Scout) Dialled(from candidates.Source) { s.of(from).Dialled++ }

// Connected counts a connection to a candidate, or of one that came by itself: it has no
// address, and the source FromPeer. trip is the round trip, as far as it was seen.
func (s *Scout) Connected(a netip.AddrPort, from candidates.Source, trip time.Duration) {
	s.of(from).Connected++
	if a.IsValid() && !a.Addr().IsLoopback() {
		s.list.SetNear(a, candidates.RoundTrip(trip))
	}
}

// Gave counts bytes of blocks that a connection brought.
func (s *Scout) Gave(a netip.AddrPort, from candidates.Source, bytes int64) {
	if bytes > 0 {
		s.of(from).Bytes += bytes
		s.list.Served(a)
	}
}

func (s *Scout) of(from candidates.Source) *Yield {
	y := s.yields[from]
	if y == nil {
		y = &Yield{Source: from}
		s.yields[from] = y
	}
	return y
}

// Yields are what the sources brought, by source; more is added and not kept.
func (s *Scout) Yields(more []Yield) []Yield {
	sum := make([]Yield, 0, len(s.yields))
	for _, y := range s.yields {
		sum = append(sum, *y)
	}
	return Sum(sum, more)
}

// Sum adds yields, by source.
func Sum(lists ...[]Yield) []Yield {
	by := make(map[candidates.Source]Yield)
	for _, l := range lists {
		for _, y := range l {
			o := by[y.Source]
			by[y.Source] = Yield{y.Source, o.Found + y.Found, o.Dialled + y.Dialled, o.Connected + y.Connected, o.Bytes + y.Bytes}
		}
	}
	out := make([]Yield, 0, len(by))
	for _, y := range by {
		out = append(out, y)
	}
	slices.SortFunc(out, func(a, b Yield) int { return cmp.Compare(a.Source, b.Source) })
	return out
}
