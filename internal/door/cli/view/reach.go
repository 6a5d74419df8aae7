package view

import (
	"strings"

	"shoal/internal/door/api"
	"shoal/internal/door/cli/term"
)

// Contacts lists members, so many at most (0: all), and then what stands in the way.
func (p Page) Contacts(list []api.Contact, most int) {
	if len(list) == 0 {
		return
	}
	shown := list
	if most > 0 && len(list) > most {
		shown = list[:most]
	}
	t := &term.Table{Head: []string{"MEMBER", "REACHED", "ROUND TRIP", "DOWN", "UP", "GROUPS"}, Right: map[int]bool{2: true, 3: true, 4: true},
		Cut: map[int]int{0: 40, 5: 30}, Width: p.width, Spare: []int{4, 3, 2, 5}}
	for _, c := range shown {
		t.Add(Node(c.NodeID, c.Name), Reached(c), Trip(c.RTT), Rate(c.DownRate), Rate(c.UpRate), groupNames(c.Groups))
	}
	t.Write(p.w)
	for _, c := range shown {
		if text := WhyNot(c); text != "" {
			p.line("%s: %s", Node(c.NodeID, c.Name), text)
		}
	}
	if n := len(list) - len(shown); n > 0 {
		p.line("and %d more: shoal peers", n)
	}
}

// Reached is the way to a member in a few words.
func Reached(c api.Contact) string {
	switch {
	case !c.Connected && c.Since.IsZero():
		return "offline"
	case !c.Connected:
		return "offline since " + c.Since.UTC().Format("2006-01-02 15:04 UTC")
	case c.How == api.HowRelay && c.Relay != nil:
		return "relay through " + Node(c.Relay.NodeID, c.Relay.Name)
	case c.How == api.HowRelay:
		return "relay"
	}
	return "direct, " + strings.ToUpper(api.Safe(string(c.How)))
}

// WhyNot is what stands in the way of a better connection, and what to do about it; "" for
// nothing.
func WhyNot(c api.Contact) string {
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

// SharePeers lists peers of shares.
func (p Page) SharePeers(list []api.SharePeer) {
	t := &term.Table{Head: []string{"PEER", "CLIENT", "SHARE", "REACHED", "HAS", "DOWN", "UP"}, Right: map[int]bool{4: true, 5: true, 6: true},
		Cut: map[int]int{0: 48, 1: 24, 2: 40}, Width: p.width, Spare: []int{1, 6, 5, 3}}
	for _, q := range list {
		t.Add(peerName(q.Peer), api.Safe(q.Client), api.Safe(q.Share), carrier(q.Peer), percent(q.Have), Rate(q.DownRate), Rate(q.UpRate))
	}
	if !t.Empty() {
		t.Write(p.w)
	}
}

// peerName is a peer for people: a member by its name, any other by its address.
func peerName(p api.Peer) string {
	if p.NodeID != "" {
		return Node(p.NodeID, p.NodeName)
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
