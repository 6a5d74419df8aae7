//go:build linux

package clients

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
)

// ShoalGroup is shoal between two running nodes, one of which joined the other's group by
// a ticket: what is shared goes to members alone, encrypted, over the overlay.
func ShoalGroup() *Client {
	return &Client{Name: "shoal-group", Formats: V2, Magnets: true, Describes: true, find: Shoal().find, pair: startMembers}
}

// Group is a group of running shoal nodes.
type Group struct {
	Name    string
	Members []*Member // the founder first
}

// Member is a node that runs.
type Member struct {
	*ShoalNode
	Up *Process
}

// NewGroup runs a node and has it found a group.
func NewGroup(ctx context.Context, founder *ShoalNode, name string) (*Group, error) {
	m, err := founder.Member(ctx)
	if err != nil {
		return nil, err
	}
	return &Group{Name: name, Members: []*Member{m}}, founder.must(ctx, "group", "new", name)
}

// Member runs the node, in no group yet.
func (s *ShoalNode) Member(ctx context.Context) (*Member, error) {
	p, err := s.Run("up")
	if err != nil {
		return nil, err
	}
	return &Member{s, p}, Event(ctx, p, "ready", nil)
}

// Join runs a node and has it join by a new ticket of the founder.
func (g *Group) Join(ctx context.Context, s *ShoalNode) (*Member, error) {
	var invitation struct{ Ticket string }
	if err := g.Members[0].ask(ctx, &invitation, "invite", g.Name); err != nil {
		return nil, err
	}
	m, err := s.Member(ctx)
	if err != nil {
		return nil, err
	}
	g.Members = append(g.Members, m)
	return m, s.must(ctx, "join", invitation.Ticket)
}

// Share has a member share a path with the group.
func (g *Group) Share(ctx context.Context, m *Member, path string, extra ...string) (Shared, error) {
	var shared Shared
	err := m.ask(ctx, &shared, append([]string{"share", path, "--to", g.Name}, extra...)...)
	return shared, err
}

// ask runs a command of the node and decodes the JSON object that it prints.
func (s *ShoalNode) ask(ctx context.Context, v any, args ...string) error {
	out, code, err := s.Do(ctx, args...)
	if err == nil && code != 0 {
		err = fmt.Errorf("exit %d: %.600s", code, out)
	}
	if err == nil {
		err = json.Unmarshal(out, v)
	}
	if err != nil {
		return fmt.Errorf("clients: shoal %s: %w", args[0], err)
	}
	return nil
}

// startMembers has two nodes meet, then one fetch what the other shares.
func startMembers(ctx context.Context, l *Lab, p Pair) (seed, leech *Node, err error) {
	var nodes [2]*ShoalNode
	for i := range nodes {
		if nodes[i], err = NewShoalNode(l); err != nil {
			return nil, nil, err
		}
	}
	g, err := NewGroup(ctx, nodes[0], "bench")
	if err != nil {
		return nil, nil, err
	}
	fetcher, err := g.Join(ctx, nodes[1])
	if err != nil {
		return nil, nil, err
	}
	shared, err := g.Share(ctx, g.Members[0], p.SeedJob.Path)
	if err != nil {
		return nil, nil, err
	}
	seed = &Node{Client: "shoal-group", Host: nodes[0].Host, Process: g.Members[0].Up}
	leech = &Node{Client: "shoal-group", Host: nodes[1].Host, Process: fetcher.Up}
	p.ready(seed, leech)
	get, err := fetcher.Run("get", shared.Link, "-o", filepath.Clean(p.LeechJob.Dir))
	if err != nil {
		return nil, nil, err
	}
	leech.complete = func(ctx context.Context) error { return Event(ctx, get, "done", nil) }
	return seed, leech, nil
}
