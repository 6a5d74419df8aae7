package engine

import (
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"shoal/internal/adapter/store"
	"shoal/internal/core/metainfo"
	"shoal/internal/core/swarm"
	"shoal/internal/core/swarm/candidates"
	"shoal/internal/node/files"
	"shoal/internal/node/hashes"
	"shoal/internal/node/intake"
	"shoal/internal/node/locate"
	"shoal/internal/node/record"
)

// begin is the first thing the loop does.
func (s *Share) begin() {
	s.begun = time.Now()
	s.rng = rand.New(rand.NewChaCha8(seed()))
	s.timer = time.NewTimer(time.Hour)
	s.nextTick = s.begun
	s.intake = intake.New(s.e.workers, pieceOwner{s})
	s.layers, s.server = hashes.NewLayers(hashed{s}), hashes.NewServer(hashed{s})
	s.scout = locate.NewScout(s.rng, &s.who, s.e.inScope, s.status.Load().Yield)
	s.up.Set(s.row.UpLimit)
	s.down.Set(s.row.DownLimit)
	s.t = swarm.New(swarm.Config{InfoHash: s.hash.Wire()[0], Slots: s.e.cfg.Slots, Limited: s.limited()}, s.rng)
	s.t.Start(s.begun)
	s.paused = s.row.Paused
	s.wantedBytes = -1
	s.base = baseTotals{s.row.Downloaded, s.row.Uploaded, s.row.Wasted}
	s.state = Metadata
	s.addPeers(s.spec.Peers, candidates.FromPerson)
	s.addPeers(s.spec.Magnet.Peers, candidates.FromLink)
	s.startAnnouncer()
	if s.early != nil {
		s.fail(s.early)
	} else if s.meta != nil {
		s.open()
	} else if s.offer(); s.paused {
		s.setState(Paused)
	}
	s.publish()
}

func (s *Share) limited() bool { return s.up.On() || s.e.up.On() }

// metadataCame checks an info dictionary that peers sent and goes on with it.
func (s *Share) metadataCame(info []byte) {
	if !hashFits(s.hash, info) {
		s.event(swarm.Event{Kind: swarm.MetaBad, Peer: swarm.NoPeer})
		return
	}
	s.info = info // the swarm has done its part: retry goes on with it
	m, err := metainfo.ParseInfo(info, s.hash)
	if err != nil { // no other peer will have a better one
		s.fail(fmt.Errorf("%w: %w", ErrRefusedMeta, err))
		return
	}
	m.Trackers = s.trackers()
	m.WebSeeds = s.spec.Magnet.WebSeeds
	m.Groups = s.row.Audience()
	if err := s.e.described(s, m); err != nil {
		s.fail(err)
		return
	}
	s.meta = m
	s.who.Private = m.Info.Private
	s.offer()
	s.spec.Meta, s.info = m, nil
	for _, c := range s.conns {
		if c != nil && c.up {
			c.Limit(m.Info.NumPieces())
			if c.ExtSent {
				s.sendExtHandshake(c) // others may want it of us now (BEP 9)
			}
		}
	}
	s.open()
}

// hashFits tells that the info dictionary is the one that was asked for.
func hashFits(h metainfo.InfoHash, info []byte) bool {
	return (!h.HasV1() || sha1.Sum(info) == h.V1) && (!h.HasV2() || sha256.Sum256(info) == h.V2)
}

// open looks at the disk, in a goroutine: it may have to hash a lot.
func (s *Share) open() {
	if info := s.meta.Info; len(s.spec.Select) > 0 && !files.Any(info, s.spec.Filter(info)) {
		s.fail(ErrNoMatch)
		return
	}
	s.setState(Checking)
	meta, spec, old, end := s.meta, s.spec, s.content.Swap(nil), make(chan struct{})
	s.looking = end
	s.e.wg.Add(1)
	go func() {
		defer s.e.wg.Done()
		defer close(end)
		if old != nil {
			old.Close()
		}
		found, err := s.inspect(meta, spec)
		if !s.call(func() { s.ready(found, err); s.looked() }) && found != nil {
			found.Content.Close()
		}
	}()
}

