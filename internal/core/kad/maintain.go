package kad

import (
	"net/netip"
	"slices"
	"time"

	"shoal/internal/core/kad/krpc"
)

// Nodes are the nodes to begin with next time: those of the table that answer, in no order of worth.
func (t *T) Nodes() (list []krpc.Node) {
	for _, net := range t.nets {
		for i := range net.buckets {
			for j := range net.buckets[i].nodes {
				if n := &net.buckets[i].nodes[j]; n.fails == 0 {
					list = append(list, n.Node)
				}
			}
		}
	}
	return list
}

// Health is what a user wants to know of the node.
type Health struct {
	Nodes, Good    int // in the table; that did not fail last
	Buckets        int // that hold a node
	Hashes, Peers  int // stored
	Items          int
	RoundTrip      time.Duration // median
	Active, Queued int           // searches
	Holds          int
}

// Health tells how the node does.
func (t *T) Health() Health {
	h := Health{Nodes: t.size(), Hashes: len(t.store.swarms.list), Items: len(t.store.items.list), RoundTrip: t.calls.p50,
		Active: len(t.active), Queued: len(t.queue), Holds: len(t.holds), Good: len(t.Nodes())}
	for _, net := range t.nets {
		for i := range net.buckets {
			h.Buckets += min(len(net.buckets[i].nodes), 1)
		}
	}
	for i := range t.store.swarms.list {
		h.Peers += len(t.store.swarms.list[i].v.peers[0]) + len(t.store.swarms.list[i].v.peers[1])
	}
	return h
}

// bootstrap takes contacts to begin with. Each is asked, so that the table of an earlier run fills at once.
func (t *T) bootstrap(nodes []krpc.Node) {
	for _, n := range nodes {
		if !t.takes(n) {
			continue
		}
		if len(t.contacts) < maxContacts && !slices.Contains(t.contacts, n) {
			t.contacts = append(t.contacts, n)
		}
		t.check(n)
	}
	for _, net := range t.nets {
		if net.size < t.cfg.K {
			net.selfAt, net.thin = 0, 0 // with a table at hand it is one more contact, as a peer's port message gives (BEP 5)
		}
	}
	t.retryAt, t.choreAt = 0, t.now
}

// spared tells whether a node is one that everybody begins with and no more needed: BEP 5 asks to keep those out of tables.
func (t *T) spared(a netip.AddrPort) bool {
	return slices.Contains(t.routers, a) && t.net(a.Addr()).others() >= t.cfg.K
}

// others is how many nodes are known besides routers.
func (net *table) others() (n int) {
	for i := range net.buckets {
		for j := range net.buckets[i].nodes {
			if !slices.Contains(net.t.routers, net.buckets[i].nodes[j].Addr) {
				n++
			}
		}
	}
	return n
}

// check has a contact or node asked soon.
func (t *T) check(n krpc.Node) {
	if len(t.checks) < maxChecks && !slices.Contains(t.checks, n) {
		t.checks = append(t.checks, n)
	}
}

// runChecks asks the contacts that are due, with a find_node for the place in the table that they are to fill: one answer
// proves that they live and names others for the same bucket.
func (t *T) runChecks() {
	for len(t.checks) > 0 && t.now >= t.checkAt {
		n := t.checks[0]
		t.checks = slices.Delete(t.checks, 0, 1)
		if !t.takes(n) || !t.worth(n) {
			continue
		}
		if !t.probe(n) {
			t.checks = append(t.checks, n)
		}
		t.checkAt = max(t.checkAt+checkGap, t.now-time.Second)
	}
}

// worth tells whether a node's answer would change anything: it is in the table, or could get a place there. Who is only
// a contact is not asked while it still has time to answer: it may be a victim whose address somebody forges.
func (t *T) worth(n krpc.Node) bool {
	if n.ID.IsZero() {
		return !t.calls.awaits(n.Addr)
	}
	net := t.net(n.Addr.Addr())
	b := net.bucket(n.ID)
	x := findNode(b.nodes, n.ID)
	if x != nil {
		return x.heard != inSeconds(t.now) || x.fails > 0 // else somebody has just heard of it
	}
	return !t.calls.awaits(n.Addr) && (len(b.nodes) < t.cfg.K || slices.ContainsFunc(b.nodes, func(y node) bool { return y.fails > 0 || !y.fits }))
}

// probe asks a node for others of its bucket.
func (t *T) probe(n krpc.Node) bool {
	net := t.net(n.Addr.Addr())
	if _, ok := t.open(n, forTable); !ok {
		return false
	}
	t.msg.Method, t.msg.Target = krpc.FindNode, t.id
	if !n.ID.IsZero() {
		t.msg.Target = t.inBucket(net.index(n.ID))
	}
	t.want(net)
	t.send(n.Addr, &t.msg)
	return true
}

// inBucket draws an ID that shares exactly so many bits with ours.
func (t *T) inBucket(i int) krpc.ID {
	id := t.random()
	whole := i / 8
	copy(id[:whole], t.id[:whole])
	bit := byte(0x80) >> (i % 8)
	keep := ^(bit<<1 - 1) // the bits before it in its byte
	id[whole] = t.id[whole]&keep | ^t.id[whole]&bit | id[whole]&(bit-1)
	return id
}

