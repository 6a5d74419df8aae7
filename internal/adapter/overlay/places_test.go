package overlay

import (
	"testing"
	"time"
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
