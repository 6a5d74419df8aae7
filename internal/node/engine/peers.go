package engine

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"shoal/internal/core/ident"
	"shoal/internal/core/metainfo"
	"shoal/internal/core/swarm"
	"shoal/internal/core/swarm/candidates"
	"shoal/internal/core/wire"
	"shoal/internal/node/link"
	"shoal/internal/node/locate"
	"shoal/internal/node/porch"
)

// tickTime is how often a share that is not parked looks after itself.
const tickTime = time.Second

// housekeep does what is due by the clock.
func (s *Share) housekeep(now time.Time) {
	s.nextTick = now.Add(tickTime)
	if s.failed != nil && !s.stopping && now.After(s.retryAt) {
		s.retry()
	}
	s.seek()
	s.dialSome()
	for _, c := range s.conns {
		if c == nil || !c.up {
			continue
		}
		s.lookAfter(c, now)
	}
	s.downMeter.Tick(now)
	s.upMeter.Tick(now)
	s.save(now)
	s.publish()
	if s.row.Complete && now.After(s.nextLook) {
		s.nextLook = now.Add(lookTime)
		s.lookAtFiles()
	}
	if s.idle() {
		if s.quietSince.IsZero() {
			s.quietSince = now
			s.e.pool.Shrink()
		} else if now.Sub(s.quietSince) >= s.parkAfter() {
			s.park()
		}
	} else {
		s.quietSince = time.Time{}
	}
}

// parkAfter is how long a share is quiet before it is parked: the longer, the more files
// have to be looked at when it wakes.
func (s *Share) parkAfter() time.Duration {
	return s.e.cfg.ParkAfter + time.Duration(s.row.Files)*10*time.Millisecond
}

// lookTime is how often the files of an active share are looked at.
const lookTime = 30 * time.Second

// lookAtFiles notices files that somebody changed or removed; stat only, off the loop.
func (s *Share) lookAtFiles() {
	content := s.content.Load()
	if content == nil {
		return
	}
	s.e.workers.Run(func() {
		if len(content.Changed()) > 0 {
			s.post(msg{kind: msgCall, call: s.filesChanged})
		}
	})
}

// lookAfter keeps a connection alive or ends it, and tells about other peers.
func (s *Share) lookAfter(c *conn, now time.Time) {
	if now.Sub(c.Heard()) > idleTime {
		s.drop(c, swarm.ReasonIdle)
		return
	}
	if now.Sub(c.LastSent) > keepAlive {
		c.Out = wire.AppendKeepAlive(c.Out)
		s.touch(c)
	}
	if s.t.Needed() == 0 {
		c.Expect(false)
	}
	s.server.Serve(c, &c.asks)
	if c.ExtSeen {
		s.sendPEX(c, now)
	}
	if c.Relayed {
		s.outrun(c)
	}
}

// idle tells that nothing flows and nothing is wanted: the share may be parked.
func (s *Share) idle() bool {
	return s.nConns == 0 && s.dialling == 0 && s.intake.Busy() == 0 && s.work == 0 &&
		(s.state == Seeding || s.state == Paused) && !s.resume.dirty && !s.saving &&
		(s.ann == nil || !s.ann.Next().IsZero()) // not while trackers are being asked
}

// addPeers takes addresses that a person or a link gave. Names are resolved off the loop.
func (s *Share) addPeers(list []string, from candidates.Source) {
	for _, p := range list {
		if a, err := netip.ParseAddrPort(p); err == nil {
			s.scout.Add(s.now(), netip.AddrPortFrom(a.Addr().Unmap(), a.Port()), from)
			continue
		}
		if s.who.Public() && s.e.cfg.Resolve != nil { // members have no names that anybody resolves
			go s.resolve(p, from)
		}
	}
}

func (s *Share) resolve(p string, from candidates.Source) {
	ctx, cancel := context.WithTimeout(s.ctx, porch.Timeout)
	defer cancel()
	list, err := locate.Resolve(ctx, p, s.e.cfg.Resolve)
	if err != nil {
		s.e.tell(Event{Kind: EventNotice, ID: s.id(), Code: "peer_unknown", Text: err.Error()})
		return
	}
	s.found(s.ctx, from, list)
}

// found takes addresses that were found elsewhere while ctx lasted.
func (s *Share) found(ctx context.Context, from candidates.Source, list []netip.AddrPort) {
	s.post(msg{kind: msgCall, call: func() {
		for _, a := range list {
			if ctx.Err() == nil {
				s.scout.Add(s.now(), a, from)
			}
		}
		s.dialSome()
	}})
}

// inScope tells whether this node may contact an address. One of the overlay is none: it is
// the overlay that judges what it leads to.
func (e *Engine) inScope(a netip.AddrPort, from candidates.Source) bool {
	return !e.isSelf(a) && (ident.IsOverlay(a.Addr()) || e.cfg.Allow == nil || e.cfg.Allow(a, from) == nil)
}

// dialSome dials the best candidates, as far as the share wants more connections.
func (s *Share) dialSome() {
	if s.paused || s.failed != nil || s.stopping || s.asked || s.e.cfg.Offline {
		return
	}
	if s.meta != nil && s.t.Info() == nil {
		return // the files are being looked at
	}
	want := s.e.cfg.MaxShareConns / 2 // the other half is for those who come
	if s.row.Complete {
		want = min(want, s.e.cfg.MaxShareConns/8)
	}
	for s.nConns+s.dialling < want && s.dialling < s.e.cfg.MaxDialling && int(s.e.nConns.Load()) < s.e.cfg.MaxConns {
		few := s.dialling >= s.e.cfg.MaxDialling-porch.Kept(s.e.cfg.MaxDialling) // places left
		addr, from, ok := s.scout.Next(s.now(), few)
		if !ok {
			return
		}
		if s.connected(addr) {
			s.scout.Done(s.now(), addr, true)
			continue
		}
		s.scout.Dialled(from)
		name := s.hash
		if s.v2Only {
			name = metainfo.InfoHash{V2: name.V2, Version: metainfo.V2} // who knows it by v1 has nothing for us
		}
		s.dialling++
		s.e.wg.Add(1)
		go func() {
			defer s.e.wg.Done()
			err := s.dial(addr, from, name)
			s.post(msg{kind: msgDialled, addr: addr, err: err})
		}()
	}
}

func (s *Share) connected(addr netip.AddrPort) bool {
	for _, c := range s.conns {
		if c != nil && c.up && (c.Reachable() == addr || c.also == addr) {
			return true
		}
	}
	return false
}

// dialled counts the end of a dial. On success connUp has been told already.
func (s *Share) dialled(addr netip.AddrPort, err error) {
	s.dialling--
	if err != nil {
		s.scout.Done(s.now(), addr, false)
	}
	s.dialSome()
}

// stoodTime is how long a session must have stood to be opened anew at once when it is lost.
const stoodTime = 2 * time.Second

// ended tells that one of the two sides ended a connection.
func ended(err error) bool {
	return errors.Is(err, link.ErrClosed) || errors.Is(err, link.ErrGone) || protocolFault(err)
}

// protocolFault tells that a connection ended because the peer broke the protocol.
func protocolFault(err error) bool {
	return errors.Is(err, wire.ErrMalformed) || errors.Is(err, wire.ErrTooLong)
}
