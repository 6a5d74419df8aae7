package cli

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"shoal/internal/door/api"
	"shoal/internal/door/cli/view"
)

func (a *app) group() *cobra.Command {
	c := &cobra.Command{
		Use:     "group",
		Short:   "Found, list, show and leave groups; remove members",
		GroupID: groupPeople,
		Long: "A group is a list of nodes, signed by its members and kept by each of them, with no server. An admin invites\n" +
			"(shoal invite) and removes; who holds a ticket joins (shoal join). G is the name of a group, or 4 or more\n" +
			"digits of the beginning of its id.",
		Example: "  shoal group new family     this node is its first admin\n  shoal invite family        prints a ticket for one other node\n  shoal group show family    who is in it, and who is online",
		Args:    a.noCommand,
		RunE:    func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.DisableFlagsInUseLine = true
	c.AddCommand(a.groupNew(), a.groupLs(), a.groupShow(), a.groupLeave(), a.groupRemove())
	return c
}

// completeGroups completes G with the names of the groups of the node that runs.
func (a *app) completeGroups(_ *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	var out []string
	if len(args) == 0 {
		a.atRunning(func(ctx context.Context, c *api.Client) {
			list, _ := c.Groups(ctx)
			for _, g := range list {
				if strings.HasPrefix(g.Name, begun) && api.Safe(g.Name) == g.Name {
					out = append(out, g.Name)
				}
			}
		})
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

// completeMembers completes G NODE.
func (a *app) completeMembers(c *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	if len(args) != 1 {
		return a.completeGroups(c, args, begun)
	}
	var out []string
	a.atRunning(func(ctx context.Context, c *api.Client) {
		d, _ := c.Group(ctx, args[0])
		for _, m := range d.MemberList {
			if strings.HasPrefix(m.NodeID, begun) && !m.Self {
				out = append(out, m.NodeID+"\t"+api.Safe(m.Name))
			}
		}
	})
	return out, cobra.ShellCompDirectiveNoFileComp
}

// atRunning asks the node that runs, if one does, for a completion.
func (a *app) atRunning(ask func(context.Context, *api.Client)) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if c, err := a.Program.Connect(ctx, a.global.home); err == nil && c != nil {
		defer c.Close()
		ask(ctx, c)
	}
}

// tellGroup shows an event of groups; others it passes over.
func (a *app) tellGroup(e api.Event) {
	switch text := view.GroupEvent(e); {
	case text == "":
	case a.global.json:
		a.print(e)
	default:
		a.out.Say("%s", text)
	}
}

// How long a node that this command runs waits to meet a member, and goes on so that what
// it has to say arrives.
const (
	meetWithin = 5 * time.Second
	lingerFor  = 2 * time.Second
)

// meet waits until a member of a group is connected, where the node has only just begun;
// it says whether one is. A running node has had its time.
func (a *app) meet(ctx context.Context, s *session, g string) (bool, error) {
	limit := time.NewTimer(meetWithin)
	defer limit.Stop()
	ask := time.NewTicker(askEvery)
	defer ask.Stop()
	for {
		d, err := s.client.Group(ctx, g)
		if err != nil || d.Online > 0 || d.Members < 2 || !s.mine() {
			return d.Online > 0, err
		}
		select {
		case <-ask.C:
		case <-limit.C:
			return false, nil
		case <-ctx.Done():
			return false, context.Cause(ctx)
		}
	}
}

// linger lets the node of this command go on for a moment.
func (a *app) linger(ctx context.Context, s *session) {
	if !s.mine() {
		return
	}
	t := time.NewTimer(lingerFor)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
