package store

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"shoal/internal/adapter/store/disk"
)

// openExisting opens NAME if it is whole, or NAME.part. fileState.mu is held.
// What is opened must be a regular file and the one that was recorded.
func (c *Content) openExisting(f int, now int64, whole bool) (*handle, error) {
	st := &c.files[f]
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

// createPart makes NAME.part the place of a file's bytes. fileState.mu is held.
func (c *Content) createPart(f int, now int64) (*handle, error) {
	h, err := c.makePart(f, now)
	if err == nil {
		c.files[f].where.Store(int32(partial))
	}
	return h, err
}

// makePart makes NAME.part and the folders it needs. fileState.mu is held.
// O_EXCL follows no link and opens nothing that is there already.
func (c *Content) makePart(f int, now int64) (*handle, error) {
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
	st.ours, st.inWay = true, ""
	return c.handles.add(file, &st.handle, now), nil
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

// leaveHomeLocked brings what the home holds of file f to its place in the
// person's folder. Until all of it is there the home's bytes stay in use; after
// an error they go on being. fileState.mu is held.
func (c *Content) leaveHomeLocked(f int) error {
	st := &c.files[f]
	if !c.hasParts() {
		return nil
	}
	src, err := c.openParts()
	if err != nil {
		st.where.Store(int32(inParts))
		return err
	}
	defer src.release()
	to := place(st.where.Load())
	st.where.Store(int32(inParts))
	m := move{c: c, f: f, src: src, to: to}
	if err = m.run(); err != nil {
		m.undo()
		return err
	}
	if m.dst == nil {
		st.where.Store(int32(to))
		return nil
	}
	m.dst.release()
	if to == absent {
		to = partial
	}
	st.where.Store(int32(to))
	if to == partial {
		c.wrote(f)
	}
	return nil
}

// move is the way of one file's bytes out of the home.
type move struct {
	c        *Content
	f        int
	src, dst *handle
	to       place // absent: NAME.part is made; final: the person's file is only compared
}

// run takes only what was ever written, so that nothing newer is covered by a hole.
func (m *move) run() error {
	file := &m.c.info.Files[m.f]
	end := file.Offset + file.Length
	buf := make([]byte, 128<<10)
	for at := disk.NextData(m.src.f, file.Offset, end); at < end; {
		b := buf[:min(int64(len(buf)), disk.NextHole(m.src.f, at, end)-at)]
		if err := disk.ReadVec(m.src.f, [][]byte{b}, at); err != nil {
			return disk.Fault("read", m.c.partsPath, err)
		}
		if err := m.put(b, at-file.Offset); err != nil {
			return err
		}
		at = disk.NextData(m.src.f, at+int64(len(b)), end)
	}
	return nil
}

func (m *move) put(b []byte, off int64) (err error) {
	if m.dst == nil {
		if m.to == absent {
			m.dst, err = m.c.makePart(m.f, m.c.now())
		} else {
			m.dst, err = m.c.openExisting(m.f, m.c.now(), m.to == final)
		}
		if err != nil {
			return err
		}
	}
	if m.to != final {
		return disk.Fault("write", m.c.Path(m.f), disk.WriteVec(m.dst.f, [][]byte{b}, off))
	}
	have := make([]byte, len(b))
	if err := disk.ReadVec(m.dst.f, [][]byte{have}, off); err != nil {
		return disk.Fault("read", m.c.Path(m.f), err)
	}
	// Where the system knows no holes, zeros may be bytes that never came.
	if !bytes.Equal(have, b) && len(bytes.Trim(b, "\x00")) > 0 {
		return &Error{Op: "select", Path: m.c.Path(m.f), Kind: ErrExists}
	}
	return nil
}

// undo leaves the person's folder as it was.
func (m *move) undo() {
	if m.dst == nil {
		return
	}
	m.dst.release()
	m.c.handles.drop(&m.c.files[m.f].handle)
	if m.to != absent {
		return
	}
	m.c.files[m.f].ours = false
	if d, name, err := m.c.locate(m.f, false); err == nil {
		_ = d.root.Remove(m.c.partName(m.f, name))
		d.release()
	}
}
