package announce

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"shoal/internal/adapter/tracker"
)

// trackers is a client of imagined trackers that notes what they are told.
type trackers struct {
	mu    sync.Mutex
	begun time.Time
	said  []string // "seconds url event name id"
	down  map[string]error
	stuck map[string]bool // never answer
	res   tracker.Response
}

func (c *trackers) Announce(ctx context.Context, url string, r tracker.Request) (tracker.Response, error) {
	c.mu.Lock()
	event := map[tracker.Event]string{tracker.None: "-", tracker.Started: "started", tracker.Completed: "completed", tracker.Stopped: "stopped", tracker.Paused: "paused"}[r.Event]
	c.said = append(c.said, strings.TrimRight(fmt.Sprintf("%v %s %s %d %s", time.Since(c.begun).Round(time.Second), url, event, r.InfoHash[0], r.TrackerID), " "))
	err, stuck := c.down[url], c.stuck[url]
	c.mu.Unlock()
	if stuck {
		<-ctx.Done()
		return tracker.Response{}, ctx.Err()
	}
	return c.res, err
}

// expect checks what was said since the last time.
func (c *trackers) expect(t *testing.T, want ...string) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Equal(c.said, want) {
		t.Errorf("trackers were told\n%q\nnot\n%q", c.said, want)
	}
	c.said = nil
}

func (c *trackers) set(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

// share runs what it is given at once, one at a time.
type share struct {
	mu    sync.Mutex
	facts Facts
	got   []Status
	peers int
	deaf  bool // never runs anything
}

func (s *share) Do(ctx context.Context, f func()) bool {
	if s.deaf {
		<-ctx.Done()
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
	return true
}
func (s *share) Facts() Facts { return s.facts }
func (s *share) Answered(st *Status, peers []netip.AddrPort) {
	s.got = append(s.got, *st)
	s.peers += len(peers)
}

func both() (*trackers, *share) {
	c := &trackers{begun: time.Now(), down: map[string]error{}, stuck: map[string]bool{},
		res: tracker.Response{Interval: 30 * time.Minute, Seeders: 3, Leechers: -1, TrackerID: "x",
			Peers: []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:1")}}}
	return c, &share{facts: Facts{Names: [][20]byte{{1}}}}
}

func begin(tiers ...[]string) (*trackers, *share, *Announcer) {
	c, s := both()
	return c, s, start(NewDesk(c), s, tiers...)
}

func start(d *Desk, s *share, tiers ...[]string) *Announcer {
	return d.Start(s, tiers, rand.New(rand.NewPCG(1, 1)), nil)
}

// stop ends an Announcer and waits for its goodbye.
func stop(s *share, a *Announcer) {
	a.Stop(s.facts)
	a.desk.Wait()
}

// state is what the share's goroutine sees.
func state(s *share, a *Announcer, url string) (st Status, next time.Duration) {
	s.Do(context.Background(), func() { st, next = Statuses([][]string{{"before"}, {url}}, a)[1], time.Until(a.Next()) })
	return st, next
}

// pass lets virtual time go by.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

// TestEvents: started once, then at the interval, completed at once, stopped at the end.
func TestEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s, a := begin([]string{"a"}, []string{"b"})
		synctest.Wait()
		c.expect(t, "0s a started 1")
		st, next := state(s, a, "a")
		if !st.OK || st.Tier != 1 || st.Seeders != 3 || st.Leechers != -1 || st.Peers != 1 || s.peers != 1 {
			t.Errorf("state %+v, %d peers", st, s.peers)
		}
		if other, _ := state(s, a, "b"); other.OK || other.Seeders != -1 || other.URL != "b" || next != 30*time.Minute {
			t.Errorf("next in %v", next)
		}
		pass(31 * time.Minute)
		c.expect(t, "30m0s a - 1 x")
		a.Completed()
		synctest.Wait()
		c.expect(t, "31m0s a completed 1 x")
		stop(s, a)
		c.expect(t, "31m0s a stopped 1 x")
	})
}

// TestHybrid: both names are announced everywhere.
func TestHybrid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := both()
		s.facts.Names = append(s.facts.Names, [20]byte{2})
		a := start(NewDesk(c), s, []string{"a"})
		synctest.Wait()
		c.expect(t, "0s a started 1", "0s a started 2")
		if s.peers != 2 {
			t.Errorf("%d peers", s.peers)
		}
		stop(s, a)
		c.expect(t, "0s a stopped 1 x", "0s a stopped 2 x")
	})
}

