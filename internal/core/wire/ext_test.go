package wire

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
)

// body is the body of a whole extended message, after length, id and extended id.
func body(t testing.TB, b []byte) []byte {
	t.Helper()
	frame, n, err := Next(b, MaxMessage)
	if err != nil || n != len(b) || ID(frame[0]) != Extended {
		t.Fatalf("Next(%q) = %d, %v", b, n, err)
	}
	_, body, err := ParseExtended(frame[1:])
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// extended is a whole extended message with the given body.
func extended(ext byte, body string) []byte { return AppendExtended(nil, ext, []byte(body)) }

func TestExtendedHeader(t *testing.T) {
	// BEP 10: length, 20, extended id, body.
	if got := extended(3, "xy"); !bytes.Equal(got, []byte{0, 0, 0, 4, 20, 3, 'x', 'y'}) {
		t.Errorf("appended %x", got)
	}
	if ext, b, err := ParseExtended([]byte{3}); ext != 3 || len(b) != 0 || err != nil {
		t.Errorf("no body: %d, %x, %v", ext, b, err)
	}
	if _, _, err := ParseExtended(nil); !errors.Is(err, ErrMalformed) {
		t.Errorf("no extended id: %v", err)
	}
}

// The example of BEP 10, as intended: its text names one extension in two ways.
func TestExtHandshakeExample(t *testing.T) {
	h, err := ParseExtHandshake([]byte("d1:md11:LT_metadatai1e6:ut_pexi2ee1:pi6881e1:v13:\xc2\xb5Torrent 1.2e"))
	if err != nil {
		t.Fatal(err)
	}
	want := ExtHandshake{M: Extensions{PEX: 2}, Port: 6881, Version: "µTorrent 1.2"}
	if h != want || h.Client() != "uTorrent 1.2" {
		t.Errorf("parsed %+v (%s)", h, h.Client())
	}
}

// fullHandshake has every field that this package knows.
const fullHandshake = "d1:ei1e4:ipv44:\x50\x04\x04\xc84:ipv616:\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" +
	"1:md11:lt_donthavei7e11:upload_onlyi3e12:ut_holepunchi4e11:ut_metadatai2e6:ut_pexi1ee" +
	"13:metadata_sizei31235e1:pi7463e4:reqqi250e11:upload_onlyi1e1:v9:shoal 0.16:yourip4:\x7f\x00\x00\x01e"

func TestExtHandshakeGolden(t *testing.T) {
	h, err := ParseExtHandshake([]byte(fullHandshake))
	if err != nil {
		t.Fatal(err)
	}
	want := ExtHandshake{
		M:    Extensions{Metadata: 2, PEX: 1, DontHave: 7, UploadOnly: 3, HolePunch: 4},
		Port: 7463, Version: "shoal 0.1", ReqQ: 250, MetadataSize: 31235, UploadOnly: true, Encrypt: true,
		YourIP: netip.MustParseAddr("127.0.0.1"), IPv4: netip.MustParseAddr("80.4.4.200"), IPv6: netip.MustParseAddr("2001:db8::1"),
	}
	if h != want {
		t.Errorf("parsed %+v", h)
	}
	if got := h.Append(nil); !bytes.Equal(got, extended(0, fullHandshake)) {
		t.Errorf("appended %q", got)
	}
	for cut := range len(fullHandshake) {
		if _, err := ParseExtHandshake([]byte(fullHandshake[:cut])); !errors.Is(err, ErrMalformed) {
			t.Errorf("cut to %d bytes: %v", cut, err)
		}
	}
	if _, err := ParseExtHandshake([]byte(fullHandshake + "x")); !errors.Is(err, ErrMalformed) {
		t.Errorf("trailing byte: %v", err)
	}
	var empty ExtHandshake
	if got := empty.Append([]byte("before")); string(got) != "before\x00\x00\x00\x09\x14\x00d1:mdee" {
		t.Errorf("empty handshake: %q", got)
	}
}

// What a stranger may write into a handshake does no harm and loses only itself.
func TestExtHandshakeOddValues(t *testing.T) {
	for _, test := range []struct {
		body string
		want ExtHandshake
		err  bool
	}{
		{"de", ExtHandshake{}, false},
		{"le", ExtHandshake{}, true},
		{"i1e", ExtHandshake{}, true},
		{"", ExtHandshake{}, true},
		{"d1:m6:ut_pexe", ExtHandshake{}, false},
		{"d1:md6:ut_pexi256e11:ut_metadatai-1eee", ExtHandshake{}, false},
		{"d1:md6:ut_pex1:1ee", ExtHandshake{}, false},
		{"d1:md6:ut_pexi255eee", ExtHandshake{M: Extensions{PEX: 255}}, false},
		{"d1:pi0ee", ExtHandshake{}, false},
		{"d1:pi65536ee", ExtHandshake{}, false},
		{"d1:pi-1ee", ExtHandshake{}, false},
		{"d4:reqqi-5ee", ExtHandshake{}, false},
		{"d4:reqqi9223372036854775807ee", ExtHandshake{ReqQ: 65535}, false},
		{"d13:metadata_sizei0ee", ExtHandshake{}, false},
		{"d13:metadata_sizei-1ee", ExtHandshake{}, false},
		{"d13:metadata_sizei16777216ee", ExtHandshake{MetadataSize: 16 << 20}, false},
		{"d13:metadata_sizei16777217ee", ExtHandshake{}, false},
		{"d6:yourip5:abcdee", ExtHandshake{}, false},
		{"d4:ipv416:aaaaaaaaaaaaaaaae", ExtHandshake{}, false},
		{"d4:ipv45:aaaaae", ExtHandshake{}, false},
		{"d4:ipv64:aaaae", ExtHandshake{}, false},
		{"d6:yourip16:\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x7f\x00\x00\x01e", ExtHandshake{YourIP: netip.MustParseAddr("127.0.0.1")}, false},
		{"d4:ipv616:\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x7f\x00\x00\x01e", ExtHandshake{}, false}, // no IPv6 address
		{"d1:v200:" + strings.Repeat("v", 200) + "e", ExtHandshake{Version: strings.Repeat("v", 128)}, false},
		{"d1:vi1ee", ExtHandshake{}, false},
		{"d1:pi5e1:mdee", ExtHandshake{Port: 5}, false}, // unsorted
		{strings.Repeat("l", 100) + strings.Repeat("e", 100), ExtHandshake{}, true},
	} {
		h, err := ParseExtHandshake([]byte(test.body))
		if (err != nil) != test.err || err == nil && h != test.want || err != nil && !errors.Is(err, ErrMalformed) {
			t.Errorf("%q: %+v, %v", test.body, h, err)
		}
	}
}

// A later handshake holds only the changes; 0 switches off (BEP 10).
func TestExtHandshakeUpdate(t *testing.T) {
	h, err := ParseExtHandshake([]byte(fullHandshake))
	if err != nil {
		t.Fatal(err)
	}
	want := h
	if err := h.Update([]byte("d1:md6:ut_pexi0ee11:upload_onlyi0ee")); err != nil {
		t.Fatal(err)
	}
	want.M.PEX, want.UploadOnly = 0, false
	if h != want {
		t.Errorf("updated to %+v", h)
	}
	if err := h.Update([]byte("d1:pi9")); !errors.Is(err, ErrMalformed) || h != want {
		t.Errorf("a broken update: %v, %+v", err, h)
	}
}

// Private shares announce no peer exchange (BEP 27).
func TestLocal(t *testing.T) {
	if Local(true).PEX != 0 || Local(false).PEX != ExtPEX || Local(true).Metadata != ExtMetadata {
		t.Errorf("%+v, %+v", Local(true), Local(false))
	}
}

// The examples of BEP 9, with the msg_type and length that its text means.
func TestMetadataGolden(t *testing.T) {
	tail := strings.Repeat("x", 34256-2*16384)
	for _, test := range []struct {
		body string
		want MetadataMsg
	}{
		{"d8:msg_typei0e5:piecei0ee", MetadataMsg{Type: MetadataRequest}},
		{"d8:msg_typei2e5:piecei7ee", MetadataMsg{Type: MetadataReject, Piece: 7}},
		{"d8:msg_typei1e5:piecei0e10:total_sizei3425ee" + strings.Repeat("x", 3425),
			MetadataMsg{Type: MetadataData, TotalSize: 3425, Data: bytes.Repeat([]byte("x"), 3425)}},
		{"d8:msg_typei1e5:piecei2e10:total_sizei34256ee" + tail,
			MetadataMsg{Type: MetadataData, Piece: 2, TotalSize: 34256, Data: []byte(tail)}},
	} {
		m, err := ParseMetadata([]byte(test.body))
		if err != nil || !reflect.DeepEqual(m, test.want) {
			t.Errorf("%.60q: %+v, %v", test.body, m, err)
		}
		if got := m.Append(nil, 2); !bytes.Equal(got, extended(2, test.body)) {
			t.Errorf("appended %.60q, want %.60q", got, test.body)
		}
		for cut := range len(test.body) {
			if _, err := ParseMetadata([]byte(test.body[:cut])); !errors.Is(err, ErrMalformed) {
				t.Fatalf("%.60q cut to %d bytes: %v", test.body, cut, err)
			}
		}
		if _, err := ParseMetadata([]byte(test.body + "x")); !errors.Is(err, ErrMalformed) {
			t.Errorf("%.60q with a trailing byte: %v", test.body, err)
		}
	}
}

func TestMetadataRules(t *testing.T) {
	for _, test := range []struct {
		name, body string
		ok         bool
	}{
		{"no type", "d5:piecei0ee", false},
		{"no piece", "d8:msg_typei0ee", false},
		{"negative piece", "d8:msg_typei0e5:piecei-1ee", false},
		{"last piece of 16 MiB", "d8:msg_typei0e5:piecei1023ee", true},
		{"a request beyond 16 MiB: it is answered, if only by a reject", "d8:msg_typei0e5:piecei1024ee", true},
		{"a reject beyond 16 MiB", "d8:msg_typei2e5:piecei1024ee", true},
		{"a request of the last piece there can be", "d8:msg_typei0e5:piecei2147483647ee", true},
		{"a request of none", "d8:msg_typei0e5:piecei2147483648ee", false},
		{"data beyond 16 MiB", "d8:msg_typei1e5:piecei1024e10:total_sizei16777217eex", false},
		{"data without total", "d8:msg_typei1e5:piecei0eex", false},
		{"negative total", "d8:msg_typei1e5:piecei0e10:total_sizei-1eex", false},
		{"total zero", "d8:msg_typei1e5:piecei0e10:total_sizei0ee", false},
		{"absurd total", "d8:msg_typei1e5:piecei0e10:total_sizei9223372036854775807ee" + strings.Repeat("x", 16384), false},
		{"piece beyond total", "d8:msg_typei1e5:piecei1e10:total_sizei16384eex", false},
		{"list", "le", false},
		{"unknown type", "d8:msg_typei3e5:piecei0ee", true},
		{"unknown type, other fields", "d8:msg_typei-7e3:newi0eexyz", true},
		{"further keys", "d8:msg_typei0e3:newlee5:piecei0ee", false}, // unbalanced
		{"further keys", "d8:msg_typei0e3:newle5:piecei0ee", true},
	} {
		m, err := ParseMetadata([]byte(test.body))
		if (err == nil) != test.ok || err != nil && !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %+v, %v", test.name, m, err)
		}
		if strings.HasPrefix(test.name, "unknown") && m.Type >= MetadataRequest && m.Type <= MetadataReject {
			t.Errorf("%s is taken for %d", test.name, m.Type)
		}
	}
}

