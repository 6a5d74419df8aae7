package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"shoal/internal/door/api"
	"shoal/internal/door/cli/term"
	"shoal/internal/door/cli/view"
)

// globalFlags may stand before or after the command.
type globalFlags struct {
	home    string
	scope   string
	bind    string
	port    int
	apiPort int
	json    bool
}

// Groups of commands in `shoal help`.
const (
	groupShare  = "share"
	groupLook   = "look"
	groupPeople = "people"
	groupNode   = "node"
)

// root is the tree of commands.
func (a *app) root() *cobra.Command {
	version := false
	root := &cobra.Command{
		Use:   "shoal",
		Short: "Share files and folders from where they lie, and fetch what others share",
		Long: "shoal shares files and folders directly between computers, each byte verified, with no server.\n" +
			"It speaks BitTorrent: other clients can fetch what you share, and you what they do.",
		Example:           "  shoal share ~/Photos              publish a folder, prints its link\n  shoal get 'magnet:?xt=…' -o ~/In  fetch it elsewhere\n  shoal demo                        see it work on this machine alone",
		SilenceErrors:     true,
		SilenceUsage:      true,
		DisableAutoGenTag: true,
		Args:              a.noCommand,
		RunE: func(c *cobra.Command, _ []string) error {
			if version {
				a.showVersion()
				return nil
			}
			return c.Help()
		},
		PersistentPreRunE: a.before,
	}
	root.AddGroup(&cobra.Group{ID: groupShare, Title: "Share and fetch:"}, &cobra.Group{ID: groupLook, Title: "Look after shares:"})
	root.AddGroup(&cobra.Group{ID: groupPeople, Title: "Groups of nodes:"})
	root.AddGroup(&cobra.Group{ID: groupNode, Title: "The node:"})
	f := root.PersistentFlags()
	f.StringVar(&a.global.home, "home", "", "home folder `DIR` (default: $SHOAL_HOME, else the system's folder for application data)")
	f.StringVar(&a.global.scope, "scope", "", "how far the node reaches: `loopback|lan|internet` (default: the configuration's, internet)")
	f.StringVar(&a.global.bind, "bind", "", "listen on and dial from this `IFACE|ADDR` only")
	f.IntVar(&a.global.port, "port", -1, "TCP and UDP `PORT` for other nodes, 0 for any free one (default: the configuration's, 7463)")
	f.IntVar(&a.global.apiPort, "api-port", -1, "TCP `PORT` of page and API on this machine, 0 for any free one (default: the configuration's, 7462)")
	f.BoolVar(&a.global.json, "json", false, "print one JSON object a line")
	root.SetOut(a.Stdout)
	root.SetErr(a.Stderr)
	root.SetIn(a.Stdin)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		a.name = commandName(c)
		// What stands behind the bad flag was not parsed.
		a.global.json = a.global.json || slices.Contains(a.Args, "--json")
		return flagError(err)
	})
	f.Lookup("port").DefValue, f.Lookup("api-port").DefValue = "0", "0" // keeps "(default -1)" out of the help
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(a.share(), a.get(), a.torrent(),
		a.ls(), a.show(), a.rm(), a.verify(), a.pause(), a.resume(), a.limit(),
		a.group(), a.invite(), a.join(), a.id(), a.peers(), a.connect(),
		a.up(), a.status(), a.doctor(), a.fsck(), a.demo(), a.version(), a.completion(), a.configTopic())
	root.Flags().BoolVar(&version, "version", false, "print the version")
	root.SetHelpCommandGroupID(groupNode)
	root.SetHelpCommand(a.help(root))
	return root
}

// before judges the global flags and remembers which command runs.
func (a *app) before(c *cobra.Command, _ []string) error {
	a.name = commandName(c)
	switch a.global.scope {
	case "", "loopback", "lan", "internet":
	default:
		return api.Errorf(api.Invalid, a.global.scope, "this is not a scope").Try("write loopback, lan or internet")
	}
	for flag, v := range map[string]int{"--port": a.global.port, "--api-port": a.global.apiPort} {
		if v < -1 || v > 65535 || v == -1 && c.Flags().Changed(flag[2:]) {
			return api.Errorf(api.Invalid, flag, "a port lies between 0 and 65535")
		}
	}
	return nil
}

