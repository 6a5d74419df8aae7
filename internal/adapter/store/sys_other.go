//go:build !linux

package store

import (
	"errors"
	"io"
	"os"
	"runtime"
)

// readVec fills bufs from off. io.ErrUnexpectedEOF means that the file ends
// before that.
func readVec(f *os.File, bufs [][]byte, off int64) error {
	for _, b := range bufs {
		n, err := f.ReadAt(b, off)
		if n < len(b) {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return err
		}
		off += int64(n)
	}
	return nil
}

// writeVec writes bufs at off.
func writeVec(f *os.File, bufs [][]byte, off int64) error {
	for _, b := range bufs {
		n, err := f.WriteAt(b, off)
		if err != nil {
			return err
		}
		off += int64(n)
	}
	return nil
}

// renameNew renames within one folder and fails with fs.ErrExist when the new
// name is taken: a hard link never replaces anything.
func renameNew(d *folder, oldName, newName string) error {
	return linkNew(d.root, oldName, newName)
}

// syncAll is not to be had here.
func syncAll(*os.File) error { return errors.ErrUnsupported }

// syncData flushes f.
func syncData(f *os.File) error { return f.Sync() }

// flushNeedsWrite: a file opened for reading alone cannot be flushed.
const flushNeedsWrite = runtime.GOOS == "windows"

// systemBoot is unknown here: every process counts as a boot of its own, which
// is safe and only costs hashing again what was not synced.
func systemBoot() string { return "" }
