package groups

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"shoal/internal/core/group"
	"shoal/internal/core/ident"
)

// Bounds of leaving and of tickets.
const (
	leaveTime  = 3 * time.Second // for telling members
	maxExpires = 365 * 24 * time.Hour
)

// Create founds a group: this node is its first admin.
func (s *Service) Create(name string) (Summary, error) {
	if !group.NameFits(name) {
		return Summary{}, fmt.Errorf("%w: a name has 1 to %d bytes, no control characters and no blank at its ends", ErrArgument, group.MaxName)
	}
	var nonce [16]byte
	rand.Read(nonce[:])
	now := time.Now().Unix()
	raw, err := group.Begin(s.cfg.Key, name, nonce, now)
	if err != nil {
		return Summary{}, err
	}
	l, err := group.NewLog(raw)
	if err != nil {
		return Summary{}, err
	}
	// The founding names the group, not the founder.
	raw, err = l.Admit(s.cfg.Key, s.me, s.cfg.Name, group.Admin, now)
	if err != nil {
		return Summary{}, err
	}
	if _, err := l.Add(raw); err != nil {
		return Summary{}, err
	}
	var sum Summary
	if e := s.do(func() {
		if err = s.room(l.ID()); err == nil {
			err = s.commit(group.New(l), change{})
		}
		if err == nil {
			sum = s.summary(s.look().groups[l.ID()])
		}
	}); e != nil {
		return Summary{}, e
	}
	return sum, err
}

// room tells whether one more group fits. Owner only.
func (s *Service) room(id group.ID) error {
	for _, d := range s.damaged {
		if d.Path == s.path(id) { // it is not ours to overwrite
			return d
		}
	}
	if p := s.look(); p.groups[id] == nil && len(p.groups) >= MaxGroups {
		return ErrMany
	}
	return nil
}

