//go:build linux

package clients

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// PeerPort is the port every node listens on, each on its own address.
const PeerPort = 6881

// Lab is the place of one run: its addresses, its folders and everything started in
// it. Close ends all of it.
type Lab struct {
	root string

	mu      sync.Mutex
	names   map[string]int
	closers []func()
}

// NewLab makes a lab with its files in a new folder beneath root.
func NewLab(root string) (*Lab, error) {
	if err := lookAtSources(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(root, 0o755); err != nil {
		return nil, fmt.Errorf("clients: %w", err)
	}
	dir, err := os.MkdirTemp(root, "lab-")
	if err != nil {
		return nil, fmt.Errorf("clients: %w", err)
	}
	return &Lab{root: dir, names: map[string]int{}}, nil
}

// Root is the lab's folder: logs and homes.
func (l *Lab) Root() string { return l.root }

// hosts counts the addresses given out, by all labs of this program.
var hosts atomic.Int32

// Host gives an address of 127.0.0.0/8 that nobody else in this run has. Runs that
// are not isolated from each other differ in the second byte.
func (l *Lab) Host() string {
	second := 0
	if !Isolated() {
		second = 1 + os.Getpid()%254
	}
	n := hosts.Add(1)
	return fmt.Sprintf("127.%d.%d.%d", second, n/250, 2+n%250)
}

// PrivateHost gives an address of 10.77.0.0/16, which only exists in an isolated run:
// there a program that refuses loopback addresses can dial. Elsewhere it is empty.
func (l *Lab) PrivateHost() string {
	if !Isolated() {
		return ""
	}
	return "10.77." + strings.TrimPrefix(l.Host(), "127.0.")
}

// host is the address a job asks for, or a new one.
func (l *Lab) host(j Job) string {
	if j.Host != "" {
		return j.Host
	}
	return l.Host()
}

// Folder makes a new folder in the lab, named after what it is for.
func (l *Lab) Folder(name string) (string, error) {
	l.mu.Lock()
	l.names[name]++
	dir := filepath.Join(l.root, fmt.Sprintf("%s-%d", name, l.names[name]))
	l.mu.Unlock()
	return dir, os.MkdirAll(dir, 0o755)
}

// Run starts a program whose end is bound to the lab's.
func (l *Lab) Run(c Command) (*Process, error) {
	p, err := Run(c)
	if err == nil {
		l.OnClose(func() { p.Stop() })
	}
	return p, err
}

// OnClose adds something to do when the lab closes, last first.
func (l *Lab) OnClose(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closers = append(l.closers, f)
}

// Stop ends all programs and keeps the files.
func (l *Lab) Stop() {
	l.mu.Lock()
	closers := l.closers
	l.closers = nil
	l.mu.Unlock()
	// All at once: each may take its grace.
	var all sync.WaitGroup
	for _, f := range closers {
		all.Go(f)
	}
	all.Wait()
}

// Close ends all programs and removes the lab's folder.
func (l *Lab) Close() error {
	l.Stop()
	return os.RemoveAll(l.root)
}

// await asks again and again until done, for programs that do not say it themselves.
func await(ctx context.Context, every time.Duration, what string, done func() (bool, error)) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		ok, err := done()
		if ok {
			return nil
		}
		if errors.Is(err, ErrExited) {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("clients: %s: %w (last: %v)", what, ctx.Err(), err)
		case <-tick.C:
		}
	}
}

// listening waits until something accepts TCP connections at addr, or its process
// has ended.
func listening(ctx context.Context, p *Process, addr string) error {
	return await(ctx, 10*time.Millisecond, addr, func() (bool, error) {
		select {
		case <-p.ended:
			return false, fmt.Errorf("%w: %s", ErrExited, p.Tail(600))
		default:
		}
		c, err := net.DialTimeout("tcp", addr, time.Second)
		if err != nil {
			return false, err
		}
		return true, c.Close()
	})
}

// bell is a named pipe and a script that writes to it: how programs that run a
// command at an event tell us at once.
type bell struct {
	script string
	pipe   *os.File
	rung   chan struct{}
}

// newBell makes a bell in dir.
func newBell(dir, name string) (*bell, error) {
	path := filepath.Join(dir, name+".pipe")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		return nil, fmt.Errorf("clients: %w", err)
	}
	// Read and write: opening does not wait, and no writer's end is the last one.
	pipe, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("clients: %w", err)
	}
	b := &bell{script: filepath.Join(dir, name+".sh"), pipe: pipe, rung: make(chan struct{})}
	script := fmt.Sprintf("#!/bin/sh\necho > '%s'\n", path)
	if err := os.WriteFile(b.script, []byte(script), 0o700); err != nil {
		pipe.Close()
		return nil, fmt.Errorf("clients: %w", err)
	}
	go func() {
		var one [1]byte
		if _, err := pipe.Read(one[:]); err == nil {
			close(b.rung)
		}
	}()
	return b, nil
}

// home makes a folder for a program and bells in it that end with the lab.
func (l *Lab) home(program string, names ...string) (dir string, bells []*bell, err error) {
	if dir, err = l.Folder(program); err != nil {
		return "", nil, err
	}
	for _, name := range names {
		b, err := newBell(dir, name)
		if err != nil {
			return "", nil, err
		}
		l.OnClose(func() { b.pipe.Close() })
		bells = append(bells, b)
	}
	return dir, bells, nil
}

// wait waits for the first ring.
func (b *bell) wait(ctx context.Context, p *Process) error {
	select {
	case <-b.rung:
		return nil
	case <-p.ended:
		select {
		case <-b.rung:
			return nil
		default:
			return fmt.Errorf("%w: %s: %s", ErrExited, p.name, p.Tail(600))
		}
	case <-ctx.Done():
		return fmt.Errorf("clients: %s: %w: %s", p.name, ctx.Err(), p.Tail(600))
	}
}

// errNotInstalled is what Find says of a program that is not there.
var errNotInstalled = errors.New("not installed")
