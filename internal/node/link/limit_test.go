package link

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"shoal/internal/core/wire"
)

// TestLimitHolds: those who share a limit get it together, and not more.
func TestLimitHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l Limiter
		l.Set(100_000)
		begun, done := time.Now(), make(chan bool)
		for range 4 {
			go func() {
				for range 25 {
					waitFor(t.Context(), 10_000, []*Limiter{&l})
				}
				done <- true
			}()
		}
		for range 4 {
			<-done
		}
		if took := time.Since(begun).Seconds(); took < 9.5 || took > 10.5 {
			t.Errorf("a million bytes at a hundred thousand a second took %.1f s", took)
		}
	})
}

// TestLimitIsLifted: who waits for a limit notices that it was changed, and pays no more of
// the old one.
func TestLimitIsLifted(t *testing.T) {
	for _, rate := range []int64{0, 1 << 20} {
		synctest.Test(t, func(t *testing.T) {
			var l Limiter
			l.Set(1000)
			waited := make(chan time.Duration)
			begun := time.Now()
			for range 20 {
				go func() {
					waitFor(t.Context(), 32<<10, []*Limiter{&l})
					waited <- time.Since(begun)
				}()
			}
			<-time.After(time.Second)
			l.Set(rate)
			for range 20 {
				if d := <-waited; d > time.Second+lookAgain {
					t.Errorf("limit %d: waited %v", rate, d)
				}
			}
			if d := l.Spend(time.Now(), 1); d > 0 {
				t.Errorf("limit %d: %v are owed of the old one", rate, d)
			}
		})
	}
}

// TestFinish: what was gathered last arrives before the end, and who does not read is left.
func TestFinish(t *testing.T) {
	for _, reads := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			near, far := net.Pipe()
			defer far.Close()
			l := &listener{}
			l.c = New(near, wire.Handshake{}, true, l, &Shared{Pool: NewPool(func() {}), Buffers: new(Buffers), Ctx: context.Background()})
			ended := make(chan bool)
			go func() { l.c.Run(); close(ended) }()
			l.c.Out = wire.HaveMsg{Piece: 7}.Append(l.c.Out)
			begun := time.Now()
			l.c.Finish()
			if reads {
				b := make([]byte, 100)
				n, err := far.Read(b)
				if frame, _, _ := wire.Next(b[:n], 100); err != nil || wire.ID(frame[0]) != wire.Have {
					t.Errorf("got % x, %v", b[:n], err)
				}
			}
			<-ended
			if took := time.Since(begun); reads != (took == 0) || took > finishTime {
				t.Errorf("read %t: the end took %v", reads, took)
			}
			<-time.After(2 * finishTime)
		})
	}
}
