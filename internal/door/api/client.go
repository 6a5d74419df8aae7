package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Client calls the API of one node. It is safe for concurrent use.
type Client struct {
	http  *http.Client
	base  string
	token string
}

// NewSocketClient is a client over the home's socket.
func NewSocketClient(path string) *Client {
	var d net.Dialer
	t := &http.Transport{
		DialContext:     func(ctx context.Context, _, _ string) (net.Conn, error) { return d.DialContext(ctx, "unix", path) },
		MaxIdleConns:    4,
		IdleConnTimeout: 30 * time.Second,
	}
	return &Client{http: &http.Client{Transport: t}, base: "http://shoal"}
}

// NewTokenClient is a client over loopback TCP, such as http://127.0.0.1:7462.
func NewTokenClient(base, token string) *Client {
	t := &http.Transport{MaxIdleConns: 4, IdleConnTimeout: 30 * time.Second} // no Proxy: loopback only
	return &Client{http: &http.Client{Transport: t}, base: strings.TrimSuffix(base, "/"), token: token}
}

// Close gives idle connections up.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// maxAnswer bounds what is read of one answer: the detail of a share of 200,000
// files is the largest.
const maxAnswer = 256 << 20

// List is every share.
func (c *Client) List(ctx context.Context) ([]Share, error) {
	return get[[]Share](ctx, c, "/shares")
}

// Share is one share at this moment; x is a name or a prefix of an info hash.
func (c *Client) Share(ctx context.Context, x string) (Share, error) {
	return get[Share](ctx, c, sharePath(x, ""))
}

// Detail is everything about one share.
func (c *Client) Detail(ctx context.Context, x string) (Detail, error) {
	return get[Detail](ctx, c, sharePath(x, "/detail"))
}

// Add fetches a share.
func (c *Client) Add(ctx context.Context, r AddRequest) (Share, error) {
	return send[Share](ctx, c, http.MethodPost, "/shares", r)
}

// Publish shares a file or folder in place; progress may be nil.
func (c *Client) Publish(ctx context.Context, r CreateRequest, progress func(Progress)) (Created, error) {
	return long[Created](ctx, c, "/publish", r, progress)
}

// Verify hashes a share again; progress may be nil.
func (c *Client) Verify(ctx context.Context, x string, progress func(Progress)) (Verified, error) {
	return long[Verified](ctx, c, sharePath(x, "/verify"), nil, progress)
}

// Change pauses, resumes, and so on.
func (c *Client) Change(ctx context.Context, x string, change ShareChange) (Share, error) {
	return send[Share](ctx, c, http.MethodPatch, sharePath(x, ""), change)
}

// Remove forgets a share; with data it deletes what was fetched.
func (c *Client) Remove(ctx context.Context, x string, data bool) (Removed, error) {
	return send[Removed](ctx, c, http.MethodDelete, sharePath(x, "")+"?data="+strconv.FormatBool(data), nil)
}

// Torrent is the .torrent of a share.
func (c *Client) Torrent(ctx context.Context, x string) ([]byte, error) {
	resp, err := c.call(ctx, http.MethodGet, sharePath(x, "/torrent"), nil, "")
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	return readAnswer(resp.Body)
}

// Limits are the bandwidth limits of a share, or of the node for an empty x.
func (c *Client) Limits(ctx context.Context, x string) (Limits, error) {
	return get[Limits](ctx, c, limitsPath(x))
}

// SetLimits changes the bandwidth limits of a share, or of the node.
func (c *Client) SetLimits(ctx context.Context, x string, change LimitChange) (Limits, error) {
	return send[Limits](ctx, c, http.MethodPatch, limitsPath(x), change)
}

// Status is what the node does.
func (c *Client) Status(ctx context.Context) (Status, error) { return get[Status](ctx, c, "/status") }

// Health says whether the node is well; a node that is not is no error.
func (c *Client) Health(ctx context.Context) (Health, error) {
	h, err := get[Health](ctx, c, "/health")
	if e := (*notWell)(nil); errors.As(err, &e) {
		return e.health, nil
	}
	return h, err
}

// notWell carries the answer of a node whose health is bad.
type notWell struct {
	error
	health Health
}

// Watch calls each with every event that passes the filter until ctx ends (nil is
// returned), the node goes, or each returns an error (which is returned).
func (c *Client) Watch(ctx context.Context, f Filter, each func(Event) error) error {
	q := url.Values{}
	if f.Share != "" {
		q.Set("share", f.Share)
	}
	if f.Progress > 0 {
		q.Set("progress", strconv.FormatFloat(f.Progress.Seconds(), 'f', -1, 64))
	}
	resp, err := c.call(ctx, http.MethodGet, "/events?"+q.Encode(), nil, eventStream)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if f.Begun != nil {
		if err := f.Begun(); err != nil {
			return err
		}
	}
	var said error // what each returned wins over how the stream ended
	err = readEvents(resp.Body, func(name string, data []byte) error {
		var e Event
		if e, said = DecodeEvent(name, data); said == nil {
			said = each(e)
		}
		return said
	})
	if said == nil && ctx.Err() != nil {
		return nil
	}
	return err
}

