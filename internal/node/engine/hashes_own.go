package engine

import (
	"errors"

	"shoal/internal/adapter/store"
	"shoal/internal/core/metainfo"
	"shoal/internal/core/swarm"
	"shoal/internal/node/intake"
)

// ownLayer is what the verified pieces of one file add up to, while its layer is missing.
type ownLayer struct {
	hashes []byte // 32 bytes a piece
	known  []bool
}

// learn completes the verdict on a piece that v1 alone could judge when it was begun: if
// the layer has come since, by that; else its root is remembered.
func (l *layerState) learn(s *Share, piece int, leaves [][32]byte, v metainfo.Verdict) metainfo.Verdict {
	if v.V2 != metainfo.Unknown || v.V1 != metainfo.Good || l.plan == nil {
		return v
	}
	info := s.meta.Info
	root := metainfo.MerkleRoot(leaves, info.PieceWidth(piece))
	if want, known := s.meta.PieceV2(piece); known {
		v.V2 = metainfo.Bad
		if root == want {
			v.V2 = metainfo.Good
		}
		return v
	}
	f := info.FileAt(int64(piece) * info.PieceLength)
	first, end := info.FilePieces(f)
	o := l.own[f]
	if o == nil {
		o = newOwnLayer(end - first)
		l.own[f] = o
	}
	o.set(piece-first, root)
	return v
}

func newOwnLayer(pieces int) *ownLayer {
	return &ownLayer{hashes: make([]byte, 32*pieces), known: make([]bool, pieces)}
}

func (o *ownLayer) set(n int, root [32]byte) {
	copy(o.hashes[32*n:], root[:])
	o.known[n] = true
}

// layerKnown goes on with a file whose layer has just come.
func (s *Share) layerKnown(f int) {
	l := &s.layers
	info := s.meta.Info
	first, end := info.FilePieces(f)
	if o := l.own[f]; o != nil {
		delete(l.own, f)
		var wrong []int
		for p := first; p < end; p++ {
			root, _ := s.meta.PieceV2(p)
			if o.known[p-first] && [32]byte(o.hashes[32*(p-first):]) != root {
				wrong = append(wrong, p)
			}
		}
		if len(wrong) > 0 {
			s.disagree(f, wrong)
		}
	}
	if s.left[f] == 0 {
		s.finishFile(f)
	}
	if info.Version != metainfo.V2 && !s.v2Only {
		return
	}
	if list := l.unknown[f]; len(list) > 0 {
		delete(l.unknown, f)
		s.judge(f, list)
		return
	}
	s.fetchFile(f)
}

// fetchFile makes the pieces of a file wanted, if the file is.
func (s *Share) fetchFile(f int) {
	if wanted := s.spec.wanted(s.meta.Info); wanted == nil || wanted(f) {
		first, end := s.meta.Info.FilePieces(f)
		s.event(swarm.Event{Kind: swarm.SetPriority, Peer: swarm.NoPeer, P: uint32(first), B: uint32(end), N: 2})
	}
}

// judge verifies data that was on the disk before it could be judged, and fetches the
// rest of the file.
func (s *Share) judge(f int, pieces []int) {
	content := s.content.Load()
	s.e.wg.Add(1)
	go func() {
		defer s.e.wg.Done()
		var found []int
		err := content.Verify(s.ctx, pieces, 0, func(p int, v metainfo.Verdict) {
			if intake.Good(v) {
				found = append(found, p)
			}
		})
		s.post(msg{kind: msgCall, call: func() {
			if err == nil && !s.spec.InPlace {
				if c := content.Conflicts(); len(c) > 0 {
					err = &store.Error{Op: "get", Path: c[0].Path, Kind: store.ErrExists}
				}
			}
			if err != nil {
				s.fail(err)
				return
			}
			for _, p := range found {
				if !s.t.Have(p) {
					s.correct(p, true)
					s.pieceThere(p)
				}
			}
			s.fetchFile(f)
		}})
	}()
}

