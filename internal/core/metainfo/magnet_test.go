package metainfo

import (
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"
)

const (
	hex1 = "0123456789abcdef0123456789ABCDEF01234567"
	hex2 = "caf1e1c30e81cb361b9ee167c4aa64228a7fa4fa9f6105232b28ad099f3a302e"
	b32  = "AERUKZ4JVPG66AJDIVTYTK6N54ASGRLH" // hex1 in base32
)

func hash20(s string) (h [20]byte) { hex.Decode(h[:], []byte(s)); return h }
func hash32(s string) (h [32]byte) { hex.Decode(h[:], []byte(s)); return h }

func TestParseMagnet(t *testing.T) {
	v1 := InfoHash{V1: hash20(hex1), Version: V1}
	v2 := InfoHash{V2: hash32(hex2), Version: V2}
	both := InfoHash{V1: hash20(hex1), V2: hash32(hex2), Version: Hybrid}
	for in, want := range map[string]Magnet{
		"magnet:?xt=urn:btih:" + hex1:                                     {Hash: v1},
		"MAGNET:?XT=URN:BTIH:" + strings.ToLower(hex1):                    {Hash: v1},
		"magnet:?xt=urn:btih:" + b32:                                      {Hash: v1},
		"magnet:?xt=urn:btih:" + strings.ToLower(b32):                     {Hash: v1},
		"magnet:?xt=urn:btmh:1220" + hex2:                                 {Hash: v2},
		"magnet:?xt=urn:btih:" + hex1 + "&xt=urn:btmh:1220" + hex2:        {Hash: both},
		"magnet:?xt.1=urn:btih:" + hex1 + "&xt.2=urn:btmh:1220" + hex2:    {Hash: both},
		"magnet:?xt=urn:sha1:ABC&xt=urn:btih:" + hex1 + "&xl=5&x=&&&=%20": {Hash: v1},
		"magnet:?xt=urn:btih:" + hex1 + "&dn=a+b%20c%2B&dn=other":         {Hash: v1, Name: "a b c+"},
		"magnet:?dn=%ff&xt=urn:btih:" + hex1:                              {Hash: v1, Name: "\xff"},
		"magnet:?xt=urn:btih:" + hex1 + "&tr=http%3A%2F%2Ft%2Fa%3Fx%3D1%26y&tr=udp://u:1&tr=&tr.3=udp://u:1": {
			Hash: v1, Trackers: []string{"http://t/a?x=1&y", "udp://u:1"}},
		"magnet:?xt=urn:btih:" + hex1 + "&ws=http://w/a+b": {Hash: v1, WebSeeds: []string{"http://w/a+b"}},
		"magnet:?xt=urn:btih:" + hex1 + "&x.pe=1.2.3.4:5&x.pe=[::1]:6&x.pe=a.example:65535": {
			Hash: v1, Peers: []string{"1.2.3.4:5", "[::1]:6", "a.example:65535"}},
		"magnet:?xt=urn:btih:" + hex1 + "&so=0,2,4,6-8":      {Hash: v1, Select: []Range{{0, 0}, {2, 2}, {4, 4}, {6, 8}}}, // BEP 53
		"magnet:?xt=urn:btih:" + hex1 + "&so=9,3-4,4-5&so=6": {Hash: v1, Select: []Range{{3, 6}, {9, 9}}},
	} {
		m, err := ParseMagnet(in)
		if err != nil || !reflect.DeepEqual(m, want) {
			t.Errorf("%s: %+v, %v", in, m, err)
			continue
		}
		again, err := ParseMagnet(m.String())
		if err != nil || !reflect.DeepEqual(again, m) {
			t.Errorf("%s: %s is %+v, %v", in, m, again, err)
		}
	}
}

