package link

import (
	"shoal/internal/core/swarm"
	"shoal/internal/core/wire"
)

// Put gathers what an effect of the swarm says to this peer. It is false for effects that
// need more than they tell, which are left to the owner. It belongs to the owner.
func (c *Conn) Put(f *swarm.Effect) bool {
	switch f.Kind {
	case swarm.SendRequest:
		c.Out = wire.RequestMsg{Piece: f.P, Begin: f.B, Length: f.N}.Append(c.Out)
		c.Expect(true)
	case swarm.SendBlock:
		c.Sends = append(c.Sends, Block{Piece: f.P, Begin: f.B, Len: f.N})
	case swarm.SendHave:
		c.Out = wire.HaveMsg{Piece: f.P}.Append(c.Out)
	case swarm.SendCancel:
		c.Out = wire.CancelMsg{Piece: f.P, Begin: f.B, Length: f.N}.Append(c.Out)
	case swarm.SendReject:
		c.Out = wire.RejectMsg{Piece: f.P, Begin: f.B, Length: f.N}.Append(c.Out)
	case swarm.SendSuggest:
		c.Out = wire.SuggestMsg{Piece: f.P}.Append(c.Out)
	case swarm.SendAllowedFast:
		c.Out = wire.AllowedFastMsg{Piece: f.P}.Append(c.Out)
	case swarm.SendChoke, swarm.SendUnchoke, swarm.SendInterested, swarm.SendUninterested, swarm.SendHaveAll, swarm.SendHaveNone:
		c.Out = wire.AppendState(c.Out, stateID[f.Kind])
	case swarm.SendDontHave:
		if c.Ext.M.DontHave != 0 {
			c.Out = wire.DontHave{Piece: f.P}.Append(c.Out, c.Ext.M.DontHave)
		}
	case swarm.SendMetaRequest:
		if c.Ext.M.Metadata != 0 {
			c.Out = wire.MetadataMsg{Type: wire.MetadataRequest, Piece: int(f.P)}.Append(c.Out, c.Ext.M.Metadata)
		}
	default:
		return false
	}
	return true
}

// stateID are the messages without a body.
var stateID = [...]wire.ID{
	swarm.SendChoke: wire.Choke, swarm.SendUnchoke: wire.Unchoke, swarm.SendInterested: wire.Interested,
	swarm.SendUninterested: wire.NotInterested, swarm.SendHaveAll: wire.HaveAll, swarm.SendHaveNone: wire.HaveNone,
}

// PutMetadata gathers the answer to a request for a piece of the info dictionary (BEP 9): a
// reject where info has no such piece. It belongs to the owner.
func (c *Conn) PutMetadata(info []byte, piece int) {
	if c.Ext.M.Metadata == 0 {
		return
	}
	m := wire.MetadataMsg{Type: wire.MetadataReject, Piece: piece}
	if lo := piece * swarm.MetaPieceLen; lo >= 0 && lo < len(info) {
		m.Type, m.TotalSize, m.Data = wire.MetadataData, int64(len(info)), info[lo:min(lo+swarm.MetaPieceLen, len(info))]
	}
	c.Out = m.Append(c.Out, c.Ext.M.Metadata)
}
