package link

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"shoal/internal/core/wire"
)

const (
	writeTime  = 60 * time.Second // how long a peer may take nothing before it is dropped (security.md T25)
	finishTime = 2 * time.Second  // and at its end
)

// Owner is what a connection needs of whoever it belongs to. Its methods are called by the
// connection's goroutines and may block: that is the back pressure.
type Owner interface {
	// Batch takes the messages of one read; false if nobody takes them any more. The
	// batch is given back by Return.
	Batch(b *Batch) bool
	// Wrote tells that so many bytes of blocks were sent; false ends the connection.
	Wrote(n int) bool
	// Blocks reads bytes of a piece, one buffer after the other.
	Blocks(vec [][]byte, piece, begin int) error
	// Down tells that the connection has ended, and why. It is the last call.
	Down(err error)
}

// Shared is what the connections of a share, or of all, have in common.
type Shared struct {
	Pool    *Pool
	Buffers *Buffers
	Down    []*Limiter      // what is received counts against these
	Ctx     context.Context // ends waiting for a limit
}

// Block is one block on its way out.
type Block struct{ Piece, Begin, Len uint32 }

// Conn is one connection. Out and Sends belong to the owner, which hands them over by
// Flush; everything else is safe from anywhere.
type Conn struct {
	Addr     netip.AddrPort // of the other end; the zero value on carriers without addresses
	Relayed  bool           // another node carries it
	Incoming bool
	Theirs   wire.Handshake
	Since    time.Time

	Out      []byte  // messages gathered by the owner
	Sends    []Block // blocks to be sent behind them
	DHTPort  uint16  // told behind what is gathered first: a bitfield is the first message (BEP 3); 0: not told
	LastSent time.Time

	// What the owner learns of the peer, and told it.
	Dialled  netip.AddrPort // the candidate that led here; zero if they came to us
	Ext      wire.ExtHandshake
	ExtSeen  bool
	ExtSent  bool
	Exchange Exchange

	nc       net.Conn
	owner    Owner
	shared   *Shared
	hot      atomic.Bool  // blocks are expected: read into the pool
	maxFrame atomic.Int64 // largest frame taken
	heard    atomic.Int64 // Unix nanoseconds of the last byte
	spare    chan *Batch
	gone     chan struct{}
	once     sync.Once
	w        writer
}

// New is a connection whose handshake is done. Run reads it.
func New(nc net.Conn, theirs wire.Handshake, incoming bool, owner Owner, shared *Shared) *Conn {
	c := &Conn{nc: nc, Theirs: theirs, Incoming: incoming, Since: time.Now(), owner: owner, shared: shared,
		spare: make(chan *Batch, 2), gone: make(chan struct{})}
	c.Addr, c.Relayed = AddrOf(nc.RemoteAddr()), relayed(nc)
	c.maxFrame.Store(largeChunk - 16<<10)
	c.heard.Store(time.Now().UnixNano())
	for range cap(c.spare) {
		c.spare <- &Batch{fast: c.Fast()}
	}
	return c
}

// Fast tells whether the peer speaks BEP 6.
func (c *Conn) Fast() bool { return c.Theirs.Has(wire.CapFast) }

// Expect tells whether blocks are expected, which are read into larger buffers.
func (c *Conn) Expect(blocks bool) {
	if c.hot.Load() != blocks {
		c.hot.Store(blocks)
	}
}

// Heard is when the last byte came.
func (c *Conn) Heard() time.Time { return time.Unix(0, c.heard.Load()) }

// Return gives a batch back, so that the connection reads on.
func (c *Conn) Return(b *Batch) { c.spare <- b }

// Limit sets the largest frame that is taken: a bitfield of that many pieces, a block or
// hashes, whichever is larger.
func (c *Conn) Limit(pieces int) {
	const hashes = 1 + 48 + 32*(512+64)
	c.maxFrame.Store(int64(max(1+wire.BitfieldLen(pieces), 1+8+wire.BlockLen, hashes, 1+1+wire.BlockLen+256)))
}

// Shut ends the connection at once; the reader notices and tells the owner. It reports
// whether it had not ended before.
func (c *Conn) Shut() (first bool) {
	c.once.Do(func() {
		first = true
		close(c.gone)
		c.nc.Close()
	})
	return first
}

// Abort is Shut that also takes back what the carrier has not sent yet, where it can.
func (c *Conn) Abort() (first bool) {
	if r, ok := c.nc.(interface{ Reset() error }); ok {
		_ = r.Reset() // Shut closes what could not be reset
	}
	return c.Shut()
}

// Finish ends the connection as soon as the peer was sent what the owner has gathered, or
// has not taken it for finishTime. It belongs to the owner.
func (c *Conn) Finish() {
	c.Flush()
	c.w.mu.Lock()
	c.w.last = true
	idle := !c.w.running
	c.w.mu.Unlock()
	if idle {
		c.Shut()
		return
	}
	time.AfterFunc(finishTime, func() { c.Shut() })
}

// Why a connection ended, besides the system's own errors and those of package wire.
var (
	ErrClosed = errors.New("the peer closed the connection")
	ErrGone   = errors.New("the connection was closed by this side")
)

// Run reads until the connection ends.
func (c *Conn) Run() {
	r := &reader{c: c, buf: make([]byte, smallBuffer)}
	err := r.run()
	if r.ck != nil {
		r.ck.Release()
	}
	c.Shut()
	c.owner.Down(err)
}

// ReadHandshake reads exactly the handshake. A stranger that speaks something else is
// known by its first bytes.
func ReadHandshake(r io.Reader) (wire.Handshake, error) {
	var b [wire.HandshakeLen]byte
	for n := 0; n < len(b); {
		m, err := r.Read(b[n:])
		if n += m; err != nil && n < len(b) {
			return wire.Handshake{}, err
		}
		known := min(n, len(wire.Protocol))
		if string(b[:known]) != wire.Protocol[:known] {
			return wire.Handshake{}, wire.ErrMalformed
		}
	}
	return wire.ParseHandshake(b[:])
}
