package members

import (
	"maps"
	"math/bits"
	"slices"
	"sync"
	"time"

	"shoal/internal/adapter/overlay"
	"shoal/internal/core/group"
	"shoal/internal/core/ident"
	"shoal/internal/node/groups"
)

// The keeper's measures.
const (
	dropAfter    = 2500 * time.Millisecond // a removal: before, who is removed is told by groups
	promoteEvery = 300 * time.Millisecond  // for guests who have become members to end what is under way
	promoteTries = 20
	sampleEvery  = time.Minute
	lostLately   = 10 * time.Minute
	quickAfter   = 5 * time.Second
	quickEvery   = 30 * time.Second
	maxPast      = 1024
	relayWorth   = 1000
	lateWorth    = 100
)

// news are the overlay's events until the keeper takes them, summed up by node.
type news struct {
	mu    sync.Mutex
	of    map[ident.NodeID]*change
	addrs bool
	moved bool
}

// change is what became of the connection to a node.
type change struct {
	lost   bool // the connection that stood before
	here   bool // one stands now
	direct bool // it is reached straight now
}

// past is what is remembered of a member between connections.
type past struct {
	bytes int64
	relay bool      // others were reached through it
	since time.Time // it is connected
	lost  time.Time // zero while it is connected
	quick time.Time // when it was last sought again without a pause
}

// overlayEvent takes an event. It never waits.
func (s *Service) overlayEvent(e overlay.Event) {
	if e.Kind == overlay.Refused {
		s.cfg.Events(Event{Kind: Refused, Peer: e.Peer, Addr: e.Peer.Addr(), Reason: e.Reason})
		return
	}
	s.news.mu.Lock()
	switch e.Kind {
	case overlay.Addresses:
		s.news.addrs = true
	case overlay.Moved:
		s.news.moved = true
	default:
		c := s.news.of[e.Peer]
		if c == nil {
			c = &change{}
			s.news.of[e.Peer] = c
		}
		switch e.Kind {
		case overlay.Connected:
			c.here = true
		case overlay.Disconnected:
			c.lost, c.here, c.direct = true, false, false
		case overlay.Direct:
			c.direct = true
		}
	}
	s.news.mu.Unlock()
	s.rouse()
}

func (s *Service) rouse() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// keeper is what keep owns.
type keeper struct {
	s       *Service
	sample  time.Time
	publish time.Time
	moved   time.Time // when the machine's addresses changed
	drop    time.Time // when to drop who is known no more; zero: nobody is
	promote time.Time // when to end connections of guests who are members
	tries   int
}

// keep passes news between the overlay and the groups until the end.
func (s *Service) keep() {
	k := &keeper{s: s, sample: time.Now().Add(sampleEvery)}
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-s.wake:
		case <-t.C:
		}
		k.hear()
		t.Reset(max(time.Millisecond, time.Until(k.tend(time.Now()))))
	}
}

// hear passes on what the overlay told.
func (k *keeper) hear() {
	s := k.s
	s.news.mu.Lock()
	of, addrs, moved := s.news.of, s.news.addrs, s.news.moved
	s.news.of, s.news.addrs, s.news.moved = make(map[ident.NodeID]*change), false, false
	s.news.mu.Unlock()
	var at map[ident.NodeID]overlay.Peer
	if len(of) > 0 {
		at = make(map[ident.NodeID]overlay.Peer)
		for _, p := range s.host.Peers() {
			at[p.ID] = p
		}
	}
	for id, c := range of {
		was := s.stands(id, c.here)
		if c.lost && was {
			s.groups.Disconnected(id)
			s.tell(Disconnected, id)
		}
		if c.here {
			s.asks.met(id)
			s.dhts.met(id)
			s.groups.Connected(id, reachedAt(at[id]))
			s.tell(Connected, id)
		}
		if c.lost || c.here {
			k.note(id, c)
		}
		if c.direct {
			s.tell(Direct, id)
		}
	}
	if len(of) > 0 {
		s.asks.rouse()
	}
	if moved { // what is lost from now on is lost by that, and sought at once
		k.moved = time.Now()
		s.groups.Seek()
	}
	if addrs || moved {
		k.reachable()
	}
}

// note remembers a change. A connection that ended as soon as it began was perhaps that of a
// guest, whom the other side has come to know since (Promote), and one that ended as the
// machine moved can be had again: they are made anew at once, but not again and again.
func (k *keeper) note(id ident.NodeID, c *change) {
	now, again := time.Now(), false
	k.s.remember(id, func(p *past) {
		if c.here {
			p.since, p.lost = now, time.Time{}
			return
		}
		p.lost = now
		again = now.Sub(p.since) < quickAfter || now.Sub(k.moved) < quickAfter
		if again = again && now.Sub(p.quick) > quickEvery; again {
			p.quick = now
		}
	})
	if again {
		k.s.groups.Seek(id)
	}
}

