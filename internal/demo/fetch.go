package demo

import (
	"context"
	"errors"
	"sync"
	"time"

	"shoal/internal/door/api"
)

const (
	// The lines of the two seeds, while the others fetch: so slow that one copy takes each of them
	// this long, so that there is time to watch, and that the swarm shows: sending a copy to
	// each of the others would take them many times as long.
	firstLine  = 4 // seconds for a copy
	secondLine = 10
	// leastLine is the least limit: a share of a few bytes need not be slow.
	leastLine = 64 << 10
	// stallAfter is how long nothing at all may arrive.
	stallAfter = 60 * time.Second
)

// fetch has all other nodes fetch: the second one alone, then the rest at once, while the first
// is killed. With one other node there is no second seed, and nobody is killed.
func (d *demo) fetch(ctx context.Context, s shared) error {
	first, second, rest := d.nodes[0], d.nodes[1], d.nodes[2:]
	began := time.Now()
	d.say("%s fetches it from the link alone", second.name)
	alone := d.newRound(s, d.nodes[1:2], false)
	if err := alone.run(ctx); err != nil {
		return err
	}
	if len(rest) > 0 {
		if err := d.slow(ctx, s, first, second); err != nil {
			return err
		}
		verb, whom := "fetch", "them"
		if len(rest) == 1 {
			verb, whom = "fetches", "it"
		}
		d.say("%s %s it from the link alone: the members of the group tell %s who holds it", names(rest), verb, whom)
		swarm := d.newRound(s, rest, true)
		if err := swarm.run(ctx); err != nil {
			return err
		}
		d.report.Killed = swarm.loss(first)
		d.report.Swarm = swarm.seconds()
		d.report.note(swarm)
	}
	d.report.Seconds = time.Since(began).Seconds()
	d.report.note(alone)
	return nil
}

// slow limits what both seeds send.
func (d *demo) slow(ctx context.Context, s shared, first, second *node) error {
	for _, l := range []struct {
		n       *node
		seconds int64
	}{{first, firstLine}, {second, secondLine}} {
		up := api.Rate(max(s.Bytes/l.seconds, leastLine))
		if _, err := l.n.client.SetLimits(ctx, "", api.LimitChange{Up: &up}); err != nil {
			return l.n.failed(err)
		}
		d.report.Limits = append(d.report.Limits, Limit{Node: l.n.name, Up: up})
	}
	d.say("  it is a second seed now, and the slow one: it sends at most %s from here on, %s at most %s", d.report.Limits[1].Up, first.name, d.report.Limits[0].Up)
	return nil
}

// round is one time that some nodes fetch at once.
type round struct {
	d       *demo
	s       shared
	began   time.Time
	half    chan struct{} // closed when they have half of it
	deadly  bool          // the first node is to be killed then
	mu      sync.Mutex
	by      []*fetcher
	over    bool // half is closed
	killed  time.Time
	had     int64 // bytes that they had when it was
	grew    time.Time
	ended   time.Time
	quarter int // of the whole that was told last, where there is no terminal
}

// fetcher is one node that fetches.
type fetcher struct {
	n      *node
	bytes  int64
	meter  meter
	grew   time.Time // when it last had more than before; zero: not yet
	pauses [2]time.Duration
	done   *api.Done
	from   map[string]*flow // by name of the node that sends
}

func (d *demo) newRound(s shared, nodes []*node, deadly bool) *round {
	r := &round{d: d, s: s, began: time.Now(), half: make(chan struct{}), deadly: deadly}
	r.grew = r.began
	for _, n := range nodes {
		r.by = append(r.by, &fetcher{n: n, from: map[string]*flow{}})
	}
	return r
}

func (r *round) total() int64 { return r.s.Bytes * int64(len(r.by)) }

func (r *round) seconds() float64 { return r.ended.Sub(r.began).Seconds() }

// run returns when all have everything, or one of them cannot have it.
func (r *round) run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var fetching, beside sync.WaitGroup
	for _, f := range r.by {
		fetching.Go(func() {
			if err := r.fetch(ctx, f); err != nil {
				cancel(f.n.failed(err))
			}
		})
	}
	watch, stop := context.WithCancel(ctx)
	defer stop()
	beside.Go(func() { r.follow(watch, cancel) })
	if r.deadly {
		beside.Go(func() {
			select {
			case <-r.half:
				if err := r.kill(); err != nil {
					cancel(err)
				}
			case <-ctx.Done():
			}
		})
	}
	fetching.Wait()
	r.ended = time.Now()
	stop()
	beside.Wait()
	r.d.Screen.Clear()
	return context.Cause(ctx)
}

