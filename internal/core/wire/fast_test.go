package wire

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"
)

// The examples of BEP 6 "Example Implementation".
func TestAllowedFastSet(t *testing.T) {
	hash := [20]byte(bytes.Repeat([]byte{0xaa}, 20))
	for _, test := range []struct {
		ip     string
		pieces int
		k      int
		want   []uint32
	}{
		{"80.4.4.200", 1313, 7, []uint32{1059, 431, 808, 1217, 287, 376, 1188}},
		{"80.4.4.200", 1313, 9, []uint32{1059, 431, 808, 1217, 287, 376, 1188, 353, 508}},
		{"80.4.4.1", 1313, 7, []uint32{1059, 431, 808, 1217, 287, 376, 1188}}, // same /24, same set
		{"::ffff:80.4.4.200", 1313, 2, []uint32{1059, 431}},
		{"80.4.4.200", 3, 10, []uint32{0, 1, 2}},
		{"80.4.4.200", 3, 3, []uint32{0, 1, 2}},
		{"80.4.4.200", 0, 10, nil},
		{"80.4.4.200", 10, 0, nil},
		{"2001:db8::1", 1313, 7, nil},
	} {
		if got := AllowedFastSet(nil, netip.MustParseAddr(test.ip), hash, test.pieces, test.k); !slices.Equal(got, test.want) {
			t.Errorf("%s, %d pieces, k=%d: %v, want %v", test.ip, test.pieces, test.k, got, test.want)
		}
	}
	if got := AllowedFastSet([]uint32{1059}, netip.MustParseAddr("80.4.4.200"), hash, 1313, 1); !slices.Equal(got, []uint32{1059, 1059}) {
		t.Errorf("what stood in dst counts: %v", got)
	}
	if got := AllowedFastSet(nil, netip.Addr{}, hash, 10, 5); got != nil {
		t.Errorf("no address: %v", got)
	}
}

// A set of nearly all pieces is found too, without repetition.
func TestAllowedFastSetIsASet(t *testing.T) {
	got := AllowedFastSet(nil, netip.MustParseAddr("127.0.0.1"), [20]byte{1}, 64, 63)
	slices.Sort(got)
	if len(got) != 63 || len(slices.Compact(got)) != 63 || got[62] > 63 {
		t.Errorf("%v", got)
	}
}
