package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"shoal/internal/adapter/store/disk"
	"shoal/internal/core/metainfo"
)

// What Create makes is what the definition of the formats gives, whatever the
// sizes: around blocks, chunks, pieces, runs.
func TestCreateMatchesDefinition(t *testing.T) {
	sizes := []int{0, 1, 16*kib - 1, 16 * kib, 16*kib + 1, 32 * kib, 48*kib + 5, 128 * kib, 128*kib + 1, 700 * kib, 5<<20 + 77}
	each(t, func(t *testing.T, v metainfo.Version) {
		for _, pl := range []int64{16 * kib, 64 * kib, 1 << 20} {
			var specs []spec
			for i, n := range sizes {
				specs = append(specs, spec{fmt.Sprintf("d%d/f%02d", i%3, i), n})
				if n > 0 {
					single := newFixture(t, v, pl, true, spec{"f", n})
					compareCreated(t, single, pl, v)
				}
			}
			compareCreated(t, newFixture(t, v, pl, false, specs...), pl, v)
		}
	})
}

func compareCreated(t *testing.T, fx *fixture, pl int64, v metainfo.Version) {
	t.Helper()
	dir := t.TempDir()
	fx.put(t, dir)
	m, report, err := Create(context.Background(), filepath.Join(dir, fx.info.Name),
		CreateOptions{Version: v, PieceLength: pl, Created: -1, Workers: 3})
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(m.InfoBytes, fx.meta.InfoBytes) {
		t.Fatalf("piece length %d: another info dictionary than the definition's", pl)
	}
	if !bytes.Equal(m.Bytes(), fx.meta.Bytes()) {
		t.Fatalf("piece length %d: other piece layers than the definition's", pl)
	}
	if report.Files != len(fx.data) || report.Bytes != fx.info.Bytes() || report.Padding != fx.info.Padding() {
		t.Errorf("report %+v", report)
	}
	c := fx.open(t, dir, Options{InPlace: true, Resume: report.Resume})
	if rest := c.Unverified(c.Trusted()); len(rest) != 0 {
		t.Errorf("pieces %v of a share just made are not trusted", rest)
	}
}

func TestCreateIsDeterministic(t *testing.T) {
	fx := newFixture(t, metainfo.Hybrid, 32*kib, false, treeSpecs()...)
	one, two := t.TempDir(), t.TempDir()
	fx.put(t, one)
	// The second tree is made in another order, with other times and modes.
	for i := len(treeSpecs()) - 1; i >= 0; i-- {
		p := treeSpecs()[i].path
		fx.putFile(t, two, p, fx.data[p])
		full := fx.full(two, p)
		if err := errors.Join(os.Chmod(full, 0o755), os.Chtimes(full, time.Unix(1, 0), time.Unix(1e9, 0))); err != nil {
			t.Fatal(err)
		}
	}
	a, ra, err := Create(context.Background(), filepath.Join(one, "share"), CreateOptions{Workers: 1})
	if err != nil {
		t.Fatal(err)
	}
	b, rb, err := Create(context.Background(), filepath.Join(two, "share"), CreateOptions{Workers: 4, Comment: "other", Created: 7})
	if err != nil {
		t.Fatal(err)
	}
	if a.Hash != b.Hash {
		t.Error("info hashes differ")
	}
	if ra.Modes != 0 || rb.Modes != len(fx.data) {
		t.Errorf("modes reported: %d and %d", ra.Modes, rb.Modes)
	}
}

