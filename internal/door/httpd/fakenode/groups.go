package fakenode

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"shoal/internal/door/api"
)

// Tickets of the format that docs/formats/group.md describes. Inviters of both are
// nowhere, and both hold until 2026-11-02 12:00 UTC.
const (
	// Ticket is every ticket that a fake gives out, and the one that leads into its group.
	Ticket = "shoal:join/aedqqcikbmga2dqpcaireeyuculbogazdinryhi6d4qccirdeqssmaadayeqydyscumbwhrbeqtsuljqgm3dspb7ijcuqs2okfkfows5aacqudyudepcgkbngi3tyqkgjnvoq62aaaaqmztbnvuwy6icadaaaaqhdutqciabbw4aaaaaaaaaaaaaaaaaaby5e46ye36k7gxpg7i"
	// FarTicket is one whose inviter cannot be reached, into a group called "nowhere".
	FarTicket = "shoal:join/aeeascqlbqgq4dyqcejbgfavcylrqgi2dmob2hq7eaqseizeeutcoaiea4fa2eatcymryhzceuucwlrrgq3tupkaindestcpkjkvqw26aedaweavdipsikjogm4d2qshjrvoq62aaaaqo3tpo5ugk4tfaiamaaaca4osoajaaeg3qaaaaaaaaaaaaaaaaaahdut4rf6cg27ubhte"
)

// Fixed identities. Inviter is that of Ticket.
const (
	Self    = "12D3KooWFakeFakeFakeFakeFakeFakeFakeFakeFakeFakeSeLf"
	Inviter = "12D3KooW9pQqqgrist796ZTsE1qLiaiXaxKUcayowcKkT7vH96pc"
	code    = "1234 5678 9012"
)

// Identity implements httpd.Identity.
func (n *Node) Identity(context.Context) (api.Identity, error) {
	return api.Identity{NodeID: Self, Code: "8800 0814 8368", Name: "here"}, nil
}

// Groups implements httpd.Groups.
func (n *Node) Groups(context.Context) ([]api.Group, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []api.Group
	for _, d := range n.groups {
		out = append(out, d.Group)
	}
	return out, nil
}

func (n *Node) group(id string) (*api.GroupDetail, error) {
	for _, d := range n.groups {
		if d.ID == id {
			return d, nil
		}
	}
	return nil, api.Errorf(api.NotFound, id, "this node is in no such group")
}

// Group implements httpd.Groups.
func (n *Node) Group(_ context.Context, id string) (api.GroupDetail, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	d, err := n.group(id)
	if err != nil {
		return api.GroupDetail{}, err
	}
	out := *d
	out.MemberList = append([]api.Member{}, d.MemberList...)
	return out, nil
}

// NewGroup implements httpd.Groups. Its id is the hash of the name and of how many groups
// there are.
func (n *Node) NewGroup(_ context.Context, r api.GroupRequest) (api.Group, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if strings.TrimSpace(r.Name) != r.Name {
		return api.Group{}, api.Errorf(api.Invalid, r.Name, "a blank stands at its end")
	}
	for _, g := range n.groups {
		if g.Name == r.Name && g.Name != "twin" { // by joining there may be two
			return api.Group{}, api.Errorf(api.Exists, r.Name, "this node is in a group of that name already").
				Try("`shoal group show %s` shows it; else choose another name", g.ID[:12])
		}
	}
	sum := sha256.Sum256(fmt.Append(nil, len(n.groups), r.Name))
	d := n.addGroup(hex.EncodeToString(sum[:]), r.Name, api.RightsAdmin)
	if strings.HasPrefix(d.Name, "busy") {
		n.crowd(d)
	}
	return d.Group, nil
}

// addGroup puts a group that this node is in, and says so.
func (n *Node) addGroup(id, name string, rights api.Rights) *api.GroupDetail {
	d := &api.GroupDetail{Group: api.Group{ID: id, Name: name, Members: 1, Rights: rights}, Entries: 2, Heads: []string{id}}
	d.MemberList = []api.Member{{NodeID: Self, Name: "here", Rights: rights, By: Self, Since: n.Now(), Self: true}}
	n.groups = append(n.groups, d)
	n.Bus.Publish(&api.GroupEvent{Head: api.Head{Event: api.EventGroupJoined, Time: n.Now()}, Group: id, Name: name})
	return d
}

func (d member) of(n *Node) api.Member {
	return api.Member{NodeID: d.id, Name: d.name, Rights: d.rights, By: Self, Since: n.Now(), Online: true,
		Addresses: []api.Reachable{{Address: "192.0.2.7:7463"}, {Address: "198.51.100.1:7463", Relay: Inviter}}}
}

// member is one that a fake makes up.
type member struct {
	id, name string
	rights   api.Rights
}

// LeaveGroup implements httpd.Groups.
func (n *Node) LeaveGroup(_ context.Context, id string) (api.GroupLeft, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i, d := range n.groups {
		if d.ID == id {
			n.groups = append(n.groups[:i:i], n.groups[i+1:]...)
			for _, s := range n.shares {
				for k := range s.Groups {
					if s.Groups[k].ID == id {
						s.Groups = slices.Clone(s.Groups) // others may have it
						s.Groups[k] = api.GroupRef{ID: id}
					}
				}
			}
			n.Bus.Publish(&api.GroupEvent{Head: api.Head{Event: api.EventGroupLeft, Time: n.Now()}, Group: id, Name: d.Name})
			return api.GroupLeft{ID: id, Name: d.Name, Members: d.Members - 1, Told: d.Online, NoAdmin: d.Members > 1 && d.Rights == api.RightsAdmin}, nil
		}
	}
	return api.GroupLeft{}, api.Errorf(api.NotFound, id, "this node is in no such group")
}

