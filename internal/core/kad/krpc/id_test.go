package krpc

import (
	"math/big"
	"math/rand/v2"
	"testing"
)

// Distances, checked against big integers (BEP 5, "Overview": XOR as an unsigned integer).
func TestBEP5_Distance(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 160))
	random := func(like ID, from int) ID { // the same as like up to a bit, random from there
		for bit := from; bit < 160; bit++ {
			if rng.Uint32()&1 == 1 || bit == from {
				like[bit/8] ^= 0x80 >> (bit % 8)
			}
		}
		return like
	}
	num := func(a ID) *big.Int { return new(big.Int).SetBytes(a[:]) }
	for i := range 160 * 20 {
		a := random(ID{}, 0)
		b := random(a, i%160)
		c := random(b, rng.IntN(160))
		if got := a.PrefixLen(b); got != i%160 || 160-num(a.XOR(b)).BitLen() != got {
			t.Fatalf("%v and %v share %d bits, want %d", a, b, got, i%160)
		}
		if got, want := a.Cmp(b), num(a).Cmp(num(b)); got != want || b.Cmp(a) != -want {
			t.Fatalf("%v and %v: %d, want %d", a, b, got, want)
		}
		if got, want := c.CmpDistance(a, b), num(c.XOR(a)).Cmp(num(c.XOR(b))); got != want || c.CmpDistance(b, a) != -want {
			t.Fatalf("%v and %v from %v: %d, want %d", a, b, c, got, want)
		}
	}
	a := random(ID{}, 3)
	if a.Cmp(a) != 0 || a.CmpDistance(a, a) != 0 || a.PrefixLen(a) != 160 || !a.XOR(a).IsZero() || a.IsZero() {
		t.Error("an ID is not itself")
	}
}

func TestIDOf(t *testing.T) {
	if id, ok := IDOf([]byte(idA)); !ok || string(id[:]) != idA || id.String() != "6162636465666768696a30313233343536373839" {
		t.Errorf("%v, %v", id, ok)
	}
	for _, s := range []string{"", idA[1:], idA + "x"} {
		if _, ok := IDOf([]byte(s)); ok {
			t.Errorf("%q is an ID", s)
		}
	}
}
