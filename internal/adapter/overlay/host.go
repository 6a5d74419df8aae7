package overlay

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	basichost "github.com/libp2p/go-libp2p/p2p/host/basic"
	"github.com/libp2p/go-libp2p/p2p/host/observedaddrs"
	"github.com/libp2p/go-libp2p/p2p/net/connmgr"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/client"
	relayproto "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/proto"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/relay"
	"github.com/libp2p/go-libp2p/p2p/protocol/holepunch"
	ma "github.com/multiformats/go-multiaddr"

	"shoal/internal/core/group"
	"shoal/internal/core/ident"
)

// Groups are small and their members are known: two that see us at the same address are
// enough to tell it, where libp2p waits for four strangers.
func init() { observedaddrs.ActivationThresh = 2 }

// addrTime is how long addresses are kept that Connect was given.
const addrTime = 24 * time.Hour

// Host is one node in the overlay. Its methods may be called from any goroutine.
type Host struct {
	cfg     Config
	id      ident.NodeID
	hall    *hall
	wired   *wired
	dialler *wired // of the prober
	host    *basichost.BasicHost
	seen    *observedaddrs.Manager
	router  basichost.NATManager // nil: the router is not asked
	relay   *relay.Relay
	budget  budget
	places  places
	telling event.Emitter // of relay addresses, to libp2p
	news    event.Subscription

	ctx  context.Context // ends with Close
	stop context.CancelFunc
	wake chan struct{} // the keeper has something to look at
	over sync.WaitGroup
	once sync.Once

	mu    sync.Mutex
	peers map[ident.NodeID]*contact
	left  map[network.Conn]netip.Addr // where direct connections leave from
	punch *holepunch.Service
	lost  map[ident.NodeID]string // why there is no way, of those whom we tried
}

// New puts a host together and lets it listen. ctx ends what New itself waits for; the host
// lives until Close.
func New(ctx context.Context, cfg Config) (*Host, error) {
	if cfg.Known == nil || cfg.Allow == nil {
		return nil, errors.New("overlay: Known and Allow must be given")
	}
	if cfg.AllowDial == nil {
		cfg.AllowDial = cfg.Allow
	}
	if cfg.times == (times{}) {
		cfg.times = usualTimes
	}
	logTo.Store(cfg.Log)
	h := &Host{cfg: cfg, id: cfg.Key.ID(), wake: make(chan struct{}, 1), peers: make(map[ident.NodeID]*contact), left: make(map[network.Conn]netip.Addr), lost: make(map[ident.NodeID]string)}
	h.ctx, h.stop = context.WithCancel(context.Background())
	h.budget = budget{h: h, perDay: cfg.RelayBytes}
	h.places = places{h: h, held: make(map[ident.NodeID]*place), failed: make(map[ident.NodeID]*failure)}
	err := h.build()
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return nil, errors.Join(err, h.Close())
	}
	h.over.Add(3)
	go h.keep()
	go h.hear()
	go h.watchOwn()
	return h, nil
}

// build assembles libp2p's host and starts it.
func (h *Host) build() error {
	key, err := crypto.UnmarshalPrivateKey(h.cfg.Key.File())
	if err != nil {
		return fmt.Errorf("overlay: the node's key: %w", err)
	}
	res, err := resources(h.cfg.Streams)
	if err != nil {
		return err
	}
	h.hall = newHall(h)
	p := parts{cfg: &h.cfg, key: key, gate: h.hall, resources: res, tcp: h.cfg.TCP, udp: h.cfg.UDP}
	if h.wired, err = wire(p); err != nil {
		return errors.Join(err, res.Close())
	}
	h.hall.Swarm = h.wired.Swarm
	opts, err := h.options(p)
	if err != nil {
		return err
	}
	if h.host, err = basichost.NewHost(h.hall, opts); err != nil {
		return err
	}
	if err := client.AddTransport(h.host, h.wired.upgrader); err != nil {
		return err
	}
	if h.seen != nil {
		h.seen.Start(h.hall)
	}
	h.hall.Notify(&network.NotifyBundle{ConnectedF: h.connected, DisconnectedF: h.disconnected})
	h.host.Start()
	if err := h.startRelay(); err != nil {
		return err
	}
	if h.telling, err = h.wired.bus.Emitter(new(event.EvtAutoRelayAddrsUpdated)); err != nil {
		return err
	}
	h.news, err = h.wired.bus.Subscribe([]any{new(event.EvtLocalAddressesUpdated),
		new(event.EvtHostReachableAddrsChanged), new(event.EvtPeerIdentificationCompleted)})
	if err != nil {
		return err
	}
	return p.listen(h.wired)
}

