//go:build linux

package fault

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"shoal/bench/clients"
)

// mounts marks the environment of a run that has a mount namespace of its own.
const mounts = "SHOAL_FAULT_MOUNTS"

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

// run builds shoal where there is a network and tests where there is only loopback.
func run(m *testing.M) int {
	if !clients.Isolated() {
		dir, err := os.MkdirTemp("", "shoal-fault-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		if err := clients.BuildShoal(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	if code, again := clients.Isolate(); again {
		return code
	}
	enterMounts()
	return m.Run()
}

// enterMounts goes on in a mount namespace of its own, in this very process; where
// that is not allowed, tests that mount say so.
func enterMounts() {
	unshare, err := exec.LookPath("unshare")
	if err != nil || os.Getenv(mounts) != "" || os.Geteuid() != 0 {
		return
	}
	self, err := os.Executable()
	if err != nil {
		return
	}
	if exec.Command(unshare, "--mount", "--propagation", "private", "true").Run() != nil {
		return
	}
	args := append([]string{unshare, "--mount", "--propagation", "private", "--", self}, os.Args[1:]...)
	_ = syscall.Exec(unshare, args, append(os.Environ(), mounts+"=1"))
}

// long tells whether there is time for everything.
func long() bool { return os.Getenv("SHOAL_LONG") == "1" }

// need skips a test whose tool is missing, or fails it where all are required.
func need(t *testing.T, ok bool, what string) {
	t.Helper()
	if ok {
		return
	}
	if os.Getenv("SHOAL_REQUIRE_PEERS") == "1" {
		t.Fatal(what)
	}
	t.Skip(what)
}

func needStrace(t *testing.T) {
	t.Helper()
	err := exec.Command("strace", "-qq", "-o", os.DevNull, "true").Run()
	need(t, err == nil, "strace cannot trace here")
}

func needMounts(t *testing.T) {
	t.Helper()
	need(t, os.Getenv(mounts) != "", "no mount namespace: only root may mount")
}

// deadline bounds a test.
func deadline(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}

// lab gives a test its lab. It ends with the test; the logs of a failed one stay.
func lab(t *testing.T) *clients.Lab {
	t.Helper()
	l, err := clients.NewLab(filepath.Join(os.TempDir(), "shoal-fault"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.Stop()
		if t.Failed() {
			t.Logf("logs are in %s", l.Root())
			return
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
