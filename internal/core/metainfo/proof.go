package metainfo

import (
	"errors"
	"fmt"
)

// BEP 52's messages hash request, hashes and hash reject name a run of nodes in one layer of a file's hash tree:
//
//	level   height:             root                      ProofLayers counts the layers above the base, the omitted too
//	                    .                 U               U: uncle hashes, lowest first, that lead to the root
//	                 [node]      U                        the node that the run adds up to; the layers below it are omitted
//	                .      .
//	        Base:  h  h   h  h                            Length hashes from Index on; those beyond the file are padding
//
// The answer holds the Length hashes, then one uncle for each proof layer from the node's own upwards:
// ProofLayers - (log2(Length) - 1) of them, none if that is negative.

// Limits of a run of hashes.
const (
	LayerRun  = 512  // what is asked for at once (BEP 52: should not be more)
	maxRun    = 8192 // what is answered at once: the leaves of a piece of 128 MiB
	groupBits = 9    // a HashTree keeps the roots of this many levels above its nodes: of 512 nodes each
)

// ErrHashRange is wrapped when a request cannot be for the file's tree: it is answered by a hash reject.
var ErrHashRange = errors.New("no such hashes in the file's tree")

// ErrNoLayer is wrapped when the hashes asked for are not known here.
var ErrNoLayer = errors.New("the piece layer is not known")

// HashRange is what a hash request asks for in one file's tree (BEP 52); see above.
type HashRange struct {
	Base        int // level of the hashes: 0 for leaves, log2(piece length / 16 KiB) for the piece layer
	Index       int // of the first hash in its layer; a multiple of Length
	Length      int // hashes, a power of two. BEP 52 wants at least 2, but libtorrent asks for 1 at the end of a layer
	ProofLayers int // ancestor layers to prove
}

// Count returns how many hashes of the base layer and how many uncles the right answer has, in a tree of this height.
// The error wraps ErrHashRange.
func (r HashRange) Count(height int) (base, uncles int, err error) {
	switch {
	case height < 0 || height > maxLevels || r.Base < 0 || r.Base >= height:
		return 0, 0, fmt.Errorf("metainfo: base layer %d of %d: %w", r.Base, height, ErrHashRange)
	case r.Length < 1 || r.Length > maxRun || !isPow2(int64(r.Length)):
		return 0, 0, fmt.Errorf("metainfo: %d hashes: %w", r.Length, ErrHashRange)
	case r.Index < 0 || r.Index%r.Length != 0 || int64(r.Index) > 1<<(height-r.Base)-int64(r.Length):
		return 0, 0, fmt.Errorf("metainfo: %d hashes from %d: %w", r.Length, r.Index, ErrHashRange)
	case r.ProofLayers < 0 || r.ProofLayers >= height-r.Base:
		return 0, 0, fmt.Errorf("metainfo: %d proof layers: %w", r.ProofLayers, ErrHashRange)
	}
	return r.Length, max(0, r.ProofLayers-log2(r.Length)+1), nil
}

// VerifyProof checks an answer: the hashes of r followed by its uncles must lead all the way to root, which stands at
// level height (TreeHeight for a file's root; log2 of PieceWidth for a PieceV2, with Index counted from the piece).
// Errors wrap ErrHashRange, or ErrLayer if a hash is wrong.
func VerifyProof(root [32]byte, height int, r HashRange, hashes [][32]byte) error {
	n, uncles, err := r.Count(height)
	if err != nil {
		return err
	}
	if len(hashes) != n+uncles {
		return fmt.Errorf("metainfo: %d hashes where %d must be: %w", len(hashes), n+uncles, ErrLayer)
	}
	if r.Base+log2(n)+uncles != height {
		return fmt.Errorf("metainfo: %d proof layers do not reach the root: %w", r.ProofLayers, ErrHashRange)
	}
	if climb(MerkleRoot(hashes[:n], n), r.Index/n, hashes[n:]) != root {
		return fmt.Errorf("metainfo: %d hashes from %d in layer %d: %w", n, r.Index, r.Base, ErrLayer)
	}
	return nil
}

