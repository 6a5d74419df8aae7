package link

import "time"

// Meter measures a rate over the last seconds. It is for one goroutine.
type Meter struct {
	bytes int64 // since last
	rate  float64
	last  time.Time
}

// Times of a Meter.
const (
	meterLeast = 200 * time.Millisecond // ticks that follow sooner are ignored
	meterSpan  = 3.0                    // seconds over which the past fades
)

// Add counts bytes that passed.
func (m *Meter) Add(n int) { m.bytes += int64(n) }

// Rate is the rate as of the last Tick, in bytes a second.
func (m *Meter) Rate() int64 { return int64(m.rate) }

// Tick is called about once a second; the first begins the measurement.
func (m *Meter) Tick(now time.Time) {
	if m.last.IsZero() {
		m.last = now
		return
	}
	if now.Sub(m.last) < meterLeast {
		return
	}
	dt := now.Sub(m.last).Seconds()
	r := float64(m.bytes) / dt
	m.bytes, m.last = 0, now
	if m.rate == 0 {
		m.rate = r
	} else {
		m.rate += (r - m.rate) * min(dt/meterSpan, 1)
	}
	if m.rate < 1 {
		m.rate = 0
	}
}
