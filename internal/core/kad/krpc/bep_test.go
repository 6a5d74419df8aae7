package krpc

import (
	"bytes"
	"crypto/ed25519"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	idA = "abcdefghij0123456789" // the ids of BEP 5's examples
	idM = "mnopqrstuvwxyz123456"
	id0 = "0123456789abcdefghij"
)

var nodeA = Node{ID([]byte("def456def456def456de")), netip.MustParseAddrPort("102.52.1.2:798")}

// golden are messages as they are on the wire, with what they mean. Of BEP 5 every example is here, but that "def456..."
// stands for a node in it (see TestBEP5_Placeholder); the other BEPs show no bytes, so theirs follow their forms.
var golden = []struct {
	name, wire string
	want       Message
}{
	{"BEP5_Error", "d1:eli201e23:A Generic Error Ocurrede1:t2:aa1:y1:ee",
		Message{Kind: Error, TID: []byte("aa"), Code: CodeGeneric, Text: "A Generic Error Ocurred"}},
	{"BEP5_Ping", "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe",
		Message{Kind: Query, Method: Ping, TID: []byte("aa"), ID: ID([]byte(idA))}},
	{"BEP5_Pong", "d1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re",
		Message{Kind: Response, TID: []byte("aa"), ID: ID([]byte(idM))}},
	{"BEP5_FindNode", "d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e1:q9:find_node1:t2:aa1:y1:qe",
		Message{Kind: Query, Method: FindNode, TID: []byte("aa"), ID: ID([]byte(idA)), Target: ID([]byte(idM)), HasTarget: true}},
	{"BEP5_FoundNode", "d1:rd2:id20:0123456789abcdefghij5:nodes26:def456def456def456def4\x01\x02\x03\x1ee1:t2:aa1:y1:re",
		Message{Kind: Response, TID: []byte("aa"), ID: ID([]byte(id0)), Nodes: []Node{nodeA}, HasNodes: true}},
	{"BEP5_GetPeers", "d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e1:q9:get_peers1:t2:aa1:y1:qe",
		Message{Kind: Query, Method: GetPeers, TID: []byte("aa"), ID: ID([]byte(idA)), Target: ID([]byte(idM)), HasTarget: true}},
	{"BEP5_Peers", "d1:rd2:id20:abcdefghij01234567895:token8:aoeusnth6:valuesl6:axje.u6:idhtnmee1:t2:aa1:y1:re",
		Message{Kind: Response, TID: []byte("aa"), ID: ID([]byte(idA)), Token: []byte("aoeusnth"), HasValues: true,
			Values: addrs("97.120.106.101:11893", "105.100.104.116:28269")}},
	{"BEP5_Closest", "d1:rd2:id20:abcdefghij01234567895:nodes26:def456def456def456def4\x01\x02\x03\x1e5:token8:aoeusnthe1:t2:aa1:y1:re",
		Message{Kind: Response, TID: []byte("aa"), ID: ID([]byte(idA)), Token: []byte("aoeusnth"), Nodes: []Node{nodeA}, HasNodes: true}},
	{"BEP5_Announce", "d1:ad2:id20:abcdefghij012345678912:implied_porti1e9:info_hash20:mnopqrstuvwxyz1234564:porti6881e5:token8:aoeusnthe1:q13:announce_peer1:t2:aa1:y1:qe",
		Message{Kind: Query, Method: AnnouncePeer, TID: []byte("aa"), ID: ID([]byte(idA)), Target: ID([]byte(idM)), HasTarget: true,
			ImpliedPort: true, Port: 6881, Token: []byte("aoeusnth")}},
	{"BEP32_Want", "d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz1234564:wantl2:n42:n6ee1:q9:find_node1:t2:aa1:y1:qe",
		Message{Kind: Query, Method: FindNode, TID: []byte("aa"), ID: ID([]byte(idA)), Target: ID([]byte(idM)), HasTarget: true, Want4: true, Want6: true}},
	{"BEP32_Nodes6", "d1:rd2:id20:0123456789abcdefghij5:nodes0:6:nodes638:def456def456def456de\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x1a\xe1e1:t2:aa1:y1:re",
		Message{Kind: Response, TID: []byte("aa"), ID: ID([]byte(id0)), Nodes: []Node{}, HasNodes: true, HasNodes6: true,
			Nodes6: []Node{{nodeA.ID, netip.MustParseAddrPort("[2001:db8::1]:6881")}}}},
	{"BEP32_Hybrid", "d1:rd2:id20:abcdefghij01234567896:valuesl18:\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x1a\xe16:axje.uee1:t2:aa1:y1:re",
		Message{Kind: Response, TID: []byte("aa"), ID: ID([]byte(idA)), HasValues: true, Values: addrs("[2001:db8::1]:6881", "97.120.106.101:11893")}},
	{"BEP42_IP", "d2:ip6:\x7c\x1f\x4b\x15\x1a\xe11:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:v4:LT\x01\x021:y1:re",
		Message{Kind: Response, TID: []byte("aa"), ID: ID([]byte(idM)), IP: netip.MustParseAddrPort("124.31.75.21:6881"), Version: [4]byte{'L', 'T', 1, 2}}},
	{"BEP42_ErrorIP", "d1:eli203e10:invalid ide2:ip18:\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x1a\xe11:t0:1:y1:ee",
		Message{Kind: Error, TID: []byte{}, IP: netip.MustParseAddrPort("[2001:db8::1]:6881"), Code: CodeProtocol, Text: "invalid id"}},
	{"BEP43_ReadOnly", "d1:ad2:id20:abcdefghij0123456789e1:q4:ping2:roi1e1:t2:aa1:y1:qe",
		Message{Kind: Query, Method: Ping, TID: []byte("aa"), ID: ID([]byte(idA)), ReadOnly: true}},
	{"BEP44_Get", "d1:ad2:id20:abcdefghij01234567893:seqi-1e6:target20:mnopqrstuvwxyz123456e1:q3:get1:t2:aa1:y1:qe",
		Message{Kind: Query, Method: Get, TID: []byte("aa"), ID: ID([]byte(idA)), Target: ID([]byte(idM)), HasTarget: true, HasSeq: true, Item: Item{Seq: -1}}},
	{"BEP44_Immutable", "d1:rd2:id20:abcdefghij01234567895:nodes0:6:nodes60:5:token8:aoeusnth1:v12:Hello World!e1:t2:aa1:y1:re",
		Message{Kind: Response, TID: []byte("aa"), ID: ID([]byte(idA)), Nodes: []Node{}, Nodes6: []Node{}, HasNodes: true, HasNodes6: true,
			Token: []byte("aoeusnth"), Item: Item{Value: []byte("12:Hello World!")}}},
	{"BEP44_NothingNewer", "d1:rd2:id20:abcdefghij01234567893:seqi4e5:token8:aoeusnthe1:t2:aa1:y1:re",
		Message{Kind: Response, TID: []byte("aa"), ID: ID([]byte(idA)), Token: []byte("aoeusnth"), HasSeq: true, Item: Item{Seq: 4}}},
	{"BEP44_PutImmutable", "d1:ad2:id20:abcdefghij01234567895:token8:aoeusnth1:vd1:ali1e0:ee" + "e1:q3:put1:t2:aa1:y1:qe",
		Message{Kind: Query, Method: Put, TID: []byte("aa"), ID: ID([]byte(idA)), Token: []byte("aoeusnth"), Item: Item{Value: []byte("d1:ali1e0:ee")}}},
	{"BEP44_PutMutable", "d1:ad3:casi1e2:id20:abcdefghij01234567891:k32:" + raw(key44) + "4:salt6:foobar3:seqi1e3:sig64:" + raw(sig44Salt) +
		"5:token8:aoeusnth1:v12:Hello World!e1:q3:put1:t2:aa1:y1:qe",
		Message{Kind: Query, Method: Put, TID: []byte("aa"), ID: ID([]byte(idA)), Token: []byte("aoeusnth"), HasSeq: true, HasCAS: true, CAS: 1, Item: vector2}},
	{"BEP44_Mutable", "d1:rd2:id20:abcdefghij01234567891:k32:" + raw(key44) + "3:seqi1e3:sig64:" + raw(sig44) + "5:token8:aoeusnth1:v12:Hello World!e1:t2:aa1:y1:re",
		Message{Kind: Response, TID: []byte("aa"), ID: ID([]byte(idA)), Token: []byte("aoeusnth"), HasSeq: true, Item: vector1}},
	{"BEP51_Sample", "d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e1:q17:sample_infohashes1:t2:aa1:y1:qe",
		Message{Kind: Query, Method: SampleInfohashes, TID: []byte("aa"), ID: ID([]byte(idA)), Target: ID([]byte(idM)), HasTarget: true}},
	{"BEP51_Samples", "d1:rd2:id20:abcdefghij01234567898:intervali21600e5:nodes0:3:numi7e7:samples40:mnopqrstuvwxyz1234560123456789abcdefghije1:t2:aa1:y1:re",
		Message{Kind: Response, TID: []byte("aa"), ID: ID([]byte(idA)), Nodes: []Node{}, HasNodes: true, Interval: 21600, Num: 7,
			Samples: []ID{ID([]byte(idM)), ID([]byte(id0))}, HasSamples: true}},
	{"BEP51_NoSamples", "d1:rd2:id20:abcdefghij01234567898:intervali0e3:numi0e7:samples0:e1:t2:aa1:y1:re",
		Message{Kind: Response, TID: []byte("aa"), ID: ID([]byte(idA)), Samples: []ID{}, HasSamples: true}},
}

