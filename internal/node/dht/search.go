package dht

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"shoal/internal/core/kad"
	"shoal/internal/core/kad/krpc"
)

// Search runs one search of the node and gives each what it finds as it comes, in the
// caller's goroutine: FoundPeers, FoundItem, FoundHashes. The event's Handle is set here.
// The error is ctx's, ErrBusy or ErrClosed; how the search went, and that it found nobody
// to ask, is in the Result.
func (d *DHT) Search(ctx context.Context, e kad.Event, each func(*kad.Effect)) (kad.Result, error) {
	e.Kind = kad.Find
	s := &search{kick: make(chan struct{}, 1)}
	if !d.post(func() { s.handle = d.find(e, s) }) {
		return kad.Result{}, ErrBusy
	}
	defer d.postAlways(func() { d.drop(s.handle) })
	for {
		select {
		case <-ctx.Done():
			return kad.Result{}, ctx.Err()
		case <-d.ended:
			return kad.Result{}, ErrClosed
		case <-s.kick:
		}
		found, result := s.take()
		for i := range found {
			if each != nil && ctx.Err() == nil {
				each(&found[i])
			}
		}
		switch {
		case result != nil && result.Why == kad.Refused:
			return *result, ErrBusy
		case result != nil:
			return *result, ctx.Err()
		}
	}
}

// search is where a search's findings wait for the caller.
type search struct {
	handle uint64 // the owner's
	kick   chan struct{}

	mu     sync.Mutex
	found  []kad.Effect
	addrs  int // in found
	result *kad.Result
}

func (s *search) effect(f *kad.Effect) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case f.Kind == kad.Done:
		s.result = f.Result
	case len(s.found) >= maxItems && f.Kind != kad.FoundPeers, s.addrs+len(f.Addrs) > maxFound:
		return
	default:
		c := *f
		c.Addrs, c.Hashes = slices.Clone(f.Addrs), slices.Clone(f.Hashes)
		s.found = append(s.found, c)
		s.addrs += len(c.Addrs)
	}
	signal(s.kick)
}

func (s *search) take() ([]kad.Effect, *kad.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := s.found
	s.found, s.addrs = nil, 0
	return found, s.result
}

// Peers looks for peers of an info hash (get_peers) until the closest nodes have answered
// or enough are found; 0 is never enough.
func (d *DHT) Peers(ctx context.Context, hash krpc.ID, enough int, found func([]netip.AddrPort)) (kad.Result, error) {
	e := kad.Event{Op: kad.GetPeers, Target: hash, Enough: enough}
	return d.Search(ctx, e, func(f *kad.Effect) { found(f.Addrs) })
}

// Announce announces once that a peer of the info hash listens here: at the port, and where
// the datagrams come from another, at that (implied_port). found, which may be nil, is given
// the peers that are met on the way.
func (d *DHT) Announce(ctx context.Context, hash krpc.ID, port uint16, found func([]netip.AddrPort)) (kad.Result, error) {
	e := kad.Event{Op: kad.Announce, Target: hash, Port: port, Implied: true}
	return d.Search(ctx, e, func(f *kad.Effect) {
		if found != nil {
			found(f.Addrs)
		}
	})
}

// Get looks for an item (BEP 44), by many paths if the network makes it doubtful, and
// returns the newest; nil if there is none. Salt is that of a mutable item.
func (d *DHT) Get(ctx context.Context, target krpc.ID, salt []byte) (*krpc.Item, kad.Result, error) {
	var best *krpc.Item
	e := kad.Event{Op: kad.GetItem, Target: target, Salt: salt}
	r, err := d.Search(ctx, e, func(f *kad.Effect) { best = f.Item })
	return best, r, err
}

// Put stores an item once (BEP 44). cas, if not nil, is the number that is to be replaced.
func (d *DHT) Put(ctx context.Context, item *krpc.Item, cas *int64) (kad.Result, error) {
	e := kad.Event{Op: kad.PutItem, Item: item}
	if cas != nil {
		e.CAS, e.HasCAS = *cas, true
	}
	r, err := d.Search(ctx, e, nil)
	if err == nil && r.Why == kad.Outdated {
		err = fmt.Errorf("dht: put %s: a newer item is stored", item.Target())
	}
	return r, err
}

// Hold announces (Op Announce) or puts (Op PutItem) again and again until release is
// called or the node ends. done, which may be nil, is told of each round in the owner's
// goroutine and must not wait.
func (d *DHT) Hold(e kad.Event, done func(kad.Result)) (release func()) {
	e.Kind = kad.Hold
	h := &hold{done: done}
	d.postAlways(func() { h.handle = d.find(e, h) })
	return func() { d.postAlways(func() { d.drop(h.handle) }) }
}

type hold struct {
	handle uint64
	done   func(kad.Result)
}

func (h *hold) effect(f *kad.Effect) {
	if f.Kind == kad.Done && h.done != nil {
		h.done(*f.Result)
	}
}

// post gives the owner something to do; false if too much waits already.
func (d *DHT) post(f func()) bool {
	d.mu.Lock()
	if len(d.posted) >= maxPosted {
		d.mu.Unlock()
		return false
	}
	d.posted = append(d.posted, f)
	d.mu.Unlock()
	signal(d.kick)
	return true
}

// postAlways is post for what must not be lost: ends, of which there are no more than
// beginnings.
func (d *DHT) postAlways(f func()) {
	if closed(d.ended) {
		return
	}
	d.mu.Lock()
	d.posted = append(d.posted, f)
	d.mu.Unlock()
	signal(d.kick)
}

func (d *DHT) takePosted() []func() {
	d.mu.Lock()
	defer d.mu.Unlock()
	list := d.posted
	d.posted = nil
	return list
}
