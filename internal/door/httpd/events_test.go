package httpd_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"shoal/internal/door/api"
	"shoal/internal/door/httpd"
	"shoal/internal/door/httpd/fakenode"
)

// watch collects events of a share until it is done.
func watch(t *testing.T, c *api.Client, f api.Filter) (names []string, done *api.Done) {
	t.Helper()
	enough := errors.New("enough")
	err := c.Watch(t.Context(), f, func(e api.Event) error {
		names = append(names, api.HeadOf(e).Event)
		if d, ok := e.(*api.Done); ok {
			done = d
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) {
		t.Fatalf("watch: %v after %v", err, names)
	}
	return names, done
}

func TestWatchingADownload(t *testing.T) {
	d := openFake(t)
	dir := t.TempDir()
	s, err := d.client.Add(t.Context(), api.AddRequest{Link: link + "a.txt", Dir: dir})
	if err != nil || s.State != api.StateMetadata {
		t.Fatalf("%v %v", s, err)
	}
	names, done := watch(t, d.client, api.Filter{Share: s.InfoHash, Progress: 100 * time.Millisecond})
	got := strings.Join(names, " ")
	if !strings.HasPrefix(got, "share ") || !strings.Contains(got, " progress ") || strings.Count(got, "done") != 1 {
		t.Errorf("events: %s", got)
	}
	if done.Bytes != 4*fakenode.PieceLength || done.Path != dir+"/a.txt" || len(done.Peers) != 1 {
		t.Errorf("done: %+v", done)
	}
	names, _ = watch(t, d.client, api.Filter{Share: s.InfoHash}) // who comes later hears of it too
	if strings.Join(names, " ") != "share done" {
		t.Errorf("afterwards: %v", names)
	}
}

// TestWatchingALinkThatIsRenamed: a link that knows the v1 hash of a hybrid alone is
// named after its v2 hash when its description has come. Who watches it hears on.
func TestWatchingALinkThatIsRenamed(t *testing.T) {
	d := openFake(t)
	made := publish(t, d, "hybrid")
	n := fakenode.New(d.node.World)
	other := open(t, n, n.Door())
	s, err := other.client.Add(t.Context(), api.AddRequest{Link: "magnet:?xt=urn:btih:" + made.InfoHashV1 + "&dn=later", Dir: t.TempDir()})
	if err != nil || s.InfoHash != made.InfoHashV1 {
		t.Fatalf("%v %v", s, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	var done *api.Done
	enough := errors.New("enough")
	err = other.client.Watch(ctx, api.Filter{Share: made.InfoHashV1, Progress: 100 * time.Millisecond}, func(e api.Event) error {
		if d, ok := e.(*api.Done); ok {
			done = d
			return enough
		}
		return nil
	})
	if done == nil || done.InfoHash != made.InfoHash {
		t.Errorf("%v: done %+v, want that of %s", err, done, made.InfoHash)
	}
}

func TestLongCallsTellTheirProgress(t *testing.T) {
	d := openFake(t)
	made := publish(t, d, "file")
	var last api.Progress
	if _, err := d.client.Verify(t.Context(), made.Name, func(p api.Progress) { last = p }); err != nil {
		t.Fatal(err)
	}
	if last.Total != made.Bytes {
		t.Errorf("progress %+v", last)
	}
	if _, err := d.client.Verify(t.Context(), "nope", nil); kindOf(err) != api.NotFound {
		t.Errorf("a long call that fails at once: %v", err)
	}
	resp, body := d.do(t, "POST", "/api/v1/shares/file/verify", "")
	if resp.StatusCode != 200 || !strings.Contains(body, `"good":1`) {
		t.Errorf("without a stream: %d %s", resp.StatusCode, body)
	}
}

// signal is a Create that lasts until its caller goes away.
type signal struct {
	httpd.Shares
	began, ended chan struct{}
}

func (s signal) Create(ctx context.Context, _ api.CreateRequest, progress func(api.Progress)) (api.Created, error) {
	progress(api.Progress{Done: 1, Total: 2})
	close(s.began)
	<-ctx.Done()
	close(s.ended)
	return api.Created{}, ctx.Err()
}

func TestGoingAwayInterruptsALongCall(t *testing.T) {
	n := fakenode.New(new(fakenode.World))
	door := n.Door()
	s := signal{n, make(chan struct{}), make(chan struct{})}
	door.Shares = s
	d := open(t, n, door)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-s.began; cancel() }()
	if _, err := d.client.Publish(ctx, api.CreateRequest{Path: "/x"}, nil); kindOf(err) != api.Interrupted {
		t.Errorf("got %v", err)
	}
	<-s.ended
}

// pipes is a listener of in-memory connections, for time that is not real.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}
func (p *pipes) Close() error   { p.once.Do(func() { close(p.done) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }
func (p *pipes) dial() net.Conn {
	a, b := net.Pipe()
	p.conns <- b
	return a
}

// inBubble serves a fake over pipes under a clock that only moves when all wait.
func inBubble(t *testing.T, test func(*testing.T, *fakenode.Node, *pipes)) {
	synctest.Test(t, func(t *testing.T) {
		n, p := fakenode.New(new(fakenode.World)), newPipes()
		s := httpd.New(n.Door(), httpd.Config{})
		served := make(chan error)
		go func() { served <- s.ServeOwner(p) }()
		test(t, n, p)
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}

func TestASlowListenerIsToldWhatItMissed(t *testing.T) {
	inBubble(t, func(t *testing.T, n *fakenode.Node, p *pipes) {
		c := p.dial()
		defer c.Close()
		fmt.Fprintf(c, "GET /api/v1/events HTTP/1.1\r\nHost: shoal\r\n\r\n")
		buf := make([]byte, 1<<20)
		k, err := c.Read(buf) // the header
		if err != nil || !strings.Contains(string(buf[:k]), "text/event-stream") {
			t.Fatalf("%q %v", buf[:k], err)
		}
		synctest.Wait()
		for i := range 1000 { // far more than the queue, while nobody reads
			n.Bus.Publish(&api.Notice{Head: api.Head{Event: api.EventNotice}, Code: "n", Text: fmt.Sprint(i)})
		}
		var text strings.Builder
		for !strings.Contains(text.String(), `"event":"missed"`) {
			k, err := c.Read(buf)
			if err != nil {
				t.Fatalf("%v after %q", err, text.String())
			}
			text.Write(buf[:k])
		}
		if strings.Count(text.String(), "event: notice") > 300 {
			t.Errorf("%d events were kept", strings.Count(text.String(), "event: notice"))
		}
	})
}

func TestAListenerThatNeverReadsIsGivenUp(t *testing.T) {
	inBubble(t, func(t *testing.T, n *fakenode.Node, p *pipes) {
		c := p.dial()
		defer c.Close()
		fmt.Fprintf(c, "GET /api/v1/events HTTP/1.1\r\nHost: shoal\r\n\r\n")
		began := time.Now()
		for n.Bus.Listening() == (time.Since(began) > time.Minute) { // the clock moves as nobody else can
			if time.Since(began) > 2*time.Minute {
				t.Fatal("it still listens after two minutes")
			}
			timer := time.NewTimer(time.Second)
			<-timer.C
		}
	})
}

func TestSlowHeadersAndIdleConnectionsAreClosed(t *testing.T) {
	for _, tc := range []struct {
		name, send string
		within     time.Duration
	}{
		{"nothing is sent", "", 6 * time.Second},
		{"half a header", "GET /api/v1/health HTTP/1.1\r\nHost: sh", 6 * time.Second},
		{"a body that does not come", "POST /api/v1/shares HTTP/1.1\r\nHost: shoal\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{", 40 * time.Second},
		{"nothing after an answer", "GET /api/v1/health HTTP/1.1\r\nHost: shoal\r\n\r\n", 61 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, _ *fakenode.Node, p *pipes) {
				c := p.dial()
				defer c.Close()
				began := time.Now()
				if tc.send != "" {
					if _, err := c.Write([]byte(tc.send)); err != nil {
						t.Fatal(err)
					}
				}
				buf := make([]byte, 64<<10)
				for {
					if _, err := c.Read(buf); err != nil {
						break
					}
				}
				if d := time.Since(began); d > tc.within {
					t.Errorf("closed after %v", d)
				}
			})
		})
	}
}

// deaf is a Verify that does not notice that it was called off.
type deaf struct {
	httpd.Control
	began, end chan struct{}
}

func (d deaf) Verify(context.Context, string, func(api.Progress)) (api.Verified, error) {
	close(d.began)
	<-d.end
	return api.Verified{}, nil
}

// TestClosingWaitsForNobody: the node behind has its own farewell to say, so neither a
// connection that never asked anything nor a call that goes on may hold the door.
func TestClosingWaitsForNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, p := fakenode.New(new(fakenode.World)), newPipes()
		door := n.Door()
		call := deaf{n, make(chan struct{}), make(chan struct{})}
		door.Control = call
		s := httpd.New(door, httpd.Config{})
		served := make(chan error)
		go func() { served <- s.ServeOwner(p) }()
		silent, busy := p.dial(), p.dial()
		defer silent.Close()
		defer busy.Close()
		made, err := n.Create(t.Context(), api.CreateRequest{Path: t.TempDir(), Name: "x"}, func(api.Progress) {})
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(busy, "POST /api/v1/shares/%s/verify HTTP/1.1\r\nHost: shoal\r\n\r\n", made.InfoHash)
		<-call.began
		began := time.Now()
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if d := time.Since(began); d > time.Second {
			t.Errorf("it took %v", d)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
		close(call.end)
		synctest.Wait()
	})
}

func TestConnectionsAreBounded(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *fakenode.Node, p *pipes) {
		var open []net.Conn
		for range 256 {
			open = append(open, p.dial())
		}
		synctest.Wait()
		a, b := net.Pipe()
		defer a.Close()
		select {
		case p.conns <- b:
			t.Error("the 257th was accepted at once")
		case <-time.After(time.Second):
		}
		open[0].Close()
		p.conns <- b // now there is room
		for _, c := range open {
			c.Close()
		}
	})
}

func TestHeadersOnEveryAnswer(t *testing.T) {
	d := openFake(t)
	resp, _ := d.do(t, http.MethodHead, "/api/v1/health", "")
	if resp.StatusCode != 200 || resp.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%d %v", resp.StatusCode, resp.Header)
	}
}
