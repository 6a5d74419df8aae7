package swarm

import (
	"slices"
	"time"

	"shoal/internal/core/metainfo"
)

// upload is a block that a peer asked for.
type upload struct {
	piece, begin, n uint32
	at              time.Duration
}

func (t *T) gotRequest(p *peer, e *Event) {
	if t.info == nil || e.P >= t.pieces || e.N == 0 || e.N > maxRequest || !t.inPiece(e.P, e.B, e.N) {
		t.close(p, ReasonProtocol, false)
		return
	}
	if !t.grants(p, e.P, e.N) || len(p.queue)-p.qhead+len(p.later) >= maxQueue {
		t.reject(p, e.P, e.B, e.N)
		if p.excess++; p.excess > maxQueue {
			t.close(p, ReasonFlood, false)
		}
		return
	}
	u := upload{e.P, e.B, e.N, t.now}
	if t.source.many {
		switch t.route(p, e.P) {
		case accept:
			t.admit(p, func(u upload) bool { return u.piece == e.P })
		case turnAway:
			t.reject(p, e.P, e.B, e.N)
			return
		case hold:
			p.later = append(p.later, u)
			t.wakeBy(t.now + deferTime)
			return
		}
	}
	p.enqueue(u)
}

// inPiece tells whether the bytes lie within the piece. Only the last piece of a share can
// be short. In v2 that of each file is, but libtorrent asks for whole blocks there too: the
// driver sends zeros for what lies behind the end.
func (t *T) inPiece(piece, begin, n uint32) bool {
	end := uint64(begin) + uint64(n)
	return end <= uint64(t.info.PieceLength) &&
		(t.info.Version == metainfo.V2 || piece+1 < t.pieces || end <= uint64(t.pieceSize(piece)))
}

// grants tells whether a request is to be served at all.
func (t *T) grants(p *peer, piece, n uint32) bool {
	if !t.have.Has(piece) || t.paused {
		return false
	}
	if !p.choking {
		return p.theyInterest
	}
	// BEP 6 lets us refuse the allowed fast set to who is not starting any more.
	if p.nBits > fastSetSize || p.fastLeft < int64(n) || !slices.Contains(p.fastGiven, piece) {
		return false
	}
	p.fastLeft -= int64(n)
	return true
}

func (p *peer) enqueue(u upload) {
	if p.qhead > 256 && p.qhead > len(p.queue)/2 {
		n := copy(p.queue, p.queue[p.qhead:])
		p.queue, p.qhead = p.queue[:n], 0
	}
	p.queue = append(p.queue, u)
}

func (t *T) reject(p *peer, piece, begin, n uint32) {
	if p.fast() {
		t.out.sendBlock(SendReject, p.id, piece, begin, n)
	}
}

// gotCancel takes a block off the queue; BEP 6 wants it rejected then. One that is
// already with the writer is sent, which BEP 6 allows too.
func (t *T) gotCancel(p *peer, e *Event) {
	same := func(u upload) bool { return u.piece == e.P && u.begin == e.B && u.n == e.N }
	if i := slices.IndexFunc(p.queue[p.qhead:], same); i >= 0 {
		p.queue = slices.Delete(p.queue, p.qhead+i, p.qhead+i+1)
	} else if i := slices.IndexFunc(p.later, same); i >= 0 {
		p.later = slices.Delete(p.later, i, i+1)
	} else {
		return
	}
	t.reject(p, e.P, e.B, e.N)
}

// dropQueued refuses what a peer asked of, where gone says so.
func (t *T) dropQueued(p *peer, gone func(u upload) bool) {
	drop := func(u upload) bool {
		if gone(u) {
			t.reject(p, u.piece, u.begin, u.n)
			return true
		}
		return false
	}
	p.queue = append(p.queue[:0], slices.DeleteFunc(p.queue[p.qhead:], drop)...)
	p.qhead = 0
	p.later = slices.DeleteFunc(p.later, drop)
}

// pumpAll hands blocks to the writers as far as their credit and the tokens go: one
// block a peer and round, so that all that are served get the same.
func (t *T) pumpAll() {
	t.starved = false
	if t.info == nil || t.paused || len(t.live) == 0 {
		return
	}
	t.feed()
	for more := true; more; {
		more = false
		for range t.live {
			if t.limited && t.tokens <= 0 {
				t.starved = t.anyQueued()
				return
			}
			if t.turn++; t.turn >= len(t.live) {
				t.turn = 0
			}
			more = t.serve(t.peers[t.live[t.turn]]) || more
		}
		// Without a limit only credit ends the loop.
	}
}

func (t *T) anyQueued() bool {
	for _, id := range t.live {
		if p := t.peers[id]; p.qhead < len(p.queue) && p.credit > 0 && !p.closing {
			return true
		}
	}
	return false
}

// serve hands one block to the peer's writer.
func (t *T) serve(p *peer) bool {
	if p.closing || p.qhead == len(p.queue) || p.credit <= 0 {
		return false
	}
	u := p.queue[p.qhead]
	if p.qhead++; p.qhead == len(p.queue) {
		p.queue, p.qhead = p.queue[:0], 0
	}
	p.credit -= int(u.n)
	if t.limited {
		t.tokens -= int64(u.n)
	}
	p.up.add(t.now, int(u.n))
	t.Counted.Sent += int64(u.n)
	t.out.sendBlock(SendBlock, p.id, u.piece, u.begin, u.n)
	return true
}
