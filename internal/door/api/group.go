package api

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"shoal/internal/core/group"
)

// Limits of what groups are asked for.
const (
	MaxGroupName = group.MaxName // bytes
	MaxUses      = group.MaxUses // of one ticket
	MaxExpires   = 365 * 24 * 60 * 60
)

// Rights say what a member of a group may do.
type Rights string

// The rights.
const (
	RightsMember Rights = "member" // takes part, and may leave
	RightsAdmin  Rights = "admin"  // invites and removes, too
	RightsNone   Rights = "none"   // is no member any more
)

// Identity is who this node is to others.
type Identity struct {
	NodeID string `json:"node_id" doc:"libp2p peer id of the node's key"`
	Code   string `json:"code" doc:"twelve digits of it, to compare aloud"`
	Name   string `json:"name,omitempty" doc:"what it is called in groups that it joins or founds from now on (node.name)"`
}

// Group is one group at one moment: what `group ls` shows a line of.
type Group struct {
	ID      string `json:"id" doc:"64 hex digits"`
	Name    string `json:"name" doc:"as its founder called it; data from elsewhere"`
	Members int    `json:"members"`
	Online  int    `json:"online" doc:"members that are connected, this node apart"`
	Rights  Rights `json:"rights" enum:"member,admin,none" doc:"of this node; none: it was removed"`
	Tickets int    `json:"tickets" doc:"tickets of this node that can still be redeemed"`
}

// GroupDetail is all that `group show` tells of a group.
type GroupDetail struct {
	Group
	Entries    int      `json:"entries" doc:"length of the signed member list"`
	Heads      []string `json:"heads" doc:"who has the same heads has the same member list"`
	MemberList []Member `json:"member_list" doc:"the oldest member first"`
	TicketList []Ticket `json:"ticket_list" doc:"tickets of this node that can still be redeemed, without their secrets"`
}

// Member is one member of a group as this node sees it.
type Member struct {
	NodeID    string      `json:"node_id"`
	Name      string      `json:"name" doc:"what it calls itself; data from elsewhere"`
	Rights    Rights      `json:"rights" enum:"member,admin"`
	By        string      `json:"by,omitempty" doc:"NodeID of who admitted it; the founder's: its own"`
	Since     time.Time   `json:"since,omitzero" doc:"when that was, by the clock of who admitted it"`
	Self      bool        `json:"self,omitempty" doc:"it is this node"`
	Online    bool        `json:"online" doc:"it is connected"`
	Refuses   bool        `json:"refuses,omitempty" doc:"it does not take this node for a member: perhaps this one was removed meanwhile"`
	Addresses []Reachable `json:"addresses,omitempty" doc:"where it was last reached"`
}

// Reachable is a way to a node.
type Reachable struct {
	Address string `json:"address" doc:"host:port, TCP and UDP alike"`
	Relay   string `json:"relay,omitempty" doc:"NodeID of the relay that listens there; absent: the node itself does"`
}

// Ticket is what a node remembers of a ticket that it gave out.
type Ticket struct {
	Expires time.Time `json:"expires"`
	Uses    int       `json:"uses" doc:"how often it can be redeemed in all"`
	Used    int       `json:"used" doc:"how often it was"`
	Rights  Rights    `json:"rights" enum:"member,admin" doc:"of who redeems it"`
}

// GroupRequest founds a group: `group new`.
type GroupRequest struct {
	Name string `json:"name" doc:"1 to 64 bytes, no control characters, no blank at its ends"`
}

// GroupLeft is the outcome of `group leave`.
type GroupLeft struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	Members int    `json:"members" doc:"who stay"`
	Told    int    `json:"told" doc:"of them, who know already; the others hear it from these"`
	NoAdmin bool   `json:"no_admin,omitempty" doc:"nobody is left who can invite or remove"`
}

// InviteRequest asks for a ticket: `invite`.
type InviteRequest struct {
	Uses    int     `json:"uses,omitempty" doc:"how often it can be redeemed, 1 to 100; default: 1"`
	Expires float64 `json:"expires,omitempty" doc:"seconds until it cannot be any more, 1 to 31536000; default: 86400"`
	Rights  Rights  `json:"rights,omitempty" enum:"member,admin" doc:"of who redeems it; default: member"`
}

