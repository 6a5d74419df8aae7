package oneport_test

import (
	"context"
	"io"
	"net"
	"net/netip"
	"testing"
	"time"

	"shoal/internal/adapter/overlay"
	"shoal/internal/core/group"
	"shoal/internal/core/ident"
	"shoal/internal/node/oneport"
)

const (
	patience = 20 * time.Second
	name     = "/shoal/test/echo"
	ping     = "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe" // BEP 5's example
)

// house is a node as it will be: all that it has stands behind one number.
type house struct {
	tcp  *oneport.TCP
	udp  *oneport.UDP
	host *overlay.Host
	at   netip.AddrPort
	krpc chan netip.AddrPort
}

func build(t *testing.T, seed byte, withTCP bool) *house {
	t.Helper()
	l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	u, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: l.Addr().(*net.TCPAddr).Port})
	if err != nil {
		t.Fatal(err)
	}
	h := &house{tcp: oneport.SplitTCP(l), krpc: make(chan netip.AddrPort, 100), at: l.Addr().(*net.TCPAddr).AddrPort()}
	h.udp = oneport.SplitUDP(u, func(_ []byte, from netip.AddrPort) {
		select {
		case h.krpc <- from:
		default:
		}
	})
	cfg := overlay.Config{
		Key: ident.NewKey([32]byte{seed}), TCP: []net.Listener{h.tcp.Overlay()},
		UDP:   []overlay.Datagrams{{Conn: u, Sort: h.udp.Sort, Claim: h.udp.Claim}},
		Known: func(ident.NodeID) bool { return true }, Allow: func(netip.AddrPort) error { return nil },
	}
	if !withTCP {
		h.tcp.Overlay().Close()
		cfg.TCP = nil
	}
	if h.host, err = overlay.New(context.Background(), cfg); err != nil {
		t.Fatal(err)
	}
	h.host.Handle(name, func(s *overlay.Stream) { defer s.Close(); io.Copy(s, s) })
	t.Cleanup(func() { h.host.Close(); h.tcp.Close(); u.Close() })
	return h
}

// TestOnePort runs the overlay over TCP and QUIC, BitTorrent and the DHT on one number, at
// the same time: a node whose QUIC connection stands asks its DHT questions from the very
// same address.
func TestOnePort(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, carrier := range []string{overlay.TCP, overlay.QUIC} {
		t.Run(carrier, func(t *testing.T) {
			a, b := build(t, 1, true), build(t, 2, carrier == overlay.TCP)
			if err := a.host.Connect(ctx, b.host.ID(), []group.Address{{At: b.at}}); err != nil {
				t.Fatal(err)
			}
			s, err := a.host.Open(ctx, b.host.ID(), name)
			if err != nil {
				t.Fatal(err)
			}
			if via, _ := s.Via(); via != carrier {
				t.Fatalf("over %s", via)
			}
			sent := make(chan error, 1)
			go func() {
				_, err := s.Write(make([]byte, 8<<20))
				s.CloseWrite()
				sent <- err
			}()
			// While that is under way: the DHT from the port itself, and BitTorrent.
			for range 50 {
				if _, err := a.udp.Socket().WriteToUDPAddrPort([]byte(ping), b.at); err != nil {
					t.Fatal(err)
				}
			}
			select {
			case from := <-b.krpc:
				if from != a.at {
					t.Errorf("a question came from %s, not %s", from, a.at)
				}
			case <-ctx.Done():
				t.Fatal("no question came")
			}
			torrent, err := net.Dial("tcp4", b.at.String())
			if err != nil {
				t.Fatal(err)
			}
			defer torrent.Close()
			io.WriteString(torrent, "\x13BitTorrent protocol")
			in, err := b.tcp.BitTorrent().Accept()
			if err != nil {
				t.Fatal(err)
			}
			in.Close()
			if n, err := io.Copy(io.Discard, s); n != 8<<20 || err != nil {
				t.Errorf("%d bytes, %v", n, err)
			}
			if err := <-sent; err != nil {
				t.Error(err)
			}
		})
	}
}