// holds tells that a file has all its pieces and no layer: before it is finished, the
// layer is made from its data, which proves it by its root as well.
func (l *layerState) holds(s *Share, f int) bool {
	if !l.missing[f] {
		return false
	}
	if l.reading[f] {
		return true
	}
	l.reading[f] = true
	meta, content := s.meta, s.content.Load()
	first, end := meta.Info.FilePieces(f)
	o := l.own[f]
	if o == nil {
		o = newOwnLayer(end - first)
	}
	delete(l.own, f)
	s.e.wg.Add(1)
	go func() {
		defer s.e.wg.Done()
		err := s.readLayer(meta, content, f, o)
		s.post(msg{kind: msgCall, call: func() { s.madeLayer(f, o, err) }})
	}()
	return true
}

// readLayer hashes the pieces whose root is not known, and then verifies the whole.
func (s *Share) readLayer(m *metainfo.Metainfo, content *store.Content, f int, o *ownLayer) error {
	var hasher metainfo.PieceHasher
	buf := make([]byte, 128<<10)
	first, end := m.Info.FilePieces(f)
	for p := first; p < end; p++ {
		if o.known[p-first] {
			continue
		}
		hasher.Reset(m, p)
		for at, size := 0, m.Info.PieceSize(p); at < size; {
			n := min(len(buf), size-at)
			if s.ctx.Err() != nil {
				return s.ctx.Err()
			}
			if err := content.ReadAt(buf[:n], p, at); err != nil {
				return err
			}
			hasher.Write(buf[:n])
			at += n
		}
		o.set(p-first, metainfo.MerkleRoot(hasher.Leaves(), m.Info.PieceWidth(p)))
	}
	_, err := m.WithLayers([]metainfo.FileLayer{{File: f, Hashes: o.hashes}})
	return err
}

// madeLayer takes the layer that a file's own data gave.
func (s *Share) madeLayer(f int, o *ownLayer, err error) {
	l := &s.layers
	delete(l.reading, f)
	if !l.missing[f] || s.stopping {
		return // a peer was quicker
	}
	switch {
	case errors.Is(err, metainfo.ErrLayer):
		var all []int
		for p, end := s.meta.Info.FilePieces(f); p < end; p++ {
			all = append(all, p)
		}
		s.disagree(f, all)
	case err != nil:
		s.fail(err)
	default:
		l.came = append(l.came, metainfo.FileLayer{File: f, Hashes: o.hashes})
		l.apply(s)
		l.save(s)
	}
}

// disagree takes back pieces of a file that v1 called good and v2 does not: the share's
// two descriptions are of different data, and it goes on as v2 (BEP 52).
func (s *Share) disagree(f int, pieces []int) {
	l := &s.layers
	if s.meta.Info.Version == metainfo.Hybrid {
		s.hybridInconsistent(pieces[0])
		s.event(swarm.Event{Kind: swarm.PieceGood, Flags: swarm.V1Bad, Peer: swarm.NoPeer, P: uint32(pieces[0])})
	}
	for _, p := range pieces {
		if l.missing[f] {
			s.event(swarm.Event{Kind: swarm.SetPriority, Peer: swarm.NoPeer, P: uint32(p), B: uint32(p) + 1})
		}
		s.event(swarm.Event{Kind: swarm.PieceLost, Peer: swarm.NoPeer, P: uint32(p)})
	}
	if s.left[f] >= 0 {
		s.left[f] += len(pieces)
	}
	if l.missing[f] {
		l.unknown[f] = pieces
	}
	for g := range l.missing {
		s.block(g)
	}
	s.resume.dirty = true
}

// block stops the fetching of pieces that cannot be judged any more.
func (s *Share) block(f int) {
	first, end := s.meta.Info.FilePieces(f)
	s.event(swarm.Event{Kind: swarm.SetPriority, Peer: swarm.NoPeer, P: uint32(first), B: uint32(end)})
}
