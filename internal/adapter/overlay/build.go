package overlay

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/event"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/sec"
	"github.com/libp2p/go-libp2p/core/transport"
	blankhost "github.com/libp2p/go-libp2p/p2p/host/blank"
	"github.com/libp2p/go-libp2p/p2p/host/eventbus"
	"github.com/libp2p/go-libp2p/p2p/host/peerstore/pstoremem"
	muxer "github.com/libp2p/go-libp2p/p2p/muxer/yamux"
	"github.com/libp2p/go-libp2p/p2p/net/swarm"
	"github.com/libp2p/go-libp2p/p2p/net/upgrader"
	"github.com/libp2p/go-libp2p/p2p/protocol/autonatv2"
	tls "github.com/libp2p/go-libp2p/p2p/security/tls"
	quictransport "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/quicreuse"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
	"github.com/quic-go/quic-go"
)

// errNoName is the answer to every name: none is looked up.
var errNoName = errors.New("overlay: names are not looked up")

// unresolved refuses the names that peers may put into their addresses.
type unresolved struct{}

// ResolveDNSAddr refuses.
func (unresolved) ResolveDNSAddr(context.Context, peer.ID, ma.Multiaddr, int, int) ([]ma.Multiaddr, error) {
	return nil, errNoName
}

// ResolveDNSComponent refuses.
func (unresolved) ResolveDNSComponent(context.Context, ma.Multiaddr, int) ([]ma.Multiaddr, error) {
	return nil, errNoName
}

// A peer that is gone without a word is found out within quicDead.
const (
	quicAlive = 3 * time.Second
	quicDead  = 8 * time.Second
)

// parts are what one swarm is made of.
type parts struct {
	cfg       *Config
	key       crypto.PrivKey
	gate      connmgr.ConnectionGater
	resources network.ResourceManager
	tcp       []net.Listener
	udp       []Datagrams
	own       bool // sockets for QUIC are opened as needed, instead of sharing udp
}

// net is a swarm with what must be closed after it.
type wired struct {
	*swarm.Swarm
	bus      event.Bus
	upgrader transport.Upgrader
	quic     *quicreuse.ConnManager
}

// close ends the swarm, then what it used.
func (w *wired) close() error {
	return errors.Join(w.Swarm.Close(), w.quic.Close(), w.Swarm.Peerstore().Close())
}

// muxes is yamux with windows of our own.
func muxes() []upgrader.StreamMuxer {
	return []upgrader.StreamMuxer{{ID: muxer.ID, Muxer: multiplexer{newUnread()}}}
}

// wire puts a swarm together: TCP with TLS 1.3 and yamux, and QUIC.
func wire(p parts) (*wired, error) {
	id, err := peer.IDFromPrivateKey(p.key)
	if err != nil {
		return nil, err
	}
	store, err := pstoremem.NewPeerstore(pstoremem.WithMaxAddressesPerPeer(maxAddresses))
	if err != nil {
		return nil, err
	}
	err = errors.Join(store.AddPrivKey(id, p.key), store.AddPubKey(id, p.key.GetPublic()))
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	w := &wired{bus: eventbus.NewBus()}
	w.Swarm, err = swarm.NewSwarm(id, store, w.bus,
		swarm.WithConnectionGater(p.gate), swarm.WithResourceManager(p.resources),
		swarm.WithMultiaddrResolver(unresolved{}), swarm.WithDialRanker(p.rank),
		swarm.WithDialTimeout(15*time.Second),
		// Few are dialled: too few to judge UDP or IPv6 of this network by.
		swarm.WithUDPBlackHoleSuccessCounter(nil), swarm.WithIPv6BlackHoleSuccessCounter(nil))
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	if err := p.transports(w, id); err != nil {
		err = errors.Join(err, w.Swarm.Close(), store.Close())
		if w.quic != nil {
			err = errors.Join(err, w.quic.Close())
		}
		return nil, err
	}
	return w, nil
}

// transports adds TCP and QUIC to a swarm.
func (p *parts) transports(w *wired, id peer.ID) error {
	m := muxes()
	security, err := tls.New(tls.ID, p.key, m)
	if err != nil {
		return err
	}
	w.upgrader, err = upgrader.New([]sec.SecureTransport{bulk{security}}, m, nil, p.resources, p.gate, upgrader.WithAcceptTimeout(p.cfg.times.hands))
	if err != nil {
		return err
	}
	tcp, err := p.newTCP(w.upgrader)
	if err != nil {
		return err
	}
	if w.quic, err = p.newQUIC(); err != nil {
		return err
	}
	q, err := quictransport.NewTransport(p.key, w.quic, nil, p.gate, p.resources)
	if err != nil {
		return err
	}
	return errors.Join(w.Swarm.AddTransport(tcp), w.Swarm.AddTransport(q))
}

