package lan

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// groups are the multicast groups of BEP 14 and of RFC 6762 §3.
var groups = [protocols][families]netip.AddrPort{
	lsd:  {v4: netip.MustParseAddrPort("239.192.152.143:6771"), v6: netip.MustParseAddrPort("[ff15::efc0:988f]:6771")},
	mdns: {v4: netip.MustParseAddrPort("224.0.0.251:5353"), v6: netip.MustParseAddrPort("[ff02::fb]:5353")},
}

// hops says how far packets go. BEP 14 speaks of networks larger than a link; here only
// a subnet's own are heard, so announces stay on the link. Multicast DNS wants 255 (RFC
// 6762 §11), and its groups do not leave the link.
var hops = [protocols]int{lsd: 1, mdns: 255}

// readBuffer holds the answers to a newcomer in a crowd until they are read: about a
// hundred, so that after a flood the first honest packet waits some seconds at most.
const readBuffer = 64 << 10

// errElsewhere says that a packet did not come to the group.
var errElsewhere = errors.New("lan: not to the group")

// socket is one group's. It is shared with the other programs of the machine, so it also
// gets what they have asked for; read sorts that out.
type socket struct {
	channel
	conn   net.PacketConn
	group  *net.UDPAddr
	in4    *ipv4.PacketConn // one of the two
	in6    *ipv6.PacketConn
	joined map[int]bool
}

// openSocket opens the socket of a channel. No group is joined by that.
func openSocket(c channel) (*socket, error) {
	group := groups[c.protocol][c.family]
	network := [families]string{v4: "udp4", v6: "udp6"}[c.family]
	// For a group's address Go binds the wildcard address and lets others bind it too.
	conn, err := net.ListenPacket(network, group.String())
	if err != nil {
		return nil, fmt.Errorf("lan: %w", err)
	}
	s := &socket{channel: c, conn: conn, group: net.UDPAddrFromAddrPort(group), joined: map[int]bool{}}
	if u, ok := conn.(*net.UDPConn); ok {
		_ = u.SetReadBuffer(readBuffer) // the system's own size does too
	}
	// Others on this machine are to hear us. Control messages do not exist everywhere:
	// the sender's subnet tells the link then.
	if c.family == v4 {
		s.in4 = ipv4.NewPacketConn(conn)
		err = errors.Join(s.in4.SetMulticastTTL(hops[c.protocol]), s.in4.SetMulticastLoopback(true))
		_ = s.in4.SetControlMessage(ipv4.FlagDst|ipv4.FlagInterface, true)
	} else {
		s.in6 = ipv6.NewPacketConn(conn)
		err = errors.Join(s.in6.SetMulticastHopLimit(hops[c.protocol]), s.in6.SetMulticastLoopback(true))
		_ = s.in6.SetControlMessage(ipv6.FlagDst|ipv6.FlagInterface, true)
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("lan: %s: %w", group, err)
	}
	return s, nil
}

// join joins the group on a link, once.
func (s *socket) join(index int) error {
	if s.joined[index] {
		return nil
	}
	var err error
	if s.family == v4 {
		err = s.in4.JoinGroup(&net.Interface{Index: index}, s.group)
	} else {
		err = s.in6.JoinGroup(&net.Interface{Index: index}, s.group)
	}
	if err != nil {
		return fmt.Errorf("lan: %s on interface %d: %w", s.group, index, err)
	}
	s.joined[index] = true
	return nil
}

// leave leaves it, also where the interface is gone.
func (s *socket) leave(index int) {
	if !s.joined[index] {
		return
	}
	delete(s.joined, index)
	if s.family == v4 {
		_ = s.in4.LeaveGroup(&net.Interface{Index: index}, s.group)
	} else {
		_ = s.in6.LeaveGroup(&net.Interface{Index: index}, s.group)
	}
}

// read waits for the next packet to the group. One that doesn't fit in buf is longer
// than any that is taken, and is malformed when cut.
func (s *socket) read(buf []byte) (packet, error) {
	p := packet{channel: s.channel}
	var n int
	var from net.Addr
	var to net.IP
	var err error
	if s.family == v4 {
		var c *ipv4.ControlMessage
		if n, c, from, err = s.in4.ReadFrom(buf); c != nil {
			p.link, to = c.IfIndex, c.Dst
		}
	} else {
		var c *ipv6.ControlMessage
		if n, c, from, err = s.in6.ReadFrom(buf); c != nil {
			p.link, to = c.IfIndex, c.Dst
		}
	}
	if err != nil {
		return p, err
	}
	u, ok := from.(*net.UDPAddr)
	if !ok || to != nil && !to.Equal(s.group.IP) {
		return p, errElsewhere
	}
	// Who asks from another port wants an answer of its own (RFC 6762 §6.7): nobody
	// gets one here.
	if s.protocol == mdns && u.Port != s.group.Port {
		return p, errElsewhere
	}
	p.addr = u.AddrPort().Addr().Unmap()
	p.bytes = bytes.Clone(buf[:n])
	return p, nil
}

// write sends a packet to the group, on its link and from its address.
func (s *socket) write(p packet) error {
	link, src := &net.Interface{Index: p.link}, net.IP(p.addr.AsSlice())
	var err error
	if s.family == v4 {
		if err = s.in4.SetMulticastInterface(link); err == nil {
			_, err = s.in4.WriteTo(p.bytes, &ipv4.ControlMessage{IfIndex: p.link, Src: src}, s.group)
		}
	} else {
		if err = s.in6.SetMulticastInterface(link); err == nil {
			_, err = s.in6.WriteTo(p.bytes, &ipv6.ControlMessage{IfIndex: p.link, Src: src}, s.group)
		}
	}
	return err
}
