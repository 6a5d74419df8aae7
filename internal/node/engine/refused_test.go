package engine

import (
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"shoal/internal/adapter/store"
	"shoal/internal/core/metainfo"
)

// nothing checks that a node knows of no share and keeps none.
func (n *node) nothing() {
	n.t.Helper()
	if list := n.List(); len(list) > 0 {
		n.t.Errorf("shares: %s", n.states())
	}
	if rows, err := n.cfg.Catalog.Shares(); err != nil || len(rows) > 0 {
		n.t.Errorf("%d rows in the catalog, %v", len(rows), err)
	}
	if left, err := os.ReadDir(n.torrents()); err == nil && len(left) > 0 {
		n.t.Errorf("%s is left in the home", left[0].Name())
	}
}

// refuses adds a link that is refused when its description has come, be that before Add
// returns or after.
func (n *node) refuses(spec Spec, from *node, want error) {
	n.t.Helper()
	n.mu.Lock()
	n.events = nil
	n.mu.Unlock()
	spec.Peers = []string{from.addr()}
	if _, err := n.Add(spec); err != nil {
		if !errors.Is(err, want) {
			n.t.Errorf("refused with %v, want %v", err, want)
		}
	} else {
		n.wait("the refusal", func(e Event) bool {
			return e.Kind == EventState && e.Status.State == Failed && e.Status.Refused && errors.Is(e.Status.Err, want)
		})
	}
	n.wait("its end", func(e Event) bool { return e.Kind == EventRemoved })
	n.nothing()
}

// TestRefusedLeavesNothing: what cannot be begun because of something that only a person can
// mend is not kept: another file in the way, a selection that fits nothing.
func TestRefusedLeavesNothing(t *testing.T) {
	path := content(t, false)
	a, b := startNode(t), startNode(t)
	m := a.share(path, store.CreateOptions{PieceLength: testPiece})
	dir := t.TempDir()
	other := filepath.Join(dir, "content")
	if err := os.WriteFile(other, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Add(Spec{Meta: m, Dir: dir, Peers: []string{a.addr()}}); !errors.Is(err, store.ErrExists) {
		t.Errorf("over another file: %v", err)
	}
	b.nothing()
	b.refuses(Spec{Magnet: magnet(m.Hash), Dir: dir}, a, store.ErrExists)
	b.refuses(Spec{Magnet: magnet(m.Hash), Dir: t.TempDir(), Select: []string{"nothing"}}, a, ErrNoMatch)
	if data, err := os.ReadFile(other); err != nil || string(data) != "mine" {
		t.Errorf("the other file holds %q, %v", data, err)
	}
	b.fetch(Spec{Magnet: magnet(m.Hash)}, a)
	b.waitDone(m.Hash)
}

// TestNoSpaceLeavesNothing: who is told to choose another folder can do so.
func TestNoSpaceLeavesNothing(t *testing.T) {
	path := content(t, false)
	var reserve atomic.Int64
	reserve.Store(1 << 60)
	a, b := startNode(t), startNode(t, func(c *Config) { c.Reserve = func(int64) int64 { return reserve.Load() } })
	m := a.share(path, store.CreateOptions{PieceLength: testPiece})
	if _, err := b.Add(Spec{Meta: m, Dir: t.TempDir(), Peers: []string{a.addr()}}); !errors.Is(err, store.ErrNoSpace) {
		t.Errorf("onto a full disk: %v", err)
	}
	b.nothing()
	b.refuses(Spec{Magnet: magnet(m.Hash), Dir: t.TempDir()}, a, store.ErrNoSpace)
	reserve.Store(0)
	b.fetch(Spec{Magnet: magnet(m.Hash)}, a)
	b.waitDone(m.Hash)
}

// TestBegunIsKept: a share that was begun is not forgotten because of a file that came in
// its way.
func TestBegunIsKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "content")
	writeFile(t, path, 3*testPiece)
	m, _, err := store.Create(t.Context(), path, store.CreateOptions{Version: metainfo.V1, PieceLength: testPiece})
	if err != nil {
		t.Fatal(err)
	}
	home, dir := t.TempDir(), t.TempDir()
	b := startNodeAt(t, home)
	b.fetch(Spec{Meta: m, Dir: dir})
	b.stop()
	if err := os.WriteFile(filepath.Join(dir, "content"), []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	again := startNodeAt(t, home)
	again.wait("the failure", func(e Event) bool { return e.Kind == EventState && e.Status.State == Failed })
	if list := again.List(); len(list) != 1 || list[0].Refused {
		t.Errorf("shares: %s", again.states())
	}
}
