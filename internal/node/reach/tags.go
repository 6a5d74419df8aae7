package reach

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"shoal/internal/adapter/lan"
	"shoal/internal/core/group"
	"shoal/internal/core/ident"
)

// tags knows by which tags members tell each other on the local network where they are
// (group.LANTag): they change with the day and mean nothing to others.
type tags struct {
	mu      sync.Mutex
	made    time.Time
	of      map[[8]byte]ident.NodeID
	own     [][8]byte
	members func() map[group.ID][]ident.NodeID
	self    ident.NodeID
}

// tagsLast is how long a table counts: the day may have changed since.
const tagsLast = 10 * time.Minute

// forget has the table made anew, for members have changed.
func (t *tags) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.made = time.Time{}
}

// fresh makes the table if need be. t.mu is held.
func (t *tags) fresh(now time.Time) {
	if !t.made.IsZero() && now.Sub(t.made) < tagsLast {
		return
	}
	t.made, t.own, t.of = now, nil, make(map[[8]byte]ident.NodeID)
	day := now.Unix() / (24 * 60 * 60)
	for g, nodes := range t.members() {
		t.own = append(t.own, group.LANTag(g, t.self, day))
		for _, id := range nodes {
			for d := day - 1; d <= day+1; d++ { // clocks differ
				t.of[group.LANTag(g, id, d)] = id
			}
		}
	}
	slices.SortFunc(t.own, func(a, b [8]byte) int { return slices.Compare(a[:], b[:]) })
}

// mine are the tags of this node, one for each group.
func (t *tags) mine() [][8]byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fresh(time.Now())
	return slices.Clone(t.own)
}

// member is whose tags these are.
func (t *tags) member(list [][8]byte) (ident.NodeID, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fresh(time.Now())
	for _, tag := range list {
		if id, ok := t.of[tag]; ok {
			return id, true
		}
	}
	return ident.NodeID{}, false
}

// found is told what nodes say of themselves on the local network: a claim that the
// overlay's handshake proves.
func (n *Network) found(f lan.Found) {
	if id, ok := n.tags.member(f.Tags); ok && id != n.tags.self {
		n.members.Found(id, netip.AddrPortFrom(f.Addr.Addr().Unmap(), f.Addr.Port()))
	}
}

// people are the other members of each group.
func (n *Network) people() map[group.ID][]ident.NodeID {
	out := make(map[group.ID][]ident.NodeID)
	for _, g := range n.members.Groups().Mine() {
		out[g.ID()] = nil
		for _, m := range g.Members() {
			if m.Node != n.tags.self {
				out[g.ID()] = append(out[g.ID()], m.Node)
			}
		}
	}
	return out
}