func commandName(c *cobra.Command) string {
	return strings.TrimPrefix(strings.TrimPrefix(c.CommandPath(), "shoal"), " ")
}

// noCommand answers a word that is no command.
func (a *app) noCommand(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	all := "`shoal help` lists all"
	if c.HasParent() {
		a.name = commandName(c)
		all = "`shoal help " + a.name + "` lists all"
	}
	e := api.Errorf(api.Invalid, "", "unknown command %q", api.Safe(args[0]))
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		return e.Try("did you mean %s?", strings.Join(near, " or "))
	}
	return e.Try("%s", all)
}

// command makes a command whose errors are all *api.Error.
func (a *app) command(c *cobra.Command, run func(ctx context.Context, args []string) error) *cobra.Command {
	inner := c.Args
	c.Args = func(c *cobra.Command, args []string) error {
		if inner == nil {
			return nil
		}
		if err := inner(c, args); err != nil {
			a.name = commandName(c)
			return api.Errorf(api.Invalid, "", "%s", argsMessage(c, args))
		}
		return nil
	}
	c.DisableFlagsInUseLine = true
	c.RunE = func(c *cobra.Command, args []string) error {
		err := run(c.Context(), args)
		if err == nil {
			return nil
		}
		if cause := context.Cause(c.Context()); cause == errInterrupted && api.KindOf(err) == api.Interrupted {
			e := *api.AsError(err)
			if errors.Is(&e, context.Canceled) {
				e.Reason = "interrupted"
			}
			return &e
		}
		return api.AsError(err)
	}
	return c
}

// flagError says what is wrong with a flag, in our words where the value is.
func flagError(err error) error {
	var bad *pflag.InvalidValueError
	if !errors.As(err, &bad) {
		return api.Errorf(api.Invalid, "", "%s", firstLine(err.Error()))
	}
	flag := "--" + bad.GetFlag().Name
	var known *api.Error
	if errors.As(err, &known) {
		return &api.Error{Kind: api.Invalid, Subject: flag + " " + bad.GetValue(), Reason: known.Reason, Remedy: known.Remedy}
	}
	kind := bad.GetFlag().Value.Type()
	if word, ok := map[string]string{"int": "number", "duration": "time, such as 90s or 2h30m", "bool": "true or false"}[kind]; ok {
		kind = word
	}
	return api.Errorf(api.Invalid, flag+" "+bad.GetValue(), "this is not a %s", kind)
}

// argsMessage says which argument is missing or too many.
func argsMessage(c *cobra.Command, args []string) string {
	usage := strings.TrimPrefix(c.UseLine(), "shoal ")
	takes := strings.TrimSpace(strings.TrimPrefix(usage, commandName(c)))
	switch {
	case len(args) == 0:
		return "an argument is missing: shoal " + usage
	case takes == "" || strings.HasPrefix(takes, "[-"):
		return fmt.Sprintf("it takes no argument, and %q is one", api.Safe(args[0]))
	}
	return fmt.Sprintf("it does not take %s: shoal %s", term.Count(len(args), "argument"), usage)
}

func firstLine(s string) string {
	s, _, _ = strings.Cut(s, "\n")
	return s
}

// print writes a result as one JSON line.
func (a *app) print(v any) {
	a.out.Clear()
	enc := json.NewEncoder(a.Stdout)
	enc.SetEscapeHTML(false)
	enc.Encode(v) // results remembers a failure
}

// line writes a result for people.
func (a *app) line(format string, args ...any) {
	a.out.Clear()
	fmt.Fprintf(a.Stdout, format+"\n", args...)
}

// page is where a result for people is written in tables.
func (a *app) page() view.Page {
	a.out.Clear()
	return view.New(a.Stdout, a.columns())
}

// readBounded reads at most so many bytes.
func readBounded(r io.Reader, most int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, most+1))
	if err == nil && int64(len(b)) > most {
		return nil, api.Errorf(api.BadData, "", "it is larger than %d MiB", most>>20)
	}
	return b, err
}
