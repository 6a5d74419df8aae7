package krpc

import (
	"net/netip"
	"strings"
	"testing"
)

// The costs that the package promises: a used message is read and written without memory, a new one with a block for
// its bytes and one for each list, and a refusal costs none.
func TestAllocations(t *testing.T) {
	answer, nodes := []byte(full(8)), []byte(tell("5:nodes208:"+strings.Repeat("n", 208)))
	fault, utp := []byte(refused), []byte("\x21\x00kdfjghkdjfhgkdjfhg")
	m := dirty(t)
	buf := make([]byte, 0, 2000)
	for name, c := range map[string]struct {
		max float64
		do  func()
	}{
		"find_node's answer with 8 nodes, new":     {2, func() { _, _ = Parse(nodes) }},
		"get_peers's answer with 8 and 8, new":     {3, func() { _, _ = Parse(answer) }},
		"get_peers's answer with 8 and 8, used":    {0, func() { _ = m.Parse(answer) }},
		"get_peers's answer with 8 and 8, written": {0, func() { buf = m.Append(buf[:0]) }},
		"a refused answer":                         {0, func() { _ = m.Parse(fault) }},
		"a random datagram":                        {0, func() { _ = m.Parse(utp) }},
		"BEP 42":                                   {0, func() { ValidID(m.ID, netip.AddrFrom4([4]byte{11, 2, 3, 4})) }},
		"a target":                                 {0, func() { vector2.Target() }},
	} {
		if err := m.Parse(answer); err != nil || len(m.Nodes) != 8 || len(m.Values) != 8 {
			t.Fatalf("%v: %+v", err, m)
		}
		if n := testing.AllocsPerRun(100, c.do); n > c.max {
			t.Errorf("%s: %v allocations, at most %v", name, n, c.max)
		}
	}
}

const refused = "d1:rd2:id20:" + idA + "5:nodes9:def456...e1:t2:aa1:y1:re"

func BenchmarkParse(b *testing.B) {
	for name, wire := range map[string]string{
		"ping": golden[1].wire, "get_peers": golden[5].wire, "answer8": full(8), "answer64": full(64), "refused": refused,
		"hostile": tell("1:xl" + strings.Repeat("le", 4000) + "e"), "syntax": "d1:ad2:id20:" + idA,
	} {
		b.Run(name, func(b *testing.B) {
			var m Message
			in := []byte(wire)
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				_ = m.Parse(in)
			}
		})
	}
}

func BenchmarkAppend(b *testing.B) {
	m, err := Parse([]byte(full(8)))
	if err != nil {
		b.Fatal(err)
	}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = m.Append(buf[:0])
	}
}

func BenchmarkCmpDistance(b *testing.B) {
	x, y, z := ID{1}, ID{19: 1}, ID{19: 2}
	for b.Loop() {
		x.CmpDistance(y, z)
	}
}
