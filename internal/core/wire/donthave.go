package wire

import (
	"encoding/binary"
	"fmt"
)

// DontHave takes a have back (BEP 54).
type DontHave struct{ Piece uint32 }

// ParseDontHave reads the body of an lt_donthave message.
func ParseDontHave(body []byte) (DontHave, error) {
	if len(body) != 4 {
		return DontHave{}, fmt.Errorf("%w: don't have of %d bytes", ErrMalformed, len(body))
	}
	return DontHave{u32(body, 0)}, nil
}

// Append appends the whole message under the id that the peer gave lt_donthave.
func (m DontHave) Append(dst []byte, ext byte) []byte {
	dst = append(appendHeader(dst, Extended, 1+4), ext)
	return binary.BigEndian.AppendUint32(dst, m.Piece)
}

// Size is the size of the whole message in bytes.
func (m DontHave) Size() int { return headerLen + 1 + 4 }
