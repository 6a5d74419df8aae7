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
	h := wire.ExtHandshake{M: wire.Local(s.who.Private), Version: s.e.cfg.Version, ReqQ: ourReqQ}
	if !c.Overlay() { // there both are known by their keys
		h.Port = s.e.port
		if c.Addr.IsValid() {
			h.YourIP = c.Addr.Addr()
		}
	}
	if s.meta != nil {
		h.MetadataSize = int64(len(s.meta.InfoBytes))
		h.UploadOnly = s.row.Complete
	}
	c.Out = h.Append(c.Out)
	c.ExtSent = true
	s.touch(c)
}

// tellUploadOnly tells peers that we want nothing more (BEP 21).
func (s *Share) tellUploadOnly() {
	for _, c := range s.conns {
		if c != nil && c.up && c.ExtSent && c.Ext.M.UploadOnly != 0 {
			c.Out = wire.UploadOnly{On: true}.Append(c.Out, c.Ext.M.UploadOnly)
			s.touch(c)
		}
	}
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
	case wire.Port:
		s.gotPort(c, a.Body)
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
	if err := c.Ext.Update(body); err != nil {
		return err
	}
	first := !c.ExtSeen
	c.ExtSeen = true
	s.crowd++
	if c.Ext.ReqQ > 0 {
		s.event(swarm.Event{Kind: swarm.GotReqQ, Peer: c.slot, N: uint32(c.Ext.ReqQ)})
	}
	if n := number(c.Ext.UploadOnly); first || n == 0 {
		s.event(swarm.Event{Kind: swarm.GotUploadOnly, Peer: c.slot, N: n})
	}
	if s.meta == nil && c.Ext.MetadataSize > 0 && c.Ext.M.Metadata != 0 {
		s.event(swarm.Event{Kind: swarm.GotMetaSize, Peer: c.slot, N: uint32(c.Ext.MetadataSize)})
	}
	if first && c.Incoming && c.Reachable().IsValid() {
		s.scout.Add(s.now(), c.Reachable(), candidates.FromPeer)
	}
	return nil
}

func (s *Share) gotPEX(c *conn, body []byte) error {
	if s.who.Private || !c.Exchange.Take(time.Now()) {
		return nil // BEP 27: peers come from the tracker only
	}
	m, err := wire.ParsePEX(body)
	if err != nil {
		return err
	}
	for _, p := range link.Hosts(m.Added) {
		if s.row.Complete && p.Flags&wire.PEXSeed != 0 || !s.who.Exchanges(c.Addr.Addr(), p.Addr.Addr()) {
			continue
		}
		s.scout.Add(s.now(), p.Addr, candidates.FromPEX)
	}
	return nil
}

// gotPort tells of the DHT node that the peer says it is (BEP 5), once.
func (s *Share) gotPort(c *conn, body []byte) {
	m, err := wire.ParsePort(body)
	if err != nil || m.Port == 0 || c.dht || s.e.cfg.DHTNode == nil || !c.Addr.IsValid() || c.Overlay() || !s.who.Shouted() {
		return
	}
	c.dht = true
	s.e.cfg.DHTNode(netip.AddrPortFrom(c.Addr.Addr(), m.Port))
}

// sendPEX tells the peer about the others.
func (s *Share) sendPEX(c *conn, now time.Time) {
	if c.Ext.M.PEX == 0 || s.who.Private || !c.Exchange.Due(now, s.crowd) {
		return
	}
	var others []wire.PEXPeer
	for _, o := range s.conns {
		if o == nil || !o.up || o == c {
			continue
		}
		if p := o.Told(); p.Addr.IsValid() && s.who.Exchanges(c.Addr.Addr(), p.Addr.Addr()) {
			others = append(others, p)
		}
	}
	if m, ok := c.Exchange.Next(now, s.crowd, others); ok {
		c.Out = m.Append(c.Out, c.Ext.M.PEX)
		s.touch(c)
	}
}
