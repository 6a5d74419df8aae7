package engine

import (
	"net/netip"
	"time"

	"shoal/internal/core/swarm"
	"shoal/internal/core/swarm/candidates"
	"shoal/internal/core/wire"
	"shoal/internal/node/link"
)

// ourReqQ is how many requests we queue for a peer; swarm enforces it.
const ourReqQ = 2000

// sendExtHandshake tells what we can (BEP 10), once and again when it has changed.
func (s *Share) sendExtHandshake(c *conn) {
	h := wire.ExtHandshake{M: wire.Local(s.private()), Port: s.e.port, Version: s.e.cfg.Version, ReqQ: ourReqQ}
	if c.Addr.IsValid() {
		h.YourIP = c.Addr.Addr()
	}
	if s.meta != nil {
		h.MetadataSize = int64(len(s.meta.InfoBytes))
		h.UploadOnly = s.row.Complete
	}
	c.Out = h.Append(c.Out)
	c.extSent = true
	s.touch(c)
}

func (s *Share) private() bool { return s.meta != nil && s.meta.Info.Private }

// tellUploadOnly tells peers that we want nothing more (BEP 21).
func (s *Share) tellUploadOnly() {
	for _, c := range s.conns {
		if c != nil && c.up && c.extSent && c.ext.M.UploadOnly != 0 {
			c.Out = wire.UploadOnly{On: true}.Append(c.Out, c.ext.M.UploadOnly)
			s.touch(c)
		}
	}
}

// client is what the peer calls itself, printable.
func (c *conn) client() string {
	if name := c.ext.Client(); name != "" {
		return name
	}
	return wire.ClientName(c.Theirs.PeerID)
}

// auxiliary takes a message that concerns the engine.
func (s *Share) auxiliary(c *conn, a *link.Aux) {
	var err error
	switch a.ID {
	case wire.Extended:
		switch a.Ext {
		case wire.ExtHandshakeID:
			err = s.extHandshake(c, a.Body)
		case wire.ExtPEX:
			err = s.gotPEX(c, a.Body)
		case wire.ExtUploadOnly:
			s.gotUploadOnly(c, a.Body)
		}
	case wire.HashRequest:
		err = s.server.GotRequest(c, &c.asks, a.Body)
	case wire.Hashes:
		err = s.layers.GotHashes(s.now(), c.slot, a.Body)
	case wire.HashReject:
		err = s.layers.GotReject(s.now(), c.slot, a.Body)
	}
	if err != nil {
		s.drop(c, swarm.ReasonProtocol)
	}
}

func (s *Share) gotUploadOnly(c *conn, body []byte) {
	if m, err := wire.ParseUploadOnly(body); err == nil {
		s.event(swarm.Event{Kind: swarm.GotUploadOnly, Peer: c.slot, N: number(m.On)})
	}
}

// extHandshake learns what the peer can.
func (s *Share) extHandshake(c *conn, body []byte) error {
	if err := c.ext.Update(body); err != nil {
		return err
	}
	first := !c.extSeen
	c.extSeen = true
	s.crowd++
	if c.ext.ReqQ > 0 {
		s.event(swarm.Event{Kind: swarm.GotReqQ, Peer: c.slot, N: uint32(c.ext.ReqQ)})
	}
	if n := number(c.ext.UploadOnly); first || n == 0 {
		s.event(swarm.Event{Kind: swarm.GotUploadOnly, Peer: c.slot, N: n})
	}
	if s.meta == nil && c.ext.MetadataSize > 0 && c.ext.M.Metadata != 0 {
		s.event(swarm.Event{Kind: swarm.GotMetaSize, Peer: c.slot, N: uint32(c.ext.MetadataSize)})
	}
	if first && c.Incoming && c.ext.Port != 0 && c.Addr.IsValid() {
		s.addCandidate(netip.AddrPortFrom(c.Addr.Addr(), c.ext.Port), candidates.FromPeer)
	}
	return nil
}

func (s *Share) gotPEX(c *conn, body []byte) error {
	if s.private() || !c.pex.Take(time.Now()) {
		return nil // BEP 27: peers come from the tracker only
	}
	m, err := wire.ParsePEX(body)
	if err != nil {
		return err
	}
	for _, p := range m.Added {
		if s.row.Complete && p.Flags&wire.PEXSeed != 0 {
			continue
		}
		s.addCandidate(p.Addr, candidates.FromPEX)
	}
	return nil
}

// reachable is the address that others can dial the peer at; invalid if unknown.
func (c *conn) reachable() netip.AddrPort {
	switch {
	case c.dialled.IsValid():
		return c.dialled
	case c.ext.Port != 0 && c.Addr.IsValid():
		return netip.AddrPortFrom(c.Addr.Addr(), c.ext.Port)
	}
	return netip.AddrPort{}
}

// sendPEX tells the peer about the others.
func (s *Share) sendPEX(c *conn, now time.Time) {
	if c.ext.M.PEX == 0 || s.private() || !c.pex.Due(now, s.crowd) {
		return
	}
	var others []wire.PEXPeer
	for _, o := range s.conns {
		if o == nil || !o.up || o == c || !o.reachable().IsValid() {
			continue
		}
		var flags byte
		if o.dialled.IsValid() {
			flags |= wire.PEXReachable
		}
		if o.ext.UploadOnly {
			flags |= wire.PEXSeed
		}
		others = append(others, wire.PEXPeer{Addr: o.reachable(), Flags: flags})
	}
	if m, ok := c.pex.Next(now, s.crowd, others); ok {
		c.Out = m.Append(c.Out, c.ext.M.PEX)
		s.touch(c)
	}
}
