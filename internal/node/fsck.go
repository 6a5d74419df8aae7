package node

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"runtime"
	"slices"

	"shoal/internal/adapter/store"
	"shoal/internal/core/ident"
	"shoal/internal/door/api"
)

// Fsck looks at a home that no node uses: its secrets, its configuration, its
// catalog and its .torrent files. Without repair it changes nothing. With repair
// it mends what it can; nothing is deleted, what is replaced stays beside it.
func Fsck(ctx context.Context, dir string, repair bool) (api.FsckReport, error) {
	r := api.FsckReport{Home: dir, Problems: []api.FsckProblem{}}
	if _, err := os.Stat(dir); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return r, api.Errorf(api.Path, dir, "there is no such home").Try("name it with --home DIR")
		}
		return r, api.Errorf(api.Path, dir, "the home cannot be read: %w", unwrapPath(err))
	}
	h := &Home{Dir: dir}
	if _, err := os.Stat(h.Path(TorrentsFolder)); err != nil && !h.ours() {
		return r, api.Errorf(api.Path, dir, "this is not a home: it holds other things").Try("name it with --home DIR")
	}
	lock, err := h.Lock()
	if err != nil {
		return r, err
	}
	defer lock.Release()
	for _, check := range []func(bool) []api.FsckProblem{h.checkSecrets, h.checkConfig, h.checkLimits, h.checkCatalog} {
		if err := ctx.Err(); err != nil {
			return r, err
		}
		r.Problems = append(r.Problems, check(repair)...)
	}
	if ids, err := store.Torrents(h.Path(TorrentsFolder)); err == nil {
		r.Shares = len(ids)
	}
	r.Clean = !slices.ContainsFunc(r.Problems, func(p api.FsckProblem) bool { return !p.Repaired })
	return r, nil
}

// checkSecrets looks at the files that nobody else may read.
func (h *Home) checkSecrets(repair bool) []api.FsckProblem {
	var out []api.FsckProblem
	for _, name := range []string{KeyFile, TokenFile} {
		path := h.Path(name)
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue // made at its first use
		}
		if err != nil {
			out = append(out, api.FsckProblem{Subject: path, Problem: unwrapPath(err).Error()})
			continue
		}
		if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
			p := api.FsckProblem{Subject: path, Problem: "it is open to others", Repair: "close it to all but its owner"}
			p.Repaired = repair && os.Chmod(path, 0o600) == nil
			out = append(out, p)
		}
	}
	if b, err := readSmall(h.Path(KeyFile)); err == nil {
		if _, err := ident.ParseKey(b); err != nil {
			out = append(out, api.FsckProblem{Subject: h.Path(KeyFile), Problem: "this is not a key of a node"})
		}
	}
	if b, err := readSmall(h.Path(TokenFile)); err == nil && !isToken(b) {
		p := api.FsckProblem{Subject: h.Path(TokenFile), Problem: "it does not hold a token", Repair: "put it aside; the next start makes a new one"}
		p.Repaired = repair && os.Rename(h.Path(TokenFile), h.Path(TokenFile)+".damaged") == nil
		out = append(out, p)
	}
	return out
}

// checkConfig reads the configuration, which only a person can mend.
func (h *Home) checkConfig(bool) []api.FsckProblem {
	_, err := h.LoadConfig()
	if err == nil {
		return nil
	}
	e := api.AsError(err)
	return []api.FsckProblem{{Subject: e.Subject, Problem: e.Reason}}
}

// checkLimits reads the remembered limits.
func (h *Home) checkLimits(repair bool) []api.FsckProblem {
	_, err := h.limits()
	if err == nil {
		return nil
	}
	path := h.Path(LimitsFile)
	p := api.FsckProblem{Subject: path, Problem: api.AsError(err).Reason, Repair: "put it aside; the limits of config.toml hold"}
	p.Repaired = repair && os.Rename(path, path+".damaged") == nil
	return []api.FsckProblem{p}
}

// checkCatalog leaves the catalog and the .torrent files to the store.
func (h *Home) checkCatalog(repair bool) []api.FsckProblem {
	db, torrents := h.Path(CatalogFile), h.Path(TorrentsFolder)
	found := store.Check(db, torrents)
	var left []store.Problem
	var failed error
	if repair && len(found) > 0 {
		left, failed = store.Repair(db, torrents)
	}
	var out []api.FsckProblem
	for _, p := range found {
		out = append(out, api.FsckProblem{Subject: p.Path, Problem: p.Detail, Repair: p.Repair,
			Repaired: repair && failed == nil && p.Repair != "" && !slices.Contains(left, p)})
	}
	for _, p := range left {
		if !slices.Contains(found, p) {
			out = append(out, api.FsckProblem{Subject: p.Path, Problem: p.Detail, Repair: p.Repair})
		}
	}
	if failed != nil {
		out = append(out, api.FsckProblem{Subject: db, Problem: "the repair failed: " + failed.Error()})
	}
	return out
}
