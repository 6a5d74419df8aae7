//go:build linux

package fault

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
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"shoal/bench/clients"
	"shoal/bench/clients/testlab"
	"shoal/bench/measure"
)

// peerPort is where every node of these tests listens, on an address of its own.
const peerPort = clients.PeerPort

// node is one home and how its commands are run.
type node struct {
	t    *testing.T
	lab  *clients.Lab
	dir  string // of logs
	home string
	host string
	wrap []string // a command that runs the program, such as strace
	runs int
}

// newNode makes a home. config is the text of its config.toml.
func newNode(t *testing.T, l *clients.Lab, config ...string) *node {
	t.Helper()
	dir, err := l.Folder("node")
	must(t, err)
	n := &node{t: t, lab: l, dir: dir, home: filepath.Join(dir, "home"), host: l.Host()}
	n.configure(config...)
	return n
}

// configure writes config.toml.
func (n *node) configure(lines ...string) {
	n.t.Helper()
	if len(lines) == 0 {
		return
	}
	must(n.t, os.MkdirAll(n.home, 0o700))
	must(n.t, os.WriteFile(filepath.Join(n.home, "config.toml"), []byte(strings.Join(lines, "\n")+"\n"), 0o600))
}

// addr is where peers reach it.
func (n *node) addr() string { return net.JoinHostPort(n.host, strconv.Itoa(peerPort)) }

// proc is one command under way.
type proc struct {
	*clients.Process
	t      *testing.T
	stderr string // path
}

// start runs a command beside.
func (n *node) start(args ...string) *proc {
	n.t.Helper()
	n.runs++
	name := fmt.Sprintf("%03d-%s", n.runs, args[0])
	line := append([]string{}, n.wrap...)
	line = append(line, os.Getenv(clients.ShoalPath))
	line = append(line, args...)
	line = append(line, "--json", "--home", n.home, "--scope", "loopback", "--bind", n.host, "--port", strconv.Itoa(peerPort), "--api-port", "0")
	p, err := n.lab.Run(clients.Command{Name: name, Path: lookPath(line[0]), Args: line[1:], Logs: n.dir})
	must(n.t, err)
	return &proc{Process: p, t: n.t, stderr: filepath.Join(n.dir, name+".err")}
}

func lookPath(name string) string {
	if strings.Contains(name, "/") {
		return name
	}
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if p := filepath.Join(dir, name); executable(p) {
			return p
		}
	}
	return name
}

func executable(p string) bool {
	fi, err := os.Stat(p)
	return err == nil && fi.Mode().IsRegular() && fi.Mode()&0o111 != 0
}

// result is how a command ended.
type result struct {
	code   int
	out    []byte
	stderr string
}

// programPID is the process of shoal itself, not of what runs it.
func (p *proc) programPID() int {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", p.PID(), p.PID()))
	if child, err := strconv.Atoi(strings.TrimSpace(string(b))); err == nil {
		return child
	}
	return p.PID()
}

// program sends a signal to shoal itself.
func (p *proc) program(s syscall.Signal) error { return syscall.Kill(p.programPID(), s) }

// wait waits for the end.
func (p *proc) wait(ctx context.Context) result {
	p.t.Helper()
	code, err := p.Wait(ctx)
	if err != nil {
		_ = p.Signal(syscall.SIGQUIT) // for the stacks
		select {
		case <-p.Ended():
		case <-time.After(2 * time.Second):
		}
		p.Kill()
		p.t.Fatalf("%v\n%s", err, p.Tail(3000))
	}
	text, err := os.ReadFile(p.stderr)
	must(p.t, err)
	return result{code, p.Output(), string(text)}
}

// run runs a command to its end.
func (n *node) run(ctx context.Context, args ...string) result {
	n.t.Helper()
	return n.start(args...).wait(ctx)
}

