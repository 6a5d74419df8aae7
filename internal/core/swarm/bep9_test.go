package swarm

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// part is a data message of a dictionary of size bytes.
func part(id Peer, piece uint32, size int) Event {
	n := min(MetaPieceLen, size-int(piece)*MetaPieceLen)
	return Event{Kind: GotMetaData, Peer: id, P: piece, N: uint32(size), Data: make([]byte, max(n, 0))}
}

func size(id Peer, n int) Event { return Event{Kind: GotMetaSize, Peer: id, N: uint32(n)} }

func TestBEP9_MetadataIsAskedForInPiecesOf16KiB(t *testing.T) {
	s := newStage(t, nil, nil, Config{})
	s.peer(1, 0)
	s.want(s.do(size(1, 2*MetaPieceLen+1)), "meta request 1 0, meta request 1 1, meta request 1 2")
	s.want(s.do(part(1, 0, 2*MetaPieceLen+1), part(1, 2, 2*MetaPieceLen+1)), "")
	s.want(s.do(part(1, 1, 2*MetaPieceLen+1)), "meta complete 32769")
}

func TestBEP9_SeveralPeersShareTheWork(t *testing.T) {
	s := newStage(t, nil, nil, Config{})
	s.peer(1, 0)
	s.peer(2, 0)
	s.want(s.do(size(1, 6*MetaPieceLen)), "meta request 1 0, meta request 1 1, meta request 1 2, meta request 1 3")
	s.want(s.do(size(2, 6*MetaPieceLen)), "meta request 2 4, meta request 2 5")
	s.want(s.do(on(PeerDown, 1)), "meta request 2 0, meta request 2 1")
}

func TestBEP9_RejectMeansThatThePeerLacksIt(t *testing.T) {
	s := newStage(t, nil, nil, Config{})
	s.peer(1, 0)
	s.peer(2, 0)
	s.want(s.do(size(1, MetaPieceLen), about(GotMetaReject, 1, 0), size(2, MetaPieceLen)), "meta request 1 0, meta request 2 0")
	s.want(s.do(about(GotMetaReject, 2, 0)), "")
	if got := s.wait(metaTimeout + 2*time.Second); !strings.HasPrefix(got, "meta request") {
		t.Errorf("nobody is asked again: %q", got)
	}
}

// A part that does not come at once is asked of somebody who has nothing to do, and of one
// more each time that it takes too long.
func TestBEP9_SilentPeersHoldNothingUp(t *testing.T) {
	s := newStage(t, nil, nil, Config{})
	for id := range Peer(4) {
		s.peer(id, 0)
	}
	s.want(s.do(size(0, MetaPieceLen), size(1, MetaPieceLen), size(2, MetaPieceLen)), "meta request 0 0, meta request 1 0")
	s.want(s.wait(2*metaSlow), "meta request 2 0")
	s.want(s.do(part(2, 0, MetaPieceLen)), "meta complete 16384")
	s.want(s.do(part(1, 0, MetaPieceLen)), "")
}

func TestBEP9_BusyPeerIsAskedForASlowPart(t *testing.T) {
	s := newStage(t, nil, nil, Config{})
	const n = 3 * MetaPieceLen
	s.peer(1, 0)
	s.peer(2, 0)
	s.do(size(1, n))
	s.want(s.do(size(2, n)), "meta request 2 0, meta request 2 1, meta request 2 2")
	s.want(s.do(part(2, 0, n), part(2, 1, n)), "")
	s.want(s.do(part(1, 0, n), part(1, 2, n)), "meta complete 49152")
}

// A size that somebody made up, who then says nothing, costs a moment.
func TestBEP9_MadeUpSizeOfASilentPeer(t *testing.T) {
	s := newStage(t, nil, nil, Config{})
	s.peer(1, 0)
	s.peer(2, 0)
	s.do(size(1, MetaPieceLen), size(2, 100))
	s.want(s.wait(metaPatience/2+time.Second), "meta request 2 0")
}

