package store

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"shoal/internal/core/metainfo"
)

// selected is a v1 share of three files, the middle one not selected, whose other pieces
// are fetched: what of it lies in its neighbours' pieces is in the home.
func selected(t *testing.T, dir string) (fx *fixture, c *Content, b int) {
	t.Helper()
	fx = newFixture(t, metainfo.V1, 64*kib, false, spec{"a", 100 * kib}, spec{"b", 900 * kib}, spec{"c", 100 * kib})
	b = fx.index(t, "b")
	c = fx.open(t, dir, Options{Wanted: func(f int) bool { return f != b }, Parts: filepath.Join(t.TempDir(), "parts")})
	first, end := fx.info.FilePieces(b)
	for p := range fx.info.NumPieces() {
		if p <= first || p >= end-1 {
			fx.fetch(t, c, p)
		}
	}
	return fx, c, b
}

// A file that cannot be made when it becomes selected costs nothing: the bytes in the home
// stay in use, and move when the way is free.
func TestSelectingThatFailsLosesNothing(t *testing.T) {
	for _, why := range []string{"its name is taken", "the disk is full"} {
		t.Run(why, func(t *testing.T) {
			dir, ok := t.TempDir(), true
			if why == "the disk is full" {
				if dir, ok = smallDisk(t, 256*kib); !ok {
					return
				}
			}
			fx, c, b := selected(t, dir)
			first, end := fx.info.FilePieces(b)
			way := fx.full(dir, "b.part")
			if why == "its name is taken" {
				if err := os.Mkdir(way, 0o777); err != nil {
					t.Fatal(err)
				}
			} else if err := fillDisk(filepath.Join(dir, "filler"), 4*kib); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := c.SetWanted(b, true); err == nil {
					t.Fatal("selected in spite of all")
				}
				for _, p := range []int{first, end - 1} {
					got := make([]byte, 64*kib)
					if err := c.ReadAt(got, p, 0); err != nil || !bytes.Equal(got, fx.piece(p)) {
						t.Errorf("piece %d is not what was fetched: %v", p, err)
					}
				}
			}
			if why == "its name is taken" {
				if err := os.Remove(way); err != nil {
					t.Fatal(err)
				}
			} else {
				if _, err := os.Lstat(way); err == nil {
					t.Error("half a file was left")
				}
				grow(t, dir, 8<<20)
			}
			if err := c.SetWanted(b, true); err != nil {
				t.Fatal(err)
			}
			for p := first + 1; p < end-1; p++ {
				fx.fetch(t, c, p)
			}
			finishAll(t, c)
			fx.check(t, dir)
		})
	}
}

// fillDisk takes the space of a file system, less keep bytes.
func fillDisk(path string, keep int64) error {
	free, _, err := Free(filepath.Dir(path))
	if err != nil {
		return err
	}
	return os.WriteFile(path, make([]byte, max(0, free-keep)), 0o666)
}

// What a person put under the name of a file that was not selected is not taken for its
// bytes when it becomes selected.
func TestSelectingAFileThatLiesThere(t *testing.T) {
	for _, right := range []bool{true, false} {
		dir := t.TempDir()
		fx, c, b := selected(t, dir)
		mine := bytes.Clone(fx.data["b"])
		if !right {
			mine[5]++
		}
		fx.putFile(t, dir, "b", mine)
		err := c.SetWanted(b, true)
		if right && err != nil || !right && !errors.Is(err, ErrExists) {
			t.Errorf("right %t: %v", right, err)
		}
		if got, _ := os.ReadFile(fx.full(dir, "b")); !bytes.Equal(got, mine) {
			t.Error("it was changed")
		}
		first, _ := fx.info.FilePieces(b)
		got := make([]byte, 64*kib)
		if err := c.ReadAt(got, first, 0); err != nil || !bytes.Equal(got, fx.piece(first)) {
			t.Errorf("right %t: piece %d is not what was fetched: %v", right, first, err)
		}
	}
}

// While a file becomes selected, what is being written of it ends up in its place.
func TestSelectingWhileWriting(t *testing.T) {
	fx := newFixture(t, metainfo.V1, 64*kib, false, spec{"a", 100 * kib}, spec{"b", 900 * kib}, spec{"c", 100 * kib})
	b := fx.index(t, "b")
	first, end := fx.info.FilePieces(b)
	for range 20 {
		dir := t.TempDir()
		c := fx.open(t, dir, Options{Wanted: func(f int) bool { return f != b }, Parts: filepath.Join(t.TempDir(), "parts")})
		fx.fetch(t, c, 0)
		begin := make(chan struct{})
		var wg sync.WaitGroup
		for _, p := range []int{first, end - 1} {
			wg.Go(func() {
				<-begin
				for i := range 4 {
					if err := c.WriteVec(blocks(fx.piece(p)[i*16*kib:(i+1)*16*kib]), p, i*16*kib); err != nil {
						t.Error(err)
					}
				}
			})
		}
		close(begin)
		if err := c.SetWanted(b, true); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		if ok := good(t, c, []int{first, end - 1}); count(ok) != 2 {
			t.Fatalf("verdicts %v", ok)
		}
	}
}

