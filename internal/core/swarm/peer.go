package swarm

import (
	"slices"
	"time"

	"shoal/internal/core/swarm/pieces"
	"shoal/internal/core/wire"
)

// peer is what the exchange knows of one connected peer.
type peer struct {
	id      Peer
	nth     uint32 // which of all that ever came: a slot is used again
	key     Key
	flags   uint8
	closing bool
	dirty   bool // look for new requests in this Step
	since   time.Duration

	// What they have.
	bits    pieces.Set // nil before the metainfo is known
	nBits   int
	useful  int  // pieces they have that we need
	seed    bool // they have everything, and are left out of the availability
	fickle  bool // they took a piece back: never counted as a seed again, for that costs a walk over all pieces
	early   early
	gotBits bool // a bitfield, have all or have none came (once only)

	// The four states of BEP 3.
	choking, interested  bool // we choke them, we are interested
	choked, theyInterest bool // they choke us, they are interested
	uploadOnly           bool
	optimistic           bool
	unchokedAt, lastTurn time.Duration

	// What we ask of them.
	fastGot   []uint32
	suggested []uint32
	refused   []refusal
	nRefused  int // pieces refused since the last block
	holdUntil time.Duration
	dry       uint32 // T.wants when nothing was found that could be opened
	reqQ      int
	reqs      []request // outstanding, oldest first
	head      int       // first valid of reqs
	ghosts    []request // taken back, may still be answered
	cur       *openPiece
	strays    int
	proven    bool // had a part in a good piece
	parole    int  // had a part in a piece that failed: so many whole pieces it fetches alone until it is cleared
	offences  int  // failed pieces it had a part in
	win       window
	down, up  meter
	snubbed   bool
	lastBlock time.Duration
	firstAsk  time.Duration // of a block ever; 0 = none
	lookAt    time.Duration // when to look again for what others are slow with; 0 = not idle

	// What they ask of us.
	fastGiven   []uint32
	fastLeft    int64 // bytes that may be served while they are choked
	credit      int
	queue       []upload // what they asked for, oldest first
	qhead       int
	later       []upload // what is better got from the peer that carries it, oldest first
	turned      []turned // pieces refused for that reason
	suggestions []uint32 // pieces we suggested to them and were not asked for yet
	excess      int      // requests refused lately
	metaServed  int

	// Metadata (BEP 9).
	metaSize  int           // what they offer
	metaTries int           // how often a collection began with them
	metaRetry time.Duration // they refused or were silent: not asked before
}

type request struct {
	piece uint32
	block uint16
	at    time.Duration
}

// refusal is a piece that the peer rejected though it does not choke us.
type refusal struct {
	piece uint32
	until time.Duration
}

// early is what a peer told before we knew the number of pieces.
type early struct {
	all   bool
	bits  []byte
	haves []uint32
}

// Bounds of what is kept of a peer that came before the metainfo.
const (
	maxEarlyHaves = 4096
	maxEarlyBits  = 1 << 21 / 8 // bytes: the most pieces that are accepted
)

func (t *T) peer(id Peer) *peer {
	if int(id) < len(t.peers) {
		return t.peers[id]
	}
	return nil
}

func (p *peer) pending() int { return len(p.reqs) - p.head }

func (p *peer) fast() bool { return p.flags&Fast != 0 }

// has tells whether the peer has the piece.
func (p *peer) has(piece uint32) bool { return p.bits.Has(piece) }

// offers tells whether the peer may be asked for the piece.
func (p *peer) offers(piece uint32) bool { return p.bits.Has(piece) && !p.refuses(piece) }

func (p *peer) refuses(piece uint32) bool {
	return slices.ContainsFunc(p.refused, func(r refusal) bool { return r.piece == piece })
}

// open tells whether we may ask the peer for anything: it does not choke us, or it
// gave us an allowed fast set.
func (p *peer) open() bool { return !p.choked || len(p.fastGot) > 0 }

func (t *T) peerUp(e *Event) {
	for int(e.Peer) >= len(t.peers) {
		t.peers = append(t.peers, nil)
	}
	t.arrivals++
	p := &peer{id: e.Peer, nth: t.arrivals, flags: e.Flags, choking: true, choked: true, since: t.now,
		reqQ: 250, key: Key{Addr: e.Addr.Addr().Unmap()}, unchokedAt: -1, lastTurn: -1}
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
	if t.v2Only && e.Flags&V2 == 0 {
		t.close(p, ReasonHybrid, false)
		return
	}
	if t.info != nil {
		p.bits = pieces.NewSet(int(t.pieces))
		t.greet(p)
	} else if p.fast() {
		t.out.send(SendHaveNone, p.id)
	}
	t.wakeBy(t.now + tickBusy)
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
	t.giveFast(p)
}

