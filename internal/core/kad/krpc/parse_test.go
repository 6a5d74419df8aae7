package krpc

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"testing"

	"shoal/internal/core/bencode"
)

// str is a bencoded string.
func str(s string) string { return fmt.Sprintf("%d:%s", len(s), s) }

// ask is a query by idA, given the arguments before its id and after.
func ask(method, before, after string) string {
	return "d1:ad" + before + "2:id20:" + idA + after + "e1:q" + str(method) + "1:t2:aa1:y1:qe"
}

// tell is an answer of idA.
func tell(after string) string { return "d1:rd2:id20:" + idA + after + "e1:t2:aa1:y1:re" }

// full is the answer to a get_peers with n nodes and n peers, as libtorrent writes it.
func full(n int) string {
	var nodes, values strings.Builder
	for i := range n {
		id := ID{byte(i), 1, 2, 3, 19: 0xff}
		nodes.WriteString(string(id[:]) + string([]byte{11, byte(i), 2, 3, 0x1a, 0xe1}))
		values.WriteString(str(string([]byte{12, byte(i), 2, 3, 0x1a, 0xe1})))
	}
	return "d2:ip6:\x7c\x1f\x4b\x15\x1a\xe11:rd2:id20:" + idA + "5:nodes" + str(nodes.String()) + "5:token8:aoeusnth6:valuesl" + values.String() +
		"ee1:t2:aa1:v4:LT\x02\x081:y1:re"
}

