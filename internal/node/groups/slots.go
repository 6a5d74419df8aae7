package groups

import (
	"sync"
	"time"

	"shoal/internal/core/ident"
)

// How much others may ask.
const (
	maxJoins     = 128 // join streams at a time
	maxSyncs     = 32  // sync streams of strangers at a time; members are bounded each
	maxProofs    = 2   // lists of strangers being judged at a time
	eachAtATime  = 2   // streams of one node
	maxVisitors  = 4096
	memberBurst  = 32 // streams
	memberRate   = 16 // a second
	strangeBurst = 8
	strangeRate  = 0.5
)

// slots bounds the streams of one protocol that others open: of each node those at a time
// and those in a while, of all strangers together those at a time, so that strangers never
// take the place of members.
type slots struct {
	most      int
	mu        sync.Mutex
	strangers int
	swept     time.Time
	of        map[ident.NodeID]*visitor
}

// visitor is what one node has asked.
type visitor struct {
	active int
	spent  float64 // streams, falling with time
	at     time.Time
}

func newSlots(most int) slots { return slots{most: most, of: make(map[ident.NodeID]*visitor)} }

// enter takes a place; leave gives it back.
func (s *slots) enter(id ident.NodeID, member bool, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	v := s.of[id]
	if v == nil {
		if !member && !s.fits(now) {
			return false
		}
		v = &visitor{at: now}
		s.of[id] = v
	}
	rate, burst := strangeRate, float64(strangeBurst)
	if member {
		rate, burst = memberRate, memberBurst
	}
	v.spent = max(0, v.spent-rate*now.Sub(v.at).Seconds())
	v.at = now
	if v.active >= eachAtATime || v.spent+1 > burst || !member && s.strangers >= s.most {
		return false
	}
	v.active++
	v.spent++
	if !member {
		s.strangers++
	}
	return true
}

func (s *slots) leave(id ident.NodeID, member bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.of[id].active--
	if !member {
		s.strangers--
	}
}

// fits makes room for one more node by forgetting those that have not asked lately.
func (s *slots) fits(now time.Time) bool {
	if len(s.of) < maxVisitors {
		return true
	}
	if now.Sub(s.swept) < time.Second {
		return false
	}
	s.swept = now
	for id, v := range s.of {
		if v.active == 0 && now.Sub(v.at).Seconds()*strangeRate >= v.spent {
			delete(s.of, id)
		}
	}
	return len(s.of) < maxVisitors
}
