package store

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"shoal/internal/adapter/store/disk"
)

// openExisting opens NAME or NAME.part. fileState.mu is held. What is opened
// must be a regular file and the one that was recorded.
func (c *Content) openExisting(f int, now int64) (*handle, error) {
	st := &c.files[f]
	whole := place(st.where.Load()) == final
	d, name, err := c.locate(f, false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &Error{Op: "open", Path: c.Path(f), Kind: ErrChanged, Err: err}
	}
	if err != nil {
		return nil, err
	}
	defer d.release()
	flag := os.O_RDONLY
	if whole && disk.FlushNeedsWrite && st.ours {
		flag = os.O_RDWR
	}
	if !whole {
		flag, name = os.O_RDWR, c.partName(f, name)
	}
	file, fi, err := openPlain(d, name, flag)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &Error{Op: "open", Path: c.Path(f), Kind: ErrChanged, Err: err}
	}
	if err != nil {
		return nil, disk.Fault("open", c.Path(f), err)
	}
	if !whole && fi.Size() == 0 && st.stamp.size == 0 {
		if _, err = c.extend(file, f); err != nil {
			_ = file.Close()
			return nil, err
		}
	} else if !sameFile(st.stamp, stampOf(fi), whole) {
		_ = file.Close()
		return nil, &Error{Op: "open", Path: c.Path(f), Kind: ErrChanged}
	}
	h := c.handles.add(file, &st.handle, now)
	h.final.Store(whole)
	return h, nil
}

// openPlain opens a regular file beneath a folder and follows no link: what
// was looked at must be what was opened.
func openPlain(d *folder, name string, flag int) (*os.File, fs.FileInfo, error) {
	seen, err := d.root.Lstat(name)
	if err != nil {
		return nil, nil, err
	}
	if !seen.Mode().IsRegular() {
		return nil, nil, ErrLink
	}
	file, err := d.root.OpenFile(name, flag, 0)
	if err != nil {
		return nil, nil, err
	}
	fi, err := file.Stat()
	if err == nil && !os.SameFile(seen, fi) {
		err = ErrLink
	}
	if err != nil {
		_ = file.Close()
		return nil, nil, err
	}
	return file, fi, nil
}

// createPart makes NAME.part and the folders it needs. fileState.mu is held.
// O_EXCL follows no link and opens nothing that is there already.
func (c *Content) createPart(f int, now int64) (*handle, error) {
	st := &c.files[f]
	folders, name := c.path(f)
	d, err := c.folder(folders, true)
	if err != nil {
		return nil, err
	}
	defer d.release()
	part := c.partName(f, name)
	file, err := d.root.OpenFile(part, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		if errors.Is(err, fs.ErrExist) {
			err = &Error{Op: "create", Path: c.fullPath(append(folders, part)), Kind: ErrExists}
		}
		return nil, disk.Fault("create", c.fullPath(append(folders, part)), err)
	}
	disk.MakeSparse(file)
	if _, err := c.extend(file, f); err != nil {
		_ = file.Close()
		_ = d.root.Remove(part)
		return nil, err
	}
	c.touchFolder(folders)
	h := c.handles.add(file, &st.handle, now)
	st.where.Store(int32(partial))
	st.ours, st.unfit = true, false
	return h, nil
}

// extend gives a new file its full length, as a hole, and records its stamp.
func (c *Content) extend(file *os.File, f int) (fs.FileInfo, error) {
	if err := file.Truncate(c.info.Files[f].Length); err != nil {
		return nil, disk.Fault("extend", c.Path(f), err)
	}
	fi, err := file.Stat()
	if err != nil {
		return nil, disk.Fault("look at", c.Path(f), err)
	}
	c.files[f].stamp = stampOf(fi)
	return fi, nil
}

// openParts opens the home's file for the bytes of unselected files.
func (c *Content) openParts() (*handle, error) {
	st := &c.parts
	if h := st.handle.Load(); h != nil && h.retain() {
		return h, nil
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if c.closed.Load() {
		return nil, &Error{Op: "open", Path: c.partsPath, Kind: ErrClosed}
	}
	if h := st.handle.Load(); h != nil && h.retain() {
		return h, nil
	}
	if c.partsPath == "" {
		return nil, &Error{Op: "open the home's parts of", Path: c.Root(), Err: fs.ErrNotExist}
	}
	if err := os.MkdirAll(filepath.Dir(c.partsPath), 0o700); err != nil {
		return nil, disk.Fault("make folder", filepath.Dir(c.partsPath), err)
	}
	file, err := os.OpenFile(c.partsPath, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, disk.Fault("open", c.partsPath, err)
	}
	fi, err := file.Stat()
	if err == nil && fi.Size() < c.info.Span() {
		disk.MakeSparse(file)
		err = file.Truncate(c.info.Span())
	}
	if err != nil {
		_ = file.Close()
		return nil, disk.Fault("open", c.partsPath, err)
	}
	return c.handles.add(file, &st.handle, c.now()), nil
}

// movePartsLocked copies what the home holds of file f to its NAME.part: only
// what was ever written there, so that nothing newer is covered by a hole.
// fileState.mu is held.
func (c *Content) movePartsLocked(f int) error {
	if _, err := os.Stat(c.partsPath); err != nil {
		return nil
	}
	src, err := c.openParts()
	if err != nil {
		return err
	}
	defer src.release()
	st := &c.files[f]
	file := &c.info.Files[f]
	end := file.Offset + file.Length
	var dst *handle
	buf := make([]byte, 128<<10)
	for at := disk.NextData(src.f, file.Offset, end); at < end; {
		if dst == nil {
			if place(st.where.Load()) == absent {
				dst, err = c.createPart(f, c.now())
			} else {
				dst, err = c.openExisting(f, c.now())
			}
			if err != nil {
				return err
			}
			defer dst.release()
		}
		n := min(int64(len(buf)), disk.NextHole(src.f, at, end)-at)
		if err := disk.ReadVec(src.f, [][]byte{buf[:n]}, at); err != nil {
			return disk.Fault("read", c.partsPath, err)
		}
		if err := disk.WriteVec(dst.f, [][]byte{buf[:n]}, at-file.Offset); err != nil {
			return disk.Fault("write", c.Path(f), err)
		}
		at = disk.NextData(src.f, at+n, end)
	}
	if dst != nil {
		c.wrote(f)
	}
	return nil
}
