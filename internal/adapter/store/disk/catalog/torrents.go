package catalog

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"shoal/internal/adapter/store/disk"
	"shoal/internal/core/metainfo"
)

// The home's torrents folder is the truth from which the catalog can be made
// again: ID.torrent is the metainfo as it came, ID.share the Row as JSON.
const (
	torrentExt = ".torrent"
	shareExt   = ".share"
	maxShare   = 1 << 20 // bytes of an ID.share that is believed
)

// SaveTorrent keeps a share in the torrents folder: its metainfo, unless m is
// nil (a link whose metadata is missing), and then its row: with that the share
// is there, in the database or not. Each file is written under another name,
// flushed and then renamed, so that it is whole or absent whatever happens. A
// .torrent that is there already is not written again.
func SaveTorrent(dir string, m *metainfo.Metainfo, r Row) error {
	if err := errors.Join(checkID(r.ID), checkGroups(r.Groups)); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return disk.Fault("make folder", dir, err)
	}
	if m != nil {
		p := filepath.Join(dir, r.ID+torrentExt)
		data := m.Bytes()
		if old, err := readBounded(p, int64(len(data))); err != nil || !bytes.Equal(old, data) {
			if err := writeWhole(p, data); err != nil {
				return err
			}
		}
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return fmt.Errorf("store: row %s: %w", r.ID, err)
	}
	if err := writeWhole(filepath.Join(dir, r.ID+shareExt), append(data, '\n')); err != nil {
		return err
	}
	return syncFolder(dir)
}

// syncFolder flushes the names in a folder of the home.
func syncFolder(dir string) error { return disk.Fault("sync", dir, disk.SyncNames(dir)) }

// checkID keeps anything but an info hash out of file names.
func checkID(id string) error {
	if len(id) != 40 && len(id) != 64 || strings.Trim(id, "0123456789abcdef") != "" {
		return fmt.Errorf("store: %.70q is not an info hash", id)
	}
	return nil
}

// writeWhole replaces a file of the home in one step.
func writeWhole(path string, data []byte) error {
	return disk.Fault("write", path, disk.WriteWhole(path, data, 0o600))
}

// LoadTorrent reads a share's metainfo from the torrents folder. The error is
// os.ErrNotExist when it is missing, a *metainfo.Error when it must not be
// trusted, ErrDamaged when it is that of another share.
func LoadTorrent(dir, id string) (*metainfo.Metainfo, error) {
	if err := checkID(id); err != nil {
		return nil, err
	}
	p := filepath.Join(dir, id+torrentExt)
	b, err := readBounded(p, metainfo.MaxSize)
	if err != nil {
		return nil, err
	}
	m, err := metainfo.ParseIncomplete(b) // the layers of a link's share may still be missing
	if err != nil {
		return nil, &disk.Error{Op: "read", Path: p, Err: err}
	}
	if m.Hash.ID() != id {
		return nil, &disk.Error{Op: "read", Path: p, Kind: ErrDamaged, Err: errors.New("it is the metainfo of another share")}
	}
	return m, nil
}

func readBounded(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, disk.Fault("read", path, err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = ErrDamaged
	}
	return b, disk.Fault("read", path, err)
}

// Remove forgets a share, in the catalog and in the torrents folder. Its .share
// goes first, so that a kill in between leaves the share as it was or gone, and
// Adopt does not bring it back. An unknown one is no error.
func (c *Catalog) Remove(torrents, id string) error {
	err := removeFile(torrents, id, shareExt)
	return errors.Join(err, c.Delete(id), removeFile(torrents, id, torrentExt))
}

// removeFile deletes one of a share's files in the torrents folder.
func removeFile(dir, id, ext string) error {
	if err := checkID(id); err != nil {
		return err
	}
	p := filepath.Join(dir, id+ext)
	if err := os.Remove(p); err != nil && !errors.Is(err, os.ErrNotExist) {
		return disk.Fault("remove", p, err)
	}
	return nil
}

