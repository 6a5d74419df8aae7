package groups

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"shoal/internal/core/group"
)

func TestJoin(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b := w.add(0), w.add(1)
		id := a.create("home")
		there, end := a.Watch()
		defer end()
		here, end2 := b.Watch()
		defer end2()
		adm := b.join(a, "home", group.Member)
		if adm.Group != id || adm.Name != "home" || adm.Inviter != a.id || adm.InviterName != "node a" || adm.Already {
			t.Errorf("%+v", adm)
		}
		in := only(got(there), MemberJoined)
		if len(in) != 1 || in[0].Node != b.id || in[0].NodeName != "node b" || in[0].Code == "" || in[0].Code != adm.Code {
			t.Errorf("the inviter sees %+v, the joiner the code %q", in, adm.Code)
		}
		if e := only(got(here), Joined); len(e) != 1 || e[0].Group != id {
			t.Errorf("%+v", e)
		}
		w.agree(time.Second, "home", "ab", a, b)
		if !a.Known(b.id) || !b.Known(a.id) || !a.Member(id, b.id) || !a.Member(id, a.id) || a.Known(nodeID(7)) || a.Member(id, nodeID(7)) {
			t.Error("who is known and who is not")
		}
		if d, err := a.Show("home"); err != nil || d.Online != 1 || d.Tickets != 0 || len(d.Members) != 2 || d.Rights != group.Admin {
			t.Errorf("%+v, %v", d, err)
		}
	})
}

func TestJoinAgainIsDone(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b := w.add(0), w.add(1)
		a.create("home")
		text := a.invite("home", group.Member)
		first, err := b.Join(context.Background(), text)
		if err != nil {
			t.Fatal(err)
		}
		again, err := b.Join(context.Background(), text)
		if err != nil || !again.Already || again.Code != first.Code {
			t.Errorf("%+v, %v", again, err)
		}
		if _, err := a.Join(context.Background(), text); err != nil {
			t.Errorf("the inviter's own ticket for the group it is in: %v", err)
		}
	})
}

// Whatever is wrong with a ticket, the answer is one text, and it comes as late.
func TestOneRefusal(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b, c := w.add(0), w.add(1), w.add(2)
		a.create("home")
		other := c.create("other")
		good := a.invite("home", group.Member)
		tk, err := group.ParseTicket(good)
		if err != nil {
			t.Fatal(err)
		}
		short, _, err := a.Invite("home", 1, time.Second, group.Member, nil)
		if err != nil {
			t.Fatal(err)
		}
		used := a.invite("home", group.Member)
		if _, err := c.Join(context.Background(), used); err != nil {
			t.Fatal(err)
		}
		<-time.After(2 * time.Second)
		secret, foreign := tk, tk
		secret.Secret[3] ^= 1
		foreign.Group = other
		for name, text := range map[string]string{"expired": short.String(), "used": used, "wrong secret": secret.String(), "of another group": foreign.String(), "nothing": "", "cut": good[:60]} {
			asked := time.Now()
			_, err := b.Join(context.Background(), text)
			if err == nil || err.Error() != group.ErrTicket.Error() {
				t.Errorf("%s: %v", name, err)
			}
			if d := time.Since(asked); d != refuseAfter && d != 0 { // 0: not even asked
				t.Errorf("%s: refused after %v", name, d)
			}
		}
		for i := range good {
			for _, c := range []byte{good[i] ^ 1, 'a', '2'} {
				bad := good[:i] + string(c) + good[i+1:]
				if strings.EqualFold(bad, good) {
					continue
				}
				if _, err := b.Join(context.Background(), bad); err == nil || err.Error() != group.ErrTicket.Error() {
					t.Fatalf("byte %d changed: %v", i, err)
				}
			}
		}
		if _, err := b.Join(context.Background(), strings.ToUpper(good)); err != nil {
			t.Errorf("the ticket itself, in capitals: %v", err)
		}
	})
}

