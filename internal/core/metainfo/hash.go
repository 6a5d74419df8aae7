package metainfo

import (
	"crypto/sha1"
	"crypto/sha256"
	"hash"
)

// Check is what a hash said about a piece.
type Check uint8

// The answers of a check.
const (
	Unknown Check = iota // the share has no such hash, or it is not known yet
	Good
	Bad
)

// String returns "unknown", "good" or "bad".
func (c Check) String() string {
	switch c {
	case Good:
		return "good"
	case Bad:
		return "bad"
	}
	return "unknown"
}

// Verdict is what both hashes said about a piece. A hybrid wants both to be good (BEP 52).
type Verdict struct{ V1, V2 Check }

// OK tells whether no hash was bad and at least one was good.
func (v Verdict) OK() bool {
	return v.V1 != Bad && v.V2 != Bad && (v.V1 == Good || v.V2 == Good)
}

// Good tells whether the piece may be kept: v2 decides where it is known (BEP 52).
func (v Verdict) Good() bool {
	if v.V2 != Unknown {
		return v.V2 == Good
	}
	return v.V1 == Good
}

// PieceHasher checks one piece at a time: SHA-1 for v1, leaf SHA-256 and the tree above for v2, both in one pass while
// the data is in the processor's cache. The zero PieceHasher is ready for Reset; after its first use on a piece length
// it allocates nothing. It is for one goroutine.
type PieceHasher struct {
	m     *Metainfo
	piece int
	left1 int // bytes of the piece that are due, padding counted
	left2 int // bytes of it that the v2 tree covers
	over  bool

	v1      hash.Hash
	partial hash.Hash // of a leaf whose bytes come in parts
	filled  int       // bytes in partial
	leaves  [][32]byte
	sum     [32]byte
}

// Reset begins with a piece of m.
func (h *PieceHasher) Reset(m *Metainfo, piece int) {
	h.m, h.piece, h.over = m, piece, false
	h.left1, h.left2 = m.Info.PieceSize(piece), m.Info.DataSize(piece)
	h.leaves, h.filled = h.leaves[:0], 0
	if m.Info.Version&V1 != 0 {
		if h.v1 == nil {
			h.v1 = sha1.New()
		}
		h.v1.Reset()
	}
	if m.Info.Version&V2 != 0 {
		if h.partial == nil {
			h.partial = sha256.New()
		}
		h.partial.Reset()
		if n := int(ceilDiv(int64(h.left2), BlockSize)); cap(h.leaves) < n {
			h.leaves = make([][32]byte, 0, n)
		}
	}
}

// Write takes the next bytes of the piece, split in any way; whole blocks at a time are fastest. What is more than the
// piece makes the verdict bad.
func (h *PieceHasher) Write(p []byte) {
	if len(p) > h.left1 {
		p, h.over = p[:h.left1], true
	}
	h.left1 -= len(p)
	for len(p) > 0 {
		n := min(BlockSize-h.filled, len(p))
		chunk := p[:n]
		p = p[n:]
		if h.m.Info.Version&V1 != 0 {
			h.v1.Write(chunk)
		}
		if h.left2 > 0 {
			h.leaf(chunk[:min(n, h.left2)])
		}
	}
}

// leaf takes bytes of the block that is open, never beyond its end or the end of the data.
func (h *PieceHasher) leaf(b []byte) {
	h.left2 -= len(b)
	full := h.filled+len(b) == BlockSize || h.left2 == 0
	if h.filled == 0 && full {
		h.leaves = append(h.leaves, sha256.Sum256(b))
		return
	}
	h.partial.Write(b)
	h.filled += len(b)
	if full {
		h.partial.Sum(h.sum[:0])
		h.leaves = append(h.leaves, h.sum)
		h.partial.Reset()
		h.filled = 0
	}
}

// Sum returns the verdict, after exactly PieceSize bytes; fewer or more are bad.
func (h *PieceHasher) Sum() Verdict {
	i := h.m.Info
	var v Verdict
	whole := h.left1 == 0 && !h.over
	if i.Version&V1 != 0 {
		v.V1 = judge(whole && [20]byte(h.v1.Sum(h.sum[:0])) == h.m.PieceV1(h.piece))
	}
	if want, known := h.m.PieceV2(h.piece); known {
		v.V2 = judge(whole && MerkleRoot(h.leaves, i.PieceWidth(h.piece)) == want)
	}
	return v
}

func judge(good bool) Check {
	if good {
		return Good
	}
	return Bad
}

// Leaves returns the v2 leaf hashes of the blocks that are complete so far. They are valid until Reset.
func (h *PieceHasher) Leaves() [][32]byte { return h.leaves }
