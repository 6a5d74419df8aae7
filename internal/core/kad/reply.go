package kad

import (
	"net/netip"
	"time"

	"shoal/internal/core/kad/krpc"
)

const (
	sampleInterval = 6 * time.Hour // BEP 51: the longest allowed; the same hashes are told until then
	maxSamples     = 20
	manyValues     = 100 // peers told at most
	node4, node6   = 20 + 6, 20 + 18
	value4, value6 = 2 + 6, 3 + 18
	listRoom       = 2 * len("6:nodes6"+"1000:") // what the heads of lists may take
)

// room is how many bytes the answer to the question at hand may have.
type room struct {
	to     netip.AddrPort
	proven bool
	left   int
}

// question answers a query, or doesn't.
func (t *T) question(from netip.AddrPort, size int, err error) {
	m := &t.in
	if t.cfg.ReadOnly {
		return // BEP 43
	}
	r := room{to: from, proven: err == nil && t.proven(from, m.ID)}
	if !t.cfg.Authenticated && !t.cfg.OneHost && !t.guard.ask(from.Addr(), t.now) {
		t.Counted.Limited++
		return
	}
	r.left = mtu
	if !r.proven {
		r.left = min(gain*(size+header)-header, mtu)
	}
	if err != nil {
		fault, _ := err.(*krpc.Fault)
		t.Counted.Malformed++
		t.deny(&r, fault.Code, fault.Text)
		return
	}
	if m.ID == t.id || t.cfg.Bound != nil && !t.cfg.Bound(m.ID, from) {
		t.Counted.Refused++
		return
	}
	n := krpc.Node{ID: m.ID, Addr: from}
	known := t.net(from.Addr()).find(m.ID)
	if known != nil && known.Addr == from && !m.ReadOnly {
		known.heard = inSeconds(t.now) // BEP 5: it once answered and has now asked
	}
	t.serve(&r)
	if known == nil && !m.ReadOnly {
		t.asker(&r, n)
	}
}

// asker takes whoever asked us as a contact. It is asked at once only if that too is within its question's due: else a
// forged question would buy more than it cost.
func (t *T) asker(r *room, n krpc.Node) {
	const probe = 2*header + 100
	net := t.net(n.Addr.Addr())
	b := net.bucket(n.ID)
	if len(b.nodes) >= t.cfg.K || r.proven || r.left >= probe {
		t.contact(n)
		return
	}
	if t.believes(n) {
		b.remember(node{Node: n, heard: inSeconds(t.now)}, t.cfg.K) // tend looks at it within a minute
	}
}

// serve answers a well-formed query.
func (t *T) serve(r *room) {
	m := &t.in
	switch m.Method {
	case krpc.Ping:
		t.answer(r)
		t.deliver(r)
	case krpc.FindNode:
		t.answer(r)
		t.addNodes(r)
		t.deliver(r)
	case krpc.GetPeers:
		t.servePeers(r)
	case krpc.AnnouncePeer:
		t.serveAnnounce(r)
	case krpc.Get:
		t.serveItem(r)
	case krpc.Put:
		t.servePut(r)
	case krpc.SampleInfohashes:
		t.serveSample(r)
	default:
		if !m.HasTarget {
			t.deny(r, krpc.CodeMethod, "method unknown")
			return
		}
		t.answer(r) // what names a target can be answered as find_node, whatever else it wants
		t.addNodes(r)
		t.deliver(r)
	}
}

// answer begins an answer. The question stays in t.in.
func (t *T) answer(r *room) {
	t.msg.Reset()
	t.msg.Kind, t.msg.TID, t.msg.ID, t.msg.IP, t.msg.Version = krpc.Response, t.in.TID, t.id, r.to, t.cfg.Version
	if t.cfg.Authenticated {
		t.msg.IP = netip.AddrPort{}
	}
}

// measured is the length of the answer as it stands.
func (t *T) measured() int {
	from := len(t.arena)
	t.arena = t.msg.Append(t.arena)
	n := len(t.arena) - from
	t.arena = t.arena[:from]
	return n
}

// deliver sends the answer if it is within the room and, to unproven addresses, within what is sent to all of them.
func (t *T) deliver(r *room) {
	from := len(t.arena)
	t.arena = t.msg.Append(t.arena)
	b := t.arena[from:len(t.arena):len(t.arena)]
	if len(b) > r.left || !r.proven && !t.guard.answers.take(netip.Addr{}, float64(len(b)+header), t.now) {
		t.arena = t.arena[:from]
		t.Counted.Limited++
		return
	}
	r.left -= len(b)
	t.sendBytes(r.to, b)
}

// deny answers with an error.
func (t *T) deny(r *room, code int, text string) {
	t.answer(r)
	t.msg.Kind, t.msg.Code, t.msg.Text = krpc.Error, code, text
	t.deliver(r)
}

// addNodes adds the closest nodes of the families that are wanted (BEP 32), as many as there is room for.
func (t *T) addNodes(r *room) {
	four, six := t.in.Want4, t.in.Want6
	if !four && !six {
		four, six = r.to.Addr().Is4(), r.to.Addr().Is6()
	}
	left := r.left - t.measured() - listRoom
	for _, net := range t.nets {
		if net.six && !six || !net.six && !four {
			continue
		}
		each := node4
		if net.six {
			each = node6
		}
		list := t.closeNodes(net, r.to, max(left, 0)/each)
		left -= each * len(list)
		if net.six {
			t.msg.Nodes6, t.msg.HasNodes6 = list, true
		} else {
			t.msg.Nodes, t.msg.HasNodes = list, true
		}
	}
}