func TestMetadataPieceSize(t *testing.T) {
	for _, test := range []struct {
		total int64
		piece int
		want  int
	}{
		{1, 0, 1}, {16384, 0, 16384}, {16385, 0, 16384}, {16385, 1, 1}, {16384, 1, 0},
		{0, 0, 0}, {-1, 0, 0}, {16 << 20, 1023, 16384}, {16<<20 + 1, 0, 0}, {100, -1, 0},
	} {
		if got := MetadataPieceSize(test.total, test.piece); got != test.want {
			t.Errorf("piece %d of %d: %d, want %d", test.piece, test.total, got, test.want)
		}
	}
}

const pexBody = "d5:added12:\x01\x02\x03\x04\x1a\xe1\x05\x06\x07\x08\x1a\xe27:added.f2:\x10\x02" +
	"6:added618:\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x1d\x278:added6.f1:\x04" +
	"7:dropped6:\x09\x09\x09\x09\x00\x50" +
	"8:dropped618:\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x1d\x27e"

func TestPEXGolden(t *testing.T) {
	p, err := ParsePEX([]byte(pexBody))
	if err != nil {
		t.Fatal(err)
	}
	want := PEX{
		Added: []PEXPeer{
			{netip.MustParseAddrPort("1.2.3.4:6881"), PEXReachable},
			{netip.MustParseAddrPort("5.6.7.8:6882"), PEXSeed},
			{netip.MustParseAddrPort("[2001:db8::1]:7463"), PEXUTP},
		},
		Dropped: []netip.AddrPort{netip.MustParseAddrPort("9.9.9.9:80"), netip.MustParseAddrPort("[2001:db8::2]:7463")},
	}
	if !reflect.DeepEqual(p, want) {
		t.Errorf("parsed %+v", p)
	}
	if got := p.Append(nil, 1); !bytes.Equal(got, extended(1, pexBody)) {
		t.Errorf("appended %q", got)
	}
	for cut := range len(pexBody) {
		if _, err := ParsePEX([]byte(pexBody[:cut])); !errors.Is(err, ErrMalformed) {
			t.Errorf("cut to %d bytes: %v", cut, err)
		}
	}
	if _, err := ParsePEX([]byte(pexBody + "x")); !errors.Is(err, ErrMalformed) {
		t.Errorf("trailing byte: %v", err)
	}
	if got := (PEX{}).Append(nil, 1); !bytes.Equal(got, extended(1, "d5:added0:e")) {
		t.Errorf("nothing to say: %q", got)
	}
}

