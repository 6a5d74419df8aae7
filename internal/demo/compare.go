package demo

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"shoal/internal/core/metainfo"
	"shoal/internal/door/api"
)

// compare holds every copy against the original.
func (d *demo) compare(ctx context.Context, s shared) error {
	d.say("comparing %s with %s, byte by byte", copies(len(d.report.Peers)), api.Safe(d.report.Path))
	errs := make([]error, len(d.report.Peers))
	turns := make(chan struct{}, runtime.GOMAXPROCS(0))
	var wg sync.WaitGroup
	for i := range d.report.Peers {
		wg.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			p, n := &d.report.Peers[i], d.nodes[i+1]
			p.Equal, errs[i] = Same(ctx, d.report.Path, filepath.Join(n.files, s.Name), s.names)
		})
	}
	wg.Wait()
	d.report.Equal = true
	for i, p := range d.report.Peers {
		if errs[i] != nil {
			return d.nodes[i+1].failed(errs[i])
		}
		d.report.Equal = d.report.Equal && p.Equal
	}
	return nil
}

// renamed tells the names that files have where they are shared from those that were made safe,
// where they differ.
func renamed(ctx context.Context, c *api.Client, id string) (map[string]string, error) {
	b, err := c.Torrent(ctx, id)
	if err != nil {
		return nil, err
	}
	m, err := metainfo.Parse(b)
	if err != nil {
		return nil, err
	}
	names := map[string]string{}
	for _, f := range m.Info.Files {
		if f.Raw != "" {
			names[filepath.Join(f.Path...)] = filepath.Join(f.RawPath()...)
		}
	}
	return names, nil
}

// Same compares a file or folder with another, byte by byte: every regular file of the first
// must be in the second, and nothing else may be there. original has the names of the first
// that are others in the second.
func Same(ctx context.Context, a, b string, original map[string]string) (bool, error) {
	files := map[string]bool{}
	if err := eachFile(a, func(rel string) error { files[rel] = true; return nil }); err != nil {
		return false, err
	}
	equal, c := true, newComparer()
	err := eachFile(b, func(rel string) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		from := cmp.Or(original[rel], rel)
		if !files[from] {
			equal = false
			return nil
		}
		delete(files, from)
		same, err := c.same(filepath.Join(a, from), filepath.Join(b, rel))
		equal = equal && same
		return err
	})
	return equal && len(files) == 0, err
}

// eachFile visits the regular files beneath a path, or the path itself.
func eachFile(root string, visit func(rel string) error) error {
	return filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		return visit(rel)
	})
}

// comparer holds the memory that two files are read into.
type comparer struct{ a, b []byte }

func newComparer() *comparer { return &comparer{make([]byte, 256<<10), make([]byte, 256<<10)} }

func (c *comparer) same(a, b string) (bool, error) {
	fa, err := os.Open(a)
	if err != nil {
		return false, err
	}
	defer fa.Close()
	fb, err := os.Open(b)
	if err != nil {
		return false, err
	}
	defer fb.Close()
	for {
		n, errA := io.ReadFull(fa, c.a)
		m, errB := io.ReadFull(fb, c.b)
		if n != m || !bytes.Equal(c.a[:n], c.b[:m]) {
			return false, nil
		}
		endA, endB := errA == io.EOF || errA == io.ErrUnexpectedEOF, errB == io.EOF || errB == io.ErrUnexpectedEOF
		switch {
		case endA && endB:
			return true, nil
		case errA != nil && !endA:
			return false, errA
		case errB != nil && !endB:
			return false, errB
		}
	}
}
