package tracker

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// loopback is the scope of the tests.
func loopback(a netip.AddrPort) error {
	if !a.Addr().IsLoopback() {
		return errors.New("not on this machine")
	}
	return nil
}

func anywhere(netip.AddrPort) error { return nil }

func newClient(t testing.TB, cfg Config) *Client {
	t.Helper()
	if cfg.Allow == nil {
		cfg.Allow = loopback
	}
	c := New(cfg)
	t.Cleanup(func() { c.Close() })
	return c
}

// serve runs an HTTP tracker and gives its announce URL.
func serve(t testing.TB, handler http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return s.URL + "/announce"
}

// say answers every request with body.
func say(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, body) }
}

var testRequest = Request{
	InfoHash: [20]byte{0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde, 0xf1, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0x12, 0x34, 0x56, 0x78, 0x9a},
	PeerID:   [20]byte([]byte("-SL0100-0~._+ &=%\x00\xff/")),
	Port:     7463, Uploaded: 1, Downloaded: 22, Left: 333, Event: Started, NumWant: 50, Key: 0xbeef,
}

// testQuery is testRequest by hand. The info hash is the well-known example of how
// one is escaped.
const testQuery = "info_hash=%124Vx%9A%BC%DE%F1%23Eg%89%AB%CD%EF%124Vx%9A" +
	"&peer_id=-SL0100-0~._%2B%20%26%3D%25%00%FF%2F&port=7463&uploaded=1&downloaded=22&left=333" +
	"&event=started&numwant=50&key=0000beef&compact=1&no_peer_id=1"

func TestAnnounceQuery(t *testing.T) {
	change := func(f func(*Request)) Request { r := testRequest; f(&r); return r }
	for _, test := range []struct {
		name, suffix string
		r            Request
		want         string
	}{
		{"started", "", testRequest, "/announce?" + testQuery},
		{"query kept", "?passkey=a%2fb", testRequest, "/announce?passkey=a%2fb&" + testQuery},
		{"empty query", "?", testRequest, "/announce?" + testQuery},
		{"regular", "", change(func(r *Request) { r.Event = None }), "/announce?" + strings.Replace(testQuery, "&event=started", "", 1)},
		{"tracker's number of peers", "", change(func(r *Request) { r.NumWant = 0 }), "/announce?" + strings.Replace(testQuery, "&numwant=50", "", 1)},
		{"no peers", "", change(func(r *Request) { r.NumWant = -1 }), "/announce?" + strings.Replace(testQuery, "numwant=50", "numwant=0", 1)},
		{"stopped", "", change(func(r *Request) { r.Event = Stopped }),
			"/announce?" + strings.Replace(strings.Replace(testQuery, "started", "stopped", 1), "numwant=50", "numwant=0", 1)},
		{"completed", "", change(func(r *Request) { r.Event = Completed }), "/announce?" + strings.Replace(testQuery, "started", "completed", 1)},
		{"partial seed", "", change(func(r *Request) { r.Event = Paused }), "/announce?" + strings.Replace(testQuery, "started", "paused", 1)},
		{"tracker id", "", change(func(r *Request) { r.TrackerID = "a b" }), "/announce?" + testQuery + "&trackerid=a%20b"},
	} {
		t.Run(test.name, func(t *testing.T) {
			var uri, agent string
			u := serve(t, func(w http.ResponseWriter, r *http.Request) {
				uri, agent = r.RequestURI, r.UserAgent()
				io.WriteString(w, "d8:intervali1800e5:peers0:e")
			})
			res, err := newClient(t, Config{UserAgent: "shoal/0.1"}).Announce(t.Context(), u+test.suffix, test.r)
			if err != nil || res.Interval != 30*time.Minute {
				t.Fatal(res, err)
			}
			if uri != test.want || agent != "shoal/0.1" {
				t.Errorf("asked  %s\nwanted %s (%s)", uri, test.want, agent)
			}
		})
	}
}

// A refusal is told in the tracker's words, whatever the status (BEP 3, BEP 31).
func TestFailure(t *testing.T) {
	for _, status := range []int{200, 400, 403, 503} {
		u := serve(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			io.WriteString(w, "d14:failure reason16:not\x1b[31m a\nlist!8:retry in5:nevere")
		})
		_, err := newClient(t, Config{}).Announce(t.Context(), u, testRequest)
		var f *Failure
		if !errors.As(err, &f) || f.Reason != "not [31m a list!" || !f.Never {
			t.Errorf("status %d: %v", status, err)
		}
	}
}

