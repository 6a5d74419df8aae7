package members

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"shoal/internal/adapter/overlay"
	"shoal/internal/core/ident"
	"shoal/internal/core/swarm/candidates"
	"shoal/internal/node/locate"
)

// Bounds of asking members.
const (
	maxLines   = 64                     // members that are asked at a time
	maxRound   = 32                     // that begin to be asked at once: the nearest
	roundGap   = 30 * time.Millisecond  // between two looks
	roundNext  = 500 * time.Millisecond // until the next of them
	maxAsked   = 512                    // hashes that one member is asked for at a time
	lineIdle   = 30 * time.Second       // that a stream stays with nothing to ask
	lineFirst  = 2 * time.Second        // before a member that did not answer is asked again, doubled up to
	lineMost   = time.Minute
	tellAgain  = 10 * time.Second // after which who seeks is told of the same holders
	noteTime   = 10 * time.Second // for what is written to go out
	noteRate   = 200              // notes a second that one member is heard
	noteBurst  = 2 * maxAsked
	maxSeekers = 4096
)

// asks is the locator "members": connected members are asked who holds a share, and tell
// when they begin to hold it, over one stream each that stands while something is sought.
// A share of groups is asked for, and told of, to members of one of them alone.
type asks struct {
	s         *Service
	wake      chan struct{}
	questions atomic.Int64
	bytes     atomic.Int64
	seeking   atomic.Int32

	mu      sync.Mutex
	offers  map[string]locate.Offer
	names   map[[20]byte]string // ID of an offer
	seekers []*seeker           // in the order in which they came
	lines   map[ident.NodeID]*line
	askers  map[*asker]bool
}

// seeker is one Seek.
type seeker struct {
	offer locate.Offer
	names [][20]byte

	mu    sync.Mutex
	found func([]netip.AddrPort) // nil: it has returned
}

// tell tells a seeker of holders.
func (k *seeker) tell(at []netip.AddrPort) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.found != nil && len(at) > 0 {
		k.found(at)
	}
}

func newAsks(s *Service) *asks {
	return &asks{s: s, wake: make(chan struct{}, 1), offers: make(map[string]locate.Offer), names: make(map[[20]byte]string),
		lines: make(map[ident.NodeID]*line), askers: make(map[*asker]bool)}
}

// Name implements locate.Kind.
func (a *asks) Name() string { return "members" }

// Source implements locate.Kind.
func (a *asks) Source() candidates.Source { return candidates.FromMember }

// Open implements locate.Kind: only members hear of anything.
func (a *asks) Open() bool { return false }

// Cost implements locate.Locator.
func (a *asks) Cost() locate.Cost {
	return locate.Cost{Questions: a.questions.Load(), Bytes: a.bytes.Load()}
}

// Offer implements locate.Locator.
func (a *asks) Offer(o locate.Offer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.withdraw(o.ID)
	o.Groups = slices.Clone(o.Groups)
	a.offers[o.ID] = o
	for _, n := range o.Hash.Wire() {
		a.names[n] = o.ID
		a.changed(n)
	}
}

// Withdraw implements locate.Locator.
func (a *asks) Withdraw(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.withdraw(id)
}

// withdraw is under the lock.
func (a *asks) withdraw(id string) {
	for _, n := range a.offers[id].Hash.Wire() {
		if a.names[n] == id {
			delete(a.names, n)
			a.changed(n)
		}
	}
	delete(a.offers, id)
}

// Seek implements locate.Locator.
func (a *asks) Seek(ctx context.Context, o locate.Offer, found func([]netip.AddrPort)) {
	k := &seeker{offer: o, names: o.Hash.Wire(), found: found}
	a.mu.Lock()
	full := len(a.seekers) >= maxSeekers
	if !full {
		a.seekers = append(a.seekers, k)
	}
	a.mu.Unlock()
	if full {
		return
	}
	a.seeking.Add(1)
	k.tell(a.holders(k))
	a.rouse()
	select {
	case <-ctx.Done():
	case <-a.s.ctx.Done():
	}
	k.mu.Lock()
	k.found = nil
	k.mu.Unlock()
	a.mu.Lock()
	a.seekers = slices.DeleteFunc(a.seekers, func(o *seeker) bool { return o == k })
	a.mu.Unlock()
	a.seeking.Add(-1)
	a.rouse()
}

// seeks tells that something is sought.
func (a *asks) seeks() bool { return a.seeking.Load() > 0 }

