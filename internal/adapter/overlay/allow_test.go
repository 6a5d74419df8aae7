package overlay

import (
	"errors"
	"net/netip"
	"testing"
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
