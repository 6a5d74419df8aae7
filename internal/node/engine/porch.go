package engine

import (
	"net"
	"slices"
	"sync"
)

// porchPlaces bounds the connections whose handshake has not come.
const porchPlaces = 64

// porch holds the connections that somebody opened and that have not said yet what they
// want. When it is full the one that has stood there longest makes room: who means it
// says so at once, and a flood of silent ones keeps nobody out.
type porch struct {
	mu      sync.Mutex
	waiting []net.Conn // oldest first
}

// enter takes a connection in.
func (p *porch) enter(nc net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.waiting) >= porchPlaces {
		p.waiting[0].Close()
		p.waiting = slices.Delete(p.waiting, 0, 1)
	}
	p.waiting = append(p.waiting, nc)
}

// leave lets a connection go on, whatever became of it.
func (p *porch) leave(nc net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.waiting, nc); i >= 0 {
		p.waiting = slices.Delete(p.waiting, i, i+1)
	}
}
