package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

// unhex reads hex digits with spaces between the fields of a message.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// golden are whole messages written by hand from the BEPs. parse takes what
// follows the id and gives the parsed message's own encoding back.
var golden = []struct {
	name  string
	hex   string
	id    ID
	want  any
	parse func(payload []byte) (msg any, again []byte, size int, err error)
}{
	{"choke (BEP 3)", "00000001 00", Choke, nil, parseStateOf(Choke)},
	{"unchoke (BEP 3)", "00000001 01", Unchoke, nil, parseStateOf(Unchoke)},
	{"interested (BEP 3)", "00000001 02", Interested, nil, parseStateOf(Interested)},
	{"not interested (BEP 3)", "00000001 03", NotInterested, nil, parseStateOf(NotInterested)},
	{"have all (BEP 6)", "00000001 0e", HaveAll, nil, parseStateOf(HaveAll)},
	{"have none (BEP 6)", "00000001 0f", HaveNone, nil, parseStateOf(HaveNone)},
	{"have (BEP 3)", "00000005 04 00000521", Have, HaveMsg{1313}, func(p []byte) (any, []byte, int, error) {
		m, err := ParseHave(p)
		return m, m.Append(nil), m.Size(), err
	}},
	{"request (BEP 3)", "0000000d 06 00000002 0000c000 00004000", Request, RequestMsg{2, 0xc000, BlockLen}, func(p []byte) (any, []byte, int, error) {
		m, err := ParseRequest(p)
		return m, m.Append(nil), m.Size(), err
	}},
	{"cancel (BEP 3)", "0000000d 08 ffffffff 00000001 00004000", Cancel, CancelMsg{0xffffffff, 1, BlockLen}, func(p []byte) (any, []byte, int, error) {
		m, err := ParseCancel(p)
		return m, m.Append(nil), m.Size(), err
	}},
	{"reject request (BEP 6)", "0000000d 10 00000007 00008000 00000123", RejectRequest, RejectMsg{7, 0x8000, 0x123}, func(p []byte) (any, []byte, int, error) {
		m, err := ParseReject(p)
		return m, m.Append(nil), m.Size(), err
	}},
	{"port (BEP 5)", "00000003 09 1ae1", Port, PortMsg{6881}, func(p []byte) (any, []byte, int, error) {
		m, err := ParsePort(p)
		return m, m.Append(nil), m.Size(), err
	}},
	{"suggest piece (BEP 6)", "00000005 0d 00000003", SuggestPiece, SuggestMsg{3}, func(p []byte) (any, []byte, int, error) {
		m, err := ParseSuggest(p)
		return m, m.Append(nil), m.Size(), err
	}},
	{"allowed fast (BEP 6)", "00000005 11 00000423", AllowedFast, AllowedFastMsg{1059}, func(p []byte) (any, []byte, int, error) {
		m, err := ParseAllowedFast(p)
		return m, m.Append(nil), m.Size(), err
	}},
	{"don't have (BEP 54)", "00000006 14 07 00000009", Extended, DontHave{9}, func(p []byte) (any, []byte, int, error) {
		ext, body, err := ParseExtended(p)
		if err != nil {
			return nil, nil, 0, err
		}
		m, err := ParseDontHave(body)
		return m, m.Append(nil, ext), m.Size(), err
	}},
	{"upload only (BEP 21)", "00000003 14 03 01", Extended, UploadOnly{true}, func(p []byte) (any, []byte, int, error) {
		ext, body, err := ParseExtended(p)
		if err != nil {
			return nil, nil, 0, err
		}
		m, err := ParseUploadOnly(body)
		return m, m.Append(nil, ext), m.Size(), err
	}},
	{"hash request (BEP 52)", "00000031 15 " + root + " 00000000 00000008 00000004 00000003", HashRequest,
		HashRequestMsg{testRange}, func(p []byte) (any, []byte, int, error) {
			m, err := ParseHashRequest(p)
			return m, m.Append(nil), m.Size(), err
		}},
	{"hash reject (BEP 52)", "00000031 17 " + root + " 00000000 00000008 00000004 00000003", HashReject,
		HashRejectMsg{testRange}, func(p []byte) (any, []byte, int, error) {
			m, err := ParseHashReject(p)
			return m, m.Append(nil), m.Size(), err
		}},
}

const root = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

var testRange = HashRange{
	Root: [32]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31},
	Base: 0, Index: 8, Length: 4, ProofLayers: 3,
}

func parseStateOf(id ID) func([]byte) (any, []byte, int, error) {
	return func(p []byte) (any, []byte, int, error) {
		return nil, AppendState(nil, id), StateLength, ParseState(id, p)
	}
}

func TestGolden(t *testing.T) {
	for _, g := range golden {
		t.Run(g.name, func(t *testing.T) {
			b := unhex(t, g.hex)
			frame, n, err := Next(b, MaxMessage)
			if err != nil || n != len(b) || ID(frame[0]) != g.id {
				t.Fatalf("Next = %x, %d, %v", frame, n, err)
			}
			msg, again, size, err := g.parse(frame[1:])
			if err != nil {
				t.Fatal(err)
			}
			if msg != g.want {
				t.Errorf("parsed %+v, want %+v", msg, g.want)
			}
			if !bytes.Equal(again, b) || size != len(b) {
				t.Errorf("appended %x (size %d), want %x", again, size, b)
			}
		})
	}
}

