//go:build linux

package fault

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"shoal/bench/clients"
	"shoal/internal/core/bencode"
)

// bad is one input that must be refused.
type bad struct {
	name string
	args []string
	exit int
}

// oneLine checks how a refusal looks: one line on stderr that no control character gets
// into, one JSON object at the end of the output, the exit code in both.
func oneLine(t *testing.T, what string, r result, exits ...int) {
	t.Helper()
	right := false
	for _, e := range exits {
		right = right || r.code == e
	}
	if !right {
		t.Errorf("%s: exit %d, want %d: %s", what, r.code, exits, r.stderr)
	}
	if strings.Count(r.stderr, "\n") != 1 || strings.ContainsAny(strings.TrimSuffix(r.stderr, "\n"), "\x1b\x00\r\n") || len(r.stderr) > 2000 {
		t.Errorf("%s: not one clear line: %.300q", what, r.stderr)
	}
	var e struct {
		Event, Reason string
		Exit          int
	}
	lines := bytes.Split(bytes.TrimSpace(r.out), []byte("\n"))
	if err := json.Unmarshal(lines[len(lines)-1], &e); err != nil || e.Event != "error" || e.Exit != r.code || e.Reason == "" {
		t.Errorf("%s: the last line is %.300q (%v)", what, lines[len(lines)-1], err)
	}
}

// each runs commands, two at a time, each in a home of its own.
func each(ctx context.Context, t *testing.T, l *clients.Lab, list []bad) {
	t.Helper()
	places := make(chan *node, 2)
	for range cap(places) {
		places <- newNode(t, l)
	}
	var all sync.WaitGroup
	for _, b := range list {
		n := <-places
		all.Go(func() {
			defer func() { places <- n }()
			p := n.start(b.args...)
			short, cancel := context.WithTimeout(ctx, 20*time.Second)
			defer cancel()
			if _, err := p.Wait(short); err != nil {
				p.Kill()
				t.Errorf("%s: %v hangs", b.name, b.args)
				return
			}
			oneLine(t, b.name, p.wait(ctx), b.exit)
		})
	}
	all.Wait()
}

// str, num and dict write bencode by hand, right or wrong.
func str(s string) string      { return fmt.Sprintf("%d:%s", len(s), s) }
func num(n int64) string       { return fmt.Sprintf("i%de", n) }
func dict(kv ...string) string { return "d" + strings.Join(kv, "") + "e" }

// v1 is a metainfo around an info dictionary.
func v1(info string) string { return dict(str("info"), info) }