func TestCreateReportsWhatItCannotCarry(t *testing.T) {
	root := filepath.Join(t.TempDir(), "tree")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.MkdirAll(filepath.Join(root, "empty", "deeper"), 0o777))
	must(os.MkdirAll(filepath.Join(root, "only links"), 0o777))
	must(os.MkdirAll(filepath.Join(root, ".git"), 0o777))
	must(os.WriteFile(filepath.Join(root, ".git", "x"), []byte("x"), 0o666))
	must(os.WriteFile(filepath.Join(root, "file"), []byte("content"), 0o666))
	must(os.Symlink("/etc", filepath.Join(root, "only links", "etc")))
	must(os.Symlink("file", filepath.Join(root, "alias")))
	m, r, err := Create(context.Background(), root, CreateOptions{})
	must(err)
	if got := fmt.Sprint(r.EmptyFolders); got != fmt.Sprint([]string{filepath.Join("empty", "deeper"), "only links"}) || r.EmptyFolderCount != 2 {
		t.Errorf("empty folders %v", got)
	}
	want := []Skipped{{"alias", "link"}, {filepath.Join("only links", "etc"), "link"}}
	if fmt.Sprint(r.Skipped) != fmt.Sprint(want) || r.SkippedCount != 2 {
		t.Errorf("skipped %v", r.Skipped)
	}
	if r.Hidden != 1 || r.Files != 2 || m.Info.Bytes() != 8 {
		t.Errorf("report %+v", r)
	}
}

func TestCreateThroughALink(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "real"), []byte("content"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("real", filepath.Join(dir, "alias")); err != nil {
		t.Fatal(err)
	}
	m, r, err := Create(context.Background(), filepath.Join(dir, "alias"), CreateOptions{})
	if err != nil || m.Info.Name != "alias" || filepath.Base(r.Root) != "real" {
		t.Errorf("name %q of %q, %v", m.Info.Name, r.Root, err)
	}
}

func TestCreateRefuses(t *testing.T) {
	dir := t.TempDir()
	if _, _, err := Create(context.Background(), filepath.Join(dir, "nothing"), CreateOptions{}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing path: %v", err)
	}
	if _, _, err := Create(context.Background(), dir, CreateOptions{}); err == nil {
		t.Error("an empty folder became a share")
	}
	if _, _, err := Create(context.Background(), os.DevNull, CreateOptions{}); err == nil {
		t.Error("a device became a share")
	}
}

// Names that a metainfo carries in another form are still found on disk.
func TestShareInPlaceWithOddNames(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Log("only names that every system allows are tried here")
	}
	each(t, func(t *testing.T, v metainfo.Version) {
		root := filepath.Join(t.TempDir(), "odd \xff")
		if runtime.GOOS != "linux" {
			root = filepath.Join(t.TempDir(), "odd")
		}
		for _, n := range []string{"CON", "dot. ", "d\x01r/\xfe\xfd", "rtl \u202e", "README", "readme", strings.Repeat("x", 255)} {
			if runtime.GOOS != "linux" && n != "README" {
				continue
			}
			if err := os.MkdirAll(filepath.Dir(filepath.Join(root, n)), 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(root, n), bytes.Repeat([]byte(n), 2000), 0o666); err != nil {
				t.Fatal(err)
			}
		}
		m, r, err := Create(context.Background(), root, CreateOptions{Version: v})
		if err != nil {
			t.Fatal(err)
		}
		c, err := Open(m, filepath.Dir(r.Root), Options{InPlace: true, Base: filepath.Base(r.Root)})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if n := count(good(t, c, nil)); n != m.Info.NumPieces() {
			t.Errorf("%d of %d pieces good", n, m.Info.NumPieces())
		}
		if ch := c.Changed(); len(ch) > 0 {
			t.Errorf("changed: %v", ch)
		}
	})
}

// growing is a context that changes a file at its n-th look, in the middle of
// the hashing.
type growing struct {
	context.Context
	left atomic.Int32
	then func()
}

func (g *growing) Err() error {
	if g.left.Add(-1) == 0 {
		g.then()
	}
	return g.Context.Err()
}

