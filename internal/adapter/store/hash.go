package store

import (
	"context"
	"crypto/sha1"
	"errors"
	"hash"
	"io"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"shoal/internal/adapter/store/disk"
	"shoal/internal/core/metainfo"
)

// hashing reads files and fills in what their metainfo needs. Its unit of work
// is a run of pieces, so that a large file is split among the workers and many
// small ones go together; every byte is read once, by one worker, and hashed
// for both formats while it is in the cache.
type hashing struct {
	info    *metainfo.Info
	root    string // the file itself, or the folder in which the paths of sources begin
	sources []*source
	built   []metainfo.BuildFile
	source  []int32 // index in sources by index in Info.Files; -1 for a pad
	v1      []byte  // 20 bytes a piece
	perTree int     // leaves of a whole piece's tree
	runLen  int     // pieces a worker takes at a time
	next    atomic.Int64
	done    atomic.Int64 // bytes hashed
	failed  atomic.Pointer[error]

	zero     sync.Once // the hashes of a whole piece of zeros
	zeroV1   [20]byte
	zeroRoot [32]byte
}

// runBytes is how much of the piece space a worker takes at a time: enough for
// the system to read ahead, little enough for all cores to end together.
const runBytes = 4 << 20

func newHashing(info *metainfo.Info, root string, sources []*source, files []metainfo.BuildFile) *hashing {
	h := &hashing{info: info, root: root, sources: sources, built: files, source: make([]int32, len(info.Files))}
	h.runLen = int(max(1, runBytes/info.PieceLength))
	h.perTree = int(info.PieceLength / metainfo.BlockSize)
	n := 0
	for f := range info.Files {
		h.source[f] = -1
		if info.Files[f].Pad {
			continue
		}
		h.source[f] = int32(n)
		first, end := info.FilePieces(f)
		sources[n].left.Store(int32(end - first))
		if info.Version&metainfo.V2 != 0 && end-first > 1 {
			files[n].Layer = make([]byte, 32*(end-first))
		}
		n++
	}
	if info.Version&metainfo.V1 != 0 {
		h.v1 = make([]byte, 20*info.NumPieces())
	}
	return h
}

// run hashes everything on all workers.
func (h *hashing) run(ctx context.Context, o CreateOptions) error {
	stop := h.progress(o.Progress)
	defer stop()
	defer h.closeAll()
	var wg sync.WaitGroup
	runs := (h.info.NumPieces() + h.runLen - 1) / h.runLen
	for range min(cores(o.Workers), runs) {
		wg.Go(func() {
			if err := h.work(ctx); err != nil {
				h.failed.CompareAndSwap(nil, &err) // the first one counts
			}
		})
	}
	wg.Wait()
	if err := h.failed.Load(); err != nil {
		return *err
	}
	h.roots()
	return h.checkEmpty()
}

// hasher is one worker's state.
type hasher struct {
	*hashing
	buf    []byte
	sha1   hash.Hash
	leaves [][32]byte
}

func (h *hashing) work(ctx context.Context) error {
	w := &hasher{hashing: h, buf: make([]byte, chunk), sha1: sha1.New()}
	if h.info.Version&metainfo.V2 != 0 {
		w.leaves = make([][32]byte, 0, h.maxLeaves())
	}
	for {
		from := int(h.next.Add(int64(h.runLen))) - h.runLen
		if from >= h.info.NumPieces() {
			return nil
		}
		for p := from; p < min(from+h.runLen, h.info.NumPieces()); p++ {
			if err := w.piece(ctx, p); err != nil {
				return err
			}
		}
	}
}

// maxLeaves is the room for the leaves of the largest piece there is.
func (h *hashing) maxLeaves() int {
	return int(min(int64(h.perTree), h.info.Span()/metainfo.BlockSize+1))
}

// piece hashes one piece and keeps its hashes.
func (w *hasher) piece(ctx context.Context, p int) error {
	off := int64(p) * w.info.PieceLength
	end := off + int64(w.info.PieceSize(p))
	w.sha1.Reset()
	w.leaves = w.leaves[:0]
	first := w.info.FileAt(off)
	for f := first; off < end; f++ {
		file := &w.info.Files[f]
		n := min(end, file.Offset+file.Length) - off
		if n <= 0 {
			continue
		}
		if file.Pad {
			w.pad(n)
		} else if whole, err := w.file(ctx, f, off-file.Offset, n); err != nil {
			return err
		} else if whole {
			w.keepZero(p, f)
			return nil
		}
		off += n
	}
	if w.v1 != nil {
		w.sha1.Sum(w.v1[20*p : 20*p : 20*p+20])
	}
	if w.info.Version&metainfo.V2 != 0 {
		w.keepRoot(p, first, metainfo.MerkleRoot(w.leaves, w.info.PieceWidth(p)))
	}
	return nil
}

// pad feeds SHA-1 with zeros, which stand on no disk.
func (w *hasher) pad(n int64) {
	for n > 0 {
		k := min(n, int64(len(zeros)))
		w.sha1.Write(zeros[:k])
		n -= k
	}
}

var zeros [metainfo.BlockSize]byte

