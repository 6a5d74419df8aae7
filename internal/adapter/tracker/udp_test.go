package tracker

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The tables of BEP 15, byte by byte.
func TestUDPRequests(t *testing.T) {
	r := Request{InfoHash: [20]byte(bytes.Repeat([]byte{0xaa}, 20)), PeerID: [20]byte(bytes.Repeat([]byte{0xbb}, 20)),
		Downloaded: 1, Left: 2, Uploaded: 3, Event: Started, Key: 0xdeadbeef, NumWant: 50, Port: 7463}
	head := "0102030405060708 00000001 cafebabe " + strings.Repeat("aa", 20) + strings.Repeat("bb", 20) +
		"0000000000000001 0000000000000002 0000000000000003"
	const id, transaction = 0x0102030405060708, 0xcafebabe
	with := func(f func(*Request)) Request { c := r; f(&c); return c }
	for _, test := range []struct {
		name string
		got  []byte
		want string
	}{
		{"connect", appendConnect(nil, transaction), "0000041727101980 00000000 cafebabe"},
		{"announce", appendAnnounce(nil, id, transaction, r, ""), head + "00000002 00000000 deadbeef 00000032 1d27"},
		{"default number of peers", appendAnnounce(nil, id, transaction, with(func(r *Request) { r.NumWant = 0; r.Event = None }), ""),
			head + "00000000 00000000 deadbeef ffffffff 1d27"},
		{"completed", appendAnnounce(nil, id, transaction, with(func(r *Request) { r.Event = Completed }), ""),
			head + "00000001 00000000 deadbeef 00000032 1d27"},
		{"stopped", appendAnnounce(nil, id, transaction, with(func(r *Request) { r.Event = Stopped }), ""),
			head + "00000003 00000000 deadbeef 00000000 1d27"},
		{"partial seed", appendAnnounce(nil, id, transaction, with(func(r *Request) { r.Event = Paused }), ""),
			head + "00000000 00000000 deadbeef 00000032 1d27"},
		{"path and query (BEP 41)", appendAnnounce(nil, id, transaction, r, "/dir?a=b&c=d"),
			head + "00000002 00000000 deadbeef 00000032 1d27 02 0c 2f6469723f613d6226633d64"},
		{"scrape", appendScrape(nil, id, transaction, [][20]byte{r.InfoHash, r.PeerID}),
			"0102030405060708 00000002 cafebabe" + strings.Repeat("aa", 20) + strings.Repeat("bb", 20)},
	} {
		if !bytes.Equal(test.got, unhex(t, test.want)) {
			t.Errorf("%s: %x\nwant %s", test.name, test.got, test.want)
		}
	}
}

// Long paths come in options of at most 255 bytes, to be joined (BEP 41).
func TestURLDataChunks(t *testing.T) {
	for _, n := range []int{0, 1, 254, 255, 256, 510, 511, 1024} {
		path := strings.Repeat("/", n)
		b := appendURLData(nil, path)
		joined := ""
		for len(b) > 0 {
			if b[0] != 2 || len(b) < 2+int(b[1]) || b[1] == 0 {
				t.Fatalf("%d: option %x", n, b)
			}
			joined += string(b[2 : 2+int(b[1])])
			b = b[2+int(b[1]):]
		}
		if joined != path {
			t.Errorf("%d bytes came as %d", n, len(joined))
		}
	}
	if b := appendURLData(nil, strings.Repeat("/", 1025)); len(b) != 0 {
		t.Errorf("%d bytes of options", len(b))
	}
}

