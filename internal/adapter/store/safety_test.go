package store

import (
	"bytes"
	"context"
	"crypto/sha1"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"shoal/internal/adapter/store/disk"
	"shoal/internal/core/metainfo"
)

// outside is a folder with a file that no test may change.
func outside(t *testing.T) (dir, file string, check func()) {
	t.Helper()
	dir = t.TempDir()
	file = filepath.Join(dir, "precious")
	if err := os.WriteFile(file, []byte("precious"), 0o666); err != nil {
		t.Fatal(err)
	}
	return dir, file, func() {
		t.Helper()
		list, _ := os.ReadDir(dir)
		if b, err := os.ReadFile(file); len(list) != 1 || err != nil || string(b) != "precious" {
			t.Errorf("something outside the share was touched: %v, %q, %v", list, b, err)
		}
	}
}

// linked plants a link at rel beneath dir.
func linked(t *testing.T, dir, rel, target string) {
	t.Helper()
	p := filepath.Join(dir, rel)
	if err := os.MkdirAll(filepath.Dir(p), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, p); err != nil {
		t.Fatal(err)
	}
}

func TestPlantedLinksAreNotFollowed(t *testing.T) {
	for _, place := range []struct {
		name, rel string
		toFolder  bool
	}{
		{"file", "share/sub/f", false}, {"part", "share/sub/f.part", false},
		{"folder", "share/sub", true}, {"the share's own folder", "share", true},
		{"file to a missing one", "share/sub/f", true},
	} {
		t.Run(place.name, func(t *testing.T) {
			fx := newFixture(t, metainfo.V2, 16*kib, false, spec{"sub/f", 40 * kib})
			dir := t.TempDir()
			target, file, check := outside(t)
			switch {
			case !place.toFolder:
				target = file
			case place.name == "file to a missing one":
				target = filepath.Join(target, "new")
			}
			linked(t, dir, place.rel, target)
			c, err := Open(fx.meta, dir, Options{})
			if err == nil {
				defer c.Close()
				err = errors.Join(c.WriteVec(blocks(fx.piece(0)), 0, 0), c.Prepare(), c.Finish(0))
				if rerr := c.ReadAt(make([]byte, 10), 0, 0); rerr == nil {
					t.Error("reading went through the link")
				}
			}
			if !errors.Is(err, ErrLink) && !errors.Is(err, ErrExists) {
				t.Errorf("error %v", err)
			}
			check()
		})
	}
}

// A folder or file that is swapped for a link while the share is open leads
// nowhere else, even with the old one still open.
func TestLinksSwappedInAreNotFollowed(t *testing.T) {
	for _, rel := range []string{"share/sub", "share", "share/sub/f.part", "share/sub/g"} {
		t.Run(rel, func(t *testing.T) {
			fx := newFixture(t, metainfo.V2, 16*kib, false, spec{"sub/f", 40 * kib}, spec{"sub/g", 20 * kib}, spec{"sub/h", 20 * kib})
			dir := t.TempDir()
			target, file, check := outside(t)
			c := fx.open(t, dir, Options{})
			g, _ := fx.info.FilePieces(fx.index(t, "sub/g"))
			fx.fetch(t, c, 0)
			fx.fetch(t, c, g)
			fx.fetch(t, c, g+1)
			if err := c.Finish(fx.index(t, "sub/g")); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(filepath.Join(dir, rel), filepath.Join(t.TempDir(), "moved")); err != nil {
				t.Fatal(err)
			}
			if rel != "share" && rel != "share/sub" {
				target = file
			}
			linked(t, dir, rel, target)
			c.Release() // nothing cached: every path is walked again
			for p := range fx.info.NumPieces() {
				_ = c.WriteVec(blocks(fx.piece(p)), p, 0)
				_ = c.ReadAt(make([]byte, 10), p, 0)
			}
			for i := range fx.info.Files {
				_ = c.Finish(i)
			}
			if len(c.Changed()) == 0 {
				t.Error("Changed tells nothing")
			}
			check()
			_, _ = c.Remove()
			check()
		})
	}
}

