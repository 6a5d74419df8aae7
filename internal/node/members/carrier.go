package members

import (
	"context"
	"errors"
	"time"

	"shoal/internal/adapter/overlay"
	"shoal/internal/core/group"
	"shoal/internal/core/ident"
	"shoal/internal/node/groups"
)

// Bounds of joining.
const (
	maxJoining = 16 // inviters at once
	renewTime  = 15 * time.Second
)

// ErrJoins says that as many joins are under way as can be.
var ErrJoins = errors.New("members: too many joins at once")

// carrier is the overlay as groups see it.
type carrier struct{ s *Service }

// Open implements groups.Net.
func (c carrier) Open(ctx context.Context, id ident.NodeID, protocol string) (groups.Stream, error) {
	if err := c.s.Ready(ctx); err != nil {
		return nil, err
	}
	open := c.s.host.Open
	if !c.s.known(id) { // its last word, or ours
		open = c.s.host.OpenLast
	}
	st, err := open(ctx, id, protocol)
	if err != nil {
		return nil, err // not a nil *Stream in an interface
	}
	return st, nil
}

// Connect implements groups.Net.
func (c carrier) Connect(ctx context.Context, id ident.NodeID, addrs []group.Address) error {
	if err := c.s.Ready(ctx); err != nil {
		return err
	}
	if !c.s.known(id) { // removed meanwhile
		return overlay.ErrStranger
	}
	if len(addrs) == 0 {
		c.s.seekContact(ctx, id)
		addrs = c.s.groups.Where(id)
	}
	return c.s.host.Connect(ctx, id, c.s.vouch(addrs))
}

// Drop implements groups.Net.
func (c carrier) Drop(id ident.NodeID) {
	if c.s.isUp() {
		c.s.host.Drop(id)
	}
}

// Addrs implements groups.Net.
func (c carrier) Addrs() []group.Address {
	if c.s.Ready(c.s.ctx) != nil {
		return nil
	}
	return c.s.host.Addrs()
}

// known tells whom the overlay lets in: members, and whom we are just joining.
func (s *Service) known(id ident.NodeID) bool {
	if s.groups.Known(id) {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.joining[id] > 0
}

// meet lets an inviter in until part; false if there are too many.
func (s *Service) meet(id ident.NodeID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.joining[id] == 0 && len(s.joining) >= maxJoining {
		return false
	}
	s.joining[id]++
	return true
}

// part ends what there was with an inviter whose ticket led nowhere, unless another one's
// join is under way.
func (s *Service) part(id ident.NodeID) {
	s.mu.Lock()
	n := s.joining[id]
	if s.joining[id]--; n <= 1 {
		delete(s.joining, id)
	}
	s.mu.Unlock()
	if n == 1 && !s.groups.Known(id) {
		s.host.Drop(id)
	}
}

// Join redeems a ticket (groups.Service.Join). It returns when this node has also come to
// the inviter anew, as a member, or the time for that is over.
func (s *Service) Join(ctx context.Context, ticket string) (groups.Admission, error) {
	if err := s.Ready(ctx); err != nil {
		return groups.Admission{}, err
	}
	t, err := group.ParseTicket(ticket)
	if err != nil {
		return groups.Admission{}, err
	}
	if !s.groups.Known(t.Inviter) {
		if !s.meet(t.Inviter) {
			return groups.Admission{}, ErrJoins
		}
		defer s.part(t.Inviter)
	}
	a, err := s.groups.Join(ctx, ticket)
	if err != nil {
		return a, err
	}
	s.renew(a.Inviter)
	s.renewed(ctx, a.Inviter)
	return a, nil
}

// renew begins to come anew to an inviter who has let us in.
func (s *Service) renew(id ident.NodeID) {
	s.mu.Lock()
	_, joined := s.joining[id]
	delete(s.joining, id)
	done := make(chan struct{})
	if joined {
		s.renewing[id] = done
	}
	s.mu.Unlock()
	if !joined {
		return
	}
	s.spawn(func() {
		ctx, cancel := context.WithTimeout(s.ctx, renewTime)
		defer cancel()
		if s.host.Renew(ctx, id) != nil {
			s.groups.Seek(id)
		}
		s.mu.Lock()
		delete(s.renewing, id)
		s.mu.Unlock()
		close(done)
	})
}

// renewed waits until it is not under way that we come anew to a node.
func (s *Service) renewed(ctx context.Context, id ident.NodeID) {
	s.mu.Lock()
	done := s.renewing[id]
	s.mu.Unlock()
	if done == nil {
		return
	}
	select {
	case <-done:
	case <-ctx.Done():
	case <-s.ctx.Done():
	}
}
