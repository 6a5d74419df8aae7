package store

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"shoal/internal/core/metainfo"
)

const kib = 1 << 10

func treeSpecs() []spec {
	return []spec{
		{"a/big", 300*kib + 17}, {"a/empty", 0}, {"b/c/d/small", 5}, {"b/mid", 64 * kib}, {"one", 1}, {"z.part", 40 * kib}, {"z", 33 * kib},
	}
}

func TestFetchFolder(t *testing.T) {
	each(t, func(t *testing.T, v metainfo.Version) {
		fx := newFixture(t, v, 64*kib, false, treeSpecs()...)
		dir := t.TempDir()
		c := fx.open(t, dir, Options{})
		if err := c.Prepare(); err != nil {
			t.Fatal(err)
		}
		order := rand.New(rand.NewPCG(3, 3)).Perm(fx.info.NumPieces())
		for n, p := range order {
			fx.fetch(t, c, p)
			if n == len(order)/2 {
				c.Release() // descriptors may go at any time
			}
		}
		if _, err := os.Stat(fx.full(dir, "a/big")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("NAME exists before Finish: %v", err)
		}
		if n := count(good(t, c, nil)); n != fx.info.NumPieces() {
			t.Fatalf("%d of %d pieces good", n, fx.info.NumPieces())
		}
		finishAll(t, c)
		if err := c.Sync(context.Background()); err != nil {
			t.Fatal(err)
		}
		fx.check(t, dir)
		noParts(t, dir)
		for p := range fx.info.NumPieces() {
			got := make([]byte, fx.info.PieceSize(p))
			if err := c.ReadVec([][]byte{got[:1], got[1:]}, p, 0); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, fx.piece(p)) {
				t.Errorf("piece %d reads differently", p)
			}
		}
		if ch := c.Changed(); len(ch) != 0 {
			t.Errorf("Changed() = %v after our own writes", ch)
		}
	})
}

// noParts fails if any name beneath dir ends in .part and is not of the share.
func noParts(t *testing.T, dir string) {
	t.Helper()
	_ = filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if filepath.Ext(p) == ".part" && e.Name() != "z.part" {
			t.Errorf("left behind: %s", p)
		}
		return err
	})
}

func TestFetchSingle(t *testing.T) {
	each(t, func(t *testing.T, v metainfo.Version) {
		fx := newFixture(t, v, 32*kib, true, spec{"film.bin", 100*kib + 3})
		dir := t.TempDir()
		c := fx.open(t, dir, Options{})
		fx.fetch(t, c, 1)
		fi, err := os.Stat(filepath.Join(dir, "film.bin.part"))
		if err != nil || fi.Size() != 100*kib+3 {
			t.Fatalf("NAME.part: %v, %v", fi, err)
		}
		fx.fetchAll(t, c)
		if err := c.Finish(0); err != nil {
			t.Fatal(err)
		}
		if err := c.Finish(0); err != nil {
			t.Errorf("finishing twice: %v", err)
		}
		fx.check(t, dir)
		noParts(t, dir)
	})
}

func TestAdoptWhatIsInPlace(t *testing.T) {
	each(t, func(t *testing.T, v metainfo.Version) {
		fx := newFixture(t, v, 64*kib, false, treeSpecs()...)
		dir := t.TempDir()
		fx.put(t, dir)
		c := fx.open(t, dir, Options{})
		if n := count(good(t, c, nil)); n != fx.info.NumPieces() {
			t.Fatalf("%d of %d pieces good", n, fx.info.NumPieces())
		}
		if list := c.Conflicts(); len(list) != 0 {
			t.Errorf("conflicts: %v", list)
		}
		// What lay there before is not what get wrote.
		kept, err := c.Remove()
		if err != nil || len(kept) != len(fx.data) {
			t.Errorf("kept %d of %d files, %v", len(kept), len(fx.data), err)
		}
		fx.check(t, dir)
	})
}

