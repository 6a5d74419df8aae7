//go:build linux

package clients

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// isolated marks the environment of a run that is inside its namespace.
const isolated = "SHOAL_LAB_ISOLATED"

// Isolate runs this very program again inside a network namespace that has nothing
// but loopback, so that no packet leaves the machine whatever a foreign program
// tries, and returns its exit code with again = true. Inside, and where the system
// allows no namespaces, it returns at once with again = false.
func Isolate() (code int, again bool) {
	switch os.Getenv(isolated) {
	case "":
	case "enter":
		os.Setenv(isolated, "inside")
		if err := loopbackUp(); err != nil {
			fmt.Fprintln(os.Stderr, "clients: loopback:", err)
			return 1, true
		}
		return 0, false
	default:
		return 0, false
	}
	self, err := os.Executable()
	if err != nil {
		return 0, false
	}
	// The thread must live as long as the child: its end would kill it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.Command(self, os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), isolated+"=enter")
	cmd.SysProcAttr = namespace()
	if err := cmd.Start(); err != nil {
		return 0, false // no right to do it: the clients are bound to loopback anyway
	}
	// Ctrl-C reaches the child by itself; it must be the one that cleans up.
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, os.Interrupt, syscall.SIGTERM)
	go func() {
		for s := range stop {
			if s == syscall.SIGTERM {
				_ = cmd.Process.Signal(s)
			}
		}
	}()
	if err := cmd.Wait(); err != nil && cmd.ProcessState == nil {
		return 1, true
	}
	if code = cmd.ProcessState.ExitCode(); code < 0 {
		code = 1
	}
	return code, true
}

// Isolated reports whether this run is inside its own namespace.
func Isolated() bool { return os.Getenv(isolated) == "inside" }

// namespace asks for a network namespace, with a user namespace around it for
// anyone but root.
func namespace() *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGTERM}
	if os.Geteuid() != 0 {
		a.Cloneflags |= syscall.CLONE_NEWUSER
		a.UidMappings = []syscall.SysProcIDMap{{ContainerID: os.Geteuid(), HostID: os.Geteuid(), Size: 1}}
		a.GidMappings = []syscall.SysProcIDMap{{ContainerID: os.Getegid(), HostID: os.Getegid(), Size: 1}}
		a.AmbientCaps = []uintptr{unix.CAP_NET_ADMIN} // to bring loopback up
	}
	return a
}

// loopbackUp does what "ip link set lo up" does.
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	req, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	req.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, req); err != nil {
		return err
	}
	return privateRange(fd)
}

// privateRange gives loopback 10.77.0.0/16 too, for programs that refuse to dial
// 127.0.0.0/8. On loopback every address of a range is local.
func privateRange(fd int) error {
	for _, set := range []struct {
		ioctl uint
		addr  [4]byte
	}{{unix.SIOCSIFADDR, [4]byte{10, 77, 0, 1}}, {unix.SIOCSIFNETMASK, [4]byte{255, 255, 0, 0}}} {
		req, err := unix.NewIfreq("lo:1")
		if err != nil {
			return err
		}
		if err := req.SetInet4Addr(set.addr[:]); err != nil {
			return err
		}
		if err := unix.IoctlIfreq(fd, set.ioctl, req); err != nil {
			return err
		}
	}
	return nil
}
