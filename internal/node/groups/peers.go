package groups

import (
	"errors"
	"maps"
	"slices"
	"time"

	"shoal/internal/core/group"
	"shoal/internal/core/ident"
)

// When members are brought into step.
const (
	greetAfter = 250 * time.Millisecond // of the two sides of a new connection one waits for the other
	fullEvery  = 10 * time.Minute       // all groups and contacts anew
	retryFirst = 250 * time.Millisecond
	retryMost  = time.Minute
	retryNews  = time.Second // where there is something new
	syncGap    = 100 * time.Millisecond
	stuckAfter = time.Second      // then a second sync may overtake the first
	blockTime  = 10 * time.Minute // of a node that sent what no honest one sends
	maxBlocked = 1024
)

// peer is a connected node. Owner only.
type peer struct {
	id       ident.NodeID
	heads    map[group.ID][]group.Hash // that it has, as far as is known
	done     map[group.ID][]group.Hash // of the lists that it was last told of
	no       map[group.ID]bool         // it does not take this node for a member
	busy     int                       // syncs with it that go on
	full     bool                      // all groups are to be gone through
	fails    int
	due      time.Time // of the next sync, if there is anything to say
	refusals int       // of connections before this one, one after the other (refusedBy)
	again    time.Time // of the next full one
	began    time.Time // the last one
	since    time.Time // connected
}

// Connected is to be called when a node has its first connection; at are addresses at which
// it was reached, if it can be dialled there.
func (s *Service) Connected(id ident.NodeID, at []group.Address) {
	s.do(func() {
		now := time.Now()
		if s.peers[id] == nil {
			p := &peer{id: id, heads: make(map[group.ID][]group.Hash), done: make(map[group.ID][]group.Hash), no: make(map[group.ID]bool), full: true, due: now, since: now}
			if before(id, s.me) {
				p.due = now.Add(greetAfter)
			}
			if d := s.dials[id]; d != nil {
				p.refusals = d.refusals
			}
			p.again = now.Add(s.jitter(fullEvery))
			s.peers[id] = p
		}
		delete(s.dials, id)
		for _, g := range s.look().shared[id] {
			s.learn(g, []note{{node: id, met: at, online: true}})
		}
	})
}

func before(a, b ident.NodeID) bool { return string(a[:]) < string(b[:]) }

// Disconnected is to be called when a node's last connection has ended.
func (s *Service) Disconnected(id ident.NodeID) {
	s.do(func() {
		p := s.peers[id]
		if p == nil {
			return
		}
		delete(s.peers, id)
		for _, g := range s.look().shared[id] {
			s.learn(g, []note{{node: id, online: true}})
		}
		if s.Known(id) {
			d := &dial{}
			if s.refusedBy(p) {
				d.refusals = p.refusals + 1
			}
			now := time.Now()
			wait := s.jitter(min(dialFirst<<min(d.refusals, 16), dialMost))
			if d.refusals == 0 && now.Sub(p.since) >= dialSoon {
				// It stayed: perhaps only the way ended, and there is another. Who comes and goes waits.
				wait = time.Duration(s.cfg.Rand.Int64N(int64(dialFirst / 4)))
			}
			d.due = now.Add(wait)
			s.dials[id], s.dialAt = d, now
		}
	})
}

// refusedBy tells that a node saw the member lists of this one and does not take it for a
// member of any group: it was removed while it was away. Owner only.
func (s *Service) refusedBy(p *peer) bool {
	shown := s.look()
	takes := func(g group.ID) bool { return !p.no[g] || !same(p.done[g], headsOf(shown.groups[g])) }
	return len(shown.shared[p.id]) > 0 && !slices.ContainsFunc(shown.shared[p.id], takes)
}

// AddrsChanged is to be called when this node is reached elsewhere than before: members are
// told soon.
func (s *Service) AddrsChanged() {
	s.do(func() {
		for _, p := range s.peers {
			p.full = true
			p.sooner(time.Now().Add(s.jitter(time.Second)))
		}
	})
}

// sooner has a sync made at a time, if not before: changes that follow each other closely
// go together, and a node that failed is not asked again at once.
func (p *peer) sooner(at time.Time) {
	if gap := p.began.Add(syncGap); at.Before(gap) {
		at = gap
	}
	if p.fails > 0 {
		at = at.Add(retryNews)
	}
	if p.due.IsZero() || at.Before(p.due) {
		p.due = at
	}
}

