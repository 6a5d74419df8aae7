package krpc

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"math/bits"
)

// ID is a place in the space of 160 bits: a node's id, an info hash, the target of an item.
type ID [20]byte

// IDOf is the ID that b holds; false if it isn't 20 bytes.
func IDOf(b []byte) (id ID, ok bool) {
	if len(b) != len(id) {
		return ID{}, false
	}
	return ID(b), true
}

func (a ID) String() string { return hex.EncodeToString(a[:]) }

// IsZero tells that the ID is all zero bits, which stands for none.
func (a ID) IsZero() bool { return a == ID{} }

// words are the ID as numbers, most significant first.
func (a ID) words() (x, y uint64, z uint32) {
	return binary.BigEndian.Uint64(a[0:]), binary.BigEndian.Uint64(a[8:]), binary.BigEndian.Uint32(a[16:])
}

// XOR is the distance between two IDs.
func (a ID) XOR(b ID) ID {
	for i := range a {
		a[i] ^= b[i]
	}
	return a
}

// Cmp compares two IDs, or two distances, as numbers: -1, 0 or +1.
func (a ID) Cmp(b ID) int {
	ax, ay, az := a.words()
	bx, by, bz := b.words()
	return cmp.Or(cmp.Compare(ax, bx), cmp.Compare(ay, by), cmp.Compare(az, bz))
}

// CmpDistance tells which of x and y is closer to a: -1 if x, +1 if y, 0 if they are the same.
func (a ID) CmpDistance(x, y ID) int {
	ax, ay, az := a.words()
	xx, xy, xz := x.words()
	yx, yy, yz := y.words()
	switch {
	case xx != yx:
		return cmp.Compare(xx^ax, yx^ax)
	case xy != yy:
		return cmp.Compare(xy^ay, yy^ay)
	}
	return cmp.Compare(xz^az, yz^az)
}

// PrefixLen is how many leading bits two IDs share: 0 to 160, 160 if they are the same.
func (a ID) PrefixLen(b ID) int {
	ax, ay, az := a.words()
	bx, by, bz := b.words()
	switch {
	case ax != bx:
		return bits.LeadingZeros64(ax ^ bx)
	case ay != by:
		return 64 + bits.LeadingZeros64(ay^by)
	}
	return 128 + bits.LeadingZeros32(az^bz)
}
