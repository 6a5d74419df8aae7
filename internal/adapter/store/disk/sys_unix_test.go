//go:build unix

package disk

import (
	"math"
	"testing"
)

func TestSpaceWithoutEnd(t *testing.T) {
	for _, c := range []struct {
		blocks, unit uint64
		want         int64
	}{{0, 4096, 0}, {3, 4096, 12288}, {1 << 51, 4096, math.MaxInt64}, {math.MaxUint64, 1 << 20, math.MaxInt64}} {
		if got := times(c.blocks, c.unit); got != c.want {
			t.Errorf("%d of %d are %d, want %d", c.blocks, c.unit, got, c.want)
		}
	}
}
