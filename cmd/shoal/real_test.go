package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"shoal/internal/demo"
	"shoal/internal/door/api"
)

// real runs the program as it is, with a home of its own, on loopback.
type real struct {
	t    *testing.T
	home string
	env  []string // more of it
}

func newReal(t *testing.T) *real {
	r := &real{t: t, home: filepath.Join(t.TempDir(), "home")}
	if err := os.Mkdir(r.home, 0o700); err != nil {
		t.Fatal(err)
	}
	// Small disks of test machines would not leave the default reserve.
	if err := os.WriteFile(filepath.Join(r.home, "config.toml"), []byte("[disk]\nreserve = \"0\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return r
}

// child is the program while it runs. Its lines of standard output come one by one.
type child struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines *bufio.Reader
	err   bytes.Buffer
}

func (r *real) start(args ...string) *child {
	r.t.Helper()
	return r.startAs(nil, args...)
}

// startAs puts something before the command line of the program.
func (r *real) startAs(before []string, args ...string) *child {
	r.t.Helper()
	line := append(slices.Clone(before), os.Args[0], "--home", r.home, "--scope", "loopback", "--json")
	line = append(line, args...)
	c := &child{t: r.t, cmd: exec.Command(line[0], line[1:]...)}
	c.cmd.Env = append(append(os.Environ(), asProgram+"=real"), r.env...)
	c.cmd.Stderr = &c.err
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	c.lines = bufio.NewReader(out)
	if err := c.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	guard := time.AfterFunc(2*time.Minute, func() { c.cmd.Process.Kill() })
	r.t.Cleanup(func() {
		guard.Stop()
		c.cmd.Process.Kill()
		c.cmd.Wait()
	})
	return c
}

// first reads the first line.
func (c *child) first(v any) { c.t.Helper(); c.until("", v, func() bool { return true }) }

// done reads the line that ends a get.
func (c *child) done() (d api.Done) {
	c.t.Helper()
	c.until(api.EventDone, &d, func() bool { return true })
	return d
}

// until reads events of one name into v until want says that it is the one.
func (c *child) until(event string, v any, want func() bool) {
	c.t.Helper()
	for {
		line, err := c.lines.ReadBytes('\n')
		if err != nil {
			c.cmd.Wait()
			c.t.Fatalf("%v: it ended before that: %s", c.cmd.Args[1:], c.err.String())
		}
		var h api.Head
		if err := json.Unmarshal(line, &h); err != nil {
			c.t.Fatalf("%s: %v", line, err)
		}
		if h.Event != event && event != "" {
			continue
		}
		if err := json.Unmarshal(line, v); err != nil {
			c.t.Fatalf("%s: %v", line, err)
		}
		if want() {
			return
		}
	}
}

// stop sends a signal and returns the exit code.
func (c *child) stop(sig os.Signal) int {
	c.t.Helper()
	if err := c.cmd.Process.Signal(sig); err != nil {
		c.t.Error(err)
	}
	return c.wait()
}

func (c *child) wait() int {
	io.Copy(io.Discard, c.lines)
	err := c.cmd.Wait()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return exit.ExitCode()
	} else if err != nil {
		c.t.Error(err)
	}
	return 0
}

// addr is where the node of the home listens.
func (r *real) addr() string {
	r.t.Helper()
	c := r.start("status")
	var st api.Status
	c.first(&st)
	c.wait()
	if len(st.Listen) == 0 {
		r.t.Fatal("the node listens nowhere")
	}
	return st.Listen[0]
}

