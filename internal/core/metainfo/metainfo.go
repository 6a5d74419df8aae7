package metainfo

import (
	"encoding/hex"
	"fmt"
	"strings"
)

// Limits of what is accepted. They are judged before anything is allocated by them.
const (
	MaxSize        = 64 << 20  // bytes of a .torrent or an info dictionary
	MaxPieces      = 1 << 21   // pieces of a share
	MaxFiles       = 200_000   // files of a share, pads apart
	MaxDepth       = 100       // components of a path
	MaxEqualNames  = 500       // files of one path, before they are told apart
	MaxPath        = 1024      // bytes of a path below the share, as made safe
	MaxPieceLength = 512 << 20 // bytes
	MinPieceLength = BlockSize // bytes; for v2 and hybrid, and for all that is built here
	MaxURLs        = 1000      // trackers, and web seeds, that are kept; the rest is dropped
	MaxGroups      = 16        // groups that a share is for; more are refused
	maxURL         = 4096      // bytes of one of them; longer ones are dropped
	maxNesting     = 64        // lists and dictionaries open at once
	maxTokens      = 8_000_000 // bencoded values; a hybrid of MaxFiles with pads has about 4 million
)

// BlockSize is the unit that is requested and the leaf of a v2 hash tree (BEP 52).
const BlockSize = 16 << 10

// Error is a refusal: the metainfo or link must not be trusted. Its text is one line for people.
type Error struct {
	Reason string
	Err    error // what was found beneath, or nil
}

// Error returns the reason on one line.
func (e *Error) Error() string {
	if e.Err != nil {
		return "metainfo: " + e.Reason + ": " + e.Err.Error()
	}
	return "metainfo: " + e.Reason
}

// Unwrap returns what was found beneath.
func (e *Error) Unwrap() error { return e.Err }

func refuse(format string, args ...any) error {
	return &Error{Reason: fmt.Sprintf(format, args...)}
}

// Version says which formats a share has. It is a bit set: Hybrid is V1|V2.
type Version uint8

// The versions of metainfo.
const (
	V1     Version = 1
	V2     Version = 2
	Hybrid Version = 3
)

// String returns "v1", "v2" or "hybrid".
func (v Version) String() string {
	switch v {
	case V1:
		return "v1"
	case V2:
		return "v2"
	case Hybrid:
		return "hybrid"
	}
	return "unknown"
}

// ParseVersion reads what String wrote.
func ParseVersion(s string) (Version, error) {
	for _, v := range [...]Version{V1, V2, Hybrid} {
		if s == v.String() {
			return v, nil
		}
	}
	return 0, fmt.Errorf("metainfo: format %.20q is not hybrid, v1 or v2", s)
}

// InfoHash names a share: the hash of its info dictionary, or both hashes of a hybrid. It is comparable.
type InfoHash struct {
	V1      [20]byte // SHA-1; meaningful if HasV1
	V2      [32]byte // SHA-256; meaningful if HasV2
	Version Version  // which of the two are known
}

// HasV1 tells whether the SHA-1 is known.
func (h InfoHash) HasV1() bool { return h.Version&V1 != 0 }

// HasV2 tells whether the SHA-256 is known.
func (h InfoHash) HasV2() bool { return h.Version&V2 != 0 }

// V2Short returns the SHA-256 cut to 20 bytes, as handshakes and trackers carry it (BEP 52).
func (h InfoHash) V2Short() [20]byte { return [20]byte(h.V2[:20]) }

// ID returns the name of the share in the API and on the command line: the SHA-256 in 64 hex digits if it is known,
// otherwise the SHA-1 in 40, or "" if neither is.
func (h InfoHash) ID() string {
	switch {
	case h.HasV2():
		return hex.EncodeToString(h.V2[:])
	case h.HasV1():
		return hex.EncodeToString(h.V1[:])
	}
	return ""
}

// String is ID.
func (h InfoHash) String() string { return h.ID() }

