package wire

import (
	"encoding/binary"
	"fmt"
)

// PieceHeaderLen is what stands before the data of a piece message: length
// prefix, id, piece and begin, in bytes.
const PieceHeaderLen = 13

// PieceHeader is a piece message without its data (BEP 3). The data never
// passes through this package: a reader takes DataLen bytes after the header
// straight to their place.
type PieceHeader struct {
	Piece, Begin uint32
	DataLen      int // bytes of data that follow
}

// ParsePieceHeader reads the first PieceHeaderLen bytes of a piece message, the
// length prefix included; b may hold more. DataLen is at most MaxBlock.
func ParsePieceHeader(b []byte) (PieceHeader, error) {
	if len(b) < PieceHeaderLen {
		return PieceHeader{}, wrongLength(Piece, len(b))
	}
	length := u32(b, 0)
	if ID(b[prefixLen]) != Piece {
		return PieceHeader{}, fmt.Errorf("%w: %s in place of a piece", ErrMalformed, ID(b[prefixLen]))
	}
	if length < PieceHeaderLen-prefixLen || length > PieceHeaderLen-prefixLen+MaxBlock {
		return PieceHeader{}, wrongLength(Piece, int(length))
	}
	return PieceHeader{
		Piece:   binary.BigEndian.Uint32(b[5:]),
		Begin:   binary.BigEndian.Uint32(b[9:]),
		DataLen: int(length) - (PieceHeaderLen - prefixLen),
	}, nil
}

// Append appends the header; the caller sends DataLen bytes after it. DataLen is
// between 0 and MaxBlock.
func (h PieceHeader) Append(dst []byte) []byte {
	dst = appendHeader(dst, Piece, 8+h.DataLen)
	dst = binary.BigEndian.AppendUint32(dst, h.Piece)
	return binary.BigEndian.AppendUint32(dst, h.Begin)
}

// Size is the size of the whole message in bytes, data included.
func (h PieceHeader) Size() int { return PieceHeaderLen + h.DataLen }
