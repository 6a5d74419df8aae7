package krpc

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"shoal/internal/core/bencode"
)

// checkRead parses b and holds the message, if it is one, against every promise of the package.
func checkRead(t *testing.T, b []byte) *Message {
	t.Helper()
	before := bytes.Clone(b)
	m, err := Parse(b)
	reused := dirty(t)
	if again := reused.Parse(b); again != err {
		t.Fatalf("%q: %v, but %v in a used message", b, err, again)
	}
	if !bytes.Equal(b, before) {
		t.Fatalf("%q was changed", before)
	}
	if err != nil {
		if f := (*Fault)(nil); !errors.As(err, &f) || f.Code < CodeProtocol || f.Code > CodeSaltSize || len(f.Text) > 60 {
			t.Fatalf("%q: %v", b, err)
		}
		return nil
	}
	if !same(m, *reused) {
		t.Fatalf("%q: in a used message\n%+v, else\n%+v", b, reused, m)
	}
	if len(m.TID) > MaxTID || len(m.Token) > MaxToken || len(m.Nodes) > MaxNodes || len(m.Nodes6) > MaxNodes || len(m.Values) > MaxValues ||
		len(m.Samples) > MaxSamples || len(m.Item.Value) > MaxValue || len(m.Item.Salt) > MaxSalt || len(m.Text) > MaxText {
		t.Fatalf("%q: over the limits: %+v", b, m)
	}
	out := m.Append(nil)
	if m.Kind == Query && m.Method == Unknown {
		if len(out) != 0 {
			t.Fatalf("%q: written as %q", b, out)
		}
		return &m
	}
	if v, err := bencode.Parse(out, bencode.Limits{}); err != nil || !v.Canonical() {
		t.Fatalf("%q: written as %q, which is not canonical", b, out)
	}
	if plain(b) != bytes.Equal(out, b) {
		t.Fatalf("%q: plain %v, but written as %q", b, plain(b), out)
	}
	again, err := Parse(out)
	if err != nil || !bytes.Equal(again.Append(nil), out) {
		t.Fatalf("%q: written as %q, which reads as %+v, %v", b, out, again, err)
	}
	if !same(m, again) {
		t.Fatalf("%q: %+v, written and read %+v", b, m, again)
	}
	return &m
}

// plain tells, by other means than the package, whether a message that is accepted says nothing but what the BEPs
// define, in the one form that is canonical: then writing it must give the same bytes.
func plain(b []byte) bool {
	doc, err := bencode.Parse(b, bencode.Limits{})
	if err != nil || !doc.Canonical() {
		return false
	}
	text := func(v bencode.Value) string { b, _ := v.Bytes(); return string(b) }
	num := func(v bencode.Value) int64 { n, _ := v.Int(); return n }
	top := map[string]string{"q": "a ip q ro t v y", "r": "ip r t v y", "e": "e ip t v y"}[text(doc.Get("y"))]
	for k, v := range doc.Pairs() {
		ok := slices.Contains(strings.Fields(top), string(k))
		switch string(k) {
		case "ip":
			ip, isIP := netip.AddrFromSlice([]byte(text(v))[:max(0, len(text(v))-2)])
			ok = ok && isIP && !ip.Is4In6()
		case "v":
			ok = ok && len(text(v)) == 4 && text(v) != "\x00\x00\x00\x00"
		case "ro":
			ok = ok && num(v) == 1
		case "e":
			for i, x := range slices.Collect(v.Items()) {
				ok = ok && i < 2 && len(text(x)) <= 256
			}
		}
		if !ok {
			return false
		}
	}
	if text(doc.Get("y")) == "e" {
		return true
	}
	known, body := "id interval k nodes nodes6 num samples seq sig token v values", doc.Get("r")
	if text(doc.Get("y")) == "q" {
		body = doc.Get("a")
		known = map[string]string{"ping": "id", "find_node": "id target want", "get_peers": "id info_hash want",
			"announce_peer": "id implied_port info_hash port token", "get": "id seq target want",
			"put": "cas id k salt seq sig token v", "sample_infohashes": "id target want"}[text(doc.Get("q"))]
		if text(doc.Get("q")) == "announce_peer" && body.Get("port").Kind() != bencode.Int {
			return false
		}
		if body.Get("k").Kind() == bencode.Invalid && body.Get("cas").Kind() != bencode.Invalid {
			return false
		}
	}
	for k, v := range body.Pairs() {
		if !slices.Contains(strings.Fields(known), string(k)) || !plainField(string(k), v) {
			return false
		}
	}
	sampled := 0
	for _, k := range []string{"interval", "num", "samples"} {
		if body.Get(k).Kind() != bencode.Invalid {
			sampled++
		}
	}
	return sampled == 0 || sampled == 3
}