// An answer that is shorter than its table is a bad one, and one that is longer is
// fine: "Do not expect packets to be exactly of a certain size" (BEP 15).
func TestUDPAnswersByLength(t *testing.T) {
	for _, test := range []struct {
		action uint32
		packet string
		least  int
		parse  func(b []byte) error
	}{
		{actionConnect, "00000000 cafebabe 0102030405060708 ffff", 16, func(b []byte) error { _, err := parseConnect(b); return err }},
		{actionAnnounce, "00000001 cafebabe 00000708 00000001 00000002 7f0000011ae1 ffff", 20,
			func(b []byte) error { _, err := testRules.parseUDPAnnounce(b, 4); return err }},
		{actionScrape, "00000002 cafebabe 00000001 00000002 00000003 ff", 20,
			func(b []byte) error { _, err := parseUDPScrape(b, make([][20]byte, 1)); return err }},
	} {
		b := unhex(t, test.packet)
		for n := range len(b) + 1 {
			if got := answersTo(b[:n], test.action); got != (n >= 8) {
				t.Errorf("%s cut to %d bytes: an answer: %v", test.packet, n, got)
			}
			if n < 8 {
				continue
			}
			if err := test.parse(b[:n]); (err == nil) != (n >= test.least) || err != nil && !errors.Is(err, ErrAnswer) {
				t.Errorf("%s cut to %d bytes: %v", test.packet, n, err)
			}
		}
	}
	announce := unhex(t, "00000001 cafebabe 00000708 00000001 00000002")
	if answersTo(announce, actionConnect) || answersTo(unhex(t, "00000009 cafebabe 0000"), actionScrape) {
		t.Error("an answer to another question is taken")
	}
	if !answersTo(unhex(t, "00000003 cafebabe"), actionScrape) {
		t.Error("an error is no answer")
	}
}

func TestUDPAnswers(t *testing.T) {
	b := unhex(t, "00000001 cafebabe 00000708 00000001 00000002 7f0000011ae1 050607081ae1 ff")
	res, err := testRules.parseUDPAnnounce(b, 4)
	if err != nil || res.Interval != 30*time.Minute || res.Leechers != 1 || res.Seeders != 2 || len(res.Peers) != 2 || res.Peers[1].String() != "5.6.7.8:6881" {
		t.Errorf("%+v, %v", res, err)
	}
	b = unhex(t, "00000001 cafebabe ffffffff ffffffff 80000000 20010db8000000000000000000000001 1ae1")
	res, err = testRules.parseUDPAnnounce(b, 16)
	if err != nil || res.Interval != time.Minute || res.Leechers != -1 || res.Seeders != -1 || len(res.Peers) != 1 || res.Peers[0].String() != "[2001:db8::1]:6881" {
		t.Errorf("%+v, %v", res, err)
	}
	scrape := unhex(t, "00000002 cafebabe 00000001 00000002 00000003 00000004 00000005 ffffffff")
	hashes := [][20]byte{{1}, {2}}
	got, err := parseUDPScrape(scrape, hashes)
	if err != nil || got[0] != (ScrapeResult{hashes[0], true, 1, 3, 2}) || got[1] != (ScrapeResult{hashes[1], true, 4, 0, 5}) {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := parseUDPScrape(scrape[:31], hashes); !errors.Is(err, ErrAnswer) {
		t.Errorf("short scrape: %v", err)
	}
	var f *Failure
	if _, err := parseUDPScrape([]byte("\x00\x00\x00\x03TRANgo\x00 away\x1b"), hashes); !errors.As(err, &f) || f.Reason != "go away" {
		t.Errorf("%v", err)
	}
}

// udpTracker is a tracker on loopback: answer gives the packets to send back.
func udpTracker(t *testing.T, answer func(b []byte) [][]byte) string {
	t.Helper()
	pc, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan bool)
	t.Cleanup(func() { pc.Close(); <-done })
	go func() {
		defer close(done)
		buf := make([]byte, 2048)
		for {
			n, from, err := pc.ReadFrom(buf)
			if err != nil {
				return
			}
			for _, a := range answer(bytes.Clone(buf[:n])) {
				pc.WriteTo(a, from)
			}
		}
	}()
	return "udp://" + pc.LocalAddr().String() + "/announce"
}

// reply makes an answer to the request b.
func reply(b []byte, action uint32, rest string) []byte {
	a := binary.BigEndian.AppendUint32(nil, action)
	return append(append(a, b[12:16]...), rest...)
}

