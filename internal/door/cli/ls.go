package cli

import (
	"context"

	"github.com/spf13/cobra"
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
			a.page().Shares(list)
			return nil
		})
	})
}
