package doctor

import (
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"shoal/internal/door/api"
)

var (
	addr    = netip.MustParseAddrPort("203.0.113.5:7463")
	shared  = netip.MustParseAddrPort("100.72.1.2:7463")
	ip6     = netip.MustParseAddr("2001:db8::7")
	someday = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
)

// healthy is a node with which nothing is wrong.
func healthy() Facts {
	return Facts{
		Scope:   "internet",
		Key:     Key{Path: "/home/node.key", Mode: 0o600},
		Clock:   Clock{Now: someday, Offsets: []time.Duration{time.Second, -2 * time.Second, 3 * time.Hour}},
		Disk:    Disk{Dir: "/home", Write: 500e6, Read: 900e6, Free: 100e9, Total: 500e9, Reserve: 25e9},
		Files:   Files{Limit: 1024, Open: 40, Want: 500},
		Port:    Port{Wanted: 7463, Got: 7463},
		UDP:     UDP{Asked: 100, Answered: 80},
		IPv6:    IPv6{Addrs: []netip.Addr{ip6}, Listening: true, Answered: true},
		Reach:   Reach{Open: api.OpenYes, At: []netip.AddrPort{addr}},
		Mapping: Mapping{Enabled: true, Mapped: []netip.AddrPort{addr}, By: "upnp"},
		DHT:     DHT{Enabled: true, Nodes: 400, Size: 8_100_000, Asked: 90, Answers: 70},
		LAN:     LAN{Enabled: true, Links: 2, Found: 1},
		Members: Members{Groups: 1, Total: 3, Online: 2},
		Relays:  Relays{Budget: 10e9, Used: 1e9},
	}
}

