package members

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"runtime"
	"slices"
	"testing"
	"time"

	"shoal/internal/adapter/overlay"
	"shoal/internal/core/group"
	"shoal/internal/core/ident"
	"shoal/internal/node/groups"
)

// A ticket joins two nodes: both see one code, the lists agree, and streams are opened both
// ways at once.
func TestTicket(t *testing.T) {
	a, b := start(t, 1, nil), start(t, 2, nil)
	began := time.Now()
	g := a.found("home")
	events, end := a.Groups().Watch()
	defer end()
	got := a.invites("home", b)
	if got.Group != g || got.Inviter != a.id() || got.InviterName != "node b" {
		t.Errorf("%+v", got)
	}
	for e := range events {
		if e.Kind == groups.MemberJoined {
			if e.Node != b.id() || e.Code != got.Code || len(e.Code) < 12 {
				t.Errorf("%+v; the joiner saw %q", e, got.Code)
			}
			break
		}
	}
	a.echo()
	b.echo()
	for _, p := range [][2]*node{{b, a}, {a, b}} {
		c := p[0].dial(p[1])
		say(t, c, "hello")
		for _, at := range []struct {
			got  net.Addr
			want ident.NodeID
		}{{c.RemoteAddr(), p[1].id()}, {c.LocalAddr(), p[0].id()}} {
			if at.got.(*net.TCPAddr).AddrPort() != at.want.Addr() {
				t.Errorf("%v is not the overlay address of %v", at.got, at.want)
			}
		}
		if !p[0].Member(g, p[1].id().Addr().Addr()) || p[0].Member(g, ident.NodeID{1}.Addr().Addr()) {
			t.Error("who is a member")
		}
		if id, ok := p[0].Groups().NodeAt(p[1].id().Addr().Addr()); !ok || id != p[1].id() {
			t.Error("whose the address is")
		}
	}
	t.Logf("from start to streams both ways: %v", time.Since(began))
}

// carriers are the ways between two members a and b of a group; r relays where it must.
var carriers = []string{overlay.TCP, overlay.QUIC, overlay.Relay}

// over makes two members that reach each other by one carrier alone; a founded the group, or r.
func over(t *testing.T, carrier string) (a, b *node, g group.ID) {
	t.Helper()
	if carrier == overlay.Relay {
		r, a, b, g := relayed(t)
		noGuest(t, r, a, b, g)
		return a, b, g
	}
	a = start(t, 1, nil)
	b = start(t, 2, func(c *Config) {
		if carrier == overlay.QUIC {
			c.Overlay.TCP = nil
		}
	})
	if carrier == overlay.QUIC { // so that neither comes to the other by TCP
		a.sub = func(c *Config) { c.Overlay.TCP = nil }
		a.Close()
		a.begin()
	}
	g = a.found("home")
	a.invites("home", b)
	return a, b, g
}

// relayed makes two members a and b that reach each other through r, who founded the group. To r
// b is a guest still, or again.
func relayed(t *testing.T) (r, a, b *node, g group.ID) {
	t.Helper()
	r = start(t, 3, func(c *Config) { c.Overlay.RelayBytes, c.Overlay.Guests = 1<<30, 2 })
	a = start(t, 1, func(c *Config) { c.Overlay.UsePlaces = true })
	b = start(t, 2, nil)
	refuse(a, b, true)
	g = r.found("home")
	r.invites("home", a)
	within(t, patience, "a place at the relay", func() bool { return len(a.Host().Reach().Relays) == 1 })
	a.invites("home", b)
	return r, a, b, g
}

// refuse lets neither of two dial the other, or both again.
func refuse(a, b *node, yes bool) {
	for _, p := range [][2]*node{{a, b}, {b, a}} {
		p[0].mu.Lock()
		p[0].refuse[p[1].at] = yes
		p[0].mu.Unlock()
	}
}

