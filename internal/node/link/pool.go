package link

import (
	"sync"
	"sync/atomic"
)

// Sizes of the pool. A large Chunk is what one read of a fast peer fills, a small one
// holds a block and what a slow peer sends around it.
const (
	largeChunk = 256<<10 + 16<<10
	smallChunk = 36 << 10
	poolLimit  = 16 << 20 // bytes of chunks in use at a time
	keepFree   = 16 << 20 // bytes of chunks kept for reuse
)

// Chunk is a buffer that blocks lie in. It goes back to its pool with the last reference.
type Chunk struct {
	buf  []byte
	refs atomic.Int32
	pool *Pool
}

func (c *Chunk) hold(n int) { c.refs.Add(int32(n)) }

// Release gives up one reference.
func (c *Chunk) Release() {
	if c.refs.Add(-1) == 0 {
		c.pool.put(c)
	}
}

// Pool hands out chunks within a bound that all shares and connections have together.
type Pool struct {
	mu      sync.Mutex
	more    sync.Cond
	free    [2][]*Chunk
	kept    int
	used    atomic.Int64
	closed  bool
	pressed func() // called when a reader has to wait: shares write out what they hold
}

// NewPool makes an empty pool. pressed is called, in a goroutine of its own, when a reader
// has to wait: whoever holds blocks should write them out.
func NewPool(pressed func()) *Pool {
	p := &Pool{pressed: pressed}
	p.more.L = &p.mu
	return p
}

// Get returns a Chunk with one reference; large is a wish that is granted while less
// than half of the bound is used. It waits when the bound is reached and returns nil
// when the pool is closed.
func (p *Pool) Get(large bool) *Chunk {
	p.mu.Lock()
	defer p.mu.Unlock()
	called := false
	for !p.closed {
		used := p.used.Load()
		size, k := smallChunk, 0
		if large && used < poolLimit/2 {
			size, k = largeChunk, 1
		}
		if used+int64(size) <= poolLimit {
			p.used.Add(int64(size))
			return p.take(k, size)
		}
		if !called {
			called = true
			go p.pressed()
		}
		p.more.Wait()
	}
	return nil
}

func (p *Pool) take(k, size int) *Chunk {
	if n := len(p.free[k]); n > 0 {
		c := p.free[k][n-1]
		p.free[k] = p.free[k][:n-1]
		p.kept -= size
		c.refs.Store(1)
		return c
	}
	c := &Chunk{buf: make([]byte, size), pool: p}
	c.refs.Store(1)
	return c
}

func (p *Pool) put(c *Chunk) {
	p.mu.Lock()
	k := 0
	if len(c.buf) == largeChunk {
		k = 1
	}
	p.used.Add(-int64(len(c.buf)))
	if p.kept+len(c.buf) <= keepFree {
		p.free[k] = append(p.free[k], c)
		p.kept += len(c.buf)
	}
	p.mu.Unlock()
	p.more.Broadcast()
}

// Used is the number of bytes of chunks that are out.
func (p *Pool) Used() int64 { return p.used.Load() }

// Tight tells that blocks that wait for others should be written out now.
func (p *Pool) Tight() bool { return p.used.Load() > poolLimit*3/4 }

// Shrink gives the kept chunks back to the system; called when nothing flows.
func (p *Pool) Shrink() {
	p.mu.Lock()
	p.free, p.kept = [2][]*Chunk{}, 0
	p.mu.Unlock()
}

// Close ends all waiting; Get returns nil from then on.
func (p *Pool) Close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.more.Broadcast()
}

// Buffers are the writers' buffers, a few of which are kept.
type Buffers struct {
	mu   sync.Mutex
	free [][]byte
}

const (
	SendBatch   = 512 << 10 // payload that a writer reads and sends at a time
	sendBuffer  = SendBatch + SendBatch/(16<<10)*32 + 4096
	keepBuffers = 4
)

// Get returns a buffer for SendBatch bytes of blocks and their headers.
func (b *Buffers) Get() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := len(b.free); n > 0 {
		x := b.free[n-1]
		b.free = b.free[:n-1]
		return x
	}
	return make([]byte, sendBuffer)
}

// Put takes a buffer back.
func (b *Buffers) Put(x []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.free) < keepBuffers {
		b.free = append(b.free, x)
	}
}
