package engine

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"shoal/internal/adapter/store"
	"shoal/internal/core/metainfo"
	"shoal/internal/core/wire"
)

func quick(c *Config) { c.ParkAfter = time.Millisecond }

// TestVerifyIsNotParked: a verification may take longer than a share is quiet.
func TestVerifyIsNotParked(t *testing.T) {
	path := content(t, true)
	n := startNode(t, quick)
	m := n.share(path, store.CreateOptions{PieceLength: testPiece})
	late := time.NewTimer(4 * time.Second) // three times as long as it takes to be parked
	defer late.Stop()
	v, err := n.Verify(t.Context(), m.Hash.ID(), func(done, _ int64) {
		if done < 2*testPiece {
			<-late.C
		}
	})
	if err != nil || v.Good != m.Info.NumPieces() {
		t.Errorf("%+v, %v", v, err)
	}
	n.parked()
}

// TestParkedAnswers: a share that was parked is there for everybody who asks.
func TestParkedAnswers(t *testing.T) {
	path := content(t, true)
	n, b := startNode(t, quick), startNode(t)
	m := n.share(path, store.CreateOptions{PieceLength: testPiece})
	n.parked()
	if st, err := n.SetSequential(m.Hash.ID(), true); err != nil || st.ID != m.Hash.ID() {
		t.Errorf("%+v, %v", st, err)
	}
	n.parked()
	if d, err := n.Detail(m.Hash.ID()); err != nil || d.Status.Done != d.Status.Wanted || d.Status.Have != d.Status.Pieces || d.Status.State != Seeding {
		t.Errorf("%+v, %v", d.Status, err)
	}
	n.parked()
	dir := b.fetch(Spec{Meta: m}, n)
	b.waitDone(m.Hash)
	sameTree(t, path, filepath.Join(dir, "content"))
	b.stop()
	n.parked()
	if _, _, err := n.Remove(m.Hash.ID(), false); err != nil {
		t.Error(err)
	}
	if _, err := n.Status(m.Hash.ID()); err != ErrNotFound {
		t.Errorf("removed: %v", err)
	}
}

// TestPausedLinkStaysPaused: what a person said of a link is kept before its description
// has come.
func TestPausedLinkStaysPaused(t *testing.T) {
	home, dir := t.TempDir(), t.TempDir()
	hash := metainfo.InfoHash{V1: [20]byte{7}, Version: metainfo.V1}
	a := startNodeAt(t, home)
	a.fetch(Spec{Magnet: magnet(hash), Dir: dir})
	if st, err := a.SetPaused(hash.ID(), true); err != nil || st.State != Paused {
		t.Fatalf("%+v, %v", st, err)
	}
	if err := a.SetLimits(hash.ID(), 1000, 2000); err != nil {
		t.Fatal(err)
	}
	a.stop()
	b := startNodeAt(t, home)
	if st, err := b.Status(hash.ID()); err != nil || st.State != Paused || st.Up != 1000 || st.Down != 2000 {
		t.Errorf("after a restart: %+v, %v", st, err)
	}
}

// TestLinkAgainAfterRemoval: a link that had become another ID, and was removed, is a link
// like any other.
func TestLinkAgainAfterRemoval(t *testing.T) {
	path := content(t, true)
	a, b := startNode(t), startNode(t)
	m := a.share(path, store.CreateOptions{PieceLength: testPiece})
	old := metainfo.InfoHash{V1: m.Hash.V1, Version: metainfo.V1}
	b.fetch(Spec{Magnet: magnet(old)}, a)
	b.waitDone(m.Hash)
	if st, err := b.Status(old.ID()); err != nil || st.ID != m.Hash.ID() {
		t.Errorf("by its first ID: %+v, %v", st, err)
	}
	if _, _, err := b.Remove(old.ID(), true); err != nil {
		t.Fatal(err)
	}
	b.fetch(Spec{Magnet: magnet(old)})
	if st, err := b.Status(old.ID()); err != nil || st.ID != old.ID() {
		t.Errorf("again: %+v, %v", st, err)
	}
}

// TestAskedAgainWhileServing: a share one of whose files was changed is asked for again
// while its bytes are on their way to somebody: that is no fault of the disk.
func TestAskedAgainWhileServing(t *testing.T) {
	path := content(t, false)
	a, b := startNode(t), startNode(t)
	m := a.share(path, store.CreateOptions{PieceLength: testPiece})
	dir := b.fetch(Spec{Meta: m}, a)
	b.waitDone(m.Hash)
	name := filepath.Join(dir, "content", "0", "file-65537")
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	c := startNode(t)
	c.fetch(Spec{Meta: m}, b)
	b.fetch(Spec{Meta: m, Dir: dir}, a)
	b.wait("fetched again", func(Event) bool {
		got, err := os.ReadFile(name)
		return err == nil && bytes.Equal(got, want)
	})
	for _, e := range b.soFar() {
		if e.Status != nil && e.Status.State == Failed {
			t.Errorf("the share failed: %s", e.Status.Problem)
		}
	}
}

// TestDescriptionIsPassedOn: who came for the description before we had it is told that it
// can be had now (BEP 9, BEP 10).
func TestDescriptionIsPassedOn(t *testing.T) {
	path := content(t, true)
	m, _, err := store.Create(t.Context(), path, store.CreateOptions{PieceLength: testPiece})
	if err != nil {
		t.Fatal(err)
	}
	n := startNode(t)
	l := rawListener(t)
	n.fetch(Spec{Magnet: magnet(m.Hash), Peers: []string{l.Addr().String()}})
	seed := acceptRaw(t, l, m.Hash.V1)
	p := dialRaw(t, n, m.Hash.V1)
	sizes := func() int64 {
		for {
			_, payload, ok := p.next(wire.Extended)
			if !ok {
				t.Fatal("the connection ended")
			}
			if ext, body, err := wire.ParseExtended(payload); err == nil && ext == wire.ExtHandshakeID {
				h, err := wire.ParseExtHandshake(body)
				if err != nil {
					t.Fatal(err)
				}
				return h.MetadataSize
			}
		}
	}
	if got := sizes(); got != 0 {
		t.Errorf("%d bytes are offered before there are any", got)
	}
	seed.describe(m)
	if got := sizes(); got != int64(len(m.InfoBytes)) {
		t.Errorf("%d bytes are offered of %d", got, len(m.InfoBytes))
	}
}

// TestOfflineTellsProgress: who only looks at a home sees how far an interrupted fetch came.
func TestOfflineTellsProgress(t *testing.T) {
	path := filepath.Join(t.TempDir(), "content")
	writeFile(t, path, 4*testPiece)
	m, _, err := store.Create(t.Context(), path, store.CreateOptions{Version: metainfo.V1, PieceLength: testPiece})
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	home, dir := t.TempDir(), t.TempDir()
	clear(data[2*testPiece:])
	if err := os.WriteFile(filepath.Join(dir, "content.part"), data, 0o644); err != nil {
		t.Fatal(err)
	}
	n := startNodeAt(t, home)
	n.fetch(Spec{Meta: m, Dir: dir})
	n.wait("two pieces that were there", func(e Event) bool { return e.Status != nil && e.Status.State == Fetching && e.Status.Have == 2 })
	n.stop()
	again := startNodeAt(t, home, func(c *Config) { c.Offline = true })
	if list := again.List(); len(list) != 1 || list[0].Done != 2*testPiece || list[0].Have != 2 {
		t.Errorf("%s", again.states())
	}
}
