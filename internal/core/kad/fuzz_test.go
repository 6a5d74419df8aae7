package kad

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"shoal/internal/core/kad/krpc"
)

// script turns bytes into events for one T, and remembers what it asked so that some answers fit.
type script struct {
	data []byte
	open []sent
}

func (s *script) byte() int {
	if len(s.data) == 0 {
		return 0
	}
	b := s.data[0]
	s.data = s.data[1:]
	return int(b)
}

func (s *script) bytes(n int) []byte {
	n = min(n, len(s.data))
	b := s.data[:n]
	s.data = s.data[n:]
	return b
}

func (s *script) id() krpc.ID { return id(byte(s.byte()), s.byte()) }

func (s *script) addr() netip.AddrPort {
	switch n := s.byte(); {
	case n < 200:
		return host(n)
	case n < 240:
		return host6(n)
	case n < 250:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte{1, 2, 3, byte(n)}), uint16(s.byte()))
	}
	return netip.AddrPort{}
}

func (s *script) nodes() (list []krpc.Node) {
	for range s.byte() % 20 {
		list = append(list, krpc.Node{ID: s.id(), Addr: s.addr()})
	}
	return list
}

// message is one that krpc would write: a query, or an answer to what T has asked.
func (s *script) message() (netip.AddrPort, []byte) {
	m := krpc.Message{ID: s.id(), TID: []byte{byte(s.byte())}, Target: s.id(), Token: s.bytes(s.byte() % 12), Port: uint16(s.byte())}
	m.Nodes = s.nodes()
	m.Nodes6 = m.Nodes
	from := s.addr()
	if n := s.byte(); n < 128 || len(s.open) == 0 {
		m.Kind, m.Method = krpc.Query, krpc.Method(n%8)
		m.ReadOnly, m.Want6, m.ImpliedPort = n%3 == 0, n%5 == 0, n%2 == 0
	} else {
		i := s.byte() % len(s.open)
		q := s.open[i]
		from, m.TID, m.Kind = q.to, q.m.TID, krpc.Response
		m.IP = s.addr()
		for range s.byte() % 5 {
			m.Values = append(m.Values, s.addr())
		}
		if n > 250 {
			m.Kind, m.Code = krpc.Error, 201
		}
		if n%2 == 0 {
			m.Samples, m.HasSamples = []krpc.ID{s.id()}, true
		}
	}
	switch s.byte() % 4 {
	case 0:
		m.Item.Value = []byte("3:abc")
	case 1:
		m.Item, _ = signed(int64(s.byte()), "", "1:a")
	}
	return from, m.Append(nil)
}

func (s *script) event() Event {
	switch n := s.byte(); {
	case n < 150:
		from, b := s.message()
		return Event{Kind: Datagram, Addr: from, Data: b}
	case n < 200:
		return Event{Kind: Datagram, Addr: s.addr(), Data: s.bytes(s.byte() * 2)}
	case n < 230:
		it, _ := signed(int64(s.byte()), "", "1:a")
		return Event{Kind: Find + Kind(n%3), Op: Op(s.byte() % 8), Handle: uint64(s.byte() % 4), Target: s.id(), Paths: uint8(s.byte() % 12),
			Enough: s.byte() % 3, Item: &it, Port: uint16(s.byte()), CAS: 3, HasCAS: n%2 == 0}
	case n < 240:
		return Event{Kind: Bootstrap, Nodes: s.nodes()}
	case n < 245:
		return Event{Kind: Observed, Addr: s.addr()}
	}
	return Event{Kind: Wake}
}

// knows tells whether T has any reason to believe that the address is its sender's.
func (t *T) knows(a netip.AddrPort) bool {
	for _, p := range t.guard.proven {
		if p.addr == a.Addr() {
			return true
		}
	}
	for _, n := range t.Nodes() {
		if n.Addr == a {
			return true
		}
	}
	return false
}

