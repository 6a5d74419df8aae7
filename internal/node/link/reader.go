package link

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
	c          *Conn
	buf        []byte
	ck         *Chunk // what buf belongs to; nil while it is the small one
	start, end int    // unparsed bytes
	last       int    // bytes of the last read, a hint for the next chunk
	more       bool   // whole frames may be left of the last read
}

func (r *reader) run() error {
	var err error
	for {
		var b *Batch
		select {
		case b = <-r.c.spare:
		case <-r.c.gone:
			return ErrGone
		}
		if !r.more {
			err = r.fill()
		}
		b.reset()
		r.more = false
		if r.end > r.start {
			if perr := r.parse(b); perr != nil {
				err = perr
			}
		}
		if b.empty() {
			r.c.spare <- b
		} else if !r.c.owner.Batch(b) {
			b.Drop()
			return ErrGone
		}
		if err != nil && !r.more {
			return err
		}
	}
}

// fill makes room and reads once.
func (r *reader) fill() error {
	if err := r.room(); err != nil {
		return err
	}
	most := len(r.buf)
	s := r.c.shared
	for _, l := range s.Down {
		if l.On() {
			most = min(most, r.end+sip(l.Rate()))
		}
	}
	n, err := r.c.nc.Read(r.buf[r.end:most])
	r.end += n
	r.last = n
	if n > 0 {
		r.c.heard.Store(time.Now().UnixNano())
		if r.ck != nil {
			waitFor(s.Ctx, n, s.Down)
			r.c.heard.Store(time.Now().UnixNano()) // while we wait it is not silent
		}
	}
	if errors.Is(err, io.EOF) {
		return ErrClosed
	}
	return err
}

// room sees to it that the frame at hand fits and that a read is worth its while.
func (r *reader) room() error {
	need, block, err := r.need()
	if err != nil {
		return err
	}
	if r.ck == nil {
		if r.c.hot.Load() || block {
			return r.toChunk(need)
		}
		r.compact(need)
		return nil
	}
	if r.start == r.end && !r.c.hot.Load() {
		r.ck.Release()
		r.ck, r.buf, r.start, r.end = nil, make([]byte, smallBuffer), 0, 0
		return nil
	}
	if r.start+need > len(r.buf) || len(r.buf)-r.end < 8<<10 {
		return r.toChunk(need)
	}
	return nil
}

// need is the length of the frame that is not whole yet, 0 if unknown, and whether it is a
// block, which needs a chunk even if none was expected.
func (r *reader) need() (length int, block bool, err error) {
	n, id, ok, err := wire.Peek(r.buf[r.start:r.end], int(r.c.maxFrame.Load()))
	if err != nil || !ok {
		return 0, false, err
	}
	return n + 4, id == wire.Piece && n > 0, nil
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

// toChunk goes on in a new chunk with room for a frame of need bytes, taking the unparsed
// bytes along. No block needs a large one: where none is to be had, the frame is too long.
func (r *reader) toChunk(need int) error {
	part := r.end - r.start
	need = max(need, part)
	ck := r.c.shared.Pool.Get(need > smallChunk || r.last >= smallChunk/2)
	if ck == nil {
		return ErrGone
	}
	if need > len(ck.buf) {
		ck.Release()
		return wire.ErrTooLong
	}
	copy(ck.buf, r.buf[r.start:r.end])
	if r.ck != nil {
		r.ck.Release()
	}
	r.ck, r.buf, r.start, r.end = ck, ck.buf, 0, part
	return nil
}

// parse takes all whole frames, or as many as a batch holds.
func (r *reader) parse(b *Batch) error {
	limit := int(r.c.maxFrame.Load())
	blocks := 0
	defer func() {
		if blocks > 0 {
			r.ck.hold(blocks)
		}
	}()
	for {
		if b.full() {
			r.more = true
			return nil
		}
		frame, n, err := wire.Next(r.buf[r.start:r.end], limit)
		if err != nil {
			return err
		}
		if n == 0 {
			return nil
		}
		if r.ck == nil && len(frame) > 0 && wire.ID(frame[0]) == wire.Piece {
			return r.lateBlock(b)
		}
		had := len(b.In.List)
		if err := b.message(frame, r.ck); err != nil {
			return err
		}
		if len(b.Blocks) > had {
			blocks++
		}
		r.start += n
	}
}

// lateBlock takes a whole block that lies in the small buffer: it is moved to a chunk of
// its own.
func (r *reader) lateBlock(b *Batch) error {
	if err := r.toChunk(0); err != nil {
		return err
	}
	return r.parse(b)
}
