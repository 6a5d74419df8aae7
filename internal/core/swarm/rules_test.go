package swarm

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// Rules of this program, and what once went wrong.

// deliver brings blocks of a piece and returns what came out.
func (s *stage) deliver(id Peer, piece uint32, blocks ...uint32) string {
	s.Helper()
	var list []Event
	for _, b := range blocks {
		list = append(list, Event{Kind: GotBlock, Peer: id, P: piece, B: b * blockLen, N: s.t.blockSize(piece, int(b))})
	}
	return s.do(list...)
}

func digests(n int, bad ...int) []byte {
	d := make([]byte, n*digestLen)
	for _, b := range bad {
		d[b*digestLen] = 1
	}
	return d
}

// mixedPiece makes peers 1 and 2 send two blocks each of the only piece.
func mixedPiece(t *testing.T) *stage {
	s := newStage(t, small(t, 1), none, Config{})
	s.peer(1, Fast, on(GotHaveAll, 1))
	s.peer(2, Fast, on(GotHaveAll, 2))
	s.do(Event{Kind: GotReqQ, Peer: 1, N: 2}, on(GotUnchoke, 1))
	s.do(Event{Kind: GotReqQ, Peer: 2, N: 2}, on(GotUnchoke, 2))
	s.deliver(1, 0, 0, 1)
	if got := s.deliver(2, 0, 2, 3); !strings.Contains(got, "full 0") {
		t.Fatal(got)
	}
	return s
}

func TestBlame_SenderOfABadPieceIsBanned(t *testing.T) {
	s := newStage(t, small(t, 1), none, Config{})
	s.peer(1, Fast, on(GotHaveAll, 1), on(GotUnchoke, 1))
	s.deliver(1, 0, 0, 1, 2, 3)
	s.want(s.do(Event{Kind: PieceBad, P: 0, Data: digests(4, 2)}), "close 1 bad_block ban")
	s.do(on(PeerDown, 1))
	if got := s.peer(1, Fast); !strings.Contains(got, "close 1 banned") {
		t.Error(got)
	}
}

// A piece of several senders that failed is fetched by one alone; the comparison bans the
// one that sent the bad block, and nobody else.
func TestBlame_ComparisonFindsTheBadBlock(t *testing.T) {
	s := mixedPiece(t)
	s.do(Event{Kind: PieceBad, P: 0, Data: digests(4, 3)})
	asked := s.log[0].Peer
	for _, f := range s.log {
		if f.Kind == SendRequest && f.Peer != asked {
			t.Fatal("a failed piece is asked of two peers")
		}
	}
	s.deliver(asked, 0, 0, 1)
	if got := s.deliver(asked, 0, 2, 3); !strings.Contains(got, "full 0") {
		t.Fatal(got)
	}
	got := s.do(Event{Kind: PieceGood, P: 0, Data: digests(4)})
	if !strings.Contains(got, "close 2 bad_block ban") || strings.Contains(got, "close 1 bad_block") {
		t.Error(got)
	}
}

// The one who is to fetch a failed piece alone leaves, chokes, rejects, loses the piece or
// falls silent: somebody else must get it.
func TestBlame_TheOneAloneLeaves(t *testing.T) {
	for name, end := range map[string][]Event{
		"gone":      {on(PeerDown, 1)},
		"choke":     {on(GotChoke, 1)},
		"dont have": {about(GotDontHave, 1, 0)},
		"reject":    {at(GotReject, 1, 0, 0)},
		"silence":   nil,
	} {
		t.Run(name, func(t *testing.T) {
			s := mixedPiece(t)
			s.do(on(GotChoke, 2), Event{Kind: PieceBad, P: 0, Data: digests(4, 3)})
			s.do(on(GotUnchoke, 2))
			if s.t.Peer(1).Pending == 0 || s.t.Peer(2).Pending > 0 {
				t.Fatal("it is not asked of 1 alone")
			}
			if got := s.do(end...) + s.wait(time.Minute); !strings.Contains(got, "request 2 0/0") {
				t.Errorf("the other is not asked: %s", got)
			}
			if err := s.t.consistent(); err != nil {
				t.Error(err)
			}
		})
	}
}

// A failed piece that nobody stays long enough for is shared again: it must come at last.
func TestBlame_PeersThatComeAndGo(t *testing.T) {
	s := mixedPiece(t)
	s.do(Event{Kind: PieceBad, P: 0, Data: digests(4, 3)}, on(PeerDown, 1), on(PeerDown, 2))
	for i := range 20 {
		id := Peer(3 + i)
		s.peer(id, Fast, on(GotHaveAll, id))
		s.do(on(GotUnchoke, id))
		p := s.t.peers[id]
		r := p.reqs[p.head]
		got := s.do(Event{Kind: GotBlock, Peer: id, P: r.piece, B: uint32(r.block) * blockLen, N: s.t.blockSize(r.piece, int(r.block))})
		if strings.Contains(got, "full 0") {
			return
		}
		s.do(on(PeerDown, id))
	}
	t.Error("the piece never comes")
}

