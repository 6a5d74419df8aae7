package layers

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"shoal/internal/core/metainfo"
)

// treeOf are the piece hashes of a file that does not exist, and its root.
func treeOf(name byte, pieces int) (layer []byte, root [32]byte) {
	var hashes [][32]byte
	for p := range pieces {
		h := metainfo.LeafHash([]byte{name, byte(p), byte(p >> 8)})
		hashes = append(hashes, h)
		layer = append(layer, h[:]...)
	}
	return layer, metainfo.MerkleRoot(hashes, pieces)
}

// Four runs of hashes come of four peers sooner than of one.
func TestEachPeerGivesItsPart(t *testing.T) {
	w := newLayerWorld(t, nil, 4*metainfo.LayerRun)
	w.offer(1, 2, 3, 4)
	if got := w.askedOf(); !slices.Equal(got, []Peer{1, 2, 3, 4}) {
		t.Errorf("asked of %v", got)
	}
	w = newLayerWorld(t, nil, 20*metainfo.LayerRun)
	w.offer(1, 2)
	if got := len(w.askedOf()); got != 2*layerPerPeer {
		t.Errorf("%d requests are under way", got)
	}
	for len(w.asks) > 0 {
		w.answer(nil)
	}
	if w.l.Left() != 0 {
		t.Error("it has not come")
	}
}

// described is a v2 share of files with so many pieces of 16 KiB, whole and as a link
// leaves it.
func described(t *testing.T, pieces ...int) (whole, bare *metainfo.Metainfo) {
	t.Helper()
	var files []metainfo.BuildFile
	for i, n := range pieces {
		layer, root := treeOf(byte(i), n)
		files = append(files, metainfo.BuildFile{Path: []string{fmt.Sprint(i)}, Length: int64(n) << 14, Root: root, Layer: layer})
	}
	info, err := metainfo.PlanLayout("t", false, files, metainfo.V2, 16<<10)
	if err != nil {
		t.Fatal(err)
	}
	whole, err = (&metainfo.Build{Info: info, Files: files}).Metainfo()
	if err != nil {
		t.Fatal(err)
	}
	bare, err = metainfo.ParseInfo(whole.InfoBytes, whole.Hash)
	if err != nil {
		t.Fatal(err)
	}
	return whole, bare
}

// layerWorld drives Layers against peers that hold the whole metainfo.
type layerWorld struct {
	t     *testing.T
	whole *metainfo.Metainfo
	l     *Plan
	now   time.Duration
	asks  []Effect // not answered
	came  map[int][]byte
	fault []Peer
}

func newLayerWorld(t *testing.T, has func(Peer, int, int) bool, pieces ...int) *layerWorld {
	whole, bare := described(t, pieces...)
	if has == nil {
		has = func(Peer, int, int) bool { return true }
	}
	return &layerWorld{t: t, whole: whole, l: New(bare, bare.MissingLayers(), has), came: make(map[int][]byte)}
}

func (w *layerWorld) step(e Event) {
	for _, f := range w.l.Step(w.now, e, nil) {
		switch f.Kind {
		case Ask:
			w.asks = append(w.asks, f)
		case Done:
			w.came[f.File] = f.Layer
		case Fault:
			w.fault = append(w.fault, f.Peer)
		}
	}
}

func (w *layerWorld) offer(peers ...Peer) {
	for _, p := range peers {
		w.step(Event{Kind: Offer, Peer: p, Among: len(peers)})
	}
}

