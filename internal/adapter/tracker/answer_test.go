package tracker

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

var testRules = rules{anywhere, time.Minute, 24 * time.Hour}

func TestPeers(t *testing.T) {
	v6 := "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x1a\xe1"
	mapped := "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x7f\x00\x00\x01\x00\x50"
	for _, test := range []struct {
		name, body string
		want       string
	}{
		{"BEP 7's example", "d8:intervali1800e5:peers6:iiiipp6:peers618:iiiiiiiiiiiiiiiippe",
			"105.105.105.105:28784 [6969:6969:6969:6969:6969:6969:6969:6969]:28784"},
		{"none", "d8:intervali1800ee", ""},
		{"compact (BEP 23)", "d5:peers12:\x01\x02\x03\x04\x1a\xe1\x05\x06\x07\x08\x00\x50e", "1.2.3.4:6881 5.6.7.8:80"},
		{"IPv6 (BEP 7)", "d6:peers618:" + v6 + "e", "[2001:db8::1]:6881"},
		{"dictionaries (BEP 3)", "d5:peersld2:ip7:1.2.3.47:peer id20:aaaaaaaaaaaaaaaaaaaa4:porti6881eed2:ip11:2001:db8::14:porti80eeee", "1.2.3.4:6881 [2001:db8::1]:80"},
		{"host names are not looked up", "d5:peersld2:ip11:example.com4:porti80eed2:ip9:127.0.0.14:porti80eeee", "127.0.0.1:80"},
		{"not addresses", "d5:peersli1e0:d2:ip5:1.2.34:porti1eed2:ip7:1.2.3.44:porti65537eed2:ip7:1.2.3.44:porti-1eed2:ip7:1.2.3.4ed4:porti80eed2:ip9:fe80::1%x4:porti80eeee", ""},
		{"each once", "d5:peers12:\x01\x02\x03\x04\x00\x50\x01\x02\x03\x04\x00\x50e", "1.2.3.4:80"},
		{"mapped is what it maps", "d6:peers618:" + mapped + "e", "127.0.0.1:80"},
		{"never peers", "d5:peers18:\x01\x02\x03\x04\x00\x00\x00\x00\x00\x00\x00\x50\xe0\x00\x00\x01\x00\x50e", ""},
	} {
		res, err := testRules.parseAnnounce([]byte(test.body))
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		if got := strings.Trim(fmt.Sprint(res.Peers), "[]"); got != strings.Trim(test.want, "[]") {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
	for _, body := range []string{
		"d5:peers5:aaaaae", "d6:peers617:aaaaaaaaaaaaaaaaae", "d5:peersi6ee", "d5:peersdee", "d6:peers6i1ee",
	} {
		if _, err := testRules.parseAnnounce([]byte(body)); !errors.Is(err, ErrAnswer) {
			t.Errorf("%s: %v", body, err)
		}
	}
}

// A tracker may name whom it likes: only the scope's addresses come out.
func TestPeersOutsideTheScope(t *testing.T) {
	r := rules{loopback, time.Minute, time.Hour}
	res, err := r.parseAnnounce([]byte("d5:peers18:\x0a\x00\x00\x01\x00\x50\x7f\x00\x00\x01\x00\x50\x08\x08\x08\x08\x00\x35e"))
	if err != nil || !slices.Equal(res.Peers, []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:80")}) {
		t.Errorf("%v, %v", res.Peers, err)
	}
}

func TestAtMost3000Peers(t *testing.T) {
	var compact []byte
	var list strings.Builder
	for i := range uint32(5000) {
		ip := netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, 0x01000000+i)))
		compact = binary.BigEndian.AppendUint16(append(compact, ip.AsSlice()...), 80)
		fmt.Fprintf(&list, "d2:ip%d:%v4:porti80ee", len(ip.String()), ip)
	}
	for _, body := range []string{
		fmt.Sprintf("d5:peers%d:%se", len(compact), compact),
		"d5:peersl" + list.String() + "ee",
	} {
		res, err := testRules.parseAnnounce([]byte(body))
		if err != nil || len(res.Peers) != MaxPeers {
			t.Errorf("%d, %v", len(res.Peers), err)
		}
	}
	b := append(binary.BigEndian.AppendUint32(nil, 1), make([]byte, 16)...)
	if res, err := testRules.parseUDPAnnounce(append(b, compact...), 4); err != nil || len(res.Peers) != MaxPeers {
		t.Errorf("UDP: %d, %v", len(res.Peers), err)
	}
	r := Response{Peers: []netip.AddrPort{}}
	first, _ := testRules.parseAnnounce([]byte(fmt.Sprintf("d5:peers%d:%se", len(compact), compact)))
	second, _ := testRules.parseAnnounce([]byte(fmt.Sprintf("d5:peers%d:%se", len(compact[18000:]), compact[18000:])))
	if r = join([]Response{first, second}); len(r.Peers) != MaxPeers {
		t.Errorf("joined: %d", len(r.Peers))
	}
}

