package metainfo

import (
	"math"
	"testing"
)

// versions of the same tree: what the geometry says must agree with a plain count over all bytes.
func TestGeometry(t *testing.T) {
	for _, v := range []Version{V1, V2, Hybrid} {
		for _, pieceLength := range []int{16 << 10, 64 << 10} {
			i := share(t, "tree", tree(), v, pieceLength).Info
			pl := int64(pieceLength)
			for f := range i.Files {
				file := &i.Files[f]
				first, end := i.FilePieces(f)
				if file.Length == 0 {
					if first != end {
						t.Errorf("%v: empty file %d has pieces %d to %d", v, f, first, end)
					}
					continue
				}
				if v != V1 && !file.Pad && file.Offset%pl != 0 {
					t.Errorf("%v: file %d begins at %d", v, f, file.Offset)
				}
				for _, off := range []int64{file.Offset, file.Offset + file.Length/2, file.Offset + file.Length - 1} {
					if i.FileAt(off) != f {
						t.Errorf("%v: byte %d is in file %d, not %d", v, off, i.FileAt(off), f)
					}
					if p := int(off / pl); p < first || p >= end {
						t.Errorf("%v: piece %d of file %d is not in %d to %d", v, p, f, first, end)
					}
				}
			}
			checkPieces(t, i)
		}
	}
}

// checkPieces compares sizes of pieces with what files say.
func checkPieces(t *testing.T, i *Info) {
	t.Helper()
	var size, data int64
	for p := range i.NumPieces() {
		size += int64(i.PieceSize(p))
		data += int64(i.DataSize(p))
		if width, blocks := i.PieceWidth(p), (i.DataSize(p)+BlockSize-1)/BlockSize; i.Version == V1 && width != 0 ||
			i.Version != V1 && (width < blocks || width&(width-1) != 0) {
			t.Errorf("%v: piece %d of %d blocks has a tree of %d leaves", i.Version, p, blocks, width)
		}
	}
	wantSize, wantData := i.Span(), i.Bytes()
	if i.Version == V1 {
		wantData = 0
	}
	if i.Version == V2 {
		wantSize = i.Bytes()
	}
	if size != wantSize || data != wantData {
		t.Errorf("%v: pieces have %d bytes, %d of data; want %d, %d", i.Version, size, data, wantSize, wantData)
	}
	for _, p := range []int{-1, i.NumPieces(), math.MaxInt32} {
		if i.PieceSize(p) != 0 || i.DataSize(p) != 0 || i.PieceWidth(p) != 0 {
			t.Errorf("%v: piece %d has a size", i.Version, p)
		}
	}
	for _, off := range []int64{-1, i.Span(), math.MaxInt64} {
		if i.FileAt(off) != -1 {
			t.Errorf("%v: byte %d is in file %d", i.Version, off, i.FileAt(off))
		}
	}
}

func TestGap(t *testing.T) {
	m := mustParse(t, torrent(v2Tree(), v2Layers())) // 100 bytes, then three blocks
	for off, want := range map[int64]int{0: 0, 99: 0, 100: -1, piece - 1: -1, piece: 1, 4*piece - 6: 1, 4*piece - 5: -1} {
		if got := m.Info.FileAt(off); got != want {
			t.Errorf("byte %d is in file %d, want %d", off, got, want)
		}
	}
}

// A file of more than 100 GiB, and the largest share there can be.
func TestLargest(t *testing.T) {
	const length = MaxPieces * MaxPieceLength
	i, err := PlanLayout("x", true, []BuildFile{{Path: []string{"x"}, Length: length}}, V2, MaxPieceLength)
	if err == nil {
		t.Fatalf("hashes beyond MaxSize are planned: %+v", i)
	}
	i = &Info{Version: V2, PieceLength: MaxPieceLength}
	if err := i.add(File{Length: length}); err != nil {
		t.Fatal(err)
	}
	if i.NumPieces() != MaxPieces || i.TreeHeight(0) != 36 || i.PieceSize(MaxPieces-1) != MaxPieceLength || i.fits(1) {
		t.Errorf("%d pieces, tree of height %d", i.NumPieces(), i.TreeHeight(0))
	}
	i, err = PlanLayout("x", true, []BuildFile{{Path: []string{"x"}, Length: 200 << 30}}, Hybrid, 0)
	if err != nil || i.NumPieces() != 12800 || i.PieceLength != 16<<20 {
		t.Errorf("200 GiB: %+v, %v", i, err)
	}
}

// Lookups of the hot path cost no memory.
func TestLookupsAllocateNothing(t *testing.T) {
	m := share(t, "tree", tree(), Hybrid, 16<<10)
	if n := testing.AllocsPerRun(100, func() {
		for p := range m.Info.NumPieces() {
			m.PieceV1(p)
			m.PieceV2(p)
			m.Info.PieceSize(p)
			m.Info.PieceWidth(p)
			m.Info.FileAt(int64(p) * m.Info.PieceLength)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
