package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"shoal/internal/adapter/store"
	"shoal/internal/adapter/tracker"
	"shoal/internal/core/swarm/candidates"
	"shoal/internal/door/api"
	"shoal/internal/node/engine"
	"shoal/internal/node/porch"
)

// Node is one running shoal. Its methods are what httpd needs of it: Shares, Control,
// Limits, Status and Events.
type Node struct {
	opts    Options
	log     *slog.Logger
	catalog *store.Catalog
	engine  *engine.Engine
	tracker *tracker.Client
	bus     api.Bus
	id      string
	started time.Time
	close   sync.Once
	closed  error
	names   *resolver

	limiting sync.Mutex // one change of limits at a time
}

// Start runs a node for an opened and locked home. A port that is taken is an error when
// Options.PortStrict says so, else any free one is used.
func Start(o Options) (*Node, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	n := &Node{opts: o, log: o.Log, started: time.Now()}
	key, err := o.Home.Key()
	if err != nil {
		return nil, err
	}
	n.id = key.ID().String()
	if n.catalog, err = openCatalog(o.Home); err != nil {
		return nil, err
	}
	if err := n.run(); err != nil {
		return nil, errors.Join(err, n.catalog.Close())
	}
	return n, nil
}

// run starts the services.
func (n *Node) run() error {
	up, down, err := n.opts.startLimits()
	if err != nil {
		return err
	}
	var listeners []net.Listener
	if !n.opts.Offline {
		if listeners, err = n.listen(); err != nil {
			return err
		}
	}
	net := n.opts.Config.Network
	scope := net.Scope
	n.names = &resolver{scope: scope}
	n.tracker = tracker.New(tracker.Config{Allow: scope.Allow, UserAgent: "shoal/" + api.Version, Dial: n.dial,
		Resolve: n.names.lookup, ListenPacket: n.listenPacket, MinInterval: n.minInterval()})
	e, err := engine.New(engine.Config{
		Home: n.opts.Home.Dir, Offline: n.opts.Offline, Catalog: n.catalog, Listeners: listeners, Tracker: n.tracker,
		Allow:         func(a netip.AddrPort, from candidates.Source) error { return scope.AllowFrom(a, learnt(from)) },
		AllowIncoming: func(a netip.AddrPort) error { return scope.AllowFrom(a, FromPerson) }, // who reaches us is near enough
		Dial:          porch.TCP(n.opts.Bind.DialFrom), OnePerIP: scope.PerIPLimits(), Resolve: n.names.lookup, Events: n.event, Version: "shoal " + api.Version,
		MaxConns: net.Connections, MaxShareConns: net.ConnectionsPerShare, MaxDialling: net.HalfOpen, Slots: net.UploadSlots,
		Reserve: n.opts.Config.Disk.Reserve.Bytes, OpenFiles: n.opts.Config.Disk.OpenFiles,
		Up: up, Down: down,
	})
	if err == nil {
		n.engine = e
		err = e.Start()
	}
	if err != nil {
		for _, l := range listeners {
			l.Close()
		}
		return errors.Join(Problem(err), n.tracker.Close())
	}
	return nil
}

// minInterval is the least time between announces that a tracker may ask for.
func (n *Node) minInterval() time.Duration {
	if n.opts.Config.Network.Scope == Loopback {
		return time.Second // tests and demos have trackers of their own
	}
	return 0
}

// learnt is what the scope thinks of a candidate's source.
func learnt(s candidates.Source) Learnt {
	switch s {
	case candidates.FromPerson:
		return FromPerson
	case candidates.FromPeer:
		return FromNear
	}
	return FromStranger
}

// listen opens the ports for other nodes: the same number on every address.
func (n *Node) listen() ([]net.Listener, error) {
	addrs, err := ListenAddrs(n.opts.Config.Network.Scope, n.opts.Bind)
	if err != nil {
		return nil, err
	}
	port := n.opts.Config.Network.Port
	list, err := listenAll(addrs, port)
	if port != 0 && !n.opts.PortStrict && api.KindOf(err) == api.PortTaken {
		n.log.Info("port is taken, using a free one", "port", port)
		port = 0
		list, err = listenAll(addrs, 0)
	}
	// A number that is free on one address may be taken on another.
	for try := 0; try < freePortTries && port == 0 && api.KindOf(err) == api.PortTaken; try++ {
		list, err = listenAll(addrs, 0)
	}
	return list, PortTaken(err, port, "--port")
}

