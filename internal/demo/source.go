package demo

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"shoal/internal/door/api"
)

// source is what is shared.
type source struct {
	path string
	why  string // what it is, where the person did not choose it
}

// source is the person's path, or the sources of Go's tools, or a folder that is made.
func (d *demo) source(ctx context.Context) (source, error) {
	if d.Path != "" {
		abs, err := filepath.Abs(d.Path)
		if err == nil {
			_, err = os.Stat(abs)
		}
		if at := (*fs.PathError)(nil); errors.As(err, &at) {
			err = api.Errorf(api.Path, d.Path, "%w", at.Err)
		}
		return source{path: abs}, err
	}
	if path := goSources(ctx, d.dir); path != "" {
		return source{path, " (the Go tools' own sources)"}, nil
	}
	root := filepath.Join(d.dir, "music")
	return source{root, " (made for this)"}, makeFolder(root)
}

// goSources is where the sources of Go's tools lie, if Go is here: a third of the Go source tree.
// All of it, eleven thousand files, would take a small machine most of a minute to write four times.
func goSources(ctx context.Context, dir string) string {
	root := os.Getenv("GOROOT")
	if root == "" {
		ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		c := exec.CommandContext(ctx, "go", "env", "GOROOT")
		c.Dir, c.Env = dir, append(os.Environ(), "GOTOOLCHAIN=local") // nothing is looked for on the Internet
		c.WaitDelay = time.Second
		out, err := c.Output()
		if err != nil {
			return ""
		}
		root = strings.TrimSpace(string(out))
	}
	path := filepath.Join(root, "src", "cmd")
	if fi, err := os.Stat(filepath.Join(path, "go", "main.go")); err != nil || !fi.Mode().IsRegular() || !filepath.IsAbs(path) {
		return ""
	}
	return path
}

// makeFolder makes a folder of 64 MiB in files of odd sizes, the same in every run.
func makeFolder(root string) error {
	rng := rand.NewChaCha8([32]byte{'s', 'h', 'o', 'a', 'l'})
	for _, f := range []struct {
		name string
		size int
	}{{"concert.bin", 48 << 20}, {"songs/one.bin", 9<<20 + 1}, {"songs/two.bin", 7<<20 - 17}, {"notes/short.bin", 12}, {"notes/empty.bin", 0}} {
		file := filepath.Join(root, filepath.FromSlash(f.name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		b := make([]byte, f.size)
		rng.Read(b)
		if err := os.WriteFile(file, b, 0o644); err != nil {
			return err
		}
	}
	return nil
}
