package cli

import (
	"context"

	"github.com/spf13/cobra"

	"shoal/internal/door/api"
	"shoal/internal/door/cli/term"
)

func (a *app) groupLeave() *cobra.Command {
	return a.command(&cobra.Command{
		Use:   "leave G",
		Short: "End this node's membership and forget the group",
		Long: "leave tells the members that are connected, and forgets the group; the others hear it from those. To come back\n" +
			"takes a new ticket. A group that this node was removed from is just forgotten.",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeGroups,
	}, func(ctx context.Context, args []string) error {
		return a.with(ctx, StartOptions{Quiet: true}, func(ctx context.Context, s *session) error {
			d, err := s.client.Group(ctx, args[0])
			if err != nil {
				return err
			}
			if d.Rights != api.RightsNone {
				if _, err := a.meet(ctx, s, d.ID); err != nil {
					return err
				}
			}
			left, err := s.client.LeaveGroup(ctx, d.ID)
			if err != nil {
				return err
			}
			if a.global.json {
				a.print(left)
			} else {
				a.showLeft(left, d.Rights != api.RightsNone)
			}
			return nil
		})
	})
}

func (a *app) showLeft(l api.GroupLeft, was bool) {
	a.line("left %s", api.Safe(l.Name))
	switch {
	case l.Members == 0 || !was:
	case l.Told == 0:
		a.out.Say("no member could be reached: to them this node is a member until an admin removes it")
	case l.Told < l.Members:
		a.out.Say("%d of %s know, the others hear it from them", l.Told, term.Count(l.Members, "member"))
	}
	if l.NoAdmin {
		a.out.Say("nobody is left in it who can invite or remove")
	}
}
