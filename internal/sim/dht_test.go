package sim

import (
	"encoding/binary"
	"math"
	"net/netip"
	"os"
	"slices"
	"sort"
	"testing"
	"time"

	"shoal/internal/core/kad"
	"shoal/internal/core/kad/krpc"
)

// long asks for the full figures: ten thousand nodes, hours of virtual time, minutes of the clock.
var long = os.Getenv("SHOAL_LONG") == "1"

// pick is a when the full figures are wanted, else b.
func pick[T any](a, b T) T {
	if long {
		return a
	}
	return b
}

// ideal gives every node the table that it would have in the long run: of each range of ids that share a number of bits
// with its own, k nodes drawn.
func (w *world) ideal() {
	order := make([]int32, w.n)
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(a, b int32) int { return w.nodes[a].id.Cmp(w.nodes[b].id) })
	first := func(id krpc.ID) int {
		return sort.Search(len(order), func(i int) bool { return w.nodes[order[i]].id.Cmp(id) >= 0 })
	}
	for i := range w.nodes {
		var others []int32
		for bit := range 64 {
			low, high := w.nodes[i].id, krpc.ID{}
			low[bit/8] ^= 0x80 >> (bit % 8)
			mask := uint64(1)<<(63-bit) - 1
			head := binary.BigEndian.Uint64(low[:]) &^ mask
			low, high = krpc.ID{}, krpc.ID{}
			binary.BigEndian.PutUint64(low[:], head)
			binary.BigEndian.PutUint64(high[:], head|mask)
			for j := 8; j < len(high); j++ {
				high[j] = 0xff
			}
			a, b := first(low), first(high)
			some := slices.Clone(order[a:b])
			for j := 0; j < len(some) && j < w.k; j++ {
				k := j + w.rng.IntN(len(some)-j)
				some[j], some[k] = some[k], some[j]
				others = append(others, some[j])
			}
		}
		w.rng.Shuffle(len(others), func(a, b int) { others[a], others[b] = others[b], others[a] })
		w.after(time.Duration(w.rng.Int64N(int64(10*time.Second))), func() { w.join(int32(i), others...) })
	}
	w.still = true
	w.run(90 * time.Second)
	w.still = false
}

// grow lets the nodes join one after the other, each by three that are there already.
func (w *world) grow(within time.Duration) {
	for i := range w.nodes {
		at := time.Duration(float64(within) * float64(i) / float64(w.n))
		w.after(at, func() {
			w.nodes[i].since = w.queue.Now()
			if i == 0 {
				w.event(0, kad.Event{Kind: kad.Wake})
				return
			}
			j := int32(i)
			w.join(j, w.rng.Int32N(j), w.rng.Int32N(j), w.rng.Int32N(j))
		})
	}
	w.run(within + time.Minute)
}

// churn lets sessions end from now on.
func (w *world) churn() {
	for i := range w.nodes {
		w.live(int32(i), w.sessions.Rest(w.rng))
	}
}

// tally is what a number of searches came to.
type tally struct {
	n, good           int
	hops, asked, lost int
	reached           int // of liars' victims: the closest honest node was asked
	took              []time.Duration
	many              int // by several paths
}

func (y *tally) add(r kad.Result, good bool) {
	y.n++
	if good {
		y.good++
	}
	y.hops += r.Hops
	y.asked += r.Asked
	y.lost += r.Lost
	y.took = append(y.took, r.Took)
	if r.Paths > 1 {
		y.many++
	}
}

func (y *tally) rate() float64 { return float64(y.good) / float64(max(y.n, 1)) }
func (y *tally) per(n int) float64 {
	return float64(n) / float64(max(y.n, 1))
}
func (y *tally) quantile(q float64) time.Duration {
	slices.Sort(y.took)
	return y.took[int(q*float64(len(y.took)-1))].Round(time.Millisecond)
}

// search has a node search, and calls back with the result unless the node leaves before.
func (w *world) search(i int32, e kad.Event, done func(kad.Result)) {
	w.handle++
	e.Handle = w.handle
	w.nodes[i].done[e.Handle] = done
	w.event(i, e)
}

// someone is an honest node that has been there for a minute, drawn.
func (w *world) someone() int32 {
	for {
		i := w.rng.Int32N(int32(w.n))
		if w.nodes[i].since+time.Minute <= w.queue.Now() && !(w.attack && w.nodes[i].liar) {
			return i
		}
	}
}

// closest is the node closest to the target of those that are honest and have been there since the time.
func (w *world) closest(target krpc.ID, since time.Duration) *dweller {
	var best *dweller
	for _, d := range w.nodes {
		if d.since <= since && !(d.liar && w.attack) && (best == nil || target.CmpDistance(d.id, best.id) < 0) {
			best = d
		}
	}
	return best
}

