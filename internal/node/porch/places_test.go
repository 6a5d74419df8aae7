package porch

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

func TestPorchSendsTheSilentAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlaces()
		var near, far []net.Conn
		for range porchPlaces + 2 {
			a, b := net.Pipe()
			defer a.Close()
			defer b.Close()
			near, far = append(near, a), append(far, b)
		}
		begun := time.Now()
		for _, nc := range near[:porchPlaces] {
			p.enter(t.Context(), nc)
		}
		if took := time.Since(begun); took != 0 {
			t.Errorf("a place took %v while there were some", took)
		}
		p.enter(t.Context(), near[porchPlaces])
		if took := time.Since(begun); took != patience {
			t.Errorf("the oldest was sent away after %v", took)
		}
		if _, err := far[0].Read(make([]byte, 1)); err == nil {
			t.Error("the oldest is still there")
		}
		p.leave(near[0]) // of no consequence: it is gone
		p.leave(near[porchPlaces])
		if len(p.waiting) != porchPlaces-1 {
			t.Errorf("%d wait after one left", len(p.waiting))
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		p.enter(ctx, near[porchPlaces+1])
		if p.enter(ctx, near[0]) && time.Since(begun) == patience && len(p.waiting) > porchPlaces {
			t.Error("more than there are places")
		}
	})
}
