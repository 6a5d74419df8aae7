//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"shoal/bench/clients"
)

// space is a network namespace: it ends with this process.
type space struct {
	file *os.File
}

// newSpace makes a namespace in which only loopback is up.
func newSpace(ctx context.Context) (*space, error) {
	var s space
	err := onThread(func() (err error) {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("no namespace can be made: %w", err)
		}
		s.file, err = os.Open("/proc/thread-self/ns/net")
		return err
	})
	if err != nil {
		return nil, err
	}
	return &s, s.run(ctx, "ip link set lo up")
}

// onThread runs a function on a thread of its own, which ends with it.
func onThread(f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked
		done <- f()
	}()
	return <-done
}

// in runs a function in the namespace.
func (s *space) in(f func() error) error {
	return onThread(func() error {
		if err := unix.Setns(int(s.file.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("setns: %w", err)
		}
		return f()
	})
}

// run runs commands, separated by line ends, in the namespace.
func (s *space) run(ctx context.Context, commands string) error {
	return s.in(func() error {
		for line := range strings.Lines(commands) {
			f := strings.Fields(line)
			if out, err := exec.CommandContext(ctx, f[0], f[1:]...).CombinedOutput(); err != nil {
				return fmt.Errorf("%s: %w: %s", strings.TrimSpace(line), err, out)
			}
		}
		return nil
	})
}

// path names the namespace for other programs.
func (s *space) path() string { return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), s.file.Fd()) }

// node makes a shoal node that will run in the namespace.
func (s *space) node(l *clients.Lab, host string) (*clients.ShoalNode, error) {
	n, err := clients.NewShoalNode(l)
	if err != nil {
		return nil, err
	}
	n.Host, n.Scope, n.Enter = host, "lan", []string{"nsenter", "--net=" + s.path(), "--"}
	return n, nil
}

// tunnel opens a TUN interface called wan, which is this process's to read and write: a
// wire that ends here. Its packets are whole, and as long as on a wire: the system does the
// work of a network card before it hands them over.
func (s *space) tunnel(ctx context.Context, address, rate string) (*os.File, error) {
	var f *os.File
	err := s.in(func() error {
		fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			return err
		}
		req, err := unix.NewIfreq("wan")
		if err != nil {
			return err
		}
		req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, req); err != nil {
			return errors.Join(err, unix.Close(fd))
		}
		f = os.NewFile(uintptr(fd), "/dev/net/tun")
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("a TUN interface: %w", err)
	}
	// A queue of a tenth of a second, which is what a round trip holds.
	return f, s.run(ctx, fmt.Sprintf("ip link set wan up\nip addr add %s dev wan\ntc qdisc add dev wan root tbf rate %s burst 32kb latency 100ms", address, rate))
}

// picture is what the benchmark runs in:
//
//	10.9.0.2 near ── wan ─ relay ─ wan ── 10.9.0.1 router 10.9.1.1 ── bridge ── 10.9.1.2.. far
//
// What leaves either wan is bounded by tbf, and the relay between is long and loses.
type picture struct {
	near *space
	far  []*space
	wire *relay
}

const nearHost = "10.9.0.2"

func farHost(i int) string { return fmt.Sprintf("10.9.1.%d", 2+i) }

// draw makes the picture with so many computers at the far end.
func draw(ctx context.Context, o options) (*picture, error) {
	p := &picture{}
	var err error
	if p.near, err = newSpace(ctx); err != nil {
		return nil, err
	}
	router, err := newSpace(ctx)
	if err != nil {
		return nil, err
	}
	err = router.run(ctx, "ip link add br0 type bridge\nip link set br0 up\nip addr add 10.9.1.1/24 dev br0\nsysctl -q -w net.ipv4.ip_forward=1")
	if err != nil {
		return nil, err
	}
	for i := range o.sources {
		s, err := newSpace(ctx)
		if err != nil {
			return nil, err
		}
		p.far = append(p.far, s)
		err = router.run(ctx, fmt.Sprintf("ip link add port%d type veth peer name eth0 netns %s\nip link set port%d master br0 up", i, s.path(), i))
		if err == nil {
			err = s.run(ctx, fmt.Sprintf("ip link set eth0 up\nip addr add %s/24 dev eth0\nip route add default via 10.9.1.1", farHost(i)))
		}
		if err != nil {
			return nil, err
		}
	}
	a, err := p.near.tunnel(ctx, nearHost+"/24", o.rate)
	if err != nil {
		return nil, err
	}
	b, err := router.tunnel(ctx, "10.9.0.1/24", o.rate)
	if err != nil {
		return nil, err
	}
	p.wire = newRelay(a, b, o.roundTrip/2, o.loss)
	return p, p.near.run(ctx, "ip route add default via 10.9.0.1")
}

// congestion is the algorithm that the system's TCP uses here.
func (p *picture) congestion() string {
	name := "?"
	_ = p.near.in(func() error {
		text, err := os.ReadFile("/proc/sys/net/ipv4/tcp_congestion_control")
		name = strings.TrimSpace(string(text))
		return err
	})
	return name
}

// plainTCP has the first far computer send so many bytes by one TCP connection, and tells
// how long that took from dialling on.
func (p *picture) plainTCP(ctx context.Context, size int64) (time.Duration, error) {
	var ln net.Listener
	at := net.JoinHostPort(farHost(0), "9")
	if err := p.far[0].in(func() (err error) { ln, err = net.Listen("tcp", at); return err }); err != nil {
		return 0, err
	}
	defer ln.Close()
	sent := make(chan error, 1)
	go func() {
		c, err := ln.Accept()
		if err == nil {
			defer c.Close()
			err = send(c, size)
		}
		sent <- err
	}()
	began := time.Now()
	var c net.Conn
	err := p.near.in(func() (err error) { c, err = (&net.Dialer{}).DialContext(ctx, "tcp", at); return err })
	if err != nil {
		return 0, err
	}
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.Close() })()
	err = receive(c, size)
	took := time.Since(began)
	return took, errors.Join(err, <-sent)
}
