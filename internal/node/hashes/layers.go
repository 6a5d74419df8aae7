package hashes

import (
	"slices"
	"time"

	"shoal/internal/core/metainfo"
	"shoal/internal/core/swarm"
	"shoal/internal/core/swarm/layers"
	"shoal/internal/core/wire"
)

// Message is anything that can be sent.
type Message interface {
	// Append appends the whole frame to dst.
	Append(dst []byte) []byte
}

// Share is what Layers needs of its share.
type Share interface {
	// Event gives something to the share's swarm.
	Event(e swarm.Event)
	// Send sends a message to a peer, if it is still connected.
	Send(p swarm.Peer, m Message)
}

// Layers fetches the piece layers of one share and keeps what its verified pieces add up
// to meanwhile.
type Layers struct {
	share   Share
	meta    *metainfo.Metainfo
	plan    *layers.Plan
	missing map[int]bool         // files without their layer
	unknown map[int][]int        // pieces with data that could not be judged, by file
	came    []metainfo.FileLayer // proved, not in the metainfo yet
	applied int
	own     map[int]*Own // what pieces verified by v1 add up to, by file
	reading map[int]bool // files whose layer is being made from their data
	v2Only  bool         // the v1 hashes are wrong
	unsaved bool         // the home's .torrent lacks layers that are here
	saving  bool
	out     []layers.Effect
	leaves  []leafAsk
}

// leafAsk is a request for the leaf hashes of a failed piece.
type leafAsk struct {
	peer  swarm.Peer
	piece int
	rng   wire.HashRange
}

const (
	maxLeafAsks = 64                // swarm remembers as many failed pieces
	maxLeaves   = metainfo.LayerRun // what BEP 52 wants asked for at most, and link takes in one message
)

// NewLayers is of a share whose metainfo is not known yet: Start tells it.
func NewLayers(share Share) *Layers { return &Layers{share: share} }

// Start begins to fetch what m lacks, layers of wanted files first; a nil wanted wants
// all. unknown are pieces with data on the disk that no known hash can judge. has tells
// whether a peer has a piece in [first, end).
func (l *Layers) Start(m *metainfo.Metainfo, unknown []int, wanted func(int) bool, has func(p swarm.Peer, first, end int) bool) {
	l.meta = m
	list := m.MissingLayers()
	if len(list) == 0 {
		return
	}
	l.missing, l.own = make(map[int]bool, len(list)), make(map[int]*Own)
	l.unknown, l.reading = make(map[int][]int), make(map[int]bool)
	for _, f := range list {
		l.missing[f] = true
	}
	for _, p := range unknown {
		f := m.Info.FileAt(int64(p) * m.Info.PieceLength)
		l.unknown[f] = append(l.unknown[f], p)
	}
	l.plan = layers.New(m, inOrder(m.Info, list, wanted), func(p layers.Peer, lo, hi int) bool { return has(swarm.Peer(p), lo, hi) })
}

// inOrder puts wanted files first and leaves out those whose content came before.
func inOrder(info *metainfo.Info, list []int, wanted func(int) bool) []int {
	type tree struct {
		root   [32]byte
		length int64
	}
	seen := make(map[tree]bool, len(list))
	var order []int
	for _, now := range []bool{true, false} {
		for _, f := range list {
			t := tree{info.Files[f].Root, info.Files[f].Length}
			if !seen[t] && (wanted == nil || wanted(f)) == now {
				order, seen[t] = append(order, f), true
			}
		}
	}
	return order
}

// Blocks tells that a piece cannot be judged while its file's layer is missing.
func (l *Layers) Blocks(piece int) bool {
	return len(l.missing) > 0 && l.v2Decides() && l.missing[l.meta.Info.FileAt(int64(piece)*l.meta.Info.PieceLength)]
}

// Lacks tells whether pieces of a file that is wanted can't be judged yet; a nil wanted
// wants all.
func (l *Layers) Lacks(wanted func(int) bool) bool {
	if len(l.missing) == 0 || !l.v2Decides() {
		return false
	}
	for f := range l.missing {
		if wanted == nil || wanted(f) {
			return true
		}
	}
	return false
}

