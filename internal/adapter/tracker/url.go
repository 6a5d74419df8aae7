package tracker

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// target is a tracker's URL, judged.
type target struct {
	url  *url.URL
	host string // name or literal address
	port uint16
}

// CheckURL judges the announce URL of a tracker without asking anybody; see ErrURL.
func CheckURL(s string) error {
	_, err := parseURL(s)
	return err
}

// parseURL judges an announce URL: http, https or udp, a host of plain ASCII that
// is no internationalised name (look-alikes), a port where there is no default.
func parseURL(s string) (target, error) {
	bad := func(why string) (target, error) {
		return target{}, fmt.Errorf("%w: %s", ErrURL, why)
	}
	if len(s) > maxURL {
		return bad("longer than " + strconv.Itoa(maxURL) + " bytes")
	}
	u, err := url.Parse(s)
	if err != nil {
		return bad("it cannot be parsed") // the parser's words would repeat it, pass keys and all
	}
	u.Scheme = strings.ToLower(u.Scheme)
	ports := map[string]uint16{"http": 80, "https": 443, "udp": 0}
	port, ok := ports[u.Scheme]
	if !ok {
		return bad("the scheme is not http, https or udp")
	}
	host := strings.ToLower(u.Hostname())
	if host == "" || len(host) > 255 || u.Opaque != "" {
		return bad("there is no host")
	}
	for label := range strings.SplitSeq(host, ".") {
		if strings.HasPrefix(label, "xn--") {
			return bad("internationalised host names are not used")
		}
	}
	for _, c := range []byte(host) {
		if c <= ' ' || c >= 0x7f {
			return bad("the host name is not plain ASCII")
		}
	}
	if p := u.Port(); p != "" {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil {
			return bad("the port is not a number up to 65535")
		}
		port = uint16(n)
	}
	if port == 0 {
		return bad("there is no port")
	}
	u.Fragment, u.RawFragment = "", ""
	return target{u, host, port}, nil
}

// scrape is the scrape URL of an announce URL: the last component of the path
// begins with "announce", which "scrape" replaces (BEP 48).
func (t target) scrape() (target, error) {
	path := t.url.EscapedPath()
	slash := strings.LastIndexByte(path, '/')
	rest, ok := strings.CutPrefix(path[slash+1:], "announce")
	if slash < 0 || !ok {
		return target{}, ErrNoScrape
	}
	u := *t.url
	raw := path[:slash+1] + "scrape" + rest
	plain, err := url.PathUnescape(raw)
	if err != nil {
		return target{}, ErrNoScrape
	}
	u.Path, u.RawPath = plain, raw
	return target{&u, t.host, t.port}, nil
}

// with is the URL with more parameters added to its query.
func (t target) with(query string) *url.URL {
	u := *t.url
	if u.RawQuery != "" && !strings.HasSuffix(u.RawQuery, "&") {
		u.RawQuery += "&"
	}
	u.RawQuery += query
	return &u
}

// judge tells whether the tracker may be contacted at addr: the scope allows it,
// and a program on this machine is not asked for anything but what trackers are
// asked for, lest a URL from a stranger pull some other service's trigger.
func (c *Client) judge(t target, addr netip.AddrPort) error {
	ip := addr.Addr().Unmap()
	if err := c.cfg.Allow(netip.AddrPortFrom(ip, addr.Port())); err != nil {
		return fmt.Errorf("%w: %s: %w", ErrRefused, addr, err)
	}
	if ip.IsLoopback() && t.url.Scheme != "udp" && t.url.Path != "/announce" && t.url.Path != "/scrape" {
		return fmt.Errorf("%w: %s: a tracker on this machine is asked at /announce and /scrape only", ErrRefused, addr)
	}
	return nil
}

// lookup finds the tracker's addresses that may be contacted, one list for each
// address family that has any. From here on only these addresses are used.
func (c *Client) lookup(ctx context.Context, t target) ([][]netip.Addr, error) {
	var addrs []netip.Addr
	if ip, err := netip.ParseAddr(t.host); err == nil {
		addrs = []netip.Addr{ip}
	} else if addrs, err = c.cfg.Resolve(ctx, t.host); err != nil {
		return nil, said(t.host, cause(ctx, err))
	}
	var v4, v6 []netip.Addr
	var refusal error
	for _, ip := range addrs {
		ip = ip.Unmap()
		if err := c.judge(t, netip.AddrPortFrom(ip, t.port)); err != nil {
			refusal = err
			continue
		}
		family := &v6
		if ip.Is4() {
			family = &v4
		}
		if len(*family) < maxAddrs && !slices.Contains(*family, ip) {
			*family = append(*family, ip)
		}
	}
	var families [][]netip.Addr
	for _, f := range [][]netip.Addr{v4, v6} {
		if len(f) > 0 {
			families = append(families, f)
		}
	}
	if families == nil {
		if refusal == nil {
			refusal = said(t.host, &net.DNSError{Err: "no address", IsNotFound: true})
		}
		return nil, refusal
	}
	return families, nil
}

// escape writes raw bytes into a query: all but the unreserved characters become
// %XX (BEP 3: "will almost certainly have to be escaped"; RFC 3986 §2.3).
func escape(dst []byte, raw []byte) []byte {
	const digits = "0123456789ABCDEF"
	for _, c := range raw {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("-._~", c) >= 0 {
			dst = append(dst, c)
		} else {
			dst = append(dst, '%', digits[c>>4], digits[c&15])
		}
	}
	return dst
}

// query is an announce as query parameters (BEP 3, 7, 23).
func (r Request) query() string {
	q := escape([]byte("info_hash="), r.InfoHash[:])
	q = escape(append(q, "&peer_id="...), r.PeerID[:])
	q = strconv.AppendUint(append(q, "&port="...), uint64(r.Port), 10)
	q = strconv.AppendInt(append(q, "&uploaded="...), r.Uploaded, 10)
	q = strconv.AppendInt(append(q, "&downloaded="...), r.Downloaded, 10)
	q = strconv.AppendInt(append(q, "&left="...), r.Left, 10)
	if r.Event != None {
		q = escape(append(q, "&event="...), []byte(r.Event.String()))
	}
	if n := r.numWant(); n >= 0 {
		q = strconv.AppendInt(append(q, "&numwant="...), int64(n), 10)
	}
	q = fmt.Appendf(q, "&key=%08x&compact=1&no_peer_id=1", r.Key)
	if r.TrackerID != "" {
		q = escape(append(q, "&trackerid="...), []byte(r.TrackerID))
	}
	return string(q)
}

// numWant is the number of peers to ask for: -1 leaves it to the tracker.
func (r Request) numWant() int32 {
	switch {
	case r.Event == Stopped || r.NumWant < 0:
		return 0
	case r.NumWant == 0:
		return -1
	}
	return int32(min(r.NumWant, MaxPeers))
}
