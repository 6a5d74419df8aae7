package metainfo

import (
	"fmt"
	"testing"
)

// TestPieceHasher gives every piece of every format in all kinds of splits, whole and spoilt.
func TestPieceHasher(t *testing.T) {
	var h PieceHasher // one for all: Reset must forget what was before
	for _, v := range []Version{V1, V2, Hybrid} {
		for _, pieceLength := range []int{16 << 10, 64 << 10} {
			m := share(t, "tree", tree(), v, pieceLength)
			all := space(m.Info, tree())
			good := Verdict{V1: Check(v & V1), V2: Check(v & V2 / V2)}
			for p := range m.Info.NumPieces() {
				data := all[p*pieceLength:][:m.Info.PieceSize(p)]
				for _, split := range []int{len(data), BlockSize, 1000, BlockSize - 1, BlockSize + 1} {
					if got := verdict(&h, m, p, data, split); got != good || !got.OK() {
						t.Fatalf("%v piece %d of %d in parts of %d: %+v", v, p, len(data), split, got)
					}
				}
				checkLeaves(t, &h, m, p, data)
				checkSpoilt(t, &h, m, p, data)
			}
		}
	}
}

func verdict(h *PieceHasher, m *Metainfo, p int, data []byte, split int) Verdict {
	h.Reset(m, p)
	for len(data) > 0 {
		n := min(split, len(data))
		h.Write(data[:n])
		data = data[n:]
	}
	return h.Sum()
}

func checkLeaves(t *testing.T, h *PieceHasher, m *Metainfo, p int, data []byte) {
	t.Helper()
	want := leavesOf(data[:m.Info.DataSize(p)])
	if !equalHashes(h.Leaves(), want) {
		t.Errorf("piece %d: %d leaves, want %d, or others", p, len(h.Leaves()), len(want))
	}
}

// checkSpoilt: a flipped bit is bad for each format that covers it, too few or too many bytes are bad for all.
func checkSpoilt(t *testing.T, h *PieceHasher, m *Metainfo, p int, data []byte) {
	t.Helper()
	v := m.Info.Version
	bad := Verdict{V1: Bad * Check(v&V1), V2: Bad * Check(v&V2/V2)}
	spoilt := append([]byte{}, data...)
	spoilt[0] ^= 1
	for name, b := range map[string][]byte{"spoilt": spoilt, "short": data[:len(data)-1], "empty": nil, "long": append(spoilt[:0:0], append(data[:len(data):len(data)], 0)...)} {
		if got := verdict(h, m, p, b, BlockSize); got != bad || got.OK() {
			t.Errorf("%v piece %d, %s: %+v", v, p, name, got)
		}
	}
	spoilt[0] ^= 1
	if last := len(data) - 1; last >= m.Info.DataSize(p) && v == Hybrid { // padding is v1's alone
		spoilt[last] ^= 1
		if got := verdict(h, m, p, spoilt, BlockSize); got != (Verdict{Bad, Good}) || got.OK() {
			t.Errorf("piece %d with bad padding: %+v", p, got)
		}
	}
}

// After a magnet link, v2 hashes of long files are not known at first; leaves are computed all the same.
func TestPieceHasherWithoutLayer(t *testing.T) {
	whole := share(t, "tree", tree(), V2, 16<<10)
	m, err := ParseInfo(whole.InfoBytes, whole.Hash)
	if err != nil {
		t.Fatal(err)
	}
	p := m.Info.NumPieces() - 1
	var h PieceHasher
	data := space(m.Info, tree())[p*piece:]
	if got := verdict(&h, m, p, data, BlockSize); got != (Verdict{}) || got.OK() || len(h.Leaves()) != 1 {
		t.Errorf("%+v with %d leaves", got, len(h.Leaves()))
	}
}

func TestPieceHasherAllocatesNothing(t *testing.T) {
	m := share(t, "tree", tree(), Hybrid, 64<<10)
	data := space(m.Info, tree())[:m.Info.PieceSize(0)]
	var h PieceHasher
	verdict(&h, m, 0, data, 5000)
	if n := testing.AllocsPerRun(20, func() { verdict(&h, m, 0, data, 5000) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkPieceHasher(b *testing.B) {
	for _, v := range []Version{V1, V2, Hybrid} {
		for _, pieceLength := range []int{16 << 10, 1 << 20} {
			b.Run(fmt.Sprintf("%v/%dKiB", v, pieceLength>>10), func(b *testing.B) {
				data := sample(pieceLength, 1)
				m := share(b, "x", []content{{[]string{"x"}, data}}, v, pieceLength)
				var h PieceHasher
				b.SetBytes(int64(len(data)))
				b.ReportAllocs()
				for b.Loop() {
					if !verdict(&h, m, 0, data, BlockSize).OK() {
						b.Fatal("bad")
					}
				}
			})
		}
	}
}
