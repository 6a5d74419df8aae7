package overlay

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"net"
	"net/netip"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/transport"
	tcptransport "github.com/libp2p/go-libp2p/p2p/transport/tcp"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
	"golang.org/x/net/ipv4"
)

// quicKeys derives the secrets of QUIC's resets and tokens from the node's key.
func quicKeys(seed []byte) (reset, token [32]byte) {
	for purpose, to := range map[string]*[32]byte{"quic reset": &reset, "quic token": &token} {
		b, err := hkdf.Key(sha256.New, seed, []byte("shoal"), purpose, len(to))
		if err != nil {
			panic("overlay: hkdf of 32 bytes: " + err.Error()) // only possible for over 8,160 bytes
		}
		copy(to[:], b)
	}
	return reset, token
}

// onPort is libp2p's TCP on listeners that were opened elsewhere.
type onPort struct {
	*tcptransport.TcpTransport
	upgrader transport.Upgrader
	sockets  []net.Listener
}

// newTCP makes TCP dial from where the configuration says. Connections in use are not
// counted apart by the kernel's information on them: nobody asks for it.
func (p *parts) newTCP(up transport.Upgrader) (transport.Transport, error) {
	dialler := tcptransport.WithDialerForAddr(func(ma.Multiaddr) (tcptransport.ContextDialer, error) { return dialler{p.cfg}, nil })
	t, err := tcptransport.NewTCPTransport(up, p.resources, nil, dialler)
	if err != nil {
		return nil, err
	}
	return &onPort{TcpTransport: t, upgrader: up, sockets: p.tcp}, nil
}

// Listen finds the listener of an address.
func (t *onPort) Listen(at ma.Multiaddr) (transport.Listener, error) {
	for _, l := range t.sockets {
		if m, ok := ofListener(l.Addr()); !ok || !m.Equal(at) {
			continue
		}
		wrapped, err := manet.WrapNetListener(l)
		if err != nil {
			return nil, err
		}
		return t.upgrader.UpgradeGatedMaListener(t, abrupt{t.upgrader.GateMaListener(wrapped)}), nil
	}
	return nil, errNoSocket
}

// abrupt takes connections that end without waiting for the other side, as the ones that
// libp2p dials do: what must arrive is acknowledged in its own protocol.
type abrupt struct{ transport.GatedMaListener }

// Accept prepares a connection.
func (a abrupt) Accept() (manet.Conn, network.ConnManagementScope, error) {
	c, scope, err := a.GatedMaListener.Accept()
	if l, ok := c.(interface{ SetLinger(int) error }); ok && err == nil {
		_ = l.SetLinger(0) // the connection works without
	}
	return c, scope, err
}

// errNoSocket says that something asked for a socket that was not given.
var errNoSocket = errors.New("overlay: no socket for that address")

// dialler dials by TCP from the right address, once more asking whether it may.
type dialler struct{ cfg *Config }

// DialContext dials an address, never a name.
func (d dialler) DialContext(ctx context.Context, _, address string) (net.Conn, error) {
	to, err := netip.ParseAddrPort(address)
	if err != nil {
		return nil, err
	}
	if err := d.cfg.AllowDial(to); err != nil {
		return nil, err
	}
	var nd net.Dialer
	if d.cfg.DialFrom != nil {
		from, err := d.cfg.DialFrom(to.Addr())
		if err != nil {
			return nil, err
		}
		if from.IsValid() {
			nd.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
		}
	}
	return nd.DialContext(ctx, "tcp", to.String())
}

// socket gives QUIC the shared socket of an address; for dialling with none of that family
// it is an error.
func (p *parts) socket(family string, at *net.UDPAddr) (net.PacketConn, error) {
	if p.own {
		from := netip.Addr{}
		if p.cfg.DialFrom != nil {
			var err error
			if from, err = p.cfg.DialFrom(anyOf(family)); err != nil {
				return nil, err
			}
		}
		if from.IsValid() {
			at = net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
		}
		return net.ListenUDP(family, at)
	}
	for _, u := range p.udp {
		own := u.Conn.LocalAddr().(*net.UDPAddr)
		if own.IP.Equal(at.IP) && own.Port == at.Port {
			return newShared(u), nil
		}
	}
	return nil, errNoSocket
}

func anyOf(family string) netip.Addr {
	if family == "udp6" {
		return netip.IPv6Unspecified()
	}
	return netip.IPv4Unspecified()
}

// source tells QUIC from which of its sockets to dial: the one of that family.
type source struct{ p *parts }

// PreferredSourceIPForDestination is the address of the socket to dial from.
func (s source) PreferredSourceIPForDestination(to *net.UDPAddr) (net.IP, error) {
	var second net.IP
	for _, u := range s.p.udp {
		own := u.Conn.LocalAddr().(*net.UDPAddr).IP
		if (own.To4() == nil) != (to.IP.To4() == nil) || own.IsUnspecified() {
			continue
		}
		if own.IsLoopback() == to.IP.IsLoopback() {
			return own, nil
		}
		second = own
	}
	if second == nil {
		return nil, errNoSocket
	}
	return second, nil
}

// shared is a socket that QUIC reads for all who use it.
type shared struct {
	*net.UDPConn
	sort  func([]byte, netip.AddrPort) bool
	batch *ipv4.PacketConn // reads both families
}

// newShared wraps a socket.
func newShared(u Datagrams) *shared {
	return &shared{UDPConn: u.Conn, sort: u.Sort, batch: ipv4.NewPacketConn(u.Conn)}
}

// Close leaves the socket to its owner. Whoever reads is woken by a deadline.
func (s *shared) Close() error { return nil }

// ReadBatch reads until there is something for QUIC, and leaves out what is for others. A
// message keeps its own buffers, as quic-go counts on it: what follows a gap is copied.
func (s *shared) ReadBatch(ms []ipv4.Message, flags int) (int, error) {
	for {
		n, err := s.batch.ReadBatch(ms, flags)
		if err != nil || s.sort == nil {
			return n, err
		}
		kept := 0
		for i := range ms[:n] {
			m := &ms[i]
			from, _ := m.Addr.(*net.UDPAddr)
			if from == nil || s.sort(m.Buffers[0][:m.N], from.AddrPort()) {
				continue
			}
			if to := &ms[kept]; to != m {
				copy(to.Buffers[0][:cap(to.Buffers[0])], m.Buffers[0][:m.N])
				copy(to.OOB[:cap(to.OOB)], m.OOB[:m.NN])
				to.N, to.NN, to.Flags, to.Addr = m.N, m.NN, m.Flags, m.Addr
			}
			kept++
		}
		if kept > 0 {
			return kept, nil
		}
	}
}

// ReadFrom is ReadBatch for systems where QUIC reads packet by packet.
func (s *shared) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, from, err := s.UDPConn.ReadFromUDP(b)
		if err != nil || s.sort == nil || !s.sort(b[:n], from.AddrPort()) {
			return n, from, err
		}
	}
}

// ReadMsgUDP is ReadBatch for systems where QUIC reads packet by packet, with marks.
func (s *shared) ReadMsgUDP(b, oob []byte) (n, oobn, flags int, from *net.UDPAddr, err error) {
	for {
		n, oobn, flags, from, err = s.UDPConn.ReadMsgUDP(b, oob)
		if err != nil || s.sort == nil || !s.sort(b[:n], from.AddrPort()) {
			return n, oobn, flags, from, err
		}
	}
}
