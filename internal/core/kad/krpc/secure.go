package krpc

import (
	"hash/crc32"
	"net/netip"
)

// What of an address binds an id (BEP 42): the longer the prefix two addresses share, the fewer ids they may choose.
var (
	idMask4 = [4]byte{0x03, 0x0f, 0x3f, 0xff}
	idMask6 = [8]byte{0x01, 0x03, 0x07, 0x0f, 0x1f, 0x3f, 0x7f, 0xff} // of the upper half of an IPv6 address
)

// castagnoli is looked up by hand: through crc32.Checksum the few bytes would escape to the heap.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// idPrefix is the hash that begins the ids of a node at ip whose last byte ends in the three bits of r.
func idPrefix(ip netip.Addr, r byte) uint32 {
	var room [8]byte
	masked := room[:]
	if ip = ip.Unmap(); ip.Is4() {
		a := ip.As4()
		masked = room[:copy(room[:], a[:])]
		for i := range masked {
			masked[i] &= idMask4[i]
		}
	} else {
		a := ip.As16()
		copy(masked, a[:8])
		for i := range masked {
			masked[i] &= idMask6[i]
		}
	}
	masked[0] |= r << 5
	crc := ^uint32(0)
	for _, b := range masked {
		crc = castagnoli[byte(crc)^b] ^ crc>>8
	}
	return ^crc
}

// prefixBits is how many leading bits of an id its address decides.
const prefixBits = 21

// MakeID is an id that a node at ip may have (BEP 42): random but for its first 21 bits.
func MakeID(ip netip.Addr, random ID) ID {
	sum := idPrefix(ip, random[19]&7)
	random[0], random[1] = byte(sum>>24), byte(sum>>16)
	random[2] = byte(sum>>8)&0xf8 | random[2]&7
	return random
}

// ValidID tells whether a node at ip may have the id (BEP 42). At local addresses any id will do.
func ValidID(id ID, ip netip.Addr) bool {
	ip = ip.Unmap()
	if ip.IsPrivate() || ip.IsLoopback() || ip.IsLinkLocalUnicast() {
		return true
	}
	x, _, _ := id.words()
	return ip.IsValid() && (uint32(x>>32)^idPrefix(ip, id[19]&7))>>(32-prefixBits) == 0
}
