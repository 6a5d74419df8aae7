package swarm

import "bytes"

// Bounds of what is remembered about bad peers.
const (
	maxBans     = 10000 // security.md: bounded, oldest out first
	maxFailures = 64    // pieces whose failed blocks are remembered
	digestLen   = 32
)

// blame finds who sent a bad block. When a piece fails its hash, the digest and the
// sender of each of its blocks are kept. When the piece later passes, a block whose
// digest differs was bad, and its sender is banned: nobody else can be hit. A piece
// that came from one peer alone needs no second round.
type blame struct {
	bans     map[Key]struct{}
	order    []Key
	failures map[uint32]*failure
}

type failure struct {
	who     []Key
	digests []byte
}

func (b *blame) init() {
	b.bans = make(map[Key]struct{})
	b.failures = make(map[uint32]*failure)
}

func (b *blame) banned(k Key) bool { _, ok := b.bans[k]; return ok }

func (b *blame) ban(k Key) {
	if b.banned(k) {
		return
	}
	if len(b.order) >= maxBans {
		delete(b.bans, b.order[0])
		b.order = b.order[1:]
	}
	b.bans[k] = struct{}{}
	b.order = append(b.order, k)
}

// Bans is the number of peers that may not come back.
func (t *T) Bans() int { return len(t.blame.order) }

// pieceEvent takes the verdict of the driver on a piece.
func (t *T) pieceEvent(e *Event) {
	if t.info == nil || e.P >= t.pieces {
		return
	}
	switch e.Kind {
	case PieceGood:
		t.pieceGood(e)
	case PieceBad:
		t.pieceBad(e)
	case PieceLost:
		t.pieceLost(e.P)
	case PieceFailed:
		if o := t.opened(e.P); o != nil {
			t.reopen(o)
			o.suspect = t.blame.failures[e.P] != nil
		}
	}
}

func (t *T) pieceGood(e *Event) {
	p := e.P
	if e.Flags&V1Bad != 0 {
		t.hybridInconsistent(p)
	}
	if f := t.blame.failures[p]; f != nil {
		if len(e.Data) > 0 {
			t.convict(f, e.Data)
		}
		delete(t.blame.failures, p)
	}
	if t.have.has(p) {
		return
	}
	if o := t.opened(p); o != nil {
		t.shut(o)
	}
	t.unwant(p)
	t.have.set(p)
	t.nHave++
	if t.needed.has(p) {
		t.setNeeded(p, false)
	}
	for i, d := range t.due {
		if d.piece == p {
			t.due = append(t.due[:i], t.due[i+1:]...)
			break
		}
	}
	for _, id := range t.live {
		if q := t.peers[id]; !q.closing && q.bits != nil && !q.has(p) {
			t.out.sendPiece(SendHave, id, p)
		}
	}
	t.afterNeed()
}

// convict bans the senders of blocks whose digest is not that of the good piece.
func (t *T) convict(f *failure, good []byte) {
	for b, k := range f.who {
		lo, hi := b*digestLen, (b+1)*digestLen
		if hi > len(good) || hi > len(f.digests) || bytes.Equal(good[lo:hi], f.digests[lo:hi]) {
			continue
		}
		t.banKey(k)
	}
}

func (t *T) banKey(k Key) {
	t.blame.ban(k)
	for _, id := range t.live {
		if q := t.peers[id]; q.key == k {
			t.close(q, ReasonBadBlock, true)
		}
	}
}

// pieceBad remembers who sent what and makes the piece wanted again.
func (t *T) pieceBad(e *Event) {
	o := t.opened(e.P)
	if o == nil || !o.full {
		return
	}
	t.Counted.Failed++
	t.Counted.Wasted += int64(t.pieceSize(e.P))
	t.Counted.Received -= int64(t.pieceSize(e.P))
	f := &failure{digests: append([]byte(nil), e.Data...)}
	alone := true
	for b := range o.blocks {
		var k Key
		if q := t.peer(o.blocks[b].holder); q != nil {
			k = q.key
		}
		f.who = append(f.who, k)
		alone = alone && k == f.who[0] && k != Key{}
	}
	old := t.blame.failures[e.P]
	t.reopen(o)
	if alone && len(f.who) > 0 {
		t.banKey(f.who[0])
		return
	}
	o.suspect = true
	if old == nil && len(t.blame.failures) < maxFailures {
		t.blame.failures[e.P] = f
		t.askLeaves(e.P)
	}
}

// reopen makes every block of the piece free again.
func (t *T) reopen(o *openPiece) {
	o.full, o.alone, o.scan = false, NoPeer, 0
	o.free, o.missing = len(o.blocks), len(o.blocks)
	for b := range o.blocks {
		o.blocks[b] = block{holder: NoPeer, second: NoPeer}
	}
	t.dirty = true
}

// abandon closes an open piece that is not wanted any more.
func (t *T) abandon(o *openPiece) {
	for b := range o.blocks {
		k := o.blocks[b]
		if k.state != blockAsked {
			continue
		}
		for _, id := range [2]Peer{k.holder, k.second} {
			if id != NoPeer {
				t.cancel(id, o.p, uint16(b))
			}
		}
	}
	t.out.add(Effect{Kind: PieceReset, Peer: NoPeer, P: o.p})
	t.shut(o)
}

// pieceLost takes a piece back that was there: its file was changed or removed.
func (t *T) pieceLost(p uint32) {
	if !t.have.has(p) {
		return
	}
	t.have.clear(p)
	t.nHave--
	if t.prio[p] > 0 {
		t.setNeeded(p, true)
		t.want(p)
	}
	for _, id := range t.live {
		q := t.peers[id]
		if q.closing {
			continue
		}
		t.out.sendPiece(SendDontHave, id, p)
		t.dropQueued(q, p)
	}
	t.complete = t.nNeeded == 0
	t.afterNeed()
}

// hybridInconsistent drops the v1 side: the two hashes of the share disagree.
func (t *T) hybridInconsistent(p uint32) {
	t.out.add(Effect{Kind: HybridInconsistent, Peer: NoPeer, P: p})
	for _, id := range t.live {
		if q := t.peers[id]; q.flags&V2 == 0 {
			t.close(q, ReasonHybrid, false)
		}
	}
}

// askLeaves asks a v2 peer for the leaf hashes of a failed piece: with them the bad
// block is known at once (BEP 52).
func (t *T) askLeaves(p uint32) {
	if t.info.Version&2 == 0 {
		return
	}
	for _, id := range t.live {
		if q := t.peers[id]; !q.closing && q.flags&V2 != 0 && q.has(p) {
			t.out.sendPiece(SendHashRequest, id, p)
			return
		}
	}
}

// gotHashes compares the leaves of a failed piece, which the driver has checked against
// the piece's root, with what was received.
func (t *T) gotHashes(p *peer, e *Event) {
	if e.Kind == GotHashReject || t.info == nil || e.P >= t.pieces {
		return
	}
	if f := t.blame.failures[e.P]; f != nil {
		t.convict(f, e.Data)
		delete(t.blame.failures, e.P)
	}
}