// Invitation is a ticket. It is a secret: who holds it can use it.
type Invitation struct {
	Ticket    string      `json:"ticket" doc:"the link that the other side gives to join; a secret"`
	Group     string      `json:"group" doc:"id of the group"`
	Name      string      `json:"name" doc:"of the group"`
	Expires   time.Time   `json:"expires"`
	Uses      int         `json:"uses"`
	Rights    Rights      `json:"rights" enum:"member,admin"`
	Addresses []Reachable `json:"addresses" doc:"where this node says that it is reached; empty: only who knows another way can join"`
	Local     bool        `json:"local,omitempty" doc:"none of them leads here from outside the local network, as far as this node knows"`
}

// Revoked is the outcome of revoking tickets.
type Revoked struct {
	Group   string `json:"group"`
	Name    string `json:"name"`
	Tickets int    `json:"tickets" doc:"tickets of this node that lead in no more"`
}

// JoinRequest redeems a ticket: `join`.
type JoinRequest struct {
	Ticket string `json:"ticket" doc:"the link"`
}

// Admission is the outcome of `join`.
type Admission struct {
	Group       string `json:"group" doc:"id of the group"`
	Name        string `json:"name" doc:"of the group; data from elsewhere"`
	Inviter     string `json:"inviter" doc:"NodeID of who gave the ticket"`
	InviterName string `json:"inviter_name,omitempty" doc:"data from elsewhere"`
	Code        string `json:"code" doc:"twelve digits to compare aloud with what the inviter sees"`
	Already     bool   `json:"already,omitempty" doc:"this node was a member before: nothing was asked"`
}

// TicketInfo is what a ticket says of itself; only its inviter knows whether it still holds.
type TicketInfo struct {
	Group   string    // id of the group
	Name    string    // of the group; data from elsewhere
	Inviter string    // NodeID
	Expires time.Time // by the inviter's clock
}

// ParseTicket reads a ticket without redeeming it. What is none is TicketRefused.
func ParseTicket(text string) (TicketInfo, error) {
	t, err := group.ParseTicket(text)
	if err != nil {
		return TicketInfo{}, TicketRefused()
	}
	return TicketInfo{Group: t.Group.String(), Name: t.Name, Inviter: t.Inviter.String(), Expires: time.Unix(int64(t.Expires), 0).UTC()}, nil
}

// TicketRefused is the one answer to every ticket that does not lead in: malformed,
// changed, expired, used up, revoked, or of a group that its inviter knows nothing of. It
// never holds the ticket, which is a secret. It is of the kind BadData: the link is no good,
// and another one may be.
func TicketRefused() *Error {
	return &Error{Kind: BadData, Reason: "the ticket is not valid, or not any more", Remedy: "ask who gave it to you for a new one", Cause: group.ErrTicket}
}

// Identity is who the node is.
func (c *Client) Identity(ctx context.Context) (Identity, error) { return get[Identity](ctx, c, "/id") }

// Groups are all groups of the node.
func (c *Client) Groups(ctx context.Context) ([]Group, error) { return get[[]Group](ctx, c, "/groups") }

// Group is everything about one group; g is its name or a unique prefix of its id.
func (c *Client) Group(ctx context.Context, g string) (GroupDetail, error) {
	return get[GroupDetail](ctx, c, groupPath(g, ""))
}

// NewGroup founds a group.
func (c *Client) NewGroup(ctx context.Context, r GroupRequest) (Group, error) {
	return send[Group](ctx, c, http.MethodPost, "/groups", r)
}

// LeaveGroup ends the node's own membership.
func (c *Client) LeaveGroup(ctx context.Context, g string) (GroupLeft, error) {
	return send[GroupLeft](ctx, c, http.MethodDelete, groupPath(g, ""), nil)
}

// RemoveMember ends a membership; m is a NodeID, the end of one, or the name of a member.
func (c *Client) RemoveMember(ctx context.Context, g, m string) (Member, error) {
	return send[Member](ctx, c, http.MethodDelete, groupPath(g, "/members/"+url.PathEscape(m)), nil)
}

// Invite makes a ticket.
func (c *Client) Invite(ctx context.Context, g string, r InviteRequest) (Invitation, error) {
	return send[Invitation](ctx, c, http.MethodPost, groupPath(g, "/tickets"), r)
}

// Revoke makes every ticket of the node for a group worthless.
func (c *Client) Revoke(ctx context.Context, g string) (Revoked, error) {
	return send[Revoked](ctx, c, http.MethodDelete, groupPath(g, "/tickets"), nil)
}

// Join redeems a ticket.
func (c *Client) Join(ctx context.Context, ticket string) (Admission, error) {
	return send[Admission](ctx, c, http.MethodPost, "/join", JoinRequest{Ticket: ticket})
}

func groupPath(g, rest string) string { return "/groups/" + url.PathEscape(g) + rest }