// options are what libp2p's host is told.
func (h *Host) options(p parts) (*basichost.HostOpts, error) {
	trim, err := connmgr.NewConnManager(lowConns, highConns)
	if err != nil {
		return nil, err
	}
	o := &basichost.HostOpts{EventBus: h.wired.bus, ConnManager: trim, UserAgent: "shoal", ProtocolVersion: "shoal/1",
		AddrsFactory: h.announced, DisableSignedPeerRecord: true, NegotiationTimeout: guestNegotiate}
	if h.cfg.MapPorts {
		h.router = basichost.NewNATManager(h.wired.Swarm)
		o.NATManager = func(network.Network) basichost.NATManager { return h.router }
	}
	if h.cfg.Probe || h.cfg.Punch {
		if h.seen, err = observedaddrs.NewManager(h.wired.bus, h.hall); err != nil {
			return nil, err
		}
		o.ObservedAddrsManager = h.seen
	}
	if h.cfg.Probe {
		if o.AutoNATv2, err = h.prober(p); err != nil {
			return nil, err
		}
	}
	return o, nil
}

// announced is what members are told of our addresses: libp2p's, those from outside, and
// our places at relays.
func (h *Host) announced(own []ma.Multiaddr) []ma.Multiaddr {
	all := append([]ma.Multiaddr(nil), own...)
	if h.cfg.External != nil {
		for _, at := range h.cfg.External() {
			all = append(all, multiaddrs(group.Address{At: at})...)
		}
	}
	return tell(append(all, h.places.addrs()...))
}

// Close ends all connections and waits for every goroutine.
func (h *Host) Close() error {
	h.once.Do(h.close)
	return nil
}

func (h *Host) close() {
	h.stop()
	h.mu.Lock()
	punch := h.punch
	h.mu.Unlock()
	if h.news != nil {
		h.news.Close()
	}
	if h.relay != nil {
		h.relay.Close()
	}
	if h.host != nil {
		h.host.Network().Close() // first: else it waits for answers of peers that are gone
		h.host.Close()
	}
	if punch != nil {
		punch.Close()
	}
	h.over.Wait()
	if h.seen != nil {
		h.seen.Close()
	}
	if h.telling != nil {
		h.telling.Close()
	}
	if h.wired != nil {
		h.wired.close()
	}
	if h.dialler != nil {
		h.dialler.close()
	}
	for _, l := range h.cfg.TCP {
		l.Close()
	}
}

// ID is who this host is.
func (h *Host) ID() ident.NodeID { return h.id }

// emit tells of an event.
func (h *Host) emit(e Event) {
	if h.cfg.Events != nil && h.ctx.Err() == nil {
		h.cfg.Events(e)
	}
}

func (h *Host) refuse(id ident.NodeID, reason string) {
	h.emit(Event{Kind: Refused, Peer: id, Reason: reason})
}

// Learn keeps addresses of a node for later dials, as many as a node may have.
func (h *Host) Learn(id ident.NodeID, addrs []group.Address) {
	var all []ma.Multiaddr
	for _, a := range addrs[:min(len(addrs), maxDialled)] {
		if a.Via == id || a.Via == h.id {
			continue
		}
		all = append(all, multiaddrs(a)...)
		if !a.Via.IsZero() && !h.cfg.Known(a.Via) {
			h.hall.carry(a.Via)
		}
	}
	h.host.Peerstore().AddAddrs(peerID(id), all, addrTime)
	h.mu.Lock()
	if c := h.peers[id]; c != nil && len(all) > 0 {
		c.tries, c.climbAt = 0, time.Time{} // if a relay carries us, there may be a better way now
	}
	h.mu.Unlock()
	h.rouse()
}

// Connect makes sure of a connection to a node that is known, by the given addresses and
// those that were learnt before. It returns when the first one stands. Addresses that failed
// just before are tried too: when to try again is for the caller to say.
func (h *Host) Connect(ctx context.Context, id ident.NodeID, addrs []group.Address) error {
	h.Learn(id, addrs)
	h.hall.Backoff().Clear(peerID(id))
	_, err := h.dial(ctx, id)
	return err
}

// dial is a connection to a node: one that stands, or a new one.
func (h *Host) dial(ctx context.Context, id ident.NodeID) (network.Conn, error) {
	switch {
	case h.ctx.Err() != nil:
		return nil, ErrClosed
	case id == h.id || !h.cfg.Known(id):
		return nil, ErrStranger
	}
	c, err := h.hall.DialPeer(ctx, peerID(id))
	if err != nil {
		why := reason(err)
		if ctx.Err() != context.Canceled { // who gave up says nothing about the way
			h.keepWhy(id, errors.New(why))
		}
		return nil, fmt.Errorf("%w: %s", ErrUnreachable, why)
	}
	return c, nil
}

