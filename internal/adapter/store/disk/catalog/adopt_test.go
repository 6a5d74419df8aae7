package catalog

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// interruptedBy makes a database whose first transaction was killed while it was being
// written: with a journal that has to be rolled back.
func interruptedBy(t *testing.T, path string) {
	t.Helper()
	busy := path + ".busy"
	db, err := sql.Open("sqlite", "file:"+busy+"?_pragma=cache_size(1)&_pragma=synchronous(OFF)")
	if err != nil {
		t.Fatal(err)
	}
	defer os.Remove(busy)
	defer db.Close()
	db.SetMaxOpenConns(1)
	for _, q := range []string{"BEGIN IMMEDIATE", "CREATE TABLE schema (version INTEGER NOT NULL)", "CREATE TABLE share (x)"} {
		if _, err := db.Exec(q); err != nil {
			t.Fatal(err)
		}
	}
	for range 50 { // more than the cache holds: it reaches the file
		if _, err := db.Exec("INSERT INTO share VALUES (randomblob(4000))"); err != nil {
			t.Fatal(err)
		}
	}
	for _, suffix := range []string{"", "-journal"} {
		b, err := os.ReadFile(busy + suffix)
		if err != nil || len(b) == 0 {
			t.Fatalf("%s%s: %d bytes, %v", busy, suffix, len(b), err)
		}
		if err := os.WriteFile(path+suffix, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// Killed inside the very first making of the database, the home is in order: the next
// start ends or undoes it. Looking at it changes nothing.
func TestCheckAfterAKillInTheFirstMaking(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shoal.db")
	interruptedBy(t, path)
	before, _ := os.ReadFile(path)
	journal, _ := os.ReadFile(path + "-journal")
	for _, p := range Check(path, filepath.Join(t.TempDir(), "none")) {
		t.Errorf("Check: %+v", p)
	}
	if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
		t.Error("the database was changed")
	}
	if after, _ := os.ReadFile(path + "-journal"); !bytes.Equal(journal, after) {
		t.Error("the journal was changed")
	}
	c := open(t, path)
	if rows, err := c.Shares(); err != nil || len(rows) > 0 {
		t.Errorf("the next start finds %v, %v", rows, err)
	}
}

// A database that is damaged is so with something half done beside it too, and is put
// aside with it.
func TestDamagedWhileInterrupted(t *testing.T) {
	home := t.TempDir()
	path := filepath.Join(home, "shoal.db")
	interruptedBy(t, path)
	if err := os.WriteFile(path+"-journal", []byte("not what it was"), 0o600); err != nil {
		t.Fatal(err)
	}
	b, _ := os.ReadFile(path)
	copy(b[100:4000], bytes.Repeat([]byte{0xff}, 4000))
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	if p := Check(path, home); len(p) != 1 || p[0].Kind != ProblemDatabase || p[0].Repair == "" {
		t.Fatalf("Check = %+v", p)
	}
	if left, err := Repair(path, home); err != nil || len(left) > 0 {
		t.Fatalf("Repair left %v, %v", left, err)
	}
	if _, err := os.Lstat(path + ".damaged-1-journal"); err != nil {
		t.Error(err)
	}
	if p := Check(path, home); len(p) > 0 {
		t.Errorf("after Repair: %v", p)
	}
}

// A share that was killed, or lost its row in a crash, after it was saved in the torrents
// folder is no damage: the next start lists it. What is half added or half removed is none
// either, and does not come back.
func TestAdopt(t *testing.T) {
	home := t.TempDir()
	path, torrents := filepath.Join(home, "shoal.db"), filepath.Join(home, "torrents")
	row := func(i int) (r Row) {
		r.Describe(sampleMeta(t, fmt.Sprint("f", i)))
		r.Dir = home
		return r
	}
	c := open(t, path)
	for i := range 4 {
		if err := SaveTorrent(torrents, sampleMeta(t, fmt.Sprint("f", i)), row(i)); err != nil {
			t.Fatal(err)
		}
	}
	// 0 is listed, 1 was killed before that, 2 while it was removed, 3 before it was added.
	err := errors.Join(c.Put(row(0)), removeFile(torrents, row(2).ID, shareExt), removeFile(torrents, row(3).ID, shareExt),
		os.WriteFile(filepath.Join(torrents, ".new-123"), []byte("ha"), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	for range 2 {
		if p := Check(path, torrents); len(p) > 0 {
			t.Errorf("Check = %+v", p)
		}
		c = open(t, path)
		if err := c.Adopt(torrents); err != nil {
			t.Fatal(err)
		}
		rows, err := c.Shares()
		if err != nil || len(rows) != 2 || !slices.ContainsFunc(rows, func(r Row) bool { return r.ID == row(1).ID && r.Dir == home }) {
			t.Errorf("listed %+v, %v", rows, err)
		}
		c.Close()
	}
	if _, err := os.Lstat(filepath.Join(torrents, ".new-123")); err == nil {
		t.Error("half a file was left")
	}
	c = open(t, path)
	if err := errors.Join(c.Remove(torrents, row(0).ID), c.Remove(torrents, row(1).ID), c.Adopt(torrents)); err != nil {
		t.Error(err)
	}
	if rows, _ := c.Shares(); len(rows) > 0 {
		t.Errorf("removed shares came back: %v", rows)
	}
}

// A link that became a share under another ID, and was killed before its own row went.
func TestAdoptDropsTheLinkThatBecameAShare(t *testing.T) {
	home := t.TempDir()
	torrents := filepath.Join(home, "torrents")
	var share Row
	m := sampleMeta(t, "f")
	share.Describe(m)
	link := Row{ID: fmt.Sprintf("%064x", 7), V1: share.V1, Link: "magnet:?", Dir: home}
	other := Row{ID: fmt.Sprintf("%064x", 8), V2: fmt.Sprintf("%064x", 8), Link: "magnet:?", Dir: home}
	c := open(t, filepath.Join(home, "shoal.db"))
	err := errors.Join(SaveTorrent(torrents, nil, link), SaveTorrent(torrents, nil, other), c.Put(link, other),
		SaveTorrent(torrents, m, share), c.Adopt(torrents))
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	rows, _ := c.Shares()
	for _, r := range rows {
		ids = append(ids, r.ID)
	}
	if slices.Sort(ids); !slices.Equal(ids, []string{other.ID, share.ID}) {
		t.Errorf("listed %q", ids)
	}
	if left, _ := Torrents(torrents); slices.Contains(left, link.ID) {
		t.Error("the link's file is still there")
	}
}
