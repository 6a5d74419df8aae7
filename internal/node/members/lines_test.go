package members

import (
	"sync/atomic"
	"testing"
	"time"

	"shoal/internal/adapter/overlay"
	"shoal/internal/core/ident"
)

// busy leaves n one line of all: the others are open, to nobody.
func (n *node) busy() {
	n.asks.mu.Lock()
	defer n.asks.mu.Unlock()
	for i := range maxLines - 1 {
		id := ident.NodeID{byte(i), 'x'}
		n.asks.lines[id] = newLine(n.asks, id)
		n.asks.lines[id].open = true
	}
}

// Where more members are connected than are asked, those that are asked hear of what is
// sought later as soon as ever.
func TestManyMembers(t *testing.T) {
	all, _ := cast(t, 3, nil)
	b := all[1]
	within(t, patience, "all are connected", func() bool { return len(b.connected()) == 2 })
	b.busy()
	seek(t, b.locator("members"), offer(1))
	asked := func(n *node) bool {
		b.asks.mu.Lock()
		defer b.asks.mu.Unlock()
		l := b.asks.lines[n.id()]
		return l != nil && l.asked[offer(1).Hash.V1]
	}
	within(t, patience, "one is asked", func() bool { return asked(all[0]) || asked(all[2]) })
	holder := all[0]
	if asked(all[2]) {
		holder = all[2]
	}
	holder.locator("members").Offer(offer(2))
	s := seek(t, b.locator("members"), offer(2))
	within(t, 5*time.Second, "the holder", func() bool { return s.has(holder) })
}

// A member that does not answer is not asked again at once, though there is no room to
// remember that of all.
func TestManyDoNotAnswer(t *testing.T) {
	all, _ := cast(t, 3, nil)
	b := all[1]
	within(t, patience, "all are connected", func() bool { return len(b.connected()) == 2 })
	var asked atomic.Int32
	for _, n := range []*node{all[0], all[2]} {
		n.host.Handle(AskProtocol, func(st *overlay.Stream) { asked.Add(1); st.Reset() })
	}
	b.busy()
	seek(t, b.locator("members"), offer(1))
	within(t, patience, "one is asked", func() bool { return asked.Load() > 0 })
	<-time.After(time.Second)
	if n := asked.Load(); n > 2 {
		t.Errorf("asked %d times in a second", n)
	}
}
