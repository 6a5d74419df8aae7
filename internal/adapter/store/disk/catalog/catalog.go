package catalog

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"modernc.org/sqlite"

	"shoal/internal/adapter/store/disk"
)

// The errors of a catalog that a caller decides on.
var (
	// ErrDamaged: the database is not one, or parts of it are lost. Rebuild
	// makes a new one.
	ErrDamaged = errors.New("the catalog is damaged")
	// ErrNewer: a later version of the program wrote it. It was not touched.
	ErrNewer = errors.New("the catalog was written by a newer version of this program")
)

// Row is one share in the catalog. The zero value of a field means what the
// field's absence would. The JSON form is kept beside each .torrent.
type Row struct {
	ID         string    `json:"id"` // InfoHash.ID
	V1         string    `json:"v1,omitempty"`
	V2         string    `json:"v2,omitempty"`
	Name       string    `json:"name"`           // of the share, made safe
	Dir        string    `json:"dir"`            // absolute; the content is Dir/Base
	Base       string    `json:"base,omitempty"` // when it is not Name; see Options.Base
	Link       string    `json:"link,omitempty"` // magnet link, while the metadata is missing
	InPlace    bool      `json:"in_place,omitempty"`
	Paused     bool      `json:"paused,omitempty"`
	Complete   bool      `json:"complete,omitempty"`
	Seed       bool      `json:"seed,omitempty"` // stays after it is complete
	Sequential bool      `json:"sequential,omitempty"`
	Added      time.Time `json:"added,omitzero"` // kept to the second
	Completed  time.Time `json:"completed,omitzero"`
	Uploaded   int64     `json:"uploaded,omitempty"` // bytes, as are the next two
	Downloaded int64     `json:"downloaded,omitempty"`
	Wasted     int64     `json:"wasted,omitempty"`
	UpLimit    int64     `json:"up_limit,omitempty"` // bytes a second, 0 for none
	DownLimit  int64     `json:"down_limit,omitempty"`
	Select     []string  `json:"select,omitempty"` // patterns (node/files); empty for everything
	Peers      []string  `json:"peers,omitempty"`  // addresses given by hand
	Groups     []string  `json:"groups,omitempty"` // whose members may know of it, ids in hex; empty for all
	// What is shown of a share whose metainfo is not in memory.
	Bytes    int64 `json:"bytes,omitempty"` // of all files
	Files    int   `json:"files,omitempty"`
	Pieces   int   `json:"pieces,omitempty"`
	Private  bool  `json:"private,omitempty"`  // BEP 27
	Trackers bool  `json:"trackers,omitempty"` // it has some
}

// Catalog is the database of shares, shoal.db. It is written in batches, off
// the hot path, by one connection; it is safe for concurrent use.
type Catalog struct {
	db   *sql.DB
	path string
}

const schemaVersion = 2

// besides are the names, after the database's own, of what SQLite keeps to end or undo
// what a kill cut short.
var besides = []string{"-wal", "-journal"}

// schema is described in docs/formats/catalog.md.
const schema = `
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
  private INTEGER NOT NULL, trackers INTEGER NOT NULL,
  groups TEXT NOT NULL DEFAULT '[]'
);
CREATE TABLE resume (id TEXT PRIMARY KEY NOT NULL, data BLOB NOT NULL) WITHOUT ROWID;
`

// migrations[v-1] makes a database of version v one of version v+1.
var migrations = [schemaVersion - 1]string{
	"ALTER TABLE share ADD COLUMN groups TEXT NOT NULL DEFAULT '[]'",
}

const columns = `id, v1, v2, name, dir, base, link, in_place, paused, complete, seed, sequential,
 added, completed, uploaded, downloaded, wasted, up_limit, down_limit, selected, peers,
 bytes, files, pieces, private, trackers, groups`

// Open opens the database at path, making it if it is not there. A kill
// at any moment, also during the first start, leaves one that opens.
func Open(path string) (*Catalog, error) {
	c, err := dial(path, "rwc")
	if err != nil {
		return nil, err
	}
	if err := c.start(); err != nil {
		_ = c.db.Close()
		return nil, c.fail("open", err)
	}
	return c, nil
}

// dial prepares the connection; nothing is read yet.
func dial(path, mode string) (*Catalog, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, disk.Fault("open", path, err)
	}
	slashed := filepath.ToSlash(abs)
	if !strings.HasPrefix(slashed, "/") {
		slashed = "/" + slashed // C:/… becomes file:///C:/…
	}
	q := url.Values{"mode": {mode}, "_pragma": {"busy_timeout(5000)", "synchronous(NORMAL)", "cache_size(-1024)", "temp_store(2)"}}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: slashed, RawQuery: q.Encode()}).String())
	if err != nil {
		return nil, disk.Fault("open", abs, err)
	}
	db.SetMaxOpenConns(1)
	return &Catalog{db: db, path: abs}, nil
}

