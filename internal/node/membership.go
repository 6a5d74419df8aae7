package node

import (
	"context"
	"errors"
	"strings"
	"time"

	"shoal/internal/adapter/overlay"
	"shoal/internal/core/group"
	"shoal/internal/core/ident"
	"shoal/internal/door/api"
	"shoal/internal/node/groups"
)

// Identity implements httpd.Identity.
func (n *Node) Identity(context.Context) (api.Identity, error) {
	return api.Identity{NodeID: n.id, Name: n.name(), Code: ident.CodeOf(n.key.ID())}, nil
}

// Groups implements httpd.Groups.
func (n *Node) Groups(context.Context) ([]api.Group, error) {
	list, err := n.groups.List()
	if err != nil {
		return nil, groupProblem(err)
	}
	var out []api.Group
	for i := range list {
		out = append(out, groupOf(&list[i]))
	}
	return out, nil
}

// Group implements httpd.Groups.
func (n *Node) Group(_ context.Context, id string) (api.GroupDetail, error) {
	d, err := n.groups.Show(id)
	if err != nil {
		return api.GroupDetail{}, groupProblem(err)
	}
	out := api.GroupDetail{Group: groupOf(&d.Summary), Entries: d.Entries}
	for _, h := range d.Heads {
		out.Heads = append(out.Heads, group.ID(h).String())
	}
	for i := range d.Members {
		out.MemberList = append(out.MemberList, memberOf(&d.Members[i]))
	}
	for i := range d.Open {
		t := &d.Open[i]
		out.TicketList = append(out.TicketList, api.Ticket{Expires: since(t.Expires), Uses: t.Uses, Used: len(t.By), Rights: rightsOf(t.Rights)})
	}
	return out, nil
}

// NewGroup implements httpd.Groups.
func (n *Node) NewGroup(_ context.Context, r api.GroupRequest) (api.Group, error) {
	if !group.NameFits(r.Name) {
		return api.Group{}, api.Errorf(api.Invalid, r.Name, "the name of a group has 1 to %d bytes, no control characters, and no blank at its ends", api.MaxGroupName)
	}
	had, err := n.groups.List()
	if err != nil {
		return api.Group{}, groupProblem(err)
	}
	for i := range had {
		if had[i].Name == r.Name { // the name would not be enough for either from then on
			return api.Group{}, api.Errorf(api.Exists, r.Name, "this node is in a group of that name already").
				Try("`shoal group show %s` shows it; else choose another name", had[i].ID.String()[:12])
		}
	}
	s, err := n.groups.Create(r.Name)
	if err != nil {
		return api.Group{}, groupProblem(err)
	}
	return groupOf(&s), nil
}

// LeaveGroup implements httpd.Groups.
func (n *Node) LeaveGroup(ctx context.Context, id string) (api.GroupLeft, error) {
	gone, err := n.groups.Leave(ctx, id)
	if err != nil {
		return api.GroupLeft{}, groupProblem(err)
	}
	return api.GroupLeft{ID: gone.Group.String(), Name: gone.Name, Members: gone.Members, Told: gone.Told, NoAdmin: gone.NoAdmin}, nil
}

// RemoveMember implements httpd.Groups.
func (n *Node) RemoveMember(_ context.Context, id, node string) (api.Member, error) {
	p, err := n.groups.Remove(id, node)
	if err != nil {
		return api.Member{}, groupProblem(err)
	}
	return memberOf(&groups.Seen{Person: p}), nil
}

// Invite implements httpd.Tickets.
func (n *Node) Invite(_ context.Context, id string, r api.InviteRequest) (api.Invitation, error) {
	rights := group.Member
	if r.Rights == api.RightsAdmin {
		rights = group.Admin
	}
	addrs, local := n.ticketAddrs()
	t, issued, err := n.groups.Invite(id, r.Uses, time.Duration(r.Expires*float64(time.Second)), rights, addrs)
	if err != nil {
		return api.Invitation{}, groupProblem(err)
	}
	return api.Invitation{Ticket: t.String(), Group: t.Group.String(), Name: t.Name, Expires: since(issued.Expires), Uses: issued.Uses,
		Rights: rightsOf(issued.Rights), Addresses: reachable(t.Addrs), Local: local}, nil
}

// ticketAddrs are where others reach this node, and whether none of that leads here from
// outside the local network. This machine's own addresses are nothing to others, unless all
// nodes are on it. Nil: it is not known yet.
func (n *Node) ticketAddrs() (list []group.Address, local bool) {
	scope := n.opts.Config.Network.Scope
	if n.net == nil || scope == Loopback {
		return nil, false
	}
	host := n.net.Members().Host()
	if host == nil {
		return nil, false
	}
	list, local = []group.Address{}, scope == Internet
	for _, a := range host.Addrs() {
		if a.At.Addr().IsLoopback() {
			continue
		}
		list = append(list, a)
		local = local && scope.Allow(a.At) != nil
	}
	return list, local && len(list) > 0
}

// Revoke implements httpd.Tickets.
func (n *Node) Revoke(_ context.Context, id string) (api.Revoked, error) {
	d, err := n.groups.Show(id)
	if err == nil {
		err = n.groups.Revoke(id)
	}
	if err != nil {
		return api.Revoked{}, groupProblem(err)
	}
	return api.Revoked{Group: d.ID.String(), Name: d.Name, Tickets: d.Tickets}, nil
}

