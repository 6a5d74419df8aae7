package swarm

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestBEP3_ConnectionsStartChokedAndNotInterested(t *testing.T) {
	s := newStage(t, small(t, 3), only(0), Config{})
	s.want(s.peer(1, 0, has(1, 0x60)), "bitfield 1, interested 1")
	s.want(s.do(at(GotRequest, 1, 0, 0)), "") // choked: not answered
	s.want(s.do(on(GotInterested, 1)), "unchoke 1")
	s.want(s.do(at(GotRequest, 1, 0, 0)), "block 1 0/0")
}

func TestBEP3_BitfieldIsSkippedWithoutPieces(t *testing.T) {
	s := newStage(t, small(t, 3), none, Config{})
	s.want(s.peer(1, 0), "")
}

func TestBEP3_BitfieldIsOnlyTheFirstMessage(t *testing.T) {
	for name, events := range map[string][]Event{
		"have all":    {has(1, 0x20), on(GotHaveAll, 1)},
		"second":      {has(1, 0x20), has(1, 0x30)},
		"too short":   {has(1)},
		"too long":    {has(1, 0x20, 0)},
		"spare bits":  {has(1, 0x30)},
		"have beyond": {about(GotHave, 1, 3)},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, small(t, 3), none, Config{})
			if got := s.peer(1, 0, events...); !strings.Contains(got, "close 1 protocol") {
				t.Error(got)
			}
		})
	}
}

// A peer that came before the metainfo was told nothing; now a bitfield would be late.
func TestBEP3_NoBitfieldAfterOtherMessages(t *testing.T) {
	for _, flags := range []uint8{0, Fast} {
		s := newStage(t, nil, nil, Config{})
		s.peer(1, flags, has(1, 0xe0))
		s.t.SetInfo(small(t, 3), only(0, 2), func(int) uint8 { return 2 })
		s.want(s.do(), "have 1 0, have 1 2, interested 1")
	}
}

func TestBEP3_InterestIsKeptUpToDate(t *testing.T) {
	s := newStage(t, small(t, 3), only(0), Config{})
	s.want(s.peer(1, 0, has(1, 0x80)), "bitfield 1")
	s.want(s.do(about(GotHave, 1, 1)), "interested 1")
	s.want(s.do(Event{Kind: SetPriority, P: 1, B: 2, N: 0}), "uninterested 1")
	s.want(s.do(Event{Kind: SetPriority, P: 1, B: 2, N: 3}), "interested 1")
	s.want(s.do(Event{Kind: PieceGood, P: 1}), "have 1 1, uninterested 1")
	s.want(s.do(Event{Kind: PieceLost, P: 1}), "dont have 1 1, interested 1")
	s.want(s.do(about(GotDontHave, 1, 1)), "uninterested 1")
}

// A seed must be told too: else it cannot tell of which pieces it is the only source.
func TestBEP3_HaveIsAnnouncedToAllPeers(t *testing.T) {
	s := newStage(t, small(t, 3), none, Config{})
	s.peer(1, Fast, on(GotHaveAll, 1))
	s.peer(2, 0)
	s.peer(3, 0, has(3, 0x40))
	s.want(s.do(Event{Kind: PieceGood, P: 1}), "have 1 1, have 2 1, have 3 1, uninterested 3")
}

func TestBEP3_RequestsArePipelinedInBlocksOf16KiB(t *testing.T) {
	s := newStage(t, small(t, 3), none, Config{})
	s.peer(1, 0, has(1, 0x20))
	s.want(s.do(on(GotUnchoke, 1)), "request 1 2/0, request 1 2/1, request 1 2/2, request 1 2/3+16383")
}

func TestBEP3_BlocksAreAcceptedOnceAndJudged(t *testing.T) {
	s := newStage(t, small(t, 3), none, Config{})
	s.peer(1, 0, has(1, 0x80))
	s.do(on(GotUnchoke, 1))
	s.want(s.do(at(GotBlock, 1, 0, 0), at(GotBlock, 1, 0, 0), at(GotBlock, 1, 0, 1)), "accept #0, discard #1, accept #2")
	s.want(s.do(at(GotBlock, 1, 0, 3), at(GotBlock, 1, 0, 2)), "accept #0, accept #1, full 0")
	s.want(s.do(Event{Kind: PieceGood, P: 0}), "have 1 0, uninterested 1")
}