// plainField tells whether a field is in the one form it is written in.
func plainField(key string, v bencode.Value) bool {
	b, _ := v.Bytes()
	n, _ := v.Int()
	somebody := func(b []byte) bool {
		ip, ok := netip.AddrFromSlice(b[:len(b)-2])
		return ok && binary.BigEndian.Uint16(b[len(b)-2:]) != 0 && !ip.IsUnspecified() && !ip.IsMulticast() && !ip.Is4In6()
	}
	switch key {
	case "token", "salt":
		return len(b) > 0
	case "implied_port":
		return n == 1
	case "port":
		return n >= 0 && n < 1<<16
	case "want":
		return slices.Contains([]string{"l2:n4e", "l2:n6e", "l2:n42:n6e"}, string(v.Raw()))
	case "nodes", "nodes6":
		each := map[string]int{"nodes": 26, "nodes6": 38}[key]
		for ; len(b) > 0; b = b[each:] {
			if !somebody(b[20:each]) {
				return false
			}
		}
	case "values":
		for x := range v.Items() {
			if b, _ := x.Bytes(); !somebody(b) {
				return false
			}
		}
	}
	return true
}

// FuzzParse: nothing panics, what is refused has a reason to answer with, what is read keeps every limit and shares no
// memory, and what is plain is written as the same bytes.
func FuzzParse(f *testing.F) {
	for _, c := range golden {
		f.Add([]byte(c.wire))
	}
	for _, b := range packets(f) {
		f.Add(b)
	}
	f.Add([]byte(full(8)))
	f.Fuzz(func(t *testing.T, b []byte) { checkRead(t, b) })
}

// random makes a message that keeps the limits.
func random(rng *rand.Rand) Message {
	fill := func(b []byte) []byte {
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		return b
	}
	id := func() (id ID) { fill(id[:]); return id }
	flip := func() bool { return rng.IntN(2) == 1 }
	addr := func(v6 bool) netip.AddrPort {
		a := [16]byte(fill(make([]byte, 16)))
		ip := netip.AddrFrom4([4]byte{a[0]%200 + 1, a[1], a[2], a[3]})
		if v6 {
			a[0] = 0x20
			ip = netip.AddrFrom16(a)
		}
		return netip.AddrPortFrom(ip, uint16(1+rng.IntN(65535)))
	}
	m := Message{Kind: Query + Kind(rng.IntN(3)), TID: fill(make([]byte, rng.IntN(MaxTID+1)))}
	if flip() {
		fill(m.Version[:])
	}
	if flip() {
		m.IP = addr(flip())
	}
	item := func(force, salt bool) {
		m.Item.Value = bencode.AppendString(nil, fill(make([]byte, rng.IntN(997))))
		if m.Item.Mutable = force || flip(); m.Item.Mutable {
			fill(m.Item.Key[:])
			fill(m.Item.Sig[:])
			m.Item.Seq, m.HasSeq = rng.Int64(), true
			if salt && flip() {
				m.Item.Salt = fill(make([]byte, 1+rng.IntN(MaxSalt)))
			}
			if salt && flip() {
				m.CAS, m.HasCAS = rng.Int64(), true
			}
		}
	}
	switch m.Kind {
	case Error:
		m.Code, m.Text = rng.IntN(1000), string(fill(make([]byte, rng.IntN(MaxText+1))))
	case Query:
		m.Method, m.ID, m.ReadOnly = Ping+Method(rng.IntN(7)), id(), flip()
		if m.Method != Ping && m.Method != Put {
			m.Target, m.HasTarget = id(), true
		}
		switch m.Method {
		case AnnouncePeer:
			m.Port, m.ImpliedPort, m.Token = uint16(1+rng.IntN(65535)), flip(), fill(make([]byte, 1+rng.IntN(MaxToken)))
		case Put:
			m.Token = fill(make([]byte, 1+rng.IntN(MaxToken)))
			item(false, true)
		case FindNode, GetPeers, SampleInfohashes, Get:
			m.Want4, m.Want6 = flip(), flip()
		}
		if m.HasSeq = m.HasSeq || m.Method == Get && flip(); m.Method == Get && m.HasSeq {
			m.Item.Seq = rng.Int64() - rng.Int64()
		}
	case Response:
		m.ID = id()
		if m.HasNodes = flip(); m.HasNodes {
			m.Nodes = make([]Node, rng.IntN(MaxNodes+1))
			for i := range m.Nodes {
				m.Nodes[i] = Node{id(), addr(false)}
			}
		}
		if m.HasNodes6 = flip(); m.HasNodes6 {
			m.Nodes6 = make([]Node, rng.IntN(MaxNodes+1))
			for i := range m.Nodes6 {
				m.Nodes6[i] = Node{id(), addr(true)}
			}
		}
		if m.HasValues = flip(); m.HasValues {
			m.Values = make([]netip.AddrPort, rng.IntN(MaxValues+1))
			for i := range m.Values {
				m.Values[i] = addr(flip())
			}
		}
		if m.HasSamples = flip(); m.HasSamples {
			m.Samples, m.Interval, m.Num = make([]ID, rng.IntN(MaxSamples+1)), rng.Int64N(MaxInterval+1), rng.Int64()
			for i := range m.Samples {
				m.Samples[i] = id()
			}
		}
		if flip() {
			m.Token = fill(make([]byte, 1+rng.IntN(MaxToken)))
		}
		if flip() {
			item(false, false)
		}
	}
	return m
}

