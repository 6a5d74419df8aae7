package store

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"shoal/internal/core/metainfo"
)

// The test binary, run again with STORE_TEST_KILL naming a folder, fetches the
// share there from where it left off, until it is killed or done.
func TestMain(m *testing.M) {
	if dir := os.Getenv("STORE_TEST_KILL"); dir != "" {
		if err := fetchUntilKilled(dir); err != nil {
			fmt.Println("failed:", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// killShare is the same in both processes: its bytes come from a fixed seed.
func killShare(t testing.TB) *fixture {
	var specs []spec
	for i := range 30 {
		specs = append(specs, spec{fmt.Sprintf("d%d/f%02d", i%4, i), 1000 + i*7919})
	}
	return newFixture(t, metainfo.V1, 32*kib, false, specs...)
}

// fetchUntilKilled goes on as an engine would: trust what the resume state
// vouches for, hash what else is there, fetch the rest, finish files, save.
func fetchUntilKilled(dir string) error {
	fx := killShare(&testing.B{})
	cat, err := OpenCatalog(filepath.Join(dir, "shoal.db"))
	if err != nil {
		return err
	}
	r, err := cat.LoadResume("x")
	if err != nil {
		return err
	}
	c, err := Open(fx.meta, dir, Options{Resume: r})
	if err != nil {
		return err
	}
	fmt.Println("opened")
	f := &fetching{fx: fx, c: c, cat: cat, have: c.Trusted()}
	if f.have == nil {
		f.have = make([]byte, (fx.info.NumPieces()+7)/8)
	}
	return f.run()
}

type fetching struct {
	fx   *fixture
	c    *Content
	cat  *Catalog
	have []byte
}

func (f *fetching) run() error {
	err := f.c.Verify(context.Background(), f.c.Unverified(f.have), 1, func(p int, v metainfo.Verdict) {
		if v.OK() {
			setBit(f.have, p)
		}
	})
	if err != nil {
		return err
	}
	if list := f.c.Conflicts(); len(list) > 0 {
		return fmt.Errorf("conflict with ourselves: %v", list)
	}
	for n, p := range rand.Perm(f.fx.info.NumPieces()) {
		if hasBit(f.have, p) {
			continue
		}
		if err := f.c.WriteVec(blocks(f.fx.piece(p)), p, 0); err != nil {
			return err
		}
		setBit(f.have, p)
		fmt.Println("piece", p)
		if err := f.finish(p); err != nil {
			return err
		}
		if n%7 == 0 {
			if err := f.save(); err != nil {
				return err
			}
		}
	}
	for i := range f.fx.info.Files {
		if err := f.c.Finish(i); err != nil {
			return err
		}
	}
	return f.save()
}

// finish renames the files that piece p completed.
func (f *fetching) finish(p int) error {
	for _, i := range f.c.filesOf(p) {
		first, end := f.fx.info.FilePieces(i)
		for first < end && hasBit(f.have, first) {
			first++
		}
		if first < end {
			continue
		}
		if err := f.c.Finish(i); err != nil {
			return err
		}
	}
	return nil
}

func (f *fetching) save() error {
	r := &Resume{Boot: BootID(), Have: bytes.Clone(f.have), Synced: make([]byte, len(f.have))}
	r.Files = f.c.Stats()
	return f.cat.Save(nil, map[string]*Resume{"x": r})
}

// Killed at random moments and started again, it finishes; no piece that is
// trusted is wrong, and no piece that was written is fetched a second time.
func TestFetchSurvivesKill(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	fx := killShare(t)
	dir := t.TempDir()
	fetched := make(map[string]int)
	rng := rand.New(rand.NewPCG(9, 9))
	for run := 0; ; run++ {
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), "STORE_TEST_KILL="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for left := rng.IntN(12); lines.Scan(); left-- {
			if left == 0 && run < 25 {
				_ = cmd.Process.Kill()
			}
			fetched[lines.Text()]++
		}
		err = cmd.Wait()
		checkTrusted(t, fx, dir)
		if err == nil {
			break
		}
		if run >= 25 {
			t.Fatalf("does not finish: %v, %v", err, fetched)
		}
	}
	fx.check(t, dir)
	noParts(t, dir)
	delete(fetched, "opened")
	for line, n := range fetched {
		if n > 1 {
			t.Errorf("%s: %d times", line, n)
		}
	}
}

// checkTrusted compares every piece that the resume state vouches for.
func checkTrusted(t *testing.T, fx *fixture, dir string) {
	t.Helper()
	cat, err := OpenCatalog(filepath.Join(dir, "shoal.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer cat.Close()
	r, err := cat.LoadResume("x")
	if err != nil {
		t.Fatal(err)
	}
	c := fx.open(t, dir, Options{Resume: r})
	for p := range fx.info.NumPieces() {
		if !hasBit(c.Trusted(), p) {
			continue
		}
		got := make([]byte, fx.info.PieceSize(p))
		if err := c.ReadAt(got, p, 0); err != nil || !bytes.Equal(got, fx.piece(p)) {
			t.Errorf("trusted piece %d is not on the disk: %v", p, err)
		}
	}
}
