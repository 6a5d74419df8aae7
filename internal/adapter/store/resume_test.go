package store

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"shoal/internal/adapter/store/disk/catalog"
	"shoal/internal/core/metainfo"
)

// half fetches the first half of a share, and takes its resume state as an
// engine would: have, stats.
func half(t *testing.T, fx *fixture, c *Content) *Resume {
	t.Helper()
	n := fx.info.NumPieces() / 2
	r := &Resume{Boot: "now", Have: make([]byte, catalog.BitmapLen(fx.info)), Synced: make([]byte, catalog.BitmapLen(fx.info))}
	for p := range n {
		fx.fetch(t, c, p)
		setBit(r.Have, p)
	}
	for i := range fx.info.Files {
		if _, end := fx.info.FilePieces(i); end <= n && c.real(i) {
			if err := c.Finish(i); err != nil {
				t.Fatal(err)
			}
		}
	}
	r.Files = c.Stats()
	return r
}

func setBit(bits []byte, p int) { bits[p>>3] |= 0x80 >> (p & 7) }

func bitsSet(bits []byte) (n int) {
	for p := range 8 * len(bits) {
		if hasBit(bits, p) {
			n++
		}
	}
	return n
}

func resumeSpecs() []spec {
	return []spec{{"a", 50 * kib}, {"b", 200 * kib}, {"c", 90 * kib}, {"d", 7}}
}

func TestResumeInTheSameBoot(t *testing.T) {
	each(t, func(t *testing.T, v metainfo.Version) {
		fx := newFixture(t, v, 16*kib, false, resumeSpecs()...)
		dir := t.TempDir()
		c := fx.open(t, dir, Options{})
		r := half(t, fx, c)
		n := fx.info.NumPieces() / 2
		// Written after the state was taken, then killed: no Close.
		fx.fetch(t, c, n)
		fx.fetch(t, c, n+1)
		again := fx.open(t, dir, Options{Resume: r, Boot: "now"})
		if got := again.Trusted(); !bytes.Equal(got, r.Have) {
			t.Errorf("trusted %08b, had %08b", got, r.Have)
		}
		rest := again.Unverified(again.Trusted())
		if ok := good(t, again, rest); !ok[n] || !ok[n+1] {
			t.Errorf("pieces to look at: %v, verdicts %v", rest, ok)
		}
		if list := again.Conflicts(); len(list) != 0 {
			t.Errorf("conflicts with ourselves: %v", list)
		}
		for p := n + 2; p < fx.info.NumPieces(); p++ {
			fx.fetch(t, again, p)
		}
		finishAll(t, again)
		fx.check(t, dir)
		if kept, err := again.Remove(); err != nil || len(kept) != 0 {
			t.Errorf("Remove kept %v, %v: what was fetched before the kill is ours too", kept, err)
		}
	})
}

// What an earlier run wrote and did not flush is covered by the next Sync: else its pieces
// would be remembered as flushed while they are in the page cache alone.
func TestSyncCoversAnEarlierRun(t *testing.T) {
	each(t, func(t *testing.T, v metainfo.Version) {
		fx := newFixture(t, v, 16<<10, false, resumeSpecs()...)
		dir := t.TempDir()
		c := fx.open(t, dir, Options{Boot: "now"})
		r := half(t, fx, c)
		r.Boot = "now"
		_ = c.Close()
		again := fx.open(t, dir, Options{Resume: r, Boot: "now"})
		if len(again.unsynced) == 0 {
			t.Error("nothing is to be flushed")
		}
		if err := again.Sync(t.Context()); err != nil || len(again.unsynced) > 0 {
			t.Errorf("%v, %d files left", err, len(again.unsynced))
		}
		r.Synced = r.Have
		if c := fx.open(t, dir, Options{Resume: r, Boot: "now"}); len(c.unsynced) > 0 {
			t.Errorf("%d files to be flushed that were", len(c.unsynced))
		}
	})
}

func TestResumeInAnotherBoot(t *testing.T) {
	fx := newFixture(t, metainfo.Hybrid, 16*kib, false, resumeSpecs()...)
	dir := t.TempDir()
	c := fx.open(t, dir, Options{})
	r := half(t, fx, c)
	setBit(r.Synced, 1)
	again := fx.open(t, dir, Options{Resume: r, Boot: "another"})
	if got := again.Trusted(); !bytes.Equal(got, r.Synced) {
		t.Errorf("trusted %08b, synced %08b", got, r.Synced)
	}
	// Everything is there, so hashing finds it.
	rest := again.Unverified(again.Trusted())
	if n := count(good(t, again, rest)) + 1; n != bitsSet(r.Have) {
		t.Errorf("%d pieces found, had %d", n, bitsSet(r.Have))
	}
}

