package dht

import (
	"context"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"shoal/internal/core/group"
	"shoal/internal/core/kad/krpc"
	"shoal/internal/core/metainfo"
	"shoal/internal/core/swarm/candidates"
	"shoal/internal/node/locate"
)

var _ locate.Locator = (*Locator)(nil)

func mainline(d *DHT) *Locator {
	return d.Locator(LocatorConfig{Name: "mainline", Source: candidates.FromDHT, Open: true, Port: func() uint16 { return 7463 }})
}

// offer is share number i, of v1.
func offer(i int) locate.Offer {
	return locate.Offer{ID: hash(i).String(), Hash: metainfo.InfoHash{V1: hash(i), Version: metainfo.V1}, Complete: true}
}

// asker starts node number i with a Locator.
func (w *world) asker(i int, cfg Config) (*node, *Locator) {
	n := w.make(i, cfg)
	l := mainline(n.DHT)
	w.run(n).Add(host(0))
	return n, l
}

// announces notes who is told of what, and when: each hash once for each announcement.
type announces struct {
	mu    sync.Mutex
	order []krpc.ID
	times map[krpc.ID][]time.Time
}

func (w *world) announces(from netip.AddrPort) *announces {
	a := &announces{times: make(map[krpc.ID][]time.Time)}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen = func(at, _ netip.AddrPort, m *krpc.Message) {
		if at != from || m.Kind != krpc.Query || m.Method != krpc.AnnouncePeer {
			return
		}
		a.mu.Lock()
		defer a.mu.Unlock()
		list := a.times[m.Target]
		if n := len(list); n == 0 || time.Since(list[n-1]) > 10*time.Second {
			a.times[m.Target] = append(list, time.Now())
			a.order = append(a.order, m.Target)
		}
	}
	return a
}

func (a *announces) count(i int) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.times[hash(i)])
}

// TestAnnounceBudget: many shares are announced one a second, those that are wanted first,
// then the new ones, and all before any is announced again.
func TestAnnounceBudget(t *testing.T) {
	inWorld(t, 3, func(t *testing.T, w *world) {
		const many = 1500
		n, l := w.asker(50, Config{})
		a := w.announces(n.at)
		for i := range many {
			l.Offer(offer(i))
		}
		pass(20 * time.Second)
		wanted := offer(many)
		wanted.Wanted, wanted.Complete = true, false
		l.Offer(wanted)
		pass(3 * time.Second)
		must(t, a.count(many) == 1, "what is wanted waits")
		before := n.Counted().Announced
		must(t, before >= 20 && before <= 25, "%d announcements in 23 s", before)
		pass(time.Hour)
		got := n.Counted().Announced - before
		must(t, got >= 3500 && got <= 3600, "%d announcements in an hour", got)
		least, most := many, 0
		for i := range many {
			least, most = min(least, a.count(i)), max(most, a.count(i))
		}
		must(t, least >= 2 && most <= least+1, "each was announced %d to %d times", least, most)
		must(t, a.count(many) >= 4, "what is wanted was announced %d times", a.count(many))
	})
}

// TestAnnounceAgain: few shares are announced again every 15 to 30 minutes and no more.
func TestAnnounceAgain(t *testing.T) {
	inWorld(t, 10, func(t *testing.T, w *world) {
		n, l := w.asker(50, Config{})
		a := w.announces(n.at)
		for i := range 5 {
			o := offer(i)
			o.Wanted = i%2 == 0
			l.Offer(o)
		}
		pass(2*time.Hour + 5*time.Minute)
		a.mu.Lock()
		for i := range 5 {
			times := a.times[hash(i)]
			for j := 1; j < len(times); j++ {
				if d := times[j].Sub(times[j-1]); d < 15*time.Minute || d > 30*time.Minute {
					t.Errorf("share %d is announced again after %v", i, d)
				}
			}
			if len(times) < 5 {
				t.Errorf("share %d: announced %d times in two hours", i, len(times))
			}
		}
		a.mu.Unlock()
		l.Withdraw(offer(1).ID)
		l.Offer(offer(2)) // again, and nothing has changed
		before, other := a.count(1), a.count(2)
		pass(10 * time.Second)
		must(t, a.count(2) == other, "announced for being offered again")
		pass(2 * time.Hour)
		must(t, a.count(1) == before && a.count(3) > 8, "a share that was withdrawn is announced")
		l.Withdraw("unknown")
	})
}

