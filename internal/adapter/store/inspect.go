package store

import (
	"errors"
	"io/fs"
	"os"
	"slices"

	"shoal/internal/adapter/store/disk"
)

// inspect looks at what the disk holds of file i and records it.
func (c *Content) inspect(i int) error {
	st := &c.files[i]
	st.mu.Lock()
	defer st.mu.Unlock()
	return c.inspectLocked(i)
}

// inspectLocked sets where, stamp and inWay. What is found there counts even
// if the file is not selected: its bytes can be used. A file that was replaced
// is not ours any more, and an open descriptor of it is dropped.
func (c *Content) inspectLocked(i int) error {
	st := &c.files[i]
	if st.aside = st.aside && st.unwant; st.aside {
		return nil
	}
	was, whereWas := st.stamp, place(st.where.Load())
	st.inWay = ""
	where, now, err := c.look(i, st)
	if err != nil {
		if !st.unwant && !c.inPlace {
			return err
		}
		where, now = absent, stamp{size: -1}
	}
	if where == absent && st.unwant {
		where = inParts
	}
	if where != whereWas || where == final && now != was || now.ino != was.ino {
		c.handles.drop(&st.handle)
		st.ours, st.redo = false, false
	}
	st.stamp = now
	st.where.Store(int32(where))
	return nil
}

// setAside leaves the file that bears the name of one nobody selected alone, as it is
// another file: the bytes of its neighbours' pieces go to the home. Not if a good piece
// has bytes of it.
func (c *Content) setAside(i int) bool {
	st := &c.files[i]
	st.mu.Lock()
	defer st.mu.Unlock()
	if !st.unwant || st.ours || st.used.Load() || place(st.where.Load()) != final {
		return false
	}
	c.handles.drop(&st.handle)
	st.aside = true
	st.where.Store(int32(inParts))
	return true
}

// use notes that a good piece has bytes of these files.
func (c *Content) use(p int) {
	for _, f := range c.filesOf(p) {
		c.files[f].used.Store(true)
	}
}

// look finds out which of NAME and NAME.part exists.
func (c *Content) look(i int, st *fileState) (place, stamp, error) {
	gone := stamp{size: -1}
	d, name, err := c.locate(i, false)
	if errors.Is(err, fs.ErrNotExist) {
		return absent, gone, nil
	}
	if err != nil {
		return absent, gone, err
	}
	defer d.release()
	fi, err := d.root.Lstat(name)
	switch {
	case err == nil && fi.Mode().IsRegular() && fi.Size() == c.info.Files[i].Length:
		c.clearTwin(d, c.partName(i, name), fi)
		return final, stampOf(fi), nil
	case err == nil:
		st.inWay = name
		if c.inPlace {
			return absent, stampOf(fi), nil
		}
	case !errors.Is(err, fs.ErrNotExist):
		return absent, gone, disk.Fault("look at", c.Path(i), err)
	}
	if c.inPlace {
		return absent, gone, nil
	}
	return c.lookPart(d, i, st, name)
}

// locate opens the folder of file i and tells the file's name in it. The
// caller releases the folder.
func (c *Content) locate(i int, create bool) (*folder, string, error) {
	folders, name := c.path(i)
	d, err := c.folder(folders, create)
	return d, name, err
}

// lookPart looks at NAME.part. One that is neither empty nor of full length
// was not made by this program, which extends it as soon as it is made.
func (c *Content) lookPart(d *folder, i int, st *fileState, name string) (place, stamp, error) {
	fi, err := d.root.Lstat(c.partName(i, name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return absent, stamp{size: -1}, nil
	case err != nil:
		return absent, stamp{size: -1}, disk.Fault("look at", c.Path(i), err)
	case fi.Mode().IsRegular() && (fi.Size() == c.info.Files[i].Length || fi.Size() == 0):
		return partial, stampOf(fi), nil
	}
	if st.inWay == "" {
		st.inWay = c.partName(i, name)
	}
	return absent, stamp{size: -1}, nil
}

// wayPath is the path of what is in the way of file i.
func (c *Content) wayPath(i int) string {
	folders, _ := c.path(i)
	return c.fullPath(append(folders, c.files[i].inWay))
}

// clearTwin ends a renaming that was cut short between its two steps: NAME and
// NAME.part are the same file, so the second name can go.
func (c *Content) clearTwin(d *folder, part string, fi fs.FileInfo) {
	if c.inPlace {
		return
	}
	if twin, err := d.root.Lstat(part); err == nil && os.SameFile(fi, twin) {
		_ = d.root.Remove(part)
	}
}

func stampOf(fi fs.FileInfo) stamp {
	ino, linked := disk.Identity(fi)
	if !linked {
		return stamp{size: -1}
	}
	return stamp{size: fi.Size(), mtime: fi.ModTime().UnixNano(), ino: ino}
}

// Conflict is a file that would have to be overwritten.
type Conflict struct {
	File int    // index in Info.Files
	Path string // where it lies
}

// Conflicts lists, after Verify, the selected files whose name is taken by
// something that is not the share's file: another length, a link, a folder, or
// the right length and wrong bytes. A get with conflicts is refused. A piece
// that spans several small files and failed accuses all of them, unless one of
// them is known to be wrong by a piece of its own, or was not selected and may be
// any other file.
func (c *Content) Conflicts() []Conflict {
	guilty := make(map[int]bool)
	var spans []int
	c.mu.Lock()
	for p := range c.bad {
		if files := c.filesOf(p); len(files) == 1 {
			guilty[files[0]] = true
		} else {
			spans = append(spans, p)
		}
	}
	c.mu.Unlock()
	accused := make(map[int]bool)
	for _, p := range spans {
		files := c.filesOf(p)
		if slices.ContainsFunc(files, func(f int) bool { return guilty[f] || !c.Wanted(f) }) {
			continue
		}
		for _, f := range files {
			accused[f] = true
		}
	}
	var list []Conflict
	for i := range c.files {
		st := &c.files[i]
		st.mu.Lock()
		path := ""
		switch {
		case st.unwant || c.inPlace:
		case st.inWay != "":
			path = c.wayPath(i)
		case (guilty[i] || accused[i]) && place(st.where.Load()) == final && !st.redo:
			path = c.Path(i)
		}
		st.mu.Unlock()
		if path != "" {
			list = append(list, Conflict{File: i, Path: path})
		}
	}
	return list
}

// filesOf lists the real files that piece p has bytes of.
func (c *Content) filesOf(p int) []int {
	var list []int
	off := int64(p) * c.info.PieceLength
	end := off + c.info.PieceLength
	for f := c.info.FileAt(off); f >= 0 && f < len(c.files) && c.info.Files[f].Offset < end; f++ {
		if c.real(f) && c.info.Files[f].Length > 0 {
			list = append(list, f)
		}
	}
	return list
}

// note remembers what Verify found out about a piece, for Conflicts: a failed
// piece counts when all of it lies in files under their final names.
func (c *Content) note(p int, good bool) {
	hit := false
	if good {
		c.use(p)
	} else {
		files := c.filesOf(p)
		hit = len(files) > 0
		for _, f := range files {
			if place(c.files[f].where.Load()) != final {
				hit = false
			}
		}
	}
	c.mu.Lock()
	if hit {
		c.bad[p] = struct{}{}
	} else {
		delete(c.bad, p)
	}
	c.mu.Unlock()
}
