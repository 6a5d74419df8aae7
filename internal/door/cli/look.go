package cli

import (
	"context"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"shoal/internal/door/api"
	"shoal/internal/door/cli/term"
)

func (a *app) version() *cobra.Command {
	return a.command(&cobra.Command{
		Use:     "version",
		Short:   "Print the version",
		GroupID: groupNode,
		Args:    cobra.NoArgs,
	}, func(context.Context, []string) error { a.showVersion(); return nil })
}

func (a *app) showVersion() {
	v := api.VersionInfo{Version: api.Version, Go: runtime.Version(), OS: runtime.GOOS, Arch: runtime.GOARCH}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				v.Commit = s.Value
			}
		}
	}
	if a.global.json {
		a.print(v)
		return
	}
	a.line("shoal %s (%s, %s/%s)", v.Version, v.Go, v.OS, v.Arch)
}

func (a *app) fsck() *cobra.Command {
	var repair bool
	c := a.command(&cobra.Command{
		Use:     "fsck [--repair]",
		Short:   "Check the home while no node runs",
		GroupID: groupNode,
		Long: "fsck reads what the home holds (configuration, key, database, .torrent files) and says what is damaged and\n" +
			"what --repair would do. The data of shares is the work of verify. Exit code 0: clean, 4: damaged.",
		Args: cobra.NoArgs,
	}, func(ctx context.Context, _ []string) error {
		r, err := a.Program.Fsck(ctx, a.global.home, repair)
		if err != nil {
			return err
		}
		return a.showFsck(r)
	})
	c.Flags().BoolVar(&repair, "repair", false, "mend what can be mended")
	return c
}

func (a *app) showFsck(r api.FsckReport) error {
	if r.Problems == nil {
		r.Problems = []api.FsckProblem{}
	}
	left := 0
	for _, p := range r.Problems {
		if !p.Repaired {
			left++
		}
	}
	r.Clean = left == 0
	if a.global.json {
		a.print(r)
	} else {
		for _, p := range r.Problems {
			end := "cannot be repaired"
			switch {
			case p.Repaired:
				end = "repaired: " + p.Repair
			case p.Repair != "":
				end = "repair would: " + p.Repair
			}
			a.line("%s: %s; %s", api.Safe(p.Subject), api.Safe(p.Problem), api.Safe(end))
		}
		if r.Clean {
			a.line("%s: clean, %s", api.Safe(r.Home), term.Count(r.Shares, "share"))
		}
	}
	if left == 0 {
		return nil
	}
	e := api.Errorf(api.BadData, r.Home, "%s", term.Count(left, "problem"))
	for _, p := range r.Problems {
		if !p.Repaired && p.Repair != "" {
			return e.Try("run shoal fsck --repair")
		}
	}
	return e
}

// help describes a command; cobra's own says nothing of one that there is not.
func (a *app) help(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:     "help [COMMAND]",
		Short:   "Describe a command",
		GroupID: groupNode,
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			var names []string
			for _, c := range root.Commands() {
				names = append(names, c.Name()+"\t"+c.Short)
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			c, rest, err := root.Find(args)
			if err != nil || c == root && len(rest) > 0 {
				return a.noCommand(root, args)
			}
			c.InitDefaultHelpFlag()
			return c.Help()
		},
	}
}

// configTopic is `shoal help config`.
func (a *app) configTopic() *cobra.Command {
	c := &cobra.Command{Use: "config", Short: "The configuration file, every key with its default"}
	c.SetHelpFunc(func(*cobra.Command, []string) { fmt.Fprint(a.Stdout, a.Program.ConfigText()) })
	return c
}

// completion prints the script that a shell reads.
func (a *app) completion() *cobra.Command {
	return a.command(&cobra.Command{
		Use:       "completion bash|zsh|fish|powershell",
		Short:     "Print the completion script of a shell",
		GroupID:   groupNode,
		Long:      "completion prints a script for your shell, such as\n\n  shoal completion bash > ~/.local/share/bash-completion/completions/shoal\n  shoal completion fish > ~/.config/fish/completions/shoal.fish",
		Args:      cobra.ExactArgs(1),
		ValidArgs: []string{"bash", "zsh", "fish", "powershell"},
	}, func(_ context.Context, args []string) error {
		root := a.root()
		switch args[0] {
		case "bash":
			return root.GenBashCompletionV2(a.Stdout, true)
		case "zsh":
			return root.GenZshCompletion(a.Stdout)
		case "fish":
			return root.GenFishCompletion(a.Stdout, true)
		case "powershell":
			return root.GenPowerShellCompletionWithDesc(a.Stdout)
		}
		return api.Errorf(api.Invalid, args[0], "there is no completion for this shell").Try("write bash, zsh, fish or powershell")
	})
}
