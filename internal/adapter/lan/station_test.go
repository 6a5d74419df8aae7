package lan

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// cable joins stations: what one sends, all hear, itself among them, at once. Time is
// virtual.
type cable struct {
	now  time.Time
	ends []*end
	lose func(n int, p packet) bool // the nth packet of all
	n    int
}

// end is a station on the cable, from a moment on.
type end struct {
	s     *station
	link  link
	on    time.Time
	begun bool
	log   []packet
	times []time.Time // of log
	found []Found
	first map[string]time.Duration // "share" and "node" of an address, after its end and ours were on
}

// own tells whether an address is one of the interface's own.
func (l link) own(a netip.Addr) bool {
	for _, p := range l.addrs[familyOf(a)] {
		if p.Addr() == a.WithZone("") {
			return true
		}
	}
	return false
}

var zero = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// newCable makes stations that begin after so long each, dual-stack or not.
func newCable(seed uint64, dual bool, starts ...time.Duration) *cable {
	c := &cable{now: zero}
	for i, after := range starts {
		rng := rand.New(rand.NewPCG(seed, uint64(i)))
		e := &end{s: newStation(7463, rng), on: zero.Add(after), first: map[string]time.Duration{}}
		e.s.retag(zero, []Tag{tag(i + 1)})
		e.link = link{index: 2, name: "eth0"}
		e.link.addrs[v4] = []netip.Prefix{netip.MustParsePrefix(fmt.Sprintf("10.0.0.%d/24", i+1))}
		if dual {
			e.link.addrs[v6] = []netip.Prefix{netip.MustParsePrefix(fmt.Sprintf("fd00::%d/64", i+1)), netip.MustParsePrefix(fmt.Sprintf("fe80::%d/64", i+1))}
		}
		c.ends = append(c.ends, e)
	}
	return c
}

// tag is that of the nth node.
func tag(n int) Tag { return Tag{0: byte(n), 7: 1} }

func (f Found) equal(o Found) bool {
	return f.Addr == o.Addr && f.InfoHash == o.InfoHash && slices.Equal(f.Tags, o.Tags)
}

// run lets the time pass.
func (c *cable) run(d time.Duration) {
	until := c.now.Add(d)
	for steps := 0; steps < 1_000_000; steps++ {
		at := until
		for _, e := range c.ends {
			if !e.begun {
				at = earlier(at, later(e.on, c.now))
			} else if w := e.s.nextWake(c.now); !w.IsZero() {
				at = earlier(at, later(w, c.now))
			}
		}
		c.now = at
		if !at.Before(until) {
			return
		}
		for _, e := range c.ends {
			if !e.begun && !e.on.After(c.now) {
				e.begun = true
				e.s.relink(c.now, []link{e.link})
			}
			if e.begun {
				c.deliver(e)
			}
		}
	}
	panic("a station never rests")
}

// deliver takes what a station sends to all.
func (c *cable) deliver(e *end) {
	for _, p := range e.s.send(c.now) {
		e.log, e.times = append(e.log, p), append(e.times, c.now)
		c.n++
		if c.lose != nil && c.lose(c.n, p) {
			continue
		}
		for _, o := range c.ends {
			if !o.begun {
				continue
			}
			got, _ := o.s.receive(c.now, packet{p.channel, o.link.index, p.addr, p.bytes})
			for _, f := range got {
				o.note(c, f)
			}
		}
	}
}

// note keeps a find and when it was first made.
func (e *end) note(c *cable, f Found) {
	e.found = append(e.found, f)
	for _, o := range c.ends {
		if !o.link.own(f.Addr.Addr()) {
			continue
		}
		what := "share " + o.link.addrs[v4][0].Addr().String()
		if f.Tags != nil {
			what = "node " + o.link.addrs[v4][0].Addr().String()
		}
		if _, ok := e.first[what]; !ok {
			e.first[what] = c.now.Sub(later(e.on, o.on))
		}
	}
}

