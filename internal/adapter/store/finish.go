package store

import (
	"errors"
	"io/fs"
	"os"
	"slices"
	"strings"

	"shoal/internal/adapter/store/disk"
)

// Prepare makes what no piece will make: the share's folder and the selected
// empty files. It is called once conflicts are excluded.
func (c *Content) Prepare() error {
	if c.inPlace {
		return nil
	}
	if !c.info.Single {
		d, err := c.folder([]string{c.base}, true)
		if err != nil {
			return err
		}
		d.release()
	}
	for i := range c.files {
		if c.real(i) && c.info.Files[i].Length == 0 && c.Wanted(i) {
			if err := c.Finish(i); err != nil {
				return err
			}
		}
	}
	return nil
}

// Finish gives a file its final name, once every piece of it was verified. It
// never replaces another file: ErrExists. Finishing twice, or a file that is
// not selected, is no error. It does not sync; see Sync.
func (c *Content) Finish(file int) error {
	if c.inPlace || !c.real(file) {
		return nil
	}
	st := &c.files[file]
	st.mu.Lock()
	defer st.mu.Unlock()
	if c.closed.Load() {
		return &Error{Op: "finish", Path: c.Path(file), Kind: ErrClosed}
	}
	switch place(st.where.Load()) {
	case final, inParts:
		return nil
	case absent:
		if st.inWay != "" {
			return &Error{Op: "finish", Path: c.wayPath(file), Kind: ErrExists}
		}
		if c.info.Files[file].Length > 0 {
			return &Error{Op: "finish", Path: c.Path(file), Kind: ErrChanged, Err: fs.ErrNotExist}
		}
		h, err := c.createPart(file, c.now())
		if err != nil {
			return err
		}
		h.release()
	}
	return c.renameLocked(file)
}

// renameLocked turns NAME.part into NAME. fileState.mu is held.
func (c *Content) renameLocked(f int) error {
	st := &c.files[f]
	h := st.handle.Load()
	if h == nil || !h.retain() {
		var err error
		if h, err = c.openExisting(f, c.now(), false); err != nil {
			return err
		}
	}
	defer h.release()
	folders, name := c.path(f)
	d, err := c.folder(folders, false)
	if err != nil {
		return err
	}
	defer d.release()
	fi, err := h.f.Stat()
	if err == nil && fi.Size() != c.info.Files[f].Length {
		fi, err = c.extend(h.f, f)
	}
	if err != nil {
		return disk.Fault("finish", c.Path(f), err)
	}
	part := c.partName(f, name)
	seen, err := d.root.Lstat(part)
	if err != nil || !os.SameFile(seen, fi) {
		return &Error{Op: "finish", Path: c.Path(f), Kind: ErrChanged, Err: err}
	}
	if err := rename(d, part, name); err != nil {
		return disk.Fault("finish", c.Path(f), err)
	}
	c.touchFolder(folders)
	st.stamp = stampOf(fi)
	st.ours = true
	h.final.Store(true)
	st.where.Store(int32(final))
	return nil
}

// rename gives a file of d another name, unless that is taken.
func rename(d *folder, oldName, newName string) error {
	dir, err := d.file()
	if err != nil {
		return err
	}
	return disk.RenameNew(d.root, dir, oldName, newName)
}

// reopen turns NAME back into NAME.part, when NAME was put there by this node,
// was not touched by anyone since, and lost bytes in a crash.
func (c *Content) reopen(f int) bool {
	st := &c.files[f]
	st.mu.Lock()
	defer st.mu.Unlock()
	if place(st.where.Load()) != final {
		return true // somebody else just did
	}
	if !st.redo {
		return false
	}
	folders, name := c.path(f)
	d, err := c.folder(folders, false)
	if err != nil {
		return false
	}
	defer d.release()
	file, fi, err := openPlain(d, name, os.O_RDWR)
	if err != nil {
		return false
	}
	defer file.Close()
	if !sameFile(st.stamp, stampOf(fi), true) || rename(d, name, c.partName(f, name)) != nil {
		return false
	}
	c.handles.drop(&st.handle)
	c.touchFolder(folders)
	st.redo = false
	st.where.Store(int32(partial))
	return true
}

// Remove deletes the files that this node wrote, with their .part names and
// the home's parts, and then the share's folders as far as they are empty. It
// returns the paths it kept, because they lay there before, or were changed
// since. Of a share in place it deletes nothing and returns ErrReadOnly.
// The content is of no use afterwards but for Close.
func (c *Content) Remove() (kept []string, err error) {
	if c.inPlace {
		return nil, &Error{Op: "remove", Path: c.Root(), Kind: ErrReadOnly}
	}
	c.closed.Store(true)
	var errs []error
	for i := range c.files {
		if !c.real(i) {
			continue
		}
		path, err := c.removeFile(i)
		if path != "" {
			kept = append(kept, path)
		}
		if err != nil {
			errs = append(errs, err)
		}
	}
	c.Release()
	if c.partsPath != "" {
		if err := os.Remove(c.partsPath); err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, disk.Fault("remove", c.partsPath, err))
		}
	}
	c.removeFolders()
	return kept, errors.Join(errs...)
}

// removeFile deletes one file; kept names it when it was left.
func (c *Content) removeFile(i int) (kept string, err error) {
	st := &c.files[i]
	st.mu.Lock()
	defer st.mu.Unlock()
	c.handles.drop(&st.handle)
	where := place(st.where.Load())
	folders, name := c.path(i)
	d, err := c.folder(folders, false)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return c.Path(i), err
	}
	defer d.release()
	if where != partial {
		fi, err := d.root.Lstat(name)
		if errors.Is(err, fs.ErrNotExist) {
			return "", nil
		}
		if err != nil || where != final || !st.ours || !sameFile(st.stamp, stampOf(fi), true) {
			return c.Path(i), nil
		}
	} else {
		name = c.partName(i, name)
	}
	if err := d.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return c.Path(i), disk.Fault("remove", c.fullPath(append(folders, name)), err)
	}
	st.where.Store(int32(absent))
	return "", nil
}

// removeFolders deletes the share's empty folders, the deepest first. One that
// is not empty stays, which is no error.
func (c *Content) removeFolders() {
	if c.info.Single {
		return
	}
	seen := make(map[string]bool)
	var list []string
	for i := range c.files {
		if !c.real(i) {
			continue
		}
		folders, _ := c.path(i)
		for n := len(folders); n > 0; n-- {
			key := strings.Join(folders[:n], "/")
			if seen[key] {
				break
			}
			seen[key] = true
			list = append(list, key)
		}
	}
	slices.SortFunc(list, func(a, b string) int { return strings.Count(b, "/") - strings.Count(a, "/") })
	for _, key := range list {
		comps := strings.Split(key, "/")
		c.handles.dropFolders(c)
		d, err := c.folder(comps[:len(comps)-1], false)
		if err != nil {
			continue
		}
		if fi, err := d.root.Lstat(comps[len(comps)-1]); err == nil && fi.IsDir() {
			_ = d.root.Remove(comps[len(comps)-1])
		}
		d.release()
	}
	c.handles.dropFolders(c)
}
