package metainfo

import (
	"math/bits"
	"sort"
)

// NumPieces returns the number of pieces.
func (i *Info) NumPieces() int { return int(ceilDiv(i.span, i.PieceLength)) }

// Span returns the length of the piece space in bytes: where the last file (or pad) ends.
func (i *Info) Span() int64 { return i.span }

// Bytes returns the sum of the real files, pads apart.
func (i *Info) Bytes() int64 { return i.bytes }

// Padding returns the sum of the pads.
func (i *Info) Padding() int64 { return i.padding }

// PieceSize returns the bytes of piece p as peers ask for it. For v1 and hybrid that counts padding; for v2 alone it
// ends with the file. It is 0 if there is no such piece.
func (i *Info) PieceSize(p int) int {
	if i.Version == V2 {
		return i.DataSize(p)
	}
	from := int64(p) * i.PieceLength
	if p < 0 || from >= i.span {
		return 0
	}
	return int(min(i.PieceLength, i.span-from))
}

// DataSize returns the bytes of piece p that its v2 hash tree covers: in a hybrid the PieceSize less padding. It is 0
// for v1, which has no tree, and if there is no such piece.
func (i *Info) DataSize(p int) int {
	from := int64(p) * i.PieceLength
	f := i.dataFile(p)
	if f < 0 {
		return 0
	}
	return int(min(i.PieceLength, i.Files[f].Offset+i.Files[f].Length-from))
}

// PieceWidth returns the number of leaves, a power of two, of the tree whose root is PieceV2(p): those of a whole piece,
// or for a file that fits in one, its blocks rounded up. It is 0 for v1 and if there is no such piece.
func (i *Info) PieceWidth(p int) int {
	f := i.dataFile(p)
	if f < 0 {
		return 0
	}
	if n := i.Files[f].Length; n <= i.PieceLength {
		return ceilPow2(int(ceilDiv(n, BlockSize)))
	}
	return int(i.PieceLength / BlockSize)
}

// dataFile returns the file that piece p of a v2 or hybrid share begins with, -1 if there is none.
func (i *Info) dataFile(p int) int {
	if p < 0 || i.Version&V2 == 0 {
		return -1
	}
	f := i.FileAt(int64(p) * i.PieceLength)
	if f >= 0 && i.Files[f].Pad {
		return -1
	}
	return f
}

// FileAt returns the index of the file (or pad) that holds the byte at offset off of the piece space: never an empty
// one. It is -1 in a gap of v2 and outside the piece space.
func (i *Info) FileAt(off int64) int {
	if off < 0 || off >= i.span {
		return -1
	}
	// Ends never decrease along Files, so the first file that ends after off is the one, unless it begins after it too.
	f := sort.Search(len(i.Files), func(n int) bool { return i.Files[n].Offset+i.Files[n].Length > off })
	if f == len(i.Files) || i.Files[f].Offset > off {
		return -1
	}
	return f
}

// FilePieces returns the pieces that hold bytes of file f: first up to but not including end. They are equal for an
// empty file.
func (i *Info) FilePieces(f int) (first, end int) {
	file := &i.Files[f]
	first = int(file.Offset / i.PieceLength)
	if file.Length == 0 {
		return first, first
	}
	return first, int(ceilDiv(file.Offset+file.Length, i.PieceLength))
}

// place adds up lengths: it sets the offset of the next file and moves the end of the piece space. The caller has
// checked that the sum stays within MaxPieces pieces.
func (i *Info) place(f *File) {
	if i.Version == V2 && f.Length > 0 {
		i.span = alignUp(i.span, i.PieceLength)
	}
	f.Offset = i.span
	i.span += f.Length
	if f.Pad {
		i.padding += f.Length
	} else {
		i.bytes += f.Length
	}
}

// fits tells whether another n bytes keep the piece space within MaxPieces pieces. It cannot wrap: n is compared with
// what is left.
func (i *Info) fits(n int64) bool {
	at := i.span
	if i.Version == V2 {
		at = alignUp(at, i.PieceLength)
	}
	return n >= 0 && n <= MaxPieces*i.PieceLength-at
}

// ceilDiv returns a/b rounded up, for a ≥ 0 and b > 0, without wrapping.
func ceilDiv(a, b int64) int64 {
	q := a / b
	if a%b != 0 {
		q++
	}
	return q
}

// alignUp rounds a up to a multiple of b. Both stay far below the end of int64: a ≤ MaxPieces × MaxPieceLength.
func alignUp(a, b int64) int64 { return ceilDiv(a, b) * b }

// ceilPow2 rounds n up to a power of two, at least 1.
func ceilPow2(n int) int {
	if n <= 1 {
		return 1
	}
	return 1 << bits.Len(uint(n-1))
}

// log2 returns the exponent of the power of two n.
func log2(n int) int { return bits.Len(uint(n)) - 1 }

func isPow2(n int64) bool { return n > 0 && n&(n-1) == 0 }
