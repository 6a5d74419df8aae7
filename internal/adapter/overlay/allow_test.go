package overlay

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"
)

// TestAllowDial: where nothing is dialled others are answered all the same.
func TestAllowDial(t *testing.T) {
	a := start(t, func(c *Config) { c.AllowDial = func(netip.AddrPort) error { return errors.New("not that one") } })
	b := start(t, nil)
	a.knows(b)
	if err := a.Connect(ctx(t), b.ID(), b.addr()); !errors.Is(err, ErrUnreachable) {
		t.Errorf("it was dialled: %v", err)
	}
	if err := b.Connect(ctx(t), a.ID(), a.addr()); err != nil {
		t.Error(err)
	}
}

// TestSlowHands: who begins to shake hands and does not go on is let go.
func TestSlowHands(t *testing.T) {
	b := start(t, func(c *Config) { c.times.hands = 200 * time.Millisecond })
	c, err := net.Dial("tcp", b.at.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "\x13/multistream/1.0.0\n")
	c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.Copy(io.Discard, c); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("it is waited for")
	}
}
