package tracker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"syscall"
	"time"
)

const (
	dialTimeout = 10 * time.Second
	maxHeader   = 16 << 10
	maxWire     = MaxBody + 64<<10 // bytes read from a connection, before decompression
)

// announceHTTP announces to the tracker at one of addrs, which are of one family.
func (c *Client) announceHTTP(ctx context.Context, t target, addrs []netip.Addr, r Request) (Response, error) {
	t.url = t.with(r.query())
	body, err := c.get(ctx, t, addrs)
	if err != nil {
		return Response{}, err
	}
	return c.rules().parseAnnounce(body)
}

// scrapeHTTP asks a scrape URL.
func (c *Client) scrapeHTTP(ctx context.Context, t target, addrs []netip.Addr, hashes [][20]byte) ([]ScrapeResult, error) {
	var q []byte
	for i, h := range hashes {
		if i > 0 {
			q = append(q, '&')
		}
		q = escape(append(q, "info_hash="...), h[:])
	}
	t.url = t.with(string(q))
	body, err := c.get(ctx, t, addrs)
	if err != nil {
		return nil, err
	}
	return c.rules().parseScrape(body, hashes)
}

// hop is one request of a chain of redirects: whom it may connect to. dialled is
// where it did. It carries the request's context because an http.Transport detaches
// its dials from that: nobody else could use a connection that comes too late.
type hop struct {
	target
	ctx     context.Context
	addrs   []netip.Addr
	global  bool // an earlier hop was on the Internet: so must this be
	dialled netip.AddrPort
}

// hopKey is the context key under which a request carries its hop to the dialler.
type hopKey struct{}

// get fetches the body at t, following redirects.
func (c *Client) get(ctx context.Context, t target, addrs []netip.Addr) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	h := &hop{target: t, ctx: ctx, addrs: addrs}
	for range MaxRedirects + 1 {
		body, next, err := c.roundTrip(ctx, h)
		if next == nil || err != nil {
			return body, err
		}
		h = next
	}
	return nil, fmt.Errorf("%w: more than %d redirects", ErrAnswer, MaxRedirects)
}

// roundTrip makes one request. It gives the body, or the hop that a redirect leads
// to.
func (c *Client) roundTrip(ctx context.Context, h *hop) ([]byte, *hop, error) {
	req, err := http.NewRequestWithContext(context.WithValue(ctx, hopKey{}, h), http.MethodGet, h.url.String(), nil)
	if err != nil {
		return nil, nil, fmt.Errorf("%w: no request can be made of it", ErrURL)
	}
	req.Header.Set("User-Agent", c.cfg.UserAgent)
	if user := h.url.User; user != nil {
		password, _ := user.Password()
		req.SetBasicAuth(user.Username(), password)
	}
	res, err := c.transport.RoundTrip(req)
	if err != nil {
		return nil, nil, said(h.host, cause(ctx, err))
	}
	defer res.Body.Close()
	switch res.StatusCode {
	case 301, 302, 303, 307, 308:
		next, err := c.redirect(ctx, h, res)
		return nil, next, err
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, MaxBody+1))
	if err != nil {
		return nil, nil, said(h.host, cause(ctx, err))
	}
	if len(body) > MaxBody {
		return nil, nil, fmt.Errorf("%w: more than %d bytes", ErrAnswer, MaxBody)
	}
	if res.StatusCode != http.StatusOK {
		// A refusal may come with a status of its own (BEP 31).
		var f *Failure
		if _, err := c.rules().parseDict(body); errors.As(err, &f) {
			return nil, nil, f
		}
		return nil, nil, fmt.Errorf("%w: HTTP status %d", ErrAnswer, res.StatusCode)
	}
	return body, nil, nil
}

