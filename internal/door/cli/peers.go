package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"shoal/internal/door/api"
	"shoal/internal/door/cli/term"
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
			a.showContacts(all.Members, 0)
			if len(all.Members) > 0 && len(all.Peers) > 0 {
				a.line("")
			}
			a.showSharePeers(all.Peers)
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

// showContacts lists members, so many at most (0: all), and then what stands in the way.
func (a *app) showContacts(list []api.Contact, most int) {
	if len(list) == 0 {
		return
	}
	shown := list
	if most > 0 && len(list) > most {
		shown = list[:most]
	}
	t := &term.Table{Head: []string{"MEMBER", "REACHED", "ROUND TRIP", "DOWN", "UP", "GROUPS"}, Right: map[int]bool{2: true, 3: true, 4: true},
		Cut: map[int]int{0: 40, 5: 30}, Width: a.columns()}
	for _, c := range shown {
		t.Add(nodeName(c.NodeID, c.Name), reachedHow(c), formatTrip(c.RTT), rateOrDash(c.DownRate), rateOrDash(c.UpRate), groupNames(c.Groups))
	}
	t.Write(a.Stdout)
	for _, c := range shown {
		if text := whyNot(c); text != "" {
			a.line("%s: %s", nodeName(c.NodeID, c.Name), text)
		}
	}
	if n := len(list) - len(shown); n > 0 {
		a.line("and %d more: shoal peers", n)
	}
}

// reachedHow is the way to a member in a few words.
func reachedHow(c api.Contact) string {
	switch {
	case !c.Connected && c.Since.IsZero():
		return "offline"
	case !c.Connected:
		return "offline since " + c.Since.UTC().Format("2006-01-02 15:04 UTC")
	case c.How == api.HowRelay && c.Relay != nil:
		return "relay through " + nodeName(c.Relay.NodeID, c.Relay.Name)
	case c.How == api.HowRelay:
		return "relay"
	}
	return "direct, " + strings.ToUpper(api.Safe(string(c.How)))
}

// whyNot is what stands in the way of a better connection, and what to do about it.
func whyNot(c api.Contact) string {
	if c.Why == "" {
		return ""
	}
	text := "not connected: "
	if c.Connected {
		text = "not direct: "
	}
	text += api.Safe(c.Why)
	if c.Do != "" {
		text += "; " + api.Safe(c.Do)
	}
	return text
}

func (a *app) showSharePeers(list []api.SharePeer) {
	t := &term.Table{Head: []string{"PEER", "CLIENT", "SHARE", "REACHED", "HAS", "DOWN", "UP"}, Right: map[int]bool{4: true, 5: true, 6: true},
		Cut: map[int]int{0: 48, 1: 24, 2: 40}, Width: a.columns()}
	for _, p := range list {
		t.Add(peerName(p.Peer), api.Safe(p.Client), api.Safe(p.Share), carrier(p.Peer), percent(p.Have), rateOrDash(p.DownRate), rateOrDash(p.UpRate))
	}
	if !t.Empty() {
		t.Write(a.Stdout)
	}
}

// peerName is a peer for people: a member by its name, any other by its address.
func peerName(p api.Peer) string {
	if p.NodeID != "" {
		return nodeName(p.NodeID, p.NodeName)
	}
	return api.Safe(p.Address)
}

// carrier is what carries the data of a peer.
func carrier(p api.Peer) string {
	how := p.How
	if how == "" {
		how = api.HowTCP
	}
	switch {
	case p.NodeID == "":
		return strings.ToUpper(api.Safe(string(how)))
	case how == api.HowRelay:
		return "overlay, relay"
	}
	return "overlay, " + strings.ToUpper(api.Safe(string(how)))
}

func percent(part float64) string { return fmt.Sprintf("%d %%", int(part*100)) }

// formatTrip is a round trip; "-" where it was not measured.
func formatTrip(seconds float64) string {
	ms := seconds * 1000
	switch {
	case ms <= 0:
		return "-"
	case ms < 10:
		return fmt.Sprintf("%.1f ms", ms)
	case ms < 10_000:
		return fmt.Sprintf("%.0f ms", ms)
	}
	return (time.Duration(seconds) * time.Second).String()
}

// groupName is a group for people: its name, or what of its id names it where this node is
// in no such group any more.
func groupName(g api.GroupRef) string {
	if g.Name == "" {
		return short(g.ID)
	}
	return api.Safe(g.Name)
}

func groupNames(list []api.GroupRef) string {
	var names []string
	for _, g := range list {
		names = append(names, groupName(g))
	}
	return strings.Join(names, ", ")
}

// audience says who can see and fetch a share for groups.
func audience(list []api.GroupRef) string {
	if len(list) != 1 {
		var parts []string
		for _, g := range list {
			how := fmt.Sprint(g.Members)
			if g.Name == "" {
				how = "this node is no more"
			}
			parts = append(parts, groupName(g)+" ("+how+")")
		}
		return "the members of " + strings.Join(parts, " and ")
	}
	g := list[0]
	switch {
	case g.Name == "":
		return "the members of group " + short(g.ID) + ", in which this node is no more"
	case g.Members == 1:
		return "the members of " + groupName(g) + ", so far this node alone"
	}
	return fmt.Sprintf("the %d members of %s", g.Members, groupName(g))
}
