//go:build linux

package lab

import (
	"bytes"
	"context"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"shoal/bench/measure"
)

// street is a house with members and a lodger who is none, on one wire behind a router, and
// computers outside: who listens on every wire hears all that they say to each other.
type street struct {
	*world
	anna, bert, lodger *node // anna and bert are members of one group
	outside            *node // a node of the public DHT
	tracker            *trackerEar
	wires              []*capture
}

func newStreet(ctx context.Context, t *testing.T) *street {
	t.Helper()
	w := &world{t: t, internet: newSpace(t, "internet")}
	w.internet.forward()
	hosts := w.house("house", 103, "192.168.3", independent, "anna", "bert", "lodger")
	v := &street{world: w, tracker: newTrackerEar(w.public("tracker", 9))}
	v.wires = []*capture{w.internet.capture(), w.wires[0].capture()}
	bootstrap := `bootstrap = ["11.0.1.2:7463", "11.0.2.2:7463"]`
	newNode(t, w.public("entry", 1), bootstrap).up(ctx)
	v.outside = newNode(t, w.public("outside", 2), bootstrap)
	v.outside.up(ctx)
	for i, n := range []**node{&v.anna, &v.bert, &v.lodger} {
		*n = newNode(t, hosts[i], bootstrap)
		(*n).up(ctx)
	}
	v.anna.ok(ctx, "group", "new", "family")
	v.anna.admit(ctx, "family", v.bert)
	return v
}

// search searches every wire.
func (v *street) search(needles map[string][]byte) (found []string) {
	for _, c := range v.wires {
		found = append(found, c.search(needles)...)
	}
	return found
}

// trackerEar is an HTTP tracker that knows nobody and notes who asks.
type trackerEar struct {
	mu    sync.Mutex
	asked []string
}

func newTrackerEar(s *space) *trackerEar {
	e := new(trackerEar)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.asked = append(e.asked, r.RemoteAddr+" "+r.URL.RawQuery)
		fmt.Fprint(w, "d8:intervali1800e5:peers0:e")
	})}
	l := s.listenTCP("11.0.9.2:80")
	go func() { _ = server.Serve(l) }()
	s.t.Cleanup(func() { server.Close() })
	return e
}

const trackerURL = "http://11.0.9.2:80/announce"

// forms are the ways in which a hash can stand in a packet. The first eight bytes do: who
// shortens it shows these.
func forms(what, hash string) map[string][]byte {
	h, err := hex.DecodeString(hash)
	if err != nil || len(h) < 20 {
		return nil
	}
	all := map[string][]byte{}
	h = h[:8]
	b32 := base32.StdEncoding.EncodeToString(h)[:12]
	escaped := strings.ReplaceAll(url.QueryEscape(string(h)), "+", "%20")
	full := "%" + strings.ReplaceAll(fmt.Sprintf("% X", h), " ", "%")
	for form, s := range map[string]string{"raw": string(h), "hex": hex.EncodeToString(h), "HEX": strings.ToUpper(hex.EncodeToString(h)),
		"base32": strings.ToLower(b32), "BASE32": b32, "url": escaped, "URL": full, "url, lower case": lowerEscapes(escaped), "URL, lower case": strings.ToLower(full)} {
		all[what+" as "+form] = []byte(s)
	}
	return all
}

// lowerEscapes writes the digits of percent escapes small.
func lowerEscapes(s string) string {
	b := []byte(s)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i+1:], bytes.ToLower(b[i+1:i+3]))
		}
	}
	return string(b)
}

// content makes a folder of this name whose files have names of their own.
func content(t *testing.T, name string) (path string, names map[string][]byte) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	names = map[string][]byte{"the name " + name: []byte(name)}
	for i := range 8 {
		file := fmt.Sprintf("%s-%d.document", name, i)
		must(t, measure.WriteFile(filepath.Join(path, file), file, 300<<10))
	}
	return path, names
}

// withTracker adds a tracker to a .torrent, as a person could.
func withTracker(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	must(t, err)
	out := filepath.Join(t.TempDir(), filepath.Base(file))
	must(t, os.WriteFile(out, append(fmt.Appendf(nil, "d8:announce%d:%s", len(trackerURL), trackerURL), b[1:]...), 0o600))
	return out
}

