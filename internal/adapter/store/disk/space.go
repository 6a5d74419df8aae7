package disk

import (
	"errors"
	"io/fs"
	"path/filepath"
)

// MinReserve is the least that Reserve keeps free, in bytes.
const MinReserve = 1 << 30

// Reserve is how many bytes of a file system of total bytes are left alone by
// default: 5 %, and at least MinReserve.
func Reserve(total int64) int64 {
	return max(MinReserve, total/20)
}

// Free reports the bytes a person may still write to the file system that
// holds dir, and its size. Where dir does not exist yet, its nearest existing
// parent is asked.
func Free(dir string) (free, total int64, err error) {
	p, err := filepath.Abs(dir)
	if err != nil {
		return 0, 0, Fault("ask free space of", dir, err)
	}
	for {
		free, total, err = freeBytes(p)
		parent := filepath.Dir(p)
		if err == nil || !errors.Is(err, fs.ErrNotExist) || parent == p {
			return free, total, Fault("ask free space of", p, err)
		}
		p = parent
	}
}

// CheckSpace refuses, with a *SpaceError (ErrNoSpace), to start writing need
// bytes beneath dir when that would leave less than reserve bytes free. A
// negative reserve means Reserve of the file system. Need 0 is never refused.
func CheckSpace(dir string, need, reserve int64) error {
	if need <= 0 {
		return nil
	}
	free, total, err := Free(dir)
	if err != nil {
		return err
	}
	if reserve < 0 {
		reserve = Reserve(total)
	}
	if free < need || free-need < reserve {
		return &SpaceError{Path: dir, Need: need, Free: free, Reserve: reserve}
	}
	return nil
}
