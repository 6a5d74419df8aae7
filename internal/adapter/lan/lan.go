package lan

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	lookEvery = 2 * time.Second // how often the interfaces are looked at
	perSecond = 25              // packets that are read of each of the four sockets
)

// Config says what to announce and where.
type Config struct {
	Port uint16 // at which peers and nodes reach this one, over TCP and UDP; not 0
	// Tags gives what this node is called by multicast DNS, where strangers listen: tags that
	// mean something to members of its groups alone. Sixteen count. While there are none
	// nothing is said by it and nothing is asked. It is asked every two seconds; a change is
	// told at once. Nil: no multicast DNS.
	Tags func() [][8]byte

	// Interfaces gives those that may be used; of them loopback, and what can't do
	// multicast, are left out, and all after the sixteenth. Nil: all of the machine.
	// It is asked every two seconds.
	Interfaces func() ([]net.Interface, error)
	// Addrs gives the addresses of an interface that the node uses, with their
	// subnets. Nil: all of the interface.
	Addrs func(net.Interface) ([]netip.Prefix, error)
	// Allow says why an address is out of scope. It is asked about own addresses (with
	// Port), so that nothing is sent from one that the scope forbids, and about all that
	// is found. Nil: everything is allowed.
	Allow func(netip.AddrPort) error
	// Found is told of what was found; the same find at most once a minute. It must not
	// block.
	Found func(Found)

	Rand *rand.Rand       // used by the goroutine of this package alone; nil: seeded by the system
	Now  func() time.Time // nil: time.Now
}

// Found is an address at which somebody near says to be: with a share of ours
// (InfoHash, by BEP 14), or as a node (Tags, by multicast DNS). Either is a claim. The
// address is that of the packet, so that nobody can speak for another host; a link-local
// IPv6 address has its zone.
type Found struct {
	Addr     netip.AddrPort
	InfoHash [20]byte  // v1, or v2 cut to 20 bytes; zero for a node
	Tags     [][8]byte // nil for a share; at most sixteen
}

// Tag is what one group knows a node by on a local network.
type Tag = [8]byte

// Stats counts since Start.
type Stats struct {
	Links     int   // interfaces in use now
	Sent      int64 // packets of both kinds
	SentBytes int64
	Unsent    int64 // that the system refused to send
	Received  int64 // packets that were read, our own among them
	Refused   int64 // of them: malformed, from elsewhere, to another group
	Found     int64
	Err       error // what could not be opened or looked at; nil when all is well
}

// LAN speaks on the local networks between Start and Close. Its methods may be called
// from any goroutine.
type LAN struct {
	cfg  Config
	wake chan struct{}
	in   chan packet

	mu     sync.Mutex
	shares []hash // of the last Announce; nil once taken
	news   bool
	openAs error // of Start
	lookAs error // of the last look

	links, sent, sentBytes, unsent, received, refused, found atomic.Int64

	socks  [protocols][families]*socket // nil: could not be opened
	cancel context.CancelFunc
	done   sync.WaitGroup
}

// ErrConfig says that a Config lacks a port, or someone to tell.
var ErrConfig = errors.New("lan: no port, or nobody to tell")