// TestSecret: nothing on any wire names what is shared with a group, and a stranger who knows
// the hash is answered as if it did not exist.
func TestSecret(t *testing.T) {
	t.Parallel()
	needNetworks(t)
	ctx := deadline(t, 100*time.Second)
	v := newStreet(ctx, t)
	secrets := map[string][]byte{"an address of the overlay": []byte("\xfdshoal")}
	var first shared
	for i, format := range []string{"v2", "hybrid"} {
		path, names := content(t, "okapi-quagga-"+format)
		s := v.anna.publish(ctx, path, "--to", "family", "--format", format)
		for _, m := range []map[string][]byte{names, forms("v1 hash", s.V1), forms("v2 hash", s.V2)} {
			for k, b := range m {
				secrets[format+": "+k] = b
			}
		}
		source := s.Link
		if i == 0 {
			first = s
		} else {
			file := filepath.Join(t.TempDir(), "hybrid.torrent")
			v.anna.ok(ctx, "torrent", s.InfoHash, "-o", file)
			source = withTracker(t, file)
		}
		out := t.TempDir()
		v.bert.ok(ctx, "get", source, "-o", out)
		same(t, path, out)
	}
	if len(secrets) < 25 {
		t.Fatalf("too few needles: %q", secrets)
	}

	// What is public comes later and is on every wire in every way: had the other been named
	// there it would have been by now.
	path, names := content(t, "public-heron")
	p := v.anna.publish(ctx, path, "--tracker", trackerURL, "--format", "hybrid")
	out := t.TempDir()
	v.lodger.ok(ctx, "get", alone(p.Link), "-o", out)
	same(t, path, out)
	v.hears(ctx, "the public share by its name", names, "TCP 192.168.3.")
	v.hears(ctx, "a handshake", forms("v1", p.V1), "TCP 192.168.3.")
	v.hears(ctx, "the local announce", forms("v1", p.V1), "239.192.152.143:6771")
	v.hears(ctx, "the DHT", forms("v1", p.V1), ":7463 to 11.0.")
	v.hears(ctx, "the tracker", forms("v1", p.V1), "to 11.0.9.2:80")

	packets := 0
	for _, c := range v.wires {
		packets += c.whole()
	}
	found := v.search(secrets)
	t.Logf("%d needles in %d packets: %d found", len(secrets), packets, len(found))
	for i, f := range found {
		if i < 10 {
			t.Error(f)
		}
	}
	v.strangers(ctx, first, p)
}

// hears waits until one of some byte strings was on a wire in a flow whose name has this in it.
func (v *street) hears(ctx context.Context, what string, needles map[string][]byte, in string) {
	v.t.Helper()
	var found []string
	err := poll(ctx, func() (bool, error) {
		found = v.search(needles)
		return slices.ContainsFunc(found, func(f string) bool { return strings.Contains(f, in) }), nil
	})
	if err != nil {
		v.t.Fatalf("%s was not heard in %q: %v; only %q", what, in, err, found)
	}
}

// strangers asks for what is shared with the group by everything that a stranger can say.
func (v *street) strangers(ctx context.Context, secret, public shared) {
	v.t.Helper()
	t := v.t
	known, unknown := name20(t, secret.InfoHash), [20]byte([]byte("nobody-has-this-hash"))
	anna := netip.MustParseAddrPort("192.168.3.2:7463")
	// A session of BitTorrent: the same bytes, the same end, about the same time.
	if got := handshake(t, v.lodger.s, anna, name20(t, public.V1)); got.n == 0 {
		t.Errorf("a handshake for the public share is not answered: %+v", got)
	}
	var times [2][]time.Duration
	for range 9 {
		a, b := handshake(t, v.lodger.s, anna, known), handshake(t, v.lodger.s, anna, unknown)
		if a.n != 0 || b.n != 0 || a.end != b.end {
			t.Fatalf("a handshake for the group's share: %+v; for one that nobody has: %+v", a, b)
		}
		times[0], times[1] = append(times[0], a.took), append(times[1], b.took)
	}
	slices.Sort(times[0])
	slices.Sort(times[1])
	t.Logf("refused after %v, as one that nobody has after %v", times[0][4], times[1][4])
	if d := times[0][4] - times[1][4]; d.Abs() > 5*time.Millisecond+times[1][4] {
		t.Errorf("refused after %v, one that nobody has after %v", times[0][4], times[1][4])
	}
	// The DHT: every node of it. The members' own do not even answer at a private address.
	udp := v.lodger.s.listenUDP("0.0.0.0:0")
	held := 0
	for _, to := range []string{"192.168.3.2:7463", "192.168.3.3:7463", "11.0.1.2:7463", "11.0.2.2:7463"} {
		if got := getPeers(t, udp, to, known); bytes.Contains(got, []byte("6:values")) {
			t.Errorf("get_peers at %s: %q", to, got)
		}
		if bytes.Contains(getPeers(t, udp, to, name20(t, public.V1)), []byte("6:values")) {
			held++
		}
	}
	if held == 0 {
		t.Error("no node of the DHT knows who has the public share either")
	}
	// The program of a stranger who has the link, and of one who has the hash alone.
	r := v.outside.run(ctx, "get", secret.Link, "-o", t.TempDir())
	if r.code != 6 || !strings.Contains(r.stderr, "shoal join") {
		t.Errorf("the link at a stranger's: exit %d: %s", r.code, r.stderr)
	}
	r = v.lodger.run(ctx, "get", "magnet:?xt=urn:btmh:1220"+secret.V2, "-o", t.TempDir(), "--timeout", "4s", "--peer", anna.String(), "--peer", "192.168.3.3:7463")
	if r.code != 3 {
		t.Errorf("the hash at a stranger's: exit %d: %s", r.code, r.stderr)
	}
	v.lured(ctx)
}

