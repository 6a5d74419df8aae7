package kad

import (
	"bytes"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"shoal/internal/core/kad/krpc"
)

var epoch = time.Unix(1_000_000, 0)

// host is address number i, each in its own /16.
func host(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{byte(11 + i/200), byte(1 + i%200), 7, 7}), 6881)
}

// host6 is the same in IPv6.
func host6(i int) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16([16]byte{0x24, byte(i >> 8), byte(i), 1, 15: 1}), 6881)
}

// id has the bits of a text of hex digits in front and n behind.
func id(front byte, n int) krpc.ID {
	return krpc.ID{0: front, 17: byte(n >> 16), 18: byte(n >> 8), 19: byte(n)}
}

// bench is one T with the test as its network.
type bench struct {
	t    testing.TB
	k    *T
	now  time.Time
	sent []sent                     // datagrams not yet looked at
	got  []Effect                   // other effects not yet looked at
	as   map[netip.AddrPort]krpc.ID // nodes that the test plays: they answer
	dead map[netip.AddrPort]bool    // they don't any more
	tell func(q *krpc.Message, a netip.AddrPort, r *krpc.Message)
	seen []krpc.Message // queries that nodes of the test were asked
	from []netip.AddrPort
}

type sent struct {
	to  netip.AddrPort
	raw []byte
	m   krpc.Message
}

func newBench(t testing.TB, cfg Config) *bench {
	if cfg.ID.IsZero() {
		cfg.ID = id(0x80, 1)
	}
	b := &bench{t: t, k: New(cfg, rand.New(rand.NewPCG(1, 2))), now: epoch, as: map[netip.AddrPort]krpc.ID{}, dead: map[netip.AddrPort]bool{}}
	b.step(Event{Kind: Wake})
	return b
}

// step gives T events and sorts the effects. Queries to nodes of the test are answered after 20 ms.
func (b *bench) step(list ...Event) {
	b.t.Helper()
	var out Effects
	b.k.Step(b.now, &Events{List: list}, &out)
	for _, f := range out.List {
		if f.Kind != Send {
			f.Addrs = slices.Clone(f.Addrs)
			b.got = append(b.got, f)
			continue
		}
		s := sent{to: f.Addr, raw: bytes.Clone(f.Data)}
		m, err := krpc.Parse(s.raw)
		if err != nil {
			b.t.Fatalf("sends %q: %v", s.raw, err)
		}
		s.m = m
		b.sent = append(b.sent, s)
	}
}

// play lets d pass: T is woken when it wants, and the test's nodes answer what they are asked.
func (b *bench) play(d time.Duration) {
	b.t.Helper()
	until := b.now.Add(d)
	for range 1_000_000 {
		if list := b.sent; len(list) > 0 {
			b.sent = nil
			b.now = b.now.Add(20 * time.Millisecond)
			for _, s := range list {
				b.reply(s)
			}
			continue
		}
		at := b.k.NextWake()
		if at.After(until) {
			b.now = until
			return
		}
		if at.After(b.now) {
			b.now = at
		} else {
			b.now = b.now.Add(time.Millisecond)
		}
		b.step(Event{Kind: Wake})
	}
	b.t.Fatal("T never rests")
}

// reply answers a query as the node at its address.
func (b *bench) reply(s sent) {
	b.t.Helper()
	me, ok := b.as[s.to]
	if !ok || b.dead[s.to] || s.m.Kind != krpc.Query {
		return
	}
	b.seen, b.from = append(b.seen, s.m), append(b.from, s.to)
	r := krpc.Message{Kind: krpc.Response, TID: s.m.TID, ID: me}
	if b.tell != nil {
		b.tell(&s.m, s.to, &r)
	}
	b.recv(s.to, &r)
}

// recv gives T a message.
func (b *bench) recv(from netip.AddrPort, m *krpc.Message) {
	b.t.Helper()
	b.step(Event{Kind: Datagram, Addr: from, Data: m.Append(nil)})
}

// ask sends T a query and returns its answer to it, nil if there is none.
func (b *bench) ask(from netip.AddrPort, m krpc.Message) *sent {
	b.t.Helper()
	m.Kind, m.TID = krpc.Query, []byte("aa")
	if m.ID.IsZero() {
		m.ID = id(0x33, int(from.Port()))
	}
	b.recv(from, &m)
	for i, s := range b.sent {
		if s.to == from && s.m.Kind != krpc.Query && string(s.m.TID) == "aa" {
			b.sent = slices.Delete(b.sent, i, i+1)
			return &s
		}
	}
	return nil
}

// meet has T know nodes of the test, and waits until it has asked them.
func (b *bench) meet(list ...krpc.Node) {
	b.t.Helper()
	for _, n := range list {
		b.as[n.Addr] = n.ID
	}
	b.step(Event{Kind: Bootstrap, Nodes: list})
	b.play(time.Second + time.Duration(len(list))*checkGap)
	b.seen, b.from = nil, nil
}

// find runs a search to its end and returns its effects, Done last.
func (b *bench) find(e Event) []Effect {
	b.t.Helper()
	e.Kind, e.Handle = Find, 99
	b.got = nil
	b.step(e)
	for range 600 {
		if n := len(b.got); n > 0 && b.got[n-1].Kind == Done {
			return b.got
		}
		b.play(100 * time.Millisecond)
	}
	b.t.Fatal("the search does not end")
	return nil
}

func (b *bench) has(n krpc.Node) bool { return slices.Contains(b.k.Nodes(), n) }

// node is the test's node number i with an id that begins so.
func some(front byte, i int) krpc.Node { return krpc.Node{ID: id(front, i), Addr: host(i)} }

func (b *bench) must(ok bool, format string, args ...any) {
	b.t.Helper()
	if !ok {
		b.t.Errorf(format, args...)
	}
}
