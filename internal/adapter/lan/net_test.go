//go:build linux

package lan

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"
)

// soon is how long a test waits for two nodes on one bridge to find each other. By the rules
// it takes two seconds at most: TestAllFindEachOther proves that in virtual time; here the machine may
// be busy, and the time it took is logged.
const soon = 20 * time.Second

// quiet is how long nothing is found: longer than it takes by the rules.
const quiet = 3 * time.Second

// finds waits until a host has told of all of these, each "share ADDR" or "node ADDR".
func (h *host) finds(since time.Time, d time.Duration, want ...string) {
	h.t.Helper()
	for len(want) > 0 {
		l, ok := h.within(time.Until(since.Add(d)), func(l line) bool { return l.Event == "share" || l.Event == "node" })
		if !ok {
			h.t.Fatalf("not found within %v: %v", d, want)
		}
		i := slices.Index(want, l.Event+" "+l.Addr)
		if l.Event == "share" && l.Hash != hexA {
			h.t.Errorf("found %+v", l)
		}
		if i >= 0 {
			want = slices.Delete(want, i, i+1)
			h.t.Logf("%s %s after %v", l.Event, l.Addr, time.Since(since).Round(time.Millisecond))
		}
	}
}

// silent waits and fails when a host finds anything.
func (h *host) silent(d time.Duration) {
	h.t.Helper()
	if l, ok := h.within(d, func(l line) bool { return l.Event == "share" || l.Event == "node" }); ok {
		h.t.Errorf("found %+v", l)
	}
}

// Three nodes on a bridge with no way out, the third later: all find each other by both
// ways, on IPv4, on IPv6 and on both.
func TestNodesOnOneBridge(t *testing.T) {
	needNamespace(t)
	for _, c := range []struct {
		name  string
		addrs func(n int) []string
		found func(n int) []string
	}{
		{"IPv4", func(n int) []string { return []string{fmt.Sprintf("10.9.0.%d/24", n)} },
			func(n int) []string { return []string{fmt.Sprintf("10.9.0.%d:7463", n)} }},
		{"IPv6", func(n int) []string { return []string{fmt.Sprintf("fe80::%d/64", n)} },
			func(n int) []string { return []string{fmt.Sprintf("[fe80::%d%%eth0]:7463", n)} }},
		{"both", func(n int) []string {
			return []string{fmt.Sprintf("169.254.3.%d/16", n), fmt.Sprintf("fe80::%d/64", n), fmt.Sprintf("fd00::%d/64", n)}
		}, func(n int) []string {
			return []string{fmt.Sprintf("169.254.3.%d:7463", n)}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			br := bridge(t, "lan0")
			hosts := []*host{newNode(t, 1, "eth0"), newNode(t, 2, "eth0"), newNode(t, 3, "eth0")}
			for i, h := range hosts {
				h.plug(br, "eth0", c.addrs(i+1)...)
			}
			expect := func(n int) (all []string) {
				for _, a := range c.found(n) {
					all = append(all, "share "+a, "node "+a)
				}
				return all
			}
			hosts[0].start(hexA)
			hosts[1].start(hexA, hexB)
			hosts[0].finds(hosts[1].began, soon, expect(2)...)
			hosts[1].finds(hosts[1].began, soon, expect(1)...)
			hosts[2].start(hexA)
			hosts[0].finds(hosts[2].began, soon, expect(3)...)
			hosts[1].finds(hosts[2].began, soon, expect(3)...)
			hosts[2].finds(hosts[2].began, soon, append(expect(1), expect(2)...)...)
			for _, h := range hosts {
				h.say("stats")
				l := h.until(soon, func(l line) bool { return l.Stats != nil && l.Stats.Received > 0 })
				if l.Err != "<nil>" || l.Stats.Unsent+l.Stats.Refused > 0 || l.Stats.Links != 1 {
					t.Errorf("%+v %s", *l.Stats, l.Err)
				}
			}
		})
	}
}

// heardOn counts the packets that an interface has received: of a port of the bridge,
// what came out of the host. Before the name stand the words that lead to its namespace.
func heardOn(t *testing.T, port string, in ...string) int {
	t.Helper()
	var s []struct {
		Stats64 struct{ Rx struct{ Packets int } }
	}
	if err := json.Unmarshal([]byte(sh(t, append(in, "ip", "-s", "-j", "link", "show", "dev", port)...)), &s); err != nil || len(s) != 1 {
		t.Fatal(err)
	}
	return s[0].Stats64.Rx.Packets
}

// Nothing goes to an interface that is not given, or whose addresses the scope forbids,
// not even the kernel's word that a group was joined; and nobody there is heard.
func TestForbiddenInterfaces(t *testing.T) {
	needNamespace(t)
	given, other, public := bridge(t, "lan0"), bridge(t, "lan1"), bridge(t, "lan2")
	a, b, c, d := newNode(t, 1, "eth0", "eth2", "lo"), newNode(t, 2, "eth0"), newNode(t, 3, "eth1"), newNode(t, 4, "eth2")
	a.plug(given, "eth0", "10.9.0.1/24")
	notGiven := a.plug(other, "eth1", "10.8.0.1/24")
	forbidden := a.plug(public, "eth2", "11.9.0.1/24")
	a.run("ip", "link", "set", "lo", "up")
	b.plug(given, "eth0", "10.9.0.2/24")
	c.plug(other, "eth1", "10.8.0.3/24")
	d.plug(public, "eth2", "10.7.0.4/24") // a neighbour of another subnet on the same wire
	c.start(hexA)
	d.start(hexA)
	a.start(hexA)
	b.start(hexA)
	a.finds(b.began, soon, "share 10.9.0.2:7463", "node 10.9.0.2:7463")
	b.finds(b.began, soon, "share 10.9.0.1:7463", "node 10.9.0.1:7463")
	c.silent(quiet)
	a.silent(time.Millisecond)
	d.silent(time.Millisecond)
	for _, port := range []string{notGiven, forbidden} {
		if n := heardOn(t, port); n != 0 {
			t.Errorf("%d packets went out by %s", n, port)
		}
	}
	if n := heardOn(t, "lo", "nsenter", "-n", "-t", strconv.Itoa(a.cmd.Process.Pid)); n != 0 {
		t.Errorf("%d packets went to loopback", n)
	}
}

