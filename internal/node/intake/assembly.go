package intake

import (
	"shoal/internal/core/metainfo"
	"shoal/internal/core/swarm"
	"shoal/internal/core/wire"
	"shoal/internal/node/link"
)

const (
	jobBlocks = 64 // bounds what one job takes, so that two workers share the work of one fast peer
	keepIdle  = 64 // assemblies, and jobs, kept for reuse
)

type slotState uint8

const (
	slotEmpty   slotState = iota
	slotHeld              // in memory, waiting for those before it
	slotWriting           // with a worker
	slotSpilled           // on the disk, not hashed yet
	slotDone              // hashed and on the disk
)

// assembly is one piece while its blocks come in. The Intake's owner owns it; while busy,
// the worker alone touches hasher.
type assembly struct {
	meta   *metainfo.Metainfo
	piece  int
	size   int
	data   int // bytes of it that are no padding
	blocks int // blocks that come from peers; what lies behind is padding
	slots  []slotState
	held   []link.BlockRef
	nHeld  int
	cursor int // first block not given to the hasher
	hasher *metainfo.PieceHasher
	busy   bool
	reset  bool // what the worker has in hand was forgotten: begin anew once it is done
}

// Owner is what an Intake needs of its share.
type Owner interface {
	// Content is where the share's bytes lie now, nil if nowhere. Workers call it.
	Content() Content
	// Finished hands a job back to the owner's goroutine, which calls Done; false if there
	// is nobody to take it. Workers call it, and it may block.
	Finished(j *Job) bool
	// Tight tells that memory for blocks is short.
	Tight() bool
}

// Content is where the bytes of a share lie. It is safe for several workers.
type Content interface {
	// ReadAt fills p from a piece, from its byte begin on.
	ReadAt(p []byte, piece, begin int) error
	// WriteVec writes buffers one after the other into a piece, from its byte begin on.
	WriteVec(bufs [][]byte, piece, begin int) error
}

// Intake puts together the pieces of one share. It is for one goroutine.
type Intake struct {
	workers *Workers
	owner   Owner
	pieces  map[int]*assembly
	idle    []*assembly
	came    []*assembly  // what blocks came for since Dispatch
	held    int          // bytes that wait in memory
	jobs    int          // with the workers
	watched map[int]bool // pieces that failed: their digests are wanted when they are good
}

// New makes an Intake of one share.
func New(w *Workers, owner Owner) *Intake {
	return &Intake{workers: w, owner: owner, pieces: make(map[int]*assembly), watched: make(map[int]bool)}
}

// Busy is the number of jobs that Done has not been told of.
func (t *Intake) Busy() int { return t.jobs }

// Open tells whether blocks of a piece are here that were not judged.
func (t *Intake) Open(piece int) bool { return t.pieces[piece] != nil }

// Held is the number of bytes that wait in memory for blocks before them.
func (t *Intake) Held() int { return t.held }

// assemble returns the piece's assembly, a new one for its first block.
func (t *Intake) assemble(m *metainfo.Metainfo, piece int) *assembly {
	if a := t.pieces[piece]; a != nil {
		return a
	}
	var a *assembly
	if n := len(t.idle); n > 0 {
		a, t.idle = t.idle[n-1], t.idle[:n-1]
	} else {
		a = &assembly{hasher: new(metainfo.PieceHasher)}
	}
	data := swarm.Payload(m.Info, piece)
	n := (data + wire.BlockLen - 1) / wire.BlockLen
	*a = assembly{meta: m, piece: piece, size: m.Info.PieceSize(piece), data: data, blocks: n, hasher: a.hasher,
		slots: resized(a.slots, n), held: resized(a.held, n)}
	a.hasher.Reset(m, piece)
	t.pieces[piece] = a
	return a
}

func resized[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	s = s[:n]
	clear(s)
	return s
}

// Accept takes a block that begins at a multiple of wire.BlockLen and is to be kept, and
// with it the reference to its chunk. m is the share's metainfo; one piece is judged by
// what it was told with its first block.
func (t *Intake) Accept(m *metainfo.Metainfo, piece, begin uint32, ref link.BlockRef) {
	a := t.assemble(m, int(piece))
	i := int(begin) / wire.BlockLen
	if i >= a.blocks || a.slots[i] != slotEmpty {
		ref.Chunk.Release()
		return
	}
	a.slots[i] = slotHeld
	a.held[i] = ref
	a.nHeld++
	t.held += len(ref.Data)
	if n := len(t.came); n == 0 || t.came[n-1] != a {
		t.came = append(t.came, a)
	}
}

// Dispatch gives what was accepted to the workers: what came at once is worked off at once.
func (t *Intake) Dispatch() {
	for i, a := range t.came {
		t.dispatch(a) // one that was forgotten meanwhile has nothing
		t.came[i] = nil
	}
	t.came = t.came[:0]
}