// ok is run for a command that must succeed.
func (n *node) ok(ctx context.Context, args ...string) result {
	n.t.Helper()
	r := n.run(ctx, args...)
	if r.code != 0 {
		n.t.Fatalf("shoal %s: exit %d\n%s%s", strings.Join(args, " "), r.code, r.out, r.stderr)
	}
	return r
}

// event waits for a line with this event.
func (p *proc) event(ctx context.Context, name string, v any) {
	p.t.Helper()
	if err := clients.Event(ctx, p.Process, name, v); err != nil {
		p.t.Fatalf("waiting for %q: %v", name, err)
	}
}

// line waits for a line of output that decodes into a T that fits.
func line[T any](ctx context.Context, p *proc, fits func(T) bool) T {
	p.t.Helper()
	var v T
	_, err := p.Line(ctx, func(b []byte) bool {
		var x T
		if json.Unmarshal(b, &x) != nil || !fits(x) {
			return false
		}
		v = x
		return true
	})
	if err != nil {
		p.t.Fatal(err)
	}
	return v
}

// progress is the part of a progress or done line that tests look at.
type progress struct {
	Event    string
	State    string
	Bytes    int64
	Total    int64
	Pieces   int
	Wasted   int64
	Reason   string
	Action   string
	Peer     string
	Code     string
	Text     string
	InfoHash string `json:"info_hash"`
	Path     string
}

// events are all lines of that event so far.
func (p *proc) events(name string) []progress {
	var list []progress
	for l := range bytes.Lines(p.Output()) {
		var x progress
		if json.Unmarshal(l, &struct{ Event *string }{&x.Event}) == nil && x.Event == name && json.Unmarshal(l, &x) == nil {
			list = append(list, x)
		}
	}
	return list
}

// shared is a share that a node offers.
type shared struct {
	*clients.Shared
	node *node
	proc *proc
}

// share offers a path until the lab stops.
func (n *node) share(ctx context.Context, path string, args ...string) shared {
	n.t.Helper()
	p := n.start(append([]string{"share", path}, args...)...)
	s := line(ctx, p, func(s clients.Shared) bool { return s.Link != "" })
	return shared{&s, n, p}
}

// torrent writes the share's .torrent to a file.
func (s shared) torrent(ctx context.Context) string {
	s.node.t.Helper()
	path := filepath.Join(s.node.dir, s.Hash()+".torrent")
	if exists(path) {
		return path
	}
	s.node.ok(ctx, "torrent", s.Hash(), "-o", path)
	return path
}

// api is the node's HTTP door through its socket.
func (n *node) api() *http.Client {
	path := filepath.Join(n.home, "api.sock")
	if b, err := os.ReadFile(filepath.Join(n.home, "api.sock.path")); err == nil {
		path = strings.TrimSpace(string(b))
	}
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}}}
}

// ask gets a JSON value from the API; the error says what the node answered.
func (n *node) ask(ctx context.Context, method, path string, v any) error {
	req, err := http.NewRequestWithContext(ctx, method, "http://shoal"+path, nil)
	if err != nil {
		return err
	}
	res, err := n.api().Do(req)
	if err != nil {
		return err
	}
	return testlab.Answer(res, v)
}

// api types: only what tests look at.
type share struct {
	InfoHash string `json:"info_hash"`
	State    string
	Problem  string
	Code     string `json:"problem_code"`

	Done       int64 `json:"bytes_done"`
	Wanted     int64 `json:"bytes_wanted"`
	PiecesDone int   `json:"pieces_done"`
	Pieces     int
	Downloaded int64
	Uploaded   int64
	Wasted     int64
	Peers      int
	Candidates int
	PeerList   []struct {
		Address string
		Have    float64
	} `json:"peer_list"`
	Trackers []struct {
		URL     string
		Message string
	}
}

