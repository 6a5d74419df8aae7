package catalog

import (
	"bytes"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"shoal/internal/core/metainfo"
)

var someGroups = []string{strings.Repeat("0a", 32), strings.Repeat("b1", 32)}

// groupRow is the row of a share for someGroups; its .torrent does not say so.
func groupRow(t *testing.T, home string) (*metainfo.Metainfo, Row) {
	t.Helper()
	m := sampleMeta(t, "secret")
	r := Row{Dir: home, Groups: someGroups, Select: []string{"*"}, Peers: []string{"127.0.0.1:1"}}
	r.Describe(m)
	return m, r
}

// only is the one row of a catalog, or fails the test.
func only(t *testing.T, path string) Row {
	t.Helper()
	c := open(t, path)
	defer c.Close()
	rows, err := c.Shares()
	if err != nil || len(rows) != 1 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	return rows[0]
}

func TestDescribeKeepsTheAudience(t *testing.T) {
	m, r := groupRow(t, "/")
	if !slices.Equal(r.Groups, someGroups) {
		t.Errorf("groups %q after metadata that names none", r.Groups)
	}
	m, err := m.WithGroups(r.Audience()[:1])
	if err != nil {
		t.Fatal(err)
	}
	if r.Describe(m); !slices.Equal(r.Groups, someGroups[:1]) || !reflect.DeepEqual(r.Audience(), m.Groups) {
		t.Errorf("groups %q and %x of %x", r.Groups, r.Audience(), m.Groups)
	}
}

func TestStrangeGroupsAreNotKept(t *testing.T) {
	home := t.TempDir()
	c := open(t, filepath.Join(home, "shoal.db"))
	id := someGroups[0]
	many := make([]string, metainfo.MaxGroups+1)
	for i := range many {
		many[i] = strings.Repeat(string(rune('a'+i%6))+string(rune('0'+i/6)), 32)
	}
	for _, groups := range [][]string{{""}, {id[1:]}, {id + "00"}, {"g" + id[1:]}, {strings.ToUpper(id)}, {id, id}, many} {
		m, r := groupRow(t, home)
		r.Groups = groups
		if err := c.Put(r); err == nil {
			t.Errorf("the catalog took groups %q", groups)
		}
		if err := SaveTorrent(filepath.Join(home, "torrents"), m, r); err == nil {
			t.Errorf("the folder took groups %q", groups)
		}
	}
	if ids, _ := Torrents(filepath.Join(home, "torrents")); len(ids) > 0 {
		t.Errorf("left %q", ids)
	}
}

// The database lost, a share of a group comes back with its audience.
func TestGroupShareIsRepaired(t *testing.T) {
	home := t.TempDir()
	path, torrents := filepath.Join(home, "shoal.db"), filepath.Join(home, "torrents")
	m, r := groupRow(t, home)
	if err := errors.Join(SaveTorrent(torrents, m, r), os.WriteFile(path, bytes.Repeat([]byte("lost "), 1000), 0o600)); err != nil {
		t.Fatal(err)
	}
	if left, err := Repair(path, torrents); err != nil || len(left) > 0 {
		t.Fatalf("left %v, %v", left, err)
	}
	if got := only(t, path); !reflect.DeepEqual(got, r) {
		t.Errorf("rebuilt %+v, want %+v", got, r)
	}
}

// Whatever damage an ID.share has, the share comes back for groups or not at all: cut
// anywhere, and with each of its bits turned.
func TestDamagedShareIsNeverPublic(t *testing.T) {
	dir := t.TempDir()
	m, r := groupRow(t, dir)
	if err := SaveTorrent(dir, m, r); err != nil {
		t.Fatal(err)
	}
	p := filepath.Join(dir, r.ID+shareExt)
	whole, err := os.ReadFile(p)
	if err != nil {
		t.Fatal(err)
	}
	whole = bytes.TrimRight(whole, "\n")
	back := 0
	judge := func(what string, at int, b []byte) {
		if err := os.WriteFile(p, b, 0o600); err != nil {
			t.Fatal(err)
		}
		got, lost := rowFromTorrent(dir, r.ID)
		if lost == nil && len(got.Groups) != len(someGroups) {
			t.Errorf("%s at %d: it came back for %q: %s", what, at, got.Groups, b)
		}
		if lost == nil {
			back++
		}
	}
	for n := range whole {
		judge("cut", n, whole[:n])
	}
	if back > 0 {
		t.Errorf("%d cut ones came back", back)
	}
	for n := range 8 * len(whole) {
		b := bytes.Clone(whole)
		b[n/8] ^= 1 << (n % 8)
		judge("bit turned", n, b)
	}
	if judge("nothing", 0, whole); back == 0 {
		t.Error("not even the whole one came back")
	}
	judge("another row behind it", 0, append(bytes.Clone(whole), `{"id":"x"}`...))
}

