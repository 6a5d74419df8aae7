package overlay

import (
	"net/netip"
	"slices"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/quic-go/quic-go"

	"shoal/internal/core/ident"
)

// Peer is a known node that is connected, and how.
type Peer struct {
	ID        ident.NodeID
	Transport string         // TCP, QUIC or Relay: what new streams go over
	Via       ident.NodeID   // the relay
	Addr      netip.AddrPort // the peer's address, or the relay's
	Direct    bool
	Inbound   bool // it connected to us
	Since     time.Time
	RTT       time.Duration // smoothed; 0: not measured yet
	Streams   int
	In, Out   int64   // bytes of streams
	InRate    float64 // bytes a second, over the last second or more
	OutRate   float64
	Why       string // why not direct
}

// contact is what is kept of a connected peer.
type contact struct {
	id      ident.NodeID
	in, out atomic.Int64
	streams atomic.Int32
	rtt     atomic.Int64
	climbed atomic.Bool // it is reached straight since a relay brought us together

	// The rest is guarded by Host.mu.
	since    time.Time
	pinged   time.Time
	pinging  bool
	suspect  bool // of the connections that stand some may be dead
	climbAt  time.Time
	climbing bool
	tries    int
	leaveAt  time.Time // when relayed connections end, as a direct one stands
	sampled  time.Time
	last     [2]int64
	rate     [2]float64
}

// keepWhy remembers why a way to a node failed.
func (h *Host) keepWhy(id ident.NodeID, err error) {
	if err == nil || id.IsZero() {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, had := h.lost[id]; !had && len(h.lost) >= maxGuestTable {
		clear(h.lost)
	}
	h.lost[id] = err.Error()
}

// Why is why there is no way, or no better one, to a node; "" if none failed.
func (h *Host) Why(id ident.NodeID) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.lost[id]
}

// contactOf is a peer's contact; of one whose connection has just ended, one that nobody
// else sees: only connections make and end what is kept.
func (h *Host) contactOf(id ident.NodeID) *contact {
	h.mu.Lock()
	defer h.mu.Unlock()
	if c := h.peers[id]; c != nil {
		return c
	}
	return &contact{id: id}
}

func (h *Host) contacts() []*contact {
	h.mu.Lock()
	defer h.mu.Unlock()
	all := make([]*contact, 0, len(h.peers))
	for _, c := range h.peers {
		all = append(all, c)
	}
	return all
}

// connected hears of connections, guests' apart.
func (h *Host) connected(_ network.Network, c network.Conn) {
	h.claim(c, true)
	id, ok := h.known(c.RemotePeer())
	if !ok {
		go c.Close() // removed while it was being made; the news must not wait for its end
		return
	}
	w, _ := parse(c.RemoteMultiaddr())
	climbed := false
	var from netip.Addr
	if !w.relay {
		from = leaves(c)
	}
	h.mu.Lock() // told under it too, so that a beginning and an end are not told the wrong way round
	p, now := h.peers[id], time.Now()
	if p == nil {
		p = &contact{id: id, since: now, sampled: now}
		h.peers[id] = p
		h.emit(Event{Kind: Connected, Peer: id})
	} else { // one more than is needed: the peer may have lost the others
		p.suspect = true
	}
	if from.IsValid() && !c.IsClosed() {
		h.left[c] = from
	}
	p.pinged = time.Time{}
	switch relayed := h.relayed(id); {
	case !w.relay:
		delete(h.lost, id)
		if climbed = len(relayed) > 0; climbed {
			p.climbed.Store(true)
			p.leaveAt = now.Add(h.cfg.times.leave)
		}
	case h.straight(id) == nil:
		p.tries, p.climbAt = 0, now.Add(climbWait(0))
	default:
		p.leaveAt = now.Add(h.cfg.times.leave)
	}
	h.mu.Unlock()
	if climbed {
		h.emit(Event{Kind: Direct, Peer: id})
	}
	h.rouse()
}

// disconnected hears of their ends.
func (h *Host) disconnected(_ network.Network, c network.Conn) {
	h.claim(c, false)
	id, ok := nodeID(c.RemotePeer())
	if !ok {
		return
	}
	defer h.rouse()
	h.mu.Lock() // another connection, if it is not here to see yet, is noted after this
	defer h.mu.Unlock()
	delete(h.left, c)
	if slices.ContainsFunc(h.hall.ConnsToPeer(c.RemotePeer()), func(o network.Conn) bool { return !h.hall.isGuest(o) && !o.IsClosed() }) {
		return
	}
	if _, had := h.peers[id]; had {
		delete(h.peers, id)
		h.emit(Event{Kind: Disconnected, Peer: id})
	}
}

