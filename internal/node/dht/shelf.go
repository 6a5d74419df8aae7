package dht

import (
	"hash/maphash"
	"sync"
	"time"

	"shoal/internal/core/kad/krpc"
	"shoal/internal/core/metainfo"
	"shoal/internal/node/locate"
)

// Pace of announcements. A stored peer lives half an hour or more (BEP 5 says nothing;
// 30 minutes here and 45 elsewhere).
const (
	announceGap = time.Second      // between two, whatever is wanted
	againWanted = 15 * time.Minute // of a share that is being fetched
	againRest   = 20 * time.Minute // of the others
	againFailed = 2 * time.Minute  // after one that no node took
	maxOut      = 8                // announcements under way

	failsMost    = 3                // announcements in a row that no node takes before
	announceRest = 30 * time.Second // this pause, doubled up to
	announceMost = 5 * time.Minute  // this
)

// class is the list that a share stands in, those of more haste first.
type class uint8

const (
	newWanted class = iota // not announced yet
	newRest
	oldWanted // announced
	oldRest
	failed // no node took it
	classes
	out // being announced: in no list
	gone
)

// due is how long after its last announcement a share of the class is announced again.
var due = [classes]time.Duration{oldWanted: againWanted, oldRest: againRest, failed: againFailed}

// shelf holds every share that is offered, in the order in which they are announced. There
// may be many: a share takes one parcel and one entry of a map. A share of both versions has
// two info hashes, which are announced one after the other.
type shelf struct {
	mu     sync.Mutex
	start  time.Time
	seed   maphash.Seed
	byID   map[uint64]int32 // by a keyed hash of the ID: that two share one is out of reach of chance and of anybody
	crates []*[crate]parcel // so that growing wastes no more than one
	count  int32            // of places in use or free
	free   []int32
	ends   [classes]struct{ first, last int32 } // 1 + index; 0: empty
	turn   bool                                 // whose turn it is of those that are announced again
}

// crate is how many shares memory is got for at a time.
const crate = 128

// parcel is one share.
type parcel struct {
	hash       [2]krpc.ID // the second is zero if there is one
	prev, next int32      // 1 + index of its neighbours in its list
	at         uint32     // seconds from start to the last announcement
	class      class
	second     bool // the second hash is next
	wanted     bool
	anew       bool // offered again while it was being announced
}

func newShelf(now time.Time) *shelf {
	return &shelf{start: now, seed: maphash.MakeSeed(), byID: make(map[uint64]int32)}
}

// offer takes a share, or that it has changed. It tells whether there is something new to
// announce.
func (s *shelf) offer(o locate.Offer) bool {
	hash, ok := hashesOf(o.Hash)
	if !ok {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i, known := s.byID[s.key(o.ID)]
	if !known {
		i = s.room()
		*s.at(i) = parcel{hash: hash, wanted: o.Wanted, class: gone}
		s.byID[s.key(o.ID)] = i
		s.join(i, pick(o.Wanted, newWanted, newRest))
		return true
	}
	p := s.at(i)
	moved, hasty := p.hash != hash, o.Wanted && !p.wanted
	p.hash, p.wanted = hash, o.Wanted
	switch {
	case p.class == out:
		p.anew = p.anew || moved
	case moved, hasty && p.class == newRest:
		p.second = false
		s.leave(i)
		s.join(i, pick(o.Wanted, newWanted, newRest))
	}
	return moved || hasty
}

// withdraw forgets a share.
func (s *shelf) withdraw(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i, ok := s.byID[s.key(id)]
	if !ok {
		return
	}
	delete(s.byID, s.key(id))
	if s.at(i).class == out {
		s.at(i).class = gone // announced frees it
		return
	}
	s.leave(i)
	s.free = append(s.free, i)
}

// take is the share to announce now, under which hash; false if none is due.
func (s *shelf) take(now time.Time) (int32, krpc.ID, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.order() {
		i := s.ends[c].first - 1
		if i < 0 || now.Before(s.due(i)) {
			continue
		}
		if c >= oldWanted {
			s.turn = !s.turn
		}
		s.leave(i)
		p := s.at(i)
		p.class = out
		if p.second {
			return i, p.hash[1], true
		}
		return i, p.hash[0], true
	}
	return 0, krpc.ID{}, false
}

// order is the order in which the lists are looked at: what is new first, and of the rest
// each kind in turn, so that none waits for another for ever.
func (s *shelf) order() [classes]class {
	if s.turn {
		return [classes]class{newWanted, newRest, oldRest, failed, oldWanted}
	}
	return [classes]class{newWanted, newRest, oldWanted, failed, oldRest}
}

// announced takes a share back. ok tells that some node took the announcement.
func (s *shelf) announced(i int32, ok bool, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.at(i)
	if p.class == gone {
		s.free = append(s.free, i)
		return
	}
	more := ok && !p.second && !p.hash[1].IsZero()
	switch {
	case p.anew:
		p.anew, p.second = false, false
		s.join(i, pick(p.wanted, newWanted, newRest))
	case more: // the other hash, before all that was announced already
		p.second = true
		s.join(i, pick(p.wanted, newWanted, newRest))
	default:
		p.second = p.second && !ok
		p.at = uint32(now.Sub(s.start)/time.Second) + 1
		c := pick(p.wanted, oldWanted, oldRest)
		if !ok {
			c = failed
		}
		s.join(i, c)
	}
}

// wake is when the next share is due; zero if there is none.
func (s *shelf) wake() (at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.ends {
		if i := s.ends[c].first - 1; i >= 0 {
			if t := s.due(i); at.IsZero() || t.Before(at) {
				at = t
			}
		}
	}
	return at
}

// due is when the share may be announced.
func (s *shelf) due(i int32) time.Time {
	p := s.at(i)
	return s.start.Add(time.Duration(p.at)*time.Second + due[p.class])
}

// room is a free place.
func (s *shelf) room() int32 {
	if n := len(s.free); n > 0 {
		i := s.free[n-1]
		s.free = s.free[:n-1]
		return i
	}
	if s.count%crate == 0 {
		s.crates = append(s.crates, new([crate]parcel))
	}
	s.count++
	return s.count - 1
}

func (s *shelf) key(id string) uint64 { return maphash.String(s.seed, id) }

// at is the share in a place.
func (s *shelf) at(i int32) *parcel { return &s.crates[i/crate][i%crate] }

// join puts a share at the end of a list. Each list is in the order of time.
func (s *shelf) join(i int32, c class) {
	p, e := s.at(i), &s.ends[c]
	p.class, p.prev, p.next = c, e.last, 0
	if c <= newRest {
		p.at = 0
	}
	if e.last > 0 {
		s.at(e.last - 1).next = i + 1
	} else {
		e.first = i + 1
	}
	e.last = i + 1
}

// leave takes a share out of its list.
func (s *shelf) leave(i int32) {
	p := s.at(i)
	e := &s.ends[p.class]
	if p.prev > 0 {
		s.at(p.prev - 1).next = p.next
	} else {
		e.first = p.next
	}
	if p.next > 0 {
		s.at(p.next - 1).prev = p.prev
	} else {
		e.last = p.prev
	}
	p.prev, p.next = 0, 0
}

func pick(wanted bool, yes, no class) class {
	if wanted {
		return yes
	}
	return no
}

// hashesOf are the names of a share in the DHT: the v1 hash, the first 20 bytes of the v2
// hash, or both (BEP 52).
func hashesOf(h metainfo.InfoHash) (list [2]krpc.ID, ok bool) {
	for i, w := range h.Wire() {
		if i < len(list) {
			list[i] = w
			ok = true
		}
	}
	return list, ok
}