// listen opens the swarm's ends of the given sockets.
func (p *parts) listen(w *wired) error {
	for _, l := range p.tcp {
		if at, ok := ofListener(l.Addr()); !ok {
			return fmt.Errorf("overlay: %s is no TCP address", l.Addr())
		} else if err := w.Swarm.Listen(at); err != nil {
			return fmt.Errorf("overlay: listening on %s: %w", l.Addr(), err)
		}
	}
	for _, u := range p.udp {
		at, _ := ofListener(u.Conn.LocalAddr())
		if err := w.Swarm.Listen(at); err != nil {
			return fmt.Errorf("overlay: listening on %s: %w", u.Conn.LocalAddr(), err)
		}
	}
	return nil
}

// rank orders the ways to a peer. TCP carries more with less work, and far more where packets
// are lost, so it goes first; but a node behind a NAT asks for QUIC on public addresses first,
// as only QUIC leaves from the port that others can reach us at, and shows us that address.
// Relays go last, and of them those that are not connected: libp2p tries one after the other,
// and one that is gone would hold up the rest. QUIC has shaken hands after one round trip, TCP
// after four: over a long line it must be given the time for that. Where TCP is refused, QUIC
// follows at once.
func (p *parts) rank(addrs []ma.Multiaddr) []network.AddrDelay {
	const next, afterTCP, relay = 200 * time.Millisecond, time.Second, 500 * time.Millisecond
	inside := p.cfg.Punch && len(p.udp) > 0 && !p.isPublic()
	var out []network.AddrDelay
	direct := false
	for _, m := range addrs {
		w, _ := parse(m)
		direct = direct || !w.relay
	}
	for _, m := range addrs {
		w, ok := parse(m)
		if !ok {
			continue
		}
		var d time.Duration
		switch quicFirst := inside && isPublicAddr(w.at); {
		case quicFirst && !w.udp:
			d = next
		case !quicFirst && w.udp:
			d = afterTCP
		}
		if w.relay && direct {
			d += relay
		}
		if n, ok := p.gate.(*hall); ok && w.relay && len(n.ConnsToPeer(peerID(w.via))) == 0 {
			d += relay
		}
		out = append(out, network.AddrDelay{Addr: m, Delay: d})
	}
	return out
}

// isPublicAddr tells that an address lies in the Internet.
func isPublicAddr(at netip.AddrPort) bool {
	return usable(at) && manet.IsPublicAddr(multiaddr(at, true))
}

// isPublic tells that one of the sockets has an address of the Internet.
func (p *parts) isPublic() bool {
	if p.cfg.Public {
		return true
	}
	addrs, _ := net.InterfaceAddrs() // none: then nothing is public
	for _, u := range p.udp {
		at := u.Conn.LocalAddr().(*net.UDPAddr).AddrPort()
		if isPublicAddr(at) {
			return true
		}
		for _, a := range addrs {
			if prefix, err := netip.ParsePrefix(a.String()); err == nil && at.Addr().IsUnspecified() && isPublicAddr(netip.AddrPortFrom(prefix.Addr(), at.Port())) {
				return true
			}
		}
	}
	return false
}

// prober makes the service that tests addresses. Its own dials leave from another key and
// another port, so that a NAT does not let the answer in for another reason.
func (h *Host) prober(p parts) (*autonatv2.AutoNAT, error) {
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		return nil, err
	}
	p.key, p.gate, p.own, p.tcp, p.udp = key, proberGate{h}, true, nil, nil
	if h.dialler, err = wire(p); err != nil {
		return nil, err
	}
	return autonatv2.New(blankhost.NewBlankHost(h.dialler.Swarm))
}

// newQUIC makes what QUIC's sockets are had from.
func (p *parts) newQUIC() (*quicreuse.ConnManager, error) {
	seed, err := p.key.Raw()
	if err != nil {
		return nil, err
	}
	reset, token := quicKeys(seed)
	m, err := quicreuse.NewConnManager(quic.StatelessResetKey(reset), quic.TokenGeneratorKey(token),
		quicreuse.OverrideListenUDP(p.socket),
		quicreuse.OverrideSourceIPSelector(func() (quicreuse.SourceIPSelector, error) { return source{p}, nil }),
		quicreuse.ConnContext(func(ctx context.Context, info *quic.ClientInfo) (context.Context, error) {
			at, err := quicreuse.ToQuicMultiaddr(info.RemoteAddr, quic.Version1)
			if err != nil {
				at = nil // the resource manager decides
			}
			scope, err := p.resources.OpenConnection(network.DirInbound, false, at)
			if err != nil {
				return ctx, err
			}
			ctx = network.WithConnManagementScope(ctx, scope)
			context.AfterFunc(ctx, scope.Done)
			return ctx, nil
		}),
		quicreuse.VerifySourceAddress(p.resources.VerifySourceAddress))
	if err == nil {
		// The dialler's wish holds for both ends. It keeps the ways through NATs open, too.
		m.ClientConfig().KeepAlivePeriod, m.ClientConfig().MaxIdleTimeout = quicAlive, quicDead
	}
	return m, err
}
