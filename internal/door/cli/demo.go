package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"shoal/internal/door/api"
	"shoal/internal/door/cli/term"
)

// DemoOptions are what `demo` is asked for.
type DemoOptions struct {
	Path    string // file or folder to share; "": one that the demo makes
	Peers   int    // nodes that fetch
	APIPort int    // of the sharing node; -1: the default, 0: any free one
	Say     func(string)
	Show    func([]DemoPeer) // called again and again while peers fetch
}

// DemoPeer is one node that fetches.
type DemoPeer struct {
	Name    string   `json:"name"`
	Bytes   int64    `json:"bytes"`
	Total   int64    `json:"total"`
	Rate    api.Rate `json:"rate"`
	Seconds float64  `json:"seconds" doc:"until it had everything"`
	Wasted  int64    `json:"wasted"`
	Sources int      `json:"sources" doc:"nodes it got data from"`
	Equal   bool     `json:"equal" doc:"every byte was compared and is equal"`
}

// DemoReport is what a demo measured.
type DemoReport struct {
	Event   string     `json:"event"`
	Link    string     `json:"link"`
	Path    string     `json:"path"`
	Bytes   int64      `json:"bytes"`
	Files   int        `json:"files"`
	Pieces  int        `json:"pieces"`
	Hashing float64    `json:"hashing" doc:"seconds"`
	Seconds float64    `json:"seconds" doc:"until the last peer had everything"`
	Seed    int64      `json:"seed_uploaded" doc:"bytes that the sharing node sent; the rest went between the peers"`
	Peers   []DemoPeer `json:"peers"`
	Equal   bool       `json:"equal"`
}

func (a *app) demo() *cobra.Command {
	o := DemoOptions{}
	c := a.command(&cobra.Command{
		Use:     "demo [PATH]",
		Short:   "A small network on this machine: share PATH, fetch it by many peers, compare",
		GroupID: groupNode,
		Long: "demo runs several nodes in this process, on loopback only and in a temporary folder: one shares PATH (default:\n" +
			"a folder it makes), the others fetch it from it and from each other. Then every byte is compared.",
		Args: cobra.MaximumNArgs(1),
	}, func(ctx context.Context, args []string) error {
		if len(args) > 0 {
			o.Path = args[0]
		}
		return a.runDemo(ctx, o)
	})
	c.Flags().IntVar(&o.Peers, "peers", 4, "`N` nodes that fetch, 1 to 32")
	return c
}

func (a *app) runDemo(ctx context.Context, o DemoOptions) error {
	if o.Peers < 1 || o.Peers > 32 {
		return api.Errorf(api.Invalid, "--peers", "it must lie between 1 and 32")
	}
	if a.global.scope != "" && a.global.scope != "loopback" {
		return api.Errorf(api.Invalid, "--scope", "a demo stays on loopback")
	}
	o.APIPort = a.global.apiPort
	o.Say = func(s string) { a.out.Say("%s", api.Safe(s)) }
	o.Show = func(peers []DemoPeer) {
		var bars []term.Bar
		for _, p := range peers {
			b := term.Bar{Name: p.Name, Part: 0, Rate: p.Rate, Peers: -1}
			if p.Total > 0 {
				b.Part = float64(p.Bytes) / float64(p.Total)
			}
			bars = append(bars, b)
		}
		if !a.global.json {
			a.out.Draw(time.Now(), false, bars)
		}
	}
	r, err := a.Program.Demo(ctx, o)
	if err != nil {
		return err
	}
	a.showDemo(r)
	if !r.Equal {
		return api.Errorf(api.BadData, r.Path, "what arrived is not what was shared")
	}
	return nil
}

func (a *app) showDemo(r DemoReport) {
	if a.global.json {
		r.Event = "demo"
		a.print(r)
		return
	}
	a.line("shared %s: %s in %s, %s, hashed in %.2f s", api.Safe(r.Path), api.FormatSize(r.Bytes), term.Count(r.Files, "file"), term.Count(r.Pieces, "piece"), r.Hashing)
	a.line("%s", r.Link)
	t := &term.Table{Head: []string{"PEER", "FETCHED", "SECONDS", "RATE", "FROM", "WASTED", "COMPARED"}, Right: map[int]bool{1: true, 2: true, 3: true, 4: true, 5: true}}
	for _, p := range r.Peers {
		verdict := "equal"
		if !p.Equal {
			verdict = "DIFFERENT"
		}
		rate := "-"
		if p.Seconds > 0 {
			rate = api.Rate(float64(p.Bytes) / p.Seconds).String()
		}
		t.Add(p.Name, api.FormatSize(p.Bytes), fmt.Sprintf("%.2f", p.Seconds), rate, term.Count(p.Sources, "node"), api.FormatSize(p.Wasted), verdict)
	}
	t.Write(a.Stdout)
	copies := float64(r.Seed) / float64(max(r.Bytes, 1))
	a.line("%s had all of it after %.2f s; the first node sent %.2f copies, the rest went between the peers", term.Count(len(r.Peers), "peer"), r.Seconds, copies)
	if r.Equal {
		a.line("every byte compared: equal")
	}
}
