package engine

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"sort"
	"time"

	"shoal/internal/core/ident"
	"shoal/internal/core/swarm"
	"shoal/internal/core/swarm/candidates"
	"shoal/internal/node/files"
	"shoal/internal/node/link"
	"shoal/internal/node/locate"
)

// List is every share, sorted by name, then ID.
func (e *Engine) List() []Status {
	e.mu.Lock()
	list := make([]Status, 0, len(e.shares))
	for _, r := range e.shares {
		list = append(list, *r.show())
	}
	e.mu.Unlock()
	sort.Slice(list, func(i, j int) bool {
		if list[i].Name != list[j].Name {
			return list[i].Name < list[j].Name
		}
		return list[i].ID < list[j].ID
	})
	return list
}

func (r *entry) show() *Status {
	if r.share != nil {
		if st := r.share.status.Load(); st != nil {
			return st
		}
	}
	return r.status
}

// entry finds a share by its ID, also by the one it had before its description came.
func (e *Engine) entry(id string) (*entry, error) {
	for _, id := range []string{id, e.alias[id]} {
		if r := e.shares[id]; r != nil {
			return r, nil
		}
	}
	return nil, ErrNotFound
}

// Status is one share at this moment.
func (e *Engine) Status(id string) (Status, error) {
	e.mu.Lock()
	r, err := e.entry(id)
	if err != nil {
		e.mu.Unlock()
		return Status{}, err
	}
	s, st := r.share, *r.show()
	e.mu.Unlock()
	if s != nil && s.call(s.publish) {
		st = *s.status.Load()
	}
	return st, nil
}

// awake returns the share with its loop running, starting it if it is parked.
func (e *Engine) awake(id string) (*Share, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	r, err := e.entry(id)
	if err != nil {
		return nil, err
	}
	if e.closed {
		return nil, errGone
	}
	if r.share == nil {
		e.start(r, Spec{}, nil)
	}
	return r.share, nil
}

// in runs f in the loop of a share. One that is parked, also at this moment, is started.
func (e *Engine) in(id string, f func(*Share)) (*Share, error) {
	for {
		s, err := e.awake(id)
		if err != nil {
			return nil, err
		}
		if s.call(func() { f(s) }) {
			return s, nil
		}
	}
}

// Detail looks at one share closely. That a complete one was parked, and is looked at for this
// question, is not shown, unless it takes long.
func (e *Engine) Detail(id string) (Detail, error) {
	var d Detail
	var looking chan struct{}
	_, _ = e.in(id, func(s *Share) {
		if s.state == Checking && s.row.Complete {
			looking = s.looking
		}
	})
	if looking != nil {
		select {
		case <-looking:
		case <-time.After(lookPatience):
		}
	}
	s, err := e.in(id, func(s *Share) {
		s.publish()
		d.Meta = s.meta
		for _, c := range s.conns {
			if c != nil && c.up {
				p := c.Status(s.t.Peer(c.slot), s.t.Info())
				p.In, p.Out = c.blocksIn, c.blocksOut
				d.Peers = append(d.Peers, p)
			}
		}
		d.Trackers = s.trackerStatus()
		if s.meta != nil {
			want, have := s.spec.Filter(s.meta.Info), s.t.Have
			if s.t.Info() == nil { // its files are being looked at just now
				have = func(p int) bool { return s.row.Complete && files.PieceWanted(s.meta.Info, p, want) }
			}
			d.Describe(s.meta.Info, want, have)
		}
	})
	if err != nil {
		return Detail{}, err
	}
	d.Status = *s.status.Load()
	return d, nil
}

// SetPaused pauses a share or lets it go on.
func (e *Engine) SetPaused(id string, on bool) (Status, error) {
	return e.change(id, func(s *Share) { s.setPaused(on) })
}

// SetSequential fetches pieces in order, or not.
func (e *Engine) SetSequential(id string, on bool) (Status, error) {
	return e.change(id, func(s *Share) { s.setSequential(on) })
}

func (s *Share) setSequential(on bool) {
	s.row.Sequential, s.spec.Sequential = on, on
	s.event(swarm.Event{Kind: swarm.SetSequential, N: number(on)})
	s.e.keep(s)
}

