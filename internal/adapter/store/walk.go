package store

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"shoal/internal/adapter/store/disk"
	"shoal/internal/core/metainfo"
)

// maxListed bounds the lists of a Report; the counts beside them go on.
const maxListed = 100

// Skipped is something that a share cannot carry and that was left out.
type Skipped struct {
	Path   string // beneath the share
	Reason string // "link" or "special file"
}

// Report tells what was shared and what a metainfo cannot carry.
type Report struct {
	Root    string // the file or folder that was read; links in its own path are resolved
	Files   int
	Bytes   int64
	Padding int64 // bytes between the files that cost nothing on disk (hybrid)

	Skipped          []Skipped // the first 100
	SkippedCount     int
	EmptyFolders     []string // the first 100: folders without a file in them
	EmptyFolderCount int
	Hidden           int // files whose name, or a folder's on the way, begins with a dot: they are shared
	Modes            int // executable files: they are shared, the mode is not

	// Resume is the state of the files as they were read, with every piece in
	// Have: for Options.Resume when the share is opened in place.
	Resume *Resume
}

// source is one file to be hashed.
type source struct {
	path  []string // components beneath the root; for a single file its name
	stamp stamp    // when the tree was walked
	holes bool

	mu   sync.Mutex
	f    *os.File
	left atomic.Int32 // pieces that still need it
}

// walker collects the files of a tree in the canonical order.
type walker struct {
	ctx     context.Context
	root    string
	report  *Report
	sources []*source
}

// walk lists the tree beneath root once. Links and special files are skipped,
// never followed.
func walk(ctx context.Context, root string, report *Report) ([]*source, error) {
	w := &walker{ctx: ctx, root: root, report: report}
	if err := w.folder(nil, false); err != nil {
		return nil, err
	}
	slices.SortFunc(w.sources, func(a, b *source) int { return slices.Compare(a.path, b.path) })
	return w.sources, nil
}

// folder lists one folder and what is beneath it.
func (w *walker) folder(comps []string, hidden bool) error {
	full := filepath.Join(w.root, filepath.Join(comps...))
	if len(comps) >= metainfo.MaxDepth {
		return &Error{Op: "share", Path: full, Err: errors.New("folders are nested too deep")}
	}
	entries, err := readFolder(full)
	if err != nil {
		return err
	}
	carried := false
	for _, e := range entries {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		path := append(slices.Clone(comps), e.Name())
		dotted := hidden || strings.HasPrefix(e.Name(), ".")
		switch {
		case e.IsDir():
			carried = true
			err = w.folder(path, dotted)
		case e.Type().IsRegular():
			carried = true
			err = w.file(path, e, dotted)
		default:
			w.skip(path, e.Type())
		}
		if err != nil {
			return err
		}
	}
	if !carried {
		w.report.EmptyFolderCount++
		if len(w.report.EmptyFolders) < maxListed {
			w.report.EmptyFolders = append(w.report.EmptyFolders, filepath.Join(comps...))
		}
	}
	return nil
}

// readFolder lists a folder in the order of names.
func readFolder(full string) ([]fs.DirEntry, error) {
	dir, err := os.OpenFile(full, disk.OpenRegular, 0)
	if err != nil {
		return nil, disk.Fault("read folder", full, err)
	}
	defer dir.Close()
	entries, err := dir.ReadDir(-1)
	if err != nil {
		return nil, disk.Fault("read folder", full, err)
	}
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, nil
}

func (w *walker) file(path []string, e fs.DirEntry, hidden bool) error {
	full := filepath.Join(w.root, filepath.Join(path...))
	fi, err := e.Info()
	if errors.Is(err, fs.ErrNotExist) || err == nil && !fi.Mode().IsRegular() {
		return &Error{Op: "share", Path: full, Kind: ErrChanged, Err: err}
	}
	if err != nil {
		return disk.Fault("look at", full, err)
	}
	if len(w.sources) == metainfo.MaxFiles {
		return &Error{Op: "share", Path: w.root, Err: errors.New("more than 200,000 files")}
	}
	w.add(path, fi, hidden)
	return nil
}

// add takes one file in.
func (w *walker) add(path []string, fi fs.FileInfo, hidden bool) {
	w.sources = append(w.sources, &source{path: path, stamp: stampOf(fi), holes: disk.Sparse(fi)})
	w.report.Files++
	w.report.Bytes += fi.Size()
	if hidden {
		w.report.Hidden++
	}
	if fi.Mode().Perm()&0o111 != 0 {
		w.report.Modes++
	}
}

func (w *walker) skip(path []string, mode fs.FileMode) {
	w.report.SkippedCount++
	if len(w.report.Skipped) == maxListed {
		return
	}
	reason := "special file"
	if mode&fs.ModeSymlink != 0 {
		reason = "link"
	}
	w.report.Skipped = append(w.report.Skipped, Skipped{Path: filepath.Join(path...), Reason: reason})
}