// A link that stays inside the share's own folder is followed no more than others, whether
// it was there first or came while the share is open: what it leads to is somebody's file.
func TestLinksInsideTheShareAreNotFollowed(t *testing.T) {
	mine := bytes.Repeat([]byte("mine"), 10*kib)
	for _, name := range []string{"f", "f.part"} {
		for _, when := range []string{"before", "while open", "while open, in place of the file"} {
			t.Run(name+" "+when, func(t *testing.T) {
				fx := newFixture(t, metainfo.V2, 16*kib, false, spec{"f", 40 * kib}, spec{"g", 9})
				dir := t.TempDir()
				fx.putFile(t, dir, "mine", mine)
				plant := func() { linked(t, dir, "share/"+name, "mine") }
				if when == "before" {
					plant()
				}
				c := fx.open(t, dir, Options{})
				switch when {
				case "while open":
					plant()
				case "while open, in place of the file":
					fx.fetch(t, c, 0)
					if name == "f" {
						fx.fetchAll(t, c)
						finishAll(t, c)
					}
					if err := os.Rename(fx.full(dir, name), fx.full(dir, "away")); err != nil {
						t.Fatal(err)
					}
					plant()
					c.Release()
				}
				_ = c.Verify(t.Context(), nil, 1, nil)
				for p := range 3 {
					_ = c.WriteVec(blocks(fx.piece(p)), p, 0)
					if got := make([]byte, 10); c.ReadAt(got, p, 0) == nil && bytes.Contains(got, []byte("mine")) {
						t.Error("reading went through the link")
					}
				}
				if err := c.Finish(0); err == nil {
					t.Error("finished")
				}
				_, _ = c.Remove()
				if got, err := os.ReadFile(fx.full(dir, "mine")); err != nil || !bytes.Equal(got, mine) {
					t.Errorf("what the link leads to was touched: %v", err)
				}
			})
		}
	}
}

// NAME.part that came after the share was opened is somebody's too.
func TestAlienPartThatComesLater(t *testing.T) {
	fx := newFixture(t, metainfo.V1, 16*kib, true, spec{"f", 20 * kib})
	dir := t.TempDir()
	c := fx.open(t, dir, Options{})
	fx.putFile(t, dir, "f.part", []byte("mine"))
	if err := c.WriteVec(blocks(fx.piece(0)), 0, 0); !errors.Is(err, ErrExists) {
		t.Errorf("WriteVec = %v", err)
	}
	if got, _ := os.ReadFile(fx.full(dir, "f.part")); string(got) != "mine" {
		t.Error("it was changed")
	}
}

// A folder that is moved away is missed at once, although it is still open.
func TestMovedFolderIsNoticed(t *testing.T) {
	fx := newFixture(t, metainfo.V1, 16*kib, false, spec{"d/f", 20 * kib})
	dir := t.TempDir()
	c := fx.open(t, dir, Options{})
	fx.fetchAll(t, c)
	if err := os.Rename(filepath.Join(dir, "share", "d"), filepath.Join(dir, "elsewhere")); err != nil {
		t.Fatal(err)
	}
	if got := c.Changed(); len(got) != 1 {
		t.Errorf("Changed() = %v", got)
	}
}

func TestFoldersSwappedWhileWriting(t *testing.T) {
	fx := newFixture(t, metainfo.V2, 16*kib, false, spec{"sub/a", 16 * kib}, spec{"sub/b", 16 * kib}, spec{"sub/c", 16 * kib})
	dir := t.TempDir()
	target, _, check := outside(t)
	sub := filepath.Join(dir, "share", "sub")
	c := fx.open(t, dir, Options{})
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
			}
			_ = os.Rename(sub, sub+".real")
			_ = os.Symlink(target, sub)
			_ = os.Remove(sub)
			_ = os.Rename(sub+".real", sub)
		}
	}()
	for range 300 {
		for p := range 3 {
			_ = c.WriteVec(blocks(fx.piece(p)), p, 0)
			c.Release()
		}
	}
	close(stop)
	<-done
	check()
}