// noGuest has b come anew to the relay, and through it to a, when the relay knows it for a member:
// at some moment after that the relay ends what it carries for b as a guest.
func noGuest(t *testing.T, r, a, b *node, g group.ID) {
	t.Helper()
	within(t, patience, "the relay knows it", func() bool { return r.Member(g, b.id().Addr().Addr()) })
	refuse(b, r, true)
	within(t, patience, "it is gone", func() bool {
		b.Host().Drop(a.id())
		b.Host().Drop(r.id())
		return !slices.Contains(a.connected(), b.id()) && !slices.Contains(r.connected(), b.id())
	})
	refuse(b, r, false)
	within(t, patience, "it is back", func() bool {
		_, err := b.Connect(soon(t), a.id().String(), "")
		return err == nil
	})
}

// Who is removed loses its sessions at once, and comes to no new one: on every carrier, and
// on both sides.
func TestRemoved(t *testing.T) {
	for _, carrier := range carriers {
		t.Run(carrier, func(t *testing.T) {
			a, b, g := over(t, carrier)
			a.echo()
			b.echo()
			there := b.dial(a)
			say(t, there, "hello") // a knows b now
			back := a.dial(b)
			say(t, back, "hello")
			if via, _ := there.(*overlay.Stream).Via(); via != carrier {
				t.Fatalf("over %s", via)
			}
			began := time.Now()
			if _, err := a.Groups().Remove("home", b.id().String()); err != nil {
				t.Fatal(err)
			}
			// From now on no new session begins with a, though the connection may still stand.
			if c, err := b.Dial(soon(t), a.id().Addr()); err == nil {
				c.SetDeadline(time.Now().Add(patience))
				if n, err := c.Read(make([]byte, 1)); err == nil {
					t.Errorf("%d bytes in a new session", n)
				}
				c.Close()
			}
			if _, err := a.Dial(soon(t), b.id().Addr()); err == nil {
				t.Error("a dials who was removed")
			}
			if a.Member(g, b.id().Addr().Addr()) {
				t.Error("still a member")
			}
			for _, c := range []net.Conn{there, back} {
				if _, err := c.Read(make([]byte, 1)); err == nil {
					t.Error("the session goes on")
				}
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("after %v", took)
			}
			a.sees(Disconnected, b)
			within(t, 5*time.Second, "the other side knows", func() bool { return !b.Member(g, a.id().Addr().Addr()) })
			// As a stranger who does not know that it is one, it reaches no handler.
			b.Service.mu.Lock()
			b.joining[a.id()] = 1
			b.Service.mu.Unlock()
			if st, err := b.host.Open(soon(t), a.id(), SwarmProtocol); err == nil {
				st.SetDeadline(time.Now().Add(patience))
				if n, err := st.Read(make([]byte, 1)); err == nil {
					t.Errorf("a stranger reads %d bytes", n)
				}
			}
		})
	}
}

// Removed by one, a node is dropped by all who hear of it.
func TestRemovedEverywhere(t *testing.T) {
	all, g := cast(t, 3, nil)
	a, b, c := all[0], all[1], all[2]
	c.echo()
	var s net.Conn
	within(t, patience, "all know each other", func() (ok bool) {
		var err error
		s, err = b.Dial(soon(t), c.id().Addr())
		return err == nil && b.Member(g, c.id().Addr().Addr())
	})
	s.SetDeadline(time.Now().Add(patience))
	say(t, s, "hello")
	began := time.Now()
	if _, err := a.Groups().Remove("home", "node "+string(rune('a'+b.n))); err != nil {
		t.Fatal(err)
	}
	if n, err := s.Read(make([]byte, 1)); err == nil || time.Since(began) > 5*time.Second {
		t.Errorf("%d bytes, %v after %v", n, err, time.Since(began))
	}
	c.wait("members changed", func(e Event) bool { return e.Kind == MembersChanged })
}

