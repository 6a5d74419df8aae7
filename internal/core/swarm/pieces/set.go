package pieces

import "math/bits"

// Set holds one bit per piece, in words; bit i is word i/64, bit i%64. An index beyond the
// pieces it was made for is a fault of the caller.
type Set []uint64

// NewSet makes an empty set for n pieces.
func NewSet(n int) Set { return make(Set, (n+63)/64) }

// Has tells whether the piece is in.
func (b Set) Has(i uint32) bool { return b[i/64]&(1<<(i%64)) != 0 }

// Put adds the piece.
func (b Set) Put(i uint32) { b[i/64] |= 1 << (i % 64) }

// Drop takes the piece out.
func (b Set) Drop(i uint32) { b[i/64] &^= 1 << (i % 64) }

// Fill sets the first n bits.
func (b Set) Fill(n int) {
	for i := range b {
		b[i] = ^uint64(0)
	}
	if n%64 != 0 {
		b[len(b)-1] = 1<<(n%64) - 1
	}
}

// Count is the number of bits set.
func (b Set) Count() int {
	n := 0
	for _, w := range b {
		n += bits.OnesCount64(w)
	}
	return n
}

// Common is the number of bits set in both.
func (b Set) Common(o Set) int {
	n := 0
	for i, w := range b {
		n += bits.OnesCount64(w & o[i])
	}
	return n
}

// Next is the first index ≥ from that is set in both, or -1.
func (b Set) Next(o Set, from uint32) int {
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

// FillWire reads a BEP 3 bitfield (high bit first) of n pieces. It reports false when
// the length is wrong or a spare bit is set, which BEP 3 calls an error.
func (b Set) FillWire(wire []byte, n int) bool {
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

// AppendWire appends the BEP 3 bitfield of n pieces.
func (b Set) AppendWire(dst []byte, n int) []byte {
	for i := range (n + 7) / 8 {
		dst = append(dst, bits.Reverse8(byte(b[i/8]>>(i%8*8))))
	}
	return dst
}
