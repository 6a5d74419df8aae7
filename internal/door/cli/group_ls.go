package cli

import (
	"context"

	"github.com/spf13/cobra"
)

func (a *app) groupLs() *cobra.Command {
	return a.command(&cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List the groups of this node",
		Long: "ls lists the groups of this node: how many members each has, how many of them are connected now, what this\n" +
			"node may do in it (`removed`: another ended its membership; leave forgets the group), and how many of its\n" +
			"tickets can still be used.",
		Args: cobra.NoArgs,
	}, func(ctx context.Context, _ []string) error {
		return a.offline(ctx, func(ctx context.Context, s *session) error {
			list, err := s.client.Groups(ctx)
			if err != nil {
				return err
			}
			if a.global.json {
				for _, g := range list {
					a.print(g)
				}
				return nil
			}
			if len(list) == 0 {
				a.out.Say("this node is in no group; `shoal group new NAME` founds one, `shoal join TICKET` joins one")
				return nil
			}
			a.page().Groups(list)
			return nil
		})
	})
}