// file hashes n bytes of file f from off on. Hole tells that they are a whole
// piece of zeros that need not be read.
func (w *hasher) file(ctx context.Context, f int, off, n int64) (hole bool, err error) {
	s := w.sources[w.source[f]]
	src, err := w.openSource(s)
	if err != nil {
		return false, err
	}
	if s.holes && n == w.info.PieceLength && disk.NextData(src, off, s.stamp.size) >= off+n {
		w.done.Add(n)
		return true, w.closeSource(s)
	}
	for n > 0 {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		if failed := w.failed.Load(); failed != nil {
			return false, *failed
		}
		b := w.buf[:min(n, int64(len(w.buf)))]
		if _, err := src.ReadAt(b, off); err != nil {
			if errors.Is(err, io.EOF) {
				return false, &Error{Op: "hash", Path: w.sourcePath(s), Kind: ErrChanged}
			}
			return false, disk.Fault("hash", w.sourcePath(s), err)
		}
		if w.v1 != nil {
			w.sha1.Write(b)
		}
		off += int64(len(b))
		n -= int64(len(b))
		w.done.Add(int64(len(b)))
		for w.info.Version&metainfo.V2 != 0 && len(b) > 0 {
			k := min(len(b), metainfo.BlockSize)
			w.leaves = append(w.leaves, metainfo.LeafHash(b[:k]))
			b = b[k:]
		}
	}
	return false, w.closeSource(s)
}

// keepRoot keeps the v2 hash of a piece: in the layer of its file, or as the
// file's own root when the file is no longer than a piece.
func (w *hasher) keepRoot(p, f int, root [32]byte) {
	b := &w.built[w.source[f]]
	if b.Layer == nil {
		b.Root = root
		return
	}
	first, _ := w.info.FilePieces(f)
	copy(b.Layer[32*(p-first):], root[:])
}

// keepZero keeps the hashes of a whole piece of zeros.
func (w *hasher) keepZero(p, f int) {
	w.zero.Do(func() {
		all := sha1.New()
		for n := int64(0); n < w.info.PieceLength && w.v1 != nil; n += metainfo.BlockSize {
			all.Write(zeros[:])
		}
		all.Sum(w.zeroV1[:0])
		leaves := make([][32]byte, w.perTree)
		for i := range leaves {
			leaves[i] = zeroLeaf
		}
		w.zeroRoot = metainfo.MerkleRoot(leaves, len(leaves))
	})
	if w.v1 != nil {
		copy(w.v1[20*p:], w.zeroV1[:])
	}
	if w.info.Version&metainfo.V2 != 0 {
		w.keepRoot(p, f, w.zeroRoot)
	}
}

var zeroLeaf = metainfo.LeafHash(zeros[:])

// roots computes the v2 roots of the files that are longer than a piece.
func (h *hashing) roots() {
	level := 0
	for n := h.perTree; n > 1; n >>= 1 {
		level++
	}
	for i := range h.built {
		if h.built[i].Layer != nil {
			h.built[i].Root = rootOfLayer(h.built[i].Layer, level)
		}
	}
}

// rootOfLayer folds a piece layer, whose hashes stand level steps above the
// leaves, into the root of the file. What is missing on the right are trees of
// zero leaves (BEP 52).
func rootOfLayer(layer []byte, level int) [32]byte {
	nodes := make([][32]byte, len(layer)/32, len(layer)/32+1)
	for i := range nodes {
		copy(nodes[i][:], layer[32*i:])
	}
	var pair [64]byte
	for ; len(nodes) > 1; level++ {
		if len(nodes)%2 == 1 {
			nodes = append(nodes, metainfo.PadHash(level))
		}
		for i := range len(nodes) / 2 {
			copy(pair[:32], nodes[2*i][:])
			copy(pair[32:], nodes[2*i+1][:])
			nodes[i] = metainfo.LeafHash(pair[:])
		}
		nodes = nodes[:len(nodes)/2]
	}
	return nodes[0]
}

func (h *hashing) sourcePath(s *source) string {
	if h.info.Single {
		return h.root
	}
	return filepath.Join(h.root, filepath.Join(s.path...))
}

// openSource opens a file for the first piece that needs it. It must be what
// the walk saw.
func (h *hashing) openSource(s *source) (*os.File, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.f != nil {
		return s.f, nil
	}
	f, err := os.OpenFile(h.sourcePath(s), disk.OpenRegular, 0)
	if errors.Is(err, os.ErrNotExist) {
		return nil, &Error{Op: "hash", Path: h.sourcePath(s), Kind: ErrChanged, Err: err}
	}
	if err != nil {
		return nil, disk.Fault("hash", h.sourcePath(s), err)
	}
	if err := h.unchanged(f, s); err != nil {
		_ = f.Close()
		return nil, err
	}
	s.f = f
	return f, nil
}

// unchanged compares an open file with what the walk saw.
func (h *hashing) unchanged(f *os.File, s *source) error {
	fi, err := f.Stat()
	if err != nil {
		return disk.Fault("hash", h.sourcePath(s), err)
	}
	if !fi.Mode().IsRegular() || stampOf(fi) != s.stamp {
		return &Error{Op: "hash", Path: h.sourcePath(s), Kind: ErrChanged}
	}
	return nil
}

// closeSource ends one piece's use of a file. After the last one it must still
// be what the walk saw.
func (h *hashing) closeSource(s *source) error {
	if s.left.Add(-1) > 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	err := h.unchanged(s.f, s)
	_ = s.f.Close()
	s.f = nil
	return err
}

// closeAll closes what an error or the end of ctx left open.
func (h *hashing) closeAll() {
	for _, s := range h.sources {
		if s.f != nil {
			_ = s.f.Close()
			s.f = nil
		}
	}
}

// checkEmpty looks again at files that were empty and therefore never opened.
func (h *hashing) checkEmpty() error {
	for _, s := range h.sources {
		if s.stamp.size > 0 {
			continue
		}
		fi, err := os.Lstat(h.sourcePath(s))
		if err != nil || stampOf(fi) != s.stamp {
			return &Error{Op: "hash", Path: h.sourcePath(s), Kind: ErrChanged, Err: err}
		}
	}
	return nil
}
