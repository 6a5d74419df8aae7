package metainfo

import (
	"encoding/hex"
	"slices"

	"shoal/internal/core/bencode"
)

// The audience of a share: the ids of the groups whose members may know of it. Whoever reads one in part would show the
// share to others than its maker meant, so what is broken or too much is refused and never dropped.

// groupsKey is the key of a .torrent's outer dictionary, this program's own: a list of ids, 32 bytes each.
const groupsKey = "shoal groups"

// parseGroups reads the value of groupsKey, which may be missing: then the share is for all. A list of nobody is refused.
func parseGroups(list bencode.Value) ([][32]byte, error) {
	if list.Kind() == bencode.Invalid {
		return nil, nil
	}
	var groups [][32]byte
	for v := range list.Items() {
		id, ok := v.Bytes()
		if !ok || len(id) != 32 {
			return nil, refuse("the key %s holds something that is not the id of a group", groupsKey)
		}
		var err error
		if groups, err = appendGroup(groups, [32]byte(id)); err != nil {
			return nil, err
		}
	}
	if len(groups) == 0 {
		return nil, refuse("the key %s names no group", groupsKey)
	}
	return groups, nil
}

// setGroup takes an id in hex.
func (m *Magnet) setGroup(value string) error {
	id, err := hex.DecodeString(value)
	if err != nil || len(id) != 32 {
		return refuse("%.80q in the link is not the id of a group", value)
	}
	m.Groups, err = appendGroup(m.Groups, [32]byte(id))
	return err
}

// appendGroup appends an id that is new.
func appendGroup(groups [][32]byte, id [32]byte) ([][32]byte, error) {
	if slices.Contains(groups, id) {
		return groups, nil
	}
	if len(groups) == MaxGroups {
		return nil, refuse("it is for more than %d groups", MaxGroups)
	}
	return append(groups, id), nil
}

// WithGroups returns a copy of m that is for the members of these groups alone, or for all if there are none. m stays as
// it is; the copy shares all else with it. Repeats are dropped; more than MaxGroups are refused. Nothing of it goes into
// the info hash.
func (m *Metainfo) WithGroups(groups [][32]byte) (*Metainfo, error) {
	var distinct [][32]byte
	for _, id := range groups {
		var err error
		if distinct, err = appendGroup(distinct, id); err != nil {
			return nil, err
		}
	}
	c := *m
	if !slices.Equal(distinct, m.Groups) {
		c.Groups, c.raw = distinct, nil
	}
	return &c, nil
}

func encodeGroups(e *bencode.Encoder, groups [][32]byte) {
	if len(groups) == 0 {
		return
	}
	e.Key(groupsKey)
	e.List()
	for _, id := range groups {
		e.Blob(id[:])
	}
	e.End()
}
