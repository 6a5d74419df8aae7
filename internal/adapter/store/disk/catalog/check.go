package catalog

import (
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"shoal/internal/adapter/store/disk"
	"shoal/internal/core/metainfo"
)

// Kinds of Problem.
const (
	ProblemDatabase = "database" // the file itself, or a part of it
	ProblemTorrent  = "torrent"  // a .torrent or .share is missing or wrong
	ProblemResume   = "resume"   // a resume state is damaged or of wrong size
	ProblemUnlisted = "unlisted" // damaged, and in the torrents folder but not in the catalog
	ProblemFolder   = "folder"   // the folder of a share's content is missing
	ProblemAudience = "audience" // the catalog says that a share is for others than the torrents folder says
)

// Problem is one thing that is wrong with a home.
type Problem struct {
	Kind   string // one of Problem…
	ID     string // of the share, "" for the whole database
	Path   string // what is concerned
	Detail string // what is wrong, one line
	Repair string // what Repair would do; "" when only a person can
}

// maxProblems bounds the list: a home with more is damaged as a whole.
const maxProblems = 1000

// Check looks for damage in the database at path and in the torrents folder
// that belongs to it. It works without a running node and changes nothing; no
// problem means an empty list. A home that was never used is in order, and so is
// one that a kill left in the middle of something which the next start ends by
// itself: see Open and Adopt.
func Check(path, torrents string) []Problem {
	k := &checkup{path: path, torrents: torrents, rows: make(map[string]Row)}
	_, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return []Problem{{Kind: ProblemDatabase, Path: path, Detail: err.Error()}}
	default:
		if !k.database() {
			return k.problems
		}
	}
	k.shares()
	k.unlisted()
	return k.problems
}

type checkup struct {
	path, torrents string
	rows           map[string]Row
	order          []string
	problems       []Problem
}

func (k *checkup) found(p Problem) {
	if len(k.problems) < maxProblems {
		k.problems = append(k.problems, p)
	}
}

const putAsideText = "put the share's files aside and drop it from the catalog; its content stays where it is"

const rebuildText = "put the database aside and make a new one from the torrents folder; all content is hashed again"

// database reads everything; false means that it is of no use.
func (k *checkup) database() bool {
	err := k.open(k.path, "ro")
	if err != nil && !errors.Is(err, ErrNewer) && interrupted(k.path) {
		*k = checkup{path: k.path, torrents: k.torrents, rows: make(map[string]Row)}
		err = k.onCopy()
	}
	switch {
	case err == nil:
		return true
	case errors.Is(err, ErrDamaged):
		k.found(Problem{Kind: ProblemDatabase, Path: k.path, Detail: err.Error(), Repair: rebuildText})
	default: // a newer one, or one that may not be read: nothing to mend
		k.found(Problem{Kind: ProblemDatabase, Path: k.path, Detail: err.Error()})
	}
	return false
}

// open reads the database at a path, which may be a copy.
func (k *checkup) open(path, mode string) error {
	c, err := dial(path, mode)
	if err != nil {
		return err
	}
	defer c.db.Close()
	c.path = k.path
	return k.read(c)
}

// interrupted tells whether a kill may have left something that SQLite ends by writing.
func interrupted(path string) bool {
	for _, suffix := range besides {
		if fi, err := os.Lstat(path + suffix); err == nil && fi.Size() > 0 {
			return true
		}
	}
	return false
}

// onCopy lets SQLite end on a copy what a kill left, as Open will on the database itself.
func (k *checkup) onCopy() error {
	dir, err := os.MkdirTemp("", "shoal-fsck-")
	if err != nil {
		return disk.Fault("copy", k.path, err)
	}
	defer os.RemoveAll(dir)
	copied := filepath.Join(dir, "copy.db")
	for _, suffix := range append([]string{""}, besides...) {
		if err := copyFile(copied+suffix, k.path+suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return disk.Fault("copy", k.path+suffix, err)
		}
	}
	return k.open(copied, "rw")
}

