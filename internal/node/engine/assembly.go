package engine

import (
	"shoal/internal/core/metainfo"
	"shoal/internal/core/swarm"
	"shoal/internal/core/wire"
	"shoal/internal/node/link"
)

// jobBlocks bounds what one disk job takes, so that two workers share the work of one
// fast peer.
const jobBlocks = 64

type slotState uint8

const (
	slotEmpty   slotState = iota
	slotHeld              // in memory, waiting for those before it
	slotWriting           // with a worker
	slotSpilled           // on the disk, not hashed yet
	slotDone              // hashed and on the disk
)

// assembly is one piece while its blocks come in. The loop owns it; while busy, the
// worker alone touches hasher.
type assembly struct {
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
	reset  bool // forget everything once the worker is done
	failed error
}

// assemble returns the piece's assembly, a new one for its first block.
func (s *Share) assemble(piece int) *assembly {
	if a := s.pieces[piece]; a != nil {
		return a
	}
	var a *assembly
	if n := len(s.idlePieces); n > 0 {
		a, s.idlePieces = s.idlePieces[n-1], s.idlePieces[:n-1]
	} else {
		a = &assembly{hasher: new(metainfo.PieceHasher)}
	}
	info := s.meta.Info
	n := (swarm.Payload(info, piece) + wire.BlockLen - 1) / wire.BlockLen
	*a = assembly{piece: piece, size: info.PieceSize(piece), data: swarm.Payload(info, piece), blocks: n, hasher: a.hasher,
		slots: resized(a.slots, n), held: resized(a.held, n)}
	a.hasher.Reset(s.meta, piece)
	s.pieces[piece] = a
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

// accept takes a block that the swarm keeps.
func (s *Share) accept(piece, begin uint32, ref link.BlockRef) {
	a := s.assemble(int(piece))
	i := int(begin) / wire.BlockLen
	if a.reset || a.slots[i] != slotEmpty {
		ref.Chunk.Release()
		return
	}
	a.slots[i] = slotHeld
	a.held[i] = ref
	a.nHeld++
	s.heldBytes += len(ref.Data)
	s.dispatch(a)
}

// dispatch gives the run of blocks at the cursor to a worker.
func (s *Share) dispatch(a *assembly) {
	if a.busy || a.reset {
		return
	}
	i := a.cursor
	if i >= a.blocks {
		return
	}
	state := a.slots[i]
	if state != slotHeld && state != slotSpilled {
		return
	}
	j := s.e.disk.job()
	j.s, j.a, j.first, j.spilled = s, a, i, state == slotSpilled
	for n := 0; i < a.blocks && a.slots[i] == state && n < jobBlocks; n++ {
		if state == slotHeld {
			s.take(j, a, i)
		}
		a.slots[i] = slotWriting
		i++
	}
	a.cursor = i
	j.count = i - j.first
	j.last = i == a.blocks
	a.busy = true
	s.jobs++
	s.e.disk.submit(j)
}

func (s *Share) take(j *job, a *assembly, i int) {
	j.refs = append(j.refs, a.held[i])
	s.heldBytes -= len(a.held[i].Data)
	a.held[i] = link.BlockRef{}
	a.nHeld--
}

// spill writes out what waits for blocks before it, so that memory is free for those.
func (s *Share) spill() {
	for _, a := range s.pieces {
		if !a.busy && a.nHeld > 0 {
			s.spillPiece(a)
		}
	}
}

func (s *Share) spillPiece(a *assembly) {
	for i := a.cursor; i < a.blocks; i++ {
		if a.slots[i] != slotHeld {
			continue
		}
		j := s.e.disk.job()
		j.s, j.a, j.first, j.spill = s, a, i, true
		for n := 0; i < a.blocks && a.slots[i] == slotHeld && n < jobBlocks; n++ {
			s.take(j, a, i)
			a.slots[i] = slotWriting
			i++
		}
		j.count = i - j.first
		a.busy = true
		s.jobs++
		s.e.disk.submit(j)
		return // one at a time; the next follows when it is done
	}
}

// forget drops what was accepted of a piece.
func (s *Share) forget(piece int) {
	a := s.pieces[piece]
	if a == nil {
		return
	}
	for i := range a.held {
		if a.held[i].Chunk != nil {
			s.heldBytes -= len(a.held[i].Data)
			a.held[i].Chunk.Release()
			a.held[i] = link.BlockRef{}
		}
	}
	a.nHeld = 0
	if a.busy {
		a.reset = true
		return
	}
	s.retire(a)
}

func (s *Share) retire(a *assembly) {
	delete(s.pieces, a.piece)
	if len(s.idlePieces) < 64 {
		s.idlePieces = append(s.idlePieces, a)
	}
}
