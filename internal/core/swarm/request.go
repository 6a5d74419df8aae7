package swarm

import (
	"slices"
	"time"
)

// ask requests the next free block of the open piece from the peer.
func (t *T) ask(p *peer, o *openPiece) {
	b := o.scan
	for o.blocks[b].state != blockFree {
		b++
	}
	o.scan = b + 1
	t.setFree(o, o.free-1)
	o.blocks[b] = block{state: blockAsked, holder: p.id, second: NoPeer}
	if p.parole > 0 && !o.sole {
		t.setSole(o, true)
	}
	if o.sole {
		o.alone = p.id
	}
	p.cur = o
	t.request(p, o, b)
}

func (t *T) request(p *peer, o *openPiece, b int) {
	if p.head > 256 && p.head > len(p.reqs)/2 {
		n := copy(p.reqs, p.reqs[p.head:])
		p.reqs, p.head = p.reqs[:n], 0
	}
	if p.pending() == 0 {
		if p.firstAsk == 0 {
			p.firstAsk = max(t.now, 1)
		}
		p.lastBlock = t.now // silence counts from the first request on
		p.win.idle()
		t.wakeBy(t.now + tickBusy)
	}
	p.reqs = append(p.reqs, request{o.p, uint16(b), t.now})
	t.out.sendBlock(SendRequest, p.id, o.p, uint32(b)*blockLen, o.blockSize(b))
}

// fillAll tops up the requests of the peers that this Step touched.
func (t *T) fillAll() {
	if t.info == nil || t.paused || t.nNeeded == 0 {
		t.dirty = false
		return
	}
	all := t.dirty
	t.dirty = false
	for _, id := range t.live {
		if p := t.peers[id]; all || p.dirty || p.idle(t.now) {
			p.dirty = false
			t.fill(p)
		}
	}
}

// idle tells that it is time to look again whether the peer can do what others are slow with.
func (p *peer) idle(now time.Duration) bool { return p.lookAt > 0 && now >= p.lookAt }

// room is how many more requests the peer is to have.
func (t *T) room(p *peer) int {
	switch {
	case p.closing || !p.interested || !p.open():
		return 0
	case p.snubbed:
		return 1 - p.pending()
	}
	size := min(p.win.size, p.reqQ)
	if !p.proven {
		size = min(size, max(unprovenMost, t.perPiece()))
	}
	return size - p.pending()
}

func (t *T) fill(p *peer) {
	if t.now < p.holdUntil {
		t.wakeBy(p.holdUntil)
		return
	}
	p.lookAt = 0
	for room := t.room(p); room > 0; room-- {
		o := t.pick(p)
		if o == nil {
			if !p.choked {
				t.takeOver(p)
				t.endgame(p)
				p.lookAt = (t.now/endgameTime + 1) * endgameTime // all at one time
				t.wakeBy(p.lookAt)
			}
			return
		}
		t.ask(p, o)
	}
}

// take removes the request from the peer's outstanding ones. Answers come in about the
// order of the requests, so that what is moved is short.
func (p *peer) take(piece uint32, b uint16) (request, bool) {
	for i := p.head; i < len(p.reqs); i++ {
		r := p.reqs[i]
		if r.piece != piece || r.block != b {
			continue
		}
		copy(p.reqs[p.head+1:i+1], p.reqs[p.head:i])
		p.head++
		if p.head == len(p.reqs) {
			p.reqs, p.head = p.reqs[:0], 0
		}
		return r, true
	}
	return request{}, false
}

func (p *peer) ghost(r request) {
	if len(p.ghosts) >= maxGhosts {
		p.ghosts = p.ghosts[:copy(p.ghosts, p.ghosts[maxGhosts/2:])]
	}
	p.ghosts = append(p.ghosts, r)
}

func (p *peer) takeGhost(piece uint32, b uint16) bool {
	i := slices.IndexFunc(p.ghosts, func(r request) bool { return r.piece == piece && r.block == b })
	if i >= 0 {
		p.ghosts = slices.Delete(p.ghosts, i, i+1)
	}
	return i >= 0
}

