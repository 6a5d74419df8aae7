//go:build linux

package fault

import (
	"context"
	"errors"
	"flag"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"shoal/bench/clients"
	"shoal/bench/clients/testlab"
)

// mounts marks the environment of a run that has a mount namespace of its own.
const mounts = "SHOAL_FAULT_MOUNTS"

func TestMain(m *testing.M) {
	os.Exit(clients.Inside("fault", func() int {
		if os.Getenv(clients.ShoalPath) == "" {
			return 1 // Inside has said why
		}
		enterMounts()
		// The tests wait more than they compute.
		flag.Parse()
		if err := flag.Set("test.parallel", strconv.Itoa(max(4, runtime.GOMAXPROCS(0)))); err != nil {
			return 1
		}
		return m.Run()
	}))
}

// enterMounts goes on in a mount namespace of its own, in this very process, as root of
// a user namespace where it is not root; where that is not allowed, tests that mount say so.
func enterMounts() {
	unshare, err := exec.LookPath("unshare")
	if err != nil || os.Getenv(mounts) != "" {
		return
	}
	self, err := os.Executable()
	if err != nil {
		return
	}
	args := []string{unshare, "--mount", "--propagation", "private"}
	if os.Geteuid() != 0 {
		args = append(args, "--user", "--map-root-user")
	}
	if exec.Command(unshare, append(args[1:], "true")...).Run() != nil {
		return
	}
	args = append(args, "--", self)
	_ = syscall.Exec(unshare, append(args, os.Args[1:]...), append(os.Environ(), mounts+"=1"))
}

// long tells whether there is time for everything.
func long() bool { return os.Getenv("SHOAL_LONG") == "1" }

// need skips a test whose tool is missing, or fails it where all are required.
func need(t *testing.T, ok bool, what string) {
	t.Helper()
	if !ok {
		testlab.Need(t, errors.New(what))
	}
}

func needStrace(t *testing.T) {
	t.Helper()
	err := exec.Command("strace", "-qq", "-o", os.DevNull, "true").Run()
	need(t, err == nil, "strace cannot trace here")
}

func needMounts(t *testing.T) {
	t.Helper()
	need(t, os.Getenv(mounts) != "", "no mount namespace here")
}

func deadline(t *testing.T, d time.Duration) context.Context { return testlab.Deadline(t, d) }

func lab(t *testing.T) *clients.Lab { return testlab.New(t) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
