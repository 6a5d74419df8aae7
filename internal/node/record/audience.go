package record

import (
	"slices"

	"shoal/internal/adapter/store"
	"shoal/internal/core/group"
)

// Audience completes Groups, and the description if there is one, by what either of them and
// the link tell: who may see the share. It is an error if those are too many.
func (s *Spec) Audience() error {
	said := slices.Concat(bytesOf(s.Groups), s.Magnet.Groups)
	if s.Meta != nil {
		said = append(said, s.Meta.Groups...)
	}
	s.Groups = nil
	for _, g := range said {
		if !slices.Contains(s.Groups, group.ID(g)) {
			s.Groups = append(s.Groups, group.ID(g))
		}
	}
	if s.Meta == nil || len(s.Groups) == 0 {
		return nil
	}
	m, err := s.Meta.WithGroups(bytesOf(s.Groups))
	if err == nil {
		s.Meta = m
	}
	return err
}

// Agrees is ErrAudience if a share that is here for these groups must not be taken for the
// one that is asked for. Who shares something says whom it is for; who fetches it goes on
// with what is here, unless that is for others than all that are named, or for everybody.
func (s *Spec) Agrees(here []group.ID) error {
	known := func(g group.ID) bool { return slices.Contains(here, g) }
	switch {
	case s.InPlace && (len(s.Groups) == 0) == (len(here) == 0) && !slices.ContainsFunc(s.Groups, func(g group.ID) bool { return !known(g) }):
	case !s.InPlace && (len(s.Groups) == 0 || slices.ContainsFunc(s.Groups, known)):
	default:
		return ErrAudience
	}
	return nil
}

// GroupsOf are the groups whose members may see the share of a row.
func GroupsOf(row store.Row) (groups []group.ID) {
	for _, g := range row.Audience() {
		groups = append(groups, group.ID(g))
	}
	return groups
}

func bytesOf(groups []group.ID) (list [][32]byte) {
	for _, g := range groups {
		list = append(list, [32]byte(g))
	}
	return list
}
