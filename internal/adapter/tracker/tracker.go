// Package tracker asks BitTorrent trackers for peers: over HTTP and HTTPS
// (BEP 3, 7, 23, 31), over UDP (BEP 15, 41), scrapes included (BEP 48), and keeps
// the order of several trackers (BEP 12).
//
// Everything that a tracker says is a stranger's word: sizes are bounded before
// anything is kept, texts are made printable, waiting times are clamped, and no
// address is returned or contacted, the tracker's own included, that
// Config.Allow refuses. Names are resolved once and the address is pinned, and it
// is judged again when the socket is made, so that a name cannot change its
// meaning in between. Proxies named by the environment are never used: they would
// dial in our place.
//
// The package decides no schedule: when to announce, whom to ask next after a
// failure, and how often to retry is for its caller. The formats are in
// docs/formats/tracker.md.
package tracker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// Limits on what a tracker may make us do.
const (
	// MaxPeers is the largest number of peers taken from one announce.
	MaxPeers = 3000
	// MaxBody is the largest HTTP answer in bytes, after decompression.
	MaxBody = 4 << 20
	// MaxRedirects is how many redirects one request may follow.
	MaxRedirects = 5
	// MaxText is the longest text of a tracker that is kept, in bytes.
	MaxText = 200

	maxTrackerID = 256 // bytes of a tracker id that are sent back
	maxURL       = 2048
	maxAddrs     = 4 // addresses of one family that are tried for a name
)

// The defaults of Config.
const (
	DefaultTimeout     = 30 * time.Second
	DefaultMinInterval = 60 * time.Second
	DefaultMaxInterval = 24 * time.Hour

	unsaidInterval = 30 * time.Minute // an answer without interval
	familyGrace    = 5 * time.Second  // the other address family's time after the first has answered
)

var (
	// ErrURL means that an announce URL is not one this client will use.
	ErrURL = errors.New("tracker: unusable URL")
	// ErrRefused means that the scope forbids the tracker's address.
	ErrRefused = errors.New("tracker: address not allowed")
	// ErrAnswer means that the tracker's answer makes no sense or is too large.
	ErrAnswer = errors.New("tracker: bad answer")
	// ErrNoAnswer means that a UDP tracker was asked as often as BEP 15 allows
	// here, and was silent.
	ErrNoAnswer = errors.New("tracker: no answer")
	// ErrNoScrape means that the URL's form says there is no scrape (BEP 48).
	ErrNoScrape = errors.New("tracker: no scrape for this URL")
	// ErrBusy means that too many UDP requests are under way.
	ErrBusy = errors.New("tracker: too many requests under way")
	// ErrClosed means that the client was closed.
	ErrClosed = errors.New("tracker: closed")
)

// Failure is a tracker's own refusal: "failure reason" (BEP 3) or an error packet
// (BEP 15).
type Failure struct {
	Reason  string        // the tracker's words, printable, at most MaxText bytes
	RetryIn time.Duration // when to come back (BEP 31); 0: it didn't say
	Never   bool          // don't come back (BEP 31 "never")
}

// Error gives the tracker's words.
func (f *Failure) Error() string { return "tracker: refused: " + f.Reason }

// Config is what a Client is made of. Only Allow is needed.
type Config struct {
	// Allow is the scope: nil for an address that may be contacted or handed on.
	// It is asked for every peer, and for the tracker's address before and while
	// dialling. Without it nothing is allowed.
	Allow func(netip.AddrPort) error

	// UserAgent is sent to HTTP trackers. Default: none.
	UserAgent string

	// Dial makes TCP connections to a literal address that was allowed; the
	// connection's remote address is judged again. Default: a plain net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)

	// ListenPacket opens the UDP socket, network "udp4" or "udp6". Default: any
	// free port of every interface.
	ListenPacket func(network string) (net.PacketConn, error)

	// Resolve looks a host name up. Default: the system's resolver.
	Resolve func(ctx context.Context, host string) ([]netip.Addr, error)

	// Timeout bounds one HTTP request with all its redirects. It is also the
	// bound on a trickling answer. Default 30 s.
	Timeout time.Duration

	// MinInterval and MaxInterval clamp what a tracker may ask us to wait.
	// Defaults 60 s and 24 h.
	MinInterval, MaxInterval time.Duration
}

