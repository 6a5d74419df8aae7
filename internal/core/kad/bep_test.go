package kad

import (
	"bytes"
	"crypto/ed25519"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"shoal/internal/core/kad/krpc"
)

func both(t *testing.T) *bench {
	b := newBench(t, Config{IPv4: true, IPv6: true})
	var all []krpc.Node
	for i := range 10 {
		all = append(all, some(byte(i*16), i+1), krpc.Node{ID: id(byte(i*16+8), 100+i), Addr: host6(i)})
	}
	b.meet(all...)
	return b
}

func TestBEP32_want(t *testing.T) {
	b := both(t)
	for _, c := range []struct {
		from         netip.AddrPort
		want4, want6 bool
		four, six    bool
	}{
		{stranger, false, false, true, false},
		{host6(900), false, false, false, true},
		{stranger, false, true, false, true},
		{stranger, true, true, true, true},
	} {
		r := b.ask(c.from, krpc.Message{Method: krpc.FindNode, Target: id(1, 1), Want4: c.want4, Want6: c.want6})
		if r == nil || (len(r.m.Nodes) > 0) != c.four || (len(r.m.Nodes6) > 0) != c.six {
			t.Errorf("%v wants %v %v: %+v", c.from, c.want4, c.want6, r)
		}
	}
}

func TestBEP32_values_of_one_family(t *testing.T) {
	b := both(t)
	hash := id(7, 7)
	for _, from := range []netip.AddrPort{stranger, host6(900)} {
		r := b.ask(from, krpc.Message{Method: krpc.GetPeers, Target: hash})
		b.ask(from, krpc.Message{Method: krpc.AnnouncePeer, Target: hash, Port: 99, Token: r.m.Token})
	}
	for _, from := range []netip.AddrPort{host(998), host6(901)} {
		r := b.ask(from, krpc.Message{Method: krpc.GetPeers, Target: hash, Want4: true, Want6: true})
		if len(r.m.Values) != 1 || r.m.Values[0].Addr().Is4() != from.Addr().Is4() {
			t.Errorf("%v is told %v", from, r.m.Values)
		}
	}
}

func TestBEP32_two_tables(t *testing.T) {
	b := both(t)
	if len(b.k.nets) != 2 || b.k.nets[0].size != 10 || b.k.nets[1].size != 10 {
		t.Fatalf("tables of %d and %d", b.k.nets[0].size, b.k.nets[1].size)
	}
	got := b.find(Event{Op: FindNode, Target: id(0x40, 0)})
	four, six := 0, 0
	for _, n := range got[0].Result.Nodes {
		if n.Addr.Addr().Is4() {
			four++
		} else {
			six++
		}
	}
	if four != 8 || six != 8 {
		t.Errorf("a search finds %d and %d nodes of the families", four, six)
	}
}

func TestBEP32_bootstrapping_asks_for_both(t *testing.T) {
	b := newBench(t, Config{IPv4: true, IPv6: true})
	six := krpc.Node{ID: id(9, 9), Addr: host6(1)}
	b.as[six.Addr] = six.ID
	b.tell = func(q *krpc.Message, a netip.AddrPort, r *krpc.Message) {
		if q.Want6 {
			r.Nodes6 = []krpc.Node{six}
		}
	}
	b.meet(some(1, 1))
	b.play(2 * time.Minute)
	b.must(b.has(six), "an IPv6 node that an IPv4 node names is not taken")
}

func TestBEP32_packet_size(t *testing.T) {
	b := both(t)
	hash := id(7, 7)
	for i := range 400 {
		b.k.store.announce(hash, b.k.id, host(i), b.k.now)
	}
	b.k.guard.prove(stranger.Addr(), b.k.now)
	r := b.ask(stranger, krpc.Message{Method: krpc.GetPeers, Target: hash, Want4: true, Want6: true})
	if r == nil || len(r.raw) > 1024 || len(r.m.Values) < 20 || len(r.m.Nodes) != 8 || len(r.m.Nodes6) < 6 {
		t.Errorf("%d bytes, %d values, %d and %d nodes", len(r.raw), len(r.m.Values), len(r.m.Nodes), len(r.m.Nodes6))
	}
}

