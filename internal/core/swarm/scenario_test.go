package swarm

import (
	"fmt"
	"testing"
	"time"
)

// seeds runs a scenario for many seeds; the name of the subtest is the seed.
func seeds(t *testing.T, n uint64, f func(t *testing.T, seed uint64)) {
	if testing.Short() {
		n = min(n, 5)
	}
	for seed := range n {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { f(t, seed) })
	}
}

// A mixed swarm: several seeds and leechers, some without BEP 6, every latency.
func mixed(t testing.TB, seed uint64) *world {
	w := newWorld(t, seed, share(t, 2<<20+12345, 64<<10))
	w.every = 3
	for i := range 6 {
		c := traits{seed: i == 0, rate: 200e3 * float64(1+w.rng.IntN(20)), noFast: w.rng.IntN(3) == 0,
			latency: time.Duration(1+w.rng.IntN(100)) * time.Millisecond, deaf: w.rng.IntN(2) == 0, slots: 1 + w.rng.IntN(4)}
		if w.rng.IntN(2) == 0 {
			c.limit = c.rate
		}
		part := w.rng.IntN(4)
		if i > 0 && part > 0 {
			c.have = func(p int) bool { return p%4 < part && p%3 != i%3 }
		}
		w.add(c)
	}
	return w
}

func TestWorldMixedCompletes(t *testing.T) {
	seeds(t, 60, func(t *testing.T, seed uint64) {
		w := mixed(t, seed)
		w.mesh()
		w.run(10 * time.Minute)
	})
}

func TestWorldSameSeedSameTrace(t *testing.T) {
	trace := func(seed uint64) uint64 {
		w := mixed(t, seed)
		w.mesh()
		w.run(10 * time.Minute)
		return w.trace.Sum64()
	}
	first, again := trace(7), trace(7)
	if first != again {
		t.Error("the same seed leads to two traces")
	}
	if first == trace(8) {
		t.Error("two seeds lead to the same trace")
	}
}

// churn cuts a random connection now and then and joins two nodes.
func (w *world) churn(every time.Duration) {
	w.after(every, func() {
		n := w.nodes[w.rng.IntN(len(w.nodes))]
		if len(n.links) > 0 {
			n.cut(Peer(w.rng.IntN(len(n.links))))
		}
		w.join()
		w.churn(every)
	})
}

// join connects two nodes drawn by lot, if they may be.
func (w *world) join() {
	a, b := w.nodes[w.rng.IntN(len(w.nodes))], w.nodes[w.rng.IntN(len(w.nodes))]
	if a != b && !a.knows(b) && !b.knows(a) && !a.banned[b.id] && !b.banned[a.id] {
		w.connect(a, b)
	}
}

// rejoin makes up for connections that are closed because both sides are complete.
func (w *world) rejoin(every time.Duration) {
	w.after(every, func() { w.join(); w.rejoin(every) })
}

func (n *node) knows(o *node) bool {
	for _, l := range n.links {
		if l != nil && l.to == o {
			return true
		}
	}
	return false
}

func TestWorldChurn(t *testing.T) {
	seeds(t, 40, func(t *testing.T, seed uint64) {
		w := mixed(t, seed)
		w.mesh()
		w.churn(300 * time.Millisecond)
		w.run(20 * time.Minute)
	})
}

// storm chokes and unchokes peers at random, beside what the choker does.
func (w *world) storm(every time.Duration) {
	w.after(every, func() {
		n := w.nodes[w.rng.IntN(len(w.nodes))]
		if len(n.t.live) > 0 {
			p := n.t.peers[n.t.live[w.rng.IntN(len(n.t.live))]]
			n.t.out = &n.out
			if p.choking {
				n.t.unchoke(p)
			} else {
				n.t.choke(p)
			}
			n.t.out = nil
			n.perform()
			n.out.Reset()
			n.step()
		}
		w.storm(every)
	})
}

func TestWorldChokeStorm(t *testing.T) {
	seeds(t, 40, func(t *testing.T, seed uint64) {
		w := mixed(t, seed)
		w.mesh()
		w.storm(50 * time.Millisecond)
		w.run(20 * time.Minute)
	})
}

