package httpd

import (
	"context"
	"net/http"
	"strings"
	"time"

	"shoal/internal/door/api"
)

// Groups are the groups of the node. An id is a full group id as api.Group.ID has it, a
// node a full NodeID. Errors are as those of Shares.
type Groups interface {
	// Groups is every group, in a fixed order, those too that the node was removed from.
	Groups(ctx context.Context) ([]api.Group, error)
	// Group is everything about one group. No secret of a ticket is in it.
	Group(ctx context.Context, id string) (api.GroupDetail, error)
	// NewGroup founds a group, with this node as its first admin.
	NewGroup(ctx context.Context, r api.GroupRequest) (api.Group, error)
	// LeaveGroup tells the members that are connected and forgets the group.
	LeaveGroup(ctx context.Context, id string) (api.GroupLeft, error)
	// RemoveMember ends the membership of another node and returns who it was.
	// api.Refused where this node is no admin.
	RemoveMember(ctx context.Context, id, node string) (api.Member, error)
}

// Tickets lead into groups.
type Tickets interface {
	// Invite makes a ticket; nothing in r is left to its default. api.Refused where this
	// node is no admin, or where too many tickets are out.
	Invite(ctx context.Context, id string, r api.InviteRequest) (api.Invitation, error)
	// Revoke makes all tickets of this node for a group worthless.
	Revoke(ctx context.Context, id string) (api.Revoked, error)
	// Join redeems a ticket. Whatever does not lead in is api.TicketRefused; an inviter
	// that cannot be reached is api.Unreachable. The end of ctx interrupts.
	Join(ctx context.Context, ticket string) (api.Admission, error)
}

// Identity is who the node is to others.
type Identity interface {
	Identity(ctx context.Context) (api.Identity, error)
}

// What an invitation has where nothing is said.
const (
	defaultUses    = 1
	defaultExpires = 24 * time.Hour
)

var pathG = param{"g", "path", "string", "name of a group, or a unique prefix of its id (at least 4 digits)"}

// gKinds are the failures of every call that changes a group.
var gKinds = append([]api.Kind{api.Path, api.DiskFull}, xKinds...)

// groupRoutes are the calls about groups: those of the parts that the node has.
func groupRoutes(n Node) (table []route) {
	const p = api.Prefix
	if n.Identity != nil {
		table = append(table, route{method: "GET", path: p + "/id", id: "getIdentity", summary: "Who the node is to others.",
			answer: api.Identity{}, handle: (*Server).getIdentity})
	}
	if n.Groups != nil {
		table = append(table,
			route{method: "GET", path: p + "/groups", id: "listGroups", summary: "Every group of the node.",
				answer: []api.Group{}, handle: (*Server).listGroups},
			route{method: "POST", path: p + "/groups", id: "newGroup", summary: "Found a group; the node is its first admin.",
				body: &api.GroupRequest{}, answer: api.Group{}, status: http.StatusCreated, kinds: []api.Kind{api.Path, api.DiskFull}, handle: (*Server).newGroup},
			route{method: "GET", path: p + "/groups/{g}", id: "getGroup", summary: "Everything about one group: members, tickets.",
				params: []param{pathG}, answer: api.GroupDetail{}, kinds: xKinds, handle: (*Server).getGroup},
			route{method: "DELETE", path: p + "/groups/{g}", id: "leaveGroup", summary: "Leave a group: tell the members that are connected, and forget it.",
				params: []param{pathG}, answer: api.GroupLeft{}, kinds: gKinds, handle: (*Server).leaveGroup},
			route{method: "DELETE", path: p + "/groups/{g}/members/{m}", id: "removeMember", summary: "End a membership; it takes effect on each member that hears of it.",
				params: []param{pathG, {"m", "path", "string", "a NodeID, the end of one (at least 4 characters), or the name of a member"}},
				answer: api.Member{}, kinds: gKinds, handle: (*Server).removeMember})
	}
	if n.Tickets != nil && n.Groups != nil {
		table = append(table,
			route{method: "POST", path: p + "/groups/{g}/tickets", id: "invite", summary: "Make a ticket that leads into a group. The answer is a secret.",
				params: []param{pathG}, body: &api.InviteRequest{}, answer: api.Invitation{}, status: http.StatusCreated, kinds: gKinds, handle: (*Server).invite},
			route{method: "DELETE", path: p + "/groups/{g}/tickets", id: "revoke", summary: "Make every ticket of the node for a group worthless.",
				params: []param{pathG}, answer: api.Revoked{}, kinds: gKinds, handle: (*Server).revoke},
			route{method: "POST", path: p + "/join", id: "join", summary: "Redeem a ticket; answers when the node is a member. Every ticket that does not lead in is refused alike (bad_data).",
				body: &api.JoinRequest{}, answer: api.Admission{}, kinds: []api.Kind{api.BadData, api.Unreachable, api.OutOfScope, api.Path, api.DiskFull}, handle: (*Server).join})
	}
	return append(table, reachRoutes(n)...)
}

func (s *Server) getIdentity(c *call) (any, error) { return s.node.Identity.Identity(c.r.Context()) }

func (s *Server) listGroups(c *call) (any, error) {
	list, err := s.node.Groups.Groups(c.r.Context())
	if list == nil {
		list = []api.Group{}
	}
	return list, err
}

func (s *Server) newGroup(c *call) (any, error) {
	req := *c.body.(*api.GroupRequest)
	if req.Name == "" || len(req.Name) > api.MaxGroupName {
		return nil, api.Errorf(api.Invalid, req.Name, "the name of a group has 1 to %d bytes", api.MaxGroupName)
	}
	return s.node.Groups.NewGroup(c.r.Context(), req)
}

