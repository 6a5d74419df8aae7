package swarm

import (
	"math/rand/v2"
	"net/netip"
	"time"

	"shoal/internal/core/metainfo"
	"shoal/internal/core/swarm/pieces"
)

// Tuning constants: choices of this program, each with its reason.
const (
	blockLen = 16 << 10 // BEP 3: what every client asks for

	maxQueue       = 2000                   // requests we queue for a peer and tell it so (reqq): 250 would cap 1 Gbit/s at 100 ms to 40 MB/s
	maxRequest     = 128 << 10              // longest block we serve (limits card)
	maxGhosts      = 2048                   // requests taken back that may still be answered
	maxStrays      = 64                     // blocks nobody asked for, or refusals of what was not asked, before the peer is dropped
	unprovenMost   = 64                     // requests out at a peer of which no piece has been good yet, or a whole piece
	maxSuggested   = 16                     // suggestions kept per peer
	fastSetSize    = 10                     // BEP 6 allowed fast pieces given to a peer with few pieces
	chokeInterval  = 10 * time.Second       // BEP 3
	optimisticTime = 30 * time.Second       // BEP 3
	turnTime       = 30 * time.Second       // how long a seed serves a peer at least before it looks for one in more need
	tickBusy       = time.Second            // how often time-outs are looked for while requests are out
	tickQuiet      = 10 * time.Second       // and while none are
	snubTime       = 60 * time.Second       // BEP 3's figure: longest silence while requests are out
	snubFloor      = 8 * time.Second        // shortest silence that counts, for a peer that has proved to be quick
	randomFirst    = 4                      // pieces picked at random before rarest first
	holdTime       = 10 * time.Second       // how long a peer is not asked again for a piece that it refused
	maxRefused     = 32                     // pieces refused in a row before the peer is asked for nothing for pauseTime
	pauseTime      = 500 * time.Millisecond // short: what was refused may have been many requests of one moment
	endgameTime    = 100 * time.Millisecond // how often a peer with nothing to do looks at what others are slow with
	maxRandomWalk  = 64                     // pieces looked at for a random first one
	maxRarestWalk  = 256                    // pieces looked at in order of rarity before the peer's own are sampled
	maxSample      = 64                     // of those
)

// Config is what a T is made with. Pieces of the share that are already there are
// given to SetInfo.
type Config struct {
	InfoHash [20]byte // the name on the wire, for the allowed fast set (BEP 6)
	Slots    int      // peers unchoked at a time, 0 = 8
	Limited  bool     // sending needs Tokens
}

// Key is what a ban is remembered by: the address, and the peer's ID too where many
// peers share an address (loopback).
type Key struct {
	Addr netip.Addr
	ID   [20]byte
}

// T is the exchange of one share. It is used by one goroutine.
type T struct {
	cfg  Config
	rng  *rand.Rand
	zero time.Time // the first now; times inside are durations since
	now  time.Duration
	wake time.Duration
	out  *Effects

	info    *metainfo.Info
	pieces  uint32
	have    pieces.Set
	wanted  pieces.Set // not had, not open, priority above 0
	needed  pieces.Set // not had, priority above 0: what makes a peer interesting
	nHave   int
	nNeeded int
	nWanted int
	prio    []uint8
	avail   []uint16
	order   [4]*pieces.Order // by priority 1…3; [0] unused
	openAt  []int32          // piece → index in open, -1
	open    []*openPiece
	pool    []*openPiece
	due     []deadline // by time

	sequential, paused, limited, complete bool

	v2Only bool // the v1 hashes are wrong: no v1 peer is of use

	peers    []*peer // by slot; nil where free
	live     []Peer  // slots in use, in order of arrival
	arrivals uint32  // peers that ever came
	dirty    bool    // look at all peers for new requests
	early    bool    // SetInfo was called: peers that came before are to be judged by it
	awaits   bool    // see Await
	awaited  bool    // Await was called
	wants    uint32  // changes when a piece becomes wanted: see peer.dry
	nFree    int     // free blocks of open pieces
	nSole    int     // open pieces that one peer alone may fetch

	tokens  int64 // bytes that may be sent under the limit
	turn    int   // whose turn it is for tokens, index in live
	starved bool  // blocks waited for tokens at the end of the last Step
	source  source
	meta    metadata
	blame   blame
	choker  choker
	Counted Counters
}

// Counters are totals since New.
type Counters struct {
	Wasted   int64 // bytes received and not kept: duplicates, strays, failed pieces
	Received int64 // bytes of blocks accepted
	Sent     int64 // bytes of blocks handed to writers
	Failed   int64 // pieces that failed their hash
	Cancels  int64
}

// New makes the exchange of a share whose metainfo is not known yet; SetInfo follows.
// rng decides every random choice.
func New(cfg Config, rng *rand.Rand) *T {
	if cfg.Slots == 0 {
		cfg.Slots = 8
	}
	t := &T{cfg: cfg, rng: rng, limited: cfg.Limited, awaits: true}
	t.meta.solo = NoPeer
	t.blame.init()
	return t
}