// Client asks trackers. It is safe for concurrent use.
type Client struct {
	cfg       Config
	transport *http.Transport
	life      context.Context
	end       context.CancelFunc

	mu      sync.Mutex
	closed  bool
	sockets map[string]*udpSocket // by network
	readers sync.WaitGroup
}

// New makes a client. It opens nothing until it is used.
func New(cfg Config) *Client {
	if cfg.Allow == nil {
		cfg.Allow = func(netip.AddrPort) error { return errors.New("no scope is set") }
	}
	if cfg.ListenPacket == nil {
		cfg.ListenPacket = func(network string) (net.PacketConn, error) { return net.ListenPacket(network, ":0") }
	}
	if cfg.Resolve == nil {
		cfg.Resolve = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	if cfg.Timeout <= 0 {
		cfg.Timeout = DefaultTimeout
	}
	if cfg.MinInterval <= 0 {
		cfg.MinInterval = DefaultMinInterval
	}
	if cfg.MaxInterval <= 0 {
		cfg.MaxInterval = DefaultMaxInterval
	}
	cfg.MaxInterval = max(cfg.MaxInterval, cfg.MinInterval)
	c := &Client{cfg: cfg, sockets: map[string]*udpSocket{}}
	c.life, c.end = context.WithCancel(context.Background())
	c.transport = c.newTransport()
	return c
}

// Close ends every request under way with ErrClosed and closes the sockets.
func (c *Client) Close() error {
	c.mu.Lock()
	c.closed = true
	c.end()
	for _, s := range c.sockets {
		s.pc.Close()
	}
	c.mu.Unlock()
	c.transport.CloseIdleConnections()
	c.readers.Wait()
	return nil
}

// begin ties ctx to the client's life. The returned function must be called.
func (c *Client) begin(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(c.life, func() { cancel(ErrClosed) })
	return ctx, func() { stop(); cancel(nil) }
}

// Event is why an announce is made (BEP 3); the values are those of BEP 15.
type Event uint32

// The events. None is the regular announce, Paused that of a peer that wants no more of a
// share than the part it has (BEP 21); over UDP, which has no word for that, it is None.
const (
	None      Event = 0
	Completed Event = 1
	Started   Event = 2
	Stopped   Event = 3
	Paused    Event = 4
)

var eventNames = [...]string{None: "", Completed: "completed", Started: "started", Stopped: "stopped", Paused: "paused"}

// String is the event's name in a query, empty for None.
func (e Event) String() string {
	if int(e) < len(eventNames) {
		return eventNames[e]
	}
	return fmt.Sprintf("event %d", uint32(e))
}

// Request is an announce (BEP 3 "trackers").
type Request struct {
	InfoHash   [20]byte // SHA-1, or truncated SHA-256 (BEP 52)
	PeerID     [20]byte
	Port       uint16 // where we listen
	Uploaded   int64  // bytes
	Downloaded int64  // bytes
	Left       int64  // bytes still missing
	Event      Event
	NumWant    int    // peers wanted; 0 leaves it to the tracker, less than 0 asks for none, as Stopped does
	Key        uint32 // keeps our addresses together (BEP 7): random, the same for a share while the node runs
	TrackerID  string // of an earlier Response of the same tracker
}

// Response is the answer to an announce.
type Response struct {
	Interval    time.Duration // to the next regular announce, clamped
	MinInterval time.Duration // to the next announce at all, clamped, at most Interval
	Seeders     int           // -1: it didn't say
	Leechers    int           // -1: it didn't say
	Peers       []netip.AddrPort
	Warning     string // the tracker's words, printable, at most MaxText bytes
	TrackerID   string // to be sent with the next announce; data
}

// ScrapeResult are a tracker's counts for one info hash.
type ScrapeResult struct {
	InfoHash  [20]byte
	Known     bool // the tracker spoke of it
	Seeders   int
	Leechers  int
	Completed int // downloads ever finished
}

// Announce tells the tracker at url about us and asks for peers. A name with both
// IPv4 and IPv6 addresses is asked over both at once (BEP 7), and the answers are
// joined; one answer is enough. Errors are a *Failure, one of this package's, or
// those of the network and of ctx.
func (c *Client) Announce(ctx context.Context, url string, r Request) (Response, error) {
	ctx, done := c.begin(ctx)
	defer done()
	t, err := parseURL(url)
	if err != nil {
		return Response{}, err
	}
	families, err := c.lookup(ctx, t)
	if err != nil {
		return Response{}, err
	}
	ask := c.announceHTTP
	if t.url.Scheme == "udp" {
		ask = c.announceUDP
	}
	answers, err := collect(ctx, families, familyGrace, func(ctx context.Context, addrs []netip.Addr) (Response, error) {
		return ask(ctx, t, addrs, r)
	})
	if err != nil {
		return Response{}, err
	}
	return join(answers), nil
}

// Scrape asks for the counts of hashes, whose order the results keep. Where the
// tracker has addresses of both families, the first to answer counts.
func (c *Client) Scrape(ctx context.Context, url string, hashes [][20]byte) ([]ScrapeResult, error) {
	ctx, done := c.begin(ctx)
	defer done()
	t, err := parseURL(url)
	if err != nil {
		return nil, err
	}
	ask := c.scrapeUDP
	if t.url.Scheme != "udp" {
		ask = c.scrapeHTTP
		if t, err = t.scrape(); err != nil {
			return nil, err
		}
	}
	families, err := c.lookup(ctx, t)
	if err != nil {
		return nil, err
	}
	results := make([]ScrapeResult, 0, len(hashes))
	for len(hashes) > 0 {
		some := hashes[:min(len(hashes), maxScrape)]
		hashes = hashes[len(some):]
		answers, err := collect(ctx, families, 0, func(ctx context.Context, addrs []netip.Addr) ([]ScrapeResult, error) {
			return ask(ctx, t, addrs, some)
		})
		if err != nil {
			return nil, err
		}
		results = append(results, answers[0]...)
	}
	return results, nil
}

// collect asks once for each address family at the same time. When the first has
// answered, the others have grace left. It returns the answers, or the first error
// if there is none.
func collect[T any](ctx context.Context, families [][]netip.Addr, grace time.Duration, ask func(context.Context, []netip.Addr) (T, error)) ([]T, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		answer T
		err    error
	}
	results := make(chan result, len(families))
	for _, addrs := range families {
		go func() {
			answer, err := ask(ctx, addrs)
			results <- result{answer, err}
		}()
	}
	var answers []T
	var failure error
	for range families {
		r := <-results
		if r.err != nil {
			failure = cmpError(failure, r.err)
			continue
		}
		if answers = append(answers, r.answer); len(answers) == 1 {
			timer := time.AfterFunc(grace, cancel)
			defer timer.Stop()
		}
	}
	if len(answers) == 0 {
		return nil, failure
	}
	return answers, nil
}

// cmpError chooses which of two families' errors to tell: the tracker's own words
// say more than a network that isn't there.
func cmpError(first, second error) error {
	var f *Failure
	if first == nil || errors.As(second, &f) && !errors.As(first, &f) {
		return second
	}
	return first
}

// join makes one response of those of the address families.
func join(answers []Response) Response {
	all := answers[0]
	seen := make(map[netip.AddrPort]bool, len(all.Peers))
	for _, p := range all.Peers {
		seen[p] = true
	}
	for _, r := range answers[1:] {
		all.Interval = max(all.Interval, r.Interval)
		all.MinInterval = max(all.MinInterval, r.MinInterval)
		all.Seeders = max(all.Seeders, r.Seeders)
		all.Leechers = max(all.Leechers, r.Leechers)
		for _, p := range r.Peers {
			if !seen[p] && len(all.Peers) < MaxPeers {
				seen[p] = true
				all.Peers = append(all.Peers, p)
			}
		}
		if all.Warning == "" {
			all.Warning = r.Warning
		}
		if all.TrackerID == "" {
			all.TrackerID = r.TrackerID
		}
	}
	return all
}
