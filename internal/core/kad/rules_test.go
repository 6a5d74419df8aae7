package kad

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"shoal/internal/core/kad/krpc"
)

func TestRuleAmplification(t *testing.T) {
	b := newBench(t, Config{K: 20})
	var all []krpc.Node
	for i := range 60 {
		all = append(all, some(byte(i*4), i))
	}
	b.meet(all...)
	hash := id(7, 7)
	for i := range 300 {
		b.k.store.announce(hash, b.k.id, host(i), b.k.now)
		b.k.store.announce(id(7, i+100), b.k.id, host(i), b.k.now)
	}
	for _, m := range []krpc.Message{{Method: krpc.Ping}, {Method: krpc.FindNode, Target: hash}, {Method: krpc.GetPeers, Target: hash},
		{Method: krpc.Get, Target: hash}, {Method: krpc.SampleInfohashes, Target: hash}} {
		m.Kind, m.TID, m.ID = krpc.Query, []byte("aa"), id(3, 3)
		q := m.Append(nil)
		b.sent = nil
		b.step(Event{Kind: Datagram, Addr: stranger, Data: q})
		total := 0
		for _, s := range b.sent {
			if s.to == stranger {
				total += len(s.raw) + 28
			}
		}
		if total == 0 || total > 3*(len(q)+28) {
			t.Errorf("%v: %d bytes for %d", m.Method, total, len(q)+28)
		}
	}
	b.k.guard.prove(stranger.Addr(), b.k.now)
	b.sent = nil
	r := b.ask(stranger, krpc.Message{Method: krpc.GetPeers, Target: hash})
	b.must(len(r.raw) > 700 && len(r.raw) <= mtu, "a proven address gets %d bytes", len(r.raw))
}

func TestRuleItemBudget(t *testing.T) {
	b := newBench(t, Config{})
	it := krpc.Item{Value: append([]byte("990:"), make([]byte, 990)...)}
	b.k.store.keep(&it, nil, b.k.id, stranger.Addr(), b.k.now)
	whole := func(i, port int) bool {
		a := netip.AddrPortFrom(netip.AddrFrom4([4]byte{50, byte(i >> 8), byte(i), byte(port)}), 99)
		r := b.ask(a, krpc.Message{Method: krpc.Get, Target: it.Target()})
		return r != nil && len(r.m.Item.Value) > 0
	}
	got := 0
	for i := range 100 {
		if whole(1, i) {
			got++
		}
	}
	b.must(got > 0 && got <= itemBurst/1000, "one /24 gets %d items at once", got)
	got = 0
	for i := range 1000 {
		if whole(i, 1) {
			got++
		}
	}
	b.must(got > 10 && got <= itemsBurst/1000, "all get %d items at once", got)
	b.k.guard.prove(stranger.Addr(), b.k.now)
	r := b.ask(stranger, krpc.Message{Method: krpc.Get, Target: it.Target()})
	b.must(len(r.m.Item.Value) > 0, "a proven address gets nothing")
}

func TestRuleRateLimit(t *testing.T) {
	b := newBench(t, Config{})
	ping := func(a netip.AddrPort) bool { return b.ask(a, krpc.Message{Method: krpc.Ping}) != nil }
	n := 0
	for range 200 {
		if ping(stranger) {
			n++
		}
	}
	b.must(n == askBurst, "%d queries at once are answered", n)
	b.play(4 * time.Minute)
	b.must(!ping(stranger), "answered while blocked")
	b.must(ping(host(500)), "another is not answered")
	b.play(2 * time.Minute)
	b.must(ping(stranger), "blocked for ever")
	c := newBench(t, Config{})
	n = 0
	for range 600 {
		c.now = c.now.Add(200 * time.Millisecond)
		if c.ask(stranger, krpc.Message{Method: krpc.Ping}) != nil {
			n++
		}
	}
	b.must(n == 600, "of five queries a second %d of 600 are answered", n)
	d := newBench(t, Config{OneHost: true})
	n = 0
	for range 200 {
		if d.ask(stranger, krpc.Message{Method: krpc.Ping}) != nil {
			n++
		}
	}
	b.must(n == 200, "on one host %d of 200 are answered", n)
}

