package tracker

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"
)

const (
	connectionLife = time.Minute      // how long a connection id is used (BEP 15)
	firstWait      = 15 * time.Second // before the first retransmission; it doubles (BEP 15 "Time outs")
	maxWaits       = 4                // n from 0 to 3: BEP 15 goes on to 8, which is more than two hours
	maxCalls       = 1024             // requests under way on a socket
	maxConnections = 512              // connection ids that are kept
	maxReadErrors  = 16               // in a row; then a socket is given up
)

// announceUDP announces to the tracker at the first of addrs: silence is no quick
// failure that would leave time for another.
func (c *Client) announceUDP(ctx context.Context, t target, addrs []netip.Addr, r Request) (Response, error) {
	path := t.url.EscapedPath()
	if t.url.RawQuery != "" {
		path += "?" + t.url.RawQuery
	}
	answer, err := c.callUDP(ctx, t, addrs[0], actionAnnounce, func(connection uint64, transaction uint32) []byte {
		return appendAnnounce(nil, connection, transaction, r, path)
	})
	if err != nil {
		return Response{}, err
	}
	return c.rules().parseUDPAnnounce(answer, addrs[0].BitLen()/8)
}

// scrapeUDP asks for the counts of at most maxScrape hashes.
func (c *Client) scrapeUDP(ctx context.Context, t target, addrs []netip.Addr, hashes [][20]byte) ([]ScrapeResult, error) {
	answer, err := c.callUDP(ctx, t, addrs[0], actionScrape, func(connection uint64, transaction uint32) []byte {
		return appendScrape(nil, connection, transaction, hashes)
	})
	if err != nil {
		return nil, err
	}
	return parseUDPScrape(answer, hashes)
}

// callUDP makes one request: a connection id first, where none is fresh, then the
// request, each sent again after 15·2^n s (BEP 15). The count n goes on over both.
// A tracker that refuses a connection id kept from before is asked for a new one
// once.
func (c *Client) callUDP(ctx context.Context, t target, ip netip.Addr, action uint32, build func(connection uint64, transaction uint32) []byte) ([]byte, error) {
	s, err := c.socket(ip)
	if err != nil {
		return nil, said(t.host, err)
	}
	addr := netip.AddrPortFrom(ip, t.port)
	for n, fresh := 0, false; n < maxWaits; {
		id, ok := s.connection(addr, time.Now())
		if !ok {
			answer, err := s.ask(ctx, addr, actionConnect, wait(n), func(transaction uint32) []byte {
				return appendConnect(nil, transaction)
			})
			if errors.Is(err, errSilent) {
				n++
				continue
			}
			if err != nil {
				return nil, said(t.host, err)
			}
			if id, err = parseConnect(answer); err != nil {
				return nil, err
			}
			s.remember(addr, id, time.Now())
			fresh = true
		}
		answer, err := s.ask(ctx, addr, action, wait(n), func(transaction uint32) []byte { return build(id, transaction) })
		if errors.Is(err, errSilent) {
			n++
			continue
		}
		if err != nil {
			return nil, said(t.host, err)
		}
		if parseError(answer) != nil && !fresh {
			fresh = true
			s.forget(addr)
			continue
		}
		return answer, nil
	}
	return nil, fmt.Errorf("%w from %s, asked %d times", ErrNoAnswer, addr, maxWaits)
}

// wait is how long the n-th request of a call waits for its answer.
func wait(n int) time.Duration { return firstWait << n }

// udpSocket is the socket of one address family, shared by all requests: connection
// ids are bound to its address. One goroutine reads it.
type udpSocket struct {
	pc net.PacketConn

	mu          sync.Mutex
	calls       map[uint32]*udpCall // by transaction id
	connections map[netip.AddrPort]udpConnection
	failed      error // set when the reader has ended
}

// udpCall is a request that waits for its answer.
type udpCall struct {
	addr   netip.AddrPort
	action uint32
	answer chan []byte // holds one; closed when the reader ends
}

type udpConnection struct {
	id   uint64
	till time.Time
}

// errSilent means that a request's time is over.
var errSilent = errors.New("silent")

