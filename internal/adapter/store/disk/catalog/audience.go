package catalog

import (
	"encoding/hex"
	"fmt"
	"slices"

	"shoal/internal/core/metainfo"
)

// The audience of a share must survive whatever damages a home: a share of a group that
// came back as a public one would be shown to everybody. So a row whose audience cannot be
// read is damaged as a whole, and one that says "all" of a share whose own .torrent or link
// names groups is not believed.

// SetGroups sets Groups.
func (r *Row) SetGroups(groups [][32]byte) {
	r.Groups = nil
	for _, id := range groups {
		r.Groups = append(r.Groups, hex.EncodeToString(id[:]))
	}
}

// Audience is what Groups says.
func (r *Row) Audience() [][32]byte {
	var groups [][32]byte
	for _, text := range r.Groups {
		var id [32]byte
		if unhex(id[:], text) {
			groups = append(groups, id)
		}
	}
	return groups
}

// checkGroups judges Groups: ids in lower-case hex, each once.
func checkGroups(groups []string) error {
	if len(groups) > metainfo.MaxGroups {
		return fmt.Errorf("%d groups are more than %d", len(groups), metainfo.MaxGroups)
	}
	for i, text := range groups {
		var id [32]byte
		if !unhex(id[:], text) || hex.EncodeToString(id[:]) != text || slices.Contains(groups[:i], text) {
			return fmt.Errorf("%.70q is not the id of a group, or is there twice", text)
		}
	}
	return nil
}

// checkAudience holds a row against what describes its share: m, if there is one, and its
// link, if it is one.
func (r *Row) checkAudience(m *metainfo.Metainfo) error {
	named := 0
	if link, err := metainfo.ParseMagnet(r.Link); err == nil {
		named = len(link.Groups)
	}
	if m != nil {
		named = max(named, len(m.Groups))
	}
	if named > 0 && len(r.Groups) == 0 {
		return fmt.Errorf("%w: it is for %d groups, but its row says for all", ErrDamaged, named)
	}
	return nil
}
