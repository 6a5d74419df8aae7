package catalog

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math/bits"
	"slices"

	"shoal/internal/adapter/store/disk"
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
		Boot: string(d.bytes(disk.MaxBoot)),
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

// Where a file's bytes were when its FileStat was taken.
const (
	StatAbsent  uint8 = iota // nothing on disk
	StatPartial              // NAME.part
	StatOurs                 // NAME, put there by this node
	StatFound                // NAME, which lay there before; or a share in place
	StatHome                 // not selected: boundary bytes in the home
)

// FileStat is what the resume state remembers of a file, to notice that it was
// changed while nobody looked.
type FileStat struct {
	Size    int64  // bytes on disk
	MTimeNS int64  // time of the last change, Unix nanoseconds
	State   uint8  // one of Stat…
	Ino     uint64 // inode number, 0 where there is none
}

// Count is the number of verified pieces.
func (r *Resume) Count() (n int) {
	for _, b := range r.Have {
		n += bits.OnesCount8(b)
	}
	return n
}

// BitmapLen is the length of a share's bitmap in bytes.
func BitmapLen(info *metainfo.Info) int { return (info.NumPieces() + 7) / 8 }
