package metainfo

import (
	"strings"
	"unicode/utf8"

	"shoal/internal/core/bencode"
)

// readV1 reads the files of v1: BEP 3's length or files.
func (i *Info) readV1(k infoKeys) error {
	if !present(k.pieces) {
		return refuse("the key pieces is missing")
	}
	switch {
	case present(k.length) && present(k.files):
		return refuse("it has both length and files")
	case present(k.length):
		return i.readV1Single(k)
	case present(k.files):
		return i.readV1Files(k.files)
	}
	return refuse("it has neither length nor files")
}

func (i *Info) readV1Single(k infoKeys) error {
	fk := fileKeys{length: k.length, attr: k.attr, symlinkPath: k.symlinkPath}
	f, err := fk.file()
	if err != nil {
		return err
	}
	f.Pad = false // a share that is padding and nothing else is not one
	f.Path, f.Raw = []string{i.Name}, i.RawName
	i.Single = true
	return i.add(f)
}

func (i *Info) readV1Files(list bencode.Value) error {
	n := list.Len()
	if n > 2*MaxFiles {
		return refuse("%d files and pads are more than %d", n, 2*MaxFiles)
	}
	i.Files = make([]File, 0, n)
	var p paths
	var components [][]byte
	for v := range list.Items() {
		k, err := readFileKeys(v)
		if err != nil {
			return err
		}
		f, err := k.file()
		if err != nil {
			return err
		}
		if components, err = k.components(components[:0]); err != nil {
			return err
		}
		f.Pad = f.Pad || isOldPad(components)
		if !f.Pad {
			if err := p.set(&f, components); err != nil {
				return err
			}
		}
		if err := i.add(f); err != nil {
			return err
		}
	}
	return i.countFiles()
}

// components returns the path of an item of files: path.utf-8 where that is what it says, otherwise path.
func (k *fileKeys) components(dst [][]byte) ([][]byte, error) {
	list, valid := k.path8, present(k.path8)
	for c := range k.path8.Items() {
		b, ok := c.Bytes()
		valid = valid && ok && utf8.Valid(b)
	}
	if !valid {
		list = k.path
	}
	for c := range list.Items() {
		b, ok := c.Bytes()
		if !ok {
			return nil, refuse("a path holds %s", a(c.Kind()))
		}
		dst = append(dst, b)
	}
	return dst, nil // empty for a pad, which may leave it out (BEP 47)
}

// isOldPad tells whether a path is one of BitComet's pads, which are older than BEP 47's attribute.
func isOldPad(components [][]byte) bool {
	n := len(components)
	return n > 0 && strings.HasPrefix(string(components[n-1]), "_____padding_file_")
}

// countFiles refuses a share of too many files or none, pads apart.
func (i *Info) countFiles() error {
	n := 0
	for f := range i.Files {
		if !i.Files[f].Pad {
			n++
		}
	}
	if n == 0 {
		return refuse("it lists no files")
	}
	if n > MaxFiles {
		return refuse("%d files are more than %d", n, MaxFiles)
	}
	return nil
}
