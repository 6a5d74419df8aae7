package node

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"

	"shoal/internal/adapter/overlay"
	"shoal/internal/core/group"
	"shoal/internal/core/ident"
	"shoal/internal/core/swarm/candidates"
	"shoal/internal/door/api"
	"shoal/internal/node/engine"
	"shoal/internal/node/locate"
	"shoal/internal/node/members"
)

// Peers implements httpd.Reach.
func (n *Node) Peers(context.Context) (api.Peers, error) {
	out := api.Peers{Members: n.contacts(), Peers: []api.SharePeer{}}
	who := n.byAddr(out.Members)
	for _, st := range n.engine.List() {
		if st.Peers == 0 {
			continue
		}
		d, err := n.engine.Detail(st.ID)
		if err != nil {
			continue // it has just gone
		}
		for i := range d.Peers {
			out.Peers = append(out.Peers, api.SharePeer{InfoHash: st.ID, Share: st.Name, Peer: peerOf(&d.Peers[i], who)})
		}
	}
	slices.SortStableFunc(out.Peers, func(a, b api.SharePeer) int {
		return cmp.Or(cmp.Compare(a.Share, b.Share), cmp.Compare(a.Address, b.Address))
	})
	return out, nil
}

// byAddr are members by their overlay addresses.
func (n *Node) byAddr(list []api.Contact) map[netip.Addr]*api.Contact {
	who := make(map[netip.Addr]*api.Contact)
	for i := range list {
		if id, err := ident.ParseNodeID(list[i].NodeID); err == nil {
			who[id.Addr().Addr()] = &list[i]
		}
	}
	return who
}

// contacts are the other members of all groups and how they are reached: who is connected
// first, then by name.
func (n *Node) contacts() []api.Contact {
	list := []api.Contact{}
	at := make(map[string]int)
	all, _ := n.groups.List() // an error: there are none any more
	for i := range all {
		d, err := n.groups.Show(all[i].ID.String())
		if err != nil || d.Rights == 0 {
			continue
		}
		ref := api.GroupRef{ID: d.ID.String(), Name: d.Name, Members: d.Summary.Members}
		for j := range d.Members {
			m := &d.Members[j]
			if m.Self {
				continue
			}
			id := m.Node.String()
			k, known := at[id]
			if !known {
				k, at[id] = len(list), len(list)
				list = append(list, api.Contact{NodeID: id, Name: m.Name, Code: ident.CodeOf(m.Node), How: api.HowNone})
				if len(m.Addrs) > 0 {
					list[k].Address = m.Addrs[0].At.String()
				}
				if m.Refuses {
					list[k].Why, list[k].Do = refuses, "ask an admin of "+api.Safe(d.Name)+" for a new ticket"
				}
			}
			list[k].Groups = append(list[k].Groups, ref)
		}
	}
	n.connected(list, at)
	slices.SortStableFunc(list, func(a, b api.Contact) int {
		if a.Connected != b.Connected {
			return map[bool]int{true: -1, false: 1}[a.Connected]
		}
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.NodeID, b.NodeID))
	})
	return list
}

// refuses is why a member has nothing to do with this node.
const refuses = "it does not take this node for a member any more"

// connected fills in how members are reached, or why not.
func (n *Node) connected(list []api.Contact, at map[string]int) {
	if n.net == nil {
		return
	}
	for _, p := range n.net.Members().Peers() {
		k, ok := at[p.ID.String()]
		switch {
		case ok && p.Connected:
			fillContact(&list[k], &p)
		case ok && list[k].Why == "":
			list[k].Why = p.Why
		}
	}
	for k := range list {
		c := &list[k]
		if c.Connected || c.Do != "" {
			continue
		}
		if since, ok := n.away.Load(c.NodeID); ok {
			c.Since = since.(time.Time)
		}
		switch {
		case c.Why == "" && c.Address == "":
			c.Why = "no address of it is known yet"
		case c.Why == "":
			c.Why = "it does not answer"
		}
		c.Do = "see that shoal runs there (`shoal up`)"
	}
}

// host is the overlay if it is up.
func (n *Node) host() *overlay.Host {
	now, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	if n.net.Members().Ready(now) != nil {
		return nil
	}
	return n.net.Members().Host()
}

