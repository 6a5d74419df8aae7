package engine

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	"shoal/internal/adapter/store"
	"shoal/internal/core/metainfo"
	"shoal/internal/core/swarm/candidates"
	"shoal/internal/core/wire"
	"shoal/internal/node/locate"
)

// audience is who may see a share. e.mu is held.
func (e *Engine) audience(r *entry) locate.Audience {
	return locate.Audience{Groups: r.groups, Private: r.row.Private, Member: e.cfg.Member}
}

// offer tells the ways of finding peers that a share is here, or is paused.
func (e *Engine) offer(row *store.Row, h metainfo.InfoHash, who *locate.Audience) {
	if row.Paused {
		e.ways.Withdraw(row.ID)
		return
	}
	e.ways.Offer(Offer{ID: row.ID, Hash: h, Groups: who.Groups, Complete: row.Complete, Wanted: !row.Complete}, who)
}

// offer tells what has changed with the share.
func (s *Share) offer() {
	s.shouted.Store(s.who.Shouted())
	s.e.offer(&s.row, s.hash, &s.who)
	s.seek()
}

// caps are what handshakes tell besides what every one does.
func (s *Share) caps() wire.Capability {
	if s.e.cfg.DHTPort != 0 && s.shouted.Load() {
		return wire.CapDHT
	}
	return 0
}

// seek looks for peers while some are wanted, and for those of the share as it is now.
func (s *Share) seek() {
	lacks := s.meta == nil || s.t.Info() != nil && s.t.Needed() > 0
	wanted := lacks && s.failed == nil && !s.paused && !s.stopping && !s.asked
	o := Offer{ID: s.row.ID, Hash: s.hash, Groups: s.who.Groups, Wanted: true}
	if s.seekEnd != nil && (!wanted || !s.sought.Equal(&o)) {
		s.seekEnd()
		s.seekEnd = nil
	}
	if !wanted || s.seekEnd != nil {
		return
	}
	ctx, cancel := context.WithCancel(s.ctx)
	s.sought, s.seekEnd = o, cancel
	s.e.ways.Seek(ctx, o, &s.who, func(k locate.Kind, list []netip.AddrPort) {
		s.found(ctx, k.Source(), slices.Clone(list))
	})
}

// Yields are what candidates of each source brought since the engine began, of all shares.
func (e *Engine) Yields() []Yield {
	e.mu.Lock()
	defer e.mu.Unlock()
	lists := [][]Yield{e.past}
	for _, r := range e.shares {
		lists = append(lists, r.show().Yield)
	}
	return locate.Sum(lists...)
}

// changeTime bounds how long the calls below wait for the shares to do as they are told;
// they do it in any case.
const changeTime = time.Second

// everywhere runs f in the loops of all running shares.
func (e *Engine) everywhere(f func(*Share)) {
	ctx, cancel := context.WithTimeout(e.ctx, changeTime)
	defer cancel()
	var wg sync.WaitGroup
	for _, s := range e.running() {
		wg.Go(func() { s.do(ctx, func() { f(s) }) })
	}
	wg.Wait()
}

// Recheck is told that memberships changed: sessions and candidates of those who may not see
// a share any more end at once.
func (e *Engine) Recheck() {
	e.rechecks.Add(1)
	e.everywhere((*Share).recheck)
}

func (s *Share) recheck() {
	s.rechecked = s.e.rechecks.Load()
	if s.who.Public() {
		return
	}
	for _, c := range s.conns {
		if c != nil && c.up && !c.barred && !s.who.Sees(c.Addr.Addr()) {
			c.barred = true
			c.Abort()
		}
	}
	s.waiting = slices.DeleteFunc(s.waiting, func(c *conn) bool { return !s.who.Sees(c.Addr.Addr()) && c.Abort() })
	s.scout.Recheck()
	s.addPeers(s.spec.Peers, candidates.FromPerson) // who was named may be a member now
	s.addPeers(s.spec.Magnet.Peers, candidates.FromLink)
	s.dialSome()
}

// Moved is told that a better way to the peer of that overlay address opened: its sessions
// are opened anew.
func (e *Engine) Moved(a netip.Addr) {
	e.everywhere(func(s *Share) {
		for _, c := range s.conns {
			if c != nil && c.up && c.Overlay() && c.Addr.Addr() == a {
				c.again = true
				c.Shut()
			}
		}
	})
}

// Online is told that the member of that overlay address connected, or with the zero address
// that the machine came back: candidates that wait for that are tried now, not too many.
func (e *Engine) Online(a netip.Addr) {
	e.everywhere(func(s *Share) {
		s.scout.Hurry(s.now(), a)
		s.dialSome()
	})
}
