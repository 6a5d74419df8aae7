package disk

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func TestSpaceIsJudgedBeforeStarting(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not", "yet", "there")
	free, total, err := Free(dir)
	if err != nil || free <= 0 || total < free {
		t.Fatalf("Free = %d, %d, %v", free, total, err)
	}
	if err := CheckSpace(dir, 1, 0); err != nil {
		t.Errorf("one byte: %v", err)
	}
	err = CheckSpace(dir, total+1, 0)
	var se *SpaceError
	if !errors.Is(err, ErrNoSpace) || !errors.As(err, &se) || se.Path != dir || se.Need != total+1 || se.Free <= 0 {
		t.Errorf("more than there is: %v", err)
	}
	if err := CheckSpace(dir, 1, total); !errors.Is(err, ErrNoSpace) {
		t.Errorf("a reserve of everything: %v", err)
	}
	if err := CheckSpace(dir, 0, total); err != nil {
		t.Errorf("nothing to write: %v", err)
	}
	if Reserve(1<<40) != 1<<40/20 || Reserve(1000) != MinReserve {
		t.Error("the default reserve is not max(1 GiB, 5 %)")
	}
}

func TestErrorsAreOneLine(t *testing.T) {
	err := &Error{Op: "write", Path: "a\nb\u202e\x1b[31m", Kind: ErrFull, Err: os.ErrInvalid}
	for _, bad := range []string{"\n", "\x1b", "\u202e"} {
		if bytes.Contains([]byte(err.Error()), []byte(bad)) {
			t.Errorf("%q in %q", bad, err.Error())
		}
	}
}

// A vector of more buffers than one call takes, some of them empty, is written
// and read back whole; a file that ends early is an unexpected end.
func TestVectors(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var out, in [][]byte
	var want []byte
	for i := range 3000 {
		b := bytes.Repeat([]byte{byte(i)}, i%5)
		out, in, want = append(out, b), append(in, make([]byte, len(b))), append(want, b...)
	}
	if err := WriteVec(f, out, 1000); err != nil {
		t.Fatal(err)
	}
	if err := ReadVec(f, in, 1000); err != nil || !bytes.Equal(bytes.Join(in, nil), want) {
		t.Errorf("read back: %v", err)
	}
	if err := ReadVec(f, in, 1001); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("read beyond the end: %v", err)
	}
}

func TestRenameNeverReplaces(t *testing.T) {
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	open, err := root.Open(".")
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	for name, rename := range map[string]func(a, b string) error{
		"by the system": func(a, b string) error { return RenameNew(root, open, a, b) },
		"by a link":     func(a, b string) error { return linkNew(root, a, b) },
	} {
		if err := errors.Join(root.WriteFile("a", []byte("a"), 0o666), root.WriteFile("b", []byte("b"), 0o666)); err != nil {
			t.Fatal(err)
		}
		if err := rename("a", "b"); !errors.Is(err, fs.ErrExist) {
			t.Errorf("%s: %v", name, err)
		}
		if b, _ := root.ReadFile("b"); string(b) != "b" {
			t.Errorf("%s: b was replaced", name)
		}
		if err := errors.Join(root.Remove("b"), rename("a", "b")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if b, _ := root.ReadFile("b"); string(b) != "a" {
			t.Errorf("%s: b is not what a was", name)
		}
		if _, err := root.Lstat("a"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: a is still there", name)
		}
	}
}

func TestBootIDStays(t *testing.T) {
	if id := BootID(); id == "" || id != BootID() || len(id) > MaxBoot {
		t.Errorf("BootID %q", id)
	}
}