// answer answers the oldest request, after spoil had its way with the hashes.
func (w *layerWorld) answer(spoil func([][32]byte)) {
	w.t.Helper()
	a := w.asks[0]
	w.asks = w.asks[1:]
	tree, err := w.whole.HashTree(a.File)
	if err != nil {
		w.t.Fatal(err)
	}
	hashes, err := tree.Answer(nil, a.Range, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	if spoil != nil {
		spoil(hashes)
	}
	w.step(Event{Kind: Answer, Peer: a.Peer, Root: a.Root, Range: a.Range, Hashes: hashes})
}

func (w *layerWorld) askedOf() []Peer {
	var list []Peer
	for _, a := range w.asks {
		list = append(list, a.Peer)
	}
	return list
}

// wholly checks that every layer came and is right.
func (w *layerWorld) wholly() {
	w.t.Helper()
	if w.l.Left() != 0 {
		w.t.Fatalf("%d layers are missing", w.l.Left())
	}
	for f, layer := range w.came {
		if string(layer) != string(w.whole.Layer(f)) {
			w.t.Errorf("layer %d is wrong", f)
		}
	}
}

// BEP 52: length is a power of two of at most 512, index a multiple of it, and the proof
// reaches the root. A file of one piece needs no request.
func TestLayersRequests(t *testing.T) {
	for _, tc := range []struct {
		pieces int
		want   []metainfo.HashRange
	}{
		{1, nil},
		{2, []metainfo.HashRange{{Index: 0, Length: 2, ProofLayers: 0}}},
		{3, []metainfo.HashRange{{Index: 0, Length: 4, ProofLayers: 1}}},
		{512, []metainfo.HashRange{{Index: 0, Length: 512, ProofLayers: 8}}},
		{513, []metainfo.HashRange{{Index: 0, Length: 512, ProofLayers: 9}, {Index: 512, Length: 2, ProofLayers: 9}}},
		{1500, []metainfo.HashRange{{Index: 0, Length: 512, ProofLayers: 10}, {Index: 512, Length: 512, ProofLayers: 10},
			{Index: 1024, Length: 512, ProofLayers: 10}}},
	} {
		w := newLayerWorld(t, nil, tc.pieces)
		w.offer(1)
		if len(w.asks) != len(tc.want) {
			t.Fatalf("%d pieces: %d requests, want %d", tc.pieces, len(w.asks), len(tc.want))
		}
		for i, a := range w.asks {
			if a.Range != tc.want[i] {
				t.Errorf("%d pieces: %+v, want %+v", tc.pieces, a.Range, tc.want[i])
			}
		}
		for len(w.asks) > 0 {
			w.answer(nil)
		}
		w.wholly()
	}
}

// Peers share the work, each with a bounded number of requests.
func TestLayersPipeline(t *testing.T) {
	w := newLayerWorld(t, nil, 20*512)
	w.offer(1, 2)
	if n := len(w.asks); n != 2*layerPerPeer {
		t.Fatalf("%d requests to two peers, want %d", n, 2*layerPerPeer)
	}
	asks := 0
	for len(w.asks) > 0 {
		w.answer(nil)
		asks++
	}
	if asks != 20 {
		t.Errorf("%d answers for 20 runs: something was asked for twice", asks)
	}
	w.wholly()
}

// BEP 52: a peer must answer for pieces that it has; it is asked for others only if it
// has none that are needed, and never while it has nothing at all.
func TestLayersAskWhoHas(t *testing.T) {
	has := func(p Peer, first, end int) bool {
		switch p {
		case 1:
			return first < 512 // the first run
		case 2:
			return first <= 1000 && 1000 < end
		}
		return false
	}
	w := newLayerWorld(t, has, 1024)
	w.offer(3)
	if len(w.asks) != 0 {
		t.Fatal("a peer without anything was asked")
	}
	w.offer(2)
	w.offer(1)
	if len(w.asks) != 2 || w.asks[0].Peer != 2 || w.asks[0].Range.Index != 512 || w.asks[1].Range.Index != 0 {
		t.Fatalf("asked %+v", w.asks)
	}
}

func TestLayersReject(t *testing.T) {
	w := newLayerWorld(t, nil, 600)
	w.offer(1)
	for _, a := range w.asks {
		w.step(Event{Kind: Reject, Peer: 1, Root: a.Root, Range: a.Range})
	}
	w.asks = nil
	w.offer(1)
	if len(w.asks) != 0 {
		t.Fatal("asked again at once")
	}
	w.offer(2)
	if len(w.asks) != 2 {
		t.Fatal("nobody else was asked")
	}
	w.step(Event{Kind: Gone, Peer: 2})
	w.asks, w.now = nil, layerAgain+1
	w.offer(1)
	for len(w.asks) > 0 {
		w.answer(nil)
	}
	w.wholly()
}

func TestLayersTimeout(t *testing.T) {
	w := newLayerWorld(t, nil, 600)
	w.offer(1)
	late := w.asks
	w.asks, w.now = nil, layerTimeout+1
	w.offer(1)
	if len(w.asks) != 0 {
		t.Fatal("a silent peer was asked again")
	}
	w.offer(2)
	if len(w.asks) != len(late) {
		t.Fatalf("%d requests after the time-out, want %d", len(w.asks), len(late))
	}
	// What comes too late is ignored, and nobody is blamed for it.
	second := w.asks
	w.asks = late
	for len(w.asks) > 0 {
		w.answer(nil)
	}
	w.asks = second
	for len(w.asks) > 0 {
		w.answer(nil)
	}
	w.wholly()
	if len(w.fault) != 0 {
		t.Errorf("blamed %v", w.fault)
	}
}

// A wrong hash, be it one of the layer, an uncle or one that the file does not have, is
// the peer's fault, and what it was asked for others are asked for.
func TestLayersBadHashes(t *testing.T) {
	for _, n := range []int{0, 511, 512, 520} {
		w := newLayerWorld(t, nil, 1000)
		w.offer(1)
		w.answer(func(h [][32]byte) {
			if n < len(h) {
				h[n][0] ^= 1
			} else {
				h[0] = h[1]
			}
		})
		if len(w.fault) != 1 || w.fault[0] != 1 {
			t.Fatalf("hash %d: blamed %v", n, w.fault)
		}
		w.asks = nil
		w.offer(2)
		if got := w.askedOf(); len(got) != 2 {
			t.Fatalf("hash %d: then asked %v", n, got)
		}
		for len(w.asks) > 0 {
			w.answer(nil)
		}
		w.wholly()
	}
}

// Answers that nobody asked for change nothing.
func TestLayersUnasked(t *testing.T) {
	w := newLayerWorld(t, nil, 600, 700)
	w.offer(1)
	a := w.asks[0]
	for _, e := range []Event{
		{Kind: Answer, Peer: 2, Root: a.Root, Range: a.Range},
		{Kind: Answer, Peer: 1, Root: [32]byte{1}, Range: a.Range},
		{Kind: Answer, Peer: 1, Root: a.Root, Range: metainfo.HashRange{Length: 2}},
		{Kind: Reject, Peer: 2, Root: a.Root, Range: a.Range},
		{Kind: Gone, Peer: 7},
	} {
		w.step(e)
	}
	if len(w.fault) != 0 || w.l.Left() != 2 {
		t.Fatalf("blamed %v, %d left", w.fault, w.l.Left())
	}
	for len(w.asks) > 0 {
		w.answer(nil)
	}
	w.wholly()
}

// A layer that came by another way is not asked for any more.
func TestLayersKnown(t *testing.T) {
	w := newLayerWorld(t, nil, 600, 700)
	w.offer(1)
	w.step(Event{Kind: Known, File: 0})
	w.step(Event{Kind: Known, File: 0})
	if w.l.Left() != 1 {
		t.Fatalf("%d left", w.l.Left())
	}
	for len(w.asks) > 0 {
		w.answer(nil)
	}
	if _, again := w.came[0]; again {
		t.Error("the known layer was told again")
	}
	w.wholly()
}

// More runs than are looked at for one peer: all are asked for in turn.
func TestLayersManyFiles(t *testing.T) {
	pieces := make([]int, 200)
	for i := range pieces {
		pieces[i] = 2
	}
	last := 0 // the only piece that the peer has
	w := newLayerWorld(t, func(_ Peer, first, end int) bool { return first <= last && last < end }, pieces...)
	last = 2*len(pieces) - 1
	for range 10 {
		w.offer(1)
	}
	if len(w.asks) == 0 {
		t.Fatal("nothing was asked for")
	}
	for len(w.asks) > 0 {
		w.answer(nil)
		w.offer(1)
	}
	w.wholly()
}
