package engine

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"shoal/internal/adapter/tracker"
	"shoal/internal/core/swarm"
)

// How trackers are asked.
const (
	announceTime = 30 * time.Second // for one whole round over the tiers
	announceFail = 30 * time.Second // first wait after a round in which none answered
	announceMost = 30 * time.Minute
	stoppedTime  = 2500 * time.Millisecond // for `stopped` when the node ends
	numWant      = 80
)

// announcer asks a share's trackers in a goroutine of its own. It shows its state through
// the share's loop.
type announcer struct {
	s       *Share
	tiers   *tracker.Tiers
	ctx     context.Context
	cancel  context.CancelFunc
	kick    chan tracker.Event
	done    chan struct{}
	started map[string]bool // trackers that know of us
	silent  atomic.Bool     // end without a word
	ids     map[string]string
	// Owned by the share's loop.
	next   time.Time
	states map[string]*TrackerStatus
}

func (s *Share) trackers() [][]string {
	if s.meta != nil {
		return s.meta.Trackers
	}
	var tiers [][]string
	for _, t := range s.spec.Magnet.Trackers {
		tiers = append(tiers, []string{t})
	}
	return tiers
}

// startAnnouncer begins to ask trackers, if there are any.
func (s *Share) startAnnouncer() {
	list := s.trackers()
	if len(list) == 0 || s.e.cfg.Tracker == nil || s.e.cfg.Offline || s.paused || s.ann != nil {
		return
	}
	a := &announcer{s: s, tiers: tracker.NewTiers(list, rand.New(rand.NewChaCha8(seed()))), kick: make(chan tracker.Event, 1),
		done: make(chan struct{}), started: make(map[string]bool), ids: make(map[string]string), states: make(map[string]*TrackerStatus)}
	a.ctx, a.cancel = context.WithCancel(context.Background())
	s.ann = a
	go a.run()
}

// stopAnnouncer tells trackers that we go, within stoppedTime. A share that is only
// parked is still offered: its trackers are told when the node ends.
func (s *Share) stopAnnouncer() {
	a := s.ann
	if a == nil {
		return
	}
	s.ann = nil
	a.silent.Store(s.parked)
	a.cancel()
	<-a.done
	if s.parked {
		s.e.mu.Lock()
		if r := s.e.shares[s.row.ID]; r != nil {
			for url := range a.started {
				r.told = append(r.told, url)
			}
		}
		s.e.mu.Unlock()
	}
}

// farewell tells the trackers of parked shares that we go, as far as ctx leaves time.
func (e *Engine) farewell(ctx context.Context) {
	type call struct {
		url string
		r   tracker.Request
	}
	var calls []call
	e.mu.Lock()
	for _, r := range e.shares {
		for _, url := range r.told {
			for _, name := range r.hash.Wire() {
				calls = append(calls, call{url, tracker.Request{InfoHash: name, PeerID: e.peerID, Port: e.port,
					Uploaded: r.row.Uploaded, Downloaded: r.row.Downloaded, Event: tracker.Stopped, NumWant: -1, Key: e.key}})
			}
		}
	}
	e.mu.Unlock()
	places := make(chan struct{}, 32)
	var wg sync.WaitGroup
	for _, c := range calls {
		select {
		case places <- struct{}{}:
		case <-ctx.Done():
			return
		}
		wg.Add(1)
		go func() {
			defer func() { <-places; wg.Done() }()
			_, _ = e.cfg.Tracker.Announce(ctx, c.url, c.r) // nobody is left to tell
		}()
	}
	wg.Wait()
}

// announceCompleted tells trackers that the share is complete now.
func (s *Share) announceCompleted() {
	if s.ann != nil {
		select {
		case s.ann.kick <- tracker.Completed:
		default:
		}
	}
}

func (s *Share) nextAnnounce() time.Time {
	if s.ann == nil {
		return time.Time{}
	}
	return s.ann.next
}

func (a *announcer) run() {
	defer close(a.done)
	defer func() {
		if !a.silent.Load() {
			a.stop()
		}
	}()
	event := tracker.Started
	wait := announceFail
	for {
		next, ok := a.round(event)
		if !ok {
			next, wait = wait, min(2*wait, announceMost)
		} else {
			wait = announceFail
			event = tracker.None
		}
		at := time.Now().Add(next)
		a.s.post(msg{kind: msgCall, call: func() { a.next = at }})
		t := time.NewTimer(next)
		select {
		case <-t.C:
		case e := <-a.kick:
			event = e
		case <-a.ctx.Done():
			t.Stop()
			return
		}
		t.Stop()
	}
}

