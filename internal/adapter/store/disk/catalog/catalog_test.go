package catalog

import (
	"bytes"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"shoal/internal/adapter/store/disk"
	"shoal/internal/core/metainfo"
)

func open(t testing.TB, path string) *Catalog {
	t.Helper()
	c, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// sampleMeta is the metainfo of one file of two pieces.
func sampleMeta(t *testing.T, name string) *metainfo.Metainfo {
	t.Helper()
	files := []metainfo.BuildFile{{Path: []string{name}, Length: 20 << 10}}
	info, err := metainfo.PlanLayout(name, true, files, metainfo.V1, 16<<10)
	if err != nil {
		t.Fatal(err)
	}
	m, err := (&metainfo.Build{Info: info, Files: files, V1Pieces: make([]byte, 40)}).Metainfo()
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func sampleRow(n int) Row {
	return Row{
		ID: fmt.Sprintf("%040x", n), V1: fmt.Sprintf("%040x", n), Name: "näme '\"%", Dir: "/some dir?#%41", Base: "b",
		Link: "magnet:?xt=x", InPlace: true, Paused: true, Complete: true, Seed: true, Sequential: true,
		Added: time.Unix(int64(1000+n), 0).UTC(), Completed: time.Unix(3000, 0).UTC(), Uploaded: 1 << 40, Downloaded: 2, Wasted: 3,
		UpLimit: 4, DownLimit: 5, Select: []string{"*.go", "a,b"}, Peers: []string{"127.0.0.1:1"},
		Groups: []string{strings.Repeat("0a", 32), strings.Repeat("b1", 32)},
	}
}

func TestCatalogRoundTrip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "odd ?#% name", "shoal.db")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	c := open(t, path)
	full, empty := sampleRow(1), Row{ID: fmt.Sprintf("%040x", 2), Added: time.Unix(2000, 0).UTC()}
	if err := c.Put(empty, full); err != nil {
		t.Fatal(err)
	}
	res := &Resume{Boot: "b", Have: []byte{0x80}, Synced: []byte{0}, Files: []FileStat{{Size: 5, MTimeNS: -7, State: StatOurs, Ino: 9}, {State: StatHome}}}
	if err := c.Save(nil, map[string]*Resume{full.ID: res}); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	c = open(t, path)
	rows, err := c.Shares()
	if err != nil || !reflect.DeepEqual(rows, []Row{full, empty}) {
		t.Errorf("rows %+v, %v", rows, err)
	}
	if got, err := c.LoadResume(full.ID); err != nil || !reflect.DeepEqual(got, res) {
		t.Errorf("resume %+v, %v", got, err)
	}
	if got, err := c.LoadResume(empty.ID); got != nil || err != nil {
		t.Errorf("resume of the other: %v, %v", got, err)
	}
	if err := c.Delete(full.ID, "nothing"); err != nil {
		t.Fatal(err)
	}
	if r, err := c.LoadResume(full.ID); r != nil || err != nil {
		t.Errorf("after Delete: %v, %v", r, err)
	}
	if rows, _ := c.Shares(); len(rows) != 1 {
		t.Errorf("%d rows after Delete", len(rows))
	}
	c.Close()
	if _, err := c.Shares(); !errors.Is(err, disk.ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}

func TestCatalogKeepsTenThousandShares(t *testing.T) {
	c := open(t, filepath.Join(t.TempDir(), "shoal.db"))
	var rows []Row
	many := make(map[string]*Resume)
	for i := range 10_000 {
		rows = append(rows, sampleRow(i))
		many[rows[i].ID] = &Resume{Boot: "b", Have: []byte{1, 2, 3}, Synced: []byte{1, 2, 3}, Files: make([]FileStat, 5)}
	}
	if err := c.Save(rows, many); err != nil {
		t.Fatal(err)
	}
	got, err := c.Shares()
	if err != nil || len(got) != 10_000 || got[9_999].ID != rows[9_999].ID {
		t.Errorf("%d rows, %v", len(got), err)
	}
}

func TestNewerCatalogIsRefusedAndLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shoal.db")
	c := open(t, path)
	if _, err := c.db.Exec("UPDATE schema SET version = 99"); err != nil {
		t.Fatal(err)
	}
	c.Close()
	before, _ := os.ReadFile(path)
	if _, err := Open(path); !errors.Is(err, ErrNewer) || !strings.Contains(err.Error(), "99") {
		t.Errorf("Open = %v", err)
	}
	if p := Check(path, t.TempDir()); len(p) != 1 || p[0].Repair != "" {
		t.Errorf("Check = %+v", p)
	}
	if _, err := Repair(path, t.TempDir()); err != nil {
		t.Error(err)
	}
	if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
		t.Error("the file was changed")
	}
}

