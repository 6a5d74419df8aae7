package wire

import "encoding/binary"

// RequestMsg asks for a block: Length bytes at Begin of a piece (BEP 3). Whether
// they lie within the piece is not judged here.
type RequestMsg struct{ Piece, Begin, Length uint32 }

// ParseRequest reads the payload of a request message.
func ParseRequest(payload []byte) (RequestMsg, error) {
	p, b, l, err := parseBlock(Request, payload)
	return RequestMsg{p, b, l}, err
}

// Append appends the whole message.
func (m RequestMsg) Append(dst []byte) []byte {
	return appendBlock(dst, Request, m.Piece, m.Begin, m.Length)
}

// Size is the size of the whole message in bytes.
func (m RequestMsg) Size() int { return BlockMsgLen }

// CancelMsg takes a request back (BEP 3).
type CancelMsg struct{ Piece, Begin, Length uint32 }

// ParseCancel reads the payload of a cancel message.
func ParseCancel(payload []byte) (CancelMsg, error) {
	p, b, l, err := parseBlock(Cancel, payload)
	return CancelMsg{p, b, l}, err
}

// Append appends the whole message.
func (m CancelMsg) Append(dst []byte) []byte {
	return appendBlock(dst, Cancel, m.Piece, m.Begin, m.Length)
}

// Size is the size of the whole message in bytes.
func (m CancelMsg) Size() int { return BlockMsgLen }

// RejectMsg says that a request will not be answered with a block (BEP 6
// "Reject Request").
type RejectMsg struct{ Piece, Begin, Length uint32 }

// ParseReject reads the payload of a reject request message.
func ParseReject(payload []byte) (RejectMsg, error) {
	p, b, l, err := parseBlock(RejectRequest, payload)
	return RejectMsg{p, b, l}, err
}

// Append appends the whole message.
func (m RejectMsg) Append(dst []byte) []byte {
	return appendBlock(dst, RejectRequest, m.Piece, m.Begin, m.Length)
}

// Size is the size of the whole message in bytes.
func (m RejectMsg) Size() int { return BlockMsgLen }

// BlockMsgLen is the size in bytes of a whole request, cancel or reject.
const BlockMsgLen = headerLen + 12

// parseBlock reads the payload that request, cancel and reject share.
func parseBlock(id ID, payload []byte) (piece, begin, length uint32, err error) {
	if len(payload) != 12 {
		return 0, 0, 0, wrongLength(id, len(payload))
	}
	return u32(payload, 0), u32(payload, 1), u32(payload, 2), nil
}

func appendBlock(dst []byte, id ID, piece, begin, length uint32) []byte {
	dst = appendHeader(dst, id, 12)
	dst = binary.BigEndian.AppendUint32(dst, piece)
	dst = binary.BigEndian.AppendUint32(dst, begin)
	return binary.BigEndian.AppendUint32(dst, length)
}
