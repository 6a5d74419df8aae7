package cli

import (
	"context"

	"github.com/spf13/cobra"

	"shoal/internal/door/api"
	"shoal/internal/door/cli/view"
)

// removedMember is the result of `group remove`.
type removedMember struct {
	Group string `json:"group"`
	Name  string `json:"name"`
	api.Member
}

func (a *app) groupRemove() *cobra.Command {
	return a.command(&cobra.Command{
		Use:   "remove G NODE",
		Short: "End another node's membership",
		Long: "remove takes a node out of a group, which only an admin may do. Each member that hears of it drops the node at\n" +
			"once, on every connection; those that are away hear of it when they come back. NODE is the name of a member,\n" +
			"its NodeID, or at least 4 characters of the end of that. What it has already fetched stays with it.",
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: a.completeMembers,
	}, func(ctx context.Context, args []string) error {
		return a.with(ctx, StartOptions{Quiet: true}, func(ctx context.Context, s *session) error {
			d, err := s.client.Group(ctx, args[0])
			if err != nil {
				return err
			}
			m, err := s.client.RemoveMember(ctx, d.ID, args[1])
			if err != nil {
				return err
			}
			if a.global.json {
				a.print(removedMember{Group: d.ID, Name: d.Name, Member: m})
			} else {
				a.line("removed %s from %s", view.Node(m.NodeID, m.Name), api.Safe(d.Name))
			}
			if d.Members <= 2 {
				return nil // nobody else is left to hear of it
			}
			return a.spread(ctx, s, d.ID)
		})
	})
}

// spread keeps the node of this command until somebody has heard of a change.
func (a *app) spread(ctx context.Context, s *session, g string) error {
	met, err := a.meet(ctx, s, g)
	switch {
	case api.KindOf(err) == api.Interrupted:
		return nil // it is done, and kept
	case err != nil:
		return err
	case met:
		a.linger(ctx, s)
	case s.mine():
		a.out.Say("no member is connected; they hear of it when this node runs: shoal up")
	}
	return nil
}
