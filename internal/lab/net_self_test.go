//go:build linux

package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// ask sends a datagram and waits for one from anybody.
func ask(t *testing.T, c *net.UDPConn, to string, wait time.Duration) (answer string, from netip.AddrPort) {
	t.Helper()
	if to != "" {
		_, err := c.WriteToUDPAddrPort([]byte("who am I"), netip.MustParseAddrPort(to))
		must(t, err)
	}
	must(t, c.SetReadDeadline(time.Now().Add(wait)))
	b := make([]byte, 200)
	n, from, err := c.ReadFromUDPAddrPort(b)
	if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	return string(b[:n]), from
}

// echo tells whoever sends something which address it came from.
func echo(c *net.UDPConn) {
	b := make([]byte, 200)
	for {
		_, from, err := c.ReadFromUDPAddrPort(b)
		if err != nil {
			return
		}
		_, _ = c.WriteToUDPAddrPort([]byte(from.String()), from)
	}
}

// knock opens a TCP connection and closes it.
func knock(to string) error {
	c, err := net.DialTimeout("tcp", to, 2*time.Second)
	if err != nil {
		return err
	}
	return c.Close()
}

// TestHomeRouters proves what the tests of NATs stand on: how routers give out ports and
// whom they let in.
func TestHomeRouters(t *testing.T) {
	t.Parallel()
	needNetworks(t)
	for _, c := range []struct {
		name string
		kind translation
		same bool
	}{{"endpoint-independent", independent, true}, {"endpoint-dependent", dependent, false}} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, c.kind)
			r := w.public("r", 1)
			for _, a := range []string{"11.0.1.2:7001", "11.0.1.2:7002"} {
				go echo(r.listenUDP(a))
			}
			inside := w.left.listenUDP("0.0.0.0:7463")
			first, _ := ask(t, inside, "11.0.1.2:7001", 5*time.Second)
			second, _ := ask(t, inside, "11.0.1.2:7002", 5*time.Second)
			if first == "" || second == "" || (first == second) != c.same {
				t.Errorf("seen as %q and as %q", first, second)
			}
			if c.same && first != "11.0.101.2:7463" {
				t.Errorf("seen as %s", first)
			}
			stranger := r.listenUDP("11.0.1.2:7003")
			_, err := stranger.WriteToUDPAddrPort([]byte("hello"), netip.MustParseAddrPort(first))
			must(t, err)
			if got, from := ask(t, inside, "", 200*time.Millisecond); got != "" {
				t.Errorf("%q of %s came in unasked", got, from)
			}
			// No way from one home to the other by its private address, and none out.
			w.right.listenTCP("10.1.0.2:9000")
			for _, to := range []string{"10.1.0.2:9000", "1.1.1.1:443"} {
				if err := w.left.in(func() error { return knock(to) }); !errors.Is(err, unix.EHOSTUNREACH) && !errors.Is(err, unix.ENETUNREACH) {
					t.Errorf("%s: %v", to, err)
				}
			}
		})
	}
}

// TestLinks proves rates, losses and cuts.
func TestLinks(t *testing.T) {
	t.Parallel()
	needNetworks(t)
	w := newWorld(t, independent)
	r := w.public("r", 1)
	l := r.listenTCP("11.0.1.2:9000")
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = c.Write(make([]byte, 8<<20))
				c.Close()
			}()
		}
	}()
	fetch := func() (int64, time.Duration, error) {
		began := time.Now()
		var n int64
		err := w.left.in(func() error {
			c, err := net.DialTimeout("tcp", "11.0.1.2:9000", 5*time.Second)
			if err != nil {
				return err
			}
			defer c.Close()
			n, err = io.Copy(io.Discard, c)
			return err
		})
		return n, time.Since(began), err
	}
	_, free, err := fetch()
	must(t, err)
	r.rate("eth0", "100mbit")
	_, bound, err := fetch()
	must(t, err)
	r.unbound("eth0")
	t.Logf("8 MiB: %v, at 100 Mbit/s %v", free, bound)
	if free > bound || bound < 550*time.Millisecond || bound > 3*time.Second {
		t.Errorf("8 MiB took %v, at 100 Mbit/s %v", free, bound)
	}
	go echo(r.listenUDP("11.0.1.2:7001"))
	w.internet.lose(300)
	inside := w.left.listenUDP("0.0.0.0:7463")
	lost := 0
	for range 100 {
		if got, _ := ask(t, inside, "11.0.1.2:7001", 30*time.Millisecond); got == "" {
			lost++
		}
	}
	if lost < 30 || lost > 75 { // 1-0.7² = 51 %
		t.Errorf("%d of 100 round trips lost, of which 51 should be", lost)
	}
	w.internet.sh("nft", "delete", "table", "ip", "loss")
	w.internet.cut("left")
	if got, _ := ask(t, inside, "11.0.1.2:7001", 100*time.Millisecond); got != "" {
		t.Errorf("%q over a cut link", got)
	}
	w.internet.mend("left")
	ctx := deadline(t, 10*time.Second)
	must(t, poll(ctx, func() (bool, error) {
		got, _ := ask(t, inside, "11.0.1.2:7001", 100*time.Millisecond)
		return got != "", nil
	}))
}

// TestCapture proves that what is said on a wire is found, across packets too, and what is
// not said is not.
func TestCapture(t *testing.T) {
	t.Parallel()
	needNetworks(t)
	a, b := newSpace(t, "a"), newSpace(t, "b")
	wire(a, "eth0", "10.3.0.1/24", b, "eth0", "10.3.0.2/24")
	c := a.capture()
	l := b.listenTCP("10.3.0.2:80")
	secret := []byte("across-two-segments")
	must(t, a.in(func() error {
		d := net.Dialer{Timeout: 5 * time.Second}
		conn, err := d.DialContext(context.Background(), "tcp", "10.3.0.2:80")
		if err != nil {
			return err
		}
		defer conn.Close()
		in, err := l.Accept()
		if err != nil {
			return err
		}
		defer in.Close()
		for _, part := range bytes.SplitAfter(secret, []byte("-")) {
			if _, err := conn.Write(part); err != nil {
				return err
			}
			if _, err := io.ReadFull(in, make([]byte, len(part))); err != nil {
				return err
			}
		}
		return nil
	}))
	must(t, poll(deadline(t, 5*time.Second), func() (bool, error) {
		return len(c.search(map[string][]byte{"secret": secret})) == 1, nil
	}))
	if found := c.search(map[string][]byte{"other": []byte("across-three")}); len(found) != 0 {
		t.Error(found)
	}
	if n := c.whole(); n < 8 {
		t.Errorf("%d packets", n)
	}
}

// TestNothingStays proves that a namespace goes with its last file and process.
func TestNothingStays(t *testing.T) {
	t.Parallel()
	needNetworks(t)
	mine, err := os.Readlink("/proc/self/ns/net")
	must(t, err)
	var name string
	t.Run("a space", func(t *testing.T) {
		s := newSpace(t, "gone")
		name, err = os.Readlink(s.path())
		must(t, err)
		if name == mine || !strings.HasPrefix(name, "net:[") {
			t.Errorf("it is %s, ours %s", name, mine)
		}
	})
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", os.Getpid()))
	must(t, err)
	for _, f := range files {
		if at, err := os.Readlink(f); err == nil && at == name {
			t.Errorf("%s is still open", at)
		}
	}
}