func TestNonsense(t *testing.T) {
	for _, test := range []struct {
		name   string
		answer http.HandlerFunc
	}{
		{"nothing", say("")},
		{"a page", say("<html>hello</html>")},
		{"a list", say("le")},
		{"half a dictionary", say("d8:intervali1800e")},
		{"more after it", say("d8:intervali1800e5:peers0:ex")},
		{"half a peer", say("d8:intervali1800e5:peers5:aaaaae")},
		{"not found", http.NotFound},
		{"no content", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }},
		{"deep", say(strings.Repeat("l", 100000))},
		{"too large", func(w http.ResponseWriter, _ *http.Request) { w.Write(make([]byte, MaxBody+1)) }},
		{"redirect to nowhere", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(302) }},
	} {
		_, err := newClient(t, Config{}).Announce(t.Context(), serve(t, test.answer), testRequest)
		if !errors.Is(err, ErrAnswer) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

// What is no HTTP at all is an error whose text can be shown.
func TestNotHTTP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(conn, "\x1b[2J\x00\u202ebeep\r\n\r\n")
			conn.Close()
		}
	}()
	_, err = newClient(t, Config{}).Announce(t.Context(), "http://"+l.Addr().String()+"/announce", testRequest)
	if err == nil {
		t.Fatal("no error")
	}
	for _, r := range err.Error() {
		if r < ' ' || r == '\u202e' {
			t.Errorf("%q is not fit to be shown", err)
		}
	}
}

func gzipped(write func(io.Writer)) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		write(z)
		z.Close()
	}
}

func TestGzip(t *testing.T) {
	u := serve(t, gzipped(func(w io.Writer) { io.WriteString(w, "d8:intervali120e5:peers6:\x7f\x00\x00\x01\x00\x50e") }))
	res, err := newClient(t, Config{}).Announce(t.Context(), u, testRequest)
	if err != nil || res.Interval != 2*time.Minute || len(res.Peers) != 1 {
		t.Errorf("%+v, %v", res, err)
	}
}

// A bomb is given up at the cap, and so is a stream that never yields a byte.
func TestGzipBomb(t *testing.T) {
	bomb := serve(t, gzipped(func(w io.Writer) {
		zeros := make([]byte, 1<<20)
		for range 64 {
			if _, err := w.Write(zeros); err != nil {
				return
			}
		}
	}))
	if _, err := newClient(t, Config{}).Announce(t.Context(), bomb, testRequest); !errors.Is(err, ErrAnswer) {
		t.Errorf("bomb: %v", err)
	}

	var empty bytes.Buffer
	gzip.NewWriter(&empty).Close() // an empty member; they may be chained without end
	block := bytes.Repeat(empty.Bytes(), 10000)
	var sent atomic.Int64
	drone := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		for {
			n, err := w.Write(block)
			sent.Add(int64(n))
			if err != nil {
				return
			}
		}
	})
	if _, err := newClient(t, Config{}).Announce(t.Context(), drone, testRequest); !errors.Is(err, ErrAnswer) {
		t.Errorf("endless empty members: %v", err)
	}
	if n := sent.Load(); n > 64<<20 {
		t.Errorf("%d bytes were taken", n)
	}
}

// A tracker that never answers is left when the caller, the time-out or Close says
// so.
func TestNeverAnswers(t *testing.T) {
	asked := make(chan bool, 10)
	release := make(chan bool)
	u := serve(t, func(_ http.ResponseWriter, _ *http.Request) { asked <- true; <-release })
	defer close(release)

	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	if _, err := newClient(t, Config{}).Announce(ctx, u, testRequest); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}

	c := newClient(t, Config{Timeout: time.Millisecond})
	if _, err := c.Announce(t.Context(), u, testRequest); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("timed out: %v", err)
	}
	for len(asked) > 0 {
		<-asked
	}

	c = newClient(t, Config{})
	go func() { <-asked; c.Close() }()
	if _, err := c.Announce(t.Context(), u, testRequest); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	if _, err := c.Announce(t.Context(), u, testRequest); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// A body that trickles is cut off by the time-out, too.
func TestTrickle(t *testing.T) {
	release := make(chan bool)
	defer close(release)
	u := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "d8:interval")
		w.(http.Flusher).Flush()
		<-release
	})
	if _, err := newClient(t, Config{Timeout: 50 * time.Millisecond}).Announce(t.Context(), u, testRequest); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

