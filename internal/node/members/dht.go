package members

import (
	"context"
	"crypto/sha256"
	"net/netip"
	"slices"
	"sync"

	"shoal/internal/core/group"
	"shoal/internal/core/ident"
	"shoal/internal/core/kad"
	"shoal/internal/core/kad/krpc"
	"shoal/internal/core/swarm/candidates"
	"shoal/internal/node/dht"
	"shoal/internal/node/locate"
)

// fromMembers is how many members a group has whose DHT is told of shares, and asked: in a
// smaller one every member is asked itself (asks.go).
const fromMembers = 33

// dhts is the locator "group": each group's own DHT, of its members alone, and the streams
// that carry them all. A share of groups is announced in theirs, under the node's overlay
// address; a public one in none.
type dhts struct {
	s     *Service
	pipes pipes

	mu     sync.Mutex
	of     map[group.ID]*groupDHT
	offers map[string]locate.Offer
	spent  locate.Cost // by DHTs of groups that are no more
}

// groupDHT is one group's.
type groupDHT struct {
	*dht.DHT
	id      group.ID
	name    string
	locator *dht.Locator
	stop    context.CancelFunc

	// Guarded by dhts.mu.
	large   bool       // it is told of shares, and where members are
	contact *krpc.Item // this node's, held there
	release func()
}

// GroupDHT is how a group's own DHT does.
type GroupDHT struct {
	Group  group.ID
	Name   string // data from others
	Nodes  int    // in this node's table
	Size   int    // an estimate of all; 0: not known
	Shares bool   // holders of shares are announced and sought there
	Counts dht.Counted
}

func newDHTs(s *Service) *dhts {
	d := &dhts{s: s, of: make(map[group.ID]*groupDHT), offers: make(map[string]locate.Offer)}
	d.pipes.init(d)
	return d
}

// nodeIDOf is the id of a member in a group's DHT.
func nodeIDOf(id ident.NodeID) krpc.ID {
	sum := sha256.Sum256(id[:])
	return krpc.ID(sum[:len(krpc.ID{})])
}

// bound tells whether an id may be at an overlay address: both are of the hash of one key.
func bound(id krpc.ID, a netip.AddrPort) bool {
	at := a.Addr().As16()
	return ident.IsOverlay(a.Addr()) && slices.Equal(id[:10], at[6:])
}

// follow begins and ends DHTs as groups come and go, and closes the streams of those who are
// members no more.
func (d *dhts) follow() {
	d.mu.Lock()
	mine := d.s.groups.Mine()
	var fresh []*groupDHT
	for _, g := range mine {
		at := d.of[g.ID()]
		if at == nil && len(g.Members()) > 1 && d.s.ctx.Err() == nil {
			at = d.begin(g)
			fresh = append(fresh, at)
		}
		if at != nil {
			d.grow(at, len(g.Members()))
		}
	}
	for id, at := range d.of {
		if !slices.ContainsFunc(mine, func(g *group.Log) bool { return g.ID() == id }) {
			c := at.locator.Cost()
			d.spent.Questions, d.spent.Bytes = d.spent.Questions+c.Questions, d.spent.Bytes+c.Bytes
			at.stop()
			delete(d.of, id)
		}
	}
	d.mu.Unlock()
	d.publish()
	d.pipes.recheck()
	for _, at := range fresh {
		for _, id := range d.s.connected() {
			if d.s.groups.Member(at.id, id) {
				at.Add(id.Addr())
			}
		}
	}
}

// begin starts a group's DHT; under the lock.
func (d *dhts) begin(g *group.Log) *groupDHT {
	id := g.ID()
	allow := func(a netip.AddrPort) bool { return a.Port() == d.s.me.Addr().Port() && d.s.Member(id, a.Addr()) }
	cfg := dht.Config{Kad: kad.Config{ID: nodeIDOf(d.s.me), K: 20, IPv6: true, Authenticated: true, Allow: allow, Bound: bound},
		Send: func(to netip.AddrPort, b []byte) { d.pipes.send(id, to, b) }}
	at := &groupDHT{DHT: dht.New(cfg), id: id, name: g.Name()}
	at.locator = at.Locator(dht.LocatorConfig{Name: "group", Source: candidates.FromGroup,
		Port:   func() uint16 { return d.s.me.Addr().Port() },
		Serves: func(o locate.Offer) bool { return slices.Contains(o.Groups, id) }})
	var ctx context.Context
	ctx, at.stop = context.WithCancel(d.s.ctx)
	d.of[id] = at
	d.s.spawn(func() { at.Run(ctx) })
	return at
}

