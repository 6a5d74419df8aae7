package members

import (
	"context"
	"encoding/binary"
	"testing"
	"time"

	"shoal/internal/core/group"
	"shoal/internal/core/kad/krpc"
)

func small(c *Config) { c.fromMembers = 2 }

// The DHT of a group finds who holds a share, at members that were not asked themselves; of
// a public share, and of one of other groups, it hears nothing.
func TestGroupDHT(t *testing.T) {
	all, g := cast(t, 5, small)
	for _, n := range all {
		within(t, patience, "all in the DHT", func() bool { d := n.DHTs(); return len(d) == 1 && d[0].Nodes >= 2 && d[0].Shares })
	}
	last := all[len(all)-1]
	all[1].locator("group").Offer(offer(1, g))
	all[1].locator("group").Offer(offer(2))
	all[1].locator("group").Offer(offer(3, group.ID{1}))
	within(t, patience, "two announcements", func() bool { return all[1].DHTs()[0].Counts.Announced >= 2 })
	s := seek(t, last.locator("group"), offer(1, g))
	within(t, patience, "the holder", func() bool { return s.has(all[1]) })
	for _, o := range []byte{2, 3} {
		if of := (group.ID{1}); o == 2 {
			last.locator("group").Seek(soon(t), offer(o), nil) // returns at once
		} else {
			last.locator("group").Seek(soon(t), offer(o, of), nil)
		}
	}
	if n := all[1].DHTs()[0].Counts.Announced; n > 2 {
		t.Errorf("%d announcements", n)
	}
	if c := last.locator("group").Cost(); c.Questions == 0 || c.Bytes == 0 || s.count() != 1 {
		t.Errorf("%+v, %d found", c, s.count())
	}
}

// In a small group every member is asked itself: its DHT is not troubled.
func TestSmallGroupDHT(t *testing.T) {
	all, g := cast(t, 2, nil)
	within(t, patience, "a DHT", func() bool { d := all[0].DHTs(); return len(d) == 1 && d[0].Nodes == 1 })
	all[0].locator("group").Offer(offer(1, g))
	all[1].locator("group").Seek(soon(t), offer(1, g), nil)
	if d := all[0].DHTs()[0]; d.Shares || d.Counts.Announced != 0 {
		t.Errorf("%+v", d)
	}
}

// Streams are opened for a group by its members alone, and end with their membership.
func TestPipes(t *testing.T) {
	a, b := start(t, 1, nil), start(t, 2, nil)
	g := a.found("home")
	a.invites("home", b)
	secret := a.found("work")
	within(t, patience, "both in the DHT", func() bool { d := b.DHTs(); return len(d) == 1 && d[0].Nodes == 1 })
	for what, bytes := range map[string][]byte{
		"another group": append(secret[:], 0, 1, 'x'),
		"half a group":  g[:31],
		"too long":      binary.BigEndian.AppendUint16(append([]byte(nil), g[:]...), maxDatagram+1),
		"empty":         binary.BigEndian.AppendUint16(append([]byte(nil), g[:]...), 0),
	} {
		st, err := b.host.Open(soon(t), a.id(), DHTProtocol)
		if err != nil {
			t.Fatal(err)
		}
		st.SetDeadline(time.Now().Add(patience))
		st.Write(bytes)
		st.CloseWrite()
		if _, err := st.Read(make([]byte, 1)); err == nil {
			t.Errorf("%s: an answer", what)
		}
		st.Close()
	}
	// One member does not take the places of all.
	for range 8 {
		st, err := b.host.Open(soon(t), a.id(), DHTProtocol)
		if err != nil {
			t.Fatal(err)
		}
		defer st.Close()
		st.Write(g[:])
	}
	served := func() int {
		a.dhts.pipes.mu.Lock()
		defer a.dhts.pipes.mu.Unlock()
		return a.dhts.pipes.served(pipeKey{g, b.id()})
	}
	within(t, patience, "two of eight", func() bool { return served() == maxServed })
	// Still a member of the one group, it is none of the other's any more.
	a.invites("work", b)
	within(t, patience, "in both", func() bool { return len(b.DHTs()) == 2 && b.DHTs()[0].Nodes == 1 && b.DHTs()[1].Nodes == 1 })
	if _, err := a.Groups().Remove("work", b.id().String()); err != nil {
		t.Fatal(err)
	}
	within(t, patience, "out of one", func() bool {
		a.dhts.pipes.mu.Lock()
		defer a.dhts.pipes.mu.Unlock()
		for p := range a.dhts.pipes.all {
			if p.group == secret {
				return false
			}
		}
		return len(b.DHTs()) == 1
	})
}

func TestPace(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	p := newPace(1000, 3)
	for range 3 {
		if p.wait(ctx); p.have < 0 {
			t.Fatal("the burst is smaller")
		}
	}
	began := time.Now()
	for range 20 {
		p.wait(ctx)
	}
	if d := time.Since(began); d < 15*time.Millisecond {
		t.Errorf("twenty in %v", d)
	}
	cancel()
	if p.have = -1e9; p.wait(ctx) {
		t.Error("waits beyond the end")
	}
}

// Where a member is reached is found in the DHT of a large group, under its own signature.
func TestContactInDHT(t *testing.T) {
	all, g := cast(t, 3, small)
	b, c := all[1], all[2]
	within(t, patience, "all in the DHT", func() bool { d := c.DHTs(); return len(d) == 1 && d[0].Nodes == 2 })
	var got group.Contact
	within(t, patience, "the contact", func() bool {
		it, _, err := c.dhts.get(g).Get(soon(t), krpc.MutableTarget(b.id(), []byte("shoal/addr")), []byte("shoal/addr"))
		if err != nil || it == nil {
			return false
		}
		raw, ok := contactOf(it)
		if got, err = group.ParseContact(raw); !ok || err != nil {
			t.Fatalf("%q, %v", it.Value, err)
		}
		return true
	})
	if got.Node != b.id() || got.Group != g || len(got.Addrs) == 0 || got.Addrs[0].At != b.at {
		t.Errorf("%+v", got)
	}
	c.seekContact(soon(t), b.id())
	if at := c.Groups().Where(b.id()); len(at) == 0 || at[0].At != b.at {
		t.Errorf("%v", at)
	}
	if _, ok := contactItem(c.key(), b.Groups().Contact(g)); ok {
		t.Error("signed another's contact")
	}
}