// A row that says "all" of what its own description says is for groups is not believed.
func TestPublicRowOfAGroupShareIsLost(t *testing.T) {
	for _, from := range []string{"metainfo", "link", "link with metainfo"} {
		home := t.TempDir()
		path, torrents := filepath.Join(home, "shoal.db"), filepath.Join(home, "torrents")
		m, r := groupRow(t, home)
		m, err := m.WithGroups(r.Audience())
		if err != nil {
			t.Fatal(err)
		}
		if from != "metainfo" {
			r.Link, m = m.Magnet().String(), nil
		}
		if from == "link with metainfo" {
			m, _ = groupRow(t, home)
		}
		public := r
		public.Groups = nil
		if err := SaveTorrent(torrents, m, public); err != nil {
			t.Fatal(err)
		}
		c := open(t, path)
		if err := c.Adopt(torrents); err != nil {
			t.Fatal(err)
		}
		if rows, _ := c.Shares(); len(rows) > 0 {
			t.Errorf("%s: it came back: %+v", from, rows)
		}
		if err := c.Put(public); err != nil {
			t.Fatal(err)
		}
		c.Close()
		if p := Check(path, torrents); len(p) != 1 || p[0].Kind != ProblemAudience || p[0].Repair == "" {
			t.Errorf("Check = %+v", p)
		}
		if left, err := Repair(path, torrents); err != nil || len(left) > 0 || len(Check(path, torrents)) > 0 {
			t.Errorf("Repair left %v, %v", left, err)
		}
		c = open(t, path)
		if rows, _ := c.Shares(); len(rows) > 0 {
			t.Errorf("after Repair: %+v", rows)
		}
	}
}

// The torrents folder is the truth about the audience.
func TestRepairTakesTheAudienceOfTheFolder(t *testing.T) {
	home := t.TempDir()
	path, torrents := filepath.Join(home, "shoal.db"), filepath.Join(home, "torrents")
	m, r := groupRow(t, home)
	public := r
	public.Groups = nil
	c := open(t, path)
	if err := errors.Join(SaveTorrent(torrents, m, r), c.Put(public), c.Close()); err != nil {
		t.Fatal(err)
	}
	if p := Check(path, torrents); len(p) != 1 || p[0].Kind != ProblemAudience || p[0].ID != r.ID {
		t.Fatalf("Check = %+v", p)
	}
	if left, err := Repair(path, torrents); err != nil || len(left) > 0 || len(Check(path, torrents)) > 0 {
		t.Fatalf("Repair left %v, %v", left, err)
	}
	if got := only(t, path); !slices.Equal(got.Groups, someGroups) {
		t.Errorf("repaired to %q", got.Groups)
	}
}

// Where the catalog says that a share is for groups, nothing that the folder lacks makes it
// everybody's.
func TestRepairShowsNothingToAll(t *testing.T) {
	home := t.TempDir()
	path, torrents := filepath.Join(home, "shoal.db"), filepath.Join(home, "torrents")
	m, r := groupRow(t, home)
	public := r
	public.Groups = nil
	c := open(t, path)
	if err := errors.Join(SaveTorrent(torrents, m, public), c.Put(r), c.Close()); err != nil {
		t.Fatal(err)
	}
	if p := Check(path, torrents); len(p) != 1 || p[0].Kind != ProblemAudience || p[0].ID != r.ID {
		t.Fatalf("Check = %+v", p)
	}
	if left, err := Repair(path, torrents); err != nil || len(left) > 0 || len(Check(path, torrents)) > 0 {
		t.Fatalf("Repair left %v, %v", left, err)
	}
	c = open(t, path)
	defer c.Close()
	if err := c.Adopt(torrents); err != nil {
		t.Fatal(err)
	}
	if rows, err := c.Shares(); err != nil || len(rows) > 0 {
		t.Errorf("after Repair: %+v, %v", rows, err)
	}
}

// A row of the database whose audience is not one is damage.
func TestRowWithoutAudienceIsDamaged(t *testing.T) {
	for _, text := range []string{"", "null", "[", "{}", `["x"]`, `[null]`} {
		home := t.TempDir()
		path, torrents := filepath.Join(home, "shoal.db"), filepath.Join(home, "torrents")
		m, r := groupRow(t, home)
		c := open(t, path)
		if err := errors.Join(SaveTorrent(torrents, m, r), c.Put(r)); err != nil {
			t.Fatal(err)
		}
		if _, err := c.db.Exec("UPDATE share SET groups = ?", text); err != nil {
			t.Fatal(err)
		}
		if rows, err := c.Shares(); !errors.Is(err, ErrDamaged) {
			t.Errorf("groups %q: %+v, %v", text, rows, err)
		}
		c.Close()
		if left, err := Repair(path, torrents); err != nil || len(left) > 0 {
			t.Errorf("groups %q: Repair left %v, %v", text, left, err)
		}
		if got := only(t, path); !slices.Equal(got.Groups, someGroups) {
			t.Errorf("groups %q: repaired to %q", text, got.Groups)
		}
	}
}

