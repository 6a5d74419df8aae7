package locate

import (
	"net/netip"
	"testing"

	"shoal/internal/core/group"
	"shoal/internal/core/ident"
	"shoal/internal/core/swarm/candidates"
)

var (
	family   = group.ID{1}
	friend   = ident.NewKey([ident.SeedSize]byte{1}).ID().Addr()
	foe      = ident.NewKey([ident.SeedSize]byte{2}).ID().Addr()
	stranger = netip.MustParseAddrPort("198.51.100.7:6881")
)

func member(g group.ID, a netip.Addr) bool { return g == family && a == friend.Addr() }

var (
	public        = Audience{Member: member}
	privateShare  = Audience{Private: true, Member: member}
	familys       = Audience{Groups: []group.ID{{9}, family}, Member: member}
	privateFamily = Audience{Groups: []group.ID{family}, Private: true, Member: member}
	nobodys       = Audience{Groups: []group.ID{family}}
)

// way is a Kind.
type way bool

func (w way) Name() string              { return "way" }
func (w way) Source() candidates.Source { return candidates.FromDHT }
func (w way) Open() bool                { return bool(w) }

// TestPermits: strangers hear of public shares only, and of a private one nobody but its
// tracker (BEP 27) and the members of its groups.
func TestPermits(t *testing.T) {
	for _, c := range []struct {
		what         string
		who          *Audience
		open, closed bool
	}{
		{"public", &public, true, true},
		{"private", &privateShare, false, false},
		{"a group's", &familys, false, true},
		{"a group's, private", &privateFamily, false, true},
	} {
		if open, closed := c.who.Permits(way(true)), c.who.Permits(way(false)); open != c.open || closed != c.closed || c.who.Shouted() != c.open {
			t.Errorf("%s: open %t, closed %t", c.what, open, closed)
		}
	}
}

// TestSees: a group's share is there for its members, known by overlay addresses.
func TestSees(t *testing.T) {
	for _, c := range []struct {
		who                   *Audience
		friend, foe, stranger bool
	}{
		{&public, true, true, true},
		{&privateShare, true, true, true},
		{&familys, true, false, false},
		{&privateFamily, true, false, false},
		{&nobodys, false, false, false},
	} {
		if c.who.Sees(friend.Addr()) != c.friend || c.who.Sees(foe.Addr()) != c.foe || c.who.Sees(stranger.Addr()) != c.stranger ||
			c.who.Sees(netip.Addr{}) != c.stranger {
			t.Errorf("%+v", *c.who)
		}
	}
}

// TestTakes: which addresses are taken, by where they were learnt: a letter each for the
// sources in order (person, link, LAN, member, group, peer, tracker, PEX, DHT).
func TestTakes(t *testing.T) {
	for _, c := range []struct {
		what string
		who  *Audience
		addr netip.AddrPort
		want string
	}{
		{"public", &public, stranger, "yyyyyyyyy"},
		{"public over the overlay", &public, friend, "ynnyyynnn"},
		{"private", &privateShare, stranger, "yynnnnynn"},
		{"private over the overlay", &privateShare, friend, "ynnnnnnnn"},
		{"a group's", &familys, stranger, "nnnnnnnnn"},
		{"a group's, of a member", &familys, friend, "yyyyyyyyy"},
		{"a group's, of none", &familys, foe, "nnnnnnnnn"},
		{"a group's, private, of a member", &privateFamily, friend, "yynyynynn"},
	} {
		got := ""
		for s := candidates.FromPerson; s <= candidates.FromDHT; s++ {
			if c.who.Takes(c.addr.Addr(), s) {
				got += "y"
			} else {
				got += "n"
			}
		}
		if got != c.want {
			t.Errorf("%s: %s, want %s", c.what, got, c.want)
		}
	}
}

// TestExchanges: overlay addresses are told in shares of groups alone, between members of one
// of these, so that nobody learns who else is in other groups; private ones tell nothing
// (BEP 27).
func TestExchanges(t *testing.T) {
	friends, other := group.ID{2}, ident.NewKey([ident.SeedSize]byte{3}).ID().Addr()
	two := Audience{Groups: []group.ID{family, friends}, Member: func(g group.ID, a netip.Addr) bool {
		return member(g, a) || g == friends && a == other.Addr()
	}}
	for _, c := range []struct {
		who         *Audience
		with, about netip.AddrPort
		want        bool
	}{
		{&public, stranger, stranger, true},
		{&public, friend, stranger, true},
		{&public, friend, foe, false},
		{&public, friend, friend, false},
		{&two, friend, other, false},
		{&two, other, friend, false},
		{&two, other, other, true},
		{&public, stranger, friend, false},
		{&familys, friend, friend, true},
		{&familys, friend, foe, false},
		{&familys, foe, friend, false},
		{&familys, friend, stranger, false},
		{&familys, stranger, friend, false},
		{&privateShare, stranger, stranger, false},
		{&privateFamily, friend, friend, false},
	} {
		if got := c.who.Exchanges(c.with.Addr(), c.about.Addr()); got != c.want {
			t.Errorf("%+v: %v about %v: %t", c.who.Groups, c.with, c.about, got)
		}
	}
}