func randomFile(t *testing.T, path string, size int) {
	t.Helper()
	b := make([]byte, size)
	rand.NewChaCha8([32]byte{byte(size)}).Read(b)
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestGetOutlivesTheNodeOfAnother: a get that another process's node fetches for goes on
// by itself when that node ends.
func TestGetOutlivesTheNodeOfAnother(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "big.bin")
	randomFile(t, file, 8<<20)
	source, here := newReal(t), newReal(t)
	var made api.Created
	seed := source.start("--port", "0", "share", file)
	seed.first(&made)

	var ready api.Ready
	up := here.start("--port", "0", "--api-port", "0", "up", "--down-limit", "1MB")
	up.first(&ready)
	dir := t.TempDir()
	get := here.start("get", made.Link, "-o", dir, "--peer", source.addr(), "--port", "0")
	var p api.ProgressEvent
	get.until(api.EventProgress, &p, func() bool { return p.Bytes > 0 })
	if code := up.stop(os.Interrupt); code != 0 {
		t.Errorf("up ended with %d: %s", code, up.err.String())
	}
	limit := here.start("limit", "--down", "0") // the get holds the home now; else this waits for nothing
	limit.wait()
	get.done()
	if code := get.wait(); code != 0 || !strings.Contains(get.err.String(), "has ended") {
		t.Errorf("get ended with %d: %s", code, get.err.String())
	}
	if same, err := demo.Same(t.Context(), file, filepath.Join(dir, "big.bin"), nil); err != nil || !same {
		t.Errorf("not what was shared: %v", err)
	}
	if code := seed.stop(os.Interrupt); code != 0 {
		t.Errorf("share ended with %d: %s", code, seed.err.String())
	}
}

// TestKilledAfterPublishing: a share whose node was killed as soon as its link was printed is
// complete, and is known to be before any node looks at it again.
func TestKilledAfterPublishing(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "own.bin")
	randomFile(t, file, 4<<20)
	r := newReal(t)
	var made api.Created
	seed := r.start("--port", "0", "share", file)
	seed.first(&made)
	if err := seed.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	seed.cmd.Wait()
	for _, args := range [][]string{{"ls"}, {"show", "own.bin"}} {
		var s api.Share
		r.start(args...).first(&s)
		if s.State != api.StateSeeding || s.BytesDone != made.Bytes || s.Completed.IsZero() {
			t.Errorf("%v: %s, %d of %d bytes, completed %v", args, s.State, s.BytesDone, made.Bytes, s.Completed)
		}
	}
}

// TestRemovedHalfWay: who removes what is not complete is told what of it stays.
func TestRemovedHalfWay(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "half.bin")
	randomFile(t, file, 8<<20)
	source, here := newReal(t), newReal(t)
	var made api.Created
	seed := source.start("--port", "0", "share", file)
	seed.first(&made)
	dir := t.TempDir()
	get := here.start("get", made.Link, "-o", dir, "--peer", source.addr(), "--port", "0", "--down-limit", "1MB")
	var p api.ProgressEvent
	get.until(api.EventProgress, &p, func() bool { return p.Bytes > 0 })
	if code := get.stop(os.Interrupt); code != api.ExitInterrupted {
		t.Errorf("exit %d: %s", code, get.err.String())
	}
	var gone api.Removed
	here.start("rm", "half.bin").first(&gone)
	if _, err := os.Stat(filepath.Join(dir, "half.bin.part")); err != nil || gone.Left < p.Bytes || gone.Left >= made.Bytes {
		t.Errorf("%d bytes left, %d had come: %v", gone.Left, p.Bytes, err)
	}
	if code := seed.stop(os.Interrupt); code != 0 {
		t.Errorf("share ended with %d: %s", code, seed.err.String())
	}
}

// TestNohup: a node that was told to outlive its terminal does; any other ends with it.
func TestNohup(t *testing.T) {
	t.Parallel()
	// These tests may run under nohup themselves; what a program catches, its children do not ignore.
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, syscall.SIGHUP)
	defer signal.Stop(caught)
	for _, tc := range []struct {
		trap  string
		stays bool
	}{{"trap '' HUP; ", true}, {"", false}} {
		r := newReal(t)
		up := r.startAs([]string{"/bin/sh", "-c", tc.trap + `exec "$0" "$@"`}, "--port", "0", "--api-port", "0", "up")
		var ready api.Ready
		up.first(&ready)
		if err := up.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		if !tc.stays {
			if code := up.wait(); code != 0 {
				t.Errorf("a hangup: exit %d: %s", code, up.err.String())
			}
			continue
		}
		r.addr() // it still answers
		if code := up.stop(os.Interrupt); code != 0 {
			t.Errorf("with nohup: exit %d: %s", code, up.err.String())
		}
	}
}

