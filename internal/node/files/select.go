package files

import (
	"path"
	"strings"

	"shoal/internal/core/metainfo"
)

// numbered begins a pattern that names files by their numbers. No file's path begins so.
const numbered = "/so="

// Numbered is the pattern for the files that a link names (BEP 53): by their place in the
// description's list, which counts padding too.
func Numbered(ranges []metainfo.Range) string {
	return string(metainfo.AppendRanges([]byte(numbered), ranges))
}

// Wanted is the predicate that patterns describe, by index of the file; nil when every file
// is wanted, as without any. See Matches and Numbered.
func Wanted(info *metainfo.Info, patterns []string) func(int) bool {
	if len(patterns) == 0 {
		return nil
	}
	want := make([]bool, len(info.Files))
	for _, g := range patterns {
		if list, ok := strings.CutPrefix(g, numbered); ok {
			ranges, _ := metainfo.ParseRanges(list) // what is no list names nothing
			for _, r := range ranges {
				for f := r.First; f <= min(r.Last, len(want)-1); f++ {
					want[f] = want[f] || !info.Files[f].Pad
				}
			}
			continue
		}
		for f := range info.Files {
			want[f] = want[f] || Matches(g, strings.Join(info.Files[f].Path, "/"))
		}
	}
	return func(f int) bool { return want[f] }
}

// Any tells whether a predicate wants a file at all.
func Any(info *metainfo.Info, wanted func(int) bool) bool {
	for f := range info.Files {
		if !info.Files[f].Pad && (wanted == nil || wanted(f)) {
			return true
		}
	}
	return false
}

// Bytes is the length of the wanted files together.
func Bytes(info *metainfo.Info, wanted func(int) bool) int64 {
	if wanted == nil {
		return info.Bytes()
	}
	n := int64(0)
	for f := range info.Files {
		if !info.Files[f].Pad && wanted(f) {
			n += info.Files[f].Length
		}
	}
	return n
}

// PieceBytes is how many bytes of a piece lie in files; of a v1 share that has padding of
// its own it counts that too.
func PieceBytes(info *metainfo.Info, p int) int64 {
	if info.Version == metainfo.V1 {
		return int64(info.PieceSize(p))
	}
	return int64(info.DataSize(p))
}

// Left is how many bytes lie in pieces that are not here, wanted or not.
func Left(info *metainfo.Info, have func(piece int) bool) (n int64) {
	for p := range info.NumPieces() {
		if !have(p) {
			n += PieceBytes(info, p)
		}
	}
	return n
}

// PieceWanted tells whether a piece holds a byte of a wanted file.
func PieceWanted(info *metainfo.Info, p int, wanted func(int) bool) bool {
	if wanted == nil {
		return true
	}
	off := int64(p) * info.PieceLength
	end := off + int64(info.PieceSize(p))
	for f := info.FileAt(off); f >= 0 && f < len(info.Files) && info.Files[f].Offset < end; f++ {
		if !info.Files[f].Pad && info.Files[f].Length > 0 && wanted(f) {
			return true
		}
	}
	return false
}

// Matches compares a path beneath the share with a pattern: * and ? stay within a
// component, ** crosses folders, and a pattern without a slash fits the file's own name
// or any folder above it.
func Matches(pattern, name string) bool {
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