func TestIntervals(t *testing.T) {
	for _, test := range []struct {
		body          string
		interval, min time.Duration
	}{
		{"d8:intervali1800ee", 30 * time.Minute, time.Minute},
		{"d8:intervali1800e12:min intervali936ee", 30 * time.Minute, 936 * time.Second},
		{"de", 30 * time.Minute, time.Minute},
		{"d8:interval3:abce", 30 * time.Minute, time.Minute},
		{"d8:intervali0ee", time.Minute, time.Minute},
		{"d8:intervali1ee", time.Minute, time.Minute},
		{"d8:intervali-9223372036854775808ee", time.Minute, time.Minute},
		{"d8:intervali9223372036854775807ee", 24 * time.Hour, time.Minute},
		{"d8:intervali86401ee", 24 * time.Hour, time.Minute},
		{"d8:intervali100e12:min intervali200ee", 200 * time.Second, 200 * time.Second},
		{"d8:intervali100e12:min intervali-5ee", 100 * time.Second, time.Minute},
	} {
		res, err := testRules.parseAnnounce([]byte(test.body))
		if err != nil || res.Interval != test.interval || res.MinInterval != test.min {
			t.Errorf("%s: %v, %v, %v", test.body, res.Interval, res.MinInterval, err)
		}
	}
	c := New(Config{MinInterval: time.Second})
	defer c.Close()
	if res, _ := c.rules().parseAnnounce([]byte("d8:intervali2ee")); res.Interval != 2*time.Second {
		t.Errorf("with a least interval of a second: %v", res.Interval)
	}
}

func TestAnswerFields(t *testing.T) {
	res, err := testRules.parseAnnounce([]byte("d8:completei5e10:incompletei7e8:intervali1800e5:peers0:10:tracker id3:a\x00b15:warning message9:old\x07\u202e be"))
	if err != nil || res.Seeders != 5 || res.Leechers != 7 || res.TrackerID != "a\x00b" || res.Warning != "old b" {
		t.Errorf("%+v, %v", res, err)
	}
	res, err = testRules.parseAnnounce([]byte("d8:completei-5e10:incomplete1:7" + "10:tracker id300:" + strings.Repeat("x", 300) + "e"))
	if err != nil || res.Seeders != -1 || res.Leechers != -1 || res.TrackerID != "" {
		t.Errorf("%+v, %v", res, err)
	}
	res, err = testRules.parseAnnounce([]byte("d8:completei9223372036854775807ee\r\n "))
	if err != nil || res.Seeders != 1<<31-1 {
		t.Errorf("%+v, %v", res, err)
	}
}

// BEP 31: minutes, as a number or its digits, or "never".
func TestRetryIn(t *testing.T) {
	for _, test := range []struct {
		value string
		wait  time.Duration
		never bool
	}{
		{"5:never", 0, true},
		{"1:5", 5 * time.Minute, false},
		{"i5e", 5 * time.Minute, false},
		{"i0e", 0, false},
		{"i-1e", 0, false},
		{"i9223372036854775807e", 24 * time.Hour, false},
		{"20:99999999999999999999", 0, false},
		{"3:Now", 0, false},
		{"le", 0, false},
	} {
		_, err := testRules.parseAnnounce([]byte("d14:failure reason10:Overloaded8:retry in" + test.value + "e"))
		var f *Failure
		if !errors.As(err, &f) || f.Reason != "Overloaded" || f.RetryIn != test.wait || f.Never != test.never {
			t.Errorf("%s: %+v", test.value, err)
		}
	}
	_, err := testRules.parseAnnounce([]byte("d14:failure reason0:e"))
	var f *Failure
	if !errors.As(err, &f) || err.Error() != "tracker: refused: " || f.RetryIn != 0 || f.Never {
		t.Errorf("an empty reason is one, too: %v", err)
	}
}

func TestPrintable(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"not authorized", "not authorized"},
		{"übergroße Datei", "übergroße Datei"},
		{" a\r\n\tb\x00\x1b[0m ", "a b [0m"},
		{"\u202eevil\u2066\u200b", "evil"},
		{"\xff\xfe", ""},
		{strings.Repeat("é", 150), strings.Repeat("é", 100)},
		{"x" + strings.Repeat("é", 150), "x" + strings.Repeat("é", 99)},
	} {
		if got := printable(test.in); got != test.want {
			t.Errorf("%q is shown as %q", test.in, got)
		}
	}
}

func checkText(t *testing.T, s string) {
	t.Helper()
	if len(s) > MaxText || !utf8.ValidString(s) {
		t.Errorf("%q is long or no UTF-8", s)
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			t.Errorf("%q is not printable", s)
		}
	}
}

