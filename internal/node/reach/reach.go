// Package reach is how one node reaches others and is reached: it opens the one port and
// puts on it what shares it, the overlay to members of its groups (members), the Mainline
// DHT (dht), and BitTorrent, whose listeners the engine takes; it finds shares and members on
// the local network (nearby), and chooses the carrier of a session by the peer's address.
//
// What may be contacted is Config's to say: the scope is judged in package node.
package reach

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"shoal/internal/adapter/lan"
	"shoal/internal/adapter/overlay"
	"shoal/internal/core/ident"
	"shoal/internal/node/dht"
	"shoal/internal/node/locate"
	"shoal/internal/node/members"
	"shoal/internal/node/nearby"
	"shoal/internal/node/oneport"
	"shoal/internal/node/porch"
)

// Config is what a Network is made of.
type Config struct {
	Key   ident.Key
	Name  string         // what this node is called to members
	Dir   string         // folder of the groups
	Ports *oneport.Ports // taken over; made with Heard
	Heard *Heard         // what Ports was made with

	// Allow is an error if an address that reached us may not be answered; AllowNear judges
	// one that a member or the local network named, AllowStranger one that a stranger did.
	Allow, AllowNear, AllowStranger func(netip.AddrPort) error
	DialFrom                        func(peer netip.Addr) (netip.Addr, error) // local address to dial from; zero: any
	Internet                        bool                                      // nodes anywhere may be met: their NATs are worked through
	Loopback                        bool                                      // all addresses are this machine's
	MapPorts                        bool                                      // the router may be asked for the port
	External                        []netip.AddrPort                          // where the owner says that we are reached
	RelayBytes                      int64                                     // a day, for members; 0: none

	DHT       bool   // take part in Mainline
	StateFile string // where its table is kept
	Bootstrap []string
	Resolve   func(ctx context.Context, host string) ([]netip.Addr, error)

	LAN        bool // use multicast
	Interfaces func() ([]net.Interface, error)
	LinkAddrs  func(net.Interface) ([]netip.Prefix, error)

	Events func(members.Event)
	Log    *slog.Logger
}

// Heard takes the DHT's datagrams from the port before and after there is a DHT.
type Heard struct{ dht atomic.Pointer[dht.DHT] }

// Datagram is what oneport.Open wants.
func (h *Heard) Datagram(b []byte, from netip.AddrPort) {
	if d := h.dht.Load(); d != nil {
		d.Datagram(b, from)
	}
}

// Network is one node's ways to others. Its methods may be called from any goroutine.
type Network struct {
	cfg      Config
	members  *members.Service
	dht      *dht.DHT // nil: off
	mainline *dht.Locator
	near     *nearby.Network // nil: off
	tcp      func(context.Context, netip.AddrPort) (net.Conn, error)
	tags     tags
	seen     atomic.Pointer[netip.AddrPort] // where the DHT's nodes see us

	ctx    context.Context
	cancel context.CancelFunc
	over   sync.WaitGroup
	lanErr error
}

// Open puts a network together and reads the groups. It sends nothing before Start. On an
// error the ports are closed.
func Open(cfg Config) (*Network, error) {
	n := &Network{cfg: cfg, tcp: porch.TCP(cfg.DialFrom)}
	n.tags.self, n.tags.members = cfg.Key.ID(), n.people
	n.ctx, n.cancel = context.WithCancel(context.Background())
	o := overlay.Config{TCP: cfg.Ports.Overlay(), Allow: cfg.Allow, AllowDial: cfg.AllowNear, DialFrom: cfg.DialFrom, External: n.external,
		Probe: cfg.Internet, Punch: cfg.Internet, UsePlaces: cfg.Internet, Public: len(cfg.External) > 0, MapPorts: cfg.MapPorts,
		RelayBytes: cfg.RelayBytes, Log: cfg.Log}
	if cfg.RelayBytes > 0 {
		o.Guests = guests
	}
	for _, u := range cfg.Ports.UDP {
		o.UDP = append(o.UDP, overlay.Datagrams{Conn: u.Socket(), Sort: u.Sort, Claim: u.Claim})
	}
	var err error
	if n.members, err = members.Open(members.Config{Key: cfg.Key, Name: cfg.Name, Dir: cfg.Dir, Overlay: o, Events: n.event, Resolve: cfg.Resolve}); err != nil {
		cfg.Ports.Close()
		return nil, err
	}
	if cfg.DHT {
		n.openDHT()
	}
	if cfg.LAN {
		n.near, n.lanErr = nearby.New(lan.Config{Port: cfg.Ports.Number(), Interfaces: cfg.Interfaces, Addrs: cfg.LinkAddrs,
			Allow: cfg.AllowNear, Tags: n.tags.mine, Found: n.found})
	}
	return n, nil
}

