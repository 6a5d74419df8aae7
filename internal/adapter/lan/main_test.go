//go:build linux

package lan

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// What this test binary is for in the processes that it starts: the namespace in which
// all tests run, or one node in a namespace of its own.
const (
	roleEnv   = "SHOAL_LAN_ROLE"
	roleInner = "inner"
	roleNode  = "node"
)

// TestMain runs the tests again inside a network namespace that has nothing but
// loopback, so that no multicast leaves the machine. Where there is none to be had, the
// tests that need it skip.
func TestMain(m *testing.M) {
	switch os.Getenv(roleEnv) {
	case roleNode:
		os.Exit(nodeMain())
	case roleInner:
		os.Exit(m.Run())
	}
	self, err := os.Executable()
	if err != nil {
		os.Exit(m.Run())
	}
	cmd := exec.Command(self, os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), roleEnv+"="+roleInner)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	if err := cmd.Start(); err != nil {
		os.Exit(m.Run())
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	go func() {
		for s := range stop {
			_ = cmd.Process.Signal(s)
		}
	}()
	_ = cmd.Wait() // its exit code says it all
	os.Exit(max(cmd.ProcessState.ExitCode(), 0))
}

// needNamespace skips a test where there is none, or no ip(8), or fails it where
// SHOAL_REQUIRE_PEERS=1 says that nothing may be missing.
func needNamespace(t *testing.T, programs ...string) {
	t.Helper()
	var missing error
	if os.Getenv(roleEnv) != roleInner {
		missing = errors.New("no network namespace to be had")
	}
	for _, p := range append(programs, "ip", "nsenter") {
		_, err := exec.LookPath(p)
		missing = errors.Join(missing, err)
	}
	need(t, missing)
}

func need(t *testing.T, missing error) {
	t.Helper()
	if missing != nil && os.Getenv("SHOAL_REQUIRE_PEERS") == "1" {
		t.Fatal(missing)
	}
	if missing != nil {
		t.Skip(missing)
	}
}

// line is what a node prints.
type line struct {
	Event string       // ready, share, node, conn, stats, closed
	Addr  string       `json:",omitempty"`
	Hash  string       `json:",omitempty"`
	Tags  string       `json:",omitempty"`
	Err   string       `json:",omitempty"`
	Stats *statsOfNode `json:",omitempty"`
}

type statsOfNode struct {
	Links                                 int
	Sent, Unsent, Received, Refused, Seen int64
}

// nodeMain is one node: SHOAL_LAN_NODE is "TAG PORT INTERFACES", commands come by
// standard input: announce HASH..., stats, close.
func nodeMain() int {
	f := strings.Fields(os.Getenv("SHOAL_LAN_NODE"))
	n, _ := strconv.Atoi(f[0])
	port, _ := strconv.Atoi(f[1])
	out := json.NewEncoder(os.Stdout)
	lines := make(chan line, 1000)
	cfg := Config{Port: uint16(port), Tags: func() [][8]byte { return []Tag{tag(n)} },
		Interfaces: func() ([]net.Interface, error) {
			all, err := net.Interfaces()
			return slices.DeleteFunc(all, func(i net.Interface) bool { return !slices.Contains(f[2:], i.Name) }), err
		},
		Allow: func(a netip.AddrPort) error {
			if a.Addr().IsPrivate() || a.Addr().IsLinkLocalUnicast() {
				return nil
			}
			return errors.New("out of scope")
		},
		Found: func(x Found) {
			if x.Tags == nil {
				lines <- line{Event: "share", Addr: x.Addr.String(), Hash: hex.EncodeToString(x.InfoHash[:])}
			} else {
				lines <- line{Event: "node", Addr: x.Addr.String(), Tags: fmt.Sprintf("%x", x.Tags)}
			}
		}}
	l, err := New(cfg)
	if err == nil {
		err = l.Start(context.Background())
	}
	if err != nil {
		_ = out.Encode(line{Event: "closed", Err: err.Error()})
		return 1
	}
	go accept(port, lines)
	commands := make(chan []string)
	go func() {
		for in := bufio.NewScanner(os.Stdin); in.Scan(); {
			commands <- strings.Fields(in.Text())
		}
		close(commands)
	}()
	_ = out.Encode(line{Event: "ready"})
	for {
		select {
		case x := <-lines:
			_ = out.Encode(x)
		case c := <-commands:
			if len(c) == 0 || c[0] == "close" {
				err := l.Close()
				_ = out.Encode(line{Event: "closed", Err: fmt.Sprint(err)})
				return 0
			}
			_ = out.Encode(obey(l, c))
		}
	}
}

// obey does what a command says.
func obey(l *LAN, c []string) line {
	if c[0] == "announce" {
		var shares [][20]byte
		for _, s := range c[1:] {
			b, _ := hex.DecodeString(s)
			shares = append(shares, [20]byte(b))
		}
		l.Announce(shares)
	}
	if c[0] == "flood" {
		flood(l)
	}
	s := l.Stats()
	return line{Event: "stats", Err: fmt.Sprint(s.Err), Stats: &statsOfNode{s.Links, s.Sent, s.Unsent, s.Received, s.Refused, s.Found}}
}

