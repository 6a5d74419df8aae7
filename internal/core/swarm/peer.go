package swarm

import (
	"net/netip"
	"time"

	"shoal/internal/core/wire"
)

// peer is what the exchange knows of one connected peer.
type peer struct {
	id      Peer
	key     Key
	addr    netip.AddrPort
	flags   uint8
	closing bool
	since   time.Duration

	// What they have.
	bits    bitset // nil before the metainfo is known
	nBits   int
	useful  int  // pieces they have that we need
	seed    bool // they have everything
	early   early
	gotBits bool // a bitfield, have all or have none came (once only)

	// The four states of BEP 3.
	choking, interested  bool // we choke them, we are interested
	choked, theyInterest bool // they choke us, they are interested
	uploadOnly           bool
	fastGiven, fastGot   []uint32
	suggested            []uint32
	reqQ                 int
	reqs                 []request // outstanding, oldest first
	head                 int       // first valid of reqs
	ghosts               []request // taken back, may still be answered
	cur                  *openPiece
	strays               int
	win                  window
	down, up             meter
	snubbed              bool
	lastBlock            time.Duration
	credit               int
	queue                []upload // what they asked for, oldest first
	qhead                int
	suggestions          []uint32 // pieces we suggested to them and have not sent yet
	unchokedAt, lastTurn time.Duration
	optimistic           bool
	metaServed           int
}

type request struct {
	piece uint32
	block uint16
	at    time.Duration
}

// early is what a peer told before we knew the number of pieces.
type early struct {
	all   bool
	bits  []byte
	haves []uint32
}

const maxEarlyHaves = 4096

func (t *T) peer(id Peer) *peer {
	if int(id) < len(t.peers) {
		return t.peers[id]
	}
	return nil
}

func (p *peer) pending() int { return len(p.reqs) - p.head }

func (p *peer) fast() bool { return p.flags&Fast != 0 }

// has tells whether the peer has the piece.
func (p *peer) has(piece uint32) bool { return p.seed || p.bits.has(piece) }

func (t *T) peerUp(e *Event) {
	for int(e.Peer) >= len(t.peers) {
		t.peers = append(t.peers, nil)
	}
	p := &peer{id: e.Peer, flags: e.Flags, addr: e.Addr, choking: true, choked: true, since: t.now,
		reqQ: 250, key: Key{Addr: e.Addr.Addr()}, unchokedAt: -1, lastTurn: -1}
	if e.Flags&Loopback != 0 {
		p.key.ID = e.ID
	}
	p.win.init()
	t.peers[e.Peer] = p
	t.live = append(t.live, e.Peer)
	if t.blame.banned(p.key) {
		t.close(p, ReasonBanned, false)
		return
	}
	if t.info != nil {
		p.bits = newBitset(int(t.pieces))
		t.greet(p)
	} else if p.fast() {
		t.out.send(SendHaveNone, p.id)
	}
	if t.wake > t.now+tickBusy {
		t.wake = t.now + tickBusy
	}
}

// greet sends what we have, and the allowed fast set (BEP 6).
func (t *T) greet(p *peer) {
	switch {
	case t.nHave == int(t.pieces) && p.fast():
		t.out.send(SendHaveAll, p.id)
	case t.nHave == 0 && p.fast():
		t.out.send(SendHaveNone, p.id)
	case t.nHave > 0:
		t.out.send(SendBitfield, p.id)
	}
	if p.fast() && p.addr.Addr().Is4() && t.pieces > fastSetSize {
		p.fastGiven = wire.AllowedFastSet(nil, p.addr.Addr(), t.cfg.InfoHash, int(t.pieces), fastSetSize)
		for _, piece := range p.fastGiven {
			t.out.sendPiece(SendAllowedFast, p.id, piece)
		}
	}
}

func (t *T) peerDown(id Peer) {
	p := t.peer(id)
	if p == nil {
		return
	}
	t.release(p)
	t.uncount(p)
	t.source.forget(p)
	t.peers[id] = nil
	for i, l := range t.live {
		if l == id {
			t.live = append(t.live[:i], t.live[i+1:]...)
			break
		}
	}
	if !p.choking {
		t.rechoke(true)
	}
	t.meta.forget(id)
	t.dirty = true
}

// uncount takes what the peer has out of the availability.
func (t *T) uncount(p *peer) {
	if p.seed {
		t.nSeeds--
		p.seed = false
		return
	}
	if p.bits == nil {
		return
	}
	for i := p.bits.nextCommon(p.bits, 0); i >= 0; i = p.bits.nextCommon(p.bits, uint32(i)+1) {
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
		r.inc(piece)
	} else {
		r.dec(piece)
	}
}

