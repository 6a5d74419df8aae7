//go:build linux

package fault

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"shoal/internal/core/metainfo"
	"shoal/internal/core/wire"
)

// TestFilesChangedUnderAShare changes and removes files while they are offered: their
// pieces are withdrawn, a person is told, the other files are still served. Verify says
// what is bad; what is put back is offered again.
func TestFilesChangedUnderAShare(t *testing.T) {
	t.Parallel()
	ctx := deadline(t, 90*time.Second)
	l := lab(t)
	dir := tree(t, 6, 256<<10)
	n := newNode(t, l)
	s := n.share(ctx, dir, "--piece-size", "16K")
	events := n.watch(ctx)
	whole := n.until(ctx, s.Hash(), "all pieces", func(v share) bool { return v.PiecesDone == v.Pieces })
	target := filepath.Join(dir, "d1", "f001.bin")
	right, err := os.ReadFile(target)
	must(t, err)
	fi, err := os.Stat(target)
	must(t, err)
	must(t, os.WriteFile(target, append(bytes.Clone(right[:len(right)-5]), "other"...), 0o644))

	// Who asks for the changed file gets nothing wrong and the rest.
	b, err := os.ReadFile(s.torrent(ctx))
	must(t, err)
	meta, err := metainfo.Parse(b)
	must(t, err)
	ask := newRival(t, l, &content{meta: meta}, func(r *link) {
		_ = r.send(wire.AppendState(nil, wire.Interested))
		for {
			id, _, err := r.frame()
			if err != nil {
				return
			}
			if id == wire.Unchoke {
				break
			}
		}
		for f := range meta.Info.Files {
			first, end := meta.Info.FilePieces(f)
			if !meta.Info.Files[f].Pad && first < end {
				_ = r.send(wire.RequestMsg{Piece: uint32(first), Length: uint32(min(16<<10, meta.Info.PieceSize(first)))}.Append(nil))
			}
		}
		for {
			id, p, err := r.frame()
			if err != nil {
				return
			}
			if id == wire.Piece {
				r.served.Add(1)
			}
			_ = p
		}
	})
	go func() { _ = ask.dial(n.addr(), meta.Hash.Wire()[0]) }()
	e, err := events.find(ctx, func(e progress) bool { return e.Event == "changed" })
	must(t, err)
	t.Logf("event: %+v", e)
	v := n.until(ctx, s.Hash(), "the change in show", func(v share) bool { return v.PiecesDone < whole.Pieces })
	if !strings.Contains(v.Problem, "f001.bin") {
		t.Errorf("show does not say which file: %q", v.Problem)
	}
	must(t, poll(ctx, func() (bool, error) { return ask.served.Load() >= 3, nil }))

	// Another node can fetch the rest.
	other := newNode(t, l)
	out := t.TempDir()
	r := other.run(ctx, "get", s.torrent(ctx), "-o", out, "--peer", n.addr(), "--select", "f000.bin", "--select", "f002.bin")
	if r.code != 0 {
		t.Errorf("the other files: exit %d: %s", r.code, r.stderr)
	} else {
		sound(t, filepath.Join(dir, "d0", "f000.bin"), filepath.Join(out, "tree", "d0", "f000.bin"))
	}

	verified := func() (bad int, files []string) {
		r := n.run(ctx, "verify", s.Hash())
		x := lastJSON[struct {
			Bad, Missing int
			BadFiles     []string `json:"bad_files"`
			Exit         int
		}](t, r.out, "bad")
		if x.Bad+x.Missing > 0 && r.code != 4 || x.Bad+x.Missing == 0 && r.code != 0 {
			t.Errorf("verify with %d bad pieces: exit %d", x.Bad+x.Missing, r.code)
		}
		return x.Bad + x.Missing, x.BadFiles
	}
	if bad, files := verified(); bad < 1 || bad > 2 || len(files) == 0 || !strings.Contains(files[0], "f001.bin") {
		t.Errorf("verify finds %d bad pieces in %q", bad, files)
	}
	must(t, os.WriteFile(target, right, 0o644))
	must(t, os.Chtimes(target, time.Time{}, fi.ModTime()))
	if bad, files := verified(); bad != 0 {
		t.Errorf("after the file is put back: %d bad pieces in %q", bad, files)
	}
	v = n.until(ctx, s.Hash(), "everything again", func(v share) bool { return v.PiecesDone == v.Pieces })
	if v.Problem != "" {
		t.Errorf("a problem stays: %q", v.Problem)
	}
	out = t.TempDir()
	newNode(t, l).ok(ctx, "get", s.torrent(ctx), "-o", out, "--peer", n.addr())
	sound(t, dir, filepath.Join(out, "tree"))

	// The whole folder goes, and comes back.
	must(t, os.Rename(dir, dir+".away"))
	if bad, _ := verified(); bad == 0 {
		t.Error("verify finds nothing wrong with a removed folder")
	}
	must(t, os.Rename(dir+".away", dir))
	if bad, files := verified(); bad != 0 {
		t.Errorf("after the folder is put back: %d bad pieces in %q", bad, files)
	}
	if r, took := s.proc.stopped(ctx, 2); r.code != 0 || took > stopTime {
		t.Errorf("exit %d after %v", r.code, took)
	}
}