func TestRuleRateLimitHonestAreAnswered(t *testing.T) {
	b := newBench(t, Config{})
	n := some(1, 1)
	b.meet(n)
	for i := range 20_000 { // many sources, each once
		b.now = b.now.Add(100 * time.Microsecond)
		b.ask(netip.AddrPortFrom(netip.AddrFrom4([4]byte{60, byte(i >> 16), byte(i >> 8), byte(i)}), 1), krpc.Message{Method: krpc.FindNode})
		b.sent = nil
	}
	r := b.ask(n.Addr, krpc.Message{Method: krpc.Ping, ID: n.ID})
	b.must(r != nil, "a node of the table is not answered under a flood")
	b.must(len(b.k.guard.asking.list) <= meterMost && len(b.k.checks) <= maxChecks, "memory grows under a flood")
}

func TestRuleDiversity(t *testing.T) {
	b := newBench(t, Config{Diversity: true})
	var all []krpc.Node
	for i := range 8 {
		a := netip.AddrPortFrom(netip.AddrFrom4([4]byte{30, 1, byte(i), 1}), 6881)
		all = append(all, krpc.Node{ID: id(byte(i*32), i), Addr: a})
	}
	b.meet(all...)
	in := map[int]int{}
	for _, n := range b.k.Nodes() {
		in[b.k.nets[0].index(n.ID)]++
	}
	b.must(len(b.k.Nodes()) == 3, "%d nodes of one /16 in the table", len(b.k.Nodes()))
	for i, n := range in {
		b.must(n <= 2, "%d nodes of one /16 in bucket %d", n, i)
	}
}

func TestRuleDiversityOfAnswers(t *testing.T) {
	for _, crowd := range []int{3, 4} {
		b := newBench(t, Config{Diversity: true})
		honest := some(9, 9)
		b.as[honest.Addr] = honest.ID
		b.tell = func(q *krpc.Message, a netip.AddrPort, r *krpc.Message) {
			r.Nodes = append(r.Nodes[:0], honest)
			for i := range crowd {
				r.Nodes = append(r.Nodes, krpc.Node{ID: id(8, i), Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{30, 1, byte(i), 1}), 6881)})
			}
		}
		b.meet(some(1, 1))
		b.step(Event{Kind: Find, Handle: 1, Paths: 1, Target: id(8, 0)})
		asked := map[byte]bool{}
		for range 20 {
			for _, s := range b.sent {
				asked[s.to.Addr().As4()[0]] = true
			}
			b.play(100 * time.Millisecond)
			for _, a := range b.from {
				asked[a.Addr().As4()[0]] = true
			}
		}
		b.must(b.k.Counted.Asked > 2 && slices.Contains(b.from, honest.Addr), "the honest node is not asked")
		b.must((b.k.Counted.Lost > 0) == (crowd <= perAnswer), "of %d nodes of one network: %d asked in vain", crowd, b.k.Counted.Lost)
	}
}

func TestRulePrivateAddresses(t *testing.T) {
	private := netip.MustParseAddrPort("192.168.1.7:6881")
	b := newBench(t, Config{})
	b.must(b.ask(private, krpc.Message{Method: krpc.Ping}) == nil, "a private address is answered")
	n := krpc.Node{ID: id(2, 2), Addr: private}
	b.tell = func(q *krpc.Message, a netip.AddrPort, r *krpc.Message) {
		r.Nodes, r.Values = []krpc.Node{n}, []netip.AddrPort{private, stranger}
	}
	b.meet(some(1, 1), n)
	got := b.find(Event{Op: GetPeers, Target: id(2, 2)})
	for _, s := range b.sent {
		b.must(s.to != private, "a private address is asked")
	}
	b.must(len(got) == 2 && slices.Equal(got[0].Addrs, []netip.AddrPort{stranger}), "told %v", got[0].Addrs)
	b.must(!b.has(n), "a private address is in the table")
	for _, s := range []string{"127.0.0.1:1", "10.0.0.1:1", "100.64.0.1:1", "0.1.2.3:1", "224.0.0.1:1", "255.255.255.255:1",
		"[::1]:1", "[fe80::1]:1", "[fd73::1]:1", "[ff02::1]:1", "1.2.3.4:0"} {
		b.must(!Public(netip.MustParseAddrPort(s)), "%s is public", s)
	}
}