// redirect judges where an answer points: http or https, never from https back to
// http, never from the Internet into a network that isn't, by the same address
// family.
func (c *Client) redirect(ctx context.Context, h *hop, res *http.Response) (*hop, error) {
	loc, err := res.Location()
	if err != nil {
		return nil, fmt.Errorf("%w: a redirect that leads nowhere", ErrAnswer)
	}
	t, err := parseURL(loc.String())
	if err != nil {
		return nil, fmt.Errorf("redirect: %w", err)
	}
	if t.url.Scheme == "udp" || h.url.Scheme == "https" && t.url.Scheme != "https" {
		return nil, fmt.Errorf("%w: a redirect from %s to %s", ErrRefused, h.url.Scheme, t.url.Scheme)
	}
	next := &hop{target: t, ctx: ctx, global: h.global || isGlobal(h.dialled.Addr())}
	families, err := c.lookup(ctx, t)
	if err != nil {
		return nil, fmt.Errorf("redirect: %w", err)
	}
	for _, addrs := range families {
		if addrs[0].Is4() == h.addrs[0].Is4() {
			next.addrs = addrs
		}
	}
	if next.addrs == nil {
		return nil, fmt.Errorf("%w: a redirect to another address family", ErrRefused)
	}
	return next, nil
}

// isGlobal tells whether an address is one of the Internet's.
func isGlobal(ip netip.Addr) bool {
	return ip.IsGlobalUnicast() && !ip.IsPrivate()
}

// newTransport is HTTP/1.1 with a connection for each request, made by dial. TLS
// certificates are always verified.
func (c *Client) newTransport() *http.Transport {
	return &http.Transport{
		DialContext:            c.dial,
		DisableKeepAlives:      true, // minutes lie between announces, and each is to be judged anew
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:    dialTimeout,
		MaxResponseHeaderBytes: maxHeader,
	}
}

// dial connects a request to one of its hop's addresses. The name in the request is
// not looked at: it was resolved and judged before.
func (c *Client) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	h, ok := ctx.Value(hopKey{}).(*hop)
	if !ok {
		return nil, ErrRefused
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(h.ctx, cancel)()
	var failure error
	for _, ip := range h.addrs {
		addr := netip.AddrPortFrom(ip, h.port)
		conn, err := c.dialOne(ctx, network, h, addr)
		if err == nil {
			h.dialled = addr
			return &boundedConn{Conn: conn, left: maxWire}, nil
		}
		if failure == nil {
			failure = err
		}
	}
	return nil, failure
}

// dialOne connects to addr, which is judged once more by what the socket is really
// about to do.
func (c *Client) dialOne(ctx context.Context, network string, h *hop, addr netip.AddrPort) (net.Conn, error) {
	if err := c.judgeHop(h, addr); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if c.cfg.Dial == nil {
		d := net.Dialer{Control: func(_, address string, _ syscall.RawConn) error {
			real, err := netip.ParseAddrPort(address)
			if err != nil {
				return fmt.Errorf("%w: %w", ErrRefused, err)
			}
			return c.judgeHop(h, real)
		}}
		return d.DialContext(ctx, network, addr.String())
	}
	conn, err := c.cfg.Dial(ctx, network, addr.String())
	if err != nil {
		return nil, err
	}
	if real, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		if err := c.judgeHop(h, real.AddrPort()); err != nil {
			conn.Close()
			return nil, err
		}
	}
	return conn, nil
}

func (c *Client) judgeHop(h *hop, addr netip.AddrPort) error {
	if h.global && !isGlobal(addr.Addr().Unmap()) {
		return fmt.Errorf("%w: a redirect from the Internet to %s", ErrRefused, addr)
	}
	return c.judge(h.target, addr)
}

// boundedConn gives up after left bytes were read: a compressed stream may go on
// for ever without yielding a byte.
type boundedConn struct {
	net.Conn
	left int
}

// Read reads, and fails when the bound is used up.
func (b *boundedConn) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("%w: more than %s bytes on the wire", ErrAnswer, strconv.Itoa(maxWire))
	}
	n, err := b.Conn.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}
