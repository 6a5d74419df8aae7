package fakenode

import (
	"context"
	"sort"
	"strings"
	"time"

	"shoal/internal/door/api"
)

// Members of each group whose name begins with "busy": one reached straight, one through
// that one, one offline.
const (
	Bea  = "12D3KooWBeaBeaBeaBeaBeaBeaBeaBeaBeaBeaBeaBeaBeaBeabea"
	Carl = "12D3KooWCarlCarlCarlCarlCarlCarlCarlCarlCarlCarlCarl"
	Dora = "12D3KooWDoraDoraDoraDoraDoraDoraDoraDoraDoraDoraDora"
)

// crowd lets the members of a busy group in.
func (n *Node) crowd(d *api.GroupDetail) {
	for _, m := range []member{{Bea, "bea", api.RightsAdmin}, {Carl, "carl\x1b[31m", api.RightsMember}, {Dora, "dora", api.RightsMember}} {
		n.admit(d, m)
	}
	d.Online--
	d.MemberList[len(d.MemberList)-1].Online = false
}

// contact is a member as the fake reaches it.
func (n *Node) contact(m api.Member) api.Contact {
	c := api.Contact{NodeID: m.NodeID, Name: m.Name, Code: code, Connected: true, How: api.HowTCP, Address: "192.0.2.7:7463",
		Since: n.Now().Add(-time.Hour), RTT: 0.0231, Downloaded: 5_000_000, Uploaded: 1000, DownRate: 2_000_000}
	switch m.NodeID {
	case Carl:
		c.How, c.Relay, c.RTT, c.DownRate = api.HowRelay, &api.NodeRef{NodeID: Bea, Name: "bea"}, 0.181, 0
		c.Why = "both routers give each connection a port of its own, so neither side can tell the other where to come"
		c.Do = "map port 7463 on one of the two routers"
	case Dora:
		c = api.Contact{NodeID: m.NodeID, Name: m.Name, Code: code, How: api.HowNone, Address: "[2001:db8::d]:7463", Since: n.Now().Add(-26 * time.Hour),
			Why: "no answer at 2 addresses", Do: "see whether its node runs: shoal up"}
	case Inviter:
		c.How, c.Incoming = api.HowQUIC, true
	}
	return c
}

// Peers implements httpd.Reach.
func (n *Node) Peers(context.Context) (api.Peers, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return api.Peers{Members: n.contacts(), Peers: n.sharePeers()}, nil
}

func (n *Node) contacts() []api.Contact {
	var out []api.Contact
	at := map[string]int{}
	for _, d := range n.groups {
		for _, m := range d.MemberList {
			if m.Self {
				continue
			}
			if _, ok := at[m.NodeID]; !ok {
				at[m.NodeID] = len(out)
				out = append(out, n.contact(m))
			}
			c := &out[at[m.NodeID]]
			c.Groups = append(c.Groups, api.GroupRef{ID: d.ID, Name: d.Name, Members: d.Members})
		}
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].Connected && !out[j].Connected })
	return out
}

func (n *Node) sharePeers() []api.SharePeer {
	var out []api.SharePeer
	for id, s := range n.shares {
		for _, p := range n.peersOf(s) {
			out = append(out, api.SharePeer{InfoHash: id, Share: s.Name, Peer: p})
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Share+out[i].Address < out[j].Share+out[j].Address })
	return out
}

// peersOf are the peers of a share: those that it was given, and of a busy group's Bea and Carl.
func (n *Node) peersOf(s *api.Share) []api.Peer {
	out := []api.Peer{}
	for _, p := range n.peers[s.InfoHash] {
		out = append(out, api.Peer{Address: p, Client: "shoal\x1b[31m 0.1", Have: 1, Flags: "dU", How: api.HowTCP})
	}
	for _, g := range s.Groups {
		if strings.HasPrefix(g.Name, "busy") {
			out = append(out,
				api.Peer{Address: "[fd73:686f:616c::1]:7463", Client: "shoal 0.1.0", NodeID: Bea, NodeName: "bea", How: api.HowTCP, Have: 0.5, UpRate: 3_000_000},
				api.Peer{Address: "[fd73:686f:616c::2]:7463", Client: "shoal 0.1.0", NodeID: Carl, NodeName: "carl\x1b[31m", How: api.HowRelay})
		}
	}
	return out
}