const (
	connectionID = "\x01\x02\x03\x04\x05\x06\x07\x08"
	onePeer      = "\x00\x00\x00\x78\x00\x00\x00\x01\x00\x00\x00\x02\x7f\x00\x00\x01\x1a\xe1" // interval 120 s
)

// honest answers as BEP 15 says.
func honest(b []byte) [][]byte {
	switch binary.BigEndian.Uint32(b[8:]) {
	case actionConnect:
		return [][]byte{reply(b, actionConnect, connectionID)}
	case actionAnnounce:
		return [][]byte{reply(b, actionAnnounce, onePeer)}
	default:
		return [][]byte{reply(b, actionScrape, strings.Repeat("\x00\x00\x00\x05\x00\x00\x00\x06\x00\x00\x00\x07", (len(b)-16)/20))}
	}
}

func TestAnnounceUDP(t *testing.T) {
	var mu sync.Mutex
	var got [][]byte
	u := udpTracker(t, func(b []byte) [][]byte {
		mu.Lock()
		defer mu.Unlock()
		got = append(got, b)
		return honest(b)
	})
	c := newClient(t, Config{})
	for range 2 {
		res, err := c.Announce(t.Context(), u+"?auth=1", testRequest)
		if err != nil || res.Interval != 2*time.Minute || res.Leechers != 1 || res.Seeders != 2 || len(res.Peers) != 1 {
			t.Fatalf("%+v, %v", res, err)
		}
	}
	scraped, err := c.Scrape(t.Context(), u, make([][20]byte, 75))
	if err != nil || len(scraped) != 75 || scraped[74].Completed != 6 {
		t.Errorf("%d, %v", len(scraped), err)
	}
	mu.Lock()
	defer mu.Unlock()
	// One connection id serves for a minute: connect, announce, announce, and two
	// scrapes of at most 74.
	if len(got) != 5 || len(got[0]) != 16 || len(got[3]) != 16+74*20 || len(got[4]) != 16+20 {
		t.Fatalf("%d requests", len(got))
	}
	for _, b := range got[1:] {
		if string(b[:8]) != connectionID {
			t.Errorf("connection id %x", b[:8])
		}
	}
	if want := "\x02\x10/announce?auth=1"; string(got[1][98:]) != want {
		t.Errorf("options %q", got[1][98:])
	}
	seen := map[string]bool{}
	for _, b := range got {
		seen[string(b[12:16])] = true
	}
	if len(seen) != 5 {
		t.Errorf("%d transaction ids for 5 requests", len(seen))
	}
}

// Packets that answer nothing are dropped, and the right one is still awaited.
func TestUDPNonsense(t *testing.T) {
	u := udpTracker(t, func(b []byte) [][]byte {
		right := honest(b)[0]
		wrong := bytes.Clone(right)
		wrong[7] ^= 1 // another transaction
		other := bytes.Clone(right)
		other[3] = 9 // an unknown action
		return [][]byte{nil, {1}, right[:7], wrong, other, bytes.Repeat([]byte{0xff}, 1500), right, right}
	})
	res, err := newClient(t, Config{}).Announce(t.Context(), u, testRequest)
	if err != nil || res.Interval != 2*time.Minute || len(res.Peers) != 1 {
		t.Errorf("%+v, %v", res, err)
	}
}

// A tracker that answers too little is not waited for.
func TestUDPShortAnswer(t *testing.T) {
	u := udpTracker(t, func(b []byte) [][]byte {
		if binary.BigEndian.Uint32(b[8:]) == actionAnnounce {
			return [][]byte{reply(b, actionAnnounce, "")}
		}
		return honest(b)
	})
	if _, err := newClient(t, Config{}).Announce(t.Context(), u, testRequest); !errors.Is(err, ErrAnswer) {
		t.Errorf("%v", err)
	}
}

