package kad

import (
	"bytes"
	"net/netip"
	"slices"
	"time"

	"shoal/internal/core/kad/krpc"
)

// state is what has become of a candidate.
type state uint8

const (
	fresh    state = iota // not asked
	waiting               // asked, no answer yet
	overdue               // silent for too long; may be asked again
	useless               // silent too often, or not who it was said to be
	answered              // answered
)

// candidate is a node that a search knows of.
type candidate struct {
	krpc.Node
	token []byte
	seq   int64 // of the item it has; -1: none
	state state
	tries uint8
	hops  uint8 // queries from our table to it
	near  bool  // nearer to the target than can be
}

// path is one line of search, which shares no node with the other paths of the search.
type path struct {
	list   []candidate // closest first
	flight int         // asked, and neither answered nor slow
	near   float64     // a node within this part of the space is nearer than can be, 0: unknown
}

// lookup is one search, in one family.
type lookup struct {
	Event  // what is wanted
	net    *table
	until  time.Duration // while it waits for a first node
	began  time.Duration
	paths  []path
	need   int // closest nodes of a path that must have answered
	asked  int
	lostN  int
	round  uint8
	auto   bool // one path, and many if the result is suspicious
	dirty  bool
	over   bool
	why    Why
	twin   *lookup // of the other family
	seen   map[netip.AddrPort]struct{}
	peers  []netip.AddrPort
	named  int        // of these, by others
	item   *krpc.Item // the best found
	stores []store1
	ending bool
	stored int
}

// store1 is one node that is to store.
type store1 struct {
	path, index int
	state       state
	tries       uint8
}

// add takes a contact into the path.
func (p *path) add(n krpc.Node, target krpc.ID, hops int, oneEach bool, most int) {
	if last := len(p.list) - 1; last+1 >= most && target.CmpDistance(n.ID, p.list[last].ID) > 0 {
		return
	}
	at, nears := len(p.list), 0
	x := candidate{Node: n, seq: -1, hops: uint8(min(hops, 255)), near: p.near > 0 && fraction(target.XOR(n.ID)) < p.near}
	for i := range p.list {
		c := &p.list[i]
		if c.near {
			nears++
		}
		if c.ID == n.ID && !n.ID.IsZero() || c.Addr == n.Addr || oneEach && sameHost(c.Addr.Addr(), n.Addr.Addr()) {
			c.hops = min(c.hops, x.hops)
			return
		}
		if at == len(p.list) && target.CmpDistance(n.ID, c.ID) < 0 {
			at = i
		}
	}
	if at >= most || x.near && nears >= maxNear {
		return
	}
	p.list = slices.Insert(p.list, at, x)
	if len(p.list) > most && p.list[most].state != waiting {
		p.list = p.list[:most]
	}
}

// next is the candidate to ask: the closest one not asked among the need closest, else the closest one to be asked again;
// -1 if there is none. over tells that none is waited for either. Those that are nearer than can be come last and do not
// count.
func (p *path) next(need int) (index int, over bool) {
	n, again, wait := 0, -1, false
	for i := range p.list {
		c := &p.list[i]
		switch {
		case c.state == fresh && !c.near:
			return i, false
		case c.state == overdue || c.state == fresh:
			if again < 0 || p.list[again].near {
				again = i
			}
		case c.state == waiting:
			wait = true
		}
		if (c.state == waiting || c.state == answered) && !c.near {
			n++
		}
		if n == need {
			break
		}
	}
	return again, again < 0 && !wait
}

// find is the candidate that a query was sent to.
func (l *lookup) find(x *call) *candidate {
	if int(x.path) >= len(l.paths) {
		return nil
	}
	list := l.paths[x.path].list
	for i := range list {
		if list[i].ID == x.node.ID && list[i].Addr == x.node.Addr {
			return &list[i]
		}
	}
	return nil
}

// settle puts a candidate in its place whose id was not known until it answered.
func (p *path) settle(c *candidate, n krpc.Node, target krpc.ID) *candidate {
	x := *c
	x.Node = n
	p.list = slices.DeleteFunc(p.list, func(o candidate) bool { return o.Addr == n.Addr || o.ID == n.ID })
	at := 0
	for at < len(p.list) && (p.list[at].ID.IsZero() || target.CmpDistance(p.list[at].ID, n.ID) < 0) {
		at++
	}
	p.list = slices.Insert(p.list, at, x)
	return &p.list[at]
}

// slowed, lost and refused tell the search of a query that is slow, lost or answered with nothing.
func (l *lookup) slowed(x *call) { l.paths[x.path].flight-- }

