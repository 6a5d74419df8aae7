package node

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"time"

	"shoal/internal/core/group"
	"shoal/internal/core/ident"
	"shoal/internal/door/api"
	"shoal/internal/node/engine"
	"shoal/internal/node/groups"
	"shoal/internal/node/members"
	"shoal/internal/node/oneport"
	"shoal/internal/node/reach"
)

// openNetwork opens the port and the groups, and names the groups that are damaged.
func (n *Node) openNetwork() error {
	if err := n.openGroups(); err != nil {
		return err
	}
	for _, d := range n.groups.Damaged() {
		n.log.Error("a group cannot be used", "error", d)
	}
	return nil
}

// openGroups opens the port and the groups; an offline node has the groups alone.
func (n *Node) openGroups() (err error) {
	name := n.name()
	if n.opts.Offline {
		n.groups, err = groups.Open(groups.Config{Key: n.key, Name: name, Dir: n.opts.Home.Path(GroupsFolder), Net: nobody{}, Rand: newRand()})
		return groupProblem(err)
	}
	c := n.opts.Config.Network
	heard := new(reach.Heard)
	ports, err := n.listen(heard.Datagram)
	if err != nil {
		return err
	}
	cfg := reach.Config{Key: n.key, Name: name, Dir: n.opts.Home.Path(GroupsFolder), Ports: ports, Heard: heard,
		Allow: n.allowComer, AllowNear: n.allowNear, AllowStranger: c.Scope.Allow, DialFrom: n.opts.Bind.DialFrom, Internet: c.Scope == Internet, Loopback: c.Scope == Loopback,
		MapPorts: c.MapPort && c.Scope.PortMapping(), External: c.ExternalAddrs(ports.Number()), RelayBytes: int64(c.Relay),
		DHT: c.DHT, StateFile: n.opts.Home.Path(DHTFile), Bootstrap: c.Bootstrap, Resolve: n.names.lookup,
		LAN: c.LAN && c.Scope.Multicast(), Interfaces: n.opts.Bind.interfaces, LinkAddrs: n.opts.Bind.linkAddrs,
		Events: n.memberEvent, Log: n.log}
	if n.net, err = reach.Open(cfg); err != nil {
		return groupProblem(err)
	}
	n.groups = n.net.Members().Groups()
	return nil
}

// name is what this node is called to members.
func (n *Node) name() string {
	host, _ := os.Hostname() // none: NodeName has another
	return n.opts.Config.NodeName(host)
}

// carry gives the engine its carriers and its ways to find peers.
func (n *Node) carry(cfg *engine.Config) {
	if n.net == nil {
		return
	}
	cfg.Listeners, cfg.Dial, cfg.Locators, cfg.Member = n.net.Listeners(), n.net.Dial, n.net.Locators(), n.net.Members().Member
	if d := n.net.DHT(); d != nil {
		cfg.DHTPort, cfg.DHTNode = n.net.Port(), func(a netip.AddrPort) { d.Add(a) }
	}
}

// startNetwork lets groups and carriers work.
func (n *Node) startNetwork() error {
	if n.net == nil {
		n.groups.Run(nil)
	} else if err := n.net.Start(); err != nil {
		return err
	}
	events, end := n.groups.Watch()
	n.nameGroups()
	n.engine.Recheck() // what happened before Watch
	n.watched = make(chan struct{})
	go n.watch(events, end)
	return nil
}

// watch passes on what happens in groups until they are closed.
func (n *Node) watch(events <-chan groups.Event, end func()) {
	defer close(n.watched)
	defer func() { end() }()
	for {
		e, ok := <-events
		n.nameGroups()
		if ok {
			n.groupEvent(e)
			continue
		}
		if _, err := n.groups.List(); err != nil {
			return
		}
		end()
		events, end = n.groups.Watch() // it fell behind: something was missed
		n.engine.Recheck()
	}
}

