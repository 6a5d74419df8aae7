package krpc

import (
	"crypto/ed25519"
	"crypto/sha1"
	"strconv"

	"shoal/internal/core/bencode"
)

// Item is what BEP 44 stores: a value named by its hash, or one named by a key (and a salt) and signed by it.
type Item struct {
	Mutable bool     // Key, Seq and Sig count, and Salt
	Key     [32]byte // Ed25519 public key
	Salt    []byte   // at most MaxSalt bytes
	Seq     int64    // never below 0 in an item
	Sig     [64]byte
	Value   []byte // one bencoded value, canonical, at most MaxValue bytes; empty: no item
}

// ImmutableTarget is where a value without a key is stored.
func ImmutableTarget(value []byte) ID { return sha1.Sum(value) }

// MutableTarget is where the values of a key and a salt are stored.
func MutableTarget(key [32]byte, salt []byte) ID {
	var room [len(key) + MaxSalt]byte
	return sha1.Sum(append(append(room[:0], key[:]...), salt...))
}

// SignedBytes is what a mutable item's signature is over.
func SignedBytes(seq int64, salt, value []byte) []byte {
	b := make([]byte, 0, 64+len(salt)+len(value))
	if len(salt) > 0 {
		b = append(b, "4:salt"...)
		b = bencode.AppendString(b, salt)
	}
	b = append(b, "3:seqi"...)
	b = strconv.AppendInt(b, seq, 10)
	b = append(b, "e1:v"...)
	return append(b, value...)
}

// Target is where the item is stored.
func (it *Item) Target() ID {
	if it.Mutable {
		return MutableTarget(it.Key, it.Salt)
	}
	return ImmutableTarget(it.Value)
}

// Sign makes the item a mutable one of the key's owner. Salt, Seq and Value must be set.
func (it *Item) Sign(key ed25519.PrivateKey) {
	it.Mutable = true
	copy(it.Key[:], key[ed25519.SeedSize:])
	copy(it.Sig[:], ed25519.Sign(key, SignedBytes(it.Seq, it.Salt, it.Value)))
}

// Check tells whether the item is whole: the value canonical bencoding, all within the limits, a mutable one signed. The
// error is a *Fault to answer a put with. That the item belongs where it was asked for is Target's.
func (it *Item) Check() error {
	if len(it.Value) > MaxValue {
		return faultValueSize
	}
	if v, err := bencode.Parse(it.Value, valueLimits); err != nil || !v.Canonical() {
		return faultValue
	}
	if !it.Mutable {
		return nil
	}
	switch {
	case len(it.Salt) > MaxSalt:
		return faultSaltSize
	case it.Seq < 0:
		return bad(fSeq)
	case !ed25519.Verify(it.Key[:], SignedBytes(it.Seq, it.Salt, it.Value), it.Sig[:]):
		return faultSignature
	}
	return nil
}
