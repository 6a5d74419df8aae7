package store

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"slices"

	"shoal/internal/core/metainfo"
)

// Resume is what is remembered of a content between two runs. The bitmaps are
// in BitTorrent's order: piece 0 is the highest bit of the first byte.
type Resume struct {
	Boot   string     // BootID when it was taken
	Have   []byte     // pieces that were verified
	Synced []byte     // those of them that a Sync has covered since
	Files  []FileStat // in the order of Info.Files, taken after Have
}

// ErrResume: a resume record is damaged; it is worth as much as none.
var ErrResume = errors.New("store: resume state is damaged")

// Limits of a resume record, judged before anything is allocated.
const (
	resumeVersion = 1
	maxBoot       = 64
	maxBitmap     = metainfo.MaxPieces / 8
	maxStats      = 2*metainfo.MaxFiles + 1 // files and the pads between them
	minStat       = 1                       // bytes of the smallest FileStat
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Append appends the record's bytes as docs/formats/catalog.md describes them.
func (r *Resume) Append(dst []byte) []byte {
	start := len(dst)
	dst = append(dst, resumeVersion)
	for _, part := range [][]byte{[]byte(r.Boot), r.Have, r.Synced} {
		dst = binary.AppendUvarint(dst, uint64(len(part)))
		dst = append(dst, part...)
	}
	dst = binary.AppendUvarint(dst, uint64(len(r.Files)))
	for _, f := range r.Files {
		dst = append(dst, f.State)
		if f.State == StatAbsent || f.State == StatHome {
			continue
		}
		dst = binary.AppendUvarint(dst, uint64(f.Size))
		dst = binary.BigEndian.AppendUint64(dst, uint64(f.MTimeNS))
		dst = binary.AppendUvarint(dst, f.Ino)
	}
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst[start:], castagnoli))
}

// ParseResume reads what Append wrote, and nothing else: ErrResume. It copies.
func ParseResume(b []byte) (*Resume, error) {
	if len(b) < 5 || b[0] != resumeVersion {
		return nil, ErrResume
	}
	body := b[:len(b)-4]
	if binary.BigEndian.Uint32(b[len(b)-4:]) != crc32.Checksum(body, castagnoli) {
		return nil, ErrResume
	}
	d := decoder{b: body[1:]}
	r := &Resume{
		Boot: string(d.bytes(maxBoot)),
		Have: slices.Clone(d.bytes(maxBitmap)), Synced: slices.Clone(d.bytes(maxBitmap)),
	}
	count := d.uvarint(maxStats)
	if d.bad || count > uint64(len(d.b)/minStat) {
		return nil, ErrResume
	}
	r.Files = make([]FileStat, count)
	for i := range r.Files {
		r.Files[i] = d.stat()
	}
	if d.bad || len(d.b) > 0 {
		return nil, ErrResume
	}
	return r, nil
}

// decoder takes fields off the front; after the first that is wrong it is bad
// and gives zeros.
type decoder struct {
	b   []byte
	bad bool
}

// uvarint takes a number in its shortest form.
func (d *decoder) uvarint(limit uint64) uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 || v > limit || n > 1 && d.b[n-1] == 0 {
		d.b, d.bad = nil, true
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) bytes(limit uint64) []byte {
	n := d.uvarint(limit)
	if n > uint64(len(d.b)) {
		d.b, d.bad = nil, true
		return nil
	}
	v := d.b[:n]
	d.b = d.b[n:]
	return v
}

func (d *decoder) stat() (f FileStat) {
	if len(d.b) == 0 || d.b[0] > StatHome {
		d.b, d.bad = nil, true
		return f
	}
	f.State, d.b = d.b[0], d.b[1:]
	if f.State == StatAbsent || f.State == StatHome {
		return f
	}
	f.Size = int64(d.uvarint(1<<63 - 1))
	if len(d.b) < 8 {
		d.b, d.bad = nil, true
		return f
	}
	f.MTimeNS = int64(binary.BigEndian.Uint64(d.b))
	d.b = d.b[8:]
	f.Ino = d.uvarint(1<<64 - 1)
	return f
}

// bitmapLen is the length of a share's bitmap in bytes.
func bitmapLen(info *metainfo.Info) int { return (info.NumPieces() + 7) / 8 }

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
	if len(bits) != bitmapLen(c.info) {
		bits = make([]byte, bitmapLen(c.info))
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
		if c.consistent(i, r.Files[i], same) {
			continue
		}
		first, end := c.info.FilePieces(i)
		for p := first; p < end; p++ {
			clearBit(c.trusted, p)
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
// crash of the machine leaves holes, which a file that somebody else put there
// in the meantime has not.
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
		hollow := !same && was.State != StatFound && c.hollow(i)
		st.redo = !same && st.ours || hollow
	}
}

// hollow reports whether the file under its path has holes.
func (c *Content) hollow(i int) bool {
	d, name, err := c.locate(i, false)
	if err != nil {
		return false
	}
	defer d.release()
	fi, err := d.root.Lstat(name)
	return err == nil && sparse(fi)
}

func clearBit(bits []byte, p int) {
	if p>>3 < len(bits) {
		bits[p>>3] &^= 0x80 >> (p & 7)
	}
}