// Who names a node at a port of the system's services (security.md T09) doesn't have us ask there. Who sends from one is
// answered, and where a person leads us we go.
func TestRulePrivilegedPorts(t *testing.T) {
	b := newBench(t, Config{})
	at := func(i int, port uint16) krpc.Node {
		return krpc.Node{ID: id(byte(0x40+i), i), Addr: netip.AddrPortFrom(host(i).Addr(), port)}
	}
	victim, other, given, asker := at(50, 1023), at(51, 1024), at(52, 443), at(53, 53)
	for _, n := range []krpc.Node{victim, other, asker} {
		b.as[n.Addr] = n.ID
	}
	b.tell = func(q *krpc.Message, a netip.AddrPort, r *krpc.Message) { r.Nodes = []krpc.Node{victim, other} }
	b.meet(some(1, 1), given)
	b.must(b.ask(asker.Addr, krpc.Message{Method: krpc.Ping, ID: asker.ID}) != nil, "who asks from such a port is not answered")
	b.find(Event{Op: FindNode, Target: victim.ID})
	b.play(time.Hour)
	b.must(b.has(other) && b.has(given), "an ordinary node, or one that was given, is not taken")
	b.must(!slices.Contains(b.from, victim.Addr) && !slices.Contains(b.from, asker.Addr), "a privileged port that others name is asked")
}

func TestRuleBoundIDs(t *testing.T) {
	n := some(1, 1)
	b := newBench(t, Config{Authenticated: true, Bound: func(id krpc.ID, a netip.AddrPort) bool { return a == n.Addr && id == n.ID }})
	b.meet(n, some(2, 2))
	b.must(b.has(n) && b.k.size() == 1, "%d nodes in the table", b.k.size())
	b.must(b.ask(n.Addr, krpc.Message{Method: krpc.Ping, ID: n.ID}) != nil, "a bound id is not answered")
	b.must(b.ask(n.Addr, krpc.Message{Method: krpc.Ping, ID: id(9, 9)}) == nil, "another's id is answered")
}

func TestRuleTimeoutsAreMeasured(t *testing.T) {
	var c calls
	if _, due := c.timeouts(nil); due != firstDue {
		t.Errorf("before any answer: %v", due)
	}
	for range 64 {
		c.learn(40 * time.Millisecond)
	}
	if slow, due := c.timeouts(nil); slow < 40*time.Millisecond || due > 100*time.Millisecond {
		t.Errorf("after round trips of 40 ms: %v, %v", slow, due)
	}
	for i := range 64 {
		c.learn(time.Duration(i) * 10 * time.Millisecond)
	}
	if slow, due := c.timeouts(nil); slow < 400*time.Millisecond || due < 550*time.Millisecond || due > 650*time.Millisecond {
		t.Errorf("after round trips of 0 to 640 ms: %v, %v", slow, due)
	}
	n := node{}
	for range 30 {
		n.alive(time.Second, 200*time.Millisecond)
	}
	if _, due := c.timeouts(&n); due < 200*time.Millisecond || due > 260*time.Millisecond {
		t.Errorf("a node that always took 200 ms: %v", due)
	}
}

