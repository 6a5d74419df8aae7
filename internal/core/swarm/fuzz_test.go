package swarm

import (
	"math/rand/v2"
	"testing"
	"time"

	"shoal/internal/core/metainfo"
)

// jumble turns bytes into events: sensible ones from the driver, any from peers.
type jumble struct {
	data   []byte
	pieces uint32
	up     [6]bool
	down   [6]bool // PeerDown is in this batch
	gone   [6]bool // closed by T; the driver still owes PeerDown
	full   []uint32
	meta   bool // a MetaComplete awaits its verdict
}

func (j *jumble) byte() uint32 {
	if len(j.data) == 0 {
		return 0
	}
	b := j.data[0]
	j.data = j.data[1:]
	return uint32(b)
}

// piece is mostly one of the share, block mostly one of the piece.
func (j *jumble) piece() uint32 {
	if b := j.byte(); b < 250 {
		return b % max(j.pieces, 1)
	}
	return ^uint32(0) - j.byte()
}

func (j *jumble) begin() uint32 {
	if b := j.byte(); b < 250 {
		return b % 4 * blockLen
	}
	return j.byte() << 24
}

func (j *jumble) event() Event {
	kind := Kind(j.byte() % uint32(PeerBad+1))
	e := Event{Kind: kind, Peer: Peer(j.byte() % 6)}
	switch kind {
	case PeerUp:
		if j.up[e.Peer] {
			return Event{Kind: Wake}
		}
		j.up[e.Peer] = true
		flags := uint8(j.byte())
		x := up(e.Peer, flags)
		x.ID[0] = byte(e.Peer)
		return x
	case PeerDown:
		if !j.up[e.Peer] || j.down[e.Peer] {
			return Event{Kind: Wake}
		}
		j.down[e.Peer] = true
	case PieceGood, PieceBad, PieceFailed:
		if len(j.full) == 0 {
			return Event{Kind: Wake}
		}
		e.P, j.full = j.full[0], j.full[1:]
		e.Flags = uint8(j.byte()) & V1Bad
		e.Data = digests(int(j.byte()%6), int(j.byte()%2))[:0]
		if j.byte()%2 == 0 {
			e.Data = digests(4)
			e.Data[j.byte()%128] = byte(j.byte())
		}
	case PieceLost:
		e.P = j.byte() % max(j.pieces, 1)
	case MetaBad:
		if !j.meta {
			return Event{Kind: Wake}
		}
		j.meta = false
	case Tokens, Credit:
		e.N = j.byte() << 10
	case SetPriority:
		e.P, e.B, e.N = j.piece(), j.piece(), j.byte()%5
	case SetDeadline:
		e.P, e.When = j.piece(), epoch.Add(time.Duration(j.byte())*time.Second)
	case GotBitfield, GotMetaData, GotHashes:
		e.P, e.N = j.piece()%8, j.byte()*300
		n := min(int(j.byte()), len(j.data))
		e.Data = j.data[:n]
		j.data = j.data[n:]
	case GotMetaSize:
		e.N = j.byte() << (j.byte() % 24)
	case PeerBad:
		e.N = j.byte() % 14
	default:
		e.P, e.B, e.N = j.piece(), j.begin(), blockLen
		if b := j.byte(); b > 200 {
			e.N = b << (b % 24)
		}
	}
	return e
}

// check judges the effects of one Step.
func (j *jumble) check(t *testing.T, in *Events, out *Effects) {
	answered := make(map[int32]int)
	for _, f := range out.List {
		switch f.Kind {
		case Accept, Discard:
			answered[f.Ref]++
		case PieceFull:
			j.full = append(j.full, f.P)
		case PieceReset, Complete, HybridInconsistent:
		case MetaComplete:
			j.meta = true
		case Close:
			if !j.up[f.Peer] || j.gone[f.Peer] {
				t.Fatalf("peer %d is closed and is not there", f.Peer)
			}
			j.gone[f.Peer] = true
		default:
			if !j.up[f.Peer] || j.gone[f.Peer] {
				t.Fatalf("%s: the peer is not there", say(f))
			}
		}
	}
	for id := range j.down {
		if j.down[id] {
			j.up[id], j.gone[id], j.down[id] = false, false, false
		}
	}
	for i, e := range in.List {
		if n := answered[int32(i)]; (e.Kind == GotBlock) != (n == 1) || n > 1 {
			t.Fatalf("event %d of kind %d was answered %d times", i, e.Kind, n)
		}
	}
}

