package engine

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"shoal/internal/adapter/store"
	"shoal/internal/core/metainfo"
	"shoal/internal/core/wire"
	"shoal/internal/node/link"
)

// TestStrangersLeaveRoom: strangers who come take no place that members need.
func TestStrangersLeaveRoom(t *testing.T) {
	x := make1(t, testPiece, store.CreateOptions{Version: metainfo.V2})
	home := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w, k := &network{delay: time.Millisecond}, &club{}
		a := w.resident(t, home, k, 1, func(c *Config) { c.MaxConns = 16 })
		defer w.close(a.node)
		a.offer(x)
		in := 0
		for n := range byte(20) {
			from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 9, n}), 1)
			nc, err := w.host(from.String()).dial(t.Context(), a.plain.at)
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			hello := wire.Handshake{InfoHash: x.meta.Hash.V2Short(), PeerID: wire.PeerID{n}}
			hello.Set(wire.CapFast | wire.CapExtended | wire.CapV2)
			_, _ = nc.Write(hello.Append(nil)) // who is not admitted is not listened to
			if _, err := link.ReadHandshake(nc); err == nil {
				in++
			}
			synctest.Wait()
		}
		if in != 14 || a.Conns() != 14 {
			t.Errorf("%d strangers are in, %d connections", in, a.Conns())
		}
		w.host(overlayAddr(2).String()).greet(t, a.overlay.at, x.meta.Hash.V2Short(), wire.PeerID{99}, 0)
		synctest.Wait()
		if a.Conns() != 15 {
			t.Errorf("with a member %d connections", a.Conns())
		}
	})
}