// contact takes a node that was named, or that asked us. It is looked at if its bucket has room.
func (t *T) contact(n krpc.Node) {
	net := t.net(n.Addr.Addr())
	if !t.believes(n) || n.ID.IsZero() || net.find(n.ID) != nil || t.spared(n.Addr) {
		return
	}
	b := net.bucket(n.ID)
	x := node{Node: n, heard: inSeconds(t.now)}
	known := slices.ContainsFunc(b.cache, func(c node) bool { return c.Node == n })
	b.remember(x, t.cfg.K)
	if len(b.nodes) < t.cfg.K {
		if !known {
			t.check(n)
		}
		return
	}
	t.replace(net, n.ID)
}

// learnContacts takes the nodes that an answer names.
func (t *T) learnContacts(net *table) {
	for _, n := range t.named(net) {
		if len(net.bucket(n.ID).nodes) < t.cfg.K {
			t.contact(n)
		}
	}
}

// leak takes the nodes of the other family while its table has few (BEP 32 "Bootstrapping").
func (t *T) leak(net *table) {
	for _, other := range t.nets {
		if other != net && other.size < t.cfg.K {
			t.learnContacts(other)
		}
	}
}

// chores does what keeps the node well, and sets when it is to be done next.
func (t *T) chores() {
	t.choreAt = t.now + time.Minute
	for _, net := range t.nets {
		t.tend(net)
	}
	t.holdRounds()
	if t.now >= t.sweepAt {
		t.sweepAt = t.now + time.Minute
		t.store.sweep(t.now)
	}
	if len(t.store.swarms.list)+len(t.store.items.list) > 0 {
		t.choreAt = min(t.choreAt, t.sweepAt)
	}
	t.choreAt = min(t.choreAt, max(t.holdAt, t.now+time.Millisecond))
}

// tend looks after one table.
func (t *T) tend(net *table) {
	if t.now >= net.selfAt && (net.size > 0 || len(t.contacts) > 0 && t.now >= t.retryAt) {
		net.selfAt = t.now + net.pause()
		t.inside(net, t.id)
	}
	if net.size == 0 {
		net.selfAt = t.now
		if t.now >= t.retryAt {
			for _, n := range t.contacts {
				if t.net(n.Addr.Addr()) == net {
					t.check(n)
				}
			}
			t.retryAt = t.now + t.retry
			t.retry = min(2*t.retry, retryMost)
		}
		t.choreAt = min(t.choreAt, max(t.retryAt, t.now+time.Second))
		return
	}
	for _, a := range t.routers {
		if t.net(a.Addr()) == net && t.spared(a) {
			net.forget(a)
		}
	}
	t.choreAt = min(t.choreAt, net.selfAt)
	t.feel(net)
	edge := net.edge()
	for i := range net.buckets {
		b := &net.buckets[i]
		if t.now >= b.due {
			b.due = t.now + questionable*7/8 + t.jitter(questionable/4)
			t.refresh(net, i, i < edge)
		}
		if n := len(b.cache); n > 0 && len(b.nodes) < t.cfg.K {
			t.check(b.cache[n-1].Node)
		}
		t.choreAt = min(t.choreAt, b.due)
	}
}

// pause is the time to the next search for our own id. While few are known it begins short: nodes that all came a moment
// ago knew nobody when they were first asked.
func (net *table) pause() time.Duration {
	t := net.t
	d := selfInterval*3/4 + t.jitter(selfInterval/2)
	if net.size >= t.cfg.K {
		net.thin = 0
		return d
	}
	net.thin = max(2*net.thin, retryFirst)
	return min(d, net.thin)
}

// feel asks somebody every half minute while nobody answers any more: our own line may be cut.
func (t *T) feel(net *table) {
	var oldest *node
	for i := range net.buckets {
		for j := range net.buckets[i].nodes {
			x := &net.buckets[i].nodes[j]
			if x.fails == 0 {
				return
			}
			if oldest == nil || x.checked < oldest.checked {
				oldest = x
			}
		}
	}
	t.check(oldest.Node)
	t.choreAt = min(t.choreAt, t.now+feelGap)
}

// mended asks all that failed again after the first answer for long.
func (t *T) mended() {
	for _, net := range t.nets {
		for i := range net.buckets {
			for j := range net.buckets[i].nodes {
				if x := &net.buckets[i].nodes[j]; x.fails > 0 {
					t.check(x.Node)
				}
			}
		}
	}
}

// edge is the first bucket that the search for our own id fills: it and those beneath hold no more than K nodes.
func (net *table) edge() int {
	n, i := 0, len(net.buckets)
	for ; i > 0; i-- {
		if n += len(net.buckets[i-1].nodes); n > net.t.cfg.K {
			break
		}
	}
	return i
}

// refresh sees to a bucket that nothing has changed for long (BEP 5 "Routing Table"): one that could hold more is
// searched for, in others the nodes not heard of for longest are asked.
func (t *T) refresh(net *table, i int, shallow bool) {
	b := &net.buckets[i]
	if shallow && len(b.nodes) < t.cfg.K {
		t.inside(net, t.inBucket(i))
	}
	old := t.now - questionable
	for range 2 {
		var oldest *node
		for j := range b.nodes {
			x := &b.nodes[j]
			if time.Duration(x.heard)*time.Second <= old && time.Duration(x.checked)*time.Second <= old &&
				(oldest == nil || x.heard < oldest.heard) && !slices.Contains(t.checks, x.Node) {
				oldest = x
			}
		}
		if oldest == nil {
			return
		}
		t.check(oldest.Node)
	}
}