// grow has a group's shares announced in its DHT once there are many members, and no more
// when there are few again; under the lock.
func (d *dhts) grow(at *groupDHT, members int) {
	large := members >= d.s.cfg.fromMembers
	if large == at.large {
		return
	}
	at.large = large
	if !large && at.release != nil {
		at.release()
		at.contact, at.release = nil, nil
	}
	for _, o := range d.offers {
		if large {
			at.locator.Offer(o)
		} else {
			at.locator.Withdraw(o.ID)
		}
	}
}

// met names a connected member to the DHTs of its groups.
func (d *dhts) met(id ident.NodeID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for g, at := range d.of {
		if d.s.groups.Member(g, id) {
			at.Add(id.Addr())
		}
	}
}

// get is a group's DHT, nil if there is none.
func (d *dhts) get(g group.ID) *groupDHT {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.of[g]
}

// isLarge tells that a group's DHT is in use.
func (d *dhts) isLarge(at *groupDHT) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return at.large
}

// Name implements locate.Kind.
func (d *dhts) Name() string { return "group" }

// Source implements locate.Kind.
func (d *dhts) Source() candidates.Source { return candidates.FromGroup }

// Open implements locate.Kind: only members take part.
func (d *dhts) Open() bool { return false }

// Cost implements locate.Locator.
func (d *dhts) Cost() locate.Cost {
	d.mu.Lock()
	defer d.mu.Unlock()
	sum := d.spent
	for _, at := range d.of {
		c := at.locator.Cost()
		sum.Questions, sum.Bytes = sum.Questions+c.Questions, sum.Bytes+c.Bytes
	}
	return sum
}

// Offer implements locate.Locator.
func (d *dhts) Offer(o locate.Offer) {
	if len(o.Groups) == 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	o.Groups = slices.Clone(o.Groups)
	d.offers[o.ID] = o
	for _, at := range d.of {
		if at.large {
			at.locator.Offer(o)
		}
	}
}

// Withdraw implements locate.Locator.
func (d *dhts) Withdraw(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.offers, id)
	for _, at := range d.of {
		at.locator.Withdraw(id)
	}
}

// Seek implements locate.Locator: it looks in the DHTs of the share's groups, and returns at
// once if they are small.
func (d *dhts) Seek(ctx context.Context, o locate.Offer, found func([]netip.AddrPort)) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(d.s.ctx, cancel)()
	others := func(list []netip.AddrPort) {
		list = slices.DeleteFunc(slices.Clone(list), func(a netip.AddrPort) bool { return a == d.s.me.Addr() })
		if len(list) > 0 && ctx.Err() == nil {
			found(list)
		}
	}
	var seeks sync.WaitGroup
	d.mu.Lock()
	for _, g := range o.Groups {
		if at := d.of[g]; at != nil && at.large {
			seeks.Go(func() { at.locator.Seek(ctx, o, others) })
		}
	}
	d.mu.Unlock()
	seeks.Wait()
}

// DHTs tells how the groups' DHTs do, in the order of the groups' IDs.
func (s *Service) DHTs() (all []GroupDHT) {
	s.dhts.mu.Lock()
	defer s.dhts.mu.Unlock()
	for _, at := range s.dhts.of {
		all = append(all, GroupDHT{Group: at.id, Name: at.name, Nodes: at.Len(), Size: at.Size(), Shares: at.large, Counts: at.Counted()})
	}
	slices.SortFunc(all, func(a, b GroupDHT) int { return slices.Compare(a.Group[:], b.Group[:]) })
	return all
}
