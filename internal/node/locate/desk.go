package locate

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"
)

const (
	pause  = time.Minute // before a Locator that gave up is asked again
	atOnce = 500         // addresses that are taken at a time
)

// Desk knows the ways of one node: it tells each which shares are here, as far as it may
// hear of them, and has all of them look for peers at once.
type Desk struct {
	ways []Locator
	wg   sync.WaitGroup

	mu   sync.Mutex
	told map[string]*offered // by ID
}

// offered is what was told of one share, and to which ways: a bit each.
type offered struct {
	offer Offer
	to    uint64
}

// NewDesk is the Desk of a node that has these ways, 64 at most.
func NewDesk(ways []Locator) *Desk { return &Desk{ways: ways, told: make(map[string]*offered)} }

// Offer tells every way that may hear of it of a share that is here or has changed, and
// withdraws it from those that may not hear of it any more.
func (d *Desk) Offer(o Offer, who *Audience) {
	if len(d.ways) == 0 {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	was := d.told[o.ID]
	if was == nil {
		was = &offered{}
		d.told[o.ID] = was
	}
	same := was.offer.Equal(&o)
	was.offer = o
	for i, w := range d.ways {
		may, knows := who.Permits(w), was.to>>i&1 != 0
		if may != knows {
			was.to ^= 1 << i
		}
		switch {
		case may && !(knows && same):
			w.Offer(o)
		case knows && !may:
			w.Withdraw(o.ID)
		}
	}
}

// Withdraw tells the ways that know of it that a share is here no more, or is paused.
func (d *Desk) Withdraw(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	was := d.told[id]
	if was == nil {
		return
	}
	delete(d.told, id)
	for i, w := range d.ways {
		if was.to>>i&1 != 0 {
			w.Withdraw(id)
		}
	}
}

// Seek has every way that may hear of the share look for peers of it, each in a goroutine
// of its own, until ctx ends. found is called from any of them, not after ctx ended.
func (d *Desk) Seek(ctx context.Context, o Offer, who *Audience, found func(Kind, []netip.AddrPort)) {
	for _, w := range d.ways {
		if who.Permits(w) {
			d.wg.Go(func() { seek(ctx, w, o, found) })
		}
	}
}

func seek(ctx context.Context, w Locator, o Offer, found func(Kind, []netip.AddrPort)) {
	t := time.NewTimer(pause)
	defer t.Stop()
	for ctx.Err() == nil {
		w.Seek(ctx, o, func(list []netip.AddrPort) {
			if ctx.Err() == nil && len(list) > 0 {
				found(w, list[:min(len(list), atOnce)])
			}
		})
		t.Reset(pause)
		select {
		case <-ctx.Done():
		case <-t.C:
		}
	}
}

// Wait returns when nothing is sought any more.
func (d *Desk) Wait() { d.wg.Wait() }

// Equal tells that both say the same.
func (o *Offer) Equal(p *Offer) bool {
	return o.ID == p.ID && o.Hash == p.Hash && o.Complete == p.Complete && o.Wanted == p.Wanted && slices.Equal(o.Groups, p.Groups)
}