// closeNodes are the nodes closest to the question's target that answer, without the asker.
func (t *T) closeNodes(net *table, asker netip.AddrPort, most int) []krpc.Node {
	n := min(t.cfg.K, most)
	t.picked = net.closest(t.picked[:0], t.in.Target, n+1, 0)
	f := 0
	if net.six {
		f = 1
	}
	list := t.told[f][:0]
	for _, x := range t.picked {
		if x.Addr != asker && len(list) < n {
			list = append(list, x.Node)
		}
	}
	t.told[f] = list
	return list
}

// servePeers answers get_peers: peers of the question's family, the closest nodes and a token. To an unproven address
// half of the room is for peers.
func (t *T) servePeers(r *room) {
	t.answer(r)
	token := t.token(r.to.Addr(), t.in.Target, 0)
	t.msg.Token = token[:]
	f := family(r.to.Addr())
	each := [2]int{value4, value6}[f]
	left := r.left - t.measured() - listRoom
	if e := t.store.swarms.get(t.in.Target); e != nil {
		n := min(left/2/each, manyValues, len(e.v.peers[f]))
		t.msg.Values = t.store.pick(nil, t.in.Target, f, n, t.rng, t.now)
		t.msg.HasValues = len(t.msg.Values) > 0
	}
	t.addNodes(r)
	t.deliver(r)
}

// serveAnnounce stores the asker's peer (BEP 5 "announce_peer").
func (t *T) serveAnnounce(r *room) {
	if !t.admitStore(r, t.in.Target) {
		return
	}
	a := r.to
	if !t.in.ImpliedPort {
		a = netip.AddrPortFrom(a.Addr(), t.in.Port)
	}
	if !t.cfg.Allow(a) {
		t.deny(r, krpc.CodeProtocol, "no such address")
		return
	}
	t.store.announce(t.in.Target, t.id, a, t.now)
	t.answer(r)
	t.deliver(r)
}

// admitStore looks at the token. It proves the address too.
func (t *T) admitStore(r *room, target krpc.ID) bool {
	if !t.holdsToken(t.in.Token, r.to.Addr(), target) {
		t.deny(r, krpc.CodeProtocol, "bad token")
		return false
	}
	t.guard.prove(r.to.Addr(), t.now)
	return true
}

// serveItem answers get (BEP 44). An item that is more than the question's due comes out of a budget.
func (t *T) serveItem(r *room) {
	t.answer(r)
	token := t.token(r.to.Addr(), t.in.Target, 0)
	t.msg.Token = token[:]
	e := t.store.items.get(t.in.Target)
	if e == nil || e.until <= t.now {
		t.addNodes(r)
		t.deliver(r)
		return
	}
	it := &e.v
	if it.Mutable && t.in.HasSeq && it.Seq <= t.in.Item.Seq {
		t.msg.Item.Seq, t.msg.HasSeq = it.Seq, true // nothing newer
		t.addNodes(r)
		t.deliver(r)
		return
	}
	t.msg.Item, t.msg.HasSeq = *it, it.Mutable
	n := t.measured()
	switch {
	case r.proven:
		r.left = mtuItem
	case n+listRoom > r.left:
		if !t.guard.item(r.to.Addr(), n, t.now) {
			t.msg.Item, t.msg.HasSeq = krpc.Item{}, false // ask again once proven
			t.Counted.Limited++
			break
		}
		r.left = n + listRoom
	}
	t.addNodes(r)
	t.deliver(r)
}

// servePut stores an item (BEP 44).
func (t *T) servePut(r *room) {
	it := &t.in.Item
	target := it.Target()
	if !t.admitStore(r, target) {
		return
	}
	if err := it.Check(); err != nil {
		fault, _ := err.(*krpc.Fault)
		t.deny(r, fault.Code, fault.Text)
		return
	}
	var cas *int64
	if t.in.HasCAS {
		cas = &t.in.CAS
	}
	switch code := t.store.keep(it, cas, t.id, masked(r.to.Addr(), 24, 48), t.now); code {
	case 0:
		t.answer(r)
		t.deliver(r)
	case krpc.CodeCAS:
		t.deny(r, code, "another number is stored")
	case krpc.CodeSeq:
		t.deny(r, code, "not newer than what is stored")
	default:
		t.deny(r, code, "no room")
	}
}

// serveSample tells info hashes that are stored here (BEP 51).
func (t *T) serveSample(r *room) {
	t.answer(r)
	list := t.store.sample(maxSamples, t.rng, t.now)
	t.msg.HasSamples, t.msg.Num = true, int64(len(t.store.swarms.list))
	t.msg.Interval = int64((t.store.drawn + sampleInterval - t.now) / time.Second)
	left := r.left - t.measured() - listRoom - t.cfg.K*node4/2
	t.msg.Samples = list[:min(len(list), max(left, 0)/len(krpc.ID{}))]
	t.addNodes(r)
	t.deliver(r)
}
