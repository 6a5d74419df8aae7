package view

import (
	"fmt"
	"strconv"

	"shoal/internal/door/api"
	"shoal/internal/door/cli/term"
)

// Groups is what `group ls` shows.
func (p Page) Groups(list []api.Group) {
	t := &term.Table{Head: []string{"NAME", "MEMBERS", "ONLINE", "RIGHTS", "TICKETS", "ID"},
		Right: map[int]bool{1: true, 2: true, 4: true}, Cut: map[int]int{0: 40}, Width: p.width, Spare: []int{4, 3, 1}}
	for _, g := range list {
		t.Add(api.Safe(g.Name), strconv.Itoa(g.Members), strconv.Itoa(g.Online), Rights(g.Rights), strconv.Itoa(g.Tickets), Short(g.ID))
	}
	t.Write(p.w)
}

// Rights are what a node may do in a group, in a word.
func Rights(r api.Rights) string {
	if r == api.RightsNone {
		return "removed"
	}
	return api.Safe(string(r))
}

// Group is everything about one group.
func (p Page) Group(d api.GroupDetail) {
	t := &term.Table{}
	t.Add("name", api.Safe(d.Name))
	t.Add("id", d.ID)
	t.Add("rights", Rights(d.Rights))
	t.Add("members", fmt.Sprintf("%d, %d of the others online", d.Members, d.Online))
	t.Add("list", fmt.Sprintf("%d signed entries", d.Entries))
	t.Write(p.w)
	names := map[string]string{}
	for _, m := range d.MemberList {
		names[m.NodeID] = m.Name
	}
	members := &term.Table{Head: []string{"MEMBER", "NODE", "RIGHTS", "STATE", "ADMITTED BY", "SINCE", "REACHED AT"}, Cut: map[int]int{0: 30, 4: 30}, Width: p.width, Spare: []int{4, 5, 2, 6}}
	for _, m := range d.MemberList {
		members.Add(api.Safe(m.Name), Node(m.NodeID, ""), Rights(m.Rights), memberState(m), admittedBy(m, names), Time(m.Since), reachedAt(m.Addresses))
	}
	tickets := &term.Table{Head: []string{"TICKET UNTIL", "USED", "RIGHTS"}}
	for _, k := range d.TicketList {
		tickets.Add(Time(k.Expires), fmt.Sprintf("%d of %d", k.Used, k.Uses), Rights(k.Rights))
	}
	for _, t := range []*term.Table{members, tickets} {
		if !t.Empty() {
			p.line("")
			t.Write(p.w)
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
	return Node(m.By, "")
}

// reachedAt is the best way to a member, and how many more are known.
func reachedAt(ways []api.Reachable) string {
	if len(ways) == 0 {
		return "-"
	}
	s := api.Safe(ways[0].Address)
	if ways[0].Relay != "" {
		s += " (relay " + Node(ways[0].Relay, "") + ")"
	}
	if n := len(ways) - 1; n > 0 {
		s += fmt.Sprintf(" and %d more", n)
	}
	return s
}

// GroupEvent tells an event of groups in a line; "" for another event.
func GroupEvent(e api.Event) string {
	var text string
	switch e := e.(type) {
	case *api.GroupEvent:
		switch {
		case e.Event == api.EventGroupJoined:
			text = "this node is a member of " + api.Safe(e.Name)
		case e.Removed:
			text = "this node was removed from " + api.Safe(e.Name)
		default:
			text = "this node left " + api.Safe(e.Name)
		}
	case *api.MemberEvent:
		text = Node(e.NodeID, e.NodeName)
		switch {
		case e.Event == api.EventMemberRemoved:
			text += " is no member of " + api.Safe(e.Name) + " any more"
		case e.Code != "":
			text += " joined " + api.Safe(e.Name) + " by a ticket of this node; code " + api.Safe(e.Code) + ": " + CompareAloud
		default:
			text += " joined " + api.Safe(e.Name)
		}
	}
	return text
}