// Wire returns the 20-byte names by which a handshake may ask for the share: the SHA-1, then the cut SHA-256.
func (h InfoHash) Wire() [][20]byte {
	var names [][20]byte
	if h.HasV1() {
		names = append(names, h.V1)
	}
	if h.HasV2() {
		names = append(names, h.V2Short())
	}
	return names
}

// File is one file of a share, or a gap that stands as one (BEP 47).
type File struct {
	Path       []string // safe components beneath the share's folder; for a single file {Info.Name}; nil for a pad
	Raw        string   // the components as in the metainfo, joined by "/", when making them safe changed any; else ""
	Length     int64    // bytes
	Offset     int64    // first byte in the piece space
	Pad        bool     // BEP 47 padding: zeros that are never on disk
	Executable bool     // attribute x
	Hidden     bool     // attribute h
	Symlink    bool     // attribute l: never made; Length is 0
	Root       [32]byte // root of the file's hash tree; zero for v1, for pads, and for an empty file
}

// RawPath returns the components as they are in the metainfo: where the originals of a share lie that was made here. Of
// metainfo from others it may be anything, and must not be opened but beneath a root that nothing escapes.
func (f *File) RawPath() []string {
	if f.Raw == "" {
		return f.Path
	}
	return strings.Split(f.Raw, "/")
}

// Info is what an info dictionary says, judged and made safe. It must not be changed once it is in use.
type Info struct {
	Name        string // safe: one path component
	RawName     string // as in the metainfo, when making it safe changed it; else ""
	Single      bool   // the share is one file named Name; otherwise a folder of that name
	PieceLength int64  // bytes; for v2 and hybrid a power of two
	Private     bool   // BEP 27
	Version     Version
	Files       []File // in the order of the piece space; v1 and hybrid list their pads, v2 has gaps instead

	span    int64 // length of the piece space
	bytes   int64 // sum of the real files
	padding int64 // sum of the pads
}

// Metainfo is a share's description with all its hashes. It must not be changed once it is in use: WithLayers and
// WithGroups make another.
type Metainfo struct {
	Info      *Info
	InfoBytes []byte // the info dictionary exactly as it was hashed; served to peers by BEP 9
	Hash      InfoHash
	Trackers  [][]string // tiers, best first (BEP 12); the order within a tier is the file's
	WebSeeds  []string   // BEP 19
	Comment   string
	CreatedBy string
	Created   int64      // Unix seconds; 0 if not said, or before 1970 or after 9999
	Groups    [][32]byte // who may know of the share; none means all. No part of the hashes

	raw    []byte  // the .torrent that this was parsed from, as long as nothing was added
	pieces []byte  // v1 piece hashes: a view of InfoBytes
	layers []layer // v2 piece layers, ordered by file
}

// layer is the piece layer of one file that is longer than a piece (BEP 52).
type layer struct {
	file   int
	hashes []byte // 32 bytes a piece; nil while unknown
}

// PieceV1 returns the SHA-1 of piece p, or zeros if the share has no v1 hashes or no such piece.
func (m *Metainfo) PieceV1(p int) [20]byte {
	if p < 0 || p >= len(m.pieces)/20 {
		return [20]byte{}
	}
	return [20]byte(m.pieces[p*20:])
}

// PieceV2 returns the root of the hash tree of piece p, whose width is Info.PieceWidth. It is not known for v1, and
// while the file's piece layer is missing (after a magnet link).
func (m *Metainfo) PieceV2(p int) (root [32]byte, known bool) {
	if m.Info.Version&V2 == 0 || p < 0 {
		return root, false
	}
	f := m.Info.FileAt(int64(p) * m.Info.PieceLength)
	if f < 0 {
		return root, false
	}
	file := &m.Info.Files[f]
	if file.Length <= m.Info.PieceLength {
		return file.Root, !file.Pad
	}
	l := m.layerOf(f)
	if l == nil || l.hashes == nil {
		return root, false
	}
	first := int(file.Offset / m.Info.PieceLength)
	return [32]byte(l.hashes[(p-first)*32:]), true
}
