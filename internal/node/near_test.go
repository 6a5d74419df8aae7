package node

import (
	"net/netip"
	"testing"

	"shoal/internal/core/swarm/candidates"
)

// TestWhoNamedIt: what members and the local network name is believed of private addresses,
// and leads to this machine itself only where the person wrote that address down; who comes
// is answered.
func TestWhoNamedIt(t *testing.T) {
	n := &Node{opts: Options{Config: DefaultConfig()}}
	private, loop := netip.MustParseAddrPort("192.168.1.9:7463"), netip.MustParseAddrPort("127.0.0.1:7463")
	if err := n.allowNear(private); err != nil {
		t.Error(err)
	}
	if n.allowNear(loop) == nil {
		t.Error("a member may name this machine's own addresses")
	}
	for _, a := range []netip.AddrPort{private, loop} {
		if err := n.allowComer(a); err != nil {
			t.Error(err)
		}
	}
	n.typed.Add(loop.String())
	if err := n.allowNear(loop); err != nil {
		t.Error(err)
	}
	if n.allowNear(netip.MustParseAddrPort("127.0.0.1:7464")) == nil {
		t.Error("another port of this machine may be named now")
	}
	for s, want := range map[candidates.Source]bool{candidates.FromPerson: true, candidates.FromLAN: true, candidates.FromPeer: true,
		candidates.FromLink: false, candidates.FromTracker: false, candidates.FromPEX: false, candidates.FromDHT: false} {
		if got := Internet.AllowFrom(private, learnt(s)) == nil; got != want {
			t.Errorf("a private address by source %v: %t", s, got)
		}
	}
}

// TestPrivilegedPorts: at a port of a system's services nobody is sought because strangers say
// that a peer is there. Who says so of itself, or is named by the person or the link, may be.
func TestPrivilegedPorts(t *testing.T) {
	for s, want := range map[candidates.Source]bool{candidates.FromPerson: true, candidates.FromLink: true, candidates.FromLAN: true,
		candidates.FromPeer: true, candidates.FromTracker: false, candidates.FromPEX: false, candidates.FromDHT: false} {
		for port, privileged := range map[uint16]bool{25: true, 443: true, 1023: true, 1024: false, 6881: false} {
			a := netip.AddrPortFrom(netip.MustParseAddr("8.8.8.8"), port)
			if got := Internet.allowPeer(a, s) == nil; got != (want || !privileged) {
				t.Errorf("%v by source %v: %t", a, s, got)
			}
		}
	}
}
