//go:build linux

package lab

import (
	"fmt"
	"testing"
)

// world is the picture of the ticket: an internet of routable addresses that leads nowhere
// else, two homes behind routers, and computers with public addresses.
//
//	left 192.168.1.2 ── router ── 11.0.101.2 ─┐
//	                                          internet ── 11.0.N.2 public
//	right 10.1.0.2 ──── router ── 11.0.102.2 ─┘
type world struct {
	t           *testing.T
	internet    *space
	left, right *space // computers
	leftRouter  *space
	rightRouter *space
	wires       []*space // bridges of houses
}

// newWorld makes a world whose two home routers are of one kind.
func newWorld(t *testing.T, kind translation) *world {
	t.Helper()
	w := &world{t: t, internet: newSpace(t, "internet")}
	w.internet.forward()
	w.left, w.leftRouter = w.home("left", 101, "192.168.1", kind)
	w.right, w.rightRouter = w.home("right", 102, "10.1.0", kind)
	return w
}

// home makes a computer behind a router; the internet's interface to it has its name.
func (w *world) home(name string, n int, net string, kind translation) (host, router *space) {
	w.t.Helper()
	host, router = newSpace(w.t, name), newHomeRouter(w.t, name+"-router", kind)
	wire(host, "eth0", net+".2/24", router, "in0", net+".1/24")
	wire(router, "out0", fmt.Sprintf("11.0.%d.2/24", n), w.internet, name, fmt.Sprintf("11.0.%d.1/24", n))
	host.route("default", net+".1")
	router.route("default", fmt.Sprintf("11.0.%d.1", n))
	return host, router
}

// public makes a computer at 11.0.N.2, not behind anything.
func (w *world) public(name string, n int) *space {
	w.t.Helper()
	s := newSpace(w.t, name)
	wire(s, "eth0", fmt.Sprintf("11.0.%d.2/24", n), w.internet, name, fmt.Sprintf("11.0.%d.1/24", n))
	s.route("default", fmt.Sprintf("11.0.%d.1", n))
	return s
}

// house makes computers that share one wire behind a router, at 2, 3 and on of a network.
func (w *world) house(name string, n int, net string, kind translation, hosts ...string) (all []*space) {
	w.t.Helper()
	bridge, router := newBridge(w.t, name), newHomeRouter(w.t, name+"-router", kind)
	w.wires = append(w.wires, bridge)
	wire(bridge, "to-router", "", router, "in0", net+".1/24")
	bridge.sh("ip", "link", "set", "to-router", "master", "br0")
	wire(router, "out0", fmt.Sprintf("11.0.%d.2/24", n), w.internet, name, fmt.Sprintf("11.0.%d.1/24", n))
	router.route("default", fmt.Sprintf("11.0.%d.1", n))
	for i, h := range hosts {
		s := newSpace(w.t, h)
		bridge.plug(s, fmt.Sprintf("%s.%d/24", net, i+2))
		s.route("default", net+".1")
		all = append(all, s)
	}
	return all
}