func TestBEP42_ip_in_answers(t *testing.T) {
	b := newBench(t, Config{})
	for _, m := range []krpc.Message{{Method: krpc.Ping}, {Method: krpc.AnnouncePeer, Port: 1, Token: []byte("x")}} {
		if r := b.ask(stranger, m); r == nil || r.m.IP != stranger {
			t.Errorf("%v is answered with ip %v", m.Method, r)
		}
	}
}

func TestBEP42_bootstrapping_vote(t *testing.T) {
	b := newBench(t, Config{Secure: true, Diversity: true})
	mine := netip.MustParseAddrPort("124.31.75.21:7463")
	lie := netip.MustParseAddrPort("9.9.9.9:1")
	b.tell = func(q *krpc.Message, a netip.AddrPort, r *krpc.Message) {
		r.IP = mine
		if a.Addr().As4()[1] <= 4 {
			r.IP = lie
		}
	}
	var all []krpc.Node
	for i := range 9 {
		all = append(all, krpc.Node{ID: krpc.MakeID(host(i).Addr(), id(0, i)), Addr: host(i)})
	}
	b.meet(all[:4]...)
	b.must(len(b.got) == 0, "four liars are believed: %v", b.got)
	b.meet(all[4:]...)
	if len(b.got) != 2 || b.got[0].Kind != Address || b.got[0].Addr != mine || b.got[1].Kind != Identity {
		t.Fatalf("effects %+v", b.got)
	}
	if b.got[1].ID != b.k.ID() || !krpc.ValidID(b.k.ID(), mine.Addr()) {
		t.Errorf("the id %v does not fit", b.k.ID())
	}
	b.must(b.k.size() == 9, "%d nodes after the id changed", b.k.size())
	b.step(Event{Kind: Observed, Addr: mine})
	b.must(len(b.got) == 2, "the same address is news")
}

func TestBEP42_preference(t *testing.T) {
	b := newBench(t, Config{Secure: true, ID: krpc.MakeID(netip.MustParseAddr("124.31.75.21"), id(0x80, 1))})
	other := b.k.ID()[0] ^ 0x80
	var bad []krpc.Node
	for i := range 8 {
		bad = append(bad, some(other&0x80|byte(i), i))
	}
	b.meet(bad...)
	b.must(b.k.size() == 8, "ids that do not fit are taken while there is room: %d", b.k.size())
	var good krpc.Node
	for i := 20; good.ID.IsZero() || good.ID[0]&0x80 != other&0x80; i++ {
		good = krpc.Node{ID: krpc.MakeID(host(i).Addr(), id(byte(i), i)), Addr: host(i)}
	}
	b.meet(good)
	b.must(b.has(good) && b.k.size() == 8, "an id that fits does not go before one that doesn't")
}

func TestBEP43_read_only_answers_nothing(t *testing.T) {
	b := newBench(t, Config{ReadOnly: true})
	b.must(b.ask(stranger, krpc.Message{Method: krpc.Ping}) == nil, "a read-only node answers")
	b.meet(some(1, 1))
	b.step(Event{Kind: Find, Handle: 1, Target: id(3, 3)})
	b.must(len(b.sent) > 0 && b.sent[0].m.ReadOnly, "its queries do not say so")
}

func TestBEP43_read_only_is_not_taken(t *testing.T) {
	b := newBench(t, Config{})
	n := krpc.Node{ID: id(1, 1), Addr: stranger}
	b.as[n.Addr] = n.ID
	b.must(b.ask(n.Addr, krpc.Message{Method: krpc.Ping, ID: n.ID, ReadOnly: true}) != nil, "it is not served")
	b.play(time.Hour)
	b.must(!b.has(n) && len(b.seen) == 0, "it is asked or taken")
}

