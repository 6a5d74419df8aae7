package oneport

import (
	"bytes"
	"testing"
)

const (
	ping   = "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe" // BEP 5's example
	answer = "d1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re"
	failed = "d1:eli201e23:A Generic Error Ocurrede1:t2:aa1:y1:ee"
	sloppy = "d1:y1:q1:t2:aa1:q4:ping1:ad2:id20:abcdefghij0123456789ee" // keys out of order
)

func TestByGreeting(t *testing.T) {
	for _, c := range []struct {
		in   string
		want Kind
	}{
		{"", Undecided},
		{"\x13", Undecided},
		{"\x13/multistream/1.0.0", Undecided},
		{"\x13/multistream/1.0.0\n", Overlay},
		{"\x13/multistream/1.0.0\n\x0b/tls/1.0.0\n", Overlay},
		{"\x13/multistream/1.0.1\n", BitTorrent},
		{"\x13B", BitTorrent},
		{"\x13BitTorrent protocol", BitTorrent},
		{"\x14", BitTorrent}, // MSE: a random key
		{"GET / HTTP/1.1\r\n", BitTorrent},
	} {
		if got := ByGreeting([]byte(c.in)); got != c.want {
			t.Errorf("%q: %d, want %d", c.in, got, c.want)
		}
	}
}

func TestByDatagram(t *testing.T) {
	for _, c := range []struct {
		in   string
		peer bool
		want Kind
	}{
		{ping, false, KRPC}, {ping, true, KRPC},
		{answer, false, KRPC}, {answer, true, KRPC},
		{failed, false, KRPC}, {failed, true, KRPC},
		{sloppy, false, KRPC}, {sloppy, true, QUIC},
		{"", false, QUIC}, {"d", false, QUIC}, {"d1:y1:qe", false, KRPC},
		{"d1:y1:q", false, QUIC}, {"dx:y1:qe", false, QUIC},
		{"d1:a packet of QUIC that happens to end with e", true, QUIC},
		{"\xc3\x00\x00\x00\x01 long header of QUIC, e", false, QUIC},
		{"\x43 short header of QUIC", true, QUIC},
		{"\x41\x00 type and version of uTP", false, QUIC},
	} {
		if got := ByDatagram([]byte(c.in), c.peer); got != c.want {
			t.Errorf("%q (peer %v): %d, want %d", c.in, c.peer, got, c.want)
		}
	}
}

// FuzzKinds holds the promises of both: a connection is decided at the latest by
// GreetingLen bytes, never otherwise by more, and no packet with QUIC's long header is
// taken for another.
func FuzzKinds(f *testing.F) {
	for _, s := range []string{ping, answer, failed, sloppy, "\x13BitTorrent protocol", string(greeting), "\xc0e"} {
		f.Add([]byte(s), false)
		f.Add([]byte(s), true)
	}
	f.Fuzz(func(t *testing.T, b []byte, peer bool) {
		decided := Undecided
		for i := range len(b) + 1 {
			k := ByGreeting(b[:i])
			if decided != Undecided && k != decided {
				t.Fatalf("%q: %d by %d bytes, %d by fewer", b, k, i, decided)
			}
			if i >= GreetingLen && k == Undecided {
				t.Fatalf("%q: undecided by %d bytes", b, i)
			}
			decided = k
		}
		if k := ByGreeting(b); (k == Overlay) != bytes.HasPrefix(b, greeting) {
			t.Fatalf("%q: %d", b, k)
		}
		switch k := ByDatagram(b, peer); {
		case k != QUIC && k != KRPC:
			t.Fatalf("%q: %d", b, k)
		case k == KRPC && (b[0]&0x80 != 0 || peer && ByDatagram(b, false) != KRPC):
			t.Fatalf("%q: taken for KRPC", b)
		}
	})
}
