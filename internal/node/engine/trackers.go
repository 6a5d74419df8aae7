package engine

import (
	"context"
	"math/rand/v2"
	"net/netip"

	"shoal/internal/core/metainfo"
	"shoal/internal/core/swarm/candidates"
	"shoal/internal/node/announce"
)

func (s *Share) trackers() [][]string {
	if !s.who.Public() {
		return nil // they are strangers
	}
	if s.meta != nil {
		return s.meta.Trackers
	}
	var tiers [][]string
	for _, t := range s.spec.Magnet.Trackers {
		tiers = append(tiers, []string{t})
	}
	return tiers
}

// announced is the share as its announcer sees it.
type announced struct{ s *Share }

// Do implements announce.Share.
func (o announced) Do(ctx context.Context, f func()) bool { return o.s.do(ctx, f) }

// Facts implements announce.Share.
func (o announced) Facts() announce.Facts {
	s := o.s
	s.counters()
	f := s.e.facts(s.hash)
	f.Uploaded, f.Downloaded, f.Left, f.Complete = s.row.Uploaded, s.row.Downloaded, s.bytesLeft(), s.row.Complete
	return f
}

// Answered implements announce.Share.
func (o announced) Answered(st *announce.Status, peers []netip.AddrPort) {
	if o.s.row.Complete && st.Leechers == 0 {
		peers = nil // all seeds
	}
	for _, p := range peers {
		o.s.scout.Add(o.s.now(), p, candidates.FromTracker)
	}
	o.s.dialSome()
	o.s.e.tell(Event{Kind: EventTracker, ID: o.s.id(), Tracker: st})
}

// facts are what trackers are told of every share.
func (e *Engine) facts(h metainfo.InfoHash) announce.Facts {
	return announce.Facts{Names: h.Wire(), PeerID: e.peerID, Port: e.port, Key: e.key}
}

// startAnnouncer begins to ask trackers, if there are any, or goes on where a run before
// left off. While the files are being looked at it is too early: a seed would be counted
// as one that has nothing.
func (s *Share) startAnnouncer() {
	list := s.trackers()
	if s.meta != nil && s.t.Info() == nil {
		return
	}
	if len(list) == 0 || s.e.cfg.Tracker == nil || s.e.cfg.Offline || s.paused || s.ann != nil {
		return
	}
	s.ann = s.e.desk.Start(announced{s}, list, rand.New(rand.NewChaCha8(seed())), s.past)
	s.past = nil
}

// stopAnnouncer tells trackers that we go; it does not wait for that. A share that is only
// parked is still offered: its trackers are told when the node ends.
func (s *Share) stopAnnouncer() {
	if s.ann == nil && s.past != nil { // this run has not come to announcing; an earlier one has
		s.ann = s.e.desk.Start(announced{s}, nil, nil, s.past)
	}
	a := s.ann
	if a == nil {
		return
	}
	s.ann, s.past = nil, nil
	if !s.parked {
		a.Stop(announced{s}.Facts())
		return
	}
	past := a.Park()
	s.e.mu.Lock()
	if r := s.e.shares[s.row.ID]; r != nil {
		r.past = past
	}
	s.e.mu.Unlock()
}

// farewell tells the trackers of parked shares that we go, as far as ctx leaves time.
func (e *Engine) farewell(ctx context.Context) {
	var list []announce.Goodbye
	e.mu.Lock()
	for _, r := range e.shares {
		f := e.facts(r.hash)
		f.Uploaded, f.Downloaded = r.row.Uploaded, r.row.Downloaded
		list = append(list, r.past.Goodbyes(f)...)
	}
	e.mu.Unlock()
	announce.Farewell(ctx, e.cfg.Tracker, list)
}

// announceCompleted tells trackers that the share is complete now, not a part of it alone.
func (s *Share) announceCompleted() {
	if s.ann != nil && s.t.HaveCount() == s.meta.Info.NumPieces() {
		s.ann.Completed()
	}
}

func (s *Share) trackerStatus() []TrackerStatus { return announce.Statuses(s.trackers(), s.ann) }
