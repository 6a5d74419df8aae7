package kad

import (
	"slices"
	"time"

	"shoal/internal/core/kad/krpc"
)

// hold is a registration: an announcement or item that is kept in the DHT.
type hold struct {
	Event
	at time.Duration // of the next round
}

// find starts a search that the driver wants.
func (t *T) find(e *Event) {
	if e.Op >= ops || e.Handle == 0 || e.Op == PutItem && (e.Item == nil || e.Item.Check() != nil) || len(e.Salt) > krpc.MaxSalt ||
		len(t.queue)+len(t.active) >= maxWaiting {
		t.out.add(Effect{Kind: Done, Handle: e.Handle, Result: &Result{Why: Refused}})
		return
	}
	t.search(*e)
}

// search queues a search in each family.
func (t *T) search(e Event) {
	e.Data, e.Nodes = nil, nil
	if e.Op == PutItem {
		e.Target = e.Item.Target()
	}
	var first *lookup
	for _, net := range t.nets {
		l := &lookup{Event: e, net: net, until: t.now + aloneTime, began: t.now, auto: e.Paths == 0}
		if first != nil {
			l.twin, first.twin = first, l
		}
		first = l
		t.queue = append(t.queue, l)
	}
	t.dirty = true
}

// inside starts a search of our own in one family.
func (t *T) inside(net *table, target krpc.ID) {
	if len(t.queue) < maxWaiting {
		t.queue = append(t.queue, &lookup{Event: Event{Op: FindNode, Target: target}, net: net, until: t.now, began: t.now, auto: true})
		t.dirty = true
	}
}

// admit starts searches that wait, once a node is known.
func (t *T) admit() {
	for len(t.queue) > 0 && len(t.active) < maxActive {
		l := t.queue[0]
		if t.size()+len(t.contacts) == 0 && t.now < l.until && l.Handle != 0 {
			return
		}
		t.queue = slices.Delete(t.queue, 0, 1)
		if l.over {
			continue
		}
		t.active = append(t.active, l)
		t.begin(l, int(min(max(l.Paths, 1), 2*manyPaths)))
		t.held(l)
	}
}

// exhausted is called when the closest nodes have answered.
func (t *T) exhausted(l *lookup) {
	switch density := t.measure(l); {
	case l.auto && t.estimate.suspicious(density):
		l.auto = false
		t.Counted.Suspicious++
		t.begin(l, manyPaths)
		return
	case density > 0 && l.Event.Paths != 1:
		t.estimate.add(density)
	}
	if l.Op == Announce || l.Op == PutItem {
		if l.Item != nil && l.item != nil {
			t.finish(l, Outdated)
			return
		}
		t.plan(l)
		l.ending = true
		t.pumpStores(l)
		return
	}
	t.finish(l, Exhausted)
}

// plan picks who is to store: the K closest that gave a token, or the closest few of each path, of which those that are
// nearer than can be are not counted.
func (t *T) plan(l *lookup) {
	each := t.cfg.K
	if len(l.paths) > 1 {
		each = (2*t.cfg.K + len(l.paths) - 1) / len(l.paths)
	}
	for p := range l.paths {
		n := 0
		for i := range l.paths[p].list {
			c := &l.paths[p].list[i]
			if n < each && c.state == answered && len(c.token) > 0 && !(l.HasCAS && c.seq > l.CAS) {
				l.stores = append(l.stores, store1{path: p, index: i})
				if !c.near {
					n++
				}
			}
		}
	}
}

// pumpStores sends announcements or items, Alpha at a time.
func (t *T) pumpStores(l *lookup) {
	flight, left := 0, false
	for i := range l.stores {
		if l.stores[i].state == waiting {
			flight++
		}
	}
	for i := range l.stores {
		s := &l.stores[i]
		if s.state == overdue && s.tries >= tries-1 {
			s.state = useless
		}
		left = left || s.state < useless
		if flight < 2*t.cfg.Alpha && (s.state == fresh || s.state == overdue) {
			if !t.put(l, i) {
				l.dirty, t.full = true, true
				return
			}
			flight++
		}
	}
	if !left {
		t.finish(l, Exhausted)
	}
}

