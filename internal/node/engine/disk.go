package engine

import (
	"sync"

	"shoal/internal/core/metainfo"
	"shoal/internal/core/wire"
	"shoal/internal/node/link"
)

// job is work for a disk worker: to hash and write a run of blocks of one piece.
type job struct {
	s       *Share
	a       *assembly
	refs    []link.BlockRef
	first   int // block
	count   int
	spill   bool // write only
	spilled bool // written before: read back and hash
	last    bool // the run ends the piece: give the verdict
	digests bool // and the digests of its blocks
	vec     [][]byte

	verdict metainfo.Verdict
	blame   []byte
	err     error

	call func() // other work than blocks: nothing above is used
}

// disk is the pool of workers. Its queue is bounded by the open pieces: each has at most
// one job.
type disk struct {
	mu     sync.Mutex
	more   sync.Cond
	queue  []*job
	head   int
	idle   []*job
	closed bool
	wg     sync.WaitGroup
}

func newDisk(workers int) *disk {
	d := &disk{}
	d.more.L = &d.mu
	for range workers {
		d.wg.Add(1)
		go d.work()
	}
	return d
}

func (d *disk) job() *job {
	d.mu.Lock()
	defer d.mu.Unlock()
	if n := len(d.idle); n > 0 {
		j := d.idle[n-1]
		d.idle = d.idle[:n-1]
		return j
	}
	return new(job)
}

func (d *disk) done(j *job) {
	clear(j.refs)
	clear(j.vec)
	*j = job{refs: j.refs[:0], vec: j.vec[:0]}
	d.mu.Lock()
	if len(d.idle) < 64 {
		d.idle = append(d.idle, j)
	}
	d.mu.Unlock()
}

func (d *disk) submit(j *job) {
	d.mu.Lock()
	d.queue = append(d.queue, j)
	d.mu.Unlock()
	d.more.Signal()
}

// run has a worker do something and returns at once.
func (d *disk) run(f func()) { d.submit(&job{call: f}) }

func (d *disk) next() *job {
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.head == len(d.queue) {
		if d.closed {
			return nil
		}
		d.queue, d.head = d.queue[:0], 0
		d.more.Wait()
	}
	j := d.queue[d.head]
	d.queue[d.head] = nil
	d.head++
	return j
}

func (d *disk) work() {
	defer d.wg.Done()
	for {
		j := d.next()
		if j == nil {
			return
		}
		if j.call != nil {
			j.call()
			continue
		}
		j.do()
		if !j.s.post(msg{kind: msgJob, j: j}) {
			d.done(j)
		}
	}
}

func (d *disk) close() {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.more.Broadcast()
	d.wg.Wait()
}

// do hashes the run while it is in the cache, writes it, and lets the chunks go.
func (j *job) do() {
	content := j.s.content.Load()
	begin := j.first * wire.BlockLen
	for _, r := range j.refs {
		j.vec = append(j.vec, r.Data)
	}
	if j.spilled {
		j.readBack()
	} else {
		if !j.spill {
			for i, v := range j.vec {
				j.hash(j.first+i, v)
			}
		}
		j.err = content.WriteVec(j.vec, j.a.piece, begin)
	}
	for _, r := range j.refs {
		r.Chunk.Release()
	}
	if j.last && j.err == nil {
		j.finish()
	}
}

// hash gives a block to the hasher. What lies behind the data is padding, which is zero
// whatever a peer sent: else one could make a share's two hashes seem to disagree.
func (j *job) hash(block int, v []byte) {
	n := min(len(v), j.a.data-block*wire.BlockLen)
	j.a.hasher.Write(v[:n])
	if n < len(v) {
		j.a.hasher.Write(zeros[:len(v)-n])
	}
}

// readBack hashes blocks that were written before their turn.
func (j *job) readBack() {
	buf := j.s.e.buffers.Get()
	defer j.s.e.buffers.Put(buf)
	for i := range j.count {
		begin := (j.first + i) * wire.BlockLen
		n := min(wire.BlockLen, j.a.size-begin)
		if j.err = j.s.content.Load().ReadAt(buf[:n], j.a.piece, begin); j.err != nil {
			return
		}
		j.hash(j.first+i, buf[:n])
	}
}

var zeros [wire.BlockLen]byte

// finish gives the verdict, and where something is wrong the digests that find out whose
// fault it is.
func (j *job) finish() {
	for rest := j.a.size - min(j.a.size, j.a.blocks*wire.BlockLen); rest > 0; {
		n := min(rest, len(zeros))
		j.a.hasher.Write(zeros[:n])
		rest -= n
	}
	j.verdict = j.a.hasher.Sum()
	if good(j.verdict) && !j.digests {
		return
	}
	buf := j.s.e.buffers.Get()
	defer j.s.e.buffers.Put(buf)
	for i := range j.a.blocks {
		n := min(wire.BlockLen, j.a.size-i*wire.BlockLen)
		if err := j.s.content.Load().ReadAt(buf[:n], j.a.piece, i*wire.BlockLen); err != nil {
			j.blame = nil
			return
		}
		leaf := metainfo.LeafHash(buf[:min(n, j.a.data-i*wire.BlockLen)])
		j.blame = append(j.blame, leaf[:]...)
	}
}

// good tells whether a piece may be kept: v2 decides where it is known (BEP 52).
func good(v metainfo.Verdict) bool {
	if v.V2 != metainfo.Unknown {
		return v.V2 == metainfo.Good
	}
	return v.V1 == metainfo.Good
}
