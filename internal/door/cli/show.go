package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"shoal/internal/door/api"
)

func (a *app) show() *cobra.Command {
	return a.command(&cobra.Command{
		Use:     "show X",
		Short:   "Show one share, or what a .torrent says without adding it",
		GroupID: groupLook,
		Long: "show tells everything about one share: X is its name, a unique prefix of its info hash, its link or its\n" +
			".torrent. A FILE.torrent is read and judged without a node; one that must not be trusted is refused (exit code 4).",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeShares,
	}, func(ctx context.Context, args []string) error {
		x := args[0]
		if isTorrentFile(x) || strings.HasSuffix(strings.ToLower(x), ".torrent") && strings.ContainsAny(x, `/\`) {
			return a.showMetainfo(x)
		}
		id, err := identify(x)
		if err != nil {
			return err
		}
		return a.offline(ctx, func(ctx context.Context, s *session) error {
			d, err := s.client.Detail(ctx, id)
			if err != nil {
				return err
			}
			if a.global.json {
				a.print(d)
				return nil
			}
			a.showDetail(d)
			return nil
		})
	})
}

// showMetainfo prints what a .torrent says.
func (a *app) showMetainfo(path string) error {
	m, err := readMetainfo(path)
	if err != nil {
		return err
	}
	if a.global.json {
		a.print(m)
		return nil
	}
	t := &table{}
	t.add("name", api.Safe(m.Name))
	if m.RawName != "" {
		t.add("", "in the file: "+api.Safe(m.RawName))
	}
	t.add("format", m.Format)
	addHashes(t, m.InfoHashV1, m.InfoHashV2)
	t.add("size", fmt.Sprintf("%s (%d bytes) in %s", api.FormatSize(m.Bytes), m.Bytes, count(m.Files, "file")))
	t.add("pieces", fmt.Sprintf("%d of %s", m.Pieces, formatPiece(m.PieceLength)))
	if m.Padding > 0 {
		t.add("padding", api.FormatSize(m.Padding))
	}
	if m.Private {
		t.add("private", "yes")
	}
	for i, tier := range m.Trackers {
		t.add("tracker", fmt.Sprintf("tier %d: %s", i+1, api.Safe(strings.Join(tier, " "))))
	}
	for _, w := range m.WebSeeds {
		t.add("web seed", api.Safe(w))
	}
	if m.Comment != "" {
		t.add("comment", api.Safe(m.Comment))
	}
	if m.CreatedBy != "" {
		t.add("made by", api.Safe(m.CreatedBy)+", "+formatTime(m.Created))
	}
	t.add("link", api.Safe(m.Link))
	t.write(a.Stdout)
	files := &table{right: map[int]bool{0: true}}
	for _, f := range m.FileList {
		note := ""
		switch {
		case f.Symlink:
			note = "a link, which is not made"
		case f.Raw != "":
			note = "in the file: " + api.Safe(f.Raw)
		}
		files.add(api.FormatSize(f.Bytes), api.Safe(f.Path), note)
	}
	a.line("")
	files.write(a.Stdout)
	return nil
}

func addHashes(t *table, v1, v2 string) {
	if v1 != "" {
		t.add("v1 hash", v1)
	}
	if v2 != "" {
		t.add("v2 hash", v2)
	}
}

// showDetail prints everything about a share of the node.
func (a *app) showDetail(d api.Detail) {
	t := &table{}
	t.add("name", api.Safe(d.Name))
	t.add("path", api.Safe(d.Path))
	state := stateOf(d.Share)
	if d.Problem != "" {
		state += ": " + api.Safe(d.Problem)
	}
	t.add("state", state)
	t.add("done", fmt.Sprintf("%s of %s, %d of %s", api.FormatSize(d.BytesDone), sizeOf(d.Share), d.PiecesDone, count(d.Pieces, "piece")))
	t.add("down", fmt.Sprintf("%s in all, %s now, limit %s", api.FormatSize(d.Downloaded), rateOrDash(d.DownRate), d.Limits.Down))
	t.add("up", fmt.Sprintf("%s in all, %s now, limit %s", api.FormatSize(d.Uploaded), rateOrDash(d.UpRate), d.Limits.Up))
	if d.Wasted > 0 {
		t.add("wasted", api.FormatSize(d.Wasted))
	}
	t.add("format", strings.TrimSpace(d.Format+map[bool]string{true: " private"}[d.Private]))
	addHashes(t, d.InfoHashV1, d.InfoHashV2)
	t.add("piece", formatPiece(d.PieceLength))
	t.add("added", formatTime(d.Added)+" by "+string(d.Origin))
	t.add("completed", formatTime(d.Completed))
	if d.Comment != "" {
		t.add("comment", api.Safe(d.Comment))
	}
	t.add("link", api.Safe(d.Link))
	t.write(a.Stdout)
	a.showLists(d)
}

// showLists prints files, peers and trackers.
func (a *app) showLists(d api.Detail) {
	files := &table{head: []string{"SIZE", "DONE", "FILE"}, right: map[int]bool{0: true, 1: true}}
	for _, f := range d.FileList {
		done := "not wanted"
		if f.Selected {
			done = donePart(api.Share{BytesDone: f.Done, BytesWanted: f.Bytes})
		}
		files.add(api.FormatSize(f.Bytes), done, api.Safe(f.Path))
	}
	peers := &table{head: []string{"PEER", "CLIENT", "HAS", "DOWN", "UP", "FLAGS"}, right: map[int]bool{2: true, 3: true, 4: true}, cut: map[int]int{1: 30}}
	for _, p := range d.PeerList {
		peers.add(api.Safe(p.Address), api.Safe(p.Client), fmt.Sprintf("%d %%", int(p.Have*100)), rateOrDash(p.DownRate), rateOrDash(p.UpRate), p.Flags)
	}
	trackers := &table{head: []string{"TRACKER", "SEEDERS", "LEECHERS", "SAYS"}, right: map[int]bool{1: true, 2: true}, cut: map[int]int{3: 60}}
	for _, tr := range d.Trackers {
		trackers.add(api.Safe(tr.URL), unknownOr(tr.Seeders), unknownOr(tr.Leechers), api.Safe(tr.Message))
	}
	for _, t := range []*table{files, peers, trackers} {
		if len(t.rows) > 0 {
			a.line("")
			t.write(a.Stdout)
		}
	}
}

func unknownOr(n int) string {
	if n < 0 {
		return "-"
	}
	return fmt.Sprint(n)
}
