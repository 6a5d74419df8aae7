package oneport

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"syscall"
)

// Ports are one number, for TCP and for UDP, on every address that a node listens at.
type Ports struct {
	TCP []*TCP
	UDP []*UDP
}

// Open listens on every address at one number; port 0 takes the number that the first
// address was given. IPv6 is left out where the machine has none. krpc is as SplitUDP has
// it. A number that is taken is the system's error, wrapped.
func Open(addrs []netip.Addr, port int, krpc func(b []byte, from netip.AddrPort)) (*Ports, error) {
	p := new(Ports)
	for _, a := range addrs {
		err := p.add(a, &port, krpc)
		if err != nil && a.Is6() && len(p.TCP) > 0 && !errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err != nil {
			p.Close()
			return nil, fmt.Errorf("listening on %s: %w", netip.AddrPortFrom(a, uint16(port)), err)
		}
	}
	return p, nil
}

// add listens at one address for both, or for none.
func (p *Ports) add(a netip.Addr, port *int, krpc func(b []byte, from netip.AddrPort)) error {
	family := "4"
	if a.Is6() {
		family = "6"
	}
	l, err := net.Listen("tcp"+family, net.JoinHostPort(a.String(), strconv.Itoa(*port)))
	if err != nil {
		return err
	}
	tcp := l.(*net.TCPListener)
	number := tcp.Addr().(*net.TCPAddr).Port
	u, err := net.ListenPacket("udp"+family, net.JoinHostPort(a.String(), strconv.Itoa(number)))
	if err != nil {
		tcp.Close()
		return err
	}
	*port = number
	p.TCP = append(p.TCP, SplitTCP(tcp))
	p.UDP = append(p.UDP, SplitUDP(u.(*net.UDPConn), krpc))
	return nil
}

// Number is the number.
func (p *Ports) Number() uint16 { return uint16(p.TCP[0].socket.Addr().(*net.TCPAddr).Port) }

// BitTorrent are the listeners of BitTorrent's connections.
func (p *Ports) BitTorrent() (list []net.Listener) {
	for _, t := range p.TCP {
		list = append(list, t.BitTorrent())
	}
	return list
}

// Overlay are the listeners of the overlay's connections.
func (p *Ports) Overlay() (list []net.Listener) {
	for _, t := range p.TCP {
		list = append(list, t.Overlay())
	}
	return list
}

// Send sends a datagram from the port, by the socket of the address's family.
func (p *Ports) Send(to netip.AddrPort, b []byte) error {
	for _, u := range p.UDP {
		if local := u.socket.LocalAddr().(*net.UDPAddr).AddrPort().Addr(); local.Is4() == to.Addr().Is4() {
			_, err := u.socket.WriteToUDPAddrPort(b, to)
			return err
		}
	}
	return fmt.Errorf("sending to %s: this node has no address of that kind", to)
}

// Close closes all. Connections that were accepted live on.
func (p *Ports) Close() {
	for _, t := range p.TCP {
		t.Close()
	}
	for _, u := range p.UDP {
		u.socket.Close()
	}
}
