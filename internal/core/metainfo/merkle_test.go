package metainfo

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"testing"
)

func numbered32(n int) (leaves [][32]byte) {
	for k := range n {
		leaves = append(leaves, sha256.Sum256([]byte{byte(k), byte(k >> 8)}))
	}
	return leaves
}

func TestMerkleRoot(t *testing.T) {
	for n := range 40 {
		leaves := numbered32(n)
		for width := 1; width <= 128; width *= 2 {
			if width < n {
				continue
			}
			if got, want := MerkleRoot(leaves, width), plainRoot(leaves, width); got != want {
				t.Errorf("%d leaves of %d: %x, want %x", n, width, got, want)
			}
		}
	}
	leaves := numbered32(5)
	if MerkleRoot(leaves, 0) != plainRoot(leaves, 8) || MerkleRoot(leaves, 3) != plainRoot(leaves, 8) || MerkleRoot(leaves, 9) != plainRoot(leaves, 16) {
		t.Error("a width that cannot be is not rounded up")
	}
	if n := testing.AllocsPerRun(10, func() { MerkleRoot(leaves, 16) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BEP 52: leaves beyond the end are zero, and so are subtrees made of them.
func TestPadHash(t *testing.T) {
	if PadHash(0) != [32]byte{} || PadHash(1) != sha256.Sum256(make([]byte, 64)) {
		t.Error("the first levels are wrong")
	}
	for level := range 8 {
		if PadHash(level) != plainRoot(nil, 1<<level) {
			t.Errorf("level %d", level)
		}
	}
	if PadHash(-1) != PadHash(0) || PadHash(1000) != PadHash(maxLevels) {
		t.Error("a level that no tree has")
	}
}

func TestLeafHash(t *testing.T) {
	if LeafHash([]byte("abc")) != sha256.Sum256([]byte("abc")) {
		t.Error("a leaf is the SHA-256 of its block")
	}
}

// plainTree returns all layers of a file's tree, leaves first.
func plainTree(leaves [][32]byte) [][][32]byte {
	width := 1
	for width < len(leaves) {
		width *= 2
	}
	layers := [][][32]byte{append(append([][32]byte{}, leaves...), make([][32]byte, width-len(leaves))...)}
	for len(layers[len(layers)-1]) > 1 {
		below := layers[len(layers)-1]
		var up [][32]byte
		for k := 0; k < len(below); k += 2 {
			up = append(up, plainRoot(below[k:k+2], 2))
		}
		layers = append(layers, up)
	}
	return layers
}

// plainAnswer is BEP 52's text: the hashes, then an uncle for each proof layer that the hashes do not make up.
func plainAnswer(layers [][][32]byte, r HashRange) [][32]byte {
	out := append([][32]byte{}, layers[r.Base][r.Index:r.Index+r.Length]...)
	omitted := 0
	for n := r.Length; n > 2; n /= 2 {
		omitted++
	}
	for k := omitted; k < r.ProofLayers; k++ {
		level := r.Base + 1 + k
		out = append(out, layers[level][r.Index>>(1+k)^1])
	}
	return out
}

// TestHashRequests asks for everything that can be asked for of small trees and compares with a plain tree.
func TestHashRequests(t *testing.T) {
	for _, c := range []struct{ blocks, pieceBlocks int }{{1, 1}, {2, 1}, {3, 1}, {3, 4}, {4, 4}, {5, 4}, {13, 1}, {13, 2}, {37, 4}, {64, 16}} {
		t.Run(fmt.Sprintf("%d blocks in pieces of %d", c.blocks, c.pieceBlocks), func(t *testing.T) {
			data := sample(c.blocks*BlockSize-7, 3)
			m := share(t, "x", []content{{[]string{"x"}, data}}, V2, c.pieceBlocks*BlockSize)
			leaves := leavesOf(data)
			layers := plainTree(leaves)
			height := len(layers) - 1
			if m.Info.TreeHeight(0) != height || layers[height][0] != m.Info.Files[0].Root {
				t.Fatalf("height %d, want %d", m.Info.TreeHeight(0), height)
			}
			tree, err := m.HashTree(0)
			if err != nil {
				t.Fatal(err)
			}
			for base := range height {
				for length := 2; length <= 1<<(height-base); length *= 2 {
					for index := 0; index < 1<<(height-base); index += length {
						for proofs := range height - base {
							r := HashRange{base, index, length, proofs}
							checkAnswer(t, tree, layers, leaves, r)
						}
					}
				}
			}
		})
	}
}

func checkAnswer(t *testing.T, tree *HashTree, layers [][][32]byte, leaves [][32]byte, r HashRange) {
	t.Helper()
	height, root := len(layers)-1, layers[len(layers)-1][0]
	first, end := tree.LeafSpan(r)
	var need [][32]byte
	if end > first {
		need = leaves[min(first, len(leaves)):min(end, len(leaves))]
	}
	got, err := tree.Answer(nil, r, need)
	if r.Base != 0 && r.Base != tree.level {
		if !errors.Is(err, ErrNoLayer) {
			t.Errorf("%+v: %v", r, err)
		}
		return
	}
	if len(need) == 0 && end > first {
		return // nothing but padding lies there: no peer needs it
	}
	want := plainAnswer(layers, r)
	if err != nil || !equalHashes(got, want) {
		t.Fatalf("%+v: %d hashes, want %d, or others; %v", r, len(got), len(want), err)
	}
	err = VerifyProof(root, height, r, got)
	if reaches := r.ProofLayers == height-r.Base-1 || 1<<(height-r.Base) == r.Length; reaches != (err == nil) {
		t.Errorf("%+v: verified: %v", r, err)
	}
	if err != nil {
		return
	}
	for n := range got {
		got[n][31] ^= 1
		if err := VerifyProof(root, height, r, got); !errors.Is(err, ErrLayer) {
			t.Errorf("%+v: hash %d is wrong, but: %v", r, n, err)
		}
		got[n][31] ^= 1
	}
	if VerifyProof(root, height, r, got[:len(got)-1]) == nil || VerifyProof(root, height, r, append(got, root)) == nil {
		t.Errorf("%+v: a hash less or more is accepted", r)
	}
}

func equalHashes(a, b [][32]byte) bool {
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

// libtorrent asks for one hash where a layer has one left over 512, and wants its sibling first among the uncles.
func TestOneHash(t *testing.T) {
	layers := plainTree(numbered32(5))
	tree := &HashTree{nodes: flat(layers[0][:5]), height: 3}
	r := HashRange{0, 4, 1, 2}
	got, err := tree.Answer(nil, r, nil)
	want := [][32]byte{layers[0][4], layers[0][5], layers[1][3], layers[2][0]}
	if err != nil || !equalHashes(got, want) || VerifyProof(layers[3][0], 3, r, got) != nil {
		t.Errorf("%x, %v", got, err)
	}
}

func flat(hashes [][32]byte) (b []byte) {
	for n := range hashes {
		b = append(b, hashes[n][:]...)
	}
	return b
}

func TestHashRangeRefused(t *testing.T) {
	for _, c := range []struct {
		height int
		r      HashRange
	}{
		{0, HashRange{0, 0, 1, 0}}, {-1, HashRange{0, 0, 2, 0}}, {99, HashRange{0, 0, 2, 0}},
		{4, HashRange{-1, 0, 2, 0}}, {4, HashRange{4, 0, 1, 0}}, {4, HashRange{0, 0, 0, 0}}, {4, HashRange{0, 0, -2, 0}},
		{4, HashRange{0, 0, 3, 0}}, {4, HashRange{0, 0, 32, 0}}, {4, HashRange{0, 1, 2, 0}}, {4, HashRange{0, -2, 2, 0}},
		{4, HashRange{0, 16, 2, 0}}, {4, HashRange{3, 2, 2, 0}}, {4, HashRange{0, 0, 2, 4}}, {4, HashRange{0, 0, 2, -1}},
		{30, HashRange{0, 0, 2 * maxRun, 0}}, {4, HashRange{0, 1<<32 - 2, 2, 0}},
	} {
		if _, _, err := c.r.Count(c.height); !errors.Is(err, ErrHashRange) {
			t.Errorf("%+v in a tree of %d: %v", c.r, c.height, err)
		}
		if err := VerifyProof([32]byte{}, c.height, c.r, make([][32]byte, 2)); !errors.Is(err, ErrHashRange) {
			t.Errorf("%+v in a tree of %d: verified: %v", c.r, c.height, err)
		}
		if _, err := (&HashTree{height: c.height}).Answer(nil, c.r, nil); !errors.Is(err, ErrHashRange) {
			t.Errorf("%+v in a tree of %d: answered: %v", c.r, c.height, err)
		}
	}
}

// TestLayerFetch moves a layer of more than two runs from one peer to another, last run first.
func TestLayerFetch(t *testing.T) {
	const blocks = 2*LayerRun + 1
	leaves := numbered32(blocks)
	layers := plainTree(leaves)
	root := layers[len(layers)-1][0]
	info := enc(dict{"file tree", dict{"x", treeFile(blocks*piece, string(root[:]))}, "meta version", 2, "name", "x", "piece length", piece})
	_, v2 := sums(info)
	have := mustParse(t, torrent(raw(info), dict{string(root[:]), string(flat(leaves))}))
	want, err := ParseInfo(info, InfoHash{V2: v2, Version: V2})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := want.HashTree(0); !errors.Is(err, ErrNoLayer) {
		t.Errorf("a tree without its layer: %v", err)
	}
	tree, err := have.HashTree(0)
	if err != nil {
		t.Fatal(err)
	}
	fetch := want.NewLayerFetch(0)
	if fetch.Runs() != 3 || fetch.Request(2) != (HashRange{0, 1024, 2, 10}) || fetch.Request(0) != (HashRange{0, 0, 512, 10}) {
		t.Fatalf("%d runs: %+v, %+v", fetch.Runs(), fetch.Request(0), fetch.Request(2))
	}
	for run := fetch.Runs() - 1; run >= 0; run-- {
		r := fetch.Request(run)
		answer, err := tree.Answer(nil, r, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer[1][0]++
		if err := fetch.Add(r, answer); !errors.Is(err, ErrLayer) {
			t.Errorf("run %d: a wrong answer: %v", run, err)
		}
		answer[1][0]--
		if fetch.Layer() != nil || fetch.Has(run) {
			t.Errorf("run %d is there before it came", run)
		}
		for range 2 { // the second time it is known already
			if err := fetch.Add(r, answer); err != nil || !fetch.Has(run) {
				t.Errorf("run %d: %v", run, err)
			}
		}
	}
	for _, r := range []HashRange{{0, 2, 2, 10}, {0, 1024, 2, 9}, {0, -512, 512, 10}, {0, 1536, 512, 10}} {
		if err := fetch.Add(r, nil); !errors.Is(err, ErrHashRange) {
			t.Errorf("%+v was not asked for: %v", r, err)
		}
	}
	if want, err = want.WithLayers([]FileLayer{{0, fetch.Layer()}}); err != nil {
		t.Fatal(err)
	}
	if string(want.Bytes()) != string(have.Bytes()) {
		t.Error("the .torrent is not the same in the end")
	}
}

// Leaves of one piece are proved against its hash, to find who sent a bad block.
func TestVerifyLeavesOfPiece(t *testing.T) {
	data := sample(11*BlockSize-1, 9)
	m := share(t, "x", []content{{[]string{"x"}, data}}, V2, 4*BlockSize)
	leaves := leavesOf(data)
	leaves = append(leaves, [32]byte{})
	for p := range m.Info.NumPieces() {
		root, _ := m.PieceV2(p)
		r := HashRange{0, 0, m.Info.PieceWidth(p), 1}
		if err := VerifyProof(root, 2, r, leaves[4*p:4*p+4]); err != nil {
			t.Errorf("piece %d: %v", p, err)
		}
	}
}