// Filter says what a watcher wants to hear of.
type Filter struct {
	Share    string        // only this one; it begins with how the share is now
	Progress time.Duration // between two progress events; 0: none
	// Begun, if not nil, is called once, when no event is missed any more and before the
	// first one; its error ends the watch.
	Begun func() error
}

const eventStream = "text/event-stream"

func sharePath(x, rest string) string { return "/shares/" + url.PathEscape(x) + rest }

func limitsPath(x string) string {
	if x == "" {
		return "/limits"
	}
	return sharePath(x, "/limits")
}

func get[T any](ctx context.Context, c *Client, path string) (T, error) {
	return send[T](ctx, c, http.MethodGet, path, nil)
}

// send makes one call whose answer is JSON.
func send[T any](ctx context.Context, c *Client, method, path string, body any) (T, error) {
	var out T
	resp, err := c.call(ctx, method, path, body, "application/json")
	if err != nil {
		return out, err
	}
	defer resp.Body.Close()
	b, err := readAnswer(resp.Body)
	if err != nil {
		return out, err
	}
	if err := json.Unmarshal(b, &out); err != nil {
		return out, fmt.Errorf("api: answer of %s %s: %w", method, path, err)
	}
	return out, nil
}

// long makes one call that tells of its progress.
func long[T any](ctx context.Context, c *Client, path string, body any, progress func(Progress)) (T, error) {
	var out T
	resp, err := c.call(ctx, http.MethodPost, path, body, eventStream)
	if err != nil {
		return out, err
	}
	defer resp.Body.Close()
	finished := errors.New("finished")
	err = readEvents(resp.Body, func(name string, data []byte) error {
		switch name {
		case EventHashing:
			var h Hashing
			if err := json.Unmarshal(data, &h); err != nil {
				return err
			}
			if progress != nil {
				progress(h.Progress)
			}
		case EventProblem:
			var p Problem
			if err := json.Unmarshal(data, &p); err != nil {
				return err
			}
			return p.Err()
		case EventResult:
			if err := json.Unmarshal(data, &out); err != nil {
				return err
			}
			return finished
		}
		return nil
	})
	switch {
	case errors.Is(err, finished):
		return out, nil
	case ctx.Err() != nil:
		return out, ctx.Err()
	case err == nil:
		return out, gone(io.ErrUnexpectedEOF)
	}
	return out, err
}

// call sends a request and returns an answer of success; a problem becomes an
// *Error.
func (c *Client) call(ctx context.Context, method, path string, body any, accept string) (*http.Response, error) {
	var r io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("api: request: %w", err)
		}
		r = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+Prefix+path, r)
	if err != nil {
		return nil, fmt.Errorf("api: request: %w", err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if accept != "" {
		req.Header.Set("Accept", accept)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, gone(err)
	}
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, failure(resp)
}

// failure is the error that an answer tells of.
func failure(resp *http.Response) error {
	b, err := readAnswer(resp.Body)
	if err != nil {
		return err
	}
	var p Problem
	if json.Unmarshal(b, &p) == nil && p.Type != "" {
		return p.Err()
	}
	var h Health
	if json.Unmarshal(b, &h) == nil && h.Reasons != nil {
		return &notWell{error: Errorf(Unavailable, "", "%s", strings.Join(h.Reasons, "; ")), health: h}
	}
	return Errorf(Internal, "", "the node answered %s", resp.Status)
}

// gone is the error of a node that can't be reached or went away.
func gone(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	return Errorf(Unavailable, "", "the node cannot be reached or went away: %w", err).Try("see whether it still runs: shoal status")
}

func readAnswer(r io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxAnswer+1))
	if err != nil {
		return nil, gone(err)
	}
	if len(b) > maxAnswer {
		return nil, Errorf(TooLarge, "", "the node's answer is larger than %d MiB", maxAnswer>>20)
	}
	return b, nil
}

// maxEvent bounds one event.
const maxEvent = 16 << 20

// readEvents reads a stream of server-sent events as this node writes them: one
// event line, one data line, an empty line; comments begin with a colon. It
// returns each's error, or nil at the end of the stream.
func readEvents(r io.Reader, each func(name string, data []byte) error) error {
	sc := bufio.NewScanner(r)
	sc.Buffer(make([]byte, 0, 16<<10), maxEvent)
	name, data := "", []byte(nil)
	for sc.Scan() {
		line := sc.Bytes()
		field, value, _ := bytes.Cut(line, []byte(": "))
		switch {
		case len(line) == 0:
			if name != "" && data != nil {
				if err := each(name, data); err != nil {
					return err
				}
			}
			name, data = "", nil
		case string(field) == "event":
			name = string(value)
		case string(field) == "data":
			data = bytes.Clone(value)
		}
	}
	if err := sc.Err(); err != nil {
		return gone(err)
	}
	return nil
}
