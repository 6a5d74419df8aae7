package dht

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"shoal/internal/core/kad"
	"shoal/internal/core/kad/krpc"
	"shoal/internal/core/swarm/candidates"
	"shoal/internal/node/locate"
)

// Pace of looking for peers of one share.
const (
	seekFirst  = 10 * time.Second // to the second search, when more of the network is known, doubled up to
	seekMost   = 10 * time.Minute // this
	seekAlone  = 20 * time.Second // after one in which nobody answered, doubled likewise
	seekEnough = 200              // peers that end a search
	maxSeeks   = 16               // shares that are sought at a time; the others wait
	seekBurst  = 10               // searches at once, and then one every
	seekGap    = time.Second      // where few nodes are known: each is asked in every search, and nodes stop answering at five a second
	seekBrisk  = time.Second / 8  // where many are
	fewNodes   = 64
)

// LocatorConfig says what a Locator is.
type LocatorConfig struct {
	Name   string
	Source candidates.Source
	Open   bool                      // strangers are asked
	Port   func() uint16             // where this node takes connections; 0: nowhere, so nothing is announced
	Serves func(o locate.Offer) bool // whether the share belongs into this DHT; nil: what belongs to no group
}

// Locator announces shares in a DHT and finds peers of them there. It is a
// locate.Locator. At most one announcement a second is begun, whatever is wanted.
type Locator struct {
	cfg   LocatorConfig
	d     *DHT
	shelf *shelf
	slots chan struct{} // seeks under way

	mu       sync.Mutex
	watchers map[krpc.ID][]*watcher
	paced    time.Time     // when the next search would be if there were no bursts
	online   chan struct{} // closed when the machine has come back

	// Owned by the DHT's goroutine.
	out   int       // announcements under way
	fails int       // announcements in a row that no node took
	after time.Time // before which none is begun
	skip  bool      // nothing can be announced now
}

// Locator makes one for this DHT, which runs it. It is called before Run.
func (d *DHT) Locator(cfg LocatorConfig) *Locator {
	l := &Locator{cfg: cfg, d: d, shelf: newShelf(d.start), slots: make(chan struct{}, maxSeeks), watchers: make(map[krpc.ID][]*watcher), online: make(chan struct{})}
	d.locators = append(d.locators, l)
	return l
}

// Name is the word for this way of finding peers.
func (l *Locator) Name() string { return l.cfg.Name }

// Source is what is noted of the candidates found.
func (l *Locator) Source() candidates.Source { return l.cfg.Source }

// Open tells that strangers are asked.
func (l *Locator) Open() bool { return l.cfg.Open }

// Cost is what was spent so far: the questions of searches and announcements, and all bytes
// of the DHT, for it is kept for them.
func (l *Locator) Cost() locate.Cost {
	c := l.d.Counted()
	return locate.Cost{Questions: c.Asked, Bytes: c.BytesIn + c.BytesOut}
}

// Offer has a share announced until it is withdrawn.
func (l *Locator) Offer(o locate.Offer) {
	if l.serves(o) && l.shelf.offer(o) {
		signal(l.d.kick)
	}
}

// Withdraw has a share announced no more. What was announced is forgotten by others within
// the hour: the DHT knows no way to take it back (BEP 5).
func (l *Locator) Withdraw(id string) { l.shelf.withdraw(id) }

func (l *Locator) serves(o locate.Offer) bool {
	if l.cfg.Serves != nil {
		return l.cfg.Serves(o)
	}
	return len(o.Groups) == 0
}

// announce begins the announcement that is due, if any. It is the owner's.
func (l *Locator) announce() {
	l.skip = l.d.t.Len() == 0 || l.cfg.Port() == 0
	if l.skip || l.out >= maxOut || l.d.now.Before(l.after) {
		return
	}
	i, hash, ok := l.shelf.take(l.d.now)
	if !ok {
		return
	}
	l.after = l.d.now.Add(announceGap)
	l.out++
	l.d.count(func(c *Counted) { c.Announced++ })
	e := kad.Event{Kind: kad.Find, Op: kad.Announce, Target: hash, Port: l.cfg.Port(), Implied: true}
	l.d.find(e, &announcement{l: l, i: i, hash: hash})
}

// wake is when announce wants to be called; zero while it is pointless before something
// happens.
func (l *Locator) wake() time.Time {
	if l.skip || l.out >= maxOut {
		return time.Time{}
	}
	at := l.shelf.wake()
	if !at.IsZero() && at.Before(l.after) {
		return l.after
	}
	return at
}

// announcement is one under way.
type announcement struct {
	l    *Locator
	i    int32
	hash krpc.ID
}

// effect takes that it is over. Peers met on the way are told to whoever seeks them.
func (a *announcement) effect(f *kad.Effect) {
	switch f.Kind {
	case kad.FoundPeers:
		a.l.tell(a.hash, f.Addrs)
	case kad.Done:
		a.l.out--
		a.l.ended(f.Result.Stored > 0)
		a.l.shelf.announced(a.i, f.Result.Stored > 0, a.l.d.now)
	}
}

