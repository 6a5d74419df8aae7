package groups

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"shoal/internal/adapter/store/disk"
	"shoal/internal/core/group"
)

// A restart keeps members, tickets and where members are, and connects again.
func TestRestart(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b, c := w.add(0), w.add(1), w.add(2)
		id := a.create("home")
		b.join(a, "home", group.Admin)
		c.join(b, "home", group.Member)
		w.agree(5*time.Second, "home", "abc", a, b, c)
		text := a.invite("home", group.Member)
		<-time.After(5 * time.Second)
		for _, h := range []*host{a, b, c} {
			h.stop()
		}
		for _, h := range []*host{a, b, c} {
			h.start()
		}
		w.agree(0, "home", "abc", a, b, c)
		if d, err := a.Show(id.String()[:8]); err != nil || d.Tickets != 1 || d.Rights != group.Admin {
			t.Errorf("%+v, %v", d, err)
		}
		w.within(10*time.Second, "all are connected again", func() bool {
			return !slices.ContainsFunc([]*host{a, b, c}, func(h *host) bool {
				d, _ := h.Show("home")
				return d.Online != 2
			})
		})
		d := w.add(3)
		if _, err := d.Join(context.Background(), text); err != nil {
			t.Errorf("a ticket of before the restart: %v", err)
		}
		w.agree(5*time.Second, "home", "abcd", a, b, c, d)
		info, err := os.Stat(a.path(id))
		if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
		if info, err = os.Stat(a.dir); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o700 {
			t.Errorf("%v, %v", info.Mode(), err)
		}
	})
}

// A damaged file is named, with what to do, is left as it is, and stops no other group.
func TestDamagedFile(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b := w.add(0), w.add(1)
		home, work := a.create("home"), a.create("work")
		b.join(a, "work", group.Admin)
		text := b.invite("work", group.Member)
		a.stop()
		file, err := os.ReadFile(a.path(work))
		if err != nil {
			t.Fatal(err)
		}
		for _, bad := range [][]byte{nil, file[:len(file)/2], append([]byte("x"), file...), slices.Concat(file[:100], []byte{file[100] ^ 1}, file[101:])} {
			if err := os.WriteFile(a.path(work), bad, 0o600); err != nil {
				t.Fatal(err)
			}
			a.start()
			d := a.Damaged()
			if len(d) != 1 || d[0].Path != a.path(work) || !errors.Is(d[0], ErrDamaged) || !strings.Contains(d[0].Error(), "new ticket") {
				t.Errorf("%v", d)
			}
			if l, _ := a.List(); len(l) != 1 || l[0].ID != home {
				t.Errorf("%+v", l)
			}
			if _, err := a.Join(context.Background(), text); !errors.Is(err, ErrDamaged) {
				t.Errorf("joined over a damaged file: %v", err)
			}
			a.stop()
			if left, _ := os.ReadFile(a.path(work)); string(left) != string(bad) {
				t.Error("the damaged file was changed")
			}
		}
		if err := os.Rename(a.path(work), a.path(work)+".old"); err != nil {
			t.Fatal(err)
		}
		a.start()
		if _, err := a.Join(context.Background(), text); err != nil {
			t.Errorf("after it was moved away: %v", err)
		}
		w.agree(5*time.Second, "work", "ab", a, b)
	})
}

// What is half written is not read, hints that are damaged are not missed.
func TestLeftovers(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b := w.add(0), w.add(1)
		id := a.create("home")
		b.join(a, "home", group.Member)
		<-time.After(time.Minute)
		if _, err := os.Stat(b.path(id) + bookEnd); err != nil {
			t.Errorf("no contacts are kept: %v", err)
		}
		b.stop()
		temp := filepath.Join(b.dir, disk.Unfinished+"x")
		if err := errors.Join(os.WriteFile(temp, []byte("x"), 0o600), os.WriteFile(b.path(id)+bookEnd, []byte("li1ed1:n3:abce"), 0o600)); err != nil {
			t.Fatal(err)
		}
		b.start()
		if _, err := os.Stat(temp); err == nil || len(b.Damaged()) != 0 {
			t.Errorf("leftovers: %v, %v", err, b.Damaged())
		}
		w.agree(0, "home", "ab", b)
	})
}

// Who was killed soon after somebody joined knows where that member is.
func TestKilledAfterAJoin(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b := w.add(0), w.add(1)
		a.create("home")
		b.join(a, "home", group.Member)
		<-time.After(3 * time.Second)
		asItLies := t.TempDir()
		if err := os.CopyFS(asItLies, os.DirFS(a.dir)); err != nil {
			t.Fatal(err)
		}
		a.stop()
		a.dir = asItLies
		w.separate(a, b)
		a.start()
		d, err := a.Show("home")
		i := slices.IndexFunc(d.Members, func(m Seen) bool { return m.Node == b.id })
		if err != nil || i < 0 || !slices.Contains(d.Members[i].Addrs, b.addr) {
			t.Errorf("%+v, %v", d.Members, err)
		}
	})
}

