package node

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"shoal/internal/adapter/store"
	"shoal/internal/adapter/tracker"
	"shoal/internal/core/group"
	"shoal/internal/core/ident"
	"shoal/internal/core/kad"
	"shoal/internal/core/swarm/candidates"
	"shoal/internal/door/api"
	"shoal/internal/node/engine"
	"shoal/internal/node/groups"
	"shoal/internal/node/reach"
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
	key     ident.Key
	id      string
	net     *reach.Network  // nil while offline
	groups  *groups.Service // of net, or of an offline node
	known   atomic.Pointer[map[group.ID]api.GroupRef]
	typed   reach.Typed
	away    sync.Map      // NodeID → when a member's last connection of this run ended
	watched chan struct{} // closed when no event of groups comes any more
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
	n.key, n.id = key, key.ID().String()
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
	net := n.opts.Config.Network
	scope := net.Scope
	n.names = &resolver{scope: scope}
	n.tracker = tracker.New(tracker.Config{Allow: scope.Allow, UserAgent: "shoal/" + api.Version, Dial: n.dial,
		Resolve: n.names.lookup, ListenPacket: n.listenPacket, MinInterval: n.minInterval()})
	if err := n.openNetwork(); err != nil {
		return errors.Join(err, n.tracker.Close())
	}
	cfg := engine.Config{
		Home: n.opts.Home.Dir, Offline: n.opts.Offline, Catalog: n.catalog, Tracker: n.tracker,
		Allow:         scope.allowPeer,
		AllowIncoming: n.allowComer, // who reaches us is near enough
		OnePerIP:      scope.PerIPLimits(), Resolve: n.names.lookup, Events: n.event, Version: "shoal " + api.Version,
		MaxConns: net.Connections, MaxShareConns: net.ConnectionsPerShare, MaxDialling: net.HalfOpen, Slots: net.UploadSlots,
		Reserve: n.opts.Config.Disk.Reserve.Bytes, OpenFiles: n.opts.Config.Disk.OpenFiles,
		Up: up, Down: down,
	}
	n.carry(&cfg)
	e, err := engine.New(cfg)
	if err == nil {
		n.engine = e
		if err = e.Start(); err == nil {
			err = n.startNetwork()
		}
	}
	if err != nil {
		return errors.Join(Problem(err), n.closeNetwork(), n.tracker.Close())
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
	case candidates.FromPeer, candidates.FromLAN:
		return FromNear
	}
	return FromStranger
}

// allowPeer is AllowFrom for a candidate. What strangers say of others leads to no port below
// kad.LeastPort.
func (s Scope) allowPeer(a netip.AddrPort, from candidates.Source) error {
	if a.Port() < kad.LeastPort && (from == candidates.FromTracker || from == candidates.FromPEX || from == candidates.FromDHT) {
		return &api.Error{Kind: api.OutOfScope, Subject: a.String(), Reason: "a port below 1024 that only strangers name"}
	}
	return s.AllowFrom(a, learnt(from))
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
		n.closed = Problem(errors.Join(n.engine.Close(ctx), n.closeNetwork(), n.tracker.Close(), n.catalog.Close()))
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
