package metainfo

import (
	"slices"

	"shoal/internal/core/bencode"
)

// readV2 reads the file tree of BEP 52: into Files where there is only v2, otherwise against the files of v1.
func (i *Info) readV2(k infoKeys) error {
	if !present(k.fileTree) {
		return refuse("the key file tree is missing")
	}
	if i.Version == Hybrid {
		h := hybrid{info: i}
		if err := walkTree(k.fileTree, h.file); err != nil {
			return err
		}
		return h.end()
	}
	err := walkTree(k.fileTree, func(f File) error {
		if len(i.Files) == MaxFiles {
			return refuse("there are more than %d files", MaxFiles)
		}
		return i.add(f)
	})
	if err != nil {
		return err
	}
	if len(i.Files) == 0 {
		return refuse("it lists no files")
	}
	i.Files = slices.Clone(i.Files) // appending left room that would stay for ever
	if f := &i.Files[0]; len(i.Files) == 1 && len(f.Path) == 1 && f.Path[0] == i.Name && f.Raw == i.RawName {
		i.Single = true
	}
	return nil
}

// walkTree calls file for each file of a tree, in its order. One pass, no recursion.
func walkTree(tree bencode.Value, file func(File) error) error {
	var p paths
	var path [][]byte
	c := tree.Cursor()
	c.Enter()
	for {
		if !c.More() {
			if len(path) == 0 {
				return nil
			}
			path = path[:len(path)-1]
			continue
		}
		name := c.Key()
		if len(name) == 0 {
			return refuse("the file tree has a folder that is a file as well, or a file without a name")
		}
		if c.Kind() != bencode.Dict {
			return refuse("the file tree holds %s where a dictionary must be", a(c.Kind()))
		}
		if len(path) == MaxDepth {
			return refuse("the file tree is deeper than %d", MaxDepth)
		}
		path = append(path, name)
		c.Enter()
		look := c // a dictionary that begins with an empty key is a file, and holds nothing else
		if !look.More() || len(look.Key()) != 0 {
			continue
		}
		f, err := readTreeFile(look.Value())
		if err != nil {
			return err
		}
		if look.More() {
			return refuse("the file tree has a file that is a folder as well")
		}
		if err := p.set(&f, path); err != nil {
			return err
		}
		if err := file(f); err != nil {
			return err
		}
		c, path = look, path[:len(path)-1]
	}
}

// readTreeFile reads the properties of one file of a tree.
func readTreeFile(v bencode.Value) (File, error) {
	k, err := readFileKeys(v)
	if err != nil {
		return File{}, err
	}
	f, err := k.file()
	if err != nil {
		return File{}, err
	}
	if f.Pad {
		return File{}, refuse("the file tree holds padding")
	}
	if f.Length == 0 {
		return f, nil
	}
	root, _ := k.root.Bytes()
	if len(root) != len(f.Root) {
		return File{}, refuse("a pieces root has %d bytes, not %d", len(root), len(f.Root))
	}
	if f.Root = [32]byte(root); f.Root == [32]byte{} {
		return File{}, refuse("a pieces root is zero")
	}
	return f, nil
}

// hybrid checks that a file tree describes what v1 described: the same files in the same order, of the same sizes, each
// at the piece where v2 has it (BEP 52, "Upgrade Path"). It copies the roots over.
type hybrid struct {
	info *Info
	next int   // the file of v1 that is due, or a pad before it
	span int64 // piece space of v2 so far
}

func (h *hybrid) file(f File) error {
	h.skipPads()
	i := h.info
	if h.next == len(i.Files) {
		return refuse("the file tree has %.64q, which v1 has not", f.shown())
	}
	g := &i.Files[h.next]
	if !f.matches(g) {
		return refuse("v1 has %.64q of %d bytes where v2 has %.64q of %d", g.shown(), g.Length, f.shown(), f.Length)
	}
	if f.Length > 0 {
		h.span = alignUp(h.span, i.PieceLength)
		if g.Offset != h.span {
			return refuse("%.64q begins at %d in v1 and at %d in v2", g.shown(), g.Offset, h.span)
		}
		h.span += f.Length
	}
	g.Root = f.Root
	g.Executable, g.Hidden = g.Executable || f.Executable, g.Hidden || f.Hidden
	h.next++
	return nil
}

func (h *hybrid) skipPads() {
	for h.next < len(h.info.Files) && h.info.Files[h.next].Pad {
		h.next++
	}
}

// end checks that nothing is left over. A pad after the last file may fill its piece, not more.
func (h *hybrid) end() error {
	h.skipPads()
	i := h.info
	if h.next < len(i.Files) {
		return refuse("v1 has %.64q, which the file tree has not", i.Files[h.next].shown())
	}
	if i.NumPieces() != int(ceilDiv(h.span, i.PieceLength)) {
		return refuse("v1 has %d pieces where v2 has %d", i.NumPieces(), ceilDiv(h.span, i.PieceLength))
	}
	return nil
}