// TestEachVerdict: each check comes to each of its verdicts, and says why.
func TestEachVerdict(t *testing.T) {
	const okay, warned, bad, left = api.VerdictOK, api.VerdictWarn, api.VerdictBad, api.VerdictSkipped
	closed := func(f *Facts) {
		f.Reach, f.Mapping = Reach{Open: api.OpenNo, NotAt: []netip.AddrPort{addr}}, Mapping{Enabled: true}
	}
	unknown := func(f *Facts) { f.Reach, f.Mapping = Reach{Open: api.OpenUnknown}, Mapping{Enabled: true} }
	for _, tc := range []struct {
		check string
		want  api.Verdict
		say   string // in any of the texts
		wrong func(*Facts)
	}{
		{"node", okay, "runs", func(f *Facts) {}},
		{"node", bad, "chmod", func(f *Facts) {
			f.Failed = api.Errorf(api.Refused, "/home/node.key", "the key is open to others").Try("run chmod 600 on it")
		}},
		{"node", bad, "mend that", func(f *Facts) { f.Failed = api.Errorf(api.Internal, "", "a \x1b defect") }},
		{"node", warned, "shoal up", func(f *Facts) { f.Offline = true }},
		{"key", okay, "nobody else", func(f *Facts) {}},
		{"key", okay, "made when", func(f *Facts) { f.Key.Missing = true }},
		{"key", bad, "chmod 600 /home/node.key", func(f *Facts) { f.Key.Mode = 0o640 }},
		{"key", bad, "permission denied", func(f *Facts) { f.Key.Err = "permission denied" }},
		{"key", bad, "copy", func(f *Facts) { f.Key.Damaged = true }},
		{"clock", okay, "agrees", func(f *Facts) {}},
		{"clock", okay, "nobody to compare", func(f *Facts) { f.Clock.Offsets = nil }},
		{"clock", okay, "another node", func(f *Facts) { f.Clock.Offsets = []time.Duration{time.Minute} }},
		{"clock", warned, "5 min behind that of another", func(f *Facts) { f.Clock.Offsets = []time.Duration{5 * time.Minute} }},
		{"clock", bad, "3 h 2 min ahead of that of 3 other", func(f *Facts) {
			f.Clock.Offsets = []time.Duration{-3*time.Hour - 2*time.Minute, -182 * time.Minute, 0}
		}},
		{"clock", bad, "1970-01-01", func(f *Facts) { f.Clock.Now = time.Unix(0, 0) }},
		{"clock", bad, "2099", func(f *Facts) { f.Clock.Now = time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC) }},
		{"clock", warned, "2 d later", func(f *Facts) { f.Clock.Offsets, f.Clock.Latest = nil, someday.Add(48*time.Hour) }},
		{"disk", okay, "500 MB/s", func(f *Facts) {}},
		{"disk", bad, "read-only", func(f *Facts) { f.Disk.Err = "read-only file system" }},
		{"disk", warned, "3.00 MB/s", func(f *Facts) { f.Disk.Write = 3e6 }},
		{"disk", warned, "reads 3.00 MB/s", func(f *Facts) { f.Disk.Read = 3e6 }},
		{"disk", okay, "writes", func(f *Facts) { f.Disk.Read = 0 }},
		{"disk", left, "not measured", func(f *Facts) { f.Disk.Write = 0 }},
		{"reserve", okay, "100 GB", func(f *Facts) {}},
		{"reserve", bad, "make room", func(f *Facts) { f.Disk.Free = 20e9 }},
		{"reserve", warned, "1.00 GB can be fetched", func(f *Facts) { f.Disk.Free = 26e9 }},
		{"reserve", left, "does not tell", func(f *Facts) { f.Disk.Total = 0 }},
		{"files", okay, "1024", func(f *Facts) {}},
		{"files", warned, "ulimit -n 500", func(f *Facts) { f.Files.Limit = 256 }},
		{"files", bad, "fail", func(f *Facts) { f.Files.Limit = 64 }},
		{"files", bad, "fail", func(f *Facts) { f.Files.Open = 1000 }},
		{"files", left, "does not tell", func(f *Facts) { f.Files.Limit = 0 }},
		{"port", okay, "7463, TCP and UDP", func(f *Facts) {}},
		{"port", okay, "each start", func(f *Facts) { f.Port.Wanted = 0 }},
		{"port", warned, "taken by process 12 (other), so this node uses 4000", func(f *Facts) { f.Port.Got, f.Port.Holder = 4000, "process 12 (other)" }},
		{"port", warned, "another program", func(f *Facts) { f.Port.Got = 4000 }},
		{"port", bad, "no port", func(f *Facts) { f.Port.Got = 0 }},
		{"port", left, "no node", func(f *Facts) { f.Offline = true }},
		{"udp", okay, "80 of 100", func(f *Facts) {}},
		{"udp", bad, "allow UDP port 7463", func(f *Facts) { f.UDP.Answered = 0 }},
		{"udp", bad, "in use", func(f *Facts) { f.UDP.Closed = "in use" }},
		{"udp", okay, "1 member connected", func(f *Facts) { f.UDP = UDP{Asked: 20, Members: 1} }},
		{"udp", left, "nobody was asked", func(f *Facts) { f.UDP = UDP{} }},
		{"ipv6", okay, "others answer", func(f *Facts) {}},
		{"ipv6", okay, "nobody has answered", func(f *Facts) { f.IPv6.Answered = false }},
		{"ipv6", okay, "IPv4 does", func(f *Facts) { f.IPv6 = IPv6{} }},
		{"ipv6", warned, "turn IPv6 on", func(f *Facts) { closed(f); f.IPv6 = IPv6{} }},
		{"ipv6", warned, "does not listen", func(f *Facts) { f.IPv6.Listening = false }},
		{"ipv6", left, "scope lan", func(f *Facts) { f.Scope = "lan" }},
		{"reach", okay, "others reach this node at 203.0.113.5:7463", func(f *Facts) {}},
		{"reach", okay, "others reach this node; ", func(f *Facts) { f.Reach.At = nil }},
		{"reach", bad, "open TCP and UDP port 7463", closed},
		{"reach", warned, "UPnP", func(f *Facts) { closed(f); f.Relays.Places = []string{"bea"} }},
		{"reach", warned, "map_port = true", func(f *Facts) { closed(f); f.Members = Members{}; f.Mapping.Enabled = false }},
		{"reach", bad, "firewall of this machine", func(f *Facts) { closed(f); f.Mapping.Mapped = []netip.AddrPort{addr} }},
		{"reach", bad, "ask your provider", func(f *Facts) { closed(f); f.Mapping.Mapped = []netip.AddrPort{shared} }},
		{"reach", bad, "network.external", func(f *Facts) { closed(f); f.Reach.External = []netip.AddrPort{addr} }},
		{"reach", warned, "behind a router", unknown},
		{"reach", okay, "as the configuration says", func(f *Facts) { unknown(f); f.Reach.External = []netip.AddrPort{addr} }},
		{"reach", okay, "public address", func(f *Facts) { unknown(f); f.Reach.Public = []netip.Addr{addr.Addr()} }},
		{"reach", warned, "over IPv4 this machine is behind a router", func(f *Facts) { unknown(f); f.Reach.Public = []netip.Addr{ip6} }},
		{"reach", okay, "nobody has tested that", func(f *Facts) { unknown(f); f.Mapping.Mapped = []netip.AddrPort{addr} }},
		{"reach", left, "scope loopback", func(f *Facts) { f.Scope = "loopback" }},
		{"mapping", okay, "(UPnP)", func(f *Facts) {}},
		{"mapping", okay, "none is needed", func(f *Facts) { f.Mapping = Mapping{} }},
		{"mapping", okay, "not needed", func(f *Facts) { f.Reach.Public = []netip.Addr{ip6, addr.Addr()} }},
		{"mapping", warned, "no router", func(f *Facts) { unknown(f); f.Reach.Public = []netip.Addr{ip6} }},
		{"mapping", warned, "did not map", func(f *Facts) { unknown(f); f.Mapping.Router = true }},
		{"mapping", warned, "another router", func(f *Facts) { f.Mapping.Mapped = []netip.AddrPort{shared} }},
		{"mapping", warned, "no router answered", unknown},
		{"mapping", warned, "switched off", func(f *Facts) { unknown(f); f.Mapping.Enabled = false }},
		{"mapping", left, "scope lan", func(f *Facts) { f.Scope = "lan" }},
		{"dht", okay, "400 nodes, of a network of about 8.1 million", func(f *Facts) {}},
		{"dht", okay, "400 nodes", func(f *Facts) { f.DHT.Size = 0 }},
		{"dht", bad, "no node has answered (90 questions)", func(f *Facts) { f.DHT.Nodes, f.DHT.Answers = 0, 0 }},
		{"dht", bad, "nobody was asked", func(f *Facts) { f.DHT.Nodes, f.DHT.Answers, f.DHT.Asked = 0, 0, 0 }},
		{"dht", warned, "only 1 node", func(f *Facts) { f.DHT.Nodes = 1 }},
		{"dht", warned, "about 300", func(f *Facts) { f.DHT.Size = 300 }},
		{"dht", left, "switched off", func(f *Facts) { f.DHT.Enabled = false }},
		{"dht", left, "scope lan", func(f *Facts) { f.Scope = "lan" }},
		{"lan", okay, "1 found", func(f *Facts) {}},
		{"lan", okay, "1 interface; nobody", func(f *Facts) { f.LAN.Links, f.LAN.Found = 1, 0 }},
		{"lan", warned, "5353", func(f *Facts) { f.LAN.Err = "no route" }},
		{"lan", warned, "no network interface", func(f *Facts) { f.LAN.Links = 0 }},
		{"lan", left, "switched off", func(f *Facts) { f.LAN.Enabled = false }},
		{"lan", left, "scope loopback", func(f *Facts) { f.Scope = "loopback" }},
		{"members", okay, "2 of 3 connected, all directly", func(f *Facts) {}},
		{"members", okay, "alone", func(f *Facts) { f.Members.Total = 0 }},
		{"members", warned, "0 of 3 connected", func(f *Facts) { f.Members.Online = 0 }},
		{"members", warned, "theirs are not", func(f *Facts) { f.Members.Relayed = 1 }},
		{"members", warned, "open TCP and UDP port", func(f *Facts) { unknown(f); f.Members.Relayed = 1 }},
		{"members", warned, "a port of its own", func(f *Facts) {
			f.Members.Relayed, f.Reach.Seen = 1, []netip.AddrPort{addr, netip.AddrPortFrom(addr.Addr(), 1)}
		}},
		{"members", warned, "bea does not take", func(f *Facts) { f.Members.Refuse = []string{"bea"} }},
		{"members", left, "no group", func(f *Facts) { f.Members = Members{} }},
		{"relays", okay, "1.00 GB of 10.0 GB", func(f *Facts) {}},
		{"relays", okay, "relays nothing", func(f *Facts) { f.Relays.Budget = 0 }},
		{"relays", okay, "through bea", func(f *Facts) { closed(f); f.Relays.Places = []string{"bea"} }},
		{"relays", warned, "until tomorrow", func(f *Facts) { f.Relays.Used = 10e9 }},
		{"relays", warned, "no member relays", unknown},
		{"relays", bad, "bea: full", func(f *Facts) { closed(f); f.Relays.Refused = []string{"bea: full"} }},
		{"relays", left, "no other members", func(f *Facts) { f.Members = Members{} }},
		{"relays", left, "no member is connected", func(f *Facts) { closed(f); f.Members.Online = 0 }},
		{"shares", okay, "none", func(f *Facts) {}},
		{"shares", bad, "a: no space (and 1 more)", func(f *Facts) { f.Shares = []string{"a: no space", "b: gone"} }},
		{"shares", warned, "a: gone", func(f *Facts) { f.Changed = []string{"a: gone"} }},
		{"shares", left, "no node", func(f *Facts) { f.Failed = api.Errorf(api.Internal, "", "x") }},
	} {
		f := healthy()
		tc.wrong(&f)
		got := finding(t, Judge(f), tc.check)
		text := got.What + "; " + got.Means + "; " + got.Do
		if got.Verdict != tc.want || !strings.Contains(text, tc.say) {
			t.Errorf("%s: %s, %s; want %s, %q", tc.check, got.Verdict, text, tc.want, tc.say)
		}
		if wrong := got.Verdict == warned || got.Verdict == bad; wrong != (got.Means != "") || wrong != (got.Do != "") {
			t.Errorf("%s %s: what it means and what to do belong to what is wrong, and to that alone: %+v", tc.check, tc.say, got)
		}
	}
}