// A file nobody selected may lie there as another one of the same length: it is neither in
// the way of its neighbours nor touched, nor taken for the share's after a restart.
func TestAnotherFileUnderAnUnselectedName(t *testing.T) {
	for _, neighbours := range []bool{false, true} {
		fx := newFixture(t, metainfo.V1, 64*kib, false, spec{"a", 100 * kib}, spec{"b", 300 * kib}, spec{"c", 100 * kib})
		dir, b := t.TempDir(), fx.index(t, "b")
		mine := bytes.Repeat([]byte("mine"), 300*kib/4)
		fx.putFile(t, dir, "b", mine)
		if neighbours {
			fx.putFile(t, dir, "a", fx.data["a"])
			fx.putFile(t, dir, "c", fx.data["c"])
		}
		o := Options{Wanted: func(f int) bool { return f != b }, Parts: filepath.Join(t.TempDir(), "parts"), Boot: "now"}
		c := fx.open(t, dir, o)
		good(t, c, nil)
		if list := c.Conflicts(); len(list) != 0 {
			t.Fatalf("conflicts: %v", list)
		}
		first, end := fx.info.FilePieces(b)
		have := make([]byte, 1)
		for p := range fx.info.NumPieces() {
			if p <= first || p >= end-1 {
				fx.fetch(t, c, p)
				setBit(have, p)
			}
		}
		for f := range fx.info.Files {
			if err := c.Finish(f); err != nil {
				t.Fatal(err)
			}
		}
		if ok := good(t, c, []int{0, first, end - 1}); count(ok) != 3 {
			t.Errorf("verdicts %v", ok)
		}
		o.Resume = &Resume{Boot: "now", Have: have, Synced: have, Files: c.Stats()}
		again := fx.open(t, dir, o)
		if got := again.Trusted(); !bytes.Equal(got, have) {
			t.Errorf("trusted %08b after a restart, had %08b", got, have)
		}
		if ok := good(t, again, []int{0, first, end - 1}); count(ok) != 3 {
			t.Errorf("verdicts after a restart %v", ok)
		}
		kept, err := again.Remove()
		if got, _ := os.ReadFile(fx.full(dir, "b")); !bytes.Equal(got, mine) || err != nil || !slices.Contains(kept, fx.full(dir, "b")) {
			t.Errorf("another file was touched; kept %v, %v", kept, err)
		}
	}
}

// The pieces over the home's bytes are trusted after a restart as long as those are there.
func TestResumeOfBoundaryBytes(t *testing.T) {
	fx := newFixture(t, metainfo.V1, 64*kib, false, spec{"a", 100 * kib}, spec{"b", 300 * kib}, spec{"c", 100 * kib})
	dir, b := t.TempDir(), fx.index(t, "b")
	o := Options{Wanted: func(f int) bool { return f != b }, Parts: filepath.Join(t.TempDir(), "parts"), Boot: "now"}
	c := fx.open(t, dir, o)
	have := make([]byte, 1)
	first, end := fx.info.FilePieces(b)
	for _, p := range []int{0, first, end - 1} {
		fx.fetch(t, c, p)
		setBit(have, p)
	}
	o.Resume = &Resume{Boot: "now", Have: have, Synced: have, Files: c.Stats()}
	again := fx.open(t, dir, o)
	if got := again.Trusted(); !bytes.Equal(got, have) {
		t.Errorf("trusted %08b, had %08b", got, have)
	}
	for _, p := range []int{0, first, end - 1} {
		got := make([]byte, 64*kib)
		if err := again.ReadAt(got, p, 0); err != nil || !bytes.Equal(got, fx.piece(p)) {
			t.Errorf("piece %d: %v", p, err)
		}
	}
	if err := os.Remove(o.Parts); err != nil {
		t.Fatal(err)
	}
	if got := fx.open(t, dir, o).Trusted(); !hasBit(got, 0) || hasBit(got, first) || hasBit(got, end-1) {
		t.Errorf("trusted %08b without the home's bytes", got)
	}
	// What selects the file after all fetches those pieces again.
	o.Wanted = nil
	if got := fx.open(t, dir, o).Trusted(); hasBit(got, first) || hasBit(got, end-1) {
		t.Errorf("trusted %08b of a file that is not there", got)
	}
}

// The home's file is made when bytes go there, and not by looking after it.
func TestNoPartsBeforeTheyAreNeeded(t *testing.T) {
	each(t, func(t *testing.T, v metainfo.Version) {
		fx := newFixture(t, v, 64*kib, false, spec{"a", 128 * kib}, spec{"b", 100 * kib})
		b := fx.index(t, "b")
		o := Options{Wanted: func(f int) bool { return f != b }, Parts: filepath.Join(t.TempDir(), "home", "parts")}
		c := fx.open(t, t.TempDir(), o)
		fx.fetch(t, c, 0)
		good(t, c, nil)
		if err := errors.Join(c.Sync(t.Context()), c.SetWanted(b, true), c.SetWanted(b, false)); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Lstat(filepath.Dir(o.Parts)); err == nil {
			t.Error("something was made in the home")
		}
	})
}