// Each refusal with its reason, and what of the message is still known.
func TestRefused(t *testing.T) {
	target, hash, token := "6:target20:"+idM, "9:info_hash20:"+idM, "5:token2:tk"
	kvs := "1:k32:" + raw(key44) + "3:seqi1e3:sig64:" + raw(sig44)
	for _, c := range []struct {
		wire string
		kind Kind
		code int
		text string
	}{
		{"", 0, 203, "not a bencoded dictionary"},
		{"le", 0, 203, "not a bencoded dictionary"},
		{"d", 0, 203, "not a bencoded dictionary"},
		{"d1:t2:aa1:t2:aae", 0, 203, "not a bencoded dictionary"},
		{"d1:y1:qe", 0, 203, "no transaction id of at most 32 bytes"},
		{"d1:ti1e1:y1:qe", 0, 203, "no transaction id of at most 32 bytes"},
		{"d1:t33:" + strings.Repeat("t", 33) + "1:y1:qe", 0, 203, "no transaction id of at most 32 bytes"},
		{"d1:t2:aae", 0, 203, "neither query, answer nor error"},
		{"d1:t2:aa1:y2:qqe", 0, 203, "neither query, answer nor error"},
		{"d1:t2:aa1:yi1ee", 0, 203, "neither query, answer nor error"},
		{"d1:t2:aa1:y1:re", Response, 203, "an answer without r"},
		{"d1:rle1:t2:aa1:y1:re", Response, 203, "an answer without r"},
		{"d1:t2:aa1:y1:ee", Error, 203, "an error that is no list of a code and a text"},
		{"d1:ele1:t2:aa1:y1:ee", Error, 203, "an error that is no list of a code and a text"},
		{"d1:eli201ee1:t2:aa1:y1:ee", Error, 203, "an error that is no list of a code and a text"},
		{"d1:el1:x1:xe1:t2:aa1:y1:ee", Error, 203, "an error that is no list of a code and a text"},
		{"d1:eli201ei1ee1:t2:aa1:y1:ee", Error, 203, "an error that is no list of a code and a text"},
		{"d1:eli-2147483649e1:xe1:t2:aa1:y1:ee", Error, 203, "an error that is no list of a code and a text"},
		{"d1:eli2147483648e1:xe1:t2:aa1:y1:ee", Error, 203, "an error that is no list of a code and a text"},
		{"d1:e1:x1:t2:aa1:y1:ee", Error, 203, "an error that is no list of a code and a text"},
		{"d1:ade1:t2:aa1:y1:qe", Query, 203, "no method"},
		{"d1:ade1:qi1e1:t2:aa1:y1:qe", Query, 203, "no method"},
		{"d1:q4:ping1:t2:aa1:y1:qe", Query, 203, "no arguments"},
		{"d1:ale1:q4:ping1:t2:aa1:y1:qe", Query, 203, "no arguments"},
		{"d1:ade1:q4:ping2:ro1:11:t2:aa1:y1:qe", Query, 203, "bad ro"},
		{"d1:ade1:q4:ping1:t2:aa1:y1:qe", Query, 203, "no id"},
		{"d1:ad2:id19:bcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe", Query, 203, "bad id"},
		{"d1:ad2:id21:abcdefghij0123456789ae1:q4:ping1:t2:aa1:y1:qe", Query, 203, "bad id"},
		{"d1:ad2:idi1ee1:q4:ping1:t2:aa1:y1:qe", Query, 203, "bad id"},
		{"d1:ad2:idi1ee1:q4:vote1:t2:aa1:y1:qe", Query, 203, "bad id"},
		{ask("find_node", "", ""), Query, 203, "no target"},
		{ask("find_node", "", hash), Query, 203, "no target"},
		{ask("find_node", "", "6:target1:x"), Query, 203, "bad target"},
		{ask("find_node", "", target+"4:want2:n4"), Query, 203, "bad want"},
		{ask("find_node", "", target+"4:wantli4ee"), Query, 203, "bad want"},
		{ask("get_peers", "", target), Query, 203, "no info_hash"},
		{ask("announce_peer", "", hash+"4:porti1e"), Query, 203, "no token"},
		{ask("announce_peer", "", hash+"4:porti1e5:token0:"), Query, 203, "no token of 1 to 128 bytes"},
		{ask("announce_peer", "", hash+"4:porti1e5:token129:"+strings.Repeat("t", 129)), Query, 203, "no token of 1 to 128 bytes"},
		{ask("announce_peer", "", hash+"4:porti1e5:tokeni1e"), Query, 203, "no token of 1 to 128 bytes"},
		{ask("announce_peer", "", hash+"4:porti0e"+token), Query, 203, "no port from 1 to 65535"},
		{ask("announce_peer", "", hash+"4:porti-1e"+token), Query, 203, "no port from 1 to 65535"},
		{ask("announce_peer", "", hash+"4:porti65536e"+token), Query, 203, "no port from 1 to 65535"},
		{ask("announce_peer", "", hash+"4:porti9223372036854775807e"+token), Query, 203, "no port from 1 to 65535"},
		{ask("announce_peer", "", hash+token), Query, 203, "no port from 1 to 65535"},
		{ask("announce_peer", "", hash+"4:port2:80"+token), Query, 203, "no port from 1 to 65535"},
		{ask("announce_peer", "", "12:implied_port1:1"+hash+token), Query, 203, "bad implied_port"},
		{ask("get", "", "3:seq1:1"+target), Query, 203, "bad seq"},
		{ask("put", "", token), Query, 203, "no v"},
		{ask("put", "", "1:vle"), Query, 203, "no token"},
		{ask("put", "", "5:token0:1:vle"), Query, 203, "no token of 1 to 128 bytes"},
		{ask("put", "", token+"1:vd1:b0:1:a0:e"), Query, 203, "v is not canonical bencoding"},
		{ask("put", "", token+"1:v998:"+strings.Repeat("v", 998)), Query, 205, "v is over 1000 bytes"},
		{ask("put", "", "3:seqi1e"+token+"1:vle"), Query, 203, "k, seq, sig and v belong together"},
		{ask("put", "", "4:salt1:s"+token+"1:vle"), Query, 203, "k, seq, sig and v belong together"},
		{ask("put", "", "1:k32:"+raw(key44)+"3:seqi1e"+token+"1:vle"), Query, 203, "k, seq, sig and v belong together"},
		{ask("put", "", "3:seqi1e3:sig64:"+raw(sig44)+token+"1:vle"), Query, 203, "k, seq, sig and v belong together"},
		{ask("put", "", "1:k32:"+raw(key44)+"3:seqi-1e3:sig64:"+raw(sig44)+token+"1:vle"), Query, 203, "bad seq"},
		{ask("put", "", "1:k31:"+raw(key44)[1:]+token+"1:vle"), Query, 203, "bad k"},
		{ask("put", "", "3:sig1:x"+token+"1:vle"), Query, 203, "bad sig"},
		{ask("put", "", "4:salt65:"+strings.Repeat("s", 65)+token+"1:vle"), Query, 207, "salt is over 64 bytes"},
		{ask("put", "", "4:saltle"+token+"1:vle"), Query, 203, "bad salt"},
		{ask("put", "3:cas1:1", token+"1:vle"), Query, 203, "bad cas"},
		{ask("sample_infohashes", "", ""), Query, 203, "no target"},
		{"d1:rd5:nodes0:e1:t2:aa1:y1:re", Response, 203, "no id"},
		{tell("5:nodes25:" + strings.Repeat("n", 25)), Response, 203, "bad nodes"},
		{tell("5:nodesle"), Response, 203, "bad nodes"},
		{tell("6:nodes626:" + strings.Repeat("n", 26)), Response, 203, "bad nodes6"},
		{tell("6:values6:axje.u"), Response, 203, "bad values"},
		{tell("6:valuesl7:axje.uue"), Response, 203, "bad values"},
		{tell("6:valuesli1ee"), Response, 203, "bad values"},
		{tell("7:samples19:" + idM[1:]), Response, 203, "bad samples"},
		{tell("7:samplesi1e"), Response, 203, "bad samples"},
		{tell("8:intervali-1e7:samples0:"), Response, 203, "bad interval"},
		{tell("8:intervali21601e7:samples0:"), Response, 203, "bad interval"},
		{tell("3:numi-1e7:samples0:"), Response, 203, "bad num"},
		{tell("5:token129:" + strings.Repeat("t", 129)), Response, 203, "no token of 1 to 128 bytes"},
		{tell(kvs), Response, 203, "k, seq, sig and v belong together"},
		{tell("3:seqi1e1:vle"), Response, 203, "k, seq, sig and v belong together"},
		{tell("3:seqi-1e"), Response, 203, "bad seq"},
		{tell("1:vd1:b0:1:a0:e"), Response, 203, "v is not canonical bencoding"},
		{tell("1:v998:" + strings.Repeat("v", 998)), Response, 205, "v is over 1000 bytes"},
		{tell("1:x" + strings.Repeat("l", 31) + strings.Repeat("e", 31)), 0, 203, "not a bencoded dictionary"},
		{tell("1:xl" + strings.Repeat("le", 4096) + "e"), 0, 203, "not a bencoded dictionary"},
		{tell("1:x" + str(strings.Repeat("x", MaxDatagram))), 0, 203, "a datagram of more than 65,535 bytes"},
	} {
		m, err := Parse([]byte(c.wire))
		var f *Fault
		if !errors.As(err, &f) || f.Code != c.code || f.Text != c.text || m.Kind != c.kind || err.Error() != "krpc: "+c.text {
			t.Errorf("%.100s: %v of kind %d, want %d %s of kind %d", c.wire, err, m.Kind, c.code, c.text, c.kind)
		}
		if m.Kind != 0 && string(m.TID) != "aa" {
			t.Errorf("%.100s: transaction id %q", c.wire, m.TID)
		}
	}
}

