package cli

import (
	"context"
	"io"

	"github.com/spf13/cobra"

	"shoal/internal/door/api"
	"shoal/internal/door/cli/term"
)

// DemoOptions are what `demo` is asked for, and how it tells what happens.
type DemoOptions struct {
	Path    string // file or folder to share; "": one that the demo finds or makes
	Peers   int    // nodes that fetch
	APIPort int    // of the sharing node; 0: any free one
	Keep    bool   // leave the homes of its nodes where they are
	Print   func(v any)
	Screen  *term.Screen
	Stdout  io.Writer
}

func (a *app) demo() *cobra.Command {
	o := DemoOptions{}
	c := a.command(&cobra.Command{
		Use:     "demo [PATH]",
		Short:   "A small network on this machine: share PATH, fetch it by many peers, compare",
		GroupID: groupNode,
		Long: "demo runs five nodes on loopback, each a process with a home of its own in a temporary folder. One founds a group, the\n" +
			"others join it by one ticket; it shares PATH (default: the sources of Go's tools, or a folder that is made) for the\n" +
			"group; one fetches it and becomes a second, slow seed; the others fetch it from the link alone, from both and from\n" +
			"each other; half-way the first node is killed. Then every byte is compared. Nothing is left behind, and nothing\n" +
			"outside this machine is asked. 0 only if all was equal and the others went on.",
		Example: "  shoal demo\n  shoal demo ~/Photos --keep",
		Args:    cobra.MaximumNArgs(1),
	}, func(ctx context.Context, args []string) error {
		if len(args) > 0 {
			o.Path = args[0]
		}
		return a.runDemo(ctx, o)
	})
	c.Flags().IntVar(&o.Peers, "peers", 4, "`N` nodes that fetch, 1 to 32; with 1 nobody is killed")
	c.Flags().BoolVar(&o.Keep, "keep", false, "leave the homes and what was fetched where they are, and say where")
	return c
}

func (a *app) runDemo(ctx context.Context, o DemoOptions) error {
	if o.Peers < 1 || o.Peers > 32 {
		return api.Errorf(api.Invalid, "--peers", "it must lie between 1 and 32")
	}
	if a.global.scope != "" && a.global.scope != "loopback" {
		return api.Errorf(api.Invalid, "--scope", "a demo stays on loopback")
	}
	o.APIPort = max(a.global.apiPort, 0)
	o.Screen, o.Stdout = a.out, a.Stdout
	if a.global.json {
		o.Print = a.print
	}
	return a.Program.Demo(ctx, o)
}
