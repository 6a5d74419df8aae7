package engine

import (
	"errors"
	"path"
	"strings"

	"shoal/internal/adapter/store"
	"shoal/internal/core/metainfo"
	"shoal/internal/core/swarm"
)

type swarmSource = swarm.Source

// Spec says what to run. Either Meta or Magnet is given.
type Spec struct {
	Meta       *metainfo.Metainfo
	Magnet     metainfo.Magnet
	Dir        string        // absolute; the content lies in Dir/NAME
	Base       string        // its name there when it is not the metainfo's
	InPlace    bool          // originals: never written, never deleted
	Resume     *store.Resume // what hashing found just now; nil: what the catalog has
	Select     []string      // glob patterns of the wanted files; none: all
	Peers      []string      // host:port to try first
	Sequential bool
	Paused     bool
	Up, Down   int64 // bytes a second, 0 = no limit
}

// Errors that callers decide on.
var (
	ErrNotFound    = errors.New("no such share")
	ErrNotReady    = errors.New("the share's description has not come yet, or its files are being looked at")
	ErrNoMatch     = errors.New("no file of the share fits the selection")
	ErrElsewhere   = errors.New("the share is already here with another folder")
	ErrRefusedMeta = errors.New("the description that peers sent is refused")
	ErrInPlace     = errors.New("the share's files are the originals and are not deleted")
)

// wanted is the predicate that Select describes; nil when every file is wanted.
func (s *Spec) wanted(info *metainfo.Info) func(int) bool {
	if s.InPlace || len(s.Select) == 0 && len(s.Magnet.Select) == 0 {
		return nil
	}
	want := make([]bool, len(info.Files))
	for f := range info.Files {
		name := strings.Join(info.Files[f].Path, "/")
		for _, g := range s.Select {
			want[f] = want[f] || matches(g, name)
		}
	}
	if len(s.Select) == 0 {
		index := 0
		for f := range info.Files {
			if info.Files[f].Pad {
				continue
			}
			for _, r := range s.Magnet.Select {
				want[f] = want[f] || r.First <= index && index <= r.Last
			}
			index++
		}
	}
	return func(f int) bool { return want[f] }
}

// matches compares a path beneath the share with a pattern: * and ? stay within a
// component, ** crosses folders, and a pattern without a slash fits the file's own name
// or any folder above it.
func matches(pattern, name string) bool {
	pattern = strings.TrimSuffix(strings.TrimPrefix(pattern, "./"), "/")
	if !strings.Contains(pattern, "/") {
		for _, part := range strings.Split(name, "/") {
			if ok, err := path.Match(pattern, part); ok && err == nil {
				return true
			}
		}
		return pattern == "**"
	}
	return matchParts(strings.Split(pattern, "/"), strings.Split(name, "/"))
}

// matchParts also accepts a pattern that names a folder above the file.
func matchParts(pattern, name []string) bool {
	for len(pattern) > 0 {
		if pattern[0] == "**" {
			for i := range len(name) + 1 {
				if matchParts(pattern[1:], name[i:]) {
					return true
				}
			}
			return false
		}
		if len(name) == 0 {
			return false
		}
		if ok, err := path.Match(pattern[0], name[0]); !ok || err != nil {
			return false
		}
		pattern, name = pattern[1:], name[1:]
	}
	return true
}
