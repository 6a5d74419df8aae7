// Package web gets a .torrent from the web. It keeps to the scope at every step: names,
// addresses and where redirects lead are judged before anything is sent there. It never
// reads what it fetched, and uses no proxy.
package web

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"shoal/internal/door/api"
)

// Bounds of one fetch.
const (
	fetchTime    = time.Minute
	maxRedirects = 5
	tlsTime      = 10 * time.Second
	headerTime   = 30 * time.Second
)

// Client fetches within a scope.
type Client struct {
	Agent  string // what servers are told of this program
	Most   int64  // bytes that are taken
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	Dial   func(ctx context.Context, network, addr string) (net.Conn, error)
	// Allow is an error if an address may not be asked; typed tells that the person wrote it
	// down.
	Allow func(a netip.AddrPort, typed bool) error
}

// Get is what lies at a URL. Errors are those of package api.
func (c *Client) Get(ctx context.Context, from string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, fetchTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err == nil && req.URL.Host == "" {
		err = errors.New("the host is missing")
	}
	if err != nil {
		return nil, api.Errorf(api.Invalid, from, "this is not a URL: %w", err)
	}
	req.Header.Set("User-Agent", c.Agent)
	res, err := c.client(dialled(req.URL)).Do(req)
	if api.KindOf(err) == api.OutOfScope {
		return nil, api.Errorf(api.OutOfScope, from, "the .torrent cannot be fetched: %w", errors.Unwrap(err))
	}
	if err != nil {
		return nil, api.Errorf(api.Unreachable, from, "the .torrent cannot be fetched: %w", errors.Unwrap(err))
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, api.Errorf(api.NotFound, from, "the server answered %s", res.Status)
	}
	var b []byte
	if res.ContentLength <= c.Most {
		b, err = io.ReadAll(io.LimitReader(res.Body, c.Most+1))
	}
	if err != nil {
		return nil, api.Errorf(api.Unreachable, from, "the .torrent did not come whole: %w", err)
	}
	if max(int64(len(b)), res.ContentLength) > c.Most {
		return nil, api.Errorf(api.BadData, from, "this is larger than a .torrent may be (%d MiB)", c.Most>>20)
	}
	return b, nil
}

// dialled is the host and port that a URL leads to.
func dialled(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// client resolves, dials and follows redirects. The person typed the one host and port.
func (c *Client) client(typed string) *http.Client {
	dial := func(ctx context.Context, _, addr string) (net.Conn, error) {
		host, port, err := net.SplitHostPort(addr)
		if err != nil {
			return nil, err
		}
		addrs, err := c.Lookup(ctx, host)
		if err != nil {
			return nil, err
		}
		_, perr := netip.ParseAddr(host)
		return c.dialOne(ctx, host, port, addrs, addr == typed && (perr == nil || host == "localhost"))
	}
	return &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true, TLSHandshakeTimeout: tlsTime,
		ResponseHeaderTimeout: headerTime}, CheckRedirect: func(_ *http.Request, via []*http.Request) error {
		if len(via) >= maxRedirects {
			return errors.New("too many redirects")
		}
		return nil
	}}
}

// dialOne connects to the first of a host's addresses that may be asked and answers.
func (c *Client) dialOne(ctx context.Context, host, port string, addrs []netip.Addr, typed bool) (net.Conn, error) {
	err := fmt.Errorf("%s has no address", host)
	for _, a := range addrs {
		ap, perr := netip.ParseAddrPort(net.JoinHostPort(a.Unmap().String(), port))
		if perr != nil {
			return nil, perr
		}
		if err = c.Allow(ap, typed); err != nil {
			continue
		}
		var nc net.Conn
		if nc, err = c.Dial(ctx, "tcp", ap.String()); err == nil {
			return nc, nil
		}
	}
	return nil, err
}
