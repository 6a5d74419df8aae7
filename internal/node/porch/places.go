package porch

import (
	"context"
	"net"
	"slices"
	"sync"
	"time"
)

const (
	porchPlaces = 128         // connections whose handshake has not come, at most
	patience    = time.Second // how long such a one keeps its place when others wait
)

// places hold the connections that somebody opened and that have not said yet what they
// want. When it is full, others wait in the system's queue, and the one that has been
// silent longest makes room: who means it speaks at once, and a flood of silent ones
// keeps nobody out for long.
type places struct {
	mu      sync.Mutex
	waiting []guest // oldest first
	left    chan struct{}
}

type guest struct {
	nc    net.Conn
	since time.Time
}

func newPlaces() *places { return &places{left: make(chan struct{}, 1)} }

// enter takes a connection in as soon as there is a place; false when ctx ends first.
func (p *places) enter(ctx context.Context, nc net.Conn) bool {
	for {
		wait := p.admit(nc)
		if wait == 0 {
			return true
		}
		t := time.NewTimer(wait)
		select {
		case <-p.left:
		case <-t.C:
		case <-ctx.Done():
		}
		t.Stop()
		if ctx.Err() != nil {
			return false
		}
	}
}

// admit gives the connection a place and returns 0, or how long the oldest keeps his.
func (p *places) admit(nc net.Conn) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if len(p.waiting) >= porchPlaces {
		oldest := p.waiting[0]
		if rest := patience - now.Sub(oldest.since); rest > 0 {
			return rest
		}
		oldest.nc.Close()
		p.waiting = slices.Delete(p.waiting, 0, 1)
	}
	p.waiting = append(p.waiting, guest{nc, now})
	return 0
}

// leave frees the place of a connection, whatever became of it.
func (p *places) leave(nc net.Conn) {
	p.mu.Lock()
	if i := slices.IndexFunc(p.waiting, func(g guest) bool { return g.nc == nc }); i >= 0 {
		p.waiting = slices.Delete(p.waiting, i, i+1)
	}
	p.mu.Unlock()
	select {
	case p.left <- struct{}{}:
	default:
	}
}
