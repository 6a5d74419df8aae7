package api

import (
	"context"
	"net/http"
	"time"
)

// How says how a node is reached.
type How string

// The ways to a node.
const (
	HowTCP   How = "tcp"   // straight, over TCP
	HowQUIC  How = "quic"  // straight, over QUIC
	HowRelay How = "relay" // through another member
	HowNone  How = "none"  // not connected
)

// NodeRef names a node.
type NodeRef struct {
	NodeID string `json:"node_id"`
	Name   string `json:"name,omitempty" doc:"what it calls itself; data from elsewhere"`
}

// GroupRef names a group. A share's are its audience: who may see and fetch it.
type GroupRef struct {
	ID      string `json:"id" doc:"64 hex digits"`
	Name    string `json:"name,omitempty" doc:"data from elsewhere; absent where this node is in no such group any more"`
	Members int    `json:"members,omitempty" doc:"of the group, this node among them"`
}

// Contact is another member of this node's groups, and how it is reached.
type Contact struct {
	NodeID    string     `json:"node_id"`
	Name      string     `json:"name" doc:"what it calls itself; data from elsewhere"`
	Code      string     `json:"code,omitempty" doc:"twelve digits of its NodeID, to compare aloud"`
	Groups    []GroupRef `json:"groups" doc:"that it is in with this node"`
	Connected bool       `json:"connected"`
	How       How        `json:"how" enum:"tcp,quic,relay,none" doc:"how new data to it goes; relay: through another member"`
	Address   string     `json:"address,omitempty" doc:"host:port: its own, or that of the relay; of one that is offline, where it was reached last"`
	Relay     *NodeRef   `json:"relay,omitempty" doc:"the member that relays"`
	Incoming  bool       `json:"incoming,omitempty" doc:"it connected to this node"`
	Since     time.Time  `json:"since,omitzero" doc:"connected since; of one that is offline: offline since, absent if it was never seen in this run"`
	RTT       float64    `json:"rtt,omitempty" doc:"round trip in seconds; absent: not measured yet"`

	Downloaded int64  `json:"downloaded" doc:"bytes received over this connection"`
	Uploaded   int64  `json:"uploaded" doc:"bytes sent over this connection"`
	DownRate   Rate   `json:"down_rate"`
	UpRate     Rate   `json:"up_rate"`
	Why        string `json:"why,omitempty" doc:"why there is no way, or no better one, in one line"`
	Do         string `json:"do,omitempty" doc:"one thing that a person can do about it"`
}

// SharePeer is one connected peer of one share, as Peers lists them for all shares.
type SharePeer struct {
	InfoHash string `json:"info_hash" doc:"the share"`
	Share    string `json:"share" doc:"name of the share"`
	Peer
}

// Peers are all nodes and peers that this node has to do with.
type Peers struct {
	Members []Contact   `json:"member_list" doc:"other members of this node's groups: those that are connected first, then by name"`
	Peers   []SharePeer `json:"peer_list" doc:"connected peers of all shares, by name of the share"`
}

// ConnectRequest asks the node to connect now: `connect`. At least one of both is given.
type ConnectRequest struct {
	Node    string `json:"node,omitempty" doc:"a member: its NodeID, the end of one (at least 4 characters), or its name"`
	Address string `json:"address,omitempty" doc:"host:port; given by the person, so private addresses are allowed. Without node, members are tried there, and a node of the DHT is asked"`
}

// Connection is the outcome of `connect`. Where nobody answers it is an Unreachable error.
type Connection struct {
	Member  *Contact `json:"member,omitempty" doc:"who is connected, and how"`
	Already bool     `json:"already,omitempty" doc:"it was connected before"`
	Address string   `json:"address,omitempty" doc:"the address that was asked for"`
	DHT     bool     `json:"dht,omitempty" doc:"a node of the public DHT answered at that address"`
	RTT     float64  `json:"rtt,omitempty" doc:"round trip to it in seconds"`
	Seconds float64  `json:"seconds" doc:"time it took"`
}

// Opened says whether others reach a node from outside.
type Opened string

