package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"shoal/internal/door/api"
)

// UDP is what came of questions over UDP, to the DHT and trackers.
type UDP struct {
	Closed          string // why its port is not open; "": it is
	Asked, Answered int64
	Members         int // that are connected over it (QUIC)
}

// IPv6 is what this machine has of it.
type IPv6 struct {
	Addrs     []netip.Addr // public ones of this machine
	Listening bool
	Answered  bool // somebody answered over it
}

// Reach is how this node is reached from outside.
type Reach struct {
	Open     api.Opened
	At       []netip.AddrPort // addresses at which others arrived
	NotAt    []netip.AddrPort // at which they did not
	Seen     []netip.AddrPort // where others say that we come from
	External []netip.AddrPort // what the owner says (network.external)
	Public   []netip.Addr     // public addresses of this machine itself
}

// public4 is a public IPv4 address of this machine: no router stands before it. A public IPv6
// address tells nothing of that.
func (r *Reach) public4() (netip.Addr, bool) {
	for _, a := range r.Public {
		if a.Unmap().Is4() {
			return a.Unmap(), true
		}
	}
	return netip.Addr{}, false
}

// scattered tells that others see this node come from one address with several ports: its
// router gives each connection a port of its own, so that nobody can be told where to come.
func (r *Reach) scattered() bool {
	ports := map[netip.Addr]uint16{}
	for _, a := range r.Seen {
		if p, ok := ports[a.Addr()]; ok && p != a.Port() {
			return true
		}
		ports[a.Addr()] = a.Port()
	}
	return false
}

// Mapping is what the router was asked for.
type Mapping struct {
	Enabled bool // network.map_port
	Router  bool // one answered
	Mapped  []netip.AddrPort
	By      string // "upnp", "nat-pmp"
}

// DHT is the node's part in the public DHT.
type DHT struct {
	Enabled bool // network.dht
	Nodes   int  // known and good
	Size    int64
	Asked   int64 // queries
	Answers int64 // to them
}

// LAN is discovery on the local network.
type LAN struct {
	Enabled bool // network.lan
	Links   int  // interfaces that are used
	Err     string
	Found   int64 // nodes and peers that were found
}

// Members are the other nodes of this node's groups.
type Members struct {
	Groups, Total   int
	Online, Relayed int      // Relayed: of those online, who are reached through another member
	Refuse          []string // names of members that do not take this node for one
}

// Relays are members that pass bytes on.
type Relays struct {
	Places  []string // names of those through which this node is reached
	Refused []string // "NAME: why" of those that have no place for it
	Used    int64    // what members sent through this node today
	Budget  int64    // network.relay
}

// Scopes in which parts of the network are not used at all.
const (
	loopback = "loopback"
	internet = "internet"
)

func (f *Facts) unless(scopes ...string) (api.Finding, bool) {
	for _, s := range scopes {
		if f.Scope == s {
			return api.Finding{}, false
		}
	}
	return skipped("not used in scope %s", f.Scope), true
}

func port(f *Facts) api.Finding {
	p := &f.Port
	switch {
	case p.Got == 0:
		return bad("no port is open", "nobody can connect to this node", "see what shoal up says, and choose another port with --port")
	case p.Wanted != 0 && p.Got != p.Wanted:
		holder := p.Holder
		if holder == "" {
			holder = "another program"
		}
		return warn(fmt.Sprintf("%d is taken by %s, so this node uses %d", p.Wanted, holder, p.Got),
			"the number changes at each start: a port that you opened in the router, and addresses that others know, lead nowhere",
			"stop that program, or choose a free port (network.port in config.toml)")
	case p.Wanted == 0:
		return ok("%d, TCP and UDP; another one at each start, as the configuration says", p.Got)
	}
	return ok("%d, TCP and UDP", p.Got)
}

// fewQuestions is how many may be lost before silence means something.
const fewQuestions = 8

