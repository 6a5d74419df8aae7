package cli

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"shoal/internal/door/api"
	"shoal/internal/door/cli/term"
)

func (a *app) ls() *cobra.Command {
	return a.command(&cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List the shares of this home",
		GroupID: groupLook,
		Args:    cobra.NoArgs,
	}, func(ctx context.Context, _ []string) error {
		return a.offline(ctx, func(ctx context.Context, s *session) error {
			list, err := s.client.List(ctx)
			if err != nil {
				return err
			}
			if a.global.json {
				for _, sh := range list {
					a.print(sh)
				}
				return nil
			}
			if len(list) == 0 {
				a.out.Say("nothing is shared or fetched yet; `shoal share PATH` or `shoal get LINK` begins")
				return nil
			}
			t := shareTable(list)
			t.Width = a.columns()
			t.Write(a.Stdout)
			return nil
		})
	})
}

// shareTable is what `ls` shows.
func shareTable(list []api.Share) *term.Table {
	t := &term.Table{Head: []string{"NAME", "STATE", "SIZE", "DONE", "DOWN", "UP", "PEERS", "INFO HASH"},
		Right: map[int]bool{2: true, 3: true, 4: true, 5: true, 6: true}, Cut: map[int]int{0: 40, 8: 30}}
	to := slices.ContainsFunc(list, func(s api.Share) bool { return len(s.Groups) > 0 })
	if to {
		t.Head = append(t.Head, "FOR")
	}
	for _, s := range list {
		cells := []string{api.Safe(s.Name), stateOf(s), sizeOf(s), donePart(s), rateOrDash(s.DownRate), rateOrDash(s.UpRate),
			strconv.Itoa(s.Peers), short(s.InfoHash)}
		if to {
			who := "everybody"
			if len(s.Groups) > 0 {
				who = groupNames(s.Groups)
			}
			cells = append(cells, who)
		}
		t.Add(cells...)
	}
	return t
}

// stateOf is the state in a word. Originals that lack pieces are never fetched: they were
// changed or removed.
func stateOf(s api.Share) string {
	if s.Origin == api.OriginShare && s.State == api.StateDownloading {
		return "changed"
	}
	return string(s.State)
}

func sizeOf(s api.Share) string {
	if s.State == api.StateMetadata || s.Pieces == 0 && s.Bytes == 0 {
		return "-"
	}
	return api.FormatSize(s.BytesWanted)
}

// donePart never rounds up to 100 % what is not complete.
func donePart(s api.Share) string {
	switch {
	case s.State == api.StateMetadata:
		return "-"
	case s.BytesDone >= s.BytesWanted:
		return "100 %"
	}
	return fmt.Sprintf("%d %%", min(99, s.BytesDone*100/max(s.BytesWanted, 1)))
}

func rateOrDash(r api.Rate) string {
	if r == 0 {
		return "-"
	}
	return r.String()
}

// short is enough of an info hash to name a share.
func short(hash string) string { return hash[:min(len(hash), 12)] }

func formatTime(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.UTC().Format("2006-01-02 15:04:05 UTC")
}

func formatSeconds(s float64) string {
	if s < 60 {
		return fmt.Sprintf("%.1f s", s)
	}
	return term.FormatETA(s)
}

func count64(n int64, unit string) string { return strconv.FormatInt(n, 10) + " " + unit }