// A member that comes back at another port is found again, whoever looks for whom.
func TestComesBack(t *testing.T) {
	all, _ := cast(t, 2, nil)
	a, b := all[0], all[1]
	a.echo()
	a.sees(Connected, b)
	for range 2 {
		b.Close()
		a.sees(Disconnected, b)
		b.begin()
		a.sees(Connected, b)
		say(t, b.dial(a), "hello again")
	}
}

// An address that the local network tells of is tried at once.
func TestFound(t *testing.T) {
	all, _ := cast(t, 2, nil)
	a, b := all[0], all[1]
	a.sees(Connected, b)
	b.mu.Lock()
	b.refuse[a.at] = true // so that only a can come to b
	b.mu.Unlock()
	b.Close()
	a.sees(Disconnected, b)
	b.begin()
	b.Ready(soon(t))
	a.Found(ident.NodeID{9}, b.at)
	a.Found(b.id(), b.at)
	a.sees(Connected, b)
}

func TestConnect(t *testing.T) {
	all, g := cast(t, 3, nil)
	a, b, c := all[0], all[1], all[2]
	a.sees(Connected, b)
	a.sees(Connected, c)
	for _, who := range []string{b.id().String(), b.id().String()[40:], "node " + string(rune('a'+b.n))} {
		p, err := a.Connect(soon(t), who, "")
		if err != nil || p.ID != b.id() || !p.Connected || !p.Direct || len(p.Groups) != 1 || p.Groups[0] != (Group{g, "home", "node " + string(rune('a'+b.n))}) {
			t.Errorf("%q: %+v, %v", who, p, err)
		}
	}
	for who, want := range map[string]error{"nobody": ErrNobody, "": ErrNobody, a.id().String(): ErrNobody} {
		if _, err := a.Connect(soon(t), who, ""); !errors.Is(err, want) {
			t.Errorf("%q: %v", who, err)
		}
	}
	for _, addr := range []string{"127.0.0.1", "127.0.0.1:0", "127.0.0.1:x", "a.name:1"} {
		if _, err := a.Connect(soon(t), b.id().String(), addr); !errors.Is(err, ErrAddress) {
			t.Errorf("%q: %v", addr, err)
		}
	}
	// With an address alone, whoever is there is connected.
	c.mu.Lock()
	c.refuse[a.at], c.refuse[b.at] = true, true
	c.mu.Unlock()
	c.Close()
	a.sees(Disconnected, c)
	if _, err := a.Connect(soon(t), c.id().String(), c.at.String()); !errors.Is(err, overlay.ErrUnreachable) {
		t.Errorf("%v", err)
	}
	for _, p := range a.Peers() {
		if p.ID == c.id() && (p.Connected || p.Why == "") {
			t.Errorf("%+v", p)
		}
	}
	c.begin()
	c.Ready(soon(t))
	if p, err := a.Connect(soon(t), "", c.at.String()); err != nil || p.ID != c.id() || !p.Connected {
		t.Errorf("%+v, %v", p, err)
	}
	// Not one whose known address is another.
	c.Close()
	a.sees(Disconnected, c)
	c.begin()
	c.Ready(soon(t))
	a.host.Learn(c.id(), []group.Address{{At: c.at}})
	elsewhere := netip.AddrPortFrom(netip.MustParseAddr("127.9.9.9"), c.at.Port())
	if p, err := a.Connect(soon(t), "", elsewhere.String()); err == nil {
		t.Errorf("nobody is at %s: %+v", elsewhere, p)
	}
}

