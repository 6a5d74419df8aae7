package link

import (
	"encoding/binary"

	"shoal/internal/core/swarm"
	"shoal/internal/core/wire"
)

// BlockRef is a block's bytes and the chunk they lie in.
type BlockRef struct {
	Data  []byte
	Chunk *Chunk
}

// Batch is what one read brought: events for the swarm, the bytes of its blocks (the
// N-th GotBlock event's Ref is looked up in blocks by event index), and messages that
// concern the engine.
type Batch struct {
	In     swarm.Events
	Blocks []BlockRef // by event index; zero where the event is no block
	Aux    []Aux
	fast   bool // BEP 6 is spoken
}

// Aux is a message for the engine rather than the swarm.
type Aux struct {
	ID   wire.ID
	Ext  byte // our number of the extension
	Body []byte
}

func (b *Batch) reset() {
	b.In.Reset()
	clear(b.Blocks)
	b.Blocks = b.Blocks[:0]
	clear(b.Aux)
	b.Aux = b.Aux[:0]
}

// maxBatch bounds the messages of one batch: a read of the smallest ones would make events
// that take fifty times the room that the read does.
const maxBatch = 1024

func (b *Batch) full() bool { return len(b.In.List)+len(b.Aux) >= maxBatch }

func (b *Batch) empty() bool { return len(b.In.List) == 0 && len(b.Aux) == 0 }

func (b *Batch) event(e swarm.Event) {
	b.In.List = append(b.In.List, e)
}

func (b *Batch) block(p, begin uint32, data []byte, ck *Chunk) {
	for len(b.Blocks) < len(b.In.List) {
		b.Blocks = append(b.Blocks, BlockRef{})
	}
	b.Blocks = append(b.Blocks, BlockRef{data, ck})
	b.event(swarm.Event{Kind: swarm.GotBlock, P: p, B: begin, N: uint32(len(data))})
}

// plain are the messages without a body and their events.
var plain = map[wire.ID]swarm.Kind{
	wire.Choke: swarm.GotChoke, wire.Unchoke: swarm.GotUnchoke, wire.Interested: swarm.GotInterested,
	wire.NotInterested: swarm.GotUninterested, wire.HaveAll: swarm.GotHaveAll, wire.HaveNone: swarm.GotHaveNone,
}

// message turns one frame into an event. The frame's bytes may be overwritten later:
// what is kept of anything but a block is copied.
func (b *Batch) message(frame []byte, ck *Chunk) error {
	if len(frame) == 0 {
		return nil // keep-alive
	}
	id, payload := wire.ID(frame[0]), frame[1:]
	switch id {
	case wire.Piece:
		if len(payload) < 8 || ck == nil {
			return wire.ErrMalformed
		}
		b.block(binary.BigEndian.Uint32(payload), binary.BigEndian.Uint32(payload[4:]), payload[8:], ck)
		return nil
	case wire.Request, wire.Cancel, wire.RejectRequest:
		return b.blockMessage(id, payload)
	case wire.Have, wire.SuggestPiece, wire.AllowedFast:
		return b.pieceMessage(id, payload)
	case wire.Choke, wire.Unchoke, wire.Interested, wire.NotInterested, wire.HaveAll, wire.HaveNone:
		if len(payload) != 0 || id >= wire.HaveAll && !b.fast {
			return wire.ErrMalformed
		}
		b.event(swarm.Event{Kind: plain[id]})
		return nil
	case wire.Bitfield:
		b.event(swarm.Event{Kind: swarm.GotBitfield, Data: append([]byte(nil), payload...)})
		return nil
	case wire.Extended:
		return b.extended(payload)
	case wire.HashRequest, wire.Hashes, wire.HashReject, wire.Port:
		b.Aux = append(b.Aux, Aux{ID: id, Body: append([]byte(nil), payload...)})
		return nil
	}
	return nil // unknown messages are ignored (BEP 3 leaves room for new ones)
}

func (b *Batch) blockMessage(id wire.ID, payload []byte) error {
	m, err := wire.ParseRequest(payload)
	if err != nil {
		return err
	}
	kind := swarm.GotRequest
	switch id {
	case wire.Cancel:
		kind = swarm.GotCancel
	case wire.RejectRequest:
		kind = swarm.GotReject
	}
	b.event(swarm.Event{Kind: kind, P: m.Piece, B: m.Begin, N: m.Length})
	return nil
}

func (b *Batch) pieceMessage(id wire.ID, payload []byte) error {
	m, err := wire.ParseHave(payload)
	if err != nil {
		return err
	}
	kind := swarm.GotHave
	switch id {
	case wire.SuggestPiece:
		kind = swarm.GotSuggest
	case wire.AllowedFast:
		kind = swarm.GotAllowedFast
	}
	if kind != swarm.GotHave && !b.fast {
		return wire.ErrMalformed
	}
	b.event(swarm.Event{Kind: kind, P: m.Piece})
	return nil
}

// extended sorts the messages of BEP 10 by our own numbers, which we gave the peer.
func (b *Batch) extended(payload []byte) error {
	ext, body, err := wire.ParseExtended(payload)
	if err != nil {
		return err
	}
	switch {
	case ext == wire.ExtDontHave:
		m, err := wire.ParseDontHave(body)
		if err != nil {
			return err
		}
		b.event(swarm.Event{Kind: swarm.GotDontHave, P: m.Piece})
	case ext == wire.ExtMetadata:
		return b.metadata(body)
	default:
		b.Aux = append(b.Aux, Aux{ID: wire.Extended, Ext: ext, Body: append([]byte(nil), body...)})
	}
	return nil
}

func (b *Batch) metadata(body []byte) error {
	m, err := wire.ParseMetadata(body)
	if err != nil {
		return err
	}
	e := swarm.Event{P: uint32(m.Piece), N: uint32(min(max(m.TotalSize, 0), 1<<31))}
	switch m.Type {
	case wire.MetadataRequest:
		e.Kind = swarm.GotMetaRequest
	case wire.MetadataData:
		e.Kind, e.Data = swarm.GotMetaData, append([]byte(nil), m.Data...)
	case wire.MetadataReject:
		e.Kind = swarm.GotMetaReject
	default:
		return nil // BEP 9: unknown types are ignored
	}
	b.event(e)
	return nil
}

// Drop releases the blocks of a batch that nobody takes.
func (b *Batch) Drop() {
	for _, k := range b.Blocks {
		if k.Chunk != nil {
			k.Chunk.Release()
		}
	}
}
