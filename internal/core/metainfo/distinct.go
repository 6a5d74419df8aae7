package metainfo

import (
	"slices"
	"strconv"
	"strings"
)

// sep stands between the components of a folded path. No safe name holds it, and it sorts before all that one can hold,
// so that a folder's content follows directly after the folder's own name.
const sep = "\x00"

// named is one file with its folded path, by which a case-insensitive file system would know it.
type named struct {
	key  string
	file int
}

// distinguish gives files that would meet under one name, letter case ignored, names of their own: the first in order
// keeps its name, later ones get "~2", "~3", … before the extension. A file with a folder's name is renamed, the folder
// is not. The result depends on the metainfo alone. More than MaxEqualNames of one name are refused.
func distinguish(files []File) error {
	byKey := make([]named, 0, len(files))
	for i := range files {
		if !files[i].Pad {
			byKey = append(byKey, named{foldPath(files[i].Path), i})
		}
	}
	slices.SortFunc(byKey, func(a, b named) int {
		if c := strings.Compare(a.key, b.key); c != 0 {
			return c
		}
		return a.file - b.file
	})
	var clashing []named
	for at := 0; at < len(byKey); {
		end := at + 1
		for end < len(byKey) && byKey[end].key == byKey[at].key {
			end++
		}
		if end-at > MaxEqualNames {
			return refuse("%d files are named %.64q", end-at, strings.Join(files[byKey[at].file].Path, "/"))
		}
		if end < len(byKey) && isFolder(byKey[end].key, byKey[at].key) {
			clashing = append(clashing, byKey[at])
		}
		clashing = append(clashing, byKey[at+1:end]...)
		at = end
	}
	rename(files, byKey, clashing)
	return nil
}

// rename finds a free name for each clashing file, in the order of the metainfo.
func rename(files []File, byKey, clashing []named) {
	if len(clashing) == 0 {
		return
	}
	slices.SortFunc(clashing, func(a, b named) int { return a.file - b.file })
	next := make(map[string]int)       // folded path → the next number to try
	given := make(map[string]struct{}) // folded paths given here
	for _, c := range clashing {
		f := &files[c.file]
		if f.Raw == "" {
			f.Raw = strings.Join(f.Path, "/")
		}
		path := slices.Clone(f.Path) // components may be shared with a neighbour
		base := path[len(path)-1]
		for n := max(next[c.key], 2); ; n++ {
			path[len(path)-1] = numbered(base, n)
			key := foldPath(path)
			if _, ok := given[key]; !ok && free(byKey, key) {
				given[key] = struct{}{}
				next[c.key] = n + 1
				break
			}
		}
		f.Path = path
	}
}

// numbered puts a number before the extension. A name that must be cut for it keeps its hash, so that many long names
// cannot be made to try the same few.
func numbered(base string, n int) string {
	mark := "~" + strconv.Itoa(n)
	if len(base)+len(mark) > MaxName {
		mark = hashMark(base) + mark
	}
	return fitName(base, mark)
}

// free tells whether no file and no folder of the metainfo has this folded path.
func free(byKey []named, key string) bool {
	at, found := slices.BinarySearchFunc(byKey, key, func(e named, key string) int { return strings.Compare(e.key, key) })
	return !found && (at == len(byKey) || !isFolder(byKey[at].key, key))
}

// isFolder tells whether the file at path lies somewhere beneath folder; both are folded.
func isFolder(path, folder string) bool {
	return len(path) > len(folder) && path[len(folder)] == sep[0] && path[:len(folder)] == folder
}

func foldPath(path []string) string {
	if len(path) == 1 {
		return foldName(path[0])
	}
	return foldName(strings.Join(path, sep))
}
