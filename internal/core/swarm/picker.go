package swarm

import (
	"cmp"
	"slices"
	"time"

	"shoal/internal/core/swarm/pieces"
)

// openPiece is a piece of which something was asked and not everything is verified.
type openPiece struct {
	p       uint32
	size    uint32 // bytes on the wire
	blocks  []block
	free    int      // blocks that nobody was asked for
	missing int      // blocks that have not come
	scan    int      // no block before this one is free
	full    bool     // every block came; the verdict is awaited
	sole    bool     // one peer alone may fetch it, so that it answers for the whole
	alone   Peer     // that peer; NoPeer while it is to be found
	tries   int      // how many gave up on it alone
	senders []sender // of the blocks that came
}

// sender is who sent a block, also after its connection has ended.
type sender struct {
	key Key
	nth uint32
}

type blockState uint8

const (
	blockFree blockState = iota
	blockAsked
	blockCame
)

// block is one 16 KiB of an open piece. holder is the peer it was asked of; second was
// asked too in the endgame. Of a block that came, from is the index of its sender.
type block struct {
	state          blockState
	from           uint16
	holder, second Peer
}

var freeBlock = block{holder: NoPeer, second: NoPeer}

type deadline struct {
	at    time.Duration
	piece uint32
}

// class is the order of the pieces of one priority.
func (t *T) class(prio uint8) *pieces.Order {
	if t.order[prio] == nil {
		t.order[prio] = pieces.NewOrder(t.avail, t.rng)
	}
	return t.order[prio]
}

func (t *T) want(p uint32) {
	t.wanted.Put(p)
	t.nWanted++
	t.wants++
	t.class(t.prio[p]).Insert(p)
}

func (t *T) unwant(p uint32) {
	if t.wanted.Has(p) {
		t.wanted.Drop(p)
		t.nWanted--
		t.class(t.prio[p]).Remove(p)
	}
}

// openUp takes the piece out of the order and makes its block table.
func (t *T) openUp(p uint32) *openPiece {
	t.unwant(p)
	var o *openPiece
	if n := len(t.pool); n > 0 {
		o, t.pool = t.pool[n-1], t.pool[:n-1]
	} else {
		o = new(openPiece)
	}
	n := t.blocksOf(p)
	*o = openPiece{p: p, size: t.pieceSize(p), blocks: slices.Grow(o.blocks[:0], n)[:n], missing: n, alone: NoPeer,
		senders: o.senders[:0]}
	for i := range o.blocks {
		o.blocks[i] = freeBlock
	}
	t.setFree(o, n)
	t.openAt[p] = int32(len(t.open))
	t.open = append(t.open, o)
	return o
}

// shut takes the piece out of the open ones.
func (t *T) shut(o *openPiece) {
	t.setFree(o, 0)
	t.setSole(o, false)
	i := t.openAt[o.p]
	last := len(t.open) - 1
	t.open[i] = t.open[last]
	t.openAt[t.open[i].p] = i
	t.open = t.open[:last]
	t.openAt[o.p] = -1
	for _, id := range t.live {
		if q := t.peers[id]; q.cur == o {
			q.cur = nil
		}
	}
	t.pool = append(t.pool, o)
}

func (t *T) setFree(o *openPiece, n int) {
	t.nFree += n - o.free
	o.free = n
}

// setSole makes the piece one that a peer fetches alone, or ends that.
func (t *T) setSole(o *openPiece, on bool) {
	if on != o.sole {
		o.sole = on
		if on {
			t.nSole++
		} else {
			t.nSole--
		}
	}
	o.alone = NoPeer
}

func (o *openPiece) blockSize(b int) uint32 { return min(blockLen, o.size-uint32(b)*blockLen) }

func (t *T) opened(p uint32) *openPiece {
	if i := t.openAt[p]; i >= 0 {
		return t.open[i]
	}
	return nil
}

// usable tells whether the peer may take a free block of the open piece. A peer on parole
// takes part in nothing that it does not answer for alone.
func (o *openPiece) usable(p *peer) bool {
	if o.free == 0 || !p.offers(o.p) {
		return false
	}
	if o.sole {
		return o.alone == p.id || o.alone == NoPeer && !p.snubbed
	}
	return p.parole == 0 || o.free == len(o.blocks)
}

