package doctor

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	storedisk "shoal/internal/adapter/store/disk"
	"shoal/internal/core/ident"
)

// Place is a home and what its configuration says that matters here.
type Place struct {
	Dir     string                  // the home, which may be missing
	Key     string                  // path of the key
	Reserve func(total int64) int64 // disk.reserve
	Want    uint64                  // files and sockets that the configuration may lead to
}

// Look gathers what needs no network: it reads the home, writes a file of some mebibytes into
// it to measure the disk, and removes it. It takes as long as the disk does, but stops when
// ctx ends.
func Look(ctx context.Context, p Place) Facts {
	var f Facts
	f.Key = lookKey(p.Key)
	f.Clock = Clock{Now: time.Now(), Latest: latest(p.Dir)}
	f.Files = openFiles()
	f.Files.Want = p.Want
	f.Disk = lookDisk(ctx, p)
	return f
}

// maxKey is more than a key has.
const maxKey = 4096

func lookKey(path string) Key {
	k := Key{Path: path}
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		k.Missing = true
		return k
	case err != nil:
		k.Err = plain(err)
		return k
	case !info.Mode().IsRegular() || info.Size() > maxKey:
		k.Damaged = true
		return k
	}
	if runtime.GOOS != "windows" { // which has no such modes
		k.Mode = info.Mode()
	}
	b, err := os.ReadFile(path)
	if err != nil {
		k.Err = plain(err)
		return k
	}
	_, err = ident.ParseKey(b)
	k.Damaged = err != nil
	return k
}

// latest is when the youngest file of the home was written.
func latest(dir string) (at time.Time) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries[:min(len(entries), 1000)] {
		if info, err := e.Info(); err == nil && info.ModTime().After(at) {
			at = info.ModTime()
		}
	}
	return at
}

// How the disk is measured: one file, for as long at most, in steps.
const (
	measured    = 32 << 20
	measureStep = 1 << 20
	measureTime = 3 * time.Second
)

// measureName is that of the file; one that a killed process left is overwritten.
const measureName = "disk-speed.tmp"

func lookDisk(ctx context.Context, p Place) Disk {
	d := Disk{Dir: p.Dir}
	if _, err := os.Stat(p.Dir); errors.Is(err, fs.ErrNotExist) {
		d.Dir = filepath.Dir(p.Dir) // it will be made there
		d.Free, d.Total, _ = storedisk.Free(d.Dir)
		d.Reserve = p.Reserve(d.Total)
		return d
	}
	d.Free, d.Total, _ = storedisk.Free(p.Dir)
	d.Reserve = p.Reserve(d.Total)
	if d.Total > 0 && d.Free < 2*measured { // what is left is for better things
		return d
	}
	measuring.Lock()
	defer measuring.Unlock()
	path := filepath.Join(p.Dir, measureName)
	var err error
	d.Write, d.Read, err = measure(ctx, path)
	if rerr := os.Remove(path); err == nil && rerr != nil {
		err = rerr
	}
	if err != nil && ctx.Err() == nil {
		d.Err = plain(err)
	}
	return d
}

// measuring has one measurement at a time: a home is one process's.
var measuring sync.Mutex

// measure writes a file, flushes it, and reads it back, past the system's memory where that
// can be asked for; the rates are bytes a second.
func measure(ctx context.Context, path string) (write, read int64, err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	block := make([]byte, measureStep)
	for i := range block {
		block[i] = byte(i * 131 >> 3) // not all zero: some disks make nothing of those
	}
	begun, size := time.Now(), int64(0)
	for size < measured && time.Since(begun) < measureTime && ctx.Err() == nil {
		if _, err := f.WriteAt(block, size); err != nil {
			return 0, 0, err
		}
		size += measureStep
	}
	if err := f.Sync(); err != nil {
		return 0, 0, err
	}
	write = rate(size, time.Since(begun))
	cold := forget(f)
	begun = time.Now()
	got := make([]byte, measureStep)
	done := int64(0)
	for done < size && time.Since(begun) < measureTime && ctx.Err() == nil {
		if _, err := f.ReadAt(got, done); err != nil {
			return 0, 0, err
		}
		if !bytes.Equal(got, block) {
			return 0, 0, errors.New("what was read is not what was written")
		}
		done += measureStep
	}
	if cold {
		read = rate(done, time.Since(begun))
	}
	return write, read, ctx.Err()
}

func rate(n int64, took time.Duration) int64 {
	return int64(float64(n) / max(took.Seconds(), 1e-6))
}

// plain is an error without the path that the finding names anyway.
func plain(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}
