package node

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"slices"
	"time"

	"shoal/internal/door/api"
	"shoal/internal/node/doctor"
	"shoal/internal/node/engine"
	"shoal/internal/node/oneport"
)

// patience is how long a node that has only just begun waits for its network before it is judged.
const patience = 8 * time.Second

// Doctor implements httpd.Reach.
func (n *Node) Doctor(ctx context.Context) ([]api.Finding, error) {
	c := &n.opts.Config
	f := doctor.Look(ctx, doctor.Place{Dir: n.opts.Home.Dir, Key: n.opts.Home.Path(KeyFile), Reserve: c.Disk.Reserve.Bytes,
		Want: c.WantsFiles()})
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	f.Scope, f.Offline = c.Network.Scope.String(), n.opts.Offline
	if !f.Offline {
		n.settle(ctx)
		n.lookAround(&f)
	}
	return doctor.Judge(f), nil
}

// settle gives a node that has only just begun time to find others.
func (n *Node) settle(ctx context.Context) {
	ctx, cancel := context.WithDeadline(ctx, n.started.Add(patience))
	defer cancel()
	_ = n.net.Members().Ready(ctx) // lookAround tells of an error
	n.awaitMembers(ctx)
	if d := n.net.DHT(); d != nil && n.opts.Config.Network.Scope == Internet {
		select {
		case <-d.Ready():
		case <-ctx.Done():
		}
	}
}

// awaitMembers waits until all members are connected, or ctx has ended.
func (n *Node) awaitMembers(ctx context.Context) {
	look := time.NewTicker(100 * time.Millisecond)
	defer look.Stop()
	away := func(c api.Contact) bool { return !c.Connected }
	for slices.ContainsFunc(n.contacts(), away) {
		select {
		case <-look.C:
		case <-ctx.Done():
			return
		}
	}
}

// lookAround gathers what is known of the network.
func (n *Node) lookAround(f *doctor.Facts) {
	c := &n.opts.Config.Network
	f.Port = doctor.Port{Wanted: c.Port, Got: int(n.net.Port())}
	if f.Port.Got != f.Port.Wanted && f.Port.Wanted != 0 {
		f.Port.Holder = oneport.Holder(c.Port)
	}
	f.LAN = doctor.LAN{Enabled: c.LAN}
	if links, found, err := n.net.Near(); err != nil {
		f.LAN.Err = err.Error()
	} else {
		f.LAN.Links, f.LAN.Found = links, found
	}
	f.Mapping.Enabled, f.DHT.Enabled = c.MapPort, c.DHT
	if d := n.net.DHT(); d != nil {
		k := d.Counted()
		f.DHT.Nodes, f.DHT.Size, f.DHT.Asked = d.Health().Good, int64(d.Size()), k.Asked
		select {
		case <-d.Ready():
			f.DHT.Answers = k.Asked - k.Lost
		default: // what is under way is not lost yet
		}
		f.UDP.Asked, f.UDP.Answered = f.DHT.Asked, f.DHT.Answers
	}
	list := n.contacts()
	r := n.reachOf(list)
	f.Reach = doctor.Reach{Open: r.Open, External: c.ExternalAddrs(n.net.Port()), Public: publicAddrs()}
	host := n.host()
	if host == nil {
		f.UDP.Closed = "the overlay has not come up"
	} else {
		h := host.Reach()
		f.Reach.At, f.Reach.NotAt, f.Reach.Seen = h.Reachable, h.Unreachable, h.Seen
		if f.Mapping.Mapped = h.Mapped; len(h.Mapped) > 0 {
			f.Mapping.By = mappedBy
		}
		f.Mapping.Router = h.Router
		f.Relays.Used, f.Relays.Budget = host.RelayUsed()
		for id, why := range h.Refusals {
			f.Relays.Refused = append(f.Relays.Refused, nameOf(list, id.String())+": "+why)
		}
	}
	for _, p := range r.Relays {
		f.Relays.Places = append(f.Relays.Places, nameOf(list, p.NodeID))
	}
	groups, _ := n.groups.List() // an error: there are none any more
	for i := range groups {
		if at := n.signedLast(groups[i].ID.String()); at.After(f.Clock.Latest) {
			f.Clock.Latest = at
		}
	}
	f.Members = doctor.Members{Groups: len(groups), Total: len(list)}
	for i := range list {
		countMember(f, &list[i])
	}
	for _, a := range f.Reach.Public {
		if a.Is6() {
			f.IPv6.Addrs = append(f.IPv6.Addrs, a)
		}
	}
	for _, at := range n.engine.Listening() {
		f.IPv6.Listening = f.IPv6.Listening || at.Addr().Is6()
	}
	f.Shares = n.Health(context.Background()).Reasons
	f.Changed = n.changed()
}

// changed has a line for each complete share whose files are not what they were. Of one that is
// parked nobody has looked since.
func (n *Node) changed() (list []string) {
	for _, st := range n.engine.List() {
		if st.State != engine.Seeding {
			continue
		}
		if st.Done < st.Wanted {
			list = append(list, api.Safe(st.Name)+": files were changed or removed")
		} else if _, err := os.Lstat(st.Path); errors.Is(err, fs.ErrNotExist) {
			list = append(list, api.Safe(st.Name)+": nothing lies at "+api.Safe(st.Path)+" any more")
		}
	}
	return list
}

// signedLast is the latest time that a member of a group has signed, by its clock.
func (n *Node) signedLast(group string) (at time.Time) {
	d, _ := n.groups.Show(group) // an error: it has just gone
	for i := range d.Members {
		if m := &d.Members[i]; m.By != n.key.ID() && m.Since > at.Unix() {
			at = time.Unix(m.Since, 0)
		}
	}
	return at
}

// countMember adds a member to the facts.
func countMember(f *doctor.Facts, c *api.Contact) {
	if c.Connected {
		f.Members.Online++
		at, err := netip.ParseAddrPort(c.Address)
		f.IPv6.Answered = f.IPv6.Answered || err == nil && at.Addr().Is6() && c.How != api.HowRelay
	}
	switch {
	case c.How == api.HowRelay:
		f.Members.Relayed++
	case c.How == api.HowQUIC:
		f.UDP.Members++
	case c.Why == refuses:
		f.Members.Refuse = append(f.Members.Refuse, c.Name)
	}
}

// nameOf is what a member is called, else the end of its NodeID.
func nameOf(list []api.Contact, id string) string {
	for i := range list {
		if list[i].NodeID == id && list[i].Name != "" {
			return list[i].Name
		}
	}
	return "…" + id[max(len(id)-8, 0):]
}

// publicAddrs are this machine's own public addresses.
func publicAddrs() (list []netip.Addr) {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	for _, a := range fromNetAddrs(addrs, "") {
		if classify(a) == classPublic {
			list = append(list, a)
		}
	}
	return list
}