// malformed are .torrent files that must be refused.
func malformed() map[string]string {
	info := func(length, name, pieceLength, pieces string) string {
		return v1(dict(str("length"), length, str("name"), name, str("piece length"), pieceLength, str("pieces"), pieces))
	}
	twenty := str(strings.Repeat("x", 20))
	files := func(f string) string {
		return v1(dict(str("files"), f, str("name"), str("n"), str("piece length"), num(16384), str("pieces"), twenty))
	}
	v2 := func(tree, rest string) string {
		return dict(str("info"), dict(str("file tree"), tree, str("meta version"), num(2), str("name"), str("n"), str("piece length"), num(16384)), rest)
	}
	leaf := func(kv ...string) string { return dict(str(""), dict(kv...)) }
	root := str(strings.Repeat("r", 32))
	return map[string]string{
		"empty":                 "",
		"text":                  "hello, this is no torrent",
		"html":                  "<!doctype html><html></html>",
		"a list":                "le",
		"a number":              "i1e",
		"nothing in it":         "de",
		"no info":               dict(str("announce"), str("http://127.0.0.1/announce")),
		"info is a list":        v1("le"),
		"info is a number":      v1("i1e"),
		"info is empty":         v1("de"),
		"info twice":            dict(str("info"), "de", str("info"), "de"),
		"length is text":        info(str("5"), str("n"), num(16384), twenty),
		"length negative":       info(num(-1), str("n"), num(16384), twenty),
		"length huge":           info("i9223372036854775807e", str("n"), num(16384), twenty),
		"length beyond 64 bits": info("i99999999999999999999999e", str("n"), num(16384), twenty),
		"length with zeros":     info("i007e", str("n"), num(16384), twenty),
		"length minus zero":     info("i-0e", str("n"), num(16384), twenty),
		"name is a number":      info(num(5), num(5), num(16384), twenty),
		"piece length zero":     info(num(5), str("n"), num(0), twenty),
		"piece length negative": info(num(5), str("n"), num(-16384), twenty),
		"piece length huge":     info(num(5), str("n"), num(1<<62), twenty),
		"piece length text":     info(num(5), str("n"), str("x"), twenty),
		"no pieces":             info(num(5), str("n"), num(16384), str("")),
		"half a piece hash":     info(num(5), str("n"), num(16384), str("0123456789")),
		"a piece too many":      info(num(5), str("n"), num(16384), str(strings.Repeat("x", 40))),
		"pieces is a list":      info(num(5), str("n"), num(16384), "le"),
		"too many pieces":       info(num(16384*(1<<21+1)), str("n"), num(16384), str(strings.Repeat("x", 20*(1<<21+1)))),
		"files is text":         files(str("x")),
		"files is empty":        files("le"),
		"a file is text":        files("l" + str("x") + "e"),
		"a file without path":   files("l" + dict(str("length"), num(5)) + "e"),
		"a path is text":        files("l" + dict(str("length"), num(5), str("path"), str("x")) + "e"),
		"a path is empty":       files("l" + dict(str("length"), num(5), str("path"), "le") + "e"),
		"a path of numbers":     files("l" + dict(str("length"), num(5), str("path"), "li1ee") + "e"),
		"a sum that overflows":  files("l" + strings.Repeat(dict(str("length"), num(1<<62), str("path"), "l"+str("x")+"e"), 4) + "e"),
		"both length and files": v1(dict(str("files"), "le", str("length"), num(5), str("name"), str("n"), str("piece length"), num(16384), str("pieces"), twenty)),
		"501 equal names":       files("l" + strings.Repeat(dict(str("length"), num(0), str("path"), "l"+str("x")+"e"), 501) + dict(str("length"), num(5), str("path"), "l"+str("y")+"e") + "e"),
		"deep lists":            dict(str("x"), strings.Repeat("l", 100000)+strings.Repeat("e", 100000)),
		"deep dictionaries":     strings.Repeat("d1:a", 50000) + "i1e" + strings.Repeat("e", 50000),
		"deep folders":          v2(strings.Repeat("d1:a", 200)+leaf(str("length"), num(5), str("pieces root"), root)+strings.Repeat("e", 200), ""),
		"a string of claims":    "d4:info99999999999:x",
		"a negative string":     "d4:info-5:x",
		"unended":               "d4:infod",
		"garbage behind":        info(num(5), str("n"), num(16384), twenty) + "garbage",
		"many tokens":           dict(str("x"), "l"+strings.Repeat("i1e", 2100000)+"e"),
		"v2 tree is text":       v2(str("x"), ""),
		"v2 tree is empty":      v2("de", ""),
		"v2 file without root":  v2(dict(str("f"), leaf(str("length"), num(5))), ""),
		"v2 root too short":     v2(dict(str("f"), leaf(str("length"), num(5), str("pieces root"), str("abc"))), ""),
		"v2 length negative":    v2(dict(str("f"), leaf(str("length"), num(-5), str("pieces root"), root)), ""),
		"v2 length is text":     v2(dict(str("f"), leaf(str("length"), str("5"), str("pieces root"), root)), ""),
		"v2 file and folder":    v2(dict(str("f"), dict(str(""), dict(str("length"), num(5), str("pieces root"), root), str("x"), leaf(str("length"), num(0)))), ""),
		"v2 layer missing":      v2(dict(str("f"), leaf(str("length"), num(99999), str("pieces root"), root)), ""),
		"v2 layer wrong":        v2(dict(str("f"), leaf(str("length"), num(99999), str("pieces root"), root)), str("piece layers")+dict(root, str(strings.Repeat("y", 32*7)))),
		"v2 layer short":        v2(dict(str("f"), leaf(str("length"), num(99999), str("pieces root"), root)), str("piece layers")+dict(root, str("y"))),
		"v2 layers is text":     v2(dict(str("f"), leaf(str("length"), num(99999), str("pieces root"), root)), str("piece layers")+str("y")),
		"v2 piece length odd":   dict(str("info"), dict(str("file tree"), dict(str("f"), leaf(str("length"), num(5), str("pieces root"), root)), str("meta version"), num(2), str("name"), str("n"), str("piece length"), num(20000))),
		"meta version 3":        dict(str("info"), dict(str("file tree"), "de", str("meta version"), num(3), str("name"), str("n"), str("piece length"), num(16384))),
	}
}