// AddPeers tries addresses that a person gave.
func (e *Engine) AddPeers(id string, peers []string) (Status, error) {
	return e.change(id, func(s *Share) {
		s.addPeers(peers, candidates.FromPerson)
		s.dialSome()
	})
}

// change runs f in the share's loop and returns its status after that.
func (e *Engine) change(id string, f func(*Share)) (Status, error) {
	s, err := e.in(id, func(s *Share) { f(s); s.settleState(); s.publish() })
	if err != nil {
		return Status{}, err
	}
	return *s.status.Load(), nil
}

func (s *Share) setPaused(on bool) {
	if s.failed != nil && !on {
		s.retry()
	}
	if s.paused == on {
		return
	}
	s.paused, s.row.Paused = on, on
	if on {
		for _, c := range s.conns {
			if c != nil && c.up {
				c.Shut()
			}
		}
		s.stopAnnouncer()
	}
	s.event(swarm.Event{Kind: swarm.SetPaused, Peer: swarm.NoPeer, N: number(on)})
	s.startAnnouncer()
	s.settleState()
	s.e.keep(s)
	s.dialSome()
}

// retry tries again what the environment stopped.
func (s *Share) retry() {
	s.retryAt = time.Now().Add(failRetry)
	s.failed, s.problem = nil, ""
	if s.meta == nil {
		if s.info != nil {
			s.metadataCame(s.info)
		} else {
			s.settleState()
		}
		return
	}
	if s.content.Load() == nil {
		s.open()
		return
	}
	if !s.spaceAgain() {
		return
	}
	s.event(swarm.Event{Kind: swarm.SetPaused, Peer: swarm.NoPeer, N: number(s.paused)})
	s.settleState()
	s.finishFiles()
}

// spaceAgain tells whether what stands in the way of writing may be gone.
func (s *Share) spaceAgain() bool {
	if s.t.Needed() == 0 {
		return true
	}
	need := int64(s.t.Needed()) * s.meta.Info.PieceLength
	if err := files.SpaceAgain(s.spec.Dir, need, s.e.cfg.Reserve); err != nil {
		s.failed, s.problem = err, err.Error()
		s.setState(Failed)
		return false
	}
	return true
}

// reselect changes which files are wanted.
func (s *Share) reselect(globs []string) {
	s.spec.Select, s.row.Select = globs, globs
	s.wantedBytes = -1
	content := s.content.Load()
	if content == nil || s.t.Info() == nil {
		s.reopen = s.state == Checking // it began with the selection before
		return
	}
	info := s.meta.Info
	want := s.spec.Filter(info)
	have := make([]bool, info.NumPieces())
	for f := range info.Files {
		if err := content.SetWanted(f, want == nil || want(f)); err != nil {
			s.fail(err)
			return
		}
	}
	for p := range have {
		have[p] = s.t.Have(p)
		prio := uint32(0)
		if files.PieceWanted(info, p, want) && !s.layers.Blocks(p) {
			prio = 2
		}
		s.event(swarm.Event{Kind: swarm.SetPriority, P: uint32(p), B: uint32(p) + 1, N: prio})
	}
	s.await()
	s.row.Complete = false
	s.tally = files.NewTally(info, have, want)
	s.finishFiles()
	s.settle()
	s.completeIfDone()
	s.e.keep(s)
}

// SetLimits changes a share's limits, or with an empty ID the engine's; bytes a second,
// 0 = none, negative = as it is.
func (e *Engine) SetLimits(id string, up, down int64) error {
	if id == "" {
		if up >= 0 {
			e.up.Set(up)
		}
		if down >= 0 {
			e.down.Set(down)
		}
		for _, s := range e.running() {
			s.post(msg{kind: msgCall, call: s.applyLimits})
		}
		return nil
	}
	_, err := e.change(id, func(s *Share) {
		if up >= 0 {
			s.row.UpLimit = up
		}
		if down >= 0 {
			s.row.DownLimit = down
		}
		s.applyLimits()
		s.e.keep(s)
	})
	return err
}

// Limits are the engine's own limits.
func (e *Engine) Limits() (up, down int64) { return e.up.Rate(), e.down.Rate() }

