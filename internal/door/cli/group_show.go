package cli

import (
	"context"

	"github.com/spf13/cobra"
)

func (a *app) groupShow() *cobra.Command {
	return a.command(&cobra.Command{
		Use:   "show G",
		Short: "Show one group: its members, and this node's tickets",
		Long: "show tells who is in a group: what each member calls itself and the end of its NodeID (with --json: all of\n" +
			"it), whether it is connected, who admitted it and when, and where it was last reached. `refuses` means that\n" +
			"the member does not take this node for one: perhaps this node was removed while it was away.\n" +
			"Tickets are listed without what is secret in them.",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeGroups,
	}, func(ctx context.Context, args []string) error {
		return a.offline(ctx, func(ctx context.Context, s *session) error {
			d, err := s.client.Group(ctx, args[0])
			if err != nil {
				return err
			}
			if a.global.json {
				a.print(d)
				return nil
			}
			a.page().Group(d)
			return nil
		})
	})
}
