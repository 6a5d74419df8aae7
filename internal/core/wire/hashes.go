package wire

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

const (
	hashLen       = 32       // SHA-256
	hashFieldsLen = 32 + 4*4 // pieces root, base, index, length, proof layers

	// MaxHashes is the largest Length of a hash request that is taken. BEP 52
	// says that it should not exceed 512; a whole piece's leaves may need more:
	// 8192 leaves are a piece of 128 MiB.
	MaxHashes = 8192
)

// HashRange names hashes of one layer of a file's Merkle tree and the proof that
// ties them to its root (BEP 52 "hash request").
type HashRange struct {
	Root        [32]byte // pieces root of the file
	Base        uint32   // layer, counted from the leaves, which are 0
	Index       uint32   // first hash in that layer, a multiple of Length
	Length      uint32   // number of hashes, a power of two up to MaxHashes
	ProofLayers uint32   // ancestor layers to include
}

// Check tells whether the range keeps BEP 52's rules that need no knowledge of
// the file: Length a power of two (here at most MaxHashes), Index a multiple of it,
// layers that a tree of 2^32 leaves can have. BEP 52 wants a Length of at least 2;
// libtorrent asks for 1 where a file's last chunk of 512 pieces holds just one.
func (r HashRange) Check() error {
	switch {
	case r.Length < 1 || r.Length > MaxHashes || r.Length&(r.Length-1) != 0:
		return fmt.Errorf("%w: %d hashes asked for", ErrMalformed, r.Length)
	case r.Index%r.Length != 0:
		return fmt.Errorf("%w: hash index %d is no multiple of %d", ErrMalformed, r.Index, r.Length)
	case r.Base > 32 || r.ProofLayers > 32:
		return fmt.Errorf("%w: hash layers %d, %d", ErrMalformed, r.Base, r.ProofLayers)
	}
	return nil
}

// Uncles is the number of proof hashes that answer the range: a proof layer is
// omitted where the hashes of the range are that whole child layer, which the
// first log2(Length)-1 are (BEP 52). A single hash has its own sibling besides.
func (r HashRange) Uncles() int {
	if r.Length == 0 {
		return int(r.ProofLayers)
	}
	omitted := bits.Len32(r.Length) - 2
	return max(0, int(r.ProofLayers)-omitted)
}

func parseHashRange(id ID, b []byte) (HashRange, error) {
	if len(b) < hashFieldsLen {
		return HashRange{}, wrongLength(id, len(b))
	}
	r := HashRange{Base: u32(b, 8), Index: u32(b, 9), Length: u32(b, 10), ProofLayers: u32(b, 11)}
	copy(r.Root[:], b)
	return r, r.Check()
}

func (r HashRange) append(dst []byte) []byte {
	dst = append(dst, r.Root[:]...)
	dst = binary.BigEndian.AppendUint32(dst, r.Base)
	dst = binary.BigEndian.AppendUint32(dst, r.Index)
	dst = binary.BigEndian.AppendUint32(dst, r.Length)
	return binary.BigEndian.AppendUint32(dst, r.ProofLayers)
}

// HashRequestMsg asks for hashes (BEP 52 "hash request").
type HashRequestMsg struct{ HashRange }

// ParseHashRequest reads the payload of a hash request; its range is checked.
func ParseHashRequest(payload []byte) (HashRequestMsg, error) {
	r, err := parseHashRangeOnly(HashRequest, payload)
	return HashRequestMsg{r}, err
}

// Append appends the whole message.
func (m HashRequestMsg) Append(dst []byte) []byte {
	return m.append(appendHeader(dst, HashRequest, hashFieldsLen))
}

// Size is the size of the whole message in bytes.
func (m HashRequestMsg) Size() int { return headerLen + hashFieldsLen }

// HashRejectMsg says that a hash request will not be answered (BEP 52 "hash
// reject").
type HashRejectMsg struct{ HashRange }

// ParseHashReject reads the payload of a hash reject; its range is checked.
func ParseHashReject(payload []byte) (HashRejectMsg, error) {
	r, err := parseHashRangeOnly(HashReject, payload)
	return HashRejectMsg{r}, err
}

// Append appends the whole message.
func (m HashRejectMsg) Append(dst []byte) []byte {
	return m.append(appendHeader(dst, HashReject, hashFieldsLen))
}

// Size is the size of the whole message in bytes.
func (m HashRejectMsg) Size() int { return headerLen + hashFieldsLen }

// HashesMsg answers a hash request (BEP 52 "hashes").
type HashesMsg struct {
	HashRange
	Data []byte // Length hashes of the base layer, then Uncles() up to the root
}

// ParseHashes reads the payload of a hashes message. There are exactly as many
// hashes as its range calls for.
func ParseHashes(payload []byte) (HashesMsg, error) {
	r, err := parseHashRange(Hashes, payload)
	if err != nil {
		return HashesMsg{}, err
	}
	data := payload[hashFieldsLen:]
	if want := (int(r.Length) + r.Uncles()) * hashLen; len(data) != want {
		return HashesMsg{}, fmt.Errorf("%w: %d bytes of hashes where %d were to come", ErrMalformed, len(data), want)
	}
	return HashesMsg{r, data}, nil
}

// Count is the number of hashes, of the layer and of the proof.
func (m HashesMsg) Count() int { return len(m.Data) / hashLen }

// Hash is the hash at i, from 0 to Count()-1: first the layer's, then the proof's.
func (m HashesMsg) Hash(i int) [32]byte { return [32]byte(m.Data[i*hashLen:]) }

// Append appends the whole message.
func (m HashesMsg) Append(dst []byte) []byte {
	dst = m.append(appendHeader(dst, Hashes, hashFieldsLen+len(m.Data)))
	return append(dst, m.Data...)
}

// Size is the size of the whole message in bytes.
func (m HashesMsg) Size() int { return headerLen + hashFieldsLen + len(m.Data) }

func parseHashRangeOnly(id ID, payload []byte) (HashRange, error) {
	if len(payload) != hashFieldsLen {
		return HashRange{}, wrongLength(id, len(payload))
	}
	return parseHashRange(id, payload)
}
