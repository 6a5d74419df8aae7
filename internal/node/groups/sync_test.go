package groups

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"shoal/internal/core/group"
	"shoal/internal/core/ident"
)

// Three nodes: the third hears of the second from the first, they find each other by the
// contacts that go round, and agree again after each was cut off.
func TestMergeAfterPartition(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b, c := w.add(0), w.add(1), w.add(2)
		id := a.create("home")
		b.join(a, "home", group.Admin)
		c.join(a, "home", group.Admin)
		w.agree(5*time.Second, "home", "abc", a, b, c)
		w.within(10*time.Second, "b and c are connected", func() bool {
			d, _ := b.Show("home")
			return d.Online == 2
		})
		for _, other := range []*host{b, c} {
			w.separate(a, other)
		}
		w.separate(b, c)
		d, e := w.add(3), w.add(4)
		w.separate(d, a)
		w.separate(d, c)
		w.separate(d, e)
		w.separate(e, a)
		w.separate(e, b)
		d.join(b, "home", group.Member)
		e.join(c, "home", group.Member)
		if _, err := a.Remove("home", c.id.String()); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Minute)
		w.agree(0, "home", "ab", a)
		w.agree(0, "home", "abcd", b, d)
		w.agree(0, "home", "abce", c, e)
		w.heal(a, b)
		w.heal(b, c)
		w.heal(d, a)
		// a removed c: what c admitted without knowing falls with it.
		w.agree(10*time.Minute, "home", "abd", a, b, d)
		if b.Known(c.id) || b.Member(id, e.id) || !b.Member(id, d.id) {
			t.Error("members after the merge")
		}
	})
}

// In a line of nodes a removal reaches everybody within five seconds.
func TestRemovalInALine(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		var line []*host
		for n := range 5 {
			line = append(line, w.add(n))
		}
		id := line[0].create("home")
		for i, a := range line {
			for j, b := range line {
				if j > i+1 {
					w.separate(a, b)
				}
			}
		}
		for n := 1; n < 5; n++ {
			line[n].join(line[n-1], "home", group.Admin)
		}
		w.agree(5*time.Second, "home", "abcde", line...)
		x := w.add(5)
		for _, h := range line[:4] {
			w.separate(x, h)
		}
		x.join(line[4], "home", group.Member)
		w.agree(5*time.Second, "home", "abcdef", append(line, x)...)
		events, end := line[4].Watch()
		defer end()
		// a removes f, which is connected to e alone.
		w.delay = 300 * time.Millisecond
		began := time.Now()
		if _, err := line[0].Remove("home", x.id.String()); err != nil {
			t.Fatal(err)
		}
		w.agree(5*time.Second, "home", "abcde", line...)
		t.Logf("removed after %v", time.Since(began))
		if gone := only(got(events), MemberRemoved); len(gone) != 1 || gone[0].Node != x.id {
			t.Errorf("%+v", gone)
		}
		<-time.After(time.Until(began.Add(5 * time.Second)))
		w.mu.Lock()
		linked := w.links[pair(x.id, line[4].id)] != nil
		w.mu.Unlock()
		if linked || line[4].Known(x.id) || line[4].Member(id, x.id) {
			t.Error("the removed node is connected still")
		}
	})
}