// What is odd but clear is read, and written as it ought to be.
func TestTolerated(t *testing.T) {
	const ping = "d1:ad2:id20:" + idA + "e1:q4:ping1:t2:aa1:y1:qe"
	for _, c := range []struct{ in, out string }{
		{"d1:y1:q1:t2:aa1:q4:ping1:ad2:id20:" + idA + "ee", ping},                                      // keys out of order
		{"d1:ad2:id20:" + idA + "6:noseedi1e6:scrapei1e4:wanti4ee1:q4:ping1:t2:aa1:x1:x1:y1:qe", ping}, // keys that belong elsewhere
		{"d1:ad2:id20:" + idA + "e1:q4:ping1:t2:aa1:v6:client1:y1:qe", ping},
		{"d1:ad2:id20:" + idA + "e1:q4:ping1:t2:aa1:vi1e1:y1:qe", ping},
		{"d1:ad2:id20:" + idA + "e1:q4:ping2:roi0e1:t2:aa1:y1:qe", ping},
		{"d1:ad2:id20:" + idA + "e2:ip5:short1:q4:ping1:t2:aa1:y1:qe", ping},
		{"d1:rd2:id20:" + idA + "1:pi6881ee2:roi1e1:t2:aa1:y1:re", tell("")},
		{"d1:eli201e1:xi5ee1:rd2:id20:" + idA + "e1:t2:aa1:y1:ee", "d1:eli201e1:xe1:t2:aa1:y1:ee"}, // as libtorrent writes errors
		{"d1:eli201e" + str(strings.Repeat("x", 300)) + "e1:t2:aa1:y1:ee", "d1:eli201e" + str(strings.Repeat("x", 256)) + "e1:t2:aa1:y1:ee"},
		{ask("find_node", "", "6:target20:"+idM+"4:wantl2:n62:n52:n42:n6e"), ask("find_node", "", "6:target20:"+idM+"4:wantl2:n42:n6e")},
		{ask("announce_peer", "", "12:implied_porti7e9:info_hash20:"+idM+"5:token2:tk"), ask("announce_peer", "", "12:implied_porti1e9:info_hash20:"+idM+"4:porti0e5:token2:tk")},
		{ask("announce_peer", "", "12:implied_porti1e9:info_hash20:"+idM+"4:porti99999e5:token2:tk"), ask("announce_peer", "", "12:implied_porti1e9:info_hash20:"+idM+"4:porti0e5:token2:tk")},
		{ask("announce_peer", "", "12:implied_porti1e9:info_hash20:"+idM+"4:port2:805:token2:tk"), ask("announce_peer", "", "12:implied_porti1e9:info_hash20:"+idM+"4:porti0e5:token2:tk")}, // BEP 5: port is ignored
		{ask("put", "3:casi1e", "5:token2:tk1:vle"), ask("put", "", "5:token2:tk1:vle")},                                                                                                    // BEP 44: cas is for mutable items alone
		{tell("5:token0:"), tell("")},
		{tell("7:samples0:"), tell("8:intervali0e3:numi0e7:samples0:")},
		{ask("put", "", "1:k32:"+raw(key44)+"4:salt0:3:seqi1e3:sig64:"+raw(sig44)+"5:token2:tk1:vle"),
			ask("put", "", "1:k32:"+raw(key44)+"3:seqi1e3:sig64:"+raw(sig44)+"5:token2:tk1:vle")},
	} {
		m, err := Parse([]byte(c.in))
		if err != nil || string(m.Append(nil)) != c.out {
			t.Errorf("%q: %v, %q\nwant %q", c.in, err, m.Append(nil), c.out)
		}
	}
}

