package lan

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// unhex reads bytes that are written with blanks between them.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// text writes ASCII as hex digits.
func text(s string) string { return hex.EncodeToString([]byte(s)) }

// shoalName is "_shoal._udp.local." in bytes.
const shoalName = "06 5f73686f616c 04 5f756470 05 6c6f63616c 00"

func TestRFC6762_Query(t *testing.T) {
	want := unhex(t, "0000 0000 0001 0001 0000 0000"+shoalName+"000c 0001"+
		"c00c 000c 0001 00001194 0006 03"+text("abc")+"c00c")
	got, err := appendQuery(nil, []string{"abc." + serviceName})
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("got  %x\nwant %x (%v)", got, want, err)
	}
	m, err := parseMDNS(got)
	if err != nil || !reflect.DeepEqual(m, mdnsMessage{Service: true, Known: []string{"abc." + serviceName}}) {
		t.Errorf("read back as %+v, %v", m, err)
	}
}

func TestRFC6763_Answer(t *testing.T) {
	tags := []Tag{{1, 2, 3, 4, 5, 6, 7, 8}, {0xff, 0xef, 7: 0xfe}}
	want := unhex(t, "0000 8400 0000 0004 0000 0000"+
		shoalName+"000c 0001 00001194 0006 03"+text("abc")+"c00c"+
		"c029 0021 8001 00000078 0011 0000 0000 1d27 03"+text("abc")+"05"+text("local")+"00"+
		"c029 0010 8001 00000078 001c 1b"+text("tags=AQIDBAUGBwj_7wAAAAAA_g")+
		"03"+text("abc")+"c018 0001 8001 00000078 0004 0a000001")
	s := service{instance: "abc", tags: tags, port: 7463, addrs: []netip.Addr{netip.MustParseAddr("10.0.0.1")}}
	got, err := appendAnswer(nil, s, false, false)
	if err != nil || !bytes.Equal(got, want) {
		t.Fatalf("got  %x\nwant %x (%v)", got, want, err)
	}
	m, err := parseMDNS(got)
	if err != nil || !reflect.DeepEqual(m, mdnsMessage{Response: true,
		Nodes: []mdnsNode{{"abc." + serviceName, tags, 7463, []netip.Addr{netip.MustParseAddr("10.0.0.1")}}}}) {
		t.Errorf("read back as %+v, %v", m, err)
	}
	for n := range got {
		if _, err := parseMDNS(got[:n]); err == nil {
			t.Errorf("cut to %d of %d bytes it is taken", n, len(got))
		}
	}
	bye, err := appendAnswer(nil, s, false, true)
	if err != nil {
		t.Fatal(err)
	}
	if m, err = parseMDNS(bye); err != nil || !reflect.DeepEqual(m, mdnsMessage{Response: true, Gone: []string{"abc." + serviceName}}) {
		t.Errorf("the goodbye is read as %+v, %v", m, err)
	}
}

