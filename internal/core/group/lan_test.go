package group

import (
	"encoding/hex"
	"testing"

	"shoal/internal/core/ident"
)

func TestLANTag(t *testing.T) {
	g, node := ID{31: 1}, ident.NodeID{0: 2, 31: 3}
	const day = 20_000
	got := LANTag(g, node, day)
	// By openssl dgst -sha256 -mac HMAC -macopt hexkey:….
	if want := "3a5939fe460bee95"; hex.EncodeToString(got[:]) != want {
		t.Errorf("tag %x, want %s", got, want)
	}
	for name, other := range map[string][8]byte{
		"another group": LANTag(ID{31: 2}, node, day), "another node": LANTag(g, ident.NodeID{0: 2, 31: 4}, day),
		"tomorrow": LANTag(g, node, day+1), "before 1970": LANTag(g, node, -day),
	} {
		if other == got {
			t.Errorf("%s has the same tag", name)
		}
	}
}
