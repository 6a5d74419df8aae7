package engine

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mrand "math/rand/v2"
	"net"
	"net/netip"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"shoal/internal/adapter/store"
	"shoal/internal/adapter/tracker"
	"shoal/internal/core/wire"
	"shoal/internal/node/announce"
	"shoal/internal/node/intake"
	"shoal/internal/node/link"
)

// Config is what an Engine is made with.
type Config struct {
	Home          string                                    // holds torrents/ and parts/
	Offline       bool                                      // look after the catalog only: nothing is dialled or announced
	Catalog       *store.Catalog                            // shares and resume state
	Listeners     []net.Listener                            // taken over and closed by the engine
	Allow         func(netip.AddrPort, swarmSource) error   // may this address be dialled
	AllowIncoming func(netip.AddrPort) error                // may this address be answered
	LocalAddr     func(peer netip.Addr) (netip.Addr, error) // where to dial from; zero: anywhere
	Resolve       func(ctx context.Context, host string) ([]netip.Addr, error)
	Tracker       *tracker.Client         // nil: no trackers
	Events        func(Event)             // told what happens; must not block
	Version       string                  // name and version told to peers
	MaxConns      int                     // connections in all, 0 = 200
	MaxShareConns int                     // per share, 0 = 80
	MaxDialling   int                     // half-open connections, 0 = 16
	Slots         int                     // peers unchoked per share, 0 = 8
	Reserve       func(total int64) int64 // bytes of a disk to leave free
	Up, Down      int64                   // bytes a second, 0 = no limit
	OpenFiles     int                     // most files of shares open at a time, 0 = 256
	ParkAfter     time.Duration           // quiet time after which a share is parked, 0 = 2 s
}

// Engine runs all shares of a node.
type Engine struct {
	cfg                Config
	peerID             wire.PeerID
	ctx                context.Context
	cancel             context.CancelFunc
	pool               *link.Pool
	buffers            link.Buffers
	workers            *intake.Workers
	handles            *store.Handles
	up, down           link.Limiter
	nConns             atomic.Int64
	movedDown, movedUp atomic.Int64  // payload
	dials              chan struct{} // a token per half-open connection
	key                uint32        // told to trackers
	port               uint16
	saver              saver
	wg                 sync.WaitGroup
	reasons            map[string]int64  // refusals, by reason and action; guarded by mu
	alias              map[string]string // IDs that links had before they were described

	mu      sync.Mutex
	shares  map[string]*entry   // by ID
	names   map[[20]byte]*entry // by info hash on the wire
	closed  bool
	syncErr error // what kept files of a share from being flushed at its end
}

// New makes an engine. Start begins to listen and to run what the catalog holds.
func New(cfg Config) (*Engine, error) {
	def := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	def(&cfg.MaxConns, 200)
	def(&cfg.MaxShareConns, 80)
	def(&cfg.MaxDialling, 16)
	if cfg.ParkAfter == 0 {
		cfg.ParkAfter = 2 * time.Second
	}
	if cfg.Reserve == nil {
		cfg.Reserve = store.Reserve
	}
	if cfg.Events == nil {
		cfg.Events = func(Event) {}
	}
	e := &Engine{cfg: cfg, handles: store.NewHandles(cfg.OpenFiles), dials: make(chan struct{}, cfg.MaxDialling),
		shares: make(map[string]*entry), names: make(map[[20]byte]*entry), alias: make(map[string]string)}
	e.ctx, e.cancel = context.WithCancel(context.Background())
	e.pool = link.NewPool(e.spillAll)
	e.workers = intake.NewWorkers(runtime.GOMAXPROCS(0), &e.buffers)
	e.up.Set(cfg.Up)
	e.down.Set(cfg.Down)
	copy(e.peerID[:], wire.PeerIDPrefix)
	if _, err := rand.Read(e.peerID[len(wire.PeerIDPrefix):]); err != nil {
		return nil, err
	}
	e.key = mrand.Uint32()
	e.saver.init(e)
	return e, nil
}

// Start loads what the catalog holds and begins to accept connections.
func (e *Engine) Start() error {
	if err := e.load(); err != nil {
		return err
	}
	for _, l := range e.cfg.Listeners {
		if a := link.AddrOf(l.Addr()); a.Port() != 0 {
			e.port = a.Port()
		}
		e.wg.Add(1)
		go e.accept(l)
	}
	e.wg.Add(1)
	go e.saver.run()
	e.wg.Add(1)
	go e.attend()
	return nil
}

// Close stops all shares, flushes and announces `stopped`. It waits until ctx ends at
// the longest; what was verified by then is remembered in any case. An error of the
// device in flushing is returned.
func (e *Engine) Close(ctx context.Context) error {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return nil
	}
	e.closed = true
	var running []*Share
	for _, r := range e.shares {
		if r.share != nil {
			running = append(running, r.share)
		}
	}
	e.mu.Unlock()
	for _, l := range e.cfg.Listeners {
		l.Close()
	}
	for _, s := range running {
		go s.post(msg{kind: msgCall, call: func() { s.stopping = true }})
	}
	bye, cancel := context.WithTimeout(ctx, announce.StoppedTime)
	defer cancel()
	e.farewell(bye)
	for _, s := range running {
		select {
		case <-s.done:
		case <-ctx.Done():
		}
	}
	e.cancel()
	e.pool.Close()
	finished := make(chan struct{})
	go func() {
		e.wg.Wait()
		e.workers.Close()
		close(finished)
	}()
	select {
	case <-finished:
		e.mu.Lock()
		defer e.mu.Unlock()
		return e.syncErr
	case <-ctx.Done():
		return fmt.Errorf("engine: not everything ended in time: %w", ctx.Err())
	}
}

