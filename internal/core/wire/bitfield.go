package wire

import "fmt"

// BitfieldMsg tells which pieces the sender has (BEP 3). The highest bit of the
// first byte is piece 0; spare bits at the end are zero.
type BitfieldMsg struct{ Bits []byte }

// ParseBitfield reads the payload of a bitfield message as a view. Its length
// can be judged only where the number of pieces is known: call Check then.
func ParseBitfield(payload []byte) (BitfieldMsg, error) {
	return BitfieldMsg{payload}, nil
}

// Append appends the whole message.
func (m BitfieldMsg) Append(dst []byte) []byte {
	return append(appendHeader(dst, Bitfield, len(m.Bits)), m.Bits...)
}

// Size is the size of the whole message in bytes.
func (m BitfieldMsg) Size() int { return headerLen + len(m.Bits) }

// Check tells whether the bitfield fits a share of pieces pieces: exactly
// BitfieldLen bytes, spare bits zero.
func (m BitfieldMsg) Check(pieces int) error {
	if len(m.Bits) != BitfieldLen(pieces) {
		return fmt.Errorf("%w: bitfield of %d bytes for %d pieces", ErrMalformed, len(m.Bits), pieces)
	}
	if spare := pieces % 8; spare != 0 && m.Bits[len(m.Bits)-1]<<spare != 0 {
		return fmt.Errorf("%w: spare bits set in a bitfield of %d pieces", ErrMalformed, pieces)
	}
	return nil
}

// BitfieldLen is the number of bytes that hold a bit for each piece.
func BitfieldLen(pieces int) int { return pieces/8 + (pieces%8+7)/8 }
