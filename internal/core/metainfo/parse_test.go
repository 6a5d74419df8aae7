package metainfo

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"testing"
)

func TestParseV1Single(t *testing.T) {
	info := enc(v1Single())
	m := mustParse(t, torrent(raw(info)))
	want := []File{{Path: []string{"one"}, Length: 3*piece - 1}}
	if i := m.Info; i.Name != "one" || !i.Single || i.Version != V1 || i.Private || !reflect.DeepEqual(i.Files, want) {
		t.Errorf("%+v", i)
	}
	v1, _ := sums(info)
	if m.Hash != (InfoHash{V1: v1, Version: V1}) {
		t.Errorf("info hash %+v, want v1 %x", m.Hash, v1)
	}
	if m.Info.NumPieces() != 3 || m.Info.Bytes() != 3*piece-1 || string(bytes.Repeat([]byte("h"), 20)) != string(sl(m.PieceV1(2))) {
		t.Errorf("%d pieces, %d bytes, piece 2 is %x", m.Info.NumPieces(), m.Info.Bytes(), m.PieceV1(2))
	}
	if m.PieceV1(3) != [20]byte{} || m.PieceV1(-1) != [20]byte{} {
		t.Error("a piece that is none has a hash")
	}
	if _, known := m.PieceV2(0); known {
		t.Error("v1 has a v2 hash")
	}
}

func sl(h [20]byte) []byte { return h[:] }

func TestParseV1Files(t *testing.T) {
	files := []any{
		file(5, "a", "b").with("attr", "xh"), file(0, "a", "empty"), pad(piece - 5), file(piece, "c"),
		dict{"attr", "l", "path", list{"link"}, "symlink path", list{"..", "etc"}},
		dict{"attr", "p", "length", 7}, // BEP 47: a pad may have no path
		file(3, "x", "_____padding_file_0_if you see this"),
	}
	m := mustParse(t, torrent(v1Files(files...).with("pieces", hashes(3), "private", 1)))
	want := []File{
		{Path: []string{"a", "b"}, Length: 5, Executable: true, Hidden: true},
		{Path: []string{"a", "empty"}, Offset: 5},
		{Length: piece - 5, Offset: 5, Pad: true},
		{Path: []string{"c"}, Length: piece, Offset: piece},
		{Path: []string{"link"}, Offset: 2 * piece, Symlink: true},
		{Length: 7, Offset: 2 * piece, Pad: true},
		{Length: 3, Offset: 2*piece + 7, Pad: true},
	}
	if !reflect.DeepEqual(m.Info.Files, want) {
		t.Errorf("files %+v", m.Info.Files)
	}
	if i := m.Info; !i.Private || i.Single || i.Bytes() != piece+5 || i.Padding() != piece+5 || i.Span() != 2*piece+10 {
		t.Errorf("%+v", i)
	}
}

// TestParseV2 follows the example of BEP 52, "File tree layout", and its alignment gaps.
func TestParseV2(t *testing.T) {
	info := enc(v2Tree())
	m := mustParse(t, torrent(raw(info), v2Layers()))
	small, _ := blocksRoot(1, 1)
	large, layer := blocksRoot(3, 2)
	want := []File{
		{Path: []string{"a", "b"}, Length: 100, Root: [32]byte([]byte(small))},
		{Path: []string{"c"}, Length: 3*piece - 5, Offset: piece, Root: [32]byte([]byte(large))},
	}
	if i := m.Info; i.Version != V2 || i.Single || !reflect.DeepEqual(i.Files, want) || i.Span() != 4*piece-5 || i.NumPieces() != 4 {
		t.Errorf("%+v", i)
	}
	_, v2 := sums(info)
	if m.Hash != (InfoHash{V2: v2, Version: V2}) {
		t.Errorf("info hash %+v, want v2 %x", m.Hash, v2)
	}
	for p, want := range []string{small, layer[:32], layer[32:64], layer[64:]} {
		if h, known := m.PieceV2(p); !known || string(h[:]) != want {
			t.Errorf("piece %d: %x, %v", p, h, known)
		}
	}
	for _, p := range []int{-1, 4, 1 << 40} {
		if _, known := m.PieceV2(p); known {
			t.Errorf("piece %d is known", p)
		}
	}
	if string(m.Layer(1)) != layer || m.Layer(0) != nil || m.MissingLayers() != nil {
		t.Errorf("layers %x %x, missing %v", m.Layer(0), m.Layer(1), m.MissingLayers())
	}
}

