package metainfo

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"slices"
	"strings"
	"unicode/utf8"

	"shoal/internal/core/bencode"
)

// infoKeys are the values of an info dictionary that mean something here.
type infoKeys struct {
	name, name8, pieceLength, private        bencode.Value
	length, files, pieces, attr, metaVersion bencode.Value
	fileTree, symlinkPath                    bencode.Value
}

// parseInfoDict judges an info dictionary and hashes it.
func parseInfoDict(v bencode.Value) (*Metainfo, error) {
	if v.Kind() != bencode.Dict {
		return nil, refuse("the info dictionary is %s", a(v.Kind()))
	}
	k, version, err := readInfoKeys(v)
	if err != nil {
		return nil, err
	}
	i := &Info{Version: version}
	if err := i.readHead(k); err != nil {
		return nil, err
	}
	if version&V1 != 0 {
		if err := i.readV1(k); err != nil {
			return nil, err
		}
	}
	if version&V2 != 0 {
		if err := i.readV2(k); err != nil {
			return nil, err
		}
	}
	if i.bytes == 0 {
		return nil, refuse("it holds no data: no file, or only empty ones")
	}
	if len(i.Files) > 1 {
		if err := distinguish(i.Files); err != nil {
			return nil, err
		}
	}
	m := &Metainfo{Info: i, InfoBytes: v.Raw()}
	m.pieces, _ = k.pieces.Bytes()
	if n := i.NumPieces(); version&V1 != 0 && len(m.pieces) != 20*n {
		return nil, refuse("%d bytes of piece hashes where %d pieces need %d", len(m.pieces), n, 20*n)
	}
	m.planLayers()
	m.Hash = hashInfo(m.InfoBytes, version)
	return m, nil
}

func hashInfo(info []byte, version Version) InfoHash {
	h := InfoHash{Version: version}
	if h.HasV1() {
		h.V1 = sha1.Sum(info)
	}
	if h.HasV2() {
		h.V2 = sha256.Sum256(info)
	}
	return h
}

// readInfoKeys collects and type-checks the keys. The version is judged before everything else (BEP 52), so that a
// format of the future is named as such.
func readInfoKeys(v bencode.Value) (k infoKeys, version Version, err error) {
	k.metaVersion = v.Get("meta version")
	if k.metaVersion.Kind() != bencode.Invalid {
		n, ok := k.metaVersion.Int()
		if !ok || n != 2 {
			return k, 0, refuse("meta version %.20q is not known here", k.metaVersion.Raw())
		}
		version = V2
	}
	if err := readFields(v, []field{
		{"attr", bencode.String, &k.attr},
		{"file tree", bencode.Dict, &k.fileTree},
		{"files", bencode.List, &k.files},
		{"length", bencode.Int, &k.length},
		{"name", bencode.String, &k.name},
		{"name.utf-8", bencode.String, &k.name8},
		{"piece length", bencode.Int, &k.pieceLength},
		{"pieces", bencode.String, &k.pieces},
		{"private", bencode.Int, &k.private},
		{"symlink path", bencode.List, &k.symlinkPath},
	}); err != nil {
		return k, 0, err
	}
	if version == 0 || present(k.pieces) || present(k.files) || present(k.length) {
		version |= V1
	}
	return k, version, nil
}

func present(v bencode.Value) bool { return v.Kind() != bencode.Invalid }

// readHead reads what v1 and v2 have in common.
func (i *Info) readHead(k infoKeys) error {
	if !present(k.name) {
		return refuse("the key name is missing")
	}
	raw := k.rawName()
	if i.Name = SafeName(raw); i.Name != raw {
		i.RawName = raw
	}
	if !present(k.pieceLength) {
		return refuse("the key piece length is missing")
	}
	i.PieceLength, _ = k.pieceLength.Int()
	if i.PieceLength <= 0 || i.PieceLength > MaxPieceLength {
		return refuse("a piece length of %d is not between 1 and %d", i.PieceLength, MaxPieceLength)
	}
	if i.Version&V2 != 0 && (i.PieceLength < MinPieceLength || !isPow2(i.PieceLength)) {
		return refuse("a piece length of %d is not a power of two of at least %d", i.PieceLength, MinPieceLength)
	}
	private, _ := k.private.Int()
	i.Private = private != 0
	return nil
}

