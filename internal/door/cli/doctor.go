package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"shoal/internal/door/api"
	"shoal/internal/door/cli/term"
)

func (a *app) doctor() *cobra.Command {
	return a.command(&cobra.Command{
		Use:     "doctor",
		Short:   "Find what stands in the way, and say what to do about it",
		GroupID: groupNode,
		Long: "doctor looks at all that may keep this node from its work: key, clock, disk, open files, port, UDP, IPv6, whether\n" +
			"others reach it from outside, what the router does, the DHT, the local network, members and relays. For each it\n" +
			"says what it found, what that means, and one thing to do. If no node runs for this home, one runs for the look,\n" +
			"which takes up to 20 s then; if none can run, doctor says why. It changes nothing; it measures the disk by a file\n" +
			"of 32 MiB in the home, and removes it. Exit code 0: nothing is bad, 1: something is.",
		Args: cobra.NoArgs,
	}, func(ctx context.Context, _ []string) error { return a.runDoctor(ctx) })
}

func (a *app) runDoctor(ctx context.Context) error {
	var list []api.Finding
	asked := false
	o := StartOptions{Quiet: true}
	err := a.with(ctx, o, func(ctx context.Context, s *session) (err error) {
		asked = true
		if s.mine() {
			a.out.Say("no node runs for this home; one is run for this look, which takes up to 20 s")
		}
		if list, err = s.client.Doctor(ctx); err == nil && s.mine() {
			notRunning(list)
		}
		return err
	})
	switch {
	case err != nil && asked || context.Cause(ctx) != nil:
		return err
	case err != nil: // no node can run here: look at what can be seen without one
		o.Home, o.Scope = a.global.home, a.global.scope
		list = a.Program.Doctor(ctx, o, err)
	}
	return a.showFindings(list)
}

// notRunning tells that the node that was asked is that of this command alone.
func notRunning(list []api.Finding) {
	for i := range list {
		if list[i].Check == "node" && list[i].Verdict == api.VerdictOK {
			list[i] = api.Finding{Check: "node", Verdict: api.VerdictWarn, What: "none runs for this home but that of this command",
				Means: "what you share is not offered, and members of your groups cannot reach you", Do: "run shoal up, and shoal doctor again while it runs"}
		}
	}
}

func (a *app) showFindings(list []api.Finding) error {
	n := map[api.Verdict]int{}
	var worst []string
	for _, f := range list {
		n[f.Verdict]++
		if f.Verdict == api.VerdictBad {
			worst = append(worst, api.Safe(f.Check))
		}
		if a.global.json {
			a.print(f)
		}
	}
	if !a.global.json {
		a.page().Findings(list)
	}
	checks := term.Count(len(list), "check")
	if len(worst) > 0 {
		verb := map[bool]string{true: "is", false: "are"}[len(worst) == 1]
		return api.Errorf(api.Unwell, "", "%d of %s %s bad: %s", len(worst), checks, verb, strings.Join(worst, ", ")).
			Try("do what is said there, and run shoal doctor again")
	}
	if !a.global.json {
		a.out.Say("%s, nothing is bad%s", checks, aside(n[api.VerdictWarn], n[api.VerdictSkipped]))
	}
	return nil
}

// aside counts what is neither good nor bad.
func aside(warn, skipped int) string {
	var out string
	if warn > 0 {
		out += fmt.Sprintf(", %d could be better", warn)
	}
	if skipped > 0 {
		out += fmt.Sprintf(", %d skipped", skipped)
	}
	return out
}