// A node that has become read-only answers nothing any more: that it asks doesn't keep it.
func TestBEP43_read_only_is_not_kept(t *testing.T) {
	b := newBench(t, Config{})
	var all []krpc.Node
	for i := range 8 { // of which searches for the own id need none of the first
		all = append(all, some(byte(i), 1+i), some(0x81+byte(i), 101+i))
	}
	b.meet(all...)
	n := all[0]
	delete(b.as, n.Addr)
	for range 10 {
		b.play(10 * time.Minute)
		b.ask(n.Addr, krpc.Message{Method: krpc.Ping, ID: n.ID, ReadOnly: true})
	}
	b.must(!b.has(n), "who asks read-only and answers nothing stays in the table")
}

// signed is a mutable item.
func signed(seq int64, salt, value string) (krpc.Item, krpc.ID) {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	it := krpc.Item{Seq: seq, Salt: []byte(salt), Value: []byte(value)}
	it.Sign(key)
	return it, it.Target()
}

// put stores an item as a stranger does, and returns the code of the error.
func (b *bench) put(it krpc.Item, change func(m *krpc.Message)) int {
	b.t.Helper()
	r := b.ask(stranger, krpc.Message{Method: krpc.Get, Target: it.Target()})
	if r == nil || len(r.m.Token) == 0 {
		b.t.Fatal("get gives no token")
	}
	m := krpc.Message{Method: krpc.Put, Token: r.m.Token, Item: it}
	if change != nil {
		change(&m)
	}
	r = b.ask(stranger, m)
	if r == nil {
		b.t.Fatal("put is not answered")
		return 0
	}
	return r.m.Code
}

func (b *bench) get(target krpc.ID, seq ...int64) krpc.Message {
	b.t.Helper()
	m := krpc.Message{Method: krpc.Get, Target: target}
	if len(seq) > 0 {
		m.Item.Seq, m.HasSeq = seq[0], true
	}
	r := b.ask(stranger, m)
	if r == nil {
		b.t.Fatal("get is not answered")
		return krpc.Message{}
	}
	return r.m
}

func TestBEP44_immutable(t *testing.T) {
	b := newBench(t, Config{})
	b.meet(some(1, 1))
	it := krpc.Item{Value: []byte("12:Hello World!")}
	if c := b.put(it, nil); c != 0 {
		t.Fatalf("code %d", c)
	}
	got := b.get(krpc.ID([]byte("\xe5\xf9\x6f\x6f\x38\x32\x0f\x0f\x33\x95\x9c\xb4\xd3\xd6\x56\x45\x21\x17\xaa\xdb")))
	if string(got.Item.Value) != "12:Hello World!" || len(got.Token) == 0 || len(got.Nodes) == 0 {
		t.Errorf("get gives %+v", got)
	}
}

func TestBEP44_mutable(t *testing.T) {
	b := newBench(t, Config{})
	it, target := signed(4, "foobar", "12:Hello World!")
	if c := b.put(it, nil); c != 0 {
		t.Fatalf("code %d", c)
	}
	got := b.get(target)
	got.Item.Salt = it.Salt
	if got.Item.Check() != nil || got.Item.Seq != 4 || got.Item.Target() != target {
		t.Errorf("get gives %+v", got.Item)
	}
	newer, _ := signed(5, "foobar", "3:new")
	older, _ := signed(3, "foobar", "3:old")
	other, _ := signed(4, "foobar", "5:other")
	again, _ := signed(4, "foobar", "12:Hello World!")
	for _, c := range []struct {
		it   krpc.Item
		code int
	}{{older, krpc.CodeSeq}, {other, krpc.CodeSeq}, {again, 0}, {newer, 0}, {it, krpc.CodeSeq}} {
		if got := b.put(c.it, nil); got != c.code {
			t.Errorf("put of %d %s: code %d, want %d", c.it.Seq, c.it.Value, got, c.code)
		}
	}
	if got := b.get(target, 4); string(got.Item.Value) != "3:new" {
		t.Errorf("get newer than 4: %+v", got)
	}
	if got := b.get(target, 5); len(got.Item.Value) != 0 || !got.HasSeq || got.Item.Seq != 5 {
		t.Errorf("get newer than 5: %+v", got)
	}
}

