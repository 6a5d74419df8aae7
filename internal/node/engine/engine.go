package engine

import (
	"context"
	"crypto/rand"
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
	"shoal/internal/core/group"
	"shoal/internal/core/ident"
	"shoal/internal/core/wire"
	"shoal/internal/node/announce"
	"shoal/internal/node/intake"
	"shoal/internal/node/link"
	"shoal/internal/node/locate"
	"shoal/internal/node/porch"
)

// Config is what an Engine is made with.
type Config struct {
	Home          string                                                         // holds torrents/ and parts/
	Offline       bool                                                           // look after the catalog only: nothing is dialled or announced
	Catalog       *store.Catalog                                                 // shares and resume state
	Listeners     []net.Listener                                                 // taken over and closed by the engine
	Allow         func(netip.AddrPort, swarmSource) error                        // may this address be dialled
	AllowIncoming func(netip.AddrPort) error                                     // may this address be answered
	Dial          func(ctx context.Context, to netip.AddrPort) (net.Conn, error) // nil: TCP, from any address
	Resolve       func(ctx context.Context, host string) ([]netip.Addr, error)
	Tracker       *tracker.Client         // nil: no trackers
	Events        func(Event)             // told what happens; must not block
	Version       string                  // name and version told to peers
	MaxConns      int                     // connections in all, 0 = 200
	MaxShareConns int                     // per share, 0 = 80
	OnePerIP      bool                    // and per share and address (limits card); not for loopback
	MaxDialling   int                     // half-open connections, 0 = 16
	Slots         int                     // peers unchoked per share, 0 = 8
	Reserve       func(total int64) int64 // bytes of a disk to leave free
	Up, Down      int64                   // bytes a second, 0 = no limit
	OpenFiles     int                     // most files of shares open at a time, 0 = 256
	ParkAfter     time.Duration           // quiet time after which a share is parked, 0 = 1 s

	Locators []Locator                           // ways to find peers and be found, besides trackers and peers' own word
	Member   func(g group.ID, a netip.Addr) bool // is that overlay address of a member; must not block. nil: nobody is
	DHTNode  func(netip.AddrPort)                // told of DHT nodes that peers name (BEP 5); must not block
	DHTPort  uint16                              // of our own, told to peers; 0: none
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
	movedDown, movedUp atomic.Int64 // payload
	porch              *porch.Porch
	desk               *announce.Desk
	ways               *locate.Desk
	rechecks           atomic.Uint32 // changes of memberships
	key                uint32        // told to trackers
	port               uint16
	saver              *store.Saver
	wg                 sync.WaitGroup
	reasons            link.Penalties
	alias              map[string]string // IDs that links had before they were described

	mu      sync.Mutex
	shares  map[string]*entry   // by ID
	names   map[[20]byte]*entry // by info hash on the wire
	closed  bool
	past    []Yield // of shares that were removed
	syncErr error   // what kept files of a share from being flushed at its end
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
	if cfg.Dial == nil {
		cfg.Dial = porch.TCP(nil)
	}
	if cfg.ParkAfter == 0 {
		cfg.ParkAfter = time.Second
	}
	if cfg.Reserve == nil {
		cfg.Reserve = store.Reserve
	}
	if cfg.Events == nil {
		cfg.Events = func(Event) {}
	}
	e := &Engine{cfg: cfg, handles: store.NewHandles(cfg.OpenFiles),
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
	e.porch = porch.New(behind{e}, e.peerID, cfg.MaxDialling)
	e.key, e.desk = mrand.Uint32(), announce.NewDesk(cfg.Tracker)
	if cfg.Offline {
		cfg.Locators = nil
	}
	e.ways = locate.NewDesk(cfg.Locators)
	e.saver = store.NewSaver(cfg.Catalog, func(err error) { e.tell(Event{Kind: EventNotice, Code: "catalog", Text: err.Error()}) })
	return e, nil
}

// Start loads what the catalog holds and begins to accept connections.
func (e *Engine) Start() error {
	if err := e.load(); err != nil {
		return err
	}
	for _, l := range e.cfg.Listeners {
		if a := link.AddrOf(l.Addr()); a.Port() != 0 && !ident.IsOverlay(a.Addr()) {
			e.port = a.Port()
		}
		e.wg.Add(1)
		go func() {
			defer e.wg.Done()
			e.porch.Listen(e.ctx, l)
		}()
	}
	e.wg.Add(1)
	go func() {
		defer e.wg.Done()
		e.saver.Run(e.ctx)
	}()
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
		e.desk.Wait()
		e.ways.Wait()
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