func TestBEP3_BlocksThatTheShareLacksCloseTheConnection(t *testing.T) {
	for _, e := range []Event{{P: 3, N: blockLen}, {P: 0, B: 1, N: blockLen}, {P: 0, B: 4 * blockLen, N: blockLen},
		{P: 0, N: blockLen - 1}, {P: 2, B: 3 * blockLen, N: blockLen}, {P: 1 << 31, B: 1 << 31, N: 1 << 31}, {P: 0, B: 1 << 30, N: blockLen}} {
		s := newStage(t, small(t, 3), none, Config{})
		s.peer(1, 0, has(1, 0xe0), on(GotUnchoke, 1))
		e.Kind, e.Peer = GotBlock, 1
		if got := s.do(e); !strings.HasPrefix(got, "discard #0, close 1 protocol") {
			t.Errorf("%+v: %s", e, got)
		}
	}
}

// Without BEP 6 a choke throws away what was asked for: it is asked of others.
func TestBEP3_ChokeDiscardsRequests(t *testing.T) {
	s := newStage(t, small(t, 1), none, Config{})
	s.peer(1, 0, has(1, 0x80), on(GotUnchoke, 1))
	s.peer(2, 0, has(2, 0x80), on(GotUnchoke, 2))
	s.want(s.do(on(GotChoke, 1)), "request 2 0/0, request 2 0/1, request 2 0/2, request 2 0/3+16383")
	// "It's possible for an unexpected piece to arrive": it is not wasted.
	s.want(s.do(at(GotBlock, 1, 0, 0)), "cancel 2 0/0, accept #0")
}

func TestBEP3_OurChokeThrowsTheirRequestsAway(t *testing.T) {
	s := newStage(t, small(t, 2), all, Config{})
	s.peer(1, 0, on(GotInterested, 1))
	s.do(Event{Kind: SetLimited, N: 1}, at(GotRequest, 1, 0, 0), at(GotRequest, 1, 0, 1))
	s.want(s.do(Event{Kind: SetPaused, N: 1}), "choke 1")
	s.want(s.do(Event{Kind: SetPaused, N: 0}, Event{Kind: Tokens, N: 1 << 20}), "unchoke 1")
}

func TestBEP3_CancelTakesARequestBack(t *testing.T) {
	s := newStage(t, small(t, 2), all, Config{Limited: true})
	s.peer(1, 0, on(GotInterested, 1))
	s.want(s.do(at(GotRequest, 1, 0, 0), at(GotRequest, 1, 0, 1), at(GotCancel, 1, 0, 0), at(GotCancel, 1, 1, 0)), "")
	s.want(s.do(Event{Kind: Tokens, N: 1 << 20}), "block 1 0/1")
}

func TestBEP3_RequestsOutsideThePieceCloseTheConnection(t *testing.T) {
	for _, e := range []Event{{P: 2, N: 1}, {N: 0}, {N: 64<<10 + 1}, {B: 1, N: 64 << 10}, {B: 1 << 31, N: 1 << 31},
		{P: 1, B: 3 * blockLen, N: blockLen}, {N: maxRequest + 1}} {
		s := newStage(t, small(t, 2), all, Config{})
		s.peer(1, 0, on(GotInterested, 1))
		e.Kind, e.Peer = GotRequest, 1
		s.want(s.do(e), "close 1 protocol")
	}
}

// crowd connects n peers that have nothing we need and want what we have.
func crowd(s *stage, n int) {
	for i := range n {
		s.peer(Peer(i), Fast, on(GotHaveNone, Peer(i)), on(GotInterested, Peer(i)))
	}
}

func (s *stage) unchoked() []int {
	var list []int
	for i := range s.t.live {
		if !s.t.Peer(Peer(i)).WeChoke {
			list = append(list, i)
		}
	}
	return list
}

