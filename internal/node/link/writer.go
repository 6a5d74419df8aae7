package link

import (
	"sync"
	"time"

	"shoal/internal/core/wire"
)

// maxControl is how many bytes of messages may wait for a peer that does not read.
const maxControl = 1 << 20

// StartCredit is the payload that may be with a writer: one batch on its way and one
// being read from the disk.
const StartCredit = 2 * SendBatch

// writer is what waits to be sent to a peer. Its goroutine runs only while there is
// something.
type writer struct {
	mu      sync.Mutex
	ctl     []byte
	sends   []Block
	running bool
	last    bool // the connection ends when nothing waits any more
	// Owned by the goroutine.
	ctl2   []byte
	sends2 []Block
	vec    [][]byte
}

// Flush hands what the owner has gathered to the writer. It reports false when the peer
// has not read for so long that too much waits.
func (c *Conn) Flush() bool {
	if c.DHTPort != 0 {
		c.Out = wire.PortMsg{Port: c.DHTPort}.Append(c.Out)
		c.DHTPort = 0
	}
	if len(c.Out) == 0 && len(c.Sends) == 0 {
		return true
	}
	w := &c.w
	w.mu.Lock()
	w.ctl = append(w.ctl, c.Out...)
	w.sends = append(w.sends, c.Sends...)
	over := len(w.ctl) > maxControl
	start := !w.running && !over
	w.running = w.running || start
	w.mu.Unlock()
	c.Out, c.Sends = c.Out[:0], c.Sends[:0]
	c.LastSent = time.Now()
	if start {
		go c.writeLoop()
	}
	return !over
}

// Waiting is the number of bytes of messages that the peer has not taken yet.
func (c *Conn) Waiting() int {
	c.w.mu.Lock()
	defer c.w.mu.Unlock()
	return len(c.w.ctl) + len(c.Out)
}

// writeLoop sends until nothing is left.
func (c *Conn) writeLoop() {
	w := &c.w
	for {
		w.mu.Lock()
		if len(w.ctl) == 0 && len(w.sends) == 0 {
			w.running = false
			last := w.last
			w.mu.Unlock()
			if last {
				c.Shut()
			}
			return
		}
		w.ctl, w.ctl2 = w.ctl2[:0], w.ctl
		w.sends, w.sends2 = w.sends2[:0], w.sends
		w.mu.Unlock()
		if err := c.write(w.ctl2, w.sends2); err != nil {
			c.Shut()
			return // running stays true: nothing more is started
		}
		if cap(w.ctl2) > 64<<10 {
			w.ctl2 = nil
		}
	}
}

func (c *Conn) write(ctl []byte, sends []Block) error {
	if len(ctl) > 0 {
		if err := c.put(ctl); err != nil {
			return err
		}
	}
	if len(sends) == 0 {
		return nil
	}
	buf := c.shared.Buffers.Get()
	defer c.shared.Buffers.Put(buf)
	for len(sends) > 0 {
		n, taken := 0, 0
		for taken < len(sends) && (taken == 0 || n+int(sends[taken].Len) <= SendBatch) {
			n += int(sends[taken].Len)
			taken++
		}
		if err := c.sendBlocks(buf, sends[:taken]); err != nil {
			return err
		}
		sends = sends[taken:]
		if !c.owner.Wrote(n) {
			return ErrGone
		}
	}
	return nil
}

func (c *Conn) put(b []byte) error {
	if err := c.nc.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return err
	}
	_, err := c.nc.Write(b)
	return err
}

// sendBlocks reads the blocks, headers in between, and writes them with one call. What
// cannot be read any more is refused, so that the peer asks somebody else for it; one
// that does not know how to be refused loses the connection.
func (c *Conn) sendBlocks(buf []byte, sends []Block) error {
	w := &c.w
	pos := 0
	for i := 0; i < len(sends); {
		first, run, at := sends[i], i, pos
		w.vec = w.vec[:0]
		next := first.Begin
		for i < len(sends) && sends[i].Piece == first.Piece && sends[i].Begin == next {
			s := sends[i]
			h := wire.PieceHeader{Piece: s.Piece, Begin: s.Begin, DataLen: int(s.Len)}
			pos = len(h.Append(buf[:pos]))
			w.vec = append(w.vec, buf[pos:pos+int(s.Len)])
			pos += int(s.Len)
			next += s.Len
			i++
		}
		if err := c.owner.Blocks(w.vec, int(first.Piece), int(first.Begin)); err != nil {
			if !c.Fast() {
				return err
			}
			pos = at
			for _, s := range sends[run:i] {
				pos = len(wire.RejectMsg{Piece: s.Piece, Begin: s.Begin, Length: s.Len}.Append(buf[:pos]))
			}
		}
	}
	return c.put(buf[:pos])
}
