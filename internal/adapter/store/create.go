package store

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"shoal/internal/adapter/store/disk"
	"shoal/internal/adapter/store/disk/catalog"
	"shoal/internal/core/metainfo"
)

// CreateOptions say what metainfo to make. The zero value makes a hybrid with
// a piece length chosen by size.
type CreateOptions struct {
	Name        string           // of the share; "" means the file's or folder's own
	Version     metainfo.Version // 0 means hybrid
	PieceLength int64            // bytes, a power of two from 16 KiB; 0 chooses
	Trackers    [][]string       // tiers (BEP 12)
	WebSeeds    []string         // BEP 19
	Private     bool             // BEP 27
	Comment     string
	CreatedBy   string
	Created     int64 // Unix seconds; 0 means now, negative leaves it out. Not part of the info hash
	Workers     int   // cores to use; 0 means all
	// Progress is called at most ten times a second, and at the end, by one
	// goroutine; total is the bytes of all files.
	Progress func(done, total int64)
}

// Create reads a file or a tree of files once and makes its metainfo. The same
// files, names and options give the same info hash on every machine. Links and
// special files are skipped and reported; a path that is itself a link is
// resolved first. A file that cannot be read, or that changes while it is read
// (ErrChanged), is an error that names it. When ctx ends, so does Create, within
// the time of reading 128 KiB.
func Create(ctx context.Context, path string, o CreateOptions) (*metainfo.Metainfo, *Report, error) {
	if o.Version == 0 {
		o.Version = metainfo.Hybrid
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, nil, disk.Fault("share", path, err)
	}
	if o.Name == "" {
		o.Name = filepath.Base(abs)
	}
	report := &Report{}
	if report.Root, err = filepath.EvalSymlinks(abs); err != nil {
		return nil, nil, disk.Fault("share", path, err)
	}
	fi, err := os.Lstat(report.Root)
	if err != nil {
		return nil, nil, disk.Fault("share", path, err)
	}
	sources, err := gather(ctx, fi, o.Name, report)
	if err != nil {
		return nil, nil, err
	}
	files := make([]metainfo.BuildFile, len(sources))
	for i, s := range sources {
		files[i] = metainfo.BuildFile{Path: s.path, Length: s.stamp.size}
	}
	// The plan sorts the files as walk did, so the n-th is still the n-th.
	info, err := metainfo.PlanLayout(o.Name, !fi.IsDir(), files, o.Version, o.PieceLength)
	if err != nil {
		return nil, nil, err
	}
	h := newHashing(info, report.Root, sources, files)
	if err := h.run(ctx, o); err != nil {
		return nil, nil, err
	}
	report.Padding = info.Padding()
	m, err := h.build(o)
	if err != nil {
		return nil, nil, err
	}
	report.Resume = h.resume(m.Info)
	return m, report, nil
}

// gather lists what is to be hashed. A single file is listed under the share's
// name and opened under its own.
func gather(ctx context.Context, fi fs.FileInfo, name string, report *Report) ([]*source, error) {
	switch {
	case fi.IsDir():
		return walk(ctx, report.Root, report)
	case fi.Mode().IsRegular():
		w := &walker{report: report}
		w.add([]string{name}, fi, strings.HasPrefix(filepath.Base(report.Root), "."))
		return w.sources, nil
	}
	return nil, &Error{Op: "share", Path: report.Root, Kind: ErrLink}
}

// build makes the metainfo of what was hashed.
func (h *hashing) build(o CreateOptions) (*metainfo.Metainfo, error) {
	created := o.Created
	switch {
	case created == 0:
		created = time.Now().Unix()
	case created < 0:
		created = 0
	}
	b := metainfo.Build{
		Info: h.info, Files: h.built, V1Pieces: h.v1,
		Trackers: o.Trackers, WebSeeds: o.WebSeeds, Private: o.Private,
		Comment: o.Comment, CreatedBy: o.CreatedBy, Created: created,
	}
	return b.Metainfo()
}

// resume is the state of the files as they were read.
func (h *hashing) resume(info *metainfo.Info) *Resume {
	r := &Resume{Boot: BootID(), Have: make([]byte, catalog.BitmapLen(info)), Files: make([]FileStat, len(info.Files))}
	for p := range info.NumPieces() {
		r.Have[p>>3] |= 0x80 >> (p & 7)
	}
	// They lay there before: the disk has them, whatever happens now.
	r.Synced = slices.Clone(r.Have)
	for f := range info.Files {
		if n := h.source[f]; n >= 0 {
			s := h.sources[n].stamp
			r.Files[f] = FileStat{Size: s.size, MTimeNS: s.mtime, Ino: s.ino, State: StatFound}
		}
	}
	return r
}

// progress calls fn while the hashing goes on; the returned function ends it
// with a last call.
func (h *hashing) progress(fn func(done, total int64)) (stop func()) {
	if fn == nil {
		return func() {}
	}
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				fn(h.done.Load(), h.info.Bytes())
			case <-end:
				fn(h.done.Load(), h.info.Bytes())
				return
			}
		}
	}()
	return func() { close(end); <-ended }
}

// cores is how many workers share the work.
func cores(workers int) int {
	if workers > 0 {
		return workers
	}
	return runtime.GOMAXPROCS(0)
}