func FuzzStep(f *testing.F) {
	rng := rand.New(rand.NewPCG(3, 4))
	for range 20 {
		b := make([]byte, 2000)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		f.Add(b)
	}
	info := small(f, 12)
	f.Fuzz(func(t *testing.T, data []byte) {
		j := &jumble{data: data, pieces: 12}
		setup := j.byte()
		s := newStage(t, nil, nil, Config{Slots: int(setup % 4), Limited: setup&4 != 0})
		late := int(setup >> 4)
		for steps := 0; len(j.data) > 0; steps++ {
			if steps == late && s.t.Info() == nil {
				mask := j.byte()
				s.t.SetInfo(info, func(p int) bool { return mask>>(p%8)&1 != 0 }, func(p int) uint8 { return uint8(p % 4) })
				j.meta = false
			}
			for range 1 + j.byte()%3 {
				s.in.List = append(s.in.List, j.event())
			}
			s.now += time.Duration(j.byte()*j.byte()) * time.Millisecond
			s.t.Step(epoch.Add(s.now), &s.in, &s.out)
			j.check(t, &s.in, &s.out)
			if err := s.t.consistent(); err != nil {
				t.Fatalf("step %d: %v", steps, err)
			}
			s.in.Reset()
			s.out.Reset()
		}
	})
}

// benchmarkStep has peers deliver every block in the order in which they are asked, 16 in a
// Step; a piece that is full is good, and lost again so that the work never ends.
func benchmarkStep(b *testing.B, info *metainfo.Info, peers int) {
	t := New(Config{}, rand.New(rand.NewPCG(1, 2)))
	t.Start(epoch)
	t.SetInfo(info, none, func(int) uint8 { return 2 })
	var in Events
	var out Effects
	ring := make([]Event, 1<<20)
	head, tail, blocks := 0, 0, 0
	for id := range Peer(peers) {
		in.List = append(in.List, up(id, Fast), on(GotHaveAll, id), on(GotUnchoke, id))
	}
	round := func(now time.Time) {
		out.Reset()
		t.Step(now, &in, &out)
		in.List = in.List[:0]
		for i := range out.List {
			switch f := &out.List[i]; f.Kind {
			case SendRequest:
				ring[tail%len(ring)] = Event{Kind: GotBlock, Peer: f.Peer, P: f.P, B: f.B, N: f.N}
				tail++
			case Accept:
				blocks++
			case PieceFull:
				in.List = append(in.List, Event{Kind: PieceGood, Peer: NoPeer, P: f.P}, Event{Kind: PieceLost, P: f.P})
			}
		}
		for range min(16, tail-head) {
			in.List = append(in.List, ring[head%len(ring)])
			head++
		}
	}
	now := epoch
	for range 1000 * peers { // until the windows have grown
		now = now.Add(100 * time.Microsecond)
		round(now)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for begun := blocks; blocks-begun < b.N; {
		now = now.Add(100 * time.Microsecond)
		round(now)
	}
}

func BenchmarkStep(b *testing.B) {
	for _, c := range []struct {
		name   string
		length int64
		piece  int64
		peers  int
	}{{"one peer", 1 << 30, 1 << 20, 1}, {"one peer, 2^21 pieces", 1 << 36, 32 << 10, 1}, {"50 peers", 1 << 32, 1 << 20, 50},
		{"200 peers, 2^21 pieces", 1 << 36, 32 << 10, 200}} {
		b.Run(c.name, func(b *testing.B) { benchmarkStep(b, share(b, c.length, c.piece), c.peers) })
	}
}

func TestStepDoesNotAllocate(t *testing.T) {
	if n := testing.Benchmark(func(b *testing.B) { benchmarkStep(b, share(b, 1<<28, 1<<20), 1) }); n.AllocsPerOp() > 0 {
		t.Errorf("%d allocations a block", n.AllocsPerOp())
	}
}
