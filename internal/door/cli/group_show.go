package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"shoal/internal/door/api"
	"shoal/internal/door/cli/term"
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
			a.showGroup(d)
			return nil
		})
	})
}

func (a *app) showGroup(d api.GroupDetail) {
	t := &term.Table{}
	t.Add("name", api.Safe(d.Name))
	t.Add("id", d.ID)
	t.Add("rights", rightsOf(d.Rights))
	t.Add("members", fmt.Sprintf("%d, %d of the others online", d.Members, d.Online))
	t.Add("list", fmt.Sprintf("%d signed entries", d.Entries))
	t.Write(a.Stdout)
	names := map[string]string{}
	for _, m := range d.MemberList {
		names[m.NodeID] = m.Name
	}
	members := &term.Table{Head: []string{"MEMBER", "NODE", "RIGHTS", "STATE", "ADMITTED BY", "SINCE", "REACHED AT"}, Cut: map[int]int{0: 30, 4: 30}, Width: a.columns()}
	for _, m := range d.MemberList {
		members.Add(api.Safe(m.Name), nodeName(m.NodeID, ""), rightsOf(m.Rights), memberState(m), admittedBy(m, names), formatTime(m.Since), reachedAt(m.Addresses))
	}
	tickets := &term.Table{Head: []string{"TICKET UNTIL", "USED", "RIGHTS"}}
	for _, k := range d.TicketList {
		tickets.Add(formatTime(k.Expires), fmt.Sprintf("%d of %d", k.Used, k.Uses), rightsOf(k.Rights))
	}
	for _, t := range []*term.Table{members, tickets} {
		if !t.Empty() {
			a.line("")
			t.Write(a.Stdout)
		}
	}
}

func memberState(m api.Member) string {
	switch {
	case m.Self:
		return "this node"
	case m.Refuses:
		return "refuses"
	case m.Online:
		return "online"
	}
	return "-"
}

// admittedBy is the name of who let a member in, if that is a member still.
func admittedBy(m api.Member, names map[string]string) string {
	switch m.By {
	case "":
		return "-"
	case m.NodeID:
		return "founder"
	}
	if name := names[m.By]; name != "" {
		return api.Safe(name)
	}
	return nodeName(m.By, "")
}

// reachedAt is the best way to a member, and how many more are known.
func reachedAt(ways []api.Reachable) string {
	if len(ways) == 0 {
		return "-"
	}
	s := api.Safe(ways[0].Address)
	if ways[0].Relay != "" {
		s += " (relay " + nodeName(ways[0].Relay, "") + ")"
	}
	if n := len(ways) - 1; n > 0 {
		s += fmt.Sprintf(" and %d more", n)
	}
	return s
}
