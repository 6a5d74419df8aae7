package engine

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// limiter is a token bucket over bytes. Its rate can change at any time; 0 is no limit.
type limiter struct {
	rate   atomic.Int64
	mu     sync.Mutex
	tokens float64
	last   time.Time
}

// burst is how much of the rate may come at once: enough that ticks of limitTick do not
// lose any of it, little enough that the limit holds within a second.
const (
	burst     = 100 * time.Millisecond
	limitTick = 10 * time.Millisecond
)

func (l *limiter) set(rate int64) { l.rate.Store(max(rate, 0)) }
func (l *limiter) on() bool       { return l.rate.Load() > 0 }

func (l *limiter) refill(now time.Time, rate float64) {
	most := max(rate*burst.Seconds(), 32<<10)
	if l.last.IsZero() {
		l.tokens = most / 2
	} else {
		l.tokens = min(l.tokens+rate*now.Sub(l.last).Seconds(), most)
	}
	l.last = now
}

// take returns how many of want bytes may pass now.
func (l *limiter) take(now time.Time, want int64) int64 {
	rate := l.rate.Load()
	if rate == 0 {
		return want
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refill(now, float64(rate))
	n := min(want, int64(l.tokens))
	if n <= 0 {
		return 0
	}
	l.tokens -= float64(n)
	return n
}

// giveBack returns tokens that were taken and not used.
func (l *limiter) giveBack(n int64) {
	if l.on() {
		l.mu.Lock()
		l.tokens += float64(n)
		l.mu.Unlock()
	}
}

// spend counts n bytes that have passed already and returns how long to wait for them.
func (l *limiter) spend(now time.Time, n int) time.Duration {
	rate := float64(l.rate.Load())
	if rate == 0 {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refill(now, rate)
	l.tokens -= float64(n)
	if l.tokens >= 0 {
		return 0
	}
	return time.Duration(-l.tokens / rate * float64(time.Second))
}

// wait sleeps as long as the limiters ask for n bytes that were read.
func waitFor(ctx context.Context, n int, limits ...*limiter) {
	var d time.Duration
	for _, l := range limits {
		if l.on() {
			d = max(d, l.spend(time.Now(), n))
		}
	}
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
