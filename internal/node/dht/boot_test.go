package dht

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"shoal/internal/core/kad"
	"shoal/internal/core/kad/krpc"
)

// names counts what is looked up.
type names struct {
	times []time.Time
	list  []netip.AddrPort
	err   error
}

func (r *names) resolve(_ context.Context, name string) ([]netip.AddrPort, error) {
	r.times = append(r.times, time.Now())
	return r.list, r.err
}

// TestRejoin: the table is saved every few minutes and at the end, and the next run is back
// with its first answers, without a name looked up.
func TestRejoin(t *testing.T) {
	inWorld(t, 40, func(t *testing.T, w *world) {
		var saved []State
		cfg := Config{Bootstrap: []string{host(0).String()}, Save: func(s State) { saved = append(saved, s) }}
		n := w.start(50, cfg)
		pass(11 * time.Minute)
		synctest.Wait()
		must(t, len(saved) == 2, "saved %d times in 11 minutes", len(saved))
		n.stop()
		must(t, len(saved) == 3, "saved %d times at the end", len(saved))
		last := saved[2]
		must(t, last.ID == n.ID() && len(last.Nodes) > 12, "%d nodes", len(last.Nodes))

		dns := &names{}
		n = w.start(50, Config{Saved: last, Bootstrap: []string{"router.example:6881"}, Resolve: dns.resolve})
		began := time.Now()
		<-n.Ready()
		must(t, time.Since(began) < 100*time.Millisecond, "ready after %v", time.Since(began))
		must(t, n.ID() == last.ID, "another id")
		pass(10 * time.Second)
		must(t, n.Len() > 15, "%d nodes after 10 s", n.Len())
		pass(time.Hour)
		must(t, len(dns.times) == 0, "looked up %d names", len(dns.times))
	})
}

// TestNamesBackOff: names are looked up at once when nobody is known, then less and less
// often, and again at once when the machine comes back.
func TestNamesBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.end()
		dns := &names{err: errors.New("no way out")}
		began := time.Now()
		n := w.start(0, Config{Bootstrap: []string{"router.example:6881"}, Resolve: dns.resolve})
		pass(time.Hour)
		var gaps []string
		for i := 1; i < len(dns.times); i++ {
			gaps = append(gaps, fmt.Sprint(dns.times[i].Sub(dns.times[i-1])))
		}
		must(t, dns.times[0].Sub(began) < time.Second, "first after %v", dns.times[0].Sub(began))
		want := []string{"15s", "30s", "1m0s", "2m0s", "4m0s", "5m0s", "5m0s"}
		must(t, len(gaps) > 10 && slices.Equal(gaps[:len(want)], want), "%v", gaps)
		before := len(dns.times)
		n.Online()
		pass(time.Second)
		must(t, len(dns.times) == before+1, "not looked up at once")
	})
}

// TestNamesWhileThin: while fewer are known than a bucket holds, names are looked up, an
// hour apart at last; with enough they are not.
func TestNamesWhileThin(t *testing.T) {
	for _, c := range []struct{ nodes, least, most int }{{3, 7, 12}, {20, 1, 1}} {
		inWorld(t, c.nodes, func(t *testing.T, w *world) {
			dns := &names{list: []netip.AddrPort{host(0)}}
			n := w.start(50, Config{Bootstrap: []string{"router.example:6881"}, Resolve: dns.resolve})
			pass(5 * time.Hour)
			must(t, n.Len() >= min(c.nodes-1, 8), "%d nodes", n.Len())
			must(t, len(dns.times) >= c.least && len(dns.times) <= c.most, "%d nodes: looked up %d times", c.nodes, len(dns.times))
		})
	}
}

// TestNamesAfterSaved: names are looked up when the nodes of the last run are gone.
func TestNamesAfterSaved(t *testing.T) {
	inWorld(t, 20, func(t *testing.T, w *world) {
		dns := &names{list: []netip.AddrPort{host(0)}}
		gone := State{ID: hash(3), Nodes: []krpc.Node{{ID: hash(4), Addr: host(777)}}}
		n := w.start(50, Config{Saved: gone, Bootstrap: []string{"router.example:6881"}, Resolve: dns.resolve})
		pass(20 * time.Second)
		must(t, len(dns.times) == 1 && n.Len() > 8, "looked up %d times, %d nodes", len(dns.times), n.Len())
	})
}

