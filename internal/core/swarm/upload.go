package swarm

import "time"

// Constants of a seed that feeds many.
const (
	suggestAhead = 2               // pieces suggested to a peer and not yet asked for
	deferTime    = 2 * time.Second // longest wait of a request for a piece that is already on its way to somebody else
)

// upload is a block that a peer asked for.
type upload struct {
	piece, begin, n uint32
	at              time.Duration
}

// sourceState makes the only source of a piece send it once before it sends any twice:
// each piece has a carrier, the peer it was suggested or sent to first, and until
// somebody else announces it, requests of others for it wait.
type sourceState struct {
	carrier []Peer // nil until two peers want something
	from    uint32 // where the walk over the pieces stands
	step    uint32 // and its stride, coprime with their number
	left    int    // pieces the walk has not seen in this round
	waiting bool   // a block waited for tokens in the last Step
}

func (s *sourceState) init(int) { s.carrier = nil }

// arrived frees the piece: another peer has it now.
func (s *sourceState) arrived(piece uint32) {
	if s.carrier != nil {
		s.carrier[piece] = NoPeer
	}
}

// forget frees what the peer was to carry.
func (s *sourceState) forget(p *peer) {
	if s.carrier == nil {
		return
	}
	for i, c := range s.carrier {
		if c == p.id {
			s.carrier[i] = NoPeer
		}
	}
	s.left = len(s.carrier)
	p.suggestions = nil
}

// feeding tells whether more than one peer that lacks pieces is being served.
func (t *T) feeding() bool {
	n := 0
	for _, id := range t.live {
		if q := t.peers[id]; q.theyInterest && !q.choking && !q.seed && !q.closing {
			n++
		}
	}
	return n >= 2
}

// startSource makes the table of carriers.
func (t *T) startSource() {
	s := &t.source
	s.carrier = make([]Peer, t.pieces)
	for i := range s.carrier {
		s.carrier[i] = NoPeer
	}
	s.from = t.rng.Uint32N(t.pieces)
	s.step = 1
	if t.pieces > 2 {
		s.step = 1 + t.rng.Uint32N(t.pieces-1)
		for gcd(s.step, t.pieces) != 1 {
			s.step--
		}
	}
	s.left = int(t.pieces)
}

func gcd(a, b uint32) uint32 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// suggest keeps a few pieces suggested to each peer that is served, different ones to
// each, as long as there are pieces that nobody but seeds has (BEP 6).
func (t *T) suggest() {
	s := &t.source
	if s.carrier == nil {
		t.startSource()
	}
	for more := true; more; {
		more = false
		for _, id := range t.live {
			p := t.peers[id]
			if p.closing || p.choking || !p.theyInterest || !p.fast() || p.seed || len(p.suggestions) >= suggestAhead {
				continue
			}
			piece, ok := t.freshPiece(p)
			if !ok {
				continue
			}
			s.carrier[piece] = id
			p.suggestions = append(p.suggestions, piece)
			t.out.sendPiece(SendSuggest, id, piece)
			more = true
		}
	}
}

// freshPiece is the next piece of the walk that only seeds have and nobody carries.
func (t *T) freshPiece(p *peer) (uint32, bool) {
	s := &t.source
	for s.left > 0 {
		piece := s.from
		s.from = (s.from + s.step) % t.pieces
		s.left--
		if t.have.has(piece) && t.avail[piece] == 0 && s.carrier[piece] == NoPeer && !p.has(piece) {
			return piece, true
		}
	}
	return 0, false
}

func (t *T) gotRequest(p *peer, e *Event) {
	if t.info == nil || e.P >= t.pieces || e.N == 0 || e.N > maxRequest ||
		uint64(e.B)+uint64(e.N) > uint64(t.pieceSize(e.P)) {
		t.close(p, ReasonProtocol, false)
		return
	}
	allowed := !p.choking || contains(p.fastGiven, e.P)
	if !allowed || !t.have.has(e.P) || t.paused {
		t.reject(p, e.P, e.B, e.N)
		if p.strays++; p.strays > maxQueue {
			t.close(p, ReasonFlood, false)
		}
		return
	}
	if len(p.queue)-p.qhead >= maxQueue {
		t.reject(p, e.P, e.B, e.N)
		if p.strays++; p.strays > maxQueue {
			t.close(p, ReasonFlood, false)
		}
		return
	}
	if p.qhead > 256 && p.qhead > len(p.queue)/2 {
		n := copy(p.queue, p.queue[p.qhead:])
		p.queue, p.qhead = p.queue[:n], 0
	}
	p.queue = append(p.queue, upload{e.P, e.B, e.N, t.now})
	if t.source.carrier != nil {
		p.suggestions = remove(p.suggestions, e.P)
		if t.source.carrier[e.P] == NoPeer && t.avail[e.P] == 0 {
			t.source.carrier[e.P] = p.id
		}
	}
}