// find is the group that is called x: its name, or a unique prefix of its ID in hex; ""
// is the only group there is.
func (s *Service) find(x string) (*group.Group, error) {
	p := s.look()
	var found []*group.Group
	for _, id := range p.sorted() {
		if g := p.groups[id]; x == "" || g.Name() == x || id.String() == x {
			found = append(found, g)
		}
	}
	if len(found) == 0 && len(x) >= 4 {
		for _, id := range p.sorted() {
			if strings.HasPrefix(id.String(), strings.ToLower(x)) {
				found = append(found, p.groups[id])
			}
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return nil, fmt.Errorf("%w: %s", ErrNoGroup, p.list(p.sorted()))
	}
	var ids []group.ID
	for _, g := range found {
		ids = append(ids, g.ID())
	}
	return nil, fmt.Errorf("%w: %s", ErrAmbiguous, p.list(ids))
}

// list names groups for a message.
func (p *picture) list(ids []group.ID) string {
	if len(ids) == 0 {
		return "this node is in no group"
	}
	var parts []string
	for _, id := range ids[:min(len(ids), 8)] {
		parts = append(parts, fmt.Sprintf("%s %q", hex.EncodeToString(id[:4]), p.groups[id].Name()))
	}
	if len(ids) > len(parts) {
		parts = append(parts, fmt.Sprintf("and %d more", len(ids)-len(parts)))
	}
	return "there are " + strings.Join(parts, ", ")
}

// edit makes a change to the group called x, as a member, keeps and shows it.
func (s *Service) edit(x string, f func(g *group.Group) (change, error)) error {
	var err error
	e := s.do(func() {
		var g *group.Group
		if g, err = s.find(x); err != nil {
			return
		}
		if _, in := g.Member(s.me); !in {
			err = ErrOut
			return
		}
		next := g.Clone()
		var how change
		if how, err = f(next); err == nil {
			err = s.commit(next, how)
		}
	})
	return errors.Join(e, err)
}

// Invite makes a ticket for the group called x. addrs are where this node is reached; nil
// takes Net's. The ticket is a secret; so is what is in Issued.
func (s *Service) Invite(x string, uses int, expires time.Duration, rights group.Rights, addrs []group.Address) (group.Ticket, group.Issued, error) {
	if uses < 1 || uses > group.MaxUses || expires < time.Second || expires > maxExpires {
		return group.Ticket{}, group.Issued{}, fmt.Errorf("%w: 1 to %d uses, 1s to %v", ErrArgument, group.MaxUses, maxExpires)
	}
	if addrs == nil {
		addrs = s.cfg.Net.Addrs()
	}
	now := time.Now()
	out := group.Issued{Expires: now.Add(expires).Unix(), Uses: uses, Rights: rights}
	rand.Read(out.Secret[:])
	t := group.Ticket{Inviter: s.me, Secret: out.Secret, Expires: uint32(out.Expires), Uses: uint16(uses), Addrs: fitting(addrs)}
	err := s.edit(x, func(g *group.Group) (change, error) {
		t.Group, t.Name = g.ID(), g.Name()
		return change{}, g.Invite(s.me, out, now.Unix())
	})
	if err != nil {
		return group.Ticket{}, group.Issued{}, err
	}
	return t, out, nil
}

// Revoke makes all tickets that this node gave out for a group worthless.
func (s *Service) Revoke(x string) error {
	return s.edit(x, func(g *group.Group) (change, error) {
		g.Revoke()
		return change{}, nil
	})
}

// Remove ends a membership: of the node with this NodeID, the end of one, or the name of
// exactly one member. It is kept when Remove returns; members hear of it at once, and the
// node is dropped unless it is in another group with this one.
func (s *Service) Remove(x, node string) (group.Person, error) {
	var who group.Person
	err := s.edit(x, func(g *group.Group) (how change, err error) {
		if who, err = member(g, node); err != nil {
			return how, err
		}
		if who.Node == s.me {
			return how, ErrSelf
		}
		raw, err := g.Remove(s.cfg.Key, who.Node, time.Now().Unix())
		if err != nil {
			return how, err
		}
		_, err = g.Add(raw)
		how.last = s.lacks(who.Node, g)
		return how, err
	})
	return who, err
}

// member finds the member that a text means.
func member(g *group.Group, text string) (group.Person, error) {
	if id, err := ident.ParseNodeID(text); err == nil {
		if p, in := g.Member(id); in {
			return p, nil
		}
		return group.Person{}, ErrNoMember
	}
	var found []group.Person
	for _, p := range g.Members() {
		if p.Name == text || len(text) >= 4 && strings.HasSuffix(p.Node.String(), text) {
			found = append(found, p)
		}
	}
	if len(found) == 1 {
		return found[0], nil
	}
	why, among := ErrNoMember, g.Members()
	if len(found) > 1 {
		why, among = ErrAmbiguous, found
	}
	var parts []string
	for _, p := range among[:min(len(among), 16)] {
		parts = append(parts, fmt.Sprintf("%s %q", p.Node.Short(), p.Name))
	}
	return group.Person{}, fmt.Errorf("%w: there are %s", why, strings.Join(parts, ", "))
}

// Gone is what became of leaving.
type Gone struct {
	Group   group.ID
	Name    string
	Members int  // who stay
	Told    int  // of them, who know already; the others hear it from these
	NoAdmin bool // nobody is left who can invite or remove
}

// Leave ends this node's own membership: it tells the members that are connected, for at
// most three seconds, and forgets the group. A group that this node was removed from is
// just forgotten. Killed meanwhile, the next start ends it.
func (s *Service) Leave(ctx context.Context, x string) (Gone, error) {
	if x == "" {
		return Gone{}, fmt.Errorf("%w: name the group", ErrArgument)
	}
	g, err := s.find(x)
	if err != nil {
		return Gone{}, err
	}
	gone := Gone{Group: g.ID(), Name: g.Name()}
	x = g.ID().String()
	tell := make(map[ident.NodeID][][]byte)
	err = s.edit(x, func(g *group.Group) (change, error) {
		raw, err := g.Remove(s.cfg.Key, s.me, time.Now().Unix())
		if err != nil {
			return change{}, err
		}
		if _, err := g.Add(raw); err != nil {
			return change{}, err
		}
		gone.Members = len(g.Members())
		gone.NoAdmin = gone.Members > 0
		for _, p := range g.Members() {
			gone.NoAdmin = gone.NoAdmin && p.Rights != group.Admin
			if s.peers[p.Node] != nil {
				tell[p.Node] = s.lacks(p.Node, g)
			}
		}
		return change{later: true}, nil
	})
	if err != nil && !errors.Is(err, ErrOut) {
		return gone, err
	}
	gone.Told = s.farewell(ctx, gone.Group, tell)
	e := s.do(func() { err = s.forget(gone.Group) })
	return gone, errors.Join(e, err)
}

// farewell tells members that this node is none any more, then drops them. It returns how
// many took it in.
func (s *Service) farewell(ctx context.Context, id group.ID, tell map[ident.NodeID][][]byte) int {
	ctx, cancel := context.WithTimeout(ctx, leaveTime)
	defer cancel()
	told := make(chan bool, len(tell))
	for node, last := range tell {
		go func() {
			ok := s.sayLast(ctx, node, id, last)
			if !s.Known(node) {
				s.cfg.Net.Drop(node)
			}
			told <- ok
		}()
	}
	n := 0
	for range tell {
		if <-told {
			n++
		}
	}
	return n
}

// forget ends a group that this node is not in. Owner only.
func (s *Service) forget(id group.ID) error {
	if _, in := s.look().in(id, s.me); in {
		return nil // let in again meanwhile
	}
	if err := s.erase(id); err != nil {
		return fmt.Errorf("%w: %w", ErrKeep, err)
	}
	s.show(id, nil)
	return nil
}
