package tracker

import (
	"math/rand/v2"
	"slices"
)

// maxTrackers bounds the trackers of one share; what exceeds it is left out.
const maxTrackers = 100

// Tiers is the order in which the trackers of one share are asked (BEP 12). It is
// a plain value of one owner, without clock or network: Next names whom to ask, and
// Succeeded or Failed says how it went.
type Tiers struct {
	tiers      [][]string
	tier, next int // the next to ask in this round
}

// NewTiers takes the tiers of a metainfo's announce-list and shuffles each. URLs
// that repeat, and those after the first hundred, are left out.
func NewTiers(list [][]string, rng *rand.Rand) *Tiers {
	t := &Tiers{}
	seen := map[string]bool{}
	for _, urls := range list {
		var tier []string
		for _, u := range urls {
			if u != "" && !seen[u] && len(seen) < maxTrackers {
				seen[u] = true
				tier = append(tier, u)
			}
		}
		if len(tier) == 0 {
			continue
		}
		rng.Shuffle(len(tier), func(i, j int) { tier[i], tier[j] = tier[j], tier[i] })
		t.tiers = append(t.tiers, tier)
	}
	return t
}

// Next is the tracker to ask now: the same until Succeeded or Failed is called. ok
// is false when every one failed since the round began.
func (t *Tiers) Next() (url string, ok bool) {
	if t.tier >= len(t.tiers) {
		return "", false
	}
	return t.tiers[t.tier][t.next], true
}

// Succeeded moves url to the front of its tier and begins a new round.
func (t *Tiers) Succeeded(url string) {
	for _, tier := range t.tiers {
		if i := slices.Index(tier, url); i >= 0 {
			copy(tier[1:i+1], tier[:i])
			tier[0] = url
		}
	}
	t.Restart()
}

// Failed goes on to the next tracker, if url is the one that Next names.
func (t *Tiers) Failed(url string) {
	if now, ok := t.Next(); !ok || now != url {
		return
	}
	if t.next++; t.next == len(t.tiers[t.tier]) {
		t.tier, t.next = t.tier+1, 0
	}
}

// Restart begins a new round at the first tracker.
func (t *Tiers) Restart() { t.tier, t.next = 0, 0 }

// Remove takes out a tracker that is never to be asked again (BEP 31).
func (t *Tiers) Remove(url string) {
	for n, tier := range t.tiers {
		i := slices.Index(tier, url)
		if i < 0 {
			continue
		}
		if n == t.tier && i < t.next {
			t.next--
		}
		tier = slices.Delete(tier, i, i+1)
		t.tiers[n] = tier
		switch {
		case len(tier) == 0:
			t.tiers = slices.Delete(t.tiers, n, n+1)
			if n < t.tier {
				t.tier--
			} else if n == t.tier {
				t.next = 0
			}
		case n == t.tier && t.next == len(tier):
			t.tier, t.next = t.tier+1, 0
		}
		return
	}
}

// All lists the trackers in their present order, for showing.
func (t *Tiers) All() [][]string {
	all := make([][]string, len(t.tiers))
	for i, tier := range t.tiers {
		all[i] = slices.Clone(tier)
	}
	return all
}
