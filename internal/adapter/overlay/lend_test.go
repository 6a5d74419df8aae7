package overlay

import (
	"io"
	"testing"
)

// TestGuestsLeaveTheBudget: however many guests come through a relay one after the other,
// members find most of its budget unused.
func TestGuestsLeaveTheBudget(t *testing.T) {
	const perDay, door = 1 << 20, "/shoal/test/door"
	a, b, r := trio(t, func(c *Config) { c.RelayBytes, c.Guests = perDay, 1 })
	way := b.throughRelay(r)
	before, _ := r.RelayUsed() // by asking for a place
	b.echo()
	b.HandleAnyone(door, func(s *Stream) { io.Copy(io.Discard, s) })
	for range 8 {
		g := start(t, nil)
		g.set(b, true)
		keepApart(g, b, true)
		g.Learn(b.ID(), way)
		s, err := g.Open(ctx(t), b.ID(), door)
		if err != nil {
			continue // nothing is left for guests
		}
		s.Write(make([]byte, guestBytes))
		s.Read(make([]byte, 1)) // the end
		g.Close()
	}
	if used, _ := r.RelayUsed(); used == before || used-before > perDay/guestShare {
		t.Errorf("guests used %d of %d bytes", used-before, perDay)
	}
	if err := a.Connect(ctx(t), b.ID(), way); err != nil {
		t.Fatal(err)
	}
	say(t, a.open(b), "as a member")
}