func TestPEXOddMessages(t *testing.T) {
	mapped := "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x7f\x00\x00\x01\x00\x50"
	for _, test := range []struct {
		name, body string
		added      string // fmt of Added
		err        bool
	}{
		{"empty", "de", "[]", false},
		{"no dictionary", "le", "", true},
		{"half an address", "d5:added5:aaaaae", "", true},
		{"half an address", "d6:added617:aaaaaaaaaaaaaaaaae", "", true},
		{"a number", "d5:addedi6ee", "", true},
		{"flags missing", "d5:added6:\x01\x02\x03\x04\x00\x50e", "[{1.2.3.4:80 0}]", false},
		{"too few flags", "d5:added6:\x01\x02\x03\x04\x00\x507:added.f0:e", "[{1.2.3.4:80 0}]", false},
		{"too many flags", "d5:added6:\x01\x02\x03\x04\x00\x507:added.f2:\xff\xffe", "[{1.2.3.4:80 0}]", false},
		{"mapped address", "d6:added618:" + mapped + "e", "[{127.0.0.1:80 0}]", false}, // seen for what it is
	} {
		p, err := ParsePEX([]byte(test.body))
		if (err != nil) != test.err || err == nil && fmt.Sprint(p.Added) != test.added {
			t.Errorf("%s: %v, %v", test.name, p, err)
		}
	}
}