// event passes on what happens in the overlay.
func (n *Network) event(e members.Event) {
	switch {
	case e.Kind == members.MembersChanged:
		n.tags.forget()
	case e.Kind == members.Reachable && n.dht != nil:
		n.dht.Online() // this node's addresses are others now
	}
	if n.cfg.Events != nil {
		n.cfg.Events(e)
	}
}

// guests is how many joiners at once may reach an inviter through us.
const guests = 4

// Start begins to listen and to look for others.
func (n *Network) Start() error {
	if err := n.members.Start(n.ctx); err != nil {
		return err
	}
	n.over.Add(1)
	go func() {
		defer n.over.Done()
		// QUIC reads the UDP sockets; where there is none the DHT has them to itself.
		if err := n.members.Ready(n.ctx); err != nil && !errors.Is(err, members.ErrClosed) && n.ctx.Err() == nil {
			n.cfg.Log.Warn("the overlay cannot be used", "error", err)
			n.readAlone()
		}
	}()
	if n.dht != nil {
		n.over.Add(1)
		go func() { defer n.over.Done(); n.dht.Run(n.ctx) }()
	}
	if n.near != nil {
		if n.lanErr = n.near.Start(n.ctx); n.lanErr != nil {
			n.cfg.Log.Info("nothing can be found on the local network", "error", n.lanErr)
		}
	}
	return nil
}

// readAlone has the DHT read the sockets until they are closed.
func (n *Network) readAlone() {
	for _, u := range n.cfg.Ports.UDP {
		n.over.Add(1)
		go func() { defer n.over.Done(); u.Run() }()
	}
}

// Close ends everything: what the engine still does with it fails.
func (n *Network) Close() {
	n.cancel()
	if n.near != nil && n.lanErr == nil {
		n.near.Close()
	}
	n.members.Close()
	n.cfg.Ports.Close()
	n.over.Wait()
}

// Listeners are where sessions arrive, for the engine to take over: plain BitTorrent's and
// those of members.
func (n *Network) Listeners() []net.Listener {
	return append(n.cfg.Ports.BitTorrent(), n.members.Listener())
}

// Dial opens a connection to a peer by the carrier that its address stands for.
func (n *Network) Dial(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	if ident.IsOverlay(to.Addr()) {
		return n.members.Dial(ctx, to)
	}
	return n.tcp(ctx, to)
}

// Locators are the ways to find candidates.
func (n *Network) Locators() []locate.Locator {
	list := n.members.Locators()
	if n.dht != nil {
		list = append(list, n.mainline)
	}
	if n.near != nil && n.lanErr == nil {
		list = append(list, n.near)
	}
	return list
}

// Members is the node among the members of its groups.
func (n *Network) Members() *members.Service { return n.members }

// DHT is the node's part in Mainline; nil if it has none.
func (n *Network) DHT() *dht.DHT { return n.dht }

// Port is the one number.
func (n *Network) Port() uint16 { return n.cfg.Ports.Number() }

// Near tells of the local network: how many interfaces are in use, and how often somebody
// was found; the error is why it is not used as far as it should be.
func (n *Network) Near() (links int, found int64, err error) {
	if n.near == nil || n.lanErr != nil {
		return 0, 0, n.lanErr
	}
	s := n.near.Stats()
	return s.Links, s.Found, s.Err
}