func TestMagnetRefused(t *testing.T) {
	good := "magnet:?xt=urn:btih:" + hex1
	for _, in := range []string{
		"", "magnet:", "magnet:?", "http://x/", hex1, "magnet:?dn=x", "magnet:?xt=urn:sha1:x", "magnet:?xt=",
		"magnet:?xt=urn:btih:", "magnet:?xt=urn:btih:" + hex1[1:], "magnet:?xt=urn:btih:" + hex1 + "0",
		"magnet:?xt=urn:btih:g" + hex1[1:], "magnet:?xt=urn:btih:1" + b32[1:], "magnet:?xt=urn:btih:" + hex2,
		"magnet:?xt=urn:btmh:" + hex2, "magnet:?xt=urn:btmh:1220" + hex2[2:], "magnet:?xt=urn:btmh:1114" + hex2, "magnet:?xt=urn:btmh:1220g" + hex2[1:],
		"magnet:?xt=urn:btih:" + b32[:31] + "=", "magnet:?xt=urn:btih:" + b32[:24] + "%0A%0A%0A%0A%0A%0A%0A%0A", "magnet:?xt=urn:btih:" + b32[:8] + strings.Repeat("\u017f", 8) + b32[:8],
		good + "&xt=urn:btih:" + strings.Repeat("0", 40),
		"magnet:?xt=urn:btmh:1220" + hex2 + "&xt=urn:btmh:1220" + strings.Repeat("0", 64),
		good + "&dn=%", good + "&dn=%4", good + "&dn=%zz", good + "&%4=x",
		good + "&so=", good + "&so=a", good + "&so=-1", good + "&so=1-", good + "&so=2-1", good + "&so=1,,2", good + "&so=400000", good + "&so=99999999999999999999",
		good + "&x.pe=", good + "&x.pe=host", good + "&x.pe=host:", good + "&x.pe=host:0", good + "&x.pe=host:65536", good + "&x.pe=:80",
		good + "&x.pe=::1:80", good + "&x.pe=[::1:80", good + "&x.pe=[1.2.3.4]:80", good + "&x.pe=a%0ab:80", good + "&x.pe=a:+80", good + "&x.pe=a:080",
		good + "&dn=" + strings.Repeat("x", maxMagnet),
	} {
		m, err := ParseMagnet(in)
		var e *Error
		if !errors.As(err, &e) {
			t.Errorf("%.100s: %+v, %v", in, m, err)
		} else if s := err.Error(); strings.Contains(s, "\n") || len(s) > 300 {
			t.Errorf("%.100s: not one line: %q", in, s)
		}
	}
}

func TestMagnetString(t *testing.T) {
	m := Magnet{
		Hash: InfoHash{V1: hash20(hex1), V2: hash32(hex2), Version: Hybrid}, Name: "a b&c=ü",
		Trackers: []string{"http://t/?a=1&b"}, WebSeeds: []string{"http://w/"}, Peers: []string{"[::1]:7463"}, Select: []Range{{0, 0}, {2, 5}},
	}
	want := "magnet:?xt=urn:btih:" + strings.ToLower(hex1) + "&xt=urn:btmh:1220" + hex2 +
		"&dn=a%20b%26c%3D%C3%BC&tr=http%3A%2F%2Ft%2F%3Fa%3D1%26b&ws=http%3A%2F%2Fw%2F&x.pe=[::1]:7463&so=0,2-5"
	if got := m.String(); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestMagnetOfShare(t *testing.T) {
	b := enc(dict{"announce-list", list{list{"http://a/"}, list{"http://b/"}}, "info", v1Single().with("name", "a/b"), "url-list", "http://w/"})
	m := mustParse(t, b).Magnet()
	if m.Name != "a/b" || !reflect.DeepEqual(m.Trackers, []string{"http://a/", "http://b/"}) || len(m.WebSeeds) != 1 {
		t.Errorf("%+v", m)
	}
}

func TestInfoHash(t *testing.T) {
	for in, want := range map[string]InfoHash{
		hex1: {V1: hash20(hex1), Version: V1}, b32: {V1: hash20(hex1), Version: V1},
		hex2: {V2: hash32(hex2), Version: V2}, "1220" + strings.ToUpper(hex2): {V2: hash32(hex2), Version: V2},
	} {
		if h, err := ParseInfoHash(in); err != nil || h != want {
			t.Errorf("%s: %+v, %v", in, h, err)
		}
	}
	for _, in := range []string{"", "x", hex1[1:], strings.Repeat("g", 40), strings.Repeat("1", 32), "1221" + hex2} {
		if h, err := ParseInfoHash(in); err == nil {
			t.Errorf("%s: %+v", in, h)
		}
	}
	both := InfoHash{V1: hash20(hex1), V2: hash32(hex2), Version: Hybrid}
	short := both.V2Short()
	if both.ID() != hex2 || (InfoHash{V1: both.V1, Version: V1}).String() != strings.ToLower(hex1) || (InfoHash{}).ID() != "" ||
		hex.EncodeToString(short[:]) != hex2[:40] {
		t.Errorf("ID %s, short %x", both.ID(), short)
	}
	if w := both.Wire(); len(w) != 2 || w[0] != both.V1 || w[1] != short || (InfoHash{}).Wire() != nil {
		t.Errorf("wire names %x", w)
	}
	for _, v := range []Version{V1, V2, Hybrid} {
		if got, err := ParseVersion(v.String()); err != nil || got != v {
			t.Errorf("%v: %v, %v", v, got, err)
		}
	}
	if _, err := ParseVersion("unknown"); err == nil || Version(0).String() != "unknown" {
		t.Error("an unknown version is known")
	}
}
