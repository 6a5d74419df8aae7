//go:build linux

package lab

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// space is one network namespace: a computer, a router or a piece of wire with a bridge. It
// lives as long as a file of this process is open and processes run in it.
type space struct {
	t    *testing.T
	name string // for messages
	file *os.File
}

// unshareNet makes a namespace, on a thread of its own that ends with it.
func unshareNet() (*os.File, error) {
	type made struct {
		f   *os.File
		err error
	}
	out := make(chan made)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread is of no use to anybody else
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			out <- made{nil, fmt.Errorf("lab: unshare: %w", err)}
			return
		}
		f, err := os.Open("/proc/thread-self/ns/net")
		out <- made{f, err}
	}()
	m := <-out
	return m.f, m.err
}

// newSpace makes a namespace in which only loopback is up. It ends with the test.
func newSpace(t *testing.T, name string) *space {
	t.Helper()
	f, err := unshareNet()
	must(t, err)
	t.Cleanup(func() { f.Close() })
	s := &space{t, name, f}
	s.sh("ip", "link", "set", "lo", "up")
	return s
}

// path names the namespace for other programs.
func (s *space) path() string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), s.file.Fd()) }

// in runs a function in the namespace: sockets that it opens itself, files beneath
// /proc/sys/net and programs that it starts are those of the namespace.
func (s *space) in(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked
		if err := unix.Setns(int(s.file.Fd()), unix.CLONE_NEWNET); err != nil {
			done <- fmt.Errorf("lab: %s: setns: %w", s.name, err)
			return
		}
		done <- f()
	}()
	return <-done
}

// try runs a program in the namespace.
func (s *space) try(stdin string, args ...string) (string, error) {
	var out []byte
	err := s.in(func() (err error) {
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Stdin = strings.NewReader(stdin)
		out, err = cmd.CombinedOutput()
		return err
	})
	if err != nil {
		err = fmt.Errorf("lab: %s: %s: %w: %s", s.name, strings.Join(args, " "), err, out)
	}
	return string(out), err
}

// sh runs a program that must succeed.
func (s *space) sh(args ...string) string {
	s.t.Helper()
	out, err := s.try("", args...)
	must(s.t, err)
	return out
}

// nft adds rules.
func (s *space) nft(rules string) {
	s.t.Helper()
	_, err := s.try(rules, "nft", "-f", "-")
	must(s.t, err)
}

// forward makes a router of it.
func (s *space) forward() {
	s.t.Helper()
	must(s.t, s.in(func() error { return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0o644) }))
}

// route sends what is for dst ("default", a prefix) by way of a gateway.
func (s *space) route(dst, via string) {
	s.t.Helper()
	s.sh("ip", "route", "replace", dst, "via", via)
}

// wire joins two namespaces by a cable: an interface at each end with one address, or none
// if it is empty.
func wire(a *space, aIface, aAddr string, b *space, bIface, bAddr string) {
	a.t.Helper()
	a.sh("ip", "link", "add", aIface, "type", "veth", "peer", "name", bIface, "netns", b.path())
	a.address(aIface, aAddr)
	b.address(bIface, bAddr)
}

// address gives an interface an address and brings it up, with no addresses but those given.
func (s *space) address(iface string, addrs ...string) {
	s.t.Helper()
	s.sh("ip", "link", "set", iface, "addrgenmode", "none", "up")
	for _, a := range addrs {
		if a == "" {
			continue
		}
		args := []string{"ip", "addr", "add", a, "dev", iface}
		if strings.Contains(a, ":") {
			args = append(args, "nodad")
		}
		s.sh(args...)
	}
}

// newBridge makes a local network with no way out; plug joins computers to it.
func newBridge(t *testing.T, name string) *space {
	t.Helper()
	s := newSpace(t, name)
	s.sh("ip", "link", "add", "br0", "type", "bridge")
	s.sh("ip", "link", "set", "br0", "addrgenmode", "none", "up")
	return s
}

// plug joins a computer to a bridge by its eth0 and these addresses.
func (s *space) plug(host *space, addrs ...string) {
	s.t.Helper()
	port := "to-" + host.name
	wire(s, port, "", host, "eth0", "")
	s.sh("ip", "link", "set", port, "master", "br0")
	host.address("eth0", addrs...)
	host.multicast("eth0")
}

// multicast lets a computer without a default route send to groups on the wire, as one that
// has a route to anywhere does.
func (s *space) multicast(iface string) {
	s.t.Helper()
	s.sh("ip", "route", "replace", "224.0.0.0/4", "dev", iface)
}

// translation is how a router gives out its ports.
type translation string

// Linux keeps the source port as long as nobody else of the network behind has it, so that
// all the world sees one socket at one address: endpoint-independent mapping, as home routers
// do. With fully-random each destination sees another port. Both let in only what answers
// something sent to that very address and port.
const (
	independent translation = ""
	dependent   translation = " fully-random"
)

// newHomeRouter makes a router whose side named in0 is a private network and whose side
// named out0 the Internet, once they are wired.
func newHomeRouter(t *testing.T, name string, kind translation) *space {
	t.Helper()
	s := newSpace(t, name)
	s.forward()
	s.nft(fmt.Sprintf(`
table ip home {
	chain translate {
		type nat hook postrouting priority 100
		oifname "out0" masquerade%s
	}
	chain through {
		type filter hook forward priority 0; policy drop
		iifname "in0" accept
		ct state established,related accept
	}
	chain here {
		type filter hook input priority 0; policy drop
		iifname { "in0", "lo" } accept
		ct state established,related accept
	}
}
`, kind))
	return s
}

// rate bounds what leaves by an interface, such as "100mbit".
func (s *space) rate(iface, rate string) {
	s.t.Helper()
	s.sh("tc", "qdisc", "replace", "dev", iface, "root", "tbf", "rate", rate, "burst", "64kb", "latency", "100ms")
}

// unbound ends what rate began.
func (s *space) unbound(iface string) {
	s.t.Helper()
	s.sh("tc", "qdisc", "del", "dev", iface, "root")
}

// lose drops so many of a thousand packets that a router forwards.
func (s *space) lose(permille int) {
	s.t.Helper()
	s.nft(fmt.Sprintf(`
table ip loss {
	chain through {
		type filter hook forward priority -5
		numgen random mod 1000 < %d drop
	}
}
`, permille))
}

// cut unplugs the far end of a cable: the near end loses its carrier and keeps its addresses
// and routes. mend plugs it in again.
func (s *space) cut(iface string)  { s.t.Helper(); s.sh("ip", "link", "set", iface, "down") }
func (s *space) mend(iface string) { s.t.Helper(); s.sh("ip", "link", "set", iface, "up") }

// listenTCP, listenUDP and dialTCP are sockets of this process in the namespace.
func (s *space) listenTCP(addr string) net.Listener {
	s.t.Helper()
	var l net.Listener
	must(s.t, s.in(func() (err error) { l, err = net.Listen("tcp", addr); return err }))
	s.t.Cleanup(func() { l.Close() })
	return l
}

func (s *space) listenUDP(addr string) *net.UDPConn {
	s.t.Helper()
	a, err := net.ResolveUDPAddr("udp", addr)
	must(s.t, err)
	var c *net.UDPConn
	must(s.t, s.in(func() (err error) { c, err = net.ListenUDP("udp", a); return err }))
	s.t.Cleanup(func() { c.Close() })
	return c
}