// freePortTries bounds the search for a number that is free on all addresses.
const freePortTries = 20

// listenAll listens on every address at one port. IPv6 is left out where the machine has
// none; port 0 takes the number that the first address was given.
func listenAll(addrs []netip.Addr, port int) (list []net.Listener, err error) {
	defer func() {
		if err != nil {
			for _, l := range list {
				l.Close()
			}
			list = nil
		}
	}()
	for _, a := range addrs {
		network := "tcp4"
		if a.Is6() {
			network = "tcp6"
		}
		l, lerr := net.Listen(network, net.JoinHostPort(a.String(), strconv.Itoa(port)))
		if lerr != nil {
			if a.Is6() && len(list) > 0 && api.KindOf(lerr) != api.PortTaken {
				continue
			}
			return list, fmt.Errorf("listening on %s: %w", netip.AddrPortFrom(a, uint16(port)), lerr)
		}
		list = append(list, l)
		port = l.Addr().(*net.TCPAddr).Port
	}
	return list, nil
}

// dial makes a tracker's TCP connection from the bound address.
func (n *Node) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	d := net.Dialer{Timeout: 10 * time.Second}
	if a, err := netip.ParseAddrPort(addr); err == nil {
		local, err := n.opts.Bind.DialFrom(a.Addr())
		if err != nil {
			return nil, err
		}
		if local.IsValid() {
			d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(local, 0))
		}
	}
	return d.DialContext(ctx, network, addr)
}

// listenPacket opens the socket for UDP trackers on the bound address.
func (n *Node) listenPacket(network string) (net.PacketConn, error) {
	any4, any6 := netip.IPv4Unspecified(), netip.IPv6Unspecified()
	if n.opts.Config.Network.Scope == Loopback {
		any4, any6 = netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()
	}
	a := any4
	if network == "udp6" {
		a = any6
	}
	local, err := n.opts.Bind.DialFrom(a)
	if err != nil {
		return nil, err
	}
	if local.IsValid() {
		a = local
	}
	return net.ListenPacket(network, netip.AddrPortFrom(a, 0).String())
}

// Close stops the node: trackers are told, progress is kept, files are flushed. When ctx
// ends it goes without waiting any longer; nothing verified is lost by that.
func (n *Node) Close(ctx context.Context) error {
	n.close.Do(func() {
		n.closed = Problem(errors.Join(n.engine.Close(ctx), n.tracker.Close(), n.catalog.Close()))
		n.bus.Close()
	})
	return n.closed
}

// ID is the identity of the node.
func (n *Node) ID() string { return n.id }

// Listening are the addresses that peers can reach.
func (n *Node) Listening() []string {
	var list []string
	for _, a := range n.engine.Listening() {
		list = append(list, a.String())
	}
	return list
}

// Subscribe implements httpd.Events.
func (n *Node) Subscribe(queue int) *api.Subscription { return n.bus.Subscribe(queue) }

// resolver looks names up as far as the scope allows.
type resolver struct{ scope Scope }

func (r *resolver) lookup(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a}, nil
	}
	if host == "localhost" {
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}, nil
	}
	if !r.scope.Elsewhere() {
		return nil, api.Errorf(api.OutOfScope, host, "names are not looked up in scope %s", r.scope).
			Try("give the address itself, or widen --scope")
	}
	return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
}

// openCatalog opens shoal.db; a damaged one says how to mend it.
func openCatalog(h *Home) (*store.Catalog, error) {
	path := h.Path(CatalogFile)
	for _, dir := range []string{"torrents", "parts"} {
		if err := os.MkdirAll(h.Path(dir), 0o700); err != nil {
			return nil, err
		}
	}
	c, err := store.OpenCatalog(path)
	if err == nil {
		if err = c.Adopt(h.Path(TorrentsFolder)); err != nil {
			c.Close()
		}
	}
	switch {
	case errors.Is(err, store.ErrDamaged):
		return nil, api.Errorf(api.BadData, path, "the list of shares is damaged: %w", err).Try("run `shoal fsck --repair`; no file of a share is touched")
	case errors.Is(err, store.ErrNewer):
		return nil, api.Errorf(api.BadData, path, "%w", err).Try("use that version, or another --home")
	}
	return c, Problem(err)
}

// absDir is a folder as the API must name it.
func absDir(dir string) (string, error) {
	if !filepath.IsAbs(dir) {
		return "", api.Errorf(api.Invalid, dir, "the folder must be an absolute path")
	}
	return filepath.Clean(dir), nil
}
