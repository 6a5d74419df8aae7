package metainfo

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sort"

	"shoal/internal/core/bencode"
)

// ErrLayer is wrapped when a piece layer or a part of one does not lead to the file's root.
var ErrLayer = errors.New("the hashes do not lead to the file's root")

// planLayers makes an empty entry for every file that is longer than a piece, which is what has a layer of its own.
func (m *Metainfo) planLayers() {
	if m.Info.Version&V2 == 0 {
		return
	}
	n := 0
	for f := range m.Info.Files {
		if m.Info.hasLayer(f) {
			n++
		}
	}
	if n == 0 {
		return
	}
	m.layers = make([]layer, 0, n)
	for f := range m.Info.Files {
		if m.Info.hasLayer(f) {
			m.layers = append(m.layers, layer{file: f})
		}
	}
}

func (i *Info) hasLayer(f int) bool {
	return !i.Files[f].Pad && i.Files[f].Length > i.PieceLength
}

// layerOf returns the entry of a file, nil if it has none.
func (m *Metainfo) layerOf(file int) *layer {
	n := sort.Search(len(m.layers), func(n int) bool { return m.layers[n].file >= file })
	if n == len(m.layers) || m.layers[n].file != file {
		return nil
	}
	return &m.layers[n]
}

// Layer returns the piece layer of a file, 32 bytes a piece, or nil if it is missing or the file has none because it
// fits in one piece. It must not be changed.
func (m *Metainfo) Layer(file int) []byte {
	if l := m.layerOf(file); l != nil {
		return l.hashes
	}
	return nil
}

// MissingLayers returns the files that are longer than a piece and whose layer is unknown.
func (m *Metainfo) MissingLayers() []int {
	var files []int
	for _, l := range m.layers {
		if l.hashes == nil {
			files = append(files, l.file)
		}
	}
	return files
}

// checkLayer verifies a layer against the root of a file that has one.
func (m *Metainfo) checkLayer(file int, hashes []byte) error {
	f := &m.Info.Files[file]
	first, end := m.Info.FilePieces(file)
	if len(hashes) != 32*(end-first) {
		return fmt.Errorf("metainfo: file %d: %d bytes of hashes for %d pieces: %w", file, len(hashes), end-first, ErrLayer)
	}
	if layerRoot(hashes, m.Info.pieceLevel(), ceilPow2(end-first)) != f.Root {
		return fmt.Errorf("metainfo: file %d: %w", file, ErrLayer)
	}
	return nil
}

// pieceLevel returns the level of the hash tree where one node covers a piece: 0 for pieces of one block.
func (i *Info) pieceLevel() int { return log2(int(i.PieceLength / BlockSize)) }

// readLayers reads the dictionary "piece layers". Every entry must belong to a file and be right.
func (m *Metainfo) readLayers(dict bencode.Value) error {
	byRoot := make([]int, len(m.layers)) // entries of m.layers in order of their roots
	for n := range byRoot {
		byRoot[n] = n
	}
	root := func(n int) []byte { return m.Info.Files[m.layers[n].file].Root[:] }
	slices.SortStableFunc(byRoot, func(a, b int) int { return bytes.Compare(root(a), root(b)) })
	for key, v := range dict.Pairs() {
		hashes, ok := v.Bytes()
		if !ok || len(key) != 32 {
			return refuse("piece layers holds something that is not a layer")
		}
		at, found := slices.BinarySearchFunc(byRoot, key, func(n int, key []byte) int { return bytes.Compare(root(n), key) })
		if !found {
			return refuse("piece layers has an entry that belongs to no file longer than a piece")
		}
		for first := at; at < len(byRoot) && bytes.Equal(root(byRoot[at]), key); at++ {
			l := &m.layers[byRoot[at]]
			if at > first && m.Info.Files[l.file].Length == m.Info.Files[m.layers[byRoot[first]].file].Length {
				l.hashes = hashes // the same file again
				continue
			}
			if err := m.checkLayer(l.file, hashes); err != nil {
				return &Error{Reason: "a piece layer is wrong", Err: err}
			}
			l.hashes = hashes
		}
	}
	return nil
}

// FileLayer is the piece layer of one file: 32 bytes a piece.
type FileLayer struct {
	File   int
	Hashes []byte
}

// WithLayers returns a copy of m that has these layers too, for the files named and for others of the same root and
// length. m stays as it is, so that who reads it at the same time is not disturbed; the copy shares all else with it.
// Every layer is verified; the error of a wrong one wraps ErrLayer, and then there is no copy.
func (m *Metainfo) WithLayers(layers []FileLayer) (*Metainfo, error) {
	type tree struct {
		root   [32]byte
		length int64
	}
	known := make(map[tree][]byte, len(layers))
	for _, l := range layers {
		if m.layerOf(l.File) == nil {
			return nil, fmt.Errorf("metainfo: file %d has no piece layer", l.File)
		}
		if err := m.checkLayer(l.File, l.Hashes); err != nil {
			return nil, err
		}
		f := &m.Info.Files[l.File]
		known[tree{f.Root, f.Length}] = l.Hashes
	}
	c := *m
	c.layers = slices.Clone(m.layers)
	c.raw = nil // what was parsed lacks these layers
	for n := range c.layers {
		f := &m.Info.Files[c.layers[n].file]
		if hashes := known[tree{f.Root, f.Length}]; hashes != nil && c.layers[n].hashes == nil {
			c.layers[n].hashes = hashes
		}
	}
	return &c, nil
}