// fillContact tells of a member that is connected.
func fillContact(c *api.Contact, p *members.Peer) {
	c.Connected, c.How, c.Address, c.Incoming, c.Since = true, api.How(p.Transport), p.Addr.String(), p.Inbound, p.Since.UTC()
	c.RTT, c.Downloaded, c.Uploaded = p.RTT.Seconds(), p.In, p.Out
	c.DownRate, c.UpRate, c.Why = api.Rate(p.InRate), api.Rate(p.OutRate), p.Why
	if p.Transport == overlay.Relay {
		c.Relay = &api.NodeRef{NodeID: p.Via.String(), Name: p.ViaName}
		c.Why = cmp.Or(c.Why, "no direct way has opened yet")
		c.Do = "forward the port (TCP and UDP) in one of the two routers, or turn on UPnP there"
	}
}

// Connect implements httpd.Reach.
func (n *Node) Connect(ctx context.Context, r api.ConnectRequest) (api.Connection, error) {
	if n.net == nil {
		return api.Connection{}, api.Errorf(api.Unavailable, "", "this node is offline")
	}
	if r.Address != "" {
		if err := checkPeers([]string{r.Address}); err != nil {
			return api.Connection{}, err
		}
		if at, err := netip.ParseAddrPort(r.Address); err == nil { // a name is judged when it is looked up
			if err := n.opts.Config.Network.Scope.AllowFrom(at, FromPerson); err != nil {
				return api.Connection{}, err
			}
		}
	}
	n.typed.Add(r.Address)
	begun := time.Now()
	out := api.Connection{Address: r.Address, Already: n.isConnected(r.Node)}
	ctx, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		if r.Node == "" {
			out.DHT, out.RTT = n.askDHT(ctx, r.Address)
		}
	}()
	p, err := n.net.Members().Connect(ctx, r.Node, r.Address)
	<-asked
	out.Seconds = time.Since(begun).Seconds()
	if err == nil {
		c := n.contactOf(p)
		out.Member, out.RTT = &c, cmp.Or(c.RTT, out.RTT)
		return out, nil
	}
	if out.DHT {
		return out, nil
	}
	return out, connectProblem(r, err)
}

// connectTime is how long Connect tries.
const connectTime = 15 * time.Second

func connectProblem(r api.ConnectRequest, err error) error {
	subject := cmp.Or(r.Address, r.Node)
	switch {
	case errors.Is(err, members.ErrNobody) && r.Node != "":
		return api.Errorf(api.NotFound, r.Node, "no group of this node has such a member").Try("`shoal peers` lists the members")
	case errors.Is(err, members.ErrNobody):
		return api.Errorf(api.Unreachable, subject, "neither a member of this node's groups nor a node of the DHT answers there").
			Try("see that shoal runs there and that the port is open, or `shoal join` a group first")
	case api.KindOf(err) == api.OutOfScope:
		return err
	}
	e := api.Errorf(api.Unreachable, subject, "nobody answers: %w", err)
	e.Reason = strings.Replace(e.Reason, overlay.ErrUnreachable.Error()+": ", "", 1)
	return e.Try("see that shoal runs there; `shoal doctor` tells what stands in this node's way")
}

// askDHT asks a node of the DHT for a sign of life.
func (n *Node) askDHT(ctx context.Context, address string) (ok bool, rtt float64) {
	if n.net.DHT() == nil {
		return false, 0
	}
	to, err := n.net.Resolve(ctx, address)
	if err != nil || len(to) == 0 || n.allowNear(to[0]) != nil {
		return false, 0
	}
	took, err := n.net.PingDHT(ctx, to[0])
	return err == nil, took.Seconds()
}

func (n *Node) isConnected(node string) bool {
	return node != "" && slices.ContainsFunc(n.net.Members().Peers(), func(p members.Peer) bool { return p.Connected && p.ID.String() == node })
}

// contactOf is one member that is connected.
func (n *Node) contactOf(p members.Peer) api.Contact {
	for _, c := range n.contacts() {
		if c.NodeID == p.ID.String() {
			fillContact(&c, &p)
			return c
		}
	}
	c := api.Contact{NodeID: p.ID.String(), Code: ident.CodeOf(p.ID)}
	fillContact(&c, &p)
	return c
}

// peerOf is what the API tells of a connected peer of a share; who are the members by
// overlay address.
func peerOf(p *engine.PeerStatus, who map[netip.Addr]*api.Contact) api.Peer {
	out := api.Peer{Address: p.Addr.String(), How: api.HowTCP, Client: p.Client, Incoming: p.Incoming, Have: p.Have,
		Downloaded: p.In, Uploaded: p.Out, DownRate: api.Rate(p.InRate), UpRate: api.Rate(p.OutRate), Flags: p.Flags}
	if c := who[p.Addr.Addr()]; c != nil {
		out.NodeID, out.NodeName, out.How = c.NodeID, c.Name, c.How
	}
	return out
}

