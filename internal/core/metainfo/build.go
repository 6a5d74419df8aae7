package metainfo

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"shoal/internal/core/bencode"
)

// BuildFile is one file that goes into a share. Path, Length and the attributes are given to PlanLayout; Root and Layer
// are filled in once the file was hashed, for v2 and hybrid.
type BuildFile struct {
	Path       []string // components beneath the share's folder, raw as on disk; for a single file its name alone
	Length     int64    // bytes
	Root       [32]byte // of its hash tree; zero for an empty file
	Layer      []byte   // 32 bytes a piece if it is longer than a piece; nil otherwise
	Executable bool
	Hidden     bool
}

// Build is what a metainfo is made of: a plan and the hashes that belong to it.
type Build struct {
	Info      *Info       // from PlanLayout
	Files     []BuildFile // as PlanLayout ordered them: the n-th real file of Info
	V1Pieces  []byte      // 20 bytes a piece, for v1 and hybrid
	Trackers  [][]string  // tiers
	WebSeeds  []string
	Private   bool // BEP 27; part of the info hash
	Comment   string
	CreatedBy string
	Created   int64      // Unix seconds; 0 leaves it out
	Groups    [][32]byte // who may know of the share; none for all
}

// PlanLayout orders the files of a share, chooses the piece length if pieceLength is 0, and places every file and pad:
// it tells what to hash where. It sorts files in place, by the raw bytes of their components, which is the order of v1
// and v2 both and the same on every machine. In the plan, Path is as given, to be opened; names are made safe only in
// the Metainfo that is built. Whatever the built metainfo would be refused for is an *Error already here, before
// anything is hashed.
func PlanLayout(name string, single bool, files []BuildFile, v Version, pieceLength int64) (*Info, error) {
	if v == 0 || v > Hybrid {
		return nil, fmt.Errorf("metainfo: format %d cannot be built", v)
	}
	if err := checkBuild(name, single, files, v); err != nil {
		return nil, err
	}
	slices.SortFunc(files, func(a, b BuildFile) int { return slices.Compare(a.Path, b.Path) })
	if pieceLength == 0 {
		lengths := make([]int64, len(files))
		for n := range files {
			lengths[n] = files[n].Length
		}
		pieceLength, _ = ChoosePieceLength(lengths, v)
	}
	if pieceLength < MinPieceLength || pieceLength > MaxPieceLength || !isPow2(pieceLength) {
		return nil, refuse("a piece length of %d is not a power of two from %d to %d", pieceLength, MinPieceLength, MaxPieceLength)
	}
	i := &Info{Name: name, Single: single, PieceLength: pieceLength, Version: v}
	if err := i.plan(files); err != nil {
		return nil, err
	}
	if err := checkNames(files); err != nil {
		return nil, err
	}
	size, err := i.encodedSize()
	if err != nil {
		return nil, err
	}
	if size > MaxSize {
		return nil, refuse("%d files and the hashes of %d pieces make it larger than %d bytes: larger pieces or fewer files are needed", len(files), i.NumPieces(), MaxSize)
	}
	return i, nil
}

// encodedSize returns how many bytes the .torrent of a plan will have, without trackers, web seeds and texts.
func (i *Info) encodedSize() (int, error) {
	const rest, perLayer = 256, 48 // bytes, at the most: the outer dictionary; a layer's root and length
	info, err := (&Build{Info: i}).encodeInfo()
	size := len(info) + rest
	if i.Version&V1 != 0 {
		size += 20 * i.NumPieces()
	}
	for f := range i.Files {
		if first, end := i.FilePieces(f); i.Version&V2 != 0 && i.hasLayer(f) {
			size += 32*(end-first) + perLayer
		}
	}
	return size, err
}

// plan places sorted files, and in a hybrid a pad before each one that would not begin with a piece.
func (i *Info) plan(files []BuildFile) error {
	i.Files = make([]File, 0, len(files)) // a hybrid grows to twice that at most
	for n := range files {
		b := &files[n]
		gap := alignUp(i.span, i.PieceLength) - i.span
		if i.Version == Hybrid && b.Length > 0 && gap > 0 {
			if err := i.add(File{Length: gap, Pad: true}); err != nil {
				return err
			}
		}
		f := File{Path: b.Path, Length: b.Length, Root: b.Root, Executable: b.Executable, Hidden: b.Hidden}
		if err := i.add(f); err != nil {
			return err
		}
	}
	if i.bytes == 0 {
		return refuse("it holds no data: no file, or only empty ones")
	}
	return nil
}

// checkBuild judges what does not depend on the order of the files.
func checkBuild(name string, single bool, files []BuildFile, v Version) error {
	switch {
	case !possible(name):
		return refuse("a share cannot be named %.64q", name)
	case len(files) > MaxFiles:
		return refuse("%d files are more than %d", len(files), MaxFiles)
	case single && (len(files) != 1 || len(files[0].Path) != 1 || files[0].Path[0] != name):
		return refuse("a single file must be the share's only one, by its name")
	case !single && v == V2 && len(files) == 1 && len(files[0].Path) == 1 && files[0].Path[0] == name:
		return refuse("in v2, a folder of one file that has the folder's name looks like the file alone; use another name or hybrid")
	}
	depth := MaxDepth
	if v&V2 != 0 {
		depth = maxTreeDepth
	}
	for n := range files {
		f := &files[n]
		if len(f.Path) == 0 || f.Length < 0 {
			return refuse("file %d has no path or no length", n)
		}
		if len(f.Path) > depth {
			return refuse("the path %.64q has more than %d components", strings.Join(f.Path, "/"), depth)
		}
		for _, c := range f.Path {
			if !possible(c) {
				return refuse("the path %.64q cannot be that of a file", strings.Join(f.Path, "/"))
			}
		}
	}
	return nil
}

