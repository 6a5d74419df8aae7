package overlay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/multiformats/go-multistream"

	"shoal/internal/core/ident"
)

// openTime is how long opening a stream may take where the caller's context says nothing.
const openTime = 20 * time.Second

// Stream is a connection to a peer whose key is proven. It is a net.Conn; both ends of it
// may write at the same time, and each direction can be ended alone.
type Stream struct {
	network.Stream
	peer     ident.NodeID
	local    ident.NodeID
	contact  *contact             // whom its bytes are counted for; nil of guests
	step     int                  // what is written before it is counted
	ahead    multistream.LazyConn // reads and writes where the peer has not agreed yet; nil where it has
	once     sync.Once
	released func()
}

// Peer is who is at the other end.
func (s *Stream) Peer() ident.NodeID { return s.peer }

// LocalAddr stands for this node.
func (s *Stream) LocalAddr() net.Addr { return net.TCPAddrFromAddrPort(s.local.Addr()) }

// RemoteAddr stands for the peer: its NodeID's address in tables of addresses. Nothing
// listens there.
func (s *Stream) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(s.peer.Addr()) }

// Via is what carries the stream, and the relay's NodeID where it is one.
func (s *Stream) Via() (transport string, relay ident.NodeID) {
	w, _ := parse(s.Conn().RemoteMultiaddr())
	return w.name(), w.via
}

// Read reads what the peer wrote.
func (s *Stream) Read(b []byte) (int, error) {
	n, err := s.through().Read(b)
	if s.contact != nil {
		s.contact.in.Add(int64(n))
	}
	if err != nil {
		err = asNet(err)
	}
	return n, err
}

// Write writes to the peer. It counts in small steps, so that a slow link is not taken for
// a dead one.
func (s *Stream) Write(b []byte) (int, error) {
	total := 0
	for {
		n, err := s.through().Write(b[total:min(len(b), total+s.step)])
		total += n
		if s.contact != nil {
			s.contact.out.Add(int64(n))
		}
		if err != nil {
			return total, asNet(err)
		}
		if total >= len(b) {
			return total, nil
		}
	}
}

// through is what reads and writes.
func (s *Stream) through() io.ReadWriter {
	if s.ahead != nil {
		return s.ahead
	}
	return s.Stream
}

// CloseWrite ends what this end writes. What was written before still goes out.
func (s *Stream) CloseWrite() error {
	if s.ahead != nil {
		if err := s.ahead.Flush(); err != nil {
			return asNet(err)
		}
	}
	return s.Stream.CloseWrite()
}

// Close ends both directions. What was written before still goes out, as long as the
// connection stands.
func (s *Stream) Close() error {
	s.once.Do(s.released)
	return s.Stream.Close()
}

// Reset ends both directions at once, and drops what has not gone out.
func (s *Stream) Reset() error {
	s.once.Do(s.released)
	return s.Stream.Reset()
}

// asNet gives the errors of streams the names that users of a net.Conn know.
func asNet(err error) error {
	var late net.Error
	var other multistream.ErrNotSupported[protocol.ID]
	switch {
	case errors.As(err, &other):
		return fmt.Errorf("%w: %s", ErrProtocol, plain(err))
	case errors.As(err, &late) && late.Timeout():
		return fmt.Errorf("overlay: %w", os.ErrDeadlineExceeded)
	case errors.Is(err, network.ErrReset):
		return fmt.Errorf("overlay: %w: %w", net.ErrClosed, err)
	}
	return err
}

// wrap makes a Stream of libp2p's, and counts it as in use until it is closed.
func (h *Host) wrap(s network.Stream, id ident.NodeID) *Stream {
	out := &Stream{Stream: s, peer: id, local: h.id, released: func() {}, step: step(s.Conn())}
	if h.hall.isGuest(s.Conn()) {
		return out
	}
	out.contact = h.contactOf(id)
	h.use(out.contact, id, 1)
	out.released = func() { h.use(out.contact, id, -1) }
	return out
}

// step is what fits into one frame of yamux beside its header, and so fills records of TLS to
// the last byte.
func step(c network.Conn) int {
	var s *session
	if c.As(&s) {
		return s.frame - frameHeader
	}
	return usualFrame - frameHeader
}

// use counts streams; a peer with one is not trimmed away.
func (h *Host) use(c *contact, id ident.NodeID, n int32) {
	count := c.streams.Add(n)
	switch {
	case n > 0 && count == 1:
		h.host.ConnManager().Protect(peerID(id), "streams")
		h.rouse() // it is looked after more closely now
	case n < 0 && count == 0:
		h.host.ConnManager().Unprotect(peerID(id), "streams")
	}
}

// Open opens a stream of a protocol to a known node, connecting if need be. It returns when
// the node has agreed to the protocol.
func (h *Host) Open(ctx context.Context, id ident.NodeID, name string) (*Stream, error) {
	return h.openWith(ctx, id, name, h.open)
}

// Begin is Open that does not wait for the node to agree, which takes a round trip: what is
// written goes out at once, and reading tells ErrProtocol if the node does not.
func (h *Host) Begin(ctx context.Context, id ident.NodeID, name string) (*Stream, error) {
	return h.openWith(ctx, id, name, h.begin)
}

func (h *Host) openWith(ctx context.Context, id ident.NodeID, name string, open func(context.Context, ident.NodeID, string) (*Stream, error)) (*Stream, error) {
	ctx, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	if _, err := h.dial(ctx, id); err != nil {
		return nil, err
	}
	s, err := open(ctx, id, name)
	if err == nil && !h.cfg.Known(id) {
		s.Reset()
		return nil, ErrStranger
	}
	return s, err
}

