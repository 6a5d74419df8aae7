package bencode

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
)

// The examples of BEP 3, section "bencoding", and the limits of int64.
func TestParseAccepts(t *testing.T) {
	for _, in := range []string{
		"4:spam", "0:", "i3e", "i-3e", "i0e", "i10e",
		"i9223372036854775807e", "i-9223372036854775808e",
		"le", "l4:spam4:eggse", "de", "d3:cow3:moo4:spam4:eggse", "d4:spaml1:a1:bee",
		"d0:0:1:a0:e", "ld1:ai1eed1:ai2eee",
		"d1:b0:1:a0:e", // out of order, accepted
		strings.Repeat("l", 64) + strings.Repeat("e", 64),
	} {
		v, err := Parse([]byte(in), Limits{})
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		if string(v.Raw()) != in {
			t.Errorf("%s: Raw gives %s", in, v.Raw())
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct {
		in   string
		want error
	}{
		{"", ErrShort},
		{"e", ErrSyntax},
		{"x", ErrSyntax},
		{"-1:a", ErrSyntax},
		{"i03e", ErrSyntax},
		{"i00e", ErrSyntax},
		{"i-0e", ErrSyntax},
		{"i-03e", ErrSyntax},
		{"i+3e", ErrSyntax},
		{"ie", ErrSyntax},
		{"i-e", ErrSyntax},
		{"i3 e", ErrSyntax},
		{"i--3e", ErrSyntax},
		{"i3-e", ErrSyntax},
		{"i9223372036854775808e", ErrSyntax},
		{"i-9223372036854775809e", ErrSyntax},
		{"i99999999999999999999e", ErrSyntax},
		{"i18446744073709551617e", ErrSyntax},
		{"01:a", ErrSyntax},
		{"00:", ErrSyntax},
		{"1a", ErrSyntax},
		{"9999999999999999999:", ErrSyntax},
		{"9223372036854775807:a", ErrShort},
		{"5:spam", ErrShort},
		{"4:spamm", ErrSyntax},
		{"i1ei2e", ErrSyntax},
		{"i1e\n", ErrSyntax},
		{"lx", ErrSyntax},
		{"l", ErrShort},
		{"d", ErrShort},
		{"d1:a", ErrShort},
		{"d1:ae", ErrSyntax},
		{"di1e1:ae", ErrSyntax},
		{"dle1:ae", ErrSyntax},
		{"d1:a0:1:a0:e", ErrSyntax},
		{"d1:b0:1:a0:1:b0:e", ErrSyntax},
		{"d1:a0:1:b0:1:a0:e", ErrSyntax},
		{"d1:cd1:z0:1:y0:1:z0:ee", ErrSyntax},
		{strings.Repeat("l", 65) + strings.Repeat("e", 65), ErrLimit},
		{strings.Repeat("d0:", 65), ErrLimit},
	} {
		if _, err := Parse([]byte(c.in), Limits{}); !errors.Is(err, c.want) {
			t.Errorf("%.60s: %v, want %v", c.in, err, c.want)
		}
	}
}

func TestLimits(t *testing.T) {
	for _, c := range []struct {
		in  string
		lim Limits
		ok  bool
	}{
		{"i1e", Limits{Depth: 1, Tokens: 1}, true},
		{"li1ee", Limits{Depth: 1, Tokens: 2}, true},
		{"li1ee", Limits{Depth: 1, Tokens: 1}, false},
		{"llee", Limits{Depth: 1}, false},
		{"d1:ai1ee", Limits{Tokens: 2}, true}, // a pair counts as one
		{strings.Repeat("l", 200) + strings.Repeat("e", 200), Limits{Depth: 200}, true},
	} {
		if _, err := Parse([]byte(c.in), c.lim); (err == nil) != c.ok || err != nil && !errors.Is(err, ErrLimit) {
			t.Errorf("%.20s with %+v: %v", c.in, c.lim, err)
		}
	}
}

// Whatever is cut off, the answer is ErrShort, so that a reader of a stream can tell that more is needed.
func TestCutAtEveryByte(t *testing.T) {
	const doc = "d3:cow3:moo1:ii-12e1:lli1eli2ee0:d1:xi0eee4:spaml1:a1:bee"
	if _, err := Parse([]byte(doc), Limits{}); err != nil {
		t.Fatal(err)
	}
	for n := range doc {
		if _, err := Parse([]byte(doc[:n]), Limits{}); !errors.Is(err, ErrShort) {
			t.Errorf("cut at %d, %q: %v", n, doc[:n], err)
		}
	}
}

func TestParsePrefix(t *testing.T) {
	const dict = "d8:msg_typei1e5:piecei0e10:total_sizei34256ee" // BEP 9
	v, n, err := ParsePrefix([]byte(dict+"xxxxxxxx"), Limits{})
	if err != nil || n != len(dict) || string(v.Raw()) != dict {
		t.Fatalf("%d bytes, %q, %v", n, v.Raw(), err)
	}
	if size, ok := v.Get("total_size").Int(); !ok || size != 34256 {
		t.Errorf("total_size %d, %v", size, ok)
	}
	if cap(v.Raw()) != n {
		t.Error("appending to Raw would overwrite what follows")
	}
}

func TestViews(t *testing.T) {
	doc := []byte("d3:inti-7e4:listl1:ai2ele3:xyze3:str2:hi3:subd1:k1:vee")
	v, err := Parse(doc, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if v.Kind() != Dict || v.Len() != 4 {
		t.Errorf("a %v of %d", v.Kind(), v.Len())
	}
	if n, ok := v.Get("int").Int(); !ok || n != -7 {
		t.Errorf("int: %d, %v", n, ok)
	}
	s, ok := v.Get("str").Bytes()
	if !ok || string(s) != "hi" {
		t.Errorf("str: %q, %v", s, ok)
	}
	if k, _ := v.Get("sub").Get("k").Bytes(); string(k) != "v" {
		t.Errorf("sub.k: %q", k)
	}
	var kinds []Kind
	for item := range v.Get("list").Items() {
		kinds = append(kinds, item.Kind())
	}
	if !slices.Equal(kinds, []Kind{String, Int, List, String}) || v.Get("list").Len() != 4 {
		t.Errorf("list: %v", kinds)
	}
	var keys []string
	for k := range v.Pairs() {
		if keys = append(keys, string(k)); len(keys) == 3 {
			break
		}
	}
	if !slices.Equal(keys, []string{"int", "list", "str"}) {
		t.Errorf("keys: %q", keys)
	}
	doc[bytes.Index(doc, []byte("hi"))] = 'H'
	if string(s) != "Hi" {
		t.Error("Bytes is a copy, not a view")
	}
}

// Every method answers for every kind, and for nothing at all.
func TestWrongKinds(t *testing.T) {
	values := []Value{{}}
	for _, in := range []string{"i1e", "1:a", "le", "de"} {
		v, err := Parse([]byte(in), Limits{})
		if err != nil {
			t.Fatal(err)
		}
		values = append(values, v)
	}
	for n, v := range values {
		if v.Kind() != Kind(n) {
			t.Errorf("%s: %v", v.Raw(), v.Kind())
		}
		if _, ok := v.Int(); ok != (v.Kind() == Int) {
			t.Errorf("%s: Int says %v", v.Raw(), ok)
		}
		if _, ok := v.Bytes(); ok != (v.Kind() == String) {
			t.Errorf("%s: Bytes says %v", v.Raw(), ok)
		}
		if v.Len() != 0 || v.Get("x").Kind() != Invalid {
			t.Errorf("%s: it has content", v.Raw())
		}
		for range v.Items() {
			t.Errorf("%s: it has items", v.Raw())
		}
		c := v.Cursor()
		if got := c.Value(); !bytes.Equal(got.Raw(), v.Raw()) || c.Kind() != Invalid || c.More() {
			t.Errorf("%s: a cursor steps over %q", v.Raw(), got.Raw())
		}
	}
}

func TestCanonical(t *testing.T) {
	for in, want := range map[string]bool{
		"i1e": true, "de": true, "d1:a0:1:b0:e": true, "d1:b0:1:a0:e": false, "ld1:b0:1:a0:ee": false,
		"d1:ad2:aa0:1:b0:e1:bd1:c0:1:b0:ee": false, "d2:aa0:1:b0:e": true, "d1:b0:2:aa0:e": false,
	} {
		v, err := Parse([]byte(in), Limits{})
		if err != nil || v.Canonical() != want {
			t.Errorf("%s: canonical %v, %v", in, v.Canonical(), err)
		}
	}
	if (Value{}).Canonical() {
		t.Error("nothing is canonical")
	}
}

func TestCursor(t *testing.T) {
	v, err := Parse([]byte("d1:al1:xi1ee1:bd1:cleee"), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	c, got := v.Cursor(), []string{}
	for c.Enter(); c.More(); {
		key := string(c.Key())
		got = append(got, key+":"+c.Kind().String())
		switch key {
		case "a":
			for c.Enter(); c.More(); {
				got = append(got, string(c.Value().Raw()))
			}
		case "b":
			for c.Enter(); c.More(); {
				got = append(got, string(c.Key())+string(c.Value().Raw()))
			}
		}
	}
	if want := "a:list 1:x i1e b:dictionary cle"; strings.Join(got, " ") != want {
		t.Errorf("%s, want %s", strings.Join(got, " "), want)
	}
}

func TestAppend(t *testing.T) {
	b := AppendInt(nil, math.MinInt64)
	b = AppendInt(b, 0)
	b = AppendString(b, "spam")
	b = AppendString(b, []byte{})
	if want := "i-9223372036854775808ei0e4:spam0:"; string(b) != want {
		t.Errorf("%s, want %s", b, want)
	}
}

func TestEncoder(t *testing.T) {
	e := NewEncoder([]byte("before"))
	e.Dict()
	e.Key("a")
	e.List()
	e.Int(-1)
	e.String("s")
	e.Dict()
	e.End()
	e.End()
	e.Key("b")
	e.Blob([]byte{0, 1})
	e.Key("c")
	e.Raw([]byte("i5e"))
	e.End()
	b, err := e.Bytes()
	if want := "befored1:ali-1e1:sdee1:b2:\x00\x011:ci5ee"; err != nil || string(b) != want {
		t.Errorf("%q, %v; want %q", b, err, want)
	}
	e.Reset(b[:0])
	e.Int(1)
	if b, err = e.Bytes(); err != nil || string(b) != "i1e" {
		t.Errorf("after Reset: %q, %v", b, err)
	}
}

func TestEncoderMisuse(t *testing.T) {
	for name, use := range map[string]func(e *Encoder){
		"keys out of order": func(e *Encoder) {
			e.Dict()
			e.Key("b")
			e.Int(1)
			e.Key("a")
			e.Int(1)
			e.End()
		},
		"a key twice": func(e *Encoder) {
			e.Dict()
			e.Key("a")
			e.Int(1)
			e.Key("a")
			e.Int(1)
			e.End()
		},
		"the empty key twice": func(e *Encoder) {
			e.Dict()
			e.Key("")
			e.Int(1)
			e.Key("")
			e.Int(1)
			e.End()
		},
		"a value for no key": func(e *Encoder) { e.Dict(); e.Int(1); e.End() },
		"a key for no value": func(e *Encoder) { e.Dict(); e.Key("a"); e.End() },
		"two keys":           func(e *Encoder) { e.Dict(); e.Key("a"); e.Key("b") },
		"a key in a list":    func(e *Encoder) { e.List(); e.Key("a") },
		"a key in nothing":   func(e *Encoder) { e.Key("a") },
		"an end of nothing":  func(e *Encoder) { e.End() },
		"nothing closed":     func(e *Encoder) { e.List() },
	} {
		var e Encoder
		use(&e)
		if _, err := e.Bytes(); !errors.Is(err, ErrEncode) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Small documents, such as every DHT packet and extension message, cost no memory to parse and read.
func TestParseAllocatesNothing(t *testing.T) {
	doc := []byte("d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e1:q9:get_peers1:t2:aa1:y1:qe") // BEP 5
	if n := testing.AllocsPerRun(100, func() {
		v, err := Parse(doc, Limits{})
		if err != nil || v.Get("a").Get("info_hash").Kind() != String {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A hostile document of one kind of token or another takes time in proportion to its length.
func BenchmarkParse(b *testing.B) {
	var unsorted bytes.Buffer
	unsorted.WriteByte('d')
	for n := 99_999; n >= 10_000; n-- {
		fmt.Fprintf(&unsorted, "5:%di0e", n)
	}
	unsorted.WriteByte('e')
	for name, doc := range map[string][]byte{
		"lists":    []byte("l" + strings.Repeat("le", 100_000) + "e"),
		"integers": []byte("l" + strings.Repeat("i1234567e", 100_000) + "e"),
		"strings":  []byte("l" + strings.Repeat("8:abcdefgh", 100_000) + "e"),
		"unsorted": unsorted.Bytes(),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(doc)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Parse(doc, Limits{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