func TestRuleSlowIsNotWaitedFor(t *testing.T) {
	b := newBench(t, Config{Alpha: 1})
	var all []krpc.Node
	for i := range 4 {
		all = append(all, some(byte(i), i+1))
	}
	b.meet(all...)
	b.dead[all[0].Addr] = true
	b.sent = nil
	began := b.now
	got := b.find(Event{Op: FindNode, Target: all[0].ID})
	r := got[0].Result
	if len(r.Nodes) != 3 || r.Lost != tries || b.now.Sub(began) > 2*time.Second {
		t.Errorf("with a dead closest node: %+v after %v", r, b.now.Sub(began))
	}
}

func TestRuleDisjointPaths(t *testing.T) {
	b := newBench(t, Config{})
	var all []krpc.Node
	for i := range 200 {
		all = append(all, some(byte(i), i))
	}
	for _, n := range all {
		b.as[n.Addr] = n.ID
	}
	rng := rand.New(rand.NewPCG(1, 1))
	b.tell = func(q *krpc.Message, a netip.AddrPort, r *krpc.Message) {
		for range 8 {
			r.Nodes = append(r.Nodes, all[rng.IntN(len(all))])
		}
	}
	b.meet(all[:40]...)
	got := b.find(Event{Op: FindNode, Target: id(0x55, 0), Paths: 4})
	r := got[0].Result
	seen := map[netip.AddrPort]int{}
	for _, n := range r.Nodes {
		seen[n.Addr]++
		b.must(seen[n.Addr] == 1, "%v is in two paths", n)
	}
	b.must(r.Paths == 4 && len(r.Nodes) == 32, "%d nodes of %d paths", len(r.Nodes), r.Paths)
}

func TestRuleAnnounceAgain(t *testing.T) {
	b := newBench(t, Config{})
	var times []time.Time
	b.tell = func(q *krpc.Message, a netip.AddrPort, r *krpc.Message) {
		r.Token = []byte("x")
		if q.Method == krpc.AnnouncePeer {
			times = append(times, b.now)
			b.must(q.Port == 7463 && !q.ImpliedPort, "port %d", q.Port)
		}
	}
	b.meet(some(1, 1))
	b.step(Event{Kind: Hold, Op: Announce, Handle: 5, Target: id(1, 2), Port: 7463})
	b.play(2 * time.Hour)
	for i := 1; i < len(times); i++ {
		if d := times[i].Sub(times[i-1]); d < 14*time.Minute || d > 21*time.Minute {
			t.Errorf("announced again after %v", d)
		}
	}
	b.must(len(times) >= 6 && len(times) <= 9, "%d announcements in two hours", len(times))
}

// Whoever forges an address gets no more sent there than his questions allow, whatever the node does meanwhile.
func TestRuleProbeOnce(t *testing.T) {
	b := newBench(t, Config{IPv4: true, IPv6: true})
	b.meet(some(8, 1)) // too few round trips are known to give a query up soon
	q := (&krpc.Message{Kind: krpc.Query, TID: []byte("aa"), Method: krpc.Ping, ID: id(0x33, 7)}).Append(nil)
	b.step(Event{Kind: Datagram, Addr: stranger, Data: q})
	got := 0
	for i := range 20 {
		for _, s := range b.sent {
			if s.to == stranger {
				got += len(s.raw) + header
			} else {
				b.reply(s)
			}
		}
		b.sent = nil
		b.now = b.now.Add(50 * time.Millisecond)
		b.step(Event{Kind: Bootstrap, Nodes: []krpc.Node{{Addr: host(300 + i)}}}) // chores are due each time
	}
	b.must(got > len(q)+header && got <= gain*(len(q)+header), "%d bytes for %d", got, len(q)+header)
}