func TestRedirects(t *testing.T) {
	var hops atomic.Int64
	mux := http.NewServeMux()
	s := httptest.NewServer(mux)
	defer s.Close()
	to := func(where string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			hops.Add(1)
			http.Redirect(w, r, where, http.StatusFound)
		}
	}
	var location atomic.Value
	mux.HandleFunc("/scrape", say("d8:intervali60e5:peers0:e"))
	mux.HandleFunc("/announce", func(w http.ResponseWriter, r *http.Request) {
		if left := r.URL.Query().Get("left_hops"); left != "" && left != "0" {
			to(fmt.Sprintf("/announce?left_hops=%c", left[0]-1))(w, r)
		} else if left == "0" {
			io.WriteString(w, "d8:intervali60e5:peers0:e")
		} else {
			to(location.Load().(string))(w, r)
		}
	})
	for _, test := range []struct {
		location string
		want     error
		hops     int64
	}{
		{"/scrape", nil, 1},
		{s.URL + "/scrape", nil, 1},
		{"/announce?left_hops=4", nil, 5},       // 5 redirects in all
		{"/announce?left_hops=5", ErrAnswer, 6}, // one too many
		{"/announce", ErrAnswer, 6},             // a loop
		{"/secret", ErrRefused, 1},              // another service of this machine
		{"http://192.0.2.1/announce", ErrRefused, 1},
		{"http://[::ffff:192.0.2.1]/announce", ErrRefused, 1},
		{"udp://127.0.0.1:80/announce", ErrRefused, 1},
		{"file:///etc/passwd", ErrURL, 1},
		{"gopher://127.0.0.1:80/announce", ErrURL, 1},
	} {
		hops.Store(0)
		location.Store(test.location)
		_, err := newClient(t, Config{}).Announce(t.Context(), s.URL+"/announce", testRequest)
		if !errors.Is(err, test.want) || hops.Load() != test.hops {
			t.Errorf("%s: %v after %d hops", test.location, err, hops.Load())
		}
	}
}

// elsewhere is a connection that says it leads to another address.
type elsewhere struct {
	net.Conn
	addr string
}

func (e elsewhere) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort(e.addr))
}

// pretend is a Dial under which every address leads to the test's server.
func pretend(server string) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, server)
		return elsewhere{conn, addr}, err
	}
}

// A tracker on the Internet cannot send us into a private network, even where the
// scope would allow it, and https never falls back to http.
func TestRedirectFromTheInternet(t *testing.T) {
	for _, test := range []struct {
		location string
		refused  bool
	}{
		{"http://192.168.1.1/announce", true},
		{"http://127.0.0.1/announce", true},
		{"http://[fe80::1]/announce", true},
		{"http://router.example/announce", true}, // a name that leads there
		{"http://93.184.215.15/done", false},
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/done" {
				io.WriteString(w, "d8:intervali60e5:peers0:e")
				return
			}
			http.Redirect(w, r, test.location, http.StatusMovedPermanently)
		}))
		c := newClient(t, Config{
			Allow: anywhere, Dial: pretend(s.Listener.Addr().String()),
			Resolve: func(_ context.Context, host string) ([]netip.Addr, error) {
				if host == "router.example" {
					return []netip.Addr{netip.MustParseAddr("10.0.0.1")}, nil
				}
				return []netip.Addr{netip.MustParseAddr("93.184.215.14")}, nil
			},
		})
		_, err := c.Announce(t.Context(), "http://tracker.example/x/announce", testRequest)
		if errors.Is(err, ErrRefused) != test.refused || !test.refused && err != nil {
			t.Errorf("%s: %v", test.location, err)
		}
		s.Close()
	}
}

func TestTLS(t *testing.T) {
	s := httptest.NewTLSServer(say("d8:intervali60e5:peers0:e"))
	defer s.Close()
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // it tells of the handshake that we refuse
	c := newClient(t, Config{})
	if _, err := c.Announce(t.Context(), s.URL+"/announce", testRequest); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("an unknown authority: %v", err)
	}
	c = newClient(t, Config{})
	c.transport.TLSClientConfig.RootCAs = s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	if _, err := c.Announce(t.Context(), s.URL+"/announce", testRequest); err != nil {
		t.Errorf("a known one: %v", err)
	}

	plain := serve(t, say("d8:intervali60e5:peers0:e"))
	down := httptest.NewTLSServer(http.RedirectHandler(plain, http.StatusFound))
	defer down.Close()
	c = newClient(t, Config{})
	c.transport.TLSClientConfig.RootCAs = down.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	if _, err := c.Announce(t.Context(), down.URL+"/announce", testRequest); !errors.Is(err, ErrRefused) {
		t.Errorf("from https to http: %v", err)
	}
}

