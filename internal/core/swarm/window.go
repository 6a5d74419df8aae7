package swarm

import (
	"math"
	"time"
)

// Constants of the request window. The idea is that of congestion control by model
// (BBR): what must be outstanding is bandwidth × delay, both measured, and the start
// doubles every round trip until the rate stops growing.
const (
	windowStart = 16
	windowMin   = 2
	rateRounds  = 8                      // the bandwidth is the best of so many round trips
	roundLeast  = 100 * time.Millisecond // a round lasts longer, or the rate in a burst would be measured
	roundMost   = 500 * time.Millisecond // a round lasts no longer, unless the line does: a long queue would keep rates of long ago
	burstTime   = 200 * time.Millisecond // a burst of a limit in ticks is shorter
	flatRounds  = 3                      // so many without growth end the doubling
	growth      = 1.25                   // what counts as growth
	queueTime   = time.Second            // a wait so much longer than the least one ends the doubling too
	lapse       = 50 * time.Millisecond  // the sender's own scheduling: other peers' turns, disk, limits in ticks
	delayExpiry = 30 * time.Second       // after which the least delay is measured anew
	probeRounds = 2                      // so many round trips with a short queue at the peer, else its own length would be measured
)

// window sizes the requests outstanding at one peer.
type window struct {
	size       int
	slow       bool // still doubling
	delay      time.Duration
	delayAt    time.Duration
	began      time.Duration // when the first block came
	total      int64         // bytes since
	roundStart time.Duration
	roundBytes int64
	rates      [rateRounds]float64
	next, flat int
	probe      int // rounds left with a smaller window to measure the delay
}

func (w *window) init() { *w = window{size: windowStart, slow: true} }

// best is the measured bandwidth in bytes a second.
func (w *window) best() float64 {
	b := 0.0
	for _, r := range w.rates {
		b = max(b, r)
	}
	return b
}

// block counts a block of n bytes that was asked for at asked.
func (w *window) block(now, asked time.Duration, n uint32) {
	d := max(now-asked, time.Microsecond)
	if w.delay == 0 || d < w.delay {
		w.delay, w.delayAt = d, now
	}
	w.roundBytes += int64(n)
	if w.began == 0 {
		w.began, w.total = now, 0
	}
	w.total += int64(n)
	if w.slow {
		w.size = max(min(w.size+1, w.startMost(now)), windowMin)
	}
	if w.roundStart == 0 {
		w.roundStart, w.roundBytes = now, 0
		return
	}
	if now <= w.roundStart {
		return
	}
	long := now - w.roundStart
	if long < roundLeast || asked < w.roundStart && long < max(roundMost, 2*w.delay) {
		return
	}
	if d > 2*w.delay+queueTime {
		// What grows is the queue at the peer: it does not keep up the rates of before.
		w.slow = false
		clear(w.rates[:])
	}
	w.round(now)
}

// startMost bounds the doubling by what came so far: a limit in ticks lets a burst
// through that says nothing about the rate after it.
func (w *window) startMost(now time.Duration) int {
	rate := float64(w.total) / max(now-w.began, burstTime).Seconds()
	return min(max(2*int(rate*(2*w.delay+lapse).Seconds()/blockLen), 2*windowStart), maxQueue)
}

// round ends a round trip: everything asked at its start has come.
func (w *window) round(now time.Duration) {
	rate := float64(w.roundBytes) / (now - w.roundStart).Seconds()
	if w.slow {
		if rate < w.best()*growth {
			w.flat++
		} else {
			w.flat = 0
		}
		w.slow = w.flat < flatRounds
	}
	w.rates[w.next] = rate
	w.next = (w.next + 1) % rateRounds
	w.roundStart, w.roundBytes = now, 0
	if w.slow {
		return
	}
	if now-w.delayAt > delayExpiry {
		w.delay, w.delayAt, w.probe = 0, now, probeRounds
		w.size = max(w.size/4, windowMin)
	}
	if w.probe > 0 {
		if w.probe--; w.probe > 0 {
			return
		}
	}
	bdp := w.best() * (2*w.delay + lapse).Seconds() / blockLen
	w.size = min(max(int(bdp)+windowMin, windowMin), maxQueue)
}

// idle forgets a round that was cut by a choke or by having nothing to ask.
func (w *window) idle() { w.began, w.roundStart, w.roundBytes = 0, 0, 0 }

// meter is a rate with exponential forgetting.
type meter struct {
	rate  float64
	at    time.Duration
	total int64
}

const meterTau = 4 * time.Second

func (m *meter) add(now time.Duration, n int) {
	m.rate = m.value(now) + float64(n)/meterTau.Seconds()
	m.at = now
	m.total += int64(n)
}

// value is bytes a second at now.
func (m *meter) value(now time.Duration) float64 {
	if m.rate == 0 {
		return 0
	}
	return m.rate * math.Exp(-float64(now-m.at)/float64(meterTau))
}
