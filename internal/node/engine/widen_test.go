package engine

import (
	"errors"
	"path/filepath"
	"testing"

	"shoal/internal/adapter/store"
	"shoal/internal/core/metainfo"
)

// TestWiden: what was left out is fetched when it is asked for later, by a node that has
// been started again since, and the .torrent is whole then.
func TestWiden(t *testing.T) {
	for _, v := range []metainfo.Version{metainfo.V1, metainfo.V2, metainfo.Hybrid} {
		t.Run(v.String(), func(t *testing.T) {
			path := content(t, false)
			a := startNode(t)
			m := a.share(path, store.CreateOptions{Version: v, PieceLength: testPiece})
			home, dir := t.TempDir(), t.TempDir()
			b := startNodeAt(t, home)
			b.fetch(Spec{Magnet: magnet(m.Hash), Dir: dir, Select: []string{"file-65537"}}, a)
			if st := b.waitDone(m.Hash); st.Wanted == st.Bytes {
				t.Errorf("%d of %d bytes are wanted", st.Wanted, st.Bytes)
			}
			b.stop()
			again := startNodeAt(t, home)
			if _, err := again.Add(Spec{Magnet: magnet(m.Hash), Dir: dir, Select: []string{"nothing"}}); !errors.Is(err, ErrNoMatch) {
				t.Errorf("a selection that fits nothing: %v", err)
			}
			again.fetch(Spec{Magnet: magnet(m.Hash), Dir: dir}, a)
			again.waitDone(m.Hash)
			sameTree(t, path, filepath.Join(dir, "content"))
			sameTorrent(t, again, m)
		})
	}
}

// TestWakeIsNoEvent: a share that was fetched is not done once more, nor fetching for a moment,
// because its loop starts again.
func TestWakeIsNoEvent(t *testing.T) {
	path := content(t, false)
	a := startNode(t)
	m := a.share(path, store.CreateOptions{PieceLength: testPiece})
	home := t.TempDir()
	b := startNodeAt(t, home)
	b.fetch(Spec{Meta: m}, a)
	b.waitDone(m.Hash)
	b.stop()
	again := startNodeAt(t, home)
	if _, err := again.Detail(m.Hash.ID()); err != nil { // it wakes
		t.Fatal(err)
	}
	again.wait("its start", func(e Event) bool { return e.Kind == EventState && e.Status.State == Seeding })
	again.stop()
	for _, e := range again.soFar() {
		if e.Kind == EventDone || e.Kind == EventState && e.Status.State == Fetching {
			t.Errorf("events: %s", again.story())
		}
	}
}

// TestNoLayers: a .torrent without the hashes of some files is of no use to others, and is
// not given out.
func TestNoLayers(t *testing.T) {
	path := content(t, true)
	m, _, err := store.Create(t.Context(), path, store.CreateOptions{Version: metainfo.V2, PieceLength: testPiece})
	if err != nil {
		t.Fatal(err)
	}
	bare, err := metainfo.ParseInfo(m.InfoBytes, m.Hash)
	if err != nil {
		t.Fatal(err)
	}
	n := startNode(t)
	n.fetch(Spec{Meta: bare})
	if _, err := n.Torrent(m.Hash.ID()); !errors.Is(err, ErrNoLayers) {
		t.Errorf("%v", err)
	}
}

// TestAddAgain: what is said the second time holds too.
func TestAddAgain(t *testing.T) {
	path := content(t, true)
	n := startNode(t)
	m := n.share(path, store.CreateOptions{Version: metainfo.V2, PieceLength: testPiece})
	spec := Spec{Meta: m, Dir: filepath.Dir(path), InPlace: true, Up: 1000, Sequential: true}
	if _, err := n.Add(spec); err != nil {
		t.Fatal(err)
	}
	spec.Up, spec.Down, spec.Sequential = 0, 2000, false // nothing said of these
	st, err := n.Add(spec)
	if err != nil || st.Up != 1000 || st.Down != 2000 {
		t.Errorf("limits %d, %d; %v", st.Up, st.Down, err)
	}
	n.call(m.Hash, func(s *Share) {
		if !s.row.Sequential || s.up.Rate() != 1000 || s.down.Rate() != 2000 {
			t.Errorf("%+v", s.row)
		}
	})
}

// call runs f in the loop of a share.
func (n *node) call(h metainfo.InfoHash, f func(*Share)) {
	n.t.Helper()
	if _, err := n.change(h.ID(), f); err != nil {
		n.t.Fatal(err)
	}
}
