package store

import (
	"context"
	"errors"
	"os"
	"runtime"
	"sync"
	"sync/atomic"

	"shoal/internal/core/metainfo"
)

// chunk is how much is read at a time for hashing: it stays in the cache of a
// core and does better than larger ones.
const chunk = 128 << 10

// batch is how many bytes of pieces a worker takes at a time.
const batch = 1 << 20

// Verify reads pieces (nil: all) and judges them against their hashes, on
// workers cores (0: all). First it looks at the files again and takes them as
// they are now: what Changed told before is settled. A piece with bytes in a
// file that is missing, or wholly in holes of a file being fetched, is Bad
// without being read. A piece over a file that changes in the meantime is Bad.
//
// result is called once for each piece, by one goroutine at a time, in any
// order. A device error makes the piece Bad and is returned at the end, after
// everything else was verified; so is ctx's error, at once.
func (c *Content) Verify(ctx context.Context, pieces []int, workers int, result func(piece int, v metainfo.Verdict)) error {
	c.handles.dropFolders(c) // one that was moved away is not looked into
	if err := c.refresh(pieces); err != nil {
		return err
	}
	total := len(pieces)
	if pieces == nil {
		total = c.info.NumPieces()
	}
	if workers <= 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	run := int(max(1, batch/c.info.PieceLength))
	workers = min(workers, (total+run-1)/run)
	v := &verification{c: c, pieces: pieces, total: total, run: run, result: result}
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() { v.work(ctx) })
	}
	wg.Wait()
	return errors.Join(ctx.Err(), v.err)
}

type verification struct {
	c      *Content
	pieces []int
	total  int
	run    int
	next   atomic.Int64
	mu     sync.Mutex // one result at a time
	result func(piece int, v metainfo.Verdict)
	err    error // the first device error
}

func (v *verification) work(ctx context.Context) {
	var hasher metainfo.PieceHasher
	buf := make([]byte, chunk)
	for {
		from := int(v.next.Add(int64(v.run))) - v.run
		for n := from; n < min(from+v.run, v.total); n++ {
			p := n
			if v.pieces != nil {
				p = v.pieces[n]
			}
			verdict, err := v.c.judge(ctx, p, &hasher, buf)
			if ctx.Err() != nil {
				return
			}
			v.report(p, verdict, err)
		}
		if from >= v.total {
			return
		}
	}
}

func (v *verification) report(p int, verdict metainfo.Verdict, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err != nil && v.err == nil {
		v.err = err
	}
	v.c.note(p, verdict.V1 != metainfo.Bad && verdict.V2 != metainfo.Bad)
	if v.result != nil {
		v.result(p, verdict)
	}
}

// judge hashes one piece. Of a piece that cannot be read all known hashes are
// Bad; a changed file is no error here.
func (c *Content) judge(ctx context.Context, p int, hasher *metainfo.PieceHasher, buf []byte) (metainfo.Verdict, error) {
	if !c.readable(p) {
		return c.failed(), nil
	}
	size := c.info.PieceSize(p)
	hasher.Reset(c.described(), p)
	for at := 0; at < size; {
		if ctx.Err() != nil {
			return c.failed(), nil
		}
		part := buf[:min(len(buf), size-at)]
		if err := c.ReadAt(part, p, at); err != nil {
			if errors.Is(err, ErrChanged) {
				err = nil
			}
			return c.failed(), err
		}
		hasher.Write(part)
		at += len(part)
	}
	return hasher.Sum(), nil
}

func (c *Content) failed() metainfo.Verdict {
	var v metainfo.Verdict
	if c.info.Version&metainfo.V1 != 0 {
		v.V1 = metainfo.Bad
	}
	if c.info.Version&metainfo.V2 != 0 {
		v.V2 = metainfo.Bad
	}
	return v
}

// readable tells whether reading the piece can lead to anything.
func (c *Content) readable(p int) bool {
	files := c.filesOf(p)
	for _, f := range files {
		switch place(c.files[f].where.Load()) {
		case absent:
			return false
		case inParts:
			if !c.hasParts() {
				return false
			}
		}
	}
	return len(files) == 0 || c.HasData(p)
}

// hasParts tells whether the home's file exists, without making it.
func (c *Content) hasParts() bool {
	if c.parts.handle.Load() != nil {
		return true
	}
	if c.partsPath == "" {
		return false
	}
	_, err := os.Stat(c.partsPath)
	return err == nil
}

// refresh records the files under the pieces as they are now.
func (c *Content) refresh(pieces []int) error {
	if pieces == nil {
		for i := range c.files {
			if c.real(i) {
				if err := c.inspect(i); err != nil {
					return err
				}
			}
		}
		return nil
	}
	last := -1
	for _, p := range pieces {
		for _, f := range c.filesOf(p) {
			if f == last {
				continue
			}
			last = f
			if err := c.inspect(f); err != nil {
				return err
			}
		}
	}
	return nil
}

// SetMeta takes over metainfo that knows more piece layers than what Open was given, but
// is the same otherwise: later verifications go by it.
func (c *Content) SetMeta(m *metainfo.Metainfo) {
	c.mu.Lock()
	c.meta = m
	c.mu.Unlock()
}

func (c *Content) described() *metainfo.Metainfo {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.meta
}
