package api

import "sync"

// Bus hands events to any number of listeners. Publishing never blocks: each
// listener has a bounded queue, and one that is too slow loses the newest
// events and is told how many.
type Bus struct {
	mu   sync.Mutex
	subs map[*Subscription]struct{}
	done bool
}

// Subscription is one listener's queue.
type Subscription struct {
	bus    *Bus
	events chan Event
	missed int64 // guarded by bus.mu
}

// Publish gives an event to every listener. The event must not be changed
// afterwards.
func (b *Bus) Publish(e Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for s := range b.subs {
		select {
		case s.events <- e:
		default:
			s.missed++
		}
	}
}

// Subscribe adds a listener that may fall behind by as many as queue events.
func (b *Bus) Subscribe(queue int) *Subscription {
	s := &Subscription{bus: b, events: make(chan Event, max(queue, 1))}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.done {
		close(s.events)
		return s
	}
	if b.subs == nil {
		b.subs = make(map[*Subscription]struct{})
	}
	b.subs[s] = struct{}{}
	return s
}

// Listening says whether anybody listens, so that an event nobody would see
// need not be made.
func (b *Bus) Listening() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.subs) > 0
}

// Close ends every subscription after the events already queued.
func (b *Bus) Close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for s := range b.subs {
		close(s.events)
	}
	b.subs, b.done = nil, true
}

// C delivers the events; it is closed when the bus or the subscription is.
func (s *Subscription) C() <-chan Event { return s.events }

// Missed is how many events were lost since the last call.
func (s *Subscription) Missed() int64 {
	s.bus.mu.Lock()
	defer s.bus.mu.Unlock()
	n := s.missed
	s.missed = 0
	return n
}

// Close ends the subscription. It may be called more than once.
func (s *Subscription) Close() {
	s.bus.mu.Lock()
	defer s.bus.mu.Unlock()
	if _, ok := s.bus.subs[s]; ok {
		delete(s.bus.subs, s)
		close(s.events)
	}
}
