package catalog

import (
	"encoding/hex"

	"shoal/internal/core/metainfo"
)

// Describe fills in what a metainfo tells of its share. The audience stays as it is if the
// metainfo names none: metadata that came after a link never does.
func (r *Row) Describe(m *metainfo.Metainfo) {
	r.SetHash(m.Hash)
	r.Name, r.Link = m.Info.Name, ""
	r.Bytes, r.Pieces, r.Private, r.Trackers = m.Info.Bytes(), m.Info.NumPieces(), m.Info.Private, len(m.Trackers) > 0
	if len(m.Groups) > 0 {
		r.SetGroups(m.Groups)
	}
	r.Files = 0
	for i := range m.Info.Files {
		if !m.Info.Files[i].Pad {
			r.Files++
		}
	}
}

// SetHash sets ID, V1 and V2.
func (r *Row) SetHash(h metainfo.InfoHash) {
	r.ID, r.V1, r.V2 = h.ID(), "", ""
	if h.HasV1() {
		r.V1 = hex.EncodeToString(h.V1[:])
	}
	if h.HasV2() {
		r.V2 = hex.EncodeToString(h.V2[:])
	}
}

// Hash is what V1 and V2 say.
func (r *Row) Hash() (h metainfo.InfoHash) {
	if unhex(h.V1[:], r.V1) {
		h.Version |= metainfo.V1
	}
	if unhex(h.V2[:], r.V2) {
		h.Version |= metainfo.V2
	}
	return h
}

// unhex fills dst if the text is exactly that long.
func unhex(dst []byte, text string) bool {
	if len(text) != hex.EncodedLen(len(dst)) {
		return false
	}
	_, err := hex.Decode(dst, []byte(text))
	return err == nil
}