func udp(f *Facts) api.Finding {
	u := &f.UDP
	do := fmt.Sprintf("allow UDP port %d, in and out, in the firewall of this machine and of the network", f.Port.Got)
	switch {
	case u.Members > 0 && u.Answered == 0:
		return ok("%s connected over it", count(u.Members, "member"))
	case u.Closed != "":
		return bad("its port is not open: "+u.Closed, "the DHT does not work, and no way can be opened through routers", do)
	case u.Answered == 0 && u.Asked >= fewQuestions:
		return bad(fmt.Sprintf("none of %d questions was answered", u.Asked), "this machine is offline, or something stops UDP: then the DHT does not work, and no way can be opened through routers", do)
	case u.Answered == 0:
		return skipped("nobody was asked anything over it yet")
	}
	return ok("%d of %d questions were answered", u.Answered, u.Asked)
}

func ipv6(f *Facts) api.Finding {
	if s, skip := f.unless(internet); skip {
		return s
	}
	v := &f.IPv6
	switch {
	case len(v.Addrs) == 0 && f.Reach.Open == api.OpenNo:
		return warn("this machine has no public IPv6 address", "with one, others might reach this node although they do not over IPv4", "turn IPv6 on in the router, if your provider has it")
	case len(v.Addrs) == 0:
		return ok("this machine has no public IPv6 address; IPv4 does")
	case !v.Listening:
		return warn(fmt.Sprintf("this machine has %s, but this node does not listen there", v.Addrs[0]), "others do not reach this node over IPv6", "leave --bind and network.bind out, or name the interface instead of one address")
	case !v.Answered:
		return ok("%s; nobody has answered over it yet", v.Addrs[0])
	}
	return ok("%s, and others answer over it", v.Addrs[0])
}

func reach(f *Facts) api.Finding {
	if s, skip := f.unless(internet); skip {
		return s
	}
	r := &f.Reach
	const means = "who is behind a router, too, may not be able to connect with this node, and downloads have fewer peers"
	switch r.Open {
	case api.OpenYes:
		if len(r.At) == 0 {
			return ok("others reach this node")
		}
		return ok("others reach this node at %s", list(r.At))
	case api.OpenNo:
		what := "tests from outside did not arrive at " + list(r.NotAt)
		if len(f.Relays.Places) == 0 && f.Members.Total > 0 {
			return bad(what, "others do not reach this node: members connect only if it can connect to them first", f.opening())
		}
		return warn(what, means, f.opening())
	}
	at, itself := r.public4()
	switch {
	case len(r.External) > 0:
		return ok("at %s, as the configuration says; nobody has tested that yet", list(r.External))
	case itself:
		return ok("this machine itself has a public address, %s; nobody has tested yet whether a firewall stands before it", at)
	case hasPublic(f.Mapping.Mapped):
		return ok("the router passes %s on; nobody has tested that yet", list(f.Mapping.Mapped))
	}
	what := "this machine is behind a router that passes nothing on, as far as is known"
	if len(r.Public) > 0 {
		what = "over IPv4 " + what + "; nobody has tested IPv6 yet"
	}
	return warn(what, means, f.opening())
}

// opening is what to do so that others reach this node.
func (f *Facts) opening() string {
	_, itself := f.Reach.public4()
	byHand := fmt.Sprintf("open TCP and UDP port %d to this machine in the router's settings", f.Port.Got)
	switch {
	case len(f.Reach.External) > 0:
		return fmt.Sprintf("see whether network.external in config.toml is still right, and whether the router passes TCP and UDP port %d on to this machine", f.Port.Got)
	case itself || hasPublic(f.Mapping.Mapped):
		return fmt.Sprintf("allow TCP and UDP port %d in the firewall of this machine and of the router", f.Port.Got)
	case len(f.Mapping.Mapped) > 0: // to an address that is no public one
		return "ask your provider for a public address (IPv4 or IPv6), or have a member whose port is open relay"
	case !f.Mapping.Enabled:
		return "set network.map_port = true in config.toml, or " + byHand
	}
	return byHand + ", or turn UPnP on there"
}

