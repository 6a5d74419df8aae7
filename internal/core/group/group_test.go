package group

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"shoal/internal/core/ident"
)

func key(n int) ident.Key {
	return ident.NewKey([ident.SeedSize]byte{byte(n), byte(n >> 8), 1})
}

func node(n int) ident.NodeID { return key(n).ID() }

// found begins a group of node 0.
func found(t testing.TB) *Log {
	t.Helper()
	raw, err := Begin(key(0), "home", [16]byte{1}, 100)
	if err != nil {
		t.Fatal(err)
	}
	l, err := NewLog(raw)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// copyOf is another node's copy of a list.
func copyOf(t testing.TB, l *Log) *Log {
	t.Helper()
	raws := l.Entries()
	c, err := NewLog(raws[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, raw := range raws[1:] {
		if _, err := c.Add(raw); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// admit and remove make an entry, add it and give it back.
func admit(t testing.TB, l *Log, by, who int, r Rights) []byte {
	t.Helper()
	raw, err := l.Admit(key(by), node(who), fmt.Sprintf("node %d", who), r, 200)
	return added(t, l, raw, err)
}

func remove(t testing.TB, l *Log, by, who int) []byte {
	t.Helper()
	raw, err := l.Remove(key(by), node(who), 300)
	return added(t, l, raw, err)
}

func added(t testing.TB, l *Log, raw []byte, err error) []byte {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if fresh, err := l.Add(raw); err != nil || !fresh {
		t.Fatalf("own entry: %v, %v", fresh, err)
	}
	return raw
}

// has fails unless the members are just these, in this order.
func has(t testing.TB, l *Log, want string) {
	t.Helper()
	var got []string
	for _, p := range l.Members() {
		n := -1
		for i := range 16 {
			if node(i) == p.Node {
				n = i
			}
		}
		s := fmt.Sprint(n)
		if p.Rights == Admin {
			s += "*"
		}
		got = append(got, s)
	}
	if s := strings.Join(got, " "); s != want {
		t.Errorf("members are %s, want %s", s, want)
	}
}

// merge gives each list what it lacks of the other, as two nodes do that meet.
func merge(t testing.TB, a, b *Log) {
	t.Helper()
	for _, x := range [2][2]*Log{{a, b}, {b, a}} {
		lacks, _ := x[0].Since(x[1].Heads())
		for _, raw := range lacks {
			if _, err := x[1].Add(raw); err != nil {
				t.Fatal(err)
			}
		}
	}
	if !slices.Equal(a.Heads(), b.Heads()) {
		t.Error("two lists that were merged have different heads")
	}
}

func TestFounderIsAdmin(t *testing.T) {
	l := found(t)
	has(t, l, "0*")
	if l.Name() != "home" || l.Founder() != node(0) || l.Len() != 1 {
		t.Errorf("%q of %v with %d entries", l.Name(), l.Founder(), l.Len())
	}
}

func TestAdmitAndRemove(t *testing.T) {
	l := found(t)
	admit(t, l, 0, 1, Member)
	admit(t, l, 0, 2, Admin)
	admit(t, l, 2, 3, Member)
	has(t, l, "0* 1 2* 3")
	p, ok := l.Member(node(3))
	if !ok || p.By != node(2) || p.Name != "node 3" || p.Rights != Member || p.Since != 200 {
		t.Errorf("member %+v", p)
	}
	remove(t, l, 0, 1)
	has(t, l, "0* 2* 3")
	if _, ok := l.Member(node(1)); ok {
		t.Error("who was removed is a member")
	}
	admit(t, l, 0, 1, Member) // whoever knows of the removal can admit again
	has(t, l, "0* 1 2* 3")
	remove(t, l, 3, 3) // leaves
	has(t, l, "0* 1 2*")
}

func TestOnlyAdminsMay(t *testing.T) {
	l := found(t)
	admit(t, l, 0, 1, Member)
	for name, f := range map[string]func() ([]byte, error){
		"a member admits":    func() ([]byte, error) { return l.Admit(key(1), node(5), "x", Member, 0) },
		"a member removes":   func() ([]byte, error) { return l.Remove(key(1), node(0), 0) },
		"a member rises":     func() ([]byte, error) { return l.Admit(key(1), node(1), "x", Admin, 0) },
		"a stranger admits":  func() ([]byte, error) { return l.Admit(key(9), node(9), "x", Member, 0) },
		"a stranger removes": func() ([]byte, error) { return l.Remove(key(9), node(9), 0) },
	} {
		if _, err := f(); !errors.Is(err, ErrRights) {
			t.Errorf("%s: made, %v", name, err)
		}
	}
	// Made all the same, by a program with other rules: no node takes it.
	e := Entry{Kind: Admit, Group: l.ID(), Node: node(5), Name: "x", Rights: Member, Parents: l.Heads()}
	raw, err := e.seal(key(1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Add(raw); !errors.Is(err, ErrRights) {
		t.Errorf("a member's admission: %v", err)
	}
	has(t, l, "0* 1")
}

func TestAddRefuses(t *testing.T) {
	l := found(t)
	raw := admit(t, l, 0, 1, Member)
	if fresh, err := l.Add(raw); fresh || err != nil {
		t.Errorf("the same entry again: %v, %v", fresh, err)
	}
	other, _ := Begin(key(0), "home", [16]byte{2}, 100)
	o, _ := NewLog(other)
	foreign := admit(t, o, 0, 1, Member)
	for name, raw := range map[string][]byte{"founding": l.Entries()[0][:len(l.Entries()[0])-1], "another founding": other, "another group": foreign, "nothing": nil,
		"too long": bytes.Repeat([]byte("x"), maxEntry+1)} {
		if fresh, err := l.Add(raw); fresh || err == nil {
			t.Errorf("%s: %v, %v", name, fresh, err)
		}
	}
	c, _ := NewLog(l.Entries()[0])
	second := admit(t, l, 0, 2, Member)
	if _, err := c.Add(second); !errors.Is(err, ErrParents) {
		t.Errorf("an entry before those it names: %v", err)
	}
	for i := range second {
		bad := bytes.Clone(second)
		bad[i] ^= 1
		if fresh, err := l.Add(bad); fresh || err == nil {
			t.Fatalf("byte %d changed: %v, %v", i, fresh, err)
		}
	}
}

func TestNotAFounding(t *testing.T) {
	l := found(t)
	raw := admit(t, l, 0, 1, Member)
	if _, err := NewLog(raw); err == nil {
		t.Error("an admission founds a group")
	}
	e := Entry{Kind: Found, Node: node(1), Name: "x", Nonce: make([]byte, 16)}
	raw, err := e.seal(key(2))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := NewLog(raw); err == nil {
		t.Error("one node founds a group for another")
	}
}

// Rule 2: who was removed cannot bring in others with an entry dated back.
func TestRemovedAdminCannotDateBack(t *testing.T) {
	l := found(t)
	admit(t, l, 0, 1, Admin)
	old := copyOf(t, l)
	remove(t, l, 0, 1)
	back := admit(t, old, 1, 7, Admin)
	later := admit(t, old, 7, 8, Member)
	for _, raw := range [][]byte{back, later} {
		if _, err := l.Add(raw); err != nil {
			t.Fatal(err)
		}
	}
	has(t, l, "0*")
	c := found(t)
	for _, raw := range append(old.Entries()[1:], l.Entries()[2]) {
		if _, err := c.Add(raw); err != nil {
			t.Fatal(err)
		}
	}
	has(t, c, "0*")
}

// Rule 3: two admins who remove each other at once. The senior stays.
func TestMutualRemoval(t *testing.T) {
	for _, order := range [][2]int{{1, 2}, {2, 1}} {
		l := found(t)
		admit(t, l, 0, order[0], Admin)
		admit(t, l, 0, order[1], Admin)
		c := copyOf(t, l)
		remove(t, l, 1, 2)
		remove(t, c, 2, 1)
		merge(t, l, c)
		has(t, l, fmt.Sprintf("0* %d*", order[0]))
		has(t, c, fmt.Sprintf("0* %d*", order[0]))
	}
}

// Nobody removes the founder against the founder's will at the same time.
func TestFounderIsSenior(t *testing.T) {
	l := found(t)
	admit(t, l, 0, 1, Admin)
	c := copyOf(t, l)
	remove(t, c, 1, 0)
	admit(t, c, 1, 2, Admin)
	remove(t, l, 0, 1)
	merge(t, l, c)
	has(t, l, "0*")
	has(t, c, "0*")
}

// What the other side did not know of the removal is struck, what came before it stays.
func TestRemovalStrikesOnlyWhatItDidNotKnow(t *testing.T) {
	l := found(t)
	admit(t, l, 0, 1, Admin)
	admit(t, l, 1, 2, Member)
	c := copyOf(t, l)
	admit(t, c, 1, 3, Member)
	remove(t, l, 0, 1)
	merge(t, l, c)
	has(t, l, "0* 2")
	has(t, c, "0* 2")
}

// An admission that counts only through a removed admin's backdated one takes its removal
// of an honest member down with it.
func TestBackdatedAdminCannotRemove(t *testing.T) {
	l := found(t)
	admit(t, l, 0, 1, Admin)
	admit(t, l, 0, 2, Admin)
	c := copyOf(t, l)
	admit(t, c, 1, 5, Admin) // dated back
	remove(t, c, 5, 2)
	remove(t, l, 0, 1)
	admit(t, l, 2, 3, Member)
	merge(t, l, c)
	has(t, l, "0* 2* 3")
	has(t, c, "0* 2* 3")
}

// Rule 4: of a removal and an admission of the same node at once, the removal counts.
func TestRemovingWins(t *testing.T) {
	l := found(t)
	admit(t, l, 0, 1, Admin)
	admit(t, l, 0, 2, Member)
	c := copyOf(t, l)
	remove(t, l, 0, 2)
	admit(t, c, 1, 2, Admin)
	merge(t, l, c)
	has(t, l, "0* 1*")
}

// Rule 5: of two changes of rights at once the fewer count.
func TestFewestRights(t *testing.T) {
	l := found(t)
	admit(t, l, 0, 1, Admin)
	admit(t, l, 0, 2, Member)
	c := copyOf(t, l)
	admit(t, l, 0, 2, Admin)
	admit(t, c, 1, 2, Member)
	merge(t, l, c)
	has(t, l, "0* 1* 2")
	admit(t, l, 0, 2, Admin)
	has(t, l, "0* 1* 2*")
}

func TestSince(t *testing.T) {
	l := found(t)
	c := copyOf(t, l)
	admit(t, l, 0, 1, Member)
	admit(t, l, 0, 2, Member)
	lacks, known := l.Since(c.Heads())
	if len(lacks) != 2 || !known {
		t.Errorf("%d entries, %v", len(lacks), known)
	}
	lacks, known = c.Since(l.Heads())
	if len(lacks) != 1 || known {
		t.Errorf("of a list that is ahead: %d entries, %v", len(lacks), known)
	}
	if lacks, known := l.Since(l.Heads()); len(lacks) != 0 || !known {
		t.Errorf("of itself: %d entries, %v", len(lacks), known)
	}
}

// Whatever several admins do without knowing of each other, and in whatever order the
// entries come: all who hold the same entries see the same members.
func TestSameMembersInAnyOrder(t *testing.T) {
	for seed := range uint64(80) {
		rng := rand.New(rand.NewPCG(seed, 1))
		logs := []*Log{found(t)}
		for range 3 {
			logs = append(logs, copyOf(t, logs[0]))
		}
		for range 25 {
			l := logs[rng.IntN(len(logs))]
			by, who := rng.IntN(6), rng.IntN(6)
			var raw []byte
			var err error
			switch rng.IntN(5) {
			case 0:
				raw, err = l.Remove(key(by), node(who), 0)
			case 1:
				merge(t, l, logs[rng.IntN(len(logs))])
				continue
			default:
				raw, err = l.Admit(key(by), node(who), "x", Rights(1+rng.IntN(2)), 0)
			}
			if err == nil {
				added(t, l, raw, nil)
			}
		}
		for _, l := range logs[1:] {
			merge(t, logs[0], l)
		}
		want := logs[0].Members()
		for range 3 {
			c := shuffled(t, logs[0], rng)
			if !slices.Equal(c.Members(), want) {
				t.Fatalf("seed %d: members %v in one order, %v in another", seed, want, c.Members())
			}
		}
	}
}

// shuffled adds the entries of a list in a random order that keeps parents first.
func shuffled(t *testing.T, l *Log, rng *rand.Rand) *Log {
	t.Helper()
	raws := l.Entries()
	c, err := NewLog(raws[0])
	if err != nil {
		t.Fatal(err)
	}
	for c.Len() < l.Len() {
		if _, err := c.Add(raws[rng.IntN(len(raws))]); err != nil && !errors.Is(err, ErrParents) && !errors.Is(err, ErrEntry) {
			t.Fatal(err)
		}
	}
	return c
}

func TestNameFits(t *testing.T) {
	for s, want := range map[string]bool{"home": true, "Küche 🏠": true, "": false, " a": false, "a\n": false, "a\x1bb": false, "a\u009bb": false,
		"\xff": false, strings.Repeat("a", 64): true, strings.Repeat("a", 65): false, "a\u2028b": false} {
		if NameFits(s) != want {
			t.Errorf("%q fits: %v", s, !want)
		}
	}
}

func FuzzEntry(f *testing.F) {
	l := found(f)
	admit(f, l, 0, 1, Admin)
	remove(f, l, 0, 1)
	for _, x := range l.items {
		f.Add(x.Payload())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if e, err := parseEntry(b); err == nil && !bytes.Equal(e.Payload(), b) {
			t.Errorf("%q is written as %q", b, e.Payload())
		}
	})
}