// TestPartialSeed (BEP 21): who has all that it wants, and not all, says so each time.
func TestPartialSeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s, a := begin([]string{"a"})
		s.Do(t.Context(), func() { s.facts.Left = 5 })
		pass(31 * time.Minute)
		s.Do(t.Context(), func() { s.facts.Complete = true })
		pass(30 * time.Minute)
		s.Do(t.Context(), func() { s.facts.Left = 0 })
		pass(30 * time.Minute)
		c.expect(t, "0s a started 1", "30m0s a - 1 x", "1h0m0s a paused 1 x", "1h30m0s a - 1 x")
		stop(s, a)
	})
}

// TestTiers: the next is asked where one fails, the wait doubles where all do, and one
// that refuses for ever is asked no more (BEP 31).
func TestTiers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s, a := begin([]string{"a"}, []string{"b"})
		synctest.Wait()
		c.expect(t, "0s a started 1")
		c.set(func() { c.down["a"] = errors.New("down") })
		pass(30 * time.Minute)
		c.expect(t, "30m0s a - 1 x", "30m0s b started 1")
		if st, _ := state(s, a, "a"); st.OK || st.Message != "down" {
			t.Errorf("state %+v", st)
		}
		c.set(func() { c.down["b"] = &tracker.Failure{Reason: "no", Never: true} })
		pass(30*time.Minute + 29*time.Second)
		c.expect(t, "1h0m0s a - 1 x", "1h0m0s b - 1 x")
		pass(time.Minute)
		c.expect(t, "1h0m30s a - 1 x")
		pass(2 * time.Second)
		c.expect(t, "1h1m30s a - 1 x")
		stop(s, a)
		if len(c.said) != 2 { // both know of us
			t.Errorf("told %q", c.said)
		}
	})
}

// TestStopInTime: trackers that do not answer hold nothing up for longer than StoppedTime.
func TestStopInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s, a := begin([]string{"a"})
		synctest.Wait()
		c.set(func() { c.stuck["a"] = true })
		at := time.Now()
		stop(s, a)
		if took := time.Since(at); took != StoppedTime {
			t.Errorf("stopped within %v", took)
		}
		c.expect(t, "0s a started 1", "0s a stopped 1 x")
	})
}

// TestParkIsSilent: nobody is told, and who knows of us is remembered for Farewell.
func TestParkIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s, a := begin([]string{"a"})
		synctest.Wait()
		c.expect(t, "0s a started 1")
		past := a.Park()
		c.expect(t)
		Farewell(t.Context(), c, past.Goodbyes(s.facts))
		c.expect(t, "0s a stopped 1 x")
	})
}

// TestDeafShare: a share's goroutine that stops the Announcer runs nothing for it any
// more; an Announcer that waits for it ends all the same.
func TestDeafShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &trackers{begun: time.Now()}
		s := &share{deaf: true}
		a := start(NewDesk(c), s, []string{"a"})
		synctest.Wait()
		if list := a.Park().Goodbyes(s.facts); len(list) > 0 {
			t.Errorf("%+v know of us", list)
		}
		c.expect(t)
	})
}

// TestFarewellEnds with its context, however many there are to tell.
func TestFarewellEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &trackers{begun: time.Now(), stuck: map[string]bool{"a": true}}
		list := make([]Goodbye, 3*atOnce)
		for i := range list {
			list[i] = Goodbye{URL: "a", Facts: Facts{Names: [][20]byte{{1}}}}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		Farewell(ctx, c, list)
		if took := time.Since(c.begun); took != time.Second || len(c.said) > atOnce {
			t.Errorf("%v, %d told", took, len(c.said))
		}
	})
}

// TestSilentTracker (BEP 12): one that does not answer does not keep those after it from
// being asked.
func TestSilentTracker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := both()
		c.stuck["a"], c.stuck["b"] = true, true
		a := start(NewDesk(c), s, []string{"a"}, []string{"b"}, []string{"c"})
		pass(time.Minute)
		c.expect(t, "0s a started 1", "20s b started 1", "40s c started 1")
		stop(s, a)
		c.expect(t, "1m0s c stopped 1 x")
	})
}