func TestSingleOrFolder(t *testing.T) {
	root, _ := blocksRoot(1, 1)
	v2 := func(name string, tree dict) dict {
		return dict{"file tree", tree, "meta version", 2, "name", name, "piece length", piece}
	}
	hybrid := v2("x", dict{"x", treeFile(9, root)}).with("pieces", hashes(1))
	for _, c := range []struct {
		name   string
		info   dict
		single bool
		path   []string
	}{
		{"one file of the share's name", v2("x", dict{"x", treeFile(9, root)}), true, []string{"x"}},
		{"one file of another name", v2("x", dict{"y", treeFile(9, root)}), false, []string{"y"}},
		{"one file in a folder", v2("x", dict{"x", dict{"x", treeFile(9, root)}}), false, []string{"x", "x"}},
		{"an unsafe name", v2("../x", dict{"../x", treeFile(9, root)}), true, []string{"..%2Fx"}},
		{"hybrid with length", hybrid.with("length", 9), true, []string{"x"}},
		{"hybrid with files", hybrid.with("files", list{file(9, "x")}), false, []string{"x"}},
	} {
		m, err := Parse(torrent(c.info))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if m.Info.Single != c.single || !reflect.DeepEqual(m.Info.Files[0].Path, c.path) {
			t.Errorf("%s: single %v, %q", c.name, m.Info.Single, m.Info.Files[0].Path)
		}
	}
}

// What is accepted although it is not canonical: the hash is over the bytes as they are.
func TestAccepted(t *testing.T) {
	d := v1Single()
	var turned dict
	for n := len(d) - 2; n >= 0; n -= 2 {
		turned = append(turned, d[n], d[n+1])
	}
	one, _ := blocksRoot(1, 1)
	for name, b := range map[string][]byte{
		"keys out of order":            torrent(turned),
		"a newline":                    append(torrent(v1Single()), '\n'),
		"a Windows newline":            append(torrent(v1Single()), "\r\n"...),
		"keys of others":               torrent(v1Single().with("source", "X", "x_cross_seed", "0", "md5sum", "00")),
		"private 0":                    torrent(v1Single().with("private", 0)),
		"a piece length of 1000":       torrent(v1Single().with("piece length", 1000, "length", 2001)),
		"a url-list that is empty":     append(append([]byte("d4:info"), enc(v1Single())...), "8:url-list0:e"...),
		"an empty folder in a tree":    torrent(v2Tree().with("file tree", dict{"x", dict{}, "y", treeFile(1, one)})),
		"an empty layers dictionary":   torrent(v2Tree().with("file tree", dict{"y", treeFile(1, one)}), dict{}),
		"no layers where none are due": torrent(v2Tree().with("file tree", dict{"y", treeFile(piece, one)})),
		"a link with a length":         torrent(v1Files(file(piece+1, "a"), file(5, "b").with("attr", "l", "symlink path", list{"a"}))),
		"an empty file with a root":    torrent(v2Tree().with("file tree", dict{"x", treeFile(0, one), "y", treeFile(1, one)})),
		"a tree out of order":          torrent(v2Tree().with("file tree", dict{"y", treeFile(1, one), "x", treeFile(1, one)})),
		"a hybrid with a last pad": torrent(hybridTree().with("files",
			list{file(100, "a", "b"), pad(piece - 100), file(3*piece-5, "c"), pad(5)}), v2Layers()),
	} {
		t.Run(name, func(t *testing.T) { mustParse(t, b) })
	}
	m := mustParse(t, torrent(turned))
	if v1, _ := sums(enc(turned)); m.Hash.V1 != v1 {
		t.Error("the hash is not over the bytes as they are")
	}
	y := mustParse(t, torrent(v2Tree().with("file tree", dict{"y", treeFile(1, one), "x", treeFile(1, one)})))
	if y.Info.Files[0].Path[0] != "y" {
		t.Error("the order is not that of the tree")
	}
}