// stands notes whether a connection to a node stands, and tells whether one did.
func (s *Service) stands(id ident.NodeID, here bool) (was bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was = s.here[id]
	if here {
		s.here[id] = true
		s.came(id)
	} else {
		delete(s.here, id)
	}
	return was
}

// reachedAt is where a connected peer was dialled; none if it came to us.
func reachedAt(p overlay.Peer) []group.Address {
	a := group.Address{At: p.Addr, Via: p.Via}
	if p.Inbound || !a.Fits() || p.Transport == overlay.Relay && p.Via.IsZero() {
		return nil
	}
	return []group.Address{a}
}

// reachable tells members where this node is reached now.
func (k *keeper) reachable() {
	k.s.groups.AddrsChanged()
	k.s.dhts.publish()
	k.s.cfg.Events(Event{Kind: Reachable})
}

// tend does what is due, and tells when something is again.
func (k *keeper) tend(now time.Time) time.Time {
	s := k.s
	if s.takeChanged() {
		k.drop, k.promote, k.tries = now.Add(dropAfter), now.Add(promoteEvery), promoteTries
	}
	next := k.sample
	earlier := func(t time.Time) {
		if !t.IsZero() && t.Before(next) {
			next = t
		}
	}
	if !k.promote.IsZero() && !now.Before(k.promote) {
		k.promote = time.Time{}
		if k.tries--; s.host.Promote() > 0 && k.tries > 0 {
			k.promote = now.Add(promoteEvery)
		}
	}
	if !k.drop.IsZero() && !now.Before(k.drop) {
		k.drop = time.Time{}
		k.dropUnknown()
	}
	if !now.Before(k.sample) {
		k.sample = now.Add(sampleEvery)
		k.look()
		if now.After(k.publish) {
			k.publish = now.Add(contactAgain)
			s.dhts.publish()
		}
		earlier(k.sample)
		next = k.sample
	}
	earlier(k.drop)
	earlier(k.promote)
	return next
}

// dropUnknown ends what there is with nodes that are in no group with this one.
func (k *keeper) dropUnknown() {
	for _, id := range k.s.connected() {
		if !k.s.known(id) {
			k.s.host.Drop(id)
		}
	}
}

// connected are the nodes to which a connection stands.
func (s *Service) connected() []ident.NodeID {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.here))
}

// look notes who is of use.
func (k *keeper) look() {
	for _, p := range k.s.host.Peers() {
		k.s.remember(p.ID, func(o *past) { o.bytes = max(o.bytes, p.In+p.Out) })
		if !p.Via.IsZero() {
			k.s.remember(p.Via, func(o *past) { o.relay = true })
		}
	}
}

// remember changes what is remembered of a node.
func (s *Service) remember(id ident.NodeID, f func(*past)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.past[id]
	if p == nil {
		if len(s.past) >= maxPast {
			clear(s.past) // it is learnt again
		}
		p = &past{}
		s.past[id] = p
	}
	f(p)
}

// wish is how much a connection to a member is wanted: groups.Config.Wish.
func (s *Service) wish(id ident.NodeID) groups.Wish {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.past[id]
	if p == nil {
		return groups.Wish{}
	}
	w := groups.Wish{Worth: int64(bits.Len64(uint64(p.bytes)))}
	if p.relay {
		w.Worth += relayWorth
	}
	if !p.lost.IsZero() && time.Since(p.lost) < lostLately {
		w.Worth += lateWorth
		w.Missed = s.asks.seeks()
	}
	return w
}

// watch hears of the groups until the end.
func (s *Service) watch() {
	for s.ctx.Err() == nil {
		events, end := s.groups.Watch()
		s.membersChanged() // what was missed
		for e := range events {
			switch e.Kind {
			case groups.Joined, groups.Left, groups.Expelled, groups.MemberJoined, groups.MemberRemoved:
				s.membersChanged()
			}
		}
		end()
	}
}

// membersChanged does what follows from it that others are members now.
func (s *Service) membersChanged() {
	s.mu.Lock()
	s.changed = true
	var in []ident.NodeID
	for id := range s.joining {
		if s.groups.Known(id) {
			in = append(in, id)
		}
	}
	s.mu.Unlock()
	for _, id := range in {
		s.renew(id)
	}
	s.cfg.Events(Event{Kind: MembersChanged})
	s.asks.recheck()
	if s.isUp() {
		s.dhts.follow()
	}
	s.asks.rouse()
	s.rouse()
}

// takeChanged tells that members have changed since it was asked last.
func (s *Service) takeChanged() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.changed
	s.changed = false
	return was
}
