//go:build linux

package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"shoal/bench/clients"
	"shoal/bench/clients/testlab"
)

// node is one home on one computer, and how its commands are run there.
type node struct {
	t    *testing.T
	s    *space
	lab  *clients.Lab
	dir  string // of logs
	home string
	id   string // NodeID, once it has been up
	runs int
}

// newNode makes a home whose [network] section has these lines. The node is called like its
// computer.
func newNode(t *testing.T, s *space, network ...string) *node {
	t.Helper()
	l := testlab.New(t)
	dir, err := l.Folder("node")
	must(t, err)
	n := &node{t: t, s: s, lab: l, dir: dir, home: filepath.Join(dir, "home")}
	n.configure(network...)
	return n
}

// configure writes config.toml. No bootstrap names, as nobody answers for them here.
func (n *node) configure(network ...string) {
	n.t.Helper()
	must(n.t, os.MkdirAll(n.home, 0o700))
	text := "[node]\nname = " + strconv.Quote(n.s.name) + "\n[disk]\nreserve = \"0\"\n[log]\nlevel = \"debug\"\n[network]\n"
	all := strings.Join(network, "\n")
	if !strings.Contains(all, "bootstrap") {
		text += "bootstrap = []\n"
	}
	must(n.t, os.WriteFile(filepath.Join(n.home, "config.toml"), []byte(text+all+"\n"), 0o600))
}

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
	enter, err := exec.LookPath("nsenter")
	must(n.t, err)
	line := append([]string{"--net=" + n.s.path(), "--", os.Getenv(clients.ShoalPath)}, args...)
	line = append(line, "--json", "--home", n.home)
	// nsenter becomes the program: the process is shoal's.
	p, err := n.lab.Run(clients.Command{Name: name, Path: enter, Args: line, Logs: n.dir})
	must(n.t, err)
	return &proc{p, n.t, filepath.Join(n.dir, name+".err")}
}

// result is how a command ended.
type result struct {
	code   int
	out    []byte
	stderr string
}

// wait waits for the end.
func (p *proc) wait(ctx context.Context) result {
	p.t.Helper()
	code, err := p.Wait(ctx)
	if err != nil {
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
		n.t.Fatalf("%s: shoal %s: exit %d\n%s%s", n.s.name, strings.Join(args, " "), r.code, r.out, r.stderr)
	}
	return r
}

// said is ok for a command whose only line is a T.
func said[T any](ctx context.Context, n *node, args ...string) T {
	n.t.Helper()
	var v T
	r := n.ok(ctx, args...)
	if err := json.Unmarshal(r.out, &v); err != nil {
		n.t.Fatalf("%s: shoal %s: %v: %s", n.s.name, strings.Join(args, " "), err, r.out)
	}
	return v
}

// event waits for a line with this event that fits; nil fits all.
func (p *proc) event(ctx context.Context, name string, fits func(event) bool) event {
	p.t.Helper()
	var v event
	_, err := p.Line(ctx, func(b []byte) bool {
		v = event{}
		return json.Unmarshal(b, &v) == nil && v.Event == name && (fits == nil || fits(v))
	})
	if err != nil {
		p.t.Fatalf("waiting for %q: %v", name, err)
	}
	return v
}

// event is the part of any event's line that tests look at.
type event struct {
	Event  string
	NodeID string `json:"node_id"`
	Name   string
	Group  string
	Code   string
	Reason string
	Exit   int
	Bytes  int64
}

// up starts the node and waits until it answers.
func (n *node) up(ctx context.Context) *proc {
	n.t.Helper()
	p := n.start("up", "--api-port", "0")
	n.id = p.event(ctx, "ready", nil).NodeID
	n.t.Cleanup(func() { p.stop() })
	return p
}

// stopTime is how long a node may take to end after it was asked to.
const stopTime = 5 * time.Second

// stop asks a node to end, and fails the test when it takes too long. A node that has ended
// already is left alone.
func (p *proc) stop() {
	p.t.Helper()
	began := time.Now()
	_ = p.Signal(syscall.SIGCONT)
	_ = p.Signal(syscall.SIGTERM)
	select {
	case <-p.Ended():
	case <-time.After(stopTime):
		_ = p.Signal(syscall.SIGQUIT) // for the stacks
		<-p.Ended()
		p.t.Errorf("still there %v after SIGTERM: %s", time.Since(began).Round(time.Millisecond), p.stderr)
	}
}

// ask calls the node's HTTP API through its socket; the error says what the node answered.
func (n *node) ask(ctx context.Context, method, path string, v any) error {
	sock := filepath.Join(n.home, "api.sock")
	if b, err := os.ReadFile(sock + ".path"); err == nil {
		sock = strings.TrimSpace(string(b))
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", sock)
	}}}
	req, err := http.NewRequestWithContext(ctx, method, "http://shoal"+path, nil)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	return testlab.Answer(res, v)
}

