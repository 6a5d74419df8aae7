package kad

import (
	"net/netip"

	"shoal/internal/core/kad/krpc"
)

// Bounds of the vote on our own address.
const (
	ballots  = 16 // last voters that count
	majority = 5  // voters of different networks that must agree
)

// votes are where others say they see us (BEP 42 "Bootstrapping"). One network has one vote.
type votes struct {
	list   []vote
	next   int
	agreed [2]netip.AddrPort // of each family
}

type vote struct {
	voter uint64
	addr  netip.AddrPort
}

// vote takes what an answer says of our address.
func (t *T) vote(from, seen netip.AddrPort) {
	if t.cfg.Authenticated || seen.Addr().Is6() != from.Addr().Is6() || !t.cfg.Allow(netip.AddrPortFrom(seen.Addr(), max(seen.Port(), 1))) {
		return
	}
	v := &t.votes
	mine := vote{network(from.Addr()), seen}
	agree, old := 1, -1
	for i := range v.list {
		switch {
		case v.list[i].voter == mine.voter && t.cfg.Diversity:
			old = i
		case v.list[i].addr == seen:
			agree++
		}
	}
	switch {
	case old >= 0:
		v.list[old] = mine
	case len(v.list) < ballots:
		v.list = append(v.list, mine)
	default:
		v.list[v.next%ballots] = mine
		v.next++
	}
	if agree >= majority {
		t.settle(seen)
	}
}

// settle takes an address as ours. With BEP 42 our id must fit its host.
func (t *T) settle(a netip.AddrPort) {
	net := t.net(a.Addr())
	if net == nil {
		return
	}
	i := 0
	if net.six {
		i = 1
	}
	if t.votes.agreed[i] == a {
		return
	}
	host := t.votes.agreed[i].Addr()
	t.votes.agreed[i] = a
	t.out.add(Effect{Kind: Address, Addr: a})
	if !t.cfg.Secure || host == a.Addr() || krpc.ValidID(t.id, a.Addr()) || i == 1 && t.cfg.IPv4 {
		return // with both families the id follows the IPv4 address
	}
	t.id = krpc.MakeID(a.Addr(), t.random())
	t.out.add(Effect{Kind: Identity, ID: t.id})
	for _, net := range t.nets {
		net.rebuild()
	}
	t.choreAt = t.now
}
