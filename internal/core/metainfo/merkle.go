package metainfo

import "crypto/sha256"

// The hash tree of BEP 52: leaves are the SHA-256 of 16 KiB blocks of one file (the last may be shorter), leaves beyond
// the end are zero, and each node above is the SHA-256 of its two children. Level 0 is the leaves.

// maxLevels bounds the height of a tree: 2^50 bytes (MaxPieces × MaxPieceLength) are 2^36 blocks.
const maxLevels = 40

// padHashes[n] is the root of a tree of 2^n zero leaves.
var padHashes = func() (t [maxLevels + 1][32]byte) {
	for n := range maxLevels {
		t[n+1] = parent(&t[n], &t[n])
	}
	return t
}()

// LeafHash returns the leaf for one block: at most BlockSize bytes, fewer only at the end of a file.
func LeafHash(block []byte) [32]byte { return sha256.Sum256(block) }

// PadHash returns the root of a subtree of 2^level leaves that all lie beyond the end of the file. Level 0 is the zero
// hash. A level that no tree can have (below 0 or above 40) is taken as the nearest that can.
func PadHash(level int) [32]byte { return padHashes[min(max(level, 0), maxLevels)] }

// MerkleRoot returns the root over leaves, padded with zero leaves to width, a power of two. A width that is too small
// or no power of two is rounded up. It allocates nothing.
func MerkleRoot(leaves [][32]byte, width int) [32]byte {
	var f fold
	for i := range leaves {
		f.add(&leaves[i])
	}
	return f.root(width)
}

// layerRoot is MerkleRoot over nodes of the given level, packed 32 bytes each.
func layerRoot(nodes []byte, level, width int) [32]byte {
	f := fold{level: level}
	for ; len(nodes) >= 32; nodes = nodes[32:] {
		f.add((*[32]byte)(nodes))
	}
	return f.root(width)
}

func parent(left, right *[32]byte) [32]byte {
	var pair [64]byte
	copy(pair[:32], left[:])
	copy(pair[32:], right[:])
	return sha256.Sum256(pair[:])
}

// fold computes a root node by node in constant memory: stack[n] holds the root of a full subtree of 2^n nodes for each
// bit n that is set in count, as a binary counter carries.
type fold struct {
	level int // of the nodes that are added, for padding
	count int
	stack [maxLevels + 1][32]byte
}

func (f *fold) add(node *[32]byte) {
	h, n := *node, 0
	for ; f.count>>n&1 == 1 && n < maxLevels; n++ {
		h = parent(&f.stack[n], &h)
	}
	f.stack[n] = h
	f.count++
}

// root closes the tree at the given number of nodes, the missing ones being padding.
func (f *fold) root(width int) [32]byte {
	height := log2(ceilPow2(max(width, f.count, 1)))
	if f.count == 1<<height {
		return f.stack[height]
	}
	h := PadHash(f.level) // the subtree at the right edge that was built so far, as high as n
	for n := range height {
		if f.count>>n&1 == 1 {
			h = parent(&f.stack[n], &h)
		} else {
			h = f.rightEdge(&h, n)
		}
	}
	return h
}

// rightEdge joins the node at the edge with its padding, or stays padding while no real node lies below.
func (f *fold) rightEdge(h *[32]byte, n int) [32]byte {
	pad := PadHash(f.level + n)
	return parent(h, &pad)
}
