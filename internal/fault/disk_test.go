//go:build linux

package fault

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"shoal/bench/measure"
)

// tmpfs mounts a small file system until the test ends.
func tmpfs(t *testing.T, bytes int64) string {
	t.Helper()
	needMounts(t)
	dir := t.TempDir()
	must(t, syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=755", bytes)))
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}

// noReserve lets a node fill a disk to the last byte.
var noReserve = []string{"[disk]", `reserve = "0"`}

// fill takes all the space that is left, less keep bytes, and returns the file.
func fill(t *testing.T, dir string, keep int64) string {
	t.Helper()
	var st syscall.Statfs_t
	must(t, syscall.Statfs(dir, &st))
	free := int64(st.Bavail)*st.Bsize - keep
	path := filepath.Join(dir, "filler")
	// Whoever else writes meanwhile may take the last of it.
	if err := os.WriteFile(path, make([]byte, max(free, 0)), 0o644); err != nil && !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	return path
}

// TestDiskTooSmall: what cannot fit is refused before anything is written.
func TestDiskTooSmall(t *testing.T) {
	t.Parallel()
	ctx := deadline(t, 40*time.Second)
	l := lab(t)
	dir := tmpfs(t, 8<<20)
	path := file(t, "large.bin", 24<<20)
	seed := newNode(t, l).share(ctx, path)
	source := seed.torrent(ctx)
	for _, config := range [][]string{noReserve, nil, {"[disk]", `reserve = "1MB"`}} {
		n := newNode(t, l, config...)
		r := n.run(ctx, "get", source, "-o", dir, "--peer", seed.node.addr())
		if r.code != 5 || strings.Count(r.stderr, "\n") != 1 {
			t.Errorf("reserve %q: exit %d, want 5 and one line: %q", config, r.code, r.stderr)
		}
		if left := list(t, dir); len(left) != 0 {
			t.Errorf("something was written: %v", left)
		}
		n.ok(ctx, "fsck")
	}
	// A small share fits, but not into the default reserve.
	small := newNode(t, l).share(ctx, file(t, "small.bin", 1<<20))
	if r := newNode(t, l).run(ctx, "get", small.torrent(ctx), "-o", dir, "--peer", small.node.addr()); r.code != 5 {
		t.Errorf("into the reserve: exit %d, want 5: %s", r.code, r.stderr)
	}
}

// TestDiskFills takes the space away in the middle of a fetch: the command ends with 5,
// and goes on to the end when there is space again.
func TestDiskFills(t *testing.T) {
	t.Parallel()
	ctx := deadline(t, 60*time.Second)
	l := lab(t)
	path := file(t, "large.bin", 24<<20)
	seed := newNode(t, l).share(ctx, path, "--piece-size", "64K")
	source := seed.torrent(ctx)
	for _, mode := range []string{"command", "node"} {
		t.Run(mode, func(t *testing.T) {
			dir := tmpfs(t, 32<<20)
			n := newNode(t, l, noReserve...)
			n.t = t
			if mode == "node" {
				n.start("up").event(ctx, "ready", nil)
			}
			p := n.start("get", source, "-o", dir, "--peer", seed.node.addr(), "--down-limit", "12MB")
			n.until(ctx, seed.Hash(), "some of it", func(s share) bool { return s.Done > 1<<20 })
			filler := fill(t, dir, 512<<10)
			r := p.wait(ctx)
			if r.code != 5 || strings.Count(r.stderr, "\n") != 1 {
				t.Errorf("exit %d, want 5 and one line: %q", r.code, r.stderr)
			}
			if mode == "node" {
				s := n.until(ctx, seed.Hash(), "the failure", func(s share) bool { return s.State == "failed" })
				if s.Code != "disk_full" || s.Problem == "" {
					t.Errorf("code %q, problem %q", s.Code, s.Problem)
				}
				var health struct {
					OK      bool
					Reasons []string
				}
				if err := n.ask(ctx, "GET", "/api/v1/health", &health); err == nil && (health.OK || len(health.Reasons) == 0) {
					t.Errorf("health says %+v", health)
				}
			}
			must(t, os.Remove(filler))
			n.ok(ctx, "get", source, "-o", dir, "--peer", seed.node.addr(), "--down-limit", "100MB")
			sound(t, path, filepath.Join(dir, "large.bin"))
		})
	}
	if twice := seedSent(ctx, seed) - 2*24<<20; twice > 2*8<<20 {
		t.Errorf("%d bytes were sent in vain", twice)
	} else {
		t.Logf("%d bytes were sent in vain", twice)
	}
}

// TestNodeResumesByItself: a node whose disk was full goes on when there is space.
func TestNodeResumesByItself(t *testing.T) {
	t.Parallel()
	ctx := deadline(t, 60*time.Second)
	l := lab(t)
	path := file(t, "large.bin", 16<<20)
	seed := newNode(t, l).share(ctx, path)
	dir := tmpfs(t, 20<<20)
	n := newNode(t, l, noReserve...)
	n.start("up").event(ctx, "ready", nil)
	p := n.start("get", seed.torrent(ctx), "-o", dir, "--peer", seed.node.addr(), "--down-limit", "8MB")
	n.until(ctx, seed.Hash(), "some of it", func(s share) bool { return s.Done > 1<<20 })
	filler := fill(t, dir, 256<<10)
	if r := p.wait(ctx); r.code != 5 {
		t.Errorf("exit %d: %s", r.code, r.stderr)
	}
	must(t, os.Remove(filler))
	n.until(ctx, seed.Hash(), "the node going on", func(s share) bool { return s.State == "seeding" })
	sound(t, path, filepath.Join(dir, "large.bin"))
}

// TestHomeOnFullDisk: a home that takes no more is said, not pretended, and works when
// there is space again.
func TestHomeOnFullDisk(t *testing.T) {
	t.Parallel()
	ctx := deadline(t, 60*time.Second)
	l := lab(t)
	path := file(t, "f.bin", 4<<20)
	seed := newNode(t, l).share(ctx, path)
	source := seed.torrent(ctx)
	for _, keep := range []int64{0, 4 << 10, 32 << 10, 100 << 10, 150 << 10} {
		t.Run(fmt.Sprintf("%d KiB", keep>>10), func(t *testing.T) {
			dir := tmpfs(t, 8<<20)
			n := newNode(t, l)
			n.t = t
			n.home = filepath.Join(dir, "home")
			filler := fill(t, dir, keep)
			out := t.TempDir()
			r := n.run(ctx, "get", source, "-o", out, "--peer", seed.node.addr())
			if r.code != 5 && r.code != 0 || strings.Contains(r.stderr, "goroutine") {
				t.Errorf("exit %d, want 5: %s", r.code, r.stderr)
			}
			t.Logf("exit %d: %s", r.code, r.stderr)
			key, _ := os.ReadFile(filepath.Join(n.home, "node.key"))
			must(t, os.Remove(filler))
			n.ok(ctx, "fsck")
			n.ok(ctx, "get", source, "-o", out, "--peer", seed.node.addr())
			sound(t, path, filepath.Join(out, "f.bin"))
			if now, err := os.ReadFile(filepath.Join(n.home, "node.key")); err != nil || len(key) > 0 && string(now) != string(key) {
				t.Errorf("the identity changed: %v", err)
			}
		})
	}
}

// TestBadTargets: read-only and missing folders, and names that are taken.
func TestBadTargets(t *testing.T) {
	t.Parallel()
	ctx := deadline(t, 40*time.Second)
	l := lab(t)
	path := file(t, "f.bin", 300<<10)
	seed := newNode(t, l).share(ctx, path)
	dir := tree(t, 5, 64<<10)
	folder := newNode(t, l).share(ctx, dir)
	get := func(s shared, out string) result {
		return newNode(t, l).run(ctx, "get", s.torrent(ctx), "-o", out, "--peer", s.node.addr())
	}
	check := func(name string, r result, want int) {
		t.Helper()
		if r.code != want || strings.Count(r.stderr, "\n") != 1 {
			t.Errorf("%s: exit %d, want %d and one line: %q", name, r.code, want, r.stderr)
		}
		e := lastJSON[struct {
			Exit   int
			Reason string
		}](t, r.out, "exit")
		if e.Exit != want || e.Reason == "" {
			t.Errorf("%s: the last line is %+v", name, e)
		}
	}
	occupied := func(name, text string) string {
		out := t.TempDir()
		must(t, os.MkdirAll(filepath.Dir(filepath.Join(out, name)), 0o755))
		must(t, os.WriteFile(filepath.Join(out, name), []byte(text), 0o644))
		return out
	}
	out := occupied("f.bin", "another file")
	check("another length", get(seed, out), 6)
	sound(t, writeText(t, "another file"), filepath.Join(out, "f.bin"))
	out = occupied("f.bin", strings.Repeat("x", 300<<10))
	check("the same length", get(seed, out), 6)
	out = t.TempDir()
	must(t, os.Symlink("/etc/passwd", filepath.Join(out, "f.bin")))
	check("a link", get(seed, out), 6)
	out = t.TempDir()
	elsewhere := t.TempDir()
	must(t, os.Symlink(elsewhere, filepath.Join(out, "tree")))
	check("a link for the folder", get(folder, out), 6)
	if left := list(t, elsewhere); len(left) != 0 {
		t.Errorf("a link was followed: %v", left)
	}
	check("a file for the folder", get(folder, occupied("tree", "x")), 6)
	check("one file of the folder", get(folder, occupied("tree/d1/f001.bin", "x")), 6)
	check("a file as target", get(seed, filepath.Join(occupied("x", ""), "x")), 5)
	check("under /proc", get(seed, "/proc/1/nothing"), 5)
	if os.Getenv(mounts) != "" {
		ro := tmpfs(t, 1<<20)
		must(t, syscall.Mount("", ro, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
		check("read-only", get(seed, ro), 5)
		n := newNode(t, l)
		n.home = filepath.Join(ro, "home")
		check("a read-only home", n.run(ctx, "get", seed.torrent(ctx), "-o", t.TempDir()), 5)
	}
	n := newNode(t, l)
	check("share of nothing", n.run(ctx, "share", "/nonexistent"), 5)
	// What is there and right is taken over.
	out = t.TempDir()
	must(t, measure.WriteFile(filepath.Join(out, "f.bin"), "f.bin", 300<<10))
	before := seedSent(ctx, seed)
	if r := get(seed, out); r.code != 0 {
		t.Errorf("a file that is right: exit %d: %s", r.code, r.stderr)
	}
	if now := seedSent(ctx, seed); now != before {
		t.Errorf("%d bytes were fetched of what is there", now-before)
	}
}

func writeText(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "text")
	must(t, os.WriteFile(path, []byte(text), 0o644))
	return path
}

// TestFailingDevice: errors of the device are said, and nothing is claimed that is not on
// it. Each call fails from its first or a later time on, or once.
func TestFailingDevice(t *testing.T) {
	needStrace(t)
	t.Parallel()
	ctx := deadline(t, 60*time.Second)
	l := lab(t)
	path := file(t, "f.bin", 2<<20)
	seed := newNode(t, l).share(ctx, path, "--piece-size", "64K")
	source := seed.torrent(ctx)
	for _, fault := range []string{
		"fdatasync:error=EIO", "fdatasync:error=EIO:when=1", "fsync:error=EIO", "fsync:error=EIO:when=2+",
		"pwritev:error=EIO", "pwritev:error=EIO:when=5+", "pwritev:error=ENOSPC:when=3+", "pwritev:error=EDQUOT:when=2+",
		"ftruncate:error=EIO", "renameat2:error=EIO", "renameat2:error=EROFS", "pwrite64:error=EIO:when=20+", "pwrite64:error=ENOSPC:when=10+",
	} {
		t.Run(fault, func(t *testing.T) {
			n := newNode(t, l)
			n.t = t
			out := t.TempDir()
			call, _, _ := strings.Cut(fault, ":")
			n.wrap = []string{"strace", "-f", "-qq", "-o", os.DevNull, "-e", "trace=" + call, "-e", "inject=" + fault}
			r := n.run(ctx, "get", source, "-o", out, "--peer", seed.node.addr())
			t.Logf("exit %d: %s", r.code, strings.TrimSpace(r.stderr))
			got := filepath.Join(out, "f.bin")
			switch {
			case r.code == 0 && measure.Same(path, got) != nil:
				t.Errorf("exit 0 and wrong content")
			case r.code != 0 && r.code != 5:
				t.Errorf("exit %d, want 5", r.code)
			case r.code == 0 && !strings.Contains(fault, "when"):
				t.Errorf("a device that always fails is not mentioned")
			}
			if strings.Contains(r.stderr, "goroutine ") {
				t.Errorf("a panic: %s", r.stderr)
			}
			n.wrap = nil
			if f := n.run(ctx, "fsck"); f.code != 0 {
				n.run(ctx, "fsck", "--repair")
				n.ok(ctx, "fsck")
			}
			n.ok(ctx, "get", source, "-o", out, "--peer", seed.node.addr())
			sound(t, path, got)
		})
	}
}