// TestRetryIn (BEP 31): who wants time has it.
func TestRetryIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := both()
		c.down["a"] = &tracker.Failure{Reason: "busy", RetryIn: 70 * time.Minute}
		a := start(NewDesk(c), s, []string{"a"}, []string{"b"})
		pass(61 * time.Minute)
		c.expect(t, "0s a started 1", "0s b started 1", "30m0s b - 1 x", "1h0m0s b - 1 x")
		c.set(func() { clear(c.down) })
		pass(30 * time.Minute)
		c.expect(t, "1h30m0s a started 1")
		stop(s, a)
	})
}

// TestNoneLeft: where every tracker refused for ever, nobody is asked again.
func TestNoneLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := both()
		c.down["a"] = &tracker.Failure{Reason: "no", Never: true}
		a := start(NewDesk(c), s, []string{"a"})
		pass(23 * time.Hour)
		c.expect(t, "0s a started 1")
		stop(s, a)
		c.expect(t)
	})
}

// TestWake: a share that was parked goes on where it was: it says nothing before its time,
// then no `started` again, and keeps the id that the tracker gave.
func TestWake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s, a := begin([]string{"a"})
		synctest.Wait()
		c.expect(t, "0s a started 1")
		past := a.Park()
		pass(10 * time.Minute)
		a = a.desk.Start(s, nil, nil, past)
		if st, next := state(s, a, "a"); next != 20*time.Minute || st.Seeders != 3 {
			t.Errorf("next in %v, state %+v", next, st)
		}
		pass(19 * time.Minute)
		c.expect(t)
		pass(2 * time.Minute)
		c.expect(t, "30m0s a - 1 x")
		past = a.Park()
		pass(time.Hour)
		a = a.desk.Start(s, nil, nil, past)
		synctest.Wait()
		c.expect(t, "1h31m0s a - 1 x") // its time is long over
		stop(s, a.desk.Start(s, nil, nil, a.Park()))
		c.expect(t, "1h31m0s a stopped 1 x") // awake for nothing else
	})
}

// TestWakeAfterFailures: the wait goes on doubling although the share is parked in between.
func TestWakeAfterFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := both()
		c.down["a"] = errors.New("down")
		a := start(NewDesk(c), s, []string{"a"})
		for range 3 {
			synctest.Wait()
			a = a.desk.Start(s, nil, nil, a.Park())
			pass(time.Minute + 59*time.Second)
		}
		c.expect(t, "0s a started 1", "30s a started 1", "1m30s a started 1", "3m30s a started 1")
		stop(s, a)
	})
}

// TestParkKeepsCompleted: what could not be told yet is told by the next.
func TestParkKeepsCompleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s, a := begin([]string{"a"})
		synctest.Wait()
		c.set(func() { c.down["a"] = errors.New("down") })
		a.Completed()
		synctest.Wait()
		c.expect(t, "0s a started 1", "0s a completed 1 x")
		past := a.Park()
		c.set(func() { clear(c.down) })
		a = a.desk.Start(s, nil, nil, past)
		pass(failFirst)
		c.expect(t, "30s a completed 1 x")
		stop(s, a)
	})
}

// TestOrder: who starts again at once says `started` after `stopped`, whatever the tracker
// takes for that.
func TestOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s, a := begin([]string{"a"})
		synctest.Wait()
		c.set(func() { c.stuck["a"] = true })
		a.Stop(s.facts)
		again := start(a.desk, s, []string{"a"})
		synctest.Wait()
		other := start(a.desk, &share{facts: Facts{Names: [][20]byte{{9}}}}, []string{"b"})
		pass(time.Second)
		c.expect(t, "0s a started 1", "0s a stopped 1 x", "0s b started 9")
		c.set(func() { c.stuck["a"] = false })
		again.Stop(s.facts)
		last := start(a.desk, s, []string{"a"})
		pass(StoppedTime)
		c.expect(t, "3s a started 1") // 2.5 s, rounded
		last.Stop(s.facts)
		other.Stop(Facts{})
		a.desk.Wait()
		if len(a.desk.leaving) > 0 {
			t.Errorf("%d are still leaving", len(a.desk.leaving))
		}
	})
}

// TestCutShort: a tracker whose answer to `started` was not waited for may know of us.
func TestCutShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := both()
		c.stuck["a"] = true
		a := start(NewDesk(c), s, []string{"a"})
		pass(time.Second)
		if _, next := state(s, a, "a"); next > 0 {
			t.Errorf("next in %v while it is asked", next)
		}
		c.set(func() { c.stuck["a"] = false })
		stop(s, a)
		c.expect(t, "0s a started 1", "1s a stopped 1")
	})
}