// Every message that keeps the limits is read as it was written.
func TestRandomMessages(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	var got Message
	for range 1500 {
		m := random(rng)
		wire := m.Append(nil)
		if err := got.Parse(wire); err != nil || !same(got, m) {
			t.Fatalf("%q: %v\nread    %+v\nwritten %+v", wire, err, got, m)
		}
		if !plain(wire) || !Looks(wire) {
			t.Fatalf("%q is not plain", wire)
		}
	}
}

// variants yields every dictionary that differs from v by one pair: left out, with another value, or added.
func variants(v bencode.Value, keys []string, yield func(string)) {
	pool := []string{"i0e", "i1e", "i-1e", "i65535e", "i65536e", "i21601e", "i9223372036854775807e", "i-9223372036854775808e", "0:", "1:q", "4:\x01\x02\x03\x04",
		"6:axje.u", "6:axje\x00\x00", "18:" + strings.Repeat("\x20", 18), "20:" + idM, "26:" + idM + "\x05\x06\x07\x08\x1a\xe1", "32:" + raw(key44), "64:" + raw(sig44),
		"le", "l2:n6e", "l2:n42:n6e", "l2:n62:n4e", "li201e1:xe", "l6:axje.u0:e", "de", "d1:b0:1:a0:e", str(strings.Repeat("x", 2000))}
	write := func(at, key, value string) {
		var b strings.Builder
		b.WriteByte('d')
		for k, x := range v.Pairs() {
			if key != "" && key < string(k) && at == "" {
				b.WriteString(str(key) + value)
				key = ""
			}
			if string(k) != at {
				b.WriteString(str(string(k)) + string(x.Raw()))
			} else if value != "" {
				b.WriteString(str(at) + value)
			}
		}
		if key != "" && at == "" {
			b.WriteString(str(key) + value)
		}
		yield(b.String() + "e")
	}
	for k := range v.Pairs() {
		write(string(k), "", "")
		for _, x := range pool {
			write(string(k), "", x)
		}
	}
	for _, k := range keys {
		if v.Get(k).Kind() == bencode.Invalid {
			for _, x := range pool {
				write("", k, x)
			}
		}
	}
}

// Every message of the BEPs with any one pair of any of its dictionaries gone, of another type, or of too much.
func TestOtherwise(t *testing.T) {
	for _, c := range golden {
		doc, err := bencode.Parse([]byte(c.wire), bencode.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		variants(doc, []string{"a", "e", "ip", "q", "r", "ro", "v", "x", "z"}, func(s string) { checkRead(t, []byte(s)) })
		for _, k := range []string{"a", "r"} {
			if body := doc.Get(k); body.Kind() == bencode.Dict {
				variants(body, names[:], func(s string) {
					checkRead(t, []byte(strings.Replace(c.wire, string(body.Raw()), s, 1)))
				})
			}
		}
	}
}