// Drop ends every connection with a node at once, whatever carries it, with all streams
// and circuits on it, and forgets its addresses. It is for a node that is known no more;
// one that is known may come again.
func (h *Host) Drop(id ident.NodeID) {
	p := peerID(id)
	h.hall.mu.Lock()
	delete(h.hall.carriers, id)
	h.hall.mu.Unlock()
	h.places.forget(id)
	closeAll(h.hall.ConnsToPeer(p))
	h.host.Peerstore().ClearAddrs(p)
	h.host.Peerstore().RemovePeer(p)
}

// Promote ends the connections of guests who are known by now, so that they come again as
// what they are, unless a stream of theirs is under way on them; it tells how many those are.
// What we relay for a guest does not count: a member gets more. Nor does what we opened: that
// is meant for a member, and would be kept from one for as long as it stands.
func (h *Host) Promote() (busy int) {
	var idle []network.Conn
	for _, c := range h.hall.promoted() {
		if !h.hall.stands(c) || slices.ContainsFunc(c.GetStreams(), func(s network.Stream) bool {
			return s.Stat().Direction == network.DirInbound && s.Protocol() != relayproto.ProtoIDv2Hop
		}) {
			busy++
		} else {
			idle = append(idle, c)
		}
	}
	closeAll(idle)
	return busy
}

// stands tells whether libp2p has taken a connection in, which it does a moment after the gate:
// one that is closed before is counted out before it is counted in, and go-libp2p v0.51.0 panics.
func (n *hall) stands(c network.Conn) bool { return slices.Contains(n.ConnsToPeer(c.RemotePeer()), c) }

func closeAll(conns []network.Conn) {
	var closing sync.WaitGroup
	for _, c := range conns {
		closing.Go(func() { c.Close() })
	}
	closing.Wait()
}

// Renew ends the connections with a node and makes a new one. A joiner calls it when it has
// become a member: until then it was a guest, and its connection stays a guest's. So it was
// at the relays on the way there; who of them is known now is reached anew too.
func (h *Host) Renew(ctx context.Context, id ident.NodeID) error {
	addrs := h.host.Peerstore().Addrs(peerID(id))
	closeAll(h.hall.ConnsToPeer(peerID(id)))
	closeAll(slices.DeleteFunc(h.hall.promoted(), func(c network.Conn) bool {
		relay, _ := nodeID(c.RemotePeer())
		return !h.hall.stands(c) || !h.hall.carries(relay)
	}))
	h.host.Peerstore().AddAddrs(peerID(id), addrs, addrTime)
	_, err := h.dial(ctx, id)
	return err
}

// claim tells the owner of a socket of QUIC connections.
func (h *Host) claim(c network.Conn, stands bool) {
	w, ok := parse(c.RemoteMultiaddr())
	if !ok || w.relay || !w.udp {
		return
	}
	local, _ := parse(c.LocalMultiaddr())
	for _, u := range h.cfg.UDP {
		own, _ := netip.ParseAddrPort(u.Conn.LocalAddr().String())
		if u.Claim != nil && own.Port() == local.at.Port() && own.Addr().Unmap().Is4() == w.at.Addr().Is4() {
			u.Claim(w.at, stands)
		}
	}
}

// hear waits for news of libp2p.
func (h *Host) hear() {
	defer h.over.Done()
	for e := range h.news.Out() {
		switch e.(type) {
		case event.EvtLocalAddressesUpdated, event.EvtHostReachableAddrsChanged:
			h.emit(Event{Kind: Addresses})
		}
		h.rouse()
	}
}

// rouse wakes the keeper.
func (h *Host) rouse() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// isReachable tells that strangers' dials arrive, as far as is known.
func (h *Host) isReachable() bool {
	reachable, _, _ := h.host.ConfirmedAddrs()
	return h.cfg.Public || len(reachable) > 0
}

// straight is a direct connection to a peer, nil if none stands.
func (h *Host) straight(id ident.NodeID) network.Conn {
	for _, c := range h.hall.ConnsToPeer(peerID(id)) {
		if w, ok := parse(c.RemoteMultiaddr()); ok && !w.relay && !c.IsClosed() {
			return c
		}
	}
	return nil
}

// known is the NodeID of a peer, and whether it is known.
func (h *Host) known(p peer.ID) (ident.NodeID, bool) {
	id, ok := nodeID(p)
	return id, ok && h.cfg.Known(id)
}