// OpenLast is Open over the connection that stands, to a node that need not be known any
// more: to tell it so before it is dropped.
func (h *Host) OpenLast(ctx context.Context, id ident.NodeID, name string) (*Stream, error) {
	ctx, cancel := context.WithTimeout(ctx, openTime)
	defer cancel()
	return h.open(ctx, id, name)
}

// start makes a stream over a connection that stands.
func (h *Host) start(ctx context.Context, id ident.NodeID, name string) (network.Stream, error) {
	s, err := h.hall.NewStream(network.WithNoDial(ctx, "dialled"), peerID(id))
	if err != nil {
		return nil, fmt.Errorf("%w: %s", ErrUnreachable, reason(err))
	}
	if err := s.SetProtocol(protocol.ID(name)); err != nil {
		s.Reset()
		return nil, fmt.Errorf("overlay: opening a stream: %w", err)
	}
	return s, nil
}

// begin makes a stream that is used before the peer has agreed to the protocol.
func (h *Host) begin(ctx context.Context, id ident.NodeID, name string) (*Stream, error) {
	s, err := h.start(ctx, id, name)
	if err != nil {
		return nil, err
	}
	out := h.wrap(s, id)
	out.ahead = multistream.NewMSSelect(s, protocol.ID(name))
	return out, nil
}

// open makes a stream to whose protocol the peer has agreed.
func (h *Host) open(ctx context.Context, id ident.NodeID, name string) (*Stream, error) {
	s, err := h.start(ctx, id, name)
	if err != nil {
		return nil, err
	}
	abort := context.AfterFunc(ctx, func() { s.Reset() })
	err = multistream.SelectProtoOrFail(protocol.ID(name), s)
	if !abort() && err == nil {
		err = ctx.Err()
	}
	if err == nil {
		return h.wrap(s, id), nil
	}
	s.Reset()
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return nil, fmt.Errorf("%w: %s: %s", ErrProtocol, name, reason(err))
}

// Handle has f serve a protocol, for known nodes alone. f runs in a goroutine of its own
// and must close the stream.
func (h *Host) Handle(name string, f func(*Stream)) {
	h.host.SetStreamHandler(protocol.ID(name), func(s network.Stream) {
		id, ok := nodeID(s.Conn().RemotePeer())
		if !ok || !h.cfg.Known(id) || h.ctx.Err() != nil {
			s.Reset()
			return
		}
		f(h.wrap(s, id))
	})
}

// HandleAnyone is Handle for nodes that are not known too: the others are guests. The
// stream's end tells who they are, and nothing else is known of them. The guest's stream
// ends when f returns.
func (h *Host) HandleAnyone(name string, f func(*Stream)) {
	h.Handle(name, f)
	h.hall.mux.AddHandler(protocol.ID(name), guestHandler(func(s network.Stream) {
		id, ok := nodeID(s.Conn().RemotePeer())
		if !ok || h.ctx.Err() != nil {
			s.Reset()
			return
		}
		defer s.Close()
		f(h.wrap(s, id))
	}))
	h.hall.mu.Lock()
	h.hall.anyone = true
	h.hall.mu.Unlock()
}

// reason is an error of libp2p in words for people, which tells of every address on a line of
// its own: what became of each way, and where that was so.
func reason(err error) string {
	var d *swarm.DialError
	if !errors.As(err, &d) {
		return plain(err)
	}
	var causes []string
	where := make(map[string][]string)
	add := func(cause, at string) {
		if !slices.Contains(causes, cause) {
			causes = append(causes, cause)
		}
		if at != "" && !slices.Contains(where[cause], at) {
			where[cause] = append(where[cause], at)
		}
	}
	if d.Cause != nil && (len(d.DialErrors) == 0 || !errors.Is(d.Cause, swarm.ErrAllDialsFailed)) {
		add(plain(d.Cause), "")
	}
	for _, t := range d.DialErrors {
		at := ""
		if w, ok := parse(t.Address); ok {
			at = w.at.String()
			if w.relay {
				at = "the relay at " + at
			}
		}
		add(plain(t.Cause), at)
	}
	var parts []string
	for _, c := range causes[:min(len(causes), 4)] {
		if at := where[c]; len(at) > 0 {
			c += " (" + strings.Join(at[:min(len(at), 3)], ", ") + ")"
		}
		parts = append(parts, c)
	}
	return strings.Join(parts, "; ")
}

// plain is the cause of an error in a few words.
func plain(err error) string {
	for _, k := range plainly {
		if errors.Is(err, k.is) {
			return k.text
		}
	}
	return strings.Join(strings.Fields(err.Error()), " ")
}

// plainly has words for what people meet most.
var plainly = []struct {
	is   error
	text string
}{
	{syscall.ECONNREFUSED, "nothing listens there"},
	{syscall.EHOSTUNREACH, "no route leads there"},
	{syscall.ENETUNREACH, "no route leads there"},
	{syscall.ETIMEDOUT, "no answer in time"},
	{context.DeadlineExceeded, "no answer in time"},
	{os.ErrDeadlineExceeded, "no answer in time"},
	{swarm.ErrNoAddresses, "no address of it is known"},
	{swarm.ErrNoGoodAddresses, "none of its known addresses can be used from here"},
	{swarm.ErrGaterDisallowedConnection, "not allowed in this scope"},
	{swarm.ErrDialBackoff, "it was tried a moment ago"},
}
