package swarm

import (
	"fmt"
	"testing"
	"time"

	"shoal/internal/core/metainfo"
)

// The window follows bandwidth × delay: it fills the line, and does not pile up a queue at
// the peer in the course of time.
func TestWindowFollowsBandwidthTimesDelay(t *testing.T) {
	for _, c := range []struct {
		rate    float64
		latency time.Duration
		limit   bool // by tokens, not by the line
		length  int64
		most    int // blocks outstanding at the end
	}{
		{1e6, 10 * time.Millisecond, false, 256 << 20, 60},
		{1e6, 50 * time.Millisecond, true, 256 << 20, 60},
		{100e6, 100 * time.Millisecond, false, 2 << 30, maxQueue},
		{20e3, 10 * time.Millisecond, false, 4 << 20, 10},
	} {
		t.Run(fmt.Sprintf("%.0f kB/s %v", c.rate/1e3, c.latency), func(t *testing.T) {
			w := newWorld(t, 1, share(t, c.length, 1<<20))
			w.every = 1 << 30
			n := w.add(traits{latency: c.latency})
			s := traits{seed: true, rate: c.rate, latency: c.latency}
			if c.limit {
				s.rate, s.limit = 1e9, c.rate
			}
			w.connect(n, w.add(s))
			most := 0
			w.runUntil(time.Hour, func() bool {
				if at := float64(n.t.HaveCount()) / float64(w.info.NumPieces()); at > 0.5 && at < 0.98 {
					most = max(most, n.t.peers[0].win.size)
				}
				return n.done > 0
			})
			ideal := time.Duration(float64(c.length) / c.rate * float64(time.Second))
			t.Logf("%v, ideal %v, window %d", n.done, ideal, most)
			if n.done > ideal*108/100+20*c.latency {
				t.Errorf("%v, ideal %v", n.done, ideal)
			}
			if most > c.most {
				t.Errorf("a window of %d blocks, may be %d", most, c.most)
			}
		})
	}
}

// A sender that is quick at first and then gives its line to others must not be left with a
// queue of minutes: what is asked of it there is not asked of those who could send it now.
func TestWindowForgetsAFastStart(t *testing.T) {
	var w window
	w.init()
	now, asked := time.Millisecond, []time.Duration{}
	for range w.size {
		asked = append(asked, now)
	}
	got := func(every time.Duration) {
		now += every
		w.block(now, asked[0], blockLen)
		asked = asked[1:]
		for len(asked) < w.size {
			asked = append(asked, now)
		}
	}
	for range 128 { // 2 MiB in 2.6 ms: a burst that the sender's limit lets through
		got(20 * time.Microsecond)
	}
	if queue := time.Duration(len(asked)) * 800 * time.Microsecond; queue > 500*time.Millisecond {
		t.Errorf("after a burst %d blocks are asked for: %v at 20 MB/s", len(asked), queue)
	}
	for range 2000 { // 1.6 s at 20 MB/s
		got(800 * time.Microsecond)
	}
	for range 800 { // 5 s at 2.6 MB/s
		got(6250 * time.Microsecond)
	}
	if queue := time.Duration(len(asked)) * 6250 * time.Microsecond; queue > 500*time.Millisecond {
		t.Errorf("%d blocks are asked for: %v at 2.6 MB/s", len(asked), queue)
	}
}

// Pieces whose length is no multiple of a block: files that end in them (v2), padding that
// is not asked for (hybrid), pieces shorter than a block (v1).
func TestWorldOddPieces(t *testing.T) {
	files := []metainfo.BuildFile{{Path: []string{"a"}, Length: 100_001}, {Path: []string{"b"}, Length: 1},
		{Path: []string{"c"}, Length: 64 << 10}, {Path: []string{"d"}}, {Path: []string{"e"}, Length: 16<<10 + 1}}
	for _, v := range []metainfo.Version{metainfo.V1, metainfo.V2, metainfo.Hybrid} {
		info, err := metainfo.PlanLayout("x", false, files, v, 32<<10)
		if err != nil {
			t.Fatal(err)
		}
		oddPieces(t, v.String(), info)
	}
}

func oddPieces(t *testing.T, name string, info *metainfo.Info) {
	t.Run(name, func(t *testing.T) {
		w := newWorld(t, 1, info)
		w.every = 1
		w.add(traits{seed: true})
		w.add(traits{have: func(p int) bool { return p%2 == 0 }})
		n := w.add(traits{noFast: true})
		w.mesh()
		w.run(time.Minute)
		asked := int64(0)
		for p := range info.NumPieces() {
			for b := range n.t.blocksOf(uint32(p)) {
				asked += int64(n.t.blockSize(uint32(p), b))
			}
		}
		if n.t.Counted.Received != asked || asked > info.Span() || info.Version == metainfo.Hybrid && asked >= info.Span() {
			t.Errorf("%d bytes came, %d to come, %d in all", n.t.Counted.Received, asked, info.Span())
		}
	})
}
