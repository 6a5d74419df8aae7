//go:build linux

package clients

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// trackerPort is the port of every tracker here, each on its own address.
const trackerPort = 6969

// Announce is one announce that the tracker got.
type Announce struct {
	InfoHash string // 20 bytes
	PeerID   string // 20 bytes
	Peer     netip.AddrPort
	Event    string // started, completed, stopped or empty
	Left     int64
	Agent    string
}

// Tracker is a small HTTP tracker (BEP 3, 23) for loopback: it believes what it is
// told, forgets nothing but those who stop, and remembers every announce.
type Tracker struct {
	host   string
	server *http.Server

	mu     sync.Mutex
	swarms map[string][]netip.AddrPort
	log    []Announce
	more   chan struct{} // closed and renewed at each announce
}

// StartTracker starts a tracker that ends with the lab.
func StartTracker(l *Lab) (*Tracker, error) {
	t := &Tracker{host: l.Host(), swarms: map[string][]netip.AddrPort{}, more: make(chan struct{})}
	ln, err := net.Listen("tcp", net.JoinHostPort(t.host, strconv.Itoa(trackerPort)))
	if err != nil {
		return nil, fmt.Errorf("clients: tracker: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /announce", t.announce)
	t.server = &http.Server{Handler: mux}
	go func() { _ = t.server.Serve(ln) }() // ends with ErrServerClosed
	l.OnClose(func() { t.server.Close() })
	return t, nil
}

// URL is the announce URL.
func (t *Tracker) URL() string { return fmt.Sprintf("http://%s:%d/announce", t.host, trackerPort) }

// Announces lists what came so far.
func (t *Tracker) Announces() []Announce {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.log)
}

// Await waits until an announce matches, past or future.
func (t *Tracker) Await(ctx context.Context, match func(Announce) bool) error {
	for {
		t.mu.Lock()
		found, more := slices.ContainsFunc(t.log, match), t.more
		t.mu.Unlock()
		if found {
			return nil
		}
		select {
		case <-more:
		case <-ctx.Done():
			return fmt.Errorf("clients: tracker: %w", ctx.Err())
		}
	}
}

// Forget empties all swarms, for programs that were killed before they could say that
// they stop.
func (t *Tracker) Forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.swarms)
	t.log = nil
}

// announce answers one announce with everyone else in the swarm.
func (t *Tracker) announce(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain")
	a, err := parseAnnounce(r)
	if err != nil {
		fmt.Fprintf(w, "d14:failure reason%d:%se", len(err.Error()), err)
		return
	}
	t.mu.Lock()
	t.log = append(t.log, a)
	swarm := slices.DeleteFunc(t.swarms[a.InfoHash], func(p netip.AddrPort) bool { return p == a.Peer })
	var compact []byte
	for _, p := range swarm {
		ip := p.Addr().As4()
		compact = append(compact, ip[:]...)
		compact = append(compact, byte(p.Port()>>8), byte(p.Port()))
	}
	if a.Event != "stopped" {
		swarm = append(swarm, a.Peer)
	}
	t.swarms[a.InfoHash] = swarm
	close(t.more)
	t.more = make(chan struct{})
	t.mu.Unlock()
	var b bytes.Buffer
	fmt.Fprintf(&b, "d8:completei0e10:incompletei%de8:intervali10e12:min intervali2e5:peers%d:%se", len(swarm), len(compact), compact)
	_, _ = w.Write(b.Bytes())
}