// TestMalformedTorrents: each is refused by get, show and the node with exit 4, in one
// line.
func TestMalformedTorrents(t *testing.T) {
	t.Parallel()
	ctx := deadline(t, 90*time.Second)
	l := lab(t)
	dir := t.TempDir()
	var cases []bad
	add := func(name, text string, get bool) {
		path := filepath.Join(dir, fmt.Sprintf("%d.torrent", len(cases)))
		must(t, os.WriteFile(path, []byte(text), 0o644))
		cases = append(cases, bad{name, []string{"show", path}, 4})
		if get {
			cases = append(cases, bad{name, []string{"get", path, "-o", filepath.Join(dir, "out")}, 4})
		}
	}
	n := 0
	for name, text := range malformed() {
		add(name, text, n%5 == 0 || long())
		n++
	}
	seed := newNode(t, l).share(ctx, tree(t, 5, 64<<10))
	whole, err := os.ReadFile(seed.torrent(ctx))
	must(t, err)
	step := 97
	if !long() {
		step = max(97, len(whole)/40/97*97)
	}
	for i := 1; i < len(whole); i += step {
		if _, err := bencode.Parse(whole[:i], bencode.Limits{}); err == nil {
			t.Fatalf("%d bytes of a torrent are one", i)
		}
		add(fmt.Sprintf("cut at %d", i), string(whole[:i]), false)
	}
	for i := 50; i < len(whole); i += step * 3 { // a digit more makes another structure
		add(fmt.Sprintf("spoilt at %d", i), string(whole[:i])+"\xff\xff"+string(whole[i:]), false)
	}
	each(ctx, t, l, cases)
	if left := list(t, dir); len(left) > len(cases) {
		t.Error("something was written")
	}
	t.Logf("%d commands", len(cases))
}

// TestBadArguments: flags, links and names that make no sense.
func TestBadArguments(t *testing.T) {
	t.Parallel()
	ctx := deadline(t, 60*time.Second)
	l := lab(t)
	path := file(t, "f.bin", 1000)
	hash := strings.Repeat("ab", 20)
	unknown := strings.Repeat("ef", 20)
	good := "magnet:?xt=urn:btih:" + hash
	out := t.TempDir()
	link := func(s string, exit int) bad { return bad{s, []string{"get", s, "-o", out}, exit} }
	each(ctx, t, l, []bad{
		link("magnet:", 4), link("magnet:?", 4), link("magnet:?dn=x", 4), link("magnet:?xt=", 4),
		link("magnet:?xt=urn:btih:", 4), link("magnet:?xt=urn:btih:zz", 4), link("magnet:?xt=urn:btih:"+hash[:39], 4),
		link("magnet:?xt=urn:btih:"+hash+"ab", 4), link("magnet:?xt=urn:btmh:1220"+hash, 4), link("magnet:?xt=urn:btmh:1114"+hash, 4),
		link("magnet:?xt=urn:sha1:"+hash, 4), link(good+"&xt=urn:btih:"+strings.Repeat("cd", 20), 4),
		link("magnet:?xt=%zz", 4), link("magnet:?"+strings.Repeat("x", 100000), 4),
		link("http://192.0.2.1/x.torrent", 6), link("ftp://127.0.0.1/x", 2), link("http://", 2), link("nothing-there", 5),
		link("/dev/null", 4), link("/", 5), link("\x1b[31mred", 5),
		{"no argument", []string{"get"}, 2}, {"two arguments", []string{"get", good, good}, 2},
		{"unknown command", []string{"gte", good}, 2}, {"unknown flag", []string{"get", good, "--nonsense"}, 2},
		{"bad peer", []string{"get", good, "--peer", "nobody"}, 2}, {"bad peer port", []string{"get", good, "--peer", "127.0.0.1:99999"}, 2},
		{"bad rate", []string{"get", good, "--down-limit", "fast"}, 2}, {"negative rate", []string{"get", good, "--down-limit", "-5"}, 2},
		{"bad pattern", []string{"get", good, "--select", "[x"}, 2}, {"bad time", []string{"get", good, "--timeout", "soon"}, 2},
		{"negative time", []string{"get", good, "--timeout", "-5s"}, 2}, {"in no time", []string{"get", good, "-o", out, "--timeout", "200ms"}, 3},
		{"bad format", []string{"share", path, "--format", "v3"}, 2}, {"bad piece size", []string{"share", path, "--piece-size", "17K"}, 2},
		{"piece size zero", []string{"share", path, "--piece-size", "0"}, 2}, {"piece size huge", []string{"share", path, "--piece-size", "1T"}, 2},
		{"bad tracker", []string{"share", path, "--tracker", "nonsense"}, 2}, {"tracker by ftp", []string{"share", path, "--tracker", "ftp://127.0.0.1/announce"}, 2},
		{"a device", []string{"share", "/dev/zero"}, 6}, {"nothing to share", []string{"share", filepath.Join(out, "nothing")}, 5},
		{"name of two", []string{"share", path, path, "--name", "x"}, 2},
		{"no such share", []string{"show", "nothing"}, 3}, {"no such hash", []string{"rm", unknown}, 3}, {"nothing to verify", []string{"verify", unknown}, 3},
		{"nothing to pause", []string{"pause", unknown}, 3}, {"no torrent", []string{"torrent", unknown, "-o", filepath.Join(out, "x")}, 3},
		{"bad limit", []string{"limit", "--up", "x"}, 2}, {"fsck of nothing", []string{"fsck", "extra"}, 2},
	})
	if left := list(t, out); len(left) != 0 {
		t.Errorf("something was written: %v", left)
	}
	n := newNode(t, l, "[network]", "prot = 5")
	oneLine(t, "unknown key", n.run(ctx, "ls"), 2)
	n.configure("[network")
	oneLine(t, "no TOML", n.run(ctx, "ls"), 2)
	n.configure("\x00\xff")
	oneLine(t, "bytes for TOML", n.run(ctx, "ls"), 2)
}

