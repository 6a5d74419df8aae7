package engine

import (
	"slices"

	"shoal/internal/adapter/store"
	"shoal/internal/core/metainfo"
	"shoal/internal/core/swarm"
	"shoal/internal/core/swarm/layers"
	"shoal/internal/core/wire"
)

// layerState fetches the piece layers that a link does not bring (BEP 52). Peers are
// asked that made the connection under the v2 info hash: libtorrent ends others for it.
// Until its layer is there the pieces of a v2 file cannot be judged and are not fetched;
// those of a hybrid go by their v1 hash, and if nobody can be asked the layer follows
// from the verified file itself. The loop owns it.
type layerState struct {
	plan    *layers.Plan
	missing map[int]bool         // files without their layer
	unknown map[int][]int        // pieces with data that could not be judged, by file
	came    []metainfo.FileLayer // proved, not in the metainfo yet
	applied int
	own     map[int]*ownLayer // what pieces verified by v1 add up to, by file
	reading map[int]bool      // files whose layer is being made from their data
	unsaved bool              // the home's .torrent lacks layers that are here
	saving  bool
	out     []layers.Effect
	leaves  []leafAsk
}

// leafAsk is a request for the leaf hashes of a failed piece.
type leafAsk struct {
	c     *conn
	piece int
	rng   wire.HashRange
}

const (
	maxLeafAsks = 64                // swarm remembers as many failed pieces
	maxLeaves   = metainfo.LayerRun // what BEP 52 wants asked for at most, and link takes in one message
)

// start begins to fetch what is missing, layers of wanted files first. unknown are pieces
// with data on the disk that no known hash can judge.
func (l *layerState) start(s *Share, unknown []int) {
	list := s.meta.MissingLayers()
	if len(list) == 0 {
		return
	}
	l.missing, l.own = make(map[int]bool, len(list)), make(map[int]*ownLayer)
	l.unknown, l.reading = make(map[int][]int), make(map[int]bool)
	info := s.meta.Info
	type tree struct {
		root   [32]byte
		length int64
	}
	seen := make(map[tree]bool, len(list))
	wanted := s.spec.wanted(info)
	var first, later []int
	for _, f := range list {
		l.missing[f] = true
		t := tree{info.Files[f].Root, info.Files[f].Length}
		switch {
		case seen[t]: // the same content again
		case wanted == nil || wanted(f):
			first, seen[t] = append(first, f), true
		default:
			later = append(later, f)
		}
	}
	for _, f := range later {
		if t := (tree{info.Files[f].Root, info.Files[f].Length}); !seen[t] {
			first, seen[t] = append(first, f), true
		}
	}
	for _, p := range unknown {
		f := info.FileAt(int64(p) * info.PieceLength)
		l.unknown[f] = append(l.unknown[f], p)
	}
	l.plan = layers.New(s.meta, first, func(p layers.Peer, lo, hi int) bool { return s.t.HasAny(swarm.Peer(p), lo, hi) })
}

// blocks tells that a piece cannot be judged while its file's layer is missing.
func (l *layerState) blocks(s *Share, piece int) bool {
	info := s.meta.Info
	return len(l.missing) > 0 && (info.Version == metainfo.V2 || s.v2Only) && l.missing[info.FileAt(int64(piece)*info.PieceLength)]
}

// done tells that the home's .torrent has all layers that are here. Those of wanted files
// are: no file is finished without.
func (l *layerState) done() bool { return !l.saving && !l.unsaved }

// advance asks peers and takes over what came. It reports whether it left events for the
// swarm.
func (l *layerState) advance(s *Share) bool {
	if l.plan == nil || s.failed != nil || s.content.Load() == nil {
		return false
	}
	if l.plan.Left() > 0 {
		for _, c := range s.conns {
			if c != nil && c.up && c.v2 {
				l.out = l.plan.Step(s.now(), layers.Event{Kind: layers.Offer, Peer: layers.Peer(c.slot)}, l.out)
			}
		}
		l.perform(s)
	}
	// Copying the table of layers for each one would take quadratic time.
	if n := len(l.came); n > 0 && (8*n >= l.applied || l.plan.Left() == 0) {
		l.apply(s)
	}
	l.save(s)
	return len(s.in.List) > 0
}

func (l *layerState) perform(s *Share) {
	for i := range l.out {
		f := &l.out[i]
		switch f.Kind {
		case layers.Ask:
			c := s.conns[f.Peer]
			if c == nil || !c.up {
				continue
			}
			c.Out = wire.HashRequestMsg{HashRange: wireRange(f.Root, f.Range)}.Append(c.Out)
			s.touch(c)
		case layers.Done:
			l.came = append(l.came, metainfo.FileLayer{File: f.File, Hashes: f.Layer})
		case layers.Fault:
			s.badHashes(swarm.Peer(f.Peer))
		}
	}
	clear(l.out)
	l.out = l.out[:0]
}

func (s *Share) badHashes(p swarm.Peer) {
	s.event(swarm.Event{Kind: swarm.PeerBad, Peer: p, N: uint32(swarm.ReasonBadHashes)})
}

