package cli

import (
	"context"

	"github.com/spf13/cobra"

	"shoal/internal/door/api"
)

func (a *app) status() *cobra.Command {
	return a.command(&cobra.Command{
		Use:     "status",
		Short:   "Show what the node does",
		GroupID: groupNode,
		Long: "status shows what the node does, how it is reached, how it reaches the members of its groups and why not better, and\n" +
			"what the ways to find peers cost and yield. `shoal peers` lists everybody, `shoal doctor` says what to mend.",
		Args: cobra.NoArgs,
	}, func(ctx context.Context, _ []string) error {
		return a.offline(ctx, func(ctx context.Context, s *session) error {
			st, err := s.client.Status(ctx)
			if err != nil {
				return err
			}
			h, err := s.client.Health(ctx)
			if err != nil {
				return err
			}
			all, err := s.client.Peers(ctx)
			if err != nil {
				return err
			}
			running := !s.mine() && !st.Offline
			if a.global.json {
				a.print(struct {
					api.Status
					Running bool       `json:"running"`
					Health  api.Health `json:"health"`
					api.Peers
				}{st, running, h, all})
				return nil
			}
			page := a.page()
			page.Status(st, h, running)
			if running {
				page.Around(st, all)
			}
			return nil
		})
	})
}