// lookups has nodes drawn search for ids drawn, one after the other at intervals, and counts as good what finds the
// closest node of those that were there a minute before the search and still are when it ends.
func (w *world) lookups(n int, every time.Duration, paths uint8) *tally {
	y := &tally{}
	for j := range n {
		w.after(time.Duration(j)*every, func() {
			i := w.someone()
			var target krpc.ID
			for b := range target {
				target[b] = byte(w.rng.Uint32())
			}
			began := w.queue.Now()
			s := &sought{target: target, addr: w.closest(target, began-time.Minute).addr}
			w.nodes[i].sought = append(w.nodes[i].sought, s)
			w.search(i, kad.Event{Kind: kad.Find, Op: kad.FindNode, Target: target, Paths: paths}, func(r kad.Result) {
				want := w.closest(target, began-time.Minute)
				w.nodes[i].sought = slices.DeleteFunc(w.nodes[i].sought, func(x *sought) bool { return x == s })
				if s.reached || want == w.nodes[i] {
					y.reached++
				}
				y.add(r, want == w.nodes[i] || slices.ContainsFunc(r.Nodes, func(x krpc.Node) bool { return x.ID == want.id }))
			})
		})
	}
	w.run(time.Duration(n)*every + 30*time.Second)
	return y
}

// values has nodes announce hashes and, after a while, others look for the peers.
func (w *world) values(n int, every, after time.Duration) *tally {
	y := &tally{}
	for j := range n {
		w.after(time.Duration(j)*every, func() {
			i := w.someone()
			var hash krpc.ID
			for b := range hash {
				hash[b] = byte(w.rng.Uint32())
			}
			giver, born := w.nodes[i], w.nodes[i].born
			w.handle++
			w.event(i, kad.Event{Kind: kad.Hold, Op: kad.Announce, Handle: w.handle, Target: hash, Port: 7463})
			w.after(after, func() {
				if giver.born != born {
					return // whoever gave it has left
				}
				want := netip.AddrPortFrom(giver.addr.Addr(), 7463)
				i := w.someone()
				found := false
				w.nodes[i].peers[w.handle+1] = func(list []netip.AddrPort) { found = found || slices.Contains(list, want) }
				w.search(i, kad.Event{Kind: kad.Find, Op: kad.GetPeers, Target: hash}, func(r kad.Result) { y.add(r, found) })
			})
		})
	}
	w.run(time.Duration(n)*every + after + 30*time.Second)
	return y
}

// traffic is what a node sends, in bytes a second, over a time in which nobody wants anything.
func (w *world) traffic(d time.Duration) (bytes, datagrams float64) {
	b, n := w.bytes, w.datagrams
	w.run(d)
	per := d.Seconds() * float64(w.n)
	return float64(w.bytes-b) / per, float64(w.datagrams-n) / per
}

// TestStaticHops compares searches in a network where nothing is lost and nobody leaves with ideal tables computed
// apart: hops to the closest node and queries, of 1,000 and 10,000 nodes.
func TestStaticHops(t *testing.T) {
	for _, c := range []struct {
		n, k, alpha int
		hops, asked float64
		within      float64
		full        bool
	}{
		{1000, 8, 3, 2.23, 10.9, 0.03, false},
		{1000, 20, 3, 1.89, 21.5, 0.03, false},
		{10_000, 8, 3, 2.88, 12.9, 0.03, true},
		{10_000, 20, 3, 2.42, 22.9, 0.03, true},
		{10_000, 8, 10, 2.78, 22.3, 0.04, true}, // a path never asks beyond its k closest, so eight at a time
		{10_000, 20, 10, 2.34, 31.2, 0.03, true},
	} {
		if c.full && !long {
			continue
		}
		w := newWorld(settings{seed: 1, n: c.n, k: c.k, alpha: c.alpha, delay: LogNormal{25 * time.Millisecond, 0}, open: true})
		w.ideal()
		y := w.lookups(pick(2000, 1200), 10*time.Millisecond, 1)
		hops, asked := y.per(y.hops), y.per(y.asked)
		t.Logf("n %d k %d alpha %d: %.3f hops (%.2f), %.1f queries (%.1f), %.4f found, median %v",
			c.n, c.k, c.alpha, hops, c.hops, asked, c.asked, y.rate(), y.quantile(0.5))
		if math.Abs(hops/c.hops-1) > c.within || y.rate() < 0.9995 {
			t.Errorf("n %d k %d alpha %d: %.3f hops, want %.2f; %.4f found", c.n, c.k, c.alpha, hops, c.hops, y.rate())
		}
	}
}

