package engine

import (
	"shoal/internal/core/metainfo"
	"shoal/internal/core/swarm"
	"shoal/internal/core/wire"
)

// perform does what the swarm said, in order. b is the batch whose blocks it judged.
func (s *Share) perform(b *batch) {
	for i := range s.outEffects.List {
		f := &s.outEffects.List[i]
		switch f.Kind {
		case swarm.Accept:
			r := b.blocks[f.Ref]
			b.c.blocksIn += int64(len(r.data))
			s.rates.down.add(len(r.data))
			s.e.movedDown.Add(int64(len(r.data)))
			e := &b.in.List[f.Ref]
			s.accept(e.P, e.B, r)
		case swarm.Discard:
			b.blocks[f.Ref].ck.release()
		case swarm.PieceFull, swarm.Complete, swarm.HybridInconsistent, swarm.PieceReset, swarm.MetaComplete:
			s.note(f)
		default:
			if c := s.conns[f.Peer]; c != nil && c.up {
				s.send(c, f)
				s.touch(c)
			}
		}
	}
}

// note does effects that concern no peer.
func (s *Share) note(f *swarm.Effect) {
	switch f.Kind {
	case swarm.PieceReset:
		s.forget(int(f.P))
	case swarm.Complete:
		s.allVerified()
	case swarm.HybridInconsistent:
		s.hybridInconsistent(int(f.P))
	case swarm.MetaComplete:
		s.metadataCame(f.Data)
	}
}

// send appends one message for a peer, or does what else the swarm says about it.
func (s *Share) send(c *conn, f *swarm.Effect) {
	switch f.Kind {
	case swarm.SendRequest:
		c.out = wire.RequestMsg{Piece: f.P, Begin: f.B, Length: f.N}.Append(c.out)
		c.hot.Store(true)
	case swarm.SendBlock:
		c.sends = append(c.sends, blockSend{f.P, f.B, f.N})
	case swarm.SendHave:
		c.out = wire.HaveMsg{Piece: f.P}.Append(c.out)
	case swarm.SendCancel:
		c.out = wire.CancelMsg{Piece: f.P, Begin: f.B, Length: f.N}.Append(c.out)
	case swarm.SendReject:
		c.out = wire.RejectMsg{Piece: f.P, Begin: f.B, Length: f.N}.Append(c.out)
	case swarm.SendSuggest:
		c.out = wire.SuggestMsg{Piece: f.P}.Append(c.out)
	case swarm.SendAllowedFast:
		c.out = wire.AllowedFastMsg{Piece: f.P}.Append(c.out)
	case swarm.SendBitfield:
		c.out = wire.BitfieldMsg{Bits: s.t.AppendBitfield(nil)}.Append(c.out)
	case swarm.SendChoke, swarm.SendUnchoke, swarm.SendInterested, swarm.SendUninterested, swarm.SendHaveAll, swarm.SendHaveNone:
		c.out = wire.AppendState(c.out, stateID[f.Kind])
	case swarm.Close:
		s.closeFor(c, f)
	case swarm.Penalise:
		s.e.penalised(s, c, f.Reason.String(), "throttle")
	default:
		s.sendExtended(c, f)
	}
}

// stateID are the messages without a body.
var stateID = [...]wire.ID{
	swarm.SendChoke: wire.Choke, swarm.SendUnchoke: wire.Unchoke, swarm.SendInterested: wire.Interested,
	swarm.SendUninterested: wire.NotInterested, swarm.SendHaveAll: wire.HaveAll, swarm.SendHaveNone: wire.HaveNone,
}

// sendExtended appends the messages of extensions, if the peer has them.
func (s *Share) sendExtended(c *conn, f *swarm.Effect) {
	m := c.ext.M
	switch f.Kind {
	case swarm.SendDontHave:
		if m.DontHave != 0 {
			c.out = wire.DontHave{Piece: f.P}.Append(c.out, m.DontHave)
		}
	case swarm.SendMetaRequest:
		if m.Metadata != 0 {
			c.out = wire.MetadataMsg{Type: wire.MetadataRequest, Piece: int(f.P)}.Append(c.out, m.Metadata)
		}
	case swarm.SendMetaData, swarm.SendMetaReject:
		if m.Metadata != 0 {
			c.out = s.metadataPiece(int(f.P), f.Kind == swarm.SendMetaData).Append(c.out, m.Metadata)
		}
	case swarm.SendHashRequest:
		s.askLeaves(c, int(f.P))
	}
}

// metadataPiece is the answer to a request of BEP 9.
func (s *Share) metadataPiece(piece int, serve bool) wire.MetadataMsg {
	reject := wire.MetadataMsg{Type: wire.MetadataReject, Piece: piece}
	if !serve || s.meta == nil {
		return reject
	}
	info := s.meta.InfoBytes
	lo := piece * swarm.MetaPieceLen
	if lo < 0 || lo >= len(info) {
		return reject
	}
	return wire.MetadataMsg{Type: wire.MetadataData, Piece: piece, TotalSize: int64(len(info)),
		Data: info[lo:min(lo+swarm.MetaPieceLen, len(info))]}
}

func (s *Share) closeFor(c *conn, f *swarm.Effect) {
	action := "drop"
	if f.Ban {
		action = "ban"
	}
	if f.Reason != swarm.ReasonRedundant {
		s.e.penalised(s, c, f.Reason.String(), action)
	}
	if f.Ban || f.Reason == swarm.ReasonRedundant {
		s.cands.Forget(c.dialled)
	}
	c.shut()
}

// jobDone takes back a disk job.
func (s *Share) jobDone(j *job) {
	s.jobs--
	a := j.a
	a.busy = false
	state := slotDone
	if j.spill {
		state = slotSpilled
	}
	for i := range j.count {
		a.slots[j.first+i] = state
	}
	defer s.e.disk.done(j)
	switch {
	case a.reset:
		a.reset = false
		s.retire(a)
	case j.err != nil:
		s.storeFailed(a, j)
	case j.last:
		s.verdict(a, j)
	default:
		s.dispatch(a)
		if !a.busy && a.nHeld > 0 && s.e.pool.tight() {
			s.spillPiece(a)
		}
	}
}

// verdict tells the swarm whether the piece is good.
func (s *Share) verdict(a *assembly, j *job) {
	p := a.piece
	s.retire(a)
	e := swarm.Event{Kind: swarm.PieceGood, Peer: swarm.NoPeer, P: uint32(p), Data: j.blame}
	if !good(j.verdict) {
		e.Kind = swarm.PieceBad
		s.watched[p] = true
	} else {
		delete(s.watched, p)
		s.pieceThere(p)
		if j.verdict.V1 == metainfo.Bad {
			e.Flags = swarm.V1Bad
		}
	}
	e.Data = append([]byte(nil), j.blame...)
	s.event(e)
}

// storeFailed stops fetching because the disk does not take the data: the environment's
// fault. What is verified stays, and the fetch goes on when the person resumes it or
// space is back.
func (s *Share) storeFailed(a *assembly, j *job) {
	s.retire(a)
	s.event(swarm.Event{Kind: swarm.PieceFailed, Peer: swarm.NoPeer, P: uint32(a.piece)})
	s.fail(j.err)
}
