package hashes

import (
	"testing"
	"testing/synctest"
	"time"

	"shoal/internal/core/metainfo"
	"shoal/internal/core/wire"
)

// asker is a peer that notes what it is sent.
type asker struct {
	down    bool
	waiting int
	got     []Message
}

func (p *asker) Up() bool       { return !p.down }
func (p *asker) Waiting() int   { return p.waiting }
func (p *asker) Send(m Message) { p.got = append(p.got, m) }

// take is what came since the last time, as (answers, rejects).
func (p *asker) take(t *testing.T) (answers []wire.HashesMsg, rejects int) {
	t.Helper()
	for _, m := range p.got {
		switch m := m.(type) {
		case wire.HashesMsg:
			answers = append(answers, m)
		case wire.HashRejectMsg:
			rejects++
		default:
			t.Fatalf("%T was sent", m)
		}
	}
	p.got = nil
	return answers, rejects
}

// shelf is a Source whose work is done when the test says.
type shelf struct {
	*world
	meta  *metainfo.Metainfo
	lacks map[int]bool
	bare  bool // no content
	work  []func()
	cost  time.Duration
}

func (s *shelf) Meta() *metainfo.Metainfo { return s.meta }
func (s *shelf) Content() Content {
	if s.bare {
		return nil
	}
	return s.content
}
func (s *shelf) Have(piece int) bool { return !s.lacks[piece] }
func (s *shelf) Later(work func([]byte), then func()) {
	s.work = append(s.work, func() { work(make([]byte, wire.BlockLen)); then() })
}
func (s *shelf) Sent(int) time.Duration { return s.cost }

func (s *shelf) run() {
	for len(s.work) > 0 {
		f := s.work[0]
		s.work = s.work[1:]
		f()
	}
}

func newShelf(t *testing.T) (*shelf, *Server) {
	w := newWorld(t, metainfo.V2)
	s := &shelf{world: w, meta: w.whole, lacks: map[int]bool{}}
	return s, NewServer(s)
}

// ask sends one request of a file.
func ask(t *testing.T, v *Server, p *asker, a *Asks, r wire.HashRange) {
	t.Helper()
	if err := v.GotRequest(p, a, wire.HashRequestMsg{HashRange: r}.Append(nil)[5:]); err != nil {
		t.Fatal(err)
	}
}

// TestServe: every answer leads to the file's root, and what cannot be answered is
// rejected (BEP 52). File a has 12 blocks in 6 pieces: a tree of height 4, pieces at level 1.
func TestServe(t *testing.T) {
	s, v := newShelf(t)
	root := s.whole.Info.Files[s.file("a")].Root
	small := s.whole.Info.Files[s.file("c")].Root
	for _, tc := range []struct {
		name string
		r    wire.HashRange
		ok   bool
	}{
		{"the layer", wire.HashRange{Root: root, Base: 1, Length: 8, ProofLayers: 2}, true},
		{"a part of it", wire.HashRange{Root: root, Base: 1, Index: 2, Length: 2, ProofLayers: 2}, true},
		{"one hash, as libtorrent asks", wire.HashRange{Root: root, Base: 1, Index: 5, Length: 1, ProofLayers: 2}, true},
		{"leaves of a piece", wire.HashRange{Root: root, Index: 4, Length: 2, ProofLayers: 3}, true},
		{"leaves of the short piece", wire.HashRange{Root: root, Index: 10, Length: 2, ProofLayers: 3}, true},
		{"leaves of padding alone", wire.HashRange{Root: root, Index: 12, Length: 2, ProofLayers: 3}, false},
		{"all leaves", wire.HashRange{Root: root, Length: 16, ProofLayers: 3}, true},
		{"beyond the tree", wire.HashRange{Root: root, Base: 1, Index: 8, Length: 8, ProofLayers: 2}, false},
		{"a layer between", wire.HashRange{Root: root, Base: 2, Length: 2, ProofLayers: 1}, false},
		{"too many proof layers", wire.HashRange{Root: root, Base: 1, Length: 8, ProofLayers: 9}, false},
		{"another share's file", wire.HashRange{Root: [32]byte{1}, Base: 1, Length: 8, ProofLayers: 2}, false},
		{"a file of one block", wire.HashRange{Root: small, Length: 1}, false},
	} {
		p, a := &asker{}, &Asks{}
		ask(t, v, p, a, tc.r)
		s.run()
		answers, rejects := p.take(t)
		if len(answers)+rejects != 1 || (len(answers) == 1) != tc.ok {
			t.Errorf("%s: %d answers, %d rejects", tc.name, len(answers), rejects)
			continue
		}
		if !tc.ok {
			continue
		}
		m := answers[0]
		hashes := make([][32]byte, m.Count())
		for i := range hashes {
			hashes[i] = m.Hash(i)
		}
		if err := metainfo.VerifyProof(root, 4, treeRange(m.HashRange), hashes); m.HashRange != tc.r || err != nil {
			t.Errorf("%s: %+v, %v", tc.name, m.HashRange, err)
		}
	}
}