// closeNetwork ends what openNetwork and startNetwork began.
func (n *Node) closeNetwork() error {
	switch {
	case n.net != nil:
		n.net.Close()
	case n.groups != nil && n.watched != nil:
		n.groups.Close()
	}
	if n.watched != nil {
		<-n.watched
	}
	return nil
}

// memberEvent does what follows from events of the overlay.
func (n *Node) memberEvent(e members.Event) {
	switch e.Kind {
	case members.MembersChanged:
		n.engine.Recheck()
	case members.Direct:
		n.engine.Moved(e.Addr.Addr())
	case members.Connected:
		n.away.Delete(e.Peer.String())
		n.engine.Online(e.Addr.Addr())
	case members.Reachable:
		n.engine.Online(netip.Addr{})
	case members.Disconnected:
		n.away.Store(e.Peer.String(), time.Now().UTC())
	case members.Refused:
		n.bus.Publish(&api.Penalised{Head: api.Head{Event: api.EventPenalised}, Reason: e.Reason, Peer: e.Peer.String(), Action: "drop"})
	}
}

// allowComer judges an address that reached us.
func (n *Node) allowComer(a netip.AddrPort) error {
	return n.opts.Config.Network.Scope.AllowFrom(a, FromPerson)
}

// allowNear judges an address that a member or the local network named, perhaps after the
// person did.
func (n *Node) allowNear(a netip.AddrPort) error {
	from := FromNear
	if n.typed.Has(a) {
		from = FromPerson
	}
	return n.opts.Config.Network.Scope.AllowFrom(a, from)
}

// listen opens the port for other nodes: the same number on every address, for TCP and UDP.
func (n *Node) listen(krpc func([]byte, netip.AddrPort)) (*oneport.Ports, error) {
	addrs, err := ListenAddrs(n.opts.Config.Network.Scope, n.opts.Bind)
	if err != nil {
		return nil, err
	}
	port := n.opts.Config.Network.Port
	ports, err := oneport.Open(addrs, port, krpc)
	if port != 0 && !n.opts.PortStrict && api.KindOf(err) == api.PortTaken {
		n.log.Info("port is taken, using a free one", "port", port)
		port = 0
		ports, err = oneport.Open(addrs, 0, krpc)
	}
	// A number that is free on one address may be taken on another.
	for try := 0; try < freePortTries && port == 0 && api.KindOf(err) == api.PortTaken; try++ {
		ports, err = oneport.Open(addrs, 0, krpc)
	}
	return ports, PortTaken(err, port, "--port")
}

// freePortTries bounds the search for a number that is free on all addresses.
const freePortTries = 20

// interfaces are those that multicast may use.
func (b Bind) interfaces() ([]net.Interface, error) {
	list, err := net.Interfaces()
	if err != nil || b.Iface == "" {
		return list, err
	}
	for _, i := range list {
		if i.Name == b.Iface {
			return []net.Interface{i}, nil
		}
	}
	return nil, nil
}

// linkAddrs are the addresses of an interface that this node uses.
func (b Bind) linkAddrs(i net.Interface) (list []netip.Prefix, err error) {
	addrs, err := i.Addrs()
	for _, a := range addrs {
		p, perr := netip.ParsePrefix(a.String())
		if perr != nil || len(b.Addrs) > 0 && !b.has(p.Addr()) {
			continue
		}
		list = append(list, p)
	}
	return list, err
}

func (b Bind) has(a netip.Addr) bool {
	for _, own := range b.Addrs {
		if own.WithZone("") == a.Unmap() {
			return true
		}
	}
	return false
}

// nobody is the groups.Net of an offline node.
type nobody struct{}

var errOffline = errors.New("this node is offline")

func (nobody) Open(context.Context, ident.NodeID, string) (groups.Stream, error) {
	return nil, errOffline
}
func (nobody) Connect(context.Context, ident.NodeID, []group.Address) error { return errOffline }
func (nobody) Drop(ident.NodeID)                                            {}
func (nobody) Addrs() []group.Address                                       { return nil }

func newRand() *rand.Rand {
	return rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64())) // for jitter
}