// A crash of the machine took bytes of a file that already had its name. It is
// ours, so it is fetched again and not taken for somebody else's.
func TestFinishedFileLostInACrash(t *testing.T) {
	for _, state := range []string{"finished before", "finished before, its time lost", "finished after the state was taken", "made after the state was taken"} {
		t.Run(state, func(t *testing.T) {
			fx := newFixture(t, metainfo.V2, 16*kib, true, spec{"f", 100 * kib})
			dir := t.TempDir()
			c := fx.open(t, dir, Options{})
			r := &Resume{Boot: "before", Have: make([]byte, 1), Synced: make([]byte, 1), Files: c.Stats()}
			fx.fetch(t, c, 0)
			if state == "finished after the state was taken" {
				r.Files = c.Stats()
			}
			fx.fetchAll(t, c)
			if err := c.Finish(0); err != nil {
				t.Fatal(err)
			}
			p := filepath.Join(dir, "f")
			mtime := time.Unix(0, c.files[0].stamp.mtime)
			switch state {
			case "finished before, its time lost":
				mtime = mtime.Add(-time.Minute)
				fallthrough
			case "finished before":
				r.Files = c.Stats()
			}
			if err := errors.Join(os.Truncate(p, 0), os.Truncate(p, 100*kib), os.Chtimes(p, time.Time{}, mtime)); err != nil {
				t.Fatal(err)
			}
			again := fx.open(t, dir, Options{Resume: r, Boot: "after"})
			if n := count(good(t, again, again.Unverified(again.Trusted()))); n != 0 {
				t.Fatalf("%d pieces of a file of holes are good", n)
			}
			if list := again.Conflicts(); len(list) != 0 {
				t.Fatalf("conflicts: %v", list)
			}
			fx.fetchAll(t, again)
			if err := again.Finish(0); err != nil {
				t.Fatal(err)
			}
			fx.check(t, dir)
		})
	}
}

// A finished file that its owner edits is never written again, whatever the
// resume state says.
func TestEditedFileIsNotFetchedAgain(t *testing.T) {
	write := func(p string, b []byte) error { return os.WriteFile(p, b, 0o666) }
	// Compressed files and disk images look like what a crash leaves.
	holes := func(p string, b []byte) error {
		return errors.Join(os.Truncate(p, 0), os.Truncate(p, int64(len(b))))
	}
	for _, tc := range []struct {
		boot  string
		edit  func(p string, b []byte) error
		later time.Duration
	}{
		{"now", write, time.Hour}, {"another", write, time.Hour}, {"another", holes, time.Hour},
		{"another", func(p string, b []byte) error {
			return errors.Join(write(p+"~", nil), holes(p+"~", b), os.Rename(p+"~", p))
		}, -time.Hour},
	} {
		fx := newFixture(t, metainfo.V2, 16*kib, true, spec{"f", 100 * kib})
		dir := t.TempDir()
		c := fx.open(t, dir, Options{})
		fx.fetchAll(t, c)
		if err := c.Finish(0); err != nil {
			t.Fatal(err)
		}
		r := &Resume{Boot: "now", Have: []byte{0xfe}, Synced: []byte{0xfe}, Files: c.Stats()}
		mine := bytes.Repeat([]byte("edited! "), 100*kib/8)
		p := filepath.Join(dir, "f")
		if err := errors.Join(tc.edit(p, mine), os.Chtimes(p, time.Time{}, time.Now().Add(tc.later))); err != nil {
			t.Fatal(err)
		}
		if mine, _ = os.ReadFile(p); len(mine) != 100*kib {
			t.Fatalf("%d bytes", len(mine))
		}
		again := fx.open(t, dir, Options{Resume: r, Boot: tc.boot})
		if n := bitsSet(again.Trusted()); n != 0 {
			t.Errorf("%d pieces of an edited file are trusted", n)
		}
		good(t, again, nil)
		if list := again.Conflicts(); len(list) != 1 {
			t.Errorf("conflicts: %v", list)
		}
		if err := again.WriteVec(blocks(fx.piece(0)), 0, 0); !errors.Is(err, ErrExists) {
			t.Errorf("WriteVec = %v", err)
		}
		if b, _ := os.ReadFile(p); !bytes.Equal(b, mine) {
			t.Error("the edit was overwritten")
		}
	}
}

func TestResumeOfAnotherShapeIsWorthNothing(t *testing.T) {
	fx := newFixture(t, metainfo.V1, 16*kib, false, resumeSpecs()...)
	dir := t.TempDir()
	c := fx.open(t, dir, Options{})
	r := half(t, fx, c)
	r.Have = r.Have[:1]
	if n := bitsSet(fx.open(t, dir, Options{Resume: r, Boot: "now"}).Trusted()); n != 0 {
		t.Errorf("%d pieces trusted with a short bitmap", n)
	}
	r.Files = r.Files[:2]
	if got := fx.open(t, dir, Options{Resume: r, Boot: "now"}).Trusted(); got != nil {
		t.Errorf("trusted %v with too few files", got)
	}
}