// A peer may open so many sessions and no more; who waits too long is let go.
func TestStreamsAreBounded(t *testing.T) {
	all, _ := cast(t, 2, nil)
	a, b := all[0], all[1]
	a.echo()
	open := 0
	for range MaxSwarmStreams + 8 {
		c, err := b.Dial(soon(t), a.id().Addr())
		if err != nil {
			continue
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		io.WriteString(c, "?")
		if _, err := io.ReadFull(c, make([]byte, 1)); err == nil {
			open++
		}
	}
	if open != MaxSwarmStreams {
		t.Errorf("%d streams", open)
	}
}

// Two that a relay brought together are told when they reach each other straight, and then
// new sessions go straight.
func TestDirect(t *testing.T) {
	a, b, _ := over(t, overlay.Relay)
	a.echo()
	via := ""
	within(t, patience, "a session through the relay", func() bool {
		c, err := b.Dial(soon(t), a.id().Addr())
		if err != nil {
			return false
		}
		defer c.Close()
		via, _ = c.(*overlay.Stream).Via()
		return true
	})
	if via != overlay.Relay {
		t.Fatalf("by %s", via)
	}
	for _, n := range []*node{a, b} {
		n.mu.Lock()
		clear(n.refuse)
		n.mu.Unlock()
	}
	if e := b.wait("a straight way", func(e Event) bool { return e.Kind == Direct }); e.Peer != a.id() || e.Addr != a.id().Addr() {
		t.Errorf("%+v", e)
	}
	c := b.dial(a)
	say(t, c, "straight")
	if via, _ := c.(*overlay.Stream).Via(); via == overlay.Relay {
		t.Error("a new session through the relay")
	}
	p := b.peerOf(a.id())
	if !p.Direct || p.Why != "" {
		t.Errorf("%+v", p)
	}
}

// A node that was let in while it was reached through nobody's relay gets rid of its
// connection as a guest at both, and is a member to the relay soon.
func TestGuestBecomesMember(t *testing.T) {
	_, a, b, _ := relayed(t)
	a.echo()
	began := time.Now()
	big := make([]byte, 1<<20) // more than a guest may send
	within(t, patience, "a megabyte through the relay", func() bool {
		c, err := b.Dial(soon(t), a.id().Addr())
		if err != nil {
			return false
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		go c.Write(big)
		_, err = io.ReadFull(c, make([]byte, len(big)))
		return err == nil
	})
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("after %v", took)
	} else {
		t.Log(took)
	}
}

// Fifty times two nodes come and go; then all that they had is gone. It is counted while they
// are apart: of two that are connected nobody can say whether one connection stands or, as each
// may have dialled the other, two.
func TestNothingLeaks(t *testing.T) {
	a, b := start(t, 1, nil), start(t, 2, nil)
	a.found("home")
	a.invites("home", b)
	a.echo()
	a.sees(Connected, b)
	round := func() {
		within(t, patience, "a way there", func() bool {
			_, err := b.Connect(soon(t), a.id().String(), a.at.String())
			return err == nil
		})
		c := b.dial(a)
		say(t, c, "hello")
		b.Host().Drop(a.id())
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("the stream goes on")
		}
	}
	apart := func() bool {
		b.Host().Drop(a.id()) // whom a dial that was under way has reached again too
		return len(a.connected()) == 0 && len(b.connected()) == 0
	}
	for range 5 {
		round()
	}
	refuse(a, b, true)
	within(t, patience, "nobody is connected", apart)
	before := runtime.NumGoroutine()
	refuse(a, b, false)
	for range 50 {
		round()
	}
	refuse(a, b, true)
	within(t, patience, "as many goroutines as before", func() bool { return apart() && runtime.NumGoroutine() <= before+3 })
}

func TestCloseEndsAll(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Run("", func(t *testing.T) {
		all, _ := cast(t, 2, nil)
		all[0].echo()
		say(t, all[1].dial(all[0]), "hello")
		x := home(t, 9, nil)
		x.begin() // closed before it is up, perhaps
		x.Close()
		if _, err := x.Dial(soon(t), all[0].id().Addr()); err == nil {
			t.Error("a closed one dials")
		}
	})
	within(t, patience, "no goroutine left", func() bool { return runtime.NumGoroutine() <= before })
}
