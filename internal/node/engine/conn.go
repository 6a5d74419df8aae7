package engine

import (
	"errors"
	"net"
	"net/netip"
	"time"

	"shoal/internal/core/swarm"
	"shoal/internal/core/wire"
	"shoal/internal/node/hashes"
	"shoal/internal/node/link"
)

// Time-outs of a connection.
const (
	handshakeTime = 10 * time.Second
	idleTime      = 5 * time.Minute // BEP 3: keep-alives come every two
	keepAlive     = 110 * time.Second
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
	pexSent   map[netip.AddrPort]struct{}
	pexAt     time.Time
	pexGot    time.Time
	asks      hashes.Asks // what it asked for of BEP 52's hashes
}

func newConn(s *Share, nc net.Conn, theirs wire.Handshake, incoming bool) *conn {
	c := &conn{share: s, v2: s.hash.HasV2() && theirs.InfoHash == s.hash.V2Short()}
	c.Conn = link.New(nc, theirs, incoming, c, &s.shared)
	return c
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

// ourHandshake tells what we can.
func ourHandshake(hash [20]byte, id wire.PeerID, v2 bool) wire.Handshake {
	h := wire.Handshake{InfoHash: hash, PeerID: id}
	h.Set(wire.CapFast | wire.CapExtended)
	if v2 {
		h.Set(wire.CapV2)
	}
	return h
}

var (
	errGone      = errors.New("engine: the share or the node is being stopped")
	errSelf      = errors.New("engine: that address is this node itself")
	errOtherHash = errors.New("engine: the peer answered for another share")
	errFull      = errors.New("engine: no place for another connection")
	errUnknown   = errors.New("engine: no such share here")
)
