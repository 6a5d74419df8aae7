package oneport

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"
)

// maxQUICPeers bounds the table of Claim; connections are limited far below.
const maxQUICPeers = 4096

// maxDatagram is the most that UDP carries.
const maxDatagram = 1 << 16

// errorPause keeps an error that stays from spinning Run.
const errorPause = 10 * time.Millisecond

// UDP tells the datagrams of one socket apart. QUIC must read the socket itself, as it
// wants the packets' marks and many of them in one call: it shows what it read to Sort.
// Where there is no QUIC, Run reads.
type UDP struct {
	socket *net.UDPConn
	krpc   func(b []byte, from netip.AddrPort)

	mu   sync.RWMutex
	quic map[netip.AddrPort]int // connections to that address
}

// SplitUDP begins with no QUIC peers. krpc takes the datagrams of the DHT, in the goroutine
// that reads: it must not wait, and b is its own only until it returns.
func SplitUDP(socket *net.UDPConn, krpc func(b []byte, from netip.AddrPort)) *UDP {
	return &UDP{socket: socket, krpc: krpc, quic: make(map[netip.AddrPort]int)}
}

// Socket is the socket, for whoever reads and writes it as QUIC.
func (u *UDP) Socket() *net.UDPConn { return u.socket }

// Sort takes a datagram that is not QUIC's; false leaves it to the caller.
func (u *UDP) Sort(b []byte, from netip.AddrPort) bool {
	if len(b) == 0 || b[0] != 'd' {
		return false
	}
	from = netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
	u.mu.RLock()
	peer := u.quic[from] > 0
	u.mu.RUnlock()
	if ByDatagram(b, peer) != KRPC {
		return false
	}
	u.krpc(b, from)
	return true
}

// Claim says that a QUIC connection to that address stands, or stands no more.
func (u *UDP) Claim(peer netip.AddrPort, stands bool) {
	peer = netip.AddrPortFrom(peer.Addr().Unmap(), peer.Port())
	u.mu.Lock()
	defer u.mu.Unlock()
	n, known := u.quic[peer]
	switch {
	case stands && (known || len(u.quic) < maxQUICPeers):
		u.quic[peer] = n + 1
	case !stands && n > 1:
		u.quic[peer] = n - 1
	case !stands:
		delete(u.quic, peer)
	}
}

// Run reads the socket until it is closed, and drops what is QUIC's. It is for a node that
// has no overlay: two readers would take each other's datagrams.
func (u *UDP) Run() {
	b := make([]byte, maxDatagram)
	for {
		n, from, err := u.socket.ReadFromUDPAddrPort(b)
		switch {
		case err == nil:
			u.Sort(b[:n], from)
		case errors.Is(err, net.ErrClosed):
			return
		default:
			<-time.After(errorPause)
		}
	}
}