// The vectors of BEP 44.
const (
	key44     = "77ff84905a91936367c01360803104f92432fcd904a43511876df5cdf3e7e548"
	sig44     = "305ac8aeb6c9c151fa120f120ea2cfb923564e11552d06a5d856091e5e853cff1260d3f39e4999684aa92eb73ffd136e6f4f3ecbfda0ce53a1608ecd7ae21f01"
	sig44Salt = "6834284b6b24c3204eb2fea824d82f88883a3d95e8b4a21b8c0ded553d17d17ddf9a8a7104b1258f30bed3787e6cb896fca78c58f8e03b5f18f14951a87d9a08"
)

var (
	vector1 = Item{Mutable: true, Key: [32]byte([]byte(raw(key44))), Seq: 1, Sig: [64]byte([]byte(raw(sig44))), Value: []byte("12:Hello World!")}
	vector2 = Item{Mutable: true, Key: vector1.Key, Salt: []byte("foobar"), Seq: 1, Sig: [64]byte([]byte(raw(sig44Salt))), Value: vector1.Value}
)

func raw(s string) string {
	b, err := hex.DecodeString(s)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func addrs(list ...string) (out []netip.AddrPort) {
	for _, s := range list {
		out = append(out, netip.MustParseAddrPort(s))
	}
	return out
}

// same compares two messages as a caller sees them; by hand, because tests do it a hundred thousand times.
func same(a, b Message) bool {
	rest := func(m *Message) [26]any {
		return [...]any{m.Kind, m.Method, m.ID, m.Version, m.ReadOnly, m.IP, m.Target, m.HasTarget, m.Want4, m.Want6, m.Port, m.ImpliedPort,
			m.CAS, m.HasCAS, m.Interval, m.Num, m.HasNodes, m.HasNodes6, m.HasValues, m.HasSamples, m.Code, m.Text,
			m.Item.Mutable, m.Item.Seq, m.HasSeq, m.Item.Key == b.Item.Key && m.Item.Sig == b.Item.Sig}
	}
	return rest(&a) == rest(&b) && bytes.Equal(a.TID, b.TID) && bytes.Equal(a.Token, b.Token) && bytes.Equal(a.Item.Salt, b.Item.Salt) &&
		bytes.Equal(a.Item.Value, b.Item.Value) && slices.Equal(a.Nodes, b.Nodes) && slices.Equal(a.Nodes6, b.Nodes6) &&
		slices.Equal(a.Values, b.Values) && slices.Equal(a.Samples, b.Samples)
}

// same must know every field.
func TestSame(t *testing.T) {
	if n, k := reflect.TypeFor[Message]().NumField(), reflect.TypeFor[Item]().NumField(); n != 31 || k != 6 {
		t.Errorf("Message has %d fields and Item %d: bring same up to date", n, k)
	}
}

// dirty is a message whose memory and fields are full of something else.
func dirty(t testing.TB) *Message {
	t.Helper()
	var m Message
	if err := m.Parse([]byte(full(8))); err != nil {
		t.Fatal(err)
	}
	return &m
}

func TestGolden(t *testing.T) {
	reused := dirty(t)
	for _, c := range golden {
		t.Run(c.name, func(t *testing.T) {
			wire := []byte(c.wire)
			m, err := Parse(wire)
			if err != nil || !same(m, c.want) {
				t.Fatalf("read as %+v, %v\nwant %+v", m, err, c.want)
			}
			if out := m.Append([]byte("before")); string(out) != "before"+c.wire {
				t.Errorf("written as %q\nwant %q", out, c.wire)
			}
			if out := c.want.Append(nil); string(out) != c.wire {
				t.Errorf("a message that was not read is written as %q\nwant %q", out, c.wire)
			}
			if err := reused.Parse(wire); err != nil || !same(*reused, c.want) {
				t.Errorf("read into a used message: %+v, %v", reused, err)
			}
			for i := range wire {
				wire[i] = 0xff
			}
			if !same(m, c.want) || !same(*reused, c.want) {
				t.Error("a message shares memory with the datagram")
			}
		})
	}
}

// Cut at every byte, or followed by anything, nothing is a message; and no byte that is changed makes a panic.
func TestDamaged(t *testing.T) {
	for _, c := range golden {
		for n := range c.wire {
			if m, err := Parse([]byte(c.wire)[:n:n]); err == nil {
				t.Errorf("%s, %d bytes of %d: %+v", c.name, n, len(c.wire), m)
			}
		}
		for _, tail := range []string{"\n", "\x00", "e", "de", c.wire} {
			if _, err := Parse([]byte(c.wire + tail)); err == nil {
				t.Errorf("%s and %q after it: read", c.name, tail)
			}
		}
		for n := range c.wire {
			for _, x := range []byte{0, '9', 'd', 'e'} {
				b := []byte(c.wire)
				b[n] = x
				checkRead(t, b)
			}
		}
	}
}

// BEP 5 prints "def456..." where 26 bytes for each node belong. Taken at its word that is nine bytes, and refused.
func TestBEP5_Placeholder(t *testing.T) {
	for _, wire := range []string{
		"d1:rd2:id20:0123456789abcdefghij5:nodes9:def456...e1:t2:aa1:y1:re",
		"d1:rd2:id20:abcdefghij01234567895:nodes9:def456...5:token8:aoeusnthe1:t2:aa1:y1:re",
	} {
		m, err := Parse([]byte(wire))
		if f := (*Fault)(nil); !errors.As(err, &f) || f.Text != "bad nodes" || m.Kind != Response || string(m.TID) != "aa" {
			t.Errorf("%s: %v, %+v", wire, err, m)
		}
	}
}

// BEP 32, "values": lists may mix families, and entries that can be nobody's address are left out.
func TestBEP32_NobodysAddress(t *testing.T) {
	m, err := Parse([]byte("d1:rd2:id20:abcdefghij01234567895:nodes78:" + idA + "\x00\x00\x00\x00\x1a\xe1" + idM + "\x05\x06\x07\x08\x1a\xe1" + id0 +
		"\x05\x06\x07\x08\x00\x006:nodes638:" + idM + strings.Repeat("\x00", 10) + "\xff\xff\x05\x06\x07\x08\x1a\xe1" +
		"6:valuesl6:\xe0\x00\x00\x01\x1a\xe16:axje.u18:" + strings.Repeat("\x00", 16) + "\x1a\xe1ee1:t2:aa1:y1:re"))
	if err != nil || len(m.Nodes) != 1 || m.Nodes[0].ID != ID([]byte(idM)) || !m.HasNodes6 || len(m.Nodes6) != 0 ||
		!reflect.DeepEqual(m.Values, addrs("97.120.106.101:11893")) {
		t.Errorf("%v: %+v", err, m)
	}
}

// BEP 42, "test vectors".
func TestBEP42_Vectors(t *testing.T) {
	for _, c := range []struct {
		ip, id string
		rand   byte
	}{
		{"124.31.75.21", "5fbfbff10c5d6a4ec8a88e4c6ab4c28b95eee401", 1},
		{"21.75.31.124", "5a3ce9c14e7a08645677bbd1cfe7d8f956d53256", 86},
		{"65.23.51.170", "a5d43220bc8f112a3d426c84764f8c2a1150e616", 22},
		{"84.124.73.14", "1b0321dd1bb1fe518101ceef99462b947a01ff41", 65},
		{"43.213.53.83", "e56f6cbf5b7c4be0237986d5243b87aa6d51305a", 90},
	} {
		ip, id := netip.MustParseAddr(c.ip), ID([]byte(raw(c.id)))
		if id[19] != c.rand || !ValidID(id, ip) || !ValidID(id, netip.AddrFrom16(ip.As16())) {
			t.Errorf("%s may not have %v", c.ip, id)
		}
		random := id
		random[0], random[1], random[2] = 0x55, 0xaa, id[2]&7|0xa8 // what the address decides, spoilt
		if got := MakeID(ip, random); got != id {
			t.Errorf("%s, rand %d: %v, want %v", c.ip, c.rand, got, id)
		}
		for bit := range 21 {
			x := id
			x[bit/8] ^= 0x80 >> (bit % 8)
			if ValidID(x, ip) {
				t.Errorf("%s may have an id with bit %d wrong", c.ip, bit)
			}
		}
		free := id
		free[2] ^= 7
		free[10] ^= 0xff
		free[19] ^= 0xf8
		if !ValidID(free, ip) {
			t.Errorf("%s may not choose its free bits", c.ip)
		}
	}
}

// BEP 42's expression for IPv6, of which it gives no vector, calculated as it is written there.
func TestBEP42_IPv6(t *testing.T) {
	rng := rand.New(rand.NewPCG(42, 6))
	for range 1000 {
		var a [16]byte
		var random ID
		for i := range a {
			a[i] = byte(rng.Uint32())
		}
		for i := range random {
			random[i] = byte(rng.Uint32())
		}
		a[0] = 0x20 // a global address
		ip, r := netip.AddrFrom16(a), uint64(random[19]&7)
		var high uint64
		for _, b := range a[:8] {
			high = high<<8 | uint64(b)
		}
		x := high&0x0103070f1f3f7fff | r<<61
		var be [8]byte
		for i := range be {
			be[i] = byte(x >> (56 - 8*i))
		}
		sum := crc32.Checksum(be[:], crc32.MakeTable(crc32.Castagnoli))
		id := MakeID(ip, random)
		if got := uint32(id[0])<<24 | uint32(id[1])<<16 | uint32(id[2])<<8; (got^sum)>>11 != 0 {
			t.Fatalf("%v: %v, want 21 bits of %08x", ip, id, sum)
		}
		if id[2]&7 != random[2]&7 || !bytes.Equal(id[3:], random[3:]) || !ValidID(id, ip) {
			t.Fatalf("%v: %v of %v", ip, id, random)
		}
	}
}

// BEP 42, "Enforcement": local addresses are exempt.
func TestBEP42_Local(t *testing.T) {
	for addr, local := range map[string]bool{
		"10.1.2.3": true, "172.16.0.1": true, "172.31.255.255": true, "192.168.1.1": true, "169.254.1.1": true, "127.0.0.1": true,
		"::1": true, "fe80::1": true, "fd73:686f:616c::1": true, "::ffff:10.1.2.3": true,
		"172.32.0.1": false, "11.0.0.1": false, "8.8.8.8": false, "2001:db8::1": false, "::ffff:8.8.8.8": false,
	} {
		ip := netip.MustParseAddr(addr)
		wrong := MakeID(ip, ID{19: 3})
		wrong[0] ^= 0x80
		if ValidID(wrong, ip) != local {
			t.Errorf("%s: exempt %v", addr, !local)
		}
	}
	if ValidID(ID{}, netip.Addr{}) {
		t.Error("no address may have an id")
	}
}

// BEP 44, "Test vectors".
func TestBEP44_Vectors(t *testing.T) {
	for _, c := range []struct {
		item           Item
		signed, target string
	}{
		{vector1, "3:seqi1e1:v12:Hello World!", "4a533d47ec9c7d95b1ad75f576cffc641853b750"},
		{vector2, "4:salt6:foobar3:seqi1e1:v12:Hello World!", "411eba73b6f087ca51a3795d9c8c938d365e32c1"},
		{Item{Value: vector1.Value}, "", "e5f96f6f38320f0f33959cb4d3d656452117aadb"},
	} {
		if got := c.item.Target().String(); got != c.target {
			t.Errorf("target %s, want %s", got, c.target)
		}
		if err := c.item.Check(); err != nil {
			t.Errorf("%s: %v", c.target, err)
		}
		if !c.item.Mutable {
			continue
		}
		if got := SignedBytes(c.item.Seq, c.item.Salt, c.item.Value); string(got) != c.signed {
			t.Errorf("signed %q, want %q", got, c.signed)
		}
		for name, spoil := range map[string]func(*Item){
			"seq": func(it *Item) { it.Seq++ }, "salt": func(it *Item) { it.Salt = append([]byte("x"), it.Salt...) },
			"value": func(it *Item) { it.Value = []byte("12:Hello world!") },
			"key":   func(it *Item) { it.Key[0] ^= 1 }, "sig": func(it *Item) { it.Sig[0] ^= 1 }, "sig's end": func(it *Item) { it.Sig[63] ^= 0x80 },
		} {
			it := c.item
			if spoil(&it); it.Check() != error(faultSignature) {
				t.Errorf("another %s: %v", name, it.Check())
			}
		}
	}
}

func TestBEP44_Sign(t *testing.T) {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	it := Item{Salt: []byte("shoal/addr"), Seq: 7, Value: []byte("le")}
	it.Sign(key)
	if err := it.Check(); err != nil || !it.Mutable || !bytes.Equal(it.Key[:], key.Public().(ed25519.PublicKey)) {
		t.Errorf("%v: %+v", err, it)
	}
}

// BEP 44: limits of items, each with the code to answer with.
func TestBEP44_Check(t *testing.T) {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	str := func(n int) []byte { return []byte(strconv.Itoa(n-4) + ":" + strings.Repeat("x", n-4)) }
	for name, c := range map[string]struct {
		item Item
		code int
	}{
		"1000 bytes":     {Item{Value: str(1000)}, 0},
		"1001 bytes":     {Item{Value: str(1001)}, CodeValueSize},
		"nothing":        {Item{}, CodeProtocol},
		"two values":     {Item{Value: []byte("lele")}, CodeProtocol},
		"unsorted":       {Item{Value: []byte("d1:b0:1:a0:e")}, CodeProtocol},
		"depth 30":       {Item{Value: []byte(strings.Repeat("l", 30) + strings.Repeat("e", 30))}, 0},
		"depth 31":       {Item{Value: []byte(strings.Repeat("l", 31) + strings.Repeat("e", 31))}, CodeProtocol},
		"salt of 64":     {Item{Value: []byte("le"), Mutable: true, Salt: make([]byte, 64)}, 0},
		"salt of 65":     {Item{Value: []byte("le"), Mutable: true, Salt: make([]byte, 65)}, CodeSaltSize},
		"seq 0":          {Item{Value: []byte("le"), Mutable: true}, 0},
		"seq below 0":    {Item{Value: []byte("le"), Mutable: true, Seq: -1}, CodeProtocol},
		"the zero value": {Item{Value: []byte("i0e")}, 0},
	} {
		if c.item.Mutable {
			c.item.Sign(key)
		}
		var f *Fault
		if err := c.item.Check(); (err == nil) != (c.code == 0) || err != nil && (!errors.As(err, &f) || f.Code != c.code) {
			t.Errorf("%s: %v, want code %d", name, err, c.code)
		}
	}
}
