package wire

import "encoding/binary"

// HaveMsg announces one complete and verified piece (BEP 3).
type HaveMsg struct{ Piece uint32 }

// ParseHave reads the payload of a have message.
func ParseHave(payload []byte) (HaveMsg, error) {
	p, err := parsePiece(Have, payload)
	return HaveMsg{p}, err
}

// Append appends the whole message.
func (m HaveMsg) Append(dst []byte) []byte { return appendPiece(dst, Have, m.Piece) }

// Size is the size of the whole message in bytes.
func (m HaveMsg) Size() int { return headerLen + 4 }

// SuggestMsg advises to fetch a piece (BEP 6 "Suggest Piece").
type SuggestMsg struct{ Piece uint32 }

// ParseSuggest reads the payload of a suggest piece message.
func ParseSuggest(payload []byte) (SuggestMsg, error) {
	p, err := parsePiece(SuggestPiece, payload)
	return SuggestMsg{p}, err
}

// Append appends the whole message.
func (m SuggestMsg) Append(dst []byte) []byte { return appendPiece(dst, SuggestPiece, m.Piece) }

// Size is the size of the whole message in bytes.
func (m SuggestMsg) Size() int { return headerLen + 4 }

// AllowedFastMsg says that a piece is given even to a choked peer (BEP 6
// "Allowed Fast"). It doesn't say that the sender has the piece.
type AllowedFastMsg struct{ Piece uint32 }

// ParseAllowedFast reads the payload of an allowed fast message.
func ParseAllowedFast(payload []byte) (AllowedFastMsg, error) {
	p, err := parsePiece(AllowedFast, payload)
	return AllowedFastMsg{p}, err
}

// Append appends the whole message.
func (m AllowedFastMsg) Append(dst []byte) []byte { return appendPiece(dst, AllowedFast, m.Piece) }

// Size is the size of the whole message in bytes.
func (m AllowedFastMsg) Size() int { return headerLen + 4 }

// parsePiece reads the payload of a message that is one piece index.
func parsePiece(id ID, payload []byte) (uint32, error) {
	if len(payload) != 4 {
		return 0, wrongLength(id, len(payload))
	}
	return u32(payload, 0), nil
}

func appendPiece(dst []byte, id ID, piece uint32) []byte {
	return binary.BigEndian.AppendUint32(appendHeader(dst, id, 4), piece)
}
