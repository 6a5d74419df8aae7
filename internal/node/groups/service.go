package groups

import (
	"context"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"shoal/internal/core/group"
	"shoal/internal/core/ident"
)

// The stream protocols.
const (
	JoinProtocol = "/shoal/join/1"  // open to everybody: who holds a ticket comes as a stranger
	SyncProtocol = "/shoal/group/1" // between members; who is none yet proves itself in it
)

// MaxGroups is how many groups a node can be in.
const MaxGroups = 64

// Stream is one stream of an overlay connection: encrypted, and the peer is who it says.
type Stream interface {
	net.Conn
	Peer() ident.NodeID
}

// Net is what this package needs of the overlay. It is called from many goroutines, and
// may call the Service from within.
type Net interface {
	// Open opens a stream to a node that is connected.
	Open(ctx context.Context, id ident.NodeID, protocol string) (Stream, error)
	// Connect connects to a node by these addresses and by others that Net knows; nil if it
	// is connected already.
	Connect(ctx context.Context, id ident.NodeID, addrs []group.Address) error
	// Drop closes all connections to a node.
	Drop(id ident.NodeID)
	// Addrs are where this node is reached, the best first.
	Addrs() []group.Address
}

// Config is what a Service needs. All of it is required but Wish.
type Config struct {
	Key  ident.Key
	Name string     // what this node is called where it joins: group.NameFits
	Dir  string     // folder of the groups, made if missing
	Net  Net        // may be set until Run
	Rand *rand.Rand // for jitter; secrets come from the system
	// LeastPort is the least port that is dialled because a member says that it is there.
	LeastPort uint16
	// Wish is how much a member's connection is wanted; nil: all alike. It must not wait, nor
	// call the Service, looks at who is a member apart (Known, Shared, Member, Mine).
	Wish func(ident.NodeID) Wish
}

// Service is one node's groups. Its methods may be called from any goroutine until Close,
// and after that give ErrClosed or nothing.
type Service struct {
	cfg     Config
	me      ident.NodeID
	ctx     context.Context
	cancel  context.CancelFunc
	calls   chan func()
	stopped chan struct{}
	workers sync.WaitGroup
	seen    atomic.Pointer[picture]
	joins   slots // of the two protocols' streams that others opened
	syncs   slots
	proofs  chan struct{} // a place for each stranger whose list is being judged

	// Owned by run.
	books    map[group.ID]*book
	unkept   map[group.ID]bool // changes of others that a failing disk did not take
	peers    map[ident.NodeID]*peer
	dials    map[ident.NodeID]*dial
	dialing  int
	dialAt   time.Time // when to look for whom to dial
	saveAt   time.Time // when to write what is not urgent; zero: nothing is to be written
	blocked  map[ident.NodeID]time.Time
	damaged  []*Damage
	watchers map[*watcher]bool
}

// picture is what all may see. Nothing in it is ever changed.
type picture struct {
	groups map[group.ID]*group.Group
	shared map[ident.NodeID][]group.ID // of everybody else who is in a group of ours
	addrs  map[ident.NodeID]netip.Addr // their overlay addresses
	nodes  map[netip.Addr]ident.NodeID // the way back
}

// Open reads all groups. A file that is damaged is left out (Damaged) and stops nothing.
// Nothing is sent before Run.
func Open(cfg Config) (*Service, error) {
	if !group.NameFits(cfg.Name) {
		return nil, ErrArgument
	}
	s := &Service{cfg: cfg, me: cfg.Key.ID(), calls: make(chan func()), stopped: make(chan struct{}), proofs: make(chan struct{}, maxProofs),
		books: make(map[group.ID]*book), unkept: make(map[group.ID]bool), peers: make(map[ident.NodeID]*peer), dials: make(map[ident.NodeID]*dial),
		blocked: make(map[ident.NodeID]time.Time), watchers: make(map[*watcher]bool)}
	s.joins, s.syncs = newSlots(maxJoins), newSlots(maxSyncs)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	if err := s.load(); err != nil {
		return nil, err
	}
	return s, nil
}

// Run begins to work; n takes the place of Config.Net unless it is nil.
func (s *Service) Run(n Net) {
	if n != nil {
		s.cfg.Net = n
	}
	go s.run()
}

// Close ends everything that goes on and keeps what was not yet written. Run must have been
// called.
func (s *Service) Close() {
	s.cancel()
	<-s.stopped
	s.workers.Wait()
}

// run owns the state.
func (s *Service) run() {
	defer close(s.stopped)
	defer s.closeWatchers()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-s.ctx.Done():
			s.save()
			return
		case f := <-s.calls:
			f()
		case <-timer.C:
		}
		timer.Reset(time.Until(s.wake(time.Now())))
	}
}

// do runs f in the owner and waits for it. It is never called by the owner.
func (s *Service) do(f func()) error {
	done := make(chan struct{})
	select {
	case s.calls <- func() { defer close(done); f() }:
		<-done
		return nil
	case <-s.ctx.Done():
		return ErrClosed
	}
}

// wake does what is due and tells when it wants to be called next.
func (s *Service) wake(now time.Time) time.Time {
	next := now.Add(time.Hour)
	for _, t := range []time.Time{s.startSyncs(now), s.startDials(now)} {
		if !t.IsZero() && t.Before(next) {
			next = t
		}
	}
	if !s.saveAt.IsZero() && !s.saveAt.After(now) {
		s.save()
	}
	if !s.saveAt.IsZero() && s.saveAt.Before(next) {
		next = s.saveAt
	}
	return next
}

