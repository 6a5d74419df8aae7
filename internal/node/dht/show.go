package dht

import (
	"net/netip"

	"shoal/internal/core/kad"
	"shoal/internal/core/kad/krpc"
)

// Ready is closed once the first node has answered.
func (d *DHT) Ready() <-chan struct{} { return d.ready }

// Counted are totals since New, as of the last turn.
func (d *DHT) Counted() Counted {
	return d.showing().counted
}

// Address is where most nodes see us; zero while they have not agreed.
func (d *DHT) Address() netip.AddrPort { return d.showing().address }

// ID is our own id. It changes when another address demands another (BEP 42).
func (d *DHT) ID() krpc.ID { return d.showing().id }

// Len is how many nodes the table holds.
func (d *DHT) Len() int { return d.showing().nodes }

func (d *DHT) showing() shown {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.shown
}

// Health tells how the node does; zero before Run and after it.
func (d *DHT) Health() (h kad.Health) {
	d.ask(func(t *kad.T) { h = t.Health() })
	return h
}

// Size is an estimate of how many nodes the network has, 0 while too little is known.
func (d *DHT) Size() (n int) {
	d.ask(func(t *kad.T) { n = t.Size() })
	return n
}

// Observed says that our address was found by other means than the DHT: a port mapped, a
// peer's word that was confirmed. It never waits.
func (d *DHT) Observed(a netip.AddrPort) {
	d.post(func() { d.in.List = append(d.in.List, kad.Event{Kind: kad.Observed, Addr: a}) })
}

// ask has the owner look something up, and waits for it.
func (d *DHT) ask(f func(*kad.T)) {
	if !closed(d.begun) {
		return
	}
	done := make(chan struct{})
	if !d.post(func() { f(d.t); close(done) }) {
		return
	}
	select {
	case <-done:
	case <-d.ended:
	}
}

// count changes what is counted.
func (d *DHT) count(f func(*Counted)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	f(&d.shown.counted)
}