func copyFile(to, from string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(dst, src)
	return errors.Join(err, dst.Close())
}

func (k *checkup) read(c *Catalog) error {
	version, err := c.version()
	switch {
	case err != nil:
		return c.fail("check", err)
	case version > schemaVersion:
		return c.fail("check", fmt.Errorf("%w: its format is %d", ErrNewer, version))
	case version == 0:
		return nil // killed before its first use
	}
	if err := c.quickCheck(); err != nil {
		return c.fail("check", err)
	}
	have := columns
	if version == 1 { // Open will bring it up to date; nothing is written here
		have = strings.TrimSuffix(columns, "groups") + "'[]'"
	}
	rows, err := c.shares(have)
	if err != nil {
		return err
	}
	for _, r := range rows {
		k.rows[r.ID] = r
		k.order = append(k.order, r.ID)
	}
	return k.resumes(c)
}

// quickCheck lets SQLite look at its own structure.
func (c *Catalog) quickCheck() error {
	rows, err := c.db.Query("PRAGMA quick_check(10)")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			return err
		}
		if line != "ok" {
			return fmt.Errorf("%w: %s", ErrDamaged, line)
		}
	}
	return rows.Err()
}

// resumes checks every resume state against the share it belongs to.
func (k *checkup) resumes(c *Catalog) error {
	rows, err := c.db.Query("SELECT id, data FROM resume ORDER BY id")
	if err != nil {
		return c.fail("check", err)
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		var data sql.RawBytes
		if err := rows.Scan(&id, &data); err != nil {
			return c.fail("check", err)
		}
		if detail := k.resume(id, data); detail != "" {
			k.found(Problem{
				Kind: ProblemResume, ID: id, Path: k.path, Detail: detail,
				Repair: "forget the resume state; the share's content is hashed again",
			})
		}
	}
	return c.fail("check", rows.Err())
}

func (k *checkup) resume(id string, data []byte) string {
	r, err := ParseResume(data)
	if err != nil {
		return err.Error()
	}
	if _, listed := k.rows[id]; !listed {
		return "resume state without a share"
	}
	m, err := LoadTorrent(k.torrents, id)
	if err != nil {
		return "" // reported with the share
	}
	if n := BitmapLen(m.Info); len(r.Have) != n || len(r.Synced) != n || len(r.Files) != len(m.Info.Files) {
		return fmt.Sprintf("bitmaps of %d and %d bytes and %d files, the share has %d and %d",
			len(r.Have), len(r.Synced), len(r.Files), n, len(m.Info.Files))
	}
	return ""
}

// shares checks what each row points at.
func (k *checkup) shares() {
	for _, id := range k.order {
		r := k.rows[id]
		m, err := LoadTorrent(k.torrents, id)
		if err != nil && (r.Link == "" || !errors.Is(err, os.ErrNotExist)) {
			k.found(Problem{
				Kind: ProblemTorrent, ID: id, Path: filepath.Join(k.torrents, id+torrentExt), Detail: err.Error(),
				Repair: "put the .torrent aside and drop the share from the catalog; its content stays where it is",
			})
			continue
		}
		k.audience(r, m)
		if fi, err := os.Stat(r.Dir); err != nil || !fi.IsDir() {
			k.found(Problem{
				Kind: ProblemFolder, ID: id, Path: r.Dir, Detail: "the folder of the share's content is missing",
			})
		}
	}
}

