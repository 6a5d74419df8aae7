package hashes

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"shoal/internal/adapter/store"
	"shoal/internal/core/metainfo"
	"shoal/internal/core/swarm"
	"shoal/internal/core/wire"
)

const (
	pieceLen = 32 << 10 // two leaves
	peer     = swarm.Peer(7)
)

// world is a share of the files a (five pieces and a bit), b (two) and c (one block, no
// layer), as its maker knows it and as a link describes it.
type world struct {
	t           *testing.T
	whole, bare *metainfo.Metainfo
	content     *store.Content
	events      []swarm.Event
	sent        []Message
}

func newWorld(t *testing.T, v metainfo.Version) *world {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "share")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, size := range map[string]int{"a": 5*pieceLen + 20000, "b": 2 * pieceLen, "c": 100} {
		data := make([]byte, size)
		for i := range data {
			data[i] = name[0] + byte(i>>14)
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	w := &world{t: t}
	var err error
	if w.whole, _, err = store.Create(t.Context(), dir, store.CreateOptions{Version: v, PieceLength: pieceLen}); err != nil {
		t.Fatal(err)
	}
	if w.bare, err = metainfo.ParseInfo(w.whole.InfoBytes, w.whole.Hash); err != nil {
		t.Fatal(err)
	}
	if w.content, err = store.Open(w.whole, filepath.Dir(dir), store.Options{InPlace: true}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.content.Close() })
	return w
}

func (w *world) Event(e swarm.Event)          { w.events = append(w.events, e) }
func (w *world) Send(p swarm.Peer, m Message) { w.sent = append(w.sent, m) }

// layers begins to fetch what a link does not bring.
func (w *world) layers(unknown []int, wanted func(int) bool) *Layers {
	l := NewLayers(w)
	l.Start(w.bare, unknown, wanted, func(swarm.Peer, int, int) bool { return true })
	return l
}

// file is the index of the file of that name.
func (w *world) file(name string) int {
	return slices.IndexFunc(w.whole.Info.Files, func(f metainfo.File) bool { return !f.Pad && f.Path[len(f.Path)-1] == name })
}

// asked are the requests that were sent since the last time.
func (w *world) asked() (list []wire.HashRange) {
	w.t.Helper()
	for _, m := range w.sent {
		q, ok := m.(wire.HashRequestMsg)
		if !ok {
			w.t.Fatalf("%T was sent", m)
		}
		list = append(list, q.HashRange)
	}
	w.sent = nil
	return list
}

