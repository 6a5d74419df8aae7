//go:build linux

package interop

import (
	"path/filepath"
	"testing"

	"shoal/bench/clients"
	"shoal/bench/clients/testlab"
)

// exchange lets one program seed and another fetch, and compares.
func exchange(t *testing.T, seed, leech *clients.Client, f clients.Format, magnet bool) {
	t.Helper()
	t.Parallel() // programs wait most of the time: transmission 3.00 thinks every ten seconds
	need(t, is(seed), is(leech), is(clients.Libtorrent()))
	if f&seed.Formats == 0 || f&leech.Formats == 0 {
		t.Fatalf("%s → %s: not both can do %s", seed.Name, leech.Name, f)
	}
	ctx, l := testlab.Deadline(t, pairTime), testlab.New(t)
	dir, name := content(t, f == clients.Hybrid && (seed.OnePad || leech.OnePad))
	p := clients.Pair{Seed: seed, Leech: leech}
	announce := ""
	if !leech.Dials || leech.NeedsTracker || seed.NeedsTracker {
		var err error
		if p.Tracker, err = clients.StartTracker(l); err != nil {
			t.Fatal(err)
		}
		announce = p.Tracker.URL()
	}
	r := clients.MakeRequest{Path: filepath.Join(dir, name), Format: f, Piece: pieceLength, Tracker: announce}
	if magnet && f == clients.Hybrid && leech.Name != clients.Shoal().Name {
		r.Piece = oneLayer
	}
	path, made := torrent(ctx, t, r)
	to := t.TempDir()
	p.SeedJob = clients.Job{Dir: dir, Torrent: path}
	p.LeechJob = clients.Job{Dir: to, Torrent: path}
	if magnet {
		p.LeechJob.Magnet = made.Magnet
	}
	_, node, err := p.Start(ctx, l)
	if err != nil {
		t.Fatal(err)
	}
	if err := node.Complete(ctx); err != nil {
		t.Fatal(err)
	}
	l.Stop() // what is still in a program's memory is written
	same(t, filepath.Join(dir, name), to, leech)
}

// allFormats are in the order in which docs/INTEROP.md names them.
var allFormats = []clients.Format{clients.V1, clients.Hybrid, clients.V2}

// everyFormat runs a test for each format that a client knows.
func everyFormat(t *testing.T, c *clients.Client, test func(*testing.T, clients.Format)) {
	for _, f := range allFormats {
		if c.Formats&f != 0 {
			t.Run(c.Name+"/"+f.String(), func(t *testing.T) { test(t, f) })
		}
	}
}

// foreign are all programs but ours.
func foreign() []*clients.Client { return clients.All()[1:] }

// TestForeignPairs proves the harness: programs of others with each other.
func TestForeignPairs(t *testing.T) {
	lt, qb, tr, rt, ar := clients.Libtorrent(), clients.QBittorrent(), clients.Transmission(), clients.RTorrent(), clients.Aria2()
	for _, c := range []struct {
		seed, leech *clients.Client
		format      clients.Format
		magnet      bool
	}{
		{lt, ar, clients.V1, false},
		{rt, lt, clients.V1, false},
		{qb, lt, clients.Hybrid, false},
		{lt, qb, clients.V2, true},
		{lt, tr, clients.V1, false},
		{ar, rt, clients.V1, false},
		{rt, qb, clients.Hybrid, false},
		{tr, tr, clients.V1, false},
	} {
		name := c.seed.Name + "→" + c.leech.Name + "/" + c.format.String()
		t.Run(name, func(t *testing.T) { exchange(t, c.seed, c.leech, c.format, c.magnet) })
	}
}

// TestForeignSeeds: every program seeds to shoal in every format it knows.
func TestForeignSeeds(t *testing.T) {
	t.Parallel()
	for _, c := range foreign() {
		everyFormat(t, c, func(t *testing.T, f clients.Format) { exchange(t, c, clients.Shoal(), f, false) })
	}
}

// TestForeignLeeches: every program fetches from shoal in every format it knows.
func TestForeignLeeches(t *testing.T) {
	t.Parallel()
	for _, c := range foreign() {
		everyFormat(t, c, func(t *testing.T, f clients.Format) { exchange(t, clients.Shoal(), c, f, false) })
	}
}

// TestMagnetLinks: metadata travels from peers too, both ways.
func TestMagnetLinks(t *testing.T) {
	t.Parallel()
	for _, c := range foreign() {
		if !c.Magnets {
			continue
		}
		everyFormat(t, c, func(t *testing.T, f clients.Format) {
			t.Run("to shoal", func(t *testing.T) { exchange(t, c, clients.Shoal(), f, true) })
			t.Run("from shoal", func(t *testing.T) { exchange(t, clients.Shoal(), c, f, true) })
		})
	}
}