func (l *lookup) lost(x *call) {
	l.lostN++
	if x.purpose == forStore {
		l.storeEnded(x, overdue)
		return
	}
	if c := l.find(x); c != nil && c.state == waiting {
		c.state = overdue
		if c.tries >= tries {
			c.state = useless
		}
	}
}

func (l *lookup) refused(x *call) {
	if x.purpose == forStore {
		l.storeEnded(x, useless)
		return
	}
	l.landed(x)
	if c := l.find(x); c != nil {
		c.state = useless
	}
}

// landed frees the query's place if it wasn't slow.
func (l *lookup) landed(x *call) {
	if !x.slow {
		l.paths[x.path].flight--
	}
}

// mark has the search looked at before the end of the Step.
func (t *T) mark(l *lookup) { l.dirty, t.dirty = true, true }

// begin gives a search the closest nodes of the table.
func (t *T) begin(l *lookup, paths int) {
	l.paths = make([]path, paths)
	l.need = t.cfg.K
	l.round++
	if size := t.estimate.size(); paths > 1 && size > 0 {
		for i := range l.paths {
			l.paths[i].near = tooNear / size
		}
	}
	t.picked = l.net.closest(t.picked[:0], l.Target, t.candidates(), 1)
	if len(t.picked) == 0 {
		t.picked = l.net.closest(t.picked, l.Target, t.candidates(), 255)
	}
	for i, n := range t.picked {
		t.offer(l, i%paths, n.Node, 1)
	}
	for i, n := range t.contacts {
		if l.net.size < t.cfg.K && t.net(n.Addr.Addr()) == l.net {
			t.offer(l, i%paths, n, 1)
		}
	}
	t.mark(l)
}

// candidates is how many candidates a path holds.
func (t *T) candidates() int { return max(4*t.cfg.K, 32) }

// offer gives a path a contact.
func (t *T) offer(l *lookup, p int, n krpc.Node, hops int) {
	l.paths[p].add(n, l.Target, hops, t.cfg.Diversity, t.candidates())
}

// pump asks what may be asked, and ends the search if nothing is left.
func (t *T) pump(l *lookup) {
	if l.over {
		return
	}
	if l.ending {
		t.pumpStores(l)
		return
	}
	all := true
	for i := range l.paths {
		all = t.pumpPath(l, i) && all
	}
	if all {
		t.exhausted(l)
	}
}

// pumpPath asks what may be asked in one path. It tells whether the path is over.
func (t *T) pumpPath(l *lookup, i int) bool {
	p, most := &l.paths[i], t.cfg.Alpha
	if len(l.paths) > 1 {
		most = 1 // the paths are parallel, and each node that a path need not ask is one that cannot mislead it
	}
	for {
		at, over := p.next(l.need)
		if at < 0 || p.flight >= most {
			return over
		}
		if p.list[at].state == fresh && t.claimed(l, i, p.list[at].Addr) {
			p.list = slices.Delete(p.list, at, at+1)
			continue
		}
		if !t.ask(l, i, at) {
			l.dirty, t.full = true, true
			return false
		}
	}
}

// claimed tells whether another path has asked at the address.
func (t *T) claimed(l *lookup, mine int, a netip.AddrPort) bool {
	for i := range l.paths {
		if i == mine {
			continue
		}
		for j := range l.paths[i].list {
			c := &l.paths[i].list[j]
			if c.state != fresh && (c.Addr == a || t.cfg.Diversity && sameHost(c.Addr.Addr(), a.Addr())) {
				return true
			}
		}
	}
	return false
}

// ask sends a candidate the query of the search.
func (t *T) ask(l *lookup, p, at int) bool {
	c := &l.paths[p].list[at]
	x, ok := t.open(c.Node, forSearch)
	if !ok {
		return false
	}
	x.search, x.path, x.round = l, uint8(p), l.round
	m := &t.msg
	m.Target = l.Target
	switch l.Op {
	case GetPeers, Announce:
		m.Method = krpc.GetPeers
	case GetItem, PutItem:
		m.Method = krpc.Get
		if l.Item != nil && l.Item.Mutable {
			m.Item.Seq, m.HasSeq = l.Item.Seq, true
		}
	case Sample:
		m.Method = krpc.SampleInfohashes
	default:
		m.Method = krpc.FindNode
	}
	t.want(l.net)
	l.asked++
	l.paths[p].flight++
	c.state = waiting
	c.tries++
	t.send(c.Addr, m)
	return true
}

// want asks for nodes of both families while one of our tables has few (BEP 32 "Bootstrapping").
func (t *T) want(net *table) {
	for _, other := range t.nets {
		if other != net && other.size < t.cfg.K {
			t.msg.Want4, t.msg.Want6 = true, true
		}
	}
}