// gives makes the peer deliver n pieces that it alone has.
func gives(s *stage, id Peer, pieces ...uint32) {
	for _, p := range pieces {
		s.do(about(GotHave, id, p))
		s.do(on(GotUnchoke, id))
		s.do(answer(s.log, id)...)
		s.do(Event{Kind: PieceGood, P: p}, on(GotChoke, id))
	}
}

func TestBEP3_UnchokesWhoGivesMostAndOneAtRandom(t *testing.T) {
	s := newStage(t, small(t, 200), only(199), Config{Slots: 4})
	crowd(s, 12)
	gives(s, 9, 0, 1, 2)
	gives(s, 7, 3, 4)
	gives(s, 11, 5)
	s.wait(11 * time.Second)
	got := s.unchoked()
	if len(got) != 4 || !strings.Contains(fmt.Sprint(got), "7") || !strings.Contains(fmt.Sprint(got), "9") || !strings.Contains(fmt.Sprint(got), "11") {
		t.Errorf("unchoked %v; want 7, 9, 11 and another", got)
	}
	lucky := 0
	for i := range 12 {
		if v := s.t.Peer(Peer(i)); v.Optimistic {
			lucky++
			if v.WeChoke {
				t.Error("the optimistic one is choked")
			}
		}
	}
	if lucky != 1 {
		t.Errorf("%d optimistic unchokes", lucky)
	}
}

func TestBEP3_OptimisticUnchokeEveryThirtySeconds(t *testing.T) {
	s := newStage(t, small(t, 200), only(199), Config{Slots: 2})
	crowd(s, 40)
	gives(s, 9, 0, 1, 2)
	held := make(map[int]time.Duration) // how long each was the lucky one
	was, since := -1, time.Duration(0)
	for range 300 {
		s.wait(time.Second)
		for i := range 40 {
			if s.t.Peer(Peer(i)).Optimistic && i != was {
				if was >= 0 {
					held[was] = s.now - since
				}
				was, since = i, s.now
			}
		}
	}
	if len(held) < 7 {
		t.Errorf("%d peers had the optimistic unchoke in 300 s", len(held))
	}
	for i, d := range held {
		if d%(30*time.Second) > time.Second && d%(30*time.Second) < 29*time.Second {
			t.Errorf("peer %d had it for %v", i, d)
		}
	}
}

func TestBEP3_ChokesAtMostEveryTenSeconds(t *testing.T) {
	s := newStage(t, small(t, 4), all, Config{Slots: 2})
	crowd(s, 9)
	last := time.Duration(-1)
	for range 200 {
		s.wait(500 * time.Millisecond)
		for i := range 9 { // nonsense must not hasten it
			s.do(on(GotInterested, Peer(i)))
			if s.count(SendChoke, NoPeer) > 0 {
				t.Fatal("a message caused a choke")
			}
		}
		if got := s.wait(500 * time.Millisecond); strings.Contains(strings.ReplaceAll(got, "unchoke", ""), "choke") {
			if last >= 0 && s.now-last < 9*time.Second {
				t.Errorf("choked at %v and %v", last, s.now)
			}
			last = s.now
		}
	}
	if last < 0 {
		t.Error("nobody was ever choked")
	}
}

// As a seed, everybody has a turn.
func TestBEP3_SeedServesEverybodyInTurn(t *testing.T) {
	s := newStage(t, small(t, 4), all, Config{Slots: 2})
	crowd(s, 10)
	turns := make(map[int]int)
	for range 600 {
		s.wait(time.Second)
		for _, i := range s.unchoked() {
			turns[i]++
			s.do(at(GotRequest, Peer(i), 0, 0))
		}
	}
	for i := range 10 {
		if turns[i] < 60 {
			t.Errorf("peer %d was served for %d of 600 s", i, turns[i])
		}
	}
}

// A peer that takes its interest back must not keep its place, or be served beside it.
func TestBEP3_UninterestedPeersHoldNoPlace(t *testing.T) {
	s := newStage(t, small(t, 4), all, Config{Slots: 1})
	crowd(s, 2)
	s.want(s.do(on(GotUninterested, 0)), "unchoke 1")
	s.want(s.do(at(GotRequest, 0, 0, 0)), "reject 0 0/0")
	if got := s.wait(11 * time.Second); !strings.Contains(got, "choke 0") {
		t.Error(got)
	}
}