// People change their mind: pause, priorities, order and deadlines, in flight.
func (w *world) whims(every time.Duration, left int) {
	w.after(every, func() {
		n := w.nodes[w.rng.IntN(len(w.nodes))]
		pieces := uint32(w.info.NumPieces())
		e := Event{Peer: NoPeer}
		switch w.rng.IntN(5) {
		case 0:
			e.Kind, e.N = SetPaused, 1
			w.after(time.Duration(w.rng.IntN(500))*time.Millisecond, func() { n.event(Event{Kind: SetPaused, Peer: NoPeer}) })
		case 1:
			e.Kind, e.P, e.N = SetPriority, w.rng.Uint32N(pieces), w.rng.Uint32N(4)
			e.B = e.P + w.rng.Uint32N(8)
		case 2:
			e.Kind, e.N = SetSequential, w.rng.Uint32N(2)
		case 3:
			e.Kind, e.P, e.When = SetDeadline, w.rng.Uint32N(pieces), epoch.Add(w.now+time.Second)
		case 4:
			e.Kind, e.P = PieceLost, w.rng.Uint32N(pieces)
			if n.id == 0 || !n.t.Have(int(e.P)) {
				e.Kind = Wake
			} else {
				n.lost = true
			}
		}
		n.event(e)
		if left > 0 {
			w.whims(every, left-1)
			return
		}
		for _, n := range w.nodes {
			n.event(Event{Kind: SetPriority, Peer: NoPeer, B: pieces, N: 1})
		}
	})
}

func TestWorldWhims(t *testing.T) {
	seeds(t, 60, func(t *testing.T, seed uint64) {
		w := mixed(t, seed)
		w.mesh()
		w.whims(20*time.Millisecond, 300)
		w.rejoin(time.Second)
		w.runUntil(time.Hour, func() bool {
			if w.now < 6100*time.Millisecond {
				return false
			}
			for _, n := range w.nodes {
				if n.t.HaveCount() < w.info.NumPieces() {
					return false
				}
			}
			return true
		})
	})
}

// F10: liars among the sources. No honest peer is ever banned (world.ban checks it).
func TestWorldCorruptPeers(t *testing.T) {
	for _, c := range []struct {
		liars, honest int
		waste         float64
	}{{6, 14, 0.15}, {18, 2, 1.50}} {
		t.Run(fmt.Sprintf("%d of %d", c.liars, c.liars+c.honest), func(t *testing.T) {
			seeds(t, 30, func(t *testing.T, seed uint64) { corrupt(t, seed, c.liars, c.honest, c.waste) })
		})
	}
}

func corrupt(t *testing.T, seed uint64, liars, honest int, most float64) {
	w := newWorld(t, seed, share(t, 32<<20, 256<<10))
	w.every = 200
	leech := w.add(traits{noDigest: seed%2 == 1})
	for i := range liars + honest {
		c := traits{seed: true, rate: 50e3 * float64(1+w.rng.IntN(40)), noFast: w.rng.IntN(4) == 0}
		if i < liars {
			c.lies = []float64{1, 0.5, 0.1}[w.rng.IntN(3)]
		}
		w.connect(leech, w.add(c))
	}
	w.run(time.Hour)
	if waste := float64(leech.t.Counted.Wasted) / float64(w.info.Span()); waste > most {
		t.Errorf("waste %.1f %%, may be %.0f %%", 100*waste, 100*most)
	}
	for i, n := range leech.bad {
		// One that lies seldom can get further: what it has a part in at the end, when all
		// share the last pieces, is judged at one time.
		if w.nodes[i].traits.lies >= 0.5 && n > 3 {
			t.Errorf("liar %d (%.1f) had a part in %d bad pieces, banned %v", i, w.nodes[i].traits.lies, n, leech.banned[i])
		}
	}
}

// F11: most sources are very slow. They must not hold up the end.
func TestWorldSlowPeers(t *testing.T) {
	run := func(t *testing.T, seed uint64, slow int) (time.Duration, float64) {
		w := newWorld(t, seed, share(t, 32<<20, 256<<10))
		w.every = 500
		leech := w.add(traits{})
		for range 2 {
			w.connect(leech, w.add(traits{seed: true, rate: 1e6}))
		}
		for range slow {
			w.connect(leech, w.add(traits{seed: true, rate: 1024}))
		}
		w.runUntil(time.Hour, func() bool { return leech.done > 0 })
		return leech.done, float64(leech.dup) / float64(w.info.Span())
	}
	seeds(t, 10, func(t *testing.T, seed uint64) {
		alone, _ := run(t, seed, 0)
		all, dup := run(t, seed, 18)
		t.Logf("%v with slow peers, %v without, %.2f %% twice", all, alone, 100*dup)
		if all > alone*3/2 || dup > 0.05 {
			t.Errorf("%v with slow peers, %v without, %.2f %% twice", all, alone, 100*dup)
		}
	})
}
