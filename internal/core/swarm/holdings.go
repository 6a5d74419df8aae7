package swarm

import (
	"slices"

	"shoal/internal/core/swarm/pieces"
)

func (t *T) gotBits(p *peer, e *Event) {
	if (p.gotBits || p.nBits > 0) && e.Kind == GotBitfield && t.info != nil {
		t.moreBits(p, e.Data)
		return
	}
	if p.gotBits || p.nBits > 0 || e.Kind != GotBitfield && !p.fast() {
		t.close(p, ReasonProtocol, false)
		return
	}
	p.gotBits = true
	if t.info == nil {
		switch e.Kind {
		case GotHaveAll:
			p.early.all = true
			t.interest(p)
		case GotBitfield:
			if len(e.Data) > maxEarlyBits {
				t.close(p, ReasonProtocol, false)
				return
			}
			p.early.bits = append([]byte(nil), e.Data...)
		}
		return
	}
	switch e.Kind {
	case GotHaveAll:
		t.becomeSeed(p)
	case GotBitfield:
		t.takeBits(p, e.Data)
	}
}

// moreBits takes a bitfield in the middle of things: aria2 sends one in place of many
// haves, against BEP 3. What it adds counts as haves; nothing is taken away by it.
func (t *T) moreBits(p *peer, wireBits []byte) {
	bits := pieces.NewSet(int(t.pieces))
	if p.bits == nil || !bits.FillWire(wireBits, int(t.pieces)) {
		t.close(p, ReasonProtocol, false)
		return
	}
	for i := bits.Next(bits, 0); i >= 0 && !p.closing; i = bits.Next(bits, uint32(i)+1) {
		t.gotHave(p, uint32(i))
	}
}

func (t *T) takeBits(p *peer, wireBits []byte) {
	if !p.bits.FillWire(wireBits, int(t.pieces)) {
		clear(p.bits)
		t.close(p, ReasonProtocol, false)
		return
	}
	p.nBits = p.bits.Count()
	if p.nBits == int(t.pieces) {
		t.becomeSeed(p)
		return
	}
	for i := p.bits.Next(p.bits, 0); i >= 0; i = p.bits.Next(p.bits, uint32(i)+1) {
		t.countPiece(uint32(i), 1)
	}
	p.useful = p.bits.Common(t.needed)
	t.interest(p)
}

// becomeSeed counts the peer as one that has everything; its pieces leave the
// availability, which only tells how pieces differ.
func (t *T) becomeSeed(p *peer) {
	p.seed = true
	p.nBits = int(t.pieces)
	p.bits.Fill(int(t.pieces))
	p.useful = t.nNeeded
	p.dry = 0
	t.source.forget(p)
	t.source.shared, t.source.stale = t.now+sharedTime, true
	t.interest(p)
	t.dropRedundant(p)
}

// dropRedundant closes a connection over which nothing can flow any more.
func (t *T) dropRedundant(p *peer) {
	if t.complete && t.nHave == int(t.pieces) && (p.seed || p.uploadOnly) {
		t.close(p, ReasonRedundant, false)
	}
}

func (t *T) gotHave(p *peer, piece uint32) {
	if t.info == nil {
		if len(p.early.haves) < maxEarlyHaves {
			p.early.haves = append(p.early.haves, piece)
		}
		return
	}
	if piece >= t.pieces {
		t.close(p, ReasonProtocol, false)
		return
	}
	if p.has(piece) {
		return
	}
	p.nBits++
	if p.nBits == int(t.pieces) && !p.fickle {
		t.uncount(p)
		t.becomeSeed(p)
		return
	}
	p.bits.Put(piece)
	t.countPiece(piece, 1)
	t.arrived(p, piece)
	if t.needed.Has(piece) {
		p.useful++
		p.dry = 0
		t.interest(p)
	}
}

// uncount takes what the peer has out of the availability.
func (t *T) uncount(p *peer) {
	if p.seed || p.bits == nil {
		p.seed = false
		return
	}
	for i := p.bits.Next(p.bits, 0); i >= 0; i = p.bits.Next(p.bits, uint32(i)+1) {
		t.countPiece(uint32(i), -1)
	}
}

// countPiece changes the availability of a piece by one peer.
func (t *T) countPiece(piece uint32, d int) {
	r := t.order[max(t.prio[piece], 1)]
	if r == nil {
		r = t.class(max(t.prio[piece], 1))
	}
	if d > 0 {
		r.Inc(piece)
	} else {
		r.Dec(piece)
	}
}

// gotDontHave takes back what the peer told (BEP 54). One that does not speak BEP 6 will
// not answer what it was asked of the piece; one that does rejects it.
func (t *T) gotDontHave(p *peer, piece uint32) {
	if t.info == nil || piece >= t.pieces || !p.has(piece) {
		return
	}
	p.fickle = true
	if p.seed {
		p.seed = false
		for i := range t.pieces {
			t.countPiece(i, 1)
		}
		t.source.stale = true
	}
	p.bits.Drop(piece)
	p.nBits--
	t.countPiece(piece, -1)
	if o := t.opened(piece); o != nil {
		t.leave(p, o)
		if p.cur == o {
			p.cur = nil
		}
	}
	if !p.fast() {
		for _, r := range slices.Clone(p.reqs[p.head:]) {
			if r.piece == piece {
				p.take(piece, r.block)
				t.unclaim(p, piece, r.block)
				p.ghost(r)
			}
		}
	}
	if t.needed.Has(piece) {
		p.useful--
		t.interest(p)
	}
}
