package pieces

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// ordered checks that the pieces stand in their buckets.
func (r *Order) ordered() error {
	if int(r.start[len(r.start)-1]) != len(r.list) {
		return fmt.Errorf("the last bucket ends at %d of %d", r.start[len(r.start)-1], len(r.list))
	}
	for a := range len(r.start) - 1 {
		for i := r.start[a]; i < r.start[a+1]; i++ {
			if p := r.list[i]; int(r.avail[p]) != a || r.pos[p] != i {
				return fmt.Errorf("piece %d of count %d at %d is in bucket %d", p, r.avail[p], r.pos[p], a)
			}
		}
	}
	return nil
}

// FuzzRarity compares the order with the plain counts after every change.
func FuzzRarity(f *testing.F) {
	f.Add([]byte("insert, count, take out, in any order"))
	f.Add([]byte{0, 1, 64, 1, 64, 1, 128, 1, 192, 1, 1, 65, 66, 67, 130, 131})
	f.Fuzz(func(t *testing.T, data []byte) {
		const n = 16
		avail := make([]uint16, n)
		r := NewOrder(avail, rand.New(rand.NewPCG(1, 2)))
		var in [n]bool
		var count [n]int
		for _, b := range data {
			p := uint32(b % n)
			switch b >> 6 {
			case 0:
				r.Insert(p)
				in[p] = true
			case 1:
				r.Inc(p)
				count[p]++
			case 2:
				r.Dec(p)
				count[p] = max(count[p]-1, 0)
			case 3:
				r.Remove(p)
				in[p] = false
			}
			size := 0
			for p := range n {
				if in[p] {
					size++
				}
				if int(avail[p]) != count[p] || in[p] != (r.pos[p] >= 0) {
					t.Fatalf("piece %d: count %d of %d, in %v", p, avail[p], count[p], in[p])
				}
			}
			if size != len(r.list) {
				t.Fatalf("%d of %d pieces", len(r.list), size)
			}
			if err := r.ordered(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// FuzzBitfield: what is taken is given back in the same bytes.
func FuzzBitfield(f *testing.F) {
	f.Add([]byte{0xff, 0xe0}, 11)
	f.Fuzz(func(t *testing.T, data []byte, n int) {
		if n < 1 || n > 4096 {
			return
		}
		b := NewSet(n)
		if b.FillWire(data, n) && string(b.AppendWire(nil, n)) != string(data) {
			t.Errorf("%x came back as %x", data, b.AppendWire(nil, n))
		}
	})
}

// Of pieces that are equally rare each is the first about as often as any other.
func TestOrderIsRandomAmongEquals(t *testing.T) {
	first := make([]int, 8)
	for seed := range uint64(8000) {
		r := NewOrder(make([]uint16, 8), rand.New(rand.NewPCG(seed, 1)))
		for p := range uint32(8) {
			r.Insert(p)
			r.Inc(p)
		}
		first[r.List()[0]]++
	}
	for p, n := range first {
		if n < 700 || n > 1300 {
			t.Errorf("piece %d is the first %d times of 8000", p, n)
		}
	}
}

func TestBEP3_BitfieldHasTheHighBitFirst(t *testing.T) {
	b := NewSet(11)
	if !b.FillWire([]byte{0x81, 0x20}, 11) || !b.Has(0) || !b.Has(7) || !b.Has(10) || b.Count() != 3 {
		t.Errorf("%x", b)
	}
	for _, wrong := range [][]byte{{0x81}, {0x81, 0x10}, {0x81, 0x20, 0}, nil} {
		if b.FillWire(wrong, 11) {
			t.Errorf("%x is taken", wrong)
		}
	}
}

func TestSetFillAndNext(t *testing.T) {
	for _, n := range []int{1, 63, 64, 65, 200} {
		b := NewSet(n)
		b.Fill(n)
		if b.Count() != n {
			t.Errorf("%d of %d", b.Count(), n)
		}
		b.Drop(uint32(n - 1))
		if n > 1 && b.Next(b, uint32(n-2)) != n-2 || b.Next(b, uint32(n-1)) != -1 || b.Next(b, uint32(n+64)) != -1 {
			t.Errorf("n = %d", n)
		}
	}
}
