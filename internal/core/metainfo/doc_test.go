package metainfo

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"shoal/internal/core/bencode"
)

// dict is a dictionary in the order it is written down, so that tests can put keys out of order.
type dict []any

// list is a bencoded list.
type list []any

// raw is bencoded already.
type raw string

// enc bencodes strings, ints, lists and dicts.
func enc(v any) []byte {
	switch v := v.(type) {
	case raw:
		return []byte(v)
	case string:
		return bencode.AppendString(nil, v)
	case int:
		return bencode.AppendInt(nil, int64(v))
	case list:
		b := []byte{'l'}
		for _, x := range v {
			b = append(b, enc(x)...)
		}
		return append(b, 'e')
	case dict:
		b := []byte{'d'}
		for _, x := range v {
			b = append(b, enc(x)...)
		}
		return append(b, 'e')
	}
	panic(fmt.Sprintf("no bencoding for %T", v))
}

// with returns d with keys set, added at the end, or left out (nil).
func (d dict) with(pairs ...any) dict {
	d = slices.Clone(d)
next:
	for n := 0; n < len(pairs); n += 2 {
		for at := 0; at < len(d); at += 2 {
			if d[at] != pairs[n] {
				continue
			}
			if pairs[n+1] == nil {
				d = slices.Delete(d, at, at+2)
			} else {
				d[at+1] = pairs[n+1]
			}
			continue next
		}
		if pairs[n+1] != nil {
			d = append(d, pairs[n], pairs[n+1])
		}
	}
	return d
}

// torrent wraps an info dictionary, and the layers of its files if given.
func torrent(info any, layers ...any) []byte {
	d := dict{"info", info}
	if len(layers) > 0 {
		d = append(d, "piece layers", layers[0])
	}
	return enc(d)
}

const piece = 16384 // the piece length of the dictionaries below

func hashes(n int) string { return strings.Repeat("h", 20*n) }

// v1Single, v1Files, v2Tree and hybridTree are correct info dictionaries, for tests to break. Hashes of v1 cannot be
// checked without the data, so any will do.
func v1Single() dict {
	return dict{"length", 3*piece - 1, "name", "one", "piece length", piece, "pieces", hashes(3)}
}

func v1Files(files ...any) dict {
	if files == nil {
		files = []any{file(piece, "a", "b"), file(1, "c")}
	}
	return dict{"files", list(files), "name", "dir", "piece length", piece, "pieces", hashes(2)}
}

func file(length int, path ...any) dict {
	return dict{"length", length, "path", list(path)}
}

func pad(length int) dict {
	return file(length, ".pad", fmt.Sprint(length)).with("attr", "p")
}

// blocksRoot returns root and layer, for pieces of one block, of a file whose leaves are numbered from seed.
func blocksRoot(n, seed int) (root, layer string) {
	var leaves [][32]byte
	width := 1
	for k := range n {
		leaves = append(leaves, sha256.Sum256([]byte{byte(k), byte(k >> 8), byte(seed)}))
		layer += string(leaves[k][:])
	}
	for width < n {
		width *= 2
	}
	r := plainRoot(leaves, width)
	return string(r[:]), layer
}

// treeFile is a file in a file tree.
func treeFile(length int, root string) dict {
	d := dict{"length", length}
	if root != "" {
		d = append(d, "pieces root", root)
	}
	return dict{"", d}
}

func v2Tree() dict {
	small, _ := blocksRoot(1, 1)
	large, _ := blocksRoot(3, 2)
	return dict{
		"file tree", dict{"a", dict{"b", treeFile(100, small)}, "c", treeFile(3*piece-5, large)},
		"meta version", 2, "name", "dir", "piece length", piece,
	}
}

func v2Layers() dict {
	root, layer := blocksRoot(3, 2)
	return dict{root, layer}
}

func hybridTree() dict {
	return v2Tree().with(
		"files", list{file(100, "a", "b"), pad(piece - 100), file(3*piece-5, "c")},
		"pieces", hashes(4))
}

func sums(info []byte) ([20]byte, [32]byte) { return sha1.Sum(info), sha256.Sum256(info) }

func mustParse(t interface{ Fatalf(string, ...any) }, b []byte) *Metainfo {
	m, err := Parse(b)
	if err != nil {
		t.Fatalf("%.200q: %v", b, err)
	}
	if !bytes.Equal(m.Bytes(), b) {
		t.Fatalf("Bytes are not those that were parsed")
	}
	return m
}
