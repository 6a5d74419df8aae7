package cli

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"shoal/internal/door/api"
	"shoal/internal/door/cli/term"
)

// identify turns X into what the API understands: the info hash of a link or of a
// .torrent; a name or a prefix of an info hash stays as it is.
func identify(x string) (string, error) {
	switch {
	case x == "":
		return "", api.Errorf(api.Invalid, "", "the name of the share is empty")
	case isLink(x):
		l, err := api.ParseLink(x)
		if err != nil {
			return "", about(err, x)
		}
		return l.InfoHash, nil
	case isTorrentFile(x):
		m, err := readMetainfo(x)
		return m.InfoHash, err
	}
	return x, nil
}

// identifyAll does so for several.
func identifyAll(xs []string) ([]string, error) {
	out := make([]string, len(xs))
	for i, x := range xs {
		id, err := identify(x)
		if err != nil {
			return nil, err
		}
		out[i] = id
	}
	return out, nil
}

func isLink(s string) bool { return len(s) >= 7 && strings.EqualFold(s[:7], "magnet:") }

func isURL(s string) bool {
	low := strings.ToLower(s)
	return strings.HasPrefix(low, "http://") || strings.HasPrefix(low, "https://")
}

// isTorrentFile says whether X means a file: one that is there and ends so. A
// share may have such a name too, but only where no such file lies.
func isTorrentFile(x string) bool {
	if !strings.HasSuffix(strings.ToLower(x), ".torrent") {
		return false
	}
	info, err := os.Stat(x)
	return err == nil && info.Mode().IsRegular()
}

// readTorrent reads a .torrent, at most 64 MiB.
func readTorrent(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		err = errors.New("it is a folder")
	}
	if err != nil {
		return nil, pathError(path, err)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, pathError(path, err)
	}
	defer f.Close()
	b, err := readBounded(f, api.MaxMetainfo)
	if err != nil {
		return nil, about(err, path)
	}
	return b, nil
}

func readMetainfo(path string) (api.Metainfo, error) {
	b, err := readTorrent(path)
	if err != nil {
		return api.Metainfo{}, err
	}
	m, err := api.ParseMetainfo(b)
	return m, about(err, path)
}

// about names the thing an error happened to, where it does not say.
func about(err error, subject string) error {
	if err == nil {
		return nil
	}
	e := *api.AsError(err)
	if e.Subject == "" {
		e.Subject = shorten(subject)
	}
	return &e
}

// shorten keeps a long link from filling the screen.
func shorten(s string) string { return term.Fit(s, 80) }

// pathError is an error about a path that the person gave.
func pathError(path string, err error) error {
	kind := api.KindOf(err)
	if kind != api.DiskFull {
		kind = api.Path
	}
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return api.Errorf(kind, path, "%w", err)
}

// absolute is a path as the node, which runs elsewhere, understands it.
func absolute(path string) (string, error) {
	if path == "" { // an unset variable of a script, and not the folder that happens to be the current one
		return "", api.Errorf(api.Invalid, "", "the path is empty")
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", pathError(path, err)
	}
	return abs, nil
}

// completeShares completes X with the names of the shares of the node that runs;
// it never starts one.
func (a *app) completeShares(_ *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	c, err := a.Program.Connect(ctx, a.global.home)
	if err != nil || c == nil {
		return nil, cobra.ShellCompDirectiveDefault
	}
	defer c.Close()
	list, err := c.List(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveDefault
	}
	var out []string
	for _, s := range list {
		if strings.HasPrefix(s.Name, begun) && api.Safe(s.Name) == s.Name {
			out = append(out, s.Name)
		}
	}
	return out, cobra.ShellCompDirectiveDefault
}