// What is known of that.
const (
	OpenYes     Opened = "yes"     // others arrived, or tested it
	OpenNo      Opened = "no"      // tests from outside did not arrive
	OpenUnknown Opened = "unknown" // nobody has tested it
)

// Reach is what a node knows of how it is reached itself.
type Reach struct {
	Open        Opened    `json:"open" enum:"yes,no,unknown" doc:"whether others reach this node's port from outside"`
	External    []string  `json:"external,omitempty" doc:"where the owner says that it is reached (network.external)"`
	Mapped      []string  `json:"mapped,omitempty" doc:"addresses that the router passes on to this node"`
	MappedBy    string    `json:"mapped_by,omitempty" doc:"how the router was asked: upnp, nat-pmp"`
	Reachable   []string  `json:"reachable,omitempty" doc:"addresses at which tests by members arrived"`
	Unreachable []string  `json:"unreachable,omitempty" doc:"addresses at which they did not"`
	Seen        []string  `json:"seen,omitempty" doc:"where others say that this node comes from"`
	Relays      []NodeRef `json:"relays,omitempty" doc:"members through which this node can be reached"`
}

// DHTStatus is the node's part in the public DHT.
type DHTStatus struct {
	Enabled bool    `json:"enabled" doc:"false: the configuration or the scope says so"`
	Ready   bool    `json:"ready" doc:"it has found enough nodes to search with"`
	Nodes   int     `json:"nodes" doc:"known nodes that did not fail last, IPv4 and IPv6"`
	Nodes6  int     `json:"nodes6,omitempty" doc:"of them, those with IPv6"`
	Size    int64   `json:"size,omitempty" doc:"estimate of how many nodes the network has; absent: too little is known"`
	RTT     float64 `json:"rtt,omitempty" doc:"median round trip in seconds"`
}

// RelayUse is what members send through this node.
type RelayUse struct {
	Used   int64 `json:"used" doc:"bytes in the current day"`
	Budget int64 `json:"budget" doc:"bytes a day (network.relay); 0: this node does not relay"`
}

// LocatorStatus is what one way to find peers costs and yields.
type LocatorStatus struct {
	Name      string `json:"name" doc:"fixed word: person, link, lan, members, group, incoming, tracker, pex, mainline; later versions may have more"`
	Asked     int64  `json:"asked" doc:"questions sent"`
	Sent      int64  `json:"sent" doc:"bytes that its questions and answers took, both ways; 0 where not counted"`
	Found     int64  `json:"found" doc:"addresses that were new"`
	Dialled   int64  `json:"dialled" doc:"of them, those that were tried"`
	Connected int64  `json:"connected" doc:"of them, those that became peers"`
	Useful    int64  `json:"useful" doc:"payload bytes that these gave and that were of use"`
}

// Verdict judges one thing that `doctor` looked at.
type Verdict string

// The verdicts.
const (
	VerdictOK      Verdict = "ok"      // as it should be
	VerdictWarn    Verdict = "warn"    // it works, but less well than it could
	VerdictBad     Verdict = "bad"     // it stands in the way
	VerdictSkipped Verdict = "skipped" // it was not looked at: What says why
)

// Finding is one thing that `doctor` looked at, and what it found.
type Finding struct {
	Check   string  `json:"check" doc:"fixed word, such as key or port"`
	Verdict Verdict `json:"verdict" enum:"ok,warn,bad,skipped"`
	What    string  `json:"what" doc:"what was found"`
	Means   string  `json:"means,omitempty" doc:"what that means for the person"`
	Do      string  `json:"do,omitempty" doc:"one thing to do about it; absent if nothing need be done"`
}

// Peers are all members and peers, and how they are reached.
func (c *Client) Peers(ctx context.Context) (Peers, error) { return get[Peers](ctx, c, "/peers") }

// Connect connects to a member or an address now.
func (c *Client) Connect(ctx context.Context, r ConnectRequest) (Connection, error) {
	return send[Connection](ctx, c, http.MethodPost, "/connect", r)
}

// Doctor has the node look at what may stand in its way; that takes seconds.
func (c *Client) Doctor(ctx context.Context) ([]Finding, error) {
	return send[[]Finding](ctx, c, http.MethodPost, "/doctor", nil)
}
