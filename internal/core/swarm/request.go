package swarm

import "time"

// ask requests the next free block of the open piece from the peer.
func (t *T) ask(p *peer, o *openPiece) {
	b := o.scan
	for o.blocks[b].state != blockFree {
		b++
	}
	o.scan = b + 1
	o.free--
	o.blocks[b] = block{state: blockAsked, holder: p.id, second: NoPeer}
	if o.suspect && o.alone == NoPeer {
		o.alone = p.id
	}
	p.cur = o
	t.request(p, o.p, b)
}

func (t *T) request(p *peer, piece uint32, b int) {
	if p.head > 256 && p.head > len(p.reqs)/2 {
		n := copy(p.reqs, p.reqs[p.head:])
		p.reqs, p.head = p.reqs[:n], 0
	}
	if p.pending() == 0 {
		p.lastBlock = t.now // silence counts from the first request on
		p.win.idle()
	}
	p.reqs = append(p.reqs, request{piece, uint16(b), t.now})
	t.out.sendBlock(SendRequest, p.id, piece, uint32(b)*blockLen, t.blockSize(piece, b))
}

// fillAll tops up the requests of the peers that this Step touched.
func (t *T) fillAll() {
	if t.info == nil || t.paused || t.nNeeded == 0 {
		t.dirty = false
		return
	}
	for _, id := range t.live {
		p := t.peers[id]
		if t.dirty || p.win.dirty {
			p.win.dirty = false
			t.fill(p)
		}
	}
	t.dirty = false
}

func (t *T) fill(p *peer) {
	if p.closing || !p.interested || (p.choked && len(p.fastGot) == 0) {
		return
	}
	room := min(p.win.size, p.reqQ)
	if p.snubbed {
		room = 1
	}
	for p.pending() < room {
		o := t.pick(p)
		if o == nil {
			if !p.choked {
				t.endgame(p, room-p.pending())
			}
			return
		}
		t.ask(p, o)
	}
}

// endgame asks the peer for blocks whose holder will take clearly longer.
func (t *T) endgame(p *peer, room int) {
	if p.snubbed {
		return
	}
	mine := t.eta(p, p.pending()+1)
	for _, o := range t.open {
		if o.full || o.missing == 0 || !p.has(o.p) || o.suspect && o.alone != p.id {
			continue
		}
		for b := range o.blocks {
			k := &o.blocks[b]
			if k.state != blockAsked || k.second != NoPeer || k.holder == p.id {
				continue
			}
			h := t.peer(k.holder)
			if h == nil || t.eta(h, h.pending()) < 2*mine+lapse {
				continue
			}
			k.second = p.id
			t.request(p, o.p, b)
			if room--; room <= 0 {
				return
			}
		}
	}
}

// eta is how long the peer needs for n blocks, at its rate now.
func (t *T) eta(p *peer, n int) time.Duration {
	const never = time.Hour
	if p.choked && len(p.fastGot) == 0 {
		return never
	}
	// A peer that has gone silent gets slower by the second.
	r := p.win.best()
	if r == 0 {
		return min(never, time.Second+t.now-p.lastBlock)
	}
	d := time.Duration(float64(n) * blockLen / r * float64(time.Second))
	if silent := t.now - p.lastBlock; silent > d+p.win.delay {
		d += silent
	}
	return min(d, never)
}

// take removes the request from the peer's outstanding ones.
func (p *peer) take(piece uint32, b uint16) (request, bool) {
	for i := p.head; i < len(p.reqs); i++ {
		r := p.reqs[i]
		if r.piece != piece || r.block != b {
			continue
		}
		if i == p.head {
			p.head++
		} else {
			p.reqs = append(p.reqs[:i], p.reqs[i+1:]...)
		}
		if p.head == len(p.reqs) {
			p.reqs, p.head = p.reqs[:0], 0
		}
		return r, true
	}
	return request{}, false
}

func (p *peer) ghost(r request) {
	if len(p.ghosts) >= maxGhosts {
		p.ghosts = p.ghosts[:copy(p.ghosts, p.ghosts[1:])]
	}
	p.ghosts = append(p.ghosts, r)
}

func (p *peer) takeGhost(piece uint32, b uint16) bool {
	for i, r := range p.ghosts {
		if r.piece == piece && r.block == b {
			p.ghosts = append(p.ghosts[:i], p.ghosts[i+1:]...)
			return true
		}
	}
	return false
}

// gotBlock judges a block that has come and says whether to keep it.
func (t *T) gotBlock(p *peer, e *Event, ref int32) {
	if t.info == nil || e.P >= t.pieces || e.B%blockLen != 0 || int(e.B/blockLen) >= t.blocksOf(e.P) ||
		e.N != t.blockSize(e.P, int(e.B/blockLen)) {
		t.discard(ref, e.N)
		t.close(p, ReasonProtocol, false)
		return
	}
	b := uint16(e.B / blockLen)
	r, asked := p.take(e.P, b)
	if !asked && !p.takeGhost(e.P, b) {
		t.discard(ref, e.N)
		if p.strays++; p.strays > maxStrays {
			t.close(p, ReasonUnrequested, true)
		}
		return
	}
	p.lastBlock = t.now
	p.down.add(t.now, int(e.N))
	if asked {
		p.win.block(t.now, r.at, e.N)
	}
	if p.snubbed {
		p.snubbed = false
		p.win.init()
	}
	o := t.opened(e.P)
	if o == nil || o.blocks[b].state == blockCame || o.suspect && o.alone != p.id {
		t.discard(ref, e.N)
		return
	}
	t.keep(p, o, b, ref, e.N)
}

