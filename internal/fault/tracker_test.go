//go:build linux

package fault

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"shoal/bench/clients"
)

// mute is a tracker that takes connections and never answers, or answers the first
// calls only.
type mute struct {
	ln     net.Listener
	server *http.Server
	calls  chan string // event of each announce
}

// newMute makes a tracker that never answers `stopped` and answers all else.
func newMute(t *testing.T, l *clients.Lab) *mute {
	return newTracker(t, l, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("event") == "stopped" {
			<-r.Context().Done()
			return
		}
		fmt.Fprint(w, "d8:intervali1800e5:peers0:e")
	})
}

// newTracker makes a tracker out of an HTTP handler.
func newTracker(t *testing.T, l *clients.Lab, answer http.HandlerFunc) *mute {
	t.Helper()
	m := &mute{calls: make(chan string, 1000)}
	var err error
	m.ln, err = net.Listen("tcp", net.JoinHostPort(l.Host(), "6969"))
	must(t, err)
	m.server = &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case m.calls <- r.URL.Query().Get("event"):
		default:
		}
		answer(w, r)
	})}
	go func() { _ = m.server.Serve(m.ln) }()
	t.Cleanup(func() { m.server.Close() })
	return m
}

func (m *mute) url() string { return "http://" + m.ln.Addr().String() + "/announce" }

// asked waits for the first announce.
func (m *mute) asked(ctx context.Context, t *testing.T) {
	t.Helper()
	select {
	case <-m.calls:
	case <-ctx.Done():
		t.Fatal("no announce came")
	}
}

// TestHostileTrackers puts every kind of bad tracker beside a node: it stays well,
// says in show what was wrong, and stops in time.
func TestHostileTrackers(t *testing.T) {
	t.Parallel()
	bomb := gzipped(t, 256<<20)
	var loops atomic.Int64
	cases := []struct {
		name   string
		answer http.HandlerFunc
		says   string // in show; "": an answer that is good
	}{
		{"nonsense", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>\x1b[2Jhello</html>") }, "bencod"},
		{"empty", func(http.ResponseWriter, *http.Request) {}, " "},
		{"wrong types", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "d8:interval3:abc5:peersi7ee") }, " "},
		{"ragged peers", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "d8:intervali60e5:peers5:abcdee") }, " "},
		{"failure with escapes", func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "d14:failure reason12:\x1b[31mgo awaye")
		}, "go away"},
		{"status 500", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(500) }, "500"},
		{"gzip bomb", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(bomb)
		}, " "},
		{"endless", func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(bytes.Repeat([]byte("x"), 64<<10)); err != nil {
					return
				}
			}
		}, " "},
		{"redirects in a circle", func(w http.ResponseWriter, r *http.Request) {
			loops.Add(1)
			http.Redirect(w, r, r.URL.Path+"?"+r.URL.RawQuery, http.StatusFound)
		}, "redirect"},
		{"redirect out of scope", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://192.0.2.1/announce", http.StatusFound)
		}, " "},
		{"interval of centuries", func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "d8:intervali9223372036854775807e5:peers0:e")
		}, ""},
		{"thousands of peers", func(w http.ResponseWriter, _ *http.Request) {
			n := 20000
			fmt.Fprintf(w, "d8:intervali60e5:peers%d:", 6*n)
			for i := range n {
				_, _ = w.Write([]byte{192, 0, byte(i >> 8), byte(i), 26, 225})
			}
			fmt.Fprint(w, "e")
		}, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			ctx := deadline(t, 20*time.Second)
			l := lab(t)
			tr := newTracker(t, l, c.answer)
			n := newNode(t, l)
			s := n.share(ctx, file(t, "t.bin", 64<<10), "--tracker", tr.url())
			tr.asked(ctx, t)
			v := n.until(ctx, s.Hash(), "the tracker's answer in show", func(v share) bool {
				return len(v.Trackers) == 1 && (c.says == "" || strings.Contains(v.Trackers[0].Message, c.says))
			})
			if m := v.Trackers[0].Message; strings.ContainsAny(m, "\x1b\n") {
				t.Errorf("the tracker's message is shown raw: %q", m)
			}
			if rss := peakRSS(s.proc.PID()); rss > 96 {
				t.Errorf("%.0f MiB resident", rss)
			}
			var health struct{ OK bool }
			if err := n.ask(ctx, "GET", "/api/v1/health", &health); err != nil || !health.OK {
				t.Errorf("health: %v %v", health, err)
			}
			if r, took := s.proc.stopped(ctx, syscall.SIGINT); r.code != 0 || took > stopTime {
				t.Errorf("exit %d after %v: %s", r.code, took, r.stderr)
			}
		})
	}
	if n := loops.Load(); n > 50 {
		t.Errorf("%d redirects were followed", n)
	}
}