// However many a message names, at most 50 and 50 are taken (BEP 11), and no
// address family is crowded out.
func TestPEXLimit(t *testing.T) {
	for _, test := range []struct{ in4, in6, out4, out6 int }{
		{10, 10, 10, 10}, {50, 0, 50, 0}, {51, 0, 50, 0}, {0, 70, 0, 50}, {60, 60, 25, 25}, {60, 10, 40, 10}, {10, 60, 10, 40}, {49, 1, 49, 1},
	} {
		a4 := strings.Repeat("\x01\x02\x03\x04\x00\x50", test.in4)
		a6 := strings.Repeat("aaaaaaaaaaaaaaaa\x00\x50", test.in6)
		msg := fmt.Sprintf("d5:added%d:%s6:added6%d:%s7:dropped%d:%s8:dropped6%d:%se", len(a4), a4, len(a6), a6, len(a4), a4, len(a6), a6)
		p, err := ParsePEX([]byte(msg))
		if err != nil {
			t.Fatal(err)
		}
		var n4, n6, d4 int
		for _, a := range p.Added {
			if a.Addr.Addr().Is4() {
				n4++
			} else {
				n6++
			}
		}
		for _, d := range p.Dropped {
			if d.Addr().Is4() {
				d4++
			}
		}
		if n4 != test.out4 || n6 != test.out6 || d4 != n4 || len(p.Dropped) != len(p.Added) {
			t.Errorf("%d and %d: took %d and %d, dropped %d of %d", test.in4, test.in6, n4, n6, d4, len(p.Dropped))
		}
	}
	big := PEX{Added: make([]PEXPeer, 60)}
	for i := range big.Added {
		big.Added[i].Addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{1, 2, 3, byte(i)}), 80)
	}
	if p, err := ParsePEX(body(t, big.Append(nil, 1))); err != nil || len(p.Added) != MaxPEX {
		t.Errorf("sent %d, %v", len(p.Added), err)
	}
}
