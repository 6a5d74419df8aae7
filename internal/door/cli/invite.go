package cli

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"shoal/internal/door/api"
	"shoal/internal/door/cli/term"
	"shoal/internal/door/cli/view"
)

// inviteFlags are the flags of `invite`.
type inviteFlags struct {
	uses                int
	expires             span
	admin, wait, revoke bool
}

func (a *app) invite() *cobra.Command {
	f := inviteFlags{expires: span(24 * time.Hour)}
	c := a.command(&cobra.Command{
		Use:     "invite [GROUP] [flags]",
		Short:   "Make a ticket by which another node joins a group",
		GroupID: groupPeople,
		Long: "invite prints a ticket: a link, and on a terminal also a QR code. Give it to one other person in a way that\n" +
			"others do not see: it is a secret, and who holds it can use it. They run `shoal join TICKET`, and this node must\n" +
			"be running then: if none runs for this home, invite stays until the ticket is used or has expired, or Ctrl-C.\n" +
			"When somebody joins, both sides see the same twelve digits (here `shoal up` or --wait tells them): compare them\n" +
			"aloud.\n\n" +
			"GROUP may be left out if there is only one. Only an admin of a group can invite.",
		Example:           "  shoal invite                             one node, within a day\n  shoal invite office --uses 20 --expires 7d\n  shoal invite --wait                      and see the code when somebody joins\n  shoal invite office --revoke             it got into wrong hands",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: a.completeGroups,
	}, func(ctx context.Context, args []string) error {
		if f.uses < 1 || f.uses > api.MaxUses {
			return api.Errorf(api.Invalid, "--uses", "a ticket can be used 1 to %d times", api.MaxUses)
		}
		if f.revoke {
			return a.offline(ctx, func(ctx context.Context, s *session) error { return a.runRevoke(ctx, s, args) })
		}
		return a.with(ctx, StartOptions{Quiet: true}, func(ctx context.Context, s *session) error { return a.runInvite(ctx, s, args, f) })
	})
	fs := c.Flags()
	fs.IntVar(&f.uses, "uses", 1, "`N` nodes can join by it, up to "+strconv.Itoa(api.MaxUses))
	fs.Var(&f.expires, "expires", "it leads in for `D` from now, such as 90s, 2h30m or 7d, up to 365d")
	fs.BoolVar(&f.admin, "admin", false, "who joins by it may invite and remove, too")
	fs.BoolVar(&f.wait, "wait", false, "stay until it is used up, and tell the code of each who joins")
	fs.BoolVar(&f.revoke, "revoke", false, "make no ticket, but every one that this node gave out for the group worthless")
	return c
}

func (a *app) runInvite(ctx context.Context, s *session, args []string, f inviteFlags) error {
	g, err := a.oneGroup(ctx, s, args)
	if err != nil {
		return err
	}
	r := api.InviteRequest{Uses: f.uses, Expires: time.Duration(f.expires).Seconds(), Rights: api.RightsMember}
	if f.admin {
		r.Rights = api.RightsAdmin
	}
	mint := func() (api.Invitation, error) {
		inv, err := s.client.Invite(ctx, g, r)
		if err == nil {
			a.showInvitation(inv)
		}
		return inv, err
	}
	if !s.mine() && !f.wait {
		if _, err := mint(); err != nil {
			return err
		}
		a.out.Say("`shoal up` tells the code when somebody joins; so does invite --wait")
		return nil
	}
	return a.awaitGuests(ctx, s, time.Duration(f.expires), mint)
}

// oneGroup is the group that was named, or the only one there is.
func (a *app) oneGroup(ctx context.Context, s *session, args []string) (string, error) {
	if len(args) > 0 {
		return args[0], nil
	}
	list, err := s.client.Groups(ctx)
	switch {
	case err != nil:
		return "", err
	case len(list) == 0:
		return "", api.Errorf(api.NotFound, "", "this node is in no group").Try("`shoal group new NAME` founds one")
	case len(list) > 1:
		var names []string
		for _, g := range list[:min(len(list), 4)] {
			names = append(names, api.Safe(g.Name))
		}
		return "", api.Errorf(api.Ambiguous, "", "this node is in %d groups, such as %s", len(list), strings.Join(names, ", ")).Try("name the one to invite to")
	}
	return list[0].ID, nil
}