// audience holds a row against the torrents folder. An ID.share that cannot be read has no
// say: it comes into use only when the database is lost, and then the share is lost with it.
// Nor has one that says "all" of a share that the catalog knows to be for groups: of the two
// what shows it to fewer is believed.
func (k *checkup) audience(r Row, m *metainfo.Metainfo) {
	p := Problem{Kind: ProblemAudience, ID: r.ID, Path: filepath.Join(k.torrents, r.ID+shareExt)}
	share, unread := readShare(k.torrents, r.ID)
	switch known := unread == nil && share.checkAudience(m) == nil; {
	case known && len(share.Groups) == 0 && len(r.Groups) > 0:
		p.Detail = fmt.Sprintf("it is for all, in the catalog for %d groups", len(r.Groups))
		p.Repair = putAsideText
	case known && !slices.Equal(share.Groups, r.Groups):
		p.Detail = fmt.Sprintf("it is for %d groups, in the catalog for %d or for others (0: all)", len(share.Groups), len(r.Groups))
		p.Repair = "have the catalog say what the torrents folder says"
	case !known && r.checkAudience(m) != nil:
		p.Detail = r.checkAudience(m).Error()
		p.Repair = putAsideText
	default:
		return
	}
	k.found(p)
}

// unlisted finds shares in the torrents folder that are neither in the catalog nor fit to
// be listed by Adopt. A .torrent alone is what is left of a share that was not yet added,
// or not wholly removed.
func (k *checkup) unlisted() {
	ids, err := Torrents(k.torrents)
	if err != nil {
		k.found(Problem{Kind: ProblemTorrent, Path: k.torrents, Detail: err.Error()})
		return
	}
	for _, id := range ids {
		if _, listed := k.rows[id]; listed {
			continue
		}
		if _, err := os.Lstat(filepath.Join(k.torrents, id+shareExt)); errors.Is(err, os.ErrNotExist) {
			continue
		}
		if _, lost := rowFromTorrent(k.torrents, id); lost != nil {
			k.found(Problem{
				Kind: ProblemUnlisted, ID: id, Path: lost.Path,
				Detail: "not in the catalog, and cannot be listed: " + lost.Detail, Repair: "put its files aside",
			})
		}
	}
}

// Repair does what Check proposed, on the same paths, and returns what is left
// to a person or could not be done. Nothing is deleted: what is replaced stays
// beside it under another name. No node may be running on this home.
func Repair(path, torrents string) (left []Problem, err error) {
	for _, p := range Check(path, torrents) {
		if p.Repair == "" {
			left = append(left, p)
			continue
		}
		if p.Kind == ProblemDatabase {
			rows, lost := RowsFromTorrents(torrents)
			if _, err := Rebuild(path, rows); err != nil {
				return append(left, p), err
			}
			return append(left, lost...), nil
		}
		if err := repairOne(path, torrents, p); err != nil {
			return append(left, p), err
		}
	}
	return left, nil
}

func repairOne(path, torrents string, p Problem) error {
	if p.Kind == ProblemUnlisted {
		return putAside(torrents, p.ID)
	}
	c, err := Open(path)
	if err != nil {
		return err
	}
	defer c.Close()
	switch p.Kind {
	case ProblemResume:
		_, err = c.db.Exec("DELETE FROM resume WHERE id = ?", p.ID)
		return c.fail("repair", err)
	case ProblemAudience:
		if r, lost := rowFromTorrent(torrents, p.ID); lost == nil && len(r.Groups) > 0 {
			_, err = c.db.Exec("UPDATE share SET groups = ? WHERE id = ?", list(r.Groups), p.ID)
			return c.fail("repair", err)
		}
		fallthrough
	case ProblemTorrent:
		if err := putAside(torrents, p.ID); err != nil {
			return err
		}
		return c.Delete(p.ID)
	}
	return nil
}

// putAside renames a share's files in the torrents folder so that they are not
// found any more.
func putAside(torrents, id string) error {
	for _, ext := range []string{torrentExt, shareExt} {
		p := filepath.Join(torrents, id+ext)
		if err := os.Rename(p, p+".damaged"); err != nil && !errors.Is(err, os.ErrNotExist) {
			return disk.Fault("put aside", p, err)
		}
	}
	return nil
}