// Connect implements httpd.Reach: who is offline stays so, a node of the DHT answers at
// 192.0.2.53, and nobody else at an address where no member is.
func (n *Node) Connect(_ context.Context, r api.ConnectRequest) (api.Connection, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, c := range n.contacts() {
		switch {
		case c.NodeID != r.Node && (r.Node != "" || c.Address != r.Address):
		case !c.Connected:
			return api.Connection{}, api.Errorf(api.Unreachable, c.NodeID, "%s", c.Why).Try("%s", c.Do)
		default:
			return api.Connection{Member: &c, Already: r.Address == "", Address: r.Address, RTT: c.RTT, Seconds: 0.25}, nil
		}
	}
	if strings.HasPrefix(r.Address, "192.0.2.53:") {
		return api.Connection{Address: r.Address, DHT: true, RTT: 0.04, Seconds: 0.25}, nil
	}
	return api.Connection{}, api.Errorf(api.Unreachable, r.Address, "nobody answers there, by TCP or by UDP").Try("see whether a node runs there and its port is open: shoal doctor")
}

// Doctor implements httpd.Reach. What Sick names is bad.
func (n *Node) Doctor(context.Context) ([]api.Finding, error) {
	out := []api.Finding{
		{Check: "key", Verdict: api.VerdictOK, What: "it is there, and nobody else can read it"},
		{Check: "port", Verdict: api.VerdictWarn, What: "7463 is taken, so this node uses 41000", Means: "who knows the old address does not find this node",
			Do: "stop the other program, or choose another port with --port"},
		{Check: "dht", Verdict: api.VerdictSkipped, What: "it is not used in scope loopback"},
	}
	for _, s := range n.Sick {
		out = append(out, api.Finding{Check: "disk", Verdict: api.VerdictBad, What: s, Means: "nothing can be fetched", Do: "make room"})
	}
	return out, nil
}

// reach is what the status tells of a node with groups.
func (n *Node) reach(st *api.Status) {
	if st.Groups = len(n.groups); st.Groups == 0 {
		return
	}
	for _, c := range n.contacts() {
		st.Members++
		if c.Connected {
			st.Online++
		}
	}
	st.Reach = &api.Reach{Open: api.OpenYes, Mapped: []string{"203.0.113.5:7463"}, MappedBy: "upnp", Reachable: []string{"203.0.113.5:7463"}, Seen: []string{"203.0.113.5:7463"}}
	st.DHT = &api.DHTStatus{Enabled: true, Ready: true, Nodes: 412, Nodes6: 12, Size: 8_100_000, RTT: 0.09}
	st.Relay = &api.RelayUse{Used: 1_200_000_000, Budget: 10_000_000_000}
	st.Locators = n.locators()
}

func (n *Node) locators() []api.LocatorStatus {
	return []api.LocatorStatus{{Name: "tracker", Asked: 12, Sent: 4100, Found: 40, Dialled: 12, Connected: 5, Useful: 1_200_000_000},
		{Name: "lan"}, {Name: "mainline", Asked: 1803, Sent: 310_000, Found: 212, Dialled: 30, Connected: 2, Useful: 80_000_000}}
}

// audience is what a share is for, by full ids; one that this node is not in refuses.
func (n *Node) audience(ids []string) ([]api.GroupRef, error) {
	var out []api.GroupRef
	for _, id := range ids {
		d, err := n.group(id)
		if err != nil {
			return nil, api.Errorf(api.Refused, "", "this link is for the members of a group that this node is not in").
				Try("ask one of them for an invitation (`shoal join TICKET`)")
		}
		out = append(out, api.GroupRef{ID: d.ID, Name: d.Name, Members: d.Members})
	}
	return out, nil
}

// audienceNow is audience for who does not hold the lock.
func (n *Node) audienceNow(ids []string) ([]api.GroupRef, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.audience(ids)
}
