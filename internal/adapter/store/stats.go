package store

import (
	"errors"
	"io/fs"

	"shoal/internal/adapter/store/disk"
)

// Stats takes the state of every file, in the order of Info.Files, for a Resume.
// Take the bitmap of pieces first and the stats after it: a file
// that is being written has to be at least as new as the pieces are.
func (c *Content) Stats() []FileStat {
	list := make([]FileStat, len(c.files))
	for i := range c.files {
		if c.real(i) {
			list[i] = c.stat(i)
		}
	}
	return list
}

func (c *Content) stat(i int) FileStat {
	st := &c.files[i]
	st.mu.Lock()
	defer st.mu.Unlock()
	switch place(st.where.Load()) {
	case absent:
		return FileStat{}
	case inParts:
		return FileStat{State: StatHome}
	case final:
		s := FileStat{Size: st.stamp.size, MTimeNS: st.stamp.mtime, Ino: st.stamp.ino, State: StatFound}
		if st.ours {
			s.State = StatOurs
		}
		return s
	}
	if st.flags.And(^unstated)&unstated != 0 {
		if now, err := c.restat(i); err == nil && now.ino == st.stamp.ino {
			st.stamp = now
		}
	}
	return FileStat{Size: st.stamp.size, MTimeNS: st.stamp.mtime, Ino: st.stamp.ino, State: StatPartial}
}

// restat looks at the file under the name it has now.
func (c *Content) restat(i int) (stamp, error) {
	st := &c.files[i]
	if h := st.handle.Load(); h != nil && h.retain() {
		defer h.release()
		fi, err := h.f.Stat()
		if err != nil {
			return stamp{size: -1}, err
		}
		return stampOf(fi), nil
	}
	return c.statPath(i)
}

// statPath looks at what the path of file i leads to at this moment.
func (c *Content) statPath(i int) (stamp, error) {
	d, name, err := c.locate(i, false)
	if err != nil {
		return stamp{size: -1}, err
	}
	defer d.release()
	if place(c.files[i].where.Load()) == partial {
		name = c.partName(i, name)
	}
	fi, err := d.root.Lstat(name)
	if err != nil || !fi.Mode().IsRegular() {
		return stamp{size: -1}, errors.Join(err, fs.ErrNotExist)
	}
	return stampOf(fi), nil
}

// Changed lists the files that were changed, replaced or removed by somebody
// else since they were opened, verified or finished. It only looks at the
// folder: no file is opened or read. Files not fetched yet are no change.
func (c *Content) Changed() []int {
	var list []int
	c.handles.dropFolders(c) // one that was moved away is not looked into
	for i := range c.files {
		if c.real(i) && c.changed(i) {
			list = append(list, i)
		}
	}
	return list
}

func (c *Content) changed(i int) bool {
	st := &c.files[i]
	st.mu.Lock()
	defer st.mu.Unlock()
	switch place(st.where.Load()) {
	case absent:
		return c.inPlace
	case inParts:
		return false
	}
	now, err := c.statPath(i)
	if err != nil {
		return true
	}
	whole := place(st.where.Load()) == final
	if !whole && st.stamp.size == 0 && now.size == 0 {
		return st.stamp.ino != now.ino
	}
	return !sameFile(st.stamp, now, whole)
}

// HasData is false only if no byte of the piece was ever written: it lies
// wholly in a hole or in files that are not there. Where the file system
// cannot tell holes, it is true.
func (c *Content) HasData(piece int) bool {
	off := int64(piece) * c.info.PieceLength
	end := off + c.info.PieceLength
	for _, f := range c.filesOf(piece) {
		file := &c.info.Files[f]
		from, to := max(off, file.Offset), min(end, file.Offset+file.Length)
		if c.fileHasData(f, from-file.Offset, to-file.Offset) {
			return true
		}
	}
	return false
}

func (c *Content) fileHasData(f int, from, to int64) bool {
	return c.nextFileData(f, from) < to
}

// nextFileData is the offset in file f of the next byte at or after off that
// may have been written; the file's length when there is none.
func (c *Content) nextFileData(f int, off int64) int64 {
	length := c.info.Files[f].Length
	switch place(c.files[f].where.Load()) {
	case absent:
		return length
	case final:
		return off
	case inParts:
		if !c.hasParts() {
			return length
		}
	}
	h, at, err := c.open(f, off, false)
	if err != nil {
		return off // let the reader meet the error
	}
	defer h.release()
	return disk.NextData(h.f, at, at-off+length) - (at - off)
}

// Unverified lists, in order, the pieces that may have data on disk and are
// not in the bitmap have: those worth reading at start.
func (c *Content) Unverified(have []byte) []int {
	var list []int
	next := 0 // pieces before it are decided
	for f := range c.files {
		if !c.real(f) || c.info.Files[f].Length == 0 {
			continue
		}
		_, end := c.info.FilePieces(f)
		file := &c.info.Files[f]
		for next < end {
			from := max(int64(next)*c.info.PieceLength-file.Offset, 0)
			at := c.nextFileData(f, from)
			if at >= file.Length {
				// The last piece may have bytes of the next file.
				if file.Offset+file.Length < int64(end)*c.info.PieceLength {
					next = max(next, end-1)
				} else {
					next = end
				}
				break
			}
			p := int((file.Offset + at) / c.info.PieceLength)
			if p >= next && !hasBit(have, p) {
				list = append(list, p)
			}
			next = max(next, p+1)
		}
	}
	return list
}

// hasBit reads a bitmap in BitTorrent's order: piece 0 is the highest bit.
func hasBit(bits []byte, p int) bool {
	return p>>3 < len(bits) && bits[p>>3]&(0x80>>(p&7)) != 0
}
