package overlay

import (
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

// coming is a connection that the gate has let through and libp2p has not taken in yet.
type coming struct {
	network.Conn
	of     peer.ID
	closed bool
}

func (c *coming) RemotePeer() peer.ID          { return c.of }
func (c *coming) GetStreams() []network.Stream { return nil }
func (c *coming) IsClosed() bool               { return c.closed }
func (c *coming) Close() error                 { c.closed = true; return nil }

// TestPromoteWhileComing: a guest that becomes known while its connection is being made is
// promoted when that stands: closed before, it would end the program.
func TestPromoteWhileComing(t *testing.T) {
	a, b := start(t, nil), start(t, nil)
	c := &coming{of: peerID(a.ID())}
	if !b.hall.take(c) {
		t.Fatal("no place for a guest")
	}
	b.set(a, true)
	if busy := b.Promote(); busy != 1 || c.closed {
		t.Errorf("%d are busy; closed: %v", busy, c.closed)
	}
}

// lingering is a connection of a guest that takes its time to close.
type lingering struct {
	network.Conn
	closing int
}

func (l *lingering) Close() error   { l.closing++; return nil }
func (l *lingering) IsClosed() bool { return false }
func (l *lingering) Stat() network.ConnStats {
	return network.ConnStats{Stats: network.Stats{Direction: network.DirInbound}}
}
func (l *lingering) GetStreams() []network.Stream { return nil }

// TestGuestsLeaveOnce: who makes room for another makes room for one, though it is slow to go.
func TestGuestsLeaveOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newHall(nil)
		var all []*lingering
		take := func() bool {
			c := new(lingering)
			all = append(all, c)
			ok := n.take(c)
			synctest.Wait()
			<-time.After(time.Millisecond)
			return ok
		}
		for range MaxGuests {
			take()
		}
		<-time.After(guestIdle)
		for i := range MaxGuests {
			if !take() {
				t.Fatalf("%d took no place", i)
			}
		}
		for i, c := range all {
			if (c.closing == 1) != (i < MaxGuests) || c.closing > 1 {
				t.Errorf("guest %d was asked to leave %d times", i, c.closing)
			}
		}
		if take() {
			t.Error("one too many, and nobody there had had its time")
		}
	})
}

// TestGuestsMakeRoom: guests who say nothing keep nobody out for long, and those who keep
// talking not for ever.
func TestGuestsMakeRoom(t *testing.T) {
	const door = "/shoal/test/door"
	for what, c := range map[string]struct {
		talk bool
		age  time.Duration
		want bool
	}{
		"silent":      {false, guestIdle, true},
		"just come":   {false, -guestTime, false}, // however slow the machine
		"talking":     {true, guestIdle, false},
		"talking on":  {true, guestBusy, true},
		"long silent": {false, guestTime, true},
	} {
		b := start(t, nil)
		b.HandleAnyone(door, func(s *Stream) { io.Copy(s, s) })
		guest := func() *node {
			a := start(t, nil)
			a.set(b, true)
			a.Learn(b.ID(), b.addr())
			return a
		}
		for range MaxGuests {
			a := guest()
			a.connect(b)
			if c.talk {
				s, err := a.Open(ctx(t), b.ID(), door)
				if err != nil {
					t.Fatal(err)
				}
				say(t, s, "hello")
			}
		}
		within := ctx(t) // they stand in the hall a moment after they think so
		for taken := 0; taken < MaxGuests; {
			select {
			case <-within.Done():
				t.Fatalf("%d guests came in", taken)
			case <-time.After(time.Millisecond):
			}
			b.hall.mu.Lock()
			taken = len(b.hall.guests)
			b.hall.mu.Unlock()
		}
		b.hall.mu.Lock()
		for _, g := range b.hall.guests {
			g.since = time.Now().Add(-c.age)
		}
		b.hall.mu.Unlock()
		s, err := guest().Open(ctx(t), b.ID(), door)
		if (err == nil) != c.want {
			t.Errorf("%s guests: %v", what, err)
		}
		if err == nil {
			say(t, s, "let me in")
		}
	}
}