func TestBEP44_cas(t *testing.T) {
	b := newBench(t, Config{})
	cas := func(n int64) func(*krpc.Message) { return func(m *krpc.Message) { m.CAS, m.HasCAS = n, true } }
	one, _ := signed(1, "", "1:a")
	two, _ := signed(2, "", "1:b")
	if c := b.put(one, cas(77)); c != 0 {
		t.Errorf("cas where nothing is stored: code %d", c)
	}
	if c := b.put(two, cas(0)); c != krpc.CodeCAS {
		t.Errorf("a cas that does not fit: code %d", c)
	}
	if c := b.put(two, cas(1)); c != 0 {
		t.Errorf("a cas that fits: code %d", c)
	}
}

func TestBEP44_errors(t *testing.T) {
	it, _ := signed(1, "", "1:a")
	for _, c := range []struct {
		name   string
		change func(m *krpc.Message)
		code   int
	}{
		{"signature", func(m *krpc.Message) { m.Item.Sig[0] ^= 1 }, krpc.CodeSignature},
		{"value size", func(m *krpc.Message) { m.Item.Value = []byte("1001:" + strings.Repeat("x", 1001)) }, krpc.CodeValueSize},
		{"salt size", func(m *krpc.Message) { m.Item.Salt = make([]byte, 65) }, krpc.CodeSaltSize},
		{"unsorted", func(m *krpc.Message) { m.Item.Value = []byte("d1:bi1e1:ai1ee") }, krpc.CodeProtocol},
		{"token", func(m *krpc.Message) { m.Token = []byte("12345678") }, krpc.CodeProtocol},
	} {
		b := newBench(t, Config{})
		if got := b.put(it, c.change); got != c.code {
			t.Errorf("%s: code %d, want %d", c.name, got, c.code)
		}
	}
}

func TestBEP44_expiration(t *testing.T) {
	b := newBench(t, Config{})
	it, target := signed(1, "", "1:a")
	b.put(it, nil)
	b.play(90 * time.Minute)
	b.put(it, nil) // resets its time
	b.play(90 * time.Minute)
	b.must(len(b.get(target).Item.Value) > 0, "an item that was put again is gone")
	b.play(31 * time.Minute)
	b.must(len(b.get(target).Item.Value) == 0, "an item lives too long")
}

// TestBEP44_search puts an item on nodes of the test, which check what they get, and gets it back.
func TestBEP44_search(t *testing.T) {
	b := newBench(t, Config{})
	stored := map[netip.AddrPort]krpc.Item{}
	b.tell = func(q *krpc.Message, a netip.AddrPort, r *krpc.Message) {
		switch q.Method {
		case krpc.Get:
			r.Token = []byte("token of " + a.String())
			if it, ok := stored[a]; ok && !(q.HasSeq && it.Seq <= q.Item.Seq) {
				r.Item, r.HasSeq = it, it.Mutable
			}
		case krpc.Put:
			b.must(string(q.Token) == "token of "+a.String(), "token %q at %v", q.Token, a)
			it := q.Item
			it.Salt, it.Value = bytes.Clone(it.Salt), bytes.Clone(it.Value)
			stored[a] = it
		}
	}
	var all []krpc.Node
	for i := range 12 {
		all = append(all, some(byte(i*20), i))
	}
	b.meet(all...)
	it, target := signed(3, "s", "5:hello")
	got := b.find(Event{Op: PutItem, Item: &it})
	if r := got[0].Result; r.Stored != 8 || len(stored) != 8 {
		t.Fatalf("stored at %d: %+v", len(stored), r)
	}
	liar := got[0].Result.Nodes[2].Addr
	forged := it
	forged.Seq, forged.Value = 9, []byte("6:forged")
	stored[liar] = forged
	got = b.find(Event{Op: GetItem, Target: target, Salt: []byte("s")})
	if len(got) != 2 || got[0].Kind != FoundItem || string(got[0].Item.Value) != "5:hello" {
		t.Errorf("get gives %+v", got)
	}
	newer, _ := signed(4, "s", "3:new")
	stored[got[1].Result.Nodes[0].Addr] = newer
	got = b.find(Event{Op: PutItem, Item: &it})
	if got[0].Kind != FoundItem || got[0].Item.Seq != 4 || got[len(got)-1].Result.Why != Outdated {
		t.Errorf("putting what is outdated: %+v", got)
	}
}

