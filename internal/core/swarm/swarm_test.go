package swarm

import (
	"fmt"
	"testing"
	"time"
)

func TestWorldOneToOne(t *testing.T) {
	for seed := range uint64(20) {
		w := newWorld(t, seed, share(t, 3<<20+777, 64<<10))
		w.every = 1
		w.add(traits{seed: true})
		n := w.add(traits{})
		w.mesh()
		w.run(time.Minute)
		if n.dup > 0 || n.t.Counted.Received != w.info.Span() {
			t.Errorf("seed %d: %d bytes twice, %d received", seed, n.dup, n.t.Counted.Received)
		}
	}
}

// As on a busy machine: leeches come one after the other, so that the first has all of the
// seed for a moment, and every node stalls now and then.
func TestWorldOneToEightOneByOne(t *testing.T) {
	const rate, length, nodes = 20e6, 256 << 20, 8
	bound := max(length/rate, nodes*length/(rate*(nodes+1)))
	seeds(t, 8, func(t *testing.T, seed uint64) {
		w := newWorld(t, seed, share(t, length, 256<<10))
		w.every = 50_000
		for i := range nodes + 1 {
			w.add(traits{seed: i == 0, latency: 300 * time.Microsecond, rate: 1e9, limit: rate, stalls: 20 * time.Millisecond})
		}
		for i := 1; i <= nodes; i++ {
			w.after(time.Duration(i)*40*time.Millisecond, func() {
				for j := range i {
					w.connect(w.nodes[i], w.nodes[j])
				}
			})
		}
		w.run(10 * time.Minute)
		last := time.Duration(0)
		for _, n := range w.nodes {
			last = max(last, n.done)
		}
		ratio, copies := last.Seconds()/bound, float64(w.nodes[0].sent)/length
		t.Logf("last after %.2f s = %.3f × the bound; the seed sent %.3f copies", last.Seconds(), ratio, copies)
		if ratio > 1.05 || copies > 1.05 {
			t.Errorf("the last finished after %.3f × the bound; the seed sent %.3f copies", ratio, copies)
		}
	})
}

// The headline: one seed feeds eight at 20 MB/s each.
func TestWorldOneToEight(t *testing.T) {
	const rate, length, nodes = 20e6, 256 << 20, 8
	bound := max(length/rate, nodes*length/(rate*(nodes+1)))
	for _, c := range []struct {
		piece int64
		deaf  bool
		token bool
	}{{256 << 10, false, true}, {1 << 20, false, true}, {256 << 10, true, true}, {1 << 20, true, true}, {1 << 20, false, false}} {
		t.Run(fmt.Sprintf("%dKiB deaf %v tokens %v", c.piece>>10, c.deaf, c.token), func(t *testing.T) {
			w := newWorld(t, 1, share(t, length, c.piece))
			w.every = 5000
			for i := range nodes + 1 {
				n := traits{seed: i == 0, deaf: c.deaf, latency: time.Millisecond, rate: rate}
				if c.token {
					n.limit, n.rate = rate, 1e9
				}
				w.add(n)
			}
			w.mesh()
			w.run(10 * time.Minute)
			last := time.Duration(0)
			dup := int64(0)
			for _, n := range w.nodes {
				last = max(last, n.done)
				dup += n.dup
			}
			copies := float64(w.nodes[0].sent) / length
			ratio := last.Seconds() / bound
			t.Logf("last after %.2f s = %.3f × the bound; the seed sent %.3f copies; %.2f %% twice; %d steps",
				last.Seconds(), ratio, copies, 100*float64(dup)/length/nodes, w.steps)
			if ratio > 1.10 {
				t.Errorf("the last finished after %.3f × the bound", ratio)
			}
			// Without a limit of its own a seed does not turn away: the bottleneck may be elsewhere.
			if copies > 1.07 && c.token || copies > 1.10 {
				t.Errorf("the seed sent %.3f copies", copies)
			}
		})
	}
}
