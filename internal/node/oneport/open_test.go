package oneport

import (
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"
)

var both = []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()}

// TestOpen has one number for TCP and UDP on all addresses, and gives every part of it back.
func TestOpen(t *testing.T) {
	got := make(chan netip.AddrPort, 1)
	p, err := Open(both, 0, func(_ []byte, from netip.AddrPort) { got <- from })
	if err != nil {
		t.Fatal(err)
	}
	number := p.Number()
	for _, l := range append(p.BitTorrent(), p.Overlay()...) {
		if n := l.Addr().(*net.TCPAddr).Port; n != int(number) {
			t.Errorf("TCP at %d, not %d", n, number)
		}
	}
	for _, u := range p.UDP {
		local := u.Socket().LocalAddr().(*net.UDPAddr).AddrPort()
		if local.Port() != number {
			t.Errorf("UDP at %d, not %d", local.Port(), number)
		}
		done := make(chan struct{})
		go func() { u.Run(); close(done) }()
		if err := p.Send(local, []byte(ping)); err != nil {
			t.Fatal(err)
		}
		if from := <-got; from != local {
			t.Errorf("a datagram came from %s, not %s", from, local)
		}
		u.Socket().Close()
		<-done
	}
	p.Close()
	again, err := Open(both, int(number), func([]byte, netip.AddrPort) {})
	if err != nil {
		t.Fatalf("the number is not free: %v", err)
	}
	again.Close()
}

// TestOpenTaken: a number that one of the two has not is given back whole.
func TestOpenTaken(t *testing.T) {
	var number int
	for free := false; !free; { // an old connection may still have the number in TCP
		u, err := net.ListenPacket("udp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer u.Close()
		number = u.LocalAddr().(*net.UDPAddr).Port
		if l, err := net.Listen("tcp4", u.LocalAddr().String()); err == nil {
			free = true
			l.Close()
		}
	}
	if _, err := Open(both, number, nil); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("opened what another has: %v", err)
	}
	l, err := net.Listen("tcp4", netip.AddrPortFrom(both[0], uint16(number)).String())
	if err != nil {
		t.Fatalf("TCP was not given back: %v", err)
	}
	l.Close()
}
