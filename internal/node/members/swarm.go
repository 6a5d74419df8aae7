package members

import (
	"context"
	"net"
	"net/netip"
	"sync"

	"shoal/internal/adapter/overlay"
	"shoal/internal/core/ident"
)

// maxWaiting is how many sessions wait to be accepted.
const maxWaiting = 64

// Dial opens a session of the swarm protocol with the member that has this overlay address,
// connecting if need be. Errors: ErrNobody, overlay.ErrUnreachable; of reading, overlay.ErrProtocol.
func (s *Service) Dial(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	id, ok := s.groups.NodeAt(to.Addr())
	if !ok {
		return nil, ErrNobody
	}
	st, err := s.open(ctx, id, SwarmProtocol)
	if err != nil {
		return nil, err // not a nil *Stream in an interface
	}
	return st, nil
}

// open opens a stream to a member, by all addresses that are known of it.
func (s *Service) open(ctx context.Context, id ident.NodeID, protocol string) (*overlay.Stream, error) {
	if err := s.Ready(ctx); err != nil {
		return nil, err
	}
	s.renewed(ctx, id)
	dialling, connected, over := s.until(ctx, id)
	defer over()
	if !connected {
		s.host.Learn(id, s.vouch(s.where(dialling, id)))
	}
	st, err := s.host.Begin(dialling, id, protocol)
	if err != nil && dialling.Err() != nil && ctx.Err() == nil { // it came to us first
		return s.host.Begin(ctx, id, protocol)
	}
	return st, err
}

// listener yields streams that members opened.
type listener struct {
	at      net.Addr
	streams chan net.Conn
	done    chan struct{}
	once    sync.Once
}

func newListener(at netip.AddrPort) *listener {
	return &listener{at: net.TCPAddrFromAddrPort(at), streams: make(chan net.Conn, maxWaiting), done: make(chan struct{})}
}

// take puts a session before whoever accepts. One too many is ended.
func (l *listener) take(st *overlay.Stream) {
	select {
	case <-l.done:
		st.Reset()
		return
	default:
	}
	select {
	case l.streams <- st:
	default:
		st.Reset()
	}
}

// Accept waits for the next session.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case <-l.done:
		return nil, net.ErrClosed
	default:
	}
	select {
	case c := <-l.streams:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close ends Accept and the sessions that nobody has accepted; others are not touched.
func (l *listener) Close() error {
	l.once.Do(func() { close(l.done) })
	for {
		select {
		case c := <-l.streams:
			c.Close()
		default:
			return nil
		}
	}
}

// Addr is this node's overlay address.
func (l *listener) Addr() net.Addr { return l.at }