// start judges the schema before anything is written, and makes it if the
// database is empty. One of an earlier version is brought to this one: a kill
// leaves one or the other.
func (c *Catalog) start() error {
	version, err := c.version()
	if err != nil {
		return err
	}
	if version > schemaVersion {
		return fmt.Errorf("%w: its format is %d, this program knows %d", ErrNewer, version, schemaVersion)
	}
	if _, err := c.db.Exec("PRAGMA journal_mode=WAL"); err != nil {
		return err
	}
	switch version {
	case schemaVersion:
		return nil
	case 0:
		return c.within(func(tx *sql.Tx) error {
			return execAll(tx, schema, fmt.Sprint("INSERT INTO schema VALUES (", schemaVersion, ")"))
		})
	}
	return c.within(func(tx *sql.Tx) error {
		if err := execAll(tx, migrations[version-1:]...); err != nil {
			return err
		}
		return execAll(tx, fmt.Sprint("UPDATE schema SET version = ", schemaVersion))
	})
}

func execAll(tx *sql.Tx, statements ...string) error {
	for _, q := range statements {
		if _, err := tx.Exec(q); err != nil {
			return err
		}
	}
	return nil
}

// version reads the schema's number: 0 for an empty database.
func (c *Catalog) version() (int, error) {
	var tables, ours int
	err := c.db.QueryRow("SELECT count(*), count(CASE WHEN name='schema' THEN 1 END) FROM sqlite_master").Scan(&tables, &ours)
	if err != nil || tables == 0 {
		return 0, err
	}
	if ours == 0 {
		return 0, fmt.Errorf("%w: it is the database of another program", ErrDamaged)
	}
	version := 0
	if err := c.db.QueryRow("SELECT version FROM schema").Scan(&version); err != nil {
		return 0, err
	}
	if version < 1 {
		return 0, fmt.Errorf("%w: its format is %d", ErrDamaged, version)
	}
	return version, nil
}

// within runs f in a transaction.
func (c *Catalog) within(f func(tx *sql.Tx) error) error {
	tx, err := c.db.Begin()
	if err != nil {
		return err
	}
	if err := f(tx); err != nil {
		_ = tx.Rollback()
		return err
	}
	return tx.Commit()
}

// fail gives a database error its path and kind.
func (c *Catalog) fail(op string, err error) error {
	if err == nil {
		return nil
	}
	kind := databaseKind(err)
	if kind == nil || errors.Is(err, kind) {
		return &disk.Error{Op: op, Path: c.path, Err: err}
	}
	return &disk.Error{Op: op, Path: c.path, Kind: kind, Err: err}
}

// databaseKind sorts SQLite's primary result codes.
func databaseKind(err error) error {
	var se *sqlite.Error
	if !errors.As(err, &se) {
		switch {
		case errors.Is(err, sql.ErrConnDone) || strings.Contains(err.Error(), "database is closed"):
			return disk.ErrClosed
		case errors.Is(err, sql.ErrNoRows):
			return ErrDamaged
		}
		return nil
	}
	switch se.Code() & 0xff {
	case 1, 11, 26: // ERROR (a table or column is missing), CORRUPT, NOTADB
		return ErrDamaged
	case 13: // FULL
		return disk.ErrFull
	case 8: // READONLY
		return disk.ErrReadOnly
	case 3, 23: // PERM, AUTH
		return disk.ErrDenied
	case 10: // IOERR
		return disk.ErrIO
	}
	return nil
}

// Shares lists all rows, the oldest first.
func (c *Catalog) Shares() ([]Row, error) { return c.shares(columns) }

// shares reads rows whose columns are named as in columns; earlier versions lack some.
func (c *Catalog) shares(columns string) ([]Row, error) {
	rows, err := c.db.Query("SELECT " + columns + " FROM share ORDER BY added, id")
	if err != nil {
		return nil, c.fail("read", err)
	}
	defer rows.Close()
	var list []Row
	for rows.Next() {
		r, err := scan(rows)
		if err != nil {
			return list, c.fail("read", err)
		}
		list = append(list, r)
	}
	return list, c.fail("read", rows.Err())
}