// socket gives the socket for an address family, opened when first needed or after
// it had failed.
func (c *Client) socket(ip netip.Addr) (*udpSocket, error) {
	network := "udp6"
	if ip.Is4() {
		network = "udp4"
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, ErrClosed
	}
	if s := c.sockets[network]; s != nil && s.err() == nil {
		return s, nil
	}
	pc, err := c.cfg.ListenPacket(network)
	if err != nil {
		return nil, err
	}
	s := &udpSocket{pc: pc, calls: map[uint32]*udpCall{}, connections: map[netip.AddrPort]udpConnection{}}
	c.sockets[network] = s
	c.readers.Go(s.read)
	return s, nil
}

func (s *udpSocket) err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

// read hands each packet to the call that it answers, by sender and transaction id,
// until the socket is closed. Everything else is dropped.
func (s *udpSocket) read() {
	buf := make([]byte, 64<<10)
	reason := ErrClosed
	for failures := 0; failures < maxReadErrors; {
		n, from, err := s.pc.ReadFrom(buf)
		if errors.Is(err, net.ErrClosed) {
			break
		}
		if err != nil {
			// Some systems report another's unreachable port here.
			if failures++; failures == maxReadErrors {
				reason = err
			}
			continue
		}
		failures = 0
		if u, ok := from.(*net.UDPAddr); ok {
			s.deliver(buf[:n], u.AddrPort())
		}
	}
	s.pc.Close()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed = reason
	for id, call := range s.calls {
		close(call.answer)
		delete(s.calls, id)
	}
}

// deliver gives a packet to its call, which then is over.
func (s *udpSocket) deliver(b []byte, from netip.AddrPort) {
	_, transaction, ok := packetHead(b)
	if !ok {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	call := s.calls[transaction]
	if call == nil || call.addr != netip.AddrPortFrom(from.Addr().Unmap(), from.Port()) || !answersTo(b, call.action) {
		return
	}
	call.answer <- append([]byte(nil), b...)
	delete(s.calls, transaction)
}

// ask sends a packet and waits for its answer. build makes it of a transaction id
// that nobody can guess.
func (s *udpSocket) ask(ctx context.Context, addr netip.AddrPort, action uint32, patience time.Duration, build func(transaction uint32) []byte) ([]byte, error) {
	call := &udpCall{addr: addr, action: action, answer: make(chan []byte, 1)}
	transaction, err := s.begin(call)
	if err != nil {
		return nil, err
	}
	defer s.end(transaction)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if _, err := s.pc.WriteTo(build(transaction), net.UDPAddrFromAddrPort(addr)); err != nil {
		return nil, err
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case answer, ok := <-call.answer:
		if !ok {
			return nil, s.err()
		}
		return answer, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-timer.C:
		return nil, errSilent
	}
}

// begin enters a call under a new transaction id.
func (s *udpSocket) begin(call *udpCall) (uint32, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed != nil {
		return 0, s.failed
	}
	if len(s.calls) >= maxCalls {
		return 0, ErrBusy
	}
	for {
		var b [4]byte
		rand.Read(b[:])
		id := binary.BigEndian.Uint32(b[:])
		if _, taken := s.calls[id]; !taken {
			s.calls[id] = call
			return id, nil
		}
	}
}

func (s *udpSocket) end(transaction uint32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.calls, transaction)
}

// connection is the connection id that a tracker gave less than a minute ago.
func (s *udpSocket) connection(addr netip.AddrPort, now time.Time) (uint64, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.connections[addr]
	return c.id, ok && now.Before(c.till)
}

// remember keeps a connection id for a minute. Where there are too many, those that
// are over go, and then any.
func (s *udpSocket) remember(addr netip.AddrPort, id uint64, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.connections) >= maxConnections {
		for a, c := range s.connections {
			if !now.Before(c.till) {
				delete(s.connections, a)
			}
		}
	}
	for a := range s.connections {
		if len(s.connections) < maxConnections {
			break
		}
		delete(s.connections, a)
	}
	s.connections[addr] = udpConnection{id, now.Add(connectionLife)}
}

func (s *udpSocket) forget(addr netip.AddrPort) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.connections, addr)
}
