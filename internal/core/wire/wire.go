// Package wire is the language of BitTorrent peers: the handshake and every
// message that follows it, one file per message, each with parse, append and
// size.
//
// It only turns bytes into values and values into bytes. It keeps no state,
// never reads from a connection, and judges no meaning: whether a piece exists,
// a request was asked for or an address may be dialled is for the packages
// above it. Parsing is strict: a message is exactly as long as its table says.
// A value that holds bytes (a bitfield, hashes, metadata) is a view into the
// parsed frame and lives as long as that frame does.
//
// Formats: BEP 3, 6, 9, 10, 11, 21, 52 and 54. The byte tables are in
// docs/formats/wire.md.
package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ID is the first byte of a message, its kind (BEP 3 "peer messages").
type ID byte

// The messages of BEP 3 (0–8), BEP 5 (9), BEP 6 (13–17), BEP 10 (20) and
// BEP 52 (21–23).
const (
	Choke         ID = 0
	Unchoke       ID = 1
	Interested    ID = 2
	NotInterested ID = 3
	Have          ID = 4
	Bitfield      ID = 5
	Request       ID = 6
	Piece         ID = 7
	Cancel        ID = 8
	Port          ID = 9
	SuggestPiece  ID = 13
	HaveAll       ID = 14
	HaveNone      ID = 15
	RejectRequest ID = 16
	AllowedFast   ID = 17
	Extended      ID = 20
	HashRequest   ID = 21
	Hashes        ID = 22
	HashReject    ID = 23
)

// Sizes in bytes.
const (
	// BlockLen is the unit that is requested (BEP 3, BEP 52); only the last
	// block of a piece may be shorter.
	BlockLen = 16 << 10

	// MaxBlock is the largest block this program sends or takes. BEP 3 speaks
	// of 16 KiB; some clients ask for up to 128 KiB.
	MaxBlock = 128 << 10

	// MaxMessage is the largest message (id and payload) that is taken when
	// the caller knows no better bound. Bitfields and hashes have sizes that
	// follow from the share, so a caller may pass a smaller or larger one.
	MaxMessage = 1 << 20

	prefixLen = 4 // length prefix before every message
	headerLen = 5 // length prefix and id
)

var (
	// ErrTooLong means that a length prefix exceeds the caller's maximum.
	ErrTooLong = errors.New("wire: message too long")

	// ErrMalformed means that a message is not as its format says. It is the
	// peer's fault: the connection is to be closed.
	ErrMalformed = errors.New("wire: malformed message")
)

var idNames = [...]string{
	Choke: "choke", Unchoke: "unchoke", Interested: "interested", NotInterested: "not interested",
	Have: "have", Bitfield: "bitfield", Request: "request", Piece: "piece", Cancel: "cancel",
	Port: "port", SuggestPiece: "suggest piece", HaveAll: "have all", HaveNone: "have none",
	RejectRequest: "reject request", AllowedFast: "allowed fast", Extended: "extended",
	HashRequest: "hash request", Hashes: "hashes", HashReject: "hash reject",
}

// String is the name that the BEPs use, or "message N" for an unknown id.
func (id ID) String() string {
	if int(id) < len(idNames) && idNames[id] != "" {
		return idNames[id]
	}
	return fmt.Sprintf("message %d", byte(id))
}

// Next cuts the first whole message off b. frame is its id and payload without
// the length prefix, empty for a keep-alive (BEP 3), and a view into b; n is the
// number of bytes used, 0 while the message is not complete. A length above max
// bytes is ErrTooLong, reported as soon as the prefix is there, before the body
// is waited for.
func Next(b []byte, max int) (frame []byte, n int, err error) {
	if len(b) < prefixLen {
		return nil, 0, nil
	}
	length := binary.BigEndian.Uint32(b)
	if int64(length) > int64(max) {
		return nil, 0, fmt.Errorf("%w: %d bytes, limit %d", ErrTooLong, length, max)
	}
	end := prefixLen + int(length)
	if len(b) < end {
		return nil, 0, nil
	}
	return b[prefixLen:end:end], end, nil
}

// Peek tells what stands at the head of b before the message is complete: the
// length of id and payload in bytes, and the id. A keep-alive has length 0 and
// its id means nothing. ok is false while b is too short to tell. It lets a
// reader send the data of a piece message straight to its place.
func Peek(b []byte, max int) (length int, id ID, ok bool, err error) {
	if len(b) < prefixLen {
		return 0, 0, false, nil
	}
	l := binary.BigEndian.Uint32(b)
	if int64(l) > int64(max) {
		return 0, 0, false, fmt.Errorf("%w: %d bytes, limit %d", ErrTooLong, l, max)
	}
	if l == 0 {
		return 0, 0, true, nil
	}
	if len(b) < headerLen {
		return 0, 0, false, nil
	}
	return int(l), ID(b[prefixLen]), true, nil
}

// AppendKeepAlive appends a keep-alive, a length prefix of zero (BEP 3).
func AppendKeepAlive(dst []byte) []byte {
	return append(dst, 0, 0, 0, 0)
}

// appendHeader appends the length prefix and id of a message with payload bytes
// of payload to follow.
func appendHeader(dst []byte, id ID, payload int) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(1+payload))
	return append(dst, byte(id))
}

// wrongLength is the error of a payload that is not exactly as long as its
// message says.
func wrongLength(id ID, got int) error {
	return fmt.Errorf("%w: %s of %d bytes", ErrMalformed, id, got)
}

func u32(b []byte, i int) uint32 { return binary.BigEndian.Uint32(b[4*i:]) }
