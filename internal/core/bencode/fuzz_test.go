package bencode

import (
	"bytes"
	"testing"
)

// seeds are documents as they are met: a KRPC query and answer (BEP 5), metadata and extension handshakes (BEP 9, 10), a
// tracker's answer (BEP 23), metainfo (BEP 3, 52), and what must be refused.
var seeds = []string{
	"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe",
	"d1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re",
	"d8:msg_typei1e5:piecei0e10:total_sizei34256eexxxxxxxx",
	"d1:md11:ut_metadatai1e6:ut_pexi2ee1:pi6881e1:v13:\xc2\xb5Torrent 1.2e",
	"d8:intervali1800e5:peers6:\x7f\x00\x00\x01\x1a\xe1e",
	"d8:announce3:x:y4:infod6:lengthi1e4:name1:a12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaaee",
	"d4:infod9:file treed4:dir1d4:dir2d9:fileA.txtd0:d5:lengthi1024e11:pieces root32:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaeeeeeee",
	"d1:b0:1:a0:e", "i-0e", "d1:a0:1:a0:e", "99999999999999999999:", "lllllleeeeee", "l", "i1",
}

// walk visits every value below v and rebuilds it from what the views say.
func walk(t *testing.T, e *Encoder, v Value) {
	switch v.Kind() {
	case Int:
		n, ok := v.Int()
		if !ok {
			t.Fatalf("%q is no integer", v.Raw())
		}
		e.Int(n)
	case String:
		b, ok := v.Bytes()
		if !ok {
			t.Fatalf("%q is no string", v.Raw())
		}
		e.Blob(b)
	case List:
		e.List()
		for x := range v.Items() {
			walk(t, e, x)
		}
		e.End()
	case Dict:
		e.Dict()
		for k, x := range v.Pairs() {
			e.Key(string(k))
			walk(t, e, x)
		}
		e.End()
	default:
		t.Fatalf("%q is invalid", v.Raw())
	}
}

// FuzzParse: nothing panics, a prefix is what it says, and no view reaches beyond the value.
func FuzzParse(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		v, n, err := ParsePrefix(in, Limits{Tokens: 10_000})
		whole, wholeErr := Parse(in, Limits{Tokens: 10_000})
		if err != nil {
			if wholeErr == nil || v.Kind() != Invalid || n != 0 {
				t.Fatalf("refused as a prefix only: %v", err)
			}
			return
		}
		if n <= 0 || n > len(in) || !bytes.Equal(v.Raw(), in[:n]) {
			t.Fatalf("%d of %d bytes", n, len(in))
		}
		if (wholeErr == nil) != (n == len(in)) {
			t.Fatalf("a whole document of %d bytes in %d: %v", n, len(in), wholeErr)
		}
		if wholeErr == nil && !bytes.Equal(whole.Raw(), in) {
			t.Fatal("Raw is not the input")
		}
		var e Encoder
		walk(t, &e, v)
	})
}

// FuzzRoundTrip: what is canonical encodes to the same bytes, and what is not cannot be encoded by mistake.
func FuzzRoundTrip(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		v, err := Parse(in, Limits{Tokens: 10_000})
		if err != nil {
			return
		}
		var e Encoder
		walk(t, &e, v)
		out, err := e.Bytes()
		if v.Canonical() != (err == nil) {
			t.Fatalf("canonical %v, but encoding says %v", v.Canonical(), err)
		}
		if err == nil && !bytes.Equal(out, in) {
			t.Fatalf("%q became %q", in, out)
		}
	})
}