// took takes what a candidate answered.
func (t *T) took(x *call, n krpc.Node) {
	l := x.search
	t.mark(l)
	if x.purpose == forStore {
		l.storeEnded(x, answered)
		return
	}
	l.landed(x)
	c := l.find(x)
	if c == nil || l.ending {
		return
	}
	if c.ID.IsZero() {
		c = l.paths[x.path].settle(c, n, l.Target)
	}
	c.state = answered
	m := &t.in
	if len(m.Token) > 0 {
		c.token = bytes.Clone(m.Token)
	}
	hops := int(c.hops) + 1
	for _, other := range t.named(l.net) {
		t.offer(l, int(x.path), other, hops)
	}
	switch l.Op {
	case GetPeers, Announce:
		t.tookPeers(l)
	case GetItem, PutItem:
		x.node = n
		t.tookItem(l, l.find(x))
	case Sample:
		if m.HasSamples && l.Handle != 0 {
			t.out.add(Effect{Kind: FoundHashes, Handle: l.Handle, Addr: n.Addr, Hashes: slices.Clone(m.Samples), Num: m.Num,
				Interval: time.Duration(m.Interval) * time.Second})
		}
	}
}

// named are the nodes of a family that the answer names and that may be talked to: of one network at most three.
func (t *T) named(net *table) []krpc.Node {
	list := t.in.Nodes
	if net.six {
		list = t.in.Nodes6
	}
	out := t.told[0][:0]
	for _, n := range list {
		if !t.believes(n) {
			continue
		}
		same := 0
		for _, o := range list {
			if t.cfg.Diversity && network(o.Addr.Addr()) == network(n.Addr.Addr()) {
				same++
			}
		}
		if same <= perAnswer {
			out = append(out, n)
		}
	}
	t.told[0] = out
	return out
}

// held tells the peers that were announced to this node itself: in a small network there may
// be nobody else to ask. They are not counted, for anybody may have announced them.
func (t *T) held(l *lookup) {
	if l.Op == GetPeers || l.Op == Announce {
		f := 0
		if l.net.six {
			f = 1
		}
		t.tell(l, t.store.pick(nil, l.Target, f, manyValues, t.rng, t.now))
	}
}

// tookPeers tells the peers that a node named, and ends a search that has enough.
func (t *T) tookPeers(l *lookup) {
	before := len(l.peers)
	t.tell(l, t.in.Values)
	fresh := len(l.peers) - before
	if l.named += fresh; fresh > 0 && l.Op == GetPeers && l.Enough > 0 && l.named >= l.Enough {
		t.finish(l, Satisfied)
	}
}

// tell tells the peers that are new.
func (t *T) tell(l *lookup, list []netip.AddrPort) {
	const most = 5000
	from := len(l.peers)
	for _, a := range list {
		if a = netip.AddrPortFrom(a.Addr().Unmap(), a.Port()); !t.cfg.Allow(a) || len(l.peers) >= most {
			continue
		}
		if _, ok := l.seen[a]; ok {
			continue
		}
		if l.seen == nil {
			l.seen = make(map[netip.AddrPort]struct{})
		}
		l.seen[a] = struct{}{}
		l.peers = append(l.peers, a)
	}
	if len(l.peers) > from && l.Handle != 0 {
		t.out.add(Effect{Kind: FoundPeers, Handle: l.Handle, Addrs: l.peers[from:len(l.peers):len(l.peers)]})
	}
}

// tookItem takes an item if it is what was asked for, whole, and newer than what came before.
func (t *T) tookItem(l *lookup, c *candidate) {
	m := &t.in
	if m.HasSeq && c != nil {
		c.seq = m.Item.Seq
	}
	it := &m.Item
	if len(it.Value) == 0 || l.item != nil && (!it.Mutable || it.Seq <= l.item.Seq) {
		return
	}
	if l.Item != nil && (!it.Mutable || it.Seq <= l.Item.Seq) {
		return // what we put ourselves, or older
	}
	it.Salt = l.Salt
	if l.Item != nil {
		it.Salt = l.Item.Salt
	}
	if it.Target() != l.Target || it.Check() != nil {
		return
	}
	found := *it
	found.Salt, found.Value = bytes.Clone(it.Salt), bytes.Clone(it.Value)
	l.item = &found
	if l.Handle != 0 {
		t.out.add(Effect{Kind: FoundItem, Handle: l.Handle, Item: &found})
	}
	if l.Op == GetItem && !found.Mutable {
		t.finish(l, Satisfied)
	}
}