// errComplete ends the watch of a download that is done.
var errComplete = errors.New("complete")

// fetch is what a person does who was given the link.
func (r *round) fetch(ctx context.Context, f *fetcher) error {
	sh, err := f.n.client.Add(ctx, api.AddRequest{Link: r.s.Link, Dir: f.n.files})
	if err != nil {
		return err
	}
	err = f.n.client.Watch(ctx, api.Filter{Share: sh.InfoHash, Progress: 100 * time.Millisecond}, func(e api.Event) error {
		switch e := e.(type) {
		case *api.ProgressEvent:
			r.note(f, e.Bytes)
		case *api.ShareEvent:
			if e.Share.State == api.StateFailed {
				return api.Errorf(e.Share.Code, e.Share.Name, "%s", e.Share.Problem)
			}
		case *api.Done:
			r.finish(f, e)
			return errComplete
		}
		return nil
	})
	switch {
	case errors.Is(err, errComplete):
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err == nil || api.KindOf(err) == api.Unavailable:
		return f.n.ended(err)
	}
	return err
}

// note remembers how far a node is, and how long it was no further.
func (r *round) note(f *fetcher, bytes int64) { r.noteAt(f, bytes, time.Now()) }

func (r *round) noteAt(f *fetcher, bytes int64, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if bytes <= f.bytes {
		return
	}
	after := 0
	if !r.killed.IsZero() {
		after = 1
	}
	if !f.grew.IsZero() {
		f.pauses[after] = max(f.pauses[after], now.Sub(f.grew))
	}
	f.bytes, f.grew, r.grew = bytes, now, now
	if sum := r.have(); !r.over && (sum >= r.total()/2 || bytes >= r.s.Bytes) {
		r.over = true
		close(r.half)
	}
}

// have is what all have together.
func (r *round) have() (sum int64) {
	for _, f := range r.by {
		sum += f.bytes
	}
	return sum
}

// finish remembers that a node has everything, and from whom.
func (r *round) finish(f *fetcher, e *api.Done) {
	r.note(f, e.Bytes)
	r.mu.Lock()
	f.done = e
	f.meter = meter{}
	for _, from := range f.from {
		from.meter = meter{}
	}
	for _, s := range e.Peers {
		name := r.d.nameAt(s.Address)
		if f.from[name] == nil {
			f.from[name] = new(flow)
		}
		f.from[name].bytes = s.Bytes
	}
	nobody := !r.over // a share without a byte
	if nobody {
		r.over = true
		close(r.half)
	}
	r.mu.Unlock()
	rate := api.Rate(float64(e.Bytes) / max(e.Seconds, 1e-3))
	r.d.say("  %s has all of it after %.2f s (%s)", f.n.name, e.Seconds, rate)
	r.d.print(FetchedEvent{Event: "fetched", Node: f.n.name, Bytes: e.Bytes, Seconds: e.Seconds, Rate: rate, Wasted: e.Wasted})
}

// kill ends the first node without a goodbye.
func (r *round) kill() error {
	n := r.d.nodes[0]
	if err := n.kill(); err != nil {
		return n.failed(err)
	}
	r.mu.Lock()
	r.killed, r.had = time.Now(), r.have()
	for _, f := range r.by {
		if f.grew.IsZero() { // its wait for a first byte is of the kill from here on
			f.grew = r.killed
		}
	}
	had, after := float64(r.had)/float64(max(r.total(), 1)), r.killed.Sub(r.began).Seconds()
	r.mu.Unlock()
	if r.had < r.total() {
		r.d.say("half-way, at %.0f %%: %s, who shared it, is killed (SIGKILL to process %d); the others go on without it", had*100, n.name, n.ready.PID)
	} else {
		r.d.say("%s, who shared it, is killed (SIGKILL to process %d), but all have all of it", n.name, n.ready.PID)
	}
	r.d.print(KilledEvent{Event: "killed", Node: n.name, PID: n.ready.PID, Seconds: after, Bytes: r.had, Total: r.total()})
	return nil
}

// loss is what the kill cost those who fetched.
func (r *round) loss(n *node) *Killed {
	k := &Killed{Node: n.name, PID: n.ready.PID, Seconds: r.killed.Sub(r.began).Seconds(), Bytes: r.had, Total: r.total()}
	for _, f := range r.by {
		k.PauseBefore = max(k.PauseBefore, f.pauses[0].Seconds())
		k.Pause = max(k.Pause, f.pauses[1].Seconds())
	}
	return k
}
