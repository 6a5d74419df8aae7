package view

import (
	"strings"

	"shoal/internal/door/api"
	"shoal/internal/door/cli/term"
)

// Findings writes one paragraph for each; what was skipped for the same reason stands
// together.
func (p Page) Findings(list []api.Finding) {
	width := 0
	skipped := map[string][]string{}
	for _, f := range list {
		width = max(width, term.Width(f.Check))
		if f.Verdict == api.VerdictSkipped {
			skipped[f.What] = append(skipped[f.What], api.Safe(f.Check))
		}
	}
	indent := strings.Repeat(" ", 7+2+width+2)
	for _, f := range list {
		what := api.Safe(f.What)
		if same := skipped[f.What]; f.Verdict == api.VerdictSkipped && len(same) > 1 {
			if same[0] != api.Safe(f.Check) {
				continue
			}
			what += "; nor " + strings.Join(same[1:], ", ")
		}
		p.line("%-7s  %-*s  %s", f.Verdict, width, api.Safe(f.Check), what)
		if f.Means != "" {
			p.line("%s%s", indent, api.Safe(f.Means))
		}
		if f.Do != "" {
			p.line("%sdo: %s", indent, api.Safe(f.Do))
		}
	}
}
