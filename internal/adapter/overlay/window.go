package overlay

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	muxer "github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-yamux/v5"
)

// Windows of streams: how much a peer may send before we have read it. yamux lets a window
// grow with use, but each time it grows go-yamux (v5.1.0) forgets to tell the peer of what
// was read meanwhile: at most half of the window can be used then, and a stream whose
// window has grown to the bound can stand still forever. So a window is here as large as
// it will be from the first moment: what a line of windowRate needs, by the round trip of
// the handshake, with as much again for what waits behind lost packets. Streams that use
// all of it at once are few; what a peer can make us hold is bounded apart (unread).
const (
	windowRate  = 80e6 // bytes a second
	windowLeast = 1 << 20
	windowMost  = 8 << 20
)

// window is the window for a round trip.
func window(rtt time.Duration) uint32 {
	return uint32(min(max(int64(windowRate*rtt.Seconds()), windowLeast), windowMost))
}

// Bounds of what streams hold that nobody has read. One who sends more is not read from any
// further until something was; what was asked for piece by piece is never so much.
const (
	unreadMost  = 24 << 20  // by one connection
	unreadAll   = 128 << 20 // by all; each may hold unreadLeast nevertheless
	unreadLeast = 1 << 20
	liveStreams = 4 * MaxPeerStreams // that a connection may have; more are an attack
)

// errStreams ends a connection.
var errStreams = errors.New("overlay: too many streams")

// unread counts what the streams of a host hold.
type unread struct {
	mu    sync.Mutex
	less  sync.Cond // something was read, or a connection ended
	total int64
}

func newUnread() *unread {
	u := new(unread)
	u.less.L = &u.mu
	return u
}

// ledger is one connection's part. It reads the frames of yamux as they come.
type ledger struct {
	all     *unread
	streams map[uint32]int64 // unread bytes of those that live
	total   int64
	over    bool
	// Of the frame that comes.
	head [frameHeader]byte
	have int
	id   uint32
	size int64
	left int64
}

// wait waits until more may come.
func (l *ledger) wait() {
	l.all.mu.Lock()
	defer l.all.mu.Unlock()
	for !l.over && l.total > unreadLeast && (l.total > unreadMost || l.all.total > unreadAll) {
		l.all.less.Wait()
	}
}

// came counts what came.
func (l *ledger) came(b []byte) error {
	l.all.mu.Lock()
	defer l.all.mu.Unlock()
	for len(b) > 0 {
		if l.left > 0 {
			n := min(l.left, int64(len(b)))
			l.add(l.id, n)
			l.left -= n
			b = b[n:]
			continue
		}
		n := copy(l.head[l.have:], b)
		b = b[n:]
		if l.have += n; l.have < frameHeader {
			continue
		}
		l.have = 0
		if err := l.frame(); err != nil {
			return err
		}
	}
	return nil
}

// frame looks at a header: version, type, flags, stream, length.
func (l *ledger) frame() error {
	const data, ping, begins = 0, 2, 1
	l.id = binary.BigEndian.Uint32(l.head[4:])
	if l.head[1] == data {
		l.size = int64(binary.BigEndian.Uint32(l.head[8:]))
		l.left = l.size
	}
	if l.head[1] < ping && binary.BigEndian.Uint16(l.head[2:])&begins != 0 {
		return l.begin(l.id)
	}
	return nil
}

func (l *ledger) begin(id uint32) error {
	if len(l.streams) >= liveStreams {
		return errStreams
	}
	if _, ok := l.streams[id]; !ok && !l.over {
		l.streams[id] = 0
	}
	return nil
}

// add counts n more of a stream, or less; of one that has ended nothing is kept.
func (l *ledger) add(id uint32, n int64) {
	had, ok := l.streams[id]
	if !ok {
		return
	}
	n = max(n, -had)
	l.streams[id] = had + n
	l.total += n
	l.all.total += n
	if n < 0 {
		l.all.less.Broadcast()
	}
}

// opened counts a stream of ours.
func (l *ledger) opened(id uint32) {
	l.all.mu.Lock()
	defer l.all.mu.Unlock()
	_ = l.begin(id) // ours are ours to bound
}

// read counts what was read, and tells how much of that stream is still unread, in frames
// that have come whole.
func (l *ledger) read(id uint32, n int) int64 {
	l.all.mu.Lock()
	defer l.all.mu.Unlock()
	l.add(id, -int64(n))
	left := l.streams[id]
	if l.id == id && l.left > 0 {
		left -= l.size - l.left
	}
	return left
}