// A node without any interface waits for one; it goes on when that goes and another
// comes with another address; and Close says goodbye at once.
func TestInterfacesComeAndGo(t *testing.T) {
	needNamespace(t)
	br := bridge(t, "lan0")
	a, b := newNode(t, 1, "eth0", "eth1"), newNode(t, 2, "eth0")
	b.plug(br, "eth0", "10.9.0.2/24", "10.8.0.2/24")
	a.start(hexA)
	b.start(hexA)
	b.silent(time.Second)
	port := a.plug(br, "eth0", "10.9.0.1/24")
	plugged := time.Now()
	a.finds(plugged, lookEvery+soon, "share 10.9.0.2:7463", "node 10.9.0.2:7463")
	b.finds(plugged, lookEvery+soon, "share 10.9.0.1:7463", "node 10.9.0.1:7463")
	sh(t, "ip", "link", "del", port)
	a.plug(br, "eth1", "10.9.0.3/24")
	plugged = time.Now()
	b.finds(plugged, lookEvery+soon, "share 10.9.0.3:7463", "node 10.9.0.3:7463")
	began := time.Now()
	a.say("close")
	a.until(soon, func(l line) bool { return l.Event == "closed" })
	if took := time.Since(began); took > time.Second {
		t.Errorf("closed after %v", took)
	}
}

// A flood costs the node the packets that it reads in any case; the other way of finding
// goes on meanwhile. The newcomer's own announces may be among what the system drops:
// what the node says reaches it all the same.
func TestFlood(t *testing.T) {
	needNamespace(t)
	br := bridge(t, "lan0")
	a, b, c := newNode(t, 1, "eth0"), newNode(t, 2, "eth0"), newNode(t, 3, "eth0")
	for i, h := range []*host{a, b, c} {
		h.plug(br, "eth0", fmt.Sprintf("10.9.0.%d/24", i+1))
	}
	a.start(hexA)
	b.start()
	b.say("flood")
	b.until(10*time.Second, func(l line) bool { return l.Stats != nil && l.Stats.Received > 0 })
	flooded := time.Now()
	c.start(hexA)
	a.finds(c.began, soon, "node 10.9.0.3:7463")
	c.finds(c.began, 12*time.Second, "node 10.9.0.1:7463", "share 10.9.0.1:7463")
	a.say("stats")
	l := a.until(soon, func(l line) bool { return l.Stats != nil && l.Stats.Received > 20 })
	most := 2 * perSecond * (2 + int64(time.Since(a.began).Seconds()))
	t.Logf("%d packets were read, %v after the flood", l.Stats.Received, time.Since(flooded).Round(time.Millisecond))
	if l.Stats.Received > most {
		t.Errorf("%d packets were read in %v", l.Stats.Received, time.Since(a.began))
	}
	// None of them made it send more than its allowance.
	if l.Stats.Sent > burst+20 {
		t.Errorf("%d packets were sent", l.Stats.Sent)
	}
}

// Started and stopped many times, without a network and on one, where it is heard, nothing
// is left of it.
func TestStartAndStopLeaveNothing(t *testing.T) {
	needNamespace(t)
	br := bridge(t, "lan0")
	b := newNode(t, 2, "eth0")
	b.plug(br, "eth0", "10.9.0.2/24")
	b.start(hexA)
	sh(t, "ip", "link", "add", "here0", "type", "veth", "peer", "name", "there0")
	t.Cleanup(func() { sh(t, "ip", "link", "del", "here0") })
	open := func() int {
		fds, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(fds)
	}
	var goroutines, files int
	for round := range 40 {
		if round == 20 {
			sh(t, "ip", "link", "set", "there0", "addrgenmode", "none", "master", br, "up")
			sh(t, "ip", "addr", "add", "10.9.0.1/24", "dev", "here0")
			sh(t, "ip", "link", "set", "here0", "addrgenmode", "none", "up")
		}
		l, err := New(Config{Port: 7463, Tags: func() [][8]byte { return []Tag{tag(1)} }, Found: func(Found) {},
			Interfaces: func() ([]net.Interface, error) {
				i, err := net.InterfaceByName("here0")
				if err != nil {
					return nil, err
				}
				return []net.Interface{*i}, nil
			}})
		if err != nil {
			t.Fatal(err)
		}
		l.Announce([][20]byte{hashA})
		if err := l.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		if round == 39 {
			b.finds(time.Now(), soon, "share 10.9.0.1:7463", "node 10.9.0.1:7463")
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if round == 0 {
			goroutines, files = runtime.NumGoroutine(), open()
		}
	}
	if n := runtime.NumGoroutine(); n > goroutines+2 {
		t.Errorf("%d goroutines, %d after the first round", n, goroutines)
	}
	if n := open(); n > files {
		t.Errorf("%d files are open, %d after the first round", n, files)
	}
}
