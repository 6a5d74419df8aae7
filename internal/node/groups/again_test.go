package groups

import (
	"sync"
	"testing"
	"time"

	"shoal/internal/core/group"
)

// Who is refused in all groups is not held on to and rarely asks again, even if it is
// looked for, but sees all the time that it is; let in again it is not kept waiting.
func TestRefusedDoesNotInsist(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b := w.add(0), w.add(1)
		a.create("home")
		b.join(a, "home", group.Member)
		w.agree(5*time.Second, "home", "ab", a, b)
		<-time.After(time.Second)
		b.stop()
		if _, err := a.Remove("home", "node b"); err != nil {
			t.Fatal(err)
		}
		b.start()
		refused := func() bool {
			d, err := b.Show("home")
			return err == nil && len(d.Members) == 2 && d.Members[0].Refuses && !d.Members[0].Online
		}
		w.within(10*time.Second, "it sees that it is refused, and goes", refused)
		w.mu.Lock()
		before := b.dials
		w.mu.Unlock()
		for range 60 {
			b.Seek(a.id)
			<-time.After(time.Minute)
			if !refused() {
				t.Fatal("it does not see that it is refused")
			}
		}
		w.mu.Lock()
		n := b.dials - before
		w.mu.Unlock()
		if n < 6 || n > 16 {
			t.Errorf("%d tries in an hour", n)
		}
		b.join(a, "home", group.Member)
		w.within(time.Second, "a member", func() bool {
			d, err := b.Show("home")
			return err == nil && d.Online == 1 && !d.Members[0].Refuses
		})
	})
}

// A new address is told by a contact that is later than the one before, however soon it
// follows, and a clock that was wrong does not keep the old one.
func TestContactIsLater(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b := w.add(0), w.add(1)
		id := a.create("home")
		b.join(a, "home", group.Member)
		w.agree(5*time.Second, "home", "ab", a, b)
		contact := func() group.Contact {
			raw := a.Contact(id)
			c, err := group.ParseContact(raw)
			if err != nil || b.Hear(id, raw) != nil {
				t.Fatal(err)
			}
			return c
		}
		contact()
		a.addr.At = w.home(7).addr.At
		contact()
		found := false
		for _, at := range b.Where(a.id) {
			found = found || at == a.addr
		}
		if !found {
			t.Error("the other does not take the new address")
		}
		a.do(func() { a.books[id].own.Time += 365 * 24 * 60 * 60 })
		if c := contact(); c.Time > time.Now().Add(time.Minute).Unix() {
			t.Error("the time is that of the wrong clock")
		}
	})
}

// Of two joins at once that were given lists of different ages, nothing is lost.
func TestTwoJoinsAtOnce(t *testing.T) {
	w := newWorld(t)
	a := w.add(0)
	id := a.create("home")
	for n := range 20 {
		b, c := w.add(2*n+1), w.add(2*n+2)
		tk, err := group.ParseTicket(a.invite("home", group.Member))
		if err != nil {
			t.Fatal(err)
		}
		r := request{group: id, ticket: tk.ID(), name: "b", proof: group.Proof(tk.Secret, id, a.id, b.id)}
		old := a.redeem(b.id, &r)
		c.join(a, "home", group.Member)
		recent := a.redeem(b.id, &r)
		if old == nil || recent == nil || len(old.entries) >= len(recent.entries) {
			t.Fatal("the two answers are one")
		}
		old.contacts, recent.contacts = nil, nil
		var both sync.WaitGroup
		for _, m := range []*message{old, recent} {
			both.Go(func() {
				if err := b.enter(&tk, m); err != nil {
					t.Error(err)
				}
			})
		}
		both.Wait()
		if !b.Member(id, c.id) {
			t.Fatal("a member that one of the lists has is lost")
		}
		b.stop()
		c.stop()
	}
}