// Start fixes the time that durations inside are counted from. It is called once,
// before SetInfo and Step.
func (t *T) Start(now time.Time) { t.zero = now }

// SetInfo tells the metainfo and which pieces are there (have(p) is asked for each). It
// is called once, between Steps; peers that came before are judged by it at the next Step.
func (t *T) SetInfo(info *metainfo.Info, have func(p int) bool, prio func(p int) uint8) {
	n := info.NumPieces()
	t.info, t.pieces = info, uint32(n)
	t.have, t.wanted, t.needed = pieces.NewSet(n), pieces.NewSet(n), pieces.NewSet(n)
	t.prio, t.avail, t.openAt = make([]uint8, n), make([]uint16, n), make([]int32, n)
	for p := range n {
		t.openAt[p] = -1
		t.prio[p] = min(prio(p), 3)
		if have(p) {
			t.have.Put(uint32(p))
			t.nHave++
			continue
		}
		if t.prio[p] > 0 {
			t.needed.Put(uint32(p))
			t.nNeeded++
			t.want(uint32(p))
		}
	}
	t.complete = t.nNeeded == 0
	t.source.carrier = nil
	t.wake = 0
	t.early, t.awaits = true, false
	t.meta.drop()
}

// Await tells between Steps whether something is wanted that can't be asked for yet, as its
// hashes are still to come, and as it is before SetInfo. Who has all is told of our interest
// then already, which costs a round trip later.
func (t *T) Await(on bool) { t.awaits, t.awaited = on, true }

// Info is what SetInfo gave, nil before.
func (t *T) Info() *metainfo.Info { return t.info }

// Have tells whether the piece is there and verified.
func (t *T) Have(p int) bool { return t.info != nil && t.have.Has(uint32(p)) }

// HasAny tells whether a peer has a piece in [first, end).
func (t *T) HasAny(id Peer, first, end int) bool {
	p := t.peer(id)
	if p == nil || p.closing || p.bits == nil && !p.seed || first >= end {
		return false
	}
	if p.seed {
		return true
	}
	i := p.bits.Next(p.bits, uint32(max(first, 0)))
	return i >= 0 && i < end
}

// HaveCount is the number of pieces that are there; Needed of those still wanted.
func (t *T) HaveCount() int { return t.nHave }

// Needed is the number of pieces that are wanted and not there.
func (t *T) Needed() int { return t.nNeeded }

// AppendBitfield appends the bits for SendBitfield.
func (t *T) AppendBitfield(dst []byte) []byte { return t.have.AppendWire(dst, int(t.pieces)) }

// Step takes the events in order and appends what is to be done to out.
func (t *T) Step(now time.Time, in *Events, out *Effects) {
	t.now = now.Sub(t.zero)
	t.out = out
	if t.early {
		t.early = false
		t.judgeEarly()
	}
	for i := range in.List {
		t.event(&in.List[i], int32(i))
	}
	if t.awaited {
		t.awaited = false
		for _, id := range t.live {
			t.interest(t.peers[id])
		}
	}
	if t.choker.vacant {
		t.choker.vacant = false
		t.rechoke(true)
	}
	t.tick()
	t.fillAll()
	t.pumpAll()
	t.out = nil
}

// NextWake is when Step wants to be called even if nothing happens; zero when never.
func (t *T) NextWake() time.Time {
	if len(t.live) == 0 {
		return time.Time{}
	}
	return t.zero.Add(t.wake)
}

// Starved tells that blocks are waiting for Tokens.
func (t *T) Starved() bool { return t.starved }

// event dispatches one event: flat, one line a kind.
func (t *T) event(e *Event, ref int32) {
	switch e.Kind {
	case PieceGood, PieceBad, PieceLost, PieceFailed:
		t.pieceEvent(e)
		return
	case SetPriority, SetSequential, SetDeadline, SetPaused, SetLimited, Tokens, MetaBad, Wake:
		t.command(e)
		return
	case PeerUp:
		t.peerUp(e)
		return
	}
	p := t.peer(e.Peer)
	if p == nil || p.closing {
		if e.Kind == PeerDown {
			t.peerDown(e.Peer)
		} else if e.Kind == GotBlock {
			t.discard(ref, e.N)
		}
		return
	}
	switch e.Kind {
	case PeerDown:
		t.peerDown(e.Peer)
	case GotBlock:
		t.gotBlock(p, e, ref)
	case GotRequest:
		t.gotRequest(p, e)
	case GotCancel:
		t.gotCancel(p, e)
	case Credit:
		p.credit += int(e.N)
	case GotHave:
		t.gotHave(p, e.P)
	case GotChoke:
		t.gotChoke(p)
	case GotUnchoke:
		t.gotUnchoke(p)
	case GotInterested:
		t.gotInterested(p)
	case GotUninterested:
		t.gotUninterested(p)
	case GotBitfield, GotHaveAll, GotHaveNone:
		t.gotBits(p, e)
	case GotReject:
		t.gotReject(p, e)
	case GotSuggest, GotAllowedFast, GotDontHave, GotUploadOnly, GotReqQ:
		t.gotHint(p, e)
	case GotMetaSize, GotMetaRequest, GotMetaData, GotMetaReject:
		t.gotMeta(p, e)
	case GotHashes, GotHashReject:
		t.gotHashes(p, e)
	case PeerBad:
		t.close(p, Reason(e.N), true)
	}
}

