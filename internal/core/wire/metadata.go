package wire

import (
	"fmt"
	"math"

	"shoal/internal/core/bencode"
)

// MetadataType is the msg_type of a metadata message (BEP 9).
type MetadataType int

// The types of BEP 9. A message of another type is to be ignored.
const (
	MetadataRequest MetadataType = 0
	MetadataData    MetadataType = 1
	MetadataReject  MetadataType = 2
)

// MetadataPieceLen is the size in bytes of a piece of metadata; only the last may
// be smaller (BEP 9).
const MetadataPieceLen = 16 << 10

// MetadataMsg asks for, carries or refuses a piece of the info dictionary (BEP 9).
type MetadataMsg struct {
	Type      MetadataType
	Piece     int
	TotalSize int64  // of the whole info dictionary in bytes; data only
	Data      []byte // data only, a view
}

// ParseMetadata reads the body of a metadata message. A piece of data is exactly
// as long as its TotalSize, at most MaxMetadata, makes it; a request may be for a
// piece that nobody has. A message of an unknown type is no error and has nothing
// but its Type.
func ParseMetadata(body []byte) (MetadataMsg, error) {
	d, n, err := bencode.ParsePrefix(body, extLimits)
	if err != nil {
		return MetadataMsg{}, fmt.Errorf("%w: metadata message: %w", ErrMalformed, err)
	}
	kind, ok := d.Get("msg_type").Int()
	if !ok {
		return MetadataMsg{}, fmt.Errorf("%w: metadata message without type", ErrMalformed)
	}
	if kind < int64(MetadataRequest) || kind > int64(MetadataReject) {
		return MetadataMsg{Type: MetadataType(max(-1, min(kind, 255)))}, nil
	}
	piece, ok := d.Get("piece").Int()
	if !ok || piece < 0 || piece > math.MaxInt32 {
		return MetadataMsg{}, fmt.Errorf("%w: metadata piece %d", ErrMalformed, piece)
	}
	m := MetadataMsg{Type: MetadataType(kind), Piece: int(piece)}
	rest := body[n:]
	if m.Type != MetadataData {
		if len(rest) != 0 {
			return MetadataMsg{}, fmt.Errorf("%w: %d bytes after a metadata message", ErrMalformed, len(rest))
		}
		return m, nil
	}
	m.TotalSize, _ = d.Get("total_size").Int()
	if want := MetadataPieceSize(m.TotalSize, m.Piece); want == 0 || len(rest) != want {
		return MetadataMsg{}, fmt.Errorf("%w: metadata piece %d of %d bytes, total %d", ErrMalformed, piece, len(rest), m.TotalSize)
	}
	m.Data = rest
	return m, nil
}

// MetadataPieceSize is the size in bytes of a piece of an info dictionary of total
// bytes; 0 if there is no such piece or total is not from 1 to MaxMetadata.
func MetadataPieceSize(total int64, piece int) int {
	if total <= 0 || total > MaxMetadata || piece < 0 || int64(piece) >= (total+MetadataPieceLen-1)/MetadataPieceLen {
		return 0
	}
	return int(min(MetadataPieceLen, total-int64(piece)*MetadataPieceLen))
}

// Append appends the whole message under the id that the peer gave ut_metadata.
func (m MetadataMsg) Append(dst []byte, ext byte) []byte {
	start := len(dst)
	dst = append(beginExtended(dst, ext), 'd')
	dst = appendIntPair(dst, "msg_type", int64(m.Type))
	dst = appendIntPair(dst, "piece", int64(m.Piece))
	if m.Type == MetadataData {
		dst = appendIntPair(dst, "total_size", m.TotalSize)
	}
	dst = append(dst, 'e')
	return endExtended(append(dst, m.Data...), start)
}
