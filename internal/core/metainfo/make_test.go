package metainfo

import (
	"crypto/sha1"
	"crypto/sha256"
	"testing"
)

// content is one file of a test's share, in memory.
type content struct {
	path []string
	data []byte
}

// sample returns n bytes that differ by seed and do not repeat from block to block. The check against libtorrent in
// testdata/compare.py makes the same.
func sample(n, seed int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8*13 + i>>14*29 + seed*31)
	}
	return b
}

// plainRoot computes a tree as BEP 52's text says it, layer by layer: what the fast code is compared with.
func plainRoot(leaves [][32]byte, width int) [32]byte {
	layer := append([][32]byte(nil), leaves...)
	for len(layer) < width {
		layer = append(layer, [32]byte{})
	}
	for len(layer) > 1 {
		var up [][32]byte
		for i := 0; i < len(layer); i += 2 {
			up = append(up, sha256.Sum256(append(append([]byte{}, layer[i][:]...), layer[i+1][:]...)))
		}
		layer = up
	}
	return layer[0]
}

func leavesOf(data []byte) (leaves [][32]byte) {
	for len(data) > 0 {
		n := min(len(data), BlockSize)
		leaves = append(leaves, sha256.Sum256(data[:n]))
		data = data[n:]
	}
	return leaves
}

// hashed returns a file with its root and layer.
func hashed(c content, pieceLength int) BuildFile {
	f := BuildFile{Path: c.path, Length: int64(len(c.data))}
	if len(c.data) == 0 {
		return f
	}
	leaves := leavesOf(c.data)
	width := 1
	for width < len(leaves) {
		width *= 2
	}
	f.Root = plainRoot(leaves, width)
	if len(c.data) > pieceLength {
		per := pieceLength / BlockSize
		for at := 0; at < len(leaves); at += per {
			root := plainRoot(leaves[at:min(at+per, len(leaves))], per)
			f.Layer = append(f.Layer, root[:]...)
		}
	}
	return f
}

// space returns the piece space of a plan, pads as zeros and v2's gaps left as zeros too.
func space(i *Info, contents []content) []byte {
	all := make([]byte, i.Span())
	for f := range i.Files {
		for _, c := range contents {
			if !i.Files[f].Pad && equal(i.Files[f].Path, c.path) {
				copy(all[i.Files[f].Offset:], c.data)
			}
		}
	}
	return all
}

func equal(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for n := range a {
		if a[n] != b[n] {
			return false
		}
	}
	return true
}

// planned plans and hashes a share.
func planned(t testing.TB, name string, contents []content, v Version, pieceLength int) *Build {
	t.Helper()
	files := make([]BuildFile, len(contents))
	for n, c := range contents {
		files[n] = hashed(c, pieceLength)
		if v == V1 {
			files[n].Root, files[n].Layer = [32]byte{}, nil
		}
	}
	single := len(contents) == 1 && len(contents[0].path) == 1 && contents[0].path[0] == name
	i, err := PlanLayout(name, single, files, v, int64(pieceLength))
	if err != nil {
		t.Fatalf("PlanLayout: %v", err)
	}
	b := &Build{Info: i, Files: files}
	if v&V1 != 0 {
		for all := space(i, contents); len(all) > 0; {
			n := min(len(all), pieceLength)
			sum := sha1.Sum(all[:n])
			b.V1Pieces = append(b.V1Pieces, sum[:]...)
			all = all[n:]
		}
	}
	return b
}

// share builds the metainfo of a share.
func share(t testing.TB, name string, contents []content, v Version, pieceLength int) *Metainfo {
	t.Helper()
	m, err := planned(t, name, contents, v, pieceLength).Metainfo()
	if err != nil {
		t.Fatalf("Metainfo: %v", err)
	}
	return m
}

// tree is a folder with what is awkward: empty files, files of one block, of one piece, of many, names that sort apart
// by component but not by byte.
func tree() []content {
	return []content{
		{[]string{"b.bin"}, sample(100_000, 1)},
		{[]string{"a", "z"}, sample(16384, 2)},
		{[]string{"a", "deep", "er", "file"}, sample(40_000, 3)},
		{[]string{"a.txt"}, sample(1, 4)},
		{[]string{"a-b", "x"}, sample(65_536, 5)},
		{[]string{"empty"}, nil},
		{[]string{"a", "empty"}, nil},
		{[]string{"zz-last"}, sample(33_000, 6)},
		{[]string{"same"}, sample(100_000, 1)},
	}
}
