package files

import (
	"shoal/internal/core/metainfo"
)

// Tally counts what the wanted files of a share still lack, and which have their final
// name.
type Tally struct {
	info       *metainfo.Info
	left       []int // pieces to come, by file; -1: not wanted, nothing on the disk, or handed out
	unfinished int
}

// NewTally counts from the pieces that are there.
func NewTally(info *metainfo.Info, have []bool, wanted func(int) bool) *Tally {
	t := &Tally{info: info, left: make([]int, len(info.Files))}
	for f := range info.Files {
		t.left[f] = -1
		if info.Files[f].Pad || info.Files[f].Symlink || wanted != nil && !wanted(f) {
			continue
		}
		t.left[f] = lacks(info, f, have)
		t.unfinished++
	}
	return t
}

// lacks is the number of pieces that a file lacks.
func lacks(info *metainfo.Info, f int, have []bool) int {
	n := 0
	if first, end := info.FilePieces(f); info.Files[f].Length > 0 {
		for p := first; p < end; p++ {
			if !have[p] {
				n++
			}
		}
	}
	return n
}

// There counts a verified piece and returns the files that are whole by it.
func (t *Tally) There(p int) (whole []int) {
	off := int64(p) * t.info.PieceLength
	end := off + int64(t.info.PieceSize(p))
	for f := t.info.FileAt(off); f >= 0 && f < len(t.info.Files) && t.info.Files[f].Offset < end; f++ {
		if t.left[f] > 0 && t.info.Files[f].Length > 0 {
			if t.left[f]--; t.left[f] == 0 {
				whole = append(whole, f)
			}
		}
	}
	return whole
}

// Whole are the wanted files that lack nothing and were not taken.
func (t *Tally) Whole() (whole []int) {
	if t == nil {
		return nil
	}
	for f, left := range t.left {
		if left == 0 {
			whole = append(whole, f)
		}
	}
	return whole
}

// IsWhole tells whether a file is one of Whole.
func (t *Tally) IsWhole(f int) bool { return t.left[f] == 0 }

// Take marks a whole file as being given its final name: Finished or GiveBack follows.
func (t *Tally) Take(f int) { t.left[f] = -1 }

// GiveBack says that a file could not be given its final name.
func (t *Tally) GiveBack(f int) { t.left[f] = 0 }

// Finished says that a file has its final name.
func (t *Tally) Finished() { t.unfinished-- }

// Lost counts pieces of a file that were taken back, unless it was taken.
func (t *Tally) Lost(f, pieces int) {
	if t.left[f] >= 0 {
		t.left[f] += pieces
	}
}

// AllFinished tells that every wanted file has its final name.
func (t *Tally) AllFinished() bool { return t == nil || t.unfinished == 0 }

// Verified is how many bytes of a file lie in verified pieces.
func Verified(info *metainfo.Info, f int, have func(piece int) bool) int64 {
	if info.Files[f].Pad || info.Files[f].Length == 0 {
		return 0
	}
	n := int64(0)
	lo, hi := info.Files[f].Offset, info.Files[f].Offset+info.Files[f].Length
	for p, end := info.FilePieces(f); p < end; p++ {
		if have(p) {
			off := int64(p) * info.PieceLength
			n += min(hi, off+info.PieceLength) - max(lo, off)
		}
	}
	return n
}
