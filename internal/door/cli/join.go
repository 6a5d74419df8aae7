package cli

import (
	"bufio"
	"context"
	"errors"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"shoal/internal/door/api"
	"shoal/internal/door/cli/term"
	"shoal/internal/door/cli/view"
)

func (a *app) join() *cobra.Command {
	return a.command(&cobra.Command{
		Use:     "join TICKET|-",
		Short:   "Become a member of a group by a ticket",
		GroupID: groupPeople,
		Long: "join redeems a ticket that a member gave you (shoal invite), in one step: its node is asked, and if it says yes\n" +
			"this node is a member. Both sides then see the same twelve digits: compare them aloud, over the telephone or\n" +
			"face to face. If they differ, somebody stands between you: leave the group.\n\n" +
			"A ticket is a secret. `-` reads it from standard input (its first line), so that it stands neither in the\n" +
			"history of your shell nor in the list of processes. A ticket that does not lead in is refused with exit code 4,\n" +
			"whatever is wrong with it: a typing error, too old, used, or revoked.",
		Example: "  shoal join shoal:join/aedq…\n  xclip -o | shoal join -",
		Args:    cobra.ExactArgs(1),
	}, func(ctx context.Context, args []string) error {
		ticket, err := a.readTicket(ctx, args[0])
		if err != nil {
			return err
		}
		info, err := api.ParseTicket(ticket)
		if err != nil {
			return err
		}
		return a.with(ctx, StartOptions{Quiet: true}, func(ctx context.Context, s *session) error { return a.runJoin(ctx, s, ticket, info) })
	})
}

func (a *app) runJoin(ctx context.Context, s *session, ticket string, info api.TicketInfo) error {
	if !a.global.json {
		a.out.Say("asking %s, who invites to %s until %s", view.Node(info.Inviter, ""), api.Safe(info.Name), view.Time(info.Expires))
	}
	r, err := s.client.Join(ctx, ticket)
	if err != nil {
		return err
	}
	if a.global.json {
		a.print(r)
		return nil
	}
	if r.Already {
		a.line("this node is a member of %s already", api.Safe(r.Name))
		return nil
	}
	a.line("joined %s, id %s, invited by %s", api.Safe(r.Name), view.Short(r.Group), view.Node(r.Inviter, r.InviterName))
	a.line("code %s: %s", api.Safe(r.Code), view.CompareAloud)
	if s.mine() {
		a.out.Say("`shoal up` runs this node, so that members find each other")
	}
	return nil
}

// readTicket is the argument, or the first line of standard input that says something.
func (a *app) readTicket(ctx context.Context, arg string) (string, error) {
	if arg != "-" {
		return arg, nil
	}
	if f, ok := a.Stdin.(*os.File); ok && term.IsTerminal(f) {
		a.out.Say("paste the ticket and press Enter")
	}
	line := make(chan string, 1)
	failed := make(chan error, 1)
	go func() {
		in := bufio.NewScanner(a.Stdin)
		in.Buffer(nil, api.MaxText)
		for in.Scan() {
			if s := strings.TrimSpace(in.Text()); s != "" {
				line <- s
				return
			}
		}
		if err := in.Err(); err != nil && !errors.Is(err, bufio.ErrTooLong) {
			failed <- pathError("standard input", err)
			return
		}
		failed <- api.TicketRefused()
	}()
	select {
	case s := <-line:
		return s, nil
	case err := <-failed:
		return "", err
	case <-ctx.Done(): // nothing may ever come
		return "", context.Cause(ctx)
	}
}