func mapping(f *Facts) api.Finding {
	if s, skip := f.unless(internet); skip {
		return s
	}
	m := &f.Mapping
	_, itself := f.Reach.public4()
	switch {
	case itself:
		return ok("not needed: this machine itself has a public address")
	case hasPublic(m.Mapped):
		return ok("the router passes %s on to this node%s", list(m.Mapped), by(m.By))
	case len(m.Mapped) > 0:
		return warn(fmt.Sprintf("the router passes %s on, which is no public address%s", list(m.Mapped), by(m.By)), "another router stands before it, most likely that of your provider", "ask your provider for a public address (IPv4 or IPv6)")
	case f.Reach.Open == api.OpenYes || len(f.Reach.External) > 0:
		return ok("none by the router, and none is needed")
	case !m.Enabled:
		return warn("it is switched off (network.map_port)", "the router was not asked to let others through to this node", "set network.map_port = true in config.toml")
	}
	if m.Router {
		return warn("the router answers, but it did not map the port", "others reach this node only if the port is opened by hand", fmt.Sprintf("see whether the router allows UPnP for this machine, or open TCP and UDP port %d to it there", f.Port.Got))
	}
	return warn("no router answered (UPnP, NAT-PMP)", "others reach this node only if the port is opened by hand", fmt.Sprintf("turn UPnP on in the router, or open TCP and UDP port %d to this machine there", f.Port.Got))
}

func by(word string) string {
	switch strings.ToLower(word) {
	case "":
		return ""
	case "upnp":
		return " (UPnP)"
	case "nat-pmp":
		return " (NAT-PMP)"
	}
	return " (" + api.Safe(word) + ")"
}

// A table of this many nodes finds what there is; a network smaller than this is not Mainline.
const (
	enoughNodes = 16
	smallDHT    = 10_000
)

func dht(f *Facts) api.Finding {
	if s, skip := f.unless(internet); skip {
		return s
	}
	d := &f.DHT
	const means = "links without a tracker may find nobody"
	const do = "see whether this machine is online, and whether the firewall allows UDP; then run shoal doctor again"
	switch {
	case !d.Enabled:
		return skipped("it is switched off (network.dht)")
	case d.Nodes == 0 && d.Asked == 0:
		return bad("no node is known to begin with, so nobody was asked", "links without a tracker find nobody",
			"leave network.bootstrap at its default and see whether names are resolved here, or name a node of the DHT: shoal connect HOST:PORT")
	case d.Nodes == 0 && d.Answers == 0:
		return bad(fmt.Sprintf("no node has answered (%d questions)", d.Asked), "links without a tracker find nobody", do)
	case d.Nodes < enoughNodes:
		return warn(fmt.Sprintf("only %s", count(d.Nodes, "node")), means, do)
	case d.Size > 0 && d.Size < smallDHT:
		return warn(fmt.Sprintf("%s, of a network that seems to have about %d", count(d.Nodes, "node"), d.Size), "this is not the whole DHT, which has millions: "+means, "leave network.bootstrap at its default, and see whether the firewall stops UDP")
	case d.Size == 0:
		return ok("%s", count(d.Nodes, "node"))
	}
	return ok("%s, of a network of about %s", count(d.Nodes, "node"), about(d.Size))
}

// about is a large number in words.
func about(n int64) string {
	if n >= 1_000_000 {
		return fmt.Sprintf("%.1f million", float64(n)/1e6)
	}
	return fmt.Sprint(n)
}

func lan(f *Facts) api.Finding {
	if f.Scope == loopback {
		return skipped("not used in scope %s", f.Scope)
	}
	l := &f.LAN
	const means = "nodes on the same network are not found by themselves when the Internet is down"
	switch {
	case !l.Enabled:
		return skipped("it is switched off (network.lan)")
	case l.Err != "":
		return warn("multicast does not work everywhere: "+l.Err, means, "allow UDP ports 5353 and 6771 in the firewall of this machine")
	case l.Links == 0:
		return warn("no network interface can be used for it", means, "see whether this machine is connected to a network")
	case l.Found == 0:
		return ok("on %s; nobody is near", count(l.Links, "interface"))
	}
	return ok("on %s; %d found", count(l.Links, "interface"), l.Found)
}

