package overlay

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	relayproto "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/proto"
	ma "github.com/multiformats/go-multiaddr"

	"shoal/internal/core/ident"
)

// The measures of places.
const (
	wantPlaces  = 2
	placeTime   = 15 * time.Second // to ask for one
	renewBefore = 20 * time.Minute // of the hour that one lasts
	failWait    = 30 * time.Second // after a no; doubles
	maxFailWait = time.Hour
	placeAddrs  = 4 // told of one relay
)

// places are what we keep at members' relays, so that those who can't reach us straight
// come through them. libp2p's own search for relays waits for its first NAT test and looks
// among strangers; ours asks those whom we reach already, the nearest first.
type places struct {
	h *Host

	mu     sync.Mutex
	held   map[ident.NodeID]*place
	failed map[ident.NodeID]*failure
}

type place struct {
	expires time.Time
	addrs   []ma.Multiaddr
	busy    bool
}

type failure struct {
	until time.Time
	wait  time.Duration
	why   string
}

// addrs are the ways that lead to us through the relays.
func (p *places) addrs() []ma.Multiaddr {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []ma.Multiaddr
	ids := make([]ident.NodeID, 0, len(p.held))
	for id := range p.held {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b ident.NodeID) int { return slices.Compare(a[:], b[:]) })
	for _, id := range ids {
		all = append(all, p.held[id].addrs...)
	}
	return all
}

// relays are where places are held.
func (p *places) relays() []ident.NodeID {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []ident.NodeID
	for id, at := range p.held {
		if !at.expires.IsZero() {
			all = append(all, id)
		}
	}
	return all
}

// forget gives up what is held at a node.
func (p *places) forget(id ident.NodeID) {
	p.mu.Lock()
	_, had := p.held[id]
	delete(p.held, id)
	delete(p.failed, id)
	p.mu.Unlock()
	if had {
		p.tell()
	}
}

// tend gives up places whose relay is gone, renews old ones and asks for new ones. It tells
// when to look again.
func (p *places) tend(now time.Time) time.Time {
	if !p.h.cfg.UsePlaces {
		return now.Add(time.Hour)
	}
	enough := p.h.isReachable()
	p.mu.Lock()
	lost := false
	for id, at := range p.held {
		if enough || p.h.straight(id) == nil || !p.h.cfg.Known(id) || !at.expires.IsZero() && now.After(at.expires) {
			delete(p.held, id)
			lost = lost || !at.expires.IsZero()
		}
	}
	next := now.Add(time.Minute)
	var ask []ident.NodeID
	for id, at := range p.held {
		if !at.busy && now.After(at.expires.Add(-renewBefore)) && !p.rests(id, now, &next) {
			at.busy = true
			ask = append(ask, id)
		}
	}
	if !enough {
		ask = append(ask, p.choose(now, &next)...)
	}
	p.mu.Unlock()
	if lost {
		p.tell()
	}
	for _, id := range ask {
		p.h.over.Go(func() { p.ask(id) })
	}
	return next
}

// choose marks who is to be asked for a place. The lock is held.
func (p *places) choose(now time.Time, next *time.Time) []ident.NodeID {
	type candidate struct {
		id  ident.NodeID
		rtt time.Duration
	}
	var all []candidate
	for _, c := range p.h.contacts() {
		if p.held[c.id] != nil {
			continue
		}
		// Whom we reached others reach too, as a rule; who reached us, or was reached by
		// opening a way, may sit behind a NAT.
		s := p.h.straight(c.id)
		if s == nil || s.Stat().Direction != network.DirOutbound || c.climbed.Load() || !p.h.relays(c.id) {
			continue
		}
		if !p.rests(c.id, now, next) {
			all = append(all, candidate{c.id, time.Duration(c.rtt.Load())})
		}
	}
	slices.SortFunc(all, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.rtt, b.rtt), slices.Compare(a.id[:], b.id[:]))
	})
	var ids []ident.NodeID
	for _, c := range all[:min(len(all), max(0, wantPlaces-len(p.held)))] {
		p.held[c.id] = &place{busy: true}
		ids = append(ids, c.id)
	}
	return ids
}

// rests tells that a relay said no a moment ago, and next at the latest when it may be
// asked again. The lock is held.
func (p *places) rests(id ident.NodeID, now time.Time, next *time.Time) bool {
	f := p.failed[id]
	if f == nil || !now.Before(f.until) {
		return false
	}
	if f.until.Before(*next) {
		*next = f.until
	}
	return true
}

// relays tells that a peer said it serves as a relay.
func (h *Host) relays(id ident.NodeID) bool {
	has, err := h.host.Peerstore().SupportsProtocols(peerID(id), relayproto.ProtoIDv2Hop)
	return err == nil && len(has) > 0
}

// ask asks one relay for a place, or for it to last longer.
func (p *places) ask(id ident.NodeID) {
	ctx, cancel := context.WithTimeout(p.h.ctx, placeTime)
	defer cancel()
	got, err := client.Reserve(ctx, p.h.host, peer.AddrInfo{ID: peerID(id)})
	var addrs []ma.Multiaddr
	if c := p.h.straight(id); err == nil && c != nil {
		addrs = p.through(id, c, got.Addrs)
	} else if err == nil {
		err = ErrUnreachable
	}
	p.mu.Lock()
	at := p.held[id]
	switch {
	case at == nil: // given up meanwhile
	case err != nil:
		if now := time.Now(); at.expires.Before(now) {
			delete(p.held, id)
		}
		f := p.failed[id]
		if f == nil {
			f = &failure{wait: failWait / 2}
			p.failed[id] = f
		}
		f.wait = min(2*f.wait, maxFailWait)
		f.until, f.why = time.Now().Add(f.wait), reason(err)
	default:
		at.expires, at.addrs = got.Expiration, addrs
		delete(p.failed, id)
	}
	if at != nil {
		at.busy = false
	}
	p.mu.Unlock()
	p.tell()
	p.h.rouse()
}

// through are the ways to us through a relay: by the address at which we reach it, then by
// those that it vouches for.
func (p *places) through(id ident.NodeID, c network.Conn, vouched []ma.Multiaddr) []ma.Multiaddr {
	var all []ma.Multiaddr
	for _, m := range append([]ma.Multiaddr{c.RemoteMultiaddr()}, vouched...) {
		w, ok := parse(m)
		if !ok || !usable(w.at) || len(all) >= 2*placeAddrs {
			continue
		}
		for _, udp := range []bool{false, true} {
			all = append(all, append(multiaddr(w.at, udp), component(ma.P_P2P, id.PeerID()), component(ma.P_CIRCUIT, nil)))
		}
	}
	return ma.Unique(all)
}

// tell passes the addresses on to libp2p, which tells members of them.
func (p *places) tell() {
	if p.h.ctx.Err() == nil {
		_ = p.h.telling.Emit(event.EvtAutoRelayAddrsUpdated{RelayAddrs: p.addrs()}) // fails only when closed
	}
}

// reasons are why relays refused, for who asks.
func (p *places) reasons() map[ident.NodeID]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make(map[ident.NodeID]string)
	for id, f := range p.failed {
		all[id] = fmt.Sprintf("%s (again in %s)", f.why, time.Until(f.until).Round(time.Second))
	}
	return all
}
