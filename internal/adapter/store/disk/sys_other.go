//go:build !linux

package disk

import (
	"errors"
	"io"
	"os"
	"runtime"
)

// ReadVec fills bufs from off. io.ErrUnexpectedEOF means that the file ends
// before that.
func ReadVec(f *os.File, bufs [][]byte, off int64) error {
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

// WriteVec writes bufs at off.
func WriteVec(f *os.File, bufs [][]byte, off int64) error {
	for _, b := range bufs {
		n, err := f.WriteAt(b, off)
		if err != nil {
			return err
		}
		off += int64(n)
	}
	return nil
}

// RenameNew renames within one folder and fails with fs.ErrExist when the new
// name is taken: a hard link never replaces anything.
func RenameNew(root *os.Root, _ *os.File, oldName, newName string) error {
	return linkNew(root, oldName, newName)
}

// SyncAll is not to be had here.
func SyncAll(*os.File) error { return errors.ErrUnsupported }

// SyncData flushes f.
func SyncData(f *os.File) error { return f.Sync() }

// FlushNeedsWrite: a file opened for reading alone cannot be flushed.
const FlushNeedsWrite = runtime.GOOS == "windows"

// systemBoot is unknown here: every process counts as a boot of its own, which
// is safe and only costs hashing again what was not synced.
func systemBoot() string { return "" }
