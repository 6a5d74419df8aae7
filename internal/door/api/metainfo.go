package api

import (
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"shoal/internal/core/metainfo"
)

// Metainfo is what a .torrent says, parsed and judged but not added: the output
// of `show FILE.torrent --json`.
type Metainfo struct {
	InfoHash    string     `json:"info_hash" doc:"v2 info hash in 64 hex digits if there is one, else v1 in 40"`
	InfoHashV1  string     `json:"info_hash_v1,omitempty"`
	InfoHashV2  string     `json:"info_hash_v2,omitempty"`
	Name        string     `json:"name" doc:"made safe for a path"`
	RawName     string     `json:"raw_name,omitempty" doc:"the name in the metainfo, when it had to be made safe"`
	Format      string     `json:"format" enum:"hybrid,v1,v2"`
	Single      bool       `json:"single" doc:"one file, no folder"`
	Private     bool       `json:"private"`
	Bytes       int64      `json:"bytes"`
	Files       int        `json:"files"`
	Pieces      int        `json:"pieces"`
	PieceLength int64      `json:"piece_length"`
	Padding     int64      `json:"padding" doc:"bytes of BEP 47 padding"`
	Link        string     `json:"link"`
	Trackers    [][]string `json:"trackers,omitempty" doc:"tiers of announce URLs"`
	WebSeeds    []string   `json:"web_seeds,omitempty"`
	Comment     string     `json:"comment,omitempty"`
	CreatedBy   string     `json:"created_by,omitempty"`
	Created     time.Time  `json:"created,omitzero"`
	Groups      []string   `json:"groups,omitempty" doc:"ids of the groups whose members alone may see and fetch it; absent: everybody"`
	FileList    []MetaFile `json:"file_list" doc:"every file but padding"`
}

// MetaFile is one file of a .torrent.
type MetaFile struct {
	Path       string `json:"path" doc:"path beneath the share's folder, separated by /"`
	Raw        string `json:"raw,omitempty" doc:"the path in the metainfo, when it had to be made safe"`
	Bytes      int64  `json:"bytes"`
	Root       string `json:"pieces_root,omitempty" doc:"BEP 52 pieces root"`
	Executable bool   `json:"executable,omitempty"`
	Hidden     bool   `json:"hidden,omitempty"`
	Symlink    bool   `json:"symlink,omitempty" doc:"a link in the metainfo; it is never made"`
}

// ParseRequest asks for a .torrent to be read without adding it.
type ParseRequest struct {
	Torrent []byte `json:"torrent" doc:"a .torrent in base64, at most 64 MiB"`
}

// Link is what a magnet link names.
type Link struct {
	InfoHash string   // as Share.InfoHash has it
	Name     string   // "" if the link has none
	Groups   []string // ids of the groups whose members it is for; none: everybody
}

// ParseMetainfo reads and judges a .torrent. An error of the kind BadData says in
// one line why it must not be trusted.
func ParseMetainfo(b []byte) (Metainfo, error) {
	m, err := metainfo.Parse(b)
	if err != nil {
		return Metainfo{}, badData(err)
	}
	return MetainfoOf(m), nil
}

// MetainfoOf is the description of a parsed .torrent.
func MetainfoOf(m *metainfo.Metainfo) Metainfo {
	out := Metainfo{
		InfoHash: m.Hash.ID(), InfoHashV1: HashV1(m.Hash), InfoHashV2: HashV2(m.Hash),
		Name: m.Info.Name, RawName: m.Info.RawName, Format: m.Info.Version.String(), Single: m.Info.Single, Private: m.Info.Private,
		Bytes: m.Info.Bytes(), Pieces: m.Info.NumPieces(), PieceLength: m.Info.PieceLength, Padding: m.Info.Padding(),
		Link: m.Magnet().String(), Trackers: m.Trackers, WebSeeds: m.WebSeeds, Comment: m.Comment, CreatedBy: m.CreatedBy,
		Groups: groupIDs(m.Groups), FileList: []MetaFile{},
	}
	if m.Created > 0 {
		out.Created = time.Unix(m.Created, 0).UTC()
	}
	for i := range m.Info.Files {
		f := &m.Info.Files[i]
		if f.Pad {
			continue
		}
		out.Files++
		mf := MetaFile{Path: strings.Join(f.Path, "/"), Raw: f.Raw, Bytes: f.Length, Executable: f.Executable, Hidden: f.Hidden, Symlink: f.Symlink}
		if f.Root != [32]byte{} {
			mf.Root = hex.EncodeToString(f.Root[:])
		}
		out.FileList = append(out.FileList, mf)
	}
	return out
}

// HashV1 is the v1 info hash in 40 hex digits, or "".
func HashV1(h metainfo.InfoHash) string {
	if !h.HasV1() {
		return ""
	}
	return hex.EncodeToString(h.V1[:])
}

// HashV2 is the v2 info hash in 64 hex digits, or "".
func HashV2(h metainfo.InfoHash) string {
	if !h.HasV2() {
		return ""
	}
	return hex.EncodeToString(h.V2[:])
}

// ParseLink reads a magnet link. An error of the kind BadData says in one line
// what is wrong with it.
func ParseLink(s string) (Link, error) {
	m, err := metainfo.ParseMagnet(s)
	if err != nil {
		return Link{}, badData(err)
	}
	return Link{InfoHash: m.Hash.ID(), Name: m.Name, Groups: groupIDs(m.Groups)}, nil
}

func groupIDs(list [][32]byte) []string {
	var out []string
	for _, g := range list {
		out = append(out, hex.EncodeToString(g[:]))
	}
	return out
}

// badData is a refusal of the core as an Error.
func badData(err error) error {
	var refusal *metainfo.Error
	reason := err.Error()
	if errors.As(err, &refusal) {
		reason = strings.TrimPrefix(refusal.Error(), "metainfo: ")
	}
	return &Error{Kind: BadData, Reason: reason, Cause: err}
}

// dataKind finds errors of the core that mean wrong data.
func dataKind(err error) Kind {
	var refusal *metainfo.Error
	if errors.As(err, &refusal) {
		return BadData
	}
	return Internal
}
