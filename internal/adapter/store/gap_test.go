package store

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"shoal/internal/core/metainfo"
)

// TestReadBehindFileV2: libtorrent asks for whole blocks where a file of a v2 share ends.
// What lies between that end and the next file's first piece reads as zeros; nothing
// beyond the piece can be read, and nothing there can be written.
func TestReadBehindFileV2(t *testing.T) {
	root := filepath.Join(t.TempDir(), "content")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, n := range map[string]int{"a": 20000, "b": 0, "c": 5} {
		if err := os.WriteFile(filepath.Join(root, name), bytes.Repeat([]byte(name), n), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	m, _, err := Create(t.Context(), root, CreateOptions{Version: metainfo.V2, PieceLength: 32 << 10})
	if err != nil {
		t.Fatal(err)
	}
	c, err := Open(m, filepath.Dir(root), Options{InPlace: true})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, tc := range []struct{ piece, begin, n, data int }{
		{0, 16384, 16384, 20000 - 16384}, // the last block of a
		{1, 0, 16384, 5},                 // c, the last file
		{1, 16384, 16384, 0},             // behind its only block
	} {
		got := bytes.Repeat([]byte{1}, tc.n)
		if err := c.ReadVec([][]byte{got[:7], got[7:]}, tc.piece, tc.begin); err != nil {
			t.Errorf("%v: %v", tc, err)
			continue
		}
		want := append(bytes.Repeat([]byte{"ac"[tc.piece]}, tc.data), make([]byte, tc.n-tc.data)...)
		if !bytes.Equal(got, want) {
			t.Errorf("%v: wrong bytes", tc)
		}
		if err := c.WriteVec([][]byte{got}, tc.piece, tc.begin); err == nil {
			t.Errorf("%v: written", tc)
		}
	}
	if err := c.ReadAt(make([]byte, 16385), 0, 16384); err == nil {
		t.Error("read beyond the piece")
	}
	if err := c.ReadAt(make([]byte, 1), 2, 0); err == nil {
		t.Error("read beyond the share")
	}
}
