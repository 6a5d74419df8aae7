package groups

import (
	"context"
	"slices"
	"testing"
	"time"

	"shoal/internal/core/group"
)

// TestChangeWithinSync: who was told heads was also told the entries that they stand for,
// whatever came meanwhile: else it is taken for one that knows them, and hears of them when
// all is gone through again, minutes later.
func TestChangeWithinSync(t *testing.T) {
	bubble(t, func(t *testing.T, w *world) {
		a, b, c := w.add(0), w.add(1), w.add(2)
		id := a.create("home")
		b.join(a, "home", group.Member)
		w.agree(5*time.Second, "home", "ab", a, b)
		<-time.After(time.Second)
		st, err := b.Open(context.Background(), a.id, SyncProtocol)
		if err != nil {
			t.Fatal(err)
		}
		defer st.Close()
		g := b.look().groups[id].Clone()
		f, m := frames{st}, message{group: id, heads: headsOf(g)}
		if err := b.writeMessage(f, &m, 0, 1); err != nil {
			t.Fatal(err)
		}
		first, err := b.readMessage(f, maxFrame)
		if err != nil {
			t.Fatal(err)
		}
		c.join(a, "home", group.Member)
		if err := f.write((&message{group: id}).append(nil)); err != nil {
			t.Fatal(err)
		}
		last, err := b.readMessage(f, maxFrame)
		if err != nil {
			t.Fatal(err)
		}
		for _, raw := range slices.Concat(first.entries, last.entries) {
			if _, err := g.Add(raw); err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Equal(headsOf(g), last.heads) {
			t.Errorf("it was told that %d heads stand, and of %d entries alone", len(last.heads), len(first.entries)+len(last.entries))
		}
	})
}
