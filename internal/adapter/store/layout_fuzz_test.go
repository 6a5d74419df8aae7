package store

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"shoal/internal/core/metainfo"
)

// FuzzLayout writes and reads random ranges of random layouts and compares
// with a plain array of bytes.
func FuzzLayout(f *testing.F) {
	f.Add(uint64(1), uint8(1), []byte{1, 0, 200, 3})
	f.Add(uint64(2), uint8(2), []byte{0, 0, 16, 17, 255, 1, 1, 1})
	f.Add(uint64(3), uint8(3), []byte{9, 32, 0, 33, 64, 1})
	f.Add(uint64(4), uint8(1), bytes.Repeat([]byte{2}, 30))
	f.Fuzz(func(t *testing.T, seed uint64, version uint8, sizes []byte) {
		v := metainfo.Version(version%3 + 1)
		var specs []spec
		var total int
		for i, n := range sizes[:min(len(sizes), 24)] {
			specs = append(specs, spec{fmt.Sprintf("d%d/f%02d", i%3, i), int(n) * 301})
			total += int(n)
		}
		if total == 0 {
			return
		}
		fx := newFixture(t, v, 16*kib, false, specs...)
		unwanted := int(seed % uint64(len(fx.info.Files)))
		home := t.TempDir()
		c := fx.open(t, t.TempDir(), Options{
			Handles: NewHandles(3), Parts: filepath.Join(home, "parts"),
			Wanted: func(f int) bool { return f != unwanted },
		})
		rng := rand.New(rand.NewPCG(seed, 0))
		model := make([]byte, fx.info.Span())
		for i := range 40 {
			p := rng.IntN(fx.info.NumPieces())
			size := fx.info.PieceSize(p)
			begin := rng.IntN(size)
			n := 1 + rng.IntN(size-begin)
			if i%2 == 0 {
				modelWrite(t, c, fx, model, p, begin, n, rng)
			} else {
				modelRead(t, c, fx, model, p, begin, n, rng)
			}
		}
	})
}

func modelWrite(t *testing.T, c *Content, fx *fixture, model []byte, p, begin, n int, rng *rand.Rand) {
	data := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(rng.Uint32())}).Read(data)
	if err := c.WriteVec(cutUp(data, rng), p, begin); err != nil {
		t.Fatal(err)
	}
	at := int64(p)*fx.info.PieceLength + int64(begin)
	for i, b := range data {
		if f := fx.info.FileAt(at + int64(i)); f >= 0 && !fx.info.Files[f].Pad {
			model[at+int64(i)] = b
		}
	}
}

func modelRead(t *testing.T, c *Content, fx *fixture, model []byte, p, begin, n int, rng *rand.Rand) {
	got := make([]byte, n)
	for i := range got {
		got[i] = 0xee
	}
	err := c.ReadVec(cutUp(got, rng), p, begin)
	if errors.Is(err, ErrChanged) {
		return // reaches into a file that nothing was written to yet
	}
	if err != nil {
		t.Fatal(err)
	}
	at := int64(p)*fx.info.PieceLength + int64(begin)
	if !bytes.Equal(got, model[at:at+int64(n)]) {
		t.Fatalf("piece %d from %d: %d bytes differ from what was written", p, begin, n)
	}
}

// cutUp splits b into views of random lengths, some of them empty.
func cutUp(b []byte, rng *rand.Rand) [][]byte {
	var list [][]byte
	for len(b) > 0 {
		n := rng.IntN(min(len(b), 9000) + 1)
		list = append(list, b[:n])
		b = b[n:]
	}
	return list
}
