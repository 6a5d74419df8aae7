package engine

import (
	"sync"
	"time"

	"shoal/internal/core/wire"
)

// maxControl is how many bytes of messages may wait for a peer that does not read.
const maxControl = 1 << 20

// startCredit is the payload that may be with a writer: one batch on its way and one
// being read from the disk.
const startCredit = 2 * sendBatch

// blockSend is one block on its way out.
type blockSend struct{ piece, begin, n uint32 }

// writer is what waits to be sent to a peer. Its goroutine runs only while there is
// something.
type writer struct {
	mu      sync.Mutex
	ctl     []byte
	sends   []blockSend
	running bool
	// Owned by the goroutine.
	ctl2   []byte
	sends2 []blockSend
	vec    [][]byte
}

// flush hands what the loop has gathered to the writer. It reports false when the peer
// has not read for so long that too much waits.
func (c *conn) flush() bool {
	c.dirty = false
	if len(c.out) == 0 && len(c.sends) == 0 {
		return true
	}
	w := &c.w
	w.mu.Lock()
	w.ctl = append(w.ctl, c.out...)
	w.sends = append(w.sends, c.sends...)
	over := len(w.ctl) > maxControl
	start := !w.running && !over
	w.running = w.running || start
	w.mu.Unlock()
	c.out, c.sends = c.out[:0], c.sends[:0]
	c.lastSent = time.Now()
	if start {
		go c.writeLoop()
	}
	return !over
}

// writeLoop sends until nothing is left.
func (c *conn) writeLoop() {
	w := &c.w
	for {
		w.mu.Lock()
		if len(w.ctl) == 0 && len(w.sends) == 0 {
			w.running = false
			w.mu.Unlock()
			return
		}
		w.ctl, w.ctl2 = w.ctl2[:0], w.ctl
		w.sends, w.sends2 = w.sends2[:0], w.sends
		w.mu.Unlock()
		if err := c.write(w.ctl2, w.sends2); err != nil {
			c.shut()
			return // running stays true: nothing more is started
		}
		if cap(w.ctl2) > 64<<10 {
			w.ctl2 = nil
		}
	}
}

func (c *conn) write(ctl []byte, sends []blockSend) error {
	if len(ctl) > 0 {
		if err := c.put(ctl); err != nil {
			return err
		}
	}
	if len(sends) == 0 {
		return nil
	}
	buf := c.share.e.buffers.get()
	defer c.share.e.buffers.put(buf)
	for len(sends) > 0 {
		n, taken := 0, 0
		for taken < len(sends) && (taken == 0 || n+int(sends[taken].n) <= sendBatch) {
			n += int(sends[taken].n)
			taken++
		}
		if err := c.sendBlocks(buf, sends[:taken]); err != nil {
			return err
		}
		sends = sends[taken:]
		if !c.share.post(msg{kind: msgWrote, c: c, n: n}) {
			return errGone
		}
	}
	return nil
}

func (c *conn) put(b []byte) error {
	if err := c.nc.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return err
	}
	_, err := c.nc.Write(b)
	return err
}

// sendBlocks reads the blocks, headers in between, and writes them with one call.
func (c *conn) sendBlocks(buf []byte, sends []blockSend) error {
	content := c.share.readable()
	if content == nil {
		return errGone
	}
	w := &c.w
	pos := 0
	for i := 0; i < len(sends); {
		first := sends[i]
		w.vec = w.vec[:0]
		next := first.begin
		for i < len(sends) && sends[i].piece == first.piece && sends[i].begin == next {
			s := sends[i]
			h := wire.PieceHeader{Piece: s.piece, Begin: s.begin, DataLen: int(s.n)}
			pos = len(h.Append(buf[:pos]))
			w.vec = append(w.vec, buf[pos:pos+int(s.n)])
			pos += int(s.n)
			next += s.n
			i++
		}
		if err := content.ReadVec(w.vec, int(first.piece), int(first.begin)); err != nil {
			c.share.post(msg{kind: msgUnreadable, c: c, n: int(first.piece), err: err})
			return err
		}
	}
	if err := c.put(buf[:pos]); err != nil {
		return err
	}
	return nil
}
