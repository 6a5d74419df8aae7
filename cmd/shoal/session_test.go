package main

import (
	"bytes"
	"context"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"shoal/internal/door/api"
	"shoal/internal/door/cli"
	"shoal/internal/door/httpd/fakenode"
	"shoal/internal/node"
)

// asked is the status of a node that tells when it is asked for the first time.
type asked struct {
	*fakenode.Node
	once sync.Once
	told chan struct{}
}

func (a *asked) Status(ctx context.Context) api.Status {
	a.once.Do(func() { close(a.told) })
	return a.Node.Status(ctx)
}

// interrupting is standard output that presses Ctrl-C when up says that it is ready.
type interrupting struct {
	bytes.Buffer
	signals chan os.Signal
}

func (w *interrupting) Write(b []byte) (int, error) {
	if bytes.HasPrefix(b, []byte("ready: ")) {
		w.signals <- os.Interrupt
	}
	return w.Buffer.Write(b)
}

// command runs the program in this process.
func command(p cli.Program, args ...string) (code int, out, errs string) {
	stdout, stderr := interrupting{signals: make(chan os.Signal, 1)}, bytes.Buffer{}
	code = cli.Main(cli.Env{Program: p, Args: args, Stdin: strings.NewReader(""), Stdout: &stdout, Stderr: &stderr,
		Getenv: func(string) string { return "" }, Signals: stdout.signals, Exit: func(int) {}})
	return code, stdout.String(), stderr.String()
}

// founding is standard output that founds a group when up says that it is ready.
type founding struct {
	bytes.Buffer
	n *fakenode.Node
}

func (w *founding) Write(b []byte) (int, error) {
	if bytes.HasPrefix(b, []byte("ready: ")) {
		if _, err := w.n.NewGroup(context.Background(), api.GroupRequest{Name: "home"}); err != nil {
			return 0, err
		}
	}
	return w.Buffer.Write(b)
}

// hearing is standard error that presses Ctrl-C when it is told of a group.
type hearing struct {
	bytes.Buffer
	signals chan os.Signal
}

func (w *hearing) Write(b []byte) (int, error) {
	if bytes.Contains(b, []byte("a member of home")) {
		w.signals <- os.Interrupt
	}
	return w.Buffer.Write(b)
}

// TestReadyMissesNothing: of what happens in a group once up has said that it is ready, it tells.
func TestReadyMissesNothing(t *testing.T) {
	t.Chdir(t.TempDir())
	n := fakenode.New(new(fakenode.World))
	stdout, stderr := &founding{n: n}, &hearing{signals: make(chan os.Signal, 2)}
	late := time.AfterFunc(20*time.Second, func() { stderr.signals <- os.Interrupt })
	defer late.Stop()
	code := cli.Main(cli.Env{Program: programOf(func() *fakenode.Node { return n }), Args: []string{"up", "--port", "0", "--api-port", "0", "--home", "home"},
		Stdin: strings.NewReader(""), Stdout: stdout, Stderr: stderr, Getenv: func(string) string { return "" }, Signals: stderr.signals, Exit: func(int) {}})
	if code != 0 || !strings.HasPrefix(stderr.String(), "this node is a member of home\n") {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
}

// TestNoNodeOfAShortCommandIsUsed: the node of a command that only looks after the home
// reaches nobody, so what needs the network waits until that command has ended.
func TestNoNodeOfAShortCommandIsUsed(t *testing.T) {
	for _, tc := range []struct {
		name string
		args []string
		out  string
	}{
		{"get", []string{"get", "magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567&dn=song", "-o", "in"}, "/in/song\n"},
		{"up", []string{"up", "--port", "0", "--api-port", "0"}, "ready: "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Chdir(t.TempDir())
			n := fakenode.New(new(fakenode.World))
			spy := &asked{Node: n, told: make(chan struct{})}
			p := programOf(func() *fakenode.Node { return n })
			open := p.open
			p.open = func(ctx context.Context, o node.Options) (*engine, error) {
				e, err := open(ctx, o)
				e.door.Status = spy
				return e, err
			}
			short, err := p.Start(t.Context(), cli.StartOptions{Home: "home", Port: -1, APIPort: -1, Offline: true})
			if err != nil {
				t.Fatal(err)
			}
			closed := make(chan error, 1)
			go func() {
				<-spy.told
				ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
				defer cancel()
				if list, err := n.List(ctx); err != nil || len(list) > 0 {
					t.Errorf("the short command's node was told to fetch %v, %v", list, err)
				}
				closed <- short.Close(ctx)
			}()
			code, out, errs := command(fakeProgram(), append(tc.args, "--home", "home")...)
			if err := <-closed; err != nil {
				t.Error(err)
			}
			if code != 0 || !strings.Contains(out, tc.out) {
				t.Errorf("exit %d\n%s%s", code, out, errs)
			}
		})
	}
}

// TestNodeThatDoesNotAnswer: a node that is suspended, or whose disk hangs, keeps no command
// waiting for ever.
func TestNodeThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	h, err := node.OpenHome(home)
	if err != nil {
		t.Fatal(err)
	}
	lock, err := h.Lock()
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", filepath.Join(home, node.SocketFile))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close(); lock.Release() })
	for _, args := range [][]string{{"ls"}, {"up"}} {
		t.Run(args[0], func(t *testing.T) {
			t.Parallel()
			code, out, errs := command(fakeProgram(), append(args, "--home", home)...)
			if code == 0 || !strings.Contains(errs, "does not answer") {
				t.Errorf("exit %d\n%s%s", code, out, errs)
			}
		})
	}
}

// fullDisk is a file that takes nothing.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) {
	return 0, &fs.PathError{Op: "write", Path: "out", Err: syscall.ENOSPC}
}

// TestLostOutput: a result that nobody got is no success.
func TestLostOutput(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, args := range [][]string{{"status"}, {"status", "--json"}, {"version"}, {"help", "config"}, {"completion", "bash"}, {"fsck"}} {
		var stderr bytes.Buffer
		code := cli.Main(cli.Env{Program: fakeProgram(), Args: append(args, "--home", "home"), Stdin: strings.NewReader(""), Stdout: fullDisk{}, Stderr: &stderr,
			Getenv: func(string) string { return "" }, Exit: func(int) {}})
		if code != api.ExitDisk || !strings.Contains(stderr.String(), "no space left") {
			t.Errorf("%v: exit %d: %s", args, code, stderr.String())
		}
	}
}

// TestCtrlCEndsReadingStandardInput: nothing may ever come from there.
func TestCtrlCEndsReadingStandardInput(t *testing.T) {
	t.Chdir(t.TempDir())
	r, w := io.Pipe()
	defer w.Close()
	signals := make(chan os.Signal, 1)
	signals <- os.Interrupt
	var stderr bytes.Buffer
	code := cli.Main(cli.Env{Program: fakeProgram(), Args: []string{"get", "-", "--home", "home"}, Stdin: r, Stdout: io.Discard, Stderr: &stderr,
		Getenv: func(string) string { return "" }, Signals: signals, Exit: func(int) { t.Error("the second signal was needed") }})
	if code != api.ExitInterrupted {
		t.Errorf("exit %d: %s", code, stderr.String())
	}
}