// A payload that is a byte shorter than its table says, at any length, or a byte
// longer, is malformed.
func TestExactLengths(t *testing.T) {
	for _, g := range golden {
		frame := unhex(t, g.hex)[4:]
		for cut := 1; cut < len(frame); cut++ {
			if _, _, _, err := g.parse(frame[1:cut]); !errors.Is(err, ErrMalformed) {
				t.Errorf("%s cut to %d bytes: %v", g.name, cut, err)
			}
		}
		if _, _, _, err := g.parse(append(bytes.Clone(frame[1:]), 0)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s with a trailing byte: %v", g.name, err)
		}
	}
}

func TestStateNamesOnlyBodilessMessages(t *testing.T) {
	for id := range 256 {
		want := id <= 3 || id == 14 || id == 15
		if got := ParseState(ID(id), nil) == nil; got != want {
			t.Errorf("ParseState(%v) accepted = %v", ID(id), got)
		}
	}
}

func TestNextCutsTheStream(t *testing.T) {
	stream := AppendKeepAlive(nil)
	stream = AppendState(stream, Unchoke)
	stream = HaveMsg{5}.Append(stream)
	var got []string
	for len(stream) > 0 {
		frame, n, err := Next(stream, MaxMessage)
		if err != nil || n == 0 {
			t.Fatalf("Next(%x) = %d, %v", stream, n, err)
		}
		got = append(got, hex.EncodeToString(frame))
		stream = stream[n:]
	}
	if strings.Join(got, ",") != ",01,0400000005" {
		t.Errorf("frames %q", got)
	}
}

func TestNextWaitsForTheWholeMessage(t *testing.T) {
	b := RequestMsg{1, 2, 3}.Append(nil)
	for cut := range b {
		frame, n, err := Next(b[:cut], MaxMessage)
		if frame != nil || n != 0 || err != nil {
			t.Errorf("%d bytes: %x, %d, %v", cut, frame, n, err)
		}
		length, id, ok, err := Peek(b[:cut], MaxMessage)
		if err != nil || ok != (cut >= 5) || ok && (length != 13 || id != Request) {
			t.Errorf("%d bytes: Peek = %d, %v, %v, %v", cut, length, id, ok, err)
		}
	}
	if length, _, ok, err := Peek([]byte{0, 0, 0, 0}, 0); length != 0 || !ok || err != nil {
		t.Errorf("keep-alive: Peek = %d, %v, %v", length, ok, err)
	}
}

// The bound is on the length prefix alone: nothing of the body need be there.
func TestTooLong(t *testing.T) {
	for _, test := range []struct {
		prefix string
		max    int
		long   bool
	}{
		{"00100000", MaxMessage, false},
		{"00100001", MaxMessage, true},
		{"ffffffff", MaxMessage, true},
		{"00000005", 5, false},
		{"00000006", 5, true},
		{"80000000", 1<<31 - 1, true},
	} {
		_, n, err := Next(unhex(t, test.prefix), test.max)
		if errors.Is(err, ErrTooLong) != test.long || n != 0 {
			t.Errorf("Next(%s, %d) = %d, %v", test.prefix, test.max, n, err)
		}
		if _, _, _, err := Peek(unhex(t, test.prefix), test.max); errors.Is(err, ErrTooLong) != test.long {
			t.Errorf("Peek(%s, %d): %v", test.prefix, test.max, err)
		}
	}
}