// look is the picture.
func (s *Service) look() *picture { return s.seen.Load() }

// show publishes a group in its new state, or its end (nil).
func (s *Service) show(id group.ID, g *group.Group) {
	old := s.look()
	p := &picture{groups: make(map[group.ID]*group.Group), shared: make(map[ident.NodeID][]group.ID),
		addrs: make(map[ident.NodeID]netip.Addr), nodes: make(map[netip.Addr]ident.NodeID)}
	if old != nil {
		maps.Copy(p.groups, old.groups)
	}
	if g == nil {
		delete(p.groups, id)
	} else {
		p.groups[id] = g
	}
	for _, id := range p.sorted() {
		g := p.groups[id]
		if _, in := g.Member(s.me); !in {
			continue
		}
		for _, m := range g.Members() {
			if m.Node != s.me {
				p.shared[m.Node] = append(p.shared[m.Node], id)
			}
		}
	}
	for id := range p.shared {
		at, had := netip.Addr{}, false
		if old != nil {
			at, had = old.addrs[id] // a hash each would be too much for every change
		}
		if !had {
			at = id.Addr().Addr()
		}
		p.addrs[id], p.nodes[at] = at, id
	}
	s.seen.Store(p)
}

// sorted are the ids of all groups in a stable order.
func (p *picture) sorted() []group.ID {
	return slices.SortedFunc(maps.Keys(p.groups), func(a, b group.ID) int { return slices.Compare(a[:], b[:]) })
}

// common is a group that this node and another are both members of; else nil.
func (p *picture) common(id group.ID, with ident.NodeID) *group.Group {
	if slices.Contains(p.shared[with], id) {
		return p.groups[id]
	}
	return nil
}

// Known tells whether a node is in a group with this one. It costs a look into a map.
func (s *Service) Known(id ident.NodeID) bool { return len(s.look().shared[id]) > 0 }

// Shared are the groups that a node is in with this one.
func (s *Service) Shared(id ident.NodeID) []group.ID { return slices.Clone(s.look().shared[id]) }

// NodeAt is the node in a group with this one that has that overlay address.
func (s *Service) NodeAt(a netip.Addr) (ident.NodeID, bool) {
	id, ok := s.look().nodes[a]
	return id, ok
}

// Mine are the member lists of the groups that this node is a member of, in the order of
// their IDs. They are not to be changed.
func (s *Service) Mine() (all []*group.Log) {
	p := s.look()
	for _, id := range p.sorted() {
		if _, in := p.in(id, s.me); in {
			all = append(all, p.groups[id].Log)
		}
	}
	return all
}

// Member tells whether a node, or this one itself, is a member of a group that this node
// is a member of.
func (s *Service) Member(g group.ID, id ident.NodeID) bool {
	p := s.look()
	if id == s.me {
		_, in := p.in(g, s.me)
		return in
	}
	return p.common(g, id) != nil
}

// in is a member of a group.
func (p *picture) in(id group.ID, node ident.NodeID) (group.Person, bool) {
	if g := p.groups[id]; g != nil {
		return g.Member(node)
	}
	return group.Person{}, false
}

// change is how a group comes to be changed.
type change struct {
	foreign bool     // by other members
	code    string   // of the join that it is
	last    [][]byte // entries that who is removed is told before it is dropped
	later   bool     // dropping is left to the caller
}

// commit keeps what a group has become and shows it to all. Owner only.
//
// What other members changed counts even if the disk fails: a removal must not wait for
// space, and their entries can be had again. It is written later.
func (s *Service) commit(next *group.Group, how change) error {
	id := next.ID()
	if err := s.keep(next); err != nil {
		if !how.foreign {
			return err
		}
		s.unkept[id] = true
		s.saveSoon(saveRetry)
		s.tell(Event{Kind: Trouble, Group: id, Name: next.Name(), Err: err})
	}
	was := s.look()
	s.show(id, next)
	s.changed(was, id, how)
	return nil
}

// changed does what follows from a new picture: events, syncs and dropped connections.
func (s *Service) changed(was *picture, id group.ID, how change) {
	now := s.look()
	s.tellChanges(was.groups[id], now.groups[id], how.code)
	for node := range was.shared {
		if was.common(id, node) == nil || now.common(id, node) != nil {
			continue
		}
		s.part(node, id, how, len(now.shared[node]) == 0)
	}
	s.dialAt = time.Now()
	s.kick()
}

// part ends what there was with a node in a group.
func (s *Service) part(node ident.NodeID, id group.ID, how change, drop bool) {
	p := s.peers[node]
	if p != nil {
		delete(p.heads, id)
		delete(p.done, id)
		delete(p.no, id)
	}
	if drop {
		delete(s.dials, node)
	}
	if how.later {
		return
	}
	left := s.look().groups[id].Left(node)
	s.workers.Go(func() {
		// Who has just left waits for the answer; and who removed it may be telling it by a
		// circuit through this node: the connection is worth a moment, nothing new begins on it.
		if left || how.foreign {
			s.pause(s.ctx, lastTime)
		}
		if p != nil && len(how.last) > 0 {
			s.sayLast(s.ctx, node, id, how.last)
		}
		if drop && !s.Known(node) {
			s.cfg.Net.Drop(node)
		}
	})
}