// One that lies in company and is silent alone does not stop it for long.
func TestBEP9_SilentAloneIsReplacedSoon(t *testing.T) {
	const n = 5 * MetaPieceLen
	s := newStage(t, nil, nil, Config{})
	s.peer(1, 0)
	s.peer(2, 0)
	s.do(size(1, n), size(2, n))
	s.do(part(1, 0, n), part(1, 1, n), part(1, 2, n), part(1, 3, n), part(2, 4, n))
	s.do(Event{Kind: MetaBad})
	other := 3 - s.log[0].Peer
	if got := s.wait(4 * metaSlow); !strings.HasPrefix(got, fmt.Sprintf("meta request %d 0", other)) {
		t.Errorf("the other is not asked: %q", got)
	}
}

func TestBEP9_DataOfAnotherSizeIsAFault(t *testing.T) {
	for name, e := range map[string]Event{
		"short": {N: 100, Data: make([]byte, 99)},
		"long":  {N: 100, Data: make([]byte, 101)},
		"total": {N: 101, Data: make([]byte, 100)},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, nil, nil, Config{})
			s.peer(1, 0)
			s.do(size(1, 100))
			e.Kind, e.Peer = GotMetaData, 1
			s.want(s.do(e), "close 1 bad_metadata ban")
		})
	}
}

func TestBEP9_UnrequestedDataIsIgnored(t *testing.T) {
	s := newStage(t, nil, nil, Config{})
	s.peer(1, 0)
	s.peer(2, 0)
	s.want(s.do(part(1, 0, 100)), "")
	s.do(size(1, 100))
	s.want(s.do(part(2, 0, 100), part(1, 9, 100)), "")
	s.want(s.do(part(1, 0, 100), part(1, 0, 100)), "meta complete 100")
}

func TestBEP9_ClaimedSizeIsBounded(t *testing.T) {
	s := newStage(t, nil, nil, Config{})
	s.peer(1, 0)
	s.want(s.do(size(1, MaxMetadata+1)), "penalise 1 bad_metadata")
}

func TestBEP9_WrongHashBansWhoSentAll(t *testing.T) {
	s := newStage(t, nil, nil, Config{})
	s.peer(1, 0)
	s.peer(2, 0)
	s.do(size(1, 100), size(2, 100))
	s.want(s.do(part(1, 0, 100)), "meta complete 100")
	s.want(s.do(Event{Kind: MetaBad}), "close 1 bad_metadata ban, meta request 2 0")
}

// After a wrong mixture one peer alone is asked, in turn: one that lies in company and is
// silent alone must not stop it.
func TestBEP9_WrongMixtureIsFetchedFromOneAlone(t *testing.T) {
	const n = 5 * MetaPieceLen
	s := newStage(t, nil, nil, Config{})
	s.peer(1, 0)
	s.peer(2, 0)
	s.do(size(1, n), size(2, n))
	s.do(part(1, 0, n), part(1, 1, n), part(1, 2, n), part(1, 3, n))
	s.want(s.do(part(2, 4, n)), "meta complete 81920")
	got := s.do(Event{Kind: MetaBad})
	asked := s.log[0].Peer
	s.want(got, fmt.Sprintf("meta request %d 0, meta request %d 1, meta request %d 2, meta request %d 3", asked, asked, asked, asked))
	other := 3 - asked
	if got := s.wait(metaTimeout + 2*time.Second); !strings.HasPrefix(got, fmt.Sprintf("meta request %d 0", other)) {
		t.Errorf("the other is not asked: %q", got)
	}
}

// Endless metadata: a peer that made its size up and sends it slowly does not keep us from
// the others.
func TestBEP9_MadeUpSizeIsGivenUp(t *testing.T) {
	s := newStage(t, nil, nil, Config{})
	s.peer(1, 0)
	s.peer(2, 0)
	s.do(size(1, MaxMetadata), size(2, 100))
	for i := range uint32(20) {
		got := s.wait(3 * time.Second)
		if strings.Contains(got, "meta request 2 0") {
			s.want(s.do(part(2, 0, 100)), "meta complete 100")
			return
		}
		s.do(part(1, i, MaxMetadata))
	}
	t.Error("the other size was never tried")
}

