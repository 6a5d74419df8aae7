package engine

import (
	"context"
	"errors"
	"time"

	"shoal/internal/adapter/store"
	"shoal/internal/core/metainfo"
	"shoal/internal/core/swarm"
	"shoal/internal/node/files"
)

// pieceThere counts a verified piece for its files, and finishes those that it completes.
func (s *Share) pieceThere(p int) {
	s.resume.dirty = true
	for _, f := range s.tally.There(p) {
		s.finishFile(f)
	}
}

// finishFiles finishes the files that lack nothing.
func (s *Share) finishFiles() {
	for _, f := range s.tally.Whole() {
		s.finishFile(f)
	}
}

// finishFile gives a file its final name, by a disk worker.
func (s *Share) finishFile(f int) {
	if s.holdForLayer(f) {
		return
	}
	content, tally := s.content.Load(), s.tally // another may count by the time it is finished
	tally.Take(f)
	if s.spec.InPlace {
		tally.Finished()
		return
	}
	s.work++
	s.e.workers.Run(func() {
		err := content.Finish(f)
		s.post(msg{kind: msgCall, call: func() {
			s.work--
			if err != nil {
				tally.GiveBack(f)
				s.fail(err)
				return
			}
			tally.Finished()
			s.completeIfDone()
		}})
	})
}

// allDone tells that every wanted file is verified and has its final name.
func (s *Share) allDone() bool {
	return s.t.Info() != nil && s.content.Load() != nil && s.tally.AllFinished() && s.t.Needed() == 0 && s.layers.Done()
}

// allVerified is told by the swarm: the last wanted piece is there.
func (s *Share) allVerified() { s.completeIfDone() }

// completeIfDone tells the world once that the share is complete.
func (s *Share) completeIfDone() {
	if !s.allDone() || s.failed != nil {
		return
	}
	s.tellUploadOnly()
	if s.row.Complete {
		s.settleState()
		return
	}
	s.row.Complete = true
	s.row.Completed = time.Now()
	s.seconds = s.now().Seconds()
	s.resume.dirty, s.resume.sync = true, true
	s.settleState()
	s.e.keep(s)
	s.publish()
	if !s.spec.InPlace {
		s.announceCompleted()
		s.e.tell(Event{Kind: EventDone, ID: s.id(), Status: s.status.Load()})
	}
}

// hybridInconsistent: the share's two descriptions disagree. It goes on as v2 (BEP 52).
func (s *Share) hybridInconsistent(piece int) {
	if s.v2Only {
		return
	}
	s.v2Only = true
	s.layers.DistrustV1()
	s.e.tell(Event{Kind: EventNotice, ID: s.id(), Code: "hybrid_inconsistent", Piece: piece,
		Text: "the v1 and v2 hashes of this share disagree; only v2 peers are used from now on"})
}

// unreadable handles a block that could not be read to be sent.
func (s *Share) unreadable(piece int, err error) {
	if errors.Is(err, store.ErrChanged) {
		s.filesChanged()
		return
	}
	if s.t.Have(piece) {
		s.event(swarm.Event{Kind: swarm.PieceLost, Peer: swarm.NoPeer, P: uint32(piece)})
	}
	s.fail(err)
}

// filesChanged withdraws the pieces of files that somebody changed or removed, and says so.
func (s *Share) filesChanged() {
	if content := s.content.Load(); content != nil {
		s.withdraw(content.Changed())
	}
}

// withdraw stops offering the pieces of files, and says so once for each.
func (s *Share) withdraw(list []int) {
	content, info := s.content.Load(), s.meta.Info
	var paths []string
	for _, f := range list {
		if s.gone[f] {
			continue
		}
		if s.gone == nil {
			s.gone = make(map[int]bool)
		}
		s.gone[f] = true
		paths = append(paths, content.Path(f))
		first, end := info.FilePieces(f)
		for p := first; p < end; p++ {
			// What a person removed or changed is not fetched back over that.
			s.event(swarm.Event{Kind: swarm.SetPriority, P: uint32(p), B: uint32(p) + 1, N: 0})
			if s.t.Have(p) {
				s.event(swarm.Event{Kind: swarm.PieceLost, Peer: swarm.NoPeer, P: uint32(p)})
			}
		}
	}
	if len(paths) == 0 {
		return
	}
	s.resume.dirty = true
	s.problem = files.ChangedText(paths)
	s.e.tell(Event{Kind: EventChanged, ID: s.id(), Paths: paths, Name: s.row.Name})
	s.publish()
}

// verify hashes everything again and reports; run by a caller's goroutine, until ctx or the
// share ends.
func (s *Share) verify(ctx context.Context, report func(done, total int64)) (Verification, error) {
	var content *store.Content
	var meta *metainfo.Metainfo
	if !s.call(func() { content, meta = s.content.Load(), s.meta }) {
		return Verification{}, errGone
	}
	if content == nil || meta == nil {
		return Verification{}, ErrNotReady
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	v, have, err := files.Verify(ctx, content, meta.Info, s.spec.Filter(meta.Info), report)
	if err == nil {
		s.call(func() { s.afterVerify(have) })
	}
	return v, err
}

// afterVerify takes over what a verification found.
func (s *Share) afterVerify(have []bool) {
	if s.content.Load() == nil || s.t.Info() == nil {
		return
	}
	s.gone, s.problem = nil, ""
	wanted := s.spec.Filter(s.meta.Info)
	complete := s.row.Complete
	for p, h := range have {
		if s.spec.InPlace && h != s.t.Have(p) {
			prio := uint32(0)
			if h {
				prio = 2
			}
			s.event(swarm.Event{Kind: swarm.SetPriority, P: uint32(p), B: uint32(p) + 1, N: prio})
		}
		if !s.intake.Open(p) {
			s.correct(p, h)
		}
	}
	s.settle()
	if !s.spec.InPlace {
		s.tally = files.NewTally(s.meta.Info, have, wanted)
		s.row.Complete = complete && s.t.Needed() == 0
		s.finishFiles()
	}
	s.resume.dirty = true
	s.settleState()
	s.publish()
}
