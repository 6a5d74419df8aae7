package ident

import (
	"bytes"
	"crypto/ed25519"
	"errors"

	"shoal/internal/core/bencode"
)

// Domain is what a signature is for. One that was made for a domain is refused in all
// others.
type Domain string

// The domains. A new use gets a new one.
const (
	GroupEntry Domain = "group entry" // core/group: an entry of a member list
)

// MaxEnvelope is the most bytes of an envelope.
const MaxEnvelope = 64 << 10

// ErrEnvelope says that bytes are no envelope, or that its signature is wrong.
var ErrEnvelope = errors.New("ident: not signed by who is named")

// Envelope is a text with its author's signature over the domain and the text.
type Envelope struct {
	Author  NodeID
	Payload []byte
	Sig     [ed25519.SignatureSize]byte
}

// Seal signs a text for a domain.
func (k Key) Seal(d Domain, payload []byte) Envelope {
	e := Envelope{Author: k.ID(), Payload: bytes.Clone(payload)}
	copy(e.Sig[:], ed25519.Sign(k.private, signed(d, e.Author, payload)))
	return e
}

// SignItem signs what a mutable item of BEP 44 is signed over, as it is. It begins otherwise
// than all else that a node signs; of another text the signature is zeros.
func (k Key) SignItem(text []byte) (sig [ed25519.SignatureSize]byte) {
	if bytes.HasPrefix(text, []byte("4:salt")) || bytes.HasPrefix(text, []byte("3:seqi")) {
		copy(sig[:], ed25519.Sign(k.private, text))
	}
	return sig
}

// Open checks the signature.
func (e *Envelope) Open(d Domain) error {
	if !ed25519.Verify(e.Author[:], signed(d, e.Author, e.Payload), e.Sig[:]) {
		return ErrEnvelope
	}
	return nil
}

// signed is what the signature is over. The author is in it, so that no other key fits
// the same signature; the domain ends with a zero byte, so that none begins another.
func signed(d Domain, author NodeID, payload []byte) []byte {
	b := make([]byte, 0, len("shoal signature\x00")+len(d)+1+len(author)+len(payload))
	b = append(b, "shoal signature\x00"...)
	b = append(b, d...)
	b = append(b, 0)
	b = append(b, author[:]...)
	return append(b, payload...)
}

// Append writes the envelope: a dictionary of k (author), p (payload) and s (signature).
func (e *Envelope) Append(dst []byte) []byte {
	dst = append(dst, "d1:k"...)
	dst = bencode.AppendString(dst, e.Author[:])
	dst = append(dst, "1:p"...)
	dst = bencode.AppendString(dst, e.Payload)
	dst = append(dst, "1:s"...)
	dst = bencode.AppendString(dst, e.Sig[:])
	return append(dst, 'e')
}

// ParseEnvelope reads what Append wrote, and nothing else: exactly three keys in order.
// It does not look at the signature: Open does.
func ParseEnvelope(b []byte) (Envelope, error) {
	var e Envelope
	if len(b) > MaxEnvelope {
		return e, ErrEnvelope
	}
	v, err := bencode.Parse(b, bencode.Limits{Depth: 2, Tokens: 16})
	if err != nil || v.Len() != 3 || !v.Canonical() {
		return e, ErrEnvelope
	}
	author, _ := v.Get("k").Bytes()
	payload, ok := v.Get("p").Bytes()
	sig, _ := v.Get("s").Bytes()
	id, named := NodeIDOf(author)
	if !ok || !named || len(sig) != len(e.Sig) {
		return e, ErrEnvelope
	}
	e.Author, e.Payload = id, bytes.Clone(payload)
	copy(e.Sig[:], sig)
	return e, nil
}
