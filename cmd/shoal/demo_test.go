package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"shoal/internal/demo"
	"shoal/internal/door/api"
)

// newDemo is a home whose demos have a folder of their own for what they make, and
// something to share that takes the swarm a few seconds.
func newDemo(t *testing.T) (r *real, path, tmp string) {
	r, path, tmp = newReal(t), filepath.Join(t.TempDir(), "album"), t.TempDir()
	for name, size := range map[string]int{"one": 150_000, "two": 100_001, "three/four": 16_384, "empty": 0} {
		file := filepath.Join(path, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		randomFile(t, file, size)
	}
	r.env = []string{"TMPDIR=" + tmp}
	return r, path, tmp
}

// gone waits until nobody listens where a node's API was.
func gone(t *testing.T, nodes []demo.Started) {
	t.Helper()
	for _, n := range nodes {
		addr := strings.TrimPrefix(n.API, "http://")
		for end := time.Now().Add(10 * time.Second); ; runtime.Gosched() {
			c, err := net.Dial("tcp", addr)
			if err != nil {
				break
			}
			c.Close()
			if time.Now().After(end) {
				t.Errorf("%s still runs (process %d)", n.Name, n.PID)
				break
			}
		}
	}
}

// nothingIn is a folder in which nothing is left.
func nothingIn(t *testing.T, dir string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil || len(list) > 0 {
		t.Errorf("left behind: %v %v", list, err)
	}
}

// strict reads one event as docs/cli.md describes it, and nothing else.
func strict(t *testing.T, line []byte, v any) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		t.Errorf("%s: %v", line, err)
	}
}

// events are the lines of a demo, each kind in its order.
type events struct {
	order    []string
	nodes    demo.NodesEvent
	joined   demo.JoinedEvent
	shared   demo.SharedEvent
	progress demo.Progress // the last one
	fetched  []demo.FetchedEvent
	killed   demo.KilledEvent
	report   demo.Report
}

func (e *events) read(t *testing.T, c *child) {
	t.Helper()
	for e.report.Event == "" {
		line, err := c.lines.ReadBytes('\n')
		if err != nil {
			t.Fatalf("it ended after %v: %s", e.order, c.err.String())
		}
		var h struct{ Event string }
		if err := json.Unmarshal(line, &h); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		switch h.Event {
		case "nodes":
			strict(t, line, &e.nodes)
		case "joined":
			strict(t, line, &e.joined)
		case "shared":
			strict(t, line, &e.shared)
		case "progress":
			strict(t, line, &e.progress)
			continue
		case "fetched":
			var f demo.FetchedEvent
			strict(t, line, &f)
			e.fetched = append(e.fetched, f)
		case "killed":
			strict(t, line, &e.killed)
		case "demo":
			strict(t, line, &e.report)
		default:
			t.Errorf("an unknown line: %s", line)
		}
		e.order = append(e.order, h.Event)
	}
}

// TestDemo: a group of five by one ticket, from the link alone, one killed half-way; every
// byte arrives everywhere, and nothing is left.
func TestDemo(t *testing.T) {
	t.Parallel()
	r, path, tmp := newDemo(t)
	c := r.start("demo", path)
	var e events
	e.read(t, c)
	if code := c.wait(); code != 0 {
		t.Fatalf("exit %d: %s", code, c.err.String())
	}
	if got, want := strings.Join(e.order, " "), "nodes joined shared fetched killed fetched fetched fetched demo"; got != want {
		t.Errorf("it went %s, want %s", got, want)
	}
	homes := map[string]bool{}
	for _, n := range e.nodes.Nodes {
		homes[n.Home] = true
	}
	if len(homes) != 5 || len(e.joined.Codes) != 4 || e.joined.Group.Members != 5 {
		t.Errorf("%+v %+v", e.nodes, e.joined)
	}
	for _, code := range e.joined.Codes {
		if !code.Equal || code.Joined != code.Inviter || len(code.Joined) != len("1234 5678 9012") {
			t.Errorf("%+v", code)
		}
	}
	if link, err := api.ParseLink(e.shared.Link); err != nil || len(link.Groups) != 1 || link.Groups[0] != e.joined.Group.ID || strings.Contains(e.shared.Link, "x.pe=") {
		t.Errorf("not a link for the group alone: %s %v", e.shared.Link, err)
	}
	if e.shared.Bytes != 266_385 || e.shared.Files != 4 {
		t.Errorf("%+v", e.shared)
	}
	if k := e.killed; k.Node != "node1" || k.PID != e.nodes.Nodes[0].PID || k.Bytes <= 0 || k.Bytes >= k.Total || k.Total != 3*e.shared.Bytes {
		t.Errorf("%+v", k)
	}
	checkReport(t, &e)
	gone(t, e.nodes.Nodes)
	nothingIn(t, tmp)
}

// checkReport holds the figures against each other.
func checkReport(t *testing.T, e *events) {
	t.Helper()
	p := e.report
	if !p.Equal || p.Killed == nil || p.Killed.Pause <= 0 || len(p.Peers) != 4 || p.Link != e.shared.Link || p.Kept != "" {
		t.Errorf("%+v", p)
	}
	if len(p.Limits) != 2 || p.Limits[1].Node != "node2" || p.Limits[1].Up > p.Limits[0].Up {
		t.Errorf("the slow uploader: %+v", p.Limits)
	}
	var seed, between int64
	for i, peer := range p.Peers {
		var sum int64
		for _, f := range peer.From {
			sum += f.Bytes
			switch f.Node {
			case peer.Name:
				t.Errorf("%s gave to itself", f.Node)
			case "node1":
				seed += f.Bytes
			case "node2":
			default:
				between += f.Bytes
			}
		}
		if peer.Name != e.nodes.Nodes[i+1].Name || !peer.Equal || peer.Bytes != p.Bytes || sum < p.Bytes || sum > p.Bytes+peer.Wasted || peer.Sources != len(peer.From) {
			t.Errorf("%+v", peer)
		}
	}
	if seed != p.Seed || between == 0 {
		t.Errorf("the first node gave %d (%d), those that fetched %d to each other", seed, p.Seed, between)
	}
	var at int64
	for _, n := range e.progress.Nodes {
		at += n.Bytes
	}
	if len(e.progress.Nodes) != 3 || at != e.progress.Bytes || e.progress.Total != 3*p.Bytes {
		t.Errorf("%+v", e.progress)
	}
}

