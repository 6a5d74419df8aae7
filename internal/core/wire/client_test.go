package wire

import (
	"strings"
	"testing"
)

func TestClientName(t *testing.T) {
	for _, test := range []struct{ id, want string }{
		{"-TR3000-abcdefghijkl", "Transmission 3.00"},
		{"-TR2940-abcdefghijkl", "Transmission 2.94"},
		{"-TR4060-abcdefghijkl", "Transmission 4.0.6"},
		{"-qB4520-abcdefghijkl", "qBittorrent 4.5.2"},
		{"-qB45A0-abcdefghijkl", "qBittorrent 4.5.10"},
		{"-LT20C0-abcdefghijkl", "libtorrent 2.0.12"},
		{"-lt0D80-abcdefghijkl", "libTorrent (rTorrent) 0.13.8"},
		{"A2-1-36-0-abcdefghij", "aria2 1.36.0"},
		{"A2-xyzabcdefghijklmn", "aria2"},
		{"-DE211s-abcdefghijkl", "Deluge 2.1.1"},
		{"-UT355W-abcdefghijkl", "uTorrent 3.5.5"},
		{"-UT2210\x9a\x33abcdefghijk", "uTorrent 2.2.1"},
		{"-AZ5731-abcdefghijkl", "Vuze 5.7.3.1"},
		{"-BC0205-abcdefghijkl", "BitComet 2.05"},
		{"exbc\x00\x38LORDabcdefghij", "BitComet 0.56"},
		{"-WW0203-abcdefghijkl", "WebTorrent 2.3"},
		{"-BN0000-abcdefghijkl", "Baidu Netdisk"},
		{"M7-10-5--abcdefghijk", "BitTorrent 7.10.5"},
		{"M4-3-6--abcdefghijkl", "BitTorrent 4.3.6"},
		{"TIX0287-abcdefghijkl", "Tixati 2.87"},
		{"-GT0003-abcdefghijkl", "anacrolix/torrent 0.0.0.3"},
		{PeerIDPrefix + "abcdefghijkl", "shoal 0.1.0"},
		{"-ZZ1234-abcdefghijkl", "client ZZ 1.2.3.4"},
		{"-TR\x1b[31-abcdefghijkl", "Transmission"},
		{"-\x1b\x1b1234-abcdefghijkl", "unknown"},
		{"-<b>123-abcdefghijkl", "unknown"},
		{"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00", "unknown"},
		{"abcdefghijklmnopqrst", "unknown"},
	} {
		if got := ClientName(PeerID([]byte(test.id))); got != test.want {
			t.Errorf("ClientName(%q) = %q, want %q", test.id, got, test.want)
		}
	}
}

func TestPrintableASCII(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{"libtorrent/2.0.8.0", "libtorrent/2.0.8.0"},
		{"\xc2\xb5Torrent 1.2", "uTorrent 1.2"}, // BEP 10's example
		{" \x1b[31mred\n\n x ", "[31mred x"},
		{"\xff\xfe\u202eevil", "???evil"},
		{strings.Repeat("x", 100), strings.Repeat("x", 40)},
		{"", ""},
	} {
		if got := printableASCII(test.in, maxClientName); got != test.want {
			t.Errorf("%q is shown as %q, want %q", test.in, got, test.want)
		}
	}
}

func FuzzClientName(f *testing.F) {
	f.Add([]byte("-TR3000-abcdefghijkl"))
	f.Add([]byte("A2-1-36-0-abcdefghij"))
	f.Add([]byte("M7-10-5--abcdefghijk"))
	f.Add([]byte("exbc\x63\x63abcdefghijklmn"))
	f.Fuzz(func(t *testing.T, b []byte) {
		var id PeerID
		copy(id[:], b)
		h := ExtHandshake{Version: string(b)}
		for _, name := range []string{ClientName(id), h.Client()} {
			if len(name) > maxClientName {
				t.Errorf("%q is long", name)
			}
			for _, c := range []byte(name) {
				if c < ' ' || c > '~' {
					t.Errorf("%q is not printable", name)
				}
			}
		}
	})
}