// ended forgets a stream.
func (l *ledger) ended(id uint32) {
	l.all.mu.Lock()
	defer l.all.mu.Unlock()
	l.add(id, -l.streams[id])
	delete(l.streams, id)
}

// end forgets all.
func (l *ledger) end() {
	l.all.mu.Lock()
	defer l.all.mu.Unlock()
	l.over = true
	l.all.total -= l.total
	l.total = 0
	clear(l.streams)
	l.all.less.Broadcast()
}

// multiplexer is yamux with these windows and this count. The count bounds what is held, so
// that nothing is reserved besides for streams that hold nothing.
type multiplexer struct{ all *unread }

// NewConn begins yamux on a connection of a bulk transport.
func (m multiplexer) NewConn(nc net.Conn, isServer bool, _ network.PeerScope) (network.MuxedConn, error) {
	w, ok := nc.(*whole)
	if !ok {
		return nil, errors.New("overlay: yamux on a connection that is not ours")
	}
	y := *muxer.DefaultTransport
	y.InitialStreamWindowSize = window(w.rtt)
	y.MaxStreamWindowSize, y.MaxMessageSize = y.InitialStreamWindowSize, uint32(frame(w.rtt))
	l := &ledger{all: m.all, streams: make(map[uint32]int64)}
	w.ledger = l
	begin := yamux.Client
	if isServer {
		begin = yamux.Server
	}
	s, err := begin(w, y.Config(), nil)
	if err != nil {
		return nil, err
	}
	return &session{s, l, frame(w.rtt)}, nil
}

// session is a connection with streams.
type session struct {
	*yamux.Session
	ledger *ledger
	frame  int // the largest that is sent
}

// OpenStream opens a stream.
func (s *session) OpenStream(ctx context.Context) (network.MuxedStream, error) {
	y, err := s.Session.OpenStream(ctx)
	if err != nil {
		return nil, named(err)
	}
	s.ledger.opened(y.StreamID())
	return &muxed{y, s.ledger}, nil
}

// AcceptStream waits for one that the peer opens.
func (s *session) AcceptStream() (network.MuxedStream, error) {
	y, err := s.Session.AcceptStream()
	if err != nil {
		return nil, named(err)
	}
	return &muxed{y, s.ledger}, nil
}

// CloseWithError ends all with a reason.
func (s *session) CloseWithError(code network.ConnErrorCode) error {
	return s.Session.CloseWithError(uint32(code))
}

// As gives this session.
func (s *session) As(target any) bool {
	t, ok := target.(**session)
	if ok {
		*t = s
	}
	return ok
}

// muxed is a stream.
type muxed struct {
	*yamux.Stream
	ledger *ledger
}

// Read reads. yamux gives one frame at a time; of those that are here already it takes as
// many as b holds, for who works off what comes does so by the batch.
func (s *muxed) Read(b []byte) (int, error) {
	total := 0
	for {
		n, err := s.Stream.Read(b[total:])
		if n == 0 && total > 0 {
			return total, nil // an error comes again
		}
		left := int64(0)
		if n > 0 {
			left = s.ledger.read(s.StreamID(), n)
		}
		if total += n; err != nil || left <= 0 || total == len(b) {
			return total, named(err)
		}
	}
}

// Write writes.
func (s *muxed) Write(b []byte) (int, error) {
	n, err := s.Stream.Write(b)
	return n, named(err)
}

// Close ends both directions.
func (s *muxed) Close() error {
	defer s.ledger.ended(s.StreamID())
	return s.Stream.Close()
}

// Reset ends both at once.
func (s *muxed) Reset() error {
	defer s.ledger.ended(s.StreamID())
	return s.Stream.Reset()
}

// ResetWithError is Reset with a reason.
func (s *muxed) ResetWithError(code network.StreamErrorCode) error {
	defer s.ledger.ended(s.StreamID())
	return s.Stream.ResetWithError(uint32(code))
}

// named gives yamux's errors libp2p's names.
func named(err error) error {
	var stream *yamux.StreamError
	var away *yamux.GoAwayError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &stream):
		return &network.StreamError{Remote: stream.Remote, ErrorCode: network.StreamErrorCode(stream.ErrorCode), TransportError: err}
	case errors.As(err, &away):
		return &network.ConnError{Remote: away.Remote, ErrorCode: network.ConnErrorCode(away.ErrorCode), TransportError: err}
	case errors.Is(err, yamux.ErrStreamReset):
		return fmt.Errorf("%w: %w", network.ErrReset, err)
	}
	return err
}
