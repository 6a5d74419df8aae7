package disk

import (
	"errors"
	"io/fs"
	"os"
)

// linkNew renames by a second name that must be new, then removes the first.
// On file systems without hard links (FAT) the name is looked at instead,
// which leaves a moment's gap.
func linkNew(root *os.Root, oldName, newName string) error {
	err := root.Link(oldName, newName)
	if err == nil {
		return root.Remove(oldName)
	}
	if errors.Is(err, fs.ErrExist) {
		return err
	}
	switch _, err := root.Lstat(newName); {
	case err == nil:
		return fs.ErrExist
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	return root.Rename(oldName, newName)
}