// climb returns the ancestor of a node that its uncles lead to.
func climb(node [32]byte, index int, uncles [][32]byte) [32]byte {
	for n := range uncles {
		if index&1 == 0 {
			node = parent(&node, &uncles[n])
		} else {
			node = parent(&uncles[n], &node)
		}
		index /= 2
	}
	return node
}

// TreeHeight returns the level of file f's root above its leaves: 0 for a file of one block, -1 for one without a tree.
func (i *Info) TreeHeight(f int) int {
	file := &i.Files[f]
	if i.Version&V2 == 0 || file.Pad || file.Length == 0 {
		return -1
	}
	return log2(ceilPow2(int(ceilDiv(file.Length, BlockSize))))
}

// HashTree answers hash requests for one file. It keeps the piece layer, which it shares with the Metainfo, and the root
// of every 512 hashes of it, so that an answer costs a few thousand hashes at most and memory is 1/512 of the layer.
type HashTree struct {
	nodes  []byte // hashes of the layer at level
	level  int
	height int
	groups []byte // roots of runs of 2^groupBits nodes
}

// HashTree returns the tree of file f. The error wraps ErrHashRange if the file has none, ErrNoLayer if its layer is
// missing.
func (m *Metainfo) HashTree(f int) (*HashTree, error) {
	height := m.Info.TreeHeight(f)
	if height < 0 {
		return nil, fmt.Errorf("metainfo: file %d: %w", f, ErrHashRange)
	}
	if !m.Info.hasLayer(f) {
		return &HashTree{nodes: m.Info.Files[f].Root[:], level: height, height: height}, nil
	}
	t := &HashTree{nodes: m.Layer(f), level: m.Info.pieceLevel(), height: height}
	if t.nodes == nil {
		return nil, fmt.Errorf("metainfo: file %d: %w", f, ErrNoLayer)
	}
	if run := 32 << groupBits; len(t.nodes) > run {
		t.groups = make([]byte, 0, len(t.nodes)/(1<<groupBits)+32)
		for at := 0; at < len(t.nodes); at += run {
			root := layerRoot(t.nodes[at:min(at+run, len(t.nodes))], t.level, 1<<groupBits)
			t.groups = append(t.groups, root[:]...)
		}
	}
	return t, nil
}

// LeafSpan returns the blocks of the file, first up to but not including end, whose leaf hashes Answer needs for r: none
// if the piece layer is enough. They are whole pieces, or the whole file, to the last block of which padding follows.
func (t *HashTree) LeafSpan(r HashRange) (first, end int) {
	if _, _, err := r.Count(t.height); err != nil || r.Base != 0 || t.level == 0 {
		return 0, 0
	}
	width := max(r.Length, 1<<t.level)
	first = r.Index / width * width
	return first, first + width
}

// Answer appends what a hashes message carries for r: the hashes, then the uncles. leaves are the leaf hashes of the
// blocks of LeafSpan, those beyond the end of the file left out; nil where that is empty. Errors wrap ErrHashRange, or ErrNoLayer
// if leaves are needed or the base layer is neither that of the leaves nor that of the pieces: BEP 52 requires no other, and
// one between them would cost too much.
func (t *HashTree) Answer(dst [][32]byte, r HashRange, leaves [][32]byte) ([][32]byte, error) {
	n, uncles, err := r.Count(t.height)
	if err != nil {
		return nil, err
	}
	first, end := t.LeafSpan(r)
	if r.Base != 0 && r.Base != t.level || end > first && len(leaves) == 0 {
		return nil, fmt.Errorf("metainfo: layer %d from %d: %w", r.Base, r.Index, ErrNoLayer)
	}
	node := func(level, index int) [32]byte {
		if level >= t.level {
			return t.node(level, index)
		}
		from := index<<level - first
		return MerkleRoot(leaves[min(from, len(leaves)):min(from+1<<level, len(leaves))], 1<<level)
	}
	for k := range n {
		dst = append(dst, node(r.Base, r.Index+k))
	}
	level, index := r.Base+log2(n), r.Index/n
	for range uncles {
		dst = append(dst, node(level, index^1))
		level, index = level+1, index/2
	}
	return dst, nil
}

