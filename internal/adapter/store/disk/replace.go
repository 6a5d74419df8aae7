package disk

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Unfinished begins the name of a file that WriteWhole has not ended: after a kill one may
// lie beside the right one, and is of no use.
const Unfinished = ".new-"

// Replace puts a file in place such that it is there whole or not at all, also after a
// power cut. Errors are as the system gave them.
func Replace(path string, data []byte, mode fs.FileMode) error {
	if err := WriteWhole(path, data, mode); err != nil {
		return err
	}
	return SyncNames(filepath.Dir(path))
}

// WriteWhole is Replace without the flush of the folder, for several files in one.
func WriteWhole(path string, data []byte, mode fs.FileMode) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), Unfinished+"*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(f.Name())
		}
	}()
	_, err = f.Write(data)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// SyncNames flushes the names in a folder, so that what was made, renamed or removed there
// stays so.
func SyncNames(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(SyncFolder(f), f.Close())
}
