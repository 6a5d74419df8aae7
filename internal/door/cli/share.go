package cli

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"shoal/internal/door/api"
	"shoal/internal/door/cli/term"
	"shoal/internal/door/cli/view"
)

// shareFlags are the flags of `share`.
type shareFlags struct {
	name, format, pieceSize, comment string
	trackers, webSeeds, peers, to    []string
	private                          bool
	limits                           limitFlags
}

func (a *app) share() *cobra.Command {
	var f shareFlags
	c := a.command(&cobra.Command{
		Use:     "share PATH... [flags]",
		Short:   "Publish files and folders in place: one share and one link for each",
		GroupID: groupShare,
		Long: "share reads each PATH once and prints its link. No copy is made: the files are offered from where they lie\n" +
			"and are never written or deleted. If no node runs for this home, share stays and offers them until Ctrl-C.\n" +
			"What holds the node's home, and so its key, is refused.\n\n" +
			"With --to only the members of these groups can see, find or fetch it, over encrypted connections; it is named to\n" +
			"nobody else: no tracker, no DHT, no stranger.",
		Example: "  shoal share ~/Photos/2026\n  shoal share ~/Photos/2026 --to family\n  shoal share talk.mkv --format v1 --tracker http://192.0.2.1:6969/announce",
		Args:    cobra.MinimumNArgs(1),
	}, func(ctx context.Context, paths []string) error {
		if f.format == "" {
			f.format = map[bool]string{true: "v2", false: "hybrid"}[len(f.to) > 0]
		}
		return a.runShare(ctx, paths, f)
	})
	fs := c.Flags()
	fs.StringArrayVar(&f.to, "to", nil, "only members of this `GROUP` can see and fetch it; may be given again")
	c.RegisterFlagCompletionFunc("to", func(_ *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
		return a.completeGroups(nil, nil, begun)
	})
	fs.StringVar(&f.name, "name", "", "`NAME` of the share (default: that of the path; one PATH only)")
	fs.StringVar(&f.format, "format", "", "`hybrid|v1|v2`: some old clients open v1 only (default: hybrid, with --to v2)")
	fs.StringVar(&f.pieceSize, "piece-size", "", "`SIZE` of a piece, a power of two from 16K to 16M (default: by the total size)")
	fs.StringVar(&f.comment, "comment", "", "`TEXT` to put into the .torrent")
	fs.StringArrayVar(&f.trackers, "tracker", nil, "announce `URL`; may be given again")
	fs.StringArrayVar(&f.webSeeds, "web-seed", nil, "`URL` of a web server that has the same files; may be given again")
	fs.StringArrayVar(&f.peers, "peer", nil, "`HOST:PORT` to connect to; may be given again")
	fs.BoolVar(&f.private, "private", false, "peers come from the trackers only")
	f.limits.add(c, "of each share")
	return c
}

// requests judges flags and paths before anything is hashed.
func (f *shareFlags) requests(paths []string) ([]api.CreateRequest, error) {
	if f.name != "" && len(paths) > 1 {
		return nil, api.Errorf(api.Invalid, "--name", "it names one share, and there are %d paths", len(paths))
	}
	if err := f.audience(); err != nil {
		return nil, err
	}
	switch f.format {
	case "hybrid", "v1", "v2":
	default:
		return nil, api.Errorf(api.Invalid, f.format, "this is not a format").Try("write hybrid, v1 or v2")
	}
	piece := int64(0)
	if f.pieceSize != "" {
		var err error
		if piece, err = api.ParsePieceSize(f.pieceSize); err != nil {
			return nil, err
		}
	}
	var out []api.CreateRequest
	for _, p := range paths {
		abs, err := absolute(p)
		if err != nil {
			return nil, err
		}
		info, err := os.Stat(abs)
		if err != nil {
			return nil, pathError(p, err)
		}
		if !info.IsDir() && !info.Mode().IsRegular() {
			return nil, api.Errorf(api.Refused, p, "this is neither a file nor a folder")
		}
		out = append(out, api.CreateRequest{Path: abs, Name: f.name, Format: f.format, PieceLength: piece, Trackers: f.trackers,
			WebSeeds: f.webSeeds, Peers: f.peers, Private: f.private, Comment: f.comment, Limits: f.limits.limits(), Groups: f.to})
	}
	return out, nil
}

// audience refuses what would tell others of a share that is for members.
func (f *shareFlags) audience() error {
	if len(f.to) == 0 {
		return nil
	}
	for _, x := range []struct {
		flag  string
		given bool
	}{{"--tracker", len(f.trackers) > 0}, {"--peer", len(f.peers) > 0}, {"--web-seed", len(f.webSeeds) > 0}, {"--private", f.private}} {
		if x.given {
			return api.Errorf(api.Invalid, x.flag, "with --to, only members may hear of the share, and this would tell others").Try("leave one of both out; members find each other by themselves")
		}
	}
	return nil
}

func (a *app) runShare(ctx context.Context, paths []string, f shareFlags) error {
	reqs, err := f.requests(paths)
	if err != nil {
		return err
	}
	return a.with(ctx, StartOptions{Quiet: true}, func(ctx context.Context, s *session) error {
		var made []api.Created
		for _, r := range reqs {
			c, err := a.publish(ctx, s, r)
			if err != nil {
				return about(err, r.Path)
			}
			made = append(made, c)
		}
		if !s.mine() {
			return nil
		}
		a.out.Say("offering %s until Ctrl-C", term.Count(len(made), "share"))
		return a.stay(ctx, s, made)
	})
}

