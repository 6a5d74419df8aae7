package members

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"

	"shoal/internal/adapter/overlay"
	"shoal/internal/core/group"
	"shoal/internal/core/ident"
	"shoal/internal/node/groups"
	"shoal/internal/node/locate"
)

// The stream protocols, beside those of groups.
const (
	SwarmProtocol = "/shoal/swarm/1" // the BitTorrent peer protocol
	AskProtocol   = "/shoal/ask/1"   // who holds this share
	DHTProtocol   = "/shoal/dht/1"   // a group's own DHT
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
}

// Service is the node among its members. Its methods may be called from any goroutine
// until Close, and after that give ErrClosed or nothing.
type Service struct {
	cfg    Config
	groups *groups.Service
	ctx    context.Context
	cancel context.CancelFunc
	over   sync.WaitGroup
	up     chan struct{} // closed when host or failed is set
	host   *overlay.Host
	failed error
	swarm  *listener

	mu      sync.Mutex
	started bool
}

// ErrClosed says that the Service has ended, or was not started.
var ErrClosed = errors.New("members: closed")

// ErrNobody says that no member is meant by what was given.
var ErrNobody = errors.New("members: no such member")

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
	s := &Service{cfg: cfg, up: make(chan struct{}), swarm: newListener(cfg.Key.ID().Addr())}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	g, err := groups.Open(groups.Config{Key: cfg.Key, Name: cfg.Name, Dir: cfg.Dir, Rand: cfg.Rand})
	if err != nil {
		return nil, err
	}
	s.groups = g
	return s, nil
}

// Start lets the groups work, and the overlay come up in the background: what needs it
// waits for it. An error of coming up is what those calls return (Ready).
func (s *Service) Start(context.Context) error { return errors.New("members: not yet") }

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

// Groups is the service of this node's groups.
func (s *Service) Groups() *groups.Service { return s.groups }

// Host is the overlay. It waits until that is up; nil if it can't be.
func (s *Service) Host() *overlay.Host {
	if s.Ready(s.ctx) != nil {
		return nil
	}
	return s.host
}

// Join redeems a ticket (groups.Service.Join) and returns when the inviter takes this node
// for a member, or the time for that is over.
func (s *Service) Join(ctx context.Context, ticket string) (groups.Admission, error) {
	return s.groups.Join(ctx, ticket)
}

// Member tells whether the node with that overlay address is a member of a group that this
// node is a member of.
func (s *Service) Member(g group.ID, a netip.Addr) bool {
	id, ok := s.NodeOf(a)
	return ok && s.groups.Member(g, id)
}

// NodeOf is the member of a group of this node with that overlay address.
func (s *Service) NodeOf(a netip.Addr) (ident.NodeID, bool) { return ident.NodeID{}, false }

// Dial opens a session of the swarm protocol with the member that has this overlay address,
// connecting if need be.
func (s *Service) Dial(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	return nil, ErrNobody
}

// Listener yields the sessions that members open. Their RemoteAddr is the member's overlay
// address.
func (s *Service) Listener() net.Listener { return s.swarm }

// Locators are the ways to find shares at members: "members" and "group".
func (s *Service) Locators() []locate.Locator { return nil }

// Close ends all connections, what goes on in the groups, and waits for every goroutine.
func (s *Service) Close() {}
