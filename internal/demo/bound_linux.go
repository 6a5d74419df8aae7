package demo

import (
	"os/exec"
	"syscall"
)

// bound has a process killed when the thread that started it ends.
func bound(c *exec.Cmd) { c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