// ended judges by an announcement whether there is a network: when several in a row were of
// no use, the next ones wait longer and longer.
func (l *Locator) ended(ok bool) {
	if ok {
		l.fails = 0
		return
	}
	if l.fails++; l.fails >= failsMost {
		l.after = l.d.now.Add(min(announceRest<<min(l.fails-failsMost, 8), announceMost))
	}
}

// back has all that wait for a network try at once.
func (l *Locator) back() {
	l.fails, l.after = 0, l.d.now
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.online)
	l.online = make(chan struct{})
}

func (l *Locator) isBack() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.online
}

// Seek looks for peers of a share until ctx ends: at once, then less and less often.
func (l *Locator) Seek(ctx context.Context, o locate.Offer, found func([]netip.AddrPort)) {
	hashes, ok := hashesOf(o.Hash)
	if !ok || !l.serves(o) {
		return
	}
	select {
	case <-l.d.ready:
	case <-l.d.ended:
		return
	case <-ctx.Done():
		return
	}
	w := l.watch(hashes)
	defer l.forget(w)
	pause, alone := seekFirst, seekAlone
	for {
		back := l.isBack()
		select {
		case l.slots <- struct{}{}:
		case <-ctx.Done():
			return
		}
		met := l.round(ctx, w, found)
		<-l.slots
		wait := pause
		if met {
			pause, alone = min(2*pause, seekMost), seekAlone
		} else {
			wait, alone = alone, min(2*alone, seekMost)
		}
		if !l.rest(ctx, w, back, wait+rand.N(wait/4), found) {
			return
		}
	}
}

// round searches for every hash once, and tells whether anybody could be asked.
func (l *Locator) round(ctx context.Context, w *watcher, found func([]netip.AddrPort)) bool {
	met := false
	for _, h := range w.hashes {
		if h.IsZero() {
			continue
		}
		if !l.pace(ctx) {
			return true
		}
		l.d.count(func(c *Counted) { c.Sought++ })
		r, err := l.d.Peers(ctx, h, seekEnough, func(list []netip.AddrPort) {
			if list = l.others(list); len(list) > 0 {
				found(list)
			}
		})
		if err != nil {
			continue
		}
		met = met || r.Asked > r.Lost
	}
	return met
}

// pace waits until another search may begin; false if ctx ends before.
func (l *Locator) pace(ctx context.Context) bool {
	kad := &l.d.cfg.Kad
	if kad.Authenticated || kad.OneHost {
		return ctx.Err() == nil // nobody limits us there
	}
	gap, now := seekGap, time.Now()
	if l.d.Len() >= fewNodes {
		gap = seekBrisk
	}
	l.mu.Lock()
	at := l.paced
	if least := now.Add(-seekBurst * gap); at.Before(least) {
		at = least
	}
	l.paced = at.Add(gap)
	l.mu.Unlock()
	timer := time.NewTimer(at.Sub(now))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-l.d.ended:
		return false
	case <-ctx.Done():
		return false
	}
}

// others are the peers that are not this node itself.
func (l *Locator) others(list []netip.AddrPort) []netip.AddrPort {
	me := netip.AddrPortFrom(l.d.Address().Addr(), l.cfg.Port())
	kept := list[:0]
	for _, a := range list {
		if a != me {
			kept = append(kept, a)
		}
	}
	return kept
}

// watcher is a Seek under way: where announcements of the same hash leave what they find.
type watcher struct {
	hashes [2]krpc.ID
	kick   chan struct{}

	mu    sync.Mutex
	found []netip.AddrPort
}

func (l *Locator) watch(hashes [2]krpc.ID) *watcher {
	w := &watcher{hashes: hashes, kick: make(chan struct{}, 1)}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, h := range hashes {
		if !h.IsZero() {
			l.watchers[h] = append(l.watchers[h], w)
		}
	}
	return w
}

func (l *Locator) forget(w *watcher) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, h := range w.hashes {
		var kept []*watcher
		for _, x := range l.watchers[h] {
			if x != w {
				kept = append(kept, x)
			}
		}
		if len(kept) > 0 {
			l.watchers[h] = kept
		} else {
			delete(l.watchers, h)
		}
	}
}

// tell leaves peers with whoever seeks them.
func (l *Locator) tell(hash krpc.ID, list []netip.AddrPort) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.watchers[hash]) == 0 {
		return
	}
	list = l.others(append([]netip.AddrPort(nil), list...))
	for _, w := range l.watchers[hash] {
		w.mu.Lock()
		w.found = append(w.found, list[:min(len(list), maxFound-len(w.found))]...)
		w.mu.Unlock()
		signal(w.kick)
	}
}

// rest lets a time pass, or until the machine is back, and tells what announcements find
// meanwhile. It is false if the Seek is to end.
func (l *Locator) rest(ctx context.Context, w *watcher, back <-chan struct{}, d time.Duration, found func([]netip.AddrPort)) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-l.d.ended:
			return false
		case <-timer.C:
			return true
		case <-back:
			return true
		case <-w.kick:
		}
		if list := w.take(); len(list) > 0 && ctx.Err() == nil {
			found(list)
		}
	}
}

func (w *watcher) take() []netip.AddrPort {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := w.found
	w.found = nil
	return list
}
