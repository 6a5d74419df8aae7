package group

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
)

func ticket() Ticket {
	return Ticket{Group: ID{1, 2, 3}, Inviter: node(1), Secret: [16]byte{9, 8, 7}, Expires: 1_800_000_000, Uses: 1, Name: "home", Addrs: []Address{
		{At: netip.MustParseAddrPort("11.0.0.1:7463")}, {At: netip.MustParseAddrPort("[2001:db8::1]:7463")},
		{At: netip.MustParseAddrPort("11.0.0.9:7463"), Via: node(2)}}}
}

func TestTicketText(t *testing.T) {
	tk := ticket()
	s := tk.String()
	if !strings.HasPrefix(s, "shoal:join/") || s != strings.ToLower(s) {
		t.Errorf("ticket %s", s)
	}
	for _, text := range []string{s, strings.ToUpper(s), "  " + s + "\n"} {
		got, err := ParseTicket(text)
		if err != nil || got.String() != s || got.Inviter != tk.Inviter || got.Secret != tk.Secret || len(got.Addrs) != 3 || got.Addrs[2] != tk.Addrs[2] {
			t.Errorf("%q is read as %+v, %v", text, got, err)
		}
	}
}

// Each byte flipped, and each cut, is refused with the one text.
func TestTicketFlipped(t *testing.T) {
	tk := ticket()
	b := tk.bytes()
	for i := range b {
		for bit := range 8 {
			b[i] ^= 1 << bit
			if _, err := parseTicket(b); !errors.Is(err, ErrTicket) {
				t.Fatalf("byte %d, bit %d: %v", i, bit, err)
			}
			b[i] ^= 1 << bit
		}
		if _, err := parseTicket(b[:i]); !errors.Is(err, ErrTicket) {
			t.Fatalf("cut to %d: %v", i, err)
		}
	}
	s := tk.String()
	for i := range s {
		for _, c := range []string{"", "0", "a", "b", "7", "=", "\n", " ", "ſ"} {
			bad := s[:i] + c + s[i+1:]
			if bad == s {
				continue
			}
			if got, err := ParseTicket(bad); !errors.Is(err, ErrTicket) && got.String() != s {
				t.Fatalf("%q: %+v, %v", bad, got, err)
			}
		}
	}
	for _, bad := range []string{"", "shoal:join/", "magnet:?xt=urn:btih:aa", strings.Repeat("a", 1<<20), s + "aa", s[:len(s)-1]} {
		if _, err := ParseTicket(bad); !errors.Is(err, ErrTicket) {
			t.Errorf("%.40q: %v", bad, err)
		}
	}
}

func TestProofIsForOneJoiner(t *testing.T) {
	tk := ticket()
	p := Proof(tk.Secret, tk.Group, tk.Inviter, node(3))
	for name, q := range map[string][32]byte{
		"another joiner":  Proof(tk.Secret, tk.Group, tk.Inviter, node(4)),
		"another inviter": Proof(tk.Secret, tk.Group, node(4), node(3)),
		"another group":   Proof(tk.Secret, ID{}, tk.Inviter, node(3)),
		"another secret":  Proof([16]byte{}, tk.Group, tk.Inviter, node(3)),
	} {
		if p == q {
			t.Errorf("%s has the same proof", name)
		}
	}
	if tk.Code(node(3)) == tk.Code(node(4)) {
		t.Error("two joiners have one code")
	}
	id := tk.ID()
	if strings.Contains(string(id[:]), string(tk.Secret[:3])) {
		t.Error("the ticket's name gives its secret away")
	}
}

func FuzzTicket(f *testing.F) {
	tk := ticket()
	f.Add(tk.String())
	f.Add(strings.ToUpper(tk.String()))
	f.Fuzz(func(t *testing.T, s string) {
		if tk, err := ParseTicket(s); err == nil && !strings.EqualFold(tk.String(), strings.TrimSpace(s)) {
			t.Errorf("%q is written as %q", s, tk.String())
		}
	})
}