// A query of a method that we don't know is read for what every query may have, so that it can be answered as a
// find_node (as libtorrent does, for extensions to come) or with code 204.
func TestUnknownMethod(t *testing.T) {
	for wire, has := range map[string]bool{
		ask("vote", "", "6:target20:"+idM): true, ask("", "", "9:info_hash20:"+idM+"4:wantl2:n6e"): true, ask("vote", "", "1:v1:x"): false,
		"d1:ade1:q4:vote1:t2:aa1:y1:qe": false,
	} {
		m, err := Parse([]byte(wire))
		if err != nil || m.Kind != Query || m.Method != Unknown || m.HasTarget != has || has != (m.Target == ID([]byte(idM))) {
			t.Errorf("%q: %v, %+v", wire, err, m)
		}
		if out := m.Append(nil); len(out) != 0 {
			t.Errorf("%q: written as %q", wire, out)
		}
	}
}

// BEP 42's ip is known with a port and, from old programs, without.
func TestBEP42_IPForms(t *testing.T) {
	for in, want := range map[string]string{
		"\x01\x02\x03\x04\x1a\xe1": "1.2.3.4:6881", "\x01\x02\x03\x04": "1.2.3.4:0",
		strings.Repeat("\x20", 16) + "\x1a\xe1":                         "[2020:2020:2020:2020:2020:2020:2020:2020]:6881",
		strings.Repeat("\x00", 10) + "\xff\xff\x01\x02\x03\x04":         "1.2.3.4:0",
		strings.Repeat("\x00", 10) + "\xff\xff\x01\x02\x03\x04\x1a\xe1": "1.2.3.4:6881",
		"": "invalid AddrPort", "\x01\x02\x03\x04\x05": "invalid AddrPort",
	} {
		m, err := Parse([]byte("d2:ip" + str(in) + "1:rd2:id20:" + idA + "e1:t2:aa1:y1:re"))
		if err != nil || m.IP.String() != want {
			t.Errorf("%x: %v, %v, want %s", in, m.IP, err, want)
		}
	}
}