func (t *T) keep(p *peer, o *openPiece, b uint16, ref int32, n uint32) {
	k := &o.blocks[b]
	if k.state == blockFree {
		o.free--
	}
	for _, other := range [2]Peer{k.holder, k.second} {
		if k.state == blockAsked && other != NoPeer && other != p.id {
			t.cancel(other, o.p, b)
		}
	}
	*k = block{state: blockCame, holder: p.id, second: NoPeer}
	t.Counted.Received += int64(n)
	t.out.add(Effect{Kind: Accept, Ref: ref, P: o.p})
	if o.missing--; o.missing == 0 {
		o.full = true
		t.out.add(Effect{Kind: PieceFull, Peer: NoPeer, P: o.p})
	}
}

// cancel takes a request back that somebody else answered first.
func (t *T) cancel(id Peer, piece uint32, b uint16) {
	q := t.peer(id)
	if q == nil {
		return
	}
	r, ok := q.take(piece, b)
	if !ok {
		return
	}
	q.ghost(r)
	q.win.dirty = true
	t.Counted.Cancels++
	if !q.closing {
		t.out.sendBlock(SendCancel, id, piece, uint32(b)*blockLen, t.blockSize(piece, int(b)))
	}
}

// unclaim gives the block back when the peer will not deliver it.
func (t *T) unclaim(p *peer, piece uint32, b uint16) {
	o := t.opened(piece)
	if o == nil || int(b) >= len(o.blocks) {
		return
	}
	k := &o.blocks[b]
	switch {
	case k.state != blockAsked:
	case k.second == p.id:
		k.second = NoPeer
	case k.holder == p.id && k.second != NoPeer:
		k.holder, k.second = k.second, NoPeer
	case k.holder == p.id:
		*k = block{holder: NoPeer, second: NoPeer}
		o.free++
		o.scan = min(o.scan, int(b))
	}
	t.dirty = true
}

// release takes back everything that was asked of the peer.
func (t *T) release(p *peer) {
	for _, r := range p.reqs[p.head:] {
		t.unclaim(p, r.piece, r.block)
		p.ghost(r)
	}
	p.reqs, p.head, p.cur = p.reqs[:0], 0, nil
	for _, o := range t.open {
		if o.alone == p.id {
			o.alone = NoPeer
			if p.closing || t.peers[p.id] == nil {
				t.restart(o)
			}
		}
	}
}

// restart empties a suspect piece so that one peer alone can fetch it from the start.
func (t *T) restart(o *openPiece) {
	if o.full {
		return
	}
	for b := range o.blocks {
		if k := &o.blocks[b]; k.state != blockFree {
			if k.state == blockCame {
				o.missing++
			}
			*k = block{holder: NoPeer, second: NoPeer}
			o.free++
		}
	}
	o.scan = 0
	t.dirty = true
	t.out.add(Effect{Kind: PieceReset, Peer: NoPeer, P: o.p})
}

func (t *T) gotChoke(p *peer) {
	if p.choked {
		return
	}
	p.choked = true
	// With BEP 6 every request is answered or rejected one by one.
	if !p.fast() {
		t.release(p)
	}
	p.cur = nil
	p.win.idle()
}

func (t *T) gotUnchoke(p *peer) {
	p.choked = false
	p.win.dirty = true
}

func (t *T) gotReject(p *peer, e *Event) {
	if !p.fast() || t.info == nil {
		t.close(p, ReasonProtocol, false)
		return
	}
	b := uint16(e.B / blockLen)
	if _, ok := p.take(e.P, b); !ok {
		p.takeGhost(e.P, b)
		return
	}
	t.unclaim(p, e.P, b)
	if p.cur != nil && p.cur.p == e.P {
		p.cur = nil
	}
	if p.choked {
		// The allowed fast set is no promise that holds when it is refused.
		p.fastGot = remove(p.fastGot, e.P)
		return
	}
	// A peer that does not choke us and refuses does not have it: asking again would
	// go round in circles.
	t.gotDontHave(p, e.P)
}

func remove(list []uint32, v uint32) []uint32 {
	for i, x := range list {
		if x == v {
			return append(list[:i], list[i+1:]...)
		}
	}
	return list
}

// checkSnub takes back what a silent peer was asked for.
func (t *T) checkSnub(p *peer) {
	limit := snubTime / 3
	if p.down.total > 0 {
		limit = min(snubFloor+4*p.win.delay, snubTime)
	}
	if t.now-max(p.lastBlock, p.reqs[p.head].at) < limit {
		return
	}
	if !p.snubbed {
		t.out.add(Effect{Kind: Penalise, Peer: p.id, Reason: ReasonSnubbed})
	}
	p.snubbed = true
	t.release(p)
	p.win.init()
	p.win.dirty = true
}