func (s *Server) getGroup(c *call) (any, error) {
	id, err := s.group(c)
	if err != nil {
		return nil, err
	}
	return s.detail(c, id)
}

// detail is a group with its lists in place, empty or not.
func (s *Server) detail(c *call, id string) (api.GroupDetail, error) {
	d, err := s.node.Groups.Group(c.r.Context(), id)
	if d.Heads == nil {
		d.Heads = []string{}
	}
	if d.MemberList == nil {
		d.MemberList = []api.Member{}
	}
	if d.TicketList == nil {
		d.TicketList = []api.Ticket{}
	}
	return d, err
}

func (s *Server) leaveGroup(c *call) (any, error) {
	id, err := s.group(c)
	if err != nil {
		return nil, err
	}
	return s.node.Groups.LeaveGroup(c.r.Context(), id)
}

func (s *Server) removeMember(c *call) (any, error) {
	id, err := s.group(c)
	if err != nil {
		return nil, err
	}
	d, err := s.detail(c, id)
	if err != nil {
		return nil, err
	}
	m, err := member(d, c.r.PathValue("m"))
	if err != nil {
		return nil, err
	}
	if m.Self {
		return nil, api.Errorf(api.Invalid, d.Name, "a node does not remove itself").Try("leave the group instead: shoal group leave")
	}
	return s.node.Groups.RemoveMember(c.r.Context(), id, m.NodeID)
}

func (s *Server) invite(c *call) (any, error) {
	req := *c.body.(*api.InviteRequest)
	if req.Uses == 0 {
		req.Uses = defaultUses
	}
	if req.Expires == 0 {
		req.Expires = defaultExpires.Seconds()
	}
	if req.Rights == "" {
		req.Rights = api.RightsMember
	}
	switch {
	case req.Uses < 1 || req.Uses > api.MaxUses:
		return nil, api.Errorf(api.Invalid, "uses", "a ticket can be used 1 to %d times", api.MaxUses)
	case !(req.Expires >= 1 && req.Expires <= api.MaxExpires):
		return nil, api.Errorf(api.Invalid, "expires", "a ticket holds for 1 second to 365 days")
	case req.Rights != api.RightsMember && req.Rights != api.RightsAdmin:
		return nil, api.Errorf(api.Invalid, string(req.Rights), "these are no rights").Try("write member or admin")
	}
	id, err := s.group(c)
	if err != nil {
		return nil, err
	}
	out, err := s.node.Tickets.Invite(c.r.Context(), id, req)
	if out.Addresses == nil {
		out.Addresses = []api.Reachable{}
	}
	return out, err
}

func (s *Server) revoke(c *call) (any, error) {
	id, err := s.group(c)
	if err != nil {
		return nil, err
	}
	return s.node.Tickets.Revoke(c.r.Context(), id)
}

func (s *Server) join(c *call) (any, error) {
	ticket := c.body.(*api.JoinRequest).Ticket
	if _, err := api.ParseTicket(ticket); err != nil {
		return nil, err
	}
	return s.node.Tickets.Join(c.r.Context(), ticket)
}

// leastText is how much of an id of a group, or of the end of a NodeID (all begin alike),
// names one.
const leastText = 4

// group finds the id of the group that {g} means.
func (s *Server) group(c *call) (string, error) {
	list, err := s.node.Groups.Groups(c.r.Context())
	if err != nil {
		return "", err
	}
	g, err := groupOf(list, c.r.PathValue("g"))
	return g.ID, err
}

// groupOf finds the group that a text means: its id, else the only one that is called so or
// whose id begins so. Names are what others chose, so a name never wins over an id.
func groupOf(list []api.Group, g string) (api.Group, error) {
	if g == "" {
		return api.Group{}, api.Errorf(api.Invalid, "", "the name of the group is empty")
	}
	var named []api.Group
	for _, x := range list {
		if x.ID == g {
			return x, nil
		}
		if x.Name == g || len(g) >= leastText && strings.HasPrefix(x.ID, strings.ToLower(g)) {
			named = append(named, x)
		}
	}
	switch len(named) {
	case 1:
		return named[0], nil
	case 0:
		return api.Group{}, api.Errorf(api.NotFound, g, "this node is in no such group").Try("`shoal group ls` lists its groups")
	}
	var ids []string
	for _, x := range named[:min(len(named), 4)] {
		ids = append(ids, x.ID[:min(len(x.ID), 8)])
	}
	return api.Group{}, api.Errorf(api.Ambiguous, g, "%d groups fit: %s", len(named), strings.Join(ids, ", ")).Try("write more of the id")
}

// member finds the member that a text means: its NodeID, else the only one that is called
// so or whose NodeID ends so.
func member(d api.GroupDetail, text string) (api.Member, error) {
	var named []api.Member
	for _, m := range d.MemberList {
		if m.NodeID == text {
			return m, nil
		}
		if m.Name == text || len(text) >= leastText && strings.HasSuffix(m.NodeID, text) {
			named = append(named, m)
		}
	}
	switch len(named) {
	case 1:
		return named[0], nil
	case 0:
		return api.Member{}, api.Errorf(api.NotFound, text, "the group has no such member").Try("`shoal group show` lists its members")
	}
	var ids []string
	for _, m := range named[:min(len(named), 4)] {
		ids = append(ids, "…"+m.NodeID[max(len(m.NodeID)-8, 0):])
	}
	return api.Member{}, api.Errorf(api.Ambiguous, text, "%d members fit: %s", len(named), strings.Join(ids, ", ")).Try("write the end of the NodeID")
}
