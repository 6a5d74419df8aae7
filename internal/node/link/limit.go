package link

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Limiter is a token bucket over bytes. Its rate can change at any time; 0 is no limit.
type Limiter struct {
	rate   atomic.Int64
	mu     sync.Mutex
	tokens float64
	last   time.Time
}

// burst is how much of the rate may come at once: enough that ticks of LimitTick do not
// lose any of it, little enough that the limit holds within a second.
const (
	burst     = 100 * time.Millisecond
	LimitTick = 10 * time.Millisecond
)

// Set changes the rate, in bytes a second; 0 or less is no limit.
// A change forgives what was taken too much of the old one.
func (l *Limiter) Set(rate int64) {
	rate = max(rate, 0)
	if l.rate.Swap(rate) != rate {
		l.mu.Lock()
		l.tokens = max(l.tokens, 0)
		l.mu.Unlock()
	}
}

// Rate is what Set was told.
func (l *Limiter) Rate() int64 { return l.rate.Load() }

// On tells whether there is a limit.
func (l *Limiter) On() bool { return l.rate.Load() > 0 }

func (l *Limiter) refill(now time.Time, rate float64) {
	most := max(rate*burst.Seconds(), 32<<10)
	if l.last.IsZero() {
		l.tokens = most / 2
	} else {
		l.tokens = min(l.tokens+rate*now.Sub(l.last).Seconds(), most)
	}
	l.last = now
}

// Take returns how many of want bytes may pass now: none until what a tick brings, or a
// block, has gathered, so that a caller that asks again at once does not spin.
func (l *Limiter) Take(now time.Time, want int64) int64 {
	rate := l.rate.Load()
	if rate == 0 {
		return want
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refill(now, float64(rate))
	n := min(want, int64(l.tokens))
	if n < min(want, max(int64(float64(rate)*LimitTick.Seconds()), 16<<10)) {
		return 0
	}
	l.tokens -= float64(n)
	return n
}

// GiveBack returns tokens that were taken and not used.
func (l *Limiter) GiveBack(n int64) {
	if l.On() {
		l.mu.Lock()
		l.tokens += float64(n)
		l.mu.Unlock()
	}
}

// Spend counts n bytes that have passed already and returns how long to wait for them.
func (l *Limiter) Spend(now time.Time, n int) time.Duration {
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

// lookAgain is how soon those who wait notice that a limit was changed.
const lookAgain = 250 * time.Millisecond

// waitFor sleeps as long as the Limiters ask for n bytes that were read, or until one is
// changed.
func waitFor(ctx context.Context, n int, limits []*Limiter) {
	var d time.Duration
	for _, l := range limits {
		d = max(d, l.Spend(time.Now(), n))
	}
	for was := rates(limits); d > 0 && rates(limits) == was; d -= lookAgain {
		t := time.NewTimer(min(d, lookAgain))
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return
		}
	}
}

// rates changes when one of the Limiters does.
func rates(limits []*Limiter) (sum int64) {
	for _, l := range limits {
		sum += l.Rate()
	}
	return sum
}

// sip is how much of a limited stream is read at a time: little, so that many that share
// a low rate have short waits.
func sip(rate int64) int { return int(min(max(rate/16, 2<<10), 32<<10)) }
