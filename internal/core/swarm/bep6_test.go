package swarm

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestBEP6_ExactlyOneOfHaveAllHaveNoneBitfield(t *testing.T) {
	for _, c := range []struct {
		have func(int) bool
		want string
	}{{all, "have all 1"}, {none, "have none 1"}, {only(1), "bitfield 1"}} {
		s := newStage(t, small(t, 3), c.have, Config{})
		s.want(s.peer(1, Fast), c.want)
	}
	s := newStage(t, nil, nil, Config{})
	s.want(s.peer(1, Fast), "have none 1") // a link: nothing is known yet
	s.want(s.peer(2, 0), "")
}

func TestBEP6_HaveAllBeforeTheMetainfoCounts(t *testing.T) {
	s := newStage(t, nil, nil, Config{})
	s.peer(1, Fast, on(GotHaveAll, 1))
	s.t.SetInfo(small(t, 3), none, func(int) uint8 { return 2 })
	s.do()
	if v := s.t.Peer(1); !v.Seed || v.Have != 3 || !v.WeWant {
		t.Errorf("%+v", v)
	}
}

// TestInterestBeforehand: who has all is told that we will want something while the metainfo
// or the hashes that judge it are still to come, once; and that we do not, if so it turns out.
func TestInterestBeforehand(t *testing.T) {
	later := func(int) uint8 { return 0 }
	link := func() *stage {
		s := newStage(t, nil, nil, Config{})
		s.want(s.peer(1, Fast, on(GotHaveAll, 1)), "have none 1, interested 1")
		s.want(s.peer(2, Fast, on(GotHaveNone, 2)), "have none 2")
		return s
	}
	s := link()
	s.t.SetInfo(small(t, 3), none, later)
	s.t.Await(true)
	s.want(s.do(), "")
	s.want(s.peer(3, Fast, on(GotHaveAll, 3)), "have none 3, interested 3")
	s.do(on(GotUnchoke, 1))
	s.t.Await(false)
	if got := s.do(Event{Kind: SetPriority, Peer: NoPeer, P: 0, B: 3, N: 2}); !strings.Contains(got, "request 1") || strings.Contains(got, "interested") {
		t.Errorf("once the hashes are there: %s", got)
	}

	s = link()
	s.t.SetInfo(small(t, 3), none, later)
	s.t.Await(false) // nothing is wanted
	s.want(s.do(), "uninterested 1")

	s = link()
	s.want(s.do(Event{Kind: SetPaused, Peer: NoPeer, N: 1}), "uninterested 1")
	s.want(s.do(Event{Kind: SetPaused, Peer: NoPeer}), "interested 1")
}

// "A peer SHOULD choke first and then reject requests"; the allowed fast set stays served.
func TestBEP6_RejectOnChoke(t *testing.T) {
	s := newStage(t, small(t, 40), all, Config{Slots: 1, Limited: true})
	allowed := []uint32{}
	s.peer(1, Fast)
	for _, f := range s.log {
		if f.Kind == SendAllowedFast {
			allowed = append(allowed, f.P)
		}
	}
	other := uint32(0)
	for contains := true; contains; {
		contains = false
		for _, p := range allowed {
			contains = contains || p == other
		}
		if contains {
			other++
		}
	}
	s.do(on(GotInterested, 1), at(GotRequest, 1, other, 0), at(GotRequest, 1, allowed[0], 0), at(GotRequest, 1, other, 1))
	s.peer(2, Fast, on(GotInterested, 2))
	got := s.wait(45 * time.Second)
	want := fmt.Sprintf("choke 1, reject 1 %d/0, reject 1 %d/1, unchoke 2", other, other)
	if !strings.Contains(got, want) {
		t.Errorf("got %s, want %s", got, want)
	}
	s.want(s.do(Event{Kind: Tokens, N: 1 << 20}), fmt.Sprintf("block 1 %d/0", allowed[0]))
}

func TestBEP6_RequestsWhileChokedAreRejected(t *testing.T) {
	s := newStage(t, small(t, 3), all, Config{})
	s.peer(1, Fast)
	s.want(s.do(at(GotRequest, 1, 0, 0), at(GotRequest, 1, 1, 3)), "reject 1 0/0, reject 1 1/3")
}

