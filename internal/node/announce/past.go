package announce

import (
	"math/rand/v2"
	"time"

	"shoal/internal/adapter/tracker"
)

// Past is what an Announcer knows, and what outlives it while its share is parked: trackers
// are told `started` once, not each time that the share wakes.
type Past struct {
	tiers  *tracker.Tiers
	told   map[string]string    // trackers that know of us, with the id that each gave
	later  map[string]time.Time // trackers that asked not to be asked before (BEP 31)
	event  tracker.Event        // what no tracker has taken yet
	next   time.Time            // of the next round; zero: at once
	fail   time.Duration        // to wait after a round in which none answers
	states map[string]*Status
}

func newPast(tiers [][]string, rng *rand.Rand) *Past {
	return &Past{tiers: tracker.NewTiers(tiers, rng), told: make(map[string]string),
		later: make(map[string]time.Time), event: tracker.Started, fail: failFirst, states: make(map[string]*Status)}
}

// Goodbyes are what is to be said to the trackers that know of the share.
func (p *Past) Goodbyes(f Facts) (list []Goodbye) {
	if p == nil {
		return nil
	}
	for url, id := range p.told {
		list = append(list, Goodbye{URL: url, TrackerID: id, Facts: f})
	}
	return list
}

// know notes that a tracker knows of the share, and the id that it gave, if it did.
func (p *Past) know(url, id string) {
	if id == "" {
		id = p.told[url]
	}
	p.told[url] = id
}

// failed goes on to the next tracker. One that never wants to hear of us again is left out,
// and one that wants time has it (BEP 31).
func (p *Past) failed(url string, f *tracker.Failure) {
	switch {
	case f != nil && f.Never:
		p.tiers.Remove(url)
		return
	case f != nil && f.RetryIn > 0:
		p.later[url] = time.Now().Add(f.RetryIn)
	}
	p.tiers.Failed(url)
}
