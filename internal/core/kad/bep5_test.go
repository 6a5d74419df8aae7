package kad

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"shoal/internal/core/kad/krpc"
)

// stranger is an address that T knows nothing of.
var stranger = host(999)

func TestBEP5_ping(t *testing.T) {
	b := newBench(t, Config{ID: krpc.ID([]byte("mnopqrstuvwxyz123456"))})
	b.step(Event{Kind: Datagram, Addr: stranger, Data: []byte("d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe")})
	want := "d2:ip6:" + "\x0f\xc8\x07\x07\x1a\xe1" + "1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re"
	if len(b.sent) == 0 || string(b.sent[0].raw) != want {
		t.Fatalf("answers %v", b.sent)
	}
}

func TestBEP5_find_node(t *testing.T) {
	b := newBench(t, Config{})
	var all []krpc.Node
	for i := range 30 {
		all = append(all, some(byte(i*8), i))
	}
	b.meet(all...)
	target := id(0x42, 0)
	r := b.ask(stranger, krpc.Message{Method: krpc.FindNode, Target: target})
	want := b.k.Nodes()
	slices.SortFunc(want, func(a, b krpc.Node) int { return target.CmpDistance(a.ID, b.ID) })
	if r == nil || !slices.Equal(r.m.Nodes, want[:8]) {
		t.Errorf("answers %v, want %v", r, want[:8])
	}
}

func TestBEP5_get_peers_announce_peer(t *testing.T) {
	b := newBench(t, Config{})
	b.meet(some(1, 1), some(2, 2))
	hash := id(7, 7)
	get := krpc.Message{Method: krpc.GetPeers, Target: hash}
	r := b.ask(stranger, get)
	if r == nil || len(r.m.Token) == 0 || r.m.HasValues || len(r.m.Nodes) != 2 {
		t.Fatalf("before: %+v", r)
	}
	put := krpc.Message{Method: krpc.AnnouncePeer, Target: hash, Port: 4711, Token: r.m.Token}
	if r := b.ask(stranger, put); r == nil || r.m.Kind != krpc.Response {
		t.Fatalf("announce: %+v", r)
	}
	put.ImpliedPort = true // the datagram's port, whatever port says
	b.ask(stranger, put)
	r = b.ask(host(500), get)
	values := slices.Clone(r.m.Values)
	slices.SortFunc(values, netip.AddrPort.Compare)
	if !slices.Equal(values, []netip.AddrPort{netip.AddrPortFrom(stranger.Addr(), 4711), stranger}) || len(r.m.Nodes) != 2 {
		t.Errorf("after: %v and %d nodes", values, len(r.m.Nodes))
	}
	b.play(peerLife + time.Minute)
	if r = b.ask(host(500), get); r == nil || r.m.HasValues {
		t.Errorf("peers live too long: %+v", r)
	}
}

// Of two nodes the one that seeks is the one at which the other announced. What was announced
// here does not end a search: anybody can announce anything.
func TestBEP5_get_peers_held_here(t *testing.T) {
	b := newBench(t, Config{})
	hash, no := id(7, 7), id(8, 8)
	b.k.store.announce(hash, b.k.id, stranger, b.k.now)
	b.meet(some(1, 1))
	for target, want := range map[krpc.ID][]netip.AddrPort{hash: {stranger}, no: nil} {
		var got []netip.AddrPort
		effects := b.find(Event{Op: GetPeers, Target: target, Enough: 1})
		for i := range effects {
			got = append(got, effects[i].Addrs...)
		}
		if r := effects[len(effects)-1].Result; !slices.Equal(got, want) || r.Asked == 0 {
			t.Errorf("found %v, want %v; %d were asked", got, want, r.Asked)
		}
	}
}

func TestBEP5_token(t *testing.T) {
	b := newBench(t, Config{})
	hash := id(7, 7)
	token := func() []byte { return b.ask(stranger, krpc.Message{Method: krpc.GetPeers, Target: hash}).m.Token }
	announce := func(from netip.AddrPort, hash krpc.ID, token []byte) int {
		r := b.ask(from, krpc.Message{Method: krpc.AnnouncePeer, Target: hash, Port: 1000, Token: token})
		return r.m.Code
	}
	tok := token()
	if c := announce(host(500), hash, tok); c != krpc.CodeProtocol {
		t.Errorf("another address's token: code %d", c)
	}
	if c := announce(stranger, id(8, 8), tok); c != krpc.CodeProtocol {
		t.Errorf("another hash's token: code %d", c)
	}
	if c := announce(stranger, hash, []byte("12345678")); c != krpc.CodeProtocol {
		t.Errorf("a made-up token: code %d", c)
	}
	b.play(5 * time.Minute)
	if c := announce(stranger, hash, tok); c != 0 {
		t.Errorf("a token five minutes old: code %d", c)
	}
	b.play(5 * time.Minute)
	if c := announce(stranger, hash, tok); c != krpc.CodeProtocol {
		t.Errorf("a token ten minutes old: code %d", c)
	}
}