// TestRefused breaks a correct dictionary in one place at a time.
func TestRefused(t *testing.T) {
	type cases map[string]dict
	root1, _ := blocksRoot(1, 1)
	root3, layer3 := blocksRoot(3, 2)
	zero := strings.Repeat("\x00", 32)
	v1 := cases{
		"no name":                    v1Single().with("name", nil),
		"a name that is a number":    v1Single().with("name", 1),
		"no piece length":            v1Single().with("piece length", nil),
		"a piece length of 0":        v1Single().with("piece length", 0),
		"a negative piece length":    v1Single().with("piece length", -piece),
		"an absurd piece length":     v1Single().with("piece length", MaxPieceLength+1),
		"a piece length as text":     v1Single().with("piece length", "16384"),
		"no pieces":                  v1Single().with("pieces", nil),
		"pieces as a list":           v1Single().with("pieces", list{}),
		"half a piece hash":          v1Single().with("pieces", hashes(3)[:50]),
		"a piece hash too few":       v1Single().with("pieces", hashes(2)),
		"a piece hash too many":      v1Single().with("pieces", hashes(4)),
		"neither length nor files":   v1Single().with("length", nil),
		"both length and files":      v1Single().with("files", list{file(1, "a")}),
		"a negative length":          v1Single().with("length", -1),
		"a length of 0":              v1Single().with("length", 0, "pieces", ""),
		"a length as text":           v1Single().with("length", "1"),
		"an absurd length":           v1Single().with("length", 1<<62),
		"private as text":            v1Single().with("private", "1"),
		"attr as a number":           v1Single().with("attr", 1),
		"meta version 1":             v1Single().with("meta version", 1),
		"meta version 3":             v1Single().with("meta version", 3),
		"meta version as text":       v1Single().with("meta version", "2"),
		"meta version as an escape":  v1Single().with("meta version", "\x1b[31m\n"),
		"no files in the list":       v1Files().with("files", list{}, "pieces", ""),
		"files as a dictionary":      v1Files().with("files", dict{}),
		"a file that is a string":    v1Files("a"),
		"a file without a path":      v1Files(dict{"length", 1}),
		"an empty path":              v1Files(file(1)),
		"a path as text":             v1Files(dict{"length", 1, "path", "a"}),
		"a path of numbers":          v1Files(dict{"length", 1, "path", list{1}}),
		"a file without a length":    v1Files(dict{"path", list{"a"}}),
		"a negative file":            v1Files(file(-1, "a")),
		"lengths that overflow":      v1Files(file(1<<62, "a"), file(1<<62, "b"), file(1<<62, "c"), file(1<<62, "d")),
		"only pads":                  v1Files(pad(5), pad(6)),
		"only empty files":           v1Files(file(0, "a"), file(0, "b")).with("pieces", ""),
		"a negative link":            v1Files(file(piece+1, "a"), file(-1, "b").with("attr", "l")),
		"a link to a number":         v1Files(file(piece+1, "a"), dict{"attr", "l", "path", list{"l"}, "symlink path", list{1}}),
		"more than 2^21 pieces":      v1Files(file(MaxPieces*piece, "a"), file(1, "b")),
		"a path of 101 components":   v1Files(file(piece+1, many("d", 101)...)),
		"a path of 1,025 bytes":      v1Files(file(piece+1, many(strings.Repeat("x", 127), 8)...), file(1, append(many(strings.Repeat("x", 127), 8), "y")...)),
		"501 files of equal name":    v1Files(manyFiles(501, "same")...).with("pieces", hashes(1)),
		"v1 that claims to be v2":    v1Files().with("meta version", 2),
		"symlink path as text":       v1Single().with("symlink path", "x"),
		"name.utf-8 as a list":       v1Single().with("name.utf-8", list{}),
		"path.utf-8 as text":         v1Files(file(piece+1, "a").with("path.utf-8", "a")),
		"a pad whose path is a list": v1Files(file(piece+1, "a"), dict{"attr", "p", "length", 0, "path", list{list{}}}),
	}
	tree := func(d dict) dict { return v2Tree().with("file tree", d) }
	v2 := cases{
		"no file tree":               v2Tree().with("file tree", nil),
		"a tree that is a list":      v2Tree().with("file tree", list{}),
		"an empty tree":              tree(dict{}),
		"a tree of empty folders":    tree(dict{"a", dict{"b", dict{}}}),
		"a tree of empty files":      tree(dict{"a", treeFile(0, "")}),
		"a root that is a file":      tree(treeFile(1, root1)),
		"a string in the tree":       tree(dict{"a", "b"}),
		"a file that is a string":    tree(dict{"a", dict{"", "b"}}),
		"a file that is a folder":    tree(dict{"a", treeFile(1, root1).with("b", treeFile(1, root1))}),
		"a folder that is a file":    tree(dict{"a", dict{"b", treeFile(1, root1), "", dict{"length", 1, "pieces root", root1}}}),
		"an empty name":              tree(dict{"a", dict{"", dict{"", dict{"length", 1, "pieces root", root1}}}}),
		"no length":                  tree(dict{"a", dict{"", dict{"pieces root", root1}}}),
		"a negative length":          tree(dict{"a", treeFile(-1, root1)}),
		"an absurd length":           tree(dict{"a", treeFile(1<<62, root1)}),
		"no root":                    tree(dict{"a", treeFile(1, "")}),
		"a short root":               tree(dict{"a", treeFile(1, root1[:31])}),
		"a long root":                tree(dict{"a", treeFile(1, root1+"x")}),
		"a root of zeros":            tree(dict{"a", treeFile(1, zero)}),
		"a root that is a number":    tree(dict{"a", dict{"", dict{"length", 1, "pieces root", 1}}}),
		"a pad":                      tree(dict{"a", dict{"", dict{"attr", "p", "length", 1, "pieces root", root1}}}),
		"a piece length of 8 KiB":    v2Tree().with("piece length", piece/2),
		"a piece length of 48 KiB":   v2Tree().with("piece length", 3*piece),
		"an absurd piece length":     v2Tree().with("piece length", 2*MaxPieceLength),
		"a tree of 100 levels":       tree(deep(100, root1)),
		"more than 2^21 pieces":      tree(dict{"a", treeFile(MaxPieces*piece, root1), "b", treeFile(1, root1)}),
		"pieces and nothing of v1":   v2Tree().with("pieces", hashes(4)),
		"a length and no pieces":     v2Tree().with("length", 1),
		"two files that are missing": tree(dict{"a", dict{"", dict{}}, "b", dict{"", dict{}}}),
	}
	files := func(f ...any) dict { return hybridTree().with("files", list(f)) }
	last := file(3*piece-5, "c")
	hybrid := cases{
		"no pad where one is due": files(file(100, "a", "b"), last),
		"a pad that is too short": files(file(100, "a", "b"), pad(piece-101), last),
		"a pad that is too long":  files(file(100, "a", "b"), pad(2*piece-100), last).with("pieces", hashes(5)),
		"another order":           files(last, pad(5), file(100, "a", "b")),
		"another size":            files(file(101, "a", "b"), pad(piece-101), last),
		"another name":            files(file(100, "a", "B"), pad(piece-100), last),
		"another folder":          files(file(100, "b"), pad(piece-100), last),
		"a file less":             files(file(100, "a", "b")).with("pieces", hashes(1)),
		"a file more":             files(file(100, "a", "b"), pad(piece-100), last, pad(5), file(1, "d")).with("pieces", hashes(5)),
		"an empty file more":      files(file(100, "a", "b"), pad(piece-100), last, file(0, "d")),
		"a pad that is a piece":   files(file(100, "a", "b"), pad(piece-100), last, pad(5), pad(piece)).with("pieces", hashes(5)),
		"one file in v1":          hybridTree().with("files", nil, "length", 3*piece+95),
		"a hash too few":          hybridTree().with("pieces", hashes(3)),
		"v1 alone is not aligned": hybridTree().with("piece length", piece/2),
	}
	for kind, cs := range map[string]cases{"v1": v1, "v2": v2, "hybrid": hybrid} {
		for name, info := range cs {
			t.Run(kind+"/"+name, func(t *testing.T) {
				b := torrent(info)
				if kind != "v1" {
					b = torrent(info, v2Layers())
				}
				refused(t, b)
			})
		}
	}
	layers := map[string]any{
		"none at all":               nil,
		"an empty dictionary":       dict{},
		"a list":                    list{},
		"a layer that is a list":    dict{root3, list{}},
		"a layer that is too short": dict{root3, layer3[:64]},
		"a layer that is too long":  dict{root3, layer3 + layer3[:32]},
		"half a hash":               dict{root3, layer3[:80]},
		"a wrong layer":             dict{root3, layer3[32:] + layer3[:32]},
		"a key of 31 bytes":         dict{root3[:31], layer3},
		"a file of one piece":       dict{root1, root1, root3, layer3},
		"a file that is not here":   dict{root3, layer3, strings.Repeat("x", 32), layer3},
	}
	for name, l := range layers {
		t.Run("layers/"+name, func(t *testing.T) {
			if l == nil {
				refused(t, torrent(v2Tree()))
				refused(t, torrent(hybridTree()))
				return
			}
			refused(t, torrent(v2Tree(), l))
		})
	}
}