// rawName prefers the key that says it is UTF-8, if it is.
func (k *infoKeys) rawName() string {
	name, _ := k.name.Bytes()
	if b, ok := k.name8.Bytes(); ok && len(b) > 0 && utf8.Valid(b) {
		name = b
	}
	return string(name)
}

// fileKeys are the values of a file's dictionary: an item of files, or the properties in a file tree, or, of a single
// file, the info dictionary itself.
type fileKeys struct {
	length, path, path8, attr, symlinkPath, root bencode.Value
}

func readFileKeys(v bencode.Value) (k fileKeys, err error) {
	if v.Kind() != bencode.Dict {
		return k, refuse("a file is described by %s, not a dictionary", a(v.Kind()))
	}
	err = readFields(v, []field{
		{"length", bencode.Int, &k.length},
		{"path", bencode.List, &k.path},
		{"path.utf-8", bencode.List, &k.path8},
		{"attr", bencode.String, &k.attr},
		{"symlink path", bencode.List, &k.symlinkPath},
		{"pieces root", bencode.String, &k.root},
	})
	return k, err
}

// file makes a File of the keys that both formats share: length and attributes (BEP 47).
func (k *fileKeys) file() (File, error) {
	var f File
	attr, _ := k.attr.Bytes()
	f.Pad = bytes.IndexByte(attr, 'p') >= 0
	f.Executable = bytes.IndexByte(attr, 'x') >= 0
	f.Hidden = bytes.IndexByte(attr, 'h') >= 0
	f.Symlink = bytes.IndexByte(attr, 'l') >= 0
	for c := range k.symlinkPath.Items() {
		if c.Kind() != bencode.String {
			return f, refuse("a symlink path holds %s", a(c.Kind()))
		}
	}
	if !present(k.length) && !f.Symlink {
		return f, refuse("the length of a file is missing")
	}
	if f.Length, _ = k.length.Int(); f.Length < 0 {
		return f, refuse("a file has the length %d", f.Length)
	}
	if f.Symlink {
		f.Length = 0 // "always zero", but some say their target's, which is not in the piece space twice
	}
	return f, nil
}

// add places a file, after judging that the piece space has room for it.
func (i *Info) add(f File) error {
	if !i.fits(f.Length) {
		return refuse("with a file of %d bytes there are more than %d pieces", f.Length, MaxPieces)
	}
	i.place(&f)
	i.Files = append(i.Files, f)
	return nil
}

// paths builds the Path of files: strings are shared with the file before, slices are cut from larger ones.
type paths struct {
	before []string // the path that was built last
	raw    [][]byte // its components as they are in the metainfo
	total  int      // bytes of all paths so far, each written out, as v1 has them
	free   []string
	size   int
}

// slice returns n empty strings.
func (p *paths) slice(n int) []string {
	if len(p.free) < n {
		p.size = min(max(n, 2*p.size), 4096)
		p.free = make([]string, max(p.size, n))
	}
	s := p.free[:n:n]
	p.free = p.free[n:]
	return s
}

// set fills in f.Path, and f.Raw if making a component safe changed it.
func (p *paths) set(f *File, components [][]byte) error {
	if len(components) == 0 {
		return refuse("the path of a file is empty")
	}
	if len(components) > MaxDepth {
		return refuse("a path has %d components, more than %d", len(components), MaxDepth)
	}
	for _, c := range components {
		p.total += len(c) + 1
	}
	if p.total > MaxSize { // a folder of a tree counts for every file below it: v1 could not be as large either
		return refuse("the paths of all files together are longer than %d bytes", MaxSize)
	}
	path, changed, size := p.slice(len(components)), false, len(components)-1
	for n, c := range components {
		if n < len(p.raw) && bytes.Equal(p.raw[n], c) {
			path[n] = p.before[n]
		} else {
			path[n] = SafeName(string(c))
		}
		changed = changed || path[n] != string(c)
		size += len(path[n])
	}
	if size > MaxPath {
		return refuse("a path of %d bytes is longer than %d", size, MaxPath)
	}
	if changed {
		f.Raw = string(bytes.Join(components, []byte("/")))
	}
	f.Path, p.before, p.raw = path, path, append(p.raw[:0], components...)
	return nil
}

// matches tells whether two descriptions name the same file.
func (f *File) matches(g *File) bool {
	return f.Length == g.Length && f.Symlink == g.Symlink && f.Raw == g.Raw && slices.Equal(f.Path, g.Path)
}

// shown is the file's name in a refusal.
func (f *File) shown() string { return strings.Join(f.Path, "/") }