// TestFilesGoneAtStart removes files of a share while no node runs: at the next start
// they are not offered and not fetched from others, and a person is told.
func TestFilesGoneAtStart(t *testing.T) {
	t.Parallel()
	ctx := deadline(t, 40*time.Second)
	l := lab(t)
	dir := tree(t, 5, 200<<10)
	n := newNode(t, l)
	s := n.share(ctx, dir, "--piece-size", "16K")
	source := s.torrent(ctx)
	copied := t.TempDir()
	newNode(t, l).ok(ctx, "get", source, "-o", copied, "--peer", n.addr())
	s.proc.stopped(ctx, 2)
	target := filepath.Join(dir, "d1", "f001.bin")
	must(t, os.Remove(target))
	up := n.start("up")
	up.event(ctx, "ready", nil)
	holder := newNode(t, l)
	h := holder.start("get", source, "-o", copied, "--seed")
	h.event(ctx, "done", nil)
	must(t, n.ask(ctx, "GET", "/api/v1/shares/"+s.Hash()+"/detail", &share{})) // wakes it
	if r := holder.run(ctx, "ls"); r.code != 0 {
		t.Error(r.stderr)
	}
	v := n.until(ctx, s.Hash(), "the missing file in show", func(v share) bool { return v.PiecesDone < v.Pieces && v.Problem != "" })
	if !strings.Contains(v.Problem, "f001.bin") || v.State == "failed" {
		t.Errorf("state %s, problem %q", v.State, v.Problem)
	}
	r := newNode(t, l).run(ctx, "get", source, "-o", t.TempDir(), "--peer", n.addr(), "--select", "f000.bin")
	if r.code != 0 {
		t.Errorf("the other files: exit %d: %s", r.code, r.stderr)
	}
	if exists(target) {
		t.Error("an original was written")
	}
}

// TestGetAgainAfterRemoval: what was fetched and removed by hand is fetched again when it
// is asked for, by a new command and by one to a node that runs.
func TestGetAgainAfterRemoval(t *testing.T) {
	t.Parallel()
	ctx := deadline(t, 40*time.Second)
	l := lab(t)
	path := file(t, "again.bin", 400<<10)
	seed := newNode(t, l).share(ctx, path)
	n := newNode(t, l)
	out := t.TempDir()
	get := []string{"get", seed.torrent(ctx), "-o", out, "--peer", seed.node.addr()}
	got := filepath.Join(out, "again.bin")
	n.ok(ctx, get...)
	for range 2 {
		must(t, os.Remove(got))
		n.ok(ctx, get...)
		sound(t, path, got)
	}
	n.ok(ctx, get...) // nothing to do
	up := n.start("up")
	up.event(ctx, "ready", nil)
	n.ok(ctx, get...)
	must(t, os.Remove(got))
	n.ok(ctx, get...)
	sound(t, path, got)
	must(t, os.WriteFile(got, []byte("a file of somebody else"), 0o644))
	if r := n.run(ctx, get...); r.code != 6 {
		t.Errorf("another file is in the way: exit %d, want 6: %s", r.code, r.stderr)
	}
}