// publish shares one path and prints its link.
func (a *app) publish(ctx context.Context, s *session, r api.CreateRequest) (api.Created, error) {
	began := time.Now()
	c, err := s.client.Publish(ctx, r, func(p api.Progress) {
		a.out.Draw(time.Now(), false, []term.Bar{hashingBar(r.Path, p, time.Since(began))})
	})
	if err != nil {
		return c, err
	}
	if a.global.json {
		a.print(c)
		return c, nil
	}
	a.line("%s", c.Link)
	a.out.Say("%s: %s, %s, %s of %s, %s, hashed in %.1f s", api.Safe(c.Name), term.Count(c.Files, "file"), api.FormatSize(c.Bytes),
		term.Count(c.Pieces, "piece"), view.Piece(c.PieceLength), c.Format, c.Seconds)
	if len(c.Groups) > 0 {
		a.out.Say("  for %s: nobody else can find or fetch it", view.Audience(c.Groups))
	}
	a.tellReport(c)
	return c, nil
}

// tellReport says what a .torrent cannot carry, and what else a person may not
// expect.
func (a *app) tellReport(c api.Created) {
	r := c.Report
	if c.Padding > 0 {
		a.out.Say("  %s of padding between files for clients that know v1 only", api.FormatSize(c.Padding))
	}
	if c.NoLink {
		a.out.Say("  too many files for the link alone: their description is over 16 MiB, which peers do not fetch; give the .torrent (shoal torrent %s -o FILE)", c.InfoHash[:12])
	}
	for i, s := range r.Skipped {
		if i == 5 {
			a.out.Say("  and %d more left out", r.SkippedCount-i)
			break
		}
		a.out.Say("  left out: %s (%s)", api.Safe(s.Path), api.Safe(s.Reason))
	}
	if r.EmptyCount > 0 {
		a.out.Say("  not carried: %s, such as %s", term.Count(r.EmptyCount, "empty folder"), api.Safe(r.EmptyFolders[0]))
	}
	if r.Modes > 0 {
		a.out.Say("  not carried: the permissions of %s", term.Count(r.Modes, "file"))
	}
	if r.Hidden > 0 {
		a.out.Say("  %s among them", term.Count(r.Hidden, "hidden file"))
	}
}

func hashingBar(path string, p api.Progress, took time.Duration) term.Bar {
	b := term.Bar{Name: path, Part: -1, Peers: -1, Note: "hashing"}
	if p.Total > 0 {
		b.Part = float64(p.Done) / float64(p.Total)
	}
	if s := took.Seconds(); s > 0.5 {
		b.Rate = api.Rate(float64(p.Done) / s)
		if b.Rate > 0 {
			b.ETA = float64(p.Total-p.Done) / float64(b.Rate)
		}
	}
	return b
}

// errNothingLeft ends a command whose shares were all removed by another.
var errNothingLeft = errors.New("nothing left")

// stay offers shares until the person has enough. That is no failure.
func (a *app) stay(ctx context.Context, s *session, made []api.Created) error {
	view := map[string]term.Bar{}
	var order []string
	for _, c := range made {
		if _, ok := view[c.InfoHash]; !ok {
			order = append(order, c.InfoHash)
		}
		view[c.InfoHash] = term.Bar{Name: c.Name, Part: -1, Note: "offered"}
	}
	err := s.client.Watch(ctx, api.Filter{Progress: a.pace()}, func(e api.Event) error {
		id := api.HeadOf(e).InfoHash
		b, mine := view[id]
		switch e := e.(type) {
		case *api.ProgressEvent:
			if mine {
				b.Rate, b.Peers = e.UpRate, e.Peers
				view[id] = b
				a.drawAll(order, view)
			}
			return nil
		case *api.RemovedEvent:
			if mine {
				a.out.Say("%s was removed and is not offered any more", api.Safe(b.Name))
				delete(view, id)
				order = slices.DeleteFunc(order, func(o string) bool { return o == id })
			}
			if len(order) == 0 {
				return errNothingLeft
			}
			return nil
		}
		return a.tell(e)
	})
	if errors.Is(err, errNothingLeft) {
		return nil
	}
	if ctx.Err() != nil || errors.Is(err, context.Canceled) {
		a.out.Say("shoal %s: stopping; Ctrl-C again stops at once", a.name)
		return nil
	}
	if err == nil {
		err = api.Errorf(api.Unavailable, "", "the node stopped")
	}
	return err
}

func (a *app) drawAll(order []string, view map[string]term.Bar) {
	bars := make([]term.Bar, 0, len(order))
	for _, id := range order {
		bars = append(bars, view[id])
	}
	a.out.Draw(time.Now(), false, bars)
}

// pace is the time between two progress events: what a terminal shows, or what
// --json prints.
func (a *app) pace() time.Duration {
	if a.out.Terminal && !a.global.json {
		return term.DrawEvery
	}
	return 500 * time.Millisecond
}

// tell shows an event that a person or a program should know of.
func (a *app) tell(e api.Event) error {
	switch e := e.(type) {
	case *api.Changed:
		if a.global.json {
			a.print(e)
			return nil
		}
		a.out.Say("%s: %s changed on disk and no longer offered: %s", api.Safe(e.Name), term.Count(e.Count, "file"), api.Safe(strings.Join(e.Files[:min(len(e.Files), 3)], ", ")))
	case *api.Notice:
		if a.global.json {
			a.print(e)
			return nil
		}
		a.out.Say("%s", api.Safe(e.Text))
	case *api.Penalised:
		if a.global.json {
			a.print(e)
		}
	}
	return nil
}
