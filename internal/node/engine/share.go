package engine

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"sync/atomic"
	"time"

	"shoal/internal/adapter/store"
	"shoal/internal/core/metainfo"
	"shoal/internal/core/swarm"
	"shoal/internal/core/wire"
	"shoal/internal/node/announce"
	"shoal/internal/node/files"
	"shoal/internal/node/hashes"
	"shoal/internal/node/intake"
	"shoal/internal/node/link"
	"shoal/internal/node/locate"
)

// Share is one share of the engine. Everything but what is marked is owned by its loop.
type Share struct {
	e    *Engine
	hash metainfo.InfoHash // fixed for a .torrent; a link's is completed when the info comes
	spec Spec
	row  store.Row

	ctx      context.Context
	cancel   context.CancelFunc
	inbox    chan msg
	done     chan struct{}
	status   atomic.Pointer[Status]        // for everybody
	content  atomic.Pointer[store.Content] // for everybody; nil until it is open
	up, down link.Limiter                  // for everybody
	shared   link.Shared                   // what its connections share
	shouted  atomic.Bool                   // for everybody: strangers may hear of it

	meta       *metainfo.Metainfo
	t          *swarm.T
	rng        *rand.Rand
	in         swarm.Events
	outEffects swarm.Effects
	conns      []*conn // by slot
	nConns     int
	crowd      int          // changes with those who are connected
	waiting    []*conn      // came while the disk is being looked at
	vacated    []swarm.Peer // slots to be freed once the swarm knows
	touched    []*conn
	who        locate.Audience
	scout      *locate.Scout
	sought     locate.Offer       // what peers are looked for of
	seekEnd    context.CancelFunc // ends that; nil: none are
	rechecked  uint32             // the change of memberships that was looked at
	dialling   int
	intake     *intake.Intake
	tally      *files.Tally
	work       int // what is under way elsewhere: the share is not parked before it is done

	state              State
	problem            string
	paused             bool
	failed             error
	stopping           bool
	checked            float64
	looking            chan struct{} // closed when the files have been looked at
	begun              time.Time
	timer              *time.Timer
	wakeAt             time.Time
	nextTick           time.Time
	resume             resumeState
	totals             totals
	ann                *announce.Announcer
	past               *announce.Past // of a run before, until ann goes on with it
	layers             *hashes.Layers
	server             *hashes.Server
	upMeter, downMeter link.Meter
	base               baseTotals // what the row had counted before this start

	gone        map[int]bool // files that somebody changed
	reopen      bool         // the selection changed while files are being looked at
	asked       bool         // for once more: what was complete is being looked at
	v2Only      bool         // the v1 hashes are wrong
	saving      bool
	parked      bool // ended because nobody needs it now
	removed     bool
	removeData  bool
	kept        []string
	removeErr   error
	early       error  // why the .torrent could not be read
	info        []byte // the info dictionary of a link, until it is kept
	retryAt     time.Time
	nextLook    time.Time
	quietSince  time.Time
	wantedBytes int64 // -1 until counted
	linkText    string
	seconds     float64 // from this start to the last verified piece
}

type baseTotals struct{ down, up, wasted int64 }

// totals are what was counted before this start and by connections that are gone.
type totals struct {
	down, up int64
	sources  link.Ledger
}

type msgKind uint8

const (
	msgBatch msgKind = iota
	msgDown
	msgWrote
	msgUnreadable
	msgJob
	msgCall
	msgDialled
)

// msg is what the loop's inbox carries.
type msg struct {
	kind msgKind
	c    *conn
	b    *link.Batch
	j    *intake.Job
	n    int
	err  error
	call func()
	addr netip.AddrPort
}

// inboxSize bounds what waits for the loop; senders wait in turn.
const inboxSize = 64

// post hands something to the loop; false if it has ended.
func (s *Share) post(m msg) bool {
	select {
	case s.inbox <- m:
		return true
	case <-s.done:
		return false
	}
}

// call runs f in the loop and waits for it; false if the loop has ended.
func (s *Share) call(f func()) bool { return s.do(context.Background(), f) }

// do is call that gives up when ctx ends; f may still run then.
func (s *Share) do(ctx context.Context, f func()) bool {
	ran := make(chan struct{})
	select {
	case s.inbox <- msg{kind: msgCall, call: func() { f(); close(ran) }}:
	case <-ctx.Done():
		return false
	case <-s.done:
		return false
	}
	select {
	case <-ran:
		return true
	case <-ctx.Done():
		return false
	case <-s.done:
		select {
		case <-ran:
			return true
		default:
			return false
		}
	}
}