// stray counts what the peer sent without having been asked. BEP 6 ends the connection at
// the first; a few are let pass, for those that do not speak it may cross a cancel.
func (t *T) stray(p *peer) {
	if p.strays++; p.strays > maxStrays {
		t.close(p, ReasonUnrequested, false)
	}
}

// blockAt finds the number of the block that begins at begin; false if the share has no
// such block of n bytes.
func (t *T) blockAt(piece, begin, n uint32) (uint16, bool) {
	if t.info == nil || piece >= t.pieces || begin%blockLen != 0 {
		return 0, false
	}
	b := int(begin / blockLen)
	if o := t.opened(piece); o != nil {
		return uint16(b), b < len(o.blocks) && n == o.blockSize(b)
	}
	return uint16(b), b < t.blocksOf(piece) && n == t.blockSize(piece, b)
}

// gotBlock judges a block that has come and says whether to keep it.
func (t *T) gotBlock(p *peer, e *Event, ref int32) {
	b, ok := t.blockAt(e.P, e.B, e.N)
	if !ok {
		t.discard(ref, e.N)
		t.close(p, ReasonProtocol, false)
		return
	}
	r, asked := p.take(e.P, b)
	if !asked && !p.takeGhost(e.P, b) {
		t.discard(ref, e.N)
		t.stray(p)
		return
	}
	p.lastBlock, p.nRefused, p.dirty = t.now, 0, true
	p.down.add(t.now, int(e.N))
	if p.snubbed {
		p.snubbed = false
		p.win.init()
	}
	if asked {
		p.win.block(t.now, r.at, e.N)
	}
	o := t.opened(e.P)
	if o == nil || o.blocks[b].state == blockCame || o.sole && o.alone != p.id {
		t.unclaim(p, e.P, b)
		t.discard(ref, e.N)
		return
	}
	t.keep(p, o, b, ref, e.N)
}

func (t *T) keep(p *peer, o *openPiece, b uint16, ref int32, n uint32) {
	k := &o.blocks[b]
	if k.state == blockFree {
		t.setFree(o, o.free-1)
	} else {
		for _, other := range [2]Peer{k.holder, k.second} {
			if other != NoPeer && other != p.id {
				t.cancel(other, o, b)
			}
		}
	}
	*k = block{state: blockCame, from: o.sentBy(p), holder: NoPeer, second: NoPeer}
	t.Counted.Received += int64(n)
	t.out.add(Effect{Kind: Accept, Ref: ref, P: o.p})
	if o.missing--; o.missing == 0 {
		o.full = true
		t.out.add(Effect{Kind: PieceFull, Peer: NoPeer, P: o.p})
	}
}

// sentBy is the index of the peer among those that sent blocks of the piece.
func (o *openPiece) sentBy(p *peer) uint16 {
	for i := len(o.senders) - 1; i >= 0; i-- {
		if o.senders[i].nth == p.nth {
			return uint16(i)
		}
	}
	o.senders = append(o.senders, sender{p.key, p.nth})
	return uint16(len(o.senders) - 1)
}

// cancel takes a request back that somebody else answered, or that is in vain.
func (t *T) cancel(id Peer, o *openPiece, b uint16) {
	q := t.peer(id)
	if q == nil {
		return
	}
	r, ok := q.take(o.p, b)
	if !ok {
		return
	}
	q.ghost(r)
	q.dirty = true
	t.Counted.Cancels++
	if !q.closing {
		t.out.sendBlock(SendCancel, id, o.p, uint32(b)*blockLen, o.blockSize(int(b)))
	}
}

