package cli

import (
	"context"
	"slices"
	"strconv"

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
				a.tellOrphans(ctx, s, d.ID)
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

// tellOrphans says how many shares nobody can fetch any more since this node left a group.
func (a *app) tellOrphans(ctx context.Context, s *session, id string) {
	list, err := s.client.List(ctx)
	if err != nil {
		return // the group is left all the same
	}
	var names []string
	for _, sh := range list {
		was := slices.ContainsFunc(sh.Groups, func(g api.GroupRef) bool { return g.ID == id })
		if was && !slices.ContainsFunc(sh.Groups, func(g api.GroupRef) bool { return g.Name != "" }) {
			names = append(names, api.Safe(sh.Name))
		}
	}
	if n := len(names); n > 0 {
		what := names[0]
		if n > 1 {
			what += " (and " + strconv.Itoa(n-1) + " more)"
		}
		a.out.Say("nobody can fetch %s from this node now, which was for its members alone; `shoal rm` forgets a share and leaves its files", what)
	}
}