func TestHandshake(t *testing.T) {
	b := unhex(t, "13 426974546f7272656e742070726f746f636f6c 0000000000100015"+
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa 2d534c303130302d303132333435363738393a3b")
	h, err := ParseHandshake(b)
	if err != nil {
		t.Fatal(err)
	}
	if h.InfoHash != [20]byte(bytes.Repeat([]byte{0xaa}, 20)) || string(h.PeerID[:]) != PeerIDPrefix+"0123456789:;" {
		t.Errorf("parsed %+v", h)
	}
	for _, c := range []Capability{CapDHT, CapFast, CapV2, CapExtended, CapFast | CapExtended} {
		if !h.Has(c) {
			t.Errorf("capability %x is not seen", uint64(c))
		}
	}
	if !bytes.Equal(h.Append(nil), b) || h.Size() != len(b) {
		t.Errorf("appended %x", h.Append(nil))
	}

	for cut := range b {
		if _, err := ParseHandshake(b[:cut]); !errors.Is(err, ErrMalformed) {
			t.Errorf("%d bytes: %v", cut, err)
		}
	}
	if _, err := ParseHandshake(append(bytes.Clone(b), 0)); !errors.Is(err, ErrMalformed) {
		t.Errorf("trailing byte: %v", err)
	}
	for i := range len(Protocol) {
		other := bytes.Clone(b)
		other[i] ^= 0x20
		if _, err := ParseHandshake(other); !errors.Is(err, ErrMalformed) {
			t.Errorf("other byte at %d: %v", i, err)
		}
	}
}

// The bits stand where the BEPs put them.
func TestCapabilities(t *testing.T) {
	for _, test := range []struct {
		c    Capability
		byte int
		mask byte
	}{
		{CapDHT, 7, 0x01}, {CapFast, 7, 0x04}, {CapV2, 7, 0x10}, {CapExtended, 5, 0x10},
	} {
		var h Handshake
		if h.Has(test.c) {
			t.Errorf("%x is set in zeros", uint64(test.c))
		}
		h.Set(test.c)
		var want [8]byte
		want[test.byte] = test.mask
		if h.Reserved != want || !h.Has(test.c) {
			t.Errorf("%x sets %x", uint64(test.c), h.Reserved)
		}
	}
	var h Handshake
	h.Set(CapFast)
	h.Set(CapExtended)
	if h.Has(CapFast | CapV2) {
		t.Error("one of two bits is enough")
	}
}

func TestPieceHeader(t *testing.T) {
	b := unhex(t, "00004009 07 00000002 0000c000")
	h, err := ParsePieceHeader(b)
	if err != nil || h != (PieceHeader{2, 0xc000, BlockLen}) {
		t.Fatalf("ParsePieceHeader = %+v, %v", h, err)
	}
	if !bytes.Equal(h.Append(nil), b) || h.Size() != 13+BlockLen {
		t.Errorf("appended %x, size %d", h.Append(nil), h.Size())
	}
	for cut := range b {
		if _, err := ParsePieceHeader(b[:cut]); !errors.Is(err, ErrMalformed) {
			t.Errorf("%d bytes: %v", cut, err)
		}
	}
	for _, test := range []struct {
		name, hex string
		data      int // -1: malformed
	}{
		{"no data", "00000009 07 00000000 00000000", 0},
		{"too short for its fields", "00000008 07 00000000 00000000", -1},
		{"keep-alive", "00000000 07 00000000 00000000", -1},
		{"largest", "00020009 07 00000000 00000000", MaxBlock},
		{"too large", "0002000a 07 00000000 00000000", -1},
		{"huge", "ffffffff 07 00000000 00000000", -1},
		{"another message", "00004009 06 00000000 00000000", -1},
	} {
		h, err := ParsePieceHeader(unhex(t, test.hex))
		if test.data < 0 != errors.Is(err, ErrMalformed) || test.data >= 0 && h.DataLen != test.data {
			t.Errorf("%s: %+v, %v", test.name, h, err)
		}
	}
}

func TestBitfield(t *testing.T) {
	b := unhex(t, "00000003 05 ff80")
	frame, _, err := Next(b, MaxMessage)
	if err != nil {
		t.Fatal(err)
	}
	m, err := ParseBitfield(frame[1:])
	if err != nil || !bytes.Equal(m.Append(nil), b) || m.Size() != len(b) {
		t.Fatalf("%x, %v", m.Append(nil), err)
	}
	for _, test := range []struct {
		bits   string
		pieces int
		ok     bool
	}{
		{"ff80", 9, true},
		{"ff80", 16, true},
		{"ff80", 8, false},   // a byte too many
		{"ff80", 17, false},  // a byte missing
		{"ffc0", 9, false},   // spare bit set (BEP 3)
		{"ff81", 15, false},  // last spare bit set
		{"ffff", 16, true},   // none spare
		{"", 0, true},        //
		{"", 1, false},       //
		{"00", 0, false},     //
		{"80", 1, true},      //
		{"40", 1, false},     //
		{"ffffff", 24, true}, //
	} {
		if err := (BitfieldMsg{unhex(t, test.bits)}).Check(test.pieces); (err == nil) != test.ok {
			t.Errorf("%s for %d pieces: %v", test.bits, test.pieces, err)
		}
	}
}

// Messages that flow for every block cost no allocation.
func TestHotMessagesDoNotAllocate(t *testing.T) {
	buf := make([]byte, 0, 256)
	request := RequestMsg{1, 2, 3}.Append(nil)
	piece := PieceHeader{1, 2, BlockLen}.Append(nil)
	have := HaveMsg{7}.Append(nil)
	cancel := CancelMsg{1, 2, 3}.Append(nil)
	reject := RejectMsg{1, 2, 3}.Append(nil)
	allocs := testing.AllocsPerRun(100, func() {
		b := buf[:0]
		f, _, _ := Next(request, MaxMessage)
		r, _ := ParseRequest(f[1:])
		b = r.Append(b)
		h, _ := ParsePieceHeader(piece)
		b = h.Append(b)
		v, _ := ParseHave(have[5:])
		b = v.Append(b)
		c, _ := ParseCancel(cancel[5:])
		b = c.Append(b)
		j, _ := ParseReject(reject[5:])
		b = j.Append(b)
		AppendState(b, Choke)
	})
	if allocs != 0 {
		t.Errorf("%v allocations", allocs)
	}
}
