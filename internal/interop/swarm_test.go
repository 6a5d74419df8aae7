//go:build linux

package interop

import (
	"context"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"shoal/bench/clients"
	"shoal/bench/clients/testlab"
)

// mixedSwarm lets a seed and leeches of every program that is given meet at one
// tracker, with a seed slow enough that they need each other, and compares what each
// has in the end.
func mixedSwarm(t *testing.T, seed *clients.Client, leeches []*clients.Client) {
	t.Helper()
	t.Parallel()
	need(t, is(seed), is(clients.Libtorrent()))
	for _, c := range leeches {
		need(t, is(c))
	}
	ctx, l := testlab.Deadline(t, 2*pairTime), testlab.New(t)
	tracker, err := clients.StartTracker(l)
	if err != nil {
		t.Fatal(err)
	}
	dir, name := content(t, false)
	path, _ := torrent(ctx, t, clients.MakeRequest{Path: filepath.Join(dir, name), Format: clients.V1, Piece: pieceLength, Tracker: tracker.URL()})
	// The whole content takes the seed about three seconds to send once.
	first, err := seed.Start(ctx, l, clients.Job{Dir: dir, Torrent: path, Seed: true, Up: 4 << 20})
	if err != nil {
		t.Fatal(err)
	}
	err = tracker.Await(ctx, func(a clients.Announce) bool { return a.Peer.String() == first.Addr() })
	if err != nil {
		t.Fatal("the seed did not announce itself: ", err)
	}
	nodes, folders := make([]*clients.Node, len(leeches)), make([]string, len(leeches))
	for i, c := range leeches {
		folders[i] = t.TempDir()
		if nodes[i], err = c.Start(ctx, l, clients.Job{Dir: folders[i], Torrent: path}); err != nil {
			t.Fatal(err)
		}
	}
	introduce(ctx, t, first, leeches, nodes)
	var all sync.WaitGroup
	for _, n := range nodes {
		all.Go(func() {
			began := time.Now()
			if err := n.Complete(ctx); err != nil {
				t.Errorf("%s: %v", n.Client, err)
			}
			t.Logf("%-12s complete after %.1f s", n.Client, time.Since(began).Seconds())
		})
	}
	all.Wait()
	l.Stop()
	for i, c := range leeches {
		same(t, filepath.Join(dir, name), folders[i], c)
	}
}

// introduce makes those who can dial connect to those who dial nobody on loopback,
// rather than wait for their next announce.
func introduce(ctx context.Context, t *testing.T, seed *clients.Node, cs []*clients.Client, nodes []*clients.Node) {
	t.Helper()
	for i, deaf := range cs {
		if deaf.DialsLoopback {
			continue
		}
		for _, n := range append([]*clients.Node{seed}, nodes...) {
			if err := n.Connect(ctx, nodes[i].Addr()); err != nil {
				t.Logf("%s waits for the tracker to hear of %s", n.Client, deaf.Name)
			}
		}
	}
}

// TestForeignSwarm proves the harness: the five programs among themselves.
func TestForeignSwarm(t *testing.T) {
	mixedSwarm(t, clients.Libtorrent(), foreign())
}

// TestMixedSwarm: shoal seeds to all five and to itself.
func TestMixedSwarm(t *testing.T) {
	mixedSwarm(t, clients.Shoal(), clients.All())
}

// TestMixedSwarmOfOthers: shoal is one leech among others, of a foreign seed.
func TestMixedSwarmOfOthers(t *testing.T) {
	mixedSwarm(t, clients.RTorrent(), clients.All())
}