// refused wants an *Error of one line.
func refused(t *testing.T, b []byte) {
	t.Helper()
	m, err := Parse(b)
	var e *Error
	if !errors.As(err, &e) {
		t.Fatalf("not refused: %+v, %v", m, err)
	}
	if s := err.Error(); strings.ContainsAny(s, "\n\r\x1b") || len(s) > 400 {
		t.Errorf("not one line for people: %q", s)
	}
}

func many(s string, n int) []any {
	l := make([]any, n)
	for k := range l {
		l[k] = s
	}
	return l
}

func manyFiles(n int, name string) []any {
	l := make([]any, n)
	for k := range l {
		l[k] = file(1, name)
	}
	return l
}

// deep is a file below n-1 folders.
func deep(n int, root string) dict {
	d := treeFile(1, root)
	for range n {
		d = dict{"d", d}
	}
	return d
}

func TestRefusedOuter(t *testing.T) {
	info := v1Single()
	for name, b := range map[string][]byte{
		"nothing":                      nil,
		"text":                         []byte("<html>not found</html>"),
		"a string":                     []byte("4:spam"),
		"no info":                      enc(dict{"announce", "http://x/"}),
		"info that is a list":          enc(dict{"info", list{}}),
		"info twice":                   enc(dict{"info", info, "info", info}),
		"a key twice in info":          enc(dict{"info", append(info, "zz", 1, "zz", 1)}),
		"bytes after the end":          append(torrent(info), "x"...),
		"two newlines":                 append(torrent(info), "\n\n"...),
		"announce as a list":           enc(dict{"announce", list{}, "info", info}),
		"announce-list as text":        enc(dict{"announce-list", "x", "info", info}),
		"announce-list of strings":     enc(dict{"announce-list", list{"http://x/"}, "info", info}),
		"announce-list of numbers":     enc(dict{"announce-list", list{list{1}}, "info", info}),
		"comment as a number":          enc(dict{"comment", 1, "info", info}),
		"created by as a number":       enc(dict{"created by", 1, "info", info}),
		"creation date as text":        enc(dict{"creation date", "now", "info", info}),
		"url-list as a number":         enc(dict{"info", info, "url-list", 1}),
		"url-list of numbers":          enc(dict{"info", info, "url-list", list{1}}),
		"a number over int64":          enc(dict{"creation date", raw("i99999999999999999999e"), "info", info}),
		"more than 64 MiB":             make([]byte, MaxSize+1),
		"65 levels":                    enc(dict{"info", info, "x", raw(strings.Repeat("l", 64) + strings.Repeat("e", 64))}),
		"piece layers as a list":       enc(dict{"info", info, "piece layers", list{}}),
		"a layer for v1":               enc(dict{"info", info, "piece layers", dict{strings.Repeat("r", 32), ""}}),
		"an info dictionary by itself": enc(info),
	} {
		t.Run(name, func(t *testing.T) { refused(t, b) })
	}
}

