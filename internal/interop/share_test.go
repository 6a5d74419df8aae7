//go:build linux

package interop

import (
	"path/filepath"
	"testing"

	"shoal/bench/clients"
	"shoal/bench/clients/testlab"
)

// fromShare publishes a folder, or one file, with `share`, and lets another program open
// what shoal made of it, its .torrent or its link, and fetch it from where it lies.
func fromShare(t *testing.T, leech *clients.Client, f clients.Format, link bool) {
	t.Helper()
	t.Parallel()
	need(t, is(clients.Shoal()), is(leech))
	ctx, l := testlab.Deadline(t, pairTime), testlab.New(t)
	tracker, err := clients.StartTracker(l)
	if err != nil {
		t.Fatal(err)
	}
	dir, name := content(t, f == clients.Hybrid && leech.OnePad)
	path := filepath.Join(dir, name)
	j := clients.Job{Dir: t.TempDir(), Torrent: filepath.Join(l.Root(), "made.torrent")}
	seed, made, err := clients.ShareWithShoal(ctx, l, path, j.Torrent, "--format", f.String(), "--piece-size", "64K", "--tracker", tracker.URL())
	if err != nil {
		t.Fatal(err)
	}
	if link {
		j.Magnet = made.Link
	}
	if leech.Dials {
		j.Peers = []string{seed.Addr()}
	}
	node, err := leech.Start(ctx, l, j)
	if err != nil {
		t.Fatal(err)
	}
	if !leech.DialsLoopback {
		if err := seed.Connect(ctx, node.Addr()); err != nil {
			t.Fatal(err)
		}
	}
	if err := node.Complete(ctx); err != nil {
		t.Fatal(err)
	}
	l.Stop()
	same(t, path, j.Dir, leech)
}

// TestSharedByShoal: what `share` makes is what other programs understand. A hybrid's link
// is left to TestMagnetLinks; see wholeFiles.
func TestSharedByShoal(t *testing.T) {
	t.Parallel()
	for _, c := range foreign() {
		everyFormat(t, c, func(t *testing.T, f clients.Format) {
			t.Run("torrent", func(t *testing.T) { fromShare(t, c, f, false) })
			if c.Magnets && f != clients.Hybrid {
				t.Run("link", func(t *testing.T) { fromShare(t, c, f, true) })
			}
		})
	}
}
