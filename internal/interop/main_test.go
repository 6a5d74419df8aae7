//go:build linux

package interop

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"shoal/bench/clients"
	"shoal/bench/clients/testlab"
	"shoal/bench/measure"
)

// pairTime is how long one transfer between two programs may take, start included.
const pairTime = 60 * time.Second

// pieceLength of the torrents made here: small, so that there are many pieces.
const pieceLength = 64 << 10

// oneLayer is a piece length that only the largest file here exceeds. libtorrent 2.0.8, and
// qbittorrent with it, stops some hybrids that it fetches by link when the hashes of a file
// come among its blocks. Those of the first file that needs any come before all blocks.
// Several layers in a hybrid are tested in package engine, in v2 also here.
const oneLayer = 1 << 20

func TestMain(m *testing.M) {
	os.Exit(clients.Inside("interop", func() int {
		// The programs wait more than they compute.
		flag.Parse()
		if err := flag.Set("test.parallel", strconv.Itoa(max(8, runtime.GOMAXPROCS(0)))); err != nil {
			return 1
		}
		code := m.Run()
		if dir, err := source(); err == nil {
			os.RemoveAll(dir)
		}
		return code
	}))
}

// need skips a test without its programs, or fails it where they are required.
func need(t *testing.T, find ...func() error) {
	t.Helper()
	for _, f := range find {
		testlab.Need(t, f())
	}
}

// is makes a client's Find fit need.
func is(c *clients.Client) func() error {
	return func() error { _, err := c.Find(); return err }
}

// source makes the content once: a folder with odd names, empty files and one file
// of 12 MiB. Tests never write into it.
var source = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "shoal-interop-content-")
	if err != nil {
		return "", err
	}
	tree := filepath.Join(dir, "tree")
	if err := measure.WriteTree(tree); err != nil {
		return "", err
	}
	return dir, measure.WriteFile(filepath.Join(tree, "large.bin"), "large", 12<<20)
})

// content is a private copy of the source by hard links, so that what a program
// leaves beside the files does not meet the next test: the folder to seed from and
// the name in it, the whole tree or one file.
func content(t *testing.T, single bool) (dir, name string) {
	t.Helper()
	src, err := source()
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	if single {
		name = "large.bin"
		if err := os.Link(filepath.Join(src, "tree", name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		return dir, name
	}
	from := filepath.Join(src, "tree")
	err = filepath.WalkDir(from, func(p string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(src, p)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(dir, rel), 0o755)
		}
		return os.Link(p, filepath.Join(dir, rel))
	})
	if err != nil {
		t.Fatal(err)
	}
	return dir, "tree"
}

// torrent makes a torrent with libtorrent, which knows all formats.
func torrent(ctx context.Context, t *testing.T, r clients.MakeRequest) (string, clients.Made) {
	t.Helper()
	r.Out = filepath.Join(t.TempDir(), "t.torrent")
	for _, m := range clients.Makers() {
		if m.Name != "libtorrent" {
			continue
		}
		made, err := m.Make(ctx, r)
		if err != nil {
			t.Fatal(err)
		}
		return r.Out, made
	}
	t.Fatal("no libtorrent maker")
	return "", clients.Made{}
}

// same compares what arrived with the source.
func same(t *testing.T, want, dir string, leech *clients.Client) {
	t.Helper()
	compare := measure.Same
	if leech.SkipsEmpty {
		compare = measure.SameButEmpty
	}
	if err := compare(want, filepath.Join(dir, filepath.Base(want))); err != nil {
		t.Error(err)
	}
}
