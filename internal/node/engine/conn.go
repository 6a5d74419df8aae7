package engine

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"shoal/internal/core/ident"
	"shoal/internal/core/metainfo"
	"shoal/internal/core/swarm"
	"shoal/internal/core/swarm/candidates"
	"shoal/internal/core/wire"
	"shoal/internal/node/hashes"
	"shoal/internal/node/link"
	"shoal/internal/node/porch"
)

// Time-outs of a connection.
const (
	idleTime  = 5 * time.Minute // BEP 3: keep-alives come every two
	keepAlive = 110 * time.Second
)

// conn is one connection of a share. Its own fields belong to the share's loop; its
// methods hand what the link brings to that loop.
type conn struct {
	*link.Conn
	share  *Share
	slot   swarm.Peer
	from   candidates.Source // how it was learnt of
	trip   time.Duration     // round trip, if we dialled
	dht    bool              // it told of a DHT node
	barred bool              // it may not see the share any more
	again  bool              // a better way to it is open: it is dialled anew
	also   netip.AddrPort    // the overlay address of the same peer, where this way was better
	v2     bool              // under the v2 info hash

	up        bool
	dirty     bool // something was gathered for it
	blocksIn  int64
	blocksOut int64
	asks      hashes.Asks // what it asked for of BEP 52's hashes
}

func newConn(s *Share, nc net.Conn, theirs wire.Handshake, incoming bool) *conn {
	h := called{s}.Hash()
	c := &conn{share: s, v2: h.HasV2() && theirs.InfoHash == h.V2Short()}
	c.Conn = link.New(nc, theirs, incoming, c, &s.shared)
	return c
}

// outrun ends a relayed connection when the same peer, so it calls itself, has given more
// by another way: who only takes that name can win nothing but to be of use.
func (s *Share) outrun(c *conn) {
	for _, o := range s.conns {
		if o != nil && o.up && !o.Overlay() && o.Theirs.PeerID == c.Theirs.PeerID && o.blocksIn >= max(outrunBytes, c.blocksIn) {
			o.also = c.Reachable()
			c.Finish()
			return
		}
	}
}

// outrunBytes is what another way has to bring before a relayed one is given up.
const outrunBytes = 1 << 20

// Batch implements link.Owner.
func (c *conn) Batch(b *link.Batch) bool { return c.share.post(msg{kind: msgBatch, c: c, b: b}) }

// Wrote implements link.Owner.
func (c *conn) Wrote(n int) bool { return c.share.post(msg{kind: msgWrote, c: c, n: n}) }

// Down implements link.Owner.
func (c *conn) Down(err error) { c.share.post(msg{kind: msgDown, c: c, err: err}) }

// Blocks implements link.Owner.
func (c *conn) Blocks(vec [][]byte, piece, begin int) error {
	content := c.share.content.Load()
	if content == nil {
		return link.ErrGone
	}
	err := content.ReadVec(vec, piece, begin)
	if err != nil {
		c.share.post(msg{kind: msgUnreadable, c: c, n: piece, err: err})
	}
	return err
}

// Up implements hashes.Peer.
func (c *conn) Up() bool { return c.up }

// Send implements hashes.Peer. It belongs to the loop.
func (c *conn) Send(m hashes.Message) {
	c.Out = m.Append(c.Out)
	c.share.touch(c)
}

// behind is the engine as its porch sees it.
type behind struct{ e *Engine }

// Admit implements porch.Host.
func (b behind) Admit(from netip.AddrPort) error {
	if b.e.full(!ident.IsOverlay(from.Addr())) {
		return errFull
	}
	if from.IsValid() && b.e.cfg.AllowIncoming != nil && !ident.IsOverlay(from.Addr()) {
		return b.e.cfg.AllowIncoming(from)
	}
	return nil
}

// full tells whether there is no place for one more connection. Of strangers who come some are
// kept, for members and for those that we dial.
func (e *Engine) full(stranger bool) bool {
	most := e.cfg.MaxConns
	if stranger {
		most -= most / 8
	}
	return int(e.nConns.Load()) >= most
}

// Find implements porch.Host.
func (b behind) Find(name [20]byte, from netip.AddrPort) porch.Share {
	if s := b.e.wake(name, from.Addr()); s != nil {
		return called{s}
	}
	return nil
}

// Connect implements porch.Host.
func (b behind) Connect(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	return b.e.cfg.Dial(ctx, to)
}

// called is the share as the porch sees it.
type called struct{ s *Share }

// Hash implements porch.Share.
func (o called) Hash() metainfo.InfoHash {
	o.s.e.mu.Lock() // a link's hash is completed under it
	defer o.s.e.mu.Unlock()
	return o.s.hash
}

// Caps implements porch.Share.
func (o called) Caps() wire.Capability { return o.s.caps() }

// Take implements porch.Share.
func (o called) Take(nc net.Conn, theirs wire.Handshake) bool {
	c := newConn(o.s, nc, theirs, true)
	c.from = candidates.FromPeer
	return o.s.call(func() { o.s.connUp(c) })
}

// dial opens a connection to a candidate of the share, under these names of it.
func (s *Share) dial(addr netip.AddrPort, from candidates.Source, name metainfo.InfoHash) error {
	begun := time.Now()
	nc, theirs, err := s.e.porch.Dial(s.ctx, porch.Call{Hash: name, Caps: s.caps(), To: addr, First: from.Known(),
		May: func() bool { return s.who.Sees(addr.Addr()) }})
	if err != nil {
		return err
	}
	c := newConn(s, nc, theirs, false)
	c.Dialled, c.from, c.trip = addr, from, time.Since(begun)/2
	if !s.call(func() { s.connUp(c) }) {
		nc.Close()
		return errGone
	}
	return nil
}

var (
	errGone = errors.New("engine: the share or the node is being stopped")
	errSelf = errors.New("engine: that address is this node itself")
	errHide = errors.New("engine: the share is not to be seen by that peer")
	errFull = errors.New("engine: no place for another connection")
)
