package groups

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"shoal/internal/core/bencode"
	"shoal/internal/core/group"
	"shoal/internal/core/ident"
)

// How long a join may take.
const (
	joinTries   = 3
	joinTime    = 10 * time.Second // one exchange, either side
	connectTime = 30 * time.Second
	refuseAfter = 200 * time.Millisecond // whatever is refused is refused this late
)

// Admission is what a join led to.
type Admission struct {
	Group       group.ID
	Name        string // of the group: data from others
	Inviter     ident.NodeID
	InviterName string // data from others
	Code        string // what both sides compare; the inviter sees the same
	Already     bool   // the node was a member before: nothing was asked
}

// Join redeems a ticket. It is kept when Join returns. Every ticket that does not lead in
// is group.ErrTicket. Where an answer is lost it asks again: the inviter counts a node once.
func (s *Service) Join(ctx context.Context, text string) (Admission, error) {
	t, err := group.ParseTicket(text)
	if err != nil {
		return Admission{}, err
	}
	refused := false // removed while it was away, it takes itself for a member
	if e := s.do(func() { refused = s.refuses(t.Inviter, t.Group) }); e != nil {
		return Admission{}, e
	}
	if s.Member(t.Group, s.me) && !refused {
		return s.admission(&t, true)
	}
	if t.Inviter == s.me {
		return Admission{}, group.ErrTicket
	}
	if e := s.do(func() { err = s.room(t.Group) }); e != nil || err != nil {
		return Admission{}, errors.Join(e, err)
	}
	for try := range joinTries {
		if err = s.ask(ctx, &t); err == nil {
			return s.admission(&t, false)
		}
		final := errors.Is(err, group.ErrTicket) || errors.Is(err, ErrAnswer) || errors.Is(err, ErrKeep) || try == joinTries-1
		if final || !s.pause(ctx, time.Second<<try) {
			break
		}
	}
	return Admission{}, err
}

func (s *Service) admission(t *group.Ticket, already bool) (Admission, error) {
	a := Admission{Group: t.Group, Name: t.Name, Inviter: t.Inviter, Code: t.Code(s.me), Already: already}
	if g := s.look().groups[t.Group]; g != nil {
		by, _ := g.Member(t.Inviter)
		a.Name, a.InviterName = g.Name(), by.Name
	}
	return a, nil
}

// pause waits; false: something ended meanwhile.
func (s *Service) pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
	case <-s.ctx.Done():
	}
	return false
}

