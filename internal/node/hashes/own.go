package hashes

import (
	"context"
	"errors"
	"slices"

	"shoal/internal/core/metainfo"
	"shoal/internal/core/swarm"
)

// Own is what the pieces of one file add up to while its layer is missing.
type Own struct {
	file, first, end int
	hashes           []byte // 32 bytes a piece
	known            []bool
}

// Content is where the bytes of a share lie.
type Content interface {
	// ReadAt fills p from a piece, from its byte begin on.
	ReadAt(p []byte, piece, begin int) error
}

// ownOf is the Own of a file, a new one where there is none.
func (l *Layers) ownOf(f int) *Own {
	o := l.own[f]
	if o == nil {
		first, end := l.meta.Info.FilePieces(f)
		o = &Own{file: f, first: first, end: end, hashes: make([]byte, 32*(end-first)), known: make([]bool, end-first)}
		l.own[f] = o
	}
	return o
}

func (o *Own) set(piece int, root [32]byte) {
	n := piece - o.first
	copy(o.hashes[32*n:], root[:])
	o.known[n] = true
}

// Learn completes the verdict on a piece that v1 alone could judge when it was begun: if
// the layer has come since, by that; else its root is remembered. leaves are those of the
// piece.
func (l *Layers) Learn(piece int, leaves [][32]byte, v metainfo.Verdict) metainfo.Verdict {
	if v.V2 != metainfo.Unknown || v.V1 != metainfo.Good || l.plan == nil {
		return v
	}
	info := l.meta.Info
	root := metainfo.MerkleRoot(leaves, info.PieceWidth(piece))
	if want, known := l.meta.PieceV2(piece); known {
		v.V2 = metainfo.Bad
		if root == want {
			v.V2 = metainfo.Good
		}
		return v
	}
	l.ownOf(info.FileAt(int64(piece)*info.PieceLength)).set(piece, root)
	return v
}

// Hold tells that a file has all its pieces and no layer: before it is finished, the
// layer is made from its data, which proves it by its root as well. Who gets an Own has
// it made, off the loop, and then calls Made.
func (l *Layers) Hold(f int) (o *Own, hold bool) {
	if !l.missing[f] || l.reading[f] {
		return nil, l.missing[f]
	}
	l.reading[f] = true
	o = l.ownOf(f)
	delete(l.own, f)
	return o, true
}

// Make hashes the pieces whose root is not known, and then verifies the whole by m: an
// error that wraps metainfo.ErrLayer says that v2 describes other data.
func (o *Own) Make(ctx context.Context, m *metainfo.Metainfo, content Content) error {
	var hasher metainfo.PieceHasher
	buf := make([]byte, 128<<10)
	for p := o.first; p < o.end; p++ {
		if o.known[p-o.first] {
			continue
		}
		hasher.Reset(m, p)
		for at, size := 0, m.Info.PieceSize(p); at < size; {
			n := min(len(buf), size-at)
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if err := content.ReadAt(buf[:n], p, at); err != nil {
				return err
			}
			hasher.Write(buf[:n])
			at += n
		}
		o.set(p, metainfo.MerkleRoot(hasher.Leaves(), m.Info.PieceWidth(p)))
	}
	_, err := m.WithLayers([]metainfo.FileLayer{{File: o.file, Hashes: o.hashes}})
	return err
}

// Made takes the layer that a file's own data gave; Merge, at once, brings it. If v2 describes other
// data, wrong are all pieces of the file; other errors come back.
func (l *Layers) Made(o *Own, err error) (wrong []int, _ error) {
	delete(l.reading, o.file)
	switch {
	case !l.missing[o.file]:
		return nil, nil // a peer was quicker
	case errors.Is(err, metainfo.ErrLayer):
		for p := o.first; p < o.end; p++ {
			wrong = append(wrong, p)
		}
		return wrong, nil
	case err == nil:
		l.came = append(l.came, metainfo.FileLayer{File: o.file, Hashes: o.hashes})
	}
	return nil, err
}

// Disagree takes back pieces of a file that v1 called good and v2 does not: the share's
// two descriptions are of different data, and it goes on as v2 (BEP 52). Pieces that
// cannot be judged any more are not fetched until their layers come.
func (l *Layers) Disagree(f int, pieces []int) {
	l.v2Only = true
	if l.meta.Info.Version == metainfo.Hybrid {
		l.share.Event(swarm.Event{Kind: swarm.PieceGood, Flags: swarm.V1Bad, Peer: swarm.NoPeer, P: uint32(pieces[0])})
	}
	for _, p := range pieces {
		if l.missing[f] {
			l.priority(p, p+1, 0)
		}
		l.share.Event(swarm.Event{Kind: swarm.PieceLost, Peer: swarm.NoPeer, P: uint32(p)})
	}
	if l.missing[f] {
		l.unknown[f] = pieces
	}
	var blocked []int
	for g := range l.missing {
		blocked = append(blocked, g)
	}
	slices.Sort(blocked)
	for _, g := range blocked {
		first, end := l.meta.Info.FilePieces(g)
		l.priority(first, end, 0)
	}
}

func (l *Layers) priority(first, end int, n uint32) {
	l.share.Event(swarm.Event{Kind: swarm.SetPriority, Peer: swarm.NoPeer, P: uint32(first), B: uint32(end), N: n})
}
