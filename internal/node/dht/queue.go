package dht

import (
	"net/netip"
	"sync"
)

// keepBytes is what an empty batch may hold on to.
const keepBytes = 32 << 10

// queue holds datagrams between those who bring and the one who takes them, who gets all at
// once. What is over its bounds is dropped.
type queue struct {
	mu      sync.Mutex
	count   int // bounds
	size    int
	in      batch
	dropped int64
	kick    chan struct{} // something waits
}

// batch is a number of datagrams in one piece of memory.
type batch struct {
	bytes []byte
	list  []datagram
}

type datagram struct {
	addr netip.AddrPort
	end  int // in bytes; it begins where the one before ends
}

func newQueue(count, size int) *queue {
	return &queue{count: count, size: size, kick: make(chan struct{}, 1)}
}

// put copies a datagram into the queue if it has room.
func (q *queue) put(a netip.AddrPort, b []byte) {
	q.mu.Lock()
	if len(q.in.list) >= q.count || len(q.in.bytes)+len(b) > q.size {
		q.dropped++
		q.mu.Unlock()
		return
	}
	q.in.add(a, b)
	first := len(q.in.list) == 1
	q.mu.Unlock()
	if first {
		signal(q.kick)
	}
}

// take swaps what waits for an emptied batch.
func (q *queue) take(empty batch) batch {
	empty.reset()
	q.mu.Lock()
	defer q.mu.Unlock()
	full := q.in
	q.in = empty
	return full
}

// lost is how many datagrams found no room.
func (q *queue) lost() int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.dropped
}

func (b *batch) add(a netip.AddrPort, data []byte) {
	b.bytes = append(b.bytes, data...)
	b.list = append(b.list, datagram{a, len(b.bytes)})
}

// reset empties the batch. Memory that a burst needed is given back when it is over.
func (b *batch) reset() {
	if cap(b.bytes) > keepBytes && len(b.bytes) < cap(b.bytes)/8 {
		*b = batch{}
	}
	b.bytes, b.list = b.bytes[:0], b.list[:0]
}

// each calls f with every datagram in order. The bytes are the batch's.
func (b *batch) each(f func(a netip.AddrPort, data []byte)) {
	from := 0
	for _, d := range b.list {
		f(d.addr, b.bytes[from:d.end:d.end])
		from = d.end
	}
}

// signal wakes whoever waits on the channel, or will.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