func TestDamagedCatalog(t *testing.T) {
	for name, spoil := range map[string]func(b []byte) []byte{
		"not a database":   func([]byte) []byte { return []byte(strings.Repeat("nonsense ", 1000)) },
		"cut":              func(b []byte) []byte { return b[:len(b)/2] },
		"header lost":      func(b []byte) []byte { return append(make([]byte, 100), b[100:]...) },
		"schema scribbled": func(b []byte) []byte { copy(b[100:1000], bytes.Repeat([]byte{0xff}, 900)); return b },
	} {
		t.Run(name, func(t *testing.T) {
			home := t.TempDir()
			path, torrents := filepath.Join(home, "shoal.db"), filepath.Join(home, "torrents")
			m := sampleMeta(t, "f")
			r := sampleRow(0)
			r.ID, r.Dir, r.Link = m.Hash.ID(), home, ""
			if err := SaveTorrent(torrents, m, r); err != nil {
				t.Fatal(err)
			}
			c := open(t, path)
			if err := c.Put(r); err != nil {
				t.Fatal(err)
			}
			c.Close()
			b, _ := os.ReadFile(path)
			if err := os.WriteFile(path, spoil(b), 0o600); err != nil {
				t.Fatal(err)
			}
			if c, err := Open(path); err == nil {
				_, err = c.Shares()
				c.Close()
				if !errors.Is(err, ErrDamaged) {
					t.Errorf("reading it: %v", err)
				}
			} else if !errors.Is(err, ErrDamaged) {
				t.Errorf("Open = %v", err)
			}
			problems := Check(path, torrents)
			if len(problems) != 1 || problems[0].Kind != ProblemDatabase || problems[0].Repair == "" {
				t.Fatalf("Check = %+v", problems)
			}
			if left, err := Repair(path, torrents); err != nil || len(left) != 0 {
				t.Fatalf("Repair left %v, %v", left, err)
			}
			if problems := Check(path, torrents); len(problems) != 0 {
				t.Errorf("after Repair: %v", problems)
			}
			c = open(t, path)
			if rows, err := c.Shares(); err != nil || !reflect.DeepEqual(rows, []Row{r}) {
				t.Errorf("rows after Repair %+v, %v", rows, err)
			}
			if _, err := os.Stat(path + ".damaged-1"); err != nil {
				t.Errorf("the damaged file was not kept: %v", err)
			}
		})
	}
}

func TestForeignDatabaseIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "shoal.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("CREATE TABLE theirs (x)"); err != nil {
		t.Fatal(err)
	}
	db.Close()
	if _, err := Open(path); !errors.Is(err, ErrDamaged) {
		t.Errorf("Open = %v", err)
	}
}