// TestAnnounceBothHashes: a share of both versions is announced and sought by its v1 hash
// and by the first 20 bytes of its v2 hash (BEP 52), at the port where the node listens.
func TestAnnounceBothHashes(t *testing.T) {
	inWorld(t, 10, func(t *testing.T, w *world) {
		both := locate.Offer{ID: "x", Hash: metainfo.InfoHash{V1: hash(1), V2: [32]byte{1, 2, 3}, Version: metainfo.Hybrid}}
		short := both.Hash.V2Short()
		n, l := w.asker(50, Config{})
		l.Offer(both)
		pass(10 * time.Second)
		ctx := deadline(t, time.Hour)
		for _, h := range []krpc.ID{hash(1), short} {
			var got []netip.AddrPort
			w.node(1).Peers(ctx, h, 0, func(list []netip.AddrPort) { got = append(got, list...) })
			must(t, slices.Equal(got, []netip.AddrPort{n.at}), "%v: %v", h, got)
		}
		w.node(2).Announce(ctx, hash(1), 7463, nil)
		w.node(3).Announce(ctx, short, 7463, nil)
		_, l2 := w.asker(51, Config{})
		got := seek(ctx, l2, both)
		pass(10 * time.Second)
		must(t, got.has(host(2)) && got.has(host(3)) && got.has(n.at), "found %v", got.list)
	})
}

// found is what a Seek told.
type found struct {
	mu    sync.Mutex
	list  []netip.AddrPort
	ended bool
	late  bool
}

func (f *found) has(a netip.AddrPort) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Contains(f.list, a)
}

func seek(ctx context.Context, l *Locator, o locate.Offer) *found {
	f := &found{}
	go func() {
		l.Seek(ctx, o, func(list []netip.AddrPort) {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.late = f.late || f.ended || ctx.Err() != nil
			f.list = append(f.list, list...)
		})
		f.mu.Lock()
		defer f.mu.Unlock()
		f.ended = true
	}()
	return f
}

// TestSeek: peers are looked for at once, then less and less often, until the caller has
// enough of it; who comes later is found too, and nobody after the end.
func TestSeek(t *testing.T) {
	inWorld(t, 10, func(t *testing.T, w *world) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		_, l := w.asker(50, Config{})
		w.node(1).Announce(ctx, hash(1), 7463, nil)
		f := seek(ctx, l, offer(1))
		pass(2 * time.Second)
		must(t, f.has(host(1)), "not found at once")
		w.node(2).Announce(ctx, hash(1), 7463, nil)
		pass(45 * time.Second)
		must(t, f.has(host(2)), "who came later is not found")
		pass(time.Hour)
		n := l.d.Counted().Sought
		must(t, n >= 8 && n <= 12, "%d searches in an hour", n)
		cancel()
		synctest.Wait()
		must(t, f.ended && !f.late, "%+v", f)
		pass(time.Hour)
		must(t, l.d.Counted().Sought == n, "sought after the end")
		must(t, len(l.watchers) == 0 && len(l.slots) == 0, "something stays")
	})
}

// TestSeekBeforeReady: a Seek that begins before anybody is known goes on as soon as
// somebody is, and does not give up meanwhile.
func TestSeekBeforeReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.end()
		n := w.make(50, Config{})
		l := mainline(n.DHT)
		w.run(n)
		f := seek(deadline(t, time.Hour), l, offer(1))
		ended := seek(deadline(t, time.Minute), l, offer(2))
		pass(5 * time.Minute)
		must(t, ended.ended && !f.ended, "%t, %t", ended.ended, f.ended)
		w.start(0, Config{})
		w.start(1, Config{}).Announce(context.Background(), hash(1), 7463, nil)
		n.Add(host(0))
		pass(2 * time.Second)
		must(t, f.has(host(1)), "not found")
		n.stop()
		synctest.Wait()
		must(t, f.ended, "a Seek outlives the node")
	})
}

// TestSeekNeverReady: where nobody was ever known a Seek ends with the node, too: a group's
// may be left and joined again, and is another node then.
func TestSeekNeverReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.end()
		n := w.make(50, Config{})
		l := mainline(n.DHT)
		w.run(n)
		f := seek(deadline(t, time.Hour), l, offer(1))
		pass(time.Minute)
		n.stop()
		synctest.Wait()
		must(t, f.ended, "a Seek outlives the node")
	})
}

// TestSeekBounded: many Seeks at once are worked off at a pace at which no node of a small
// network stops answering.
func TestSeekBounded(t *testing.T) {
	inWorld(t, 10, func(t *testing.T, w *world) {
		n, l := w.asker(50, Config{})
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		for i := range 300 {
			l.Offer(offer(i))
			seek(ctx, l, offer(i))
		}
		pass(time.Minute)
		c := n.Counted()
		must(t, c.Sought > 60 && c.Sought <= 60+seekBurst+1, "%d searches in a minute", c.Sought)
		must(t, c.Announced > 55 && c.Lost*50 < c.Asked, "%+v", c)
		pass(10 * time.Minute)
		c = n.Counted()
		must(t, c.Sought > 600 && c.Lost*50 < c.Asked, "%+v", c)
	})
}

