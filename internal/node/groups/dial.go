package groups

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"shoal/internal/core/group"
	"shoal/internal/core/ident"
)

// How members are sought.
const (
	wantMembers = 64 // connected: beyond that nobody is dialled
	maxDialing  = 8
	dialSpread  = 50 * time.Millisecond // so that of two that start at once not both dial
	dialFirst   = 2 * time.Second
	dialMost    = 10 * time.Minute
	dialSoon    = 8 * time.Second // most for one that is missed
	dialTime    = 20 * time.Second
	adminWorth  = 500
)

// Wish is how much a connection to a member is wanted.
type Wish struct {
	Worth  int64 // where not all can be had, those of more worth come first; an admin has adminWorth more
	Missed bool  // something waits for it: it is tried again soon, however often that failed
}

// Seek dials members that are not connected at once, however long they have not been found:
// there is a new address, or a reason to look again. Without names it is for all. Those that
// refused this node are let be until they are due.
func (s *Service) Seek(ids ...ident.NodeID) {
	s.do(func() {
		now := time.Now()
		if len(ids) == 0 {
			ids = slices.Collect(maps.Keys(s.dials))
		}
		for _, id := range ids {
			if !s.Known(id) || s.peers[id] != nil {
				continue
			}
			if d := s.dials[id]; d == nil {
				s.dials[id] = &dial{due: now}
			} else if d.refusals == 0 {
				d.fails, d.due = 0, now
			}
		}
		s.dialAt = now
	})
}

// seekAll dials the members of a group that this node has just come to, whatever was before.
// Owner only.
func (s *Service) seekAll(g *group.Group) {
	for _, p := range g.Members() {
		if d := s.dials[p.Node]; d != nil {
			*d = dial{busy: d.busy, due: time.Now()}
		}
	}
}

// Where are the addresses at which a member was reached, or says that it is.
func (s *Service) Where(id ident.NodeID) (all []group.Address) {
	s.do(func() { all = s.addrs(id) })
	return all
}

// addrs are the addresses of a member in all groups that are to be dialled. Owner only.
func (s *Service) addrs(id ident.NodeID) (all []group.Address) {
	for _, g := range s.look().shared[id] {
		for _, a := range s.books[g].addrs(id) {
			if !slices.Contains(all, a) && len(all) < 2*group.MaxAddrs && s.books[g].worth(id, a, s.cfg.LeastPort) {
				all = append(all, a)
			}
		}
	}
	return all
}

// dial is the state of seeking one member. Owner only.
type dial struct {
	busy     bool
	fails    int
	due      time.Time
	refusals int // how often it took this node for a member of no group: it is asked ever less
}

// startDials dials members that are not connected and tells when it wants to be called
// again. Members of groups of which nobody is connected come first, then those that failed
// the least, then those of more worth.
func (s *Service) startDials(now time.Time) time.Time {
	if s.dialAt.After(now) {
		return s.dialAt
	}
	s.dialAt = now.Add(time.Minute)
	shown := s.look()
	connected, here := 0, make(map[group.ID]bool)
	for id := range s.peers {
		for _, g := range shown.shared[id] {
			here[g] = true
		}
		if len(shown.shared[id]) > 0 {
			connected++
		}
	}
	due := s.due(now)
	lonely := func(id ident.NodeID) bool {
		return slices.ContainsFunc(shown.shared[id], func(g group.ID) bool { return !here[g] })
	}
	worth := make(map[ident.NodeID]int64, len(due))
	for _, id := range due {
		worth[id] = s.wish(id).Worth
	}
	slices.SortFunc(due, func(a, b ident.NodeID) int {
		if x, y := lonely(a), lonely(b); x != y {
			if x {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(s.dials[a].fails, s.dials[b].fails), cmp.Compare(worth[b], worth[a]), s.dials[a].due.Compare(s.dials[b].due), slices.Compare(a[:], b[:]))
	})
	for _, id := range due[:max(0, min(len(due), maxDialing-s.dialing, wantMembers-connected-s.dialing))] {
		s.dial(id)
	}
	return s.dialAt
}

func (s *Service) wish(id ident.NodeID) (w Wish) {
	if s.cfg.Wish != nil {
		w = s.cfg.Wish(id)
	}
	shown := s.look()
	for _, g := range shown.shared[id] {
		if p, _ := shown.in(g, id); p.Rights == group.Admin {
			w.Worth += adminWorth
			break
		}
	}
	return w
}

// due are the members that may be dialled now; it notes when the next may be.
func (s *Service) due(now time.Time) (due []ident.NodeID) {
	for id := range s.look().shared {
		if s.peers[id] != nil {
			continue
		}
		d := s.dials[id]
		if d == nil {
			d = &dial{due: now.Add(time.Duration(s.cfg.Rand.Int64N(int64(dialSpread))))}
			s.dials[id] = d
		}
		if until := s.blocked[id]; until.After(d.due) {
			d.due = until
		}
		switch {
		case d.busy:
		case !d.due.After(now):
			due = append(due, id)
		case d.due.Before(s.dialAt):
			s.dialAt = d.due
		}
	}
	return due
}

// dial seeks one member.
func (s *Service) dial(id ident.NodeID) {
	d, addrs := s.dials[id], s.addrs(id)
	d.busy = true
	s.dialing++
	s.workers.Go(func() {
		ctx, cancel := context.WithTimeout(s.ctx, dialTime)
		defer cancel()
		err := s.cfg.Net.Connect(ctx, id, addrs)
		s.do(func() {
			s.dialing--
			d.busy = false
			wait, most := dialFirst<<min(d.fails, 16), dialMost
			switch {
			case err == nil: // Connected has been called, or will be: else try again later
				wait = dialMost
			case s.wish(id).Missed:
				most = dialSoon
			}
			d.fails++
			d.due = time.Now().Add(s.jitter(min(wait, most)))
			s.dialAt = time.Now()
		})
	})
}