// dispatch gives the run of blocks at the cursor to a worker.
func (t *Intake) dispatch(a *assembly) {
	i := a.cursor
	if a.busy || i >= a.blocks {
		return
	}
	state := a.slots[i]
	if state != slotHeld && state != slotSpilled {
		return
	}
	j := t.workers.job()
	j.first, j.spilled = i, state == slotSpilled
	for n := 0; i < a.blocks && a.slots[i] == state && n < jobBlocks; n++ {
		if state == slotHeld {
			t.take(j, a, i)
		}
		a.slots[i] = slotWriting
		i++
	}
	a.cursor = i
	j.last = i == a.blocks
	j.digests = t.watched[a.piece]
	t.submit(j, a, i)
}

// submit sends a job with the blocks up to end on its way.
func (t *Intake) submit(j *Job, a *assembly, end int) {
	j.t, j.a, j.count = t, a, end-j.first
	a.busy = true
	t.jobs++
	t.workers.submit(j)
}

func (t *Intake) take(j *Job, a *assembly, i int) {
	j.refs = append(j.refs, a.held[i])
	t.held -= len(a.held[i].Data)
	a.held[i] = link.BlockRef{}
	a.nHeld--
}

// Relieve writes out what waits if memory is short.
func (t *Intake) Relieve() {
	if t.held > 0 && t.owner.Tight() {
		t.Spill()
	}
}

// Spill writes out what waits for blocks before it, so that memory is free for those.
func (t *Intake) Spill() {
	for _, a := range t.pieces {
		if !a.busy && a.nHeld > 0 {
			t.spillPiece(a)
		}
	}
}

func (t *Intake) spillPiece(a *assembly) {
	for i := a.cursor; i < a.blocks; i++ {
		if a.slots[i] != slotHeld {
			continue
		}
		j := t.workers.job()
		j.first, j.spill = i, true
		for n := 0; i < a.blocks && a.slots[i] == slotHeld && n < jobBlocks; n++ {
			t.take(j, a, i)
			a.slots[i] = slotWriting
			i++
		}
		t.submit(j, a, i)
		return // one at a time; the next follows when it is done
	}
}

// Forget drops what was accepted of a piece. Blocks of it that are accepted afterwards
// count: they wait until a worker that still writes older ones is done.
func (t *Intake) Forget(piece int) {
	a := t.pieces[piece]
	if a == nil {
		return
	}
	for i := range a.held {
		if a.held[i].Chunk != nil {
			t.held -= len(a.held[i].Data)
			a.held[i].Chunk.Release()
		}
	}
	clear(a.held)
	clear(a.slots)
	a.nHeld, a.cursor = 0, 0
	if a.busy {
		a.reset = true
		return
	}
	t.retire(a)
}

// ForgetAll drops everything that was accepted and not judged.
func (t *Intake) ForgetAll() {
	for p := range t.pieces {
		t.Forget(p)
	}
}

// Watch has Done bring the digests of a piece also when it is good, as for those that
// failed before.
func (t *Intake) Watch(piece int) { t.watched[piece] = true }

func (t *Intake) retire(a *assembly) {
	delete(t.pieces, a.piece)
	a.meta = nil
	if len(t.idle) < keepIdle {
		t.idle = append(t.idle, a)
	}
}

// Outcome is what became of a Job.
type Outcome struct {
	Piece   int
	Judged  bool // the whole piece is on the disk and Verdict holds; it is not open any more
	Verdict metainfo.Verdict
	Digests []byte     // SHA-256 of each block, if the piece is bad or watched; nil if they could not be read back
	Leaves  [][32]byte // the v2 leaf hashes of a judged piece; valid until the next call
	Err     error      // the content could not be read or written: the piece is given up
}

// Done takes a Job back that Finished brought, and goes on with its piece.
func (t *Intake) Done(j *Job) Outcome {
	t.jobs--
	a := j.a
	out := Outcome{Piece: a.piece}
	a.busy = false
	switch {
	case a.reset:
		t.restart(a)
	case j.err != nil:
		out.Err = j.err
		t.Forget(a.piece)
	case j.last:
		out.Judged, out.Verdict, out.Digests, out.Leaves = true, j.verdict, j.blame, a.hasher.Leaves()
		if j.verdict.Good() {
			delete(t.watched, a.piece)
		} else {
			t.watched[a.piece] = true
		}
		t.retire(a)
	default:
		t.goOn(a, j)
	}
	t.workers.done(j)
	return out
}

// restart begins a piece anew with what was accepted since it was forgotten.
func (t *Intake) restart(a *assembly) {
	a.reset = false
	if a.nHeld == 0 {
		t.retire(a)
		return
	}
	a.hasher.Reset(a.meta, a.piece)
	t.dispatch(a)
}

// goOn notes what a job has done and gives the next run to a worker.
func (t *Intake) goOn(a *assembly, j *Job) {
	state := slotDone
	if j.spill {
		state = slotSpilled
	}
	for i := range j.count {
		a.slots[j.first+i] = state
	}
	t.dispatch(a)
	if !a.busy && a.nHeld > 0 && t.owner.Tight() {
		t.spillPiece(a)
	}
}
