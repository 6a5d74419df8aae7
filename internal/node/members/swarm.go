package members

import (
	"net"
	"net/netip"
	"sync"
)

// maxWaiting is how many sessions wait to be accepted.
const maxWaiting = 64

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

// Accept waits for the next session.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.streams:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// Close ends Accept; sessions that stand are not touched.
func (l *listener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

// Addr is this node's overlay address.
func (l *listener) Addr() net.Addr { return l.at }