// cancelAsked takes back everything that is asked of the piece.
func (t *T) cancelAsked(o *openPiece) {
	for b := range o.blocks {
		k := o.blocks[b]
		if k.state != blockAsked {
			continue
		}
		for _, id := range [2]Peer{k.holder, k.second} {
			if id != NoPeer {
				t.cancel(id, o, uint16(b))
			}
		}
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
		return
	case k.second == p.id:
		k.second = NoPeer
	case k.holder == p.id && k.second != NoPeer:
		k.holder, k.second = k.second, NoPeer
	case k.holder == p.id:
		*k = freeBlock
		t.setFree(o, o.free+1)
		o.scan = min(o.scan, int(b))
	default:
		return
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
	t.leaveAll(p)
}

// cancelAll tells the peer that nothing of what it was asked is wanted any more.
func (t *T) cancelAll(p *peer) {
	for _, r := range p.reqs[p.head:] {
		t.Counted.Cancels++
		t.out.sendBlock(SendCancel, p.id, r.piece, uint32(r.block)*blockLen, t.blockSize(r.piece, int(r.block)))
	}
}

// leaveAll lets others fetch the pieces that the peer was to fetch alone.
func (t *T) leaveAll(p *peer) {
	if t.nSole == 0 {
		return
	}
	for _, o := range t.open {
		t.leave(p, o)
	}
}

func (t *T) leave(p *peer, o *openPiece) {
	if !o.sole || o.alone == NoPeer || p != nil && o.alone != p.id || o.full {
		return
	}
	o.alone = NoPeer
	t.restart(o)
	if o.tries++; o.tries >= maxTries {
		t.setSole(o, false) // peers come and go too fast for one to fetch it all
	}
}

// restart drops what came of an open piece: one peer alone is to fetch it from the start,
// or what came is not to be trusted.
func (t *T) restart(o *openPiece) {
	if t.lose(o) > 0 {
		t.out.add(Effect{Kind: PieceReset, Peer: NoPeer, P: o.p})
	}
}

// lose makes every block of the piece free again and counts what came of it as wasted.
func (t *T) lose(o *openPiece) (came int64) {
	for b := range o.blocks {
		if o.blocks[b].state == blockCame {
			came += int64(o.blockSize(b))
		}
	}
	t.Counted.Wasted += came
	t.Counted.Received -= came
	t.reopen(o)
	return came
}

// reopen makes every block of the piece free again.
func (t *T) reopen(o *openPiece) {
	for b := range o.blocks {
		o.blocks[b] = freeBlock
	}
	o.full, o.alone, o.scan, o.missing, o.senders = false, NoPeer, 0, len(o.blocks), o.senders[:0]
	t.setFree(o, len(o.blocks))
	t.dirty = true
}

func (t *T) gotChoke(p *peer) {
	if p.choked {
		return
	}
	p.choked, p.cur = true, nil
	p.win.idle()
	// With BEP 6 every request is answered or rejected one by one.
	if !p.fast() {
		t.release(p)
	} else {
		t.leaveAll(p)
	}
	p.dirty = true
}

func (t *T) gotUnchoke(p *peer) { p.choked, p.dirty = false, true }

func (t *T) gotReject(p *peer, e *Event) {
	if !p.fast() || t.info == nil || e.P >= t.pieces {
		t.close(p, ReasonProtocol, false)
		return
	}
	b := uint16(min(e.B/blockLen, 1<<16-1))
	if _, ok := p.take(e.P, b); !ok {
		if !p.takeGhost(e.P, b) {
			t.stray(p)
		}
		return
	}
	t.unclaim(p, e.P, b)
	p.dirty = true
	if o := t.opened(e.P); o != nil {
		t.leave(p, o)
		if p.cur == o {
			p.cur = nil
		}
	}
	if p.choked {
		// The allowed fast set is no promise that holds when it is refused.
		p.fastGot = remove(p.fastGot, e.P)
		return
	}
	t.refuse(p, e.P)
}

func remove(list []uint32, v uint32) []uint32 {
	if i := slices.Index(list, v); i >= 0 {
		return slices.Delete(list, i, i+1)
	}
	return list
}

// checkSnub takes back what a silent peer was asked for.
func (t *T) checkSnub(p *peer) {
	limit := snubTime / 3
	if p.snubbed {
		limit = snubTime // it has one request: taken back again and again, it would never be answered
	} else if p.down.total > 0 {
		limit = min(snubFloor+4*p.win.delay, snubTime)
	}
	if t.now-max(p.lastBlock, p.reqs[p.head].at) < limit {
		return
	}
	if !p.snubbed {
		t.out.add(Effect{Kind: Penalise, Peer: p.id, Reason: ReasonSnubbed})
	}
	p.snubbed, p.dirty = true, true
	t.cancelAll(p)
	t.release(p)
	p.win.init()
}