func (s *Share) applyLimits() {
	s.up.Set(s.row.UpLimit)
	s.down.Set(s.row.DownLimit)
	s.event(swarm.Event{Kind: swarm.SetLimited, Peer: swarm.NoPeer, N: number(s.limited())})
}

// number is how swarm's events say yes and no.
func number(yes bool) uint32 {
	if yes {
		return 1
	}
	return 0
}

// Verification is the outcome of Verify.
type Verification = files.Verification

// Verify hashes everything of a share again. progress may be called from any goroutine,
// one call at a time.
func (e *Engine) Verify(ctx context.Context, id string, progress func(done, total int64)) (Verification, error) {
	s, err := e.in(id, func(s *Share) { s.work++ })
	if err != nil {
		return Verification{}, err
	}
	defer s.call(func() { s.work-- })
	if err := s.untilOpen(ctx); err != nil {
		return Verification{}, err
	}
	return s.verify(ctx, progress)
}

// untilOpen waits until the share's files have been looked at, or ctx ends.
func (s *Share) untilOpen(ctx context.Context) error {
	for {
		var state State
		var failed error
		var described bool
		if !s.call(func() { state, failed, described = s.state, s.failed, s.meta != nil }) {
			return errGone
		}
		switch {
		case failed != nil:
			return failed
		case !described:
			return ErrNotReady
		case state != Checking && s.content.Load() != nil:
			return nil
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-s.ctx.Done():
			return errGone
		}
	}
}

// Remove forgets a share; with data it deletes what was fetched, never originals. It
// returns the paths that were kept although data was asked to go.
func (e *Engine) Remove(id string, data bool) (Status, []string, error) {
	inPlace := false
	s, err := e.in(id, func(s *Share) { s.work++; inPlace = s.spec.InPlace })
	if err != nil {
		return Status{}, nil, err
	}
	if data && inPlace {
		s.call(func() { s.work-- })
		return Status{}, nil, ErrInPlace
	}
	st := *s.status.Load()
	if data {
		_ = s.untilOpen(e.ctx) // else nothing of it is there
	}
	s.call(func() { s.work--; s.removed, s.stopping, s.removeData = true, true, data })
	<-s.done
	if !s.removed {
		return st, nil, errGone
	}
	return st, s.kept, s.removeErr
}

// forget takes a share out of the table and its traces out of the home, before anybody can
// add it again.
func (e *Engine) forget(s *Share) {
	id := s.id()
	e.ways.Withdraw(id)
	e.saver.Forget(id)
	s.removeErr = errors.Join(s.removeErr, e.cfg.Catalog.Remove(e.torrents(), id))
	os.Remove(e.partsPath(id))
	e.mu.Lock()
	for _, n := range s.hash.Wire() {
		if r := e.names[n]; r != nil && r.share == s {
			delete(e.names, n)
		}
	}
	delete(e.shares, id)
	e.past = locate.Sum(e.past, s.status.Load().Yield)
	e.mu.Unlock()
	e.tell(Event{Kind: EventRemoved, ID: id, Name: s.row.Name})
}

// isSelf tells whether an address is one of ours.
func (e *Engine) isSelf(a netip.AddrPort) bool {
	for _, l := range e.cfg.Listeners {
		if link.AddrOf(l.Addr()) == a {
			return true
		}
	}
	return false
}

// Listening are the addresses that peers can reach.
func (e *Engine) Listening() []netip.AddrPort {
	var list []netip.AddrPort
	for _, l := range e.cfg.Listeners {
		if a := link.AddrOf(l.Addr()); !ident.IsOverlay(a.Addr()) {
			list = append(list, a)
		}
	}
	return list
}

// penalised tells that a peer did wrong.
func (e *Engine) penalised(s *Share, c *conn, reason, action string) {
	e.reasons.Add(reason, action)
	e.tell(Event{Kind: EventPenalised, ID: s.id(), Reason: reason, Action: action, Peer: c.Addr})
}

// Penalties are the refusals so far, by "reason/action".
func (e *Engine) Penalties() map[string]int64 { return e.reasons.All() }

// Conns is the number of connections.
func (e *Engine) Conns() int { return int(e.nConns.Load()) }

// Payload is what was received and sent of it since the engine began, in bytes.
func (e *Engine) Payload() (down, up int64) { return e.movedDown.Load(), e.movedUp.Load() }
