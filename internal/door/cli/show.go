package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"
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
			a.page().Detail(d)
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
	a.page().Metainfo(m)
	return nil
}