// Whatever addresses a node has, what it says fits in one frame.
func TestAnswerFitsInAFrame(t *testing.T) {
	s := service{instance: strings.Repeat("x", 63), tags: make([]Tag, maxTags), port: 65535}
	for i := range 2 * maxOwnAddrs {
		a := netip.MustParseAddr("fd00:1111:2222:3333:4444:5555:6666:7777").As16()
		a[15] = byte(i)
		s.addrs = append(s.addrs, netip.AddrFrom16(a))
	}
	b, err := appendAnswer(nil, s, true, false)
	if err != nil || len(b) > 1400 {
		t.Errorf("%d bytes, %v", len(b), err)
	}
	var known []string
	for range 99 {
		known = append(known, strings.Repeat("y", 63)+"."+serviceName)
	}
	if b, err = appendQuery(nil, known); err != nil || len(b) > 1400 {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}

func TestTags(t *testing.T) {
	one, two := []Tag{{1, 2, 3, 4, 5, 6, 7, 8}}, []Tag{{1, 2, 3, 4, 5, 6, 7, 8}, {0xff, 0xef, 7: 0xfe}}
	full := string(appendTags(nil, make([]Tag, maxTags)))
	if len(full) > 255 {
		t.Errorf("%d bytes are more than a TXT string has", len(full))
	}
	for _, c := range []struct {
		name  string
		texts []string
		want  []Tag
	}{
		{"one", []string{"tags=AQIDBAUGBwg"}, one},
		{"two", []string{"tags=AQIDBAUGBwj_7wAAAAAA_g"}, two},
		{"other strings, other case, another one", []string{"", "x", "tag=AQIDBAUGBwg", "Tags=AQIDBAUGBwg", "tags=AAAAAAAAAAA"}, one},
		{"sixteen", []string{full}, make([]Tag, maxTags)},
		{"nothing", nil, nil},
		{"none", []string{"tags="}, nil},
		{"no value", []string{"tags"}, nil},
		{"cut", []string{"tags=AQIDBAUGBw"}, nil},
		{"too long", []string{"tags=AQIDBAUGBwgA"}, nil},
		{"padded", []string{"tags=AQIDBAUGBwg="}, nil},
		{"of the other alphabet", []string{"tags=AQIDBAUGBwj/7wAAAAAA/g"}, nil},
		{"bits over", []string{"tags=AQIDBAUGBwh"}, nil},
		{"with a newline", []string{"tags=AQIDBA\nUGBwg"}, nil},
		{"the first makes no sense", []string{"tags=x", "tags=AQIDBAUGBwg"}, nil},
		{"seventeen", []string{string(appendTags(nil, make([]Tag, maxTags+1)))}, nil},
		{"far behind", append(make([]string, maxTexts), "tags=AQIDBAUGBwg"), nil},
	} {
		if got := tagsOf(c.texts); !slices.Equal(got, c.want) {
			t.Errorf("%s: %x", c.name, got)
		}
	}
}

// A node is what all its records together say; one that lacks some, or says something
// twice, is none.
func TestIncompleteNodes(t *testing.T) {
	const ptr, srv, txt, a = "c00c 000c 0001 00001194 0002 c02b", "c02b 0021 8001 00000078 0008 0000 0000 1d27 c032",
		"c02b 0010 8001 00000078 0011 10" + "746167733d4151494442415547427767", "c032 0001 8001 00000078 0004 0a000001"
	// The question tells the names to point at: the service, the instance, the host.
	head := "0000 8400 0003 %04x 0000 0000" + shoalName + "000c 0001" + "01" + "78" + "c00c 000c 0001" + "03" + "616263" + "c018 000c 0001"
	bad := strings.NewReplacer("c02b", "c023", "c032", "c029")
	for _, c := range []struct {
		name    string
		records []string
		want    int
	}{
		{"all", []string{ptr, srv, txt, a}, 1},
		{"in another order", []string{a, txt, srv}, 1},
		{"no port", []string{txt, a}, 0},
		{"port 0", []string{strings.Replace(srv, "1d27", "0000", 1), txt, a}, 0},
		{"no tags", []string{srv, a}, 0},
		{"no address", []string{srv, txt}, 0},
		{"another host's address", []string{srv, txt, strings.Replace(a, "c032", "c018", 1)}, 0},
		{"two ports", []string{srv, strings.Replace(srv, "1d27", "1d28", 1), txt, a}, 0},
		{"two texts", []string{srv, txt, txt, a}, 1},
		{"an address that is gone", []string{srv, txt, strings.Replace(a, "00000078", "00000000", 1)}, 0},
		{"IPv4 as IPv6", []string{srv, txt, "c032 001c 8001 00000078 0010 00000000000000000000ffff0a000001"}, 0},
		{"IPv6", []string{srv, txt, "c032 001c 8001 00000078 0010 fe800000000000000000000000000001"}, 1},
	} {
		b := unhex(t, bad.Replace(fmt.Sprintf(head, len(c.records))+strings.Join(c.records, "")))
		m, err := parseMDNS(b)
		if err != nil || len(m.Nodes) != c.want {
			t.Errorf("%s: %+v, %v", c.name, m, err)
		}
	}
}

// §18: what makes a message one that is not for us.
func TestRFC6762_18(t *testing.T) {
	query := func(flags string) []byte {
		return unhex(t, "0000"+flags+"0001 0000 0000 0000"+shoalName+"000c 0001")
	}
	for flags, want := range map[string]bool{"0000": true, "0200": true, "0800": false, "7800": false, "0001": false, "0003": false} {
		if _, err := parseMDNS(query(flags)); (err == nil) != want {
			t.Errorf("flags %s: %v", flags, err)
		}
	}
	many := []byte{0, 0, 0, 0, 0, maxQuestions + 1, 0, 0, 0, 0, 0, 0}
	for range maxQuestions + 1 {
		many = append(many, unhex(t, "00 000c 0001")...)
	}
	if _, err := parseMDNS(many); err == nil {
		t.Error("too many questions are taken")
	}
	many = []byte{0, 0, 0x84, 0, 0, 0, 1, 1, 0, 0, 0, 0}
	for range maxRecords + 1 {
		many = append(many, unhex(t, "00 000c 0001 00000000 0001 00")...)
	}
	if _, err := parseMDNS(many); err == nil {
		t.Error("too many records are taken")
	}
	loop := unhex(t, "0000 0000 0001 0000 0000 0000 c00c 000c 0001")
	if _, err := parseMDNS(loop); err == nil {
		t.Error("a name that points at itself is taken")
	}
}

// talk is one station alone, and what it said by multicast DNS over IPv4.
func talk(t *testing.T) (*cable, func() (queries, answers []time.Time)) {
	t.Helper()
	c := newCable(11, false, 0)
	return c, func() (queries, answers []time.Time) {
		e := c.ends[0]
		for i, p := range e.log {
			if p.channel != (channel{mdns, v4}) {
				continue
			}
			m, err := parseMDNS(p.bytes)
			if err != nil {
				t.Fatal(err)
			}
			if m.Response {
				answers = append(answers, e.times[i])
			} else {
				queries = append(queries, e.times[i])
			}
		}
		return queries, answers
	}
}

// ask sends a station a query of a neighbour.
func (c *cable) ask(b []byte) {
	c.ends[0].s.receive(c.now, packet{channel{mdns, v4}, 2, netip.MustParseAddr("10.0.0.9"), b})
}

func TestRFC6762_5_2_QueriesGrowRare(t *testing.T) {
	c, said := talk(t)
	c.run(6 * time.Hour)
	queries, answers := said()
	want := time.Second
	for i := 1; i < len(queries); i++ {
		if gap := queries[i].Sub(queries[i-1]); gap != want {
			t.Errorf("gap of %v, want %v", gap, want)
		}
		want = min(2*want, time.Hour)
	}
	if first := queries[0].Sub(zero); first < 20*time.Millisecond || first > 120*time.Millisecond {
		t.Errorf("first query after %v", first)
	}
	if len(answers) != 2 || answers[1].Sub(answers[0]) != time.Second { // §8.3
		t.Errorf("told unasked at %v", answers)
	}
}

func TestRFC6762_6_AnswersAreDelayedAndRare(t *testing.T) {
	c, said := talk(t)
	c.run(10 * time.Second)
	query, err := appendQuery(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	asked := c.now
	c.ask(query)
	c.run(5 * time.Second)
	_, answers := said()
	if len(answers) != 3 {
		t.Fatalf("%d answers", len(answers)-2)
	}
	if took := answers[2].Sub(asked); took < 20*time.Millisecond || took > 120*time.Millisecond {
		t.Errorf("answered after %v", took)
	}
	for range 1000 {
		c.ask(query)
		c.run(10 * time.Millisecond)
	}
	_, answers = said()
	if n := len(answers) - 3; n < 9 || n > 11 {
		t.Errorf("%d answers in ten seconds", n)
	}
	for i := 3; i < len(answers); i++ {
		if gap := answers[i].Sub(answers[i-1]); gap < time.Second {
			t.Errorf("answers %v apart", gap)
		}
	}
}

func TestRFC6762_7_1_KnownAnswers(t *testing.T) {
	c, said := talk(t)
	c.run(10 * time.Second)
	name := c.ends[0].s.nodes.label + "." + serviceName
	half := func(ttl string) []byte {
		b, err := appendQuery(nil, []string{name})
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Replace(b, unhex(t, "00001194"), unhex(t, ttl), 1)
	}
	for _, x := range []struct {
		ttl  string
		more int
	}{{"00001194", 0}, {"000008ca", 0}, {"000008c9", 1}} {
		_, before := said()
		c.ask(half(x.ttl))
		c.run(3 * time.Second)
		if _, after := said(); len(after) != len(before)+x.more {
			t.Errorf("known for %s: %d answers, want %d", x.ttl, len(after)-len(before), x.more)
		}
	}
	// Ours lists us and who has answered, so that neither answers again.
	d := newCable(12, false, 0, 0)
	d.run(30 * time.Second)
	var last []string
	for _, p := range d.ends[0].log {
		if m, _ := parseMDNS(p.bytes); p.channel.protocol == mdns && !m.Response {
			last = m.Known
		}
	}
	for _, e := range d.ends {
		if !slices.Contains(last, e.s.nodes.label+"."+serviceName) {
			t.Errorf("%q is not in %q", e.s.nodes.label, last)
		}
	}
}

func TestRFC6763_9_Enumeration(t *testing.T) {
	c, _ := talk(t)
	c.run(10 * time.Second)
	c.ask(unhex(t, "0000 0000 0001 0000 0000 0000 09"+text("_services")+"07"+text("_dns-sd")+"04"+text("_udp")+"05"+text("local")+"00 000c 0001"))
	c.run(time.Second)
	log := c.ends[0].log
	if last := log[len(log)-1].bytes; !bytes.Contains(last, []byte("\x09_services\x07_dns-sd")) {
		t.Errorf("%q", last)
	}
	n := len(log)
	c.ask(unhex(t, "0000 0000 0001 0000 0000 0000 05"+text("_http")+"04"+text("_tcp")+"05"+text("local")+"00 000c 0001"))
	c.run(time.Second)
	if len(c.ends[0].log) != n {
		t.Error("a question about another service is answered")
	}
}

// What a node claims counts for the address that it speaks from, and for nobody else's.
func TestClaims(t *testing.T) {
	theirs := []Tag{tag(9), tag(8)}
	at := func(instance string, addrs ...string) []byte {
		s := service{instance: instance, tags: theirs, port: 99}
		for _, a := range addrs {
			s.addrs = append(s.addrs, netip.MustParseAddr(a))
		}
		b, err := appendAnswer(nil, s, false, false)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	self := newStation(7463, rand.New(rand.NewPCG(1, 1)))
	self.retag(zero, []Tag{tag(1)})
	l := newCable(1, true, 0).ends[0].link
	self.relink(zero, []link{l})
	for _, x := range []struct {
		name  string
		f     family
		from  string
		bytes []byte
		want  string
	}{
		{"its own address", v4, "10.0.0.9", at("abc", "10.0.0.8", "10.0.0.9"), "10.0.0.9:99"},
		{"again", v4, "10.0.0.9", at("abc", "10.0.0.9"), ""},
		{"IPv6", v6, "fe80::9%eth0", at("abc", "10.0.0.9", "fe80::9"), "[fe80::9%eth0]:99"},
		{"another's address", v4, "10.0.0.7", at("abc", "10.0.0.8"), ""},
		{"from another subnet", v4, "10.0.9.7", at("abc", "10.0.9.7"), ""},
		{"our own words", v4, "10.0.0.5", at(strings.ToUpper(self.nodes.label), "10.0.0.5"), ""},
	} {
		got, _ := self.receive(zero, packet{channel{mdns, x.f}, 2, netip.MustParseAddr(x.from), x.bytes})
		if len(got) != min(1, len(x.want)) || len(got) == 1 && (got[0].Addr.String() != x.want || !slices.Equal(got[0].Tags, theirs) || got[0].InfoHash != hash{}) {
			t.Errorf("%s: %v", x.name, got)
		}
	}
	if n := len(self.posts[0].inquiries[v4].known); n != 1 {
		t.Errorf("%d names are remembered", n)
	}
}

// Without tags a station neither speaks nor asks nor answers by multicast DNS; with the first
// it begins at once, others it tells at once, and it says goodbye with the last.
func TestTagsComeAndGo(t *testing.T) {
	c, said := talk(t)
	e := c.ends[0]
	e.s.retag(zero, nil)
	query, err := appendQuery(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	c.run(time.Hour)
	c.ask(query)
	c.run(time.Minute)
	if queries, answers := said(); len(queries)+len(answers) > 0 {
		t.Fatalf("it said %d times something without tags", len(queries)+len(answers))
	}
	told := func() (tags []Tag) {
		for _, p := range e.log {
			if m, _ := parseMDNS(p.bytes); m.Response && len(m.Nodes) == 1 {
				tags = m.Nodes[0].Tags
			}
		}
		return tags
	}
	for i, tags := range [][]Tag{{tag(5)}, {tag(3), tag(5)}, {tag(3)}} {
		at := c.now
		if bye := e.s.retag(c.now, tags); len(bye) > 0 {
			t.Errorf("%d goodbyes", len(bye))
		}
		c.run(10 * time.Second)
		queries, answers := said()
		if n := len(answers); n != 2*i+2 || answers[2*i].Sub(at) > 120*time.Millisecond || answers[2*i+1].Sub(answers[2*i]) != time.Second {
			t.Errorf("change %d at %v is told at %v", i, at, answers)
		}
		if i == 0 && (len(queries) == 0 || queries[0].Sub(at) > 120*time.Millisecond) {
			t.Errorf("asked at %v", queries)
		}
		if !slices.Equal(told(), tags) {
			t.Errorf("told %x, want %x", told(), tags)
		}
		c.run(time.Minute)
	}
	if e.s.retag(c.now, []Tag{tag(3), tag(3)}); len(e.s.nodes.tags) != 1 {
		t.Error("a tag twice is two")
	}
	_, before := said()
	bye := e.s.retag(c.now, nil)
	if m, err := parseMDNS(bye[0].bytes); len(bye) != 1 || err != nil || len(m.Gone) != 1 {
		t.Errorf("%d goodbyes: %+v, %v", len(bye), m, err)
	}
	c.ask(query)
	c.run(time.Hour)
	if _, after := said(); len(after) != len(before) {
		t.Error("it speaks on after the goodbye")
	}
}

// Their order does not tell strangers which is which from one day to the next, and more
// than sixteen are not told.
func TestTagsAreSortedAndBounded(t *testing.T) {
	var tags []Tag
	for i := range 20 {
		tags = append(tags, tag(20-i))
	}
	s := newStation(1, rand.New(rand.NewPCG(1, 1)))
	s.retag(zero, tags)
	if n := len(s.nodes.tags); n != maxTags || s.nodes.tags[0] != tag(1) || s.nodes.tags[15] != tag(16) {
		t.Errorf("%x", s.nodes.tags)
	}
	if tags[0] != tag(20) {
		t.Error("the caller's list was changed")
	}
}

// Strangers who make up names and nodes fill no more than the tables hold.
func TestMemoryIsBounded(t *testing.T) {
	s := newStation(7463, rand.New(rand.NewPCG(1, 1)))
	s.retag(zero, []Tag{tag(1)})
	s.relink(zero, []link{newCable(1, false, 0).ends[0].link})
	for i := range 6000 {
		tags := []Tag{{byte(i), byte(i >> 8), 1}}
		a := netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})
		b, err := appendAnswer(nil, service{instance: fmt.Sprint("x", i), tags: tags, port: 99, addrs: []netip.Addr{a}}, false, false)
		if err != nil {
			t.Fatal(err)
		}
		s.receive(zero, packet{channel{mdns, v4}, 2, a, b})
	}
	if n := len(s.nodes.told.entries); n != maxPeers {
		t.Errorf("%d nodes are remembered", n)
	}
	if n := len(s.posts[0].inquiries[v4].known); n != maxInstances {
		t.Errorf("%d names are remembered", n)
	}
}

func FuzzMDNS(f *testing.F) {
	s := service{instance: "abc", tags: []Tag{tag(1), tag(2)}, port: 7463, addrs: []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("fe80::1")}}
	for _, meta := range []bool{false, true} {
		b, err := appendAnswer(nil, s, meta, meta)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	b, err := appendAnswer(nil, s, true, false)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	q, err := appendQuery(nil, []string{"abc." + serviceName, "x." + serviceName})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(q)
	l := newCable(1, false, 0).ends[0].link
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := parseMDNS(b)
		if err != nil {
			return
		}
		for _, n := range m.Nodes {
			if n.Port == 0 || len(n.Addrs) == 0 || len(n.Tags) == 0 || len(n.Tags) > maxTags || len(n.Addrs) > maxRecords {
				t.Errorf("%+v", n)
			}
			for _, a := range n.Addrs {
				if !a.IsValid() || a.Zone() != "" || a.Is4In6() {
					t.Errorf("address %v", a)
				}
			}
			if again := tagsOf([]string{string(appendTags(nil, n.Tags))}); !slices.Equal(again, n.Tags) {
				t.Errorf("%x is read back as %x", n.Tags, again)
			}
		}
		// Whatever a station hears, it goes on speaking correctly.
		st := newStation(7463, rand.New(rand.NewPCG(1, 1)))
		st.retag(zero, []Tag{tag(1)})
		st.relink(zero, []link{l})
		st.receive(zero, packet{channel{mdns, v4}, 2, netip.MustParseAddr("10.0.0.1"), b})
		for _, p := range st.send(zero.Add(time.Minute)) {
			if _, err := parseMDNS(p.bytes); p.channel.protocol == mdns && (err != nil || len(p.bytes) > 1500) {
				t.Errorf("after %x it says %x: %v", b, p.bytes, err)
			}
		}
	})
}
