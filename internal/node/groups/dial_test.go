package groups

import (
	"sync/atomic"
	"testing"
	"time"

	"shoal/internal/core/group"
	"shoal/internal/core/ident"
)

// A member that is away is sought ever less often, and found soon after it is back.
func TestBackOff(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b := w.add(0), w.add(1)
		a.create("home")
		b.join(a, "home", group.Member)
		w.agree(5*time.Second, "home", "ab", a, b)
		<-time.After(5 * time.Second)
		b.stop()
		tries := func(d time.Duration) int {
			w.mu.Lock()
			before := a.dials
			w.mu.Unlock()
			<-time.After(d)
			w.mu.Lock()
			defer w.mu.Unlock()
			return a.dials - before
		}
		if n := tries(time.Minute); n < 4 || n > 8 {
			t.Errorf("%d tries in the first minute", n)
		}
		tries(30 * time.Minute)
		if n := tries(time.Hour); n < 4 || n > 9 {
			t.Errorf("%d tries in an hour", n)
		}
		b.start()
		w.within(10*time.Second, "connected again", func() bool {
			d, _ := a.Show("home")
			return d.Online == 1
		})
	})
}

// Who looks for somebody again, and who is missed, is sought soon, however often that failed.
func TestSeekAgain(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b := w.add(0), w.add(1)
		a.create("home")
		b.join(a, "home", group.Member)
		w.agree(5*time.Second, "home", "ab", a, b)
		dials := func() int { w.mu.Lock(); defer w.mu.Unlock(); return a.dials }
		<-time.After(5 * time.Second)
		b.stop()
		<-time.After(time.Hour)
		for _, who := range [][]ident.NodeID{{b.id}, nil} {
			before := dials()
			a.Seek(who...)
			w.within(time.Millisecond, "a try at once", func() bool { return dials() == before+1 })
		}
		var missed atomic.Bool
		a.do(func() { a.cfg.Wish = func(ident.NodeID) Wish { return Wish{Missed: missed.Load()} } })
		<-time.After(time.Hour)
		missed.Store(true)
		a.Seek()
		<-time.After(time.Minute)
		before := dials()
		if <-time.After(10 * time.Minute); dials()-before < 60 {
			t.Errorf("%d tries in ten minutes", dials()-before)
		}
		if at := a.Where(b.id); len(at) != 1 || at[0] != b.addr {
			t.Errorf("it is at %v", at)
		}
		if id, ok := a.NodeAt(b.id.Addr().Addr()); !ok || id != b.id {
			t.Error("not found by its overlay address")
		}
	})
}

// Of many members no more than wantMembers are sought, a few at a time.
func TestEnoughMembers(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.add(0)
		id := a.create("home")
		var others []*host
		for n := 1; n <= wantMembers+8; n++ {
			others = append(others, w.add(n))
		}
		var notes []note
		if err := a.edit("home", func(g *group.Group) (change, error) {
			for _, h := range others {
				rights := group.Member
				if h == others[len(others)-1] {
					rights = group.Admin
				}
				raw, err := g.Admit(a.cfg.Key, h.id, "member", rights, 0)
				if err != nil {
					return change{}, err
				}
				if _, err := g.Add(raw); err != nil {
					return change{}, err
				}
				notes = append(notes, note{node: h.id, met: h.Addrs()})
			}
			return change{}, nil
		}); err != nil {
			t.Fatal(err)
		}
		for _, h := range others {
			h.do(func() { // they do not look for each other
				for _, o := range others {
					h.blocked[o.id] = time.Now().Add(time.Hour)
				}
			})
			if err := h.enter(&group.Ticket{Group: id, Inviter: a.id}, &message{group: id, entries: a.look().groups[id].Entries()}); err != nil {
				t.Fatal(err)
			}
		}
		a.do(func() { a.learn(id, notes) })
		<-time.After(10 * time.Minute)
		d, _ := a.Show("home")
		if d.Online != wantMembers {
			t.Errorf("%d are connected", d.Online)
		}
		for _, m := range d.Members {
			if m.Node == others[len(others)-1].id && !m.Online {
				t.Error("the admin is not")
			}
		}
	})
}

func TestSlots(t *testing.T) {
	now := time.Unix(1000, 0)
	s := newSlots(3)
	for n := range 3 {
		if !s.enter(nodeID(n), false, now) {
			t.Fatalf("stranger %d", n)
		}
	}
	if s.enter(nodeID(3), false, now) {
		t.Error("a stranger too many")
	}
	for n, may := range []bool{true, true, false} {
		if s.enter(nodeID(4), true, now) != may {
			t.Errorf("a member's place %d: strangers took it, or it has more than two", n+1)
		}
	}
	s.leave(nodeID(0), false)
	n := 0
	for ; n < 1000 && s.enter(nodeID(3), false, now); n++ {
		s.leave(nodeID(3), false)
	}
	if n != strangeBurst {
		t.Errorf("%d streams at once", n)
	}
	if !s.enter(nodeID(3), false, now.Add(2*time.Second)) {
		t.Error("nothing after two seconds")
	}
	big := newSlots(1)
	for n := range 2 * maxVisitors {
		if id := (ident.NodeID{byte(n), byte(n >> 8), 1}); big.enter(id, false, now) {
			big.leave(id, false)
		}
	}
	if len(big.of) > maxVisitors {
		t.Errorf("%d are remembered", len(big.of))
	}
	if !big.enter(nodeID(1), true, now) || !big.enter(nodeID(2), false, now.Add(time.Hour)) {
		t.Error("a flood of names keeps others out")
	}
}