func (l *Layers) v2Decides() bool { return l.meta.Info.Version == metainfo.V2 || l.v2Only }

// DistrustV1 has pieces go by their v2 hashes alone from now on.
func (l *Layers) DistrustV1() { l.v2Only = true }

// Wants tells that there is something to ask peers for: see Offer.
func (l *Layers) Wants() bool { return l.plan != nil && l.plan.Left() > 0 }

// Offer asks peers for what is missing, as far as that should be, each for its part. now is
// any clock that only goes forward, as in the other methods.
func (l *Layers) Offer(now time.Duration, peers []swarm.Peer) {
	for _, p := range peers {
		l.step(now, layers.Event{Kind: layers.Offer, Peer: layers.Peer(p), Among: len(peers)})
	}
}

// Gone forgets a peer.
func (l *Layers) Gone(now time.Duration, p swarm.Peer) {
	l.step(now, layers.Event{Kind: layers.Gone, Peer: layers.Peer(p)})
	l.leaves = slices.DeleteFunc(l.leaves, func(a leafAsk) bool { return a.peer == p })
}

func (l *Layers) step(now time.Duration, e layers.Event) {
	if l.plan == nil {
		return
	}
	l.out = l.plan.Step(now, e, l.out)
	for i := range l.out {
		f := &l.out[i]
		switch f.Kind {
		case layers.Ask:
			l.share.Send(swarm.Peer(f.Peer), wire.HashRequestMsg{HashRange: wireRange(f.Root, f.Range)})
		case layers.Done:
			l.came = append(l.came, metainfo.FileLayer{File: f.File, Hashes: f.Layer})
		case layers.Fault:
			l.fault(swarm.Peer(f.Peer))
		}
	}
	clear(l.out)
	l.out = l.out[:0]
}

func (l *Layers) fault(p swarm.Peer) {
	l.share.Event(swarm.Event{Kind: swarm.PeerBad, Peer: p, N: uint32(swarm.ReasonBadHashes)})
}

// Merge returns the metainfo with the layers that came, and the files that have theirs
// now. Unless it has to be at once, it is nil while it is better to wait for more, for
// copying the table of layers for each one would take quadratic time. For each file
// Settle is called next.
func (l *Layers) Merge(now time.Duration, atOnce bool) (*metainfo.Metainfo, []int) {
	n := len(l.came)
	if n == 0 || !atOnce && 8*n < l.applied && l.plan.Left() > 0 {
		return nil, nil
	}
	m, err := l.meta.WithLayers(l.came)
	l.applied += n
	l.came = nil
	if err != nil {
		return nil, nil // cannot be: each was proved
	}
	l.meta = m
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
		l.step(now, layers.Event{Kind: layers.Known, File: f})
	}
	l.unsaved = true
	return m, known
}

// Settle compares a file's layer with what its pieces verified by v1 add up to, and
// returns the pieces that v2 calls bad.
func (l *Layers) Settle(f int) (wrong []int) {
	o := l.own[f]
	if o == nil {
		return nil
	}
	delete(l.own, f)
	for p := o.first; p < o.end; p++ {
		root, _ := l.meta.PieceV2(p)
		if o.known[p-o.first] && [32]byte(o.hashes[32*(p-o.first):]) != root {
			wrong = append(wrong, p)
		}
	}
	return wrong
}

// Unblock tells whether the pieces of a settled file could not be fetched before its layer
// came. pieces are those with data on the disk, which is to be judged first.
func (l *Layers) Unblock(f int) (pieces []int, blocked bool) {
	if !l.v2Decides() {
		return nil, false
	}
	pieces = l.unknown[f]
	delete(l.unknown, f)
	return pieces, true
}

// Unsaved tells that the .torrent has all layers of wanted files and is to be saved now;
// the saver calls Saved.
func (l *Layers) Unsaved(wanted func(int) bool) bool {
	if !l.unsaved || l.saving {
		return false
	}
	for f := range l.missing {
		if wanted == nil || wanted(f) {
			return false
		}
	}
	l.saving, l.unsaved = true, false
	return true
}