// pick chooses the open piece from which the peer is asked its next block; nil if
// there is none with a free block that it has.
func (t *T) pick(p *peer) *openPiece {
	if p.choked {
		return t.pickListed(p, &p.fastGot, true)
	}
	if p.cur != nil && p.cur.usable(p) {
		return p.cur
	}
	if o := t.pickDue(p); o != nil {
		return o
	}
	if o := t.pickSole(p); o != nil {
		return o
	}
	if o := t.pickListed(p, &p.suggested, false); o != nil {
		return o
	}
	if t.helps(p) {
		if o := t.pickOpen(p); o != nil {
			return o
		}
	}
	if o := t.pickNew(p); o != nil {
		return o
	}
	if o := t.pickOpen(p); o != nil {
		return o
	}
	if p.parole > 0 {
		return t.pickRest(p)
	}
	if p.snubbed {
		return t.pickForlorn(p)
	}
	return nil
}

// pickRest gives a peer on parole, when there is nothing else for it, a piece of which
// some came and nothing is asked of others, from the start: else what is left when all
// peers are on parole would never come.
func (t *T) pickRest(p *peer) *openPiece {
	for _, o := range t.open {
		if o.sole || o.full || o.free < o.missing || !p.offers(o.p) {
			continue
		}
		t.restart(o)
		return o
	}
	return nil
}

// pickForlorn gives a piece that one peer alone is to fetch to a snubbed one, when no
// better peer has it.
func (t *T) pickForlorn(p *peer) *openPiece {
	for _, o := range t.open {
		if !o.sole || o.alone != NoPeer || o.free == 0 || !p.offers(o.p) {
			continue
		}
		if !slices.ContainsFunc(t.live, func(id Peer) bool {
			q := t.peers[id]
			return !q.snubbed && !q.choked && !q.closing && q.offers(o.p)
		}) {
			return o
		}
	}
	return nil
}

// pickSole takes a piece that one peer alone is to fetch: first, for until it has passed
// somebody who sends bad blocks goes on.
func (t *T) pickSole(p *peer) *openPiece {
	if t.nSole == 0 {
		return nil
	}
	for _, o := range t.open {
		if o.sole && o.usable(p) {
			return o
		}
	}
	return nil
}

// pickListed takes from a list of pieces that the peer offered; keep leaves pieces in
// the list (the allowed fast set stays valid), else they are used up.
func (t *T) pickListed(p *peer, list *[]uint32, keep bool) *openPiece {
	for i := 0; i < len(*list); i++ {
		piece := (*list)[i]
		if !keep {
			*list = append((*list)[:i], (*list)[i+1:]...)
			i--
		}
		if o := t.opened(piece); o != nil && o.usable(p) {
			return o
		}
		if t.wanted.Has(piece) && p.offers(piece) {
			return t.openUp(piece)
		}
	}
	return nil
}

// pickDue takes the piece with the nearest deadline.
func (t *T) pickDue(p *peer) *openPiece {
	for _, d := range t.due {
		if o := t.opened(d.piece); o != nil {
			if o.usable(p) {
				return o
			}
		} else if t.wanted.Has(d.piece) && p.offers(d.piece) {
			return t.openUp(d.piece)
		}
	}
	return nil
}

func (t *T) isDue(p uint32) bool {
	return slices.ContainsFunc(t.due, func(d deadline) bool { return d.piece == p })
}

// helps tells that the peer alone would keep a piece open for so long that it rather
// helps with one that is open.
func (t *T) helps(p *peer) bool {
	const long = 10 // seconds
	rate := p.win.best()
	return rate > 0 && rate*long < float64(t.info.PieceLength)
}

// pickOpen joins an open piece: the one with the fewest free blocks, to end it soon.
func (t *T) pickOpen(p *peer) *openPiece {
	if t.nFree == 0 {
		return nil
	}
	var best *openPiece
	for _, o := range t.open {
		if o.free > 0 && (best == nil || o.free < best.free) && o.usable(p) {
			best = o
		}
	}
	return best
}

// pickNew opens the rarest piece that the peer has, of the highest priority.
func (t *T) pickNew(p *peer) *openPiece {
	if p.dry == t.wants || !t.mayOpen() {
		return nil
	}
	if t.sequential {
		for i := t.wanted.Next(p.bits, 0); i >= 0; i = t.wanted.Next(p.bits, uint32(i)+1) {
			if p.offers(uint32(i)) {
				return t.openUp(uint32(i))
			}
		}
	} else {
		for prio := 3; prio >= 1; prio-- {
			if r := t.order[prio]; r != nil && len(r.List()) > 0 {
				if piece, ok := t.rarest(r, p); ok {
					return t.openUp(piece)
				}
			}
		}
	}
	p.dry = t.wants
	return nil
}

