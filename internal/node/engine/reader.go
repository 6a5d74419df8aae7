package engine

import (
	"errors"
	"io"
	"time"

	"shoal/internal/core/wire"
)

// smallBuffer is what an idle connection reads into.
const smallBuffer = 1 << 10

// reader turns a connection's bytes into batches. Its buffer is the connection's own
// small one while nothing much is expected, and a chunk of the pool while blocks are:
// blocks stay in the chunk that they were read into.
type reader struct {
	c          *conn
	buf        []byte
	ck         *chunk // what buf belongs to; nil while it is the small one
	start, end int    // unparsed bytes
	last       int    // bytes of the last read, a hint for the next chunk
}

// readLoop is the connection's goroutine.
func (c *conn) readLoop() {
	r := &reader{c: c, buf: make([]byte, smallBuffer)}
	err := r.run()
	if r.ck != nil {
		r.ck.release()
	}
	c.shut()
	c.share.post(msg{kind: msgDown, c: c, err: err})
}

func (r *reader) run() error {
	for {
		var b *batch
		select {
		case b = <-r.c.spare:
		case <-r.c.gone:
			return errGone
		}
		err := r.fill()
		b.reset()
		if r.end > r.start {
			if perr := r.parse(b); perr != nil {
				b.err = perr
				err = perr
			}
		}
		if b.empty() {
			r.c.spare <- b
		} else if !r.c.share.post(msg{kind: msgBatch, c: r.c, b: b}) {
			r.drop(b)
			return errGone
		}
		if err != nil {
			return err
		}
	}
}

// drop releases the blocks of a batch that nobody will take.
func (r *reader) drop(b *batch) {
	for _, k := range b.blocks {
		if k.ck != nil {
			k.ck.release()
		}
	}
}

var errGone = errors.New("engine: connection closed by us")

// fill makes room and reads once.
func (r *reader) fill() error {
	if err := r.room(); err != nil {
		return err
	}
	most := len(r.buf)
	s := r.c.share
	if s.down.on() || s.e.down.on() {
		most = min(most, r.end+32<<10) // small sips keep a limited stream even
	}
	n, err := r.c.nc.Read(r.buf[r.end:most])
	r.end += n
	r.last = n
	if n > 0 {
		r.c.read.Add(int64(n))
		r.c.heard.Store(time.Now().UnixNano())
		if r.ck != nil {
			waitFor(s.ctx, n, &s.down, &s.e.down)
		}
	}
	if errors.Is(err, io.EOF) {
		return errClosed
	}
	return err
}

var errClosed = errors.New("engine: the peer closed the connection")

// room sees to it that the frame at hand fits and that a read is worth its while.
func (r *reader) room() error {
	part := r.end - r.start
	need, err := r.need()
	if err != nil {
		return err
	}
	if r.ck == nil {
		if r.c.hot.Load() || need < 0 {
			return r.toChunk(part)
		}
		r.compact(need)
		return nil
	}
	if part == 0 && !r.c.hot.Load() {
		r.ck.release()
		r.ck, r.buf, r.start, r.end = nil, make([]byte, smallBuffer), 0, 0
		return nil
	}
	if r.start+max(need, 0) > len(r.buf) || len(r.buf)-r.end < 8<<10 {
		return r.toChunk(part)
	}
	return nil
}

// need is the length of the frame that is not whole yet, 0 if unknown, -1 if it is a
// block that came while none was expected and so needs a chunk.
func (r *reader) need() (int, error) {
	n, id, ok, err := wire.Peek(r.buf[r.start:r.end], int(r.c.maxFrame.Load()))
	if err != nil || !ok {
		return 0, err
	}
	if id == wire.Piece && n > 0 && r.ck == nil {
		return -1, nil
	}
	return n + 4, nil
}

// compact moves the unparsed bytes to the front of the small buffer, which grows as the
// bytes of a long frame come, not by what its length claims.
func (r *reader) compact(need int) {
	if r.start > 0 {
		copy(r.buf, r.buf[r.start:r.end])
		r.end -= r.start
		r.start = 0
	}
	if r.end == len(r.buf) {
		size := min(2*len(r.buf), max(need, smallBuffer))
		r.buf = append(make([]byte, 0, size), r.buf...)[:size]
	} else if r.end == 0 && len(r.buf) > smallBuffer {
		r.buf = make([]byte, smallBuffer)
	}
}

// toChunk goes on in a new chunk, taking the unparsed bytes along.
func (r *reader) toChunk(part int) error {
	ck := r.c.share.e.pool.get(part > smallChunk || r.last >= smallChunk/2)
	if ck == nil {
		return errGone
	}
	if part > len(ck.buf) {
		ck.release()
		return wire.ErrTooLong
	}
	copy(ck.buf, r.buf[r.start:r.end])
	if r.ck != nil {
		r.ck.release()
	}
	r.ck, r.buf, r.start, r.end = ck, ck.buf, 0, part
	return nil
}

// parse takes all whole frames.
func (r *reader) parse(b *batch) error {
	limit := int(r.c.maxFrame.Load())
	blocks := 0
	defer func() {
		if blocks > 0 {
			r.ck.hold(blocks)
		}
	}()
	for {
		frame, n, err := wire.Next(r.buf[r.start:r.end], limit)
		if err != nil {
			return err
		}
		if n == 0 {
			return nil
		}
		if r.ck == nil && len(frame) > 0 && wire.ID(frame[0]) == wire.Piece {
			return r.lateBlock(b, n)
		}
		had := len(b.in.List)
		if err := b.message(frame, r.ck); err != nil {
			return err
		}
		if len(b.blocks) > had {
			blocks++
		}
		r.start += n
	}
}

// lateBlock takes a whole block that lies in the small buffer: it is moved to a chunk of
// its own.
func (r *reader) lateBlock(b *batch, n int) error {
	part := r.end - r.start
	if err := r.toChunk(part); err != nil {
		return err
	}
	if err := r.parse(b); err != nil {
		return err
	}
	return nil
}
