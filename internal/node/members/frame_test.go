package members

import (
	"bytes"
	"io"
	"testing"
)

func checkFrames(t *testing.T, b []byte) {
	r := bytes.NewReader(b)
	var again []byte
	for {
		n, err := readNote(r)
		if err != nil {
			break
		}
		again = n.append(again)
	}
	if !bytes.HasPrefix(b, again) || len(again)%noteSize != 0 {
		t.Errorf("notes %x are read as %x", b, again)
	}
	r, again = bytes.NewReader(b), nil
	buf := make([]byte, maxDatagram)
	for {
		m, err := readDatagram(r, buf)
		if err != nil {
			break
		}
		again = appendDatagram(again, m)
	}
	if !bytes.HasPrefix(b, again) {
		t.Errorf("messages %x are read as %x", b, again)
	}
}

// The bytes of docs/formats/overlay.md.
func TestFrames(t *testing.T) {
	hash := [20]byte{0xaa, 19: 0xbb}
	for want, n := range map[string]note{
		"\x01\xaa" + string(make([]byte, 18)) + "\xbb": {true, hash},
		"\x00\xaa" + string(make([]byte, 18)) + "\xbb": {false, hash},
	} {
		if got := string(n.append(nil)); got != want {
			t.Errorf("%q", got)
		}
		if got, err := readNote(bytes.NewReader([]byte(want))); err != nil || got != n {
			t.Errorf("%v, %v", got, err)
		}
		for cut := range len(want) {
			if _, err := readNote(bytes.NewReader([]byte(want[:cut]))); err == nil {
				t.Errorf("cut at %d", cut)
			}
		}
	}
	if _, err := readNote(bytes.NewReader(append([]byte{2}, make([]byte, 20)...))); err != errFrame {
		t.Error(err)
	}
	if got := string(appendDatagram(nil, []byte("ab"))); got != "\x00\x02ab" {
		t.Errorf("%q", got)
	}
	buf := make([]byte, maxDatagram)
	for _, bad := range []string{"", "\x00", "\x00\x00", "\x20\x01", "\x00\x02a"} {
		if m, err := readDatagram(bytes.NewReader([]byte(bad)), buf); err == nil {
			t.Errorf("%q is %q", bad, m)
		}
	}
	if _, err := readGroup(bytes.NewReader(make([]byte, 31))); err != io.ErrUnexpectedEOF {
		t.Error(err)
	}
}

// FuzzFrames reads what peers may send in the streams of this package: what is read is
// written again alike, and nothing is read twice.
func FuzzFrames(f *testing.F) {
	f.Add(note{true, [20]byte{1}}.append(nil))
	f.Add(appendDatagram(nil, []byte("d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe")))
	f.Fuzz(checkFrames)
}
