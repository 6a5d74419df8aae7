// Command shoal shares files and folders directly between computers and fetches
// what others share; `shoal help` lists what it can do and docs/cli.md describes
// it.
//
// This package only wires: it gives the command line (internal/door/cli) a node
// (internal/node) behind an HTTP door (internal/door/httpd), and waits. It never
// decides anything about shares.
package main

import (
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"shoal/internal/door/cli"
)

// garbage is how much of it may gather, in percent of what is in use: half of Go's default. A
// node that is left running is to be small, and what flows through it is pooled.
const garbage = 50

func main() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(garbage)
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // nohup: the node outlives its terminal
		signal.Notify(signals, syscall.SIGHUP)
	}
	os.Exit(cli.Main(world(&program{open: openNode, getenv: os.Getenv, stderr: os.Stderr}, signals)))
}

// world is what a command sees of this process; tests put another program into it.
func world(p cli.Program, signals <-chan os.Signal) cli.Env {
	return cli.Env{
		Program: p, Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Getenv: os.Getenv, Signals: signals, Exit: os.Exit,
	}
}
