//go:build linux

package fault

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"shoal/bench/measure"
)

// file makes a file of size bytes in a new folder and returns its path.
func file(t *testing.T, name string, size int64) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	must(t, measure.WriteFile(path, name, size))
	return path
}

// tree makes a folder of some files, small and large, and returns its path.
func tree(t *testing.T, files int, size int64) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "tree")
	for i := range files {
		n := size/4 + int64(i)*size/int64(files) + int64(i)*977
		must(t, measure.WriteFile(filepath.Join(dir, fmt.Sprintf("d%d", i%5), fmt.Sprintf("f%03d.bin", i)), fmt.Sprint("tree", i), n))
	}
	must(t, os.WriteFile(filepath.Join(dir, "empty"), nil, 0o644))
	return dir
}

// size is the bytes beneath a path.
func size(t *testing.T, path string) (n int64) {
	t.Helper()
	must(t, filepath.Walk(path, func(_ string, fi os.FileInfo, err error) error {
		if err == nil && fi.Mode().IsRegular() {
			n += fi.Size()
		}
		return err
	}))
	return n
}

// TestKilledAtRandomMoments kills a fetching node again and again. What was verified
// before a kill is there after it; in the end every byte is right, and what was sent
// more than once stays below what five seconds bring.
func TestKilledAtRandomMoments(t *testing.T) {
	rounds := 10
	if long() {
		rounds = 50
	}
	for _, c := range []struct {
		name   string
		path   string
		rounds int
		link   bool
	}{
		{"file", file(t, "large.bin", 64<<20), rounds, false},
		{"folder", tree(t, 40, 512<<10), rounds / 2, false},
		{"link", file(t, "linked.bin", 24<<20), rounds / 2, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			killed(t, c.path, c.rounds, c.link, false)
		})
	}
}

// TestKilledAndBootedAnew does the same where each start is in another boot: nothing
// is trusted that was not flushed, and still hardly anything is fetched again.
func TestKilledAndBootedAnew(t *testing.T) {
	needMounts(t)
	t.Parallel()
	killed(t, file(t, "boot.bin", 24<<20), 4, false, true)
}

// killed kills a get in each of some rounds, and then lets it end. The victim fetches so
// slowly that every kill meets it at work: a round brings it about a quarter of a second's
// bytes.
func killed(t *testing.T, path string, rounds int, link, boots bool) {
	ctx := deadline(t, 3*time.Minute)
	l := lab(t)
	seed := newNode(t, l).share(ctx, path)
	total := size(t, path)
	victim := newNode(t, l)
	out := t.TempDir()
	source := seed.torrent(ctx)
	if link {
		source = seed.Link
	}
	rate := fmt.Sprint(2 * total / int64(rounds))
	var known, received, first, lost int64
	kills := 0
	begun := time.Now()
	got := filepath.Join(out, filepath.Base(path))
	for round := range rounds {
		if boots {
			victim.wrap = otherBoot(t, round)
		}
		p := victim.start("get", source, "-o", out, "--peer", seed.node.addr(), "--down-limit", rate)
		s, running := victim.begins(ctx, p, seed.Hash())
		if !running || s.State == "seeding" {
			break // it was complete
		}
		if s.Done < known {
			t.Errorf("round %d: %d bytes were verified before the kill, %d are there after it", round, known, s.Done)
		}
		if round > 0 {
			lost += max(0, received-(s.Done-first))
		}
		first = s.Done
		base := s.Downloaded
		received = 0
		moment := time.NewTimer(time.Duration(30+rand.IntN(250)) * time.Millisecond)
		select {
		case <-moment.C:
		case <-p.Ended():
		}
		var now share
		if victim.ask(ctx, "GET", "/api/v1/shares/"+seed.Hash()+"/detail", &now) == nil {
			known, received = now.Done, now.Downloaded-base
		}
		p.Kill()
		kills++
	}
	victim.wrap = nil
	if boots {
		victim.wrap = otherBoot(t, rounds)
	}
	victim.ok(ctx, "get", source, "-o", out, "--peer", seed.node.addr())
	t.Logf("took %v", time.Since(begun))
	sound(t, path, got)
	victim.ok(ctx, "fsck")
	twice := seedSent(ctx, seed) - total
	t.Logf("%d kills: %d of %d bytes received were lost and fetched again (%.2f %%); %d were sent again, most of them in flight at a kill",
		kills, lost, total, 100*float64(lost)/float64(total), twice)
	if lost > total/10 {
		t.Errorf("%d bytes that had come were fetched again", lost)
	}
	if kills < rounds {
		t.Errorf("%d kills met it at work, want %d", kills, rounds)
	}
}

// begins waits until a get knows what is there; false if it ended before, complete.
func (n *node) begins(ctx context.Context, p *proc, hash string) (s share, running bool) {
	n.t.Helper()
	must(n.t, poll(ctx, func() (bool, error) {
		select {
		case <-p.Ended():
			return true, nil
		default:
		}
		s = share{}
		err := n.ask(ctx, "GET", "/api/v1/shares/"+hash+"/detail", &s)
		running = err == nil && (s.State == "downloading" || s.State == "seeding")
		return running, err
	}))
	return s, running
}

// seedSent is the payload that a seed has sent.
func seedSent(ctx context.Context, s shared) int64 {
	s.node.t.Helper()
	var v share
	must(s.node.t, s.node.ask(ctx, "GET", "/api/v1/shares/"+s.Hash()+"/detail", &v)) // a detail is of this moment
	return v.Uploaded
}

// otherBoot wraps a command so that it sees another boot id.
func otherBoot(t *testing.T, n int) []string {
	t.Helper()
	id := filepath.Join(t.TempDir(), "boot_id")
	must(t, os.WriteFile(id, fmt.Appendf(nil, "00000000-0000-4000-8000-%012d\n", n), 0o444))
	const script = `mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"`
	return []string{"unshare", "--mount", "--propagation", "private", "sh", "-c", script, id}
}
