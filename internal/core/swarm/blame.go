package swarm

import (
	"bytes"
	"slices"

	"shoal/internal/core/metainfo"
)

// Bounds of what is remembered about bad peers.
const (
	maxBans     = 10000 // security.md: bounded, oldest out first
	maxFailures = 64    // pieces whose failed blocks are remembered
	digestLen   = 32
	paroleTime  = 2 // whole good pieces for each offence
	maxTries    = 5 // peers that give up on a piece alone before it is shared again
)

// blame finds who sent a bad block. When a piece fails its hash, the digest and the
// sender of each of its blocks are kept. When the piece later passes, a block whose
// digest differs was bad, and its sender is banned: nobody else can be hit. A piece
// that came from one peer alone needs no second round; so a piece that failed is fetched
// by one peer alone, and who had a part in the failure is on parole: it fetches whole
// pieces alone until some have passed, more at each offence.
type blame struct {
	bans     map[Key]struct{}
	order    []Key
	failures map[uint32]*failure
}

// failure is a piece that failed: the senders, and which of them sent each block.
type failure struct {
	senders []sender
	from    []uint16
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
			t.cancelAsked(o)
			t.lose(o)
			t.parkUnwanted(o)
		}
	}
}

// parkUnwanted closes an open piece that lost its priority while its verdict was awaited.
func (t *T) parkUnwanted(o *openPiece) {
	if t.prio[o.p] == 0 {
		t.shut(o)
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
	if t.have.Has(p) {
		return
	}
	if o := t.opened(p); o != nil {
		if o.full {
			t.prove(o)
			t.endParole(o)
			t.shut(o)
		} else {
			t.abandon(o) // found on the disk while it was being fetched
		}
	}
	t.unwant(p)
	t.have.Put(p)
	t.nHave++
	if t.needed.Has(p) {
		t.setNeeded(p, false)
	}
	t.due = slices.DeleteFunc(t.due, func(d deadline) bool { return d.piece == p })
	for _, id := range t.live {
		// Also to those that have it: a seed that does not know what we have cannot tell
		// which pieces it is the only source of.
		if q := t.peers[id]; !q.closing && q.bits != nil {
			t.out.sendPiece(SendHave, id, p)
		}
	}
	t.afterNeed()
}

// convict bans the senders of blocks whose digest is not that of the good piece. The
// others are cleared.
func (t *T) convict(f *failure, good []byte) {
	guilty := make([]bool, len(f.senders))
	for b, from := range f.from {
		lo, hi := b*digestLen, (b+1)*digestLen
		if hi <= len(good) && hi <= len(f.digests) && !bytes.Equal(good[lo:hi], f.digests[lo:hi]) {
			guilty[from] = true
		}
	}
	judged := len(good) > 0 && len(f.digests) > 0
	for i, s := range f.senders {
		if guilty[i] {
			t.banKey(s.key)
		} else if q := t.bySender(s); q != nil && judged {
			q.parole = 0
		}
	}
}

// bySender is the peer that sent a block, nil if it is gone.
func (t *T) bySender(s sender) *peer {
	for _, id := range t.live {
		if q := t.peers[id]; q.nth == s.nth {
			return q
		}
	}
	return nil
}

// prove notes who had a part in a good piece: until then what is asked of a peer at a time
// is bounded, for all of it may be in vain.
func (t *T) prove(o *openPiece) {
	for _, k := range o.senders {
		if q := t.bySender(k); q != nil && !q.proven {
			q.proven, q.dirty = true, true
		}
	}
}

// endParole clears a peer that fetched a whole good piece alone.
func (t *T) endParole(o *openPiece) {
	if len(o.senders) != 1 {
		return
	}
	if q := t.bySender(o.senders[0]); q != nil && q.parole > 0 {
		q.parole--
		q.dirty = true
	}
}

// banKey ends all connections of a peer. What it sent of pieces that are not full is
// dropped too: they would fail.
func (t *T) banKey(k Key) {
	t.blame.ban(k)
	for _, id := range t.live {
		if q := t.peers[id]; q.key == k {
			t.close(q, ReasonBadBlock, true)
		}
	}
	t.distrust(func(s sender) bool { return s.key == k })
}

// distrust drops what came of pieces that are not full and have a block of such a sender.
func (t *T) distrust(such func(s sender) bool) {
	for _, o := range t.open {
		if !o.full && slices.ContainsFunc(o.senders, such) {
			t.cancelAsked(o)
			t.restart(o)
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
	// What v1 calls good and v2 bad nobody forged: it is the share that disagrees.
	disagree := t.info.Version == metainfo.Hybrid && e.Flags&V1Bad == 0
	if disagree {
		t.hybridInconsistent(e.P)
	}
	f := &failure{senders: slices.Clone(o.senders), digests: slices.Clone(e.Data)}
	for b := range o.blocks {
		f.from = append(f.from, o.blocks[b].from)
	}
	t.lose(o)
	if disagree && slices.ContainsFunc(f.senders, t.speaksV1) {
		t.parkUnwanted(o)
		return
	}
	if len(f.senders) == 1 {
		t.parkUnwanted(o)
		t.banKey(f.senders[0].key)
		return
	}
	for _, s := range f.senders {
		if q := t.bySender(s); q != nil {
			q.offences++
			q.parole, q.cur = paroleTime*q.offences, nil
		}
	}
	t.setSole(o, true)
	if t.blame.failures[e.P] == nil && len(t.blame.failures) < maxFailures {
		t.blame.failures[e.P] = f
		t.askLeaves(e.P)
	}
	t.parkUnwanted(o)
}

// abandon closes an open piece that is not wanted any more, or is there already.
func (t *T) abandon(o *openPiece) {
	t.cancelAsked(o)
	t.lose(o)
	t.out.add(Effect{Kind: PieceReset, Peer: NoPeer, P: o.p})
	t.shut(o)
}

// pieceLost takes a piece back that was there: its file was changed or removed.
func (t *T) pieceLost(p uint32) {
	if !t.have.Has(p) {
		return
	}
	t.have.Drop(p)
	t.nHave--
	t.source.stale = true
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
		t.dropQueued(q, func(u upload) bool { return u.piece == p })
	}
	t.complete = t.nNeeded == 0
	t.afterNeed()
}

// hybridInconsistent drops the v1 side for good: the two hashes of the share disagree, and
// it goes on as v2 (BEP 52).
func (t *T) hybridInconsistent(p uint32) {
	if t.v2Only {
		return
	}
	t.v2Only = true
	t.out.add(Effect{Kind: HybridInconsistent, Peer: NoPeer, P: p})
	for _, id := range t.live {
		if q := t.peers[id]; q.flags&V2 == 0 {
			t.close(q, ReasonHybrid, false)
		}
	}
	t.distrust(t.speaksV1)
}

// speaksV1 tells that the sender came by the v1 info hash, or is gone.
func (t *T) speaksV1(s sender) bool {
	q := t.bySender(s)
	return q == nil || q.flags&V2 == 0
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
