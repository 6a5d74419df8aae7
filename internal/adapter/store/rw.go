package store

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"sync"
	"time"

	"shoal/internal/adapter/store/disk"
	"shoal/internal/core/metainfo"
)

// freshness is how long an open file is believed to be unchanged.
const freshness = int64(time.Second)

// ReadAt fills p with the bytes of a piece from begin on. See ReadVec.
func (c *Content) ReadAt(p []byte, piece, begin int) error {
	one := onePool.Get().(*[1][]byte)
	one[0] = p
	err := c.transfer(one[:], piece, begin, false)
	one[0] = nil
	onePool.Put(one)
	return err
}

var onePool = sync.Pool{New: func() any { return new([1][]byte) }}

// ReadVec fills bufs, one after the other, with the bytes of a piece from
// begin on: one preadv where they lie in one file, zeros for pads and for what
// lies between the end of a v2 file and that of its last piece. A file that
// was changed or vanished is ErrChanged, which names it; so is a file that was
// never fetched. Open files are compared with what was recorded at most once a
// second.
func (c *Content) ReadVec(bufs [][]byte, piece, begin int) error {
	return c.transfer(bufs, piece, begin, false)
}

// WriteVec writes bufs, one after the other, as the bytes of a piece from
// begin on: one pwritev where they lie in one file; bytes of pads are dropped.
// NAME.part is made, sparse and of full length, when it is first written to;
// bytes of files that are not selected go to the home.
//
// A file that lies there under its final name is not written but compared:
// equal bytes are success, others are ErrExists, or go to the home if the file is
// not selected and no good piece has bytes of it. So a caller that writes
// before it has verified takes ErrExists for final only if the piece turns out
// to be good. ErrFull, ErrReadOnly, ErrDenied and ErrIO say that the system
// refused, ErrNoSpace that the reserve would be used up; what was written before stays, and the call may be repeated.
func (c *Content) WriteVec(bufs [][]byte, piece, begin int) error {
	return c.transfer(bufs, piece, begin, true)
}

// vecs is scratch for splitting a transfer at the borders of files.
type vecs struct{ v [][]byte }

var vecPool = sync.Pool{New: func() any { return &vecs{v: make([][]byte, 0, 72)} }}

// transfer moves bytes between bufs and the files they belong to.
func (c *Content) transfer(bufs [][]byte, piece, begin int, write bool) error {
	total := 0
	for _, b := range bufs {
		total += len(b)
	}
	size, gap := c.info.PieceSize(piece), false
	if gap = !write && size > 0 && c.info.Version == metainfo.V2; gap {
		size = int(c.info.PieceLength)
	}
	if piece < 0 || begin < 0 || total > size-begin {
		return &Error{Op: "address", Path: c.Root(), Kind: ErrRange}
	}
	if total == 0 {
		return nil
	}
	off := int64(piece)*c.info.PieceLength + int64(begin)
	f := c.info.FileAt(off)
	if f < 0 && gap {
		for _, b := range bufs {
			clear(b)
		}
		return nil
	}
	if f < 0 {
		return &Error{Op: "address", Path: c.Root(), Kind: ErrRange}
	}
	if file := &c.info.Files[f]; off+int64(total) <= file.Offset+file.Length {
		return c.segment(f, bufs, off-file.Offset, write)
	}
	scratch := vecPool.Get().(*vecs)
	defer func() {
		clear(scratch.v[:cap(scratch.v)])
		vecPool.Put(scratch)
	}()
	at := cursor{bufs: bufs}
	for ; total > 0; f++ {
		if gap && (f >= len(c.files) || off < c.info.Files[f].Offset) {
			for _, b := range at.take(scratch.v[:0], total) {
				clear(b)
			}
			return nil
		}
		if f >= len(c.files) {
			return &Error{Op: "address", Path: c.Root(), Kind: ErrRange}
		}
		file := &c.info.Files[f]
		n := int(min(int64(total), file.Offset+file.Length-off))
		if n <= 0 {
			continue
		}
		scratch.v = at.take(scratch.v[:0], n)
		if err := c.segment(f, scratch.v, off-file.Offset, write); err != nil {
			return err
		}
		off += int64(n)
		total -= n
	}
	return nil
}

// cursor walks over buffers that are cut in other places than they were made.
type cursor struct {
	bufs [][]byte
	used int // bytes of bufs[0] that are behind
}

// take appends views of the next n bytes to dst.
func (a *cursor) take(dst [][]byte, n int) [][]byte {
	for n > 0 {
		b := a.bufs[0][a.used:]
		if len(b) > n {
			a.used += n
			return append(dst, b[:n])
		}
		if len(b) > 0 {
			dst = append(dst, b)
		}
		n -= len(b)
		a.bufs, a.used = a.bufs[1:], 0
	}
	return dst
}

// segment moves the bytes that lie in one file, at its offset off.
func (c *Content) segment(f int, bufs [][]byte, off int64, write bool) error {
	if !c.real(f) {
		if !write {
			for _, b := range bufs {
				clear(b)
			}
		}
		return nil
	}
	if write {
		return c.writeFile(f, bufs, off)
	}
	return c.readFile(f, bufs, off)
}

func (c *Content) readFile(f int, bufs [][]byte, off int64) error {
	h, at, err := c.open(f, off, false)
	if err != nil {
		return err
	}
	defer h.release()
	if err = disk.ReadVec(h.f, bufs, at); err == nil {
		return nil
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return &Error{Op: "read", Path: c.Path(f), Kind: ErrChanged}
	}
	return disk.Fault("read", c.Path(f), err)
}

