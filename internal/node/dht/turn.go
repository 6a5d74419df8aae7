package dht

import (
	"context"
	"net/netip"
	"time"

	"shoal/internal/core/kad"
	"shoal/internal/core/kad/krpc"
)

// leastPause keeps the owner from turning without end, whatever is due.
const leastPause = time.Millisecond

// begin gives the node what an earlier run left. It is the owner's, as all in this file.
func (d *DHT) begin(now time.Time) {
	d.now, d.saveAt = now, now.Add(saveEvery)
	d.in.List = append(d.in.List, kad.Event{Kind: kad.Wake})
	if len(d.cfg.Saved.Nodes) > 0 {
		d.in.List = append(d.in.List, kad.Event{Kind: kad.Bootstrap, Nodes: d.cfg.Saved.Nodes})
	}
	d.boot.begin(d.cfg, now)
}

// turn does all that has come in and is due, and tells when to turn again.
func (d *DHT) turn(ctx context.Context, now time.Time) time.Time {
	d.now = now
	d.spare = d.inbox.take(d.spare)
	d.spare.each(func(a netip.AddrPort, b []byte) {
		d.in.List = append(d.in.List, kad.Event{Kind: kad.Datagram, Addr: a, Data: b})
	})
	for _, f := range d.takePosted() {
		f()
	}
	d.chores(ctx)
	d.t.Step(now, &d.in, &d.out)
	d.in.Reset()
	for i := range d.out.List {
		d.perform(&d.out.List[i])
	}
	d.out.Reset()
	d.publish()
	if d.line.mended(d.now, &d.t.Counted) {
		d.back()
	}
	return d.next()
}

// chores does what the driver has to do itself.
func (d *DHT) chores(ctx context.Context) {
	for _, l := range d.locators {
		l.announce()
	}
	d.boot.tend(ctx, d)
	if d.now.Before(d.saveAt) {
		return
	}
	d.saveAt = d.now.Add(saveEvery)
	if s, ok := d.state(); ok && d.cfg.Save != nil {
		select {
		case d.saves <- s:
		default: // the one before is still being written
		}
	}
}

// perform does what the node wants, or tells it to whoever asked.
func (d *DHT) perform(f *kad.Effect) {
	switch f.Kind {
	case kad.Send:
		d.outbox.put(f.Addr, f.Data)
	case kad.Address:
		d.mu.Lock()
		d.shown.address = f.Addr
		d.mu.Unlock()
		if d.cfg.Address != nil {
			d.cfg.Address(f.Addr)
		}
	case kad.FoundPeers, kad.FoundItem, kad.FoundHashes, kad.Done:
		s := d.sinks[f.Handle]
		if s == nil {
			return
		}
		if _, again := s.(*hold); f.Kind == kad.Done && !again {
			delete(d.sinks, f.Handle)
		}
		s.effect(f)
	}
}

// publish shows readers how things stand.
func (d *DHT) publish() {
	unread, unsent := d.inbox.lost(), d.outbox.lost()
	d.gateMu.Lock()
	var gated int64
	if d.gate != nil {
		gated = d.gate.dropped
	}
	d.gateMu.Unlock()
	d.mu.Lock()
	c := &d.shown.counted
	c.Counters, c.Gated, c.Dropped, c.Unsent = d.t.Counted, gated, unread, unsent
	d.shown.id, d.shown.nodes = d.t.ID(), d.t.Len()
	first := d.shown.nodes > 0
	d.mu.Unlock()
	if first && !closed(d.ready) {
		close(d.ready)
	}
}

// next is when the owner wants to turn even if nothing happens.
func (d *DHT) next() time.Time {
	at := d.t.NextWake()
	for _, t := range []time.Time{d.saveAt, d.boot.at} {
		if t.Before(at) {
			at = t
		}
	}
	for _, l := range d.locators {
		if t := l.wake(); !t.IsZero() && t.Before(at) {
			at = t
		}
	}
	if least := d.now.Add(leastPause); at.Before(least) {
		return least
	}
	return at
}

// find gives the node a search and notes who is told.
func (d *DHT) find(e kad.Event, s sink) uint64 {
	d.handle++
	e.Handle = d.handle
	d.sinks[e.Handle] = s
	d.in.List = append(d.in.List, e)
	return e.Handle
}

// drop ends a search whose end nobody wants to hear of.
func (d *DHT) drop(handle uint64) {
	if d.sinks[handle] != nil {
		delete(d.sinks, handle)
		d.in.List = append(d.in.List, kad.Event{Kind: kad.Cancel, Handle: handle})
	}
}

// state is what to keep for the next run; false if nothing is worth keeping. While few
// nodes are known, some of the state before stay in it: who has met one neighbour in a
// network without a way out should find back into the large one tomorrow.
func (d *DHT) state() (State, bool) {
	s := State{ID: d.t.ID(), Nodes: d.t.Nodes()}
	if len(s.Nodes) == 0 {
		return State{}, false
	}
	known := make(map[krpc.Node]bool, len(s.Nodes))
	for _, n := range s.Nodes {
		known[n] = true
	}
	for _, n := range d.cfg.Saved.Nodes {
		if len(s.Nodes) >= maxSaveOld {
			break
		}
		if !known[n] {
			s.Nodes = append(s.Nodes, n)
		}
	}
	s.Nodes = s.Nodes[:min(len(s.Nodes), MaxSaved)]
	return s, true
}

// send sends what waits, in a goroutine of its own.
func (d *DHT) send() {
	var b batch
	for range d.outbox.kick {
		b = d.outbox.take(b)
		b.each(d.cfg.Send)
	}
}

// keep saves states, in a goroutine of its own: files may be slow.
func (d *DHT) keep() {
	for s := range d.saves {
		d.cfg.Save(s)
	}
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// line tells when our own connection has come back: an answer after many questions that had
// none.
type line struct {
	answers, lost int64 // when last answered
	at            time.Time
}

// Signs of a line that is cut.
const (
	cutLost = 5 // questions lost, and no answer
	cutTime = 30 * time.Second
)

func (l *line) mended(now time.Time, c *kad.Counters) bool {
	if c.Answers == l.answers {
		return false
	}
	cut := l.answers > 0 && c.Lost-l.lost >= cutLost && now.Sub(l.at) >= cutTime
	l.answers, l.lost, l.at = c.Answers, c.Lost, now
	return cut
}

// back tells those who wait that there is a network again.
func (d *DHT) back() {
	for _, l := range d.locators {
		l.back()
	}
}
