package hashes

import (
	"sort"
	"time"

	"shoal/internal/core/metainfo"
	"shoal/internal/core/wire"
)

// Bounds of what is answered to one peer. A request of 49 bytes may make us hash many
// blocks, build the tree of a large layer and send 256 KiB, so all are paid for in time: a
// peer may be ahead of it by serveAhead, what it asks for beyond that waits, and what does
// not fit in its queue is rejected.
const (
	MaxAsks = 64 // requests of one peer that wait

	serveAhead  = 2 * time.Second  // burst
	serveEach   = time.Millisecond // a request, at the least
	serveShare  = 8                // times what an answer took of the share's goroutine
	serveBlock  = time.Millisecond // a block that is read and hashed: 16 MiB a second
	serveQueued = 256 << 10        // bytes that wait for a peer that does not read
	maxTrees    = 64               // hash trees kept ready
)

// Source is what a Server answers from.
type Source interface {
	// Meta is the share's metainfo, nil while it is not known.
	Meta() *metainfo.Metainfo
	// Content is where its bytes lie, nil if nowhere.
	Content() Content
	// Have tells whether a piece is here and verified.
	Have(piece int) bool
	// Later does work somewhere else, lending it memory for a block, and then calls then
	// where the Server belongs.
	Later(work func(block []byte), then func())
	// Sent counts bytes against the limits and returns how long they ask to wait.
	Sent(n int) time.Duration
}

// Peer is one that asks.
type Peer interface {
	// Up tells that it is still connected.
	Up() bool
	// Waiting is the number of bytes it has not taken yet.
	Waiting() int
	// Send sends a message.
	Send(m Message)
}

// Asks is what one peer asked for. The zero value is ready.
type Asks struct {
	list []wire.HashRange
	busy bool      // a worker has one in hand; answers keep their order
	paid time.Time // what was answered is paid for at that time
}

// Server answers hash requests (BEP 52) for one share. It finds files by their roots and
// keeps their trees ready.
type Server struct {
	source Source
	byRoot []int // files with a tree, by root
	trees  map[int]*metainfo.HashTree
}

// NewServer answers from a source.
func NewServer(s Source) *Server { return &Server{source: s} }

// GotRequest queues a request, and answers it if its turn has come; an error is a breach
// of the protocol. Peers of both kinds of connection are answered: what they ask is
// checked against the file's tree in any case.
func (v *Server) GotRequest(p Peer, a *Asks, body []byte) error {
	m, err := wire.ParseHashRequest(body)
	if err != nil {
		return err
	}
	if v.source.Meta() == nil || len(a.list) >= MaxAsks {
		reject(p, m.HashRange)
		return nil
	}
	a.list = append(a.list, m.HashRange)
	v.Serve(p, a)
	return nil
}

func reject(p Peer, r wire.HashRange) { p.Send(wire.HashRejectMsg{HashRange: r}) }

// Serve answers what a peer asked for as far as its turn has come. It is called every
// second for what could not be answered at once.
func (v *Server) Serve(p Peer, a *Asks) {
	for len(a.list) > 0 && !a.busy && p.Up() {
		now := time.Now()
		if a.paid.Before(now) {
			a.paid = now
		}
		if a.paid.Sub(now) > serveAhead || p.Waiting() > serveQueued {
			return
		}
		r := a.list[0]
		a.list = a.list[1:]
		v.serve(p, a, r)
		a.paid = a.paid.Add(max(serveEach, serveShare*time.Since(now)))
	}
}