func members(f *Facts) api.Finding {
	m := &f.Members
	switch {
	case m.Groups == 0:
		return skipped("this node is in no group")
	case m.Total == 0:
		return ok("this node is alone in its groups; shoal invite makes a ticket")
	case len(m.Refuse) > 0:
		return warn(fmt.Sprintf("%s does not take this node for a member", strings.Join(m.Refuse[:min(len(m.Refuse), 3)], ", ")), "this node may have been removed from the group while it was away", "ask an admin of the group, who can invite you again")
	case m.Online == 0:
		return warn(fmt.Sprintf("0 of %d connected", m.Total), "what they share cannot be fetched now", "see that their nodes run; then shoal connect with the name of one says what stands in the way")
	case m.Relayed > 0:
		means := "that is slower, and takes from what the member in between allows"
		if f.Reach.scattered() {
			means += "; the router here gives each connection a port of its own, so no way can be opened through it"
		}
		return warn(fmt.Sprintf("%d of %d connected, %d of these through another member", m.Online, m.Total, m.Relayed), means, f.direct())
	}
	return ok("%d of %d connected, all directly", m.Online, m.Total)
}

// direct is what to do so that members are reached directly.
func (f *Facts) direct() string {
	if f.Reach.Open == api.OpenYes {
		return "have them run shoal doctor: this node is reached from outside, theirs are not"
	}
	return f.opening()
}

func relays(f *Facts) api.Finding {
	r := &f.Relays
	use := "this node relays nothing (network.relay)"
	if r.Budget > 0 {
		use = fmt.Sprintf("today %s of %s were sent through this node", api.FormatSize(r.Used), api.FormatSize(r.Budget))
	}
	switch {
	case f.Members.Groups == 0 || f.Members.Total == 0:
		return skipped("there are no other members")
	case len(r.Places) > 0:
		return ok("this node is reached through %s; %s", strings.Join(r.Places[:min(len(r.Places), 3)], ", "), use)
	case r.Budget > 0 && r.Used >= r.Budget:
		return warn(use, "members that need it as a relay cannot send through it until tomorrow", "raise network.relay in config.toml, if you can spare it")
	case f.Reach.Open == api.OpenYes || f.Scope == loopback:
		return ok("none is needed; %s", use)
	case f.Members.Online == 0:
		return skipped("no member is connected that could be one")
	}
	what := "no member relays for this node"
	if len(r.Refused) > 0 {
		what += ": " + strings.Join(slices.Sorted(slices.Values(r.Refused))[:min(len(r.Refused), 3)], "; ")
	}
	if f.Reach.Open == api.OpenNo {
		return bad(what, "members that are behind routers, too, may not connect with this node", "have one member open its port: shoal doctor there says how")
	}
	return warn(what, "if others do not reach this node, members that are behind routers may not connect with it", "have one member open its port: shoal doctor there says how")
}

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// list is the first few of some addresses.
func list(addrs []netip.AddrPort) string {
	var out []string
	for _, a := range addrs[:min(len(addrs), 3)] {
		out = append(out, a.String())
	}
	if len(out) == 0 {
		return "its addresses"
	}
	return strings.Join(out, ", ")
}

// carrier is what providers use between their customers and the Internet (RFC 6598).
var carrier = netip.MustParsePrefix("100.64.0.0/10")

// hasPublic says whether one of these is an address that the Internet can reach.
func hasPublic(addrs []netip.AddrPort) bool {
	for _, a := range addrs {
		if ip := a.Addr().Unmap(); ip.IsGlobalUnicast() && !ip.IsPrivate() && !carrier.Contains(ip) {
			return true
		}
	}
	return false
}