func finding(t *testing.T, list []api.Finding, check string) api.Finding {
	t.Helper()
	for _, f := range list {
		if f.Check == check {
			return f
		}
	}
	t.Fatalf("no check %s", check)
	return api.Finding{}
}

// TestNothingKnown: facts that nobody gathered lead to one finding of each check as well, and
// to no claim that all is well with the network.
func TestNothingKnown(t *testing.T) {
	list := Judge(Facts{})
	seen := map[string]bool{}
	for _, f := range list {
		if seen[f.Check] || f.What == "" || f.Check == "" || strings.ContainsAny(f.What+f.Means+f.Do, "\n%!") {
			t.Errorf("%+v", f)
		}
		seen[f.Check] = true
	}
	healthyList := Judge(healthy())
	if len(list) != 16 || len(healthyList) != 16 {
		t.Errorf("%d and %d checks", len(list), len(healthyList))
	}
	for i := range list {
		if list[i].Check != healthyList[i].Check {
			t.Errorf("the order depends on the facts: %s, %s", list[i].Check, healthyList[i].Check)
		}
		if healthyList[i].Verdict != api.VerdictOK {
			t.Errorf("healthy: %+v", healthyList[i])
		}
	}
}

// TestPage: docs/formats/api.md names the checks, in their order.
func TestPage(t *testing.T) {
	page, err := os.ReadFile("../../../docs/formats/api.md")
	if err != nil {
		t.Fatal(err)
	}
	var words []string
	for _, f := range Judge(healthy()) {
		words = append(words, "`"+f.Check+"`")
	}
	if text := strings.Join(strings.Fields(string(page)), " "); !strings.Contains(text, strings.Join(words, ", ")+".") {
		t.Errorf("docs/formats/api.md does not have %s", strings.Join(words, ", "))
	}
}
