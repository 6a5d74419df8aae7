package members

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"shoal/internal/adapter/overlay"
	"shoal/internal/core/group"
	"shoal/internal/core/ident"
	"shoal/internal/core/kad"
	"shoal/internal/node/groups"
	"shoal/internal/node/locate"
)

// The stream protocols, beside those of groups.
const (
	SwarmProtocol = "/shoal/swarm/1" // the BitTorrent peer protocol
	AskProtocol   = "/shoal/ask/1"   // who holds this share
	DHTProtocol   = "/shoal/dht/1"   // a group's own DHT
)

// How many streams of these one member may have open towards this node.
const (
	MaxSwarmStreams = 64 // shares that two nodes exchange at once
	maxAskStreams   = 2  // the second while the first ends
	maxDHTStreams   = groups.MaxGroups
)

// Config is what a Service is made of.
type Config struct {
	Key  ident.Key
	Name string // what this node is called where it joins: group.NameFits
	Dir  string // folder of the groups
	// Overlay is the host's configuration. Key, Known, Events and Streams are set here.
	Overlay overlay.Config
	Events  func(Event) // told what happens; must not wait. nil: nobody listens
	Rand    *rand.Rand  // for jitter; nil: seeded by the system
	// Resolve looks up a host's name for Connect; nil: addresses only.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)

	fromMembers int    // 0: fromMembers; tests have smaller groups
	leastPort   uint16 // 0: kad.LeastPort; tests can't have such ports
}

// Service is the node among its members. Its methods may be called from any goroutine
// until Close, and after that give ErrClosed or nothing.
type Service struct {
	cfg    Config
	me     ident.NodeID
	groups *groups.Service
	swarm  *listener
	asks   *asks
	dhts   *dhts
	ctx    context.Context
	cancel context.CancelFunc
	over   sync.WaitGroup
	start  sync.Once
	began  atomic.Bool

	up     chan struct{} // closed when host or failed is set
	host   *overlay.Host
	failed error
	news   news
	wake   chan struct{} // the keeper has something to look at

	mu       sync.Mutex
	closed   bool
	changed  bool                           // who is a member, since the keeper looked
	joining  map[ident.NodeID]int           // inviters, and how many joins are under way with them
	renewing map[ident.NodeID]chan struct{} // who is being reached anew as a member
	here     map[ident.NodeID]bool          // connected; the keeper alone writes
	awaited  map[*awaited]bool              // who is dialled for a stream
	past     map[ident.NodeID]*past
	found    map[ident.NodeID]sighting
	vouched  map[netip.AddrPort]bool // privileged ports that may be dialled
}

// ErrClosed says that the Service has ended, or was not started.
var ErrClosed = errors.New("members: closed")

// EventKind says what happened.
type EventKind uint8

// The kinds of events.
const (
	MembersChanged EventKind = iota + 1 // who is in which group is different now: look at Member again
	Connected                           // Peer, a member, is connected
	Disconnected                        // it is no more
	Direct                              // Peer was reached through a relay and is reached straight now: open its sessions anew
	Reachable                           // where this node is reached has changed (Host.Reach, Host.Addrs)
	Refused                             // Peer was refused by the overlay; Reason is one of its words
)

// Event is something that happened.
type Event struct {
	Kind   EventKind
	Peer   ident.NodeID
	Addr   netip.AddrPort // Peer's overlay address
	Reason string
}

// Open reads the groups. It sends nothing and listens nowhere.
func Open(cfg Config) (*Service, error) {
	if cfg.Rand == nil {
		cfg.Rand = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))
	}
	if cfg.fromMembers == 0 {
		cfg.fromMembers = fromMembers
	}
	if cfg.leastPort == 0 {
		cfg.leastPort = kad.LeastPort
	}
	if cfg.Overlay.AllowDial == nil {
		cfg.Overlay.AllowDial = cfg.Overlay.Allow
	}
	if cfg.Events == nil {
		cfg.Events = func(Event) {}
	}
	s := &Service{cfg: cfg, me: cfg.Key.ID(), up: make(chan struct{}), wake: make(chan struct{}, 1),
		joining: make(map[ident.NodeID]int), renewing: make(map[ident.NodeID]chan struct{}),
		here: make(map[ident.NodeID]bool), awaited: make(map[*awaited]bool), past: make(map[ident.NodeID]*past), found: make(map[ident.NodeID]sighting),
		vouched: make(map[netip.AddrPort]bool)}
	s.swarm, s.asks, s.dhts = newListener(s.me.Addr()), newAsks(s), newDHTs(s)
	s.news.of = make(map[ident.NodeID]*change)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	g, err := groups.Open(groups.Config{Key: cfg.Key, Name: cfg.Name, Dir: cfg.Dir, Rand: cfg.Rand, LeastPort: cfg.leastPort, Wish: s.wish})
	if err != nil {
		return nil, err
	}
	s.groups = g
	return s, nil
}