func contains(list []uint32, v uint32) bool {
	for _, x := range list {
		if x == v {
			return true
		}
	}
	return false
}

func (t *T) reject(p *peer, piece, begin, n uint32) {
	if p.fast() {
		t.out.sendBlock(SendReject, p.id, piece, begin, n)
	}
}

// gotCancel takes a block off the queue; BEP 6 wants it rejected then. One that is
// already with the writer is sent, which BEP 6 allows too.
func (t *T) gotCancel(p *peer, e *Event) {
	for i := p.qhead; i < len(p.queue); i++ {
		u := p.queue[i]
		if u.piece == e.P && u.begin == e.B && u.n == e.N {
			p.queue = append(p.queue[:i], p.queue[i+1:]...)
			t.reject(p, e.P, e.B, e.N)
			return
		}
	}
}

// dropQueued refuses what a peer asked of a piece that is gone.
func (t *T) dropQueued(p *peer, piece uint32) {
	keep := p.queue[:p.qhead]
	for _, u := range p.queue[p.qhead:] {
		if u.piece == piece {
			t.reject(p, u.piece, u.begin, u.n)
		} else {
			keep = append(keep, u)
		}
	}
	p.queue = keep
}

// clearQueue forgets what a peer asked for when it is choked; the allowed fast set
// stays served.
func (t *T) clearQueue(p *peer) {
	keep := p.queue[:0]
	for _, u := range p.queue[p.qhead:] {
		if contains(p.fastGiven, u.piece) {
			keep = append(keep, u)
		} else {
			t.reject(p, u.piece, u.begin, u.n)
		}
	}
	p.queue, p.qhead = keep, 0
}

// pumpAll hands blocks to the writers as far as their credit and the tokens go: one
// block a peer and round, so that all that are served get the same.
func (t *T) pumpAll() {
	t.source.waiting = false
	if t.info == nil || t.paused {
		return
	}
	many := t.feeding()
	if many && t.nNeeded == 0 {
		t.suggest()
	}
	if len(t.live) == 0 {
		return
	}
	for more := true; more; {
		more = false
		for range t.live {
			if t.limited && t.tokens <= 0 {
				t.source.waiting = t.anyQueued()
				return
			}
			t.turn = (t.turn + 1) % len(t.live)
			more = t.serve(t.peers[t.live[t.turn]], many) || more
		}
		// Without a limit only credit ends the loop; with one peer it is drained at once.
	}
}

func (t *T) anyQueued() bool {
	for _, id := range t.live {
		if p := t.peers[id]; p.qhead < len(p.queue) && p.credit > 0 {
			return true
		}
	}
	return false
}

// serve hands one block to the peer's writer.
func (t *T) serve(p *peer, many bool) bool {
	if p.closing || p.qhead == len(p.queue) || p.credit <= 0 {
		return false
	}
	i := p.qhead
	if many && t.source.carrier != nil {
		if i = t.firstFresh(p); i < 0 {
			return false
		}
	}
	u := p.queue[i]
	if i == p.qhead {
		p.qhead++
	} else {
		p.queue = append(p.queue[:i], p.queue[i+1:]...)
	}
	if p.qhead == len(p.queue) {
		p.queue, p.qhead = p.queue[:0], 0
	}
	p.credit -= int(u.n)
	t.tokens -= int64(u.n)
	if !t.limited {
		t.tokens = 0
	}
	p.up.add(t.now, int(u.n))
	t.Counted.Sent += int64(u.n)
	t.out.sendBlock(SendBlock, p.id, u.piece, u.begin, u.n)
	return true
}

// firstFresh is the first request that nobody else is being served: not of a piece that
// another peer carries and has not announced, unless it has waited long enough.
func (t *T) firstFresh(p *peer) int {
	for i := p.qhead; i < len(p.queue); i++ {
		u := &p.queue[i]
		c := t.source.carrier[u.piece]
		if c == NoPeer || c == p.id || t.avail[u.piece] > 0 || t.now-u.at > deferTime {
			return i
		}
	}
	t.wake = min(t.wake, p.queue[p.qhead].at+deferTime)
	return -1
}