// Two peers have a failed piece as their current one. Only one may go on with it, and no
// block may be left with the other.
func TestBlame_NoBlockIsLeftWithTheOther(t *testing.T) {
	s := mixedPiece(t)
	s.do(Event{Kind: PieceBad, P: 0, Data: digests(4, 3)})
	for round := 0; round < 10 && s.t.Needed() > 0; round++ {
		for id := Peer(1); id <= 2; id++ {
			p := s.t.peers[id]
			var list []Event
			for _, r := range p.reqs[p.head:] {
				list = append(list, Event{Kind: GotBlock, Peer: id, P: r.piece, B: uint32(r.block) * blockLen, N: s.t.blockSize(r.piece, int(r.block))})
			}
			if got := s.do(list...); strings.Contains(got, "full 0") {
				s.do(Event{Kind: PieceGood, P: 0, Data: digests(4)})
			}
		}
	}
	if s.t.Needed() > 0 {
		t.Error("the piece never comes")
	}
}

// The sender of a bad piece has left and another has its slot when the verdict comes.
func TestBlame_SlotOfTheSenderIsUsedAgain(t *testing.T) {
	s := newStage(t, small(t, 1), none, Config{})
	s.peer(1, Fast, on(GotHaveAll, 1), on(GotUnchoke, 1))
	s.deliver(1, 0, 0, 1, 2, 3)
	s.do(on(PeerDown, 1))
	e := up(1, Fast)
	e.Addr = up(9, 0).Addr
	s.do(e, on(GotHaveAll, 1))
	if got := s.do(Event{Kind: PieceBad, P: 0, Data: digests(4, 2)}); strings.Contains(got, "close") {
		t.Error("an honest peer is blamed: " + got)
	}
	s.do(on(PeerDown, 1))
	if got := s.peer(1, Fast); !strings.Contains(got, "close 1 banned") {
		t.Error("the liar comes back: " + got)
	}
}

func TestBlame_NeverForRejectedRequests(t *testing.T) {
	s := newStage(t, small(t, 3), none, Config{})
	s.peer(1, Fast, on(GotHaveAll, 1))
	for range maxStrays + 1 {
		s.do(at(GotRequest, 1, 0, 0)) // we choke it: each is rejected
	}
	s.want(s.do(at(GotBlock, 1, 0, 0)), "discard #0")
}

func TestPriorityZeroEndsAPieceInFlight(t *testing.T) {
	s := newStage(t, small(t, 2), only(1), Config{})
	s.peer(1, Fast, on(GotHaveAll, 1), on(GotUnchoke, 1))
	s.deliver(1, 0, 0)
	s.want(s.do(Event{Kind: SetPriority, P: 0, B: 1, N: 0}),
		"cancel 1 0/1, cancel 1 0/2, cancel 1 0/3, reset 0, uninterested 1, complete")
}

// A piece loses its priority while its verdict is awaited, and fails.
func TestPriorityZeroBeforeTheVerdict(t *testing.T) {
	s := newStage(t, small(t, 2), only(1), Config{})
	s.peer(1, Fast, has(1, 0x80), on(GotUnchoke, 1))
	s.peer(2, Fast, has(2, 0x80), on(GotUnchoke, 2))
	s.deliver(1, 0, 0, 1, 2, 3)
	s.do(Event{Kind: SetPriority, P: 0, B: 1, N: 0})
	if got := s.do(Event{Kind: PieceBad, P: 0, Data: digests(4, 0)}); strings.Contains(got, "request") {
		t.Error(got)
	}
	if len(s.t.open) > 0 {
		t.Error("the piece is still open")
	}
}

// A piece is found on the disk while it is being fetched.
func TestPieceFoundWhileItIsFetched(t *testing.T) {
	s := newStage(t, small(t, 1), none, Config{})
	s.peer(1, 0, has(1, 0x80), on(GotUnchoke, 1))
	s.deliver(1, 0, 0)
	s.want(s.do(Event{Kind: PieceGood, P: 0}),
		"cancel 1 0/1, cancel 1 0/2, cancel 1 0/3+16383, reset 0, have 1 0, uninterested 1, complete, close 1 redundant")
}

func TestPauseStopsAndResumes(t *testing.T) {
	s := newStage(t, small(t, 1), none, Config{})
	s.peer(1, Fast, has(1, 0x80), on(GotUnchoke, 1))
	s.want(s.do(Event{Kind: SetPaused, N: 1}), "cancel 1 0/0, cancel 1 0/1, cancel 1 0/2, cancel 1 0/3+16383, uninterested 1")
	s.want(s.deliver(1, 0, 0), "accept #0") // it was on its way
	s.want(s.do(Event{Kind: SetPaused, N: 0}), "interested 1, request 1 0/1, request 1 0/2, request 1 0/3+16383")
}