// A folder of a tree is written once, but is part of the path of every file below it: what is small as a .torrent must
// not become large by that, nor slow.
func TestTreeOfLongFoldersIsRefused(t *testing.T) {
	root, _ := blocksRoot(1, 1)
	for name, folder := range map[string]string{"one component": strings.Repeat("x", 1<<20), "not safe": strings.Repeat("\n", 1<<20)} {
		var files dict
		for n := range 1000 {
			files = append(files, fmt.Sprintf("%04d", n), treeFile(1, root))
		}
		b := torrent(v2Tree().with("file tree", dict{folder, files}))
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			refused(t, b)
			runtime.ReadMemStats(&after)
			if took := after.TotalAlloc - before.TotalAlloc; took > 8*MaxSize {
				t.Errorf("%d bytes of metainfo took %d", len(b), took)
			}
		})
	}
}

// A .torrent that stops anywhere is refused.
func TestParseCutAtEveryByte(t *testing.T) {
	b := torrent(hybridTree(), v2Layers())
	mustParse(t, b)
	for n := range b {
		if _, err := Parse(b[:n]); err == nil {
			t.Fatalf("cut at %d: accepted", n)
		}
	}
}

func TestTrackersAndTheRest(t *testing.T) {
	info := v1Single()
	long := "http://x/" + strings.Repeat("y", 5000)
	for _, c := range []struct {
		name  string
		in    dict
		tiers [][]string
		seeds []string
	}{
		{"announce", dict{"announce", " http://a/x ", "info", info}, [][]string{{"http://a/x"}}, nil},
		{"BEP 12: the list wins", dict{"announce", "http://a/", "announce-list", list{list{"http://b/", "udp://c:1"}, list{"http://d/"}}, "info", info},
			[][]string{{"http://b/", "udp://c:1"}, {"http://d/"}}, nil},
		{"an empty list", dict{"announce", "http://a/", "announce-list", list{}, "info", info}, [][]string{{"http://a/"}}, nil},
		{"empty tiers and repeats", dict{"announce-list", list{list{}, list{""}, list{"http://b/", "http://b/"}, list{"http://b/"}}, "info", info},
			[][]string{{"http://b/"}}, nil},
		{"what is no URL", dict{"announce-list", list{list{"http://x/\r\nHost: y", long, "\xff", "http://ok/"}}, "info", info},
			[][]string{{"http://ok/"}}, nil},
		{"BEP 19: one web seed", dict{"info", info, "url-list", "http://w/"}, nil, []string{"http://w/"}},
		{"web seeds", dict{"info", info, "url-list", list{"http://w/", "", "http://v/", "http://w/"}}, nil, []string{"http://w/", "http://v/"}},
	} {
		m := mustParse(t, enc(c.in))
		if !reflect.DeepEqual(m.Trackers, c.tiers) || !reflect.DeepEqual(m.WebSeeds, c.seeds) {
			t.Errorf("%s: %q %q", c.name, m.Trackers, m.WebSeeds)
		}
	}
	m := mustParse(t, enc(dict{"comment", "c\xff", "comment.utf-8", "ć", "created by", "me\xff", "creation date", 12, "info", info}))
	if m.Comment != "ć" || m.CreatedBy != "me\uFFFD" || m.Created != 12 {
		t.Errorf("%q %q %d", m.Comment, m.CreatedBy, m.Created)
	}
	for when, want := range map[int]int64{-1: 0, 0: 0, 253402300799: 253402300799, 253402300800: 0, 1<<63 - 1: 0} {
		if m := mustParse(t, enc(dict{"creation date", when, "info", info})); m.Created != want {
			t.Errorf("creation date %d is read as %d, want %d", when, m.Created, want)
		}
	}
	var urls list
	for n := range MaxURLs + 5 {
		urls = append(urls, fmt.Sprintf("http://x/%d", n))
	}
	if m := mustParse(t, enc(dict{"info", info, "url-list", urls})); len(m.WebSeeds) != MaxURLs {
		t.Errorf("%d web seeds are kept", len(m.WebSeeds))
	}
}