// TestDemoForPeople: the story goes to standard error, the figures to standard output, and kept
// homes can be looked at, that of the killed node too.
func TestDemoForPeople(t *testing.T) {
	t.Parallel()
	r, path, tmp := newDemo(t)
	cmd := exec.Command(os.Args[0], "demo", path, "--peers", "2", "--keep")
	cmd.Env = append(os.Environ(), asProgram+"=real", "TMPDIR="+tmp)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v\n%s%s", err, out.String(), errs.String())
	}
	for _, want := range []string{
		`(?m)^NODE +FETCHED +SECONDS +RATE +FROM node1 +node2 +node3 +WASTED +COMPARED$`,
		`(?m)^node2 +266 kB .* equal$`, `(?m)^node3 +266 kB .* equal$`,
		`(?m)^node3 had 1 copy after \d+\.\d\d s; node2 alone would have needed 4 s for them$`,
		`(?m)^node1 was killed when they had \d\d % of all: the longest pause of one of them was \d+\.\d\d s then, \d+\.\d\d s before$`,
		`(?m)^every byte of 2 copies compared with the original: equal$`,
	} {
		if !regexp.MustCompile(want).MatchString(out.String()) {
			t.Errorf("no %s in\n%s", want, out.String())
		}
	}
	kept := regexp.MustCompile(`(?m)^kept in (.*): the home`).FindStringSubmatch(errs.String())
	for _, want := range []string{
		`founds the group demo and makes one ticket for 2 uses`, `saw the same code as node1`, `for the members of demo alone`, `magnet:\?xt=urn:btmh:`,
		`node2 fetches it from the link alone`, `the slow one: it sends at most 65\.5 kB/s`, `half-way, at \d\d %: node1, who shared it, is killed \(SIGKILL`,
		`node3 has all of it`, `look at one: shoal --home .*/node3/home status`,
	} {
		if !regexp.MustCompile(want).MatchString(errs.String()) {
			t.Errorf("no %s in\n%s", want, errs.String())
		}
	}
	if strings.Contains(errs.String()+out.String(), "\x1b") || kept == nil {
		t.Fatalf("%q", errs.String())
	}
	for _, name := range []string{"node1", "node2", "node3"} {
		r.home = filepath.Join(kept[1], name, "home")
		var share api.Share
		ls := r.start("ls")
		ls.first(&share)
		if code := ls.wait(); code != 0 || share.Bytes != 266_385 || name != "node1" && share.State != api.StateSeeding || len(share.Groups) != 1 {
			t.Errorf("%s: exit %d, %+v: %s", name, code, share, ls.err.String())
		}
		var group api.GroupDetail
		show := r.start("group", "show", "demo")
		show.first(&group)
		if code := show.wait(); code != 0 || group.Group.Members != 3 {
			t.Errorf("%s: exit %d, %+v: %s", name, code, group, show.err.String())
		}
	}
}

// TestDemoEnds: whatever ends a demo early, no node and no file is left, and who asked is told.
func TestDemoEnds(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		when   string // the event it happens at
		what   func(c *child, e demo.NodesEvent) error
		code   int
		says   string
		within time.Duration
	}{
		{"Ctrl-C at the start", "nodes", func(c *child, _ demo.NodesEvent) error { return c.cmd.Process.Signal(os.Interrupt) }, api.ExitInterrupted, "interrupted", 3 * time.Second},
		{"Ctrl-C while all fetch", "killed", func(c *child, _ demo.NodesEvent) error { return c.cmd.Process.Signal(os.Interrupt) }, api.ExitInterrupted, "interrupted", 3 * time.Second},
		{"a node dies", "killed", func(_ *child, e demo.NodesEvent) error { return killProcess(e.Nodes[3].PID) }, api.ExitFailed, "node4: the node ended", 5 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r, path, tmp := newDemo(t)
			c := r.start("demo", path)
			var nodes demo.NodesEvent
			c.until("nodes", &nodes, func() bool { return true })
			if tc.when != "nodes" {
				c.until(tc.when, new(api.Head), func() bool { return true })
			}
			began := time.Now()
			if err := tc.what(c, nodes); err != nil {
				t.Fatal(err)
			}
			code := c.wait()
			if took := time.Since(began); code != tc.code || took > tc.within || !strings.Contains(c.err.String(), tc.says) {
				t.Errorf("exit %d after %s: %s", code, took, c.err.String())
			}
			gone(t, nodes.Nodes)
			nothingIn(t, tmp)
		})
	}
}

func killProcess(pid int) error {
	p, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	return p.Kill()
}

// TestDemoIsKilled: its nodes end with it, where the system can do that.
func TestDemoIsKilled(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" { // which alone kills processes with the one that started them
		return
	}
	r, path, _ := newDemo(t)
	c := r.start("demo", path)
	var nodes demo.NodesEvent
	c.until("nodes", &nodes, func() bool { return true })
	if err := c.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Fatal(err)
	}
	c.wait()
	gone(t, nodes.Nodes)
}
