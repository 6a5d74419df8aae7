package swarm

import "time"

// endgame asks the peer for blocks whose holder will take clearly longer: when nothing
// else is left to ask of anybody (BEP 3), or for a piece that is due.
func (t *T) endgame(p *peer) {
	room := t.room(p)
	if room <= 0 || p.snubbed || p.parole > 0 {
		return
	}
	early := t.moreToBegin()
	if early && len(t.due) == 0 {
		return
	}
	mine := t.eta(p, p.pending()+1)
	for _, o := range t.open {
		if o.full || o.sole || !p.offers(o.p) || early && !t.isDue(o.p) {
			continue
		}
		for b := range o.blocks {
			k := &o.blocks[b]
			if k.state != blockAsked || k.holder == p.id || k.second == p.id ||
				!t.slower(k.holder, mine) || k.second != NoPeer && !t.slower(k.second, mine) {
				continue
			}
			if k.second != NoPeer {
				t.cancel(k.second, o, uint16(b))
			}
			k.second = p.id
			t.request(p, o, b)
			if room--; room <= 0 {
				return
			}
			mine = t.eta(p, p.pending()+1)
		}
	}
}

// moreToBegin tells that a peer has a piece that is wanted and not open. What nobody has
// that gives us anything is no reason to wait.
func (t *T) moreToBegin() bool {
	if t.nWanted == 0 {
		return false
	}
	for _, id := range t.live {
		q := t.peers[id]
		if q.closing || q.choked || q.snubbed || !q.interested || q.dry == t.wants {
			continue
		}
		if q.useful > len(t.open) || t.wanted.Next(q.bits, 0) >= 0 {
			return true
		}
		q.dry = t.wants
	}
	return false
}

// slower tells that the peer will need clearly longer for what it was asked than mine.
func (t *T) slower(id Peer, mine time.Duration) bool {
	h := t.peer(id)
	return h != nil && t.eta(h, h.pending()) >= 2*mine+lapse
}

// takeOver gives a piece that one peer alone may fetch to a peer with nothing to do that
// will be much quicker, from the start.
func (t *T) takeOver(p *peer) {
	if t.nSole == 0 || p.snubbed {
		return
	}
	for _, o := range t.open {
		if !o.sole || o.full || o.alone == NoPeer || o.alone == p.id || !p.offers(o.p) {
			continue
		}
		h := t.peer(o.alone)
		if h != nil && t.eta(h, o.missing) < 2*t.eta(p, p.pending()+len(o.blocks))+time.Second {
			continue
		}
		t.cancelAsked(o)
		t.leave(h, o)
		for range min(t.room(p), o.free) {
			t.ask(p, o)
		}
		return
	}
}

// eta is how long the peer needs for n blocks, at its rate now.
func (t *T) eta(p *peer, n int) time.Duration {
	const (
		never = time.Hour
		start = time.Second // what a peer that was just asked is given
	)
	// With BEP 6 what was asked before the choke is answered, or rejected soon.
	if !p.open() && (!p.fast() || p.pending() == 0) {
		return never
	}
	silent := t.now - p.lastBlock
	r := p.win.best()
	if r == 0 && p.down.total > 0 {
		r = float64(p.down.total) / max(t.now-p.firstAsk, time.Millisecond).Seconds()
	}
	if r == 0 {
		if silent < start || p.pending() == 0 {
			return start
		}
		return min(time.Duration(n)*silent, never)
	}
	d := time.Duration(min(float64(n)*blockLen/r, never.Seconds()) * float64(time.Second))
	// A peer that has gone silent gets slower by the second.
	if p.pending() > 0 && silent > d+p.win.delay {
		d += silent
	}
	return min(d, never)
}
