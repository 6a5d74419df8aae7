package files

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"shoal/internal/adapter/store"
	"shoal/internal/core/metainfo"
)

func TestMatches(t *testing.T) {
	for _, tc := range []struct {
		pattern, name string
		want          bool
	}{
		{"a.txt", "a.txt", true}, {"a.txt", "dir/a.txt", true}, {"*.txt", "dir/a.txt", true}, {"dir", "dir/sub/a.txt", true},
		{"sub", "dir/sub/a.txt", true}, {"b*", "dir/a.txt", false}, {"dir/*.txt", "dir/a.txt", true},
		{"dir/*.txt", "dir/sub/a.txt", false}, {"dir/**/a.txt", "dir/sub/more/a.txt", true}, {"dir/**/a.txt", "dir/a.txt", true},
		{"**", "dir/a.txt", true}, {"./dir/", "dir/a.txt", true}, {"dir/sub", "dir/sub/a.txt", true},
		{"dir/sub", "other/dir/sub/a.txt", false}, {"[", "[", false}, {"", "a.txt", false}, {"dir/?", "dir/a.txt", false},
	} {
		if got := Matches(tc.pattern, tc.name); got != tc.want {
			t.Errorf("Matches(%q, %q) = %t", tc.pattern, tc.name, got)
		}
	}
}

const pieceLen = 16 << 10

// share makes files of one, two and a half, no and one piece in a folder.
func share(t *testing.T, v metainfo.Version) (*metainfo.Metainfo, string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "share")
	for name, size := range map[string]int{"a": pieceLen, "b/c": 2*pieceLen + pieceLen/2, "b/empty": 0, "d": pieceLen} {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, size)
		for i := range b {
			b[i] = byte(i>>8) + name[0]
		}
		if err := os.WriteFile(p, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	m, _, err := store.Create(t.Context(), dir, store.CreateOptions{Version: v, PieceLength: pieceLen})
	if err != nil {
		t.Fatal(err)
	}
	return m, dir
}

// index finds a file by the last part of its path.
func index(t *testing.T, info *metainfo.Info, name string) int {
	t.Helper()
	i := slices.IndexFunc(info.Files, func(f metainfo.File) bool { return !f.Pad && f.Path[len(f.Path)-1] == name })
	if i < 0 {
		t.Fatalf("no file %s", name)
	}
	return i
}

func TestSelection(t *testing.T) {
	m, _ := share(t, metainfo.Hybrid)
	names := func(patterns []string) (list []string) {
		want := Wanted(m.Info, patterns)
		for f := range m.Info.Files {
			if !m.Info.Files[f].Pad && (want == nil || want(f)) {
				list = append(list, m.Info.Files[f].Path[len(m.Info.Files[f].Path)-1])
			}
		}
		return list
	}
	numbered := func(first, last string) string {
		return Numbered([]metainfo.Range{{First: index(t, m.Info, first), Last: index(t, m.Info, last)}})
	}
	for _, tc := range []struct{ patterns, want []string }{
		{nil, []string{"a", "c", "empty", "d"}},
		{[]string{"b"}, []string{"c", "empty"}},
		{[]string{"nothing"}, nil},
		{[]string{numbered("a", "a")}, []string{"a"}},
		{[]string{numbered("c", "d")}, []string{"c", "empty", "d"}},
		{[]string{numbered("a", "a"), "b"}, []string{"a", "c", "empty"}},
		{[]string{Numbered([]metainfo.Range{{First: len(m.Info.Files), Last: 399_999}})}, nil},
		{[]string{"/so=", "/so=x", "/so=2-1"}, nil},
	} {
		got := names(tc.patterns)
		if !slices.Equal(got, tc.want) {
			t.Errorf("%q wants %q, not %q", tc.patterns, got, tc.want)
		}
		if any := Any(m.Info, Wanted(m.Info, tc.patterns)); any != (len(got) > 0) {
			t.Errorf("%q: Any is %t", tc.patterns, any)
		}
	}
	if index(t, m.Info, "d") == 3 {
		t.Error("no padding before d")
	}
	only := Wanted(m.Info, []string{"c"})
	if n := Bytes(m.Info, only); n != 2*pieceLen+pieceLen/2 {
		t.Errorf("%d bytes wanted", n)
	}
	first, end := m.Info.FilePieces(index(t, m.Info, "c"))
	for p := range m.Info.NumPieces() {
		if got := PieceWanted(m.Info, p, only); got != (first <= p && p < end) {
			t.Errorf("piece %d wanted: %t", p, got)
		}
	}
}