func TestRemovedPartIsNotTrusted(t *testing.T) {
	fx := newFixture(t, metainfo.V1, 16*kib, false, resumeSpecs()...)
	dir := t.TempDir()
	c := fx.open(t, dir, Options{})
	r := half(t, fx, c)
	if err := os.Remove(fx.full(dir, "b.part")); err != nil {
		t.Fatal(err)
	}
	again := fx.open(t, dir, Options{Resume: r, Boot: "now"})
	first, end := fx.info.FilePieces(fx.index(t, "b"))
	for p := range fx.info.NumPieces() {
		if in := p >= first && p < end; hasBit(again.Trusted(), p) != (!in && hasBit(r.Have, p)) {
			t.Errorf("piece %d trusted: %v", p, hasBit(again.Trusted(), p))
		}
	}
}

// A .part that is older than its record is another one: put back from a copy, say.
func TestOlderPartIsNotTrusted(t *testing.T) {
	fx := newFixture(t, metainfo.V2, 16*kib, true, spec{"f", 100 * kib})
	dir := t.TempDir()
	r := half(t, fx, fx.open(t, dir, Options{}))
	if err := os.Chtimes(filepath.Join(dir, "f.part"), time.Time{}, time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	if n := bitsSet(fx.open(t, dir, Options{Resume: r, Boot: "now"}).Trusted()); n != 0 {
		t.Errorf("%d pieces trusted", n)
	}
}

func TestHasDataAndUnverified(t *testing.T) {
	fx := newFixture(t, metainfo.V1, 64*kib, false, spec{"a", 640 * kib}, spec{"b", 640 * kib})
	dir := t.TempDir()
	c := fx.open(t, dir, Options{})
	if list := c.Unverified(nil); len(list) != 0 {
		t.Errorf("nothing there, and yet %v", list)
	}
	fx.fetch(t, c, 3)
	fx.fetch(t, c, 15)
	for p := range fx.info.NumPieces() {
		if got := c.HasData(p); got != (p == 3 || p == 15) {
			t.Errorf("HasData(%d) = %v", p, got)
		}
	}
	if list := c.Unverified(nil); !reflect.DeepEqual(list, []int{3, 15}) {
		t.Errorf("Unverified = %v", list)
	}
	have := make([]byte, catalog.BitmapLen(fx.info))
	setBit(have, 3)
	if list := c.Unverified(have); !reflect.DeepEqual(list, []int{15}) {
		t.Errorf("Unverified = %v", list)
	}
}

func TestSyncInParts(t *testing.T) {
	var specs []spec
	for i := range manyFiles + 5 {
		specs = append(specs, spec{"d/" + string(rune('a'+i%26)) + string(rune('a'+i/26)), 3 * kib})
	}
	fx := newFixture(t, metainfo.V1, 16*kib, false, specs...)
	c := fx.open(t, t.TempDir(), Options{})
	fx.fetch(t, c, 0)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := c.Sync(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Sync = %v", err)
	}
	if len(c.unsynced) == 0 {
		t.Error("what an interrupted Sync did not do was forgotten")
	}
	fx.fetchAll(t, c)
	if err := c.Sync(context.Background()); err != nil {
		t.Fatal(err)
	}
	if len(c.unsynced)+len(c.folders) != 0 {
		t.Errorf("left after Sync: %v, %v", c.unsynced, c.folders)
	}
	few := fx.open(t, t.TempDir(), Options{})
	for range 2 { // one by one, and what is written afterwards again
		fx.fetch(t, few, 0)
		if len(few.unsynced) == 0 {
			t.Error("what was written after a Sync is not to be flushed")
		}
		if err := few.Sync(t.Context()); err != nil || len(few.unsynced) > 0 {
			t.Errorf("left after Sync: %v, %v", few.unsynced, err)
		}
	}
}

// A renaming by a second name, cut short by a kill between its two steps, is ended.
func TestRenamingCutShort(t *testing.T) {
	fx := newFixture(t, metainfo.V2, 16*kib, true, spec{"f", 100 * kib})
	dir := t.TempDir()
	fx.put(t, dir)
	part := filepath.Join(dir, "f.part")
	if err := os.Link(filepath.Join(dir, "f"), part); err != nil {
		t.Fatal(err)
	}
	c := fx.open(t, dir, Options{})
	if _, err := os.Lstat(part); err == nil {
		t.Error("the second name was left")
	}
	if n := count(good(t, c, nil)); n != fx.info.NumPieces() {
		t.Errorf("%d pieces good", n)
	}
}