// flood sends three thousand announces that say nothing twice.
func flood(l *LAN) {
	i, err := net.InterfaceByName("eth0")
	if err != nil {
		panic(err)
	}
	addrs, err := prefixesOf(*i)
	if err != nil {
		panic(err)
	}
	for n := range 3000 {
		m := lsdMessage{Family: v4, Port: uint16(n + 1), Hashes: []hash{hashA}}
		p := packet{channel{lsd, v4}, i.Index, addrs[0].Addr(), appendLSD(nil, m)}
		if err := l.socks[lsd][v4].write(p); err != nil {
			panic(err)
		}
	}
}

// accept tells who connects to the node's port: the programs of others show by that that
// they have heard it.
func accept(port int, lines chan<- line) {
	in, err := net.Listen("tcp", ":"+strconv.Itoa(port))
	if err != nil {
		lines <- line{Event: "conn", Err: err.Error()}
		return
	}
	for {
		c, err := in.Accept()
		if err != nil {
			return
		}
		lines <- line{Event: "conn", Addr: c.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap().String()}
		c.Close()
	}
}

// host is a process in a network namespace of its own.
type host struct {
	t     *testing.T
	cmd   *exec.Cmd
	in    *os.File
	lines chan line
	began time.Time // ready
}

// newHost starts a shell that waits in a new namespace for the word to run a program.
func newHost(t *testing.T, env []string, program ...string) *host {
	t.Helper()
	h := &host{t: t, lines: make(chan line, 10_000)}
	h.cmd = exec.Command("sh", append([]string{"-c", `read go && exec "$@"`, "sh"}, program...)...)
	h.cmd.Env = append(os.Environ(), env...)
	h.cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Setpgid: true}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	h.in, h.cmd.Stdin = w, r
	out, err := h.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	h.cmd.Stderr = t.Output()
	if err := h.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r.Close()
	read := make(chan struct{})
	go func() {
		defer close(read)
		for s := bufio.NewScanner(out); s.Scan(); {
			var l line
			if json.Unmarshal(s.Bytes(), &l) == nil {
				h.lines <- l
			}
		}
	}()
	t.Cleanup(func() {
		w.Close()
		_ = syscall.Kill(-h.cmd.Process.Pid, syscall.SIGTERM)
		<-read
		_ = h.cmd.Wait()
	})
	return h
}

// newNode is a host that will be a node: its number makes its tag.
func newNode(t *testing.T, n int, ifaces ...string) *host {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return newHost(t, []string{roleEnv + "=" + roleNode, fmt.Sprintf("SHOAL_LAN_NODE=%d 7463 %s", n, strings.Join(ifaces, " "))}, self)
}

// say writes a line to the process.
func (h *host) say(format string, args ...any) {
	h.t.Helper()
	if _, err := fmt.Fprintf(h.in, format+"\n", args...); err != nil {
		h.t.Error(err)
	}
}

// start lets a node begin and announce.
func (h *host) start(shares ...string) {
	h.t.Helper()
	h.say("go")
	h.until(5*time.Second, func(l line) bool { return l.Event == "ready" })
	h.began = time.Now()
	h.say("announce %s", strings.Join(shares, " "))
}

// until waits for a line that fits; the others are dropped.
func (h *host) until(d time.Duration, fits func(line) bool) line {
	h.t.Helper()
	l, ok := h.within(d, fits)
	if !ok {
		h.t.Fatalf("not within %v", d)
	}
	return l
}

func (h *host) within(d time.Duration, fits func(line) bool) (line, bool) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	for {
		select {
		case l := <-h.lines:
			if l.Event == "closed" && l.Err != "<nil>" {
				h.t.Error(l.Err)
			}
			if fits(l) {
				return l, true
			}
		case <-timer.C:
			return line{}, false
		}
	}
}

// run runs a program in the host's namespace.
func (h *host) run(args ...string) {
	h.t.Helper()
	sh(h.t, append([]string{"nsenter", "-n", "-t", strconv.Itoa(h.cmd.Process.Pid)}, args...)...)
}

// plug joins a host to a bridge by an interface with these addresses.
func (h *host) plug(bridge, iface string, addrs ...string) (port string) {
	h.t.Helper()
	port = fmt.Sprintf("%s-%d", bridge, h.cmd.Process.Pid%1e6)
	sh(h.t, "ip", "link", "add", port, "type", "veth", "peer", "name", iface, "netns", strconv.Itoa(h.cmd.Process.Pid))
	sh(h.t, "ip", "link", "set", port, "addrgenmode", "none", "master", bridge, "up")
	// No address that the kernel makes up, and none that waits to be used.
	h.run("ip", "link", "set", iface, "addrgenmode", "none")
	for _, a := range addrs {
		args := []string{"ip", "addr", "add", a, "dev", iface}
		if strings.Contains(a, ":") {
			args = append(args, "nodad")
		}
		h.run(args...)
	}
	h.run("ip", "link", "set", iface, "up")
	return port
}

// bridge makes a bridge that ends with the test.
func bridge(t *testing.T, name string) string {
	t.Helper()
	sh(t, "ip", "link", "add", name, "type", "bridge")
	t.Cleanup(func() { sh(t, "ip", "link", "del", name) })
	sh(t, "ip", "link", "set", name, "addrgenmode", "none", "up")
	return name
}

func sh(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command(args[0], args[1:]...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s", strings.Join(args, " "), err, out)
	}
	return string(out)
}