func TestChangedFilesAreNoticed(t *testing.T) {
	type change struct {
		name string
		do   func(p string) error
	}
	for _, ch := range []change{
		{"touched", func(p string) error { return os.Chtimes(p, time.Time{}, time.Unix(5, 0)) }},
		{"cut", func(p string) error { return os.Truncate(p, 5) }},
		{"removed", os.Remove},
		{"replaced", func(p string) error {
			return errors.Join(os.WriteFile(p+"~", make([]byte, 40*kib), 0o666), os.Rename(p+"~", p))
		}},
	} {
		t.Run(ch.name, func(t *testing.T) {
			fx := newFixture(t, metainfo.Hybrid, 16*kib, false, spec{"a", 40 * kib}, spec{"b", 40 * kib})
			dir := t.TempDir()
			fx.put(t, dir)
			c := fx.open(t, dir, Options{InPlace: true})
			if err := ch.do(fx.full(dir, "a")); err != nil {
				t.Fatal(err)
			}
			if got := c.Changed(); len(got) != 1 || got[0] != fx.index(t, "a") {
				t.Errorf("Changed() = %v", got)
			}
			err := c.ReadAt(make([]byte, 16*kib), 0, 0)
			var se *Error
			if !errors.Is(err, ErrChanged) || !errors.As(err, &se) || se.Path != fx.full(dir, "a") {
				t.Errorf("ReadAt = %v", err)
			}
			b, _ := fx.info.FilePieces(fx.index(t, "b"))
			if err := c.ReadAt(make([]byte, 16*kib), b, 0); err != nil {
				t.Errorf("the other file: %v", err)
			}
			// Verify takes the files as they are now.
			ok := good(t, c, nil)
			if !ok[b] || ch.name != "touched" && ok[0] || ch.name == "touched" && !ok[0] {
				t.Errorf("verdicts %v", ok)
			}
			if got := c.Changed(); len(got) != 0 && ch.name != "cut" && ch.name != "removed" {
				t.Errorf("Changed() = %v after Verify", got)
			}
		})
	}
}

// An open file is looked at again after a second; the clock here is the
// content's own, moved back.
func TestOpenFilesAreLookedAtAgain(t *testing.T) {
	fx := newFixture(t, metainfo.V1, 16*kib, true, spec{"f", 40 * kib})
	dir := t.TempDir()
	c := fx.open(t, dir, Options{})
	fx.fetchAll(t, c)
	if err := c.Finish(0); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "f")); err != nil {
		t.Fatal(err)
	}
	c.epoch = c.epoch.Add(-2 * time.Second)
	if err := c.ReadAt(make([]byte, 5), 0, 0); !errors.Is(err, ErrChanged) {
		t.Errorf("read of a file removed while open: %v", err)
	}
}

func TestRemoveKeepsWhatWasChangedSince(t *testing.T) {
	fx := newFixture(t, metainfo.V2, 16*kib, false, spec{"d/a", 20 * kib}, spec{"d/b", 20 * kib}, spec{"e/c", 9})
	dir := t.TempDir()
	c := fx.open(t, dir, Options{})
	fx.fetchAll(t, c)
	finishAll(t, c)
	if err := os.WriteFile(fx.full(dir, "d/a"), []byte("edited"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "share", "mine"), []byte("mine"), 0o666); err != nil {
		t.Fatal(err)
	}
	kept, err := c.Remove()
	if err != nil || len(kept) != 1 || kept[0] != fx.full(dir, "d/a") {
		t.Errorf("kept %v, %v", kept, err)
	}
	for rel, want := range map[string]bool{"share/d/a": true, "share/mine": true, "share/d/b": false, "share/e": false} {
		if _, err := os.Lstat(filepath.Join(dir, rel)); (err == nil) != want {
			t.Errorf("%s: %v", rel, err)
		}
	}
}

func TestFullDisk(t *testing.T) {
	dir, ok := smallDisk(t, 2<<20)
	if !ok {
		return
	}
	fx := newFixture(t, metainfo.V1, 256*kib, true, spec{"f", 4 << 20})
	c := fx.open(t, dir, Options{})
	var full error
	wrote := 0
	for ; wrote < fx.info.NumPieces() && full == nil; wrote++ {
		full = c.WriteVec(blocks(fx.piece(wrote)), wrote, 0)
	}
	wrote--
	var se *Error
	if !errors.Is(full, ErrFull) || !errors.As(full, &se) || se.Path != filepath.Join(dir, "f") {
		t.Fatalf("after %d pieces: %v", wrote, full)
	}
	for p, ok := range good(t, c, nil) {
		if ok != (p < wrote) {
			t.Errorf("piece %d is good: %v", p, ok)
		}
	}
	// Space is made: the same call succeeds.
	grow(t, dir, 8<<20)
	for p := wrote; p < fx.info.NumPieces(); p++ {
		fx.fetch(t, c, p)
	}
	if err := errors.Join(c.Finish(0), c.Sync(context.Background())); err != nil {
		t.Fatal(err)
	}
	fx.check(t, dir)
}

