package group

import (
	"bytes"
	"errors"
	"slices"
	"testing"
)

// issue begins a group with one ticket of node 0.
func issue(t testing.TB, uses int, r Rights) (*Group, Issued) {
	t.Helper()
	g := New(found(t))
	tk := Issued{Secret: [16]byte{7}, Expires: 1000, Uses: uses, Rights: r}
	if err := g.Invite(node(0), tk, 100); err != nil {
		t.Fatal(err)
	}
	return g, tk
}

func redeem(g *Group, tk Issued, who int, now int64) error {
	return g.Redeem(key(0), IDOfSecret(tk.Secret), Proof(tk.Secret, g.ID(), node(0), node(who)), node(who), "laptop", now)
}

func TestRedeem(t *testing.T) {
	g, tk := issue(t, 1, Member)
	if len(g.Tickets(100)) != 1 {
		t.Error("the ticket is not listed")
	}
	if err := redeem(g, tk, 1, 200); err != nil {
		t.Fatal(err)
	}
	has(t, g.Log, "0* 1")
	if p, _ := g.Member(node(1)); p.Name != "laptop" || p.By != node(0) {
		t.Errorf("%+v", p)
	}
	if len(g.Tickets(200)) != 0 {
		t.Error("a ticket that is used up is listed")
	}
	// The answer was lost: the same node asks again.
	before := g.Len()
	if err := redeem(g, tk, 1, 210); err != nil || g.Len() != before {
		t.Errorf("the same again: %v, %d entries", err, g.Len()-before)
	}
	for who := 2; who < 50; who++ { // fifty racers, one winner
		if err := redeem(g, tk, who, 200); !errors.Is(err, ErrTicket) {
			t.Fatalf("racer %d: %v", who, err)
		}
	}
	has(t, g.Log, "0* 1")
}

func TestRedeemRefuses(t *testing.T) {
	g, tk := issue(t, 1, Admin)
	id, proof := IDOfSecret(tk.Secret), Proof(tk.Secret, g.ID(), node(0), node(1))
	for name, err := range map[string]error{
		"expired":          redeem(g, tk, 1, 1000),
		"another's proof":  g.Redeem(key(0), id, proof, node(2), "x", 200),
		"no proof":         g.Redeem(key(0), id, [32]byte{}, node(1), "x", 200),
		"unknown ticket":   g.Redeem(key(0), TicketID{}, proof, node(1), "x", 200),
		"a name with \\n":  g.Redeem(key(0), id, proof, node(1), "x\n", 200),
		"no name":          g.Redeem(key(0), id, proof, node(1), "", 200),
		"the wrong secret": redeem(g, Issued{Secret: [16]byte{8}}, 1, 200),
	} {
		if !errors.Is(err, ErrTicket) {
			t.Errorf("%s: %v", name, err)
		}
	}
	has(t, g.Log, "0*")
	if err := redeem(g, tk, 1, 200); err != nil {
		t.Errorf("after all that the ticket is worth nothing: %v", err)
	}
	has(t, g.Log, "0* 1*")
}

// Who was removed does not come back with the ticket that it used.
func TestRedeemAfterRemoval(t *testing.T) {
	g, tk := issue(t, 5, Member)
	if err := redeem(g, tk, 1, 200); err != nil {
		t.Fatal(err)
	}
	remove(t, g.Log, 0, 1)
	if err := redeem(g, tk, 1, 300); !errors.Is(err, ErrTicket) {
		t.Errorf("%v", err)
	}
	if err := redeem(g, tk, 2, 300); err != nil {
		t.Error(err)
	}
	has(t, g.Log, "0* 2")
}

// An inviter who is no admin any more lets nobody in.
func TestRedeemOfRemovedInviter(t *testing.T) {
	g, tk := issue(t, 5, Member)
	admit(t, g.Log, 0, 1, Admin)
	remove(t, g.Log, 1, 0)
	if err := redeem(g, tk, 2, 200); !errors.Is(err, ErrTicket) {
		t.Errorf("%v", err)
	}
}

func TestInviteRefuses(t *testing.T) {
	g := New(found(t))
	admit(t, g.Log, 0, 1, Member)
	good := Issued{Secret: [16]byte{7}, Expires: 1000, Uses: 1, Rights: Member}
	if err := g.Invite(node(1), good, 0); !errors.Is(err, ErrRights) {
		t.Errorf("a member invites: %v", err)
	}
	for _, uses := range []int{0, -1, MaxUses + 1} {
		bad := good
		bad.Uses = uses
		if err := g.Invite(node(0), bad, 0); err == nil {
			t.Errorf("%d uses", uses)
		}
	}
	for i := range MaxTickets {
		good.Secret[1] = byte(i)
		if err := g.Invite(node(0), good, 0); err != nil {
			t.Fatal(err)
		}
	}
	if err := g.Invite(node(0), good, 0); !errors.Is(err, ErrTickets) {
		t.Errorf("one ticket too many: %v", err)
	}
	if err := g.Invite(node(0), good, 1000); err != nil {
		t.Errorf("after the others expired: %v", err)
	}
}

func TestFile(t *testing.T) {
	g, tk := issue(t, 3, Admin)
	if err := redeem(g, tk, 1, 200); err != nil {
		t.Fatal(err)
	}
	b := g.File()
	got, err := ParseFile(b)
	if err != nil || !bytes.Equal(got.File(), b) || !slices.Equal(got.Members(), g.Members()) || len(got.Tickets(200)) != 1 {
		t.Fatalf("%v, %v", got, err)
	}
	for i := range b {
		if _, err := ParseFile(b[:i]); err == nil {
			t.Fatalf("cut to %d bytes: read", i)
		}
		bad := bytes.Clone(b)
		bad[i] ^= 1
		if _, err := ParseFile(bad); err == nil && i < bytes.Index(b, []byte("e1:tl")) {
			t.Fatalf("byte %d of the member list changed: read", i)
		}
	}
}

func FuzzFile(f *testing.F) {
	g, _ := issue(f, 3, Admin)
	f.Add(g.File())
	f.Fuzz(func(t *testing.T, b []byte) {
		g, err := ParseFile(b)
		if err != nil {
			return
		}
		again, err := ParseFile(g.File())
		if err != nil || !bytes.Equal(again.File(), g.File()) {
			t.Errorf("%q: %v", b, err)
		}
	})
}
