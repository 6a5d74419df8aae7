package engine

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"shoal/internal/core/swarm"
	"shoal/internal/core/wire"
)

// Time-outs of a connection.
const (
	handshakeTime = 10 * time.Second
	idleTime      = 5 * time.Minute // BEP 3: keep-alives come every two
	keepAlive     = 110 * time.Second
	writeTime     = 60 * time.Second // no progress for so long: drop (security.md T25)
)

// conn is one connection after its handshake.
type conn struct {
	nc       net.Conn
	share    *Share
	slot     swarm.Peer
	addr     netip.AddrPort
	incoming bool
	v2       bool // under the v2 info hash
	theirs   wire.Handshake
	since    time.Time
	dialled  netip.AddrPort // the candidate that led here; zero if they came to us

	hot      atomic.Bool  // blocks are expected: read into the pool
	maxFrame atomic.Int64 // largest frame taken
	spare    chan *batch
	gone     chan struct{}
	once     sync.Once
	read     atomic.Int64 // bytes in all
	heard    atomic.Int64 // unix nanoseconds of the last byte

	w writer

	// Owned by the share's loop.
	up        bool
	out       []byte
	sends     []blockSend
	dirty     bool
	ext       wire.ExtHandshake
	extSeen   bool
	extSent   bool
	lastSent  time.Time
	blocksIn  int64
	blocksOut int64
	pexSent   map[netip.AddrPort]struct{}
	pexAt     time.Time
	pexGot    time.Time
	pending   int // requests outstanding
}

func newConn(s *Share, nc net.Conn, theirs wire.Handshake, incoming bool) *conn {
	c := &conn{nc: nc, share: s, theirs: theirs, incoming: incoming, since: time.Now(),
		spare: make(chan *batch, 2), gone: make(chan struct{})}
	c.addr = addrOf(nc.RemoteAddr())
	c.v2 = s.hash.HasV2() && theirs.InfoHash == s.hash.V2Short()
	c.maxFrame.Store(largeChunk - 16<<10)
	c.heard.Store(time.Now().UnixNano())
	for range cap(c.spare) {
		c.spare <- &batch{c: c}
	}
	return c
}

// addrOf is the address of a TCP peer; of other carriers the zero value.
func addrOf(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		ap := t.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}

func (c *conn) fast() bool { return c.theirs.Has(wire.CapFast) }

// shut ends the connection; the reader notices and tells the loop.
func (c *conn) shut() {
	c.once.Do(func() {
		close(c.gone)
		c.nc.Close()
	})
}

// frameLimit is the largest message that the share's peers may send: a bitfield, a block
// or hashes, whichever is larger.
func frameLimit(pieces int) int64 {
	const hashes = 1 + 48 + 32*(512+64)
	return int64(max(1+wire.BitfieldLen(pieces), 1+8+wire.BlockLen, hashes, 1+1+wire.BlockLen+256))
}

// reserved are the capabilities that we announce.
func ourHandshake(hash [20]byte, id wire.PeerID, v2 bool) wire.Handshake {
	h := wire.Handshake{InfoHash: hash, PeerID: id}
	h.Set(wire.CapFast | wire.CapExtended)
	if v2 {
		h.Set(wire.CapV2)
	}
	return h
}

var (
	errSelf      = errors.New("engine: that address is this node itself")
	errOtherHash = errors.New("engine: the peer answered for another share")
	errFull      = errors.New("engine: no place for another connection")
	errUnknown   = errors.New("engine: no such share here")
)

// readHandshake reads exactly the handshake.
func readHandshake(nc net.Conn) (wire.Handshake, error) {
	var b [wire.HandshakeLen]byte
	for n := 0; n < len(b); {
		m, err := nc.Read(b[n:])
		if n += m; err != nil && n < len(b) {
			return wire.Handshake{}, err
		}
		// A stranger that speaks something else is known by its first bytes.
		if n < len(b) && n > 0 && string(b[:min(n, len(wire.Protocol))]) != wire.Protocol[:min(n, len(wire.Protocol))] {
			return wire.Handshake{}, wire.ErrMalformed
		}
	}
	return wire.ParseHandshake(b[:])
}
