package oneport

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"
)

const soon = 10 * time.Second

func split(t *testing.T) *TCP {
	t.Helper()
	l, err := net.ListenTCP("tcp4", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	p := SplitTCP(l)
	t.Cleanup(func() { p.Close() })
	return p
}

func dial(t *testing.T, p *TCP) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp4", p.Overlay().Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(soon))
	return c
}

// ended waits for the other side to close a connection that gets nothing.
func ended(t *testing.T, c net.Conn) {
	t.Helper()
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read %d, %v; want the end", n, err)
	}
}

// TestSplitTCP hands every connection to its side, whole, however its bytes are cut.
func TestSplitTCP(t *testing.T) {
	p := split(t)
	for _, c := range []struct {
		name, head string
		from       net.Listener
	}{
		{"overlay", "\x13/multistream/1.0.0\n", p.Overlay()},
		{"plain BitTorrent", "\x13BitTorrent protocol", p.BitTorrent()},
		{"encrypted BitTorrent", "\x93\x00\x01\x02", p.BitTorrent()},
		{"one byte", "\x00", p.BitTorrent()},
	} {
		for _, cut := range []int{0, 1, len(c.head) / 2, len(c.head)} {
			out := dial(t, p)
			text := c.head + "the rest"
			io.WriteString(out, text[:cut])
			io.WriteString(out, text[cut:])
			in, err := c.from.Accept()
			if err != nil {
				t.Fatal(err)
			}
			got := make([]byte, len(text))
			if _, err := io.ReadFull(in, got); err != nil || string(got) != text {
				t.Errorf("%s cut at %d: %q, %v", c.name, cut, got, err)
			}
			if in.RemoteAddr().String() != out.LocalAddr().String() {
				t.Errorf("%s: from %s", c.name, in.RemoteAddr())
			}
			in.Close()
		}
	}
}

// TestCopy takes io.Copy's short cut, and several buffers in one call back.
func TestCopy(t *testing.T) {
	p := split(t)
	out := dial(t, p)
	io.WriteString(out, "\x13BitTorrent protocol and more")
	out.(*net.TCPConn).CloseWrite()
	in, err := p.BitTorrent().Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	var got bytes.Buffer
	if n, err := io.Copy(&got, in); err != nil || n != int64(got.Len()) || got.String() != "\x13BitTorrent protocol and more" {
		t.Errorf("%d %q %v", n, got.String(), err)
	}
	bufs := net.Buffers{[]byte("one "), []byte("two")}
	if _, err := bufs.WriteTo(in); err != nil {
		t.Fatal(err)
	}
	in.Close()
	if b, err := io.ReadAll(out); err != nil || string(b) != "one two" {
		t.Errorf("%q %v", b, err)
	}
}

// TestWaitingIsBounded opens more silent connections than may wait: the first ones end,
// and one that speaks is served all the same.
func TestWaitingIsBounded(t *testing.T) {
	p := split(t)
	first := dial(t, p)
	for range MaxWaiting {
		dial(t, p)
	}
	ended(t, first)
	out := dial(t, p)
	io.WriteString(out, "\x13BitTorrent protocol")
	in, err := p.BitTorrent().Accept()
	if err != nil {
		t.Fatal(err)
	}
	in.Close()
}

// TestAcceptedIsKept: a connection that was accepted is no more among those that a flood drops.
func TestAcceptedIsKept(t *testing.T) {
	p := split(t)
	for range 50 {
		io.WriteString(dial(t, p), "\x13BitTorrent protocol")
		in, err := p.BitTorrent().Accept()
		if err != nil {
			t.Fatal(err)
		}
		p.mu.Lock()
		waiting := len(p.waiting)
		p.mu.Unlock()
		if in.Close(); waiting != 0 {
			t.Fatal("what was accepted waits")
		}
	}
}

// TestFloodHurtsItself: who opens connection after connection from one address takes no place
// of another's.
func TestFloodHurtsItself(t *testing.T) {
	p := split(t)
	far := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	out, err := far.Dial("tcp4", p.Overlay().Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	first := dial(t, p)
	for range 2 * MaxWaiting {
		dial(t, p)
	}
	ended(t, first)
	io.WriteString(out, "\x13BitTorrent protocol")
	defer time.AfterFunc(soon, func() { p.Close() }).Stop()
	in, err := p.BitTorrent().Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if in.RemoteAddr().String() != out.LocalAddr().String() {
		t.Errorf("from %s", in.RemoteAddr())
	}
}

// TestClosedSide drops what comes for a side that is closed; the other one works on, and
// when both are closed the port is free.
func TestClosedSide(t *testing.T) {
	p := split(t)
	addr := p.Overlay().Addr().String()
	p.Overlay().Close()
	if _, err := p.Overlay().Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept of a closed side: %v", err)
	}
	out := dial(t, p)
	out.Write(greeting)
	ended(t, out)
	out = dial(t, p)
	io.WriteString(out, "\x13BitTorrent protocol")
	in, err := p.BitTorrent().Accept()
	if err != nil {
		t.Fatal(err)
	}
	in.Close()
	silent := dial(t, p)
	p.Close()
	ended(t, silent)
	l, err := net.Listen("tcp4", addr)
	if err != nil {
		t.Fatalf("the port is not free: %v", err)
	}
	l.Close()
}

// TestSplitUDP takes KRPC out of what a socket gets, by sender.
func TestSplitUDP(t *testing.T) {
	sock, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	type datagram struct {
		text string
		from netip.AddrPort
	}
	got := make(chan datagram, 1)
	u := SplitUDP(sock, func(b []byte, from netip.AddrPort) { got <- datagram{string(b), from} })
	over := make(chan struct{})
	go func() { u.Run(); close(over) }()

	out, err := net.DialUDP("udp4", nil, sock.LocalAddr().(*net.UDPAddr))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	me := out.LocalAddr().(*net.UDPAddr).AddrPort()
	io.WriteString(out, "\x40 a packet of QUIC")
	io.WriteString(out, ping)
	if d := <-got; d.text != ping || d.from != me {
		t.Errorf("%q from %s", d.text, d.from)
	}
	u.Claim(me, true)
	u.Claim(netip.AddrPortFrom(netip.AddrFrom16(me.Addr().As16()), me.Port()), true) // the same in IPv6's clothes
	if u.Sort([]byte(sloppy), me) {
		t.Error("a datagram of a QUIC peer was taken that need not be KRPC")
	}
	u.Claim(me, false)
	if u.Sort([]byte(sloppy), me) {
		t.Error("one of two connections ended, and the peer is forgotten")
	}
	u.Claim(me, false)
	if !u.Sort([]byte(sloppy), me) || (<-got).text != sloppy {
		t.Error("a stranger's datagram was not taken")
	}
	sock.Close()
	<-over
}
