package cli

import (
	"context"
	"net"
	"net/netip"
	"strings"

	"github.com/spf13/cobra"

	"shoal/internal/door/api"
	"shoal/internal/door/cli/view"
)

func (a *app) connect() *cobra.Command {
	return a.command(&cobra.Command{
		Use:     "connect NODE|ADDR [ADDR]",
		Short:   "Connect to a member or an address now, or say why that fails",
		GroupID: groupPeople,
		Long: "connect tries to reach a member of this node's groups at once, and says how it is reached, or what stands in the\n" +
			"way. NODE is its name, its NodeID, or 4 or more characters of the end of that; ADDR is HOST:PORT, or an IP\n" +
			"address. With ADDR alone, the members are tried there, and a node of the public DHT is asked there. Exit code 3:\n" +
			"nobody answers.",
		Example: "  shoal connect anna\n  shoal connect 192.0.2.7:7463\n  shoal connect anna 192.0.2.7:7463     she says that she is there",
		Args:    cobra.RangeArgs(1, 2),
		ValidArgsFunction: func(_ *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
			return a.completeContacts(args, begun)
		},
	}, func(ctx context.Context, args []string) error {
		r, err := connectRequest(args)
		if err != nil {
			return err
		}
		return a.with(ctx, StartOptions{Quiet: true}, func(ctx context.Context, s *session) error { return a.runConnect(ctx, s, r) })
	})
}

// connectRequest tells an address from the name of a node.
func connectRequest(args []string) (r api.ConnectRequest, err error) {
	for _, text := range args {
		if text == "" {
			return r, api.Errorf(api.Invalid, "", "neither a member nor an address is given")
		}
	}
	switch {
	case len(args) == 2:
		r.Node, r.Address = args[0], args[1]
		if !isAddress(r.Address) {
			return r, api.Errorf(api.Invalid, r.Address, "this is not an address").Try("write it like 192.0.2.7:7463 or [2001:db8::7]:7463")
		}
	case isAddress(args[0]):
		r.Address = args[0]
	default:
		r.Node = args[0]
	}
	return r, nil
}

func isAddress(text string) bool {
	if _, err := netip.ParseAddr(text); err == nil {
		return true
	}
	_, port, err := net.SplitHostPort(text)
	return err == nil && port != "" && strings.Trim(port, "0123456789") == ""
}

func (a *app) runConnect(ctx context.Context, s *session, r api.ConnectRequest) error {
	c, err := s.client.Connect(ctx, r)
	if err != nil {
		return err
	}
	if a.global.json {
		a.print(c)
		return nil
	}
	switch m := c.Member; {
	case m != nil:
		word := "connected to"
		if c.Already {
			word = "already connected to"
		}
		text := word + " " + view.Node(m.NodeID, m.Name) + ": " + view.Reached(*m)
		if m.Address != "" {
			text += ", " + api.Safe(m.Address)
		}
		if m.RTT > 0 {
			text += ", round trip " + view.Trip(m.RTT)
		}
		a.line("%s", text)
		if why := view.WhyNot(*m); why != "" {
			a.line("%s", why)
		}
	case c.DHT:
		a.line("a node of the public DHT answers at %s, round trip %s; no member of this node's groups does", api.Safe(c.Address), view.Trip(c.RTT))
	}
	if s.mine() {
		a.out.Say("the node of this command ends now, and the connection with it; `shoal up` runs one that stays")
	}
	return nil
}

// completeContacts completes NODE with the names of members.
func (a *app) completeContacts(args []string, begun string) (out []string, _ cobra.ShellCompDirective) {
	if len(args) == 0 {
		a.atRunning(func(ctx context.Context, c *api.Client) {
			all, _ := c.Peers(ctx)
			for _, m := range all.Members {
				if m.Name != "" && strings.HasPrefix(m.Name, begun) && api.Safe(m.Name) == m.Name {
					out = append(out, m.Name)
				}
			}
		})
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}
