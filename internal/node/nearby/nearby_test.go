package nearby

import (
	"context"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"shoal/internal/adapter/lan"
	"shoal/internal/core/metainfo"
	"shoal/internal/node/locate"
)

var at = netip.MustParseAddrPort("192.168.1.7:7463")

func hybrid() metainfo.InfoHash {
	return metainfo.InfoHash{Version: metainfo.Hybrid, V1: [20]byte{1}, V2: [32]byte{2}}
}

func network(t *testing.T, nodes func(lan.Found)) *Network {
	t.Helper()
	n, err := New(lan.Config{Port: 7463, Found: nodes})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestSeek: who seeks hears what is found under either name of the share until it ends,
// and what was found shortly before; another share's finds are not its.
func TestSeek(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := network(t, nil)
		h := hybrid()
		names := h.Wire()
		n.heard(lan.Found{Addr: at, InfoHash: names[1]})
		n.heard(lan.Found{Addr: at, InfoHash: [20]byte{9}})
		ctx, cancel := context.WithCancel(t.Context())
		var got []netip.AddrPort
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			n.Seek(ctx, locate.Offer{ID: "a", Hash: h}, func(list []netip.AddrPort) { got = append(got, list...) })
		}()
		synctest.Wait()
		other := netip.AddrPortFrom(at.Addr(), 1)
		n.heard(lan.Found{Addr: other, InfoHash: names[0]})
		synctest.Wait()
		cancel()
		<-ended
		n.heard(lan.Found{Addr: at, InfoHash: names[0]})
		if len(got) != 2 || got[0] != at || got[1] != other {
			t.Errorf("found %v", got)
		}
		if len(n.seekers) != 0 {
			t.Error("a seeker that ended is kept")
		}
	})
}

// TestOldFinds: what was heard long ago is no find, and what is kept has a bound.
func TestOldFinds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := network(t, nil)
		h := hybrid()
		n.heard(lan.Found{Addr: at, InfoHash: h.V1})
		<-time.After(recentTime)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		n.Seek(ctx, locate.Offer{Hash: h}, func(list []netip.AddrPort) { t.Errorf("found %v", list) })
		for i := range 2 * maxRecent {
			n.heard(lan.Found{Addr: netip.AddrPortFrom(at.Addr(), uint16(i+1)), InfoHash: h.V1})
		}
		if len(n.recent) != maxRecent {
			t.Errorf("%d finds are kept", len(n.recent))
		}
	})
}

// TestNodes: a find that is no share is a node.
func TestNodes(t *testing.T) {
	var nodes []lan.Found
	n := network(t, func(f lan.Found) { nodes = append(nodes, f) })
	n.heard(lan.Found{Addr: at})
	n.heard(lan.Found{Addr: at, InfoHash: [20]byte{1}})
	if len(nodes) != 1 || nodes[0].Addr != at {
		t.Errorf("nodes: %+v", nodes)
	}
}

// TestList: what is announced has both names of each share, until it is withdrawn.
func TestList(t *testing.T) {
	n := network(t, nil)
	h := hybrid()
	n.Offer(locate.Offer{ID: "b", Hash: metainfo.InfoHash{Version: metainfo.V1, V1: [20]byte{3}}})
	n.Offer(locate.Offer{ID: "a", Hash: h})
	n.Offer(locate.Offer{ID: "a", Hash: h})
	if got := n.list(); len(got) != 3 || got[0] != h.V1 || got[1] != h.V2Short() || got[2] != ([20]byte{3}) {
		t.Errorf("announced: %x", got)
	}
	n.Withdraw("a")
	if got := n.list(); len(got) != 1 {
		t.Errorf("announced: %x", got)
	}
}
