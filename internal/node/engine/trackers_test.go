package engine

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"shoal/internal/adapter/store"
	"shoal/internal/adapter/tracker"
	"shoal/internal/core/metainfo"
)

// heard is a tracker on loopback that hands on what events it is told, and how much is left.
func heard(t *testing.T) (url string, events chan string) {
	t.Helper()
	events = make(chan string, 100)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		events <- q.Get("event") + " " + q.Get("left")
		io.WriteString(w, "d8:intervali1800e5:peers0:e")
	}))
	t.Cleanup(s.Close)
	return s.URL + "/announce", events
}

// next waits for the next event that the tracker is told.
func next(t *testing.T, events chan string) string {
	t.Helper()
	select {
	case e := <-events:
		return e
	case <-time.After(longest):
		t.Fatal("the tracker heard nothing more")
		return ""
	}
}

// withTracker gives an engine a client of trackers, and parks quiet shares soon.
func withTracker(t *testing.T) func(*Config) {
	c := tracker.New(tracker.Config{Allow: func(netip.AddrPort) error { return nil }})
	t.Cleanup(func() { c.Close() })
	return func(cfg *Config) { cfg.Tracker, cfg.ParkAfter = c, time.Millisecond }
}

// parked waits until no share runs.
func (n *node) parked() {
	n.t.Helper()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	late := time.After(longest)
	for len(n.running()) > 0 {
		select {
		case <-look.C:
		case <-late:
			n.t.Fatalf("a quiet share is not parked: %s", n.states())
		}
	}
}

// TestTrackersOfParkedShare: a share that was parked wakes without a second `started`, and
// its trackers hear `stopped` when it is paused, removed, or the node ends, before the
// `started` of what comes next.
func TestTrackersOfParkedShare(t *testing.T) {
	url, events := heard(t)
	path := filepath.Join(t.TempDir(), "content")
	writeFile(t, path, testPiece)
	n := startNode(t, withTracker(t))
	o := store.CreateOptions{Version: metainfo.V1, PieceLength: testPiece, Trackers: [][]string{{url}}}
	m := n.share(path, o)
	expect := func(want string) {
		t.Helper()
		if e := next(t, events); e != want {
			t.Errorf("the tracker was told %q, not %q", e, want)
		}
	}
	expect("started 0")
	n.parked()
	d, err := n.Detail(m.Hash.ID()) // it wakes
	if err != nil || len(d.Trackers) != 1 {
		t.Fatalf("%+v, %v", d.Trackers, err)
	}
	for range 2 {
		if _, err := n.SetPaused(m.Hash.ID(), true); err != nil {
			t.Fatal(err)
		}
		if _, err := n.SetPaused(m.Hash.ID(), false); err != nil {
			t.Fatal(err)
		}
		expect("stopped 0")
		expect("started 0")
	}
	if _, _, err := n.Remove(m.Hash.ID(), false); err != nil {
		t.Fatal(err)
	}
	n.share(path, o)
	expect("stopped 0")
	expect("started 0")
	n.stop()
	expect("stopped 0")
	if len(events) > 0 {
		t.Errorf("the tracker was also told %q", <-events)
	}
}

// TestTrackerOfSelection: a part of a share is not the share: no `completed` is told, and what
// was not wanted is left (BEP 21). The rest makes it complete.
func TestTrackerOfSelection(t *testing.T) {
	url, events := heard(t)
	root := filepath.Join(t.TempDir(), "content")
	writeFile(t, filepath.Join(root, "a"), testPiece)
	writeFile(t, filepath.Join(root, "b"), 100)
	a, b := startNode(t), startNode(t, withTracker(t))
	m := a.share(root, store.CreateOptions{Version: metainfo.V1, PieceLength: testPiece})
	tracked := *m // the node has the other
	tracked.Trackers = [][]string{{url}}
	expect := func(want string) {
		t.Helper()
		if e := next(t, events); e != want {
			t.Errorf("the tracker was told %q, not %q", e, want)
		}
	}
	dir := b.fetch(Spec{Meta: &tracked, Select: []string{"a"}})
	expect(fmt.Sprint("started ", testPiece+100))
	if _, err := b.AddPeers(m.Hash.ID(), []string{a.addr()}); err != nil {
		t.Fatal(err)
	}
	b.waitDone(m.Hash)
	if _, err := b.SetPaused(m.Hash.ID(), true); err != nil {
		t.Fatal(err)
	}
	expect("stopped 100")
	if _, err := a.SetPaused(m.Hash.ID(), true); err != nil { // or the rest might come before the tracker is asked
		t.Fatal(err)
	}
	b.fetch(Spec{Meta: m, Dir: dir})
	expect("started 100")
	if _, err := a.SetPaused(m.Hash.ID(), false); err != nil {
		t.Fatal(err)
	}
	if _, err := a.AddPeers(m.Hash.ID(), []string{b.addr()}); err != nil {
		t.Fatal(err)
	}
	expect("completed 0")
	b.stop()
	expect("stopped 0")
}

// knows is a tracker on loopback that names one peer and says how many want the share.
func knows(t *testing.T, peer netip.AddrPort, leechers int) (url string) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n, err := strconv.Atoi(r.URL.Query().Get("numwant")); err != nil || n == 0 {
			t.Errorf("asked for %d peers", n)
		}
		ip := peer.Addr().As4()
		fmt.Fprintf(w, "d10:incompletei%de8:intervali1800e5:peers6:%s%se", leechers, ip[:], []byte{byte(peer.Port() >> 8), byte(peer.Port())})
	}))
	t.Cleanup(s.Close)
	return s.URL + "/announce"
}

// TestSeedDialsWhoCannot: a seed behind a NAT cannot be reached. It asks its tracker for
// those who want the share, and dials them.
func TestSeedDialsWhoCannot(t *testing.T) {
	leech := startNode(t)
	path := filepath.Join(t.TempDir(), "content")
	writeFile(t, path, 3*testPiece)
	o := store.CreateOptions{Version: metainfo.V1, PieceLength: testPiece}
	m, _, err := store.Create(t.Context(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	dir := leech.fetch(Spec{Meta: m})
	seed := startNode(t, withTracker(t))
	o.Trackers = [][]string{{knows(t, netip.MustParseAddrPort(leech.addr()), 1)}}
	seed.share(path, o)
	leech.waitDone(m.Hash)
	sameTree(t, path, filepath.Join(dir, "content"))
}

// TestSeedLetsSeedsBe: where the tracker says that nobody wants the share, a seed dials nobody.
func TestSeedLetsSeedsBe(t *testing.T) {
	l, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	path := filepath.Join(t.TempDir(), "content")
	writeFile(t, path, testPiece)
	seed := startNode(t, withTracker(t))
	o := store.CreateOptions{Version: metainfo.V1, PieceLength: testPiece, Trackers: [][]string{{knows(t, l.Addr().(*net.TCPAddr).AddrPort(), 0)}}}
	seed.share(path, o)
	seed.wait("its tracker", func(e Event) bool { return e.Kind == EventTracker })
	seed.parked()
	if err := l.SetDeadline(time.Now()); err != nil {
		t.Fatal(err)
	}
	if c, err := l.Accept(); err == nil {
		c.Close()
		t.Error("it dialled another seed")
	}
}