// round asks the tiers in order until one tracker answers (BEP 12).
func (a *announcer) round(event tracker.Event) (time.Duration, bool) {
	ctx, cancel := context.WithTimeout(a.ctx, announceTime)
	defer cancel()
	a.tiers.Restart()
	for {
		url, ok := a.tiers.Next()
		if !ok || ctx.Err() != nil {
			return 0, false
		}
		e := event
		if !a.started[url] && e != tracker.Completed {
			e = tracker.Started
		}
		res, err := a.ask(ctx, url, e)
		a.report(url, res, err)
		if err != nil {
			a.failed(url, err)
			continue
		}
		a.tiers.Succeeded(url)
		a.started[url] = true
		if res.TrackerID != "" {
			a.ids[url] = res.TrackerID
		}
		return max(res.Interval, res.MinInterval), true
	}
}

// failed goes on to the next tracker; one that never wants to hear of us again (BEP 31)
// is left out.
func (a *announcer) failed(url string, err error) {
	var f *tracker.Failure
	if errors.As(err, &f) && f.Never {
		a.tiers.Remove(url)
		return
	}
	a.tiers.Failed(url)
}

// ask announces under each name of the share: a hybrid has two swarms at a tracker.
func (a *announcer) ask(ctx context.Context, url string, event tracker.Event) (tracker.Response, error) {
	var out tracker.Response
	var first error
	r, names, ok := a.request(event)
	if !ok {
		return out, errGone
	}
	r.TrackerID = a.ids[url]
	answered := false
	for _, n := range names {
		r.InfoHash = n
		res, err := a.s.e.cfg.Tracker.Announce(ctx, url, r)
		if err != nil {
			if first == nil {
				first = err
			}
			continue
		}
		if !answered {
			out = res
		} else {
			out.Peers = append(out.Peers, res.Peers...)
		}
		answered = true
	}
	if answered {
		return out, nil
	}
	return out, first
}

func (a *announcer) request(event tracker.Event) (r tracker.Request, names [][20]byte, ok bool) {
	s := a.s
	fill := func() {
		s.counters()
		r = tracker.Request{PeerID: s.e.peerID, Port: s.e.port, Uploaded: s.row.Uploaded, Downloaded: s.row.Downloaded,
			Left: s.bytesLeft(), Event: event, NumWant: numWant, Key: s.e.key}
		if s.row.Complete || event == tracker.Stopped {
			r.NumWant = -1
		}
		names = s.hash.Wire()
	}
	if event == tracker.Stopped {
		fill() // the loop waits for us: nobody else touches the share
		return r, names, true
	}
	return r, names, s.call(fill)
}

// report shows what a tracker said and takes its peers.
func (a *announcer) report(url string, res tracker.Response, err error) {
	if a.ctx.Err() != nil {
		return
	}
	a.s.post(msg{kind: msgCall, call: func() {
		st := &TrackerStatus{URL: url, Seeders: -1, Leechers: -1, OK: err == nil}
		if err != nil {
			st.Message = err.Error()
		} else {
			st.Message, st.Seeders, st.Leechers, st.Peers = res.Warning, res.Seeders, res.Leechers, len(res.Peers)
			st.Next = time.Now().Add(res.Interval)
		}
		a.states[url] = st
		for _, p := range res.Peers {
			a.s.addCandidate(p, swarm.FromTracker)
		}
		a.s.dialSome()
		a.s.e.tell(Event{Kind: EventTracker, ID: a.s.id(), Tracker: st})
	}})
}

// stop tells the trackers that know of us that we go.
func (a *announcer) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), stoppedTime)
	defer cancel()
	ended := make(chan struct{}, len(a.started))
	for url := range a.started {
		go func() {
			_, _ = a.askStopped(ctx, url)
			ended <- struct{}{}
		}()
	}
	for range a.started {
		select {
		case <-ended:
		case <-ctx.Done():
			return
		}
	}
}

func (a *announcer) askStopped(ctx context.Context, url string) (tracker.Response, error) {
	r, names, _ := a.request(tracker.Stopped)
	for _, n := range names {
		r.InfoHash = n
		if res, err := a.s.e.cfg.Tracker.Announce(ctx, url, r); err != nil {
			return res, err
		}
	}
	return tracker.Response{}, nil
}
