package overlay

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/sec"
)

// A record of TLS holds 16 KiB, and crypto/tls reads and writes each by itself. What is here
// moves several with one call to the system, which costs both ends a quarter less in all.
const (
	record    = 16 << 10
	gathered  = usualFrame + 4<<10 // a frame in records; the first ones of a connection are small and have more overhead
	readAhead = 128 << 10
)

// The largest frame of yamux that is sent, its header counted: what is urgent waits for one
// at most. Over a short line that is not long, and large ones cost both ends a tenth less.
const (
	usualFrame  = 64 << 10
	shortFrame  = 256 << 10
	shortLine   = 5 * time.Millisecond // a round trip
	frameHeader = 12
)

// frame is the largest frame for a round trip.
func frame(rtt time.Duration) int {
	if rtt < shortLine {
		return shortFrame
	}
	return usualFrame
}

// bulk is a security transport whose connections gather records.
type bulk struct{ sec.SecureTransport }

// SecureInbound shakes hands with somebody who came.
func (t bulk) SecureInbound(ctx context.Context, c net.Conn, p peer.ID) (sec.SecureConn, error) {
	r := &records{Conn: c}
	s, err := t.SecureTransport.SecureInbound(ctx, r, p)
	return newWhole(r, s, err)
}

// SecureOutbound shakes hands with somebody who was dialled.
func (t bulk) SecureOutbound(ctx context.Context, c net.Conn, p peer.ID) (sec.SecureConn, error) {
	r := &records{Conn: c}
	s, err := t.SecureTransport.SecureOutbound(ctx, r, p)
	return newWhole(r, s, err)
}

// whole is a connection whose writes go out whole.
type whole struct {
	sec.SecureConn
	records *records
	rtt     time.Duration // of the handshake
	ledger  *ledger       // counts what comes; nil: nobody does. Set before anything is read
	mu      sync.Mutex    // one write at a time
	sending atomic.Bool
}

// newWhole is a connection that has shaken hands, or has not.
func newWhole(r *records, s sec.SecureConn, err error) (sec.SecureConn, error) {
	if err != nil {
		return nil, err
	}
	w := &whole{SecureConn: s, records: r, rtt: r.rtt}
	r.shaken = true
	return w, nil
}

// Read reads what the peer sent, when there is room for it.
func (w *whole) Read(b []byte) (int, error) {
	if w.ledger == nil {
		return w.SecureConn.Read(b)
	}
	w.ledger.wait()
	n, err := w.SecureConn.Read(b)
	if lerr := w.ledger.came(b[:n]); lerr != nil {
		return 0, lerr
	}
	return n, err
}

// Write encrypts all of b, then sends it.
func (w *whole) Write(b []byte) (int, error) {
	if len(b) <= record {
		return w.SecureConn.Write(b)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.records.hold()
	w.sending.Store(true)
	defer w.sending.Store(false)
	n, err := w.SecureConn.Write(b)
	if serr := w.records.send(); err == nil && serr != nil {
		return 0, serr
	}
	return n, err
}

// Close ends the connection. While the peer is being sent something TLS can't say goodbye,
// and would wait for it.
func (w *whole) Close() error {
	if w.ledger != nil {
		w.ledger.end()
	}
	if w.sending.Load() {
		w.records.Conn.Close()
	}
	return w.SecureConn.Close()
}

// Buffers are shared by all connections: one that has nothing to do holds none.
var (
	outBuffers = sync.Pool{New: func() any { b := make([]byte, 0, gathered); return &b }}
	inBuffers  = sync.Pool{New: func() any { b := make([]byte, readAhead); return &b }}
)

// records is the connection beneath TLS.
type records struct {
	net.Conn

	mu  sync.Mutex
	out *[]byte // what is held; nil: nothing is to be

	// Of the handshake, which is one goroutine's.
	wrote  time.Time
	rtt    time.Duration // the least time from a write to the answer
	shaken bool

	// Reading is for one goroutine.
	in   *[]byte // read ahead, of which rest is left; nil: nothing is
	rest []byte
	more bool // the last read filled its buffer: there is probably more
}

// hold keeps what is written until send.
func (r *records) hold() {
	r.mu.Lock()
	r.out = outBuffers.Get().(*[]byte)
	r.mu.Unlock()
}

// send writes what was held.
func (r *records) send() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := r.out
	r.out = nil
	var err error
	if len(*b) > 0 {
		_, err = r.Conn.Write(*b)
	}
	*b = (*b)[:0]
	outBuffers.Put(b)
	return err
}

// Write writes, or holds.
func (r *records) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.shaken {
		r.wrote = time.Now()
	}
	if r.out == nil {
		return r.Conn.Write(b)
	}
	*r.out = append(*r.out, b...)
	return len(b), nil
}

// Read reads straight into b as a rule, so that a connection that waits holds no buffer. When
// b was filled more is there, and it reads ahead.
func (r *records) Read(b []byte) (int, error) {
	if r.in == nil && !r.more {
		n, err := r.Conn.Read(b)
		if !r.shaken && !r.wrote.IsZero() {
			if d := time.Since(r.wrote); r.rtt == 0 || d < r.rtt {
				r.rtt = d
			}
			r.wrote = time.Time{}
		}
		r.more = n == len(b) && n >= record/2
		return n, err
	}
	if r.in == nil {
		in := inBuffers.Get().(*[]byte)
		n, err := r.Conn.Read(*in)
		if r.more = n == len(*in); n == 0 {
			inBuffers.Put(in)
			return 0, err
		}
		r.in, r.rest = in, (*in)[:n]
	}
	n := copy(b, r.rest)
	if r.rest = r.rest[n:]; len(r.rest) == 0 {
		inBuffers.Put(r.in)
		r.in = nil
	}
	return n, nil
}