func TestAnotherFileIsNeverOverwritten(t *testing.T) {
	foreign := map[string]func(want []byte) []byte{
		"another length": func([]byte) []byte { return []byte("mine") },
		"same length":    func(w []byte) []byte { return bytes.Repeat([]byte{7}, len(w)) },
	}
	for name, make := range foreign {
		t.Run(name, func(t *testing.T) {
			each(t, func(t *testing.T, v metainfo.Version) {
				fx := newFixture(t, v, 64*kib, false, treeSpecs()...)
				dir := t.TempDir()
				mine := make(fx.data["b/mid"])
				fx.putFile(t, dir, "b/mid", mine)
				c := fx.open(t, dir, Options{})
				good(t, c, nil)
				list := c.Conflicts()
				// In v1 the file shares its pieces with files that are not
				// there: then it is found out when it would be written.
				if len(list) == 1 && list[0].Path != fx.full(dir, "b/mid") || len(list) > 1 {
					t.Errorf("conflicts: %v", list)
				}
				if len(list) == 0 && (v != metainfo.V1 || len(mine) == 4) {
					t.Error("no conflict reported")
				}
				var err error
				first, end := fx.info.FilePieces(fx.index(t, "b/mid"))
				for p := first; p < end && err == nil; p++ {
					err = c.WriteVec(blocks(fx.piece(p)), p, 0)
				}
				var se *Error
				if !errors.Is(err, ErrExists) || !errors.As(err, &se) || se.Path != fx.full(dir, "b/mid") {
					t.Errorf("writing over it: %v", err)
				}
				if got, _ := os.ReadFile(fx.full(dir, "b/mid")); !bytes.Equal(got, mine) {
					t.Error("the person's file was changed")
				}
			})
		})
	}
}

func TestFinishDoesNotReplace(t *testing.T) {
	fx := newFixture(t, metainfo.V1, 32*kib, true, spec{"f", 50 * kib})
	dir := t.TempDir()
	c := fx.open(t, dir, Options{})
	fx.fetchAll(t, c)
	if err := os.WriteFile(filepath.Join(dir, "f"), []byte("came later"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := c.Finish(0); !errors.Is(err, ErrExists) {
		t.Errorf("Finish = %v, want ErrExists", err)
	}
	if b, _ := os.ReadFile(filepath.Join(dir, "f")); string(b) != "came later" {
		t.Error("the other file was replaced")
	}
	if err := os.Remove(filepath.Join(dir, "f")); err != nil {
		t.Fatal(err)
	}
	if err := c.Finish(0); err != nil {
		t.Errorf("after the way is free: %v", err)
	}
	fx.check(t, dir)
}

// An equal file that shares a piece with a missing one is adopted: writing the
// piece compares its part and changes nothing.
func TestWriteOverEqualFile(t *testing.T) {
	fx := newFixture(t, metainfo.V1, 64*kib, false, spec{"a", 100 * kib}, spec{"b", 100 * kib})
	dir := t.TempDir()
	fx.putFile(t, dir, "a", fx.data["a"])
	before, _ := os.Stat(fx.full(dir, "a"))
	c := fx.open(t, dir, Options{})
	ok := good(t, c, nil)
	if !ok[0] || ok[1] || len(c.Conflicts()) != 0 {
		t.Fatalf("verdicts %v, conflicts %v", ok, c.Conflicts())
	}
	for p := 1; p < fx.info.NumPieces(); p++ {
		fx.fetch(t, c, p)
	}
	finishAll(t, c)
	fx.check(t, dir)
	if after, _ := os.Stat(fx.full(dir, "a")); !after.ModTime().Equal(before.ModTime()) {
		t.Error("the adopted file was written to")
	}
}

func TestInPlaceIsNeverWritten(t *testing.T) {
	fx := newFixture(t, metainfo.Hybrid, 32*kib, false, treeSpecs()...)
	dir := t.TempDir()
	fx.put(t, dir)
	c := fx.open(t, dir, Options{InPlace: true})
	if err := c.WriteVec(blocks(make([]byte, 10)), 0, 0); !errors.Is(err, ErrReadOnly) {
		t.Errorf("write: %v", err)
	}
	if kept, err := c.Remove(); !errors.Is(err, ErrReadOnly) || kept != nil {
		t.Errorf("remove: %v", err)
	}
	fx.check(t, dir)
}

func TestInPlaceUnderAnotherName(t *testing.T) {
	fx := newFixture(t, metainfo.V2, 32*kib, true, spec{"f", 90 * kib})
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "disk name"), fx.data["f"], 0o666); err != nil {
		t.Fatal(err)
	}
	c := fx.open(t, dir, Options{InPlace: true, Base: "disk name"})
	if n := count(good(t, c, nil)); n != 3 {
		t.Errorf("%d pieces good", n)
	}
}

