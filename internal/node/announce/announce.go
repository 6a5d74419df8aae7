package announce

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"time"

	"shoal/internal/adapter/tracker"
)

// How trackers are asked.
const (
	roundTime = 30 * time.Second // for one whole round over the tiers
	failFirst = 30 * time.Second // wait after a round in which none answered
	failMost  = 30 * time.Minute
	numWant   = 80

	// StoppedTime is how long telling trackers `stopped` may take.
	StoppedTime = 2500 * time.Millisecond
)

// Client is what asks one tracker: *tracker.Client.
type Client interface {
	// Announce returns when the tracker has answered or ctx ends.
	Announce(ctx context.Context, url string, r tracker.Request) (tracker.Response, error)
}

// Share is what an Announcer needs of its share.
type Share interface {
	// Do runs f in the share's goroutine and waits for it. It returns false, and f may
	// still run later, if ctx or the goroutine ends first.
	Do(ctx context.Context, f func()) bool
	// Facts are what trackers are told now. It is called within Do.
	Facts() Facts
	// Answered takes what a tracker said and the peers that it named. It is called within Do.
	Answered(st *Status, peers []netip.AddrPort)
}

// Facts are what trackers are told of a share.
type Facts struct {
	Names                      [][20]byte // info hashes: a hybrid has two swarms at a tracker
	PeerID                     [20]byte
	Port                       uint16
	Key                        uint32
	Uploaded, Downloaded, Left int64 // bytes
	Complete                   bool  // no peers are wanted
}

// Status is what one tracker last said.
type Status struct {
	URL, Message             string
	Tier                     int
	Seeders, Leechers, Peers int // -1: it did not say
	Next                     time.Time
	OK                       bool
}

// Announcer asks one share's trackers until Stop or Park.
type Announcer struct {
	client Client
	share  Share
	ctx    context.Context
	cancel context.CancelFunc
	kick   chan tracker.Event
	done   chan struct{}
	last   *Facts // set by Stop before cancel: to be told with `stopped`

	// Owned by run, and by whoever waited for it.
	tiers   *tracker.Tiers
	started map[string]bool // trackers that know of us
	ids     map[string]string

	// Owned by the share's goroutine.
	next   time.Time
	states map[string]*Status
}

// Start begins to ask the trackers of those tiers (BEP 12).
func Start(c Client, tiers [][]string, rng *rand.Rand, share Share) *Announcer {
	a := &Announcer{client: c, share: share, kick: make(chan tracker.Event, 1), done: make(chan struct{}),
		tiers: tracker.NewTiers(tiers, rng), started: make(map[string]bool), ids: make(map[string]string),
		states: make(map[string]*Status)}
	a.ctx, a.cancel = context.WithCancel(context.Background())
	go a.run()
	return a
}

// Completed has the trackers told that the last piece has come. It does not wait.
func (a *Announcer) Completed() {
	select {
	case a.kick <- tracker.Completed:
	default:
	}
}

// Next is when trackers are asked next; zero while that is not known. It is for the
// share's goroutine, as State is.
func (a *Announcer) Next() time.Time { return a.next }

// State is what a tracker last said, nil if it was not asked.
func (a *Announcer) State(url string) *Status { return a.states[url] }

// Stop ends the Announcer and has those trackers told `stopped` that know of the share,
// within StoppedTime. It does not wait: see Wait.
func (a *Announcer) Stop(last Facts) {
	a.last = &last
	a.cancel()
}

// Park ends the Announcer without a word and returns the trackers that know of the share.
func (a *Announcer) Park() (told []string) {
	a.cancel()
	<-a.done
	for url := range a.started {
		told = append(told, url)
	}
	return told
}

// Wait returns when the Announcer has ended and said what Stop made it say.
func (a *Announcer) Wait() { <-a.done }

func (a *Announcer) run() {
	defer close(a.done)
	event := tracker.Started
	wait := failFirst
	for a.ctx.Err() == nil {
		next, ok := a.round(event)
		if !ok {
			next, wait = wait, min(2*wait, failMost)
		} else {
			wait = failFirst
			event = tracker.None
		}
		at := time.Now().Add(next)
		a.share.Do(a.ctx, func() { a.next = at })
		t := time.NewTimer(next)
		select {
		case <-t.C:
		case e := <-a.kick:
			event = e
		case <-a.ctx.Done():
		}
		t.Stop()
	}
	if a.last != nil {
		a.goodbye()
	}
}

// round asks the tiers in order until one tracker answers (BEP 12).
func (a *Announcer) round(event tracker.Event) (time.Duration, bool) {
	ctx, cancel := context.WithTimeout(a.ctx, roundTime)
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
func (a *Announcer) failed(url string, err error) {
	var f *tracker.Failure
	if errors.As(err, &f) && f.Never {
		a.tiers.Remove(url)
		return
	}
	a.tiers.Failed(url)
}

// ask announces under each name of the share; one answer is enough.
func (a *Announcer) ask(ctx context.Context, url string, event tracker.Event) (tracker.Response, error) {
	var facts Facts
	if !a.share.Do(ctx, func() { facts = a.share.Facts() }) {
		return tracker.Response{}, context.Canceled
	}
	r := facts.request(event)
	r.TrackerID = a.ids[url]
	if r.NumWant = numWant; facts.Complete {
		r.NumWant = -1
	}
	var out tracker.Response
	var first error
	answered := false
	for _, n := range facts.Names {
		r.InfoHash = n
		res, err := a.client.Announce(ctx, url, r)
		switch {
		case err == nil && !answered:
			out, answered = res, true
		case err == nil:
			out.Peers = append(out.Peers, res.Peers...)
		case first == nil:
			first = err
		}
	}
	if answered {
		return out, nil
	}
	return out, first
}

func (f *Facts) request(event tracker.Event) tracker.Request {
	return tracker.Request{PeerID: f.PeerID, Port: f.Port, Key: f.Key, Uploaded: f.Uploaded, Downloaded: f.Downloaded,
		Left: f.Left, Event: event}
}

// report shows what a tracker said and hands over its peers.
func (a *Announcer) report(url string, res tracker.Response, err error) {
	if a.ctx.Err() != nil {
		return
	}
	st := &Status{URL: url, Seeders: -1, Leechers: -1, OK: err == nil}
	if err != nil {
		st.Message = err.Error()
	} else {
		st.Message, st.Seeders, st.Leechers, st.Peers = res.Warning, res.Seeders, res.Leechers, len(res.Peers)
		st.Next = time.Now().Add(res.Interval)
	}
	a.share.Do(a.ctx, func() {
		a.states[url] = st
		a.share.Answered(st, res.Peers)
	})
}
