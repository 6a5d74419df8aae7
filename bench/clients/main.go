//go:build linux

package clients

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// Main is the life of a benchmark: it builds shoal where there is a network, goes
// into a namespace where there is none, runs the body until it ends or Ctrl-C, and
// returns the exit code. Without a shoal that builds it says so and goes on.
func Main(name string, body func(ctx context.Context) error) int {
	if os.Getenv(isolated) == "" {
		dir, err := os.MkdirTemp("", "shoal-bench-")
		if err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
			return 1
		}
		defer os.RemoveAll(dir)
		if err := BuildShoal(dir); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		}
	}
	if code, again := Isolate(); again {
		return code
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := body(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		return 1
	}
	return 0
}
