package engine

import (
	"shoal/internal/core/metainfo"
	"shoal/internal/core/swarm"
	"shoal/internal/core/wire"
	"shoal/internal/node/intake"
	"shoal/internal/node/link"
)

// perform does what the swarm said, in order. b is the batch of the connection from, whose blocks
// it judged.
func (s *Share) perform(from *conn, b *link.Batch) {
	for i := range s.outEffects.List {
		f := &s.outEffects.List[i]
		switch f.Kind {
		case swarm.Accept:
			r := b.Blocks[f.Ref]
			from.blocksIn += int64(len(r.Data))
			s.downMeter.Add(len(r.Data))
			s.e.movedDown.Add(int64(len(r.Data)))
			e := &b.In.List[f.Ref]
			s.intake.Accept(s.meta, e.P, e.B, r)
		case swarm.Discard:
			b.Blocks[f.Ref].Chunk.Release()
		case swarm.PieceFull, swarm.Complete, swarm.HybridInconsistent, swarm.PieceReset, swarm.MetaComplete:
			s.note(f)
		default:
			if c := s.conns[f.Peer]; c != nil && c.up {
				s.send(c, f)
				s.touch(c)
			}
		}
	}
	s.intake.Dispatch()
}

// note does effects that concern no peer.
func (s *Share) note(f *swarm.Effect) {
	switch f.Kind {
	case swarm.PieceReset:
		s.intake.Forget(int(f.P))
	case swarm.Complete:
		s.allVerified()
	case swarm.HybridInconsistent:
		s.hybridInconsistent(int(f.P))
	case swarm.MetaComplete:
		s.metadataCame(f.Data)
	}
}

// send gathers one message for a peer, or does what else the swarm says about it.
func (s *Share) send(c *conn, f *swarm.Effect) {
	if c.Put(f) {
		return
	}
	switch f.Kind {
	case swarm.SendBitfield:
		c.Out = wire.BitfieldMsg{Bits: s.t.AppendBitfield(nil)}.Append(c.Out)
	case swarm.Close:
		s.closeFor(c, f)
	case swarm.Penalise:
		s.e.penalised(s, c, f.Reason.String(), "throttle")
	case swarm.SendMetaData, swarm.SendMetaReject:
		if s.meta == nil || f.Kind == swarm.SendMetaReject {
			c.PutMetadata(nil, int(f.P))
		} else {
			c.PutMetadata(s.meta.InfoBytes, int(f.P))
		}
	case swarm.SendHashRequest:
		if c.v2 {
			s.layers.AskLeaves(c.slot, int(f.P))
		}
	}
}

func (s *Share) closeFor(c *conn, f *swarm.Effect) {
	action := "drop"
	if f.Ban {
		action = "ban"
	}
	fault := f.Reason != swarm.ReasonRedundant && f.Reason != swarm.ReasonNone
	if fault {
		s.e.penalised(s, c, f.Reason.String(), action)
	}
	if f.Ban || f.Reason == swarm.ReasonRedundant {
		s.scout.Forget(c.Reachable())
	}
	if fault {
		c.Shut()
	} else {
		c.Finish()
	}
}

// pieceOwner is the share as its intake sees it.
type pieceOwner struct{ s *Share }

// Content implements intake.Owner.
func (o pieceOwner) Content() intake.Content {
	if c := o.s.content.Load(); c != nil {
		return c
	}
	return nil
}

// Finished implements intake.Owner.
func (o pieceOwner) Finished(j *intake.Job) bool { return o.s.post(msg{kind: msgJob, j: j}) }

// Tight implements intake.Owner.
func (o pieceOwner) Tight() bool { return o.s.e.pool.Tight() }

// jobDone takes back a disk job.
func (s *Share) jobDone(j *intake.Job) {
	o := s.intake.Done(j)
	switch {
	case o.Err != nil:
		// The disk does not take the data: the environment's fault. What is verified stays,
		// and the fetch goes on when the person resumes it or space is back.
		s.event(swarm.Event{Kind: swarm.PieceFailed, Peer: swarm.NoPeer, P: uint32(o.Piece)})
		s.fail(o.Err)
	case o.Judged:
		s.verdict(&o)
	}
}

// verdict tells the swarm whether the piece is good.
func (s *Share) verdict(o *intake.Outcome) {
	v := s.layers.Learn(o.Piece, o.Leaves, o.Verdict)
	e := swarm.Event{Kind: swarm.PieceGood, Peer: swarm.NoPeer, P: uint32(o.Piece), Data: o.Digests}
	if v.V1 == metainfo.Bad {
		e.Flags = swarm.V1Bad
	}
	if v.Good() {
		s.pieceThere(o.Piece)
	} else {
		e.Kind = swarm.PieceBad
		s.intake.Watch(o.Piece)
	}
	s.event(e)
}
