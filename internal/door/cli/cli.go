// Package cli is the command line: one file for each command, and a client of
// package api that knows nothing else of a node. Commands, flags and exit codes
// are those of docs/cli.md.
//
// A command speaks to the node that runs for the home, or, where none does, to
// one that it runs itself for as long as it lasts, always over the home's socket,
// so that both ways give the same output. How a node is run is injected as a
// Program.
//
// Results go to standard output, one JSON object a line with --json; messages
// for people and progress bars go to standard error. It never judges data and
// never shows a name from elsewhere without api.Safe.
package cli

import (
	"cmp"
	"context"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"shoal/internal/door/api"
	"shoal/internal/door/cli/term"
)

// Program is what the command line cannot do through the API.
type Program interface {
	// Connect is a client of the node that runs for a home; nil if none does.
	Connect(ctx context.Context, home string) (*api.Client, error)
	// Start runs a node in this process. If another holds the home, the error is
	// of the kind api.Locked. The end of ctx interrupts the start only.
	Start(ctx context.Context, o StartOptions) (Node, error)
	Upkeep
	// Demo shares and fetches between nodes that it runs as processes of their own.
	Demo(ctx context.Context, o DemoOptions) error
}

// Upkeep looks after a home without a node.
type Upkeep interface {
	// Fsck looks at a home that no node uses; with repair it mends what it can.
	Fsck(ctx context.Context, home string, repair bool) (api.FsckReport, error)
	// Doctor looks at a home for which no node can start, and says why with all else that
	// can be seen without one.
	Doctor(ctx context.Context, o StartOptions, failed error) []api.Finding
	// ConfigText is a config.toml with every key and its default.
	ConfigText() string
}

// Node is a node that runs in this process.
type Node interface {
	// Client speaks to it over the home's socket.
	Client() *api.Client
	// Ready says where it listens.
	Ready() api.Ready
	// Failed delivers the error of a node that stopped by itself.
	Failed() <-chan error
	// Close flushes, says goodbye to peers and trackers, and frees the home, all
	// before ctx ends.
	Close(ctx context.Context) error
}

// StartOptions are what a command asks of a node in this process.
type StartOptions struct {
	Home    string // --home; "": SHOAL_HOME or the default
	Scope   string // --scope; "": the configuration's
	Bind    string // --bind; "": the configuration's
	Port    int    // --port; -1: the configuration's
	APIPort int    // --api-port; -1: the configuration's

	OpenAPI    bool // serve the API on loopback TCP as well
	PortStrict bool // a taken port is an error; else any free one is used instead
	Offline    bool // look after the catalog only: no listening, dialling or announcing
	Quiet      bool // log errors only: the command tells the person what matters

	Limits api.LimitChange // of the whole node, for this run
}

// Env is the world a command runs in.
type Env struct {
	Program Program
	Args    []string // without the program's name
	Stdin   io.Reader
	Stdout  io.Writer
	Stderr  io.Writer
	Getenv  func(string) string
	Signals <-chan os.Signal // the first ends a command cleanly, the second calls Exit
	Exit    func(code int)
	// Patience is when get says that nobody has it; 0: after 30 s.
	Patience time.Duration
}

// Main runs one command and returns its exit code.
func Main(e Env) int {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	a := &app{Env: e, out: term.New(e.Stderr, e.Getenv)}
	results := &results{w: e.Stdout}
	a.Stdout = results
	done := make(chan struct{})
	defer close(done)
	go a.watchSignals(done, cancel)
	root := a.root()
	root.SetArgs(e.Args)
	err := root.ExecuteContext(ctx)
	a.out.Finish()
	if err == nil && results.err != nil {
		err = pathError("standard output", results.err)
	}
	return a.report(err)
}

// results is standard output. It remembers that something could not be written: a command
// whose result is lost has failed. (A closed pipe ends the program by its signal.)
type results struct {
	w   io.Writer
	mu  sync.Mutex
	err error
}

// columns is the width of standard output, 0 where it is no terminal.
func (a *app) columns() int {
	r, _ := a.Stdout.(*results)
	if f, ok := r.w.(*os.File); ok && term.IsTerminal(f) {
		columns, _ := term.Size(f)
		return columns
	}
	return 0
}

func (r *results) Write(b []byte) (int, error) {
	n, err := r.w.Write(b)
	if err != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.err = cmp.Or(r.err, err)
	}
	return n, err
}

// app is one run of the program.
type app struct {
	Env
	global globalFlags
	out    *term.Screen
	name   string // of the command that runs, for messages
}

// errInterrupted is the cause of a context that a signal ended.
var errInterrupted = &api.Error{Kind: api.Interrupted, Reason: "interrupted"}

// watchSignals ends the command at the first signal and the process at the second.
func (a *app) watchSignals(done <-chan struct{}, cancel context.CancelCauseFunc) {
	for n := 0; ; n++ {
		select {
		case <-done:
			return
		case <-a.Signals:
			if n > 0 {
				a.out.Finish()
				a.Exit(api.ExitInterrupted)
				return
			}
			cancel(errInterrupted)
		}
	}
}

// failure is the JSON line of a command that failed.
type failure struct {
	Event   string   `json:"event"`
	Code    api.Kind `json:"code"`
	Reason  string   `json:"reason"`
	Subject string   `json:"subject,omitempty"`
	Remedy  string   `json:"remedy,omitempty"`
	Exit    int      `json:"exit"`
}

// report says what went wrong, on one line, and returns the exit code. What is
// not an *api.Error comes from the parsing of flags and arguments.
func (a *app) report(err error) int {
	if err == nil {
		return api.ExitDone
	}
	e, ok := err.(*api.Error)
	if !ok {
		e = &api.Error{Kind: api.Invalid, Reason: err.Error()}
	}
	if a.global.json {
		a.print(failure{Event: "error", Code: e.Kind, Reason: e.Reason, Subject: e.Subject, Remedy: e.Remedy, Exit: e.Kind.Exit()})
	}
	name := "shoal"
	if a.name != "" {
		name += " " + a.name
	}
	if e.Kind == api.Invalid && e.Remedy == "" && (e.Subject == "" || strings.HasPrefix(e.Subject, "--")) {
		e = &api.Error{Kind: e.Kind, Subject: e.Subject, Reason: e.Reason, Remedy: "see " + name + " --help"}
	}
	a.out.Say("%s: %s", name, e.Error())
	return e.Kind.Exit()
}
