package swarm

import (
	"slices"
	"time"

	"shoal/internal/core/swarm/pieces"
)

// Constants of a seed that feeds many.
const (
	suggestBlocks = 64               // blocks suggested to a peer and not yet asked for: more than it asks for between two looks at them
	suggestMin    = 2                // pieces
	sharedTime    = 10 * time.Minute // how long another seed that was seen is believed to be there
	deferTime     = 2 * time.Second  // longest wait of a request for a piece that is already on its way to somebody else
)

// source makes the only source of a piece send it once before it sends any twice. Each
// piece has a carrier: the peer it was suggested to, or that asked for it first. Until
// somebody announces the piece, requests of others for it wait; when somebody has it, they
// are refused once, so that they ask there, as long as the source has fresh pieces to send.
type source struct {
	many    bool          // several peers are fed: the above applies
	stale   bool          // that is to be judged again
	hungry  bool          // somebody may lack suggestions
	orphans bool          // a carrier is gone: what waits for its pieces is to be judged again
	shared  time.Duration // until when another has every piece: two that hold back would hold each other's peers up
	carrier []Peer        // by piece; nil until it is needed
	asked   pieces.Set    // the carrier has asked for it
	from    uint32        // where the walk over the pieces stands
	left    int           // pieces the walk has not seen in this round
}

// What becomes of a request while many are fed.
type routing uint8

const (
	accept routing = iota
	hold
	turnAway
)

// turned is a piece that a peer was refused because others have it.
type turned struct {
	piece uint32
	at    time.Duration
}

const maxTurned = 64 // remembered of a peer

// forget frees what the peer was to carry.
func (s *source) forget(p *peer) {
	p.suggestions = nil
	if s.carrier == nil {
		return
	}
	for i, c := range s.carrier {
		if c == p.id {
			s.carrier[i] = NoPeer
			s.asked.Drop(uint32(i))
		}
	}
	s.left = len(s.carrier)
	s.hungry, s.orphans = true, true
}

// feed judges whether several peers that lack pieces are served, and keeps those supplied
// with suggestions.
func (t *T) feed() {
	s := &t.source
	if s.stale {
		s.stale = false
		n := 0
		for _, id := range t.live {
			if q := t.peers[id]; q.theyInterest && !q.choking && !q.seed && !q.closing {
				n++
			}
		}
		s.many = n >= 2 && t.nNeeded == 0 && t.now >= s.shared
		s.hungry = true
		if !s.many {
			for _, id := range t.live {
				t.admit(t.peers[id], func(upload) bool { return true })
			}
		}
	}
	if s.orphans {
		s.orphans = false
		for _, id := range t.live {
			t.reroute(t.peers[id], func(upload) bool { return true })
		}
	}
	if s.many && s.hungry {
		s.hungry = false
		if s.carrier == nil {
			t.startSource()
		}
		t.suggest()
	}
}

// startSource makes the table of carriers.
func (t *T) startSource() {
	s := &t.source
	s.carrier, s.asked = make([]Peer, t.pieces), pieces.NewSet(int(t.pieces))
	for i := range s.carrier {
		s.carrier[i] = NoPeer
	}
	s.from = t.rng.Uint32N(t.pieces)
	s.left = int(t.pieces)
}

// suggest keeps a few pieces suggested to each peer that is served, different ones to
// each, as long as there are pieces that nobody but seeds has (BEP 6).
func (t *T) suggest() {
	s := &t.source
	ahead := min(max(suggestMin, suggestBlocks/t.perPiece()), maxSuggested)
	for more := s.left > 0; more; {
		more = false
		for _, id := range t.live {
			p := t.peers[id]
			if p.closing || p.choking || !p.theyInterest || !p.fast() || p.seed || len(p.suggestions) >= ahead {
				continue
			}
			piece, ok := t.freshPiece(p)
			if !ok {
				continue
			}
			s.carrier[piece] = id
			p.suggestions = append(p.suggestions, piece)
			t.out.sendPiece(SendSuggest, id, piece)
			more = true
		}
	}
}

// freshPiece is the next piece of the walk that only seeds have and nobody carries.
func (t *T) freshPiece(p *peer) (uint32, bool) {
	s := &t.source
	for s.left > 0 {
		piece := s.from
		s.from = (s.from + 1) % t.pieces
		s.left--
		if t.have.Has(piece) && t.avail[piece] == 0 && s.carrier[piece] == NoPeer && !p.has(piece) {
			return piece, true
		}
	}
	return 0, false
}

// route decides about a request for a piece while many are fed.
func (t *T) route(p *peer, piece uint32) routing {
	s := &t.source
	if s.carrier == nil {
		t.startSource()
	}
	s.hungry = true
	p.suggestions = remove(p.suggestions, piece)
	c := s.carrier[piece]
	switch {
	case c == p.id:
		s.asked.Put(piece)
		return accept
	case t.avail[piece] > 0:
		if t.turnsAway(p, piece) {
			return turnAway
		}
		return accept
	case c != NoPeer && s.asked.Has(piece):
		return hold
	case c != NoPeer:
		q := t.peers[c]
		q.suggestions = remove(q.suggestions, piece)
	}
	s.carrier[piece] = p.id
	s.asked.Put(piece)
	return accept
}

// reroute judges again what the peer was made to wait for.
func (t *T) reroute(p *peer, which func(u upload) bool) {
	p.later = slices.DeleteFunc(p.later, func(u upload) bool {
		if !which(u) {
			return false
		}
		way := t.route(p, u.piece)
		switch way {
		case accept:
			p.enqueue(u)
		case turnAway:
			t.reject(p, u.piece, u.begin, u.n)
		}
		return way != hold
	})
}

// turnsAway tells whether the peer is refused a piece that others have, while there are
// fresh ones to ask for. One that asks again later does not get it there, and is served.
func (t *T) turnsAway(p *peer, piece uint32) bool {
	// Without a limit of our own the bottleneck may be anywhere: a refusal would only
	// cost the peer time.
	if !t.limited || !p.fast() || t.source.left == 0 {
		return false
	}
	if i := slices.IndexFunc(p.turned, func(a turned) bool { return a.piece == piece }); i >= 0 {
		return t.now-p.turned[i].at < deferTime
	}
	if len(p.turned) >= maxTurned {
		p.turned = slices.Delete(p.turned, 0, 1)
	}
	p.turned = append(p.turned, turned{piece, t.now})
	return true
}

// arrived notes that the peer has the piece now: who waits for it can ask there.
func (t *T) arrived(p *peer, piece uint32) {
	s := &t.source
	p.suggestions = remove(p.suggestions, piece)
	if s.carrier == nil {
		return
	}
	s.hungry = true
	s.carrier[piece] = NoPeer
	s.asked.Drop(piece)
	if !s.many {
		return
	}
	for _, id := range t.live {
		t.reroute(t.peers[id], func(u upload) bool { return u.piece == piece })
	}
}

// admit lets requests that were held be served.
func (t *T) admit(p *peer, which func(u upload) bool) {
	p.later = slices.DeleteFunc(p.later, func(u upload) bool {
		ok := which(u)
		if ok {
			p.enqueue(u)
		}
		return ok
	})
}

// promote lets requests be served that were held for long enough.
func (t *T) promote(p *peer) {
	if len(p.later) == 0 {
		return
	}
	t.admit(p, func(u upload) bool { return t.now-u.at >= deferTime })
	if len(p.later) > 0 {
		t.wakeBy(p.later[0].at + deferTime)
	}
}
