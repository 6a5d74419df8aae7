package ident

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// Code is a short form of some texts for two people to compare aloud: twelve digits in
// threes of four. Who wants another text with the same code has to try 10^12 / 2 of them
// while both people wait; who can try at leisure has no use for it, for codes are of what
// both sides have already fixed.
func Code(texts ...[]byte) string {
	h := sha256.New()
	h.Write([]byte("shoal code\x00"))
	var n [8]byte
	for _, t := range texts {
		binary.BigEndian.PutUint64(n[:], uint64(len(t)))
		h.Write(n[:])
		h.Write(t)
	}
	v := binary.BigEndian.Uint64(h.Sum(nil)) % 1e12
	return fmt.Sprintf("%04d %04d %04d", v/1e8, v/1e4%1e4, v%1e4)
}

// CodeOf is the code of one node, the same wherever it is shown.
func CodeOf(id NodeID) string { return Code([]byte("node"), id[:]) }