func TestSequentialFollowsTheOrder(t *testing.T) {
	s := newStage(t, small(t, 50), none, Config{})
	s.do(Event{Kind: SetSequential, N: 1})
	s.peer(1, Fast, on(GotHaveAll, 1), on(GotUnchoke, 1))
	for i, f := range s.log[len(s.log)-windowStart:] {
		if f.P != uint32(i/4) {
			t.Fatalf("request %d is for piece %d", i, f.P)
		}
	}
	s.do(Event{Kind: SetDeadline, P: 40, When: epoch.Add(time.Minute)})
	if got := s.deliver(1, 0, 0); !strings.Contains(got, "request 1 40/0") {
		t.Errorf("what is due does not come first: %s", got)
	}
}

func TestPriorityComesBeforeRarity(t *testing.T) {
	s := newStage(t, small(t, 50), all, Config{})
	for _, p := range []uint32{11, 22, 33, 44, 5} {
		s.do(Event{Kind: PieceLost, P: p})
	}
	s.do(Event{Kind: SetPriority, P: 33, B: 34, N: 3}, Event{Kind: SetPriority, P: 5, B: 6, N: 1})
	s.peer(1, Fast, on(GotHaveNone, 1), about(GotHave, 1, 11), about(GotHave, 1, 5), about(GotHave, 1, 33), about(GotHave, 1, 22))
	s.peer(2, Fast, on(GotHaveNone, 2), about(GotHave, 2, 11))
	var order []uint32
	s.do(on(GotUnchoke, 1))
	for _, f := range s.log {
		if f.Kind == SendRequest && (len(order) == 0 || order[len(order)-1] != f.P) {
			order = append(order, f.P)
		}
	}
	if fmt.Sprint(order) != "[33 22 11 5]" {
		t.Errorf("%v", order)
	}
}

// Taking one piece back and giving it again must not cost a walk over all pieces each time.
func TestDontHaveAndHaveAreCheap(t *testing.T) {
	s := newStage(t, share(t, 1<<20, 16<<10), none, Config{})
	s.peer(1, Fast, on(GotHaveAll, 1))
	if !s.t.Peer(1).Seed {
		t.Fatal("a peer with everything is no seed")
	}
	for range 3 {
		s.do(about(GotDontHave, 1, 5), about(GotHave, 1, 5))
		// Becoming a seed and ceasing to be one are what costs the walk.
		if p := s.t.peers[1]; p.seed || p.nBits != 64 {
			t.Errorf("%d pieces, seed %t: counted as a seed again", p.nBits, p.seed)
		}
	}
}

// A peer whose only use is a piece that somebody else was asked for looks at it again when
// the other dawdles, although nothing happens.
func TestEndgameBeginsByItself(t *testing.T) {
	s := newStage(t, small(t, 1), none, Config{})
	s.peer(1, Fast, on(GotHaveAll, 1), on(GotUnchoke, 1))
	s.peer(2, Fast, on(GotHaveAll, 2), on(GotUnchoke, 2))
	if s.wait(5 * time.Second); s.t.Peer(2).Pending == 0 {
		t.Error("nobody helps")
	}
}

// A pause, an interest and a queue of one peer must not hide the tokens of another.
func TestTokensAreSharedByAll(t *testing.T) {
	s := newStage(t, small(t, 5), all, Config{Limited: true})
	crowd(s, 4)
	for id := range Peer(4) {
		for b := range uint32(4) {
			s.do(at(GotRequest, id, uint32(id), b))
		}
	}
	if !s.t.Starved() {
		t.Fatal("blocks wait and no tokens are asked for")
	}
	s.do(Event{Kind: Tokens, N: 4 * blockLen})
	for id := range Peer(4) {
		if n := s.count(SendBlock, id); n != 1 {
			t.Errorf("peer %d was sent %d blocks of 4", id, n)
		}
	}
}

func TestNoBlockWithoutCredit(t *testing.T) {
	s := newStage(t, small(t, 4), all, Config{})
	s.do(up(1, Fast), on(GotHaveNone, 1), on(GotInterested, 1))
	s.want(s.do(at(GotRequest, 1, 0, 0), at(GotRequest, 1, 0, 1)), "")
	s.want(s.do(Event{Kind: Credit, Peer: 1, N: 1}), "block 1 0/0")
	s.want(s.do(Event{Kind: Credit, Peer: 1, N: 2 * blockLen}), "block 1 0/1")
}

