package store

import (
	"fmt"
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
// long, or is itself the name of a file of this share. The result follows from
// the metainfo alone, so that a restart finds the same names.
func partNames(info *metainfo.Info) map[int]string {
	taken := make(map[string]bool)
	for i := range info.Files {
		f := &info.Files[i]
		if n := len(f.Path); n > 0 && len(f.Path[n-1]) >= len(partSuffix) &&
			strings.HasSuffix(strings.ToLower(f.Path[n-1]), partSuffix) {
			taken[strings.ToLower(strings.Join(f.Path, "/"))] = true
		}
	}
	var names map[int]string
	for i := range info.Files {
		f := &info.Files[i]
		if f.Pad || f.Symlink || len(f.Path) == 0 {
			continue
		}
		name := f.Path[len(f.Path)-1]
		if len(name)+len(partSuffix) <= maxName && len(taken) == 0 {
			continue
		}
		folder := strings.ToLower(strings.Join(f.Path[:len(f.Path)-1], "/") + "/")
		if len(f.Path) == 1 {
			folder = ""
		}
		p := name + partSuffix
		for n := 0; len(p) > maxName || taken[folder+strings.ToLower(p)]; n++ {
			tail := fmt.Sprintf("~%d.%d%s", i, n, partSuffix)
			p = cutName(name, maxName-len(tail)) + tail
		}
		if p != name+partSuffix {
			if names == nil {
				names = make(map[int]string)
			}
			names[i] = p
		}
	}
	return names
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
