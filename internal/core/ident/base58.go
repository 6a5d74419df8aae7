package ident

import "slices"

// alphabet is Bitcoin's base58, as libp2p peer ids use it.
const alphabet = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"

// maxBase58 is more than the longest text that names a node: both ways cost the square
// of the length.
const maxBase58 = 64

// digitOf is the value of each letter; 0xff for those that are none.
var digitOf = func() (t [256]byte) {
	for i := range t {
		t[i] = 0xff
	}
	for i := range len(alphabet) {
		t[alphabet[i]] = byte(i)
	}
	return t
}()

// base58 writes bytes; a leading zero byte is a leading 1.
func base58(b []byte) string {
	var digits []byte // the least first
	zeros := 0
	for zeros < len(b) && b[zeros] == 0 {
		zeros++
	}
	for _, c := range b[zeros:] {
		digits = carry(digits, 58, 256, int(c))
	}
	out := make([]byte, 0, zeros+len(digits))
	for range zeros {
		out = append(out, alphabet[0])
	}
	for _, d := range slices.Backward(digits) {
		out = append(out, alphabet[d])
	}
	return string(out)
}

// fromBase58 reads what base58 wrote.
func fromBase58(s string) ([]byte, bool) {
	var bytes []byte // the least first
	zeros := 0
	for zeros < len(s) && s[zeros] == alphabet[0] {
		zeros++
	}
	for i := zeros; i < len(s); i++ {
		d := digitOf[s[i]]
		if d == 0xff {
			return nil, false
		}
		bytes = carry(bytes, 256, 58, int(d))
	}
	bytes = append(bytes, make([]byte, zeros)...)
	slices.Reverse(bytes)
	return bytes, true
}

// carry multiplies a number, least digit first in base to, by from and adds c.
func carry(digits []byte, to, from, c int) []byte {
	for i, d := range digits {
		c += int(d) * from
		digits[i] = byte(c % to)
		c /= to
	}
	for ; c > 0; c /= to {
		digits = append(digits, byte(c%to))
	}
	return digits
}
