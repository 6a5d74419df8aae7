package announce

import (
	"math/rand/v2"
	"sync"
	"time"
)

// Desk is where the shares of one node announce. It keeps the order in which a tracker is
// told of one info hash: who starts while an Announcer before it still says `stopped`
// waits for that.
type Desk struct {
	client Client
	wg     sync.WaitGroup

	mu      sync.Mutex
	leaving map[[20]byte]*Announcer // who says `stopped`, by info hash
}

// NewDesk announces by a client.
func NewDesk(c Client) *Desk { return &Desk{client: c, leaving: make(map[[20]byte]*Announcer)} }

// Start begins to ask the trackers of those tiers (BEP 12), or goes on where an Announcer
// that was parked left off: then past tells, and tiers and rng are not looked at. It is
// called in the share's goroutine.
func (d *Desk) Start(share Share, tiers [][]string, rng *rand.Rand, past *Past) *Announcer {
	if past == nil {
		past = newPast(tiers, rng)
	}
	if !past.next.After(time.Now()) {
		past.next = time.Time{}
	}
	a := newAnnouncer(d, share, past)
	d.mu.Lock()
	for _, n := range share.Facts().Names {
		if b := d.leaving[n]; b != nil {
			a.before = append(a.before, b)
		}
	}
	d.mu.Unlock()
	d.wg.Go(a.run)
	return a
}

// Wait returns when all Announcers that were stopped or parked have ended.
func (d *Desk) Wait() { d.wg.Wait() }

// leaves notes that an Announcer is going to say `stopped`.
func (d *Desk) leaves(a *Announcer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, n := range a.last.Names {
		d.leaving[n] = a
	}
}

// left notes that it has.
func (d *Desk) left(a *Announcer) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, n := range a.last.Names {
		if d.leaving[n] == a {
			delete(d.leaving, n)
		}
	}
}