func TestBEP5_errors(t *testing.T) {
	for _, c := range []struct{ query, want string }{
		{"d1:ad2:id20:abcdefghij0123456789e1:q4:warp1:t2:aa1:y1:qe", "i204e"},
		{"d1:ad2:id3:abce1:q4:ping1:t2:aa1:y1:qe", "i203e"},
		{"d1:ad2:id20:abcdefghij0123456789e1:q9:find_node1:t2:aa1:y1:qe", "i203e"},
		{"d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e1:q4:warp1:t2:aa1:y1:qe", "5:nodes"},
		{"d1:q4:ping1:y1:qe", ""},
		{"no bencoding", ""},
	} {
		b := newBench(t, Config{})
		b.step(Event{Kind: Datagram, Addr: stranger, Data: []byte(c.query)})
		got := ""
		if len(b.sent) > 0 {
			got = string(b.sent[0].raw)
		}
		if c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q", c.query, got)
		}
	}
}

func TestBEP5_routing_table_only_who_answered(t *testing.T) {
	b := newBench(t, Config{})
	me := krpc.Node{ID: id(1, 1), Addr: stranger}
	b.ask(stranger, krpc.Message{Method: krpc.Ping, ID: me.ID})
	b.play(10 * time.Minute)
	if b.has(me) {
		t.Error("a node that never answered is in the table")
	}
	b.as[stranger] = me.ID
	b.ask(stranger, krpc.Message{Method: krpc.Ping, ID: me.ID})
	b.play(2 * time.Minute)
	if !b.has(me) {
		t.Error("a node that asked and answered is not in the table")
	}
	r := b.ask(host(500), krpc.Message{Method: krpc.FindNode, Target: me.ID})
	if !slices.Contains(r.m.Nodes, me) {
		t.Error("it is not told")
	}
}

func TestBEP5_routing_table_answers_must_fit(t *testing.T) {
	n := some(1, 1)
	for _, c := range []struct {
		name   string
		change func(to netip.AddrPort, m *krpc.Message) netip.AddrPort
		taken  bool
	}{
		{"as asked", func(a netip.AddrPort, m *krpc.Message) netip.AddrPort { return a }, true},
		{"from elsewhere", func(a netip.AddrPort, m *krpc.Message) netip.AddrPort { return stranger }, false},
		{"another transaction", func(a netip.AddrPort, m *krpc.Message) netip.AddrPort { m.TID = []byte("\x00\x00zz"); return a }, false},
		{"a short transaction", func(a netip.AddrPort, m *krpc.Message) netip.AddrPort { m.TID = []byte("a"); return a }, false},
		{"another id", func(a netip.AddrPort, m *krpc.Message) netip.AddrPort { m.ID = id(2, 2); return a }, false},
		{"our id", func(a netip.AddrPort, m *krpc.Message) netip.AddrPort { m.ID = id(0x80, 1); return a }, false},
	} {
		b := newBench(t, Config{})
		b.step(Event{Kind: Bootstrap, Nodes: []krpc.Node{n}})
		if len(b.sent) == 0 {
			t.Fatal("asks nobody")
		}
		for _, s := range b.sent {
			m := krpc.Message{Kind: krpc.Response, TID: s.m.TID, ID: n.ID}
			b.recv(c.change(s.to, &m), &m)
		}
		if got := len(b.k.Nodes()) > 0; got != c.taken {
			t.Errorf("%s: in the table: %v", c.name, got)
		}
	}
}

// fill gives T a full bucket of ids that begin with 0.
func (b *bench) fill() (list []krpc.Node) {
	for i := range 8 {
		list = append(list, some(byte(i*4), i+1))
	}
	b.meet(list...)
	return list
}

func TestBEP5_routing_table_liveness_before_eviction(t *testing.T) {
	b := newBench(t, Config{})
	old := b.fill()
	late := some(2, 20)
	b.as[late.Addr] = late.ID
	for range 8 { // everybody lives: there is no place
		b.ask(late.Addr, krpc.Message{Method: krpc.Ping, ID: late.ID})
		b.play(5 * time.Minute)
	}
	for _, n := range old {
		b.must(b.has(n), "%v had to go although it answers", n)
	}
	b.must(!b.has(late), "nine nodes in a bucket")
	b.dead[old[3].Addr] = true
	for range 8 {
		b.ask(late.Addr, krpc.Message{Method: krpc.Ping, ID: late.ID})
		b.play(5 * time.Minute)
	}
	b.must(!b.has(old[3]), "a dead node is kept")
	b.must(b.has(late), "whoever waited is not taken in its place")
}

