package main

import (
	"context"
	"os"

	"shoal/internal/demo"
	"shoal/internal/door/cli"
)

// Demo implements cli.Program: every node of a demo is this very program.
func (p *program) Demo(ctx context.Context, o cli.DemoOptions) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return demo.Run(ctx, demo.Options{Path: o.Path, Peers: o.Peers, APIPort: o.APIPort, Keep: o.Keep,
		Program: self, Print: o.Print, Screen: o.Screen, Stdout: o.Stdout})
}