// New judges a configuration. Nothing is opened before Start.
func New(cfg Config) (*LAN, error) {
	if cfg.Port == 0 || cfg.Found == nil {
		return nil, ErrConfig
	}
	if cfg.Interfaces == nil {
		cfg.Interfaces = net.Interfaces
	}
	if cfg.Addrs == nil {
		cfg.Addrs = prefixesOf
	}
	if cfg.Allow == nil {
		cfg.Allow = func(netip.AddrPort) error { return nil }
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Rand == nil {
		var seed [32]byte
		crand.Read(seed[:])
		cfg.Rand = rand.New(rand.NewChaCha8(seed))
	}
	return &LAN{cfg: cfg, wake: make(chan struct{}, 1), in: make(chan packet, 16)}, nil
}

// Start opens the sockets and begins; the end of ctx is a Close that nobody waits for.
// Where only a part can be opened it goes on with that, and Stats tells what is missing;
// an error means that there is nothing at all. It is called once.
func (l *LAN) Start(ctx context.Context) error {
	ctx, l.cancel = context.WithCancel(ctx)
	var errs []error
	opened := 0
	for p := range protocols {
		for f := range families {
			if p == mdns && l.cfg.Tags == nil {
				continue
			}
			s, err := openSocket(channel{p, f})
			if err != nil {
				errs = append(errs, err)
				continue
			}
			l.socks[p][f] = s
			opened++
		}
	}
	l.openAs = errors.Join(errs...)
	if opened == 0 {
		l.cancel()
		return fmt.Errorf("lan: nothing could be opened: %w", l.openAs)
	}
	for _, family := range l.socks {
		for _, s := range family {
			if s != nil {
				l.done.Go(func() { l.read(ctx, s) })
			}
		}
	}
	l.done.Go(func() { l.run(ctx) })
	return nil
}

// Close says goodbye, stops and waits for that. Found is not called after it.
func (l *LAN) Close() error {
	if l.cancel != nil {
		l.cancel()
	}
	l.done.Wait()
	return nil
}

// Announce gives the whole list of shares that are announced from now on: their info
// hashes of v1, or of v2 cut to 20 bytes. It replaces the list before; new ones are
// announced at once. Only public shares may stand in it. The first 20,000 count.
func (l *LAN) Announce(infoHashes [][20]byte) {
	l.mu.Lock()
	l.shares, l.news = slices.Clone(infoHashes), true
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// Stats counts what was sent and heard.
func (l *LAN) Stats() Stats {
	l.mu.Lock()
	err := errors.Join(l.openAs, l.lookAs)
	l.mu.Unlock()
	return Stats{Links: int(l.links.Load()), Sent: l.sent.Load(), SentBytes: l.sentBytes.Load(), Unsent: l.unsent.Load(),
		Received: l.received.Load(), Refused: l.refused.Load(), Found: l.found.Load(), Err: err}
}

// run owns the station.
func (l *LAN) run(ctx context.Context) {
	s := newStation(l.cfg.Port, l.cfg.Rand)
	timer := time.NewTimer(0)
	defer timer.Stop()
	var lookAt time.Time
	for {
		now := l.cfg.Now()
		if !now.Before(lookAt) {
			if l.cfg.Tags != nil {
				l.send(s.retag(now, l.cfg.Tags()), func(packet) {})
			}
			l.look(now, s)
			lookAt = now.Add(lookEvery)
		}
		if shares, news := l.takeNews(); news {
			s.announce(now, shares)
		}
		l.send(s.send(now), func(p packet) { s.refused(now, p) })
		next := lookAt
		if at := s.nextWake(now); !at.IsZero() && at.Before(next) {
			next = at
		}
		timer.Reset(max(next.Sub(now), time.Millisecond))
		select {
		case <-ctx.Done():
			l.end(s)
			return
		case <-l.wake:
		case <-timer.C:
		case p := <-l.in:
			l.receive(l.cfg.Now(), s, p)
		}
	}
}

// takeNews is the list of the last Announce, once.
func (l *LAN) takeNews() ([]hash, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	shares, news := l.shares, l.news
	l.shares, l.news = nil, false
	return shares, news
}

// look finds the links as they are now and joins the groups there. What could not be
// joined is tried again at the next look.
func (l *LAN) look(now time.Time, s *station) {
	ifaces, err := l.cfg.Interfaces()
	if err == nil {
		links := look(ifaces, l.cfg.Addrs, func(a netip.Addr) bool {
			return l.cfg.Allow(netip.AddrPortFrom(a, l.cfg.Port)) == nil
		})
		changed, gone := s.relink(now, links)
		for _, link := range slices.Concat(changed, gone) {
			l.eachSocket(func(sock *socket) { sock.leave(link.index) })
		}
		for _, p := range s.posts {
			l.eachSocket(func(sock *socket) {
				if p.source(sock.family).IsValid() {
					err = errors.Join(err, sock.join(p.index))
				}
			})
		}
		l.links.Store(int64(len(links)))
	}
	l.mu.Lock()
	l.lookAs = err
	l.mu.Unlock()
}

// send sends packets; the station hears of those that the system refuses.
func (l *LAN) send(packets []packet, refused func(packet)) {
	for _, p := range packets {
		sock := l.socks[p.channel.protocol][p.channel.family]
		if sock == nil {
			continue
		}
		if err := sock.write(p); err != nil {
			l.unsent.Add(1)
			refused(p)
			continue
		}
		l.sent.Add(1)
		l.sentBytes.Add(int64(len(p.bytes)))
	}
}

// receive hands a packet to the station and tells what it brought.
func (l *LAN) receive(now time.Time, s *station, p packet) {
	finds, ok := s.receive(now, p)
	if !ok {
		l.refused.Add(1)
	}
	for _, f := range finds {
		if l.cfg.Allow(f.Addr) == nil {
			l.found.Add(1)
			l.cfg.Found(f)
		}
	}
}

// end says goodbye and closes the sockets, which ends their readers.
func (l *LAN) end(s *station) {
	l.send(s.farewell(), func(packet) {})
	l.eachSocket(func(sock *socket) { sock.conn.Close() })
}

// read takes the packets of a socket, no more than perSecond: what is over stays with the
// system, which drops it.
func (l *LAN) read(ctx context.Context, sock *socket) {
	buf := make([]byte, maxMDNS+1)
	pause := time.NewTimer(0)
	defer pause.Stop()
	<-pause.C
	began, n := time.Now(), 0
	for {
		if since := time.Since(began); since >= time.Second {
			began, n = began.Add(since), 0
		} else if n == perSecond {
			pause.Reset(time.Second - since)
			select {
			case <-ctx.Done():
				return
			case <-pause.C:
			}
			continue
		}
		n++
		p, err := sock.read(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		l.received.Add(1)
		if err != nil {
			l.refused.Add(1)
			continue
		}
		select {
		case l.in <- p:
		case <-ctx.Done():
			return
		}
	}
}

func (l *LAN) eachSocket(f func(*socket)) {
	for _, family := range l.socks {
		for _, s := range family {
			if s != nil {
				f(s)
			}
		}
	}
}