// audienceOf names groups. It waits for nobody: the engine's loops ask it.
func (n *Node) audienceOf(ids []group.ID) (list []api.GroupRef) {
	known := n.known.Load()
	for _, id := range ids {
		ref := api.GroupRef{ID: id.String()}
		if known != nil {
			ref = cmp.Or((*known)[id], ref)
		}
		list = append(list, ref)
	}
	return list
}

// nameGroups keeps what audienceOf needs.
func (n *Node) nameGroups() {
	list, err := n.groups.List()
	if err != nil {
		return
	}
	known := make(map[group.ID]api.GroupRef)
	for i := range list {
		known[list[i].ID] = api.GroupRef{ID: list[i].ID.String(), Name: list[i].Name, Members: list[i].Members}
	}
	n.known.Store(&known)
}

// presence fills in what a status tells of groups and of how this node reaches others.
func (n *Node) presence(s *api.Status) {
	list := n.contacts()
	groups, _ := n.groups.List() // an error: there are none any more
	s.Groups, s.Members = len(groups), len(list)
	for i := range list {
		if list[i].Connected {
			s.Online++
		}
	}
	if n.net == nil {
		return
	}
	s.Reach, s.DHT, s.Locators = n.reachOf(list), n.dhtOf(), n.locators()
	if host := n.host(); host != nil {
		used, budget := host.RelayUsed()
		s.Relay = &api.RelayUse{Used: used, Budget: budget}
	}
}

// reachOf is how this node is reached.
func (n *Node) reachOf(list []api.Contact) *api.Reach {
	out := &api.Reach{Open: api.OpenUnknown, External: texts(n.opts.Config.Network.ExternalAddrs(n.net.Port()))}
	host := n.host()
	if host == nil {
		return out
	}
	r := host.Reach()
	out.Reachable, out.Unreachable, out.Seen, out.Mapped = texts(r.Reachable), texts(r.Unreachable), texts(r.Seen), texts(r.Mapped)
	if len(r.Mapped) > 0 {
		out.MappedBy = mappedBy
	}
	switch {
	case len(r.Reachable) > 0:
		out.Open = api.OpenYes
	case len(r.Unreachable) > 0:
		out.Open = api.OpenNo
	}
	for _, id := range r.Relays {
		ref := api.NodeRef{NodeID: id.String()}
		for i := range list {
			if list[i].NodeID == ref.NodeID {
				ref.Name = list[i].Name
			}
		}
		out.Relays = append(out.Relays, ref)
	}
	return out
}

// mappedBy is how routers are asked; which of both it was libp2p does not tell.
const mappedBy = "upnp or nat-pmp"

func texts(addrs []netip.AddrPort) (list []string) {
	for _, a := range addrs {
		list = append(list, a.String())
	}
	return list
}

// dhtOf is this node's part in the public DHT.
func (n *Node) dhtOf() *api.DHTStatus {
	d := n.net.DHT()
	if d == nil {
		return &api.DHTStatus{}
	}
	h := d.Health()
	s := &api.DHTStatus{Enabled: true, Nodes: h.Good, Size: int64(d.Size()), RTT: h.RoundTrip.Seconds()}
	select {
	case <-d.Ready():
		s.Ready = true
	default:
	}
	return s
}

// locators tells what each way to find peers cost and brought, all shares together.
func (n *Node) locators() []api.LocatorStatus {
	list := locatorsOf(n.engine.Yields())
	if n.net == nil {
		return list
	}
	for _, l := range n.net.Locators() {
		c := l.Cost()
		i := slices.IndexFunc(list, func(s api.LocatorStatus) bool { return s.Name == l.Name() })
		if i < 0 {
			i, list = len(list), append(list, api.LocatorStatus{Name: l.Name()})
		}
		list[i].Asked, list[i].Sent = c.Questions, c.Bytes
	}
	return list
}

// locatorNames are the words of the API for sources, where they differ.
var locatorNames = map[candidates.Source]string{candidates.FromDHT: "mainline", candidates.FromMember: "members", candidates.FromPeer: "incoming"}

func locatorsOf(yields []locate.Yield) (list []api.LocatorStatus) {
	for _, y := range yields {
		list = append(list, api.LocatorStatus{Name: cmp.Or(locatorNames[y.Source], y.Source.String()), Found: y.Found, Dialled: y.Dialled, Connected: y.Connected, Useful: y.Bytes})
	}
	return list
}