// Adopt brings the catalog in step with the torrents folder, which is the truth.
// Shares that lost their row in a crash, or were killed before they had it, are
// listed again. What a kill left of files half written goes, and so does the
// link that became one of the shares. No other node may use the folder.
func (c *Catalog) Adopt(torrents string) error {
	ids, stale, err := listFolder(torrents)
	if err != nil {
		return err
	}
	for _, name := range stale {
		_ = os.Remove(filepath.Join(torrents, name)) // the next start tries again
	}
	rows, err := c.Shares()
	if err != nil {
		return err
	}
	listed := make(map[string]bool, len(rows))
	for _, r := range rows {
		listed[r.ID] = true
	}
	known := len(rows)
	for _, id := range ids {
		if !listed[id] {
			if r, lost := rowFromTorrent(torrents, id); lost == nil {
				rows = append(rows, r)
			}
		}
	}
	if len(rows) > known {
		if err := c.Put(rows[known:]...); err != nil {
			return err
		}
	}
	return c.dropLinks(torrents, rows)
}

// dropLinks forgets the links that became shares, under the ID that is known since.
func (c *Catalog) dropLinks(torrents string, rows []Row) (err error) {
	shares := make(map[string]bool, len(rows)) // by info hash
	for _, r := range rows {
		if r.Link == "" {
			shares[r.V1], shares[r.V2] = true, true
		}
	}
	delete(shares, "")
	for _, r := range rows {
		if r.Link != "" && (shares[r.V1] || shares[r.V2]) {
			err = errors.Join(err, c.Remove(torrents, r.ID))
		}
	}
	return err
}

// Torrents lists, in order, the shares that have a .torrent or a row in the
// torrents folder. A missing folder is an empty one.
func Torrents(dir string) ([]string, error) {
	ids, _, err := listFolder(dir)
	return ids, err
}

// listFolder also lists the names of files that are being written.
func listFolder(dir string) (ids, stale []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, nil, disk.Fault("read folder", dir, err)
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), disk.Unfinished) {
			stale = append(stale, e.Name())
		}
		id, ext, _ := strings.Cut(e.Name(), ".")
		if checkID(id) != nil || "."+ext != torrentExt && "."+ext != shareExt {
			continue
		}
		if len(ids) == 0 || ids[len(ids)-1] != id {
			ids = append(ids, id)
		}
	}
	return ids, stale, nil
}

// RowsFromTorrents makes the rows for Rebuild from the torrents folder, with a
// Problem for each share that cannot be restored from it.
func RowsFromTorrents(dir string) ([]Row, []Problem) {
	ids, err := Torrents(dir)
	if err != nil {
		return nil, []Problem{{Kind: ProblemTorrent, Path: dir, Detail: err.Error()}}
	}
	var rows []Row
	var problems []Problem
	for _, id := range ids {
		r, p := rowFromTorrent(dir, id)
		if p != nil {
			problems = append(problems, *p)
			continue
		}
		rows = append(rows, r)
	}
	return rows, problems
}

func rowFromTorrent(dir, id string) (Row, *Problem) {
	r, err := readShare(dir, id)
	if err != nil {
		return Row{}, &Problem{Kind: ProblemTorrent, ID: id, Path: filepath.Join(dir, id+shareExt), Detail: err.Error()}
	}
	m, err := LoadTorrent(dir, id)
	if errors.Is(err, os.ErrNotExist) && r.Link != "" {
		err = nil
	}
	if err == nil {
		err = r.checkAudience(m)
	}
	if err != nil {
		return Row{}, &Problem{Kind: ProblemTorrent, ID: id, Path: filepath.Join(dir, id+torrentExt), Detail: err.Error()}
	}
	return r, nil
}

// readShare reads an ID.share. A key that is not known is damage: it may have been the one
// that said who the share is for.
func readShare(dir, id string) (r Row, err error) {
	p := filepath.Join(dir, id+shareExt)
	b, err := readBounded(p, maxShare)
	if err != nil {
		return r, err
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err = d.Decode(&r); err == nil {
		err = checkGroups(r.Groups)
	}
	if _, end := d.Token(); err == nil && (r.ID != id || end != io.EOF) {
		err = errors.New("it is not the row of this share alone")
	}
	if err != nil {
		return r, &disk.Error{Op: "read", Path: p, Kind: ErrDamaged, Err: err}
	}
	return r, nil
}
