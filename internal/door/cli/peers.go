package cli

import (
	"context"

	"github.com/spf13/cobra"

	"shoal/internal/door/api"
)

func (a *app) peers() *cobra.Command {
	return a.command(&cobra.Command{
		Use:     "peers",
		Short:   "List members and peers: who is reached, how, and why not better",
		GroupID: groupPeople,
		Long: "peers lists the other members of this node's groups, whether they are connected, how, how far away they are, and\n" +
			"what stands in the way of a better connection; then the peers of all shares. With --json each line is one of\n" +
			"them, of the \"kind\" member or peer.",
		Args: cobra.NoArgs,
	}, func(ctx context.Context, _ []string) error {
		return a.offline(ctx, func(ctx context.Context, s *session) error {
			all, err := s.client.Peers(ctx)
			if err != nil {
				return err
			}
			if a.global.json {
				a.printPeers(all)
				return nil
			}
			if s.mine() {
				a.out.Say("no node runs for this home, so nobody is connected; `shoal up` runs one")
			} else if len(all.Members)+len(all.Peers) == 0 {
				a.out.Say("no other node is known; `shoal invite` and `shoal join` bring nodes together")
			}
			page := a.page()
			page.Contacts(all.Members, 0)
			if len(all.Members) > 0 && len(all.Peers) > 0 {
				a.line("")
			}
			page.SharePeers(all.Peers)
			return nil
		})
	})
}

// printPeers writes one line for each; kind tells which.
func (a *app) printPeers(all api.Peers) {
	for _, c := range all.Members {
		a.print(struct {
			Kind string `json:"kind"`
			api.Contact
		}{"member", c})
	}
	for _, p := range all.Peers {
		a.print(struct {
			Kind string `json:"kind"`
			api.SharePeer
		}{"peer", p})
	}
}
