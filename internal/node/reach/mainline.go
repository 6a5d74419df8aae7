package reach

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"

	"shoal/internal/adapter/store/disk"
	"shoal/internal/core/kad"
	"shoal/internal/core/kad/krpc"
	"shoal/internal/core/swarm/candidates"
	"shoal/internal/node/dht"
)

// maxState bounds the file of the DHT's table.
const maxState = 1 << 20

// version is what the DHT's nodes are told of this program (BEP 5, v).
var version = [4]byte{'S', 'L', 0, 1}

// openDHT makes this node one of Mainline.
func (n *Network) openDHT() {
	cfg := n.cfg
	c := dht.Config{
		Kad: kad.Config{IPv4: true, IPv6: true, Version: version, Secure: cfg.Internet, Diversity: cfg.Internet, OneHost: cfg.Loopback,
			Allow: func(a netip.AddrPort) bool { return cfg.AllowStranger(a) == nil }},
		Send:  func(to netip.AddrPort, b []byte) { _ = cfg.Ports.Send(to, b) }, // lost, as any datagram may be
		Saved: n.savedState(), Save: n.saveState,
		Address: func(a netip.AddrPort) { n.seen.Store(&a) }, Bootstrap: cfg.Bootstrap,
	}
	if cfg.Internet {
		c.Resolve = n.Resolve // elsewhere only what is an address and within the scope counts
	}
	n.dht = dht.New(c)
	n.mainline = n.dht.Locator(dht.LocatorConfig{Name: "mainline", Source: candidates.FromDHT, Open: true, Port: cfg.Ports.Number})
	cfg.Heard.dht.Store(n.dht)
}

// Resolve looks a host:port up, as far as the scope allows.
func (n *Network) Resolve(ctx context.Context, hostport string) ([]netip.AddrPort, error) {
	host, port, err := net.SplitHostPort(hostport)
	if err != nil {
		return nil, err
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, err
	}
	addrs, err := n.cfg.Resolve(ctx, host)
	var list []netip.AddrPort
	for _, a := range addrs {
		list = append(list, netip.AddrPortFrom(a.Unmap(), uint16(number)))
	}
	return list, err
}

// savedState is the table of the last run; one that cannot be read is none.
func (n *Network) savedState() dht.State {
	info, err := os.Stat(n.cfg.StateFile)
	if err == nil && info.Size() <= maxState {
		var b []byte
		if b, err = os.ReadFile(n.cfg.StateFile); err == nil {
			var s dht.State
			if s, err = dht.ParseState(b); err == nil {
				return s
			}
		}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		n.cfg.Log.Info("the DHT's table of the last run cannot be used", "file", n.cfg.StateFile, "error", err)
	}
	return dht.State{}
}

func (n *Network) saveState(s dht.State) {
	if err := disk.WriteWhole(n.cfg.StateFile, s.Append(nil), 0o600); err != nil {
		n.cfg.Log.Warn("the DHT's table cannot be kept", "file", n.cfg.StateFile, "error", err)
	}
}

// external are addresses at which others may reach us: what the owner says, and what the
// DHT's nodes see.
func (n *Network) external() []netip.AddrPort {
	list := append([]netip.AddrPort(nil), n.cfg.External...)
	if a := n.seen.Load(); a != nil {
		list = append(list, *a)
	}
	return list
}

// PingDHT asks whether a node of the DHT is at an address, from a port of its own, and how
// long the answer takes. One that answers is taken into the table.
func (n *Network) PingDHT(ctx context.Context, to netip.AddrPort) (time.Duration, error) {
	local, err := n.cfg.DialFrom(to.Addr())
	if err != nil {
		return 0, err
	}
	var from *net.UDPAddr
	if local.IsValid() {
		from = net.UDPAddrFromAddrPort(netip.AddrPortFrom(local, 0))
	}
	conn, err := net.DialUDP("udp", from, net.UDPAddrFromAddrPort(to))
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	q := krpc.Message{Kind: krpc.Query, Method: krpc.Ping, TID: make([]byte, 4), ReadOnly: true}
	_, _ = rand.Read(q.TID) // never fails
	_, _ = rand.Read(q.ID[:])
	answer := make([]byte, 2048)
	for range pings {
		begun := time.Now()
		if _, err = conn.Write(q.Append(nil)); err != nil {
			return 0, err
		}
		if err = conn.SetReadDeadline(begun.Add(pingTime)); err != nil {
			return 0, err
		}
		for {
			size, rerr := conn.Read(answer)
			if rerr != nil {
				err = rerr
				break
			}
			if m, perr := krpc.Parse(answer[:size]); perr == nil && m.Kind == krpc.Response && bytes.Equal(m.TID, q.TID) {
				n.dht.Add(to)
				return time.Since(begun), nil
			}
		}
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
	}
	return 0, err
}

// A ping is sent so often, with such pauses.
const (
	pings    = 3
	pingTime = 2 * time.Second
)
