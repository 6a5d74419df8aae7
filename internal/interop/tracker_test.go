//go:build linux

package interop

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"shoal/bench/clients"
	"shoal/bench/clients/testlab"
)

// viaTracker lets two programs that are told no address meet at opentracker.
func viaTracker(t *testing.T, seed, leech *clients.Client, url func(*clients.OpenTracker) string) {
	t.Helper()
	t.Parallel()
	need(t, clients.FindOpenTracker, is(seed), is(leech), is(clients.Libtorrent()))
	ctx, l := testlab.Deadline(t, pairTime), testlab.New(t)
	tracker := clients.NewOpenTracker(l)
	dir, name := content(t, false)
	path, made := torrent(ctx, t, clients.MakeRequest{Path: filepath.Join(dir, name), Format: clients.V1, Piece: pieceLength, Tracker: url(tracker)})
	if err := tracker.Start(ctx, made.V1); err != nil {
		t.Fatal(err)
	}
	if _, err := seed.Start(ctx, l, clients.Job{Dir: dir, Torrent: path, Seed: true}); err != nil {
		t.Fatal(err)
	}
	to := t.TempDir()
	node, err := leech.Start(ctx, l, clients.Job{Dir: to, Torrent: path})
	if err != nil {
		t.Fatal(err)
	}
	if err := node.Complete(ctx); err != nil {
		t.Fatal(err)
	}
	l.Stop()
	same(t, filepath.Join(dir, name), to, leech)
}

// TestOpenTracker: announces over HTTP and UDP to a tracker that nobody here wrote
// bring two nodes together, and foreign programs among themselves first.
func TestOpenTracker(t *testing.T) {
	t.Parallel()
	lt, sh := clients.Libtorrent(), clients.Shoal()
	for _, way := range []struct {
		name string
		url  func(*clients.OpenTracker) string
	}{{"http", (*clients.OpenTracker).HTTP}, {"udp", (*clients.OpenTracker).UDP}} {
		t.Run(way.name+"/foreign", func(t *testing.T) { viaTracker(t, lt, clients.QBittorrent(), way.url) })
		t.Run(way.name+"/shoal fetches", func(t *testing.T) { viaTracker(t, lt, sh, way.url) })
		t.Run(way.name+"/shoal seeds", func(t *testing.T) { viaTracker(t, sh, lt, way.url) })
	}
}

// TestAnnounceEvents: a tracker hears started, completed and, after Ctrl-C, stopped.
func TestAnnounceEvents(t *testing.T) {
	t.Parallel()
	need(t, is(clients.Shoal()), is(clients.Libtorrent()))
	ctx, l := testlab.Deadline(t, pairTime), testlab.New(t)
	tracker, err := clients.StartTracker(l)
	if err != nil {
		t.Fatal(err)
	}
	dir, name := content(t, true)
	path, _ := torrent(ctx, t, clients.MakeRequest{Path: filepath.Join(dir, name), Format: clients.V1, Piece: pieceLength, Tracker: tracker.URL()})
	p := clients.Pair{Seed: clients.Libtorrent(), Leech: clients.Shoal(), Tracker: tracker,
		SeedJob: clients.Job{Dir: dir, Torrent: path}, LeechJob: clients.Job{Dir: t.TempDir(), Torrent: path}}
	_, node, err := p.Start(ctx, l)
	if err != nil {
		t.Fatal(err)
	}
	heard := func(event string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
		defer cancel()
		err := tracker.Await(ctx, func(a clients.Announce) bool { return a.Peer.String() == node.Addr() && a.Event == event })
		if err != nil {
			t.Errorf("%s: %v", event, err)
		}
	}
	heard("started")
	if err := node.Complete(ctx); err != nil {
		t.Fatal(err)
	}
	heard("completed")
	if took := node.Process.Stop(); took > 10*time.Second {
		t.Errorf("stopping took %s", took)
	}
	heard("stopped")
}