// lured checks that nodes which want a share of a group go to nobody who says on the wire to
// have it: it says so of a public one too, and there they come.
func (v *street) lured(ctx context.Context) {
	v.t.Helper()
	t := v.t
	path, _ := content(t, "lost-tapir")
	s := v.anna.publish(ctx, path, "--to", "family")
	v.anna.ok(ctx, "rm", s.InfoHash)
	public := strings.Repeat("5c", 20)
	for _, link := range []string{s.Link, "magnet:?xt=urn:btih:" + public} {
		v.bert.start("get", link, "-o", t.TempDir())
	}
	v.bert.until(ctx, s.InfoHash, "the group's", func(share) bool { return true })
	v.bert.until(ctx, public, "the public one", func(share) bool { return true })
	trap := v.lodger.s.listenTCP("192.168.3.4:6999")
	say := func(hash string) { // as clients do, again and again
		text := fmt.Sprintf("BT-SEARCH * HTTP/1.1\r\nHost: 239.192.152.143:6771\r\nPort: 6999\r\nInfohash: %s\r\ncookie: trap\r\n\r\n\r\n", hash)
		if err := v.lodger.s.in(func() error {
			c, err := net.Dial("udp", "239.192.152.143:6771")
			if err != nil {
				return err
			}
			defer c.Close()
			_, err = c.Write([]byte(text))
			return err
		}); err != nil {
			t.Error(err)
		}
	}
	saying, hush := context.WithTimeout(ctx, 15*time.Second)
	defer hush()
	go func() {
		for tick := time.NewTicker(500 * time.Millisecond); saying.Err() == nil; <-tick.C {
			say(s.InfoHash[:40])
			say(public)
		}
	}()
	must(t, trap.(*net.TCPListener).SetDeadline(time.Now().Add(15*time.Second)))
	for {
		c, err := trap.Accept()
		if err != nil {
			t.Fatalf("nobody comes for the public share either: %v", err)
		}
		must(t, c.SetDeadline(time.Now().Add(5*time.Second)))
		hello := make([]byte, 48)
		_, err = io.ReadFull(c, hello)
		c.Close()
		if bytes.Contains(hello, name20slice(s.InfoHash)) {
			t.Error("who wants the group's share says so to a stranger")
		}
		if err == nil && bytes.Contains(hello, name20slice(public)) {
			return
		}
	}
}

// name20 is the name of a share in a handshake: v1, or the first 20 bytes of v2.
func name20(t *testing.T, hash string) [20]byte {
	t.Helper()
	b := name20slice(hash)
	if len(b) != 20 {
		t.Fatalf("%q is no hash", hash)
	}
	return [20]byte(b)
}

func name20slice(hash string) []byte {
	b, _ := hex.DecodeString(hash)
	return b[:min(20, len(b))]
}

// answered is what a BitTorrent handshake brought.
type answered struct {
	n    int    // bytes of an answer
	end  string // how the connection ended: closed, reset, silence
	took time.Duration
}

// handshake begins a BitTorrent session for a share and tells how it went.
func handshake(t *testing.T, from *space, to netip.AddrPort, name [20]byte) (a answered) {
	t.Helper()
	began := time.Now()
	must(t, from.in(func() error {
		c, err := net.DialTimeout("tcp", to.String(), 3*time.Second)
		if err != nil {
			return err
		}
		defer c.Close()
		hello := append([]byte("\x13BitTorrent protocol\x00\x00\x00\x00\x00\x10\x00\x15"), name[:]...)
		if _, err := c.Write(append(hello, "-XX0000-stranger-one"...)); err != nil {
			return err
		}
		if err := c.SetReadDeadline(time.Now().Add(3 * time.Second)); err != nil {
			return err
		}
		a.n, err = io.ReadAtLeast(c, make([]byte, 1000), 68)
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			a.end = "closed"
		case errors.Is(err, unix.ECONNRESET):
			a.end = "reset"
		default:
			a.end = "silence"
		}
		return nil
	}))
	a.took = time.Since(began)
	return a
}

// questions counts what getPeers asked: each question has a number of its own.
var questions atomic.Uint32

// getPeers asks a node of the DHT who has a share; nil if it does not answer.
func getPeers(t *testing.T, c *net.UDPConn, to string, name [20]byte) []byte {
	t.Helper()
	tag := fmt.Sprintf("1:t4:%04x1:y1:", questions.Add(1)&0xffff)
	q := append([]byte("d1:ad2:id20:a-node-who-is-asking9:info_hash20:"), name[:]...)
	q = append(q, "e1:q9:get_peers"+tag+"qe"...)
	b := make([]byte, 2000)
	for range 3 {
		_, err := c.WriteToUDPAddrPort(q, netip.MustParseAddrPort(to))
		must(t, err)
		must(t, c.SetReadDeadline(time.Now().Add(700*time.Millisecond)))
		for err == nil {
			var n int
			n, _, err = c.ReadFromUDPAddrPort(b)
			if err == nil && bytes.Contains(b[:n], []byte(tag[:9])) {
				return b[:n]
			}
		}
	}
	return nil
}