// rouse has it looked at who is to be asked what.
func (a *asks) rouse() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// run asks members until the end.
func (a *asks) run() {
	t := time.NewTimer(0)
	defer t.Stop()
	var round, again time.Time
	for {
		select {
		case <-a.s.ctx.Done():
			return
		case <-a.wake:
		case <-t.C:
		}
		now := time.Now()
		if gap := round.Add(roundGap); now.Before(gap) {
			t.Reset(gap.Sub(now))
			continue
		}
		next := a.round(now)
		if a.seeks() {
			round = now // and whoever seeks first waits for no gap
			if !now.Before(again) {
				again = now.Add(tellAgain)
				a.tellAll()
			}
			if next.IsZero() || again.Before(next) {
				next = again
			}
		}
		if next.IsZero() {
			t.Stop()
		} else {
			t.Reset(max(roundGap, next.Sub(now)))
		}
	}
}

// round has those that are asked look at what is sought now, and begins to ask the nearest
// of the others. It tells when to look again; zero: when roused.
func (a *asks) round(now time.Time) (next time.Time) {
	var peers []overlay.Peer
	if a.seeks() {
		peers = a.s.host.Peers()
		slices.SortFunc(peers, func(x, y overlay.Peer) int {
			return cmp.Or(cmp.Compare(distance(x), distance(y)), slices.Compare(x.ID[:], y.ID[:]))
		})
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, l := range a.lines {
		l.rouse()
	}
	begun := 0
	for _, p := range peers {
		l := a.lines[p.ID]
		switch {
		case l != nil && l.open:
			continue
		case len(a.wanted(p.ID)) == 0:
			continue
		case l != nil && now.Before(l.again):
			if next.IsZero() || l.again.Before(next) {
				next = l.again
			}
			continue
		case begun >= maxRound:
			return now.Add(roundNext)
		case l == nil && len(a.lines) >= maxLines && !a.forgetLine(now):
			return next
		}
		if l == nil {
			l = newLine(a, p.ID)
			a.lines[p.ID] = l
		}
		begun++
		l.open = true
		a.s.spawn(l.run)
	}
	return next
}

// distance is by round trip, those that are reached straight before the others.
func distance(p overlay.Peer) time.Duration {
	d := p.RTT
	if d == 0 {
		d = time.Second // not measured yet
	}
	if !p.Direct {
		d += time.Minute
	}
	return d
}

// forgetLine makes room for another member, but not by one that is to be let alone; under
// the lock.
func (a *asks) forgetLine(now time.Time) bool {
	for id, l := range a.lines {
		if !l.open && !now.Before(l.again) {
			delete(a.lines, id)
			return true
		}
	}
	return false
}

// wanted are the hashes that a member is to be asked for; under the lock.
func (a *asks) wanted(of ident.NodeID) map[[20]byte]bool {
	all := make(map[[20]byte]bool)
	for _, k := range a.seekers {
		if len(all)+len(k.names) > maxAsked {
			break
		}
		if a.s.mayKnow(of, k.offer) {
			for _, n := range k.names {
				all[n] = true
			}
		}
	}
	return all
}

// mayKnow tells whether a member may hear of a share.
func (s *Service) mayKnow(id ident.NodeID, o locate.Offer) bool {
	if len(o.Groups) == 0 {
		return s.groups.Known(id)
	}
	for _, g := range o.Groups {
		if s.groups.Member(g, id) {
			return true
		}
	}
	return false
}

// holders are those who said that they hold what a seeker looks for.
func (a *asks) holders(k *seeker) (at []netip.AddrPort) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id, l := range a.lines {
		if l.holds(k.names) && a.s.mayKnow(id, k.offer) {
			at = append(at, id.Addr())
		}
	}
	return at
}

// tellAll tells every seeker of all holders again: a candidate may have been given up.
func (a *asks) tellAll() {
	a.mu.Lock()
	all := slices.Clone(a.seekers)
	a.mu.Unlock()
	for _, k := range all {
		k.tell(a.holders(k))
	}
}

// said notes what a member said of a hash, and tells who seeks it.
func (a *asks) said(l *line, n note) {
	a.mu.Lock()
	if !n.yes {
		delete(l.has, n.hash)
		a.mu.Unlock()
		return
	}
	if !l.asked[n.hash] { // not asked for, or not any more
		a.mu.Unlock()
		return
	}
	l.has[n.hash] = true
	var glad []*seeker
	for _, k := range a.seekers {
		if slices.Contains(k.names, n.hash) && a.s.mayKnow(l.id, k.offer) {
			glad = append(glad, k)
		}
	}
	a.mu.Unlock()
	for _, k := range glad {
		k.tell([]netip.AddrPort{l.id.Addr()})
	}
}