// The node that is removed is told before it is dropped, and asks in vain.
func TestRemovedIsToldAndRefused(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b, c := w.add(0), w.add(1), w.add(2)
		id := a.create("home")
		text := a.invite("home", group.Member)
		if _, err := b.Join(context.Background(), text); err != nil {
			t.Fatal(err)
		}
		c.join(a, "home", group.Member)
		w.agree(5*time.Second, "home", "abc", a, b, c)
		stale := b.look().groups[id].Clone()
		events, end := b.Watch()
		defer end()
		if p, err := a.Remove("home", "node b"); err != nil || p.Node != b.id {
			t.Fatal(p, err)
		}
		w.agree(5*time.Second, "home", "ac", a, b, c)
		if e := only(got(events), Expelled); len(e) != 1 || e[0].Group != id {
			t.Errorf("%+v", e)
		}
		if b.Known(a.id) || b.Member(id, b.id) {
			t.Error("it takes itself for a member")
		}
		if l, _ := b.List(); len(l) != 1 || l[0].Rights != 0 {
			t.Errorf("%+v", l)
		}
		if _, err := b.Join(context.Background(), text); !errors.Is(err, group.ErrTicket) {
			t.Errorf("the old ticket: %v", err)
		}
		// It has what was, and shows that.
		w.all = true
		before := c.look().groups[id].Heads()
		later := c.look().groups[id].Entries()
		for _, m := range byHand(t, b, c, id, stale) {
			if !m.prove || m.heads != nil || m.entries != nil {
				t.Errorf("it is told %+v", m)
			}
		}
		if !same(before, c.look().groups[id].Heads()) || len(later) == stale.Len() {
			t.Error("a removed node changed a list")
		}
		// With a new ticket it is let in again.
		w.heal(a, b)
		b.join(a, "home", group.Member)
		w.agree(5*time.Second, "home", "abc", a, b, c)
	})
}

// byHand opens a sync by hand: it shows a list and gives both answers.
func byHand(t *testing.T, from, to *host, id group.ID, g *group.Group) (answers []message) {
	t.Helper()
	st, err := from.Open(context.Background(), to.id, SyncProtocol)
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	f := frames{st}
	first := message{group: id}
	second := message{group: id}
	if g != nil {
		first.heads, second.entries = headsOf(g), g.Entries()
	}
	if err := from.writeMessage(f, &first, 0, 1); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		m, err := from.readMessage(f, maxFrame)
		if err != nil {
			t.Fatal(err)
		}
		answers = append(answers, m)
		if i == 0 {
			if err := f.write(second.append(nil)); err != nil {
				t.Fatal(err)
			}
		}
	}
	return answers
}

// Nobody learns from a node which groups it is in: a stranger and who was removed are
// answered alike and as late, whether there is such a group or not.
func TestStrangersLearnNothing(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b := w.add(0), w.add(1)
		w.all = true
		id := a.create("home")
		list := a.look().groups[id]
		var answers []string
		for _, of := range []group.ID{id, {1}} {
			for _, g := range []*group.Group{nil, list} {
				began := time.Now()
				all := byHand(t, b, a, of, g)
				for i := range all {
					all[i].group = group.ID{}
				}
				answers = append(answers, fmt.Sprintf("%+v after %v", all, time.Since(began)))
			}
		}
		for _, s := range answers {
			if s != answers[0] {
				t.Errorf("answers differ: %q", answers)
			}
		}
	})
}

// Who was let in by one member is taken in by another that had not heard of it, by the
// list that it shows.
func TestProve(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b, c := w.add(0), w.add(1), w.add(2)
		id := a.create("home")
		b.join(a, "home", group.Member)
		w.agree(5*time.Second, "home", "ab", a, b)
		w.separate(a, b)
		c.join(a, "home", group.Member)
		a.stop()
		if err := c.Connect(context.Background(), b.id, []group.Address{b.addr}); err != nil {
			t.Fatal(err)
		}
		w.agree(5*time.Second, "home", "abc", b, c)
		if !b.Member(id, c.id) {
			t.Error("not a member")
		}
	})
}

