package reach

import (
	"fmt"
	"net/netip"
	"testing"
)

// TestTyped: only what was written down as an address is known, and not for ever.
func TestTyped(t *testing.T) {
	loop, six := netip.MustParseAddrPort("127.0.0.1:7463"), netip.MustParseAddrPort("[::1]:7463")
	for address, want := range map[string][2]bool{
		"": {}, "127.0.0.1": {}, "127.0.0.1:7463": {true, false}, "[::1]:7463": {false, true}, "[::ffff:127.0.0.1]:7463": {true, false},
		"localhost:7463": {true, true}, "localhost": {}, "evil.example:7463": {}, "127.0.0.1:7464": {},
	} {
		var k Typed
		k.Add(address)
		if got := [2]bool{k.Has(loop), k.Has(six)}; got != want {
			t.Errorf("%q: %v", address, got)
		}
	}
	var k Typed
	k.Add(loop.String())
	for i := range 2 * maxTyped {
		if k.Add(fmt.Sprintf("127.0.0.1:%d", 10000+i)); len(k.list) > maxTyped {
			t.Fatalf("%d are kept", len(k.list))
		}
	}
	if k.Has(loop) || !k.Has(netip.AddrPortFrom(loop.Addr(), 10000+2*maxTyped-1)) {
		t.Error("not the oldest made room")
	}
}
