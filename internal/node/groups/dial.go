package groups

import (
	"cmp"
	"context"
	"slices"
	"time"

	"shoal/internal/core/group"
	"shoal/internal/core/ident"
)

// How members are sought.
const (
	wantMembers = 32 // connected: beyond that nobody is dialled
	maxDialing  = 4
	dialFirst   = time.Second
	dialMost    = 5 * time.Minute
	dialTime    = 20 * time.Second
)

// dial is the state of seeking one member. Owner only.
type dial struct {
	busy  bool
	fails int
	due   time.Time
}

// startDials dials members that are not connected and tells when it wants to be called
// again. Members of groups of which nobody is connected come first, then those that failed
// the least.
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
	slices.SortFunc(due, func(a, b ident.NodeID) int {
		if x, y := lonely(a), lonely(b); x != y {
			if x {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(s.dials[a].fails, s.dials[b].fails), s.dials[a].due.Compare(s.dials[b].due), slices.Compare(a[:], b[:]))
	})
	for _, id := range due[:max(0, min(len(due), maxDialing-s.dialing, wantMembers-connected-s.dialing))] {
		s.dial(id, shown.shared[id])
	}
	return s.dialAt
}

// due are the members that may be dialled now; it notes when the next may be.
func (s *Service) due(now time.Time) (due []ident.NodeID) {
	for id := range s.look().shared {
		if s.peers[id] != nil {
			continue
		}
		d := s.dials[id]
		if d == nil {
			d = &dial{due: now.Add(time.Duration(s.cfg.Rand.Int64N(int64(dialFirst / 4))))}
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
func (s *Service) dial(id ident.NodeID, of []group.ID) {
	d := s.dials[id]
	d.busy = true
	s.dialing++
	var addrs []group.Address
	for _, g := range of {
		for _, a := range s.books[g].addrs(id) {
			if !slices.Contains(addrs, a) && len(addrs) < 2*group.MaxAddrs {
				addrs = append(addrs, a)
			}
		}
	}
	s.workers.Go(func() {
		ctx, cancel := context.WithTimeout(s.ctx, dialTime)
		defer cancel()
		err := s.cfg.Net.Connect(ctx, id, addrs)
		s.do(func() {
			s.dialing--
			d.busy = false
			wait := dialFirst << min(d.fails, 16)
			if err == nil { // Connected has been called, or will be: else try again later
				wait = dialMost
			}
			d.fails++
			d.due = time.Now().Add(s.jitter(min(wait, dialMost)))
			s.dialAt = time.Now()
		})
	})
}
