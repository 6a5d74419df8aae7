package demo

import (
	"context"
	"fmt"
	"sync"
	"time"

	"shoal/internal/door/api"
	"shoal/internal/door/cli/term"
)

const (
	// groupName is what the group of a demo is called.
	groupName = "demo"
	// joinWithin is how long they may take to join.
	joinWithin = 20 * time.Second
	// meetWithin is how long members are waited for to find each other, as that is worth seeing:
	// they go on to do so.
	meetWithin = 5 * time.Second
)

// join founds the group with the first node and has all others join it by one ticket.
func (d *demo) join(ctx context.Context) (api.Group, error) {
	first, others := d.nodes[0], d.nodes[1:]
	ctx, cancel := context.WithTimeoutCause(ctx, joinWithin, api.Errorf(api.Unreachable, groupName, "not all nodes joined within %d s", int(joinWithin.Seconds())))
	defer cancel()
	group, err := first.client.NewGroup(ctx, api.GroupRequest{Name: groupName})
	if err != nil {
		return group, err
	}
	came, err := first.comers(ctx, len(others))
	if err != nil {
		return group, err
	}
	ticket, err := first.client.Invite(ctx, group.ID, api.InviteRequest{Uses: len(others)})
	if err != nil {
		return group, err
	}
	began := time.Now()
	codes := make([]Code, len(others))
	errs := make([]error, len(others))
	var wg sync.WaitGroup
	for i, n := range others {
		wg.Go(func() {
			var in api.Admission
			in, errs[i] = n.client.Join(ctx, ticket.Ticket)
			codes[i] = Code{Node: n.name, Joined: in.Code}
		})
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			return group, because(ctx, others[i].failed(err))
		}
	}
	if err := d.compareCodes(ctx, codes, came); err != nil {
		return group, err
	}
	d.say("%s founds the group %s and makes one ticket for %s; %s joined by it after %.2f s", first.name, groupName,
		term.Count(len(others), "use"), names(others), time.Since(began).Seconds())
	d.say("  each saw the same code as %s, as people would compare aloud: %s %s%s", first.name, codes[0].Node, codes[0].Joined, andSoOn(len(codes)))
	ways, err := d.meet(ctx)
	d.report.Group = Group{ID: group.ID, Name: group.Name, Members: len(d.nodes)}
	d.print(JoinedEvent{Event: "joined", Group: d.report.Group, Seconds: time.Since(began).Seconds(), Codes: codes, Connections: ways})
	return group, err
}

func andSoOn(n int) string {
	if n > 1 {
		return ", and so on"
	}
	return ""
}

// comers follows who joins by a ticket of this node; the channel delivers NodeIDs with codes.
func (n *node) comers(ctx context.Context, most int) (<-chan *api.MemberEvent, error) {
	came, begun := make(chan *api.MemberEvent, most), make(chan error, 1)
	go func() {
		begun <- n.client.Watch(ctx, api.Filter{Begun: func() error { begun <- nil; return nil }}, func(e api.Event) error {
			if m, ok := e.(*api.MemberEvent); ok && m.Event == api.EventMemberJoined && m.Code != "" {
				select {
				case came <- m:
				case <-ctx.Done():
				}
			}
			return nil
		})
	}()
	select {
	case err := <-begun:
		return came, err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// compareCodes holds what each node that joined saw against what the inviter saw of it.
func (d *demo) compareCodes(ctx context.Context, codes []Code, came <-chan *api.MemberEvent) error {
	for range codes {
		select {
		case m := <-came:
			for i, n := range d.nodes[1:] {
				if n.ready.NodeID == m.NodeID {
					codes[i].Inviter, codes[i].Equal = m.Code, m.Code == codes[i].Joined
				}
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	for _, c := range codes {
		if !c.Equal {
			return api.Errorf(api.BadData, c.Node, "it saw the code %s, and who invited it saw %q: they did not speak to each other", c.Joined, c.Inviter)
		}
	}
	return nil
}

// meet waits until every member is connected to every other one, and tells how.
func (d *demo) meet(ctx context.Context) (connections int, err error) {
	began := time.Now()
	ask := time.NewTicker(50 * time.Millisecond)
	defer ask.Stop()
	for {
		m, err := d.met(ctx)
		if err != nil {
			return 0, because(ctx, err)
		}
		after := time.Since(began)
		if m.missing == "" {
			d.say("  all members found each other after %.2f s more: %s, %s", after.Seconds(), term.Count(m.ends/2, "encrypted connection"), wayText(m.ways))
			return m.ends / 2, nil
		}
		if after > meetWithin {
			d.say("  after %d s, %s stand; %s", int(meetWithin.Seconds()), term.Count(m.ends/2, "encrypted connection"), m.missing)
			return m.ends / 2, nil
		}
		select {
		case <-ask.C:
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		}
	}
}

// met is who is connected to whom at one moment.
type met struct {
	ends    int              // of connections
	ways    map[api.How]bool // that they take
	missing string           // one that does not stand, and why; "": all do
}

func (d *demo) met(ctx context.Context) (met, error) {
	m := met{ways: map[api.How]bool{}}
	for _, n := range d.nodes {
		p, err := n.client.Peers(ctx)
		if err != nil {
			return m, err
		}
		if len(p.Members) < len(d.nodes)-1 {
			m.missing = n.name + " has not heard of all members yet"
		}
		for _, other := range p.Members {
			if other.Connected {
				m.ends++
				m.ways[other.How] = true
			} else {
				m.missing = fmt.Sprintf("%s is not connected to %s yet: %s", n.name, d.nameOf(other.NodeID), api.Safe(other.Why))
			}
		}
	}
	return m, nil
}

// wayText says how members are connected.
func wayText(ways map[api.How]bool) string {
	switch {
	case ways[api.HowRelay]:
		return "some through a member that relays"
	case ways[api.HowTCP] && ways[api.HowQUIC]:
		return "direct, over TCP and QUIC"
	case ways[api.HowQUIC]:
		return "direct, over QUIC"
	}
	return "direct, over TCP"
}

// because is the reason why ctx ended, if it has, else err.
func because(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
