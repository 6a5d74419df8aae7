package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"shoal/internal/door/api"
	"shoal/internal/door/cli/term"
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
	t := &term.Table{}
	t.Add("name", api.Safe(m.Name))
	if m.RawName != "" {
		t.Add("", "in the file: "+api.Safe(m.RawName))
	}
	t.Add("format", m.Format)
	addHashes(t, m.InfoHashV1, m.InfoHashV2)
	t.Add("size", fmt.Sprintf("%s (%d bytes) in %s", api.FormatSize(m.Bytes), m.Bytes, term.Count(m.Files, "file")))
	t.Add("pieces", fmt.Sprintf("%d of %s", m.Pieces, formatPiece(m.PieceLength)))
	if m.Padding > 0 {
		t.Add("padding", api.FormatSize(m.Padding))
	}
	if m.Private {
		t.Add("private", "yes")
	}
	if len(m.Groups) > 0 {
		t.Add("for", "the members of "+strings.Join(m.Groups, ", "))
	}
	for i, tier := range m.Trackers {
		t.Add("tracker", fmt.Sprintf("tier %d: %s", i+1, api.Safe(strings.Join(tier, " "))))
	}
	for _, w := range m.WebSeeds {
		t.Add("web seed", api.Safe(w))
	}
	if m.Comment != "" {
		t.Add("comment", api.Safe(m.Comment))
	}
	if m.CreatedBy != "" {
		t.Add("made by", api.Safe(m.CreatedBy)+", "+formatTime(m.Created))
	}
	t.Add("link", api.Safe(m.Link))
	t.Write(a.Stdout)
	files := &term.Table{Right: map[int]bool{0: true}}
	for _, f := range m.FileList {
		note := ""
		switch {
		case f.Symlink:
			note = "a link, which is not made"
		case f.Raw != "":
			note = "in the file: " + api.Safe(f.Raw)
		}
		files.Add(api.FormatSize(f.Bytes), api.Safe(f.Path), note)
	}
	a.line("")
	files.Write(a.Stdout)
	return nil
}

func addHashes(t *term.Table, v1, v2 string) {
	if v1 != "" {
		t.Add("v1 hash", v1)
	}
	if v2 != "" {
		t.Add("v2 hash", v2)
	}
}

// showDetail prints everything about a share of the node.
func (a *app) showDetail(d api.Detail) {
	t := &term.Table{}
	t.Add("name", api.Safe(d.Name))
	t.Add("path", api.Safe(d.Path))
	if len(d.Groups) > 0 {
		t.Add("for", audience(d.Groups))
	}
	state := stateOf(d.Share)
	if d.Problem != "" {
		state += ": " + api.Safe(d.Problem)
	}
	t.Add("state", state)
	t.Add("done", fmt.Sprintf("%s of %s, %d of %s", api.FormatSize(d.BytesDone), sizeOf(d.Share), d.PiecesDone, term.Count(d.Pieces, "piece")))
	t.Add("down", fmt.Sprintf("%s in all, %s now, limit %s", api.FormatSize(d.Downloaded), rateOrDash(d.DownRate), d.Limits.Down))
	t.Add("up", fmt.Sprintf("%s in all, %s now, limit %s", api.FormatSize(d.Uploaded), rateOrDash(d.UpRate), d.Limits.Up))
	if d.Wasted > 0 {
		t.Add("wasted", api.FormatSize(d.Wasted))
	}
	t.Add("format", strings.TrimSpace(d.Format+map[bool]string{true: " private"}[d.Private]))
	addHashes(t, d.InfoHashV1, d.InfoHashV2)
	t.Add("piece", formatPiece(d.PieceLength))
	t.Add("added", formatTime(d.Added)+" by "+string(d.Origin))
	t.Add("completed", formatTime(d.Completed))
	if d.Comment != "" {
		t.Add("comment", api.Safe(d.Comment))
	}
	t.Add("link", api.Safe(d.Link))
	t.Write(a.Stdout)
	a.showLists(d)
}

// showLists prints files, peers and trackers.
func (a *app) showLists(d api.Detail) {
	files := &term.Table{Head: []string{"SIZE", "DONE", "FILE"}, Right: map[int]bool{0: true, 1: true}}
	for _, f := range d.FileList {
		done := "not wanted"
		if f.Selected {
			done = donePart(api.Share{BytesDone: f.Done, BytesWanted: f.Bytes})
		}
		files.Add(api.FormatSize(f.Bytes), done, api.Safe(f.Path))
	}
	peers := &term.Table{Head: []string{"PEER", "CLIENT", "HAS", "DOWN", "UP", "FLAGS"}, Right: map[int]bool{2: true, 3: true, 4: true}, Cut: map[int]int{1: 30}}
	for _, p := range d.PeerList {
		peers.Add(peerName(p), api.Safe(p.Client), percent(p.Have), rateOrDash(p.DownRate), rateOrDash(p.UpRate), p.Flags)
	}
	trackers := &term.Table{Head: []string{"TRACKER", "SEEDERS", "LEECHERS", "SAYS"}, Right: map[int]bool{1: true, 2: true}, Cut: map[int]int{3: 60}}
	for _, tr := range d.Trackers {
		trackers.Add(api.Safe(tr.URL), unknownOr(tr.Seeders), unknownOr(tr.Leechers), api.Safe(tr.Message))
	}
	for _, t := range []*term.Table{files, peers, trackers, locatorTable(d.Locators)} {
		if !t.Empty() {
			a.line("")
			t.Write(a.Stdout)
		}
	}
}

func unknownOr(n int) string {
	if n < 0 {
		return "-"
	}
	return fmt.Sprint(n)
}