func gzipped(t *testing.T, n int) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	zeros := make([]byte, 1<<20)
	for range n >> 20 {
		_, err := z.Write(zeros)
		must(t, err)
	}
	must(t, z.Close())
	return b.Bytes()
}

// TestSilentTracker: a tracker that never answers holds nothing up, neither a fetch nor
// the end.
func TestSilentTracker(t *testing.T) {
	t.Parallel()
	ctx := deadline(t, 40*time.Second)
	l := lab(t)
	silent := newTracker(t, l, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	path := file(t, "q.bin", 1<<20)
	seed := newNode(t, l).share(ctx, path, "--tracker", silent.url())
	silent.asked(ctx, t)
	n := newNode(t, l)
	out := t.TempDir()
	n.ok(ctx, "get", seed.Link, "-o", out, "--peer", seed.node.addr())
	sound(t, path, out+"/q.bin")
	if r, took := seed.proc.stopped(ctx, syscall.SIGTERM); r.code != 0 || took > stopTime {
		t.Errorf("exit %d after %v: %s", r.code, took, r.stderr)
	}
	// One that answers all but the goodbye, with connections to say goodbye to as well.
	mute := newMute(t, l)
	other := newNode(t, l).share(ctx, path, "--tracker", mute.url(), "--name", "other")
	mute.asked(ctx, t)
	other.node.until(ctx, other.Hash(), "an answer", func(v share) bool { return len(v.Trackers) == 1 && v.Trackers[0].Message == "" })
	if r, took := other.proc.stopped(ctx, syscall.SIGINT); r.code != 0 || took > stopTime {
		t.Errorf("mute: exit %d after %v: %s", r.code, took, r.stderr)
	}
}

// TestStopAtStart stops a node with trackers at its first breath, when an announce is
// just being made.
func TestStopAtStart(t *testing.T) {
	t.Parallel()
	ctx := deadline(t, time.Minute)
	l := lab(t)
	silent := newTracker(t, l, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	path := file(t, "q.bin", 64<<10)
	n := newNode(t, l)
	for i := range 8 {
		p := n.share(ctx, path, "--tracker", silent.url()).proc
		if r, took := p.stopped(ctx, syscall.SIGINT); r.code != 0 || took > stopTime {
			t.Errorf("round %d: exit %d after %v: %s", i, r.code, took, r.stderr)
		}
	}
}

// TestGoodTracker: a good one is told of start, completion and end.
func TestGoodTracker(t *testing.T) {
	t.Parallel()
	ctx := deadline(t, 30*time.Second)
	l := lab(t)
	tr, err := clients.StartTracker(l)
	must(t, err)
	path := file(t, "g.bin", 1<<20)
	seed := newNode(t, l).share(ctx, path, "--tracker", tr.URL())
	must(t, tr.Await(ctx, func(a clients.Announce) bool { return a.Event == "started" }))
	if a := tr.Announces()[0]; a.Left != 0 {
		t.Errorf("a seed says that it lacks %d bytes", a.Left)
	}
	n := newNode(t, l)
	out := t.TempDir()
	p := n.start("get", seed.torrent(ctx), "-o", out, "--seed") // the tracker alone knows the seed
	p.event(ctx, "done", nil)
	host := n.host
	from := func(event string) func(clients.Announce) bool {
		return func(a clients.Announce) bool { return a.Event == event && a.Peer.Addr().String() == host }
	}
	must(t, tr.Await(ctx, from("started")))
	must(t, tr.Await(ctx, from("completed")))
	if r, took := p.stopped(ctx, syscall.SIGINT); r.code != 0 || took > stopTime {
		t.Errorf("exit %d after %v: %s", r.code, took, r.stderr)
	}
	must(t, tr.Await(ctx, from("stopped")))
	sound(t, path, out+"/g.bin")
}