func TestBoundaryBytesOfUnselectedFiles(t *testing.T) {
	fx := newFixture(t, metainfo.V1, 64*kib, false, spec{"a", 100 * kib}, spec{"b", 100 * kib}, spec{"c", 100 * kib})
	dir, home := t.TempDir(), t.TempDir()
	b := fx.index(t, "b")
	o := Options{Wanted: func(f int) bool { return f != b }, Parts: filepath.Join(home, "parts", "x")}
	c := fx.open(t, dir, o)
	for p := range fx.info.NumPieces() {
		if p != 2 { // wholly inside b
			fx.fetch(t, c, p)
		}
	}
	ok := good(t, c, nil)
	if count(ok) != 4 || ok[2] {
		t.Fatalf("good: %v", ok)
	}
	finishAll(t, c)
	if _, err := os.Lstat(fx.full(dir, "b")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("an unselected file was made")
	}
	if _, err := os.Lstat(fx.full(dir, "b.part")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("an unselected .part was made")
	}
	// Later it is selected: only the missing piece has to come.
	if err := c.SetWanted(b, true); err != nil {
		t.Fatal(err)
	}
	if n := count(good(t, c, nil)); n != 4 {
		t.Fatalf("%d good pieces after selecting", n)
	}
	fx.fetch(t, c, 2)
	if err := c.Finish(b); err != nil {
		t.Fatal(err)
	}
	fx.check(t, dir)
	if kept, err := c.Remove(); err != nil || len(kept) != 0 {
		t.Errorf("Remove kept %v, %v", kept, err)
	}
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left after Remove: %v", left)
	}
	if _, err := os.Stat(o.Parts); !errors.Is(err, fs.ErrNotExist) {
		t.Error("the home's parts were left")
	}
}

func TestRangesOutsideThePiece(t *testing.T) {
	fx := newFixture(t, metainfo.Hybrid, 32*kib, false, treeSpecs()...)
	c := fx.open(t, t.TempDir(), Options{})
	last := fx.info.NumPieces() - 1
	for _, r := range []struct{ piece, begin, n int }{
		{-1, 0, 1}, {0, -1, 1}, {0, 32 * kib, 1}, {0, 1, 32 * kib}, {last, fx.info.PieceSize(last), 1}, {last + 1, 0, 1}, {1 << 30, 0, 1},
	} {
		if err := c.ReadAt(make([]byte, r.n), r.piece, r.begin); !errors.Is(err, ErrRange) {
			t.Errorf("read %+v: %v", r, err)
		}
		if err := c.WriteVec([][]byte{make([]byte, r.n)}, r.piece, r.begin); !errors.Is(err, ErrRange) {
			t.Errorf("write %+v: %v", r, err)
		}
	}
	if list, _ := os.ReadDir(c.dir); len(list) != 0 {
		t.Errorf("files were made: %v", list)
	}
}

