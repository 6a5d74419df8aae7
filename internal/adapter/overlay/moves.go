package overlay

import (
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
)

// ownEvery is how often the machine's addresses are looked at.
const ownEvery = 2 * time.Second

// watchOwn notices that the machine has other addresses than before. Nothing comes any more
// through connections that left from one which is gone, but TCP would try for minutes and
// QUIC for quicDead: they are ended.
func (h *Host) watchOwn() {
	defer h.over.Done()
	t := time.NewTicker(ownEvery)
	defer t.Stop()
	was := ownAddrs()
	for {
		select {
		case <-h.ctx.Done():
			return
		case <-t.C:
		}
		now := ownAddrs()
		if now == nil || slices.Equal(was, now) {
			continue
		}
		was = now
		h.closeStale(now)
		h.emit(Event{Kind: Moved})
		h.rouse()
	}
}

// ownAddrs are the machine's addresses, sorted; nil if they are not to be had.
func ownAddrs() []netip.Addr {
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	return own(addrs)
}

// own leaves out the link-local ones of IPv6: we dial from none of them, and they come and go
// with every container.
func own(addrs []net.Addr) []netip.Addr {
	own := []netip.Addr{}
	for _, a := range addrs {
		if p, err := netip.ParsePrefix(a.String()); err == nil && !linkLocal6(p.Addr()) {
			own = append(own, p.Addr().Unmap())
		}
	}
	slices.SortFunc(own, netip.Addr.Compare)
	return own
}

func linkLocal6(a netip.Addr) bool { return a.Is6() && a.IsLinkLocalUnicast() }

// closeStale ends the connections that left from an address which is not among these.
func (h *Host) closeStale(own []netip.Addr) {
	var gone []network.Conn
	h.mu.Lock()
	for c, local := range h.left {
		if stale(local, own) {
			gone = append(gone, c)
		}
	}
	h.mu.Unlock()
	closeAll(gone)
}

// stale tells that a connection's own address is none of the machine's.
func stale(local netip.Addr, own []netip.Addr) bool {
	return local.IsValid() && !local.IsUnspecified() && !local.IsLoopback() && !linkLocal6(local) && !slices.Contains(own, local.WithZone(""))
}

// leaves is the address that a direct connection leaves from. QUIC's sockets have none of
// their own: then it is what the machine would choose, which costs no packet.
func leaves(c network.Conn) netip.Addr {
	local, ok := parse(c.LocalMultiaddr())
	if ok && !local.at.Addr().IsUnspecified() {
		return local.at.Addr()
	}
	far, ok := parse(c.RemoteMultiaddr())
	if !ok {
		return netip.Addr{}
	}
	u, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(far.at))
	if err != nil {
		return netip.Addr{}
	}
	defer u.Close()
	return u.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap()
}
