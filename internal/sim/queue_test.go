package sim

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestQueueOrder holds the queue against a sorted list.
func TestQueueOrder(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	type put struct{ at, n int }
	var q Queue[put]
	var want []put
	for i := range 3000 {
		p := put{rng.IntN(500), i}
		q.Put(time.Duration(p.at), p)
		want = append(want, p)
	}
	slices.SortStableFunc(want, func(a, b put) int { return a.at - b.at })
	for i, w := range want {
		got, ok := q.Take(1000)
		if !ok || got != w || q.Now() != time.Duration(w.at) {
			t.Fatalf("event %d: %v %v at %v, want %v", i, got, ok, q.Now(), w)
		}
	}
	if _, ok := q.Take(1000); ok || q.Now() != 1000 || q.Len() != 0 {
		t.Errorf("an empty queue: %v, %d left", q.Now(), q.Len())
	}
	q.Put(5, put{5, 0})
	if _, ok := q.Take(1000); !ok || q.Now() != 1000 {
		t.Errorf("what is late happens now: %v", q.Now())
	}
	q.Put(2000, put{})
	if _, ok := q.Take(1500); ok || q.Now() != 1500 {
		t.Errorf("what lies beyond waits: %v", q.Now())
	}
}

// TestChances compares means and medians with their closed forms.
func TestChances(t *testing.T) {
	const n = 400_000
	rng := rand.New(rand.NewPCG(2, 2))
	var fresh, rest, above float64
	delay := LogNormal{50 * time.Millisecond, 0.5}
	for range n {
		fresh += KAD.Draw(rng).Seconds() / n
		rest += KAD.Rest(rng).Seconds() / n
		if delay.Draw(rng) > delay.Median {
			above += 1.0 / n
		}
	}
	// Mean λ·Γ(1+2) = 10,000 s; mean residual life E[L²]/2E[L] = λ²·Γ(1+4)/(2·10,000) = 30,000 s.
	for _, c := range []struct{ got, want, within float64 }{{fresh, 10_000, 0.02}, {rest, 30_000, 0.02}, {above, 0.5, 0.01}} {
		if math.Abs(c.got/c.want-1) > c.within {
			t.Errorf("%v, want %v", c.got, c.want)
		}
	}
}