func TestCheckFindsAndRepairMends(t *testing.T) {
	home := t.TempDir()
	path, torrents := filepath.Join(home, "shoal.db"), filepath.Join(home, "torrents")
	if p := Check(path, torrents); len(p) != 0 {
		t.Fatalf("an unused home: %v", p)
	}
	var metas []*metainfo.Metainfo
	for i := range 6 {
		metas = append(metas, sampleMeta(t, fmt.Sprint("f", i)))
	}
	row := func(i int) Row {
		return Row{ID: metas[i].Hash.ID(), Name: metas[i].Info.Name, Dir: home, Added: time.Unix(int64(i)+1, 0).UTC()}
	}
	good := func(i int) *Resume {
		return &Resume{Have: make([]byte, 1), Synced: make([]byte, 1), Files: make([]FileStat, 1)}
	}
	c := open(t, path)
	save := func(i int, r Row, m *metainfo.Metainfo) {
		t.Helper()
		if err := SaveTorrent(torrents, m, r); err != nil {
			t.Fatal(err)
		}
	}
	save(0, row(0), metas[0]) // in order
	save(1, row(1), metas[1]) // its bitmap will be of wrong size
	save(2, row(2), metas[2]) // its .torrent will be missing
	save(3, row(3), metas[3]) // its row was lost, with its .share
	save(4, row(4), metas[4]) // its folder is missing
	link := row(5)            // a link without metadata
	link.Link = "magnet:?"
	save(5, link, nil)
	away := row(4)
	away.Dir = filepath.Join(home, "gone")
	bad := good(1)
	bad.Have = make([]byte, 7)
	if err := c.Save([]Row{row(0), row(1), row(2), away, link}, map[string]*Resume{row(0).ID: good(0), row(1).ID: bad}); err != nil {
		t.Fatal(err)
	}
	c.Close()
	if err := errors.Join(os.Remove(filepath.Join(torrents, row(2).ID+".torrent")),
		os.WriteFile(filepath.Join(torrents, row(3).ID+".share"), []byte("{"), 0o600)); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{ProblemResume: row(1).ID, ProblemTorrent: row(2).ID, ProblemUnlisted: row(3).ID, ProblemFolder: row(4).ID}
	got := make(map[string]string)
	for _, p := range Check(path, torrents) {
		got[p.Kind] = p.ID
		if (p.Repair == "") != (p.Kind == ProblemFolder) {
			t.Errorf("repair of %s: %q", p.Kind, p.Repair)
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("Check found %v, want %v", got, want)
	}
	left, err := Repair(path, torrents)
	if err != nil || len(left) != 1 || left[0].Kind != ProblemFolder {
		t.Fatalf("Repair left %v, %v", left, err)
	}
	if p := Check(path, torrents); len(p) != 1 || p[0].Kind != ProblemFolder {
		t.Errorf("after Repair: %v", p)
	}
	c = open(t, path)
	if rows, _ := c.Shares(); len(rows) != 4 {
		t.Errorf("%d rows after Repair", len(rows))
	}
}

func TestTorrentsFolderTakesNoStrangeNames(t *testing.T) {
	for _, id := range []string{"", "../x", strings.Repeat("A", 40), strings.Repeat("a", 41)} {
		if err := SaveTorrent(t.TempDir(), nil, Row{ID: id}); err == nil {
			t.Errorf("ID %q was taken", id)
		}
		if _, err := LoadTorrent(t.TempDir(), id); err == nil {
			t.Errorf("ID %q was read", id)
		}
	}
}

// The test binary, run again with these variables, opens a catalog and writes
// to it until it is killed.
func TestMain(m *testing.M) {
	if path := os.Getenv("STORE_TEST_CATALOG"); path != "" {
		writeUntilKilled(path)
	}
	os.Exit(m.Run())
}

func writeUntilKilled(path string) {
	fmt.Println("started")
	c, err := Open(path)
	for i := 0; err == nil; i++ {
		r := Row{ID: fmt.Sprint("row ", i)}
		err = c.Save([]Row{r}, map[string]*Resume{r.ID: {Have: []byte{byte(i)}}})
		if err == nil {
			fmt.Println(i)
		}
	}
	fmt.Println(err)
	os.Exit(1)
}

// Killed at any moment, the first start included, the catalog opens again and
// holds every row that was reported as written, each with its resume state.
func TestCatalogSurvivesKill(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for n := range 12 {
		path := filepath.Join(t.TempDir(), "shoal.db")
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), "STORE_TEST_CATALOG="+path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		var seen bytes.Buffer
		buf := make([]byte, 64)
		for read := 0; read <= n; read++ { // killed after the n-th thing it says
			k, err := out.Read(buf)
			seen.Write(buf[:k])
			if err != nil {
				break
			}
		}
		_ = cmd.Process.Kill()
		_, _ = seen.ReadFrom(out)
		_ = cmd.Wait()
		lines := strings.Fields(seen.String())
		c, err := Open(path)
		if err != nil {
			t.Fatalf("after %d lines: %v", len(lines), err)
		}
		rows, err := c.Shares()
		if err != nil || len(rows) < len(lines)-1 {
			t.Errorf("%d rows after %d were reported, %v", len(rows), len(lines)-1, err)
		}
		for _, r := range rows {
			if res, err := c.LoadResume(r.ID); err != nil || res == nil {
				t.Errorf("%s without its resume state: %v", r.ID, err)
			}
		}
		c.Close()
		if p := Check(path, filepath.Join(t.TempDir(), "none")); len(p) != len(rows) {
			for _, q := range p {
				if q.Kind == ProblemDatabase || q.Kind == ProblemResume {
					t.Errorf("Check: %+v", q)
				}
			}
		}
	}
}

func BenchmarkOpen(b *testing.B) {
	path := filepath.Join(b.TempDir(), "shoal.db")
	c := open(b, path)
	var rows []Row
	for i := range 1000 {
		rows = append(rows, sampleRow(i))
	}
	if err := c.Put(rows...); err != nil {
		b.Fatal(err)
	}
	c.Close()
	for b.Loop() {
		c, err := Open(path)
		if err != nil {
			b.Fatal(err)
		}
		c.Close()
	}
}