// checkResponse holds what is true of every answer that is taken.
func checkResponse(t *testing.T, r rules, res Response, err error) {
	t.Helper()
	var f *Failure
	if errors.As(err, &f) {
		checkText(t, f.Reason)
		if f.RetryIn < 0 || f.RetryIn > r.max {
			t.Errorf("retry in %v", f.RetryIn)
		}
	}
	if err != nil {
		return
	}
	checkText(t, res.Warning)
	if res.Interval < r.min || res.Interval > r.max || res.MinInterval < r.min || res.MinInterval > res.Interval {
		t.Errorf("intervals %v, %v", res.Interval, res.MinInterval)
	}
	if res.Seeders < -1 || res.Leechers < -1 || len(res.Peers) > MaxPeers || len(res.TrackerID) > maxTrackerID {
		t.Errorf("%+v", res)
	}
	seen := map[netip.AddrPort]bool{}
	for _, p := range res.Peers {
		if r.allow(p) != nil || p.Port() == 0 || p.Addr().Is4In6() || seen[p] {
			t.Errorf("peer %v", p)
		}
		seen[p] = true
	}
}

func FuzzHTTPAnswer(f *testing.F) {
	for _, s := range []string{
		"d8:intervali1800e5:peers6:iiiipp6:peers618:iiiiiiiiiiiiiiiippe",
		"d8:completei1e10:downloadedi0e10:incompletei0e8:intervali1873e12:min intervali936e5:peers6:\x7f\x00\x00\x01\x1d\x27e",
		"d14:failure reason63:Requested download is not authorized for use with this tracker.e",
		"d14:failure reason10:Overloaded8:retry in1:5e",
		"d5:peersld2:ip9:127.0.0.17:peer id20:aaaaaaaaaaaaaaaaaaaa4:porti6881eeee",
		"d10:tracker id3:a\x00b15:warning message3:olde",
	} {
		f.Add([]byte(s))
	}
	r := rules{loopback, time.Minute, time.Hour}
	f.Fuzz(func(t *testing.T, body []byte) {
		res, err := r.parseAnnounce(body)
		checkResponse(t, r, res, err)
	})
}

func FuzzUDPAnswer(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x00TRAN\x01\x02\x03\x04\x05\x06\x07\x08"), false)
	f.Add([]byte("\x00\x00\x00\x01TRAN\x00\x00\x07\x08\x00\x00\x00\x01\x00\x00\x00\x02\x7f\x00\x00\x01\x1a\xe1"), false)
	f.Add([]byte("\x00\x00\x00\x01TRAN\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x1a\xe1"), true)
	f.Add([]byte("\x00\x00\x00\x03TRANno such torrent"), false)
	r := rules{loopback, time.Minute, time.Hour}
	f.Fuzz(func(t *testing.T, b []byte, v6 bool) {
		if answersTo(b, actionConnect) {
			if _, err := parseConnect(b); err != nil {
				checkResponse(t, r, Response{}, err)
			}
		}
		if answersTo(b, actionAnnounce) {
			size := 4
			if v6 {
				size = 16
			}
			res, err := r.parseUDPAnnounce(b, size)
			checkResponse(t, r, res, err)
		}
	})
}

func FuzzScrape(f *testing.F) {
	x, y := [20]byte([]byte(strings.Repeat("x", 20))), [20]byte([]byte(strings.Repeat("y", 20)))
	f.Add([]byte("d5:filesd20:xxxxxxxxxxxxxxxxxxxxd8:completei11e10:downloadedi13772e10:incompletei19eeee"))
	f.Add([]byte("d14:failure reason4:busye"))
	f.Add([]byte("\x00\x00\x00\x02TRAN\x00\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x03\x00\x00\x00\x01\x00\x00\x00\x02\xff\xff\xff\xff"))
	f.Add([]byte("\x00\x00\x00\x03TRANbusy"))
	r := rules{loopback, time.Minute, time.Hour}
	f.Fuzz(func(t *testing.T, b []byte) {
		hashes := [][20]byte{x, y}
		res, err := r.parseScrape(b, hashes)
		checkScrape(t, r, hashes, res, err)
		if answersTo(b, actionScrape) {
			res, err = parseUDPScrape(b, hashes)
			checkScrape(t, r, hashes, res, err)
		}
	})
}

func checkScrape(t *testing.T, r rules, hashes [][20]byte, res []ScrapeResult, err error) {
	t.Helper()
	if err != nil {
		checkResponse(t, r, Response{}, err)
		return
	}
	if len(res) != len(hashes) {
		t.Fatalf("%d results", len(res))
	}
	for i, s := range res {
		if s.InfoHash != hashes[i] || s.Seeders < 0 || s.Leechers < 0 || s.Completed < 0 {
			t.Errorf("%+v", s)
		}
	}
}