func TestBEP6_ManyRequestsWhileChokedEndTheConnection(t *testing.T) {
	s := newStage(t, small(t, 3), all, Config{})
	s.peer(1, Fast)
	for range maxQueue {
		s.do(at(GotRequest, 1, 0, 0))
	}
	s.want(s.do(at(GotRequest, 1, 0, 0)), "reject 1 0/0, close 1 flood")
	// What comes in the course of time does no harm: requests cross chokes.
	s = newStage(t, small(t, 3), all, Config{})
	s.peer(1, Fast)
	for range 3 * maxQueue {
		s.now += 20 * time.Millisecond
		s.want(s.do(at(GotRequest, 1, 0, 0)), "reject 1 0/0")
	}
}

// Every request has exactly one answer, whatever happens.
func TestBEP6_EveryRequestIsAnsweredOnce(t *testing.T) {
	for name, c := range map[string]struct {
		event Event
		want  string
	}{
		"cancel":      {at(GotCancel, 1, 0, 0), "reject 1 0/0"},
		"pause":       {Event{Kind: SetPaused, N: 1}, "choke 1, reject 1 0/0"},
		"piece lost":  {Event{Kind: PieceLost, P: 0}, "dont have 1 0, reject 1 0/0"},
		"tokens":      {Event{Kind: Tokens, N: 1}, "block 1 0/0"},
		"no limit":    {Event{Kind: SetLimited, N: 0}, "block 1 0/0"},
		"not there":   {at(GotRequest, 1, 1, 0), "reject 1 1/0"},
		"other block": {at(GotCancel, 1, 0, 1), ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, small(t, 3), only(0), Config{Limited: true})
			s.peer(1, Fast, on(GotInterested, 1))
			s.do(at(GotRequest, 1, 0, 0))
			s.want(s.do(c.event), c.want)
		})
	}
}

func TestBEP6_QueueIsBounded(t *testing.T) {
	s := newStage(t, small(t, 3), all, Config{Limited: true})
	s.peer(1, Fast, on(GotInterested, 1))
	for range maxQueue {
		s.want(s.do(at(GotRequest, 1, 0, 0)), "")
	}
	s.want(s.do(at(GotRequest, 1, 0, 0)), "reject 1 0/0")
}

// A choke no longer rejects what is outstanding; the rejects do, and then it is asked of others.
func TestBEP6_ChokeDoesNotDiscardRequests(t *testing.T) {
	s := newStage(t, small(t, 1), none, Config{})
	s.peer(1, Fast, on(GotHaveAll, 1), on(GotUnchoke, 1))
	s.peer(2, Fast, on(GotHaveAll, 2), on(GotUnchoke, 2))
	s.want(s.do(on(GotChoke, 1)), "")
	s.want(s.do(at(GotBlock, 1, 0, 0)), "accept #0")
	s.want(s.do(at(GotReject, 1, 0, 1)), "request 2 0/1")
	if v := s.t.Peer(1); v.Pending != 2 {
		t.Errorf("%d pending", v.Pending)
	}
}

func TestBEP6_ItsMessagesWithoutFastEndTheConnection(t *testing.T) {
	for _, k := range []Kind{GotHaveAll, GotHaveNone, GotSuggest, GotAllowedFast, GotReject} {
		s := newStage(t, small(t, 3), none, Config{})
		s.peer(1, 0)
		s.want(s.do(on(k, 1)), "close 1 protocol")
	}
}

func TestBEP6_RejectWithoutFastEndsTheConnection(t *testing.T) {
	s := newStage(t, small(t, 3), none, Config{})
	s.peer(1, 0, has(1, 0xe0), on(GotUnchoke, 1))
	if got := s.do(at(GotReject, 1, 0, 0)); !strings.Contains(got, "close 1 protocol") {
		t.Error(got)
	}
}

func TestBEP6_RejectsOfWhatWasNotAskedEndTheConnection(t *testing.T) {
	s := newStage(t, small(t, 3), none, Config{})
	s.peer(1, Fast)
	for range maxStrays {
		s.want(s.do(at(GotReject, 1, 0, 0)), "")
	}
	s.want(s.do(at(GotReject, 1, 0, 0)), "close 1 unrequested")
}

