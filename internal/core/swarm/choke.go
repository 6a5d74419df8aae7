package swarm

import (
	"cmp"
	"slices"
	"time"
)

// choker remembers when it last judged.
type choker struct {
	next, optimistic time.Duration
	vacant           bool // a place has become free: it is filled at the end of the Step
}

func (t *T) gotInterested(p *peer) {
	p.theyInterest = true
	t.source.stale = true
	if t.info != nil && !t.paused && p.choking && !p.seed && t.serving() < t.cfg.Slots {
		t.unchoke(p)
	}
}

func (t *T) gotUninterested(p *peer) {
	p.theyInterest = false
	t.source.stale = true
	t.choker.vacant = t.choker.vacant || !p.choking
}

// serving is the number of peers that are unchoked and want something.
func (t *T) serving() int {
	n := 0
	for _, id := range t.live {
		if q := t.peers[id]; !q.choking && q.theyInterest && !q.seed && !q.closing {
			n++
		}
	}
	return n
}

func (t *T) unchoke(p *peer) {
	if p.choking {
		p.choking = false
		p.unchokedAt = t.now
		t.source.stale = true
		t.out.send(SendUnchoke, p.id)
	}
}

func (t *T) choke(p *peer) {
	if !p.choking {
		p.choking, p.optimistic = true, false
		p.lastTurn = t.now
		t.source.stale = true
		t.out.send(SendChoke, p.id)
		// The allowed fast set stays served (BEP 6).
		t.dropQueued(p, func(u upload) bool { return t.paused || !slices.Contains(p.fastGiven, u.piece) })
	}
}

// rechoke decides who is served. soon only fills places that have become free; the
// full judgement is made every ten seconds (BEP 3), so that nobody is choked and unchoked
// in quick succession.
func (t *T) rechoke(soon bool) {
	if t.info == nil || t.paused || !soon && t.now < t.choker.next {
		return
	}
	var list []*peer
	for _, id := range t.live {
		q := t.peers[id]
		switch {
		case q.closing:
		case q.theyInterest && !q.seed:
			list = append(list, q)
		case !soon:
			t.choke(q) // it asks for nothing; else it would hold a place beyond the count
		}
	}
	switch {
	case len(list) <= t.cfg.Slots:
		for _, q := range list {
			q.optimistic = false
			t.unchoke(q)
		}
	case soon:
		t.rank(list)
		t.fillSlots(list)
	default:
		t.rank(list)
		t.judge(list)
	}
	if !soon {
		t.choker.next = t.now + chokeInterval
	}
}

// rank sorts the peers, those to be served first. While we fetch, who gives most comes
// first (tit for tat); as a seed, who has waited longest, and a turn once begun lasts for
// a while.
func (t *T) rank(list []*peer) {
	slices.SortStableFunc(list, func(a, b *peer) int {
		if t.nNeeded > 0 {
			return cmp.Compare(t.gives(b), t.gives(a))
		}
		if ta, tb := t.inTurn(a), t.inTurn(b); ta != tb {
			if ta {
				return -1
			}
			return 1
		}
		if c := cmp.Compare(t.served(a), t.served(b)); c != 0 {
			return c
		}
		return cmp.Compare(a.up.value(t.now), b.up.value(t.now))
	})
}

// served is when the peer was served last. That it takes nothing is no reason to go on:
// it would keep its place for ever.
func (t *T) served(p *peer) time.Duration {
	if p.choking {
		return p.lastTurn
	}
	return t.now
}

func (t *T) gives(p *peer) float64 {
	if p.snubbed {
		return -1
	}
	return p.down.value(t.now)
}

func (t *T) inTurn(p *peer) bool { return !p.choking && t.now-p.unchokedAt < turnTime }

// fillSlots unchokes from the top until every place is taken.
func (t *T) fillSlots(list []*peer) {
	n := t.serving()
	for _, q := range list {
		if n >= t.cfg.Slots {
			return
		}
		if q.choking {
			t.unchoke(q)
			n++
		}
	}
}

// judge serves the first of the list and one at random (the optimistic unchoke, which
// lets newcomers prove themselves), and chokes the others.
func (t *T) judge(list []*peer) {
	places := t.cfg.Slots
	if t.nNeeded > 0 {
		places--
	}
	chosen, rest := list[:places], list[places:]
	var lucky *peer
	if t.nNeeded > 0 {
		lucky = t.optimist(rest)
	}
	for _, q := range rest {
		if q != lucky {
			t.choke(q)
		}
	}
	for _, q := range chosen {
		q.optimistic = false
		t.unchoke(q)
	}
	if lucky != nil {
		t.unchoke(lucky)
	}
}

// optimist keeps the lucky one for thirty seconds, then draws another; who has been
// connected for less than a minute has three lots (BEP 3).
func (t *T) optimist(rest []*peer) *peer {
	if t.now < t.choker.optimistic {
		for _, q := range rest {
			if q.optimistic {
				return q
			}
		}
	}
	t.choker.optimistic = t.now + optimisticTime
	var lots []*peer
	for _, q := range rest {
		q.optimistic = false
		lots = append(lots, q)
		if t.now-q.since < time.Minute {
			lots = append(lots, q, q)
		}
	}
	if len(lots) == 0 {
		return nil
	}
	q := lots[t.rng.IntN(len(lots))]
	q.optimistic = true
	return q
}

// setPaused stops all exchange, or takes it up again; connections stay.
func (t *T) setPaused(on bool) {
	if t.paused == on {
		return
	}
	t.paused = on
	for _, id := range t.live {
		p := t.peers[id]
		if p.closing {
			continue
		}
		if on && t.info != nil {
			t.cancelAll(p)
			t.release(p)
			t.choke(p)
			t.dropQueued(p, func(upload) bool { return true })
		}
		t.interest(p)
	}
	t.dirty = true
	if !on {
		t.rechoke(true)
	}
}
