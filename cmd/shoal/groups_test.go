package main

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"shoal/internal/door/api"
	"shoal/internal/door/cli"
	"shoal/internal/door/httpd/fakenode"
)

// pressing is standard output that presses Ctrl-C when a line begins so; "": never.
type pressing struct {
	bytes.Buffer
	when    string
	signals chan os.Signal
}

func (w *pressing) Write(b []byte) (int, error) {
	if w.when != "" && bytes.HasPrefix(b, []byte(w.when)) {
		w.signals <- os.Interrupt
	}
	return w.Buffer.Write(b)
}

// TestGroupsWhereNoNodeRuns: a command that needs others runs a node as long as it takes.
func TestGroupsWhereNoNodeRuns(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, group, args, ctrlC string
		code                     int
		out, errs                string
	}{
		{"a guest comes", "soon", "invite", "", 0, "shoal:join/", "code 1234 5678 9012"},
		{"nobody comes", "home", "invite --expires 1s", "", api.ExitNotFound, "shoal:join/", "home: the ticket has expired, and 1 node could still have used it"},
		{"one of two comes", "soon", "invite soon --uses 2 --expires 1s", "", api.ExitNotFound, "shoal:join/", "1 node could"},
		{"Ctrl-C", "home", "invite home", "shoal:join/", 0, "shoal:join/", "shoal up"},
		{"no such group", "home", "invite nope", "", api.ExitNotFound, "", "no such group"},
		{"revoke", "home", "invite --revoke", "", 0, "home: 0 tickets revoked", ""},
		{"leave alone", "home", "group leave home", "", 0, "left home", ""},
		{"remove", "home", "group remove home guest", "", 0, "removed guest (…T7vH96pc) from home", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			n := fakenode.New(new(fakenode.World))
			g, err := n.NewGroup(t.Context(), api.GroupRequest{Name: tc.group})
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(tc.args, "remove") {
				if err := n.Come(g.ID); err != nil {
					t.Fatal(err)
				}
			}
			out := pressing{when: tc.ctrlC, signals: make(chan os.Signal, 1)}
			var errs bytes.Buffer
			code := cli.Main(cli.Env{Program: programOf(func() *fakenode.Node { return n }),
				Args:  append([]string{"--home", t.TempDir()}, strings.Fields(tc.args)...),
				Stdin: strings.NewReader(""), Stdout: &out, Stderr: &errs, Getenv: func(string) string { return "" }, Signals: out.signals, Exit: func(int) {}})
			if code != tc.code || !strings.HasPrefix(out.String(), tc.out) || !strings.Contains(errs.String(), tc.errs) {
				t.Errorf("exit %d\n%s%s", code, out.String(), errs.String())
			}
			if strings.Contains(errs.String(), "shoal:join/") {
				t.Error("standard error holds the ticket")
			}
		})
	}
}
