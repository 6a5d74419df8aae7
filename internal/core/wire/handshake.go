package wire

import (
	"encoding/binary"
	"fmt"
)

// HandshakeLen is the size of a handshake in bytes (BEP 3).
const HandshakeLen = 68

// Protocol is what every handshake begins with: a length of 19 and the name
// (BEP 3).
const Protocol = "\x13BitTorrent protocol"

// PeerID is the 20 bytes by which a client names itself (BEP 3, BEP 20).
type PeerID [20]byte

// Capability is a bit of a handshake's reserved bytes, read as one big-endian
// number.
type Capability uint64

// The bits that this program knows.
const (
	CapDHT      Capability = 1 << 0  // BEP 5: reserved[7] & 0x01
	CapFast     Capability = 1 << 2  // BEP 6: reserved[7] & 0x04
	CapV2       Capability = 1 << 4  // BEP 52: reserved[7] & 0x10
	CapExtended Capability = 1 << 20 // BEP 10: reserved[5] & 0x10
)

// Handshake opens every connection, in both directions (BEP 3 "peer protocol").
type Handshake struct {
	Reserved [8]byte
	InfoHash [20]byte // SHA-1 of the info dictionary, or truncated SHA-256 (BEP 52)
	PeerID   PeerID
}

// ParseHandshake reads a handshake of exactly HandshakeLen bytes. Reserved bits
// that nobody has defined are kept and mean nothing.
func ParseHandshake(b []byte) (Handshake, error) {
	var h Handshake
	if len(b) != HandshakeLen {
		return h, fmt.Errorf("%w: handshake of %d bytes", ErrMalformed, len(b))
	}
	if string(b[:len(Protocol)]) != Protocol {
		return h, fmt.Errorf("%w: not a BitTorrent handshake", ErrMalformed)
	}
	copy(h.Reserved[:], b[20:28])
	copy(h.InfoHash[:], b[28:48])
	copy(h.PeerID[:], b[48:68])
	return h, nil
}

// Append appends the handshake's HandshakeLen bytes.
func (h Handshake) Append(dst []byte) []byte {
	dst = append(dst, Protocol...)
	dst = append(dst, h.Reserved[:]...)
	dst = append(dst, h.InfoHash[:]...)
	return append(dst, h.PeerID[:]...)
}

// Size is HandshakeLen.
func (h Handshake) Size() int { return HandshakeLen }

// Has tells whether every bit of c is set.
func (h Handshake) Has(c Capability) bool {
	return Capability(binary.BigEndian.Uint64(h.Reserved[:]))&c == c
}

// Set sets every bit of c and leaves the others.
func (h *Handshake) Set(c Capability) {
	r := binary.BigEndian.Uint64(h.Reserved[:])
	binary.BigEndian.PutUint64(h.Reserved[:], r|uint64(c))
}
