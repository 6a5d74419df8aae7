package locate

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"shoal/internal/core/group"
)

// scribe is a Locator that writes down what it is told, and finds what it is made to.
type scribe struct {
	way
	mu    sync.Mutex
	heard []string
	find  func(ctx context.Context, found func([]netip.AddrPort))
}

func (s *scribe) note(format string, a ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard = append(s.heard, fmt.Sprintf(format, a...))
}

func (s *scribe) Offer(o Offer)      { s.note("offer %s %t", o.ID, o.Complete) }
func (s *scribe) Withdraw(id string) { s.note("withdraw %s", id) }
func (s *scribe) Cost() Cost         { return Cost{Questions: 1} }

func (s *scribe) Seek(ctx context.Context, o Offer, found func([]netip.AddrPort)) {
	s.note("seek %s", o.ID)
	s.find(ctx, found)
}

func (s *scribe) expect(t *testing.T, want ...string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Equal(s.heard, want) {
		t.Errorf("heard %q, want %q", s.heard, want)
	}
	s.heard = nil
}

// TestOffers: each way hears of what it may, once for each change, and what it may not hear of
// any more is withdrawn.
func TestOffers(t *testing.T) {
	open, closed := &scribe{way: true}, &scribe{way: false}
	d := NewDesk([]Locator{open, closed})
	d.Offer(Offer{ID: "a"}, &public)
	d.Offer(Offer{ID: "a"}, &public)
	d.Offer(Offer{ID: "a", Complete: true}, &public)
	d.Offer(Offer{ID: "b", Groups: []group.ID{family}}, &familys)
	d.Offer(Offer{ID: "c"}, &privateShare)
	open.expect(t, "offer a false", "offer a true")
	closed.expect(t, "offer a false", "offer a true", "offer b false")
	d.Offer(Offer{ID: "a", Complete: true}, &privateShare) // its description has come
	d.Withdraw("b")
	d.Withdraw("c")
	d.Withdraw("a")
	open.expect(t, "withdraw a")
	closed.expect(t, "withdraw a", "withdraw b")
}

// TestSeek: all ways that may look do, until it is enough; one that gives up is asked again
// later; nothing is told after the end.
func TestSeek(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var late func([]netip.AddrPort)
		open := &scribe{way: true, find: func(_ context.Context, found func([]netip.AddrPort)) { found([]netip.AddrPort{stranger}) }}
		closed := &scribe{way: false, find: func(ctx context.Context, found func([]netip.AddrPort)) {
			found(nil)
			found(make([]netip.AddrPort, 10*atOnce))
			late = found
			<-ctx.Done()
		}}
		d := NewDesk([]Locator{open, closed})
		ctx, cancel := context.WithCancel(t.Context())
		var mu sync.Mutex
		var got []int
		found := func(k Kind, list []netip.AddrPort) {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, len(list))
		}
		d.Seek(ctx, Offer{ID: "a"}, &public, found)
		<-time.After(pause + time.Second)
		open.expect(t, "seek a", "seek a")
		closed.expect(t, "seek a")
		cancel()
		d.Wait()
		late([]netip.AddrPort{friend})
		slices.Sort(got)
		if !slices.Equal(got, []int{1, 1, atOnce}) {
			t.Errorf("found %v", got)
		}
		d.Seek(ctx, Offer{ID: "b"}, &public, found)
		d.Wait()
		ctx, cancel = context.WithCancel(t.Context())
		d.Seek(ctx, Offer{ID: "g"}, &familys, found)
		synctest.Wait()
		open.expect(t)
		closed.expect(t, "seek g")
		cancel()
		d.Wait()
	})
}
