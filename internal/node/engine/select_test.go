package engine

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"shoal/internal/adapter/store"
	"shoal/internal/core/metainfo"
)

// TestBEP53_select_only: a link names files by their number in the description, padding
// counted as BEP 53's "file indices" count it. What it selects is remembered, another link
// adds to it ("already added"), and one without so asks for all.
func TestBEP53_select_only(t *testing.T) {
	root := filepath.Join(t.TempDir(), "content")
	for _, name := range []string{"a", "b", "c", "d"} {
		writeFile(t, filepath.Join(root, name), testPiece+100)
	}
	a := startNode(t)
	m := a.share(root, store.CreateOptions{PieceLength: testPiece})
	at := func(name string) metainfo.Range {
		i := slices.IndexFunc(m.Info.Files, func(f metainfo.File) bool { return !f.Pad && f.Path[len(f.Path)-1] == name })
		return metainfo.Range{First: i, Last: i}
	}
	if at("c").First != 4 {
		t.Fatalf("no padding in %+v", m.Info.Files)
	}
	home, dir := t.TempDir(), t.TempDir()
	b := startNodeAt(t, home)
	get := func(files ...metainfo.Range) {
		t.Helper()
		done := func(e Event) bool { return e.Kind == EventDone }
		before := 0
		for _, e := range b.soFar() {
			if done(e) {
				before++
			}
		}
		b.fetch(Spec{Magnet: metainfo.Magnet{Hash: m.Hash, Select: files}, Dir: dir}, a)
		n := 0
		b.wait("done", func(e Event) bool {
			if done(e) {
				n++
			}
			return n > before
		})
	}
	has := func(names ...string) {
		t.Helper()
		d, err := b.Detail(m.Hash.ID())
		if err != nil {
			t.Fatal(err)
		}
		for i, f := range m.Info.Files {
			if f.Pad {
				continue
			}
			name, want := f.Path[len(f.Path)-1], slices.Contains(names, f.Path[len(f.Path)-1])
			_, err := os.Stat(filepath.Join(dir, "content", name))
			if d.Wanted[i] != want || (d.Done[i] == f.Length) != want || (err == nil) != want {
				t.Errorf("%v: %s is wanted: %t, %d bytes of it are there, %v", names, name, d.Wanted[i], d.Done[i], err)
			}
		}
	}
	get(at("c"))
	has("c")
	b.stop()
	b = startNodeAt(t, home)
	has("c")
	get(at("a"), at("c"))
	has("a", "c")
	get()
	has("a", "b", "c", "d")
}