// "If a peer receives a piece that was never requested, the peer MUST close the
// connection": after a few, for some may have crossed a cancel. It is no proof of malice.
func TestBEP6_UnrequestedBlocksEndTheConnection(t *testing.T) {
	s := newStage(t, small(t, 3), none, Config{})
	s.peer(1, Fast, on(GotHaveAll, 1))
	for range maxStrays {
		s.want(s.do(at(GotBlock, 1, 0, 0)), "discard #0")
	}
	s.want(s.do(at(GotBlock, 1, 0, 0)), "discard #0, close 1 unrequested")
}

// A peer that does not choke us and rejects is not asked for that piece for a while, but
// then it is: it may be the only source.
func TestBEP6_RejectedPieceIsAskedForLater(t *testing.T) {
	s := newStage(t, small(t, 1), none, Config{})
	s.peer(1, Fast, on(GotHaveAll, 1), on(GotUnchoke, 1))
	s.want(s.do(at(GotReject, 1, 0, 0), at(GotReject, 1, 0, 1), at(GotReject, 1, 0, 2),
		Event{Kind: GotReject, Peer: 1, P: 0, B: 3 * blockLen, N: blockLen - 1}), "")
	s.want(s.wait(9*time.Second), "")
	if got := s.wait(3 * time.Second); !strings.Contains(got, "request 1 0/0, request 1 0/1, request 1 0/2, request 1 0/3+16383") {
		t.Errorf("after the hold: %q", got)
	}
}

// Two programs must not ask and reject in circles.
func TestBEP6_RejectsDoNotGoRoundInCircles(t *testing.T) {
	s := newStage(t, small(t, 100), none, Config{})
	s.peer(1, Fast, on(GotHaveAll, 1), on(GotUnchoke, 1))
	requests := 0
	for range 10000 {
		var list []Event
		for _, f := range s.log {
			if f.Kind == SendRequest {
				requests++
				list = append(list, Event{Kind: GotReject, Peer: 1, P: f.P, B: f.B, N: f.N})
			}
		}
		s.now += 100 * time.Microsecond
		s.do(list...)
	}
	if requests > 1000 {
		t.Errorf("%d requests in one second at a peer that rejects all", requests)
	}
}

func TestBEP6_SuggestedPieceComesFirst(t *testing.T) {
	s := newStage(t, small(t, 100), none, Config{})
	s.peer(1, Fast, on(GotHaveAll, 1), about(GotSuggest, 1, 77), about(GotSuggest, 1, 33))
	got := s.do(on(GotUnchoke, 1))
	if !strings.HasPrefix(got, "request 1 77/0, request 1 77/1, request 1 77/2, request 1 77/3, request 1 33/0") {
		t.Error(got)
	}
}

func TestBEP6_AllowedFastMayBeAskedForWhileChoked(t *testing.T) {
	s := newStage(t, small(t, 20), none, Config{})
	s.peer(1, Fast, on(GotHaveAll, 1))
	s.want(s.do(about(GotAllowedFast, 1, 7)), "request 1 7/0, request 1 7/1, request 1 7/2, request 1 7/3")
	// A reject takes the permission back, here for as long as it chokes us.
	s.want(s.do(at(GotReject, 1, 7, 0)), "")
}

// "MUST NOT interpret an Allowed Fast message as meaning that the sender has the piece".
func TestBEP6_AllowedFastIsNoHave(t *testing.T) {
	s := newStage(t, small(t, 20), none, Config{})
	s.peer(1, Fast, on(GotHaveNone, 1))
	s.want(s.do(about(GotAllowedFast, 1, 7)), "")
	s.want(s.do(about(GotHave, 1, 7)), "interested 1, request 1 7/0, request 1 7/1, request 1 7/2, request 1 7/3")
}

