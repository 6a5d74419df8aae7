package record

import (
	"errors"
	"slices"

	"shoal/internal/adapter/store"
	"shoal/internal/core/group"
	"shoal/internal/core/metainfo"
	"shoal/internal/node/files"
)

// Spec says what to run. Either Meta or Magnet is given.
type Spec struct {
	Meta       *metainfo.Metainfo
	Magnet     metainfo.Magnet
	Dir        string        // absolute; the content lies in Dir/NAME
	Base       string        // its name there when it is not the metainfo's
	InPlace    bool          // originals: never written, never deleted
	Resume     *store.Resume // what hashing found just now; nil: what the catalog has
	Select     []string      // patterns of the wanted files (files.Wanted); none: all
	Peers      []string      // host:port to try first
	Sequential bool
	Paused     bool
	Up, Down   int64      // bytes a second, 0 = no limit
	Groups     []group.ID // who may see it; none: everybody

	Looked chan struct{} // of a new share: closed, and nil, when its files were looked at
}

// Errors that callers decide on.
var (
	ErrNotFound    = errors.New("no such share")
	ErrNotReady    = errors.New("the share's description has not come yet, or its files are being looked at")
	ErrNoLayers    = errors.New("the piece hashes of files that were not selected have not come")
	ErrNoMatch     = errors.New("no file of the share fits the selection")
	ErrElsewhere   = errors.New("the share is already here with another folder")
	ErrRefusedMeta = errors.New("the description that peers sent is refused")
	ErrAudience    = errors.New("the share is already here for other groups, or for everybody")
	ErrInPlace     = errors.New("the share's files are the originals and are not deleted")
)

// IsRefusal tells whether an error is one that only a person can mend. A new share that meets
// one before anything was begun is forgotten: who asked for it is told.
func IsRefusal(err error) bool {
	return errors.Is(err, store.ErrExists) || errors.Is(err, store.ErrLink) || errors.Is(err, ErrNoMatch) || errors.Is(err, ErrRefusedMeta) ||
		errors.Is(err, store.ErrNoSpace) || errors.Is(err, store.ErrReadOnly) || errors.Is(err, store.ErrDenied)
}

// Filter is the predicate that the selection describes; nil when every file is wanted.
func (s *Spec) Filter(info *metainfo.Info) func(int) bool {
	if s.InPlace {
		return nil
	}
	return files.Wanted(info, s.Select)
}

// Settle has the files that the link names selected (BEP 53), unless a person selects others.
func (s *Spec) Settle() {
	if len(s.Select) > 0 {
		s.Magnet.Select = nil
	} else if len(s.Magnet.Select) > 0 {
		s.Select = []string{files.Numbered(s.Magnet.Select)}
	}
}

// Again is what a share selects that is added again: what is said now, but what a link names
// comes to what was selected before (BEP 53).
func (s *Spec) Again(now *Spec) []string {
	switch {
	case len(now.Magnet.Select) == 0:
		return now.Select
	case len(s.Select) == 0:
		return nil // all are
	case slices.Contains(s.Select, now.Select[0]):
		return s.Select
	}
	return slices.Concat(s.Select, now.Select)
}