func scan(rows *sql.Rows) (r Row, err error) {
	var added, completed int64
	var selected, peers, groups string
	err = rows.Scan(&r.ID, &r.V1, &r.V2, &r.Name, &r.Dir, &r.Base, &r.Link, &r.InPlace, &r.Paused, &r.Complete,
		&r.Seed, &r.Sequential, &added, &completed, &r.Uploaded, &r.Downloaded, &r.Wasted, &r.UpLimit, &r.DownLimit,
		&selected, &peers, &r.Bytes, &r.Files, &r.Pieces, &r.Private, &r.Trackers, &groups)
	if err == nil {
		err = errors.Join(json.Unmarshal([]byte(selected), &r.Select), json.Unmarshal([]byte(peers), &r.Peers),
			json.Unmarshal([]byte(groups), &r.Groups), checkGroups(r.Groups))
	}
	if err == nil && r.Groups == nil {
		err = errors.New("its audience is unknown")
	}
	if err != nil {
		return r, fmt.Errorf("%w: row %.64q: %v", ErrDamaged, r.ID, err)
	}
	if len(r.Select) == 0 {
		r.Select = nil
	}
	if len(r.Peers) == 0 {
		r.Peers = nil
	}
	if len(r.Groups) == 0 {
		r.Groups = nil
	}
	r.Added, r.Completed = fromUnix(added), fromUnix(completed)
	return r, nil
}

// Put adds or replaces rows, all or none.
func (c *Catalog) Put(rows ...Row) error { return c.Save(rows, nil) }

// Save adds or replaces rows and resume states in one transaction: what the
// node writes every few seconds. It does not wait for the device; after a
// crash of the machine an earlier state may be found, never a mixed one.
func (c *Catalog) Save(rows []Row, resumes map[string]*Resume) error {
	return c.fail("write", c.within(func(tx *sql.Tx) error {
		if err := putRows(tx, rows); err != nil || len(resumes) == 0 {
			return err
		}
		put, err := tx.Prepare("INSERT INTO resume VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET data = excluded.data")
		if err != nil {
			return err
		}
		defer put.Close()
		for id, r := range resumes {
			if _, err := put.Exec(id, r.Append(nil)); err != nil {
				return err
			}
		}
		return nil
	}))
}

func putRows(tx *sql.Tx, rows []Row) error {
	if len(rows) == 0 {
		return nil
	}
	marks := strings.TrimSuffix(strings.Repeat("?, ", strings.Count(columns, ",")+1), ", ")
	put, err := tx.Prepare("INSERT OR REPLACE INTO share (" + columns + ") VALUES (" + marks + ")")
	if err != nil {
		return err
	}
	defer put.Close()
	for _, r := range rows {
		if r.ID == "" {
			return errors.New("a row needs an ID")
		}
		if err := checkGroups(r.Groups); err != nil {
			return err
		}
		_, err := put.Exec(r.ID, r.V1, r.V2, r.Name, r.Dir, r.Base, r.Link, r.InPlace, r.Paused, r.Complete,
			r.Seed, r.Sequential, toUnix(r.Added), toUnix(r.Completed), r.Uploaded, r.Downloaded, r.Wasted,
			r.UpLimit, r.DownLimit, list(r.Select), list(r.Peers),
			r.Bytes, r.Files, r.Pieces, r.Private, r.Trackers, list(r.Groups))
		if err != nil {
			return err
		}
	}
	return nil
}

// LoadResume reads the resume state of a share: nil when there is none, and
// ErrResume, to be treated as none, when it is damaged.
func (c *Catalog) LoadResume(id string) (*Resume, error) {
	var b []byte
	err := c.db.QueryRow("SELECT data FROM resume WHERE id = ?", id).Scan(&b)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, c.fail("read", err)
	}
	return ParseResume(b)
}

// Delete forgets shares and their resume state. Unknown ones are no error.
func (c *Catalog) Delete(ids ...string) error {
	return c.fail("write", c.within(func(tx *sql.Tx) error {
		for _, id := range ids {
			if _, err := tx.Exec("DELETE FROM share WHERE id = ?", id); err != nil {
				return err
			}
			if _, err := tx.Exec("DELETE FROM resume WHERE id = ?", id); err != nil {
				return err
			}
		}
		return nil
	}))
}

// Close flushes and closes the database.
func (c *Catalog) Close() error { return c.fail("close", c.db.Close()) }

func list(items []string) string {
	if len(items) == 0 {
		return "[]"
	}
	b, _ := json.Marshal(items) // strings never fail
	return string(b)
}

func toUnix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

func fromUnix(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(n, 0).UTC()
}

// Rebuild puts a damaged database aside, under the path it returns, and makes
// a new one of rows: from RowsFromTorrents. The resume state is lost, which
// costs hashing the content again.
func Rebuild(path string, rows []Row) (aside string, err error) {
	for n := 1; ; n++ {
		aside = fmt.Sprintf("%s.damaged-%d", path, n)
		if _, err := os.Lstat(aside); errors.Is(err, os.ErrNotExist) {
			break
		}
		if n == 1000 {
			return "", &disk.Error{Op: "put aside", Path: path, Kind: disk.ErrExists}
		}
	}
	for _, suffix := range append([]string{"", "-shm"}, besides...) {
		err := os.Rename(path+suffix, aside+suffix)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", disk.Fault("put aside", path+suffix, err)
		}
	}
	c, err := Open(path)
	if err != nil {
		return aside, err
	}
	return aside, errors.Join(c.Put(rows...), c.Close())
}