// node returns a node at or above the layer that is kept.
func (t *HashTree) node(level, index int) [32]byte {
	hashes, base := t.nodes, t.level
	if level >= t.level+groupBits && t.groups != nil {
		hashes, base = t.groups, t.level+groupBits
	}
	width := 1 << (level - base)
	from := min(index*width*32, len(hashes))
	hashes = hashes[from:min(from+width*32, len(hashes))]
	if len(hashes) == 0 {
		return PadHash(level)
	}
	return layerRoot(hashes, base, width)
}

// LayerFetch puts the piece layer of one file together from answers of peers, each of which is proved by itself: this is
// what has to come before v2 pieces of a magnet link can be checked. Memory grows with what was proved, never by what
// the metainfo claims.
type LayerFetch struct {
	root   [32]byte
	level  int
	height int
	pieces int
	runs   [][]byte // one a request; nil while missing
	left   int      // runs missing
}

// NewLayerFetch begins with the layer of file f; nil if the file has none.
func (m *Metainfo) NewLayerFetch(f int) *LayerFetch {
	if m.layerOf(f) == nil {
		return nil
	}
	first, end := m.Info.FilePieces(f)
	l := &LayerFetch{root: m.Info.Files[f].Root, level: m.Info.pieceLevel(), height: m.Info.TreeHeight(f), pieces: end - first}
	l.left = int(ceilDiv(int64(l.pieces), LayerRun))
	l.runs = make([][]byte, l.left)
	return l
}

// Runs returns the number of requests that the layer takes.
func (l *LayerFetch) Runs() int { return len(l.runs) }

// Has tells whether the answer to request run was added.
func (l *LayerFetch) Has(run int) bool { return run >= 0 && run < len(l.runs) && l.runs[run] != nil }

// Request returns what to ask for: the run-th 512 hashes of the layer (fewer at its end), with proof up to the root.
// Its pieces, counted from the file's first, are Index up to Index+Length; a peer that has one of them can answer.
func (l *LayerFetch) Request(run int) HashRange {
	first := run * LayerRun
	return HashRange{
		Base:        l.level,
		Index:       first,
		Length:      max(2, ceilPow2(min(LayerRun, l.pieces-first))),
		ProofLayers: l.height - l.level - 1,
	}
}

// Add takes the hashes that answer a Request. Errors wrap ErrHashRange if it is not the answer to one, ErrLayer if it is
// wrong, which is the peer's fault. An answer that is there already is ignored.
func (l *LayerFetch) Add(r HashRange, hashes [][32]byte) error {
	run := r.Index / LayerRun
	if r.Index < 0 || run >= len(l.runs) || r != l.Request(run) {
		return fmt.Errorf("metainfo: hashes that were not asked for: %w", ErrHashRange)
	}
	if l.Has(run) {
		return nil
	}
	if err := VerifyProof(l.root, l.height, r, hashes); err != nil {
		return err
	}
	real := hashes[:min(r.Length, l.pieces-r.Index)]
	l.runs[run] = make([]byte, 0, 32*len(real))
	for n := range real {
		l.runs[run] = append(l.runs[run], real[n][:]...)
	}
	l.left--
	return nil
}

// Layer returns the whole layer for WithLayers once every run was added, otherwise nil.
func (l *LayerFetch) Layer() []byte {
	if l.left > 0 {
		return nil
	}
	layer := make([]byte, 0, 32*l.pieces)
	for _, run := range l.runs {
		layer = append(layer, run...)
	}
	return layer
}
