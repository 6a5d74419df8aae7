package demo

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"shoal/internal/door/api"
	"shoal/internal/door/cli/term"
)

// startWithin is how long a node may take to answer.
const startWithin = 30 * time.Second

// homeConfig is a node's config.toml. What a demo writes needs no reserve; and whoever looks at a
// kept home with another command gets no port that others use, and stays on loopback.
const homeConfig = `[node]
name = %q

[network]
scope = "loopback"
port = 0

[api]
port = 0

[disk]
reserve = "0"
`

// node is one process of the program.
type node struct {
	name   string
	home   string
	files  string // where it fetches to
	log    string // its standard error
	cmd    *exec.Cmd
	ready  api.Ready
	client *api.Client
	ending atomic.Bool   // it is meant to end
	gone   chan struct{} // closed when it has ended
}

// start runs the nodes, all at once, and waits until they answer.
func (d *demo) start(ctx context.Context) error {
	began := time.Now()
	errs := make([]error, d.Peers+1)
	for i := range errs {
		name := fmt.Sprintf("node%d", i+1)
		at := filepath.Join(d.dir, name)
		d.nodes = append(d.nodes, &node{name: name, home: filepath.Join(at, "home"), files: filepath.Join(at, "files"), log: filepath.Join(at, "log"), gone: make(chan struct{})})
	}
	var wg sync.WaitGroup
	for i, n := range d.nodes {
		wg.Go(func() { errs[i] = d.startOne(ctx, n, i == 0) })
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			return d.nodes[i].failed(err)
		}
	}
	first := d.nodes[0]
	d.say("%s on loopback after %.2f s, %s: each is a process with a home and a key of its own", term.Count(len(d.nodes), "node"), time.Since(began).Seconds(), names(d.nodes))
	d.say("  the API of %s: %s (token in %s)", first.name, first.ready.API, api.Safe(filepath.Join(first.home, "api.token")))
	e := NodesEvent{Event: "nodes", Seconds: time.Since(began).Seconds()}
	for _, n := range d.nodes {
		e.Nodes = append(e.Nodes, Started{Name: n.name, NodeID: n.ready.NodeID, PID: n.ready.PID, Home: n.home, API: n.ready.API, Listen: n.ready.Listen})
	}
	d.print(e)
	return nil
}

func (d *demo) startOne(ctx context.Context, n *node, first bool) error {
	for _, dir := range []string{n.home, n.files} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			close(n.gone)
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(n.home, "config.toml"), fmt.Appendf(nil, homeConfig, n.name), 0o600); err != nil {
		close(n.gone)
		return err
	}
	port := 0
	if first {
		port = d.APIPort
	}
	lines, err := d.spawn(n, "up", "--home", n.home, "--scope", "loopback", "--port", "0", "--api-port", strconv.Itoa(port), "--json")
	if err != nil {
		close(n.gone)
		return err
	}
	late := time.NewTimer(startWithin)
	defer late.Stop()
	select {
	case line := <-lines:
		if err := json.Unmarshal(line, &n.ready); err != nil || n.ready.Socket == "" {
			return n.failure(line)
		}
		n.client = api.NewSocketClient(n.ready.Socket)
		return nil
	case <-late.C:
		return api.Errorf(api.Unavailable, n.home, "it does not answer after %d s", int(startWithin.Seconds()))
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// spawn starts the process of a node. The channel delivers its first line of standard output,
// or nothing at all where it ends before that.
func (d *demo) spawn(n *node, args ...string) (<-chan []byte, error) {
	log, err := os.OpenFile(n.log, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the process has its own
	n.cmd = exec.Command(d.Program, args...)
	n.cmd.Dir, n.cmd.Stderr = filepath.Dir(n.home), log
	out, err := n.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := d.keeper.start(n.cmd); err != nil {
		return nil, err
	}
	lines := make(chan []byte, 1)
	go func() {
		r := bufio.NewReader(out)
		line, _ := r.ReadBytes('\n')
		lines <- line
		io.Copy(io.Discard, r) // events of its groups, which its API tells too
		n.cmd.Wait()
		close(n.gone)
		if !n.ending.Load() {
			d.fail(n.failed(n.failure(line)))
		}
	}()
	return lines, nil
}

// failure says why a node ended by itself: the error that it printed, or else the last line
// that it logged.
func (n *node) failure(line []byte) error {
	var said struct {
		Code                    api.Kind
		Reason, Subject, Remedy string
	}
	if json.Unmarshal(line, &said) == nil && said.Code != "" {
		return &api.Error{Kind: said.Code, Reason: said.Reason, Subject: said.Subject, Remedy: said.Remedy}
	}
	text, _ := os.ReadFile(n.log)
	text = bytes.TrimSpace(text[max(0, len(text)-4096):])
	last := string(text[bytes.LastIndexByte(text, '\n')+1:])
	return api.Errorf(api.Unavailable, "", "the node ended: %s", cmp.Or(last, "without a word"))
}

// ended says why a node answers no more: it has ended, or err.
func (n *node) ended(err error) error {
	moment := time.NewTimer(time.Second) // its connections end before it does
	defer moment.Stop()
	select {
	case <-n.gone:
		return n.failure(nil)
	case <-moment.C:
	}
	if err == nil {
		err = api.Errorf(api.Unavailable, "", "the node stopped")
	}
	return err
}

// failed says whom an error befell.
func (n *node) failed(err error) error {
	if err == nil {
		return nil
	}
	e := *api.AsError(err)
	e.Subject = strings.TrimSuffix(n.name+": "+e.Subject, ": ")
	return &e
}

// kill ends a node as a power cut would.
func (n *node) kill() error {
	n.ending.Store(true)
	if err := n.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-n.gone
	return nil
}

// end ends a node: in good order if there is time for it, else at once.
func (n *node) end(patience time.Duration) {
	n.ending.Store(true)
	if n.client != nil {
		n.client.Close()
	}
	if n.cmd == nil || n.cmd.Process == nil {
		return
	}
	if patience > 0 && n.cmd.Process.Signal(os.Interrupt) == nil {
		late := time.NewTimer(patience)
		defer late.Stop()
		select {
		case <-n.gone:
			return
		case <-late.C:
		}
	}
	n.kill() // that it has ended already is no matter
}

// keeper starts processes from one thread that lives as long as it does. Where the system can,
// a process started so is killed when that thread ends (bound), so none outlives the demo,
// not even one that is killed itself.
type keeper struct{ calls chan func() }

func newKeeper() *keeper {
	k := &keeper{calls: make(chan func())}
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this function
		for call := range k.calls {
			call()
		}
	}()
	return k
}

func (k *keeper) start(c *exec.Cmd) error {
	bound(c)
	err := make(chan error)
	k.calls <- func() { err <- c.Start() }
	return <-err
}

func (k *keeper) close() { close(k.calls) }
