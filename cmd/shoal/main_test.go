package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"shoal/internal/door/cli"
	"shoal/internal/door/httpd/fakenode"
	"shoal/internal/node"
)

// asProgram makes the test binary be the program: "fake" over a fake node, "real" as
// it is.
const asProgram = "SHOAL_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	switch os.Getenv(asProgram) {
	case "":
		os.Exit(m.Run())
	case "real":
		main()
	}
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	e := world(fakeProgram(), signals)
	e.Patience, _ = time.ParseDuration(os.Getenv("SHOAL_TEST_PATIENCE"))
	os.Exit(cli.Main(e))
}

// fakeProgram is the real wiring with a fake node behind it. SHOAL_TEST_FAIL makes
// the node fail to start, SHOAL_TEST_SICK makes it unwell, SHOAL_TEST_HANG keeps it
// from ending by itself.
func fakeProgram() *program {
	world := new(fakenode.World)
	return programOf(func() *fakenode.Node { return fakenode.New(world) })
}

// programOf is the real wiring with nodes that the test makes.
func programOf(make func() *fakenode.Node) *program {
	return &program{getenv: os.Getenv, stderr: os.Stderr, open: func(_ context.Context, o node.Options) (*engine, error) {
		if why := os.Getenv("SHOAL_TEST_FAIL"); why != "" {
			return nil, errors.New(why)
		}
		n := make()
		n.Sick = strings.Fields(os.Getenv("SHOAL_TEST_SICK"))
		return &engine{
			door: n.Door(), id: "12D3KooWFake",
			listen: func() []string { return []string{"127.0.0.1:7463"} },
			close: func(ctx context.Context) error {
				n.Bus.Close()
				if os.Getenv("SHOAL_TEST_HANG") != "" {
					<-ctx.Done()
				}
				return ctx.Err()
			},
		}, nil
	}}
}