// announces lists when a station announced a share in a family.
func (e *end) announces(t *testing.T, f family, h hash) (at []time.Time) {
	t.Helper()
	for i, p := range e.log {
		if p.channel != (channel{lsd, f}) {
			continue
		}
		m, err := parseLSD(p.bytes)
		if err != nil || len(p.bytes) > maxLSD {
			t.Fatalf("sent %q: %v", p.bytes, err)
		}
		if slices.Contains(m.Hashes, h) {
			at = append(at, e.times[i])
		}
	}
	return at
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// Whenever the second and the third start, all find each other by both ways within two
// seconds; also where the network has only one family.
func TestAllFindEachOther(t *testing.T) {
	for _, dual := range []bool{false, true} {
		for seed := range uint64(200) {
			after := time.Duration(seed*seed%977) * 10 * time.Millisecond
			c := newCable(seed, dual, 0, after, after+time.Duration(seed%40)*100*time.Millisecond)
			for _, e := range c.ends {
				e.s.announce(zero, []hash{hashA})
			}
			c.run(20 * time.Second)
			for i, e := range c.ends {
				for j := range c.ends {
					for _, what := range []string{"share", "node"} {
						took, ok := e.first[fmt.Sprintf("%s 10.0.0.%d", what, j+1)]
						if i != j && (!ok || took > 2*time.Second) || i == j && ok {
							t.Fatalf("dual %v, start %v: %d finds the %s of %d: %v after %v", dual, after, i, what, j, ok, took)
						}
					}
				}
			}
		}
	}
}

func TestBEP14_OncePerFiveMinutes(t *testing.T) {
	c := newCable(1, true, 0)
	e := c.ends[0]
	e.s.announce(zero, []hash{hashA, hashB})
	c.run(time.Hour)
	for _, f := range []family{v4, v6} {
		at := e.announces(t, f, hashA)
		if len(at) < 2 || at[1].Sub(at[0]) > 4*time.Second {
			t.Fatalf("no quick repeat: %v", at)
		}
		for i := 2; i < len(at); i++ {
			if gap := at[i].Sub(at[i-1]); gap < announceGap || gap > announceGap+2*roundEvery {
				t.Errorf("gap of %v", gap)
			}
		}
		if len(at) < 10 || len(at) > 14 {
			t.Errorf("%d announces in an hour", len(at))
		}
	}
}

// No more than a message a second, and in the long run no more than the refill, however
// many shares and newcomers there are.
func TestBEP14_NoFlood(t *testing.T) {
	c := newCable(1, true, 0)
	e := c.ends[0]
	var shares []hash
	for i := range 10_000 {
		shares = append(shares, hash{byte(i), byte(i >> 8), 1})
	}
	e.s.announce(zero, shares)
	flood := rand.New(rand.NewPCG(7, 7))
	for range 600 {
		c.run(time.Second)
		for range 25 {
			m := lsdMessage{Family: v4, Port: 1 + uint16(flood.IntN(60_000)), Cookie: "x", Hashes: shares[flood.IntN(9_900):][:24]}
			from := netip.AddrFrom4([4]byte{10, 0, 0, byte(flood.IntN(256))})
			e.s.receive(c.now, packet{channel{lsd, v4}, 2, from, appendLSD(nil, m)})
		}
	}
	var last time.Time
	n := 0
	for i, p := range e.log {
		if p.channel.protocol != lsd {
			continue
		}
		if n++; n > 1 && e.times[i].Sub(last) < messageGap {
			t.Fatalf("two messages within %v", e.times[i].Sub(last))
		}
		last = e.times[i]
	}
	if most := burst + int(10*time.Minute/refill) + 1; n > most || n < most/2 {
		t.Errorf("%d messages in ten minutes, at most %d are allowed", n, most)
	}
	if p := e.s.swarms.peers; len(p.entries) > maxPeers || len(p.ring) > maxPeers {
		t.Errorf("%d peers are remembered", len(p.entries))
	}
	if a := e.s.posts[0].turns[v4].answers; len(a) > maxAnswers {
		t.Errorf("%d answers are owed", len(a))
	}
}

// A newcomer is answered once within half a second, not at each of its announces, and
// again when it has begun anew.
func TestNewcomerIsAnsweredOnce(t *testing.T) {
	c := newCable(3, false, 0)
	e := c.ends[0]
	e.s.announce(zero, []hash{hashA})
	c.run(30 * time.Second)
	before := len(e.announces(t, v4, hashA))
	say := func(cookie string) {
		m := lsdMessage{Family: v4, Port: 99, Cookie: cookie, Hashes: []hash{hashB, hashA}}
		e.s.receive(c.now, packet{channel{lsd, v4}, 2, netip.MustParseAddr("10.0.0.9"), appendLSD(nil, m)})
	}
	for _, step := range []struct {
		cookie string
		more   int
	}{{"a", 1}, {"a", 0}, {"b", 1}, {"b", 0}} {
		say(step.cookie)
		said := c.now
		c.run(10 * time.Second)
		at := e.announces(t, v4, hashA)
		if len(at) != before+step.more {
			t.Errorf("cookie %s: %d answers, want %d", step.cookie, len(at)-before, step.more)
		} else if step.more > 0 && at[len(at)-1].Sub(said) > answerDelay {
			t.Errorf("answered after %v", at[len(at)-1].Sub(said))
		}
		before = len(at)
	}
}

func TestFoundIsToldOnceAMinute(t *testing.T) {
	c := newCable(3, false, 0)
	e := c.ends[0]
	e.s.announce(zero, []hash{hashA})
	c.run(time.Second)
	told := 0
	for range 120 {
		m := lsdMessage{Family: v4, Port: 99, Hashes: []hash{hashA, hashB}}
		got, ok := e.s.receive(c.now, packet{channel{lsd, v4}, 2, netip.MustParseAddr("10.0.0.9"), appendLSD(nil, m)})
		if !ok {
			t.Fatal("refused")
		}
		for _, f := range got {
			if told++; !f.equal(Found{Addr: netip.MustParseAddrPort("10.0.0.9:99"), InfoHash: hashA}) {
				t.Errorf("found %v", f)
			}
		}
		c.run(time.Second)
	}
	if told != 2 {
		t.Errorf("told %d times in two minutes", told)
	}
}

// A share that is no longer announced is not sent again, not even a repeat or an answer
// that was due.
func TestWithdrawnShareIsSilent(t *testing.T) {
	c := newCable(4, true, 0, 0)
	for _, e := range c.ends {
		e.s.announce(zero, []hash{hashA, hashB})
	}
	c.run(300 * time.Millisecond)
	e := c.ends[0]
	e.s.announce(c.now, []hash{hashB})
	n := len(e.announces(t, v4, hashA)) + len(e.announces(t, v6, hashA))
	c.run(time.Hour)
	if after := len(e.announces(t, v4, hashA)) + len(e.announces(t, v6, hashA)); after != n {
		t.Errorf("%d announces after it was withdrawn", after-n)
	}
	if len(e.announces(t, v4, hashB)) < 10 {
		t.Error("the other one is not announced any more")
	}
}

// With many shares the round reaches them all, a message a minute.
func TestBEP14_RoundRobin(t *testing.T) {
	c := newCable(5, false, 0)
	e := c.ends[0]
	var shares []hash
	for i := range 500 {
		shares = append(shares, hash{byte(i), byte(i >> 8), 1})
	}
	e.s.announce(zero, shares)
	c.run(20 * time.Minute)
	began := len(e.log)
	c.run(time.Hour)
	count := map[hash]int{}
	n := 0
	for i := began; i < len(e.log); i++ {
		if e.log[i].channel.protocol == lsd {
			n++
			m, _ := parseLSD(e.log[i].bytes)
			for _, h := range m.Hashes {
				count[h]++
			}
		}
	}
	if n > 61 || n < 58 {
		t.Errorf("%d messages in an hour", n)
	}
	for _, h := range shares {
		if count[h] < 2 || count[h] > 4 {
			t.Errorf("a share was announced %d times", count[h])
		}
	}
}

func TestWhoIsNotHeard(t *testing.T) {
	c := newCable(6, true, 0)
	e := c.ends[0]
	e.s.announce(zero, []hash{hashA})
	c.run(5 * time.Second)
	say := func(f family, link int, from string) bool {
		b := appendLSD(nil, lsdMessage{Family: f, Port: 99, Hashes: []hash{hashA}})
		got, _ := e.s.receive(c.now, packet{channel{lsd, f}, link, netip.MustParseAddr(from), b})
		return len(got) > 0
	}
	for _, x := range []struct {
		f    family
		link int
		from string
		want bool
	}{
		{v4, 2, "10.0.0.77", true}, {v4, 0, "10.0.0.78", true},
		{v4, 2, "10.0.1.77", false}, {v4, 2, "11.1.1.1", false}, {v4, 2, "127.0.0.1", false},
		{v4, 3, "10.0.0.79", false}, {v4, 1, "10.0.0.79", false},
		{v6, 2, "fe80::77%eth0", true}, {v6, 2, "fd00::77", true}, {v6, 2, "fd00:0:0:1::77", false}, {v6, 2, "2a00::1", false},
		{v6, 2, "10.0.0.80", false},
	} {
		if got := say(x.f, x.link, x.from); got != x.want {
			t.Errorf("%s by link %d is heard: %v", x.from, x.link, got)
		}
	}
}

// A link-local address is of use only with its interface.
func TestZone(t *testing.T) {
	c := newCable(7, true, 0, 0)
	for _, e := range c.ends {
		e.s.announce(zero, []hash{hashA})
	}
	c.run(5 * time.Second)
	for _, want := range []Found{
		{Addr: netip.MustParseAddrPort("[fe80::2%eth0]:7463"), InfoHash: hashA},
		{Addr: netip.MustParseAddrPort("[fe80::2%eth0]:7463"), Tags: []Tag{tag(2)}},
		{Addr: netip.MustParseAddrPort("10.0.0.2:7463"), InfoHash: hashA},
		{Addr: netip.MustParseAddrPort("10.0.0.2:7463"), Tags: []Tag{tag(2)}},
	} {
		if !slices.ContainsFunc(c.ends[0].found, want.equal) {
			t.Errorf("%v is not among %v", want, c.ends[0].found)
		}
	}
}

// A link that comes, or gets another address, is greeted; one that is as it was is not.
func TestLinksComeAndGo(t *testing.T) {
	c := newCable(8, false, 0)
	e := c.ends[0]
	e.s.announce(zero, []hash{hashA})
	c.run(time.Minute / 2)
	n := len(e.log)
	if begun, gone := e.s.relink(c.now, []link{e.link}); len(begun)+len(gone) > 0 {
		t.Errorf("%v began, %v went", begun, gone)
	}
	other := link{index: 3, name: "eth1"}
	other.addrs[v4] = []netip.Prefix{netip.MustParsePrefix("192.168.7.1/24")}
	if begun, gone := e.s.relink(c.now, []link{e.link, other}); len(begun) != 1 || len(gone) > 0 {
		t.Errorf("%v began, %v went", begun, gone)
	}
	c.run(5 * time.Second)
	if len(e.log) < n+4 {
		t.Errorf("%d packets on the new link", len(e.log)-n)
	}
	for _, p := range e.log[n:] {
		if p.channel.protocol == lsd && (p.link != 3 || p.addr.String() != "192.168.7.1") {
			t.Errorf("announced on link %d from %v", p.link, p.addr)
		}
	}
	n = len(e.log)
	other.addrs[v4] = []netip.Prefix{netip.MustParsePrefix("192.168.8.1/24")}
	if begun, gone := e.s.relink(c.now, []link{other}); len(begun) != 1 || len(gone) != 1 {
		t.Errorf("%v began, %v went", begun, gone)
	}
	c.run(5 * time.Second)
	if len(e.log) < n+4 || e.log[n].addr.String() != "192.168.8.1" {
		t.Errorf("the new address is not told: %v", e.log[n:])
	}
	e.s.relink(c.now, nil)
	n = len(e.log)
	c.run(time.Hour)
	if len(e.log) != n {
		t.Error("sent without a link")
	}
}

// Where the system refuses to send, it is tried again, ever more seldom, and the other
// family does not suffer.
func TestRefusedPacketsAreTriedAgain(t *testing.T) {
	s := newStation(7463, rand.New(rand.NewPCG(9, 9)))
	s.retag(zero, []Tag{tag(1)})
	l := newCable(9, true, 0).ends[0].link
	s.announce(zero, []hash{hashA})
	sent := map[channel]int{}
	refused := 0
	for now := zero; now.Before(zero.Add(time.Hour)); now = now.Add(100 * time.Millisecond) {
		s.relink(now, []link{l})
		for _, p := range s.send(now) {
			if p.channel.family == v6 {
				refused++
				s.refused(now, p)
				continue
			}
			sent[p.channel]++
		}
	}
	if refused < 20 || refused > 400 {
		t.Errorf("%d tries in an hour", refused)
	}
	if sent[channel{lsd, v4}] < 12 || sent[channel{lsd, v4}] > 15 || sent[channel{mdns, v4}] < 10 {
		t.Errorf("sent %v", sent)
	}
}