// kick has all that changed told at once.
func (s *Service) kick() {
	for _, p := range s.peers {
		p.sooner(time.Now())
	}
}

// jitter is d, a quarter more or less.
func (s *Service) jitter(d time.Duration) time.Duration {
	return d*3/4 + time.Duration(s.cfg.Rand.Int64N(int64(d/2)+1))
}

// startSyncs starts what is due and tells when it wants to be called again.
func (s *Service) startSyncs(now time.Time) (next time.Time) {
	for _, p := range s.peers {
		if !p.again.After(now) {
			p.full, p.again = true, now.Add(s.jitter(fullEvery))
			p.sooner(now)
		}
		if p.busy == 1 && !p.due.IsZero() && p.due.Before(p.began.Add(stuckAfter)) { // news do not wait for one that is stuck
			p.due = p.began.Add(stuckAfter)
		}
		if p.busy < eachAtATime && !p.due.IsZero() && !p.due.After(now) {
			p.due = time.Time{}
			if tasks := s.tasks(p); len(tasks) > 0 {
				s.start(p, tasks)
			}
		}
		for _, t := range []time.Time{p.due, p.again} {
			if !t.IsZero() && p.busy < eachAtATime && (next.IsZero() || t.Before(next)) {
				next = t
			}
		}
	}
	return next
}

// tasks is what there is to say to a node.
func (s *Service) tasks(p *peer) (tasks []task) {
	if s.blocked[p.id].After(time.Now()) {
		return nil
	}
	shown := s.look()
	for _, id := range shown.shared[p.id] {
		g := shown.groups[id]
		heads := headsOf(g)
		if !p.full && (same(p.heads[id], heads) || same(p.done[id], heads)) {
			continue
		}
		t := task{group: id}
		if known := p.heads[id]; known != nil {
			if push, all := g.Since(known); all && len(push) <= maxPushed {
				t.push = push
			}
		}
		tasks = append(tasks, t)
	}
	return tasks
}

// start brings groups into step with a node in a goroutine of its own.
func (s *Service) start(p *peer, tasks []task) {
	full := p.full
	p.full, p.began = false, time.Now()
	p.busy++
	s.workers.Go(func() {
		err := s.initiate(p.id, tasks, full)
		if errors.Is(err, errWrong) {
			s.blame(p.id, err)
		}
		refused := false
		s.do(func() {
			p.busy--
			if s.peers[p.id] != p {
				return
			}
			if err != nil {
				p.full = p.full || full
				p.due = time.Now().Add(s.jitter(min(retryFirst<<min(p.fails, 16), retryMost)))
				p.fails++
				return
			}
			p.fails = 0
			s.toldBy(p.id, tasks)
			p.sooner(time.Now()) // what came meanwhile
			refused = s.refusedBy(p)
		})
		if refused { // it would only take the place of a guest there
			s.cfg.Net.Drop(p.id)
		}
	})
}

// toldBy notes what a node has after a sync. Owner only.
func (s *Service) toldBy(id ident.NodeID, tasks []task) {
	p := s.peers[id]
	if p == nil {
		return
	}
	for _, t := range tasks {
		if s.look().common(t.group, id) == nil {
			continue
		}
		s.has(id, t.group, t.heads)
		p.done[t.group], p.no[t.group] = t.done, t.no
	}
}

// has notes which heads a node has. Owner only.
func (s *Service) has(id ident.NodeID, g group.ID, heads []group.Hash) {
	if p := s.peers[id]; p != nil && len(heads) > 0 {
		p.heads[g] = heads
	}
}

// blame drops a node that sent what no honest one sends, and reports a member.
func (s *Service) blame(id ident.NodeID, why error) {
	err := s.do(func() {
		now, shared := time.Now(), s.look().shared[id]
		if len(s.blocked) >= maxBlocked {
			maps.DeleteFunc(s.blocked, func(_ ident.NodeID, until time.Time) bool { return !until.After(now) })
		}
		if len(s.blocked) < maxBlocked || len(shared) > 0 {
			s.blocked[id] = now.Add(blockTime)
		}
		if len(shared) > 0 { // what strangers do is no news
			g := s.look().groups[shared[0]]
			p, _ := g.Member(id)
			s.tell(Event{Kind: Misbehaved, Group: g.ID(), Name: g.Name(), Node: id, NodeName: p.Name, Err: why})
		}
	})
	if err == nil {
		s.cfg.Net.Drop(id)
	}
}
