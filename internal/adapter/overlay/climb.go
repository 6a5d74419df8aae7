package overlay

import (
	"context"
	"errors"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/protocol/holepunch"
	ma "github.com/multiformats/go-multiaddr"

	"shoal/internal/core/group"
	"shoal/internal/core/ident"
)

// The keeper's measures.
const (
	climbTime  = 4 * time.Second  // to dial straight
	slowest    = 30 * time.Second // between two looks
	quickest   = 20 * time.Millisecond
	punchAddrs = 8 // that a peer may have us send to
)

// climbWait is the pause before the n-th try to reach a relayed peer straight.
func climbWait(n int) time.Duration {
	waits := []time.Duration{200 * time.Millisecond, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second,
		15 * time.Second, 30 * time.Second, time.Minute}
	if n < len(waits) {
		return waits[n]
	}
	return 5 * time.Minute
}

var errNoAddress = errors.New("no public address of ours is known yet, so no way can be opened through the NAT")

// keep looks after connections: it measures round trips, keeps places at relays, and has
// relayed connections climb to direct ones.
func (h *Host) keep() {
	defer h.over.Done()
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		select {
		case <-h.ctx.Done():
			return
		case <-h.wake:
		case <-t.C:
		}
		now := time.Now()
		next := now.Add(slowest)
		earlier := func(at time.Time) {
			if at.Before(next) {
				next = at
			}
		}
		h.ensurePunch()
		earlier(h.places.tend(now))
		for _, c := range h.contacts() {
			earlier(h.tend(c, now))
		}
		t.Reset(max(quickest, next.Sub(now)))
	}
}

// tend does what is due for one peer, and tells when something is due again.
func (h *Host) tend(c *contact, now time.Time) time.Time {
	b := best(h.hall.ConnsToPeer(peerID(c.id)))
	if b == nil {
		return now.Add(slowest)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	every := h.cfg.times.idle
	if c.streams.Load() > 0 {
		every = h.cfg.times.busy
	}
	if !c.pinging && now.Sub(c.pinged) >= every {
		c.pinging, c.pinged = true, now
		h.over.Go(func() {
			h.check(c, b)
			h.mu.Lock()
			c.pinging = false
			h.mu.Unlock()
		})
	}
	if c.suspect {
		c.suspect = false
		for _, o := range h.hall.ConnsToPeer(peerID(c.id)) {
			h.over.Go(func() { h.confirm(c, o) })
		}
	}
	next := c.pinged.Add(every)
	if w, _ := parse(b.RemoteMultiaddr()); !w.relay {
		return h.leave(c, now, next)
	}
	c.leaveAt = time.Time{}
	if !c.climbing && !now.Before(c.climbAt) {
		c.climbing = true
		h.over.Go(func() { h.climb(c) })
	}
	if !c.climbing && c.climbAt.Before(next) {
		next = c.climbAt
	}
	return next
}

// leave ends the relayed connections of a peer that is reached straight: those without
// streams at once, the others after a while in which their users may open new streams. The
// lock is held.
func (h *Host) leave(c *contact, now time.Time, next time.Time) time.Time {
	left := false
	for _, r := range h.relayed(c.id) {
		switch {
		case c.leaveAt.IsZero():
			c.leaveAt = now.Add(h.cfg.times.leave)
			left = true
		case !now.Before(c.leaveAt):
			h.over.Go(func() { r.Close() })
		default:
			left = true
		}
	}
	if left && c.leaveAt.Before(next) {
		return c.leaveAt
	}
	return next
}

// climb tries to reach a relayed peer straight: by its addresses, then, if it came to us
// through the relay, by opening a way through both NATs at once (DCUtR: of the two sides
// the one that was called begins).
func (h *Host) climb(c *contact) {
	err := h.straighten(c.id)
	h.mu.Lock()
	c.climbing = false
	c.tries++
	c.climbAt = time.Now().Add(climbWait(c.tries))
	h.mu.Unlock()
	if err != nil {
		h.keepWhy(c.id, err)
	}
	h.rouse()
}

func (h *Host) straighten(id ident.NodeID) error {
	if h.straight(id) != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(network.WithForceDirectDial(h.ctx, "climb"), climbTime)
	defer cancel()
	_, err := h.hall.DialPeer(ctx, peerID(id))
	if err == nil {
		return nil
	}
	err = errors.New("direct: " + reason(err))
	called := false
	for _, r := range h.relayed(id) {
		called = called || r.Stat().Direction == network.DirInbound
	}
	if !h.cfg.Punch || !called {
		return err
	}
	h.mu.Lock()
	punch := h.punch
	h.mu.Unlock()
	if punch == nil || !h.serves(holepunch.Protocol) {
		return errors.Join(err, errNoAddress)
	}
	switch perr := punch.DirectConnect(peerID(id)); {
	case perr == nil:
		return nil
	case errors.Is(perr, holepunch.ErrHolePunchActive):
		return errors.New("a way through the NATs is being tried; " + err.Error())
	default:
		return errors.New("through the NATs: " + reason(perr) + "; " + err.Error())
	}
}

// serves tells that a protocol has its handler. DirectConnect waits for ever before its
// service has begun, and that is when the service sets its handler.
func (h *Host) serves(name protocol.ID) bool {
	for _, p := range h.host.Mux().Protocols() {
		if p == name {
			return true
		}
	}
	return false
}

// ensurePunch starts the service that opens ways through NATs as soon as there is a public
// address to offer; before, it would look for one by a timer of its own.
func (h *Host) ensurePunch() {
	h.mu.Lock()
	begun := h.punch != nil
	h.mu.Unlock()
	if !h.cfg.Punch || begun || len(h.offers()) == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ctx.Err() != nil {
		return
	}
	s, err := holepunch.NewService(h.host, h.host.IDService(), h.offers, holepunch.DirectDialTimeout(climbTime), holepunch.WithAddrFilter(punchable{h}))
	if err == nil {
		h.punch = s
	}
}

// offers are our addresses for opening ways: public, and of QUIC, as TCP is not dialled
// from the port that it listens at.
func (h *Host) offers() []ma.Multiaddr {
	all := append(h.seen.Addrs(1), h.host.AllAddrs()...)
	if h.cfg.External != nil {
		for _, at := range h.cfg.External() {
			all = append(all, multiaddrs(group.Address{At: at})...)
		}
	}
	return punchable{h}.FilterLocal("", ma.Unique(all))
}

// punchable keeps the addresses that packets may be sent to in order to open a way: public
// ones of QUIC that the scope allows, not many.
type punchable struct{ h *Host }

// FilterLocal keeps what we offer.
func (punchable) FilterLocal(_ peer.ID, all []ma.Multiaddr) []ma.Multiaddr {
	var out []ma.Multiaddr
	for _, m := range public(all) {
		if w, ok := parse(m); ok && w.udp && len(out) < punchAddrs {
			out = append(out, m)
		}
	}
	return out
}

// FilterRemote keeps what the peer offers.
func (f punchable) FilterRemote(p peer.ID, all []ma.Multiaddr) []ma.Multiaddr {
	var out []ma.Multiaddr
	for _, m := range f.FilterLocal(p, all) {
		if w, _ := parse(m); f.h.cfg.AllowDial(w.at) == nil {
			out = append(out, m)
		}
	}
	return out
}
