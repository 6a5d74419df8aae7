package store

import (
	"os"
	"slices"

	"shoal/internal/adapter/store/disk"
	"shoal/internal/adapter/store/disk/catalog"
)

// resume decides which pieces of Options.Resume are to be trusted: in the same
// boot those in Have, for the page cache survived whatever happened to the
// process; in another boot those in Synced. In either case only where the files
// are the ones that were recorded.
func (c *Content) resume(o Options) {
	r := o.Resume
	if r == nil || len(r.Files) != len(c.files) {
		return
	}
	boot := o.Boot
	if boot == "" {
		boot = BootID()
	}
	same := r.Boot == boot
	bits := r.Synced
	if same {
		bits = r.Have
	}
	if len(bits) != catalog.BitmapLen(c.info) {
		bits = make([]byte, catalog.BitmapLen(c.info))
	}
	c.trusted = slices.Clone(bits)
	for p := c.info.NumPieces(); p < 8*len(c.trusted); p++ {
		clearBit(c.trusted, p)
	}
	for i := range c.files {
		if !c.real(i) {
			continue
		}
		c.own(i, r.Files[i], same)
		if r.Files[i].State == catalog.StatHome {
			c.setAside(i)
		}
		if c.consistent(i, r.Files[i], same) {
			continue
		}
		first, end := c.info.FilePieces(i)
		for p := first; p < end; p++ {
			clearBit(c.trusted, p)
		}
	}
	for p := range c.info.NumPieces() {
		if hasBit(c.trusted, p) {
			c.use(p)
		}
	}
}

// Trusted is the bitmap of the pieces that need no hashing at start: what
// Options.Resume said, less what the files contradict. Nil without one. The
// rest is for Unverified and Verify.
func (c *Content) Trusted() []byte { return slices.Clone(c.trusted) }

// consistent judges a file against its record. Of a file being written the
// record is older than the file. After another boot its time of change may have
// been lost in the crash, while what was synced was not.
func (c *Content) consistent(i int, was FileStat, same bool) bool {
	now := c.files[i].stamp
	fits := now.size == was.Size && now.size == c.info.Files[i].Length
	switch place(c.files[i].where.Load()) {
	case final:
		if was.State == StatPartial {
			return fits && was.Ino == now.ino && (!same || now.mtime >= was.MTimeNS)
		}
		return fits && (was.State == StatOurs || was.State == StatFound) && now.mtime == was.MTimeNS
	case partial:
		return fits && was.State == StatPartial && (!same || now.mtime >= was.MTimeNS)
	case inParts:
		return was.State == StatHome && c.hasParts()
	}
	return c.info.Files[i].Length == 0
}

// own decides whether a file under NAME was put there by this node, and
// whether a crash may have taken its bytes: then it may be written again. A
// crash of the machine leaves holes, and a file no newer than its record; a
// file that somebody edited since, or put in its place, is not written.
func (c *Content) own(i int, was FileStat, same bool) {
	st := &c.files[i]
	switch place(st.where.Load()) {
	case partial:
		st.ours = true
	case final:
		switch was.State {
		case StatOurs:
			st.ours = st.stamp.size == was.Size && st.stamp.mtime == was.MTimeNS
		case StatPartial:
			st.ours = st.stamp.ino != 0 && st.stamp.ino == was.Ino
		}
		if same {
			return
		}
		st.redo = st.ours
		switch was.State {
		case StatAbsent, StatHome: // it may have been made and finished after the record
			st.redo = c.hollow(i)
		case StatOurs: // its time may be lost too
			older := st.stamp.ino == was.Ino && st.stamp.mtime < was.MTimeNS
			st.redo = st.ours || older && c.hollow(i)
		}
	}
}

// hollow reports whether the file under its path has holes. That it occupies less than
// its length tells nothing: it may be compressed.
func (c *Content) hollow(i int) bool {
	d, name, err := c.locate(i, false)
	if err != nil {
		return false
	}
	defer d.release()
	f, fi, err := openPlain(d, name, os.O_RDONLY)
	if err != nil {
		return false
	}
	defer f.Close()
	return disk.NextHole(f, 0, fi.Size()) < fi.Size()
}

func clearBit(bits []byte, p int) {
	if p>>3 < len(bits) {
		bits[p>>3] &^= 0x80 >> (p & 7)
	}
}
