package cli

import (
	"context"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"shoal/internal/door/api"
)

func (a *app) up() *cobra.Command {
	var limits limitFlags
	c := a.command(&cobra.Command{
		Use:     "up",
		Short:   "Run a node until Ctrl-C",
		GroupID: groupNode,
		Long: "up runs the node of this home: it offers what was shared, goes on with what is being fetched, and opens\n" +
			"the API for browsers and programs on this machine. Its one line on standard output says when it answers.\n" +
			"The first Ctrl-C (or SIGTERM) stops it cleanly, the second at once.",
		Example: "  shoal up\n  shoal up --scope lan --up-limit 5MB",
		Args:    cobra.NoArgs,
	}, func(ctx context.Context, _ []string) error { return a.runUp(ctx, limits.change()) })
	limits.add(c, "of the node")
	return c
}

func (a *app) runUp(ctx context.Context, limits api.LimitChange) error {
	n, err := a.startUp(ctx, StartOptions{
		Home: a.global.home, Scope: a.global.scope, Bind: a.global.bind, Port: a.global.port, APIPort: a.global.apiPort,
		OpenAPI: true, PortStrict: true, Limits: limits,
	})
	if err != nil {
		return err
	}
	stop := a.followGroups(ctx, n, func() { a.tellReady(n.Ready()) })
	var failed error
	select {
	case <-ctx.Done():
		a.out.Say("shoal up: stopping; Ctrl-C again stops at once")
	case failed = <-n.Failed():
	}
	stop()
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeWithin)
	defer cancel()
	if err := n.Close(end); err != nil && failed == nil {
		failed = err
	}
	return failed
}

// tellReady is the one line that says where the node answers.
func (a *app) tellReady(r api.Ready) {
	if a.global.json {
		a.print(r)
		return
	}
	a.line("ready: API %s (token in %s), peers on %s, node %s", r.API, api.Safe(r.Home)+"/api.token", strings.Join(r.Listen, " "), r.NodeID)
}

// followGroups tells what happens in groups, above all the codes of who joins, until it is
// stopped. It calls begun before all that, when it misses nothing any more, and then returns.
func (a *app) followGroups(ctx context.Context, n Node, begun func()) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	begins, done := make(chan struct{}), make(chan struct{})
	once := sync.OnceFunc(func() { begun(); close(begins) })
	c := n.Client()
	go func() {
		defer close(done)
		defer c.Close()
		defer once()
		// Its end is that of the node, which is told elsewhere.
		c.Watch(ctx, api.Filter{Begun: func() error { once(); return nil }}, func(e api.Event) error { a.tellGroup(e); return nil })
	}()
	<-begins
	return func() { cancel(); <-done }
}

// startUp runs the node. A home that another node holds is an error at once; one that a
// short command holds (ls, status) is free in a moment.
func (a *app) startUp(ctx context.Context, o StartOptions) (Node, error) {
	var n Node
	var taken error
	err := a.whileLocked(ctx, func() (err error) {
		if n, err = a.Program.Start(ctx, o); api.KindOf(err) != api.Locked {
			return err
		}
		if c, cerr := a.Program.Connect(ctx, o.Home); cerr == nil && c != nil {
			defer c.Close()
			soon, cancel := context.WithTimeout(ctx, waitForNode)
			defer cancel()
			if st, serr := c.Status(soon); serr == nil && !st.Offline {
				taken = err
				return nil
			}
		}
		return err
	})
	if taken != nil {
		return nil, taken
	}
	return n, silent(err)
}

// limitFlags are --up-limit and --down-limit.
type limitFlags struct {
	up, down api.Rate
	cmd      *cobra.Command
}

func (l *limitFlags) add(c *cobra.Command, of string) {
	l.cmd = c
	c.Flags().Var(&l.up, "up-limit", "most bytes a second sent, "+of+", such as 500K or 20MB")
	c.Flags().Var(&l.down, "down-limit", "most bytes a second received, "+of)
	// The default of a rate is shown as no limit, not as 0.
	c.Flags().Lookup("up-limit").DefValue = ""
	c.Flags().Lookup("down-limit").DefValue = ""
}

// change is what was given.
func (l *limitFlags) change() api.LimitChange {
	var c api.LimitChange
	if l.cmd.Flags().Changed("up-limit") {
		c.Up = &l.up
	}
	if l.cmd.Flags().Changed("down-limit") {
		c.Down = &l.down
	}
	return c
}

func (l *limitFlags) limits() api.Limits { return api.Limits{Up: l.up, Down: l.down} }
