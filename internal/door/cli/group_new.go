package cli

import (
	"context"

	"github.com/spf13/cobra"

	"shoal/internal/door/api"
	"shoal/internal/door/cli/view"
)

func (a *app) groupNew() *cobra.Command {
	return a.command(&cobra.Command{
		Use:     "new NAME",
		Short:   "Found a group; this node is its first admin",
		Long:    "new founds a group. Its NAME (at most 64 bytes) is what every member will see; it cannot be changed later.\nNobody else knows of it until you give out a ticket (shoal invite).",
		Example: "  shoal group new family",
		Args:    cobra.ExactArgs(1),
	}, func(ctx context.Context, args []string) error {
		return a.offline(ctx, func(ctx context.Context, s *session) error {
			g, err := s.client.NewGroup(ctx, api.GroupRequest{Name: args[0]})
			if err != nil {
				return err
			}
			if a.global.json {
				a.print(g)
				return nil
			}
			a.line("%s: a new group, id %s", api.Safe(g.Name), view.Short(g.ID))
			a.out.Say("`shoal invite` makes a ticket for another node")
			return nil
		})
	})
}