// Proxies of the environment would dial in our place, where no scope is kept.
func TestNoProxyFromTheEnvironment(t *testing.T) {
	if newClient(t, Config{}).transport.Proxy != nil {
		t.Error("a proxy may be used")
	}
}

func TestScopeOfTheTracker(t *testing.T) {
	var asked atomic.Int64
	u := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		io.WriteString(w, "d8:intervali60e5:peers0:e")
	})
	base := strings.TrimSuffix(u, "/announce")
	for _, test := range []struct {
		url  string
		want error
	}{
		{"http://192.0.2.1:80/announce", ErrRefused},
		{"http://[2001:db8::1]:80/announce", ErrRefused},
		{base + "/", ErrRefused}, // services of this machine are not to be triggered
		{base, ErrRefused},
		{base + "/announce/../shutdown", ErrRefused},
		{base + "/announce%2f..%2fshutdown", ErrRefused},
		{base + "/announcex", ErrRefused},
		{"udp://192.0.2.1:80", ErrRefused},
		{base + "/scrape", nil},
		{u, nil},
	} {
		if _, err := newClient(t, Config{}).Announce(t.Context(), test.url, testRequest); !errors.Is(err, test.want) {
			t.Errorf("%s: %v", test.url, err)
		}
	}
	if asked.Load() != 2 {
		t.Errorf("the server was asked %d times", asked.Load())
	}
	c := New(Config{}) // no scope: nothing is allowed
	defer c.Close()
	if _, err := c.Announce(t.Context(), u, testRequest); !errors.Is(err, ErrRefused) {
		t.Errorf("without a scope: %v", err)
	}
}

// A name is looked up once: the address that was judged is the one that is dialled.
func TestRebinding(t *testing.T) {
	u := serve(t, say("d8:intervali60e5:peers0:e"))
	port := u[strings.LastIndexByte(u, ':'):]
	answers := []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("192.0.2.1")}
	lookups := 0
	c := newClient(t, Config{
		Resolve: func(context.Context, string) ([]netip.Addr, error) {
			lookups++
			return answers[lookups-1 : lookups], nil
		},
	})
	if _, err := c.Announce(t.Context(), "http://tracker.example"+port, testRequest); err != nil || lookups != 1 {
		t.Errorf("%v after %d lookups", err, lookups)
	}

	// The scope is asked again by the socket itself: one that closes in between
	// stops it.
	asked := 0
	c = newClient(t, Config{Allow: func(netip.AddrPort) error {
		if asked++; asked > 2 {
			return errors.New("scope has changed")
		}
		return nil
	}})
	if _, err := c.Announce(t.Context(), u, testRequest); !errors.Is(err, ErrRefused) {
		t.Errorf("%v", err)
	}

	// And so is a connection that leads elsewhere.
	c = newClient(t, Config{Dial: func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		return elsewhere{conn, "192.0.2.1:80"}, err
	}})
	if _, err := c.Announce(t.Context(), u, testRequest); !errors.Is(err, ErrRefused) {
		t.Errorf("%v", err)
	}
}

// A name with addresses of both families is asked over both, and one answer is
// enough.
func TestBothFamilies(t *testing.T) {
	both := func(context.Context, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1"), netip.MustParseAddr("127.0.0.1")}, nil
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.RemoteAddr, "127.0.0.4") {
			io.WriteString(w, "d8:completei5e10:incompletei1e8:intervali60e5:peers12:\x7f\x00\x00\x01\x00\x01\x7f\x00\x00\x01\x00\x02e")
			return
		}
		io.WriteString(w, "d8:completei2e10:incompletei9e8:intervali90e5:peers6:\x7f\x00\x00\x01\x00\x02"+
			"6:peers618:\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x03e")
	}))
	defer s.Close()
	server := s.Listener.Addr().String()
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 6)}}
		if strings.HasPrefix(addr, "127.0.0.1:") {
			d.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 4)}
		}
		conn, err := d.DialContext(ctx, network, server)
		return elsewhere{conn, addr}, err
	}
	res, err := newClient(t, Config{Resolve: both, Dial: dial}).Announce(t.Context(), "http://tracker.example/announce", testRequest)
	if err != nil || len(res.Peers) != 3 || res.Interval != 90*time.Second || res.Seeders != 5 || res.Leechers != 9 {
		t.Errorf("both: %+v, %v", res, err)
	}

	only4 := func(ctx context.Context, network, addr string) (net.Conn, error) {
		if strings.HasPrefix(addr, "[") {
			return nil, errors.New("network is unreachable")
		}
		return dial(ctx, network, addr)
	}
	res, err = newClient(t, Config{Resolve: both, Dial: only4}).Announce(t.Context(), "http://tracker.example/announce", testRequest)
	if err != nil || len(res.Peers) != 2 {
		t.Errorf("only IPv4: %+v, %v", res, err)
	}

	none := func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("network is unreachable")
	}
	if _, err = newClient(t, Config{Resolve: both, Dial: none}).Announce(t.Context(), "http://tracker.example/announce", testRequest); err == nil {
		t.Error("neither: no error")
	}
}