// inspect opens the content and verifies what has to be.
func (s *Share) inspect(m *metainfo.Metainfo, spec Spec) (*files.Found, error) {
	resume, err := spec.Resume, error(nil)
	if resume == nil {
		resume, err = s.e.cfg.Catalog.LoadResume(s.id())
		if err != nil && !errors.Is(err, store.ErrResume) {
			return nil, err
		}
	}
	place := files.Place{Meta: m, Dir: spec.Dir, Reserve: s.e.cfg.Reserve, Options: store.Options{InPlace: spec.InPlace,
		Base: spec.Base, Wanted: spec.Filter(m.Info), Parts: s.e.partsPath(s.id()), Handles: s.e.handles, Resume: resume}}
	return files.Open(s.ctx, place, func(part float64) {
		go s.post(msg{kind: msgCall, call: func() { s.checked = part; s.publish() }})
	})
}

// ready goes on after open: the swarm learns what is there.
func (s *Share) ready(o *files.Found, err error) {
	if s.reopen && !s.stopping {
		if s.reopen = false; o != nil {
			o.Content.Close()
		}
		s.open()
		return
	}
	if err != nil {
		s.fail(err)
		return
	}
	if s.stopping {
		o.Content.Close()
		return
	}
	s.content.Store(o.Content)
	wanted := s.spec.Filter(s.meta.Info)
	info := s.meta.Info
	s.tally = files.NewTally(info, o.Have, wanted)
	if s.t.Info() == nil {
		s.layers.Start(s.meta, o.Unknown, wanted, s.t.HasAny)
		s.t.SetInfo(info, func(p int) bool { return o.Have[p] }, func(p int) uint8 {
			if s.spec.InPlace || !files.PieceWanted(info, p, wanted) || s.layers.Blocks(p) {
				return 0
			}
			return 2
		})
	} else {
		for p, have := range o.Have {
			s.correct(p, have)
		}
	}
	s.await()
	s.admit()
	if s.spec.Sequential {
		s.event(swarm.Event{Kind: swarm.SetSequential, N: 1})
	}
	if s.paused {
		s.event(swarm.Event{Kind: swarm.SetPaused, N: 1})
	}
	s.resume.dirty = true
	s.failed, s.problem = nil, ""
	s.lacking(o.Have, wanted)
	s.settleState()
	s.finishFiles()
	s.completeIfDone()
	s.stillComplete()
	s.startAnnouncer()
	s.e.keep(s)
	s.dialSome()
}

// await tells the swarm whether something that is wanted only lacks its hashes.
func (s *Share) await() { s.t.Await(!s.spec.InPlace && s.layers.Lacks(s.spec.Filter(s.meta.Info))) }

// admit greets those who came while the disk was being looked at.
func (s *Share) admit() {
	waiting := s.waiting
	s.waiting = nil
	for _, c := range waiting {
		s.connUp(c)
	}
}

// correct tells the swarm that a piece is there, or is not, after a verification.
func (s *Share) correct(p int, have bool) {
	if have == s.t.Have(p) {
		return
	}
	kind := swarm.PieceLost
	if have {
		kind = swarm.PieceGood
	}
	s.event(swarm.Event{Kind: kind, Peer: swarm.NoPeer, P: uint32(p)})
}

// settleState derives the state from what is known.
func (s *Share) settleState() {
	switch {
	case s.failed != nil:
		s.setState(Failed)
	case s.paused:
		s.setState(Paused)
	case s.meta == nil:
		s.setState(Metadata)
	case s.content.Load() == nil:
		s.setState(Checking)
	case !s.row.Complete && !s.allDone():
		s.setState(Fetching)
	default:
		s.setState(Seeding)
	}
}

// looked tells Add that the files of a new share were looked at.
func (s *Share) looked() {
	if s.spec.Looked != nil {
		close(s.spec.Looked)
		s.spec.Looked = nil
	}
}

// fail stops the share because of the environment: connections end, data stays.
func (s *Share) fail(err error) {
	s.failed, s.problem = err, err.Error()
	if s.spec.Looked != nil && record.IsRefusal(err) {
		s.removed, s.stopping = true, true
	}
	if s.t.Info() != nil {
		s.event(swarm.Event{Kind: swarm.SetPaused, N: 1})
	}
	for _, c := range s.conns {
		if c != nil && c.up {
			c.Shut()
		}
	}
	s.dropWaiting()
	s.setState(Failed)
	s.retryAt = time.Now().Add(failRetry)
}

// dropWaiting ends connections that were not greeted yet.
func (s *Share) dropWaiting() {
	for _, c := range s.waiting {
		s.scout.Done(s.now(), c.Dialled, false)
		c.Shut()
	}
	s.waiting = nil
}

// failRetry is when a share that the environment stopped is tried again.
const failRetry = 10 * time.Second
