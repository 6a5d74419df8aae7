package engine

import (
	"sort"
	"time"

	"shoal/internal/adapter/store"
	"shoal/internal/core/metainfo"
	"shoal/internal/core/wire"
)

// Bounds of what is answered to one peer. A request of 49 bytes may make us hash many
// blocks and send 256 KiB, so both are paid for in time: a peer may be ahead of it by
// serveAhead, what it asks for beyond that waits, and what does not fit in its queue is
// rejected.
const (
	maxHashAsks = 64               // requests that wait
	serveAhead  = 2 * time.Second  // burst
	serveEach   = time.Millisecond // a request
	serveBlock  = time.Millisecond // a block that is read and hashed: 16 MiB a second
	serveQueued = 256 << 10        // bytes that wait for a peer that does not read
	maxTrees    = 64               // hash trees kept ready
)

// hashServe is what one peer asked for.
type hashServe struct {
	asks []wire.HashRange
	busy bool      // a disk worker has one in hand; answers keep their order
	paid time.Time // what was answered is paid for at that time
}

// treeCache finds the files of a share by their roots and keeps their trees ready.
type treeCache struct {
	byRoot []int // files with a tree, by root
	trees  map[int]*metainfo.HashTree
}

// gotHashRequest queues a request of BEP 52. Peers of both kinds of connection are
// answered: what they ask is checked against the file's tree in any case.
func (s *Share) gotHashRequest(c *conn, body []byte) error {
	m, err := wire.ParseHashRequest(body)
	if err != nil {
		return err
	}
	if s.meta == nil || len(c.serve.asks) >= maxHashAsks {
		s.rejectHashes(c, m.HashRange)
		return nil
	}
	c.serve.asks = append(c.serve.asks, m.HashRange)
	s.serveHashes(c)
	return nil
}

func (s *Share) rejectHashes(c *conn, r wire.HashRange) {
	c.Out = wire.HashRejectMsg{HashRange: r}.Append(c.Out)
	s.touch(c)
}

// serveHashes answers what a peer asked for as far as its turn has come.
func (s *Share) serveHashes(c *conn) {
	v := &c.serve
	for len(v.asks) > 0 && !v.busy && c.up {
		now := time.Now()
		if v.paid.Before(now) {
			v.paid = now
		}
		if v.paid.Sub(now) > serveAhead || c.Waiting() > serveQueued {
			return // looked at again every second
		}
		r := v.asks[0]
		v.asks = v.asks[1:]
		v.paid = v.paid.Add(serveEach)
		s.serveRange(c, r)
	}
}

// serveRange answers one request: from the piece layer at once, and where blocks have to
// be read and hashed by a disk worker.
func (s *Share) serveRange(c *conn, r wire.HashRange) {
	f := s.trees.file(s.meta.Info, r.Root)
	if f < 0 {
		s.rejectHashes(c, r)
		return
	}
	q := treeRange(r)
	tree := s.trees.trees[f]
	if tree == nil {
		var err error
		if tree, err = s.meta.HashTree(f); err != nil {
			s.rejectHashes(c, r)
			return
		}
		s.trees.keep(f, tree)
	}
	first, end := tree.LeafSpan(q)
	if first == end {
		hashes, err := tree.Answer(nil, q, nil)
		s.answerHashes(c, r, hashes, err)
		return
	}
	end = min(end, int((s.meta.Info.Files[f].Length+wire.BlockLen-1)/wire.BlockLen))
	content := s.content.Load()
	if content == nil || first >= end || end-first > wire.MaxHashes || !s.hasBlocks(f, first, end) {
		s.rejectHashes(c, r)
		return
	}
	c.serve.busy = true
	c.serve.paid = c.serve.paid.Add(time.Duration(end-first) * serveBlock)
	info := s.meta.Info
	s.e.workers.Run(func() {
		var hashes [][32]byte
		leaves, err := readLeaves(s, content, info, f, first, end)
		if err == nil {
			hashes, err = tree.Answer(nil, q, leaves)
		}
		s.post(msg{kind: msgCall, call: func() {
			c.serve.busy = false
			if c.up {
				s.answerHashes(c, r, hashes, err)
				s.serveHashes(c)
			}
		}})
	})
}

func (s *Share) answerHashes(c *conn, r wire.HashRange, hashes [][32]byte, err error) {
	if err != nil || len(hashes) != int(r.Length)+r.Uncles() {
		s.rejectHashes(c, r)
		return
	}
	m := wire.HashesMsg{HashRange: r, Data: make([]byte, 0, 32*len(hashes))}
	for i := range hashes {
		m.Data = append(m.Data, hashes[i][:]...)
	}
	c.Out = m.Append(c.Out)
	now := time.Now()
	wait := max(s.up.Spend(now, m.Size()), s.e.up.Spend(now, m.Size()))
	c.serve.paid = c.serve.paid.Add(wait)
	s.touch(c)
}

// hasBlocks tells whether the pieces of blocks [first, end) of a file are here.
func (s *Share) hasBlocks(f, first, end int) bool {
	file := &s.meta.Info.Files[f]
	p := int((file.Offset + int64(first)*wire.BlockLen) / s.meta.Info.PieceLength)
	last := int((file.Offset + int64(end)*wire.BlockLen - 1) / s.meta.Info.PieceLength)
	for ; p <= last; p++ {
		if !s.t.Have(p) {
			return false
		}
	}
	return true
}

// readLeaves reads blocks of a file and hashes them.
func readLeaves(s *Share, content *store.Content, info *metainfo.Info, f, first, end int) ([][32]byte, error) {
	file := &info.Files[f]
	buf := s.e.buffers.Get()
	defer s.e.buffers.Put(buf)
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
func (t *treeCache) file(info *metainfo.Info, root [32]byte) int {
	less := func(a, b *[32]byte) bool { return string(a[:]) < string(b[:]) }
	if t.byRoot == nil {
		t.byRoot = make([]int, 0, len(info.Files))
		for f := range info.Files {
			if info.TreeHeight(f) >= 0 {
				t.byRoot = append(t.byRoot, f)
			}
		}
		sort.SliceStable(t.byRoot, func(i, j int) bool {
			return less(&info.Files[t.byRoot[i]].Root, &info.Files[t.byRoot[j]].Root)
		})
	}
	i := sort.Search(len(t.byRoot), func(i int) bool { return !less(&info.Files[t.byRoot[i]].Root, &root) })
	if i == len(t.byRoot) || info.Files[t.byRoot[i]].Root != root {
		return -1
	}
	return t.byRoot[i]
}

func (t *treeCache) keep(f int, tree *metainfo.HashTree) {
	if t.trees == nil || len(t.trees) >= maxTrees {
		t.trees = make(map[int]*metainfo.HashTree)
	}
	t.trees[f] = tree
}
