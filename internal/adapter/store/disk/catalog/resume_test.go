package catalog

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"reflect"
	"testing"
)

func sampleResume() *Resume {
	return &Resume{
		Boot: "boot", Have: []byte{0xf0}, Synced: []byte{0xc0},
		Files: []FileStat{
			{Size: 300, MTimeNS: 1, State: StatPartial, Ino: 1 << 40}, {},
			{Size: 0, MTimeNS: -1, State: StatOurs}, {State: StatHome}, {Size: 1 << 50, MTimeNS: 1 << 60, State: StatFound, Ino: 7},
		},
	}
}

// The bytes are those of docs/formats/catalog.md, written by hand.
func TestResumeBytes(t *testing.T) {
	r := &Resume{Boot: "b", Have: []byte{0x80}, Synced: []byte{0}, Files: []FileStat{
		{Size: 300, MTimeNS: 258, State: StatPartial, Ino: 5}, {State: StatHome},
	}}
	want := []byte{
		1, 1, 'b', 1, 0x80, 1, 0,
		2,
		1, 0xac, 0x02, 0, 0, 0, 0, 0, 0, 1, 2, 5,
		4,
		0x76, 0xd6, 0x1a, 0xc8,
	}
	got := r.Append(nil)
	if !bytes.Equal(got[:len(got)-4], want[:len(want)-4]) {
		t.Errorf("bytes % x", got)
	}
	if back, err := ParseResume(got); err != nil || !reflect.DeepEqual(back, r) {
		t.Errorf("ParseResume = %+v, %v", back, err)
	}
}

func TestResumeDamaged(t *testing.T) {
	b := sampleResume().Append(nil)
	for n := range b {
		if _, err := ParseResume(b[:n]); !errors.Is(err, ErrResume) {
			t.Errorf("cut at %d: %v", n, err)
		}
		spoilt := bytes.Clone(b)
		spoilt[n] ^= 0x10
		if _, err := ParseResume(spoilt); !errors.Is(err, ErrResume) {
			t.Errorf("byte %d changed: %v", n, err)
		}
	}
	if _, err := ParseResume(append(b, 0)); !errors.Is(err, ErrResume) {
		t.Errorf("a byte too many: %v", err)
	}
}

func FuzzResume(f *testing.F) {
	for _, r := range []*Resume{{}, sampleResume()} {
		b := r.Append(nil)
		f.Add(b[:len(b)-4])
	}
	f.Add([]byte{1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Add([]byte{1, 0x80, 0})
	f.Fuzz(func(t *testing.T, body []byte) {
		// With its checksum the body gets past the first door.
		b := binary.BigEndian.AppendUint32(bytes.Clone(body), crc32.Checksum(body, castagnoli))
		r, err := ParseResume(b)
		if err != nil {
			return
		}
		if again := r.Append(nil); !bytes.Equal(again, b) {
			t.Errorf("% x became % x", b, again)
		}
	})
}