// Each count and length is taken up to its limit and refused beyond.
func TestLimits(t *testing.T) {
	list := func(n int) string { return "l" + strings.Repeat("6:axje.u", n) + "e" }
	for name, c := range map[string]struct {
		of    func(n int) string
		limit int
	}{
		"transaction id": {func(n int) string { return "d1:rd2:id20:" + idA + "e1:t" + str(strings.Repeat("t", n)) + "1:y1:re" }, MaxTID},
		"token":          {func(n int) string { return tell("5:token" + str(strings.Repeat("t", n))) }, MaxToken},
		"nodes":          {func(n int) string { return tell("5:nodes" + str(strings.Repeat("n", 26*n))) }, MaxNodes},
		"nodes6":         {func(n int) string { return tell("6:nodes6" + str(strings.Repeat("n", 38*n))) }, MaxNodes},
		"values":         {func(n int) string { return tell("6:values" + list(n)) }, MaxValues},
		"samples":        {func(n int) string { return tell("8:intervali0e3:numi0e7:samples" + str(strings.Repeat("s", 20*n))) }, MaxSamples},
		"interval":       {func(n int) string { return tell(fmt.Sprintf("8:intervali%de3:numi0e7:samples0:", n)) }, MaxInterval},
		"value":          {func(n int) string { return tell("1:v" + str(strings.Repeat("v", n-4))) }, MaxValue},
		"text":           {func(n int) string { return "d1:eli1e" + str(strings.Repeat("x", n)) + "e1:t2:aa1:y1:ee" }, MaxText},
	} {
		for _, n := range []int{c.limit, c.limit + 1} {
			m, err := Parse([]byte(c.of(n)))
			round := err == nil && string(m.Append(nil)) == c.of(n)
			if round != (n == c.limit) {
				t.Errorf("%s: %d: %v", name, n, err)
			}
		}
	}
	if wire := tell("1:x" + str(strings.Repeat("x", MaxDatagram-len(tell("1:x00000:"))))); len(wire) != MaxDatagram || checkRead(t, []byte(wire)) == nil {
		t.Errorf("a datagram of %d bytes is refused", len(wire))
	}
}

// Reading copies what the caller has set instead of writing into it.
func TestParseLeavesTheCallersSlices(t *testing.T) {
	nodes, token, values := []Node{nodeA}, []byte("mine"), addrs("1.2.3.4:5")
	m := dirty(t)
	m.Nodes, m.Token, m.TID, m.Values = nodes, token, token, values
	if err := m.Parse([]byte(full(3))); err != nil {
		t.Fatal(err)
	}
	if nodes[0] != nodeA || string(token) != "mine" || values[0] != netip.MustParseAddrPort("1.2.3.4:5") {
		t.Error("the caller's slices were written to")
	}
	_ = append(m.TID, "overwritten"...)
	if string(m.Token) != "aoeusnth" {
		t.Errorf("appending to one field writes into another: %q", m.Token)
	}
	if m.Reset(); !same(*m, Message{}) {
		t.Errorf("after Reset: %+v", m)
	}
}

// What has no form on the wire is left out, whatever the caller sets.
func TestAppendLeavesOut(t *testing.T) {
	mapped := netip.MustParseAddrPort("[::ffff:1.2.3.4]:5")
	m := Message{Kind: Response, TID: []byte("aa"), ID: ID([]byte(idA)),
		Nodes:  []Node{{Addr: netip.MustParseAddrPort("[2001:db8::1]:6881")}, {}, nodeA, {nodeA.ID, mapped}},
		Nodes6: []Node{nodeA, {}, {nodeA.ID, netip.MustParseAddrPort("[2001:db8::1]:6881")}},
		Values: []netip.AddrPort{{}, mapped}, Item: Item{Mutable: true}}
	got, err := Parse(m.Append(nil))
	want := Message{Kind: Response, TID: m.TID, ID: m.ID, HasNodes: true, HasNodes6: true, HasValues: true,
		Nodes: []Node{nodeA, {nodeA.ID, netip.MustParseAddrPort("1.2.3.4:5")}}, Nodes6: m.Nodes6[2:], Values: addrs("1.2.3.4:5")}
	if err != nil || !same(got, want) {
		t.Errorf("%+v, %v\nwant %+v", got, err, want)
	}
	m = Message{Kind: Query, Method: Put, Token: []byte("tk"), HasCAS: true, HasSeq: true, Item: Item{Value: []byte("le"), Salt: []byte("s")}}
	if got, err = Parse(m.Append(nil)); err != nil || got.HasCAS || got.HasSeq || got.Item.Salt != nil {
		t.Errorf("an immutable item with what only mutable ones have: %+v, %v", got, err)
	}
	for name, m := range map[string]Message{"zero": {}, "kind 4": {Kind: 4}, "no method": {Kind: Query}, "method 8": {Kind: Query, Method: 8},
		"put nothing": {Kind: Query, Method: Put, Token: []byte("tk")}} {
		if out := m.Append([]byte("x")); string(out) != "x" {
			t.Errorf("%s: %q", name, out)
		}
	}
}