// Start lets the groups work, and the overlay come up in the background: what needs it
// waits for it. An error of coming up is what those calls return (Ready).
func (s *Service) Start(context.Context) error {
	if s.ctx.Err() != nil {
		return ErrClosed
	}
	s.start.Do(func() {
		s.began.Store(true)
		s.groups.Run(carrier{s})
		s.over.Go(s.bringUp)
	})
	return nil
}

// bringUp makes the host, then keeps it in step with the groups.
func (s *Service) bringUp() {
	cfg := s.cfg.Overlay
	cfg.Key, cfg.Known, cfg.Events, cfg.AllowDial = s.cfg.Key, s.known, s.overlayEvent, s.mayDial
	cfg.Streams = map[string]int{SwarmProtocol: MaxSwarmStreams, AskProtocol: maxAskStreams, DHTProtocol: maxDHTStreams}
	host, err := overlay.New(s.ctx, cfg)
	if err != nil {
		s.failed = err
		close(s.up)
		return
	}
	// Who is a member and not known as one here proves itself: both are for anyone.
	host.HandleAnyone(groups.JoinProtocol, func(st *overlay.Stream) { s.groups.HandleJoin(st) })
	host.HandleAnyone(groups.SyncProtocol, func(st *overlay.Stream) { s.groups.HandleSync(st) })
	host.Handle(SwarmProtocol, func(st *overlay.Stream) { s.swarm.take(st) })
	host.Handle(AskProtocol, func(st *overlay.Stream) { s.asks.serve(st) })
	host.Handle(DHTProtocol, func(st *overlay.Stream) { s.dhts.pipes.serve(st) })
	s.host = host
	close(s.up)
	s.over.Go(s.watch)
	s.over.Go(s.asks.run)
	s.keep()
}

// Ready waits until the overlay is up, and gives the reason if it can't be.
func (s *Service) Ready(ctx context.Context) error {
	select {
	case <-s.up:
		return s.failed
	case <-ctx.Done():
		return ctx.Err()
	case <-s.ctx.Done():
		return ErrClosed
	}
}

// isUp is Ready for who does not wait.
func (s *Service) isUp() bool {
	select {
	case <-s.up:
		return s.failed == nil
	default:
		return false
	}
}

// Groups is the service of this node's groups.
func (s *Service) Groups() *groups.Service { return s.groups }

// Host is the overlay. It waits until that is up; nil if it can't be.
func (s *Service) Host() *overlay.Host {
	if s.Ready(s.ctx) != nil {
		return nil
	}
	return s.host
}

// Member tells whether the node with that overlay address is a member of a group that this
// node is a member of. It never waits.
func (s *Service) Member(g group.ID, a netip.Addr) bool {
	id, ok := s.groups.NodeAt(a)
	return ok && s.groups.Member(g, id)
}

// Listener yields the sessions that members open. Their RemoteAddr is the member's overlay
// address, their LocalAddr this node's.
func (s *Service) Listener() net.Listener { return s.swarm }

// Locators are the ways to find shares at members: "members" and "group".
func (s *Service) Locators() []locate.Locator { return []locate.Locator{s.asks, s.dhts} }

// Close ends all connections, what goes on in the groups, and waits for every goroutine.
func (s *Service) Close() {
	s.start.Do(func() {}) // it is not begun any more
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	s.swarm.Close()
	if s.began.Load() {
		s.groups.Close()
		<-s.up
		if s.host != nil {
			s.host.Close()
		}
	} else {
		for _, l := range s.cfg.Overlay.TCP {
			l.Close()
		}
	}
	s.over.Wait()
}

// spawn runs f in a goroutine that Close waits for; not after Close.
func (s *Service) spawn(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.over.Go(f)
	}
}

// tell tells of an event about a member.
func (s *Service) tell(kind EventKind, id ident.NodeID) {
	s.cfg.Events(Event{Kind: kind, Peer: id, Addr: id.Addr()})
}
