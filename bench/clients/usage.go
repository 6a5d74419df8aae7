//go:build linux

package clients

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// clockTick is the unit of the times in /proc/PID/stat: USER_HZ, fixed at 100 in
// the kernel's interface.
const clockTick = 10 * time.Millisecond

// Usage is what a process cost since it started.
type Usage struct {
	User, System time.Duration
	PeakRSS      int64 // bytes, VmHWM
	RSS          int64 // bytes, now
}

// CPU is user and system time together.
func (u Usage) CPU() time.Duration { return u.User + u.System }

// Sample reads the process's usage, and keeps it for when the process is gone.
func (p *Process) Sample() Usage {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.ended: // the times are exact then; the memory is the last that was seen
		p.last.User, p.last.System = p.cmd.ProcessState.UserTime(), p.cmd.ProcessState.SystemTime()
		return p.last
	default:
	}
	if u, err := readUsage(p.PID()); err == nil && u.CPU() >= p.last.CPU() {
		u.PeakRSS = max(u.PeakRSS, p.last.PeakRSS)
		p.last = u
	}
	return p.last
}

// readUsage reads /proc/PID.
func readUsage(pid int) (Usage, error) {
	var u Usage
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return u, err
	}
	// The second field is the program's name in parentheses and may hold spaces.
	f := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(f) < 13 {
		return u, fmt.Errorf("clients: /proc/%d/stat has %d fields", pid, len(f))
	}
	u.User, u.System = ticks(f[11]), ticks(f[12])
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return u, err
	}
	for line := range bytes.Lines(status) {
		name, rest, _ := strings.Cut(string(line), ":")
		n, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
		switch name {
		case "VmHWM":
			u.PeakRSS = n << 10
		case "VmRSS":
			u.RSS = n << 10
		}
	}
	return u, nil
}

func ticks(s string) time.Duration {
	n, _ := strconv.ParseInt(s, 10, 64)
	return time.Duration(n) * clockTick
}

// Busy is the CPU time that everything on this machine has used since it started.
func Busy() (time.Duration, error) {
	text, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(text), "\n")
	f := strings.Fields(line)
	if len(f) < 9 {
		return 0, fmt.Errorf("clients: /proc/stat: %q", line)
	}
	var sum time.Duration
	for _, i := range []int{1, 2, 3, 6, 7, 8} { // user nice system irq softirq steal
		sum += ticks(f[i])
	}
	return sum, nil
}

// Watch samples processes until stop is called, so that the peak of one that ends
// by itself is known.
func Watch(processes ...*Process) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(40 * time.Millisecond)
		defer tick.Stop()
		for {
			for _, p := range processes {
				p.Sample()
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
	return func() { cancel(); <-done }
}

// maxRSS is the peak of a program that has ended, in bytes.
func maxRSS(s *os.ProcessState) int64 {
	if r, ok := s.SysUsage().(*syscall.Rusage); ok {
		return r.Maxrss << 10
	}
	return 0
}
