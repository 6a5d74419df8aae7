package oneport

import (
	"io"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Bounds of the connections that have not said yet for whom they are.
const (
	// GreetingTime is how long one may take.
	GreetingTime = 10 * time.Second
	// MaxWaiting is how many may wait at once; one more drops the one that waits longest of
	// the address that most of them come from.
	MaxWaiting = 128
)

// TCP tells the connections of one listener apart.
type TCP struct {
	socket   *net.TCPListener
	overlay  *side
	torrents *side

	mu      sync.Mutex
	waiting []*net.TCPConn // the oldest first
	open    int            // sides that are not closed
	done    chan struct{}
	over    sync.WaitGroup
}

// SplitTCP takes a listener over. It is closed by Close, or when both sides are.
func SplitTCP(l *net.TCPListener) *TCP {
	t := &TCP{socket: l, open: 2, done: make(chan struct{})}
	t.overlay = &side{of: t, ready: make(chan *conn), closed: make(chan struct{})}
	t.torrents = &side{of: t, ready: make(chan *conn), closed: make(chan struct{})}
	t.over.Add(1)
	go t.accept()
	return t
}

// Overlay is where the connections of the overlay arrive.
func (t *TCP) Overlay() net.Listener { return t.overlay }

// BitTorrent is where all others arrive. Its connections are *net.TCPConn beneath, with all
// that those can do.
func (t *TCP) BitTorrent() net.Listener { return t.torrents }

// Close ends both sides and waits for all goroutines. Connections that were accepted live on.
func (t *TCP) Close() error {
	t.overlay.Close()
	t.torrents.Close()
	t.over.Wait()
	return nil
}

// shut closes the socket and what waits. It is called once, when the last side closed.
func (t *TCP) shut() {
	close(t.done)
	t.socket.Close()
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.waiting {
		c.Close()
	}
}

func (t *TCP) accept() {
	defer t.over.Done()
	for {
		c, err := t.socket.AcceptTCP()
		if err == nil {
			if t.enter(c) {
				t.over.Add(1)
				go t.judge(c)
			}
			continue
		}
		// Out of descriptors, or a connection that ended at once: not a reason to spin.
		select {
		case <-t.done:
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// enter lets a connection wait; false if the port is closed.
func (t *TCP) enter(c *net.TCPConn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	select {
	case <-t.done:
		c.Close()
		return false
	default:
	}
	if len(t.waiting) >= MaxWaiting {
		i := longest(t.waiting)
		t.waiting[i].Close()
		t.waiting = slices.Delete(t.waiting, i, i+1)
	}
	t.waiting = append(t.waiting, c)
	return true
}

// longest is the first of those from the address, or the /64 of IPv6, that most come from.
func longest(waiting []*net.TCPConn) (first int) {
	count := make(map[netip.Prefix]int)
	sources := make([]netip.Prefix, len(waiting))
	for i, c := range waiting {
		a := c.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()
		sources[i], _ = a.Prefix(min(64, a.BitLen())) // fits every address
		count[sources[i]]++
	}
	for i, s := range sources {
		if count[s] > count[sources[first]] {
			first = i
		}
	}
	return first
}

// leave ends the waiting of a connection; false if it had been dropped, or had left.
func (t *TCP) leave(c *net.TCPConn) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.Index(t.waiting, c)
	if i >= 0 {
		t.waiting = slices.Delete(t.waiting, i, i+1)
	}
	return i >= 0
}

// judge reads as much of a connection as is needed and hands it over. The time for both is
// GreetingTime: a side that does not accept is no reason to hold connections.
func (t *TCP) judge(c *net.TCPConn) {
	defer t.over.Done()
	limit := time.NewTimer(GreetingTime)
	defer limit.Stop()
	if head, kind := readGreeting(c); kind != Undecided {
		s := t.torrents
		if kind == Overlay {
			s = t.overlay
		}
		select {
		case s.ready <- &conn{TCPConn: c, head: head}: // it waits until it is accepted
			return
		case <-s.closed:
		case <-limit.C:
		}
	}
	t.leave(c)
	c.Close()
}

// readGreeting reads until the bytes decide; Undecided is a connection that ended, or took
// too long.
func readGreeting(c *net.TCPConn) ([]byte, Kind) {
	if c.SetReadDeadline(time.Now().Add(GreetingTime)) != nil {
		return nil, Undecided
	}
	head := make([]byte, 0, GreetingLen)
	for {
		n, err := c.Read(head[len(head):GreetingLen])
		head = head[:len(head)+n]
		kind := ByGreeting(head)
		if n == 0 || kind == Undecided {
			if err != nil {
				return nil, Undecided
			}
			continue
		}
		if c.SetReadDeadline(time.Time{}) != nil {
			return nil, Undecided
		}
		return head, kind
	}
}

// side is one of the two listeners.
type side struct {
	of     *TCP
	ready  chan *conn
	once   sync.Once
	closed chan struct{}
}

// Accept waits for the next connection of this side. What it returns waits no more, so that it
// is not dropped for others that come.
func (s *side) Accept() (net.Conn, error) {
	for {
		select {
		case c := <-s.ready:
			if s.of.leave(c.TCPConn) {
				return c, nil
			}
		case <-s.closed:
			return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: s.Addr(), Err: net.ErrClosed}
		}
	}
}

// Close ends this side: what arrives for it is closed from now on.
func (s *side) Close() error {
	s.once.Do(func() {
		close(s.closed)
		s.of.mu.Lock()
		s.of.open--
		last := s.of.open == 0
		s.of.mu.Unlock()
		if last {
			s.of.shut()
		}
	})
	return nil
}

// Addr is the address of the port.
func (s *side) Addr() net.Addr { return s.of.socket.Addr() }

// conn is a connection whose first bytes have been read. Everything else, writing many
// buffers in one call too, is the system's connection's own.
type conn struct {
	*net.TCPConn
	head []byte
}

// Read gives the first bytes back before it reads on.
func (c *conn) Read(p []byte) (int, error) {
	if len(c.head) > 0 {
		n := copy(p, c.head)
		c.head = c.head[n:]
		return n, nil
	}
	return c.TCPConn.Read(p)
}

// WriteTo is what io.Copy calls: it must not pass over the first bytes.
func (c *conn) WriteTo(w io.Writer) (int64, error) {
	var head int64
	if len(c.head) > 0 {
		n, err := w.Write(c.head)
		c.head = c.head[n:]
		if err != nil {
			return int64(n), err
		}
		head = int64(n)
	}
	n, err := c.TCPConn.WriteTo(w)
	return head + n, err
}