// apply makes the layers that came part of the metainfo.
func (l *layerState) apply(s *Share) {
	m, err := s.meta.WithLayers(l.came)
	l.applied += len(l.came)
	l.came = nil
	if err != nil {
		return // cannot be: each was proved
	}
	s.meta = m
	s.content.Load().SetMeta(m)
	var known []int
	still := m.MissingLayers()
	for f := range l.missing {
		if _, missing := slices.BinarySearch(still, f); !missing {
			known = append(known, f)
		}
	}
	slices.Sort(known)
	for _, f := range known {
		delete(l.missing, f)
		l.plan.Step(s.now(), layers.Event{Kind: layers.Known, File: f}, nil)
	}
	l.unsaved = true
	for _, f := range known {
		s.layerKnown(f)
	}
}

// save keeps the .torrent when nothing that is wanted lacks in it.
func (l *layerState) save(s *Share) {
	if !l.unsaved || l.saving || s.failed != nil {
		return
	}
	wanted := s.spec.wanted(s.meta.Info)
	for f := range l.missing {
		if wanted == nil || wanted(f) {
			return
		}
	}
	l.saving, l.unsaved = true, false
	m, row := s.meta, s.row
	s.e.workers.Run(func() {
		err := store.SaveTorrent(s.e.torrents(), m, row)
		s.post(msg{kind: msgCall, call: func() {
			l.saving = false
			if err != nil {
				l.unsaved = true
				s.fail(err)
				return
			}
			s.completeIfDone()
		}})
	})
}

// gone forgets a connection.
func (l *layerState) gone(s *Share, c *conn) {
	if l.plan != nil {
		l.out = l.plan.Step(s.now(), layers.Event{Kind: layers.Gone, Peer: layers.Peer(c.slot)}, l.out)
	}
	l.leaves = slices.DeleteFunc(l.leaves, func(a leafAsk) bool { return a.c == c })
}

func wireRange(root [32]byte, r metainfo.HashRange) wire.HashRange {
	return wire.HashRange{Root: root, Base: uint32(r.Base), Index: uint32(r.Index), Length: uint32(r.Length), ProofLayers: uint32(r.ProofLayers)}
}

func treeRange(r wire.HashRange) metainfo.HashRange {
	return metainfo.HashRange{Base: int(r.Base), Index: int(r.Index), Length: int(r.Length), ProofLayers: int(r.ProofLayers)}
}

// gotHashes takes an answer. One that was not asked for, or comes too late, is ignored.
func (s *Share) gotHashes(c *conn, body []byte) error {
	m, err := wire.ParseHashes(body)
	if err != nil {
		return err
	}
	hashes := make([][32]byte, m.Count())
	for i := range hashes {
		hashes[i] = m.Hash(i)
	}
	l := &s.layers
	if a, ok := l.takeLeaf(c, m.HashRange); ok {
		root, known := s.meta.PieceV2(a.piece)
		if !known || metainfo.MerkleRoot(hashes, len(hashes)) != root {
			s.badHashes(c.slot)
			return nil
		}
		s.event(swarm.Event{Kind: swarm.GotHashes, Peer: c.slot, P: uint32(a.piece), Data: m.Data})
		return nil
	}
	if l.plan != nil {
		l.out = l.plan.Step(s.now(), layers.Event{Kind: layers.Answer, Peer: layers.Peer(c.slot), Root: m.Root,
			Range: treeRange(m.HashRange), Hashes: hashes}, l.out)
		l.perform(s)
	}
	return nil
}

func (s *Share) gotHashReject(c *conn, body []byte) error {
	m, err := wire.ParseHashReject(body)
	if err != nil {
		return err
	}
	l := &s.layers
	if a, ok := l.takeLeaf(c, m.HashRange); ok {
		s.event(swarm.Event{Kind: swarm.GotHashReject, Peer: c.slot, P: uint32(a.piece)})
	} else if l.plan != nil {
		l.out = l.plan.Step(s.now(), layers.Event{Kind: layers.Reject, Peer: layers.Peer(c.slot), Root: m.Root,
			Range: treeRange(m.HashRange)}, l.out)
		l.perform(s)
	}
	return nil
}

// askLeaves asks for the leaf hashes of one piece, to find the bad block in it.
func (s *Share) askLeaves(c *conn, piece int) {
	info := s.meta.Info
	f := info.FileAt(int64(piece) * info.PieceLength)
	width := info.PieceWidth(piece)
	if f < 0 || width < 2 || width > maxLeaves || !c.v2 {
		return
	}
	if _, known := s.meta.PieceV2(piece); !known {
		return
	}
	first, _ := info.FilePieces(f)
	// The piece's own root is known, so that no proof is needed.
	r := wire.HashRange{Root: info.Files[f].Root, Index: uint32((piece - first) * width), Length: uint32(width)}
	l := &s.layers
	if len(l.leaves) >= maxLeafAsks {
		l.leaves = slices.Delete(l.leaves, 0, 1)
	}
	l.leaves = append(l.leaves, leafAsk{c, piece, r})
	c.Out = wire.HashRequestMsg{HashRange: r}.Append(c.Out)
}

func (l *layerState) takeLeaf(c *conn, r wire.HashRange) (leafAsk, bool) {
	i := slices.IndexFunc(l.leaves, func(a leafAsk) bool { return a.c == c && a.rng == r })
	if i < 0 {
		return leafAsk{}, false
	}
	a := l.leaves[i]
	l.leaves = slices.Delete(l.leaves, i, i+1)
	return a, true
}