// ask is one try of a join.
func (s *Service) ask(ctx context.Context, t *group.Ticket) error {
	dial, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	if err := s.cfg.Net.Connect(dial, t.Inviter, t.Addrs); err != nil {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	ctx, cancel = context.WithTimeout(ctx, joinTime)
	defer cancel()
	st, err := s.cfg.Net.Open(ctx, t.Inviter, JoinProtocol)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	defer st.Close()
	defer s.closeWith(ctx, st)()
	r := request{group: t.Group, ticket: t.ID(), name: s.cfg.Name, proof: group.Proof(t.Secret, t.Group, t.Inviter, s.me)}
	f := frames{st}
	if err := f.write(r.append(nil)); err != nil {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	b, err := f.read(maxFrame)
	switch {
	case errors.Is(err, errWrong):
		return fmt.Errorf("%w: %w", ErrAnswer, err)
	case err != nil:
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	case isRefusal(b):
		return group.ErrTicket
	}
	m, err := parseMessage(b)
	if err != nil || m.group != t.Group || len(m.entries) == 0 {
		return fmt.Errorf("%w: %w", ErrAnswer, errFrame)
	}
	if err := s.enter(t, &m); err != nil {
		return err
	}
	s.hear(t.Group, m.contacts)
	return nil
}

// isRefusal tells a refusal, whatever its words are.
func isRefusal(b []byte) bool {
	v, err := bencode.Parse(b, bencode.Limits{Depth: 2, Tokens: 16})
	return err == nil && v.Get("r").Kind() == bencode.String
}

// closeWith closes a stream when ctx or the service ends before the returned end is called.
func (s *Service) closeWith(ctx context.Context, st Stream) (end func()) {
	a := context.AfterFunc(ctx, func() { st.Close() })
	b := context.AfterFunc(s.ctx, func() { st.Close() })
	return func() { a(); b() }
}

// enter checks the member list that an inviter gave, and keeps it.
func (s *Service) enter(t *group.Ticket, m *message) error {
	l, err := group.NewLog(m.entries[0])
	if err != nil || l.ID() != t.Group {
		return fmt.Errorf("%w: it is of another group", ErrAnswer)
	}
	g := group.New(l)
	// Who was in the group before keeps what it knows of it.
	old := s.look().groups[t.Group]
	if old != nil {
		g = old.Clone()
	}
	for _, raw := range m.entries[1:] {
		if _, err := g.Add(raw); err != nil {
			return fmt.Errorf("%w: %w", ErrAnswer, err)
		}
	}
	_, by := g.Member(t.Inviter)
	_, in := g.Member(s.me)
	if !by || !in {
		return fmt.Errorf("%w: it does not name both sides", ErrAnswer)
	}
	e := s.do(func() {
		if now := s.look().groups[t.Group]; now != nil && now != old { // another join was faster
			g = now.Clone()
			err = add(g, m.entries)
		}
		if err == nil {
			err = s.room(t.Group)
		}
		if err == nil {
			err = s.commit(g, change{})
		}
		if err == nil {
			s.seekAll(g)
			s.learn(t.Group, []note{{node: t.Inviter, met: t.Addrs, online: true}})
			s.save() // the one address that leads back after a restart
		}
	})
	return errors.Join(e, err)
}

// HandleJoin serves a stream of JoinProtocol that somebody opened, and closes it.
func (s *Service) HandleJoin(st Stream) {
	defer st.Close()
	ctx, cancel := context.WithTimeout(s.ctx, joinTime)
	defer cancel()
	defer s.closeWith(ctx, st)()
	peer := st.Peer()
	if !s.joins.enter(peer, false, time.Now()) {
		return
	}
	defer s.joins.leave(peer, false)
	f := frames{st}
	b, err := f.read(maxRequest)
	if err != nil {
		return
	}
	asked := time.Now()
	answer := refusal
	if r, err := parseRequest(b); err == nil {
		if m := s.redeem(peer, &r); m != nil {
			answer = m.append(nil)
		}
	}
	if &answer[0] == &refusal[0] && !s.pause(ctx, time.Until(asked.Add(refuseAfter))) {
		return
	}
	if f.write(answer) == nil {
		f.linger()
	}
}

// linger waits until the other side has closed, so that closing does not cut off what is
// still under way to it.
func (f frames) linger() {
	f.st.SetReadDeadline(time.Now().Add(2 * time.Second))
	f.st.Read(make([]byte, 1))
}

// redeem lets a node in by a ticket, keeps that, and gives what it is answered; nil: no.
func (s *Service) redeem(peer ident.NodeID, r *request) (m *message) {
	s.do(func() {
		g := s.look().groups[r.group]
		if g == nil || s.blocked[peer].After(time.Now()) {
			return
		}
		next := g.Clone()
		if next.Redeem(s.cfg.Key, r.ticket, r.proof, peer, r.name, time.Now().Unix()) != nil {
			return
		}
		if !bytes.Equal(next.File(), g.File()) {
			if err := s.commit(next, change{code: s.code(g, r, peer)}); err != nil {
				s.tell(Event{Kind: Trouble, Group: r.group, Name: g.Name(), Err: err})
				return
			}
		}
		m = &message{group: r.group, entries: next.Entries()}
		if p := s.peers[peer]; p != nil { // what it is given now need not be told again
			p.heads[r.group], p.done[r.group] = headsOf(next), headsOf(next)
		}
	})
	if m != nil {
		m.contacts = s.contacts(r.group, peer)
	}
	return m
}

// code is what the joiner of a ticket of this node sees.
func (s *Service) code(g *group.Group, r *request, joiner ident.NodeID) string {
	open := g.Tickets(time.Now().Unix())
	i := slices.IndexFunc(open, func(t group.Issued) bool { return group.IDOfSecret(t.Secret) == r.ticket })
	if i < 0 {
		return ""
	}
	t := group.Ticket{Group: g.ID(), Inviter: s.me, Secret: open[i].Secret}
	return t.Code(joiner)
}