// What a peer that left had begun must not keep us from what the others have.
func TestPiecesLeftOpenDoNotStopTheRest(t *testing.T) {
	s := newStage(t, share(t, 200*blockLen, blockLen), none, Config{})
	first, second := make([]byte, 25), make([]byte, 25)
	for p := range 200 {
		if p < 100 {
			first[p/8] |= 0x80 >> (p % 8)
		} else {
			second[p/8] |= 0x80 >> (p % 8)
		}
	}
	s.peer(1, 0, has(1, first...), on(GotUnchoke, 1))
	for range 30 {
		s.now += 10 * time.Millisecond
		r := s.t.peers[1].reqs[s.t.peers[1].head]
		s.deliver(1, r.piece, 0)
		s.do(Event{Kind: PieceGood, P: r.piece})
	}
	if n := s.t.Peer(1).Pending; n < 30 {
		t.Fatalf("%d pieces were begun", n)
	}
	s.do(on(PeerDown, 1))
	s.peer(2, 0, has(2, second...), on(GotUnchoke, 2))
	if n := s.t.Peer(2).Pending; n != windowStart {
		t.Errorf("%d requests at a peer with a hundred wanted pieces", n)
	}
}

// A piece that nobody has must not leave the last blocks of the others with who is slow.
func TestEndgameBeginsWithoutACompleteCopy(t *testing.T) {
	for _, reqq := range []uint32{4, 250} {
		s := newStage(t, small(t, 3), none, Config{})
		s.peer(1, 0, has(1, 0x80), Event{Kind: GotReqQ, Peer: 1, N: reqq}, on(GotUnchoke, 1))
		s.peer(2, 0, has(2, 0x80), on(GotUnchoke, 2))
		if s.wait(5 * time.Second); s.t.Peer(2).Pending == 0 {
			t.Errorf("reqq %d: nobody helps", reqq)
		}
	}
}

// While another has pieces to begin, nobody is asked for what is under way.
func TestNoEndgameWhileThereIsMoreToBegin(t *testing.T) {
	s := newStage(t, small(t, 3), none, Config{})
	s.peer(1, 0, has(1, 0xe0), Event{Kind: GotReqQ, Peer: 1, N: 4}, on(GotUnchoke, 1))
	p := s.t.peers[1].reqs[0].piece
	s.peer(2, 0, has(2, 0x80>>p), on(GotUnchoke, 2))
	if s.wait(5 * time.Second); s.t.Peer(2).Pending > 0 {
		t.Error("blocks are asked for twice")
	}
}

// What came and is not kept is wasted, all of it and nothing else: padding was never asked for.
func TestWasteIsWhatCameInVain(t *testing.T) {
	for name, c := range map[string]struct {
		blocks []uint32
		end    Event
	}{
		"bad piece":  {[]uint32{0, 1}, Event{Kind: PieceBad, P: 0, Flags: V1Bad}},
		"disk full":  {[]uint32{0}, Event{Kind: PieceFailed, P: 0}},
		"not wanted": {[]uint32{1}, Event{Kind: SetPriority, P: 0, B: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, hybrid(t, 64<<10, 20_000, 64<<10), none, Config{})
			s.peer(1, Fast, has(1, 0x80), on(GotUnchoke, 1))
			s.deliver(1, 0, c.blocks...)
			s.do(c.end)
			if k := s.t.Counted; k.Received != 0 || k.Wasted != int64(len(c.blocks))*blockLen {
				t.Errorf("%+v", k)
			}
		})
	}
}

// Interest that comes and goes is judged once a Step, however often it does.
func TestInterestIsJudgedOnceAStep(t *testing.T) {
	s := newStage(t, small(t, 4), all, Config{Slots: 2})
	crowd(s, 100)
	for range 500 {
		s.in.List = append(s.in.List, on(GotUninterested, 0), on(GotInterested, 0))
	}
	if n := testing.AllocsPerRun(5, func() {
		s.t.Step(epoch.Add(s.now), &s.in, &s.out)
		s.out.Reset()
	}); n > 100 {
		t.Errorf("%.0f allocations for a thousand messages", n)
	}
}

// A peer that refused much is asked again after a pause, though a tick comes before its end.
func TestPauseAfterRefusalsEndsInTime(t *testing.T) {
	s := newStage(t, small(t, 100), none, Config{})
	s.peer(1, Fast, on(GotHaveAll, 1), on(GotUnchoke, 1))
	s.now = tickBusy - pauseTime/2
	for s.count(SendRequest, 1) > 0 {
		var list []Event
		for _, f := range s.log {
			if f.Kind == SendRequest {
				list = append(list, Event{Kind: GotReject, Peer: 1, P: f.P, B: f.B, N: f.N})
			}
		}
		s.do(list...)
	}
	if got := s.wait(pauseTime + time.Millisecond); !strings.Contains(got, "request 1") {
		t.Errorf("it is not asked again within %v", pauseTime)
	}
}
