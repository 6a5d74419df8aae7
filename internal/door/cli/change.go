package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"shoal/internal/door/api"
	"shoal/internal/door/cli/term"
)

// each runs a command for every X, with one node. One that fails does not keep the others
// from being done: all failures are told, and the last one is the command's.
func (a *app) each(c *cobra.Command, run func(ctx context.Context, s *session, id string) error) *cobra.Command {
	c.Args = cobra.MinimumNArgs(1)
	c.ValidArgsFunction = a.completeShares
	c.GroupID = groupLook
	return a.command(c, func(ctx context.Context, xs []string) error {
		ids, err := identifyAll(xs)
		if err != nil {
			return err
		}
		return a.offline(ctx, func(ctx context.Context, s *session) error {
			var failed error
			for _, id := range ids {
				err := run(ctx, s, id)
				if err == nil {
					continue
				}
				if failed != nil {
					a.report(failed)
				}
				if failed = api.AsError(err); ctx.Err() != nil {
					break
				}
			}
			return failed
		})
	})
}

func (a *app) rm() *cobra.Command {
	var data bool
	c := a.each(&cobra.Command{
		Use:     "rm X... [--data]",
		Aliases: []string{"remove"},
		Short:   "Forget shares; with --data, delete what get wrote",
		Long: "rm makes the node forget shares. Files stay where they are. With --data, the files that get wrote are\n" +
			"deleted too; the originals of a share never are (exit code 6).",
	}, func(ctx context.Context, s *session, id string) error {
		r, err := s.client.Remove(ctx, id, data)
		if err != nil {
			return err
		}
		if a.global.json {
			a.print(r)
			return nil
		}
		what := "removed " + api.Safe(r.Name) + "; nothing at " + api.Safe(r.Path) + " is deleted"
		switch {
		case r.Data:
			what = "removed " + api.Safe(r.Name) + " and its files at " + api.Safe(r.Path)
		case r.Left > 0:
			what = "removed " + api.Safe(r.Name) + "; the " + api.FormatSize(r.Left) + " that had come stay at " + api.Safe(r.Path) + ", in files that end in .part"
		}
		a.line("%s", what)
		return nil
	})
	c.Flags().BoolVar(&data, "data", false, "delete the files that get wrote")
	return c
}

func (a *app) pause() *cobra.Command {
	return a.each(&cobra.Command{Use: "pause X...", Short: "Stop fetching and offering shares until they are resumed"},
		func(ctx context.Context, s *session, id string) error { return a.setPaused(ctx, s, id, true) })
}

func (a *app) resume() *cobra.Command {
	return a.each(&cobra.Command{Use: "resume X...", Short: "Go on with paused shares"},
		func(ctx context.Context, s *session, id string) error { return a.setPaused(ctx, s, id, false) })
}

func (a *app) setPaused(ctx context.Context, s *session, id string, paused bool) error {
	sh, err := s.client.Change(ctx, id, api.ShareChange{Paused: &paused})
	if err != nil {
		return err
	}
	if a.global.json {
		a.print(sh)
		return nil
	}
	a.line("%s: %s", api.Safe(sh.Name), sh.State)
	return nil
}

func (a *app) verify() *cobra.Command {
	return a.each(&cobra.Command{
		Use:   "verify X...",
		Short: "Hash the data of shares again and compare",
		Long: "verify reads all data of a share on all cores and compares it with the hashes. Pieces that are wrong are\n" +
			"fetched again if there is a peer. Exit code 4 if anything was wrong.",
	}, func(ctx context.Context, s *session, id string) error {
		began := time.Now()
		v, err := s.client.Verify(ctx, id, func(p api.Progress) {
			b := hashingBar(id, p, time.Since(began))
			b.Note = "verifying"
			if !a.global.json {
				a.out.Draw(time.Now(), false, []term.Bar{b})
			}
		})
		if err != nil {
			return err
		}
		return a.showVerified(v)
	})
}