// rarest finds the first piece of the order that the peer has. The walk is short while
// the peer has much of what is wanted; for a peer with little, some of its own pieces,
// from a random one on, are compared.
func (t *T) rarest(r *pieces.Order, p *peer) (uint32, bool) {
	list := r.List()
	if t.nHave < randomFirst && p.useful > randomFirst {
		from := t.rng.IntN(len(list))
		for i := range min(len(list), maxRandomWalk) {
			if piece := list[(from+i)%len(list)]; p.offers(piece) {
				return piece, true
			}
		}
	}
	for _, piece := range list[:min(len(list), maxRarestWalk)] {
		if p.offers(piece) {
			return piece, true
		}
	}
	if len(list) <= maxRarestWalk {
		return 0, false
	}
	from := t.rng.Uint32N(t.pieces)
	if piece, ok := t.sample(r, p, from, t.pieces); ok {
		return piece, true
	}
	return t.sample(r, p, 0, from)
}

// sample is the rarest of the first pieces in [from, end) that the peer has.
func (t *T) sample(r *pieces.Order, p *peer, from, end uint32) (best uint32, found bool) {
	seen := 0
	for i := t.wanted.Next(p.bits, from); i >= 0 && uint32(i) < end; i = t.wanted.Next(p.bits, uint32(i)+1) {
		q := uint32(i)
		if r.Index(q) < 0 || p.refuses(q) {
			continue
		}
		if !found || r.Index(q) < r.Index(best) {
			best, found = q, true
		}
		if seen++; seen >= maxSample {
			break
		}
	}
	return best, found
}

// maxLeft bounds the blocks of pieces that are open and asked of nobody.
const maxLeft = 1 << 16

// mayOpen tells whether another piece may be open. What is asked of nobody does not count:
// those that had it may be gone, and the others have other pieces.
func (t *T) mayOpen() bool {
	n := t.maxOpen()
	if len(t.open) < n || t.nFree == 0 {
		return len(t.open) < n
	}
	left := 0
	for _, o := range t.open {
		if !o.full && o.free == o.missing {
			left++
		}
	}
	return len(t.open)-min(left, maxLeft/t.perPiece()) < n
}

// maxOpen bounds the open pieces: a few for each peer, and as many as the requests
// outstanding can fill.
func (t *T) maxOpen() int {
	n, win := 8, 0
	for _, id := range t.live {
		if p := t.peers[id]; !p.choked && p.interested {
			n += 2
			win += max(p.win.size, p.pending())
		}
	}
	return n + win/t.perPiece()
}

// setPriority changes the priority of pieces [first, end).
func (t *T) setPriority(first, end uint32, prio uint8) {
	if t.info == nil {
		return
	}
	changed := false
	for p := first; p < min(end, t.pieces); p++ {
		if t.prio[p] == prio {
			continue
		}
		t.unwant(p)
		t.prio[p] = prio
		if t.have.Has(p) {
			continue
		}
		changed = true
		if need := prio > 0; need != t.needed.Has(p) {
			t.setNeeded(p, need)
		}
		if o := t.opened(p); o == nil {
			if prio > 0 {
				t.want(p)
			}
		} else if prio == 0 && !o.full {
			t.abandon(o)
		}
	}
	if changed {
		t.afterNeed()
	}
}

func (t *T) setNeeded(p uint32, need bool) {
	d := 1
	if need {
		t.needed.Put(p)
	} else {
		t.needed.Drop(p)
		d = -1
	}
	t.nNeeded += d
	for _, id := range t.live {
		if q := t.peers[id]; q.bits != nil && q.has(p) {
			q.useful += d
		}
	}
}

// afterNeed tells peers about changed interest, and the driver about completion.
func (t *T) afterNeed() {
	for _, id := range t.live {
		if q := t.peers[id]; !q.closing && q.bits != nil {
			t.interest(q)
		}
	}
	done := t.nNeeded == 0
	if done && !t.complete {
		t.out.add(Effect{Kind: Complete, Peer: NoPeer})
		t.complete, t.source.stale = true, true
		t.rechoke(true)
		for _, id := range t.live {
			if q := t.peers[id]; !q.closing {
				t.dropRedundant(q)
			}
		}
	}
	if done != t.complete {
		t.source.stale = true
	}
	t.complete = done
	t.dirty = true
}

func (t *T) setDeadline(piece uint32, at time.Duration) {
	const maxDeadlines = 1024
	if t.info == nil || piece >= t.pieces || t.have.Has(piece) {
		return
	}
	t.due = slices.DeleteFunc(t.due, func(d deadline) bool { return d.piece == piece })
	if len(t.due) >= maxDeadlines {
		return
	}
	i, _ := slices.BinarySearchFunc(t.due, at, func(d deadline, at time.Duration) int { return cmp.Compare(d.at, at) })
	t.due = slices.Insert(t.due, i, deadline{at, piece})
	for _, id := range t.live {
		t.peers[id].cur = nil // what is due goes before what was begun
	}
	t.dirty = true
}