func TestBEP5_routing_table_own_line_cut(t *testing.T) {
	b := newBench(t, Config{})
	old := b.fill()
	for _, n := range old {
		b.dead[n.Addr] = true
	}
	b.play(3 * time.Hour)
	b.must(b.k.size() == 8, "%d nodes are left after our own line was cut", b.k.size())
	clear(b.dead)
	b.play(40 * time.Minute)
	b.must(len(b.k.Nodes()) == 8, "%d nodes answer after it was mended", len(b.k.Nodes()))
}

func TestBEP5_routing_table_refresh(t *testing.T) {
	b := newBench(t, Config{})
	old := b.fill()
	for i := range 9 { // nearer to us, so that the search for our own id asks them alone
		b.meet(some(0xc0+byte(i), 50+i))
	}
	b.play(20 * time.Minute)
	inBucket := 0
	for i, q := range b.seen {
		b.must(q.Method == krpc.FindNode, "a refresh by %v", q.Method)
		if q.Target[0] < 0x80 && slices.ContainsFunc(old, func(n krpc.Node) bool { return n.Addr == b.from[i] }) {
			inBucket++
		}
	}
	b.must(inBucket > 0, "a bucket that nothing has changed for 15 minutes is not refreshed")
}

func TestBEP5_routing_table_finds_own_id(t *testing.T) {
	b := newBench(t, Config{})
	n := some(1, 1)
	b.as[n.Addr] = n.ID
	b.step(Event{Kind: Bootstrap, Nodes: []krpc.Node{{Addr: n.Addr}}}) // its id is not known
	b.play(time.Second)
	b.must(slices.ContainsFunc(b.seen, func(q krpc.Message) bool { return q.Target == b.k.ID() }), "own id not looked for at the start")
	b.must(b.has(n), "the first contact is not in the table")
	b.seen = nil
	b.play(13 * time.Minute)
	b.must(slices.ContainsFunc(b.seen, func(q krpc.Message) bool { return q.Target == b.k.ID() }), "own id not looked for again")
}

func TestBEP5_routing_table_saved(t *testing.T) {
	b := newBench(t, Config{})
	b.fill()
	saved := b.k.Nodes()
	c := newBench(t, Config{})
	c.as = b.as
	c.step(Event{Kind: Bootstrap, Nodes: saved})
	c.play(time.Second)
	b.must(len(c.k.Nodes()) == len(saved), "%d of %d nodes a second after the start", len(c.k.Nodes()), len(saved))
}

// "Please do not automatically … add this node to clients routing tables": a node that everybody begins with is asked while
// few others are known, and then let be.
func TestBEP5_routers(t *testing.T) {
	for _, others := range []int{3, 12} {
		b := newBench(t, Config{})
		router := some(0x20, 50)
		b.as[router.Addr] = router.ID
		var list []krpc.Node
		for i := range others {
			list = append(list, some(byte(i*16), i+1))
			b.as[list[i].Addr] = list[i].ID
		}
		b.tell = func(q *krpc.Message, a netip.AddrPort, r *krpc.Message) {
			r.Nodes = append(slices.Clone(list), router)
		}
		b.step(Event{Kind: Routers, Nodes: []krpc.Node{{Addr: router.Addr}}})
		b.play(20 * time.Minute)
		if few := others < 8; b.has(router) != few || len(b.k.Nodes()) < others {
			t.Errorf("beside %d others: in the table %t, which holds %d", others, b.has(router), len(b.k.Nodes()))
		}
		b.seen, b.from = nil, nil
		b.play(6 * time.Hour)
		if n := len(slices.DeleteFunc(b.from, func(a netip.AddrPort) bool { return a != router.Addr })); others == 12 && n > 40 {
			t.Errorf("asked %d times in six hours", n)
		}
	}
}

func TestBEP5_bootstrap_repeated(t *testing.T) {
	b := newBench(t, Config{})
	n := some(1, 1)
	b.step(Event{Kind: Bootstrap, Nodes: []krpc.Node{n}})
	b.play(2 * time.Minute)
	b.as[n.Addr] = n.ID // it comes up late
	b.play(retryMost)
	b.must(b.has(n), "a contact that was down at the start is never asked again")
	asked := b.k.Counted.Asked
	c := newBench(t, Config{})
	c.step(Event{Kind: Bootstrap, Nodes: []krpc.Node{n}})
	c.play(time.Hour)
	b.must(c.k.Counted.Asked < 100+asked, "%d queries in an hour to a contact that is down", c.k.Counted.Asked)
}