// TestGoSources shares the ten thousand files of Go itself, fetches them with another node
// and compares every byte of every file.
func TestGoSources(t *testing.T) {
	root := filepath.Join(goroot(t), "src")
	source, here := newReal(t), newReal(t)
	seed := source.start("--port", "0", "share", root)
	var made api.Created
	seed.first(&made)
	if made.Files < 5000 {
		t.Fatalf("%s holds %d files", root, made.Files)
	}
	dir := t.TempDir()
	get := here.start("--port", "0", "get", made.Link, "-o", dir, "--peer", source.addr())
	done := get.done()
	if code := get.wait(); code != 0 {
		t.Fatalf("get ended with %d: %s", code, get.err.String())
	}
	if code := seed.stop(os.Interrupt); code != 0 {
		t.Errorf("share ended with %d: %s", code, seed.err.String())
	}
	if done.Bytes != made.Bytes || done.Path != filepath.Join(dir, made.Name) {
		t.Errorf("%+v of %+v", done, made)
	}
	same, err := demo.Same(t.Context(), root, done.Path, nil)
	if err != nil || !same {
		t.Errorf("not what was shared: %v", err)
	}
	t.Logf("%d files, %d bytes, hashed in %.2f s, fetched in %.2f s", made.Files, made.Bytes, made.Seconds, done.Seconds)
}

// TestProgressOfManySmallFiles: a piece that is mostly padding counts as what it holds, so
// half of the pieces is about half of the bytes.
func TestProgressOfManySmallFiles(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "many")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	const files = 128
	for i := range files {
		randomFile(t, filepath.Join(root, fmt.Sprintf("%03d", i)), 1000)
	}
	for _, how := range [][]string{{"hybrid"}, {"v2"}, {"hybrid", "--select", "0??"}, {"v2", "--select", "0??"}} {
		limit := map[string]string{"hybrid": "200K", "v2": "20K"}[how[0]] // v2 pieces have no padding to send
		t.Run(strings.Join(how, " "), func(t *testing.T) {
			t.Parallel()
			source, here := newReal(t), newReal(t)
			seed := source.start("--port", "0", "share", root, "--format", how[0])
			var made api.Created
			seed.first(&made)
			get := here.start(append([]string{"--port", "0", "get", made.Link, "-o", t.TempDir(), "--peer", source.addr(), "--down-limit", limit}, how[1:]...)...)
			var p api.ProgressEvent
			get.until(api.EventProgress, &p, func() bool { return p.Pieces >= 20 })
			if want := int64(p.Pieces) * 1000; p.Bytes < want/2 || p.Bytes > want*2 {
				t.Errorf("%d pieces of one file each, and %d of %d bytes", p.Pieces, p.Bytes, p.Total)
			}
		})
	}
}

// oddNames are such as have to be made safe.
func oddNames() []string {
	names := []string{"bidi\u202egpj.exe", "trail. ", "CON"}
	if runtime.GOOS == "linux" { // elsewhere file systems refuse these themselves
		names = append(names, "two\nlines", "\x1b[31mred", "bad\xffutf", `a\b`, "Case", "case")
	}
	return names
}

// TestOddNames: names that had to be made safe are those of the same files: the demo finds
// them equal, and a share that is complete is shown as complete.
func TestOddNames(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "odd")
	if err := os.Mkdir(root, 0o755); err != nil {
		t.Fatal(err)
	}
	for i, name := range oddNames() {
		if err := os.WriteFile(filepath.Join(root, name), make([]byte, 1000+i), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r := newReal(t)
	var figures demo.Report
	c := r.start("demo", root, "--peers", "1", "--api-port", "0")
	c.until("demo", &figures, func() bool { return true })
	if code := c.wait(); code != 0 || !figures.Equal {
		t.Errorf("demo ended with %d: %s", code, c.err.String())
	}
	source := newReal(t)
	seed := source.start("--port", "0", "share", root)
	var made api.Created
	seed.first(&made)
	get := r.start("--port", "0", "get", made.Link, "-o", t.TempDir(), "--peer", source.addr())
	get.done()
	get.wait()
	var d api.Detail
	show := r.start("show", "odd")
	show.first(&d)
	for _, f := range d.FileList {
		if f.Done != f.Bytes || api.Safe(f.Path) != f.Path {
			t.Errorf("%+v", f)
		}
	}
	if len(d.FileList) != len(oddNames()) {
		t.Errorf("%d files", len(d.FileList))
	}
	show.wait()
}

// goroot is where Go lies.
func goroot(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}