// A member that sends what cannot be right is dropped, reported and refused for a while.
func TestWrongEntries(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b := w.add(0), w.add(1)
		id := a.create("home")
		b.join(a, "home", group.Member)
		w.agree(5*time.Second, "home", "ab", a, b)
		<-time.After(time.Second)
		events, end := a.Watch()
		defer end()
		st, err := b.Open(context.Background(), a.id, SyncProtocol)
		if err != nil {
			t.Fatal(err)
		}
		bad := a.look().groups[id].Entries()[1]
		bad = append([]byte(nil), bad...)
		bad[len(bad)-3] ^= 1
		m := message{group: id, entries: [][]byte{bad}}
		f := frames{st}
		if err := b.writeMessage(f, &m, 0, 1); err != nil {
			t.Fatal(err)
		}
		if _, err := b.readMessage(f, maxFrame); err == nil {
			t.Error("it is answered")
		}
		e := only(got(events), Misbehaved)
		if len(e) != 1 || e[0].Node != b.id || !errors.Is(e[0].Err, errWrong) {
			t.Fatalf("%+v", e)
		}
		if len(a.dropped) != 1 || a.dropped[0] != b.id {
			t.Errorf("dropped: %v", a.dropped)
		}
		w.all = true
		if st, err = b.Open(context.Background(), a.id, SyncProtocol); err != nil {
			t.Fatal(err)
		}
		f = frames{st}
		m.entries = nil
		if err := b.writeMessage(f, &m, 0, 1); err == nil {
			if _, err := b.readMessage(f, maxFrame); err == nil {
				t.Error("it is served again at once")
			}
		}
	})
}

func TestLeave(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b, c := w.add(0), w.add(1), w.add(2)
		a.create("home")
		b.join(a, "home", group.Member)
		c.join(a, "home", group.Member)
		w.agree(5*time.Second, "home", "abc", a, b, c)
		w.within(10*time.Second, "all are connected", func() bool {
			d, _ := b.Show("home")
			return d.Online == 2
		})
		began := time.Now()
		gone, err := b.Leave(context.Background(), "home")
		if err != nil || gone.Told != 2 || gone.Members != 2 || gone.NoAdmin {
			t.Errorf("%+v, %v", gone, err)
		}
		if d := time.Since(began); d > leaveTime {
			t.Errorf("left after %v", d)
		}
		w.agree(5*time.Second, "home", "ac", a, c)
		if l, _ := b.List(); len(l) != 0 {
			t.Errorf("%+v", l)
		}
		b.stop()
		b.start()
		if l, _ := b.List(); len(l) != 0 || len(b.Damaged()) != 0 {
			t.Errorf("after a restart: %+v", l)
		}
		if gone, err := a.Leave(context.Background(), "home"); err != nil || !gone.NoAdmin {
			t.Errorf("the last admin leaves: %+v, %v", gone, err)
		}
	})
}

// Two nodes that share two groups stay connected when one of them ends.
func TestTwoGroups(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b := w.add(0), w.add(1)
		a.create("home")
		work := a.create("work")
		b.join(a, "home", group.Member)
		b.join(a, "work", group.Member)
		if _, err := a.Remove("home", b.id.String()); err != nil {
			t.Fatal(err)
		}
		w.agree(5*time.Second, "home", "a", a, b)
		<-time.After(time.Second)
		synctest.Wait()
		if len(a.dropped) != 0 || len(b.dropped) != 0 || len(a.Shared(b.id)) != 1 || a.Shared(b.id)[0] != work {
			t.Errorf("dropped: %v, %v", a.dropped, b.dropped)
		}
	})
}

// A node that changes nothing for an hour says little, and changes cost one sync a link.
func TestQuiet(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b, c := w.add(0), w.add(1), w.add(2)
		a.create("home")
		b.join(a, "home", group.Admin)
		c.join(a, "home", group.Admin)
		<-time.After(time.Minute)
		w.mu.Lock()
		before := w.opens
		w.mu.Unlock()
		<-time.After(time.Hour)
		w.mu.Lock()
		idle := w.opens - before
		before = w.opens
		w.mu.Unlock()
		if idle > 6*9 { // 6 directions, every 7.5 to 12.5 minutes
			t.Errorf("%d syncs in an hour", idle)
		}
		if _, err := b.Remove("home", ident.NodeID(c.id).String()); err != nil {
			t.Fatal(err)
		}
		<-time.After(10 * time.Second)
		w.mu.Lock()
		defer w.mu.Unlock()
		if n := w.opens - before; n > 4 {
			t.Errorf("%d streams for one removal", n)
		}
	})
}