// TestSaveNothing: a run that met nobody, or few, does not cost what an earlier run knew.
func TestSaveNothing(t *testing.T) {
	old := State{ID: hash(3)}
	for i := range 100 {
		old.Nodes = append(old.Nodes, krpc.Node{ID: hash(100 + i), Addr: host(600 + i)})
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var saved []State
		w.start(1, Config{Saved: old, Save: func(s State) { saved = append(saved, s) }})
		pass(time.Hour)
		w.end()
		must(t, len(saved) == 0, "saved %+v", saved)
	})
	inWorld(t, 2, func(t *testing.T, w *world) {
		var last State
		n := w.start(9, Config{Saved: old, Save: func(s State) { last = s }})
		n.Add(host(0))
		pass(time.Minute)
		n.stop()
		at := func(a netip.AddrPort) bool {
			return slices.ContainsFunc(last.Nodes, func(n krpc.Node) bool { return n.Addr == a })
		}
		must(t, len(last.Nodes) == maxSaveOld && at(host(0)) && at(host(600)), "%d nodes", len(last.Nodes))
	})
}

// TestScope: whom the scope forbids is never asked, whoever names it.
func TestScope(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		defer w.end()
		local := netip.MustParseAddrPort("10.0.0.1:6881")
		w.seen = func(from, to netip.AddrPort, m *krpc.Message) { t.Errorf("%v is asked", to) }
		n := w.start(0, Config{Saved: State{Nodes: []krpc.Node{{ID: hash(1), Addr: local}}}, Bootstrap: []string{"127.0.0.1:80"}})
		n.Add(local, netip.MustParseAddrPort("[::1]:6881"))
		n.Datagram(query(1), local)
		pass(time.Minute)
	})
}

// TestAddress: where most nodes see us is told.
func TestAddress(t *testing.T) {
	inWorld(t, 20, func(t *testing.T, w *world) {
		var at netip.AddrPort
		n := w.start(50, Config{Kad: kad.Config{Secure: true}, Address: func(a netip.AddrPort) { at = a }})
		n.Add(host(0))
		pass(time.Minute)
		must(t, at == n.at && n.Address() == n.at, "%v, %v", at, n.Address())
		must(t, krpc.ValidID(n.ID(), n.at.Addr()), "the id does not fit")
	})
}

// TestStateBytes: the bytes of a state are those of an answer to find_node.
func TestStateBytes(t *testing.T) {
	id := krpc.ID([]byte("abcdefghijklmnopqrst"))
	s := State{ID: id, Nodes: []krpc.Node{{ID: id, Addr: netip.MustParseAddrPort("1.2.3.4:258")}, {ID: id, Addr: netip.MustParseAddrPort("[102::9]:513")}}}
	want := "d2:id20:abcdefghijklmnopqrst5:nodes26:abcdefghijklmnopqrst\x01\x02\x03\x04\x01\x02" +
		"6:nodes638:abcdefghijklmnopqrst\x01\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x09\x02\x01e"
	b := s.Append(nil)
	must(t, string(b) == want, "%q", b)
	got, err := ParseState(b)
	must(t, err == nil && got.ID == s.ID && slices.Equal(got.Nodes, s.Nodes), "%+v, %v", got, err)
	for i := range b {
		if _, err := ParseState(b[:i]); !errors.Is(err, ErrState) {
			t.Errorf("cut at %d: %v", i, err)
		}
	}
	if _, err := ParseState(append(b, 'x')); !errors.Is(err, ErrState) {
		t.Errorf("with a byte behind: %v", err)
	}
	huge := bytes.Replace(b, []byte("26:abcdefghijklmnopqrst"), fmt.Appendf(nil, "%d:%s", (MaxSaved+1)*node4, bytes.Repeat([]byte("x"), (MaxSaved+1)*node4-20)), 1)
	if _, err := ParseState(huge); !errors.Is(err, ErrState) {
		t.Errorf("too many nodes: %v", err)
	}
}

// FuzzParseState: what is read is written as it was, and nothing makes it fail otherwise.
func FuzzParseState(f *testing.F) {
	f.Add(State{ID: hash(1), Nodes: []krpc.Node{{ID: hash(2), Addr: host(1)}, {ID: hash(3), Addr: netip.MustParseAddrPort("[2001:db8::1]:1")}}}.Append(nil))
	f.Add(State{}.Append(nil))
	f.Add([]byte("d2:id20:abcdefghijklmnopqrst5:nodes0:6:nodes60:e"))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := ParseState(b)
		if err != nil {
			if !errors.Is(err, ErrState) {
				t.Fatalf("%v", err)
			}
			return
		}
		again, err := ParseState(s.Append(nil))
		if err != nil || again.ID != s.ID || len(again.Nodes) != len(s.Nodes) {
			t.Fatalf("%+v became %+v, %v", s, again, err)
		}
	})
}
