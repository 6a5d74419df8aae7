package overlay

import (
	"net/netip"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/control"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/multiformats/go-multistream"

	"shoal/internal/core/ident"
)

// Bounds of guests.
const (
	guestTime      = time.Minute      // how long a guest's connection may stand
	guestBusy      = 20 * time.Second // how long it surely does while others want its place
	guestIdle      = 2 * time.Second  // and if it has no stream
	guestStreams   = 4                // that it may have open at once
	guestNegotiate = 10 * time.Second
	maxGuestTable  = 1024
)

// hall is the swarm as the rest of libp2p sees it: without guests. Those are connections
// from nodes that are not known, and ours to relays of a node that we are joining: they are
// never announced to identify, hole punching and the others, and their streams are
// negotiated by a multiplexer of its own, which knows the protocols for anyone and no more.
type hall struct {
	*swarm.Swarm
	h   *Host
	mux *multistream.MultistreamMuxer[protocol.ID] // for guests

	mu       sync.Mutex
	guests   map[network.Conn]*guest
	carriers map[ident.NodeID]time.Time // relays that are not known, and how long we may dial them
	tellers  map[network.Notifiee]*teller
	anyone   bool // there is a protocol for guests
}

// guest is a connection of somebody who is not known. The entry outlives the connection for
// a while, as those who hear of its end ask too.
type guest struct {
	since   time.Time
	streams int
	ended   time.Time // or is about to
}

// yields tells whether a guest makes room for another: who means it opens a stream at once,
// and is soon ready.
func (g *guest) yields(c network.Conn, now time.Time) bool {
	age := now.Sub(g.since)
	return c.Stat().Direction == network.DirInbound && (age >= guestBusy || age >= guestIdle && len(c.GetStreams()) == 0)
}

// newHall makes a hall whose swarm comes later: the swarm needs the gate first.
func newHall(h *Host) *hall {
	return &hall{h: h, mux: multistream.NewMultistreamMuxer[protocol.ID](), guests: make(map[network.Conn]*guest),
		carriers: make(map[ident.NodeID]time.Time), tellers: make(map[network.Notifiee]*teller)}
}

// teller passes news on, but not of guests.
type teller struct {
	network.Notifiee
	hall *hall
}

// Connected passes on what is no guest.
func (t *teller) Connected(_ network.Network, c network.Conn) {
	if !t.hall.isGuest(c) {
		t.Notifiee.Connected(t.hall, c)
	}
}

// Disconnected passes on what was no guest.
func (t *teller) Disconnected(_ network.Network, c network.Conn) {
	if !t.hall.isGuest(c) {
		t.Notifiee.Disconnected(t.hall, c)
	}
}

// Notify signs up for news.
func (n *hall) Notify(f network.Notifiee) {
	t := &teller{f, n}
	n.mu.Lock()
	n.tellers[f] = t
	n.mu.Unlock()
	n.Swarm.Notify(t)
}

// StopNotify signs off.
func (n *hall) StopNotify(f network.Notifiee) {
	n.mu.Lock()
	t := n.tellers[f]
	delete(n.tellers, f)
	n.mu.Unlock()
	if t != nil {
		n.Swarm.StopNotify(t)
	}
}

// SetStreamHandler puts the door before the handler of streams.
func (n *hall) SetStreamHandler(f network.StreamHandler) {
	n.Swarm.SetStreamHandler(func(s network.Stream) {
		id, ok := nodeID(s.Conn().RemotePeer())
		switch {
		case n.isGuest(s.Conn()):
			n.serveGuest(s)
		case ok && n.h.cfg.Known(id):
			f(s)
		default:
			s.Reset()
		}
	})
}

// serveGuest negotiates a guest's stream.
func (n *hall) serveGuest(s network.Stream) {
	n.mu.Lock()
	g := n.guests[s.Conn()]
	full := g == nil || g.streams >= guestStreams
	if !full {
		g.streams++
	}
	n.mu.Unlock()
	if full {
		s.Reset()
		return
	}
	defer func() {
		n.mu.Lock()
		g.streams--
		n.mu.Unlock()
	}()
	if s.SetDeadline(time.Now().Add(guestNegotiate)) != nil {
		s.Reset()
		return
	}
	name, handle, err := n.mux.Negotiate(s)
	if err != nil || s.SetProtocol(name) != nil || s.SetDeadline(time.Time{}) != nil {
		s.Reset()
		return
	}
	if err := handle(name, s); err != nil {
		s.Reset()
	}
}

func (n *hall) isGuest(c network.Conn) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.guests[c] != nil
}

// promoted are the guests' connections of nodes that are known.
func (n *hall) promoted() (all []network.Conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for c := range n.guests {
		if _, ok := n.h.known(c.RemotePeer()); ok && !c.IsClosed() {
			all = append(all, c)
		}
	}
	return all
}

