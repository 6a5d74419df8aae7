package store

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"

	"shoal/internal/adapter/store/disk"
)

// manyFiles is from how many files on one flush of the whole file system is
// cheaper than one for each.
const manyFiles = 64

// Sync flushes to the device what was written since the last Sync: the bytes
// of files first, then the folders whose names changed. What Sync could not do
// is left for the next one. On return without error every piece that was
// written before the call is on the device.
func (c *Content) Sync(ctx context.Context) error {
	c.mu.Lock()
	files, folders := c.unsynced, c.folders
	c.unsynced, c.folders = nil, make(map[string]struct{})
	c.mu.Unlock()
	done, all, err := c.syncFiles(ctx, files)
	if err != nil {
		c.restore(files[done:], folders)
		return err
	}
	if all {
		return ctx.Err()
	}
	for key := range folders {
		if err := c.syncFolder(key); err != nil {
			c.restore(nil, folders)
			return err
		}
	}
	return ctx.Err()
}

// restore gives unfinished work back.
func (c *Content) restore(files []int, folders map[string]struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range files {
		st := c.slot(f)
		if old := st.flags.Or(unsynced); old&unsynced == 0 || !slices.Contains(c.unsynced, f) {
			c.unsynced = append(c.unsynced, f)
		}
	}
	for key := range folders {
		c.folders[key] = struct{}{}
	}
}

func (c *Content) slot(f int) *fileState {
	if f < 0 {
		return &c.parts
	}
	return &c.files[f]
}

// syncFiles flushes files and tells how many are done, and whether the folders
// were flushed along with them.
func (c *Content) syncFiles(ctx context.Context, files []int) (done int, all bool, err error) {
	// The mark goes first: a write that comes while flushing sets it again
	// and is left to the next Sync.
	if len(files) >= manyFiles {
		for _, f := range files {
			c.slot(f).flags.And(^unsynced)
		}
		err := c.syncEverything()
		if err == nil {
			return len(files), true, nil
		}
		if !errors.Is(err, errors.ErrUnsupported) {
			return 0, false, err
		}
	}
	for n, f := range files {
		if err := ctx.Err(); err != nil {
			return n, false, err
		}
		c.slot(f).flags.And(^unsynced)
		if err := c.syncFile(f); err != nil {
			return n, false, err
		}
	}
	return len(files), false, nil
}

// syncEverything flushes the file systems of the content and of the parts.
func (c *Content) syncEverything() error {
	d, err := c.folder(nil, false)
	if err != nil {
		return err
	}
	defer d.release()
	dir, err := d.file()
	if err != nil {
		return disk.Fault("sync", c.dir, err)
	}
	if err := disk.SyncAll(dir); err != nil {
		return disk.Fault("sync", c.dir, err)
	}
	if h := c.parts.handle.Load(); h != nil && h.retain() {
		defer h.release()
		return disk.Fault("sync", c.partsPath, disk.SyncData(h.f))
	}
	return nil
}

func (c *Content) syncFile(f int) error {
	if f < 0 {
		h, err := c.openParts()
		if err != nil {
			return err
		}
		defer h.release()
		return disk.Fault("sync", c.partsPath, disk.SyncData(h.f))
	}
	h, _, err := c.open(f, 0, false)
	if errors.Is(err, ErrChanged) {
		return nil // gone: nothing of ours is left to flush; Changed tells
	}
	if err != nil {
		return err
	}
	defer h.release()
	return disk.Fault("sync", c.Path(f), disk.SyncData(h.f))
}

// syncFolder flushes the names in a folder.
func (c *Content) syncFolder(key string) error {
	var comps []string
	if key != "" {
		comps = strings.Split(key, "/")
	}
	d, err := c.folder(comps, false)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer d.release()
	dir, err := d.file()
	if err == nil {
		err = disk.SyncFolder(dir)
	}
	return disk.Fault("sync", c.fullPath(comps), err)
}