func TestJoinNobodyThere(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b := w.add(0), w.add(1)
		a.create("home")
		text := a.invite("home", group.Member)
		a.stop()
		asked := time.Now()
		if _, err := b.Join(context.Background(), text); !errors.Is(err, ErrUnreachable) {
			t.Errorf("%v", err)
		}
		if d := time.Since(asked); d != 3*time.Second { // two pauses between three tries
			t.Errorf("told after %v", d)
		}
	})
}

// lost is a stream that fails to carry any answer.
type lost struct{ stream }

func (l lost) Write([]byte) (int, error) {
	l.Close()
	return 0, errors.New("killed")
}

// The inviter is killed after it kept who joined and before it said so: the joiner asks
// again and is let in, nobody else is, and it is counted once.
func TestJoinAnswerLost(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b, c := w.add(0), w.add(1), w.add(2)
		a.create("home")
		text := a.invite("home", group.Member)
		tk, _ := group.ParseTicket(text)
		near, far := net.Pipe()
		go a.HandleJoin(lost{stream{far, b.id}})
		r := request{group: tk.Group, ticket: tk.ID(), name: "node b", proof: group.Proof(tk.Secret, tk.Group, a.id, b.id)}
		f := frames{stream{near, a.id}}
		if err := f.write(r.append(nil)); err != nil {
			t.Fatal(err)
		}
		if _, err := f.read(maxFrame); err == nil {
			t.Fatal("an answer came")
		}
		a.stop()
		a.start()
		if a.members("home") != "ab" {
			t.Fatalf("kept: %s", a.members("home"))
		}
		if _, err := c.Join(context.Background(), text); !errors.Is(err, group.ErrTicket) {
			t.Errorf("another node with the same ticket: %v", err)
		}
		if _, err := b.Join(context.Background(), text); err != nil {
			t.Errorf("the same node again: %v", err)
		}
		w.agree(time.Second, "home", "ab", a, b)
	})
}

// Fifty racers, one winner: on real time, with real goroutines.
func TestFiftyRacers(t *testing.T) {
	w := newWorld(t)
	a := w.add(0)
	a.create("home")
	tk, err := group.ParseTicket(a.invite("home", group.Member))
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	won := make(chan int, 50)
	start := make(chan bool)
	for n := 1; n <= 50; n++ {
		wg.Go(func() {
			near, far := net.Pipe()
			defer near.Close()
			r := request{group: tk.Group, ticket: tk.ID(), name: "racer", proof: group.Proof(tk.Secret, tk.Group, a.id, nodeID(n))}
			f := frames{stream{near, a.id}}
			<-start
			go a.HandleJoin(stream{far, nodeID(n)})
			if err := f.write(r.append(nil)); err != nil {
				t.Error(err)
				return
			}
			b, err := f.read(maxFrame)
			if err != nil {
				t.Error(err)
				return
			}
			if !isRefusal(b) {
				won <- n
			}
		})
	}
	close(start)
	wg.Wait()
	if len(won) != 1 {
		t.Fatalf("%d winners", len(won))
	}
	if n := <-won; !a.Known(nodeID(n)) {
		t.Error("the winner is no member")
	}
	if d, err := a.Show(""); err != nil || len(d.Members) != 2 {
		t.Errorf("%+v, %v", d, err)
	}
	a.stop()
	a.start()
	if d, err := a.Show(""); err != nil || len(d.Members) != 2 {
		t.Errorf("after a restart: %+v, %v", d, err)
	}
}

// An inviter that gives another list than the ticket's is found out.
func TestJoinWrongList(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b := w.add(0), w.add(1)
		a.create("home")
		tk, _ := group.ParseTicket(a.invite("home", group.Member))
		other := a.create("other")
		for name, m := range map[string]message{
			"of another group": {group: tk.Group, entries: a.look().groups[other].Entries()},
			"without joiner":   {group: tk.Group, entries: a.look().groups[tk.Group].Entries()},
			"garbage":          {group: tk.Group, entries: [][]byte{[]byte("x")}},
			"part":             {group: tk.Group, entries: a.look().groups[tk.Group].Entries()[1:]},
		} {
			if err := b.enter(&tk, &m); !errors.Is(err, ErrAnswer) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if l, _ := b.List(); len(l) != 0 {
			t.Errorf("%+v", l)
		}
	})
}