// contact is a member as `peers` and the API tell of it.
type contact struct {
	NodeID    string `json:"node_id"`
	Name      string
	Connected bool
	How       string
	Address   string
	Relay     *struct {
		NodeID string `json:"node_id"`
		Name   string
	}
	RTT float64
	Why string
	Do  string
}

// peers are all nodes and peers that a node has to do with.
type peers struct {
	Members []contact `json:"member_list"`
	Peers   []struct {
		InfoHash string `json:"info_hash"`
		Address  string
		NodeID   string `json:"node_id"`
		How      string
	} `json:"peer_list"`
}

// peers is what `peers --json` prints: a line each.
func (n *node) peers(ctx context.Context) (p peers) {
	n.t.Helper()
	for l := range bytes.Lines(n.ok(ctx, "peers").out) {
		var c struct {
			Kind string
			contact
		}
		must(n.t, json.Unmarshal(l, &c))
		if c.Kind == "member" {
			p.Members = append(p.Members, c.contact)
		}
	}
	return p
}

// of is what is told of one member.
func (p *peers) of(n *node) contact {
	for _, c := range p.Members {
		if c.NodeID == n.id {
			return c
		}
	}
	return contact{}
}

// untilPeer polls the API until a member is reached as wanted.
func (n *node) untilPeer(ctx context.Context, other *node, what string, fits func(contact) bool) contact {
	n.t.Helper()
	var p peers
	err := poll(ctx, func() (bool, error) {
		p = peers{}
		err := n.ask(ctx, "GET", "/api/v1/peers", &p)
		return err == nil && fits(p.of(other)), err
	})
	if err != nil {
		n.t.Fatalf("%s: %s: %s: %v (last: %+v)", n.s.name, other.s.name, what, err, p)
	}
	return p.of(other)
}

// connected and direct are what untilPeer can wait for.
func connected(c contact) bool { return c.Connected }
func direct(c contact) bool    { return c.Connected && (c.How == "tcp" || c.How == "quic") }

// share is a share as the API tells of it: only what tests look at.
type share struct {
	InfoHash string `json:"info_hash"`
	State    string
	Problem  string

	Done       int64 `json:"bytes_done"`
	Wanted     int64 `json:"bytes_wanted"`
	Downloaded int64
	Uploaded   int64
	Wasted     int64
	Peers      int
	PeerList   []struct {
		Address string
		NodeID  string `json:"node_id"`
		How     string
	} `json:"peer_list"`
}

// until polls the API until a share is as wanted.
func (n *node) until(ctx context.Context, x, what string, fits func(share) bool) share {
	n.t.Helper()
	var s share
	err := poll(ctx, func() (bool, error) {
		s = share{}
		err := n.ask(ctx, "GET", "/api/v1/shares/"+url.PathEscape(x)+"/detail", &s)
		return err == nil && fits(s), err
	})
	if err != nil {
		n.t.Fatalf("%s: %s: %v (last: %+v)", n.s.name, what, err, s)
	}
	return s
}

// shared is what `share --json` prints.
type shared struct {
	clients.Shared
	InfoHash string `json:"info_hash"`
}

// publish shares a path by a node that is up.
func (n *node) publish(ctx context.Context, path string, args ...string) shared {
	n.t.Helper()
	return said[shared](ctx, n, append([]string{"share", path}, args...)...)
}

// invitation is what `invite --json` prints, admission what `join --json` does.
type invitation struct {
	Ticket    string
	Addresses []struct{ Address, Relay string }
}

type admission struct {
	Group, Name, Inviter, Code string
	Already                    bool
}

// invite makes a ticket by a node that is up.
func (n *node) invite(ctx context.Context, args ...string) string {
	n.t.Helper()
	v := said[invitation](ctx, n, append([]string{"invite"}, args...)...)
	n.t.Logf("%s: a ticket with %+v", n.s.name, v.Addresses)
	return v.Ticket
}

// admit lets another node in by a ticket for one, and waits until both are connected.
func (n *node) admit(ctx context.Context, group string, other *node, args ...string) admission {
	n.t.Helper()
	a := said[admission](ctx, other, "join", n.invite(ctx, append([]string{group}, args...)...))
	n.untilPeer(ctx, other, "connected after joining", connected)
	return a
}

// kill ends a process without a word and waits for that.
func (p *proc) kill() {
	p.t.Helper()
	must(p.t, p.Signal(syscall.SIGKILL))
	<-p.Ended()
}