func (s *Share) now() time.Duration { return time.Since(s.begun) }

// id is how the share is called everywhere: see metainfo.InfoHash.ID.
func (s *Share) id() string { return s.row.ID }

// loop owns the share until it is stopped or parked.
func (s *Share) loop() {
	defer close(s.done)
	defer s.teardown()
	s.begin()
	for !s.stopping {
		s.arm()
		select {
		case m := <-s.inbox:
			s.handle(m)
		case <-s.timer.C:
			s.wakeAt = time.Time{}
			s.in.List = append(s.in.List, swarm.Event{Kind: swarm.Wake})
		case <-s.ctx.Done():
			return
		}
		s.settle()
	}
}

// settle lets the swarm think and does what it says, until tokens or events run out.
func (s *Share) settle() {
	for {
		if len(s.in.List) > 0 {
			s.step(&s.in, nil, nil)
			s.in.Reset()
		}
		if s.advanceLayers() {
			continue
		}
		if !s.t.Starved() || !s.takeTokens() {
			break
		}
	}
	for _, slot := range s.vacated {
		s.conns[slot] = nil
	}
	s.vacated = s.vacated[:0]
	if now := time.Now(); !now.Before(s.nextTick) {
		s.housekeep(now)
	}
	for _, c := range s.touched {
		c.dirty = false
		if c.up && !c.Flush() {
			s.drop(c, swarm.ReasonSlow)
		}
	}
	s.touched = s.touched[:0]
}

// takeTokens lets the swarm send within the limits; false if nothing may be sent now.
func (s *Share) takeTokens() bool {
	now := time.Now()
	n := s.up.Take(now, link.SendBatch)
	if m := s.e.up.Take(now, n); m < n {
		s.up.GiveBack(n - m)
		n = m
	}
	if n <= 0 {
		return false
	}
	s.in.List = append(s.in.List, swarm.Event{Kind: swarm.Tokens, N: uint32(n)})
	return true
}

// arm sets the timer to what is due first.
func (s *Share) arm() {
	at := s.nextTick
	if w := s.t.NextWake(); !w.IsZero() && w.Before(at) {
		at = w
	}
	if s.t.Starved() {
		at = time.Now().Add(link.LimitTick)
	}
	if at.Equal(s.wakeAt) {
		return
	}
	s.wakeAt = at
	s.timer.Reset(max(time.Until(at), 0))
}

// step runs the swarm on events; those of a batch come with their blocks.
func (s *Share) step(in *swarm.Events, c *conn, b *link.Batch) {
	s.t.Step(time.Now(), in, &s.outEffects)
	s.perform(c, b)
	s.outEffects.Reset()
}

func (s *Share) handle(m msg) {
	switch m.kind {
	case msgBatch:
		s.takeBatch(m.c, m.b)
	case msgJob:
		s.jobDone(m.j)
	case msgWrote:
		if m.c.up {
			m.c.blocksOut += int64(m.n)
			s.resume.sent = true // the total is kept
			s.upMeter.Add(m.n)
			s.e.movedUp.Add(int64(m.n))
			s.event(swarm.Event{Kind: swarm.Credit, Peer: m.c.slot, N: uint32(m.n)})
		}
	case msgDown:
		s.connDown(m.c, m.err)
	case msgCall:
		m.call()
	case msgUnreadable:
		s.unreadable(m.n, m.err)
	case msgDialled:
		s.dialled(m.addr, m.err)
	}
}

func (s *Share) event(e swarm.Event) {
	if e.Kind == swarm.PieceLost {
		s.resume.bits = nil // if it comes again, that is not flushed
	}
	s.in.List = append(s.in.List, e)
}

// takeBatch gives one read's messages to the swarm.
func (s *Share) takeBatch(c *conn, b *link.Batch) {
	if s.rechecked != s.e.rechecks.Load() {
		s.recheck()
	}
	if c.up && !c.barred {
		// First, for an answer to what the events ask may need the peer's handshake (BEP 10).
		for i := range b.Aux {
			s.auxiliary(c, &b.Aux[i])
		}
		if len(b.In.List) > 0 {
			if len(s.in.List) > 0 { // keep the order of what came before
				s.step(&s.in, nil, nil)
				s.in.Reset()
			}
			for i := range b.In.List {
				b.In.List[i].Peer = c.slot
			}
			s.step(&b.In, c, b)
		}
	} else {
		b.Drop()
	}
	c.Return(b)
	s.intake.Relieve()
}