// Nodes that all start at once know nobody when they are first asked: they are asked again soon, and less and less often.
func TestRuleThinTable(t *testing.T) {
	b := newBench(t, Config{})
	var all []krpc.Node
	for i := range 12 {
		all = append(all, some(byte(20*i), i+10))
		b.as[all[i].Addr] = all[i].ID
	}
	early := true
	b.tell = func(q *krpc.Message, a netip.AddrPort, r *krpc.Message) {
		if !early {
			r.Nodes, r.HasNodes = all[:8], true
		}
	}
	b.meet(some(1, 1))
	b.must(b.k.Len() == 1, "%d nodes", b.k.Len())
	early = false
	b.play(15 * time.Second)
	b.must(b.k.Len() >= 8, "%d nodes 15 s after they came", b.k.Len())

	c := newBench(t, Config{}) // a network of two
	c.as[all[0].Addr] = all[0].ID
	c.step(Event{Kind: Bootstrap, Nodes: all[:1]})
	c.play(time.Hour)
	n := len(c.seen)
	c.play(time.Hour)
	n = len(c.seen) - n
	c.must(n > 5 && n < 25, "%d queries an hour in a network of two", n)
}

func TestRuleImpliedPort(t *testing.T) {
	for _, c := range []struct {
		port    uint16
		implied bool
		want    uint16
		says    bool
	}{{7463, true, 7463, true}, {7463, false, 7463, false}, {0, false, 1, true}} {
		b := newBench(t, Config{})
		n := 0
		b.tell = func(q *krpc.Message, a netip.AddrPort, r *krpc.Message) {
			r.Token = []byte("x")
			if q.Method == krpc.AnnouncePeer {
				n++
				b.must(q.Port == c.want && q.ImpliedPort == c.says, "port %d, implied %t", q.Port, q.ImpliedPort)
			}
		}
		b.meet(some(1, 1))
		b.find(Event{Op: Announce, Target: id(1, 2), Port: c.port, Implied: c.implied})
		b.must(n == 1, "%d announcements", n)
	}
}

func TestRuleEnough(t *testing.T) {
	b := newBench(t, Config{})
	b.tell = func(q *krpc.Message, a netip.AddrPort, r *krpc.Message) {
		r.Values = []netip.AddrPort{host(int(a.Addr().As4()[1]) + 300)}
	}
	var all []krpc.Node
	for i := range 20 {
		all = append(all, some(byte(i), i))
	}
	b.meet(all...)
	got := b.find(Event{Op: GetPeers, Target: id(1, 1), Enough: 2})
	r := got[len(got)-1].Result
	b.must(r.Why == Satisfied && r.Asked <= 5, "%+v", r)
	got = b.find(Event{Op: GetPeers, Target: id(1, 1)})
	b.must(got[len(got)-1].Result.Why == Exhausted && len(got) == 9, "%d effects", len(got))
}

func TestRuleAlone(t *testing.T) {
	b := newBench(t, Config{})
	got := b.find(Event{Op: GetPeers, Target: id(1, 1)})
	b.must(got[0].Result.Why == Alone, "%v", got[0].Result.Why)
	b.must(b.now.Sub(epoch) < aloneTime+time.Second, "after %v", b.now.Sub(epoch))
	b.got = nil
	b.step(Event{Kind: Find, Op: ops, Handle: 3})
	b.must(len(b.got) == 1 && b.got[0].Result.Why == Refused, "%v", b.got)
}

