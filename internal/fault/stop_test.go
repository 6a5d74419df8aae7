//go:build linux

package fault

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"shoal/bench/clients"
)

// stopTime is how long a clean stop may take.
const stopTime = 3 * time.Second

// stopped sends a signal and tells how the command ended and how long it took.
func (p *proc) stopped(ctx context.Context, s syscall.Signal) (result, time.Duration) {
	p.t.Helper()
	began := time.Now()
	must(p.t, p.program(s))
	r := p.wait(ctx)
	return r, time.Since(began)
}

// TestCleanStop interrupts a node at its work: it ends in time, with the right exit
// code, and leaves a clean home.
func TestCleanStop(t *testing.T) {
	needStrace(t)
	t.Parallel()
	ctx := deadline(t, time.Minute)
	l := lab(t)
	big := file(t, "big.bin", 64<<20)
	seed := newNode(t, l).share(ctx, big)
	source := seed.torrent(ctx)
	cases := []struct {
		name  string
		begin func(n *node) *proc
		exit  int
	}{
		{"fetching", func(n *node) *proc {
			p := n.start("get", source, "-o", t.TempDir(), "--peer", seed.node.addr(), "--down-limit", "4MB")
			line(ctx, p, func(e progress) bool { return e.Event == "progress" && e.Bytes > 0 })
			return p
		}, 130},
		{"looking for metadata", func(n *node) *proc {
			p := n.start("get", "magnet:?xt=urn:btih:"+strings.Repeat("ab", 20), "-o", t.TempDir())
			line(ctx, p, func(e progress) bool { return e.Event == "progress" })
			return p
		}, 130},
		{"hashing", func(n *node) *proc {
			n.wrap = []string{"strace", "-f", "-qq", "-o", os.DevNull, "-e", "trace=pread64", "-e", "inject=pread64:delay_enter=50000"} // a slow disk
			p := n.start("share", big)
			n.opened(ctx, p, big)
			n.wrap = nil
			return p
		}, 130},
		{"seeding after get", func(n *node) *proc {
			p := n.start("get", source, "-o", t.TempDir(), "--peer", seed.node.addr(), "--seed")
			p.event(ctx, "done", nil)
			return p
		}, 0},
		{"sharing", func(n *node) *proc { return n.share(ctx, big).proc }, 0},
		{"up", func(n *node) *proc {
			p := n.start("up")
			p.event(ctx, "ready", nil)
			return p
		}, 0},
	}
	for _, c := range cases {
		for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
			t.Run(c.name+"/"+s.String(), func(t *testing.T) {
				n := newNode(t, l)
				p := c.begin(n)
				r, took := p.stopped(ctx, s)
				if r.code != c.exit || took > stopTime {
					t.Errorf("exit %d after %v, want %d within %v\n%s", r.code, took, c.exit, stopTime, r.stderr)
				}
				n.ok(ctx, "fsck")
			})
		}
	}
}

// opened waits until the process has a file open.
func (n *node) opened(ctx context.Context, p *proc, path string) {
	n.t.Helper()
	must(n.t, poll(ctx, func() (bool, error) {
		links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", p.programPID()))
		for _, l := range links {
			if to, err := os.Readlink(l); err == nil && to == path {
				return true, nil
			}
		}
		return false, err
	}))
}

// TestStopWhileVerifying stops the node of a long verification, and then a client of
// it alone.
func TestStopWhileVerifying(t *testing.T) {
	t.Parallel()
	ctx := deadline(t, time.Minute)
	l := lab(t)
	path := file(t, "verified.bin", 512<<20)
	n := newNode(t, l)
	s := n.share(ctx, path)
	client := n.start("verify", s.Hash())
	n.opened(ctx, s.proc, path)
	if r, took := client.stopped(ctx, syscall.SIGINT); r.code != 130 && r.code != 0 || took > stopTime {
		t.Errorf("verify: exit %d after %v: %s", r.code, took, r.stderr)
	}
	client = n.start("verify", s.Hash())
	n.opened(ctx, s.proc, path)
	if r, took := s.proc.stopped(ctx, syscall.SIGTERM); r.code != 0 || took > stopTime {
		t.Errorf("share: exit %d after %v: %s", r.code, took, r.stderr)
	}
	if r := client.wait(ctx); r.code == 0 && len(r.out) == 0 || strings.Count(r.stderr, "\n") > 2 {
		t.Errorf("verify whose node stopped: exit %d: %s", r.code, r.stderr)
	}
	n.ok(ctx, "fsck")
	alone := n.start("verify", s.Hash())
	n.opened(ctx, alone, path)
	if r, took := alone.stopped(ctx, syscall.SIGINT); r.code != 130 && r.code != 0 || took > stopTime {
		t.Errorf("verify alone: exit %d after %v: %s", r.code, took, r.stderr)
	}
	n.ok(ctx, "fsck")
}

// TestSecondSignal ends at once what the first one would end cleanly.
func TestSecondSignal(t *testing.T) {
	t.Parallel()
	ctx := deadline(t, 30*time.Second)
	l := lab(t)
	tr := newMute(t, l)
	n := newNode(t, l)
	s := n.share(ctx, file(t, "s.bin", 1<<20), "--tracker", tr.url())
	tr.asked(ctx, t)
	must(t, s.proc.Signal(syscall.SIGINT))
	_, err := poll2(ctx, func() bool { b, _ := os.ReadFile(s.proc.stderr); return strings.Contains(string(b), "stopping") })
	must(t, err)
	r, took := s.proc.stopped(ctx, syscall.SIGINT)
	if took > time.Second {
		t.Errorf("the second signal took %v (exit %d)", took, r.code)
	}
	n.ok(ctx, "fsck")
}

func poll2(ctx context.Context, done func() bool) (bool, error) {
	return true, poll(ctx, func() (bool, error) { return done(), nil })
}

// TestClosedPipe: a reader that goes away ends the command and harms nothing.
func TestClosedPipe(t *testing.T) {
	t.Parallel()
	ctx := deadline(t, 30*time.Second)
	l := lab(t)
	n := newNode(t, l)
	for i := range 3 {
		p := n.share(ctx, file(t, fmt.Sprint("f", i), 100<<10)).proc
		p.stopped(ctx, syscall.SIGINT)
	}
	script := `"$0" ls --home "$1" --scope loopback | head -1`
	out, err := exec.CommandContext(ctx, "sh", "-c", script, os.Getenv(clients.ShoalPath), n.home).CombinedOutput()
	if err != nil || strings.Count(string(out), "\n") != 1 {
		t.Errorf("%v: %q", err, out)
	}
	n.ok(ctx, "fsck")
	n.ok(ctx, "ls")
}