func TestNamesAreMadeSafe(t *testing.T) {
	files := []any{
		file(1, "..", "..", "etc", "passwd"), file(1, "/etc/passwd"), file(1, "", "x"), file(1, "a", "NUL.txt"),
		file(1, "caf\xe9"), file(1, "r\u202etxt.exe"), file(1, "ok", "A"), file(1, "ok", "a"), file(1, "ok"),
		file(1, "f"), file(1, "f", "g"), file(1, "ok", "a~2"), file(1, "ok", "a"),
	}
	m := mustParse(t, torrent(v1Files(files...).with("name", "../up", "pieces", hashes(1))))
	want := []struct{ path, raw string }{
		{"%2E%2E/%2E%2E/etc/passwd", "../../etc/passwd"}, {"%2Fetc%2Fpasswd", "/etc/passwd"}, {"_/x", "/x"},
		{"a/_NUL.txt", "a/NUL.txt"}, {"caf%E9", "caf\xe9"}, {"r%E2%80%AEtxt.exe", "r\u202etxt.exe"},
		{"ok/A", ""}, {"ok/a~3", "ok/a"}, {"ok~2", "ok"}, {"f~2", "f"}, {"f/g", ""}, {"ok/a~2", ""}, {"ok/a~4", "ok/a"},
	}
	for n, w := range want {
		if f := m.Info.Files[n]; strings.Join(f.Path, "/") != w.path || f.Raw != w.raw {
			t.Errorf("file %d: %q from %q, want %q from %q", n, f.Path, f.Raw, w.path, w.raw)
		}
	}
	if m.Info.Name != "..%2Fup" || m.Info.RawName != "../up" {
		t.Errorf("name %q from %q", m.Info.Name, m.Info.RawName)
	}
}

