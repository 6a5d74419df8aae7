package overlay

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"shoal/internal/core/group"
)

// TestPlaceIsNotInsistedOn: a relay that does not let a place last longer is not asked again
// and again; the place stays until its time is over.
func TestPlaceIsNotInsistedOn(t *testing.T) {
	_, b, r := trio(t, nil)
	b.throughRelay(r)
	r.budget.mu.Lock()
	r.budget.used = r.budget.perDay
	r.budget.mu.Unlock()
	b.places.mu.Lock()
	b.places.held[r.ID()].expires = time.Now().Add(renewBefore / 2)
	b.places.mu.Unlock()
	b.rouse()
	refused := func(e Event) bool { return e.Kind == Refused && e.Reason == ReasonBudget }
	r.wait("a no", refused)
	for late := time.After(time.Second); ; {
		select {
		case e := <-r.events:
			if refused(e) {
				t.Fatal("it is asked again at once")
			}
			continue
		case <-late:
		}
		break
	}
	if got := b.Reach(); len(got.Relays) != 1 || len(got.Refusals) != 1 {
		t.Errorf("%+v", got)
	}
	b.throughRelay(r)
}

// TestDeadRelay: of the relays that lead to a node those that are connected go first, for
// libp2p tries one after the other, and one that is gone holds up the rest.
func TestDeadRelay(t *testing.T) {
	a, b, r := trio(t, nil)
	dead := start(t, nil)
	a.knows(dead)
	hole, err := net.Listen("tcp4", "127.0.0.1:0") // takes connections, and says nothing
	if err != nil {
		t.Fatal(err)
	}
	defer hole.Close()
	a.connect(r)
	at := hole.Addr().(*net.TCPAddr).AddrPort()
	way := []group.Address{{At: at, Via: dead.ID()}, {At: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.9"), at.Port()), Via: dead.ID()}}
	began := time.Now()
	if err := a.Connect(ctx(t), b.ID(), append(way, b.throughRelay(r)...)); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("it took %v", took)
	}
}