// A node that was killed while it left has left.
func TestKilledWhileLeaving(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b := w.add(0), w.add(1)
		id := a.create("home")
		b.join(a, "home", group.Member)
		g := b.look().groups[id].Clone()
		b.stop()
		raw, err := g.Remove(key(1), b.id, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := g.Add(raw); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(b.path(id), g.File(), 0o600); err != nil {
			t.Fatal(err)
		}
		b.start()
		if l, _ := b.List(); len(l) != 0 {
			t.Errorf("%+v", l)
		}
		if _, err := os.Stat(b.path(id)); err == nil {
			t.Error("its file is there")
		}
	})
}

// When the disk fails, nothing of this node's own is said to be done, and a removal by
// others counts all the same and is written when the disk is well.
func TestDiskFails(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b, c := w.add(0), w.add(1), w.add(2)
		id := a.create("home")
		b.join(a, "home", group.Admin)
		c.join(a, "home", group.Member)
		w.agree(5*time.Second, "home", "abc", a, b, c)
		<-time.After(5 * time.Second)
		text := b.invite("home", group.Member)
		events, end := b.Watch()
		defer end()
		if err := os.Rename(b.dir, b.dir+".away"); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Remove("home", "node c"); !errors.Is(err, ErrKeep) {
			t.Errorf("removed without being kept: %v", err)
		}
		if _, err := b.Create("new"); !errors.Is(err, ErrKeep) {
			t.Errorf("founded without being kept: %v", err)
		}
		if _, _, err := b.Invite("home", 1, time.Hour, group.Member, nil); !errors.Is(err, ErrKeep) {
			t.Errorf("invited without being kept: %v", err)
		}
		d := w.add(3)
		if _, err := d.Join(context.Background(), text); !errors.Is(err, group.ErrTicket) {
			t.Errorf("let in without being kept: %v", err)
		}
		w.agree(0, "home", "abc", a, b, c)
		if _, err := a.Remove("home", "node c"); err != nil {
			t.Fatal(err)
		}
		w.agree(5*time.Second, "home", "ab", a, b)
		if len(only(got(events), Trouble)) < 2 {
			t.Error("nobody is told of the disk")
		}
		if err := os.Rename(b.dir+".away", b.dir); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Minute)
		if g, err := b.read(id); err != nil || len(g.Members()) != 2 {
			t.Errorf("not written later: %v", err)
		}
		if _, err := d.Join(context.Background(), text); err != nil {
			t.Errorf("the ticket was lost: %v", err)
		}
	})
}

func TestNamesOfGroups(t *testing.T) {
	w := newWorld(t)
	a := w.add(0)
	if _, err := a.Show("home"); !errors.Is(err, ErrNoGroup) || !strings.Contains(err.Error(), "in no group") {
		t.Errorf("%v", err)
	}
	one := a.create("home")
	if d, err := a.Show(""); err != nil || d.ID != one {
		t.Errorf("the only one: %v", err)
	}
	two := a.create("home")
	work := a.create("work")
	if _, err := a.Show("home"); !errors.Is(err, ErrAmbiguous) || !strings.Contains(err.Error(), one.String()[:8]) || !strings.Contains(err.Error(), two.String()[:8]) {
		t.Errorf("%v", err)
	}
	if _, err := a.Show("none"); !errors.Is(err, ErrNoGroup) || !strings.Contains(err.Error(), `"work"`) {
		t.Errorf("%v", err)
	}
	for _, x := range []string{"work", work.String(), work.String()[:6], strings.ToUpper(work.String()[:6])} {
		if d, err := a.Show(x); err != nil || d.ID != work {
			t.Errorf("%s: %v", x, err)
		}
	}
	if _, err := a.Leave(context.Background(), ""); !errors.Is(err, ErrArgument) {
		t.Errorf("leaving a group that is not named: %v", err)
	}
	if _, err := a.Remove("work", "nobody"); !errors.Is(err, ErrNoMember) {
		t.Errorf("%v", err)
	}
	if _, err := a.Remove("work", a.id.String()); !errors.Is(err, ErrSelf) {
		t.Errorf("%v", err)
	}
	if _, err := a.Create("a\nb"); !errors.Is(err, ErrArgument) {
		t.Errorf("%v", err)
	}
	for _, f := range []func() error{
		func() error { _, _, err := a.Invite("work", 0, time.Hour, group.Member, nil); return err },
		func() error { _, _, err := a.Invite("work", 1, 0, group.Member, nil); return err },
		func() error { _, _, err := a.Invite("work", 1, 1000*time.Hour*24, group.Member, nil); return err },
	} {
		if err := f(); !errors.Is(err, ErrArgument) {
			t.Errorf("%v", err)
		}
	}
	for i := 3; i < MaxGroups; i++ {
		a.create("more")
	}
	if _, err := a.Create("one too many"); !errors.Is(err, ErrMany) {
		t.Errorf("%v", err)
	}
	a.stop()
	if _, err := a.Create("late"); !errors.Is(err, ErrClosed) {
		t.Errorf("%v", err)
	}
}

// Who watches and does not read is cut off, and holds up nobody.
func TestSlowWatcher(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a := w.add(0)
		events, end := a.Watch()
		defer end()
		a.do(func() {
			for range maxEvents + 1 {
				a.tell(Event{Kind: Trouble})
			}
		})
		n := 0
		for range events {
			n++
		}
		if n != maxEvents {
			t.Errorf("%d events", n)
		}
	})
}
