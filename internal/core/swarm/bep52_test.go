package swarm

import (
	"fmt"
	"strings"
	"testing"

	"shoal/internal/core/metainfo"
)

func hybrid(t *testing.T, pieceLength int64, lengths ...int64) *metainfo.Info {
	t.Helper()
	var files []metainfo.BuildFile
	for i, n := range lengths {
		files = append(files, metainfo.BuildFile{Path: []string{fmt.Sprint(i)}, Length: n})
	}
	info, err := metainfo.PlanLayout("x", false, files, metainfo.Hybrid, pieceLength)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// Where the two descriptions disagree the v1 side is dropped, for good, and nobody is
// banned: a v1 peer that sends what v1 calls good is honest.
func TestBEP52_HybridThatDisagreesGoesOnAsV2(t *testing.T) {
	for name, verdict := range map[string]Event{
		"v2 good, v1 bad": {Kind: PieceGood, P: 0, Flags: V1Bad},
		"v1 good, v2 bad": {Kind: PieceBad, P: 0, Data: digests(4)},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, hybrid(t, 64<<10, 256<<10), none, Config{})
			s.peer(1, Fast, has(1, 0xc0), on(GotUnchoke, 1))
			s.peer(2, Fast|V2, on(GotHaveAll, 2), Event{Kind: GotReqQ, Peer: 2, N: 1})
			s.deliver(1, 0, 0, 1, 2, 3)
			s.deliver(1, 1, 0)
			got := s.do(verdict)
			if !strings.Contains(got, "inconsistent 0, close 1 hybrid_v1") || strings.Contains(got, "ban") || strings.Contains(got, "close 2") {
				t.Error(got)
			}
			if !strings.Contains(got, "reset 1") {
				t.Errorf("what came of another piece by v1 is kept: %s", got)
			}
			s.do(on(PeerDown, 1))
			if got := s.peer(1, Fast); !strings.Contains(got, "close 1 hybrid_v1") {
				t.Errorf("the v1 side comes back: %s", got)
			}
			if got := s.peer(3, Fast|V2); strings.Contains(got, "close") {
				t.Error(got)
			}
			if s.do(on(GotUnchoke, 2)); s.t.Peer(2).Pending == 0 {
				t.Error("it does not go on as v2")
			}
			if err := s.t.consistent(); err != nil {
				t.Error(err)
			}
		})
	}
}

// A v2 peer that sends what only v1 calls good did not check it: else it would be asked
// for it again and again.
func TestBEP52_V2PeerAnswersForV2(t *testing.T) {
	s := newStage(t, hybrid(t, 64<<10, 256<<10), none, Config{})
	s.peer(1, Fast|V2, on(GotHaveAll, 1), on(GotUnchoke, 1))
	s.deliver(1, 0, 0, 1, 2, 3)
	if got := s.do(Event{Kind: PieceBad, P: 0, Data: digests(4)}); !strings.Contains(got, "close 1 bad_block ban") {
		t.Error(got)
	}
}

// The leaf hashes of a failed piece say at once which block was bad.
func TestBEP52_LeafHashesFindTheBadBlock(t *testing.T) {
	info, err := metainfo.PlanLayout("x", true, []metainfo.BuildFile{{Path: []string{"x"}, Length: 64 << 10}}, metainfo.V2, 64<<10)
	if err != nil {
		t.Fatal(err)
	}
	s := newStage(t, info, none, Config{})
	for id := Peer(1); id <= 2; id++ {
		s.peer(id, Fast|V2, on(GotHaveAll, id), Event{Kind: GotReqQ, Peer: id, N: 2})
		s.do(on(GotUnchoke, id))
	}
	s.deliver(1, 0, 0, 1)
	s.deliver(2, 0, 2, 3)
	if got := s.do(Event{Kind: PieceBad, P: 0, Data: digests(4, 3)}); !strings.Contains(got, "hash request 1 0") {
		t.Error(got)
	}
	got := s.do(Event{Kind: GotHashes, Peer: 1, P: 0, Data: digests(4)})
	if !strings.Contains(got, "close 2 bad_block ban") || strings.Contains(got, "close 1") {
		t.Error(got)
	}
	if n := s.t.peers[1].parole; n > 0 {
		t.Errorf("who sent good blocks is on parole for %d pieces", n)
	}
}