// A link in a metainfo is never made, wherever it leads.
func TestLinksOfAMetainfoAreNotMade(t *testing.T) {
	sum := sha1.Sum([]byte("hello"))
	m, err := metainfo.Parse([]byte("d4:infod5:filesld6:lengthi5e4:pathl1:aee" +
		"d4:attr1:l6:lengthi0e4:pathl4:linke12:symlink pathl2:..3:etceee" +
		"4:name5:share12:piece lengthi16384e6:pieces20:" + string(sum[:]) + "ee"))
	if err != nil {
		t.Fatal(err)
	}
	fx, dir := &fixture{meta: m, info: m.Info, space: []byte("hello")}, t.TempDir()
	c := fx.open(t, dir, Options{})
	if err := c.Prepare(); err != nil {
		t.Fatal(err)
	}
	fx.fetchAll(t, c)
	finishAll(t, c)
	if list, _ := os.ReadDir(filepath.Join(dir, "share")); len(list) != 1 || list[0].Name() != "a" {
		t.Errorf("made: %v", list)
	}
	if kept, err := c.Remove(); err != nil || len(kept) > 0 {
		t.Errorf("kept %v, %v", kept, err)
	}
}

// The reserve is kept while others fill the disk.
func TestReserveIsKept(t *testing.T) {
	dir, ok := smallDisk(t, 8<<20)
	if !ok {
		return
	}
	fx := newFixture(t, metainfo.V1, 256*kib, true, spec{"f", 1 << 20})
	c := fx.open(t, dir, Options{Reserve: 4 << 20})
	look := func() { c.epoch = c.epoch.Add(-2 * time.Second) } // a second has gone by
	look()
	fx.fetch(t, c, 0)
	filler := filepath.Join(dir, "filler")
	if err := fillDisk(filler, 2<<20); err != nil {
		t.Fatal(err)
	}
	look()
	var se *disk.SpaceError
	if err := c.WriteVec(blocks(fx.piece(1)), 1, 0); !errors.Is(err, ErrNoSpace) || !errors.As(err, &se) || se.Path != dir {
		t.Errorf("into the reserve: %v", err)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	look()
	for p := 1; p < fx.info.NumPieces(); p++ {
		fx.fetch(t, c, p)
	}
	if err := c.Finish(0); err != nil {
		t.Fatal(err)
	}
	fx.check(t, dir)
}

func TestReadOnlyDisk(t *testing.T) {
	dir, ok := smallDisk(t, 2<<20)
	if !ok {
		return
	}
	fx := newFixture(t, metainfo.V1, 16*kib, false, spec{"a", 20 * kib})
	c := fx.open(t, dir, Options{})
	remountReadOnly(t, dir)
	if err := c.WriteVec(blocks(fx.piece(0)), 0, 0); !errors.Is(err, ErrReadOnly) {
		t.Errorf("write: %v", err)
	}
	if err := c.Prepare(); !errors.Is(err, ErrReadOnly) {
		t.Errorf("Prepare: %v", err)
	}
}

func TestDeniedFolder(t *testing.T) {
	if runtime.GOOS == "windows" || os.Geteuid() == 0 {
		t.Log("permissions do not bind this user; kinds are tried alone")
		if !errors.Is(disk.Fault("write", "p", os.ErrPermission), ErrDenied) {
			t.Error("permission is not ErrDenied")
		}
		return
	}
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o500); err != nil {
		t.Fatal(err)
	}
	fx := newFixture(t, metainfo.V1, 16*kib, true, spec{"a", 20 * kib})
	if err := fx.open(t, dir, Options{}).WriteVec(blocks(fx.piece(0)), 0, 0); !errors.Is(err, ErrDenied) {
		t.Errorf("write: %v", err)
	}
}

// A folder that holds a file where the share has a folder is refused at once.
func TestFileInPlaceOfAFolder(t *testing.T) {
	fx := newFixture(t, metainfo.V1, 16*kib, false, spec{"sub/a", 20 * kib})
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "share"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "share", "sub"), []byte("a file"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(fx.meta, dir, Options{}); !errors.Is(err, ErrExists) {
		t.Errorf("Open = %v", err)
	}
}