// judgeEarly gives the peers that came before the metainfo their bits.
func (t *T) judgeEarly() {
	for _, id := range t.live {
		p := t.peers[id]
		if p.closing {
			continue
		}
		p.bits = newBitset(int(t.pieces))
		t.greetLate(p)
		if p.closing {
			continue
		}
		early := p.early
		p.forgetEarly()
		switch {
		case early.all:
			t.becomeSeed(p)
		case early.bits != nil:
			t.takeBits(p, early.bits)
		}
		for _, h := range early.haves {
			if !p.closing {
				t.gotHave(p, h)
			}
		}
	}
	t.dirty = true
}

// maxLateHaves is up to how many pieces a peer that was told HaveNone is told one by one
// that they are there; with more it is cheaper to connect again.
const maxLateHaves = 1024

// greetLate tells a peer that came before the metainfo what was found on the disk since.
// One that speaks BEP 6 was sent HaveNone, and no bitfield may follow that.
func (t *T) greetLate(p *peer) {
	switch {
	case !p.fast():
		t.greet(p)
	case t.nHave > maxLateHaves:
		t.close(p, ReasonNone, false)
	default:
		for i := t.have.nextCommon(t.have, 0); i >= 0; i = t.have.nextCommon(t.have, uint32(i)+1) {
			t.out.sendPiece(SendHave, p.id, uint32(i))
		}
	}
}

func (p *peer) forgetEarly() { p.early.bits, p.early.haves = nil, nil }

func (t *T) gotBits(p *peer, e *Event) {
	if p.gotBits || p.nBits > 0 {
		t.close(p, ReasonProtocol, false)
		return
	}
	p.gotBits = true
	if t.info == nil {
		switch e.Kind {
		case GotHaveAll:
			p.early.all = true
		case GotBitfield:
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

func (t *T) takeBits(p *peer, wireBits []byte) {
	if !p.bits.fillWire(wireBits, int(t.pieces)) {
		clear(p.bits)
		t.close(p, ReasonProtocol, false)
		return
	}
	p.nBits = p.bits.count()
	if p.nBits == int(t.pieces) {
		t.becomeSeed(p)
		return
	}
	for i := p.bits.nextCommon(p.bits, 0); i >= 0; i = p.bits.nextCommon(p.bits, uint32(i)+1) {
		t.countPiece(uint32(i), 1)
	}
	p.useful = p.bits.common(t.needed)
	t.interest(p)
}

// becomeSeed counts the peer as one that has everything; its pieces leave the
// availability, which only tells how pieces differ.
func (t *T) becomeSeed(p *peer) {
	p.seed = true
	p.nBits = int(t.pieces)
	t.nSeeds++
	for i := range t.pieces {
		p.bits.set(i)
	}
	p.useful = t.nNeeded
	t.source.forget(p)
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
	p.bits.set(piece)
	p.nBits++
	t.source.arrived(piece)
	if p.nBits == int(t.pieces) {
		p.bits.clear(piece) // not counted yet
		t.uncount(p)
		t.becomeSeed(p)
		return
	}
	t.countPiece(piece, 1)
	if t.needed.has(piece) {
		p.useful++
		t.interest(p)
	}
}

// interest tells the peer when it begins or ceases to have something we need.
func (t *T) interest(p *peer) {
	want := p.useful > 0 && !t.paused
	if want != p.interested {
		p.interested = want
		if want {
			t.out.send(SendInterested, p.id)
		} else {
			t.out.send(SendUninterested, p.id)
		}
	}
	if want {
		p.win.dirty = true
	}
}

func (t *T) gotHint(p *peer, e *Event) {
	switch e.Kind {
	case GotReqQ:
		p.reqQ = int(min(max(e.N, 1), maxQueue))
	case GotUploadOnly:
		p.uploadOnly = e.N != 0
		if p.uploadOnly && t.info != nil {
			t.dropRedundant(p)
		}
	case GotSuggest, GotAllowedFast:
		if t.info == nil || e.P >= t.pieces {
			if t.info != nil {
				t.close(p, ReasonProtocol, false)
			}
			return
		}
		list := &p.suggested
		if e.Kind == GotAllowedFast {
			list = &p.fastGot
		}
		if len(*list) >= maxSuggested {
			*list = append((*list)[:0], (*list)[1:]...)
		}
		*list = append(*list, e.P)
		p.win.dirty = true
	case GotDontHave:
		t.gotDontHave(p, e.P)
	}
}

func (t *T) gotDontHave(p *peer, piece uint32) {
	if t.info == nil || piece >= t.pieces || !p.has(piece) {
		return
	}
	if p.seed {
		p.seed = false
		t.nSeeds--
		p.bits = newBitset(int(t.pieces))
		for i := range t.pieces {
			p.bits.set(i)
			t.countPiece(i, 1)
		}
	}
	p.bits.clear(piece)
	p.nBits--
	t.countPiece(piece, -1)
	if t.needed.has(piece) {
		p.useful--
		t.interest(p)
	}
}