// relayed are the connections to a peer that go through relays.
func (h *Host) relayed(id ident.NodeID) []network.Conn {
	return slices.DeleteFunc(h.hall.ConnsToPeer(peerID(id)), func(c network.Conn) bool {
		w, ok := parse(c.RemoteMultiaddr())
		return !ok || !w.relay || c.IsClosed()
	})
}

// best is the connection that new streams go over, as libp2p chooses: direct before
// relayed, then the one with the most streams.
func best(all []network.Conn) network.Conn {
	var b network.Conn
	for _, c := range all {
		if c.IsClosed() {
			continue
		}
		if b == nil {
			b = c
			continue
		}
		w, _ := parse(c.RemoteMultiaddr())
		old, _ := parse(b.RemoteMultiaddr())
		if w.relay != old.relay && old.relay || w.relay == old.relay && c.Stat().NumStreams >= b.Stat().NumStreams {
			b = c
		}
	}
	return b
}

// Peers lists the connected members, by NodeID.
func (h *Host) Peers() []Peer {
	var all []Peer
	for _, c := range h.contacts() {
		b := best(h.hall.ConnsToPeer(peerID(c.id)))
		if b == nil || !h.cfg.Known(c.id) {
			continue
		}
		w, _ := parse(b.RemoteMultiaddr())
		p := Peer{ID: c.id, Transport: w.name(), Via: w.via, Addr: w.at, Direct: !w.relay,
			Inbound: b.Stat().Direction == network.DirInbound, RTT: c.roundTrip(b), Streams: int(c.streams.Load())}
		h.mu.Lock()
		p.Since, p.In, p.Out = c.since, c.in.Load(), c.out.Load()
		c.sample(p.In, p.Out, time.Now())
		p.InRate, p.OutRate = c.rate[0], c.rate[1]
		if w.relay {
			p.Why = h.lost[c.id]
		}
		h.mu.Unlock()
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b Peer) int { return slices.Compare(a.ID[:], b.ID[:]) })
	return all
}

// sample takes rates anew once a second.
func (c *contact) sample(in, out int64, now time.Time) {
	d := now.Sub(c.sampled)
	if d < time.Second {
		return
	}
	c.rate = [2]float64{float64(in-c.last[0]) / d.Seconds(), float64(out-c.last[1]) / d.Seconds()}
	c.last, c.sampled = [2]int64{in, out}, now
}

// roundTrip is QUIC's own figure, else what ping measured.
func (c *contact) roundTrip(conn network.Conn) time.Duration {
	var q *quic.Conn
	if conn.As(&q) && q != nil {
		if rtt := q.ConnectionStats().SmoothedRTT; rtt > 0 {
			return rtt
		}
	}
	return time.Duration(c.rtt.Load())
}

// Reach is what is known of how this node is reached.
type Reach struct {
	Reachable   []netip.AddrPort        // members' probes arrived there
	Unreachable []netip.AddrPort        // they did not
	Unknown     []netip.AddrPort        // public, not probed yet
	Seen        []netip.AddrPort        // where peers say that we come from
	Mapped      []netip.AddrPort        // that the router passes on to us
	Router      bool                    // there is a router that maps ports when asked
	Relays      []ident.NodeID          // where we keep places
	Refusals    map[ident.NodeID]string // why other members' relays have none for us
}

// Reach tells what is known.
func (h *Host) Reach() Reach {
	yes, no, unknown := h.host.ConfirmedAddrs()
	r := Reach{Reachable: ports(yes), Unreachable: ports(no), Unknown: ports(unknown), Relays: h.places.relays(), Refusals: h.places.reasons()}
	if h.seen != nil {
		r.Seen = ports(h.seen.Addrs(1))
	}
	if h.router != nil {
		var mapped []ma.Multiaddr
		for _, own := range h.wired.ListenAddresses() {
			if at := h.router.GetMapping(own); at != nil {
				mapped = append(mapped, at)
			}
		}
		r.Mapped, r.Router = ports(mapped), h.router.HasDiscoveredNAT()
	}
	return r
}

// ports are the addresses of multiaddrs, each once.
func ports(all []ma.Multiaddr) []netip.AddrPort {
	var out []netip.AddrPort
	for _, m := range all {
		if w, ok := parse(m); ok && !slices.Contains(out, w.at) {
			out = append(out, w.at)
		}
	}
	return out
}