// Saved tells whether the .torrent could be saved.
func (l *Layers) Saved(ok bool) { l.saving, l.unsaved = false, l.unsaved || !ok }

// Done tells that the home's .torrent has all layers that are here. Those of wanted files
// are: no file is finished without.
func (l *Layers) Done() bool { return !l.saving && !l.unsaved }

func wireRange(root [32]byte, r metainfo.HashRange) wire.HashRange {
	return wire.HashRange{Root: root, Base: uint32(r.Base), Index: uint32(r.Index), Length: uint32(r.Length), ProofLayers: uint32(r.ProofLayers)}
}

func treeRange(r wire.HashRange) metainfo.HashRange {
	return metainfo.HashRange{Base: int(r.Base), Index: int(r.Index), Length: int(r.Length), ProofLayers: int(r.ProofLayers)}
}

// GotHashes takes an answer. One that was not asked for, or comes too late, is ignored;
// an error is a breach of the protocol.
func (l *Layers) GotHashes(now time.Duration, p swarm.Peer, body []byte) error {
	m, err := wire.ParseHashes(body)
	if err != nil {
		return err
	}
	hashes := make([][32]byte, m.Count())
	for i := range hashes {
		hashes[i] = m.Hash(i)
	}
	if piece, ok := l.takeLeaf(p, m.HashRange); ok {
		root, known := l.meta.PieceV2(piece)
		if !known || metainfo.MerkleRoot(hashes, len(hashes)) != root {
			l.fault(p)
			return nil
		}
		l.share.Event(swarm.Event{Kind: swarm.GotHashes, Peer: p, P: uint32(piece), Data: m.Data})
		return nil
	}
	l.step(now, layers.Event{Kind: layers.Answer, Peer: layers.Peer(p), Root: m.Root, Range: treeRange(m.HashRange), Hashes: hashes})
	return nil
}

// GotReject takes a refusal, as GotHashes takes an answer.
func (l *Layers) GotReject(now time.Duration, p swarm.Peer, body []byte) error {
	m, err := wire.ParseHashReject(body)
	if err != nil {
		return err
	}
	if piece, ok := l.takeLeaf(p, m.HashRange); ok {
		l.share.Event(swarm.Event{Kind: swarm.GotHashReject, Peer: p, P: uint32(piece)})
		return nil
	}
	l.step(now, layers.Event{Kind: layers.Reject, Peer: layers.Peer(p), Root: m.Root, Range: treeRange(m.HashRange)})
	return nil
}

// AskLeaves asks a v2 peer for the leaf hashes of one piece, to find the bad block in it.
func (l *Layers) AskLeaves(p swarm.Peer, piece int) {
	if l.meta == nil {
		return
	}
	info := l.meta.Info
	f := info.FileAt(int64(piece) * info.PieceLength)
	width := info.PieceWidth(piece)
	if f < 0 || width < 2 || width > maxLeaves {
		return
	}
	if _, known := l.meta.PieceV2(piece); !known {
		return
	}
	first, _ := info.FilePieces(f)
	// The piece's own root is known, so that no proof is needed.
	r := wire.HashRange{Root: info.Files[f].Root, Index: uint32((piece - first) * width), Length: uint32(width)}
	if len(l.leaves) >= maxLeafAsks {
		l.leaves = slices.Delete(l.leaves, 0, 1)
	}
	l.leaves = append(l.leaves, leafAsk{p, piece, r})
	l.share.Send(p, wire.HashRequestMsg{HashRange: r})
}

func (l *Layers) takeLeaf(p swarm.Peer, r wire.HashRange) (piece int, ok bool) {
	i := slices.IndexFunc(l.leaves, func(a leafAsk) bool { return a.peer == p && a.rng == r })
	if i < 0 {
		return 0, false
	}
	piece = l.leaves[i].piece
	l.leaves = slices.Delete(l.leaves, i, i+1)
	return piece, true
}
