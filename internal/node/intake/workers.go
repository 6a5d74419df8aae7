package intake

import (
	"errors"
	"sync"

	"shoal/internal/core/metainfo"
	"shoal/internal/core/wire"
	"shoal/internal/node/link"
)

// ErrGone says that the content was closed before a block could be written.
var ErrGone = errors.New("intake: the share's content is closed")

// Job is work for a worker: to hash and write a run of blocks of one piece.
type Job struct {
	t       *Intake
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

// Workers are the goroutines that hash and write, for all shares. Their queue is bounded
// by the open pieces: each has at most one job.
type Workers struct {
	buffers *link.Buffers
	mu      sync.Mutex
	more    sync.Cond
	queue   []*Job
	head    int
	idle    []*Job
	closed  bool
	wg      sync.WaitGroup
}

// NewWorkers starts n workers, which read back into buffers of that pool.
func NewWorkers(n int, buffers *link.Buffers) *Workers {
	w := &Workers{buffers: buffers}
	w.more.L = &w.mu
	for range n {
		w.wg.Add(1)
		go w.work()
	}
	return w
}

// Run has a worker do something and returns at once.
func (w *Workers) Run(f func()) { w.submit(&Job{call: f}) }

// Close waits for what was submitted and ends the workers.
func (w *Workers) Close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.more.Broadcast()
	w.wg.Wait()
}

func (w *Workers) job() *Job {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := len(w.idle); n > 0 {
		j := w.idle[n-1]
		w.idle = w.idle[:n-1]
		return j
	}
	return new(Job)
}

func (w *Workers) done(j *Job) {
	clear(j.refs)
	clear(j.vec)
	*j = Job{refs: j.refs[:0], vec: j.vec[:0]}
	w.mu.Lock()
	if len(w.idle) < keepIdle {
		w.idle = append(w.idle, j)
	}
	w.mu.Unlock()
}

func (w *Workers) submit(j *Job) {
	w.mu.Lock()
	if w.head > keepIdle && w.head > len(w.queue)/2 { // it may never be empty
		n := copy(w.queue, w.queue[w.head:])
		clear(w.queue[n:])
		w.queue, w.head = w.queue[:n], 0
	}
	w.queue = append(w.queue, j)
	w.mu.Unlock()
	w.more.Signal()
}

func (w *Workers) next() *Job {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.head == len(w.queue) {
		if w.closed {
			return nil
		}
		w.queue, w.head = w.queue[:0], 0
		w.more.Wait()
	}
	j := w.queue[w.head]
	w.queue[w.head] = nil
	w.head++
	return j
}

func (w *Workers) work() {
	defer w.wg.Done()
	for {
		j := w.next()
		if j == nil {
			return
		}
		if j.call != nil {
			j.call()
			continue
		}
		j.do(w.buffers)
		if !j.t.owner.Finished(j) {
			w.done(j)
		}
	}
}

// do hashes the run while it is in the cache, writes it, and lets the chunks go.
func (j *Job) do(buffers *link.Buffers) {
	content := j.t.owner.Content()
	switch {
	case content == nil:
		j.err = ErrGone
	case j.spilled:
		j.readBack(content, buffers)
	default:
		j.write(content)
	}
	for _, r := range j.refs {
		r.Chunk.Release()
	}
	if j.last && j.err == nil {
		j.finish(content, buffers)
	}
}

func (j *Job) write(content Content) {
	for i, r := range j.refs {
		j.vec = append(j.vec, r.Data)
		if !j.spill {
			j.hash(j.first+i, r.Data)
		}
	}
	j.err = content.WriteVec(j.vec, j.a.piece, j.first*wire.BlockLen)
}

// hash gives a block to the hasher. What lies behind the data is padding, which is zero
// whatever a peer sent: else one could make a share's two hashes seem to disagree.
func (j *Job) hash(block int, v []byte) {
	n := min(len(v), j.a.data-block*wire.BlockLen)
	j.a.hasher.Write(v[:n])
	if n < len(v) {
		j.a.hasher.Write(zeros[:len(v)-n])
	}
}

// readBack hashes blocks that were written before their turn.
func (j *Job) readBack(content Content, buffers *link.Buffers) {
	buf := buffers.Get()
	defer buffers.Put(buf)
	for i := range j.count {
		begin := (j.first + i) * wire.BlockLen
		n := min(wire.BlockLen, j.a.size-begin)
		if j.err = content.ReadAt(buf[:n], j.a.piece, begin); j.err != nil {
			return
		}
		j.hash(j.first+i, buf[:n])
	}
}

var zeros [wire.BlockLen]byte

// finish gives the verdict, and where something is wrong the digests that find out whose
// fault it is.
func (j *Job) finish(content Content, buffers *link.Buffers) {
	for rest := j.a.size - min(j.a.size, j.a.blocks*wire.BlockLen); rest > 0; {
		n := min(rest, len(zeros))
		j.a.hasher.Write(zeros[:n])
		rest -= n
	}
	j.verdict = j.a.hasher.Sum()
	if j.verdict.Good() && !j.digests {
		return
	}
	buf := buffers.Get()
	defer buffers.Put(buf)
	for i := range j.a.blocks {
		n := min(wire.BlockLen, j.a.size-i*wire.BlockLen)
		if err := content.ReadAt(buf[:n], j.a.piece, i*wire.BlockLen); err != nil {
			j.blame = nil
			return
		}
		leaf := metainfo.LeafHash(buf[:min(n, j.a.data-i*wire.BlockLen)])
		j.blame = append(j.blame, leaf[:]...)
	}
}
