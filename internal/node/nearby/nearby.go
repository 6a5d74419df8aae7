// Package nearby is the local network as a way to find candidates and members: it announces
// the public shares of this node there, and hears who has them (BEP 14); it tells members
// of its groups, in tags that only they can read, where it is. The packets are
// adapter/lan's.
//
// Strangers listen on a local network, so it never hears of a private share or one of a
// group: node/locate sees to that.
package nearby

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	"shoal/internal/adapter/lan"
	"shoal/internal/core/swarm/candidates"
	"shoal/internal/node/locate"
)

// Bounds and pauses.
const (
	gather     = 50 * time.Millisecond // shares that come at once are announced at once
	maxSeekers = 4096
	maxFinds   = 64               // that wait for a seeker
	maxRecent  = 1024             // finds that nobody sought yet
	recentTime = 15 * time.Minute // how long such a find counts
)

// Network is the local network as a locate.Locator.
type Network struct {
	lan   *lan.LAN
	kick  chan struct{}
	nodes func(lan.Found)

	mu      sync.Mutex
	offers  map[string][][20]byte // by ID: the names on the wire
	seekers map[*seeker]struct{}
	recent  map[find]time.Time
	over    sync.WaitGroup
}

// seeker is one search.
type seeker struct {
	names [][20]byte
	finds chan netip.AddrPort // what does not fit comes again: a find is told once a minute
}

// find is a share of ours at an address.
type find struct {
	name [20]byte
	at   netip.AddrPort
}

// New judges a configuration; Found of it is told of nodes alone. Nothing is opened before
// Start.
func New(cfg lan.Config) (*Network, error) {
	n := &Network{kick: make(chan struct{}, 1), nodes: cfg.Found, offers: make(map[string][][20]byte),
		seekers: make(map[*seeker]struct{}), recent: make(map[find]time.Time)}
	cfg.Found = n.heard
	var err error
	n.lan, err = lan.New(cfg)
	return n, err
}

// Start begins; the end of ctx is a Close that nobody waits for. An error means that
// nothing at all could be opened.
func (n *Network) Start(ctx context.Context) error {
	if err := n.lan.Start(ctx); err != nil {
		return err
	}
	n.over.Add(1)
	go n.announce(ctx)
	return nil
}

// Close says goodbye and waits for that, after the end of Start's ctx.
func (n *Network) Close() error {
	err := n.lan.Close()
	n.over.Wait()
	return err
}

// Stats counts what was sent and heard.
func (n *Network) Stats() lan.Stats { return n.lan.Stats() }

// Name implements locate.Kind.
func (n *Network) Name() string { return "lan" }

// Source implements locate.Kind.
func (n *Network) Source() candidates.Source { return candidates.FromLAN }

// Open implements locate.Kind.
func (n *Network) Open() bool { return true }

// Offer implements locate.Locator.
func (n *Network) Offer(o locate.Offer) {
	names := o.Hash.Wire()
	n.mu.Lock()
	known := slices.Equal(n.offers[o.ID], names)
	n.offers[o.ID] = names
	n.mu.Unlock()
	if !known {
		n.changed()
	}
}

// Withdraw implements locate.Locator.
func (n *Network) Withdraw(id string) {
	n.mu.Lock()
	_, known := n.offers[id]
	delete(n.offers, id)
	n.mu.Unlock()
	if known {
		n.changed()
	}
}

// Seek implements locate.Locator: an offer is a question too, so it only listens.
func (n *Network) Seek(ctx context.Context, o locate.Offer, found func([]netip.AddrPort)) {
	s := &seeker{names: o.Hash.Wire(), finds: make(chan netip.AddrPort, maxFinds)}
	n.mu.Lock()
	if len(n.seekers) >= maxSeekers {
		n.mu.Unlock()
		return
	}
	n.seekers[s] = struct{}{}
	var known []netip.AddrPort
	for f, at := range n.recent {
		if slices.Contains(s.names, f.name) && time.Since(at) < recentTime {
			known = append(known, f.at)
		}
	}
	n.mu.Unlock()
	defer func() {
		n.mu.Lock()
		delete(n.seekers, s)
		n.mu.Unlock()
	}()
	if len(known) > 0 {
		slices.SortFunc(known, netip.AddrPort.Compare)
		found(known)
	}
	for {
		select {
		case at := <-s.finds:
			found([]netip.AddrPort{at})
		case <-ctx.Done():
			return
		}
	}
}

// Cost implements locate.Locator.
func (n *Network) Cost() locate.Cost {
	s := n.lan.Stats()
	return locate.Cost{Questions: s.Sent, Bytes: s.SentBytes}
}

func (n *Network) changed() {
	select {
	case n.kick <- struct{}{}:
	default:
	}
}

// announce gives the list of shares on when it has changed.
func (n *Network) announce(ctx context.Context) {
	defer n.over.Done()
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.kick:
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(gather):
		}
		n.lan.Announce(n.list())
	}
}

// list is what is announced, in a fixed order.
func (n *Network) list() [][20]byte {
	n.mu.Lock()
	defer n.mu.Unlock()
	ids := make([]string, 0, len(n.offers))
	for id := range n.offers {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	list := make([][20]byte, 0, len(ids))
	for _, id := range ids {
		list = append(list, n.offers[id]...)
	}
	return list
}

// heard passes a find on.
func (n *Network) heard(f lan.Found) {
	if f.InfoHash == ([20]byte{}) {
		if n.nodes != nil {
			n.nodes(f)
		}
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.remember(find{f.InfoHash, f.Addr})
	for s := range n.seekers {
		if !slices.Contains(s.names, f.InfoHash) {
			continue
		}
		select {
		case s.finds <- f.Addr:
		default:
		}
	}
}

// remember keeps a find for who seeks later; the oldest makes room. n.mu is held.
func (n *Network) remember(f find) {
	if _, known := n.recent[f]; !known && len(n.recent) >= maxRecent {
		var oldest find
		for k, at := range n.recent {
			if before := n.recent[oldest]; before.IsZero() || at.Before(before) {
				oldest = k
			}
		}
		delete(n.recent, oldest)
	}
	n.recent[f] = time.Now()
}
