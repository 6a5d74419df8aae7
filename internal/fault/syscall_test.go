//go:build linux

package fault

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"shoal/bench/clients"
)

// commits are the system calls after which something is on the disk that was not.
var commits = []string{"pwrite64", "pwritev", "write", "fsync", "fdatasync", "renameat2", "renameat", "unlinkat", "ftruncate", "linkat", "mkdirat"}

// stage is one piece of a node's life that is killed at each of its commits.
type stage struct {
	name string
	// prepare brings the node to where the stage begins; nil: nothing.
	prepare func(ctx context.Context, v *victim)
	// live is the stage itself, under strace: it ends by itself or by the kill.
	live func(ctx context.Context, v *victim) *proc
}

// victim is the node under test with what it fetches.
type victim struct {
	*node
	out    string
	source string // .torrent
	want   string // the content
	seed   shared
}

func (v *victim) get() []string {
	return []string{"get", v.source, "-o", v.out, "--peer", v.seed.node.addr()}
}

// stages are those of a node's life in which something is committed.
var stages = []stage{
	{name: "first start", live: func(_ context.Context, v *victim) *proc { return v.start("ls") }},
	{name: "get", live: func(_ context.Context, v *victim) *proc { return v.start(v.get()...) }},
	{name: "finish", prepare: func(ctx context.Context, v *victim) {
		v.ok(ctx, v.get()...)
		must(v.t, unfinish(v))
	}, live: func(_ context.Context, v *victim) *proc { return v.start(v.get()...) }},
	{name: "shutdown", live: func(ctx context.Context, v *victim) *proc {
		p := v.start(append(v.get(), "--seed")...)
		// It may be killed before it is done.
		if clients.Event(ctx, p.Process, "done", nil) == nil {
			_ = p.program(syscall.SIGTERM)
		}
		return p
	}},
}

// unfinish gives the fetched file the name of one that is not complete, and spoils its
// end, so that the next get has to fetch a little and rename.
func unfinish(v *victim) error {
	path := filepath.Join(v.out, filepath.Base(v.want))
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err == nil {
		_, err = f.WriteAt([]byte("spoilt"), fi.Size()-10)
	}
	if err != nil {
		return err
	}
	return os.Rename(path, path+".part")
}

// TestKilledAtSystemCalls kills a node right after each of its commits to the disk, as
// far as there is time. Whatever the moment, the home is clean or can be repaired, the
// node starts and fetches the rest, every byte is right, nothing lies outside its
// folders, and the identity is the one that was told.
func TestKilledAtSystemCalls(t *testing.T) {
	needStrace(t)
	points, most := 40, 2*time.Minute
	if long() {
		points, most = 200, 8*time.Minute
	}
	ctx := deadline(t, most)
	l := lab(t)
	want := file(t, "small.bin", 300<<10)
	seed := newNode(t, l).share(ctx, want)
	source := seed.torrent(ctx)
	fresh := func() *victim {
		return &victim{node: newNode(t, l), out: t.TempDir(), source: source, want: want, seed: seed}
	}
	type point struct {
		stage stage
		call  string
		n     int
	}
	var all []point
	for _, s := range stages {
		for call, n := range count(ctx, t, fresh(), s) {
			for i := range n {
				all = append(all, point{s, call, i + 1})
			}
		}
	}
	t.Logf("%d commits in %d stages", len(all), len(stages))
	step := max(1, len(all)/points)
	kills := 0
	for i := 0; i < len(all) && i/step < points; i += step {
		p := all[i]
		t.Run(fmt.Sprintf("%s/%s-%d", p.stage.name, p.call, p.n), func(t *testing.T) {
			// strace counts for each thread by itself, and who makes which call differs from
			// run to run: where no thread gets so far, an earlier one is taken.
			for n := p.n; n > 0; n /= 2 {
				v := fresh()
				v.t, v.seed.node.t = t, t
				if v.killedAt(ctx, p.stage, p.call, n) {
					kills++
					return
				}
			}
			t.Errorf("not even the first %s killed it", p.call)
		})
	}
	t.Logf("%d kills", kills)
}

