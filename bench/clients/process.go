//go:build linux

package clients

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"
)

// stopGrace is how long a program may take to end after SIGTERM.
const stopGrace = 12 * time.Second

// transcriptLimit bounds what is kept of a program's output in memory; the log on
// disk has all of it.
const transcriptLimit = 4 << 20

// ErrExited says that a program ended before what was waited for happened.
var ErrExited = errors.New("clients: the program ended")

// Command says what to run. Output goes to NAME.out and NAME.err in Logs.
type Command struct {
	Name string   // of the log files and in errors
	Path string   // the program
	Args []string // without the program itself
	Dir  string   // working folder; empty: Logs
	Env  []string // added to the environment, which is otherwise small and fixed
	Logs string   // folder for logs
}

// Process is one running program in a process group of its own. The kernel kills it
// when the harness dies.
type Process struct {
	name  string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	out   *transcript
	logs  []string
	ended chan struct{}
	err   error // of Wait; set before ended closes

	mu   sync.Mutex
	last Usage
}

// Run starts a program.
func Run(c Command) (*Process, error) {
	p := &Process{name: c.Name, ended: make(chan struct{})}
	p.logs = []string{filepath.Join(c.Logs, c.Name+".out"), filepath.Join(c.Logs, c.Name+".err"), filepath.Join(c.Logs, c.Name+".log")}
	stdout, err := os.Create(p.logs[0])
	if err != nil {
		return nil, fmt.Errorf("clients: %w", err)
	}
	stderr, err := os.Create(p.logs[1])
	if err != nil {
		stdout.Close()
		return nil, fmt.Errorf("clients: %w", err)
	}
	p.out = &transcript{file: stdout, more: make(chan struct{})}
	p.cmd = exec.Command(c.Path, c.Args...)
	p.cmd.Dir = c.Dir
	if p.cmd.Dir == "" {
		p.cmd.Dir = c.Logs
	}
	p.cmd.Env = append(environment(c.Logs), c.Env...)
	p.cmd.Stdout, p.cmd.Stderr = p.out, stderr
	p.cmd.WaitDelay = time.Second // a grandchild may hold the pipe
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if p.stdin, err = p.cmd.StdinPipe(); err == nil {
		err = p.start(stderr)
	}
	if err != nil {
		stdout.Close()
		stderr.Close()
		return nil, fmt.Errorf("clients: %s: %w", c.Name, err)
	}
	return p, nil
}

// start runs the command on a thread that lives as long as the program: the kernel
// sends the parent-death signal when the thread that started a child ends.
func (p *Process) start(stderr io.Closer) error {
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := p.cmd.Start()
		started <- err
		if err != nil {
			return
		}
		p.err = p.cmd.Wait()
		stderr.Close()
		p.out.close()
		close(p.ended)
	}()
	return <-started
}

// environment is what every program gets: nothing of the person's own settings, no
// display, no session bus, no proxies.
func environment(home string) []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "XDG_CONFIG_HOME=" + home, "XDG_DATA_HOME=" + home,
		"XDG_CACHE_HOME=" + home, "LANG=C.UTF-8", "LC_ALL=C.UTF-8", "TERM=dumb", "TMPDIR=" + os.TempDir(), "NO_COLOR=1"}
}

// PID is the process id.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Ended is closed when the program has ended.
func (p *Process) Ended() <-chan struct{} { return p.ended }

// Wait waits for the program to end by itself and returns its exit code.
func (p *Process) Wait(ctx context.Context) (int, error) {
	select {
	case <-p.ended:
		return p.cmd.ProcessState.ExitCode(), nil
	case <-ctx.Done():
		return -1, fmt.Errorf("clients: %s still runs: %w", p.name, ctx.Err())
	}
}

// Line waits until a complete line of standard output, past or future, matches, and
// returns it. It fails when the program ends first or the context does.
func (p *Process) Line(ctx context.Context, match func(line []byte) bool) ([]byte, error) {
	from := 0
	for {
		line, next, more := p.out.find(from, match)
		if line != nil {
			return line, nil
		}
		from = next
		select {
		case <-more:
			continue
		default:
		}
		select {
		case <-more:
		case <-p.ended:
			if line, _, _ := p.out.find(from, match); line != nil {
				return line, nil
			}
			return nil, fmt.Errorf("%w: %s: %v: %s", ErrExited, p.name, p.err, p.Tail(600))
		case <-ctx.Done():
			return nil, fmt.Errorf("clients: %s: %w: %s", p.name, ctx.Err(), p.Tail(600))
		}
	}
}

// Output is standard output so far.
func (p *Process) Output() []byte { return p.out.bytes() }

// Tell writes one line to standard input.
func (p *Process) Tell(line string) error {
	_, err := io.WriteString(p.stdin, line+"\n")
	return err
}

// Signal sends a signal to the program itself.
func (p *Process) Signal(s syscall.Signal) error { return p.cmd.Process.Signal(s) }

// Stop asks the program to end, kills its group when it does not within the grace,
// and returns how long it took. It may be called twice.
func (p *Process) Stop() time.Duration {
	began := time.Now()
	p.Sample()
	select {
	case <-p.ended:
		return 0
	default:
	}
	p.stdin.Close()
	// The error of a program that ended meanwhile does not matter.
	_ = p.Signal(syscall.SIGTERM)
	grace := time.NewTimer(stopGrace)
	defer grace.Stop()
	select {
	case <-p.ended:
	case <-grace.C:
		p.Kill()
	}
	return time.Since(began)
}

// Kill ends the whole group at once and waits for the program.
func (p *Process) Kill() {
	_ = syscall.Kill(-p.PID(), syscall.SIGKILL)
	<-p.ended
}

// Tail is the end of the logs, the program's own among them, for a message.
func (p *Process) Tail(n int) string {
	var b bytes.Buffer
	for _, path := range p.logs {
		text, err := os.ReadFile(path)
		if err != nil || len(text) == 0 {
			continue
		}
		if len(text) > n {
			text = text[len(text)-n:]
		}
		fmt.Fprintf(&b, "[%s] %s", filepath.Base(path), text)
	}
	return b.String()
}

// transcript keeps a program's output and wakes those who wait for more.
type transcript struct {
	mu   sync.Mutex
	file *os.File
	text []byte
	more chan struct{} // closed and renewed at each write
}

// Write takes the next output.
func (t *transcript) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.text)+len(b) <= transcriptLimit {
		t.text = append(t.text, b...)
	}
	close(t.more)
	t.more = make(chan struct{})
	return t.file.Write(b)
}

func (t *transcript) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.file.Close()
}

func (t *transcript) bytes() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return bytes.Clone(t.text)
}

// find looks at complete lines from an offset on. Without a match it returns where
// to go on and a channel that closes when there is more.
func (t *transcript) find(from int, match func([]byte) bool) (line []byte, next int, more <-chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for {
		i := bytes.IndexByte(t.text[from:], '\n')
		if i < 0 {
			return nil, from, t.more
		}
		if l := t.text[from : from+i]; match(l) {
			return bytes.Clone(l), from + i + 1, nil
		}
		from += i + 1
	}
}
