package engine

import (
	"time"

	"shoal/internal/adapter/store"
	"shoal/internal/core/metainfo"
	"shoal/internal/core/swarm"
	"shoal/internal/node/files"
	"shoal/internal/node/hashes"
)

// hashed is the share as its Layers and its Server see it.
type hashed struct{ s *Share }

// Event implements hashes.Share.
func (o hashed) Event(e swarm.Event) { o.s.event(e) }

// Send implements hashes.Share.
func (o hashed) Send(p swarm.Peer, m hashes.Message) {
	if c := o.s.conns[p]; c != nil && c.up {
		c.Send(m)
	}
}

// Meta implements hashes.Source.
func (o hashed) Meta() *metainfo.Metainfo { return o.s.meta }

// Content implements hashes.Source.
func (o hashed) Content() hashes.Content {
	if c := o.s.content.Load(); c != nil {
		return c
	}
	return nil
}

// Have implements hashes.Source.
func (o hashed) Have(piece int) bool { return o.s.t.Have(piece) }

// Later implements hashes.Source.
func (o hashed) Later(work func(block []byte), then func()) {
	o.s.e.workers.Run(func() {
		buf := o.s.e.buffers.Get()
		work(buf)
		o.s.e.buffers.Put(buf)
		o.s.post(msg{kind: msgCall, call: then})
	})
}

// Sent implements hashes.Source.
func (o hashed) Sent(n int) time.Duration {
	now := time.Now()
	return max(o.s.up.Spend(now, n), o.s.e.up.Spend(now, n))
}

// advanceLayers asks peers for layers and takes over what came. It reports whether it left
// events for the swarm.
func (s *Share) advanceLayers() bool {
	if s.failed != nil || s.content.Load() == nil {
		return false
	}
	if s.layers.Wants() {
		var peers []swarm.Peer
		for _, c := range s.conns {
			if c != nil && c.up && c.v2 {
				peers = append(peers, c.slot)
			}
		}
		s.layers.Offer(s.now(), peers)
	}
	s.mergeLayers(false)
	s.saveLayers()
	return len(s.in.List) > 0
}

// mergeLayers makes the layers that came part of the metainfo.
func (s *Share) mergeLayers(atOnce bool) {
	m, known := s.layers.Merge(s.now(), atOnce)
	if m == nil {
		return
	}
	s.meta = m
	s.content.Load().SetMeta(m)
	for _, f := range known {
		s.layerKnown(f)
	}
	s.await()
}

// saveLayers keeps the .torrent when nothing that is wanted lacks in it.
func (s *Share) saveLayers() {
	if s.failed != nil || s.layers.Done() || !s.layers.Unsaved(s.spec.Filter(s.meta.Info)) {
		return
	}
	m, row := s.meta, s.row
	s.e.workers.Run(func() {
		err := store.SaveTorrent(s.e.torrents(), m, row)
		s.post(msg{kind: msgCall, call: func() {
			s.layers.Saved(err == nil)
			if err != nil {
				s.fail(err)
				return
			}
			s.completeIfDone()
		}})
	})
}

// layerKnown goes on with a file whose layer has just come.
func (s *Share) layerKnown(f int) {
	if wrong := s.layers.Settle(f); len(wrong) > 0 {
		s.disagree(f, wrong)
	}
	if s.tally.IsWhole(f) {
		s.finishFile(f)
	}
	pieces, blocked := s.layers.Unblock(f)
	switch {
	case len(pieces) > 0:
		s.judge(f, pieces)
	case blocked:
		s.fetchFile(f)
	}
}

// fetchFile makes the pieces of a file wanted, if the file is.
func (s *Share) fetchFile(f int) {
	if wanted := s.spec.Filter(s.meta.Info); wanted == nil || wanted(f) {
		first, end := s.meta.Info.FilePieces(f)
		s.event(swarm.Event{Kind: swarm.SetPriority, Peer: swarm.NoPeer, P: uint32(first), B: uint32(end), N: 2})
	}
}

// judge verifies data that was on the disk before it could be judged, and fetches the
// rest of the file.
func (s *Share) judge(f int, pieces []int) {
	content := s.content.Load()
	s.e.wg.Add(1)
	go func() {
		defer s.e.wg.Done()
		var found []int
		err := content.Verify(s.ctx, pieces, 0, func(p int, v metainfo.Verdict) {
			if v.Good() {
				found = append(found, p)
			}
		})
		s.post(msg{kind: msgCall, call: func() { s.judged(content, f, found, err) }})
	}()
}

func (s *Share) judged(content *store.Content, f int, found []int, err error) {
	if err == nil && !s.spec.InPlace {
		err = files.Conflict(content)
	}
	if err != nil {
		s.fail(err)
		return
	}
	for _, p := range found {
		if !s.t.Have(p) {
			s.correct(p, true)
			s.pieceThere(p)
		}
	}
	s.fetchFile(f)
}

// holdForLayer tells that a file has all its pieces and waits for its layer, which is made
// from them.
func (s *Share) holdForLayer(f int) bool {
	own, hold := s.layers.Hold(f)
	if own == nil {
		return hold
	}
	meta, content := s.meta, s.content.Load()
	s.e.wg.Add(1)
	go func() {
		defer s.e.wg.Done()
		err := own.Make(s.ctx, meta, content)
		s.post(msg{kind: msgCall, call: func() { s.madeLayer(f, own, err) }})
	}()
	return true
}

// madeLayer takes the layer that a file's own data gave.
func (s *Share) madeLayer(f int, own *hashes.Own, err error) {
	wrong, err := s.layers.Made(own, err)
	switch {
	case s.stopping:
	case err != nil:
		s.fail(err)
	case len(wrong) > 0:
		s.disagree(f, wrong)
	default:
		s.mergeLayers(true)
		s.saveLayers()
	}
}

// disagree takes back pieces of a file that v1 called good and v2 does not.
func (s *Share) disagree(f int, pieces []int) {
	if s.meta.Info.Version == metainfo.Hybrid {
		s.hybridInconsistent(pieces[0])
	}
	s.layers.Disagree(f, pieces)
	s.tally.Lost(f, len(pieces))
	s.resume.dirty = true
}