// An answer counts only if it comes from whom was asked.
func TestUDPForeignSender(t *testing.T) {
	stranger, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	c := newClient(t, Config{})
	evil := make(chan bool, 1)
	u := udpTracker(t, func(b []byte) [][]byte {
		c.mu.Lock()
		port := c.sockets["udp4"].pc.LocalAddr().(*net.UDPAddr).Port
		c.mu.Unlock()
		if binary.BigEndian.Uint32(b[8:]) == actionAnnounce {
			stranger.WriteTo(reply(b, actionError, "evil"), &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
			evil <- true
		}
		return honest(b)
	})
	res, err := c.Announce(t.Context(), u, testRequest)
	<-evil
	if err != nil || len(res.Peers) != 1 {
		t.Errorf("%+v, %v", res, err)
	}
}

func TestUDPFailure(t *testing.T) {
	for _, at := range []uint32{actionConnect, actionAnnounce} {
		var announces atomic.Int64
		u := udpTracker(t, func(b []byte) [][]byte {
			action := binary.BigEndian.Uint32(b[8:])
			if action == actionAnnounce {
				announces.Add(1)
			}
			if action == at {
				return [][]byte{reply(b, actionError, "not\x00 here")}
			}
			return honest(b)
		})
		c := newClient(t, Config{})
		_, err := c.Announce(t.Context(), u, testRequest)
		var f *Failure
		if !errors.As(err, &f) || f.Reason != "not here" {
			t.Errorf("error to action %d: %v", at, err)
		}
		c.Close()
		if at == actionAnnounce && announces.Load() != 1 {
			t.Errorf("%d announces under a fresh connection id", announces.Load())
		}
	}
}

// A tracker that has forgotten a connection id is asked for another.
func TestUDPForgottenConnection(t *testing.T) {
	var connects atomic.Int64
	good := byte(0)
	u := udpTracker(t, func(b []byte) [][]byte {
		if binary.BigEndian.Uint32(b[8:]) == actionConnect {
			good = byte(connects.Add(1))
			return [][]byte{reply(b, actionConnect, "1234567"+string(rune(good)))}
		}
		if b[7] != good {
			return [][]byte{reply(b, actionError, "Connection ID missmatch.")}
		}
		if connects.Load() == 1 {
			good = 99 // forgets after the first announce
		}
		return honest(b)
	})
	c := newClient(t, Config{})
	for range 2 {
		if _, err := c.Announce(t.Context(), u, testRequest); err != nil {
			t.Error(err)
		}
	}
	c.Close()
	if connects.Load() != 2 {
		t.Errorf("%d connects", connects.Load())
	}
}

func TestUDPNeverAnswers(t *testing.T) {
	asked := make(chan bool, 10)
	u := udpTracker(t, func([]byte) [][]byte { asked <- true; return nil })
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	c := newClient(t, Config{})
	if _, err := c.Announce(ctx, u, testRequest); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	go func() { <-asked; c.Close() }()
	if _, err := c.Announce(t.Context(), u, testRequest); !errors.Is(err, ErrClosed) {
		t.Errorf("closed: %v", err)
	}
	if _, err := c.Announce(t.Context(), u, testRequest); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

// memory is a PacketConn of a world with one tracker: answer is called with each
// packet and the time since the start.
type memory struct {
	net.PacketConn // nothing else is called
	start          time.Time
	answer         func(at time.Duration, b []byte) [][]byte
	in             chan []byte
	from           *net.UDPAddr
	closed         chan bool
	once           sync.Once
}

func newMemory(from string, answer func(time.Duration, []byte) [][]byte) *memory {
	return &memory{start: time.Now(), answer: answer, in: make(chan []byte, 16), closed: make(chan bool),
		from: net.UDPAddrFromAddrPort(netip.MustParseAddrPort(from))}
}

func (m *memory) ReadFrom(p []byte) (int, net.Addr, error) {
	select {
	case b := <-m.in:
		return copy(p, b), m.from, nil
	case <-m.closed:
		return 0, nil, net.ErrClosed
	}
}

func (m *memory) WriteTo(b []byte, _ net.Addr) (int, error) {
	for _, a := range m.answer(time.Since(m.start), b) {
		m.in <- a
	}
	return len(b), nil
}

func (m *memory) Close() error {
	m.once.Do(func() { close(m.closed) })
	return nil
}

// event is a packet that was sent: what, and after how many seconds.
type event struct {
	action uint32
	second int
}

// inMemory runs f with a client whose packets go to answer, in a bubble where time
// is free. It gives what was sent.
func inMemory(t *testing.T, answer func(at time.Duration, b []byte) [][]byte, f func(t *testing.T, c *Client)) (sent []event) {
	synctest.Test(t, func(t *testing.T) {
		record := func(at time.Duration, b []byte) [][]byte {
			sent = append(sent, event{binary.BigEndian.Uint32(b[8:]), int(at / time.Second)})
			return answer(at, b)
		}
		c := New(Config{Allow: anywhere, ListenPacket: func(string) (net.PacketConn, error) {
			return newMemory("1.2.3.4:80", record), nil
		}})
		f(t, c)
		c.Close()
	})
	return sent
}

func same(a, b []event) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

const memoryURL = "udp://1.2.3.4:80"

// BEP 15 "Connect times out": requests after 0, 15, 45, 105 s; here the last is
// that of n = 3.
func TestConnectTimesOut(t *testing.T) {
	var took time.Duration
	sent := inMemory(t, func(time.Duration, []byte) [][]byte { return nil }, func(t *testing.T, c *Client) {
		start := time.Now()
		if _, err := c.Announce(t.Context(), memoryURL, testRequest); !errors.Is(err, ErrNoAnswer) {
			t.Errorf("%v", err)
		}
		took = time.Since(start)
	})
	if !same(sent, []event{{0, 0}, {0, 15}, {0, 45}, {0, 105}}) || took != 225*time.Second {
		t.Errorf("sent %v in %v", sent, took)
	}
}

// BEP 15 "Announce times out": the announce is sent again, and after a minute a new
// connection id is asked for.
func TestAnnounceTimesOut(t *testing.T) {
	sent := inMemory(t, func(at time.Duration, b []byte) [][]byte {
		if binary.BigEndian.Uint32(b[8:]) == actionConnect || at > 100*time.Second {
			return honest(b)
		}
		return nil
	}, func(t *testing.T, c *Client) {
		if _, err := c.Announce(t.Context(), memoryURL, testRequest); err != nil {
			t.Errorf("%v", err)
		}
	})
	if !same(sent, []event{{0, 0}, {1, 0}, {1, 15}, {1, 45}, {0, 105}, {1, 105}}) {
		t.Errorf("sent %v", sent)
	}
}

// BEP 15 "Multiple requests": a connection id is used for a minute after it came.
func TestConnectionIDLivesAMinute(t *testing.T) {
	sent := inMemory(t, func(_ time.Duration, b []byte) [][]byte { return honest(b) }, func(t *testing.T, c *Client) {
		for _, pause := range []time.Duration{0, 30 * time.Second, 29 * time.Second, time.Second, 59 * time.Second} {
			<-time.After(pause)
			if _, err := c.Announce(t.Context(), memoryURL, testRequest); err != nil {
				t.Errorf("%v", err)
			}
		}
	})
	if !same(sent, []event{{0, 0}, {1, 0}, {1, 30}, {1, 59}, {0, 60}, {1, 60}, {1, 119}}) {
		t.Errorf("sent %v", sent)
	}
}

// ctx bounds the waiting whatever BEP 15 allows.
func TestUDPDeadline(t *testing.T) {
	sent := inMemory(t, func(time.Duration, []byte) [][]byte { return nil }, func(t *testing.T, c *Client) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if _, err := c.Announce(ctx, memoryURL, testRequest); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
	})
	if !same(sent, []event{{0, 0}, {0, 15}}) {
		t.Errorf("sent %v", sent)
	}
}

// When one family has answered, the silent other one has five seconds left.
func TestSilentFamilyDoesNotDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(Config{Allow: anywhere,
			Resolve: func(context.Context, string) ([]netip.Addr, error) {
				return []netip.Addr{netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("1.2.3.4")}, nil
			},
			ListenPacket: func(network string) (net.PacketConn, error) {
				if network == "udp6" {
					return newMemory("[2001:db8::1]:80", func(time.Duration, []byte) [][]byte { return nil }), nil
				}
				return newMemory("1.2.3.4:80", func(_ time.Duration, b []byte) [][]byte { return honest(b) }), nil
			},
		})
		defer c.Close()
		start := time.Now()
		res, err := c.Announce(t.Context(), "udp://tracker.example:80", testRequest)
		if err != nil || len(res.Peers) != 1 || time.Since(start) != familyGrace {
			t.Errorf("%+v, %v after %v", res, err, time.Since(start))
		}
	})
}