// serve answers one request: from the piece layer at once, and where blocks have to be
// read and hashed by a worker.
func (v *Server) serve(p Peer, a *Asks, r wire.HashRange) {
	m := v.source.Meta()
	f := v.file(m.Info, r.Root)
	if f < 0 {
		reject(p, r)
		return
	}
	tree, err := v.tree(m, f)
	if err != nil {
		reject(p, r)
		return
	}
	q := treeRange(r)
	first, end := tree.LeafSpan(q)
	if first == end {
		hashes, err := tree.Answer(nil, q, nil)
		v.answer(p, a, r, hashes, err)
		return
	}
	end = min(end, int((m.Info.Files[f].Length+wire.BlockLen-1)/wire.BlockLen))
	content := v.source.Content()
	if content == nil || first >= end || end-first > wire.MaxHashes || !v.hasBlocks(m.Info, f, first, end) {
		reject(p, r)
		return
	}
	a.busy = true
	a.paid = a.paid.Add(time.Duration(end-first) * serveBlock)
	var hashes [][32]byte
	work := func(block []byte) {
		var leaves [][32]byte
		if leaves, err = readLeaves(content, m.Info, f, first, end, block); err == nil {
			hashes, err = tree.Answer(nil, q, leaves)
		}
	}
	v.source.Later(work, func() {
		a.busy = false
		if p.Up() {
			v.answer(p, a, r, hashes, err)
			v.Serve(p, a)
		}
	})
}

func (v *Server) answer(p Peer, a *Asks, r wire.HashRange, hashes [][32]byte, err error) {
	if err != nil || len(hashes) != int(r.Length)+r.Uncles() {
		reject(p, r)
		return
	}
	m := wire.HashesMsg{HashRange: r, Data: make([]byte, 0, 32*len(hashes))}
	for i := range hashes {
		m.Data = append(m.Data, hashes[i][:]...)
	}
	p.Send(m)
	a.paid = a.paid.Add(v.source.Sent(m.Size()))
}

// hasBlocks tells whether the pieces of blocks [first, end) of a file are here.
func (v *Server) hasBlocks(info *metainfo.Info, f, first, end int) bool {
	file := &info.Files[f]
	p := int((file.Offset + int64(first)*wire.BlockLen) / info.PieceLength)
	last := int((file.Offset + int64(end)*wire.BlockLen - 1) / info.PieceLength)
	for ; p <= last; p++ {
		if !v.source.Have(p) {
			return false
		}
	}
	return true
}

// readLeaves reads blocks of a file and hashes them.
func readLeaves(content Content, info *metainfo.Info, f, first, end int, buf []byte) ([][32]byte, error) {
	file := &info.Files[f]
	leaves := make([][32]byte, 0, end-first)
	for b := first; b < end; b++ {
		at := int64(b) * wire.BlockLen
		n := int(min(wire.BlockLen, file.Length-at))
		at += file.Offset
		if err := content.ReadAt(buf[:n], int(at/info.PieceLength), int(at%info.PieceLength)); err != nil {
			return nil, err
		}
		leaves = append(leaves, metainfo.LeafHash(buf[:n]))
	}
	return leaves, nil
}

// file finds the first file whose tree has the root, -1 if there is none.
func (v *Server) file(info *metainfo.Info, root [32]byte) int {
	less := func(a, b *[32]byte) bool { return string(a[:]) < string(b[:]) }
	if v.byRoot == nil {
		v.byRoot = make([]int, 0, len(info.Files))
		for f := range info.Files {
			if info.TreeHeight(f) >= 0 {
				v.byRoot = append(v.byRoot, f)
			}
		}
		sort.SliceStable(v.byRoot, func(i, j int) bool {
			return less(&info.Files[v.byRoot[i]].Root, &info.Files[v.byRoot[j]].Root)
		})
	}
	i := sort.Search(len(v.byRoot), func(i int) bool { return !less(&info.Files[v.byRoot[i]].Root, &root) })
	if i == len(v.byRoot) || info.Files[v.byRoot[i]].Root != root {
		return -1
	}
	return v.byRoot[i]
}

// tree is the tree of a file.
func (v *Server) tree(m *metainfo.Metainfo, f int) (*metainfo.HashTree, error) {
	if t := v.trees[f]; t != nil {
		return t, nil
	}
	t, err := m.HashTree(f)
	if err != nil {
		return nil, err
	}
	if v.trees == nil || len(v.trees) >= maxTrees {
		v.trees = make(map[int]*metainfo.HashTree)
	}
	v.trees[f] = t
	return t, nil
}