func TestBEP3_EndgameAsksTwiceAndCancels(t *testing.T) {
	s := newStage(t, small(t, 2), only(0), Config{})
	s.peer(1, 0, has(1, 0xc0), on(GotUnchoke, 1))
	s.do(at(GotBlock, 1, 1, 0)) // at a crawl
	s.wait(3 * time.Second)
	s.peer(2, 0, has(2, 0xc0), on(GotUnchoke, 2))
	if got := s.wait(2*time.Second) + fmt.Sprint(s.count(SendRequest, 2)); !strings.Contains(got, "request 2 1/1") && s.t.Peer(2).Pending == 0 {
		t.Fatalf("the slow blocks were not asked of another: %s", got)
	}
	got := s.do(at(GotBlock, 2, 1, 1))
	if !strings.Contains(got, "cancel 1 1/1, accept #0") {
		t.Error(got)
	}
	s.want(s.do(at(GotBlock, 1, 1, 1)), "discard #0") // it crossed the cancel
}

func TestBEP3_SnubbedPeerIsAskedForOneBlockOnly(t *testing.T) {
	s := newStage(t, small(t, 3), none, Config{})
	s.peer(1, 0, has(1, 0xe0), on(GotUnchoke, 1))
	got := s.wait(21 * time.Second)
	if !strings.Contains(got, "penalise 1 snubbed") || s.t.Peer(1).Pending != 1 {
		t.Errorf("%s; pending %d", got, s.t.Peer(1).Pending)
	}
	// When it delivers again it is asked for more, at once.
	r := s.t.peers[1].reqs[s.t.peers[1].head]
	s.do(Event{Kind: GotBlock, Peer: 1, P: r.piece, B: uint32(r.block) * blockLen, N: s.t.blockSize(r.piece, int(r.block))})
	if s.t.Peer(1).Pending < 4 || s.t.Peer(1).Snubbed {
		t.Errorf("pending %d after it came back", s.t.Peer(1).Pending)
	}
}

func TestBEP3_EverythingTwiceIsNotCompleteTwice(t *testing.T) {
	s := newStage(t, small(t, 2), none, Config{})
	s.want(s.do(Event{Kind: PieceGood, P: 0}), "")
	s.want(s.do(Event{Kind: PieceGood, P: 1}), "complete")
	s.want(s.do(Event{Kind: PieceGood, P: 1}), "")
	s.want(s.do(Event{Kind: PieceLost, P: 1}), "")
	s.want(s.do(Event{Kind: PieceGood, P: 1}), "complete")
}

// The first pieces are picked at random, then the rarest first.
func TestBEP3_RandomFirstThenRarest(t *testing.T) {
	const rare = 7
	begun := make(map[uint32]bool)
	for seed := range uint64(20) {
		s := newStage(t, small(t, 100), none, Config{})
		s.t.rng = rand.New(rand.NewPCG(seed, 3))
		common := slices.Repeat([]byte{0xff}, 13)
		common[0], common[12] = 0xff&^(0x80>>rare), 0xf0
		s.peer(2, 0, has(2, common...))
		s.peer(1, Fast, on(GotHaveAll, 1), Event{Kind: GotReqQ, Peer: 1, N: 4})
		s.do(on(GotUnchoke, 1))
		for n := 0; ; n++ {
			p := s.t.open[0].p
			if n == 0 {
				begun[p] = true
			}
			if p == rare {
				break
			}
			if n > randomFirst {
				t.Fatalf("piece %d is begun when %d are there, and not the rarest", p, n)
			}
			s.do(Event{Kind: GotReqQ, Peer: 1, N: 1})
			s.deliver(1, p, 0, 1, 2, 3)
			s.do(Event{Kind: PieceGood, P: p}, Event{Kind: GotReqQ, Peer: 1, N: 4})
		}
	}
	if len(begun) < 10 {
		t.Errorf("20 fetches begin with %d pieces", len(begun))
	}
}
