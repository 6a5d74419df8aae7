package dht

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"shoal/internal/core/kad"
	"shoal/internal/core/kad/krpc"
)

func TestSearches(t *testing.T) {
	inWorld(t, 30, func(t *testing.T, w *world) {
		ctx := deadline(t, time.Minute)
		a, b := w.node(3), w.node(17)
		r, err := a.Announce(ctx, hash(1), 7463, nil)
		must(t, err == nil && r.Stored >= 8, "announce: %+v, %v", r, err)
		var got []netip.AddrPort
		r, err = b.Peers(ctx, hash(1), 0, func(l []netip.AddrPort) { got = append(got, l...) })
		must(t, err == nil && r.Why == kad.Exhausted && slices.Equal(got, []netip.AddrPort{a.at}), "peers: %v, %+v, %v", got, r, err)

		fixed := &krpc.Item{Value: []byte("5:shoal")}
		_, err = a.Put(ctx, fixed, nil)
		must(t, err == nil, "put: %v", err)
		it, _, err := b.Get(ctx, fixed.Target(), nil)
		must(t, err == nil && it != nil && bytes.Equal(it.Value, fixed.Value), "get: %+v, %v", it, err)

		key := ed25519.NewKeyFromSeed(make([]byte, 32))
		for seq := range int64(2) {
			mutable := &krpc.Item{Mutable: true, Salt: []byte("s"), Seq: seq, Value: []byte("i7e")}
			mutable.Sign(key)
			_, err = a.Put(ctx, mutable, nil)
			must(t, err == nil, "put: %v", err)
			it, _, err = b.Get(ctx, mutable.Target(), []byte("s"))
			must(t, err == nil && it != nil && it.Seq == seq, "get: %+v, %v", it, err)
		}
		it, _, err = b.Get(ctx, hash(99), nil)
		must(t, err == nil && it == nil, "an item that nobody put: %+v, %v", it, err)
		must(t, b.Size() > 5 && b.Health().Good > 8, "%d nodes, %+v", b.Size(), b.Health())
	})
}

// TestHold: what is held is announced again until it is released.
func TestHold(t *testing.T) {
	inWorld(t, 12, func(t *testing.T, w *world) {
		rounds := make(chan kad.Result, 100)
		release := w.node(1).Hold(kad.Event{Op: kad.Announce, Target: hash(1), Port: 7463}, func(r kad.Result) { rounds <- r })
		pass(time.Hour)
		n := len(rounds)
		must(t, n >= 3 && n <= 5, "%d rounds in an hour", n)
		must(t, (<-rounds).Stored >= 8, "not stored")
		release()
		pass(time.Minute)
		n = len(rounds)
		pass(time.Hour)
		must(t, len(rounds) == n, "announced after it was released")
	})
}

// TestClose: who waits for a node that ends is told so, and nothing of it stays; the
// bubble would tell of goroutines.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		n := w.start(0, Config{Bootstrap: []string{"slow.example:1"}, Resolve: func(ctx context.Context, _ string) ([]netip.AddrPort, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}})
		errs := make(chan error)
		go func() {
			_, err := n.Peers(context.Background(), hash(1), 0, func([]netip.AddrPort) {})
			errs <- err
		}()
		pass(time.Second)
		n.stop()
		must(t, errors.Is(<-errs, ErrClosed), "the search does not end with the node")
		_, err := n.Peers(context.Background(), hash(1), 0, nil)
		must(t, errors.Is(err, ErrClosed), "a search after the end: %v", err)
		must(t, n.Health() == kad.Health{}, "health after the end")
		n.Datagram(query(1), host(1))
		n.Add(host(1))
		n.Hold(kad.Event{Op: kad.Announce, Target: hash(1)}, nil)()
	})
}

// TestCancel: a search whose caller has gone asks nobody any more.
func TestCancel(t *testing.T) {
	inWorld(t, 30, func(t *testing.T, w *world) {
		ctx, cancel := context.WithCancel(context.Background())
		after := false
		w.mu.Lock()
		w.seen = func(from, to netip.AddrPort, m *krpc.Message) {
			if m.Kind == krpc.Query && m.Method == krpc.GetPeers && from == host(1) {
				if after {
					t.Error("asks after the search was cancelled")
				}
				cancel()
			}
		}
		w.mu.Unlock()
		_, err := w.node(1).Peers(ctx, hash(1), 0, nil)
		must(t, errors.Is(err, context.Canceled), "%v", err)
		synctest.Wait()
		w.mu.Lock()
		after = true
		w.mu.Unlock()
		pass(time.Minute)
		must(t, len(w.node(1).sinks) == 0, "searches stay")
	})
}

// TestQueueBound: what comes faster than it is taken is dropped and counted, and costs no
// more memory than the queue has.
func TestQueueBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		n := w.make(0, Config{})
		for i := range 5000 {
			n.Datagram(query(i), host(1+i%3000))
		}
		long := make([]byte, krpc.MaxDatagram)
		for i := range 100 {
			n.Datagram(long, host(3000+i))
		}
		must(t, len(n.inbox.in.list) == inboxCount && cap(n.inbox.in.bytes) <= 2*inboxBytes, "%d datagrams, %d bytes wait", len(n.inbox.in.list), cap(n.inbox.in.bytes))
		w.run(n)
		defer w.end()
		pass(time.Second)
		c := n.Counted()
		must(t, c.Queries == inboxCount && c.Dropped == 5100-inboxCount, "%+v", c)
		n.Datagram(query(1), host(9))
		pass(time.Second)
		must(t, n.Counted().Queries == inboxCount+1, "does not go on")
	})
}

// TestQueueBytes: long datagrams fill the queue by their bytes.
func TestQueueBytes(t *testing.T) {
	n := New(Config{})
	long := make([]byte, krpc.MaxDatagram)
	for i := range 100 {
		n.Datagram(long, host(i))
	}
	must(t, len(n.inbox.in.bytes) <= inboxBytes && n.inbox.lost() > 80, "%d bytes wait", len(n.inbox.in.bytes))
}

// TestFlood: one source that sends without end is dropped at the gate, and another is
// answered all the while.
func TestFlood(t *testing.T) {
	inWorld(t, 2, func(t *testing.T, w *world) {
		n, answered := w.node(0), 0
		w.mu.Lock()
		w.seen = func(from, to netip.AddrPort, m *krpc.Message) {
			if from == n.at && to == host(9) && m.Kind == krpc.Response {
				answered++
			}
		}
		w.mu.Unlock()
		q := query(5)
		for range 100 {
			for range 500 {
				n.Datagram(q, host(5))
			}
			n.Datagram(query(9), host(9))
			pass(250 * time.Millisecond)
		}
		pass(time.Second)
		c := n.Counted()
		must(t, answered == 100, "%d of 100 questions answered", answered)
		must(t, c.Gated > 48_000 && c.Queries < 2000 && c.Dropped == 0, "%+v", c)
	})
}

// TestSlowSend: a socket that takes nothing holds up nobody.
func TestSlowSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		open := make(chan struct{})
		n := w.start(0, Config{Kad: kad.Config{OneHost: true}, Send: func(netip.AddrPort, []byte) { <-open }})
		for i := range 3 * outboxCount {
			n.Datagram(query(i), host(1+i%2000))
			if i%500 == 0 {
				pass(time.Second)
			}
		}
		pass(time.Second)
		must(t, n.Health().Nodes == 0, "has nodes")
		c := n.Counted()
		must(t, c.Queries == 3*outboxCount && c.Unsent > 0, "%+v", c)
		close(open)
		w.end()
	})
}
