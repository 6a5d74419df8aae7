//go:build linux

package clients

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// Inside is the life of a program that works with clients, and of a test binary: it builds
// shoal where there is a network, goes into a namespace where there is none, runs the body
// there and returns its exit code. Without a shoal that builds it says so and goes on.
func Inside(name string, body func() int) int {
	if os.Getenv(isolated) == "" {
		dir, err := os.MkdirTemp("", "shoal-"+name+"-")
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
	return body()
}

// Main is the life of a benchmark: Inside, until the body ends or Ctrl-C.
func Main(name string, body func(ctx context.Context) error) int {
	return Inside(name, func() int {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		defer stop()
		if err := body(ctx); err != nil {
			fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
			return 1
		}
		return 0
	})
}