// giveFast sends the allowed fast set. What may be fetched under it is bounded: a peer
// that stays choked must not live of it.
func (t *T) giveFast(p *peer) {
	if !p.fast() || t.pieces <= fastSetSize {
		return
	}
	p.fastGiven = wire.AllowedFastSet(nil, p.key.Addr, t.cfg.InfoHash, int(t.pieces), fastSetSize)
	p.fastLeft = fastSetSize * t.info.PieceLength
	for _, piece := range p.fastGiven {
		t.out.sendPiece(SendAllowedFast, p.id, piece)
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
	t.live = slices.DeleteFunc(t.live, func(l Peer) bool { return l == id })
	t.choker.vacant = t.choker.vacant || !p.choking
	t.leftMeta(p)
	t.source.stale = true
	t.dirty = true
}

// judgeEarly gives the peers that came before the metainfo their bits.
func (t *T) judgeEarly() {
	for _, id := range t.live {
		p := t.peers[id]
		if p.closing {
			continue
		}
		p.bits = pieces.NewSet(int(t.pieces))
		t.greetLate(p)
		if p.closing {
			continue
		}
		before := p.early
		p.early = early{}
		switch {
		case before.all:
			t.becomeSeed(p)
		case before.bits != nil:
			t.takeBits(p, before.bits)
		}
		for _, h := range before.haves {
			if !p.closing {
				t.gotHave(p, h)
			}
		}
		if !p.closing {
			t.dropRedundant(p)
		}
	}
	t.choker.next = t.now
	t.dirty, t.source.stale = true, true
}

// maxLateHaves is up to how many pieces a peer that came before the metainfo is told one
// by one that they are there; with more it is cheaper to connect again.
const maxLateHaves = 1024

// greetLate tells a peer that came before the metainfo what was found on the disk since,
// piece by piece: a bitfield may only be the first message (BEP 3), and a peer that speaks
// BEP 6 was sent HaveNone.
func (t *T) greetLate(p *peer) {
	if t.nHave > maxLateHaves {
		t.close(p, ReasonNone, false)
		return
	}
	for i := t.have.Next(t.have, 0); i >= 0; i = t.have.Next(t.have, uint32(i)+1) {
		t.out.sendPiece(SendHave, p.id, uint32(i))
	}
	t.giveFast(p)
}

// interest tells the peer when it begins or ceases to have something we need.
func (t *T) interest(p *peer) {
	want := (p.useful > 0 || t.awaits && (p.seed || p.early.all)) && !t.paused && !p.closing
	if want != p.interested {
		p.interested = want
		if want {
			t.out.send(SendInterested, p.id)
		} else {
			t.out.send(SendUninterested, p.id)
		}
	}
	if want {
		p.dirty = true
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
		if !p.fast() || t.info != nil && e.P >= t.pieces {
			t.close(p, ReasonProtocol, false)
			return
		}
		if t.info == nil {
			return
		}
		list := &p.suggested
		if e.Kind == GotAllowedFast {
			list = &p.fastGot
		}
		if slices.Contains(*list, e.P) {
			return
		}
		if len(*list) >= maxSuggested {
			*list = append((*list)[:0], (*list)[1:]...)
		}
		*list = append(*list, e.P)
		p.dirty = true
	case GotDontHave:
		t.gotDontHave(p, e.P)
	}
}

// refuse notes that the peer does not give the piece now. It is not asked for it again
// for a while, and for nothing at all if it goes on like that: else two programs could
// ask and refuse in circles.
func (t *T) refuse(p *peer, piece uint32) {
	if p.refuses(piece) {
		return
	}
	if len(p.refused) >= maxRefused {
		p.refused = append(p.refused[:0], p.refused[1:]...)
	}
	p.refused = append(p.refused, refusal{piece, t.now + holdTime})
	if p.nRefused++; p.nRefused >= maxRefused {
		p.nRefused, p.holdUntil = 0, t.now+pauseTime
		p.lookAt = p.holdUntil
		t.wakeBy(p.holdUntil)
	}
	t.wakeBy(t.now + tickBusy)
}

// forgive lets a peer be asked again for what it refused.
func (t *T) forgive(p *peer) {
	for len(p.refused) > 0 && t.now >= p.refused[0].until {
		p.refused = append(p.refused[:0], p.refused[1:]...)
		p.dry, p.dirty = 0, true
	}
}