// Join implements httpd.Tickets.
func (n *Node) Join(ctx context.Context, ticket string) (api.Admission, error) {
	a, err := n.join(ctx, ticket)
	if err != nil {
		return api.Admission{}, groupProblem(err)
	}
	return api.Admission{Group: a.Group.String(), Name: a.Name, Inviter: a.Inviter.String(), InviterName: a.InviterName, Code: a.Code, Already: a.Already}, nil
}

// join redeems a ticket, where this node reaches anybody.
func (n *Node) join(ctx context.Context, ticket string) (groups.Admission, error) {
	if n.net == nil {
		return n.groups.Join(ctx, ticket)
	}
	return n.net.Members().Join(ctx, ticket)
}

func groupOf(s *groups.Summary) api.Group {
	return api.Group{ID: s.ID.String(), Name: s.Name, Members: s.Members, Online: s.Online, Rights: rightsOf(s.Rights), Tickets: s.Tickets}
}

func memberOf(m *groups.Seen) api.Member {
	return api.Member{NodeID: m.Node.String(), Name: m.Name, Rights: rightsOf(m.Rights), By: m.By.String(), Since: since(m.Since), Self: m.Self,
		Online: m.Online, Refuses: m.Refuses, Addresses: reachable(m.Addrs)}
}

func reachable(addrs []group.Address) (list []api.Reachable) {
	for _, a := range addrs {
		r := api.Reachable{Address: a.At.String()}
		if a.Via != (ident.NodeID{}) {
			r.Relay = a.Via.String()
		}
		list = append(list, r)
	}
	return list
}

func rightsOf(r group.Rights) api.Rights {
	switch r {
	case group.Admin:
		return api.RightsAdmin
	case group.Member:
		return api.RightsMember
	}
	return api.RightsNone
}

func since(t int64) time.Time { return time.Unix(t, 0).UTC() }

// groupProblem is an error of the rooms of groups as a person is told of it.
func groupProblem(err error) error {
	if errors.Is(err, group.ErrTicket) {
		return api.TicketRefused()
	}
	for _, k := range groupKinds {
		if errors.Is(err, k.is) {
			return &api.Error{Kind: k.kind, Reason: plainly(err), Remedy: k.remedy, Cause: err}
		}
	}
	return Problem(err)
}

// plainly is an error without the names of packages.
func plainly(err error) string {
	return strings.Replace(strings.TrimPrefix(err.Error(), "group: "), overlay.ErrUnreachable.Error()+": ", "", 1)
}

// groupKinds is Problem's table for groups.
var groupKinds = []struct {
	is     error
	kind   api.Kind
	remedy string
}{
	{groups.ErrNoGroup, api.NotFound, "`shoal group ls` lists the groups of this node"},
	{groups.ErrNoMember, api.NotFound, "`shoal group show` lists the members"},
	{groups.ErrAmbiguous, api.Ambiguous, "write more of the id"},
	{groups.ErrOut, api.Refused, "`shoal group leave` forgets the group"},
	{groups.ErrSelf, api.Invalid, "leave the group instead: `shoal group leave`"},
	{groups.ErrArgument, api.Invalid, ""},
	{groups.ErrMany, api.Refused, "leave another group first"},
	{groups.ErrUnreachable, api.Unreachable, "see that the node of whoever invites runs, and try again; `shoal doctor` tells what stands in this node's way"},
	{groups.ErrAnswer, api.BadData, "ask for a new ticket"},
	{groups.ErrDamaged, api.BadData, ""},
	{groups.ErrClosed, api.Unavailable, ""},
	{group.ErrRights, api.Refused, "ask an admin: `shoal group show` tells who is one"},
	{group.ErrTickets, api.Refused, "`shoal invite --revoke` ends those that are out"},
	{group.ErrFull, api.Refused, "found a new group"},
}

// groupEvent passes on what happens in groups.
func (n *Node) groupEvent(e groups.Event) {
	h := api.Head{Time: time.Now()}
	switch e.Kind {
	case groups.Joined:
		h.Event = api.EventGroupJoined
		n.bus.Publish(&api.GroupEvent{Head: h, Group: e.Group.String(), Name: e.Name})
	case groups.Left, groups.Expelled:
		h.Event = api.EventGroupLeft
		n.bus.Publish(&api.GroupEvent{Head: h, Group: e.Group.String(), Name: e.Name, Removed: e.Kind == groups.Expelled})
	case groups.MemberJoined, groups.MemberRemoved:
		h.Event = api.EventMemberJoined
		if e.Kind == groups.MemberRemoved {
			h.Event = api.EventMemberRemoved
		}
		n.bus.Publish(&api.MemberEvent{Head: h, Group: e.Group.String(), Name: e.Name, NodeID: e.Node.String(), NodeName: e.NodeName, Code: e.Code})
	case groups.Misbehaved:
		h.Event = api.EventPenalised
		n.bus.Publish(&api.Penalised{Head: h, Reason: "member-list", Peer: e.Node.String(), Action: "drop"})
	case groups.Trouble:
		h.Event = api.EventNotice
		n.bus.Publish(&api.Notice{Head: h, Code: "groups", Text: e.Err.Error()})
	}
}