func (c *Content) writeFile(f int, bufs [][]byte, off int64) error {
	for home := false; ; {
		if !home && place(c.files[f].where.Load()) == inParts {
			c.moving.RLock() // what is written after they moved would stay behind
			defer c.moving.RUnlock()
			home = true
		}
		h, at, err := c.open(f, off, true)
		if err != nil {
			return err
		}
		if h.final.Load() {
			again, err := c.compare(f, h, bufs, off)
			if again {
				continue
			}
			return err
		}
		if err = c.spare(); err == nil {
			err = disk.Fault("write", c.Path(f), disk.WriteVec(h.f, bufs, at))
		}
		h.release()
		if err == nil {
			c.wrote(f)
		}
		return err
	}
}

// spare keeps the reserve: other fetches and programs fill the disk too.
func (c *Content) spare() error {
	if c.reserve <= 0 {
		return nil
	}
	now, last := c.now(), c.spared.Load()
	if now-last < freshness || !c.spared.CompareAndSwap(last, now) {
		return nil
	}
	// What was measured before the start leaves out what the file system needs for itself.
	return disk.CheckSpace(c.dir, 1, c.reserve-c.reserve/8)
}

// wrote marks a file for the next Sync and the next Stats.
func (c *Content) wrote(f int) {
	st, id := &c.files[f], f
	if place(st.where.Load()) == inParts {
		st, id = &c.parts, -1
	}
	if st.flags.Load() == unsynced|unstated {
		return
	}
	if old := st.flags.Or(unsynced | unstated); old&unsynced == 0 {
		c.mu.Lock()
		c.unsynced = append(c.unsynced, id)
		c.mu.Unlock()
	}
}

// compare stands for a write to a file under its final name, and releases h.
// Again means that the file was made writable and the write is due.
func (c *Content) compare(f int, h *handle, bufs [][]byte, off int64) (again bool, err error) {
	if c.inPlace {
		h.release()
		return false, &Error{Op: "write", Path: c.Path(f), Kind: ErrReadOnly}
	}
	equal := true
	have := make([]byte, 0, 16<<10)
	for _, b := range bufs {
		if cap(have) < len(b) {
			have = make([]byte, len(b))
		}
		have = have[:len(b)]
		if err = disk.ReadVec(h.f, [][]byte{have}, off); err != nil {
			break
		}
		if equal = bytes.Equal(have, b); !equal {
			break
		}
		off += int64(len(b))
	}
	h.release()
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false, disk.Fault("read", c.Path(f), err)
	}
	if err == nil && equal {
		c.files[f].used.Store(true)
		return false, nil
	}
	if c.reopen(f) || c.setAside(f) {
		return true, nil
	}
	return false, &Error{Op: "write", Path: c.Path(f), Kind: ErrExists}
}

// open finds or opens the file that byte off of file f is in, and tells the
// offset there. The caller releases it.
func (c *Content) open(f int, off int64, write bool) (*handle, int64, error) {
	st := &c.files[f]
	if place(st.where.Load()) == inParts {
		h, err := c.openParts()
		return h, c.info.Files[f].Offset + off, err
	}
	now := c.now()
	if h := st.handle.Load(); h != nil && h.retain() {
		if last := h.checked.Load(); now-last < freshness || !h.checked.CompareAndSwap(last, now) {
			return h, off, nil
		}
		if c.fresh(f, h) {
			return h, off, nil
		}
		h.release()
		c.handles.drop(&st.handle)
		return nil, 0, &Error{Op: "use", Path: c.Path(f), Kind: ErrChanged}
	}
	h, err := c.openSlow(f, write, now)
	if err == nil && h == nil { // became one whose bytes are in the home
		return c.open(f, off, write)
	}
	return h, off, err
}

// fresh compares an open file with what was recorded of it. Of a file that is
// being written only its length and its name are known.
func (c *Content) fresh(f int, h *handle) bool {
	fi, err := h.f.Stat()
	if err != nil {
		return false
	}
	st := &c.files[f]
	st.mu.Lock()
	defer st.mu.Unlock()
	return sameFile(st.stamp, stampOf(fi), h.final.Load())
}

// sameFile judges a file by its stamps.
func sameFile(recorded, now stamp, exact bool) bool {
	if now.size < 0 || recorded.size != now.size || recorded.ino != now.ino {
		return false
	}
	return !exact || recorded.mtime == now.mtime
}

// openSlow opens a file that is not in the cache.
func (c *Content) openSlow(f int, write bool, now int64) (*handle, error) {
	st := &c.files[f]
	st.mu.Lock()
	defer st.mu.Unlock()
	if c.closed.Load() {
		return nil, &Error{Op: "open", Path: c.Path(f), Kind: ErrClosed}
	}
	if h := st.handle.Load(); h != nil && h.retain() {
		return h, nil
	}
	switch place(st.where.Load()) {
	case inParts:
		return nil, nil
	case absent:
		switch {
		case c.inPlace && write:
			return nil, &Error{Op: "write", Path: c.Path(f), Kind: ErrReadOnly}
		case !write:
			return nil, &Error{Op: "read", Path: c.Path(f), Kind: ErrChanged, Err: fs.ErrNotExist}
		case st.inWay != "":
			return nil, &Error{Op: "write", Path: c.wayPath(f), Kind: ErrExists}
		}
		return c.createPart(f, now)
	}
	return c.openExisting(f, now, place(st.where.Load()) == final)
}
