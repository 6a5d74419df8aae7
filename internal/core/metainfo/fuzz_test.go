package metainfo

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"
)

// FuzzMetainfo: what is accepted gives the same bytes back, its info dictionary alone says the same, and its geometry
// adds up.
func FuzzMetainfo(f *testing.F) {
	names, err := filepath.Glob("testdata/*.torrent")
	if err != nil || len(names) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Add(torrent(v1Single()))
	f.Add(torrent(v1Files(file(1, "..", "a"), file(2, "A"), file(3, "a"), pad(4), dict{"attr", "l", "path", list{"l"}, "symlink path", list{"x"}}).with("pieces", hashes(1))))
	f.Add(torrent(v2Tree(), v2Layers()))
	f.Add(torrent(hybridTree(), v2Layers()))
	f.Add(enc(dict{"announce-list", list{list{"http://a/"}, list{}}, "info", v1Single(), "url-list", list{"http://w/"}}))
	f.Add(enc(dict{"info", v1Single(), "shoal groups", list{strings.Repeat("g", 32), strings.Repeat("h", 32)}, "url-list", "http://w/"}))
	f.Add(enc(dict{"info", v1Single(), "shoal groups", list{strings.Repeat("g", 31)}}))
	f.Fuzz(func(t *testing.T, in []byte) {
		m, err := Parse(in)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\x00\x1b") {
				t.Fatalf("not one line: %q", err)
			}
			return
		}
		if !bytes.Equal(m.Bytes(), in) {
			t.Fatal("Bytes are not the input")
		}
		alone, err := ParseInfo(m.InfoBytes, m.Hash)
		if err != nil {
			t.Fatalf("its info dictionary alone: %v", err)
		}
		if alone.Hash != m.Hash || !reflect.DeepEqual(alone.Info, m.Info) {
			t.Fatalf("%+v, alone %+v", m.Info, alone.Info)
		}
		var layers []FileLayer
		for _, file := range alone.MissingLayers() {
			layers = append(layers, FileLayer{file, m.Layer(file)})
		}
		if alone, err = alone.WithLayers(layers); err != nil {
			t.Fatal(err)
		}
		alone.Trackers, alone.WebSeeds = m.Trackers, m.WebSeeds
		if alone, err = alone.WithGroups(m.Groups); err != nil {
			t.Fatal(err)
		}
		again, err := Parse(alone.Bytes())
		if err != nil || again.Hash != m.Hash || !reflect.DeepEqual(again.WebSeeds, m.WebSeeds) || !reflect.DeepEqual(again.Groups, m.Groups) {
			t.Fatalf("written anew: %v", err)
		}
		checkInfo(t, m.Info)
	})
}

// checkInfo holds for every Info: paths are local and distinct, offsets add up.
func checkInfo(t *testing.T, i *Info) {
	if n := i.NumPieces(); n < 1 || n > MaxPieces || i.Span() < i.Bytes() || i.Bytes() <= 0 {
		t.Fatalf("%d pieces, %d bytes in %d", n, i.Bytes(), i.Span())
	}
	if i.NumPieces() < 10_000 {
		checkPiecesQuietly(t, i)
	}
	if SafeName(i.Name) != i.Name {
		t.Fatalf("name %q", i.Name)
	}
	seen := make(map[string]bool)
	var at int64
	for n := range i.Files {
		f := &i.Files[n]
		if f.Offset < at || f.Length < 0 {
			t.Fatalf("file %d at %d, after %d", n, f.Offset, at)
		}
		at = f.Offset + f.Length
		if f.Pad {
			continue
		}
		for _, c := range f.Path {
			if SafeName(c) != c {
				t.Fatalf("path %q", f.Path)
			}
		}
		if key := foldPath(f.Path); seen[key] || len(f.Path) == 0 {
			t.Fatalf("path %q twice", f.Path)
		} else {
			seen[key] = true
		}
	}
	if at != i.Span() {
		t.Fatalf("files end at %d of %d", at, i.Span())
	}
}

func checkPiecesQuietly(t *testing.T, i *Info) {
	t.Helper()
	checkPieces(t, i)
	if t.Failed() {
		t.FailNow()
	}
}

// FuzzMagnet: what is read, written and read again is the same.
func FuzzMagnet(f *testing.F) {
	f.Add("magnet:?xt=urn:btih:" + hex1 + "&dn=a+b&tr=http%3A%2F%2Ft%2F&ws=http://w/&x.pe=1.2.3.4:5&x.pe=[::1]:6&so=0,2,4,6-8")
	f.Add("magnet:?xt=urn:btmh:1220" + hex2 + "&xt=urn:btih:" + b32 + "&tr.1=udp://x:1")
	f.Add("magnet:?xt=urn:btih:" + hex1 + "&dn=%ff%00%0a")
	f.Add("magnet:?xt=urn:btih:" + hex1 + "&X.GROUP=" + strings.ToUpper(hex2) + "&x.group.1=" + hex2 + "&x.pe.2=a:1&so=1")
	f.Fuzz(func(t *testing.T, in string) {
		m, err := ParseMagnet(in)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\x00\x1b") {
				t.Fatalf("not one line: %q", err)
			}
			return
		}
		if len(m.Groups) == 0 && strings.Contains(strings.ToLower(in), "&x.group=") {
			t.Fatalf("%q is for groups and was read as public", in)
		}
		out := m.String()
		if len(out) > maxMagnet {
			return
		}
		again, err := ParseMagnet(out)
		if err != nil || !reflect.DeepEqual(again, m) || again.String() != out {
			t.Fatalf("%q is %+v; %q is %+v, %v", in, m, out, again, err)
		}
	})
}

// FuzzSafeName: the result is always one local component, and safe already.
func FuzzSafeName(f *testing.F) {
	for _, s := range []string{"", ".", "..", "a/b", `a\b`, "CON", "nul.txt", "x ", "caf\xe9", "\u202e", strings.Repeat("é", 200), "a.tar.gz", "COM¹.x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		out := SafeName(in)
		if out == "" || len(out) > MaxName || !utf8.ValidString(out) || !filepath.IsLocal(out) || filepath.Base(out) != out ||
			strings.ContainsAny(out, "/\\\x00") || strings.Trim(out, ". ") == "" || isDevice(out) {
			t.Fatalf("%q became %q", in, out)
		}
		if last := out[len(out)-1]; last == '.' || last == ' ' {
			t.Fatalf("%q became %q", in, out)
		}
		if again := SafeName(out); again != out {
			t.Fatalf("%q became %q, then %q", in, out, again)
		}
	})
}
