package overlay

import (
	"context"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/multiformats/go-multistream"
)

// suspectTime is how long a connection may be silent when its peer has made another one.
const suspectTime = 3 * time.Second

// check measures the round trip of a connection with a frame of twelve bytes, and ends a
// connection that gives no answer while no byte of a stream moves either: a peer that is
// gone without a word is found out long before TCP does. Through a relay all this is of the
// peer itself. QUIC does the same by itself (newQUIC).
func (h *Host) check(c *contact, conn network.Conn) {
	in, out := c.in.Load(), c.out.Load()
	if !h.answers(conn, h.cfg.times.dead, func() bool { return pingYamux(c, conn) }) && c.in.Load() == in && c.out.Load() == out {
		conn.Close()
	}
}

// confirm ends a connection that does not answer soon, whatever carries it: its peer has
// made another, perhaps because this one is lost to it.
func (h *Host) confirm(c *contact, conn network.Conn) {
	if !h.answers(conn, suspectTime, func() bool { return pingYamux(c, conn) || pingStream(h.ctx, conn) }) {
		conn.Close()
	}
}

// answers tells whether a ping comes to its end in a time; what ends otherwise is no proof of
// anything.
func (h *Host) answers(conn network.Conn, within time.Duration, ping func() bool) bool {
	answered := make(chan struct{})
	h.over.Go(func() {
		defer close(answered)
		ping()
	})
	late := time.NewTimer(within)
	defer late.Stop()
	select {
	case <-answered: // or the connection ended
	case <-h.ctx.Done():
	case <-late.C:
		return false
	}
	return true
}

// pingYamux waits for the answer to a ping and takes its time; false: there is no yamux.
func pingYamux(c *contact, conn network.Conn) bool {
	var s *session
	if !conn.As(&s) {
		return false
	}
	d, err := s.Ping()
	if err != nil || d <= 0 {
		return true
	}
	if old := time.Duration(c.rtt.Load()); old > 0 {
		d = (7*old + d) / 8
	}
	c.rtt.Store(int64(d))
	return true
}

// pingStream asks for a protocol that nobody has: that too is answered.
func pingStream(ctx context.Context, conn network.Conn) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*suspectTime)
	defer cancel()
	s, err := conn.NewStream(ctx)
	if err != nil {
		return false
	}
	defer s.Reset()
	if s.SetDeadline(time.Now().Add(2*suspectTime)) != nil {
		return false
	}
	return multistream.SelectProtoOrFail("/shoal/alive", s) == nil
}
