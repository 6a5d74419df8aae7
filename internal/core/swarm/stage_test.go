package swarm

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"shoal/internal/core/metainfo"
)

// stage is a T whose peers are played by the test: events in, effects out.
type stage struct {
	*testing.T
	t   *T
	now time.Duration
	in  Events
	out Effects
	log []Effect // of the last step
}

// all and none say which pieces are there at the start.
func all(int) bool  { return true }
func none(int) bool { return false }
func only(list ...int) func(int) bool {
	return func(p int) bool { return slices.Contains(list, p) }
}

func newStage(t *testing.T, info *metainfo.Info, have func(int) bool, cfg Config) *stage {
	s := &stage{T: t, t: New(cfg, rand.New(rand.NewPCG(1, 2)))}
	s.t.Start(epoch)
	if info != nil {
		s.t.SetInfo(info, have, func(int) uint8 { return 2 })
	}
	return s
}

// small is a share of n pieces of four blocks, the last piece one byte short.
func small(t testing.TB, n int64) *metainfo.Info { return share(t, n*64<<10-1, 64<<10) }

// do steps through the events at the current time and returns what came out, as text.
func (s *stage) do(events ...Event) string {
	s.Helper()
	s.in.List = append(s.in.List, events...)
	s.t.Step(epoch.Add(s.now), &s.in, &s.out)
	s.log = slices.Clone(s.out.List)
	s.in.Reset()
	s.out.Reset()
	words := make([]string, len(s.log))
	for i, f := range s.log {
		words[i] = say(f)
	}
	return strings.Join(words, ", ")
}

// wait lets time pass, waking the T when it wants to be.
func (s *stage) wait(d time.Duration) string {
	s.Helper()
	var said []string
	for end := s.now + d; ; {
		at := s.t.NextWake()
		if at.IsZero() || at.Sub(epoch) > end {
			s.now = end
			return strings.Join(said, ", ")
		}
		if next := at.Sub(epoch); next <= s.now {
			s.now += time.Millisecond
		} else {
			s.now = next
		}
		if x := s.do(Event{Kind: Wake}); x != "" {
			said = append(said, x)
		}
	}
}

// want compares what came out.
func (s *stage) want(got, want string) {
	s.Helper()
	if got != want {
		s.Errorf("at %v:\n got  %s\n want %s", s.now, got, want)
	}
}

// count is the number of effects of a kind in the last step, at a peer or at any.
func (s *stage) count(k Kind, peer Peer) int {
	n := 0
	for _, f := range s.log {
		if f.Kind == k && (peer == NoPeer || f.Peer == peer) {
			n++
		}
	}
	return n
}

// peer connects a peer of an address of its own that says what it has.
func (s *stage) peer(id Peer, flags uint8, first ...Event) string {
	s.Helper()
	return s.do(append([]Event{up(id, flags), {Kind: Credit, Peer: id, N: 1 << 30}}, first...)...)
}

func up(id Peer, flags uint8) Event {
	return Event{Kind: PeerUp, Peer: id, Flags: flags, Addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(id), 0, 1}), 1)}
}

func on(k Kind, id Peer) Event                  { return Event{Kind: k, Peer: id} }
func about(k Kind, id Peer, piece uint32) Event { return Event{Kind: k, Peer: id, P: piece} }
func has(id Peer, wire ...byte) Event           { return Event{Kind: GotBitfield, Peer: id, Data: wire} }
func at(k Kind, id Peer, piece, block uint32) Event {
	return Event{Kind: k, Peer: id, P: piece, B: block * blockLen, N: blockLen}
}

// answer brings every block that the last steps asked of the peer, as the requests in log.
func answer(log []Effect, id Peer) []Event {
	var list []Event
	for _, f := range log {
		if f.Kind == SendRequest && f.Peer == id {
			list = append(list, Event{Kind: GotBlock, Peer: id, P: f.P, B: f.B, N: f.N})
		}
	}
	return list
}

var names = map[Kind]string{SendChoke: "choke", SendUnchoke: "unchoke", SendInterested: "interested", SendUninterested: "uninterested",
	SendHave: "have", SendBitfield: "bitfield", SendHaveAll: "have all", SendHaveNone: "have none", SendRequest: "request",
	SendCancel: "cancel", SendReject: "reject", SendSuggest: "suggest", SendAllowedFast: "allowed fast", SendDontHave: "dont have",
	SendBlock: "block", SendMetaRequest: "meta request", SendMetaData: "meta data", SendMetaReject: "meta reject",
	SendHashRequest: "hash request", Accept: "accept", Discard: "discard", PieceFull: "full", PieceReset: "reset",
	MetaComplete: "meta complete", Close: "close", Penalise: "penalise", Complete: "complete", HybridInconsistent: "inconsistent"}

// say is an effect as text: the message, the peer, piece/block.
func say(f Effect) string {
	switch f.Kind {
	case SendRequest, SendCancel, SendReject, SendBlock:
		s := fmt.Sprintf("%s %d %d/%d", names[f.Kind], f.Peer, f.P, f.B/blockLen)
		if f.N != blockLen {
			s += fmt.Sprintf("+%d", f.N)
		}
		return s
	case SendHave, SendSuggest, SendAllowedFast, SendDontHave, SendMetaRequest, SendMetaData, SendMetaReject, SendHashRequest:
		return fmt.Sprintf("%s %d %d", names[f.Kind], f.Peer, f.P)
	case PieceFull, PieceReset, HybridInconsistent:
		return fmt.Sprintf("%s %d", names[f.Kind], f.P)
	case Accept, Discard:
		return fmt.Sprintf("%s #%d", names[f.Kind], f.Ref)
	case Close, Penalise:
		s := fmt.Sprintf("%s %d %v", names[f.Kind], f.Peer, f.Reason)
		if f.Ban {
			s += " ban"
		}
		return s
	case Complete:
		return names[f.Kind]
	case MetaComplete:
		return fmt.Sprintf("%s %d", names[f.Kind], len(f.Data))
	}
	return fmt.Sprintf("%s %d", names[f.Kind], f.Peer)
}