func TestBasicAuthentication(t *testing.T) {
	u := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if user, password, ok := r.BasicAuth(); !ok || user != "me" || password != "p w" {
			w.WriteHeader(401)
		}
		io.WriteString(w, "d8:intervali60e5:peers0:e")
	})
	u = strings.Replace(u, "http://", "http://me:p%20w@", 1)
	if _, err := newClient(t, Config{}).Announce(t.Context(), u, testRequest); err != nil {
		t.Error(err)
	}
	if _, err := newClient(t, Config{}).Announce(t.Context(), u+"/secret", testRequest); err == nil || strings.Contains(err.Error(), "p%20w") {
		t.Errorf("%v", err)
	}
}

func TestScrapeHTTP(t *testing.T) {
	// The example of BEP 48.
	x, y := [20]byte([]byte(strings.Repeat("x", 20))), [20]byte([]byte(strings.Repeat("y", 20)))
	var uri string
	u := serve(t, func(w http.ResponseWriter, r *http.Request) {
		uri = r.RequestURI
		io.WriteString(w, "d5:filesd20:xxxxxxxxxxxxxxxxxxxxd8:completei11e10:downloadedi13772e10:incompletei19ee"+
			"20:yyyyyyyyyyyyyyyyyyyyd8:completei21e10:downloadedi206e10:incompletei20eeee")
	})
	res, err := newClient(t, Config{}).Scrape(t.Context(), u, [][20]byte{y, {}, x})
	if err != nil {
		t.Fatal(err)
	}
	want := []ScrapeResult{{y, true, 21, 20, 206}, {InfoHash: [20]byte{}}, {x, true, 11, 19, 13772}}
	for i := range want {
		if res[i] != want[i] {
			t.Errorf("%d: %+v, want %+v", i, res[i], want[i])
		}
	}
	if uri != "/scrape?info_hash="+strings.Repeat("y", 20)+"&info_hash="+strings.Repeat("%00", 20)+"&info_hash="+strings.Repeat("x", 20) {
		t.Errorf("asked %s", uri)
	}
	if res, err := newClient(t, Config{}).Scrape(t.Context(), u, nil); err != nil || len(res) != 0 {
		t.Errorf("nothing to ask: %v, %v", res, err)
	}
	bad := serve(t, say("d5:filesi1ee"))
	if _, err := newClient(t, Config{}).Scrape(t.Context(), bad, [][20]byte{x}); !errors.Is(err, ErrAnswer) {
		t.Errorf("no files: %v", err)
	}
}

// More hashes than fit one question are asked in several, and the order is kept.
func TestScrapeOfMany(t *testing.T) {
	questions := 0
	u := serve(t, func(w http.ResponseWriter, r *http.Request) {
		questions++
		q, _ := url.ParseQuery(r.URL.RawQuery)
		var b strings.Builder
		for _, h := range q["info_hash"] {
			fmt.Fprintf(&b, "20:%sd8:completei%dee", h, h[0])
		}
		io.WriteString(w, "d5:filesd"+b.String()+"ee")
	})
	hashes := make([][20]byte, 100)
	for i := range hashes {
		hashes[i][0] = byte(i)
	}
	res, err := newClient(t, Config{}).Scrape(t.Context(), u, hashes)
	if err != nil || questions != 2 || len(res) != 100 {
		t.Fatalf("%d results, %d questions, %v", len(res), questions, err)
	}
	for i, r := range res {
		if r.Seeders != i || r.InfoHash != hashes[i] {
			t.Errorf("%d: %+v", i, r)
		}
	}
}