func (a *app) showInvitation(inv api.Invitation) {
	if a.global.json {
		a.print(inv)
		return
	}
	a.line("%s", inv.Ticket)
	a.out.QR(strings.ToUpper(inv.Ticket))
	who := "one node"
	if inv.Uses > 1 {
		who = "up to " + term.Count(inv.Uses, "node")
	}
	if inv.Rights == api.RightsAdmin {
		who += ", as admin"
	}
	a.out.Say("a ticket to %s for %s, until %s; it is a secret\non the other side: shoal join TICKET", api.Safe(inv.Name), who, view.Time(inv.Expires))
	if len(inv.Addresses) == 0 {
		a.out.Say("no address is known where others reach this node, so the ticket names none; `shoal doctor` tells why")
	}
	if inv.Local {
		a.out.Say("it leads here only from the same local network: no way in from outside is known; `shoal doctor` tells what to do")
	}
}

// Ends of waiting that are none of the stream's.
var (
	errUsedUp  = errors.New("the ticket is used up")
	errExpired = errors.New("the ticket has expired")
)

// awaitGuests makes a ticket and stays until it is used up or, after d, has expired. It listens before anybody can
// have the ticket, so that it misses nobody.
func (a *app) awaitGuests(ctx context.Context, s *session, d time.Duration, mint func() (api.Invitation, error)) error {
	limited, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var inv api.Invitation
	left := 0
	err := s.client.Watch(limited, api.Filter{Begun: func() (err error) {
		if inv, err = mint(); err != nil {
			return err
		}
		left = inv.Uses
		time.AfterFunc(d, func() { cancel(errExpired) })
		a.out.Say("waiting for who uses it; Ctrl-C ends that")
		return nil
	}}, func(e api.Event) error {
		m, ok := e.(*api.MemberEvent)
		if !ok || m.Group != inv.Group || m.Event != api.EventMemberJoined || m.Code == "" {
			return nil
		}
		a.tellGroup(m)
		if left--; left == 0 {
			return errUsedUp
		}
		return nil
	})
	switch {
	case errors.Is(err, errUsedUp):
		a.linger(ctx, s) // who joined may not have the answer yet
		return nil
	case err != nil && limited.Err() == nil:
		return err
	case left == 0: // it ended before there was a ticket
		return context.Cause(ctx)
	case ctx.Err() != nil:
		a.out.Say("shoal %s: the ticket leads in while this node runs: shoal up", a.name)
		return nil
	case context.Cause(limited) == errExpired:
		return api.Errorf(api.Unreachable, inv.Name, "the ticket has expired, and %s could still have used it", term.Count(left, "node"))
	}
	return api.Errorf(api.Unavailable, "", "the node stopped")
}

func (a *app) runRevoke(ctx context.Context, s *session, args []string) error {
	g, err := a.oneGroup(ctx, s, args)
	if err != nil {
		return err
	}
	r, err := s.client.Revoke(ctx, g)
	if err != nil {
		return err
	}
	if a.global.json {
		a.print(r)
	} else {
		a.line("%s: %s revoked", api.Safe(r.Name), term.Count(r.Tickets, "ticket"))
	}
	return nil
}

// span is a time that may be given in days.
type span time.Duration

// Set implements pflag.Value.
func (s *span) Set(text string) error {
	var d time.Duration
	days, rest, ok := strings.Cut(text, "d")
	if !ok {
		days, rest = "0", text
	}
	n, err := strconv.ParseUint(days, 10, 16)
	if err == nil && rest != "" {
		d, err = time.ParseDuration(rest)
	}
	if err != nil || strings.HasPrefix(rest, "-") {
		return errors.New("not a time")
	}
	const most = api.MaxExpires * time.Second
	if d = min(d, 2*most) + time.Duration(n)*24*time.Hour; d < time.Second || d > most {
		return api.Errorf(api.Invalid, "", "it must lie between 1s and 365d")
	}
	*s = span(d)
	return nil
}

// Type implements pflag.Value; its word is that of errors.
func (s *span) Type() string { return "duration" }

// String is the time in whole hours where it is some.
func (s *span) String() string {
	d := time.Duration(*s)
	if d%time.Hour == 0 {
		return strconv.Itoa(int(d/time.Hour)) + "h"
	}
	return d.String()
}