func TestBEP9_RequestsAreServedUpToABound(t *testing.T) {
	s := newStage(t, small(t, 3), all, Config{})
	s.peer(1, 0)
	s.want(s.do(about(GotMetaRequest, 1, 0)), "meta data 1 0")
	for range 2 * MaxMetadata / MetaPieceLen {
		s.do(about(GotMetaRequest, 1, 0))
	}
	s.want(s.do(about(GotMetaRequest, 1, 0)), "meta reject 1 0")
}

func TestBEP10_ReqqBoundsTheRequests(t *testing.T) {
	for _, c := range []struct {
		reqq uint32
		want int
	}{{1, 1}, {3, 3}, {0, 1}, {1 << 31, windowStart}} {
		s := newStage(t, small(t, 20), none, Config{})
		s.peer(1, Fast, on(GotHaveAll, 1), Event{Kind: GotReqQ, Peer: 1, N: c.reqq})
		s.do(on(GotUnchoke, 1))
		if n := s.count(SendRequest, 1); n != c.want {
			t.Errorf("reqq %d: %d requests", c.reqq, n)
		}
	}
}

func TestBEP21_NothingFlowsBetweenTwoThatWantNothing(t *testing.T) {
	s := newStage(t, small(t, 3), only(0, 1), Config{})
	s.peer(1, Fast, on(GotHaveAll, 1))
	s.peer(2, Fast, on(GotHaveNone, 2), Event{Kind: GotUploadOnly, Peer: 2, N: 1})
	s.peer(3, Fast, on(GotHaveNone, 3))
	got := s.do(Event{Kind: PieceGood, P: 2})
	s.want(got, "have 1 2, have 2 2, have 3 2, uninterested 1, complete, close 1 redundant, close 2 redundant")
	s.want(s.do(Event{Kind: GotUploadOnly, Peer: 3, N: 1}), "close 3 redundant")
	s.want(s.peer(4, Fast, on(GotHaveAll, 4)), "have all 4, close 4 redundant")
}

func TestBEP54_DontHaveIsSentAndRequestsAreDropped(t *testing.T) {
	s := newStage(t, small(t, 3), all, Config{Limited: true})
	crowd(s, 1)
	s.peer(1, 0, on(GotInterested, 1))
	s.do(at(GotRequest, 0, 1, 0), at(GotRequest, 1, 1, 0))
	s.want(s.do(Event{Kind: PieceLost, P: 1}), "dont have 0 1, reject 0 1/0, dont have 1 1")
}

// "If the Fast extension has not been negotiated, then any outstanding requests for chunks
// of the discarded piece are silently cancelled"; else they are rejected one by one.
func TestBEP54_DontHaveCancelsRequestsWithoutFast(t *testing.T) {
	for _, flags := range []uint8{0, Fast} {
		s := newStage(t, small(t, 1), none, Config{})
		s.peer(1, flags, has(1, 0x80), on(GotUnchoke, 1))
		s.peer(2, flags, has(2, 0x80), on(GotUnchoke, 2))
		asked := "request 2 0/0, request 2 0/1, request 2 0/2, request 2 0/3+16383"
		if flags == 0 {
			s.want(s.do(about(GotDontHave, 1, 0)), "uninterested 1, "+asked)
			continue
		}
		s.want(s.do(about(GotDontHave, 1, 0)), "uninterested 1")
		s.want(s.do(at(GotReject, 1, 0, 0), at(GotReject, 1, 0, 1), at(GotReject, 1, 0, 2), at(GotReject, 1, 0, 3)), asked)
	}
}

func TestBEP54_SeedThatLosesAPiece(t *testing.T) {
	s := newStage(t, small(t, 3), none, Config{})
	s.peer(1, Fast, on(GotHaveAll, 1))
	s.do(about(GotDontHave, 1, 1), about(GotDontHave, 1, 1))
	if v := s.t.Peer(1); v.Seed || v.Have != 2 {
		t.Errorf("%+v", v)
	}
	s.do(about(GotHave, 1, 1))
	if v := s.t.Peer(1); !v.Seed || v.Have != 3 {
		t.Errorf("%+v", v)
	}
	if err := s.t.consistent(); err != nil {
		t.Error(err)
	}
}
