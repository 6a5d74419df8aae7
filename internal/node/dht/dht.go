package dht

import (
	"context"
	crand "crypto/rand"
	"errors"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"shoal/internal/core/kad"
	"shoal/internal/core/kad/krpc"
)

// ErrClosed says that the node has ended.
var ErrClosed = errors.New("dht: closed")

// ErrBusy says that too many callers wait, or too many searches.
var ErrBusy = errors.New("dht: too many searches wait")

// DHT is one running node. Its methods may be called from any goroutine, at any time.
type DHT struct {
	cfg    Config
	k      int // of the buckets
	start  time.Time
	inbox  *queue
	outbox *queue

	gateMu sync.Mutex
	gate   *gate // nil: off

	mu     sync.Mutex // guards what follows
	posted []func()   // for the owner
	kick   chan struct{}
	shown  shown

	begun, ready, ended chan struct{}

	// Owned by the goroutine of Run.
	t        *kad.T
	in       kad.Events
	out      kad.Effects
	now      time.Time
	spare    batch
	handle   uint64
	sinks    map[uint64]sink
	boot     boot
	saveAt   time.Time
	saves    chan State
	locators []*Locator
	line     line
}

// shown is what readers see without asking the owner.
type shown struct {
	counted Counted
	address netip.AddrPort
	id      krpc.ID
	nodes   int
}

// Counted are totals since New.
type Counted struct {
	kad.Counters
	Gated     int64 // datagrams of sources that send too many, not looked at
	Dropped   int64 // datagrams that came faster than they could be worked off
	Unsent    int64 // datagrams that could not be sent fast enough
	Announced int64 // announcements of shares begun by Locators
	Sought    int64 // searches for peers of shares begun by Locators
}

// sink takes what a search finds, in the owner's goroutine.
type sink interface {
	// effect takes what was found, or that the search is over. f holds until it returns.
	effect(f *kad.Effect)
}

// New makes a node that does nothing until Run.
func New(cfg Config) *DHT {
	if cfg.Seed == [32]byte{} {
		crand.Read(cfg.Seed[:]) // never fails (crypto/rand)
	}
	if cfg.Kad.ID.IsZero() {
		cfg.Kad.ID = cfg.Saved.ID
	}
	d := &DHT{cfg: cfg, k: cfg.Kad.K, start: time.Now(), inbox: newQueue(inboxCount, inboxBytes), outbox: newQueue(outboxCount, outboxBytes),
		begun: make(chan struct{}), ready: make(chan struct{}), ended: make(chan struct{}),
		sinks: make(map[uint64]sink), saves: make(chan State, 1)}
	if d.k <= 0 {
		d.k = 8
	}
	d.kick = d.inbox.kick
	if !cfg.Kad.Authenticated && !cfg.Kad.OneHost {
		d.gate = newGate()
	}
	d.t = kad.New(cfg.Kad, rand.New(rand.NewChaCha8(cfg.Seed)))
	d.shown.id = d.t.ID()
	return d
}

// Datagram takes what somebody sent. It never waits; b is the caller's again when it
// returns.
func (d *DHT) Datagram(b []byte, from netip.AddrPort) {
	if d.gate != nil {
		d.gateMu.Lock()
		ok := d.gate.admit(from.Addr(), time.Since(d.start))
		d.gateMu.Unlock()
		if !ok {
			return
		}
	}
	if len(b) <= krpc.MaxDatagram {
		d.inbox.put(from, b)
	}
}

// Run takes part in the network until ctx ends, then saves and returns. It is called once.
func (d *DHT) Run(ctx context.Context) {
	var others sync.WaitGroup
	others.Go(d.send)
	others.Go(d.keep)
	d.begin(time.Now())
	close(d.begun)
	timer := time.NewTimer(0)
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-d.kick:
		case <-timer.C:
		}
		timer.Reset(time.Until(d.turn(ctx, time.Now())))
	}
	timer.Stop()
	close(d.ended)
	d.boot.wait()
	close(d.saves)
	close(d.outbox.kick)
	others.Wait()
	if s, ok := d.state(); ok && d.cfg.Save != nil {
		d.cfg.Save(s)
	}
}