// TestChurn measures a network with 5 % loss and sessions as in KAD: what it costs to be there, and how often searches
// find what they should.
func TestChurn(t *testing.T) {
	for _, k := range []int{8, 20} {
		if k == 20 && !long {
			continue
		}
		n := pick(10_000, 1000)
		w := newWorld(settings{seed: 2, n: n, k: k, alpha: 3, delay: LogNormal{25 * time.Millisecond, 0.4}, loss: 0.05, sessions: KAD})
		w.grow(pick(10*time.Minute, 2*time.Minute))
		w.churn()
		w.run(pick(90*time.Minute, 20*time.Minute))
		bytes, datagrams := w.traffic(pick(30*time.Minute, 15*time.Minute))
		y := w.lookups(pick(5000, 1000), pick(100*time.Millisecond, 200*time.Millisecond), 0)
		v := w.values(pick(3000, 400), pick(100*time.Millisecond, 400*time.Millisecond), 5*time.Minute)
		table, dead := w.tables()
		t.Logf("n %d k %d: %.1f B/s and %.3f datagrams/s sent per idle node, headers counted; table %.1f nodes, %.1f %% gone",
			n, k, bytes, datagrams, table, 100*dead)
		t.Logf("closest node: %.4f of %d, %.2f hops, %.1f queries, %.1f lost, median %v, p99 %v, %d by many paths",
			y.rate(), y.n, y.per(y.hops), y.per(y.asked), y.per(y.lost), y.quantile(0.5), y.quantile(0.99), y.many)
		t.Logf("peers: %.4f of %d, %.1f queries, median %v; %d steps", v.rate(), v.n, v.per(v.asked), v.quantile(0.5), w.steps)
		if y.rate() < 0.995 || v.rate() < 0.995 {
			t.Errorf("found %.4f of the closest nodes and %.4f of the peers", y.rate(), v.rate())
		}
		if bytes > 5*float64(k) {
			t.Errorf("an idle node sends %.1f B/s", bytes)
		}
	}
}

// tables tells how many nodes a table holds and which part of them is gone.
func (w *world) tables() (size, dead float64) {
	total, gone := 0, 0
	for _, d := range w.nodes {
		for _, n := range d.t.Nodes() {
			total++
			if i, ok := w.byAddr[n.Addr]; !ok || w.nodes[i].id != n.ID {
				gone++
			}
		}
	}
	return float64(total) / float64(w.n), float64(gone) / float64(max(total, 1))
}

// TestLiars has a fifth of the nodes answer with fabrications, in tables that were filled before. Counted is, as in the
// reference, how often the closest honest node is asked.
func TestLiars(t *testing.T) {
	base := settings{seed: 3, n: pick(10_000, 1000), k: pick(16, 8), alpha: 3, delay: LogNormal{25 * time.Millisecond, 0.4}, liars: 0.2}
	bound := base
	bound.bound = true
	type trial struct {
		name        string
		genuine     bool
		spread      bool
		paths       uint8
		least, most float64
	}
	for _, c := range []struct {
		settings
		trials []trial
	}{
		{base, []trial{
			{"made-up ids, one path", false, false, 1, 0.5, 0.7},
			{"made-up ids, eight paths", false, false, 8, 0.99, 1},
			{"made-up ids, eight paths when suspicious", false, false, 0, 0.99, 1},
			{"made-up ids spread, one path", false, true, 1, 0.5, 1},
			{"made-up ids spread, eight paths", false, true, 8, 0.95, 1},
			{"made-up ids spread, eight paths when suspicious", false, true, 0, 0.9, 1},
		}},
		{bound, []trial{
			{"bound ids, made-up ones told, one path", false, false, 1, 0.99, 1},
			{"bound ids, liars name each other, one path", true, false, 1, 0.7, 1},
			{"bound ids, liars name each other, eight paths", true, false, 8, 0.99, 1},
		}},
	} {
		w := newWorld(c.settings)
		w.ideal()
		w.run(35 * time.Minute) // everybody learns how large the network is
		w.attack = true
		for _, r := range c.trials {
			w.genuine, w.spread = r.genuine, r.spread
			y := w.lookups(pick(2000, 300), 10*time.Millisecond, r.paths)
			reached := y.per(y.reached)
			t.Logf("n %d k %d, %s: %.4f of %d ask the closest honest node, %.4f have it in the result; %.1f queries, %d by many paths",
				w.n, w.k, r.name, reached, y.n, y.rate(), y.per(y.asked), y.many)
			if reached < r.least || reached > r.most {
				t.Errorf("%s: %.4f, want %.2f to %.2f", r.name, reached, r.least, r.most)
			}
		}
		w.genuine, w.spread = false, false
		v := w.values(pick(1000, 150), 20*time.Millisecond, time.Minute)
		t.Logf("n %d k %d: of peers announced under attack %.4f of %d are found, %.1f queries", w.n, w.k, v.rate(), v.n, v.per(v.asked))
		if v.rate() < 0.99 {
			t.Errorf("of peers announced under attack %.4f are found", v.rate())
		}
	}
}

// TestSameSeed runs a small network twice.
func TestSameSeed(t *testing.T) {
	run := func(seed uint64) uint64 {
		w := newWorld(settings{seed: seed, n: 100, k: 8, alpha: 3, delay: LogNormal{25 * time.Millisecond, 0.4}, loss: 0.05, sessions: KAD})
		w.grow(30 * time.Second)
		w.churn()
		w.values(50, time.Second, 20*time.Second)
		return w.trace
	}
	if a, b := run(4), run(4); a != b {
		t.Errorf("the same seed, other datagrams: %x and %x", a, b)
	}
	if run(4) == run(5) {
		t.Error("the seed decides nothing")
	}
}
