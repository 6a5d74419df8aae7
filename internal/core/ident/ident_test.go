package ident

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

// seed is the secret key of RFC 8032 §7.1, test 1.
var seed = [SeedSize]byte{0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4,
	0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60}

// public is its public key, from the same place.
var public = []byte{0xd7, 0x5a, 0x98, 0x01, 0x82, 0xb1, 0x0a, 0xb7, 0xd5, 0x4b, 0xfe, 0xd3, 0xc9, 0x64, 0x07, 0x3a,
	0x0e, 0xe1, 0x72, 0xf3, 0xda, 0xa6, 0x23, 0x25, 0xaf, 0x02, 0x1a, 0x68, 0xf7, 0x07, 0x51, 0x1a}

func other(b byte) Key { return NewKey([SeedSize]byte{b}) }

func TestRFC8032_PublicKey(t *testing.T) {
	if id := NewKey(seed).ID(); !bytes.Equal(id[:], public) {
		t.Errorf("public key %x, want %x", id, public)
	}
}

// The Ed25519 test vector of libp2p's specification of peer ids.
func TestLibp2pPeerIDs(t *testing.T) {
	frame := unhex(t, "080112407e0830617c4a7de83925dfb2694556b12936c477a0e1feb2e148ec9da60fee7d"+
		"1ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e")
	k, err := ParseKey(frame)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(k.File(), frame) {
		t.Error("the key is not written as it was read")
	}
	frame = unhex(t, "080112201ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e")
	if got := k.ID().PeerID(); !bytes.Equal(got[2:], frame) || !bytes.Equal(got[:2], []byte{0, 36}) {
		t.Errorf("peer id %x", got)
	}
	if got, want := k.ID().String(), "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	var b []byte
	if _, err := fmt.Sscanf(s, "%x", &b); err != nil {
		t.Fatal(err)
	}
	return b
}

func TestNodeIDText(t *testing.T) {
	for b := range byte(50) {
		id := other(b).ID()
		s := id.String()
		if !strings.HasPrefix(s, "12D3KooW") || len(s) != 52 {
			t.Errorf("%s does not look like an Ed25519 peer id", s)
		}
		back, err := ParseNodeID(s)
		if err != nil || back != id {
			t.Errorf("%s is read as %v, %v", s, back, err)
		}
		if !strings.HasSuffix(s, id.Short()) {
			t.Errorf("short form %s of %s", id.Short(), s)
		}
	}
}

func TestNodeIDRefused(t *testing.T) {
	good := other(1).ID().String()
	for _, s := range []string{"", "1", good[1:], good + "1", good[:51], good[:51] + "0", good[:51] + "é", strings.Repeat("2", 1<<20),
		"QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N", "1" + good} {
		if id, err := ParseNodeID(s); err == nil {
			t.Errorf("%.60q is read as %v", s, id)
		}
	}
}

// Bitcoin's own vectors of base58.
func TestBase58(t *testing.T) {
	for text, want := range map[string]string{"": "", "a": "2g", "bbb": "a3gV", "simply a long string": "2cFupjhnEsSn59qHXstmK2ffpLv2",
		"\x00\xeb\x15\x23\x1d\xfc\xeb\x60\x92\x58\x86\xb6\x7d\x06\x52\x99\x92\x59\x15\xae\xb1\x72\xc0\x66\x47": "1NS17iag9jJgTHD1VXjvLCEnZuQ3rJDE9L",
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00":                                                             "1111111111"} {
		if got := base58([]byte(text)); got != want {
			t.Errorf("%q is %s, want %s", text, got, want)
		}
		if got, ok := fromBase58(want); !ok || string(got) != text {
			t.Errorf("%s is read as %q", want, got)
		}
	}
}

// A key file with any bit flipped, cut or lengthened is refused: it is never another node.
func TestKeyFileDamaged(t *testing.T) {
	file := NewKey(seed).File()
	for i := range file {
		for bit := range 8 {
			bad := bytes.Clone(file)
			bad[i] ^= 1 << bit
			if k, err := ParseKey(bad); err == nil {
				t.Fatalf("byte %d, bit %d flipped: read as %v", i, bit, k)
			}
		}
		if _, err := ParseKey(file[:i]); err == nil {
			t.Fatalf("cut to %d bytes: read", i)
		}
	}
	if _, err := ParseKey(append(file, 0)); err == nil {
		t.Error("a byte too many: read")
	}
}

func TestKeyPrintsNoSecret(t *testing.T) {
	k := NewKey(seed)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q"} {
		got := strings.ToLower(fmt.Sprintf(verb, k))
		if strings.Contains(got, "9d61b19d") || strings.Contains(got, "157, 97") || strings.Contains(got, "157 97") || strings.Contains(got, "0x9d") {
			t.Errorf("%s prints the secret: %s", verb, got)
		}
	}
}