// accept takes connections; each is judged by its handshake in a goroutine of its own.
func (e *Engine) accept(l net.Listener) {
	defer e.wg.Done()
	waiting := newPorch()
	for {
		nc, err := l.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) || e.ctx.Err() != nil {
				return
			}
			// Out of descriptors, or a connection that ended at once: not a reason to spin.
			select {
			case <-time.After(100 * time.Millisecond):
			case <-e.ctx.Done():
				return
			}
			continue
		}
		if !waiting.enter(e.ctx, nc) {
			nc.Close()
			return
		}
		go func() {
			defer waiting.leave(nc)
			e.Incoming(nc)
		}()
	}
}

// Incoming takes a connection that somebody opened to us, by whatever carrier. It reads
// the handshake, finds the share and hands the connection over.
func (e *Engine) Incoming(nc net.Conn) {
	if err := e.incoming(nc); err != nil {
		nc.Close()
	}
}

func (e *Engine) incoming(nc net.Conn) error {
	from := link.AddrOf(nc.RemoteAddr())
	if from.IsValid() && e.cfg.AllowIncoming != nil {
		if err := e.cfg.AllowIncoming(from); err != nil {
			return err
		}
	}
	if int(e.nConns.Load()) >= e.cfg.MaxConns {
		return errFull
	}
	if err := nc.SetDeadline(time.Now().Add(handshakeTime)); err != nil {
		return err
	}
	abort := context.AfterFunc(e.ctx, func() { nc.Close() })
	defer abort()
	theirs, err := link.ReadHandshake(nc)
	if err != nil {
		return err
	}
	s := e.wake(theirs.InfoHash)
	if s == nil {
		return errUnknown
	}
	// A v2 peer that called by the v1 name is answered by the v2 name (BEP 52).
	answer := theirs.InfoHash
	if h := s.hash; h.HasV1() && h.HasV2() && answer == h.V1 && theirs.Has(wire.CapV2) {
		answer = h.V2Short()
	}
	if _, err := nc.Write(ourHandshake(answer, e.peerID, s.hash.HasV2()).Append(nil)); err != nil {
		return err
	}
	if err := nc.SetDeadline(time.Time{}); err != nil {
		return err
	}
	theirs.InfoHash = answer
	if !s.post(msg{kind: msgUp, c: newConn(s, nc, theirs, true)}) {
		return errGone
	}
	return nil
}

// dial opens a connection to a candidate of the share.
func (e *Engine) dial(s *Share, addr netip.AddrPort) error {
	select {
	case e.dials <- struct{}{}:
		defer func() { <-e.dials }()
	case <-s.ctx.Done():
		return errGone
	}
	d := net.Dialer{Timeout: handshakeTime}
	if e.cfg.LocalAddr != nil {
		local, err := e.cfg.LocalAddr(addr.Addr())
		if err != nil {
			return err
		}
		if local.IsValid() {
			d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(local, 0))
		}
	}
	nc, err := d.DialContext(s.ctx, "tcp", addr.String())
	if err != nil {
		return err
	}
	abort := context.AfterFunc(s.ctx, func() { nc.Close() })
	theirs, err := e.greet(s, nc)
	if abort(); err != nil {
		nc.Close()
		return err
	}
	c := newConn(s, nc, theirs, false)
	c.dialled = addr
	if !s.post(msg{kind: msgUp, c: c}) {
		nc.Close()
		return errGone
	}
	return nil
}

// greet is the handshake of the side that dialled.
func (e *Engine) greet(s *Share, nc net.Conn) (wire.Handshake, error) {
	if err := nc.SetDeadline(time.Now().Add(handshakeTime)); err != nil {
		return wire.Handshake{}, err
	}
	h := s.hash
	names := h.Wire()
	if _, err := nc.Write(ourHandshake(names[0], e.peerID, h.HasV2()).Append(nil)); err != nil {
		return wire.Handshake{}, err
	}
	theirs, err := link.ReadHandshake(nc)
	if err != nil {
		return theirs, err
	}
	upgraded := h.HasV1() && h.HasV2() && theirs.InfoHash == h.V2Short()
	if theirs.InfoHash != names[0] && !upgraded {
		return theirs, errOtherHash
	}
	return theirs, nc.SetDeadline(time.Time{})
}

// spillAll makes every share write out the blocks that wait for others.
func (e *Engine) spillAll() {
	for _, s := range e.running() {
		s.post(msg{kind: msgCall, call: func() { s.intake.Spill() }})
	}
}

func (e *Engine) running() []*Share {
	e.mu.Lock()
	defer e.mu.Unlock()
	var list []*Share
	for _, r := range e.shares {
		if r.share != nil {
			list = append(list, r.share)
		}
	}
	return list
}

// torrents is the folder of the .torrent files: they are the truth about the shares.
func (e *Engine) torrents() string { return filepath.Join(e.cfg.Home, "torrents") }

func (e *Engine) partsPath(id string) string {
	return filepath.Join(e.cfg.Home, "parts", id)
}