// TestTally: in v1 a piece may end one file and begin the next.
func TestTally(t *testing.T) {
	m, _ := share(t, metainfo.V1)
	info := m.Info
	a, c, d, empty := index(t, info, "a"), index(t, info, "c"), index(t, info, "d"), index(t, info, "empty")
	tally := NewTally(info, make([]bool, info.NumPieces()), nil)
	if got := tally.Whole(); !slices.Equal(got, []int{empty}) {
		t.Fatalf("whole at first: %v", got)
	}
	tally.Take(empty)
	tally.Finished()
	var order []int
	for p := range info.NumPieces() {
		order = append(order, tally.There(p)...)
	}
	if !slices.Equal(order, []int{a, c, d}) || !slices.Equal(tally.Whole(), []int{a, c, d}) {
		t.Errorf("files became whole in the order %v, Whole %v", order, tally.Whole())
	}
	tally.Take(a)
	tally.GiveBack(a)
	if !tally.IsWhole(a) || tally.AllFinished() {
		t.Error("a file that could not be finished is not whole any more, or all are finished")
	}
	tally.Lost(c, 1)
	if tally.IsWhole(c) {
		t.Error("a file that lost a piece is whole")
	}
	first, _ := info.FilePieces(c)
	if got := tally.There(first); !slices.Equal(got, []int{c}) {
		t.Errorf("%v whole with the piece that was lost", got)
	}
	for _, f := range []int{a, c, d} {
		tally.Take(f)
		tally.Lost(f, 3) // is with somebody who finishes it
		tally.Finished()
	}
	if !tally.AllFinished() || len(tally.Whole()) > 0 {
		t.Error("not all are finished")
	}
	have := make([]bool, info.NumPieces())
	have[first] = true
	if n := Verified(info, c, func(p int) bool { return have[p] }); n != pieceLen {
		t.Errorf("%d bytes verified", n)
	}
}

func TestOpenAndVerify(t *testing.T) {
	m, dir := share(t, metainfo.V2)
	place := Place{Meta: m, Dir: filepath.Dir(dir), Options: store.Options{InPlace: true}, Reserve: func(int64) int64 { return 0 }}
	found, err := Open(t.Context(), place, func(float64) {})
	if err != nil {
		t.Fatal(err)
	}
	defer found.Content.Close()
	if slices.Contains(found.Have, false) || len(found.Unknown) > 0 {
		t.Errorf("of originals: %v, unknown %v", found.Have, found.Unknown)
	}
	c := index(t, m.Info, "c")
	if err := os.WriteFile(filepath.Join(dir, "b", "c"), make([]byte, m.Info.Files[c].Length), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "d")); err != nil {
		t.Fatal(err)
	}
	again, err := Open(t.Context(), place, func(float64) {})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Content.Close()
	last := int64(0)
	v, have, err := Verify(t.Context(), again.Content, m.Info, nil, func(done, total int64) { last = done })
	if err != nil {
		t.Fatal(err)
	}
	if v.Pieces != 5 || v.Good != 1 || v.Good+v.Bad+v.Missing != 5 || len(v.BadFiles) != 2 || last != v.Bytes {
		t.Errorf("%+v after %d bytes", v, last)
	}
	if got := Lacking(m.Info, have, nil); !slices.Equal(got, []int{c, index(t, m.Info, "d")}) {
		t.Errorf("lacking %v", got)
	}
	if got := Vanished(again.Content, m.Info, have, nil); !slices.Equal(got, []int{index(t, m.Info, "d")}) {
		t.Errorf("vanished %v", got)
	}
}

// TestOpenRefuses to fetch what the disk has no room for, and over a file that is another one.
func TestOpenRefuses(t *testing.T) {
	for _, v := range []metainfo.Version{metainfo.V1, metainfo.V2, metainfo.Hybrid} {
		t.Run(v.String(), func(t *testing.T) { openRefuses(t, v) })
	}
}

func openRefuses(t *testing.T, v metainfo.Version) {
	m, _ := share(t, v)
	place := Place{Meta: m, Dir: t.TempDir(), Reserve: func(total int64) int64 { return total }}
	place.Options.Parts = filepath.Join(t.TempDir(), "parts")
	var space *store.SpaceError
	if _, err := Open(t.Context(), place, func(float64) {}); !errors.As(err, &space) {
		t.Errorf("a disk without room: %v", err)
	}
	place.Reserve = func(int64) int64 { return 0 }
	other := filepath.Join(place.Dir, "share", "a")
	if err := os.MkdirAll(filepath.Dir(other), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(other, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), place, func(float64) {}); !errors.Is(err, store.ErrExists) {
		t.Errorf("a file in the way: %v", err)
	}
	if b, err := os.ReadFile(other); err != nil || string(b) != "mine" {
		t.Errorf("it holds %q, %v", b, err)
	}
}
