package tracker

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func seeded(n uint64) *rand.Rand { return rand.New(rand.NewPCG(n, n)) }

// ask plays one announce: the trackers asked until one of up answers.
func ask(t *Tiers, up ...string) (asked []string) {
	for {
		url, ok := t.Next()
		if !ok {
			t.Restart()
			return asked
		}
		asked = append(asked, url)
		if slices.Contains(up, url) {
			t.Succeeded(url)
			return asked
		}
		t.Failed(url)
	}
}

// The first example of BEP 12: one after the other, always from the first.
func TestTiersBackups(t *testing.T) {
	tiers := NewTiers([][]string{{"tracker1"}, {"backup1"}, {"backup2"}}, seeded(1))
	for range 2 {
		if got := ask(tiers, "backup2"); fmt.Sprint(got) != "[tracker1 backup1 backup2]" {
			t.Errorf("%v", got)
		}
	}
	if got := ask(tiers, "tracker1"); fmt.Sprint(got) != "[tracker1]" {
		t.Errorf("%v", got)
	}
}

// The second: who answers moves to the front of the tier.
func TestTiersMoveToFront(t *testing.T) {
	tiers := NewTiers([][]string{{"tracker1", "tracker2", "tracker3"}}, seeded(1))
	order := tiers.All()[0]
	a, b, c := order[0], order[1], order[2]
	for _, test := range []struct {
		up, order string
	}{
		{b, fmt.Sprint([]string{b, a, c})},
		{c, fmt.Sprint([]string{c, b, a})},
		{c, fmt.Sprint([]string{c, b, a})},
	} {
		ask(tiers, test.up)
		if got := fmt.Sprint(tiers.All()[0]); got != test.order {
			t.Errorf("after %s answered: %s, want %s", test.up, got, test.order)
		}
	}
}

// The third: all of a tier before the next tier.
func TestTiersWholeTierFirst(t *testing.T) {
	tiers := NewTiers([][]string{{"tracker1", "tracker2"}, {"backup1"}}, seeded(1))
	got := ask(tiers, "backup1")
	if len(got) != 3 || got[2] != "backup1" {
		t.Errorf("%v", got)
	}
	if got := ask(tiers); len(got) != 3 {
		t.Errorf("none answers: %v", got)
	}
}

// Every order of a tier comes about, by the generator that was given alone.
func TestTiersShuffle(t *testing.T) {
	orders := map[string]int{}
	for seed := range uint64(600) {
		list := [][]string{{"a", "b", "c"}, {"d"}}
		o := fmt.Sprint(NewTiers(list, seeded(seed)).All())
		if o != fmt.Sprint(NewTiers(list, seeded(seed)).All()) {
			t.Fatal("the same seed gives two orders")
		}
		if !strings.HasSuffix(o, " [d]]") || fmt.Sprint(list) != "[[a b c] [d]]" {
			t.Fatalf("%s of %v", o, list)
		}
		orders[o]++
	}
	if len(orders) != 6 {
		t.Errorf("%v", orders)
	}
	for o, n := range orders {
		if n < 60 || n > 140 {
			t.Errorf("%s came %d times of 600", o, n)
		}
	}
}

func TestTiersOddLists(t *testing.T) {
	if _, ok := NewTiers(nil, seeded(1)).Next(); ok {
		t.Error("a tracker from nowhere")
	}
	if all := NewTiers([][]string{{}, {"", "a", "a"}, {"a", "b"}, {"b"}}, seeded(1)).All(); fmt.Sprint(all) != "[[a] [b]]" {
		t.Errorf("%v", all)
	}
	many := make([]string, 500)
	for i := range many {
		many[i] = fmt.Sprint(i)
	}
	if all := NewTiers([][]string{many, many}, seeded(1)).All(); len(all) != 1 || len(all[0]) != maxTrackers {
		t.Errorf("%d tiers", len(all))
	}
	tiers := NewTiers([][]string{{"a"}, {"b"}}, seeded(1))
	tiers.Failed("b") // an answer that comes late, not from whom was asked last
	if url, _ := tiers.Next(); url != "a" {
		t.Errorf("%s", url)
	}
	tiers.Succeeded("nobody")
	if fmt.Sprint(tiers.All()) != "[[a] [b]]" {
		t.Errorf("%v", tiers.All())
	}
}

// Whatever is removed, at whatever place of a round: the rest is still asked, each
// once, and the removed one no more.
func TestTiersRemove(t *testing.T) {
	lists := [][][]string{{{"a"}}, {{"a", "b"}}, {{"a", "b", "c"}}, {{"a"}, {"b"}, {"c"}}, {{"a", "b"}, {"c", "d"}}, {{"a"}, {"b", "c"}, {"d"}}}
	for _, list := range lists {
		all := slices.Concat(list...)
		for steps := range len(all) + 1 {
			for _, gone := range all {
				tiers := NewTiers(list, seeded(3))
				before := slices.Concat(tiers.All()...)
				for range steps {
					url, _ := tiers.Next()
					tiers.Failed(url)
				}
				tiers.Remove(gone)
				tiers.Remove("nobody")
				want := slices.DeleteFunc(slices.Clone(before[steps:]), func(u string) bool { return u == gone })
				if got := ask(tiers); !slices.Equal(got, want) {
					t.Errorf("%v, %d asked, %s removed: then %v, want %v", before, steps, gone, got, want)
				}
				if got := ask(tiers); len(got) != len(all)-1 || slices.Contains(got, gone) {
					t.Errorf("%v, %s removed: next round %v", before, gone, got)
				}
			}
		}
	}
}