// TestCutLine: a node whose line is cut asks less and less, and when it is back it goes on
// at once by itself.
func TestCutLine(t *testing.T) {
	inWorld(t, 20, func(t *testing.T, w *world) {
		n, l := w.asker(50, Config{})
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		for i := range 200 {
			l.Offer(offer(i))
		}
		var seeks []*found
		for i := range 20 {
			seeks = append(seeks, seek(ctx, l, offer(i)))
		}
		pass(5 * time.Minute)
		w.mu.Lock()
		w.cut = n.at
		w.mu.Unlock()
		pass(time.Hour)
		before := n.Counted()
		pass(time.Hour)
		after := n.Counted()
		asked, announced := after.Asked-before.Asked, after.Announced-before.Announced
		must(t, asked < 3600*2 && announced < 30, "%d questions and %d announcements in an hour without a line", asked, announced)
		w.node(1).Announce(ctx, hash(7), 7463, nil)
		w.mu.Lock()
		w.cut = netip.AddrPort{}
		w.mu.Unlock()
		pass(time.Minute)
		must(t, seeks[7].has(host(1)), "not sought a minute after the line was mended")
		must(t, n.Counted().Announced > after.Announced+20, "not announced a minute after the line was mended")
	})
}

// TestNotAnnounced: what strangers must not hear of, and what has no port to come to, is
// not announced.
func TestNotAnnounced(t *testing.T) {
	inWorld(t, 10, func(t *testing.T, w *world) {
		n, l := w.asker(50, Config{})
		of := offer(1)
		of.Groups = []group.ID{{1}}
		l.Offer(of)
		l.Seek(context.Background(), of, nil) // returns at once
		deaf := w.make(51, Config{})
		l = deaf.Locator(LocatorConfig{Port: func() uint16 { return 0 }})
		w.run(deaf).Add(host(0))
		l.Offer(offer(2))
		pass(time.Hour)
		must(t, n.Counted().Announced+deaf.Counted().Announced+n.Counted().Sought == 0, "announced")
	})
}

// TestAnnounceFindsPeers: peers that an announcement meets are told to who seeks them; the
// node itself is not.
func TestAnnounceFindsPeers(t *testing.T) {
	inWorld(t, 10, func(t *testing.T, w *world) {
		n, l := w.asker(50, Config{})
		o := offer(1)
		o.Wanted = true
		l.Offer(o)
		f := seek(deadline(t, time.Hour), l, o)
		pass(14 * time.Minute) // the next search is minutes away, the next announcement too
		w.node(2).Announce(context.Background(), hash(1), 7463, nil)
		sought := n.Counted().Sought
		for n.Counted().Announced < 2 {
			pass(time.Second)
		}
		pass(time.Second)
		must(t, n.Counted().Sought == sought, "the test does not test what it says")
		must(t, f.has(host(2)), "not told")
		must(t, n.Address() == n.at && !f.has(n.at), "found itself")
	})
}

// TestShelfMemory: a share that is parked costs at most 100 bytes besides its name.
func TestShelfMemory(t *testing.T) {
	const many = 10_000
	offers := make([]locate.Offer, many)
	for i := range offers {
		offers[i] = offer(i)
	}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	s := newShelf(time.Now())
	for _, o := range offers {
		s.offer(o)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := float64(after.HeapAlloc-before.HeapAlloc) / many
	t.Logf("%.0f bytes a share", each)
	if each > 100 {
		t.Errorf("%.0f bytes a share", each)
	}
	runtime.KeepAlive(s)
	runtime.KeepAlive(offers)
}

// TestShelf: shares come and go in every state and none is lost or told twice.
func TestShelf(t *testing.T) {
	now := time.Now()
	s := newShelf(now)
	for i := range 4 {
		s.offer(offer(i))
	}
	i, h, ok := s.take(now)
	must(t, ok && h == hash(0), "%v", h)
	s.withdraw(offer(0).ID) // while it is being announced
	s.offer(offer(0))       // and is back
	s.announced(i, true, now)
	var order []string
	name := func(h krpc.ID) string {
		for i := range 10 {
			if hash(i) == h {
				return fmt.Sprint(i)
			}
		}
		return "?"
	}
	s.withdraw(offer(2).ID)
	for {
		i, h, ok := s.take(now)
		if !ok {
			break
		}
		order = append(order, name(h))
		s.announced(i, h != hash(1), now)
	}
	must(t, slices.Equal(order, []string{"1", "3", "0"}), "%v", order)
	must(t, s.wake().Sub(now.Add(againFailed)).Abs() < 2*time.Second, "the failed one is due in %v", s.wake().Sub(now))
	_, h, ok = s.take(now.Add(againFailed + time.Second))
	must(t, ok && h == hash(1), "%v", h)
	changed := offer(3)
	changed.Hash.V1 = hash(7)
	s.offer(changed)
	_, h, ok = s.take(now.Add(againFailed))
	must(t, ok && h == hash(7), "%v", h)
	must(t, len(s.byID) == 3 && s.count == 5, "%d names, %d places", len(s.byID), s.count)
}
