package announce

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"shoal/internal/adapter/tracker"
)

// How trackers are asked.
const (
	askTime   = 20 * time.Second // for one tracker: over UDP it is asked again after 15 s (BEP 15)
	failFirst = 30 * time.Second // wait after a round in which none answered
	failMost  = 30 * time.Minute
	numWant   = 80
	seedWant  = 30 // of a complete share: those who want it may not be able to come by themselves

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
	// Facts are what trackers are told now. It is called in the share's goroutine.
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
	Uploaded, Downloaded, Left int64 // bytes; Left counts what is not wanted too
	Complete                   bool  // all that is wanted is here: no peers are asked for
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
	desk   *Desk
	share  Share
	ctx    context.Context
	cancel context.CancelFunc
	kick   chan tracker.Event
	done   chan struct{}
	before []*Announcer // of the same info hash, that are still saying goodbye
	last   *Facts       // set by Stop before cancel: to be told with `stopped`

	// Owned by run, and by whoever waited for it; states and next by the share's goroutine.
	*Past
}

func newAnnouncer(d *Desk, share Share, past *Past) *Announcer {
	a := &Announcer{desk: d, share: share, kick: make(chan tracker.Event, 1), done: make(chan struct{}), Past: past}
	a.ctx, a.cancel = context.WithCancel(context.Background())
	return a
}

// Completed has the trackers told that the last piece has come. It does not wait.
func (a *Announcer) Completed() {
	select {
	case a.kick <- tracker.Completed:
	default:
	}
}

// Next is when trackers are asked next; zero while they are being asked, and of a nil
// Announcer. It is for the share's goroutine.
func (a *Announcer) Next() time.Time {
	if a == nil {
		return time.Time{}
	}
	return a.next
}

// Statuses are those of all trackers, in the order of their tiers; a is nil while none is
// asked. It is for the share's goroutine.
func Statuses(tiers [][]string, a *Announcer) (list []Status) {
	for tier, urls := range tiers {
		for _, u := range urls {
			st := Status{URL: u, Seeders: -1, Leechers: -1}
			if a != nil && a.states[u] != nil {
				st = *a.states[u]
			}
			st.Tier = tier
			list = append(list, st)
		}
	}
	return list
}

// Stop ends the Announcer and has those trackers told `stopped` that know of the share,
// within StoppedTime. It does not wait: see Desk.Wait.
func (a *Announcer) Stop(last Facts) {
	a.last = &last
	a.desk.leaves(a)
	a.cancel()
}

// Park ends the Announcer without a word; another goes on from what it returns.
func (a *Announcer) Park() *Past {
	a.cancel()
	<-a.done
	select {
	case a.event = <-a.kick:
	default:
	}
	return a.Past
}

func (a *Announcer) run() {
	defer close(a.done)
	for _, b := range a.before {
		<-b.done
	}
	a.before = nil
	a.announce()
	if a.last != nil {
		a.goodbye()
		a.desk.left(a)
	}
}

// announce asks round after round until the Announcer ends.
func (a *Announcer) announce() {
	for next := a.next; a.sleep(next); {
		wait, ok := a.round()
		if ok {
			a.event, a.fail = tracker.None, failFirst
		} else {
			wait, a.fail = a.fail, min(2*a.fail, failMost)
		}
		next = time.Now().Add(wait)
		a.share.Do(a.ctx, func() { a.next = next })
	}
}

// sleep waits for a time or for something to tell; false if the Announcer ends.
func (a *Announcer) sleep(until time.Time) bool {
	t := time.NewTimer(time.Until(until))
	defer t.Stop()
	select {
	case <-t.C:
	case a.event = <-a.kick:
	case <-a.ctx.Done():
	}
	return a.ctx.Err() == nil
}

// round asks the tiers in order until one tracker answers (BEP 12) and returns how long to
// wait then.
func (a *Announcer) round() (wait time.Duration, answered bool) {
	a.tiers.Restart()
	if _, any := a.tiers.Next(); !any {
		return tracker.DefaultMaxInterval, true // none is left
	}
	for {
		url, ok := a.tiers.Next()
		if !ok || a.ctx.Err() != nil {
			return 0, false
		}
		if time.Now().Before(a.later[url]) {
			a.tiers.Failed(url)
			continue
		}
		res, err := a.ask(url)
		a.report(url, res, err)
		if err != nil {
			var f *tracker.Failure
			errors.As(err, &f)
			a.failed(url, f)
			continue
		}
		a.tiers.Succeeded(url)
		a.know(url, res.TrackerID)
		delete(a.later, url)
		return max(res.Interval, res.MinInterval), true
	}
}

// ask announces under each name of the share; one answer is enough.
func (a *Announcer) ask(url string) (tracker.Response, error) {
	ctx, cancel := context.WithTimeout(a.ctx, askTime)
	defer cancel()
	var facts Facts
	if !a.share.Do(ctx, func() { facts, a.next = a.share.Facts(), time.Time{} }) {
		return tracker.Response{}, context.Cause(ctx)
	}
	r := facts.request(a.event)
	id, told := a.told[url]
	if r.TrackerID = id; !told && r.Event != tracker.Completed {
		r.Event = tracker.Started
	}
	if r.NumWant = numWant; facts.Complete {
		r.NumWant = seedWant
	}
	var out tracker.Response
	var first error
	answered := false
	for _, n := range facts.Names {
		r.InfoHash = n
		res, err := a.desk.client.Announce(ctx, url, r)
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
	if a.ctx.Err() != nil { // it was not waited for, and may know of us
		a.know(url, "")
	}
	return out, first
}

func (f *Facts) request(event tracker.Event) tracker.Request {
	if event == tracker.None && f.Complete && f.Left > 0 {
		event = tracker.Paused // a partial seed (BEP 21)
	}
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