// parseAnnounce takes the query apart. The info hash is arbitrary bytes, which
// url.ParseQuery keeps as they are.
func parseAnnounce(r *http.Request) (Announce, error) {
	q, err := url.ParseQuery(strings.ReplaceAll(r.URL.RawQuery, ";", "%3B"))
	if err != nil {
		return Announce{}, err
	}
	a := Announce{InfoHash: q.Get("info_hash"), PeerID: q.Get("peer_id"), Event: q.Get("event"), Agent: r.UserAgent()}
	port, err := strconv.ParseUint(q.Get("port"), 10, 16)
	if err != nil || len(a.InfoHash) != 20 {
		return a, fmt.Errorf("bad announce")
	}
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return a, err
	}
	a.Peer = netip.AddrPortFrom(from.Addr().Unmap(), uint16(port))
	a.Left, err = strconv.ParseInt(q.Get("left"), 10, 64)
	return a, err
}

// OpenTracker is opentracker: HTTP and UDP on one port of an address of its own.
// Debian's build serves only info hashes that it was told of.
type OpenTracker struct {
	host    string
	lab     *Lab
	Process *Process
}

// FindOpenTracker looks whether opentracker is installed.
func FindOpenTracker() error {
	_, err := installed("opentracker")
	if err != nil {
		return fmt.Errorf("clients: opentracker: %w", err)
	}
	return nil
}

// NewOpenTracker gives a tracker its address; its URLs are good from now on.
func NewOpenTracker(l *Lab) *OpenTracker { return &OpenTracker{host: l.Host(), lab: l} }

// Start starts it for some info hashes, in hex (a v2 hash may have all of its 64
// digits); it ends with the lab.
func (t *OpenTracker) Start(ctx context.Context, hashes ...string) error {
	home, err := t.lab.Folder("opentracker")
	if err != nil {
		return err
	}
	var list strings.Builder
	for _, h := range hashes {
		if len(h) >= 40 {
			list.WriteString(h[:40] + "\n")
		}
	}
	if err := os.WriteFile(filepath.Join(home, "hashes"), []byte(list.String()), 0o644); err != nil {
		return fmt.Errorf("clients: opentracker: %w", err)
	}
	port := strconv.Itoa(trackerPort)
	// Started by root it locks itself into its folder, so the list has no path.
	t.Process, err = t.lab.Run(Command{Name: "opentracker", Path: "opentracker",
		Args: []string{"-i", t.host, "-p", port, "-P", port, "-d", home, "-w", "hashes"}, Dir: home, Logs: home})
	if err != nil {
		return err
	}
	if err := listening(ctx, t.Process, net.JoinHostPort(t.host, port)); err != nil || list.Len() == 0 {
		return err
	}
	return t.serves(ctx, list.String()[:40])
}

// serves waits until it has read its list, which it does beside listening: until then it
// refuses every hash. A peer that came and left is not there afterwards.
func (t *OpenTracker) serves(ctx context.Context, hash string) error {
	raw, err := hex.DecodeString(hash)
	if err != nil {
		return fmt.Errorf("clients: opentracker: info hash: %w", err)
	}
	say := func(event string) (bool, error) {
		at := fmt.Sprintf("%s?info_hash=%s&peer_id=-XX0000-comesandgoes&port=1&left=0&compact=1&event=%s", t.HTTP(), strings.ReplaceAll(url.QueryEscape(string(raw)), "+", "%20"), event)
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, at, nil)
		if err != nil {
			return false, err
		}
		res, err := local.Do(req)
		if err != nil {
			return false, err
		}
		defer res.Body.Close()
		answer, err := io.ReadAll(io.LimitReader(res.Body, 1<<16))
		return err == nil && !bytes.Contains(answer, []byte("failure reason")), err
	}
	if err := await(ctx, 10*time.Millisecond, "opentracker's list", func() (bool, error) { return say("started") }); err != nil {
		return err
	}
	_, err = say("stopped")
	return err
}

// HTTP is the announce URL over HTTP.
func (t *OpenTracker) HTTP() string {
	return fmt.Sprintf("http://%s:%d/announce", t.host, trackerPort)
}

// UDP is the announce URL over UDP.
func (t *OpenTracker) UDP() string {
	return fmt.Sprintf("udp://%s:%d/announce", t.host, trackerPort)
}