// answer is the body of the right answer to a request for hashes of the piece layer.
func (w *world) answer(r wire.HashRange) []byte {
	w.t.Helper()
	f := slices.IndexFunc(w.whole.Info.Files, func(f metainfo.File) bool { return f.Root == r.Root })
	tree, err := w.whole.HashTree(f)
	if err != nil {
		w.t.Fatal(err)
	}
	hashes, err := tree.Answer(nil, treeRange(r), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return hashesBody(r, hashes)
}

// hashesBody is a hashes message without length and id.
func hashesBody(r wire.HashRange, hashes [][32]byte) []byte {
	m := wire.HashesMsg{HashRange: r}
	for i := range hashes {
		m.Data = append(m.Data, hashes[i][:]...)
	}
	return m.Append(nil)[5:]
}

// bring has a peer answer everything it is asked.
func (w *world) bring(l *Layers, p swarm.Peer) {
	w.t.Helper()
	l.Offer(0, []swarm.Peer{p})
	for _, r := range w.asked() {
		if err := l.GotHashes(0, p, w.answer(r)); err != nil {
			w.t.Fatal(err)
		}
	}
}

// kinds are the kinds of the events since the last time.
func (w *world) kinds() (list []swarm.Kind) {
	for _, e := range w.events {
		list = append(list, e.Kind)
	}
	w.events = nil
	return list
}

// TestFetch: layers are asked for, merged, and the .torrent is kept when those of wanted
// files are there.
func TestFetch(t *testing.T) {
	w := newWorld(t, metainfo.V2)
	a, b := w.file("a"), w.file("b")
	first, _ := w.bare.Info.FilePieces(b)
	l := w.layers([]int{first}, func(f int) bool { return f == b })
	if !l.Wants() || !l.Blocks(first) || l.Blocks(w.bare.Info.NumPieces()-1) {
		t.Error("not the pieces of files without a layer wait for one")
	}
	l.Offer(0, []swarm.Peer{peer})
	asked := w.asked()
	if len(asked) != 2 || asked[0].Root != w.bare.Info.Files[b].Root || asked[1].Root != w.bare.Info.Files[a].Root {
		t.Fatalf("asked for %+v, not for the wanted file first", asked)
	}
	if err := l.GotHashes(0, peer, w.answer(asked[0])); err != nil {
		t.Fatal(err)
	}
	m, known := l.Merge(0, false)
	if m == nil || !slices.Equal(known, []int{b}) || !bytes.Equal(m.Layer(b), w.whole.Layer(b)) {
		t.Fatalf("merged %v", known)
	}
	if wrong := l.Settle(b); wrong != nil {
		t.Errorf("wrong pieces %v", wrong)
	}
	if pieces, blocked := l.Unblock(b); !blocked || !slices.Equal(pieces, []int{first}) {
		t.Errorf("unblocked %v, %t", pieces, blocked)
	}
	if l.Done() {
		t.Error("done although the .torrent lacks what came")
	}
	if l.Unsaved(nil) || !l.Unsaved(func(f int) bool { return f == b }) || l.Unsaved(func(f int) bool { return f == b }) {
		t.Error("saved too early, or twice at a time")
	}
	l.Saved(false)
	if l.Done() || !l.Unsaved(func(f int) bool { return f == b }) {
		t.Error("what could not be saved is not saved again")
	}
	l.Saved(true)
	if !l.Done() {
		t.Error("not done although saved")
	}
	if err := l.GotHashes(0, peer, w.answer(asked[1])); err != nil {
		t.Fatal(err)
	}
	if m, known = l.Merge(0, false); !slices.Equal(known, []int{a}) || len(m.MissingLayers()) > 0 || l.Wants() {
		t.Errorf("merged %v", known)
	}
	if len(w.events) > 0 {
		t.Errorf("events %v", w.kinds())
	}
}

// TestNothingMissing: a .torrent brings its layers, and every method goes on without any.
func TestNothingMissing(t *testing.T) {
	w := newWorld(t, metainfo.V2)
	l := NewLayers(w)
	if l.Wants() || l.Blocks(0) {
		t.Error("something is wanted before the description")
	}
	l.Start(w.whole, nil, nil, nil)
	l.Offer(0, []swarm.Peer{peer})
	l.Gone(0, peer)
	m, _ := l.Merge(0, true)
	_, hold := l.Hold(w.file("a"))
	if m != nil || hold || l.Wants() || l.Blocks(0) || l.Unsaved(nil) || !l.Done() || len(w.sent) > 0 {
		t.Error("something is missing")
	}
	if v := l.Learn(0, nil, metainfo.Verdict{V1: metainfo.Good}); v != (metainfo.Verdict{V1: metainfo.Good}) {
		t.Errorf("learnt %+v", v)
	}
}

// TestLiar: hashes that do not lead to the root ban who sent them; what nobody asked for
// is ignored; what is no message is a breach of the protocol.
func TestLiar(t *testing.T) {
	w := newWorld(t, metainfo.V2)
	l := w.layers(nil, nil)
	l.Offer(0, []swarm.Peer{peer})
	r := w.asked()[0]
	body := w.answer(r)
	other := peer + 1
	if err := l.GotHashes(0, other, body); err != nil || len(w.events) > 0 {
		t.Errorf("an answer of who was not asked: %v, %v", err, w.kinds())
	}
	body[len(body)-1] ^= 1
	if err := l.GotHashes(0, peer, body); err != nil {
		t.Fatal(err)
	}
	if len(w.events) != 1 || w.events[0].Kind != swarm.PeerBad || w.events[0].Peer != peer || swarm.Reason(w.events[0].N) != swarm.ReasonBadHashes {
		t.Errorf("events %+v", w.events)
	}
	if m, _ := l.Merge(0, true); m != nil {
		t.Error("wrong hashes were taken")
	}
	l.Gone(0, peer)
	w.bring(l, other)
	if m, _ := l.Merge(0, true); m == nil || len(m.MissingLayers()) > 0 {
		t.Error("nobody else was asked")
	}
	for cut := range body {
		if err := l.GotHashes(0, peer, body[:cut]); err == nil {
			t.Errorf("%d bytes are a message", cut)
		}
	}
	if l.GotReject(0, peer, body) == nil || l.GotReject(0, peer, nil) == nil {
		t.Error("a reject of the wrong length is taken")
	}
}

// TestRefusal: who refuses is not asked for the same again at once; another is.
func TestRefusal(t *testing.T) {
	w := newWorld(t, metainfo.V2)
	l := w.layers(nil, nil)
	l.Offer(0, []swarm.Peer{peer})
	for _, r := range w.asked() {
		if err := l.GotReject(0, peer, wire.HashRejectMsg{HashRange: r}.Append(nil)[5:]); err != nil {
			t.Fatal(err)
		}
	}
	if l.Offer(time.Second, []swarm.Peer{peer}); len(w.asked()) > 0 {
		t.Error("who refused is asked again")
	}
	w.bring(l, peer+1)
	if l.Wants() {
		t.Error("the other was not asked")
	}
}

// TestLeaves: the leaf hashes of a failed piece are checked against the piece's own hash
// and go to the swarm.
func TestLeaves(t *testing.T) {
	w := newWorld(t, metainfo.V2)
	l := NewLayers(w)
	l.AskLeaves(peer, 0) // nothing is known yet
	l.Start(w.whole, nil, nil, nil)
	a := w.file("a")
	first, _ := w.whole.Info.FilePieces(a)
	p := first + 3
	l.AskLeaves(peer, p)
	asked := w.asked()
	want := wire.HashRange{Root: w.whole.Info.Files[a].Root, Index: 6, Length: 2}
	if len(asked) != 1 || asked[0] != want {
		t.Fatalf("asked %+v, want %+v", asked, want)
	}
	leaves, err := readLeaves(w.content, w.whole.Info, a, 6, 8, make([]byte, wire.BlockLen))
	if err != nil {
		t.Fatal(err)
	}
	body := hashesBody(want, leaves)
	if err := l.GotHashes(0, peer+1, body); err != nil || len(w.events) > 0 {
		t.Errorf("leaves of who was not asked: %v, %v", err, w.kinds())
	}
	if err := l.GotHashes(0, peer, body); err != nil || len(w.events) != 1 {
		t.Fatalf("%v, %v", err, w.kinds())
	}
	if e := w.events[0]; e.Kind != swarm.GotHashes || e.Peer != peer || e.P != uint32(p) || !bytes.Equal(e.Data, body[48:]) {
		t.Errorf("the swarm was told %+v", e)
	}
	w.events = nil
	if err := l.GotHashes(0, peer, body); err != nil || len(w.events) > 0 {
		t.Errorf("the same again: %v, %v", err, w.kinds())
	}

	l.AskLeaves(peer, p)
	body[len(body)-1] ^= 1
	if err := l.GotHashes(0, peer, body); err != nil || !slices.Equal(w.kinds(), []swarm.Kind{swarm.PeerBad}) {
		t.Errorf("wrong leaves: %v", err)
	}
	l.AskLeaves(peer, p)
	if err := l.GotReject(0, peer, wire.HashRejectMsg{HashRange: want}.Append(nil)[5:]); err != nil || !slices.Equal(w.kinds(), []swarm.Kind{swarm.GotHashReject}) {
		t.Errorf("a refusal: %v", err)
	}
	l.AskLeaves(peer, p)
	l.Gone(0, peer)
	if err := l.GotHashes(0, peer, body); err != nil || len(w.events) > 0 {
		t.Errorf("of the next peer in that place: %v, %v", err, w.kinds())
	}
	for range 3 * maxLeafAsks {
		l.AskLeaves(peer, p)
	}
	if len(l.leaves) > maxLeafAsks {
		t.Errorf("%d requests are remembered", len(l.leaves))
	}
}

// TestLeavesOfOneBlock: a piece of one block is its own leaf; there is nothing to ask for.
func TestLeavesOfOneBlock(t *testing.T) {
	w := newWorld(t, metainfo.V2)
	l := NewLayers(w)
	l.Start(w.whole, nil, nil, nil)
	first, _ := w.whole.Info.FilePieces(w.file("c"))
	if l.AskLeaves(peer, first); len(w.sent) > 0 {
		t.Error("asked")
	}
}

// learn hashes pieces of a file as the disk workers do and tells what v1 says of them.
func (w *world) learn(l *Layers, m *metainfo.Metainfo, pieces ...int) (last metainfo.Verdict) {
	w.t.Helper()
	var h metainfo.PieceHasher
	for _, p := range pieces {
		h.Reset(m, p)
		buf := make([]byte, m.Info.PieceSize(p))
		if err := w.content.ReadAt(buf, p, 0); err != nil {
			w.t.Fatal(err)
		}
		h.Write(buf)
		last = l.Learn(p, h.Leaves(), h.Sum())
	}
	return last
}

// TestOwnLayer: in a hybrid the layer follows from the verified file; pieces that were
// there before are read again.
func TestOwnLayer(t *testing.T) {
	w := newWorld(t, metainfo.Hybrid)
	a := w.file("a")
	first, end := w.bare.Info.FilePieces(a)
	l := w.layers(nil, nil)
	if l.Blocks(first) {
		t.Error("a hybrid's piece waits for a layer")
	}
	if v := w.learn(l, w.bare, first+1, end-1); v != (metainfo.Verdict{V1: metainfo.Good}) {
		t.Errorf("judged %+v without a layer", v)
	}
	own, hold := l.Hold(a)
	if own == nil || !hold {
		t.Fatal("the file is finished without its layer")
	}
	if again, hold := l.Hold(a); again != nil || !hold {
		t.Error("the layer is made twice")
	}
	wrong, err := l.Made(own, own.Make(t.Context(), w.bare, w.content))
	if err != nil || wrong != nil {
		t.Fatalf("%v, wrong %v", err, wrong)
	}
	m, known := l.Merge(0, true)
	if !slices.Equal(known, []int{a}) || !bytes.Equal(m.Layer(a), w.whole.Layer(a)) {
		t.Errorf("merged %v", known)
	}
	if _, hold := l.Hold(a); hold {
		t.Error("the file waits for a layer that is here")
	}
	if _, blocked := l.Unblock(a); blocked {
		t.Error("the file of a hybrid was blocked")
	}
	// A piece that was begun before the layer came is judged by it.
	if v := w.learn(l, w.bare, first); v != (metainfo.Verdict{V1: metainfo.Good, V2: metainfo.Good}) {
		t.Errorf("judged %+v with the layer", v)
	}
}

// TestOwnInterrupted: what ends the reading is told, and it is begun anew the next time.
func TestOwnInterrupted(t *testing.T) {
	w := newWorld(t, metainfo.Hybrid)
	a := w.file("a")
	l := w.layers(nil, nil)
	own, _ := l.Hold(a)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Made(own, own.Make(ctx, w.bare, w.content)); err != context.Canceled {
		t.Errorf("the reading was interrupted: %v", err)
	}
	if own, hold := l.Hold(a); own == nil || !hold {
		t.Error("it is not begun anew")
	}
}

// TestPeerWasQuicker: a layer that came meanwhile makes the own one needless.
func TestPeerWasQuicker(t *testing.T) {
	w := newWorld(t, metainfo.Hybrid)
	a := w.file("a")
	l := w.layers(nil, nil)
	own, _ := l.Hold(a)
	w.bring(l, peer)
	if m, _ := l.Merge(0, true); m == nil {
		t.Fatal("no layer came")
	}
	if wrong, err := l.Made(own, own.Make(t.Context(), w.bare, w.content)); wrong != nil || err != nil {
		t.Errorf("%v, wrong %v", err, wrong)
	}
	if m, _ := l.Merge(0, true); m != nil {
		t.Error("the layer came twice")
	}
}

// TestHybridDisagrees (BEP 52): the data fit v1 and not v2. From then on v2 decides: the
// pieces are lost, and none whose layer is missing is fetched.
func TestHybridDisagrees(t *testing.T) {
	w := newWorld(t, metainfo.Hybrid)
	a, b := w.file("a"), w.file("b")
	first, end := w.bare.Info.FilePieces(a)
	l := w.layers(nil, nil)
	own, _ := l.Hold(a)
	own.set(first, [32]byte{1}) // what v1 calls good has another root
	wrong, err := l.Made(own, own.Make(t.Context(), w.bare, w.content))
	if err != nil || len(wrong) != end-first {
		t.Fatalf("%v, wrong %v", err, wrong)
	}
	l.Disagree(a, wrong)
	lost, skipped := map[uint32]bool{}, map[uint32]bool{}
	if w.events[0].Kind != swarm.PieceGood || w.events[0].Flags != swarm.V1Bad {
		t.Errorf("the swarm is not told that v1 is wrong: %+v", w.events[0])
	}
	for _, e := range w.events[1:] {
		switch e.Kind {
		case swarm.PieceLost:
			if !skipped[e.P] {
				t.Errorf("piece %d is wanted again before its layer is there", e.P)
			}
			lost[e.P] = true
		case swarm.SetPriority:
			for p := e.P; p < e.B; p++ {
				skipped[p] = e.N == 0
			}
		}
	}
	bFirst, bEnd := w.bare.Info.FilePieces(b)
	for p := range w.bare.Info.NumPieces() {
		of := p >= first && p < end
		if lost[uint32(p)] != of || skipped[uint32(p)] != (of || p >= bFirst && p < bEnd) || l.Blocks(p) != skipped[uint32(p)] {
			t.Errorf("piece %d: lost %t, skipped %t, blocked %t", p, lost[uint32(p)], skipped[uint32(p)], l.Blocks(p))
		}
	}
	w.bring(l, peer)
	_, known := l.Merge(0, true)
	if !slices.Contains(known, a) {
		t.Fatalf("merged %v", known)
	}
	if pieces, blocked := l.Unblock(a); !blocked || len(pieces) != end-first {
		t.Errorf("the data of %v is judged, blocked %t", pieces, blocked)
	}
}

// TestSettle: a layer from a peer is compared with what v1 called good before.
func TestSettle(t *testing.T) {
	w := newWorld(t, metainfo.Hybrid)
	a := w.file("a")
	first, _ := w.bare.Info.FilePieces(a)
	l := w.layers(nil, nil)
	w.learn(l, w.bare, first, first+1)
	l.Learn(first+2, [][32]byte{{1}, {2}}, metainfo.Verdict{V1: metainfo.Good})
	l.Learn(first+3, [][32]byte{{1}, {2}}, metainfo.Verdict{V1: metainfo.Bad}) // is fetched again
	w.bring(l, peer)
	if _, known := l.Merge(0, true); !slices.Contains(known, a) {
		t.Fatalf("merged %v", known)
	}
	if wrong := l.Settle(a); !slices.Equal(wrong, []int{first + 2}) {
		t.Errorf("wrong pieces %v", wrong)
	}
	if wrong := l.Settle(a); wrong != nil {
		t.Errorf("a second time %v", wrong)
	}
}
