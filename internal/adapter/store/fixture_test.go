package store

import (
	"bytes"
	"context"
	"crypto/sha1"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"shoal/internal/core/metainfo"
)

// fixture is a share whose bytes are known, with hashes computed straight from
// the definition: the oracle for everything that reads or creates shares.
type fixture struct {
	meta  *metainfo.Metainfo
	info  *metainfo.Info
	space []byte            // the whole piece space, pads as zeros
	data  map[string][]byte // by slash-joined path
}

// spec is one file: its path beneath the share and its length.
type spec struct {
	path string
	size int
}

// newFixture builds a share named "share" (or of the single file's name).
func newFixture(t testing.TB, v metainfo.Version, pieceLength int64, single bool, specs ...spec) *fixture {
	t.Helper()
	rng := rand.NewChaCha8([32]byte{byte(len(specs))})
	fx := &fixture{data: make(map[string][]byte)}
	var files []metainfo.BuildFile
	for _, s := range specs {
		b := make([]byte, s.size)
		_, _ = rng.Read(b) // never fails
		fx.data[s.path] = b
		files = append(files, metainfo.BuildFile{Path: strings.Split(s.path, "/"), Length: int64(s.size)})
	}
	name := "share"
	if single {
		name = specs[0].path
	}
	fx.build(t, name, single, files, v, pieceLength)
	return fx
}

func (fx *fixture) build(t testing.TB, name string, single bool, files []metainfo.BuildFile, v metainfo.Version, pieceLength int64) {
	t.Helper()
	info, err := metainfo.PlanLayout(name, single, files, v, pieceLength)
	if err != nil {
		t.Fatal(err)
	}
	fx.space = make([]byte, info.Span())
	for _, f := range info.Files {
		copy(fx.space[f.Offset:], fx.data[strings.Join(f.Path, "/")])
	}
	var v1 []byte
	if v&metainfo.V1 != 0 {
		for p := range info.NumPieces() {
			at := int64(p) * info.PieceLength
			sum := sha1.Sum(fx.space[at : at+int64(info.PieceSize(p))])
			v1 = append(v1, sum[:]...)
		}
	}
	if v&metainfo.V2 != 0 {
		for n := range files {
			files[n].Root, files[n].Layer = treeOf(fx.data[strings.Join(files[n].Path, "/")], info.PieceLength)
		}
	}
	fx.meta, err = (&metainfo.Build{Info: info, Files: files, V1Pieces: v1}).Metainfo()
	if err != nil {
		t.Fatal(err)
	}
	fx.info = fx.meta.Info
}

// treeOf computes a file's v2 root and piece layer level by level, as BEP 52
// describes it: leaves of 16 KiB, the missing ones zero.
func treeOf(b []byte, pieceLength int64) (root [32]byte, layer []byte) {
	if len(b) == 0 {
		return root, nil
	}
	var level [][32]byte
	for at := 0; at < len(b); at += 16 << 10 {
		level = append(level, metainfo.LeafHash(b[at:min(at+16<<10, len(b))]))
	}
	perPiece := int(pieceLength / (16 << 10))
	pieces := (len(level) + perPiece - 1) / perPiece
	width := 1
	for width < len(level) {
		width *= 2
	}
	level = append(level, make([][32]byte, width-len(level))...)
	for span := 1; len(level) > 1; span *= 2 {
		if span == perPiece && pieces > 1 {
			for _, h := range level[:pieces] {
				layer = append(layer, h[:]...)
			}
		}
		for i := range len(level) / 2 {
			level[i] = metainfo.LeafHash(append(bytes.Clone(level[2*i][:]), level[2*i+1][:]...))
		}
		level = level[:len(level)/2]
	}
	return level[0], layer
}

func (fx *fixture) piece(p int) []byte {
	at := int64(p) * fx.info.PieceLength
	return fx.space[at : at+int64(fx.info.PieceSize(p))]
}

// put lays the share's files beneath dir as a person would have them.
func (fx *fixture) put(t testing.TB, dir string) {
	t.Helper()
	for path, b := range fx.data {
		fx.putFile(t, dir, path, b)
	}
}

func (fx *fixture) putFile(t testing.TB, dir, path string, b []byte) {
	t.Helper()
	full := fx.full(dir, path)
	if err := os.MkdirAll(filepath.Dir(full), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(full, b, 0o666); err != nil {
		t.Fatal(err)
	}
}

func (fx *fixture) full(dir, path string) string {
	if fx.info.Single {
		return filepath.Join(dir, path)
	}
	return filepath.Join(dir, fx.info.Name, filepath.FromSlash(path))
}

// check compares what lies beneath dir with the share, file by file.
func (fx *fixture) check(t testing.TB, dir string) {
	t.Helper()
	for path, want := range fx.data {
		got, err := os.ReadFile(fx.full(dir, path))
		if err != nil {
			t.Error(err)
		} else if !bytes.Equal(got, want) {
			t.Errorf("%s differs from the share", path)
		}
	}
}

// index finds a file of the share.
func (fx *fixture) index(t testing.TB, path string) int {
	t.Helper()
	for i, f := range fx.info.Files {
		if !f.Pad && strings.Join(f.Path, "/") == path {
			return i
		}
	}
	t.Fatalf("no file %s", path)
	return -1
}

// open opens the content or fails the test, and closes it at the end.
func (fx *fixture) open(t testing.TB, dir string, o Options) *Content {
	t.Helper()
	c, err := Open(fx.meta, dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// fetch writes one piece in blocks of 16 KiB.
func (fx *fixture) fetch(t testing.TB, c *Content, p int) {
	t.Helper()
	if err := c.WriteVec(blocks(fx.piece(p)), p, 0); err != nil {
		t.Fatalf("piece %d: %v", p, err)
	}
}

func (fx *fixture) fetchAll(t testing.TB, c *Content) {
	t.Helper()
	for p := range fx.info.NumPieces() {
		fx.fetch(t, c, p)
	}
}

func finishAll(t testing.TB, c *Content) {
	t.Helper()
	for i := range c.info.Files {
		if err := c.Finish(i); err != nil {
			t.Fatal(err)
		}
	}
}

// blocks cuts b into new slices of 16 KiB.
func blocks(b []byte) [][]byte {
	var list [][]byte
	for len(b) > 0 {
		n := min(16<<10, len(b))
		list = append(list, bytes.Clone(b[:n]))
		b = b[n:]
	}
	return list
}

// good verifies and returns the pieces that are good.
func good(t testing.TB, c *Content, pieces []int) map[int]bool {
	t.Helper()
	ok := make(map[int]bool)
	err := c.Verify(context.Background(), pieces, 2, func(p int, v metainfo.Verdict) {
		if _, twice := ok[p]; twice {
			t.Errorf("piece %d reported twice", p)
		}
		ok[p] = v.OK()
	})
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

func count(m map[int]bool) (n int) {
	for _, ok := range m {
		if ok {
			n++
		}
	}
	return n
}

var versions = []metainfo.Version{metainfo.V1, metainfo.V2, metainfo.Hybrid}

// each runs a test for v1, v2 and hybrid.
func each(t *testing.T, f func(t *testing.T, v metainfo.Version)) {
	for _, v := range versions {
		t.Run(fmt.Sprint(v), func(t *testing.T) { f(t, v) })
	}
}
