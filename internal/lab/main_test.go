//go:build linux

package lab

import (
	"context"
	"errors"
	"flag"
	"fmt"
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

// nested marks the environment of a run that is root of a user namespace.
const nested = "SHOAL_LAB_NESTED"

func TestMain(m *testing.M) {
	os.Exit(clients.Inside("lab", func() int {
		if os.Getenv(clients.ShoalPath) == "" {
			return 1 // Inside has said why
		}
		becomeRoot()
		// The tests wait more than they compute.
		flag.Parse()
		if err := flag.Set("test.parallel", strconv.Itoa(max(4, runtime.GOMAXPROCS(0)))); err != nil {
			return 1
		}
		code := m.Run()
		if made := folderMade(); made != "" {
			os.RemoveAll(made)
		}
		return code
	}))
}

// becomeRoot goes on as root of a user and network namespace, in this very process, where
// it is not root: only so it may make namespaces. Where that is not allowed, the tests say so.
func becomeRoot() {
	if os.Geteuid() == 0 || os.Getenv(nested) != "" {
		return
	}
	unshare, err := exec.LookPath("unshare")
	if err != nil {
		return
	}
	self, err := os.Executable()
	if err != nil {
		return
	}
	args := []string{unshare, "--user", "--map-root-user", "--net"}
	if exec.Command(unshare, append(args[1:], "true")...).Run() != nil {
		return
	}
	args = append(args, "--", self)
	_ = syscall.Exec(unshare, append(args, os.Args[1:]...), append(os.Environ(), nested+"=1"))
}

// long tells whether there is time for everything.
func long() bool { return os.Getenv("SHOAL_LONG") == "1" }

// needNetworks skips a test where no networks can be made, or fails it where
// SHOAL_REQUIRE_PEERS=1 says that nothing may be missing.
func needNetworks(t *testing.T) {
	t.Helper()
	var missing error
	if !clients.Isolated() {
		missing = errors.New("no network namespace to be had")
	}
	for _, p := range []string{"ip", "tc", "nft", "nsenter"} {
		_, err := exec.LookPath(p)
		missing = errors.Join(missing, err)
	}
	if missing == nil {
		s, err := unshareNet()
		if err == nil {
			s.Close()
		}
		missing = err
	}
	if missing != nil {
		missing = fmt.Errorf("networks cannot be made here: %w", missing)
	}
	testlab.Need(t, missing)
}

func deadline(t *testing.T, d time.Duration) context.Context { return testlab.Deadline(t, d) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// poll asks again until it is done or the context ends.
func poll(ctx context.Context, done func() (bool, error)) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		ok, err := done()
		if ok {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		case <-tick.C:
		}
	}
}
