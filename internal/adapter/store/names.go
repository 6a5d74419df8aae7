package store

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"shoal/internal/core/metainfo"
)

const (
	partSuffix = ".part"
	maxName    = 255 // bytes of one component, on every common file system
)

// partName is the name file i bears until it is complete.
func (c *Content) partName(i int, name string) string {
	if p, ok := c.names[i]; ok {
		return p
	}
	return name + partSuffix
}

// partNames finds the files for which NAME.part will not do: it would be too
// long, or is itself the name of a file of this share. No two names are equal. The result follows from
// the metainfo alone, so that a restart finds the same names.
func partNames(info *metainfo.Info) map[int]string {
	if !slices.ContainsFunc(info.Files, needsPartName) {
		return nil
	}
	taken := make(map[string]bool) // true: by a file, false: by its NAME.part
	for i := range info.Files {
		path := strings.ToLower(strings.Join(info.Files[i].Path, "/"))
		if taken[path] = true; !taken[path+partSuffix] {
			taken[path+partSuffix] = false
		}
	}
	names := make(map[int]string)
	for i := range info.Files {
		f := &info.Files[i]
		if f.Pad || f.Symlink || len(f.Path) == 0 {
			continue
		}
		folder := strings.ToLower(strings.Join(append(slices.Clone(f.Path[:len(f.Path)-1]), ""), "/"))
		name := f.Path[len(f.Path)-1]
		p := name + partSuffix
		if len(p) <= maxName && !taken[folder+strings.ToLower(p)] {
			continue
		}
		for n, used := 0, true; used; n++ {
			tail := fmt.Sprintf("~%d.%d%s", i, n, partSuffix)
			p = cutName(name, maxName-len(tail)) + tail
			_, used = taken[folder+strings.ToLower(p)]
		}
		taken[folder+strings.ToLower(p)] = true
		names[i] = p
	}
	return names
}

// needsPartName tells whether a file may not have NAME.part, or keeps another from it.
func needsPartName(f metainfo.File) bool {
	if len(f.Path) == 0 {
		return false
	}
	name := f.Path[len(f.Path)-1]
	return len(name)+len(partSuffix) > maxName || strings.HasSuffix(strings.ToLower(name), partSuffix)
}

// cutName keeps at most n bytes of a name and no half of a character.
func cutName(name string, n int) string {
	if len(name) <= n {
		return name
	}
	for n > 0 && !utf8.RuneStart(name[n]) {
		n--
	}
	return name[:n]
}