// maxTreeDepth is how many components fit into a file tree within maxNesting: the outer dictionary, info, file tree and
// the file's properties take the rest.
const maxTreeDepth = maxNesting - 4

// possible tells whether a component can be the name of a file on disk.
func possible(name string) bool {
	return name != "" && name != "." && name != ".." && !strings.ContainsAny(name, "/\x00")
}

// checkNames finds, in sorted files, equal paths and files that are folders of others, and judges the names as a reader
// will.
func checkNames(files []BuildFile) error {
	safe := make([]File, len(files))
	var p paths
	var components [][]byte
	for n := range files {
		path := files[n].Path
		if n > 0 {
			before := files[n-1].Path
			if len(before) <= len(path) && slices.Equal(before, path[:len(before)]) {
				return refuse("the path %.64q is there twice, or as a file and a folder", strings.Join(before, "/"))
			}
		}
		components = components[:0]
		for _, c := range path {
			components = append(components, []byte(c))
		}
		if err := p.set(&safe[n], components); err != nil {
			return err
		}
	}
	return distinguish(safe)
}

// Metainfo builds the metainfo of a plan whose files were hashed. The result has been through Parse: what is built here
// is judged by the same rule as what comes from others.
func (b *Build) Metainfo() (*Metainfo, error) {
	if err := b.takeHashes(); err != nil {
		return nil, err
	}
	info, err := b.encodeInfo()
	if err != nil {
		return nil, err
	}
	m := &Metainfo{
		Info: b.Info, InfoBytes: info, Trackers: b.Trackers, WebSeeds: b.WebSeeds,
		Comment: b.Comment, CreatedBy: b.CreatedBy, Created: b.Created, Groups: b.Groups,
	}
	m.planLayers()
	n := 0
	for f := range b.Info.Files {
		if b.Info.Files[f].Pad {
			continue
		}
		if l := m.layerOf(f); l != nil {
			l.hashes = b.Files[n].Layer
		}
		n++
	}
	return Parse(m.Bytes())
}

// takeHashes copies the roots into the plan and checks that files and plan belong together.
func (b *Build) takeHashes() error {
	n := 0
	for f := range b.Info.Files {
		g := &b.Info.Files[f]
		if g.Pad {
			continue
		}
		if n == len(b.Files) || b.Files[n].Length != g.Length || !slices.Equal(b.Files[n].Path, g.Path) {
			return fmt.Errorf("metainfo: the files to build from are not those of the plan")
		}
		g.Root = b.Files[n].Root
		n++
	}
	if n != len(b.Files) {
		return fmt.Errorf("metainfo: the files to build from are not those of the plan")
	}
	return nil
}

// encodeInfo writes the info dictionary. Its bytes are the share's identity: nothing may be added that does not follow
// from the files, their names and the options.
func (b *Build) encodeInfo() ([]byte, error) {
	i := b.Info
	e := bencode.NewEncoder(nil)
	e.Dict()
	if i.Single && i.Version&V1 != 0 {
		encodeAttr(e, &i.Files[0])
	}
	if i.Version&V2 != 0 {
		e.Key("file tree")
		encodeTree(e, i.Files)
	}
	switch {
	case i.Version&V1 == 0:
	case i.Single:
		e.Key("length")
		e.Int(i.Files[0].Length)
	default:
		e.Key("files")
		encodeFiles(e, i.Files)
	}
	if i.Version&V2 != 0 {
		e.Key("meta version")
		e.Int(2)
	}
	e.Key("name")
	e.String(i.Name)
	e.Key("piece length")
	e.Int(i.PieceLength)
	if i.Version&V1 != 0 {
		e.Key("pieces")
		e.Blob(b.V1Pieces)
	}
	if b.Private {
		e.Key("private")
		e.Int(1)
	}
	e.End()
	return e.Bytes()
}

func encodeAttr(e *bencode.Encoder, f *File) {
	attr := ""
	if f.Pad {
		attr += "p"
	}
	if f.Hidden {
		attr += "h"
	}
	if f.Executable {
		attr += "x"
	}
	if attr != "" {
		e.Key("attr")
		e.String(attr)
	}
}

// encodeFiles writes the list of v1. A pad of n bytes is at .pad/n, as BEP 47 recommends.
func encodeFiles(e *bencode.Encoder, files []File) {
	e.List()
	for n := range files {
		f := &files[n]
		e.Dict()
		encodeAttr(e, f)
		e.Key("length")
		e.Int(f.Length)
		e.Key("path")
		e.List()
		if f.Pad {
			e.String(".pad")
			e.String(strconv.FormatInt(f.Length, 10))
		}
		for _, c := range f.Path {
			e.String(c)
		}
		e.End()
		e.End()
	}
	e.End()
}

// encodeTree writes the file tree of v2. Files are sorted, so each folder's content is together, and keys come in order.
func encodeTree(e *bencode.Encoder, files []File) {
	var open []string // folders whose dictionaries are open
	e.Dict()
	for n := range files {
		f := &files[n]
		if f.Pad {
			continue
		}
		folders := f.Path[:len(f.Path)-1]
		same := 0
		for same < len(open) && same < len(folders) && open[same] == folders[same] {
			same++
		}
		for range open[same:] {
			e.End()
		}
		for _, c := range folders[same:] {
			e.Key(c)
			e.Dict()
		}
		open = folders
		e.Key(f.Path[len(f.Path)-1])
		e.Dict()
		e.Key("")
		e.Dict()
		encodeAttr(e, f)
		e.Key("length")
		e.Int(f.Length)
		if f.Length > 0 {
			e.Key("pieces root")
			e.Blob(f.Root[:])
		}
		e.End()
		e.End()
	}
	for range open {
		e.End()
	}
	e.End()
}
