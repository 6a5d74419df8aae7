package members

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"shoal/internal/core/group"
	"shoal/internal/core/metainfo"
	"shoal/internal/node/locate"
)

// offer is a share as a locator hears of it.
func offer(n byte, of ...group.ID) locate.Offer {
	h := metainfo.InfoHash{V1: [20]byte{n, 1}, V2: [32]byte{n, 2}, Version: metainfo.Hybrid}
	return locate.Offer{ID: h.ID(), Hash: h, Groups: of, Wanted: true}
}

// search is a Seek that goes on.
type search struct {
	mu  sync.Mutex
	at  []netip.AddrPort
	end func()
}

func seek(t testing.TB, l locate.Locator, o locate.Offer) *search {
	t.Helper()
	s := &search{}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		l.Seek(ctx, o, func(at []netip.AddrPort) {
			s.mu.Lock()
			defer s.mu.Unlock()
			if ctx.Err() != nil && s.at == nil {
				return
			}
			for _, a := range at {
				if !slices.Contains(s.at, a) {
					s.at = append(s.at, a)
				}
			}
		})
	}()
	s.end = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(s.end)
	return s
}

func (s *search) has(n *node) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.at, n.id().Addr())
}

func (s *search) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.at)
}

// locator is one of a node's by its name.
func (n *node) locator(name string) locate.Locator {
	n.t.Helper()
	for _, l := range n.Locators() {
		if l.Name() == name {
			if l.Open() {
				n.t.Errorf("%s is open to strangers", name)
			}
			return l
		}
	}
	n.t.Fatalf("no locator %s", name)
	return nil
}

// A member that holds a share is found in an instant, by either hash; and so is one that
// begins to hold it, or comes, later.
func TestAsk(t *testing.T) {
	all, g := cast(t, 3, nil)
	a, b, c := all[0], all[1], all[2]
	v2 := offer(1)
	v2.Hash.V1, v2.Hash.Version = [20]byte{}, metainfo.V2
	a.locator("members").Offer(offer(1))
	began := time.Now()
	s := seek(t, b.locator("members"), v2)
	within(t, patience, "a holder", func() bool { return s.has(a) })
	t.Logf("after %v", time.Since(began))
	of := seek(t, b.locator("members"), offer(2, g))
	within(t, patience, "c is asked too", func() bool { return b.locator("members").Cost().Questions >= 2*(1+2) })
	c.locator("members").Offer(offer(1))
	c.locator("members").Offer(offer(2, g))
	within(t, time.Second, "who holds it later", func() bool { return s.has(c) && of.has(c) })
	if of.has(a) || s.count() != 2 {
		t.Error("somebody who holds nothing was found")
	}
	c.locator("members").Withdraw(offer(2, g).ID)
	c.Close()
	b.sees(Disconnected, c)
	s.end()
	again := seek(t, b.locator("members"), offer(1))
	within(t, time.Second, "who holds it still", func() bool { return again.has(a) })
	c.begin()
	c.locator("members").Offer(offer(1))
	within(t, patience, "who came back", func() bool { return again.has(c) })
}

// Who is not in the share's group is neither asked nor told.
func TestAskInGroup(t *testing.T) {
	a, b, c := start(t, 1, nil), start(t, 2, nil), start(t, 3, nil)
	g := a.found("home")
	a.invites("home", b)
	a.found("work")
	a.invites("work", c)
	a.locator("members").Offer(offer(1, g))
	in, out := seek(t, b.locator("members"), offer(1, g)), seek(t, c.locator("members"), offer(1))
	within(t, patience, "the member finds it", func() bool { return in.has(a) })
	within(t, patience, "the other asks", func() bool { return c.locator("members").Cost().Questions >= 2 })
	public := seek(t, c.locator("members"), offer(2))
	a.locator("members").Offer(offer(2))
	within(t, patience, "it is answered", func() bool { return public.has(a) })
	if out.count() != 0 {
		t.Error("a share was told of to who is not in its group")
	}
	// a asks b alone.
	before := a.locator("members").Cost().Questions
	s := seek(t, a.locator("members"), offer(3, g))
	c.locator("members").Offer(offer(3, g))
	b.locator("members").Offer(offer(3, g))
	within(t, patience, "the member's", func() bool { return s.has(b) })
	if n := a.locator("members").Cost().Questions - before; n != 2 || s.count() != 1 {
		t.Errorf("%d questions, %d found", n, s.count())
	}
	// A removed one is told no more.
	if _, err := a.Groups().Remove("home", b.id().String()); err != nil {
		t.Fatal(err)
	}
	a.sees(Disconnected, b)
	if s := a.asks.holders(&seeker{offer: offer(3, g), names: offer(3).Hash.Wire()}); len(s) != 0 {
		t.Errorf("%v are held for holders", s)
	}
}

// A peer that asks for too much, or says what is no note, is let go.
func TestAskIsBounded(t *testing.T) {
	all, _ := cast(t, 2, nil)
	a, b := all[0], all[1]
	for what, bytes := range map[string][]byte{
		"too much":  floodOfNotes(maxAsked + 1),
		"no note":   append([]byte{2}, make([]byte, 20)...),
		"half note": {1, 2, 3},
	} {
		st, err := b.host.Open(soon(t), a.id(), AskProtocol)
		if err != nil {
			t.Fatal(err)
		}
		st.SetDeadline(time.Now().Add(patience))
		st.Write(bytes)
		st.CloseWrite()
		if _, err := st.Read(make([]byte, 1)); err == nil {
			t.Errorf("%s: an answer", what)
		}
		st.Close()
	}
	within(t, patience, "nobody is served", func() bool {
		a.asks.mu.Lock()
		defer a.asks.mu.Unlock()
		return len(a.asks.askers) == 0
	})
}

func floodOfNotes(n int) (b []byte) {
	for i := range n {
		b = note{true, [20]byte{byte(i), byte(i >> 8)}}.append(b)
	}
	return b
}