func (a *app) showVerified(v api.Verified) error {
	if a.global.json {
		a.print(v)
	} else {
		a.line("%s: %d of %s good, %d bad, %d missing; %s in %.1f s", api.Safe(v.Name), v.Good, term.Count(v.Pieces, "piece"), v.Bad, v.Missing,
			api.FormatSize(v.Bytes), v.Seconds)
	}
	if v.Bad == 0 && len(v.BadFiles) == 0 {
		return nil
	}
	e := api.Errorf(api.BadData, v.Name, "%d bad and %d missing pieces", v.Bad, v.Missing)
	if len(v.BadFiles) > 0 {
		e.Reason += ", in " + v.BadFiles[0]
		if n := len(v.BadFiles) - 1; n > 0 {
			e.Reason += fmt.Sprintf(" and %d more", n)
		}
	}
	return e
}

func (a *app) torrent() *cobra.Command {
	var out string
	c := a.command(&cobra.Command{
		Use:               "torrent X [-o FILE]",
		Short:             "Write the .torrent of a share",
		GroupID:           groupShare,
		Long:              "torrent writes the .torrent of a share to FILE (default: NAME.torrent here; `-`: standard output). A file that\nis there already is not overwritten.",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeShares,
	}, func(ctx context.Context, args []string) error {
		id, err := identify(args[0])
		if err != nil {
			return err
		}
		return a.offline(ctx, func(ctx context.Context, s *session) error { return a.writeTorrent(ctx, s, id, out) })
	})
	c.Flags().StringVarP(&out, "output", "o", "", "`FILE` or folder to write to")
	return c
}

// written is the result of `torrent`.
type written struct {
	Path     string `json:"path"`
	InfoHash string `json:"info_hash"`
	Bytes    int    `json:"bytes"`
}

func (a *app) writeTorrent(ctx context.Context, s *session, id, out string) error {
	sh, err := s.client.Share(ctx, id)
	if err != nil {
		return err
	}
	b, err := s.client.Torrent(ctx, sh.InfoHash)
	if err != nil {
		return err
	}
	if out == "-" {
		_, err := a.Stdout.Write(b)
		return err
	}
	info, err := os.Stat(out)
	if out == "" || err == nil && info.IsDir() {
		out = filepath.Join(out, sh.Name+".torrent")
	}
	if err := writeNew(out, b); err != nil {
		return err
	}
	if a.global.json {
		a.print(written{Path: out, InfoHash: sh.InfoHash, Bytes: len(b)})
	} else {
		a.line("%s", api.Safe(out))
	}
	return nil
}

// writeNew writes a file that must not be there yet, whole or not at all.
func writeNew(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if errors.Is(err, fs.ErrExist) {
		return api.Errorf(api.Exists, path, "it is there already and is not overwritten").Try("give another -o FILE")
	}
	if err != nil {
		return pathError(path, err)
	}
	_, werr := f.Write(b)
	if err := errors.Join(werr, f.Close()); err != nil {
		os.Remove(path)
		return pathError(path, err)
	}
	return nil
}

func (a *app) limit() *cobra.Command {
	var up, down api.Rate
	c := &cobra.Command{
		Use:               "limit [X] [--up RATE] [--down RATE]",
		Short:             "Show or set bandwidth limits, of the node or of one share",
		Long:              "limit without --up and --down shows the limits. A RATE is written like 500K, 20MB, 1.5MiB/s; 0 is no limit.\nLimits hold at once and are remembered.",
		GroupID:           groupLook,
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: a.completeShares,
	}
	c.Flags().Var(&up, "up", "most bytes a second sent")
	c.Flags().Var(&down, "down", "most bytes a second received")
	c.Flags().Lookup("up").DefValue, c.Flags().Lookup("down").DefValue = "", ""
	return a.command(c, func(ctx context.Context, args []string) error {
		x := ""
		if len(args) > 0 {
			var err error
			if x, err = identify(args[0]); err != nil {
				return err
			}
		}
		var change api.LimitChange
		if c.Flags().Changed("up") {
			change.Up = &up
		}
		if c.Flags().Changed("down") {
			change.Down = &down
		}
		return a.offline(ctx, func(ctx context.Context, s *session) error { return a.applyLimits(ctx, s, x, change) })
	})
}

func (a *app) applyLimits(ctx context.Context, s *session, x string, change api.LimitChange) error {
	var l api.Limits
	var err error
	if change == (api.LimitChange{}) {
		l, err = s.client.Limits(ctx, x)
	} else {
		l, err = s.client.SetLimits(ctx, x, change)
	}
	if err != nil {
		return err
	}
	if a.global.json {
		a.print(l)
		return nil
	}
	a.line("up %s, down %s", l.Up, l.Down)
	return nil
}