func TestDerive(t *testing.T) {
	a, b := NewKey(seed), other(1)
	if got := a.Derive("x"); got != NewKey(seed).Derive("x") {
		t.Errorf("the secret changes: %x", got)
	}
	if a.Derive("x") == a.Derive("y") || a.Derive("x") == b.Derive("x") {
		t.Error("secrets of purposes or keys coincide")
	}
}

func TestEnvelope(t *testing.T) {
	k := NewKey(seed)
	e := k.Seal(GroupEntry, []byte("hello"))
	b := e.Append(nil)
	if want := "d1:k32:" + string(public) + "1:p5:hello1:s64:" + string(e.Sig[:]) + "e"; string(b) != want {
		t.Errorf("written as %q", b)
	}
	got, err := ParseEnvelope(b)
	if err != nil || got.Open(GroupEntry) != nil || got.Author != k.ID() || string(got.Payload) != "hello" {
		t.Fatalf("read as %+v, %v", got, err)
	}
	if got.Open("another") == nil {
		t.Error("a signature for one domain is good for another")
	}
	for i := range b {
		bad := bytes.Clone(b)
		bad[i] ^= 1
		if e, err := ParseEnvelope(bad); err == nil && e.Open(GroupEntry) == nil {
			t.Errorf("byte %d changed: accepted", i)
		}
		if _, err := ParseEnvelope(b[:i]); err == nil {
			t.Errorf("cut to %d bytes: read", i)
		}
	}
	if _, err := ParseEnvelope(append(b, 'e')); err == nil {
		t.Error("a byte too many: read")
	}
	stolen := got
	stolen.Author = other(1).ID()
	if stolen.Open(GroupEntry) == nil {
		t.Error("signed by another, accepted")
	}
}

// Longer domains do not begin with shorter ones as far as a signature goes.
func TestEnvelopeDomainsDoNotRunOver(t *testing.T) {
	k := NewKey(seed)
	if string(signed("a", k.ID(), []byte("b"))) == string(signed("ab", k.ID(), nil)) {
		t.Error("two domains sign the same bytes")
	}
}

func TestCode(t *testing.T) {
	a := Code([]byte("a"), []byte("bc"))
	if len(a) != 14 || strings.Count(a, " ") != 2 {
		t.Errorf("code %q", a)
	}
	if a == Code([]byte("ab"), []byte("c")) || a == Code([]byte("abc")) {
		t.Error("texts run into each other")
	}
	if CodeOf(other(1).ID()) == CodeOf(other(2).ID()) {
		t.Error("two nodes have one code")
	}
}

func TestOverlayAddresses(t *testing.T) {
	a, b := other(1).ID().Addr(), other(2).ID().Addr()
	if a == b || a != other(1).ID().Addr() || !IsOverlay(a.Addr()) || !a.Addr().IsPrivate() || a.Port() == 0 {
		t.Errorf("addresses %v and %v", a, b)
	}
	for _, s := range []string{"127.0.0.1", "::1", "fd00::1", "10.0.0.1", "2001:db8::1", "::ffff:1.2.3.4"} {
		if IsOverlay(netip.MustParseAddr(s)) {
			t.Errorf("%s is taken for a node's", s)
		}
	}
}

func FuzzEnvelope(f *testing.F) {
	e := NewKey(seed).Seal(GroupEntry, []byte("hello"))
	f.Add(e.Append(nil))
	f.Add([]byte("d1:k0:1:p0:1:s0:e"))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := ParseEnvelope(b)
		if err == nil && !bytes.Equal(e.Append(nil), b) {
			t.Errorf("%q is written as %q", b, e.Append(nil))
		}
	})
}

func FuzzNodeID(f *testing.F) {
	f.Add(other(1).ID().String())
	f.Add("QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N")
	f.Fuzz(func(t *testing.T, s string) {
		if id, err := ParseNodeID(s); err == nil && id.String() != s {
			t.Errorf("%q is written as %q", s, id.String())
		}
	})
}

func TestSignItem(t *testing.T) {
	k := other(7)
	id := k.ID()
	for text, want := range map[string]bool{"3:seqi1e1:v1:x": true, "4:salt1:a3:seqi1e1:v1:x": true, "": false, "libp2p-tls-handshake:x": false,
		"shoal signature\x00group entry\x00": false} {
		if sig := k.SignItem([]byte(text)); ed25519.Verify(id[:], []byte(text), sig[:]) != want {
			t.Errorf("%q: not %v", text, want)
		}
	}
}