func (t *T) command(e *Event) {
	switch e.Kind {
	case Tokens:
		t.tokens += int64(e.N)
	case SetLimited:
		t.limited = e.N != 0
		t.tokens = 0
	case SetSequential:
		t.sequential = e.N != 0
	case SetPaused:
		t.setPaused(e.N != 0)
	case SetPriority:
		t.setPriority(e.P, e.B, uint8(min(e.N, 3)))
	case MetaBad:
		t.metaBad()
	case SetDeadline:
		t.setDeadline(e.P, e.When.Sub(t.zero))
	}
}

// tick does what is due by time alone.
func (t *T) tick() {
	if t.now < t.wake {
		return
	}
	t.wake = t.now + tickQuiet
	if len(t.open) > 0 || t.info == nil {
		t.wake = t.now + tickBusy
	}
	judge := t.now >= t.choker.next
	for _, id := range t.live {
		p := t.peers[id]
		if judge {
			p.excess = 0
		}
		if p.pending() > 0 {
			t.checkSnub(p)
		}
		t.promote(p)
		t.forgive(p)
		if p.pending() > 0 || len(p.refused) > 0 {
			t.wakeBy(t.now + tickBusy)
		}
		if p.lookAt > t.now {
			t.wakeBy(p.lookAt)
		}
	}
	t.rechoke(false)
	if t.choker.next > t.now {
		t.wakeBy(t.choker.next)
	}
	if t.info == nil {
		t.tickMeta()
	}
}

// wakeBy makes the next tick come no later than at.
func (t *T) wakeBy(at time.Duration) { t.wake = min(t.wake, at) }

// pieceSize is the number of bytes of a piece on the wire.
func (t *T) pieceSize(p uint32) uint32 { return uint32(t.info.PieceSize(int(p))) }

// blocksOf is the number of blocks that are asked for: those that hold nothing but
// padding are known to be zero (BEP 47).
func (t *T) blocksOf(p uint32) int { return max(1, (Payload(t.info, int(p))+blockLen-1)/blockLen) }

// Payload is the number of bytes of a piece up to which blocks are asked for. In a hybrid
// the padding behind a file's end is known to be zero (BEP 47); v1 alone cannot tell.
func Payload(info *metainfo.Info, p int) int {
	if info.Version == metainfo.V1 {
		return info.PieceSize(p)
	}
	return info.DataSize(p)
}

// blockSize is the length of block b of piece p on the wire. An open piece knows its
// size; to find it for another takes a search among the files.
func (t *T) blockSize(p uint32, b int) uint32 {
	if o := t.opened(p); o != nil {
		return min(blockLen, o.size-uint32(b)*blockLen)
	}
	return min(blockLen, t.pieceSize(p)-uint32(b)*blockLen)
}

// perPiece is the number of blocks of a whole piece.
func (t *T) perPiece() int { return max(int(t.info.PieceLength)/blockLen, 1) }

// close asks the driver to end the connection; nothing more is taken from the peer.
func (t *T) close(p *peer, why Reason, ban bool) {
	if p.closing {
		return
	}
	p.closing = true
	t.out.add(Effect{Kind: Close, Peer: p.id, Reason: why, Ban: ban})
	t.source.stale = true
	p.queue, p.qhead, p.later = nil, 0, nil
	t.release(p)
	t.leftMeta(p)
	if ban {
		t.blame.ban(p.key)
	}
}

func (t *T) discard(ref int32, n uint32) {
	t.Counted.Wasted += int64(n)
	t.out.add(Effect{Kind: Discard, Ref: ref})
}

// PeerView is what is shown of a peer.
type PeerView struct {
	Have                                 int // pieces
	Seed                                 bool
	WeWant, TheyWant, WeChoke, TheyChoke bool
	Optimistic, Snubbed                  bool
	DownRate, UpRate                     float64 // bytes a second
	Pending                              int     // requests outstanding
	Queued                               int     // their requests that wait to be served
}

// Peer shows a peer; the zero value if the slot is free.
func (t *T) Peer(id Peer) PeerView {
	p := t.peer(id)
	if p == nil {
		return PeerView{}
	}
	return PeerView{Have: p.nBits, Seed: t.info != nil && p.nBits == int(t.pieces), WeWant: p.interested, TheyWant: p.theyInterest,
		WeChoke: p.choking, TheyChoke: p.choked, Optimistic: p.optimistic, Snubbed: p.snubbed,
		DownRate: p.down.value(t.now), UpRate: p.up.value(t.now), Pending: p.pending(),
		Queued: len(p.queue) - p.qhead + len(p.later)}
}
