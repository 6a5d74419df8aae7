package swarm

import "math/bits"

// bitset holds one bit per piece, in words; bit i is word i/64, bit i%64.
type bitset []uint64

func newBitset(n int) bitset { return make(bitset, (n+63)/64) }

func (b bitset) has(i uint32) bool { return b[i/64]&(1<<(i%64)) != 0 }
func (b bitset) set(i uint32)      { b[i/64] |= 1 << (i % 64) }
func (b bitset) clear(i uint32)    { b[i/64] &^= 1 << (i % 64) }

// fill sets the first n bits.
func (b bitset) fill(n int) {
	for i := range b {
		b[i] = ^uint64(0)
	}
	if n%64 != 0 {
		b[len(b)-1] = 1<<(n%64) - 1
	}
}

// count is the number of bits set.
func (b bitset) count() int {
	n := 0
	for _, w := range b {
		n += bits.OnesCount64(w)
	}
	return n
}

// common is the number of bits set in both.
func (b bitset) common(o bitset) int {
	n := 0
	for i, w := range b {
		n += bits.OnesCount64(w & o[i])
	}
	return n
}

// nextCommon is the first index ≥ from that is set in both, or -1.
func (b bitset) nextCommon(o bitset, from uint32) int {
	i := int(from / 64)
	if i >= len(b) {
		return -1
	}
	w := b[i] & o[i] &^ (1<<(from%64) - 1)
	for w == 0 {
		if i++; i >= len(b) {
			return -1
		}
		w = b[i] & o[i]
	}
	return i*64 + bits.TrailingZeros64(w)
}

// fillWire reads a BEP 3 bitfield (high bit first) of n pieces. It reports false when
// the length is wrong or a spare bit is set, which BEP 3 calls an error.
func (b bitset) fillWire(wire []byte, n int) bool {
	if len(wire) != (n+7)/8 {
		return false
	}
	if n%8 != 0 && wire[len(wire)-1]&(0xff>>(n%8)) != 0 {
		return false
	}
	clear(b)
	for i, c := range wire {
		b[i/8] |= uint64(bits.Reverse8(c)) << (i % 8 * 8)
	}
	return true
}

// appendWire appends the BEP 3 bitfield of n pieces.
func (b bitset) appendWire(dst []byte, n int) []byte {
	for i := range (n + 7) / 8 {
		dst = append(dst, bits.Reverse8(byte(b[i/8]>>(i%8*8))))
	}
	return dst
}
