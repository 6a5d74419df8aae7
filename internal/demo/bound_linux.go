package demo

import (
	"os/exec"
	"syscall"
)

// bound has a process killed when the thread that started it ends; a Ctrl-C is for the demo alone.
func bound(c *exec.Cmd) {
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