func TestBEP6_AllowedFastSetIsServedToStartingPeersOnly(t *testing.T) {
	s := newStage(t, small(t, 40), all, Config{})
	s.peer(1, Fast, on(GotHaveNone, 1))
	var set []uint32
	for _, f := range s.log {
		if f.Kind == SendAllowedFast {
			set = append(set, f.P)
		}
	}
	if len(set) != fastSetSize {
		t.Fatalf("%d pieces", len(set))
	}
	s.want(s.do(at(GotRequest, 1, set[0], 0)), fmt.Sprintf("block 1 %d/0", set[0]))
	// A choked peer cannot live of it.
	served := 1
	for range 2 * fastSetSize * 4 {
		s.do(at(GotRequest, 1, set[1], 0))
		served += s.count(SendBlock, 1)
	}
	if served != fastSetSize*4 {
		t.Errorf("%d blocks were served to a choked peer", served)
	}
	s.peer(2, Fast, on(GotHaveNone, 2))
	for p := range uint32(fastSetSize + 1) {
		s.do(about(GotHave, 2, p))
	}
	s.want(s.do(at(GotRequest, 2, 30, 0)), "reject 2 30/0")
}

func TestBEP6_HintsBeyondTheShareEndTheConnection(t *testing.T) {
	for _, k := range []Kind{GotSuggest, GotAllowedFast} {
		s := newStage(t, small(t, 3), none, Config{})
		s.peer(1, Fast)
		s.want(s.do(about(k, 1, 3)), "close 1 protocol")
	}
}

// A seed suggests different pieces to different peers, and while it has fresh ones and a
// limit it does not send what others have.
func TestBEP6_SeedSuggestsEachPieceOnce(t *testing.T) {
	s := newStage(t, small(t, 100), all, Config{Limited: true})
	seen := make(map[uint32]int)
	for id := range Peer(4) {
		s.peer(id, Fast, on(GotHaveNone, id), on(GotInterested, id))
		for _, f := range s.log {
			if f.Kind == SendSuggest {
				seen[f.P]++
			}
		}
	}
	if len(seen) != 4*suggestBlocks/4 {
		t.Errorf("%d pieces were suggested", len(seen))
	}
	for p, n := range seen {
		if n > 1 {
			t.Errorf("piece %d was suggested to %d", p, n)
		}
	}
	s.do(about(GotHave, 1, 5))
	s.want(s.do(at(GotRequest, 2, 5, 0)), "reject 2 5/0")
	s.now += deferTime
	s.want(s.do(at(GotRequest, 2, 5, 0), Event{Kind: Tokens, N: 1}), "block 2 5/0") // it did not get it there
}

// What somebody carries waits for him, but not for ever.
func TestBEP6_CarriedPieceIsServedAfterAWhile(t *testing.T) {
	s := newStage(t, small(t, 100), all, Config{})
	crowd(s, 3)
	if got := s.do(at(GotRequest, 1, 50, 0)); !strings.Contains(got, "block 1 50/0") {
		t.Error(got)
	}
	s.want(s.do(at(GotRequest, 2, 50, 0)), "")
	s.want(s.wait(deferTime+time.Millisecond), "block 2 50/0")
	// When it is there for all to have, the rest is served.
	s.do(at(GotRequest, 1, 51, 0), at(GotRequest, 2, 51, 0))
	if got := s.do(about(GotHave, 1, 51)); !strings.Contains(got, "block 2 51/0") {
		t.Error(got)
	}
	// When the carrier leaves, another takes its place.
	s.do(at(GotRequest, 1, 53, 0), at(GotRequest, 2, 53, 0), at(GotRequest, 0, 53, 0))
	if got := s.do(on(PeerDown, 1)); !strings.Contains(got, "block 0 53/0") || strings.Contains(got, "block 2") {
		t.Error(got)
	}
	s.do(at(GotCancel, 2, 53, 0))
	s.peer(1, Fast, on(GotHaveNone, 1), on(GotInterested, 1))
	// When nobody else is left, nothing waits.
	s.do(at(GotRequest, 1, 52, 0), at(GotRequest, 2, 52, 0))
	if got := s.do(on(PeerDown, 1), on(PeerDown, 0)); !strings.Contains(got, "block 2 52/0") {
		t.Error(got)
	}
}
