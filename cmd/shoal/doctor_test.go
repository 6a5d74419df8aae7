package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"shoal/internal/door/api"
	"shoal/internal/door/cli"
	"shoal/internal/door/httpd/fakenode"
	"shoal/internal/node"
)

// TestDoctorWhereNoNodeStarts: a home that no node starts for is looked at all the same, and
// the first finding says why, with what to do.
func TestDoctorWhereNoNodeStarts(t *testing.T) {
	p := programOf(func() *fakenode.Node { return fakenode.New(new(fakenode.World)) })
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, node.KeyFile), []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	doctor := func(args ...string) (int, string, string) {
		var out, errs bytes.Buffer
		code := cli.Main(cli.Env{Program: p, Args: append([]string{"doctor", "--home", home}, args...), Stdin: strings.NewReader(""),
			Stdout: &out, Stderr: &errs, Getenv: func(string) string { return "" }, Signals: nil, Exit: func(int) {}})
		return code, out.String(), errs.String()
	}
	t.Setenv("SHOAL_TEST_FAIL", "a defect")
	code, out, errs := doctor()
	for _, want := range []string{"bad      node     no node can start: a defect\n", "do: mend that", "bad      key      " + home, "; nor udp, ipv6,", "ok       clock "} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if code != api.ExitFailed || !strings.Contains(errs, "checks are bad: node, key") {
		t.Errorf("exit %d: %s", code, errs)
	}
	code, out, _ = doctor("--json")
	if lines := strings.Split(strings.TrimSpace(out), "\n"); code != api.ExitFailed || len(lines) != 17 || !strings.HasPrefix(lines[0], `{"check":"node","verdict":"bad"`) ||
		!strings.HasPrefix(lines[16], `{"event":"error","code":"unwell"`) {
		t.Errorf("exit %d\n%s", code, out)
	}
	if left, err := os.ReadDir(home); err != nil || len(left) > 2 {
		t.Errorf("it left %v, %v", left, err)
	}
	// A configuration that cannot be read keeps a node from starting, and not the doctor from looking.
	if err := os.WriteFile(filepath.Join(home, node.ConfigFile), []byte("[network]\nport = -1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, out, _ := doctor(); !strings.Contains(out, "config.toml:2: the value of \"network.port\" makes no sense") {
		t.Error(out)
	}
	if f := p.Doctor(t.Context(), cli.StartOptions{Home: filepath.Join(home, "none")}, errors.New("x")); len(f) != 16 || f[0].Verdict != api.VerdictBad {
		t.Errorf("no home: %+v", f)
	}
}

// TestHomeThatIsHeldInSilence: of a process that has the home and does not answer, nobody is
// told to use it.
func TestHomeThatIsHeldInSilence(t *testing.T) {
	t.Parallel()
	home, err := node.OpenHome(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	lock, err := home.Lock()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lock.Release() })
	for _, args := range [][]string{{"ls"}, {"up"}} {
		t.Run(args[0], func(t *testing.T) {
			t.Parallel()
			code, _, errs := command(fakeProgram(), append(args, "--home", home.Dir)...)
			if code != api.ExitRefused || !strings.Contains(errs, "and it does not answer; it may be starting or ending") || strings.Contains(errs, "use it") {
				t.Errorf("exit %d: %s", code, errs)
			}
		})
	}
}