// slotFor finds a free slot.
func (s *Share) slotFor(c *conn) {
	for i, old := range s.conns {
		if old == nil {
			s.conns[i], c.slot = c, swarm.Peer(i)
			return
		}
	}
	c.slot = swarm.Peer(len(s.conns))
	s.conns = append(s.conns, c)
}

// connUp takes a connection whose handshake is done.
func (s *Share) connUp(c *conn) {
	if why := s.unwelcome(c); why != nil {
		s.scout.Done(s.now(), c.Dialled, false)
		c.Shut()
		return
	}
	if s.meta != nil && s.t.Info() == nil {
		s.waiting = append(s.waiting, c) // its greeting depends on what is on the disk
		return
	}
	s.slotFor(c)
	c.up = true
	s.nConns++
	s.crowd++
	s.e.nConns.Add(1)
	if s.meta != nil {
		c.Limit(s.meta.Info.NumPieces())
	}
	s.scout.Connected(c.Dialled, c.from, c.trip)
	if c.Theirs.Has(wire.CapExtended) {
		s.sendExtHandshake(c)
	}
	if c.Theirs.Has(wire.CapDHT) && s.caps() != 0 && !c.Overlay() {
		c.DHTPort = s.e.cfg.DHTPort
	}
	var flags uint8
	if c.Fast() {
		flags |= swarm.Fast
	}
	if c.v2 {
		flags |= swarm.V2
	}
	if c.Addr.Addr().IsLoopback() || !c.Addr.IsValid() {
		flags |= swarm.Loopback
	}
	s.event(swarm.Event{Kind: swarm.PeerUp, Peer: c.slot, Flags: flags, Addr: c.Addr, ID: c.Theirs.PeerID})
	s.event(swarm.Event{Kind: swarm.Credit, Peer: c.slot, N: link.StartCredit})
	s.touch(c)
	go c.Run()
}

// unwelcome says why a connection is not taken.
func (s *Share) unwelcome(c *conn) error {
	switch {
	case s.stopping || s.state == Failed || s.paused:
		return errGone
	case c.Theirs.PeerID == s.e.peerID:
		s.scout.Forget(c.Dialled)
		return errSelf
	case !s.who.Sees(c.Addr.Addr()):
		return errHide
	case s.nConns+len(s.waiting) >= s.e.cfg.MaxShareConns || s.e.full(c.Incoming && !c.Overlay()):
		return errFull
	}
	came := 0
	for _, o := range s.conns {
		if o == nil {
			continue
		}
		came += int(number(o.Incoming))
		if !c.Twin(o.Conn, s.e.cfg.OnePerIP) {
			continue
		}
		if !c.Supersedes(o.Conn, s.e.peerID) {
			return errFull
		}
		o.Shut()
	}
	if c.Incoming && !s.row.Complete && came >= (s.e.cfg.MaxShareConns+1)/2 {
		return errFull // who wants something keeps places for those that it finds
	}
	return nil
}

// connDown forgets a connection that has ended.
func (s *Share) connDown(c *conn, err error) {
	if !c.up {
		return
	}
	c.up = false
	s.layers.Gone(s.now(), c.slot)
	s.vacated = append(s.vacated, c.slot)
	s.nConns--
	s.crowd++
	s.e.nConns.Add(-1)
	s.remember(c) // first: whoever gave something is tried again sooner
	s.scout.Done(s.now(), c.Dialled, c.blocksIn > 0 || c.blocksOut > 0 || time.Since(c.Since) > time.Minute)
	if protocolFault(err) {
		s.e.penalised(s, c, "protocol", "drop")
	}
	s.event(swarm.Event{Kind: swarm.PeerDown, Peer: c.slot})
	switch {
	case c.again:
		s.scout.Again(s.now(), c.Reachable(), c.from)
		s.dialSome()
	case c.Overlay() && c.Dialled.IsValid() && !ended(err) && time.Since(c.Since) >= stoodTime: // the carrier is lost, and perhaps there is another
		s.scout.Hurry(s.now(), c.Dialled.Addr())
		s.dialSome()
	}
}

// remember keeps who gave what.
func (s *Share) remember(c *conn) {
	s.totals.down += c.blocksIn
	s.totals.up += c.blocksOut
	s.totals.sources.Add(c.source())
	s.scout.Gave(c.Dialled, c.from, c.blocksIn)
}

func (s *Share) touch(c *conn) {
	if !c.dirty {
		c.dirty = true
		s.touched = append(s.touched, c)
	}
}

// drop ends a connection for a reason that is told.
func (s *Share) drop(c *conn, why swarm.Reason) {
	if c.Shut() {
		s.e.penalised(s, c, why.String(), "drop")
	}
}