// count runs a stage once and counts its commits.
func count(ctx context.Context, t *testing.T, v *victim, s stage) map[string]int {
	t.Helper()
	if s.prepare != nil {
		s.prepare(ctx, v)
	}
	log := filepath.Join(v.dir, "strace.txt")
	v.wrap = []string{"strace", "-f", "-qq", "-o", log, "-e", "trace=" + strings.Join(commits, ",")}
	s.live(ctx, v).wait(ctx)
	text, err := os.ReadFile(log)
	must(t, err)
	n := map[string]int{}
	for l := range bytes.Lines(text) {
		if m := began.FindSubmatch(l); m != nil {
			n[string(m[1])]++
		}
	}
	delete(n, "write") // pipes, mostly; the others mark the commits
	return n
}

// began is a line of strace at which a call begins.
var began = regexp.MustCompile(`^\d+ +([a-z0-9_]+)\(`)

// killedAt kills the stage at one call and puts everything right again; false if the stage
// ended before.
func (v *victim) killedAt(ctx context.Context, s stage, call string, n int) bool {
	t := v.t
	if s.prepare != nil {
		s.prepare(ctx, v)
	}
	key, _ := os.ReadFile(filepath.Join(v.home, "node.key"))
	before := list(t, filepath.Dir(v.dir))
	v.wrap = []string{"strace", "-f", "-qq", "-o", os.DevNull, "-e", "trace=" + call, "-e", fmt.Sprintf("inject=%s:signal=KILL:when=%d", call, n)}
	killed := s.live(ctx, v).wait(ctx).code == -1
	v.wrap = nil
	if !killed {
		return false
	}
	if len(key) == 0 {
		key, _ = os.ReadFile(filepath.Join(v.home, "node.key"))
	}
	if r := v.run(ctx, "fsck"); r.code != 0 && exists(v.home) {
		repaired := v.run(ctx, "fsck", "--repair")
		if again := v.run(ctx, "fsck"); again.code != 0 {
			t.Fatalf("fsck is %d, with --repair %d, and then %d: %s", r.code, repaired.code, again.code, again.out)
		}
		t.Logf("repaired: %s", r.out)
	}
	r := v.run(ctx, v.get()...)
	if r.code != 0 {
		t.Fatalf("the next get ends with %d: %s%s", r.code, r.out, r.stderr)
	}
	sound(t, v.want, filepath.Join(v.out, filepath.Base(v.want)))
	if r := v.run(ctx, "fsck"); r.code != 0 {
		t.Errorf("fsck after all is %d: %s", r.code, r.out)
	}
	if now, err := os.ReadFile(filepath.Join(v.home, "node.key")); err != nil || len(key) > 0 && !bytes.Equal(now, key) {
		t.Errorf("the identity changed (%v)", err)
	}
	if left := list(t, v.out); len(left) != 1 {
		t.Errorf("more than the content is in its folder: %v", left)
	}
	for name := range list(t, filepath.Dir(v.dir)) {
		if !before[name] && !strings.HasPrefix(name, filepath.Base(v.dir)+"/") && !strings.HasPrefix(name, filepath.Base(v.seed.node.dir)+"/") {
			t.Errorf("a file outside the folders: %s", name)
		}
	}
	return true
}

func exists(path string) bool { _, err := os.Lstat(path); return err == nil }

// list is every path beneath dir that is no folder.
func list(t *testing.T, dir string) map[string]bool {
	t.Helper()
	m := map[string]bool{}
	must(t, filepath.Walk(dir, func(p string, fi os.FileInfo, err error) error {
		if err != nil || fi.IsDir() {
			return nil // what vanishes meanwhile does not matter
		}
		rel, err := filepath.Rel(dir, p)
		m[rel] = true
		return err
	}))
	return m
}