// until polls the API until a share is as wanted.
func (n *node) until(ctx context.Context, hash, what string, fits func(share) bool) share {
	n.t.Helper()
	var s share
	err := poll(ctx, func() (bool, error) {
		s = share{}
		err := n.ask(ctx, "GET", "/api/v1/shares/"+hash+"/detail", &s)
		return err == nil && fits(s), err
	})
	if err != nil {
		n.t.Fatalf("%s: %v (last: %+v)", what, err, s)
	}
	return s
}

// poll asks again until it is done or the context ends.
func poll(ctx context.Context, done func() (bool, error)) error {
	tick := time.NewTicker(15 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := done()
		if ok {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-tick.C:
		}
	}
}

// watch collects the events of a node's API until the test ends.
type watch struct {
	mu   sync.Mutex
	list []progress
	more chan struct{}
}

func (n *node) watch(ctx context.Context) *watch {
	n.t.Helper()
	w := &watch{more: make(chan struct{})}
	var body io.ReadCloser
	err := poll(ctx, func() (bool, error) {
		req, err := http.NewRequestWithContext(ctx, "GET", "http://shoal/api/v1/events", nil)
		if err != nil {
			return false, err
		}
		res, err := n.api().Do(req)
		if err == nil {
			body = res.Body
		}
		return err == nil, err
	})
	must(n.t, err)
	n.t.Cleanup(func() { body.Close() })
	go func() {
		in := bufio.NewScanner(body)
		in.Buffer(nil, 8<<20)
		for in.Scan() {
			data, ok := strings.CutPrefix(in.Text(), "data:")
			var e progress
			if !ok || json.Unmarshal([]byte(data), &e) != nil {
				continue
			}
			w.mu.Lock()
			w.list = append(w.list, e)
			close(w.more)
			w.more = make(chan struct{})
			w.mu.Unlock()
		}
	}()
	return w
}

// find waits for an event that fits.
func (w *watch) find(ctx context.Context, fits func(progress) bool) (progress, error) {
	for from := 0; ; {
		w.mu.Lock()
		list, more := w.list[from:], w.more
		w.mu.Unlock()
		for _, e := range list {
			if fits(e) {
				return e, nil
			}
		}
		from += len(list)
		select {
		case <-more:
		case <-ctx.Done():
			return progress{}, fmt.Errorf("no such event: %w; there were %+v", ctx.Err(), w.list)
		}
	}
}

// metric is a value of /metrics.
func (n *node) metric(ctx context.Context, name string) float64 {
	n.t.Helper()
	var text string
	must(n.t, n.ask(ctx, "GET", "/metrics", &text))
	for l := range strings.Lines(text) {
		if v, ok := strings.CutPrefix(l, name+" "); ok {
			f, err := strconv.ParseFloat(strings.TrimSpace(v), 64)
			must(n.t, err)
			return f
		}
	}
	n.t.Fatalf("no metric %s", name)
	return 0
}

// peakRSS is the most memory that a process had resident, in MiB.
func peakRSS(pid int) float64 { return statusMiB(pid, "VmHWM:") }

func statusMiB(pid int, key string) float64 {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for l := range strings.Lines(string(b)) {
		if f := strings.Fields(l); len(f) > 1 && f[0] == key {
			kb, _ := strconv.ParseFloat(f[1], 64)
			return kb / 1024
		}
	}
	return 0
}

// sound tells whether a file or folder is byte by byte what it should be.
func sound(t *testing.T, want, got string) {
	t.Helper()
	if err := measure.Same(want, got); err != nil {
		t.Error(err)
	}
}

// lastJSON is the last line that has a key, decoded.
func lastJSON[T any](t *testing.T, out []byte, key string) T {
	t.Helper()
	var v T
	found := false
	for l := range bytes.Lines(out) {
		var keys map[string]json.RawMessage
		if json.Unmarshal(l, &keys) == nil && keys[key] != nil {
			v = *new(T)
			must(t, json.Unmarshal(l, &v))
			found = true
		}
	}
	if !found {
		t.Fatalf("no line with %q in %s", key, out)
	}
	return v
}