// version1 is the schema of the first version of this program.
const version1 = `
CREATE TABLE schema (version INTEGER NOT NULL);
CREATE TABLE share (
  id TEXT PRIMARY KEY NOT NULL, v1 TEXT NOT NULL, v2 TEXT NOT NULL,
  name TEXT NOT NULL, dir TEXT NOT NULL, base TEXT NOT NULL, link TEXT NOT NULL,
  in_place INTEGER NOT NULL, paused INTEGER NOT NULL, complete INTEGER NOT NULL,
  seed INTEGER NOT NULL, sequential INTEGER NOT NULL,
  added INTEGER NOT NULL, completed INTEGER NOT NULL,
  uploaded INTEGER NOT NULL, downloaded INTEGER NOT NULL, wasted INTEGER NOT NULL,
  up_limit INTEGER NOT NULL, down_limit INTEGER NOT NULL,
  selected TEXT NOT NULL, peers TEXT NOT NULL,
  bytes INTEGER NOT NULL, files INTEGER NOT NULL, pieces INTEGER NOT NULL,
  private INTEGER NOT NULL, trackers INTEGER NOT NULL
);
CREATE TABLE resume (id TEXT PRIMARY KEY NOT NULL, data BLOB NOT NULL) WITHOUT ROWID;
INSERT INTO schema VALUES (1);
INSERT INTO share VALUES ('0000000000000000000000000000000000000007', '0000000000000000000000000000000000000007', '', 'n', '/', '',
 'magnet:?', 0, 1, 0, 0, 0, 1000, 0, 1, 2, 3, 4, 5, '["a"]', '[]', 6, 7, 8, 1, 1);
INSERT INTO resume VALUES ('0000000000000000000000000000000000000007', x'00');
`

func makeVersion1(t *testing.T) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "shoal.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(version1); err != nil {
		t.Fatal(err)
	}
	return path
}

func checkMigrated(t *testing.T, path string) {
	t.Helper()
	r := only(t, path)
	if !r.Paused || !r.Private || r.Wasted != 3 || r.Pieces != 8 || !slices.Equal(r.Select, []string{"a"}) || r.Groups != nil {
		t.Errorf("the row is %+v", r)
	}
}

// Looking at a database of the first version changes nothing and finds no damage; opening
// it brings it up to date, with all that it holds.
func TestFirstVersionIsBroughtUpToDate(t *testing.T) {
	path := makeVersion1(t)
	before, _ := os.ReadFile(path)
	for _, p := range Check(path, filepath.Join(t.TempDir(), "none")) {
		if p.Kind == ProblemDatabase {
			t.Errorf("Check: %+v", p)
		}
	}
	if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
		t.Error("Check changed it")
	}
	checkMigrated(t, path)
	c := open(t, path)
	if v, err := c.version(); v != schemaVersion || err != nil {
		t.Errorf("version %d, %v", v, err)
	}
	r := Row{ID: someGroups[0], Groups: someGroups}
	if err := c.Put(r); err != nil {
		t.Fatal(err)
	}
	if rows, _ := c.Shares(); len(rows) != 2 || !slices.Equal(rows[0].Groups, someGroups) && !slices.Equal(rows[1].Groups, someGroups) {
		t.Errorf("rows %+v", rows)
	}
	if b, err := c.LoadResume(strings.Repeat("0", 39) + "7"); b != nil || !errors.Is(err, ErrResume) {
		t.Errorf("the resume state is %v, %v", b, err)
	}
}

// A kill at any moment of that leaves one version or the other: with every length of the
// log that SQLite writes it to, the database opens and has all it had.
func TestKilledWhileBroughtUpToDate(t *testing.T) {
	path := makeVersion1(t)
	first, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	c := open(t, path)
	log, err := os.ReadFile(path + "-wal")
	if err != nil || len(log) == 0 {
		t.Fatalf("a log of %d bytes, %v", len(log), err)
	}
	c.Close()
	seen := make(map[int]int)
	for n := 0; n <= len(log); n += min(400, max(len(log)-n, 1)) {
		killed := filepath.Join(t.TempDir(), "shoal.db")
		inLog := bytes.Clone(first)
		inLog[18], inLog[19] = 2, 2 // the header says that there is a log
		if err := errors.Join(os.WriteFile(killed, inLog, 0o600), os.WriteFile(killed+"-wal", log[:n], 0o600)); err != nil {
			t.Fatal(err)
		}
		c, err := dial(killed, "rw")
		if err != nil {
			t.Fatal(err)
		}
		v, err := c.version()
		if err != nil {
			t.Errorf("log cut at %d: %v", n, err)
		}
		seen[v]++
		c.db.Close()
		checkMigrated(t, killed)
	}
	if len(seen) != 2 || seen[1] == 0 || seen[schemaVersion] == 0 {
		t.Errorf("versions found: %v", seen)
	}
}
