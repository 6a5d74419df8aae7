package view

import (
	"strings"
	"testing"
	"time"

	"shoal/internal/door/api"
)

func TestReachText(t *testing.T) {
	at, bea := []string{"203.0.113.5:7463"}, []api.NodeRef{{NodeID: "12D3KooWbeabeabea", Name: "be\x1ba"}}
	for _, tc := range []struct {
		r     api.Reach
		scope string
		want  string
	}{
		{api.Reach{Open: api.OpenYes, Reachable: at}, "internet", "from outside at 203.0.113.5:7463"},
		{api.Reach{Open: api.OpenYes, Reachable: at, Mapped: at}, "internet", "from outside at 203.0.113.5:7463, mapped by the router"},
		{api.Reach{Open: api.OpenYes}, "internet", "from outside"},
		{api.Reach{Open: api.OpenNo, Unreachable: at}, "internet", "not from outside; `shoal doctor` says what to do"},
		{api.Reach{Open: api.OpenNo, Relays: bea}, "internet", `not from outside, but through be\x1ba (…eabeabea); ` + "`shoal doctor` says what to do"},
		{api.Reach{Open: api.OpenUnknown}, "internet", "nobody has tested yet whether from outside"},
		{api.Reach{Open: api.OpenUnknown, Seen: at, Relays: bea}, "internet", `nobody has tested yet whether from outside; seen at 203.0.113.5:7463; through be\x1ba (…eabeabea)`},
		{api.Reach{Open: api.OpenUnknown, Mapped: at}, "internet", "nobody has tested yet whether from outside, the router passes 203.0.113.5:7463 on"},
		{api.Reach{Open: api.OpenNo}, "loopback", "from this machine alone (scope loopback)"},
		{api.Reach{Open: api.OpenUnknown}, "lan", "from the local network alone (scope lan)"},
	} {
		if got := reachText(&tc.r, tc.scope); got != tc.want {
			t.Errorf("%+v: %s, want %s", tc.r, got, tc.want)
		}
	}
}

func TestDHTText(t *testing.T) {
	for _, tc := range []struct {
		d     api.DHTStatus
		scope string
		want  string
	}{
		{api.DHTStatus{}, "internet", "not used"},
		{api.DHTStatus{Enabled: true}, "internet", "no node is known yet"},
		{api.DHTStatus{Enabled: true}, "loopback", "no node is known in scope loopback"},
		{api.DHTStatus{Enabled: true, Nodes: 1}, "internet", "1 node, looking for more"},
		{api.DHTStatus{Enabled: true, Ready: true, Nodes: 30, Size: 45}, "internet", "30 nodes, of a network of about 45"},
		{api.DHTStatus{Enabled: true, Ready: true, Nodes: 300, Size: 8_123_456}, "internet", "300 nodes, of a network of about 8.1 million"},
	} {
		if got := dhtText(&tc.d, tc.scope); got != tc.want {
			t.Errorf("%+v: %s, want %s", tc.d, got, tc.want)
		}
	}
}

func TestReached(t *testing.T) {
	at := time.Date(2026, 11, 1, 12, 30, 0, 0, time.UTC)
	for _, tc := range []struct {
		c    api.Contact
		want string
	}{
		{api.Contact{Connected: true, How: api.HowTCP}, "direct, TCP"},
		{api.Contact{Connected: true, How: api.HowQUIC}, "direct, QUIC"},
		{api.Contact{Connected: true, How: "n\x1bew"}, `direct, N\X1BEW`},
		{api.Contact{Connected: true, How: api.HowRelay}, "relay"},
		{api.Contact{Connected: true, How: api.HowRelay, Relay: &api.NodeRef{NodeID: "12D3KooWbeabeabea"}}, "relay through …eabeabea"},
		{api.Contact{How: api.HowNone}, "offline"},
		{api.Contact{How: api.HowNone, Since: at}, "offline since 2026-11-01 12:30 UTC"},
	} {
		if got := Reached(tc.c); got != tc.want {
			t.Errorf("%+v: %s, want %s", tc.c, got, tc.want)
		}
	}
	for want, c := range map[string]api.Contact{
		"":                                {Do: "nothing"},
		"not connected: far; walk":        {Why: "far", Do: "walk"},
		`not direct: f\x1bar`:             {Connected: true, Why: "f\x1bar"},
		"not direct: narrow; widen it":    {Connected: true, How: api.HowRelay, Why: "narrow", Do: "widen it"},
		"not connected: no address known": {How: api.HowNone, Why: "no address known"},
	} {
		if got := WhyNot(c); got != want {
			t.Errorf("%+v: %s, want %s", c, got, want)
		}
	}
}

func TestAudience(t *testing.T) {
	home := api.GroupRef{ID: "0123456789abcdef", Name: "ho\x1bme", Members: 3}
	alone := api.GroupRef{ID: "0123456789abcdef", Name: "home", Members: 1}
	left := api.GroupRef{ID: "fedcba9876543210"}
	for want, list := range map[string][]api.GroupRef{
		`the 3 members of ho\x1bme`:                                           {home},
		"the members of home, so far this node alone":                         {alone},
		"the members of group fedcba987654, in which this node is no more":    {left},
		`the members of ho\x1bme (3) and home (1)`:                            {home, alone},
		`the members of ho\x1bme (3) and fedcba987654 (this node is no more)`: {home, left},
	} {
		if got := Audience(list); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestTrip(t *testing.T) {
	for s, want := range map[float64]string{0: "-", 0.0004: "0.4 ms", 0.0231: "23 ms", 1.5: "1500 ms", 12: "12s", -1: "-"} {
		if got := Trip(s); got != want {
			t.Errorf("%v: %s, want %s", s, got, want)
		}
	}
}

func TestState(t *testing.T) {
	for want, s := range map[string]api.Share{
		"downloading": {Origin: api.OriginGet, State: api.StateDownloading},
		"changed":     {Origin: api.OriginShare, State: api.StateDownloading},
		"seeding":     {Origin: api.OriginShare, State: api.StateSeeding},
		"changed ":    {Origin: api.OriginShare, State: api.StateSeeding, BytesDone: 1, BytesWanted: 2},
		"changed  ":   {Origin: api.OriginGet, State: api.StateSeeding, BytesDone: 1, BytesWanted: 2},
	} {
		if got := State(s); got != strings.TrimSpace(want) {
			t.Errorf("%s, want %s", got, want)
		}
	}
}