func TestBEP44_republish(t *testing.T) {
	b := newBench(t, Config{})
	var puts []time.Time
	b.tell = func(q *krpc.Message, a netip.AddrPort, r *krpc.Message) {
		r.Token = []byte("x")
		if q.Method == krpc.Put {
			puts = append(puts, b.now)
		}
	}
	b.meet(some(1, 1))
	it, _ := signed(1, "", "1:a")
	b.step(Event{Kind: Hold, Op: PutItem, Handle: 5, Item: &it})
	b.play(5 * time.Hour)
	for i := 1; i < len(puts); i++ {
		if d := puts[i].Sub(puts[i-1]); d < 45*time.Minute || d > time.Hour+time.Minute {
			t.Errorf("put again after %v", d)
		}
	}
	b.must(len(puts) >= 5 && len(puts) <= 8, "%d puts in five hours", len(puts))
	b.step(Event{Kind: Cancel, Handle: 5})
	n := len(puts)
	b.play(3 * time.Hour)
	b.must(len(puts) == n, "put after it was cancelled")
}

func TestBEP51_sample_infohashes(t *testing.T) {
	b := newBench(t, Config{})
	b.meet(some(1, 1), some(0x70, 2))
	ask := krpc.Message{Method: krpc.SampleInfohashes, Target: id(1, 0)}
	r := b.ask(stranger, ask)
	if r == nil || !r.m.HasSamples || len(r.m.Samples) != 0 || r.m.Num != 0 || len(r.m.Nodes) != 2 {
		t.Fatalf("with nothing stored: %+v", r)
	}
	for i := range 100 {
		b.k.store.announce(id(9, i), b.k.id, host(i), b.k.now)
	}
	b.k.guard.prove(stranger.Addr(), b.k.now)
	r = b.ask(stranger, ask)
	if len(r.m.Samples) != 20 || r.m.Num != 100 || r.m.Interval < 0 || r.m.Interval > 21600 || len(r.m.Nodes) != 2 {
		t.Errorf("%d samples of %d, %d nodes", len(r.m.Samples), r.m.Num, len(r.m.Nodes))
	}
	again := b.ask(stranger, ask)
	b.must(slices.Equal(again.m.Samples, r.m.Samples), "the sample changes within its interval")
	b.play(time.Hour)
	b.k.guard.prove(stranger.Addr(), b.k.now)
	later := b.ask(stranger, ask)
	b.must(slices.Equal(later.m.Samples, r.m.Samples), "the sample changes within its interval")
	b.must(later.m.Interval <= r.m.Interval-3600, "the interval is told longer than it lasts")
}

// Only "after that size limit is reached" a subset may be told again: as long as all fit, all
// are told.
func TestBEP51_all_while_they_fit(t *testing.T) {
	b := newBench(t, Config{})
	ask := krpc.Message{Method: krpc.SampleInfohashes, Target: id(1, 0)}
	for i := range 5 {
		b.k.store.announce(id(9, i), b.k.id, host(i), b.k.now)
		b.k.guard.prove(stranger.Addr(), b.k.now)
		if r := b.ask(stranger, ask); r == nil || len(r.m.Samples) != i+1 || r.m.Num != int64(i+1) {
			t.Errorf("of %d info hashes: %+v", i+1, r)
		}
	}
}

func TestBEP51_search(t *testing.T) {
	b := newBench(t, Config{})
	b.tell = func(q *krpc.Message, a netip.AddrPort, r *krpc.Message) {
		r.HasSamples, r.Num, r.Interval = q.Method == krpc.SampleInfohashes, 1, 60
		r.Samples = []krpc.ID{id(4, int(a.Addr().As4()[1]))}
	}
	b.meet(some(1, 1), some(2, 2))
	got := b.find(Event{Op: Sample, Target: id(1, 1)})
	if len(got) != 3 || got[0].Kind != FoundHashes || len(got[0].Hashes) != 1 || got[0].Interval != time.Minute {
		t.Errorf("a search for samples gives %+v", got)
	}
}
