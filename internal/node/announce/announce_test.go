package announce

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
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
	said  []string // "seconds url event name"
	down  map[string]error
	stuck map[string]bool // never answer
	res   tracker.Response
}

func (c *trackers) Announce(ctx context.Context, url string, r tracker.Request) (tracker.Response, error) {
	c.mu.Lock()
	event := map[tracker.Event]string{tracker.None: "-", tracker.Started: "started", tracker.Completed: "completed", tracker.Stopped: "stopped"}[r.Event]
	c.said = append(c.said, fmt.Sprintf("%v %s %s %d", time.Since(c.begun).Round(time.Second), url, event, r.InfoHash[0]))
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
	return c, s, Start(c, tiers, rand.New(rand.NewPCG(1, 1)), s)
}

// state is what the share's goroutine sees.
func state(s *share, a *Announcer, url string) (st *Status, next time.Duration) {
	s.Do(context.Background(), func() { st, next = a.State(url), time.Until(a.Next()) })
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
		if st == nil || !st.OK || st.Seeders != 3 || st.Leechers != -1 || st.Peers != 1 || s.peers != 1 {
			t.Errorf("state %+v, %d peers", st, s.peers)
		}
		if other, _ := state(s, a, "b"); other != nil || next != 30*time.Minute {
			t.Errorf("next in %v", next)
		}
		pass(31 * time.Minute)
		c.expect(t, "30m0s a - 1")
		a.Completed()
		synctest.Wait()
		c.expect(t, "31m0s a completed 1")
		a.Stop(s.facts)
		a.Wait()
		c.expect(t, "31m0s a stopped 1")
	})
}

// TestHybrid: both names are announced everywhere.
func TestHybrid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s := both()
		s.facts.Names = append(s.facts.Names, [20]byte{2})
		a := Start(c, [][]string{{"a"}}, rand.New(rand.NewPCG(1, 1)), s)
		synctest.Wait()
		c.expect(t, "0s a started 1", "0s a started 2")
		if s.peers != 2 {
			t.Errorf("%d peers", s.peers)
		}
		a.Stop(s.facts)
		a.Wait()
		c.expect(t, "0s a stopped 1", "0s a stopped 2")
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
		c.expect(t, "30m0s a - 1", "30m0s b started 1")
		if st, _ := state(s, a, "a"); st.OK || st.Message != "down" {
			t.Errorf("state %+v", st)
		}
		c.set(func() { c.down["b"] = &tracker.Failure{Reason: "no", Never: true} })
		pass(30*time.Minute + 29*time.Second)
		c.expect(t, "1h0m0s a - 1", "1h0m0s b - 1")
		pass(time.Minute)
		c.expect(t, "1h0m30s a - 1")
		pass(2 * time.Second)
		c.expect(t, "1h1m30s a - 1")
		a.Stop(s.facts)
		a.Wait()
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
		a.Stop(s.facts)
		a.Wait()
		if took := time.Since(at); took != StoppedTime {
			t.Errorf("stopped within %v", took)
		}
		c.expect(t, "0s a started 1", "0s a stopped 1")
	})
}

// TestParkIsSilent: nobody is told, and who knows of us is remembered for Farewell.
func TestParkIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, s, a := begin([]string{"a"})
		synctest.Wait()
		c.expect(t, "0s a started 1")
		told := a.Park()
		c.expect(t)
		if !slices.Equal(told, []string{"a"}) {
			t.Fatalf("%q know of us", told)
		}
		Farewell(t.Context(), c, []Goodbye{{URL: "a", Facts: s.facts}})
		c.expect(t, "0s a stopped 1")
	})
}

// TestDeafShare: a share's goroutine that stops the Announcer runs nothing for it any
// more; an Announcer that waits for it ends all the same.
func TestDeafShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &trackers{begun: time.Now()}
		s := &share{deaf: true}
		a := Start(c, [][]string{{"a"}}, rand.New(rand.NewPCG(1, 1)), s)
		synctest.Wait()
		if told := a.Park(); len(told) > 0 {
			t.Errorf("%q know of us", told)
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
