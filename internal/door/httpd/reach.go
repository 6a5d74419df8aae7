package httpd

import (
	"context"
	"net"
	"net/netip"

	"shoal/internal/door/api"
)

// Reach tells how others are reached, and what stands in the way.
type Reach interface {
	// Peers are the members of this node's groups, those that are connected first, then by
	// name, and the connected peers of all shares, by the share's name. It is cheap.
	Peers(ctx context.Context) (api.Peers, error)
	// Connect connects now. r.Node is a full NodeID of another member or "", r.Address is
	// host:port or "", one of them is given. Without a node, members are tried at the
	// address, and a node of the public DHT is asked there. Where nobody answers in time
	// the error is api.Unreachable and says why, with one thing to do. The end of ctx
	// interrupts.
	Connect(ctx context.Context, r api.ConnectRequest) (api.Connection, error)
	// Doctor looks at everything that may stand in the way, in a fixed order, within 20 s;
	// a node that has only just begun waits that long for its network.
	Doctor(ctx context.Context) ([]api.Finding, error)
}

// reachRoutes are the calls of Reach, where the node has it.
func reachRoutes(n Node) []route {
	if n.Reach == nil || n.Groups == nil {
		return nil
	}
	const p = api.Prefix
	return []route{
		{method: "GET", path: p + "/peers", id: "listPeers", summary: "Members of the node's groups and how they are reached, and the connected peers of all shares.",
			answer: api.Peers{}, handle: (*Server).listPeers},
		{method: "POST", path: p + "/connect", id: "connect", summary: "Connect to a member, or to whom answers at an address; answers when that stands, or unreachable.",
			body: &api.ConnectRequest{}, answer: api.Connection{}, kinds: append([]api.Kind{api.Unreachable, api.OutOfScope}, xKinds...), handle: (*Server).connect},
		{method: "POST", path: p + "/doctor", id: "doctor", summary: "Look at what may stand in the way; takes up to 20 s.",
			answer: []api.Finding{}, handle: (*Server).doctor},
	}
}

func (s *Server) listPeers(c *call) (any, error) {
	all, err := s.node.Reach.Peers(c.r.Context())
	if all.Members == nil {
		all.Members = []api.Contact{}
	}
	for i := range all.Members {
		if all.Members[i].Groups == nil {
			all.Members[i].Groups = []api.GroupRef{}
		}
	}
	if all.Peers == nil {
		all.Peers = []api.SharePeer{}
	}
	return all, err
}

func (s *Server) connect(c *call) (any, error) {
	req := *c.body.(*api.ConnectRequest)
	if req.Node == "" && req.Address == "" {
		return nil, api.Errorf(api.Invalid, "", "neither a member nor an address is given")
	}
	if req.Address != "" {
		if err := checkPeers([]string{withPort(req.Address)}); err != nil {
			return nil, err
		}
		req.Address = withPort(req.Address)
	}
	named := req.Node
	if named != "" {
		id, err := s.contact(c.r.Context(), named)
		if err != nil {
			return nil, err
		}
		req.Node = id
	}
	out, err := s.node.Reach.Connect(c.r.Context(), req)
	if e := api.AsError(err); e != nil && e.Subject == req.Node && named != "" {
		other := *e
		other.Subject = named // as the person knows it
		return out, &other
	}
	return out, err
}

// withPort gives an IP address without a port the usual one.
func withPort(addr string) string {
	if a, err := netip.ParseAddr(addr); err == nil {
		return net.JoinHostPort(a.String(), api.DefaultPort)
	}
	return addr
}

// contact finds the other member, of whichever group, that a text means.
func (s *Server) contact(ctx context.Context, text string) (string, error) {
	groups, err := s.node.Groups.Groups(ctx)
	if err != nil {
		return "", err
	}
	var all, self api.GroupDetail
	seen := map[string]bool{}
	for _, g := range groups {
		d, err := s.node.Groups.Group(ctx, g.ID)
		if err != nil {
			return "", err
		}
		for _, m := range d.MemberList {
			switch {
			case m.Self: // it may be called as another is
				self.MemberList = []api.Member{m}
			case !seen[m.NodeID]:
				seen[m.NodeID] = true
				all.MemberList = append(all.MemberList, m)
			}
		}
	}
	m, err := member(all, text)
	_, other := member(self, text)
	switch {
	case api.KindOf(err) == api.NotFound && other == nil:
		return "", api.Errorf(api.Invalid, text, "this is this node itself")
	case api.KindOf(err) == api.NotFound && len(groups) == 0:
		return "", api.Errorf(api.NotFound, text, "this node is in no group, so it knows no other by name").Try("`shoal join TICKET` joins one; an address is written HOST:PORT")
	case api.KindOf(err) == api.NotFound:
		return "", api.Errorf(api.NotFound, text, "no member of this node's groups is called so").Try("`shoal peers` lists them; an address is written HOST:PORT")
	}
	return m.NodeID, err
}

func (s *Server) doctor(c *call) (any, error) {
	list, err := s.node.Reach.Doctor(c.r.Context())
	if list == nil {
		list = []api.Finding{}
	}
	return list, err
}

// reachMetrics are those that the status tells, where the node has groups.
func reachMetrics(st api.Status) (list []api.Metric) {
	gauge := func(name, help string, v float64) {
		list = append(list, api.Metric{Name: name, Help: help, Kind: api.Gauge, Samples: []api.Sample{{Value: v}}})
	}
	gauge("shoal_members", "Other members of the node's groups.", float64(st.Members))
	gauge("shoal_members_online", "Of these, those that are connected.", float64(st.Online))
	if d := st.DHT; d != nil {
		gauge("shoal_dht_nodes", "Known nodes of the public DHT that did not fail last.", float64(d.Nodes))
		gauge("shoal_dht_size", "Estimate of how many nodes the public DHT has; 0 while unknown.", float64(d.Size))
	}
	if r := st.Relay; r != nil {
		gauge("shoal_relay_used_bytes", "Bytes that members sent through this node in the current day.", float64(r.Used))
		gauge("shoal_relay_budget_bytes", "Bytes a day that members may send through this node.", float64(r.Budget))
	}
	if len(st.Locators) == 0 {
		return list
	}
	for _, m := range []struct {
		name, help string
		of         func(api.LocatorStatus) int64
	}{
		{"questions", "Questions that a way to find peers sent.", func(l api.LocatorStatus) int64 { return l.Asked }},
		{"traffic_bytes", "Bytes that its questions and answers took.", func(l api.LocatorStatus) int64 { return l.Sent }},
		{"found", "New addresses that it found.", func(l api.LocatorStatus) int64 { return l.Found }},
		{"dialled", "Of its addresses, those that were tried.", func(l api.LocatorStatus) int64 { return l.Dialled }},
		{"connected", "Of its addresses, those that became peers.", func(l api.LocatorStatus) int64 { return l.Connected }},
		{"useful_bytes", "Payload of use that its peers gave.", func(l api.LocatorStatus) int64 { return l.Useful }},
	} {
		metric := api.Metric{Name: "shoal_locator_" + m.name + "_total", Help: m.help, Kind: api.Counter}
		for _, l := range st.Locators {
			metric.Samples = append(metric.Samples, api.Sample{Labels: [][2]string{{"locator", l.Name}}, Value: float64(m.of(l))})
		}
		list = append(list, metric)
	}
	return list
}