// take makes a connection a guest's; false if there are too many of whom none makes room.
func (n *hall) take(c network.Conn) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	now, standing := time.Now(), 0
	var oldest network.Conn
	for other, g := range n.guests {
		switch {
		case !other.IsClosed() && g.ended.IsZero():
			standing++
			if g.yields(other, now) && (oldest == nil || g.since.Before(n.guests[oldest].since)) {
				oldest = other
			}
		case g.ended.IsZero():
			g.ended = now
		case other.IsClosed() && now.Sub(g.ended) > guestTime:
			delete(n.guests, other)
		}
	}
	if standing >= MaxGuests && oldest == nil || len(n.guests) >= maxGuestTable {
		return false
	}
	if standing >= MaxGuests {
		n.guests[oldest].ended = now // it makes room once
		go oldest.Close()            // its end is told, and asks whether it was a guest
	}
	n.guests[c] = &guest{since: now}
	time.AfterFunc(guestTime, func() { _ = n.stands(c) && c.Close() == nil })
	return true
}

// carry lets us dial a relay that is not known for a while, as a guest of it.
func (n *hall) carry(relay ident.NodeID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := time.Now()
	for id, until := range n.carriers {
		if now.After(until) {
			delete(n.carriers, id)
		}
	}
	if len(n.carriers) < MaxGuests {
		n.carriers[relay] = now.Add(guestTime)
	}
}

func (n *hall) carries(relay ident.NodeID) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return time.Now().Before(n.carriers[relay])
}

func (n *hall) forAnyone() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.anyone
}

// The gate: libp2p asks it at every step of a connection.

// InterceptPeerDial lets us dial those we know, and relays on the way to one we join.
func (n *hall) InterceptPeerDial(p peer.ID) bool {
	id, ok := nodeID(p)
	return ok && (n.h.cfg.Known(id) || n.carries(id))
}

// InterceptAddrDial asks whether an address may be dialled.
func (n *hall) InterceptAddrDial(p peer.ID, m ma.Multiaddr) bool {
	w, ok := parse(m)
	return ok && n.allows(p, w.at)
}

// allows asks Config.AllowDial, and tells of a no.
func (n *hall) allows(p peer.ID, at netip.AddrPort) bool {
	err := n.h.cfg.AllowDial(at)
	if err == nil && usable(at) {
		return true
	}
	id, _ := nodeID(p)
	n.h.keepWhy(id, err)
	return false
}

// InterceptAccept asks whether that address is answered.
func (n *hall) InterceptAccept(c network.ConnMultiaddrs) bool {
	w, ok := parse(c.RemoteMultiaddr())
	if !ok || n.h.cfg.Allow(w.at) != nil {
		n.h.refuse(ident.NodeID{}, ReasonAddress)
		return false
	}
	return true
}

// InterceptSecured asks whether that node may come in at all.
func (n *hall) InterceptSecured(_ network.Direction, p peer.ID, _ network.ConnMultiaddrs) bool {
	id, ok := nodeID(p)
	switch {
	case !ok:
		n.h.refuse(id, ReasonKey)
		return false
	case n.h.cfg.Known(id) || n.carries(id) || n.forAnyone():
		return true
	}
	n.h.refuse(id, ReasonStranger)
	return false
}

// InterceptUpgraded asks again, as the node may have been removed since, and makes guests
// of those who are not known.
func (n *hall) InterceptUpgraded(c network.Conn) (bool, control.DisconnectReason) {
	id, ok := nodeID(c.RemotePeer())
	switch {
	case ok && n.h.cfg.Known(id):
		return true, 0
	case !ok || !n.carries(id) && !n.forAnyone():
		n.h.refuse(id, ReasonStranger)
		return false, 0
	case !n.take(c):
		n.h.refuse(id, ReasonGuests)
		return false, 0
	}
	return true, 0
}

// proberGate lets the prober of addresses dial what the scope allows, and nobody in.
type proberGate struct{ h *Host }

// InterceptPeerDial allows: whom to probe the service has judged.
func (g proberGate) InterceptPeerDial(peer.ID) bool { return true }

// InterceptAddrDial asks Config.AllowDial.
func (g proberGate) InterceptAddrDial(_ peer.ID, m ma.Multiaddr) bool {
	w, ok := parse(m)
	return ok && !w.relay && usable(w.at) && g.h.cfg.AllowDial(w.at) == nil
}

// InterceptAccept refuses: it listens nowhere.
func (g proberGate) InterceptAccept(network.ConnMultiaddrs) bool { return false }

// InterceptSecured allows what was dialled.
func (g proberGate) InterceptSecured(d network.Direction, _ peer.ID, _ network.ConnMultiaddrs) bool {
	return d == network.DirOutbound
}

// InterceptUpgraded allows.
func (g proberGate) InterceptUpgraded(network.Conn) (bool, control.DisconnectReason) { return true, 0 }
