package metainfo

import (
	"bytes"
	"encoding/hex"
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// goldens are shares whose .torrent files are in testdata. libtorrent 2.0.8 gives the same info hashes for the same
// files and options: testdata/compare.py asks it.
var goldens = []struct {
	file        string
	name        string
	contents    []content
	version     Version
	pieceLength int
	v1, v2      string
}{
	{"single-v1", "one.bin", []content{{[]string{"one.bin"}, sample(150_000, 7)}}, V1, 32 << 10,
		"20ad5ec4a4bacb32794cc8ce2888b69701522402",
		""},
	{"single-v2", "one.bin", []content{{[]string{"one.bin"}, sample(150_000, 7)}}, V2, 32 << 10,
		"",
		"668e3b1be007119393516d4b527f15e7218b4f53fb1edecc8f13b2a6f1aedf75"},
	{"single-hybrid", "one.bin", []content{{[]string{"one.bin"}, sample(150_000, 7)}}, Hybrid, 32 << 10,
		"056e681fe128cbf921fac87d175dfd9316b7f3df",
		"b96d3e1b82a0bf6c6879a671a3774d08bdec7ff570dc4f1a438dd66e3862518a"},
	{"small-hybrid", "tiny", []content{{[]string{"tiny"}, sample(5, 8)}}, Hybrid, 16 << 10,
		"be85533a6b0506ba0657ae471d3fc48b63e7fc63",
		"294bd1d376d363d3f8927a8ca154cc81dd6e468f7d91c919972147fbdf3dc473"},
	{"tree-v1", "tree", tree(), V1, 16 << 10,
		"b141f0e108af9d23dfc6b080a517c91e058db0aa",
		""},
	{"tree-v2", "tree", tree(), V2, 16 << 10,
		"",
		"6f9eac4ea5e14fd16484df5141f468f025e14958840839bd973c514b3c92c74e"},
	{"tree-hybrid", "tree", tree(), Hybrid, 16 << 10,
		"4e7780d19d537d5d9458a426397383b0a539a041",
		"43ff6ffa983079347e40d09b13843e5a2c9a5d14e8b560c2ae3a3115d22f5274"},
	{"tree-hybrid-64k", "tree", tree(), Hybrid, 64 << 10,
		"44a75682efdb5e08c96631210810c55bb4234093",
		"39faae78f056313a21dd33efd0b4f5e6dde24c870ea63059ad1dfceb465c300f"},
}

func TestGoldenFiles(t *testing.T) {
	for _, g := range goldens {
		t.Run(g.file, func(t *testing.T) {
			m := share(t, g.name, g.contents, g.version, g.pieceLength)
			file := filepath.Join("testdata", g.file+".torrent")
			if *update {
				if err := os.WriteFile(file, m.Bytes(), 0o644); err != nil {
					t.Fatal(err)
				}
				t.Logf("%s v1 %x v2 %x", g.file, m.Hash.V1, m.Hash.V2)
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(m.Bytes(), want) {
				t.Errorf("the .torrent is not that of %s", file)
			}
			if got := hex.EncodeToString(m.Hash.V1[:]); m.Hash.HasV1() && got != g.v1 {
				t.Errorf("v1 info hash %s, want %s", got, g.v1)
			}
			if got := hex.EncodeToString(m.Hash.V2[:]); m.Hash.HasV2() && got != g.v2 {
				t.Errorf("v2 info hash %s, want %s", got, g.v2)
			}
		})
	}
}

func golden(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".torrent"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
