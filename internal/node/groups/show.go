package groups

import (
	"time"

	"shoal/internal/core/group"
	"shoal/internal/core/ident"
)

// Summary is one group in a list.
type Summary struct {
	ID      group.ID
	Name    string // data from others
	Members int
	Online  int          // members that are connected, this node apart
	Rights  group.Rights // of this node; 0: it was removed
	Tickets int          // of this node that can still be redeemed
}

// Detail is all there is to say about a group.
type Detail struct {
	Summary
	Members []Seen
	Entries int
	Heads   []group.Hash   // who has the same has the same member list
	Open    []group.Issued // tickets of this node that can still be redeemed: secrets
}

// Seen is a member as this node sees it.
type Seen struct {
	group.Person
	Self    bool
	Online  bool
	Refuses bool            // it does not take this node for a member: perhaps this one was removed while it was away
	Addrs   []group.Address // where it was last reached, or says that it is
}

// List gives all groups, in the order of their IDs.
func (s *Service) List() ([]Summary, error) {
	var all []Summary
	err := s.do(func() {
		p := s.look()
		for _, id := range p.sorted() {
			all = append(all, s.summary(p.groups[id]))
		}
	})
	return all, err
}

// Damaged gives the files that could not be read at the start.
func (s *Service) Damaged() []*Damage { return s.damaged }

// Show gives one group: x is as everywhere its name or a unique prefix of its ID.
func (s *Service) Show(x string) (Detail, error) {
	var d Detail
	g, err := s.find(x)
	if err != nil {
		return d, err
	}
	err = s.do(func() {
		d = Detail{Summary: s.summary(g), Entries: g.Len(), Heads: g.Heads(), Open: g.Tickets(time.Now().Unix())}
		for _, p := range g.Members() {
			m := Seen{Person: p, Self: p.Node == s.me}
			m.Online, m.Refuses = s.peers[p.Node] != nil, s.refuses(p.Node, g.ID())
			if !m.Self {
				m.Addrs = s.books[g.ID()].addrs(p.Node)
			}
			d.Members = append(d.Members, m)
		}
	})
	return d, err
}

// refuses tells that a node does not take this one for a member of a group. Owner only.
func (s *Service) refuses(node ident.NodeID, id group.ID) bool {
	if p := s.peers[node]; p != nil {
		return p.no[id]
	}
	d := s.dials[node]
	return d != nil && d.refusals > 0
}

// summary is owner only.
func (s *Service) summary(g *group.Group) Summary {
	sum := Summary{ID: g.ID(), Name: g.Name(), Tickets: len(g.Tickets(time.Now().Unix()))}
	for _, p := range g.Members() {
		sum.Members++
		if p.Node == s.me {
			sum.Rights = p.Rights
		} else if s.peers[p.Node] != nil {
			sum.Online++
		}
	}
	return sum
}
