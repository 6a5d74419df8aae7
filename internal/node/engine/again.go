package engine

import (
	"shoal/internal/core/swarm"
	"shoal/internal/core/swarm/candidates"
	"shoal/internal/node/files"
)

// again is told that a person asks for this share once more: what was complete is looked
// at, for its files may be gone or changed since. The peers that came with the question
// are tried when that is known.
func (s *Share) again(peers []string) {
	s.spec.Peers = peers
	content := s.content.Load()
	switch {
	case s.spec.InPlace || !s.row.Complete:
	case content == nil:
		s.asked = true // its files are being looked at just now
	case len(s.gone) > 0 || len(content.Changed()) > 0:
		s.asked = true
		s.gone = nil
		s.open()
	}
}

// lacking deals with a share that was complete and has not all of its pieces any more.
// The originals of a share are never written. What was fetched and then removed by
// somebody is fetched again when a person asks for it, and not by itself; what a crash
// took is.
func (s *Share) lacking(have []bool, wanted func(int) bool) {
	if !s.spec.InPlace && !s.row.Complete {
		return
	}
	if !s.asked {
		s.withdraw(s.vanished(have, wanted))
	}
	if s.spec.InPlace {
		return
	}
	for p := range have {
		if s.asked && !have[p] && files.PieceWanted(s.meta.Info, p, wanted) && !s.layers.Blocks(p) {
			s.event(swarm.Event{Kind: swarm.SetPriority, P: uint32(p), B: uint32(p) + 1, N: 2})
		}
	}
	s.settle()
	s.row.Complete = s.t.Needed() == 0 && len(files.Lacking(s.meta.Info, have, wanted)) == 0
	if !s.row.Complete {
		s.addPeers(s.spec.Peers, candidates.FromPerson)
	}
}

// stillComplete tells whoever waits that what was asked for again is complete as it was.
func (s *Share) stillComplete() {
	if !s.asked {
		return
	}
	s.asked = false
	s.publish()
	if s.row.Complete {
		s.e.tell(Event{Kind: EventDone, ID: s.id(), Status: s.status.Load()})
	}
}

// vanished lists the files that are not what they were: of originals those that lack any
// piece, else those that are not there at all.
func (s *Share) vanished(have []bool, wanted func(int) bool) []int {
	if s.spec.InPlace {
		return files.Lacking(s.meta.Info, have, wanted)
	}
	return files.Vanished(s.content.Load(), s.meta.Info, have, wanted)
}