// put sends what is to be stored.
func (t *T) put(l *lookup, i int) bool {
	s := &l.stores[i]
	c := &l.paths[s.path].list[s.index]
	x, ok := t.open(c.Node, forStore)
	if !ok {
		return false
	}
	x.search, x.round = l, l.round
	m := &t.msg
	m.Token = c.token
	if l.Op == Announce {
		m.Method, m.Target, m.Port, m.ImpliedPort = krpc.AnnouncePeer, l.Target, l.Port, l.Implied || l.Port == 0
		if l.Port == 0 {
			m.Port = 1 // of no meaning, but some demand one
		}
	} else {
		m.Method, m.Item = krpc.Put, *l.Item
		m.CAS, m.HasCAS = l.CAS, l.HasCAS && c.seq >= 0
	}
	s.state = waiting
	s.tries++
	l.asked++
	t.send(c.Addr, m)
	return true
}

// storeEnded notes how a store went.
func (l *lookup) storeEnded(x *call, how state) {
	for i := range l.stores {
		s := &l.stores[i]
		if l.paths[s.path].list[s.index].Addr != x.node.Addr {
			continue
		}
		if how == answered && s.state != answered {
			l.stored++
		}
		if s.state != answered {
			s.state = how
		}
	}
}

// finish ends a search. What is told waits for the other family's.
func (t *T) finish(l *lookup, why Why) {
	l.over, l.why = true, why
	t.Counted.Searches++
	if len(l.paths) == 0 || l.asked == 0 {
		l.why = Alone
	}
	if l.twin != nil && !l.twin.over {
		if why == Satisfied {
			l.twin.over, l.twin.why = true, why
		} else {
			return
		}
	}
	if l.Handle == 0 {
		return
	}
	r := t.result(l)
	if l.twin != nil {
		r.join(t.result(l.twin))
	}
	t.out.add(Effect{Kind: Done, Handle: l.Handle, Result: r})
}

// result is how a search went.
func (t *T) result(l *lookup) *Result {
	r := &Result{Why: l.why, Paths: len(l.paths), Asked: l.asked, Lost: l.lostN, Stored: l.stored, Took: t.now - l.began}
	var best []candidate
	for i := range l.paths {
		n := 0
		for _, c := range l.paths[i].list {
			if c.state == answered && n < t.cfg.K {
				best = append(best, c)
				n++
			}
		}
	}
	slices.SortFunc(best, func(a, b candidate) int { return l.Target.CmpDistance(a.ID, b.ID) })
	for i := range best {
		if i == 0 {
			r.Hops = int(best[i].hops)
		}
		r.Nodes = append(r.Nodes, best[i].Node)
	}
	return r
}

// join adds how the search went in the other family.
func (r *Result) join(o *Result) {
	if r.Why == Alone || o.Why != Alone && o.Why > r.Why {
		r.Why = o.Why
	}
	r.Nodes = append(r.Nodes, o.Nodes...)
	r.Paths, r.Hops, r.Took = max(r.Paths, o.Paths), max(r.Hops, o.Hops), max(r.Took, o.Took)
	r.Asked, r.Lost, r.Stored = r.Asked+o.Asked, r.Lost+o.Lost, r.Stored+o.Stored
}

// hold registers what is to be kept in the DHT; the first round is at once.
func (t *T) hold(e *Event) {
	if e.Handle == 0 || e.Op != Announce && e.Op != PutItem || e.Op == PutItem && (e.Item == nil || e.Item.Check() != nil) ||
		len(t.holds) >= maxHolds {
		t.out.add(Effect{Kind: Done, Handle: e.Handle, Result: &Result{Why: Refused}})
		return
	}
	h := hold{Event: *e, at: t.now}
	h.Data, h.Nodes = nil, nil
	t.holds = append(t.holds, h)
	t.holdAt, t.choreAt = 0, 0
}

// holdRounds starts the rounds that are due. Few run at a time, so that searches of the driver's are not held up.
func (t *T) holdRounds() {
	if t.now < t.holdAt {
		return
	}
	t.holdAt = never
	for i := range t.holds {
		h := &t.holds[i]
		if t.now >= h.at {
			if len(t.queue)+len(t.active) > maxActive/2 {
				t.holdAt = t.now + time.Second
				return
			}
			t.search(h.Event)
			if h.Op == Announce {
				h.at = t.now + peerAgain + t.jitter(peerAgain/3)
			} else {
				h.at = t.now + itemAgain + t.jitter(itemAgain/5)
			}
		}
		t.holdAt = min(t.holdAt, h.at)
	}
}

// cancel ends what has the handle.
func (t *T) cancel(handle uint64) {
	if handle == 0 {
		return
	}
	t.holds = slices.DeleteFunc(t.holds, func(h hold) bool { return h.Handle == handle })
	for _, list := range [][]*lookup{t.active, t.queue} {
		for _, l := range list {
			if l.Handle == handle {
				l.over, t.dirty = true, true
			}
		}
	}
}
