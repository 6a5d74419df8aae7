package members

import (
	"net/netip"
	"slices"
	"testing"

	"shoal/internal/core/group"
	"shoal/internal/node/groups"
)

// What members say of each other leads to no port of a system's services (security.md T09):
// the contact of one could name anybody. A ticket leads there, also after the node was started
// anew, and so does what a person types. Here such ports are all.
func TestPrivilegedPorts(t *testing.T) {
	all := make([]*node, 3)
	for i := range all {
		n := home(t, byte(i+1), nil)
		n.sub = func(cfg *Config) {
			cfg.leastPort = 65535
			cfg.Overlay.AllowDial = func(a netip.AddrPort) error {
				n.mu.Lock()
				n.tried = append(n.tried, a)
				n.mu.Unlock()
				return n.allow(a)
			}
		}
		n.begin()
		all[i] = n
	}
	a, b, c := all[0], all[1], all[2]
	g := a.found("home")
	a.invites("home", b)
	a.invites("home", c)
	a.sees(Connected, b)
	within(t, patience, "b's contact has come to c", func() bool { return c.heardOf(b) })
	if _, err := c.Connect(soon(t), b.id().String(), ""); err == nil {
		t.Error("a member reaches another at a port that only a third one named")
	}
	for _, n := range []*node{b, c} {
		for _, o := range []*node{b, c} {
			n.mu.Lock()
			if n != o && slices.Contains(n.tried, o.at) {
				t.Errorf("%s dials a port that only others named", n.id())
			}
			n.mu.Unlock()
		}
	}
	if _, err := c.Connect(soon(t), b.id().String(), b.at.String()); err != nil {
		t.Errorf("a port that was typed: %v", err)
	}
	b.Close() // whose address a has only from b, by its contact and by libp2p's identify
	a.sees(Disconnected, b)
	if _, err := a.Connect(soon(t), b.id().String(), ""); err == nil {
		t.Error("who is gone is reached")
	}
	a.mu.Lock()
	if slices.Contains(a.tried, b.at) {
		t.Error("a port is dialled that only who is there named")
	}
	a.mu.Unlock()
	c.Close()
	c.told = nil
	c.begin()
	c.sees(Connected, a)
	if !c.Groups().Member(g, a.id()) {
		t.Error("who was started anew is in no group")
	}
}

// heardOf tells whether a node keeps the contact of another.
func (n *node) heardOf(o *node) bool {
	d, err := n.Groups().Show("home")
	return err == nil && slices.ContainsFunc(d.Members, func(m groups.Seen) bool {
		return m.Node == o.id() && slices.Contains(m.Addrs, group.Address{At: o.at})
	})
}
