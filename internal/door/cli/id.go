package cli

import (
	"context"

	"github.com/spf13/cobra"

	"shoal/internal/door/api"
	"shoal/internal/door/cli/term"
)

func (a *app) id() *cobra.Command {
	return a.command(&cobra.Command{
		Use:     "id",
		Short:   "Show who this node is to others",
		GroupID: groupPeople,
		Long: "id shows the NodeID, which is the node's public key, and twelve digits of it: two people who compare those\n" +
			"aloud know that they speak of the same node. The key itself never leaves the home. The name is what members see\n" +
			"beside it (node.name in config.toml); it proves nothing.",
		Args: cobra.NoArgs,
	}, func(ctx context.Context, _ []string) error {
		return a.offline(ctx, func(ctx context.Context, s *session) error {
			id, err := s.client.Identity(ctx)
			if err != nil {
				return err
			}
			if a.global.json {
				a.print(id)
				return nil
			}
			t := &term.Table{}
			t.Add("id", id.NodeID)
			t.Add("code", id.Code)
			if id.Name != "" {
				t.Add("name", api.Safe(id.Name))
			}
			t.Write(a.Stdout)
			return nil
		})
	})
}
