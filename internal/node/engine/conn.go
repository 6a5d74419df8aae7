package engine

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"shoal/internal/core/metainfo"
	"shoal/internal/core/swarm"
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
	share   *Share
	slot    swarm.Peer
	v2      bool           // under the v2 info hash
	dialled netip.AddrPort // the candidate that led here; zero if they came to us

	up        bool
	dirty     bool // something was gathered for it
	ext       wire.ExtHandshake
	extSeen   bool
	extSent   bool
	blocksIn  int64
	blocksOut int64
	pex       link.Exchange
	asks      hashes.Asks // what it asked for of BEP 52's hashes
}

func newConn(s *Share, nc net.Conn, theirs wire.Handshake, incoming bool) *conn {
	h := called{s}.Hash()
	c := &conn{share: s, v2: h.HasV2() && theirs.InfoHash == h.V2Short()}
	c.Conn = link.New(nc, theirs, incoming, c, &s.shared)
	return c
}

// twin tells that both lead to one peer, or to one address where each counts once.
func (c *conn) twin(o *conn) bool {
	same := o.Theirs.PeerID == c.Theirs.PeerID || c.share.e.cfg.OnePerIP && c.Addr.IsValid() && !c.Addr.Addr().IsLoopback()
	return same && o.Addr.Addr() == c.Addr.Addr()
}

// supersedes tells which of two that were opened at once, one from either side, stays: both
// sides must choose the same, and do when both are of our kind.
func (c *conn) supersedes(o *conn) bool {
	ours, theirs := c.share.e.peerID, c.Theirs.PeerID
	return o.Theirs.PeerID == theirs && bytes.HasPrefix(theirs[:], []byte(wire.PeerIDPrefix)) &&
		o.Incoming != c.Incoming && time.Since(o.Since) < porch.Timeout && c.Incoming == (bytes.Compare(theirs[:], ours[:]) < 0)
}

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
	if int(b.e.nConns.Load()) >= b.e.cfg.MaxConns {
		return errFull
	}
	if from.IsValid() && b.e.cfg.AllowIncoming != nil {
		return b.e.cfg.AllowIncoming(from)
	}
	return nil
}

// Find implements porch.Host.
func (b behind) Find(name [20]byte) porch.Share {
	if s := b.e.wake(name); s != nil {
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

// Take implements porch.Share.
func (o called) Take(nc net.Conn, theirs wire.Handshake) bool {
	c := newConn(o.s, nc, theirs, true)
	return o.s.call(func() { o.s.connUp(c) })
}

// dial opens a connection to a candidate of the share, under these names of it.
func (s *Share) dial(addr netip.AddrPort, name metainfo.InfoHash) error {
	nc, theirs, err := s.e.porch.Dial(s.ctx, name, addr)
	if err != nil {
		return err
	}
	c := newConn(s, nc, theirs, false)
	c.dialled = addr
	if !s.call(func() { s.connUp(c) }) {
		nc.Close()
		return errGone
	}
	return nil
}

var (
	errGone = errors.New("engine: the share or the node is being stopped")
	errSelf = errors.New("engine: that address is this node itself")
	errFull = errors.New("engine: no place for another connection")
)
