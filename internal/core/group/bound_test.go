package group

import (
	"bytes"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// forge makes and adds an entry as a program with other rules of its own would.
func forge(t testing.TB, l *Log, by int, e Entry) error {
	t.Helper()
	e.Group = l.ID()
	raw, err := e.seal(key(by))
	if err != nil {
		t.Fatal(err)
	}
	_, err = l.Add(raw)
	return err
}

func TestListIsBounded(t *testing.T) {
	l := found(t)
	for l.Len() < MaxEntries-removalRoom {
		admit(t, l, 0, 1, Rights(1+l.Len()%2))
	}
	if _, err := l.Admit(key(0), node(2), "x", Member, 0); !errors.Is(err, ErrFull) {
		t.Errorf("an admission takes the room of removals: %v", err)
	}
	remove(t, l, 0, 1)
	has(t, l, "0*")
	for l.Len() < MaxEntries {
		if err := forge(t, l, 0, Entry{Kind: Admit, Node: node(1), Name: "x", Rights: Member, Parents: l.Heads()}); err != nil {
			t.Fatal(err)
		}
	}
	if err := forge(t, l, 0, Entry{Kind: Admit, Node: node(1), Name: "x", Rights: Member, Parents: l.Heads()}); !errors.Is(err, ErrFull) {
		t.Errorf("one more than fits: %v", err)
	}
}

// Lists that an admin makes to be dear to judge: all about itself, in a line, side by side
// or one after the other. Judged by looking at each pair these took minutes.
func TestDearLists(t *testing.T) {
	for _, shape := range []string{"line", "wide", "fan"} {
		l := found(t)
		admit(t, l, 0, 1, Admin)
		base := l.Heads()
		for i := l.Len(); i < MaxEntries; i++ {
			e := Entry{Kind: Admit, Node: node(1), Name: "x", Rights: Admin, Parents: base, Time: int64(i)}
			if shape == "line" || shape == "fan" && i > MaxEntries/2 {
				e.Parents = l.Heads()[:min(len(l.Heads()), maxParents)]
			}
			if err := forge(t, l, 1, e); err != nil {
				t.Fatal(err)
			}
		}
		has(t, l, "0* 1*")
	}
}

// A whole list fits into one frame of 1 MiB, whatever its entries are.
func TestWholeListFits(t *testing.T) {
	e := Entry{Kind: Admit, Group: ID{1}, Node: node(1), Name: strings.Repeat("x", MaxName), Rights: Member, Time: maxTime}
	for i := range maxParents {
		e.Parents = append(e.Parents, Hash{byte(i)})
	}
	raw, err := e.seal(key(0))
	if err != nil || len(raw) > maxEntry || MaxEntries*(len("960:")+maxEntry) > 1<<20 {
		t.Errorf("%d bytes, %v", len(raw), err)
	}
}

func TestClone(t *testing.T) {
	g, tk := issue(t, 2, Member)
	c := g.Clone()
	if err := redeem(c, tk, 1, 200); err != nil {
		t.Fatal(err)
	}
	has(t, g.Log, "0*")
	has(t, c.Log, "0* 1")
	before := string(c.File())
	if err := redeem(g, tk, 2, 200); err != nil {
		t.Fatal(err)
	}
	if err := redeem(g, tk, 3, 200); err != nil {
		t.Fatal(err)
	}
	if string(c.File()) != before {
		t.Error("a copy changes with what it is a copy of")
	}
}

func TestLeft(t *testing.T) {
	l := found(t)
	admit(t, l, 0, 1, Member)
	admit(t, l, 0, 2, Member)
	remove(t, l, 1, 1)
	remove(t, l, 0, 2)
	for who, want := range []bool{false, true, false, false} {
		if l.Left(node(who)) != want {
			t.Errorf("node %d left: %v", who, !want)
		}
	}
	admit(t, l, 0, 1, Member)
	if l.Left(node(1)) {
		t.Error("who came back has left")
	}
	remove(t, l, 0, 1)
	if l.Left(node(1)) {
		t.Error("who was removed has left")
	}
}

func TestContact(t *testing.T) {
	c := Contact{Group: ID{1}, Node: node(1), Time: 5}
	for i := range MaxAddrs {
		a := netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})
		if i%2 == 0 {
			a = netip.AddrFrom16([16]byte{0xfd, 15: byte(i)})
		}
		c.Addrs = append(c.Addrs, Address{At: netip.AddrPortFrom(a, 7463), Via: node(i)})
	}
	raw := c.Seal(key(1))
	got, err := ParseContact(raw)
	if err != nil || got.Node != c.Node || got.Group != c.Group || got.Time != 5 || !slices.Equal(got.Addrs, c.Addrs) {
		t.Fatalf("%+v, %v", got, err)
	}
	if len(raw) > MaxContact {
		t.Errorf("%d bytes", len(raw))
	}
	for i := range raw {
		bad := bytes.Clone(raw)
		bad[i] ^= 1
		if _, err := ParseContact(bad); err == nil {
			t.Fatalf("byte %d changed: read", i)
		}
		if _, err := ParseContact(raw[:i]); err == nil {
			t.Fatalf("cut to %d: read", i)
		}
	}
	if _, err := ParseAddrs(AppendAddrs(AppendAddrs(nil, c.Addrs), c.Addrs[:1])); err == nil {
		t.Error("too many addresses: read")
	}
}

func FuzzContact(f *testing.F) {
	c := Contact{Group: ID{1}, Node: node(1), Time: 5, Addrs: []Address{{At: netip.MustParseAddrPort("10.0.0.1:7463")}}}
	f.Add(c.payload())
	f.Fuzz(func(t *testing.T, payload []byte) {
		env := key(1).Seal(contactDomain, payload)
		raw := env.Append(nil)
		if c, err := ParseContact(raw); err == nil && !bytes.Equal(c.Seal(key(1)), raw) {
			t.Errorf("%q is written as %q", payload, c.payload())
		}
	})
}
