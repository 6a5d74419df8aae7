package metainfo

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestSafeName(t *testing.T) {
	for in, want := range map[string]string{
		"a": "a", "Makefile": "Makefile", "100%.txt": "100%.txt", "ünïcödé 名前 👩‍👧.txt": "ünïcödé 名前 👩‍👧.txt", " x": " x", ".hidden": ".hidden", "a..b": "a..b",
		"":  "_",
		".": "%2E", "..": "%2E%2E", "...": "%2E%2E%2E", "a.": "a%2E", "a..": "a.%2E", "a ": "a%20", " ": "%20", "a. ": "a.%20",
		"/": "%2F", "a/b": "a%2Fb", "/etc": "%2Fetc", `a\b`: "a%5Cb", `C:\x`: "C:%5Cx",
		"a\x00b": "a%00b", "a\nb": "a%0Ab", "\x1b[31m": "%1B[31m", "a\x7f": "a%7F", "a\u0085b": "a%C2%85b",
		"a\u202eb": "a%E2%80%AEb", "\u2066x": "%E2%81%A6x", "\ufeffx": "%EF%BB%BFx", "a\u2028b": "a%E2%80%A8b", "\u200fx": "%E2%80%8Fx",
		"caf\xe9": "caf%E9", "\xff\xfe": "%FF%FE", "\xed\xa0\x80": "%ED%A0%80", "\xc0\xae\xc0\xae": "%C0%AE%C0%AE",
		"CON": "_CON", "con.txt": "_con.txt", "Aux.tar.gz": "_Aux.tar.gz", "nul .x": "_nul .x", "com1": "_com1", "LPT9.c": "_LPT9.c", "COM¹": "_COM¹",
		"CONIN$": "_CONIN$", "clock$": "_clock$", "console": "console", "com": "com", "com10": "com10", "_con": "_con", "comx": "comx",
	} {
		if got := SafeName(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestLongNames(t *testing.T) {
	exact := strings.Repeat("x", 255)
	if SafeName(exact) != exact {
		t.Error("a name of 255 bytes was changed")
	}
	a, b := SafeName(exact+"a.txt"), SafeName(exact+"b.txt")
	if a == b || len(a) != 255 || !strings.HasSuffix(a, ".txt") {
		t.Errorf("%q %q", a, b)
	}
	for _, in := range []string{strings.Repeat("é", 200), strings.Repeat("\xff", 200), strings.Repeat("名", 100) + "." + strings.Repeat("y", 300), strings.Repeat(".", 300)} {
		if got := SafeName(in); len(got) > MaxName || !utf8.ValidString(got) || SafeName(got) != got {
			t.Errorf("%.20q…: %q", in, got)
		}
	}
}

func named1(paths ...string) []File {
	files := make([]File, len(paths))
	for n, p := range paths {
		files[n].Path = strings.Split(p, "/")
	}
	return files
}

func TestDistinguish(t *testing.T) {
	for in, want := range map[string]string{
		"a b c":                  "a b c",
		"a a a":                  "a a~2 a~3",
		"x.txt X.TXT x.Txt":      "x.txt X~2.TXT x~3.Txt",
		"d/x D/X":                "d/x D/X~2",
		"d/x e/x":                "d/x e/x",
		"a a/b":                  "a~2 a/b",
		"A a/b a~2":              "A~3 a/b a~2",
		"a/b a":                  "a/b a~2",
		"a a~2 a":                "a a~2 a~3",
		"a!x a a/b":              "a!x a~2 a/b", // '!' sorts before '/'
		".x .x":                  ".x .x~2",
		"Straße STRAßE K \u212a": "Straße STRAßE~2 K \u212a~2",
		"a.b.c a.b.c":            "a.b.c a.b~2.c",
		"a/b/c a/b a a/b":        "a/b/c a/b~2 a~2 a/b~3",
	} {
		files := named1(strings.Fields(in)...)
		if err := distinguish(files); err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		var got []string
		for n, f := range files {
			got = append(got, strings.Join(f.Path, "/"))
			if changed := got[n] != strings.Fields(in)[n]; changed != (f.Raw == strings.Fields(in)[n]) {
				t.Errorf("%s: file %d is %q from %q", in, n, got[n], f.Raw)
			}
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("%s: %s, want %s", in, s, want)
		}
	}
}

// Names chosen so that renaming would try the same few again and again: were it done so, this would not end in time.
func TestDistinguishHostileNames(t *testing.T) {
	var taken []string
	for n := range 100_000 {
		taken = append(taken, fmt.Sprintf("a~%d", n+2))
	}
	for range MaxEqualNames {
		taken = append(taken, "a")
	}
	var long []string
	stem := strings.Repeat("x", 250)
	for n := range 40_000 {
		long = append(long, stem+fmt.Sprintf("%05d", n), stem+fmt.Sprintf("%05d", n))
	}
	for _, paths := range [][]string{taken, long} {
		files := named1(paths...)
		if err := distinguish(files); err != nil {
			t.Fatal(err)
		}
		seen := make(map[string]bool)
		for _, f := range files {
			if key := foldPath(f.Path); seen[key] || len(f.Path[0]) > MaxName {
				t.Fatalf("%q is there twice, or too long", f.Path)
			} else {
				seen[key] = true
			}
		}
	}
}

// Whatever the components, what comes out stays below the folder it is put in.
func TestPathsStayLocal(t *testing.T) {
	for _, c := range []string{"..", ".", "", "/", "../..", `..\..`, "a/../../b", "\x00", "C:", "//x"} {
		if got := SafeName(c); !filepath.IsLocal(got) || strings.ContainsAny(got, `/\`) {
			t.Errorf("%q became %q", c, got)
		}
	}
}