// packets are what other programs sent; their version is at the head of each part.
func packets(t testing.TB) (list [][]byte) {
	t.Helper()
	f, err := os.Open("testdata/packets.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if strings.HasPrefix(s.Text(), "#") {
			continue
		}
		b, err := hex.DecodeString(s.Text())
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, b)
	}
	return list
}

// What libtorrent, aria2 and transmission send is read, and written again byte for byte, but for keys of their own.
func TestOthersPackets(t *testing.T) {
	kinds := map[Kind]int{}
	for _, wire := range packets(t) {
		m, err := Parse(wire)
		kinds[m.Kind]++
		if err != nil || !Looks(wire) {
			t.Errorf("%q: %v, looks %v", wire, err, Looks(wire))
			continue
		}
		doc, err := bencode.Parse(wire, bencode.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		e := bencode.NewEncoder(nil)
		e.Dict()
		for k, v := range doc.Pairs() {
			switch {
			case m.Kind == Error && string(k) == "r":
				continue
			case v.Kind() != bencode.Dict:
				e.Key(string(k))
				e.Raw(v.Raw())
				continue
			}
			e.Key(string(k))
			e.Dict()
			for k, v := range v.Pairs() {
				if string(k) != "p" && string(k) != "bs" { // the asker's port; "bootstrap"
					e.Key(string(k))
					e.Raw(v.Raw())
				}
			}
			e.End()
		}
		e.End()
		want, err := e.Bytes()
		if out := m.Append(nil); err != nil || !bytes.Equal(out, want) {
			t.Errorf("%q\nwritten as %q\nwant %q, %v", wire, out, want, err)
		}
		if m.Item.Value != nil && m.Item.Check() != nil {
			t.Errorf("%q: %v", wire, m.Item.Check())
		}
	}
	if kinds[Query] < 8 || kinds[Response] < 15 || kinds[Error] < 4 {
		t.Errorf("packets by kind: %v", kinds)
	}
}

// The first and last bytes tell a message from µTP (version 1 in the low half of the first byte, or type 4), QUIC (bits 0x40)
// and TLS; what others put first, ip before r, is a message too.
func TestLooks(t *testing.T) {
	for _, c := range golden {
		if !Looks([]byte(c.wire)) {
			t.Errorf("%s doesn't look like a message", c.name)
		}
	}
	if !Looks([]byte("d9:012345678le")) {
		t.Error("a longer key first doesn't look like a message")
	}
	for _, s := range []string{"", "d", "de", "d1:e", "d0:0:e", "di1e1:ae", "d1:ad2:id20:", "A\x02abcde", "\xc0\x00\x00\x00\x01e", "l1:ae", "d\x00\x01\x02\x03e"} {
		if Looks([]byte(s)) {
			t.Errorf("%q looks like a message", s)
		}
	}
}

func TestNames(t *testing.T) {
	for m := Unknown; m <= SampleInfohashes+1; m++ {
		if s := m.String(); (s == "unknown") != (m == Unknown || m > SampleInfohashes) {
			t.Errorf("%d: %s", m, s)
		}
	}
	if !reflect.DeepEqual(fieldOf([]byte("want")), fWant) || fieldOf([]byte("cas")) != fCAS || fieldOf([]byte("nodes7")) != 0 {
		t.Error("fields and their names are not in step")
	}
}