// TestServeWhatIsHere: leaves of pieces that are not here, and before the description
// or the files are known.
func TestServeWhatIsHere(t *testing.T) {
	s, v := newShelf(t)
	a := s.file("a")
	first, _ := s.whole.Info.FilePieces(a)
	root := s.whole.Info.Files[a].Root
	leaves := func(piece int) wire.HashRange {
		return wire.HashRange{Root: root, Index: uint32(2 * piece), Length: 2, ProofLayers: 3}
	}
	outcome := func() (int, int) {
		p := &asker{}
		ask(t, v, p, &Asks{}, leaves(1))
		ask(t, v, p, &Asks{}, leaves(2))
		s.run()
		answers, rejects := p.take(t)
		return len(answers), rejects
	}
	s.meta = nil
	if n, r := outcome(); n != 0 || r != 2 {
		t.Errorf("without a description: %d answers, %d rejects", n, r)
	}
	s.meta, s.bare = s.whole, true
	if n, r := outcome(); n != 0 || r != 2 {
		t.Errorf("without files: %d answers, %d rejects", n, r)
	}
	s.bare, s.lacks[first+1] = false, true
	if n, r := outcome(); n != 1 || r != 1 {
		t.Errorf("with one of two pieces: %d answers, %d rejects", n, r)
	}
	s.meta = s.world.bare // a link's: no layer
	v = NewServer(s)
	if n, r := outcome(); n != 0 || r != 2 {
		t.Errorf("without the layer: %d answers, %d rejects", n, r)
	}
	s.meta = s.whole // it came
	s.lacks = nil
	if n, r := outcome(); n != 2 || r != 0 {
		t.Errorf("with all: %d answers, %d rejects", n, r)
	}
	for _, body := range [][]byte{nil, make([]byte, 47), make([]byte, 49), make([]byte, 48)} {
		if v.GotRequest(&asker{}, &Asks{}, body) == nil {
			t.Errorf("%d bytes are a request", len(body))
		}
	}
}

// TestServeInOrder: while blocks are read for one answer the next waits; a peer that went
// meanwhile gets none.
func TestServeInOrder(t *testing.T) {
	s, v := newShelf(t)
	root := s.whole.Info.Files[s.file("a")].Root
	slow := wire.HashRange{Root: root, Length: 2, ProofLayers: 3}
	quick := wire.HashRange{Root: root, Base: 1, Length: 8, ProofLayers: 2}
	p, a := &asker{}, &Asks{}
	ask(t, v, p, a, slow)
	ask(t, v, p, a, quick)
	if answers, rejects := p.take(t); len(answers)+rejects > 0 {
		t.Fatal("answered before the blocks were read")
	}
	s.run()
	if answers, _ := p.take(t); len(answers) != 2 || answers[0].HashRange != slow || answers[1].HashRange != quick {
		t.Errorf("%d answers, or in another order", len(answers))
	}
	ask(t, v, p, a, slow)
	p.down = true
	s.run()
	if len(p.got) > 0 {
		t.Error("who is gone was answered")
	}
}

// TestServeAtAPace: a peer may be ahead by two seconds of what it has paid for, the rest
// waits, and what does not fit is rejected. Everything is answered in the end.
func TestServeAtAPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, v := newShelf(t)
		s.cost = 100 * time.Millisecond // the limit of bandwidth
		root := s.whole.Info.Files[s.file("a")].Root
		r := wire.HashRange{Root: root, Base: 1, Length: 8, ProofLayers: 2}
		p, a := &asker{}, &Asks{}
		const n = 200
		for range n {
			ask(t, v, p, a, r)
		}
		answers, rejects := p.take(t)
		burst := len(answers)
		if burst < 15 || burst > 25 || len(a.list) != MaxAsks || rejects != n-burst-MaxAsks {
			t.Errorf("%d at once, %d wait, %d rejected", burst, len(a.list), rejects)
		}
		served := 0
		for range 10 {
			<-time.After(time.Second)
			v.Serve(p, a)
			answers, _ := p.take(t)
			if len(answers) > 11 {
				t.Errorf("%d answers in a second", len(answers))
			}
			served += len(answers)
		}
		if served != MaxAsks || len(a.list) > 0 {
			t.Errorf("%d of %d that waited were answered", served, MaxAsks)
		}
		p.waiting = serveQueued + 1
		<-time.After(time.Minute)
		if ask(t, v, p, a, r); len(p.got) > 0 {
			t.Error("more is sent to a peer that does not read")
		}
		p.waiting = 0
		if v.Serve(p, a); len(p.got) != 1 {
			t.Error("a peer that reads again is not answered")
		}
	})
}