// bounded checks everything that has a bound.
func (t *T) bounded(tb testing.TB) {
	for _, net := range t.nets {
		n := 0
		for i := range net.buckets {
			b := &net.buckets[i]
			n += len(b.nodes)
			if len(b.nodes) > t.cfg.K || len(b.cache) > t.cfg.K {
				tb.Fatalf("bucket %d holds %d nodes and %d contacts", i, len(b.nodes), len(b.cache))
			}
			for j := range b.nodes {
				if net.index(b.nodes[j].ID) != i || b.nodes[j].answered == 0 || !t.cfg.Allow(b.nodes[j].Addr) {
					tb.Fatalf("bucket %d holds %+v", i, b.nodes[j])
				}
			}
		}
		if n != net.size || len(net.buckets) > 160 {
			tb.Fatalf("%d nodes, counted as %d, in %d buckets", n, net.size, len(net.buckets))
		}
	}
	used := 0
	for i := range t.calls.list {
		if t.calls.list[i].used {
			used++
		}
	}
	if used != t.calls.used || used+len(t.calls.free) != len(t.calls.list) || used > maxCalls {
		tb.Fatalf("%d queries out, counted as %d, of %d", used, t.calls.used, len(t.calls.list))
	}
	for _, l := range t.active {
		for i := range l.paths {
			if p := &l.paths[i]; p.flight < 0 || p.flight > t.cfg.Alpha || len(p.list) > t.candidates()+t.cfg.Alpha {
				tb.Fatalf("a path has %d queries out and %d candidates", p.flight, len(p.list))
			}
		}
	}
	s := &t.store
	if len(s.swarms.list) > maxHashes || len(s.items.list) > maxItems || len(s.swarms.index) != len(s.swarms.list) ||
		len(t.checks) > maxChecks || len(t.guard.proven) > provenMost || len(t.guard.asking.list) > meterMost ||
		len(t.active) > maxActive || len(t.contacts) > maxContacts {
		tb.Fatal("over a bound")
	}
}

func run(tb testing.TB, data []byte) []byte {
	s := &script{data: data}
	n := s.byte()
	k := New(Config{ID: id(0x80, 1), IPv4: true, IPv6: n&1 != 0, Secure: n&2 != 0, Diversity: n&4 != 0, K: 1 + n>>4}, rand.New(rand.NewPCG(1, 2)))
	now := epoch
	var trace []byte
	for range 400 {
		if len(s.data) == 0 {
			break
		}
		e := s.event()
		known := k.knows(e.Addr)
		var out Effects
		k.Step(now, &Events{List: []Event{e}}, &out)
		told := 0
		for _, f := range out.List {
			if f.Kind != Send {
				continue
			}
			trace = append(trace, f.Data...)
			m, err := krpc.Parse(f.Data)
			if err != nil {
				tb.Fatalf("sends %q: %v", f.Data, err)
			}
			if m.Kind == krpc.Query {
				s.open = append(s.open, sent{to: f.Addr, m: m})
				s.open = s.open[max(0, len(s.open)-50):]
			} else if len(m.Item.Value) == 0 {
				told += len(f.Data) + header
			}
		}
		if e.Kind == Datagram && !known && !k.knows(e.Addr) && told > gain*(len(e.Data)+header) {
			tb.Fatalf("%d bytes for %d to an unproven address", told, len(e.Data)+header)
		}
		k.bounded(tb)
		now = now.Add(time.Duration(s.byte()) * time.Duration(s.byte()) * time.Millisecond)
	}
	return trace
}

// FuzzStep gives T any datagrams, answers that fit what it asked, and commands. It must keep its bounds, answer no
// unproven address with more than three times its question, and do the same again.
func FuzzStep(f *testing.F) {
	rng := rand.New(rand.NewPCG(9, 9))
	for range 20 {
		b := make([]byte, 300)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		f.Add(b)
	}
	f.Add([]byte("\x80\xa0\x10\x40d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if a, b := run(t, data), run(t, data); !bytes.Equal(a, b) {
			t.Fatal("the same events, other datagrams")
		}
	})
}

// BenchmarkFlood is one query of a flood: from one source, and from ever new ones.
func BenchmarkFlood(b *testing.B) {
	for _, many := range []bool{false, true} {
		name := map[bool]string{false: "one source", true: "new sources"}[many]
		b.Run(name, func(b *testing.B) {
			w := newBench(b, Config{Diversity: true, Secure: true})
			var all []krpc.Node
			for i := range 100 {
				all = append(all, some(byte(i*5), i+1))
			}
			w.meet(all...)
			q := krpc.Message{Kind: krpc.Query, TID: []byte("aa"), ID: id(3, 3), Method: krpc.GetPeers, Target: id(4, 4)}
			raw := q.Append(nil)
			in := Events{List: make([]Event, 1)}
			var out Effects
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				a := stranger
				if many {
					a = netip.AddrPortFrom(netip.AddrFrom4([4]byte{60, byte(i >> 16), byte(i >> 8), byte(i)}), 1)
				}
				in.List[0] = Event{Kind: Datagram, Addr: a, Data: raw}
				out.Reset()
				w.now = w.now.Add(20 * time.Microsecond)
				w.k.Step(w.now, &in, &out)
			}
		})
	}
}