// Over IPv6 peers are 18 bytes each (BEP 15 "IPv6").
func TestAnnounceUDP6(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(Config{Allow: anywhere, ListenPacket: func(network string) (net.PacketConn, error) {
			return newMemory("[2001:db8::1]:80", func(_ time.Duration, b []byte) [][]byte {
				if binary.BigEndian.Uint32(b[8:]) == actionConnect {
					return honest(b)
				}
				return [][]byte{reply(b, actionAnnounce, onePeer[:12]+"\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x1a\xe1")}
			}), nil
		}})
		defer c.Close()
		res, err := c.Announce(t.Context(), "udp://[2001:db8::1]:80", testRequest)
		if err != nil || len(res.Peers) != 1 || res.Peers[0].String() != "[2001:db8::2]:6881" {
			t.Errorf("%+v, %v", res, err)
		}
	})
}

// The tables of a socket are bounded.
func TestUDPBounds(t *testing.T) {
	s := &udpSocket{calls: map[uint32]*udpCall{}, connections: map[netip.AddrPort]udpConnection{}}
	now := time.Unix(1000, 0)
	for i := range 2 * maxConnections {
		addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{1, 2, byte(i >> 8), byte(i)}), 80)
		s.remember(addr, uint64(i), now)
		if id, ok := s.connection(addr, now); !ok || id != uint64(i) {
			t.Fatalf("connection %d is not remembered", i)
		}
	}
	if len(s.connections) != maxConnections {
		t.Errorf("%d connections", len(s.connections))
	}
	s.remember(netip.MustParseAddrPort("9.9.9.9:80"), 1, now.Add(connectionLife))
	if len(s.connections) != 1 {
		t.Errorf("%d connections after the others are over", len(s.connections))
	}
	for range maxCalls {
		if _, err := s.begin(&udpCall{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.begin(&udpCall{}); !errors.Is(err, ErrBusy) {
		t.Errorf("one more: %v", err)
	}
}

// broken is a socket that fails for good.
type broken struct{ net.PacketConn }

var errBroken = errors.New("broken")

func (broken) ReadFrom([]byte) (int, net.Addr, error)    { return 0, nil, errBroken }
func (broken) WriteTo(b []byte, _ net.Addr) (int, error) { return len(b), nil }
func (broken) Close() error                              { return nil }

// A socket that fails ends its requests, and the next request opens another.
func TestUDPBrokenSocket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		opened := 0
		c := New(Config{Allow: anywhere, ListenPacket: func(network string) (net.PacketConn, error) {
			if opened++; opened == 1 {
				return broken{}, nil
			}
			return newMemory("1.2.3.4:80", func(_ time.Duration, b []byte) [][]byte { return honest(b) }), nil
		}})
		defer c.Close()
		if _, err := c.Announce(t.Context(), memoryURL, testRequest); !errors.Is(err, errBroken) {
			t.Errorf("%v", err)
		}
		if _, err := c.Announce(t.Context(), memoryURL, testRequest); err != nil || opened != 2 {
			t.Errorf("%v with %d sockets", err, opened)
		}
	})
}
