package swarm

import (
	"slices"
	"time"
)

// choker remembers when it last judged.
type choker struct {
	next, optimistic time.Duration
}

func (t *T) gotInterested(p *peer) {
	p.theyInterest = true
	if t.info != nil && !t.paused && p.choking && t.serving() < t.cfg.Slots {
		t.unchoke(p)
	}
}

func (t *T) gotUninterested(p *peer) {
	p.theyInterest = false
	if !p.choking {
		t.rechoke(true)
	}
}

// serving is the number of peers that are unchoked and interested.
func (t *T) serving() int {
	n := 0
	for _, id := range t.live {
		if q := t.peers[id]; !q.choking && q.theyInterest && !q.closing {
			n++
		}
	}
	return n
}

func (t *T) unchoke(p *peer) {
	if p.choking {
		p.choking = false
		p.unchokedAt = t.now
		t.out.send(SendUnchoke, p.id)
	}
}

func (t *T) choke(p *peer) {
	if !p.choking {
		p.choking, p.optimistic = true, false
		p.lastTurn = t.now
		t.out.send(SendChoke, p.id)
		t.clearQueue(p)
	}
}

// rechoke decides who is served. soon only fills places that have become free; the
// full judgement is made every ten seconds (BEP 3).
func (t *T) rechoke(soon bool) {
	if t.info == nil || t.paused || !soon && t.now < t.choker.next {
		return
	}
	var list []*peer
	for _, id := range t.live {
		if q := t.peers[id]; q.theyInterest && !q.closing && !q.seed {
			list = append(list, q)
		}
	}
	if len(list) <= t.cfg.Slots {
		for _, q := range list {
			t.unchoke(q)
		}
	} else {
		t.rank(list, soon)
		if soon {
			t.fillSlots(list)
		} else {
			t.judge(list)
		}
	}
	if !soon {
		t.choker.next = t.now + chokeInterval
	}
}

// rank sorts the peers, those to be served first. While we fetch, who gives most comes
// first (tit for tat); as a seed, who has got least lately, and a turn once begun lasts
// for a while.
func (t *T) rank(list []*peer, _ bool) {
	slices.SortStableFunc(list, func(a, b *peer) int {
		if t.nNeeded > 0 {
			return compare(t.gives(b), t.gives(a))
		}
		ta, tb := t.inTurn(a), t.inTurn(b)
		if ta != tb {
			if ta {
				return -1
			}
			return 1
		}
		if c := compare(a.up.value(t.now), b.up.value(t.now)); c != 0 {
			return c
		}
		return compare(float64(a.lastTurn), float64(b.lastTurn))
	})
}

func (t *T) gives(p *peer) float64 {
	if p.snubbed {
		return -1
	}
	return p.down.value(t.now)
}

func (t *T) inTurn(p *peer) bool { return !p.choking && t.now-p.unchokedAt < turnTime }

func compare(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

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
		if p.closing || t.info == nil {
			continue
		}
		if on {
			for _, r := range p.reqs[p.head:] {
				t.out.sendBlock(SendCancel, id, r.piece, uint32(r.block)*blockLen, t.blockSize(r.piece, int(r.block)))
			}
			t.release(p)
			t.choke(p)
		}
		t.interest(p)
	}
	t.dirty = true
	if !on {
		t.rechoke(true)
	}
}
