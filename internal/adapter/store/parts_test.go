package store

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
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