// RemoveMember implements httpd.Groups.
func (n *Node) RemoveMember(_ context.Context, id, node string) (api.Member, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	d, err := n.group(id)
	if err != nil {
		return api.Member{}, err
	}
	if d.Rights != api.RightsAdmin {
		return api.Member{}, notAdmin(d.Name)
	}
	for i, m := range d.MemberList {
		if m.NodeID == node {
			d.MemberList = append(d.MemberList[:i:i], d.MemberList[i+1:]...)
			d.Members, d.Online = d.Members-1, d.Online-1
			n.Bus.Publish(&api.MemberEvent{Head: api.Head{Event: api.EventMemberRemoved, Time: n.Now()}, Group: id, Name: d.Name, NodeID: node, NodeName: m.Name})
			return m, nil
		}
	}
	return api.Member{}, api.Errorf(api.NotFound, node, "the group has no such member")
}

func notAdmin(name string) error {
	return api.Errorf(api.Refused, name, "only an admin of the group may do that").Try("ask an admin: `shoal group show` tells who is one")
}

// Invite implements httpd.Tickets. Into a group whose name begins with "soon" somebody
// comes at once.
func (n *Node) Invite(_ context.Context, id string, r api.InviteRequest) (api.Invitation, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	d, err := n.group(id)
	if err != nil {
		return api.Invitation{}, err
	}
	if d.Rights != api.RightsAdmin {
		return api.Invitation{}, notAdmin(d.Name)
	}
	expires := n.Now().Add(time.Duration(r.Expires * float64(time.Second)))
	d.TicketList = append(d.TicketList, api.Ticket{Expires: expires, Uses: r.Uses, Rights: r.Rights})
	d.Tickets = len(d.TicketList)
	if strings.HasPrefix(d.Name, "soon") {
		n.admit(d, member{Inviter, "guest", r.Rights})
	}
	return api.Invitation{Ticket: Ticket, Group: id, Name: d.Name, Expires: expires, Uses: r.Uses, Rights: r.Rights,
		Addresses: []api.Reachable{{Address: "192.0.2.7:7463"}, {Address: "[2001:db8::7]:7463"}}}, nil
}

// Come lets a node into a group by a ticket of this node, as if it had just joined.
func (n *Node) Come(id string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	d, err := n.group(id)
	if err == nil {
		n.admit(d, member{Inviter, "guest", api.RightsMember})
	}
	return err
}

// Expel has this node removed from a group, by its name.
func (n *Node) Expel(name string) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, d := range n.groups {
		if d.Name == name {
			d.Rights = api.RightsNone
			n.Bus.Publish(&api.GroupEvent{Head: api.Head{Event: api.EventGroupLeft, Time: n.Now()}, Group: d.ID, Name: name, Removed: true})
			return nil
		}
	}
	return api.Errorf(api.NotFound, name, "this node is in no such group")
}

// Rename has a member called otherwise, in every group.
func (n *Node) Rename(id, name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, d := range n.groups {
		for i := range d.MemberList {
			if d.MemberList[i].NodeID == id {
				d.MemberList[i].Name = name
			}
		}
	}
}

func (n *Node) admit(d *api.GroupDetail, m member) {
	d.MemberList = append(d.MemberList, m.of(n))
	d.Members, d.Online = d.Members+1, d.Online+1
	n.Bus.Publish(&api.MemberEvent{Head: api.Head{Event: api.EventMemberJoined, Time: n.Now()}, Group: d.ID, Name: d.Name, NodeID: m.id, NodeName: m.name, Code: code})
}

// Revoke implements httpd.Tickets.
func (n *Node) Revoke(_ context.Context, id string) (api.Revoked, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	d, err := n.group(id)
	if err != nil {
		return api.Revoked{}, err
	}
	out := api.Revoked{Group: id, Name: d.Name, Tickets: d.Tickets}
	d.TicketList, d.Tickets = nil, 0
	return out, nil
}

// Join implements httpd.Tickets: Ticket leads in, and any other but FarTicket is refused.
func (n *Node) Join(_ context.Context, ticket string) (api.Admission, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	t, err := api.ParseTicket(ticket)
	if err != nil {
		return api.Admission{}, err
	}
	switch strings.ToLower(strings.TrimSpace(ticket)) {
	case Ticket:
	case FarTicket:
		return api.Admission{}, api.Errorf(api.Unreachable, t.Name, "who invites cannot be reached at any address of the ticket").Try("see that its node runs, and try again")
	default:
		return api.Admission{}, api.TicketRefused()
	}
	out := api.Admission{Group: t.Group, Name: t.Name, Inviter: t.Inviter, InviterName: "an\x1b[31mna", Code: code}
	if d, err := n.group(t.Group); err == nil {
		out.Already = true
		out.Name = d.Name
		return out, nil
	}
	d := n.addGroup(t.Group, t.Name, api.RightsMember)
	d.MemberList[0].By = t.Inviter
	d.MemberList = append([]api.Member{member{t.Inviter, out.InviterName, api.RightsAdmin}.of(n)}, d.MemberList...)
	d.Members, d.Online = 2, 1
	return out, nil
}