func TestManyFilesFewHandles(t *testing.T) {
	var specs []spec
	for i := range 300 {
		specs = append(specs, spec{string(rune('a'+i%26)) + "/" + string(rune('0'+i%10)) + string(rune('a'+i/10)), 3*kib + i})
	}
	fx := newFixture(t, metainfo.V1, 64*kib, false, specs...)
	dir := t.TempDir()
	hs := NewHandles(8)
	c := fx.open(t, dir, Options{Handles: hs})
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for p := w; p < fx.info.NumPieces(); p += 4 {
				if err := c.WriteVec(blocks(fx.piece(p)), p, 0); err != nil {
					t.Errorf("piece %d: %v", p, err)
				}
			}
		})
	}
	wg.Wait()
	if n := hs.Open(); n > 8 {
		t.Errorf("%d files kept open", n)
	}
	if n := count(good(t, c, nil)); n != fx.info.NumPieces() {
		t.Fatalf("%d of %d pieces good", n, fx.info.NumPieces())
	}
	finishAll(t, c)
	if err := c.Sync(context.Background()); err != nil {
		t.Fatal(err)
	}
	fx.check(t, dir)
	c.Release()
	if n := hs.Open(); n != 0 {
		t.Errorf("%d files open after Release", n)
	}
}

func TestClosed(t *testing.T) {
	fx := newFixture(t, metainfo.V2, 32*kib, true, spec{"f", 50 * kib})
	c := fx.open(t, t.TempDir(), Options{})
	fx.fetch(t, c, 0)
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.WriteVec(blocks(fx.piece(1)), 1, 0); !errors.Is(err, ErrClosed) {
		t.Errorf("write after Close: %v", err)
	}
	if err := c.ReadAt(make([]byte, 5), 0, 0); !errors.Is(err, ErrClosed) {
		t.Errorf("read after Close: %v", err)
	}
}

func TestPartNames(t *testing.T) {
	long := string(bytes.Repeat([]byte("é"), 127)) // 254 bytes
	fx := newFixture(t, metainfo.V1, 32*kib, false, spec{"f", 9}, spec{"F.part", 9}, spec{"f.PART.part", 9}, spec{long, 40 * kib})
	dir := t.TempDir()
	c := fx.open(t, dir, Options{})
	fx.fetchAll(t, c)
	finishAll(t, c)
	fx.check(t, dir)
}

// However a share names its files, no two have one name on their way, and none that of
// another file.
func TestPartNamesAreTheirOwn(t *testing.T) {
	long := strings.Repeat("x", 255)
	cut := long[:255-len("~1.0.part")]
	specs := []spec{{"a", 9}, {"a.part", 9}, {"a~0.0", 9}, {"a~0.1.part", 9}, {"d/a~0.0", 9}, {long, 9}, {cut + "~5.0", 9}, {cut + "~6.0", 9}, {cut + "~4.0", 9}}
	fx := newFixture(t, metainfo.V1, 32*kib, false, specs...)
	c := fx.open(t, t.TempDir(), Options{})
	seen := make(map[string]bool)
	for i := range fx.info.Files {
		folders, name := c.path(i)
		part := strings.Join(append(folders, c.partName(i, name)), "/")
		if seen[part] || len(c.partName(i, name)) > 255 {
			t.Errorf("%.40q…: %.40q… is not its own", name, part)
		}
		seen[part] = true
	}
	for i := range fx.info.Files {
		folders, name := c.path(i)
		if seen[strings.Join(append(folders, name), "/")] {
			t.Errorf("%.40q… is the name of a file and of one on its way", name)
		}
	}
}

// What is in the way is named as it is called: a person has to find it.
func TestAlienPartIsNamed(t *testing.T) {
	for name, single := range map[string]bool{"alone": true, "in a folder": false} {
		fx := newFixture(t, metainfo.V1, 32*kib, single, spec{"f", 50 * kib})
		dir := t.TempDir()
		alien := fx.full(dir, "f.part")
		fx.putFile(t, dir, "f.part", []byte("of a browser"))
		c := fx.open(t, dir, Options{})
		if list := c.Conflicts(); len(list) != 1 || list[0].Path != alien {
			t.Errorf("%s: conflicts %v", name, list)
		}
		for _, err := range []error{c.WriteVec(blocks(fx.piece(0)), 0, 0), c.Finish(0)} {
			var se *Error
			if !errors.Is(err, ErrExists) || !errors.As(err, &se) || se.Path != alien {
				t.Errorf("%s: %v", name, err)
			}
		}
		if b, _ := os.ReadFile(alien); string(b) != "of a browser" {
			t.Error("it was changed")
		}
	}
}
