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
		p.enter(t.Context(), near[porchPlaces+1])
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		p.leave(near[1]) // who is new here makes room for nobody before its time
		for i := range p.waiting {
			p.waiting[i].since = time.Now()
		}
		p.enter(ctx, near[1])
		if p.enter(ctx, near[0]) || len(p.waiting) != porchPlaces {
			t.Errorf("let in although full and at its end: %d wait", len(p.waiting))
		}
	})
}
