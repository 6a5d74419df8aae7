package wire

import (
	"crypto/sha1"
	"encoding/binary"
	"net/netip"
	"slices"
)

// maxFastRounds bounds the generation of an allowed fast set. Each round yields
// five indices; sets in use have about ten.
const maxFastRounds = 1000

// AllowedFastSet appends to dst the k pieces that a choked peer at ip may ask
// for, of a share of pieces pieces (BEP 6 "Allowed Fast Set Generation"), in the
// order in which they are generated. With k of at least pieces it is every piece
// in order. BEP 6 has no rule for IPv6, so an IPv6 address has no set: it would
// hand every address of a /64 another one.
func AllowedFastSet(dst []uint32, ip netip.Addr, infoHash [20]byte, pieces, k int) []uint32 {
	ip = ip.Unmap()
	if !ip.Is4() || pieces <= 0 || k <= 0 {
		return dst
	}
	start := len(dst)
	if k >= pieces {
		for p := range pieces {
			dst = append(dst, uint32(p))
		}
		return dst
	}
	var seed [24]byte
	addr := ip.As4()
	copy(seed[:3], addr[:3]) // the last octet is masked: one set for a /24
	copy(seed[4:], infoHash[:])
	x := sha1.Sum(seed[:])
	for range maxFastRounds {
		for j := 0; j < len(x); j += 4 {
			index := uint32(uint64(binary.BigEndian.Uint32(x[j:])) % uint64(pieces))
			if slices.Contains(dst[start:], index) {
				continue
			}
			if dst = append(dst, index); len(dst)-start == k {
				return dst
			}
		}
		x = sha1.Sum(x[:])
	}
	return dst
}