// TestNamesStayInside: names from metainfo that point elsewhere end up beneath the
// folder, under a name that shows what they were.
func TestNamesStayInside(t *testing.T) {
	t.Parallel()
	ctx := deadline(t, 60*time.Second)
	l := lab(t)
	for i, names := range [][]string{
		{"..", "..", "..", "escaped"}, {"/etc/passwd"}, {"a/../../b"}, {"..\\..\\c"}, {"C:\\x"}, {"\x00"}, {"."}, {"x\x1b[2J"},
		{"\u202egnp.exe"}, {"con"}, {"a", "..", "b"}, {strings.Repeat("n", 5000)}, {"\xff\xfe"}, {" "}, {"~"}, {"-rf"},
	} {
		t.Run(fmt.Sprintf("%d %.20q", i, names), func(t *testing.T) {
			outer := t.TempDir()
			out := filepath.Join(outer, "a", "b", "c")
			must(t, os.MkdirAll(out, 0o755))
			var path strings.Builder
			for _, s := range names {
				path.WriteString(str(s))
			}
			// Empty files need no peer.
			file := dict(str("length"), num(0), str("path"), "l"+path.String()+"e")
			data := dict(str("length"), num(5), str("path"), "l"+str("data")+"e")
			text := v1(dict(str("files"), "l"+file+data+"e", str("name"), str(names[0]), str("piece length"), num(16384), str("pieces"),
				str("\xaa\xf4\xc6\x1d\xdc\xc5\xe8\xa2\xda\xbe\xde\x0f\x3b\x48\x2c\xd9\xae\xa9\x43\x4d"))) // SHA-1 of "hello"
			torrent := filepath.Join(t.TempDir(), "t.torrent")
			must(t, os.WriteFile(torrent, []byte(text), 0o644))
			n := newNode(t, l)
			n.t = t
			if r := n.run(ctx, "show", torrent); r.code == 4 {
				return // refused altogether
			}
			p := n.start("get", torrent, "-o", out)
			line(ctx, p, func(e progress) bool { return e.Event == "progress" && e.State == "downloading" })
			r, _ := p.stopped(ctx, 2)
			if strings.ContainsAny(r.stderr, "\x1b\u202e\x00") {
				t.Errorf("a name is shown raw: %q", r.stderr)
			}
			for name := range list(t, outer) {
				if !strings.HasPrefix(name, "a/b/c/") {
					t.Errorf("outside the folder: %q", name)
				}
			}
			if len(list(t, out)) == 0 {
				t.Error("nothing was made")
			}
			if exists("/escaped") || exists("/tmp/escaped") {
				t.Error("it escaped")
			}
		})
	}
}
