package dht

import (
	"context"
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"shoal/internal/core/kad"
	"shoal/internal/core/kad/krpc"
)

// address is one of so many.
func address(n int) netip.AddrPort {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], 11<<24+uint32(n)*4097)
	return netip.AddrPortFrom(netip.AddrFrom4(b), 6881)
}

// BenchmarkFlood is what a datagram of a flood costs, of one source and of more than can
// be told apart: at 50,000 a second, 1 µs is 5 % of a core.
func BenchmarkFlood(b *testing.B) {
	for _, c := range []struct {
		name    string
		sources int
	}{{"one source", 1}, {"32 sources", 32}, {"a million sources", 1_000_000}} {
		b.Run(c.name, func(b *testing.B) {
			d := New(Config{Send: func(netip.AddrPort, []byte) {}, Seed: [32]byte{1}})
			now := time.Now()
			d.begin(now)
			for i := range 100 { // a table
				d.in.List = append(d.in.List, kad.Event{Kind: kad.Bootstrap, Nodes: []krpc.Node{{ID: hash(i), Addr: host(i)}}})
			}
			d.turn(context.Background(), now)
			m := krpc.Message{Kind: krpc.Query, Method: krpc.FindNode, TID: []byte("aa"), ID: hash(1), Target: hash(2)}
			q := m.Append(nil)
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				d.Datagram(q, address(i%c.sources))
				if i%256 == 0 {
					now = now.Add(256 * time.Second / 50_000)
					d.turn(context.Background(), now)
					d.outbox.take(batch{})
				}
			}
		})
	}
}
