package ident

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
)

// Key is the private key of a node. It prints as nothing but its public name.
type Key struct{ private ed25519.PrivateKey }

// SeedSize is how many random bytes a key is made of.
const SeedSize = ed25519.SeedSize

// ErrKey says that bytes are not the file of a key.
var ErrKey = errors.New("ident: not a key of a node")

// NewKey makes the key of a seed of SeedSize random bytes.
func NewKey(seed [SeedSize]byte) Key { return Key{ed25519.NewKeyFromSeed(seed[:])} }

// fileHead begins the file of a key: the protobuf frame of an Ed25519 private key as
// libp2p writes it (type 1, 64 bytes of data: seed and public key).
var fileHead = []byte{0x08, 0x01, 0x12, 0x40}

// ParseKey reads the bytes of a key file. The public half must belong to the seed, so
// that a damaged file is ErrKey and never another node.
func ParseKey(file []byte) (Key, error) {
	data, ok := bytes.CutPrefix(file, fileHead)
	if !ok || len(data) != ed25519.PrivateKeySize {
		return Key{}, ErrKey
	}
	key := ed25519.NewKeyFromSeed(data[:SeedSize])
	if !bytes.Equal(key, data) {
		return Key{}, ErrKey
	}
	return Key{key}, nil
}

// File is what ParseKey reads, also a libp2p private key. It is a secret.
func (k Key) File() []byte { return append(bytes.Clone(fileHead), k.private...) }

// ID is the public identity.
func (k Key) ID() NodeID {
	id, _ := NodeIDOf(k.private[SeedSize:])
	return id
}

// String keeps the secret out of logs.
func (k Key) String() string { return "key of " + k.ID().String() }

// GoString is String.
func (k Key) GoString() string { return k.String() }

// Derive makes the secret for one purpose (HKDF, RFC 5869, of the seed; the purpose is
// its info). Different purposes have unrelated secrets.
func (k Key) Derive(purpose string) [32]byte {
	b, err := hkdf.Key(sha256.New, k.private[:SeedSize], []byte("shoal"), purpose, 32)
	if err != nil {
		panic("ident: hkdf of 32 bytes: " + err.Error()) // only possible for over 8,160 bytes
	}
	return [32]byte(b)
}