// Five nodes that are let in, removed, cut off, killed and started at random: in the end,
// when everybody reaches everybody, those who are members agree on who is.
func TestAnyLife(t *testing.T) {
	for seed := range uint64(6) {
		bubble(t, func(t *testing.T, w *world) { anyLife(t, w, rand.New(rand.NewPCG(seed, 5))) })
	}
}

func anyLife(t *testing.T, w *world, rng *rand.Rand) {
	var all []*host
	for n := range 5 {
		all = append(all, w.add(n))
	}
	all[0].create("home")
	running := func(h *host) bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.hosts[h.id] == h
	}
	for range 120 {
		x, y := all[rng.IntN(5)], all[rng.IntN(5)]
		switch rng.IntN(10) {
		case 0:
			x.stop()
		case 1, 2:
			if !running(x) {
				x.start()
			}
		case 3:
			if x != y {
				w.separate(x, y)
			}
		case 4, 5:
			w.heal(x, y)
		default:
			if x.members("home") == "" || !running(x) || !running(y) {
				continue
			}
			if rng.IntN(4) == 0 && y.n != 0 {
				x.Remove("home", y.id.String())
			} else if tk, _, err := x.Invite("home", 1, time.Hour, group.Rights(1+rng.IntN(2)), nil); err == nil {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				y.Join(ctx, tk.String())
				cancel()
			}
		}
		<-time.After(time.Duration(rng.IntN(3000)) * time.Millisecond)
	}
	for _, x := range all {
		if !running(x) {
			x.start()
		}
		for _, y := range all {
			w.heal(x, y)
		}
	}
	<-time.After(20 * time.Minute)
	want := all[0].members("home")
	t.Logf("members in the end: %s, %d entries", want, all[0].look().groups[all[0].look().sorted()[0]].Len())
	for _, h := range all {
		g, err := h.find("home")
		if err != nil {
			continue
		}
		// Node 0 is senior to all. Who was removed while it was away is not spoken to.
		_, in := all[0].look().groups[g.ID()].Member(h.id)
		if in && h.members("home") != want {
			t.Errorf("node %d sees %s, node 0 %s", h.n, h.members("home"), want)
		}
		if !in && all[0].Known(h.id) {
			t.Errorf("node %d is known", h.n)
		}
	}
}

// Who was removed while it was away is not told by who removed it, but sees that members
// refuse it.
func TestRemovedWhileAway(t *testing.T) {
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
		w.within(10*time.Second, "it sees that it is refused", func() bool {
			d, err := b.Show("home")
			return err == nil && len(d.Members) == 2 && d.Members[0].Refuses && !d.Members[1].Refuses
		})
		w.agree(0, "home", "a", a)
	})
}

// A member that takes streams and answers none holds up nobody, and news for it do not wait
// for what is stuck.
func TestDeafMember(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b, c, d := w.add(0), w.add(1), w.add(2), w.add(3)
		a.create("home")
		for _, h := range []*host{b, c, d} {
			h.join(a, "home", group.Member)
		}
		w.agree(5*time.Second, "home", "abcd", a, b, c, d)
		w.separate(b, c)
		w.separate(d, c)
		<-time.After(10 * time.Second)
		deaf := func(id ident.NodeID) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.deaf = id
		}
		deaf(c.id)
		a.AddrsChanged()
		<-time.After(3 * time.Second) // a is stuck with c
		deaf(ident.NodeID{})
		if _, err := a.Remove("home", "node d"); err != nil {
			t.Fatal(err)
		}
		w.agree(time.Second, "home", "abc", a, b, c)
		deaf(c.id)
		if _, err := a.Remove("home", "node b"); err != nil {
			t.Fatal(err)
		}
		w.agree(time.Second, "home", "ac", a, b)
	})
}