func TestRuleStoreIsBounded(t *testing.T) {
	b := newBench(t, Config{})
	s := &b.k.store
	own := id(0, 0)
	far := func(n int) krpc.ID {
		var x krpc.ID
		binary.BigEndian.PutUint32(x[:], uint32(n))
		return x
	}
	honest := far(1 << 31) // far away, of a network with one hash
	s.announce(honest, own, host(1), 0)
	for i := range 3 * maxHashes {
		s.announce(far(i), own, host(2), 0)
	}
	b.must(len(s.swarms.list) == maxHashes, "%d hashes", len(s.swarms.list))
	b.must(s.swarms.get(honest) != nil, "who stored one hash pays for who stored thousands")
	b.must(s.swarms.get(far(3)) != nil && s.swarms.get(far(3*maxHashes-1)) == nil, "what is far from us is kept, what is near is not")
	for i := range 3 * maxPeers {
		s.announce(honest, own, host(i), time.Duration(i))
	}
	for i := range 1000 {
		s.announce(honest, own, netip.AddrPortFrom(stranger.Addr(), uint16(i+1)), time.Hour)
	}
	e := s.swarms.get(honest)
	ports := 0
	for _, p := range e.v.peers[0] {
		if p.addr.Addr() == stranger.Addr() {
			ports++
		}
	}
	b.must(len(e.v.peers[0]) == maxPeers && ports == portsOfHost, "%d peers, %d of one host", len(e.v.peers[0]), ports)
	for i := range 2 * maxItems {
		it := krpc.Item{Value: []byte(`i` + string(rune('0'+i%10)) + `e`)}
		it.Value = append(append([]byte("l"), it.Value...), []byte("i"+itoa(i)+"ee")...)
		s.keep(&it, nil, own, host(i).Addr(), 0)
	}
	b.must(len(s.items.list) == maxItems, "%d items", len(s.items.list))
	for i := range s.items.list {
		b.must(s.items.index[s.items.list[i].id] == int32(i), "the index is wrong at %d", i)
	}
	s.sweep(10 * time.Hour)
	b.must(len(s.items.list)+len(s.swarms.list)+len(s.items.index)+len(s.swarms.index) == 0, "something lives for ever")
}

func itoa(n int) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return itoa(n/10) + itoa(n%10)
}

func TestRuleSizeEstimate(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 5))
	var e estimate
	draw := func() (x krpc.ID) {
		for i := range x {
			x[i] = byte(rng.Uint32())
		}
		return x
	}
	const size = 5000
	all := make([]krpc.Node, size)
	for i := range all {
		all[i].ID = draw()
	}
	nearest := func(target krpc.ID) []krpc.Node {
		slices.SortFunc(all, func(a, b krpc.Node) int { return target.CmpDistance(a.ID, b.ID) })
		return slices.Clone(all[:20])
	}
	alarms := 0
	for range 40 {
		target := draw()
		d := density(target, nearest(target))
		if e.suspicious(d) {
			alarms++
		}
		e.add(d)
	}
	if s := e.size(); s < size*8/10 || s > size*12/10 || alarms > 0 {
		t.Errorf("a network of %d is taken for one of %.0f; %d alarms", size, s, alarms)
	}
	target := draw()
	near := nearest(target)
	for i := range near {
		copy(near[i].ID[:4], target[:4])
	}
	if !e.suspicious(density(target, near)) {
		t.Error("twenty nodes next to the target are not suspicious")
	}
}

func TestRuleInBucket(t *testing.T) {
	b := newBench(t, Config{ID: krpc.ID([]byte("mnopqrstuvwxyz123456"))})
	for i := range 160 {
		if got := b.k.id.PrefixLen(b.k.inBucket(i)); got != i {
			t.Fatalf("an id for bucket %d shares %d bits", i, got)
		}
	}
}

// TestRuleClosest holds the table's choice against sorting all.
func TestRuleClosest(t *testing.T) {
	b := newBench(t, Config{K: 20})
	rng := rand.New(rand.NewPCG(3, 3))
	for i := range 500 {
		n := krpc.Node{ID: b.k.inBucket(rng.IntN(12)), Addr: host(i)}
		b.k.nets[0].add(n, time.Millisecond)
	}
	all := b.k.Nodes()
	for i := range 200 {
		target := b.k.inBucket(i % 30)
		n := 1 + rng.IntN(40)
		got := b.k.nets[0].closest(nil, target, n, 0)
		slices.SortFunc(all, func(a, b krpc.Node) int { return target.CmpDistance(a.ID, b.ID) })
		for j, x := range got {
			if x.Node != all[j] {
				t.Fatalf("target %v: place %d is %v, want %v", target, j, x.ID, all[j].ID)
			}
		}
		if len(got) != min(n, len(all)) {
			t.Fatalf("%d nodes, want %d", len(got), n)
		}
	}
}
