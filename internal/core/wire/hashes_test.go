package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"runtime"
	"testing"
)

func TestHashes(t *testing.T) {
	// Four hashes of layer 0 at 8; of 3 proof layers the first, log2(4)-1, is
	// omitted, which leaves 2 uncles (BEP 52 "hashes").
	data := bytes.Repeat([]byte{0xee}, (4+2)*32)
	data[5*32] = 0x55
	b := append(unhex(t, "000000f1 16 "+root+" 00000000 00000008 00000004 00000003"), data...)
	frame, n, err := Next(b, MaxMessage)
	if err != nil || n != len(b) {
		t.Fatal(n, err)
	}
	m, err := ParseHashes(frame[1:])
	if err != nil {
		t.Fatal(err)
	}
	if m.HashRange != testRange || m.Count() != 6 || m.Hash(5)[0] != 0x55 || m.Hash(4)[0] != 0xee {
		t.Errorf("parsed %+v", m)
	}
	if !bytes.Equal(m.Append(nil), b) || m.Size() != len(b) {
		t.Errorf("appended %x", m.Append(nil))
	}
	for cut := 1; cut < len(frame); cut++ {
		if _, err := ParseHashes(frame[1:cut]); !errors.Is(err, ErrMalformed) {
			t.Fatalf("cut to %d bytes: %v", cut, err)
		}
	}
	for _, extra := range []int{1, 32} {
		if _, err := ParseHashes(append(bytes.Clone(frame[1:]), make([]byte, extra)...)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%d bytes more: %v", extra, err)
		}
	}
}

func TestUncles(t *testing.T) {
	for _, test := range []struct{ length, proof, want uint32 }{
		{1, 3, 4},                       // a single hash needs its sibling, too
		{2, 0, 0}, {2, 1, 1}, {2, 9, 9}, // the sibling pair's parent needs its uncle at once
		{4, 1, 0}, {4, 2, 1}, {512, 8, 0}, {512, 9, 1}, {512, 0, 0}, {8192, 32, 20},
	} {
		r := HashRange{Length: test.length, ProofLayers: test.proof}
		if got := r.Uncles(); got != int(test.want) {
			t.Errorf("%d hashes, %d proof layers: %d uncles, want %d", test.length, test.proof, got, test.want)
		}
	}
}

func TestHashRangeRules(t *testing.T) {
	for _, test := range []struct {
		name                       string
		base, index, length, proof uint32
		ok                         bool
	}{
		{"smallest", 0, 0, 2, 0, true},
		{"whole piece layer chunk", 4, 1024, 512, 7, true},
		{"largest", 0, 8192, 8192, 3, true},
		{"length 0", 0, 0, 0, 0, false},
		{"a single hash, as libtorrent asks", 4, 512, 1, 3, true},
		{"no power of two", 0, 0, 6, 0, false},
		{"too many", 0, 0, 16384, 0, false},
		{"index no multiple", 0, 6, 4, 0, false},
		{"absurd base", 33, 0, 2, 0, false},
		{"absurd proof", 0, 0, 2, 0xffffffff, false},
	} {
		r := HashRange{Base: test.base, Index: test.index, Length: test.length, ProofLayers: test.proof}
		_, err := ParseHashRequest(r.append(nil))
		if (err == nil) != test.ok || err != nil && !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

// A claim of many hashes allocates nothing: the data that came is the measure.
func TestHashesClaimIsNotBelieved(t *testing.T) {
	b := HashRange{Length: 8192}.append(nil)
	binary.BigEndian.PutUint32(b[32+8:], 8192)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 100 {
		ParseHashes(b)
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / 100; each > 4096 {
		t.Errorf("%d bytes are allocated", each)
	}
}
