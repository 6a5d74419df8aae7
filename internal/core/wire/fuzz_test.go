package wire

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
)

// FuzzFrames takes a stream apart into messages and puts it together again: what
// parses appends to the same bytes, and what doesn't is an error, not a panic.
func FuzzFrames(f *testing.F) {
	var all []byte
	for _, g := range golden {
		b := unhex(f, g.hex)
		f.Add(b)
		all = append(all, b...)
	}
	all = AppendKeepAlive(all)
	all = BitfieldMsg{[]byte{0xff, 0x80}}.Append(all)
	all = append(PieceHeader{1, BlockLen, 5}.Append(all), "block"...)
	all = HashesMsg{testRange, make([]byte, 6*32)}.Append(all)
	all = append(all, extended(0, fullHandshake)...)
	all = append(all, extended(1, pexBody)...)
	f.Add(all)
	f.Add([]byte("\x00\x10\x00\x01"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		for len(stream) > 0 {
			frame, n, err := Next(stream, MaxMessage)
			if err != nil || n == 0 {
				return
			}
			whole := stream[:n]
			stream = stream[n:]
			again, size, err := reappend(whole, frame)
			if err != nil {
				return
			}
			if !bytes.Equal(again, whole) || size != len(whole) {
				t.Fatalf("%x became %x (size %d)", whole, again, size)
			}
		}
	})
}

// reappend parses one message and appends it again.
func reappend(whole, frame []byte) (again []byte, size int, err error) {
	if len(frame) == 0 {
		return AppendKeepAlive(nil), 4, nil
	}
	id, payload := ID(frame[0]), frame[1:]
	switch {
	case id == Piece:
		h, err := ParsePieceHeader(whole)
		return append(h.Append(nil), whole[min(len(whole), PieceHeaderLen):]...), h.Size(), err
	case id == Bitfield:
		m, err := ParseBitfield(payload)
		return m.Append(nil), m.Size(), err
	case id == Hashes:
		m, err := ParseHashes(payload)
		return m.Append(nil), m.Size(), err
	case id == Extended:
		ext, body, err := ParseExtended(payload)
		return AppendExtended(nil, ext, body), len(whole), err
	}
	for _, g := range golden {
		if g.id == id {
			_, again, size, err := g.parse(payload)
			return again, size, err
		}
	}
	return whole, len(whole), nil // an unknown message is skipped
}

// FuzzExtended gives a body to every parser of a body. What parses is appended and
// parsed again, and says the same.
func FuzzExtended(f *testing.F) {
	f.Add([]byte(fullHandshake))
	f.Add([]byte("d1:md11:LT_metadatai1e6:ut_pexi2ee1:pi6881e1:v13:\xc2\xb5Torrent 1.2e"))
	f.Add([]byte(pexBody))
	f.Add([]byte("d8:msg_typei0e5:piecei0ee"))
	f.Add([]byte("d8:msg_typei1e5:piecei0e10:total_sizei5eehello"))
	f.Add([]byte("d5:added" + "60:" + strings.Repeat("\x01\x02\x03\x04\x00\x50", 10) + "e"))
	f.Add(testRange.append(nil))
	f.Add(append(testRange.append(nil), make([]byte, 6*32)...))
	f.Add([]byte{0, 0, 0, 9})
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, err := ParseExtHandshake(b); err == nil {
			again, err := ParseExtHandshake(body(t, h.Append(nil)))
			if err != nil || again != h {
				t.Errorf("%+v became %+v, %v", h, again, err)
			}
		}
		if m, err := ParseMetadata(b); err == nil && m.Type >= MetadataRequest && m.Type <= MetadataReject {
			again, err := ParseMetadata(body(t, m.Append(nil, 9)))
			if err != nil || !reflect.DeepEqual(again, m) {
				t.Errorf("%+v became %+v, %v", m, again, err)
			}
		}
		if p, err := ParsePEX(b); err == nil {
			if len(p.Added) > MaxPEX || len(p.Dropped) > MaxPEX {
				t.Errorf("%d and %d peers", len(p.Added), len(p.Dropped))
			}
			again, err := ParsePEX(body(t, p.Append(nil, 9)))
			if err != nil || len(again.Added) != len(p.Added) || len(again.Dropped) != len(p.Dropped) {
				t.Errorf("%+v became %+v, %v", p, again, err)
			}
		}
		fuzzFixed(t, b)
	})
}

// fuzzFixed does the same for the bodies of fixed form, which keep every byte.
func fuzzFixed(t *testing.T, b []byte) {
	same := func(again []byte, skip int) {
		if !bytes.Equal(again[skip:], b) {
			t.Errorf("%x became %x", b, again[skip:])
		}
	}
	if m, err := ParseDontHave(b); err == nil {
		same(m.Append(nil, 7), 6)
	}
	if m, err := ParseUploadOnly(b); err == nil {
		if again, err := ParseUploadOnly(body(t, m.Append(nil, 3))); err != nil || again != m {
			t.Errorf("%+v became %+v, %v", m, again, err)
		}
	}
	if m, err := ParseHashRequest(b); err == nil {
		same(m.Append(nil), 5)
	}
	if m, err := ParseHashReject(b); err == nil {
		same(m.Append(nil), 5)
	}
	if m, err := ParseHashes(b); err == nil {
		same(m.Append(nil), 5)
	}
	if h, err := ParseHandshake(b); err == nil {
		same(h.Append(nil), 0)
	}
}