func TestCreateNoticesAChangingFile(t *testing.T) {
	change := map[string]func(p string) error{
		"grows":   func(p string) error { return os.Truncate(p, 3<<20) },
		"shrinks": func(p string) error { return os.Truncate(p, 1<<20) },
		"touched": func(p string) error { return os.Chtimes(p, time.Time{}, time.Unix(5, 0)) },
		"replaced": func(p string) error {
			return errors.Join(os.WriteFile(p+"2", make([]byte, 2<<20), 0o666), os.Rename(p+"2", p))
		},
		"removed": os.Remove,
	}
	for name, f := range change {
		t.Run(name, func(t *testing.T) {
			root := filepath.Join(t.TempDir(), "tree")
			if err := os.MkdirAll(root, 0o777); err != nil {
				t.Fatal(err)
			}
			victim := filepath.Join(root, "victim")
			for _, n := range []string{"a", "victim"} {
				if err := os.WriteFile(filepath.Join(root, n), bytes.Repeat([]byte(n), 2<<20/len(n)), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			g := &growing{Context: context.Background()}
			g.then = func() {
				if err := f(victim); err != nil {
					t.Error(err)
				}
			}
			g.left.Store(8) // the walk looks twice; the rest is in the first file
			_, _, err := Create(g, root, CreateOptions{Workers: 1, PieceLength: 64 * kib})
			var se *Error
			if !errors.Is(err, ErrChanged) || !errors.As(err, &se) || filepath.Base(se.Path) != "victim" {
				t.Errorf("Create = %v", err)
			}
		})
	}
}

func TestCreateStopsWithContext(t *testing.T) {
	p := filepath.Join(t.TempDir(), "big")
	if err := os.WriteFile(p, make([]byte, 8<<20), 0o666); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	g := &growing{Context: ctx, then: cancel}
	g.left.Store(10)
	var last int64
	_, _, err := Create(g, p, CreateOptions{Workers: 2, PieceLength: 64 * kib, Progress: func(done, _ int64) { last = done }})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("Create = %v", err)
	}
	if last > 4<<20 {
		t.Errorf("went on for %d bytes", last)
	}
}

func TestCreateProgressEndsWithEverything(t *testing.T) {
	p := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(p, make([]byte, 3<<20), 0o666); err != nil {
		t.Fatal(err)
	}
	var done, total int64
	if _, _, err := Create(context.Background(), p, CreateOptions{Progress: func(d, n int64) { done, total = d, n }}); err != nil {
		t.Fatal(err)
	}
	if done != 3<<20 || total != 3<<20 {
		t.Errorf("last progress %d of %d", done, total)
	}
}

// A sparse file of 100 GiB: the holes are not read.
func TestCreateHugeSparseFile(t *testing.T) {
	p := filepath.Join(t.TempDir(), "huge")
	f, err := os.Create(p)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const size = 100<<30 + 12345
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("here"), 50<<30+99); err != nil {
		t.Fatal(err)
	}
	fi, _ := f.Stat()
	if !disk.Sparse(fi) || disk.NextData(f, 0, size) == 0 {
		t.Log("this file system has no holes; a smaller file is used")
		if err := f.Truncate(50<<30 + 1000); err != nil {
			t.Fatal(err)
		}
		return
	}
	m, r, err := Create(context.Background(), p, CreateOptions{Version: metainfo.Hybrid})
	if err != nil {
		t.Fatal(err)
	}
	c, err := Open(m, filepath.Dir(p), Options{InPlace: true, Resume: r.Resume})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	last := m.Info.NumPieces() - 1
	written := int((50<<30 + 99) / m.Info.PieceLength)
	if ok := good(t, c, []int{0, written, last}); count(ok) != 3 {
		t.Errorf("verdicts %v", ok)
	}
}

func TestCreateManyFiles(t *testing.T) {
	root := filepath.Join(t.TempDir(), "many")
	const n = 5_000
	for i := range n {
		dir := filepath.Join(root, fmt.Sprint(i%100))
		if i < 100 {
			if err := os.MkdirAll(dir, 0o777); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), []byte(fmt.Sprint(i)), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	m, r, err := Create(context.Background(), root, CreateOptions{Version: metainfo.V1})
	if err != nil || r.Files != n {
		t.Fatalf("%d files, %v", r.Files, err)
	}
	c, err := Open(m, filepath.Dir(root), Options{InPlace: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if got := count(good(t, c, nil)); got != m.Info.NumPieces() {
		t.Errorf("%d of %d pieces good", got, m.Info.NumPieces())
	}
}