// Old torrents carry names in a local encoding, and in UTF-8 beside it.
func TestUTF8Keys(t *testing.T) {
	m := mustParse(t, torrent(v1Files(
		file(piece, "caf\xe9").with("path.utf-8", list{"café"}),
		file(1, "x").with("path.utf-8", list{"bad\xff"}),
	).with("name", "d\xe9j\xe0", "name.utf-8", "déjà")))
	if i := m.Info; i.Name != "déjà" || i.RawName != "" || i.Files[0].Path[0] != "café" || i.Files[1].Path[0] != "x" {
		t.Errorf("%q %q %q", i.Name, i.Files[0].Path, i.Files[1].Path)
	}
}

func TestParseInfo(t *testing.T) {
	info := enc(hybridTree())
	v1, v2 := sums(info)
	both := InfoHash{V1: v1, V2: v2, Version: Hybrid}
	for _, want := range []InfoHash{both, {V1: v1, Version: V1}, {V2: v2, Version: V2}} {
		m, err := ParseInfo(info, want)
		if err != nil || m.Hash != both {
			t.Fatalf("%v: %+v, %v", want.Version, m, err)
		}
		if missing := m.MissingLayers(); !reflect.DeepEqual(missing, []int{2}) {
			t.Errorf("missing layers %v", missing)
		}
		if _, known := m.PieceV2(1); known {
			t.Error("a piece of a missing layer is known")
		}
		if h, known := m.PieceV2(0); !known || h != m.Info.Files[0].Root {
			t.Error("a file of one piece is its own root")
		}
	}
	wrong := both
	wrong.V1[0]++
	only1 := enc(v1Single())
	s1, s2 := sums(only1)
	for name, c := range map[string]struct {
		info []byte
		want InfoHash
	}{
		"another hash":             {info, wrong},
		"v2 asked, v1 came":        {only1, InfoHash{V2: s2, Version: V2}},
		"hybrid asked, v1 came":    {only1, InfoHash{V1: s1, V2: s2, Version: Hybrid}},
		"no dictionary":            {[]byte("le"), hash1("le")},
		"no bencoding":             {[]byte("x"), hash1("x")},
		"a newline after it":       {append(only1, '\n'), hash1(string(only1) + "\n")},
		"an info that is refused":  {[]byte("de"), hash1("de")},
		"more than it may have":    {make([]byte, MaxSize+1), both},
		"bytes of a whole torrent": {torrent(v1Single()), hash1(string(torrent(v1Single())))},
	} {
		var e *Error
		if _, err := ParseInfo(c.info, c.want); !errors.As(err, &e) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func hash1(s string) InfoHash {
	v1, _ := sums([]byte(s))
	return InfoHash{V1: v1, Version: V1}
}

// After a magnet link, layers come from peers; the .torrent that is then written is complete, and before that it can be
// read back by who wrote it.
func TestWithLayers(t *testing.T) {
	_, layer := blocksRoot(3, 2)
	info := enc(v2Tree())
	_, v2 := sums(info)
	m, err := ParseInfo(info, InfoHash{V2: v2, Version: V2})
	if err != nil {
		t.Fatal(err)
	}
	m.Trackers = [][]string{{"http://t/"}, {"http://u/"}}
	half := m.Bytes()
	if _, err := Parse(half); err == nil {
		t.Error("a .torrent without its layers is accepted")
	}
	m, err = ParseIncomplete(half)
	if err != nil || len(m.MissingLayers()) != 1 || len(m.Trackers) != 2 {
		t.Fatalf("read back: %+v, %v", m, err)
	}
	for name, c := range map[string]struct {
		file  int
		layer string
	}{"short": {1, layer[:64]}, "long": {1, layer + layer[:32]}, "wrong": {1, layer[:95] + "?"}, "empty": {1, ""}} {
		if _, err := m.WithLayers([]FileLayer{{c.file, []byte(c.layer)}}); !errors.Is(err, ErrLayer) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, f := range []int{0, 7, -1} {
		if _, err := m.WithLayers([]FileLayer{{f, []byte(layer)}}); err == nil {
			t.Errorf("file %d took a layer", f)
		}
	}
	all, err := m.WithLayers([]FileLayer{{1, []byte(layer)}})
	if err != nil || all.MissingLayers() != nil || len(m.MissingLayers()) != 1 {
		t.Fatalf("WithLayers: %v, missing %v, and before %v", err, all.MissingLayers(), m.MissingLayers())
	}
	whole := mustParse(t, all.Bytes())
	if whole.Hash != m.Hash || !reflect.DeepEqual(whole.Trackers, m.Trackers) || string(whole.Layer(1)) != layer {
		t.Errorf("written and read: %+v", whole)
	}
}

// What libtorrent 2.0.8 writes by default: padding after the last file too, two tiers, a web seed, an executable file.
func TestLibtorrentHybrid(t *testing.T) {
	m := mustParse(t, golden(t, "libtorrent-hybrid"))
	if got, want := fmt.Sprintf("%x", m.Hash.V1), "d53dc8328003b0d87ed3f483fa492ca32090cf04"; got != want {
		t.Errorf("v1 %s, want %s", got, want)
	}
	if got, want := m.Hash.ID(), "d383cecbf1c21ce5e4e5a30b23a0e3397ed0a367a068b662803791e36c372b3e"; got != want {
		t.Errorf("v2 %s, want %s", got, want)
	}
	i := m.Info
	if !i.Private || i.Bytes() != 354_921 || i.Span() != 26*piece || i.PieceSize(25) != piece || i.DataSize(25) != 33_000-2*piece {
		t.Errorf("private %v, %d bytes, span %d, last piece %d of %d", i.Private, i.Bytes(), i.Span(), i.DataSize(25), i.PieceSize(25))
	}
	if len(m.Trackers) != 2 || len(m.Trackers[1]) != 2 || len(m.WebSeeds) != 1 || m.Comment != "made by libtorrent" {
		t.Errorf("%q %q %q", m.Trackers, m.WebSeeds, m.Comment)
	}
}
