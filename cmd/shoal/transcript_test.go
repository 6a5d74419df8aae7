package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

var rewrite = flag.Bool("rewrite", false, "write what the program prints into testdata")

// TestTranscripts runs the commands of testdata/*.txt as a person would and
// compares everything they print, and their exit codes. A line is:
//
//	# text      a comment
//	$ command   run it and wait; its output follows
//	& command   run it beside and wait for its first line of output
//	^C          interrupt what runs beside and wait; the rest of its output follows
//	^-          wait until what runs beside ends by itself
//	^C^C        interrupt it until it ends, for a program whose node does not
//	=NAME text  write a file
//	! line      a line of standard error
//	? N         an exit code other than 0
//	< text      standard input of the next command
//
// Everything else is a line of standard output, with "| " before it if it is empty
// or begins like one of these. What differs between runs is
// replaced: $DIR, PORT, PID, TIME. With -rewrite the files are made anew; read
// the difference before you keep it.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no transcripts", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			s := newStage(t)
			got := s.play(string(text))
			if *rewrite {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got != string(text) {
				t.Errorf("it printed something else:\n%s", difference(string(text), got))
			}
		})
	}
}

// difference shows the first lines that differ.
func difference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(w), len(g)) {
		if w[i] != g[i] {
			end := min(i+8, len(g))
			return fmt.Sprintf("line %d\nwant %s\ngot  %s", i+1, w[i], strings.Join(g[i:end], "\n     "))
		}
	}
	return "one of them is longer:\n" + got
}

// stage is where one transcript is played.
type stage struct {
	t      *testing.T
	dir    string
	as     string // what program is run: see asProgram
	stdin  string
	beside []*process // the last one is interrupted first
}

// process is a command that runs beside.
type process struct {
	cmd      *exec.Cmd
	out      *bytes.Buffer
	err      *bytes.Buffer
	finished chan error
}

func newStage(t *testing.T) *stage {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "w"), 0o755); err != nil {
		t.Fatal(err)
	}
	return &stage{t: t, dir: dir, as: "fake"}
}

// play runs a transcript and returns it as it really goes.
func (s *stage) play(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		sign, rest := line, ""
		if len(line) > 1 {
			sign, rest = line[:2], line[2:]
		}
		switch {
		case sign == "# ":
			out.WriteString(line + "\n")
		case line[0] == '=':
			out.WriteString(line + "\n")
			name, content, _ := strings.Cut(line[1:], " ")
			s.write(name, content)
		case sign == "< ":
			out.WriteString(line + "\n")
			s.stdin = rest
		case sign == "$ ":
			out.WriteString(line + "\n")
			out.WriteString(s.run(rest))
		case sign == "& ":
			out.WriteString(line + "\n")
			out.WriteString(s.begin(rest))
		case line == "^C":
			out.WriteString(line + "\n")
			out.WriteString(s.finish(os.Interrupt))
		case line == "^-":
			out.WriteString(line + "\n")
			out.WriteString(s.finish())
		case line == "^C^C":
			out.WriteString(line + "\n")
			out.WriteString(s.finish(slices.Repeat([]os.Signal{os.Interrupt}, 100)...))
		}
	}
	for range s.beside {
		s.t.Error("something still runs beside")
		s.finish(os.Kill)
	}
	return out.String()
}

func (s *stage) write(name, content string) {
	path := filepath.Join(s.dir, "w", name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(content, `\n`, "\n")), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// command is a line of words, quoted with ' where they hold spaces; words of the
// form NAME=value before the first go to its environment.
func (s *stage) command(line string) *exec.Cmd {
	words := split(line)
	env := []string{asProgram + "=" + s.as, "HOME=" + s.dir, "SHOAL_HOME=" + filepath.Join(s.dir, "home"), "PATH=" + os.Getenv("PATH"), "TMPDIR=" + s.dir}
	for len(words) > 0 && strings.Contains(words[0], "=") {
		env = append(env, strings.ReplaceAll(words[0], "$DIR", s.dir))
		words = words[1:]
	}
	name := words[0]
	if name == "shoal" {
		name = os.Args[0]
	}
	for i, w := range words {
		words[i] = strings.ReplaceAll(w, "$DIR", s.dir)
	}
	ctx, cancel := context.WithCancel(context.Background())
	if end, ok := s.t.Deadline(); ok { // what hangs is ended in time to be told of, and nothing else
		ctx, cancel = context.WithDeadline(ctx, end.Add(-10*time.Second))
	}
	s.t.Cleanup(cancel)
	c := exec.CommandContext(ctx, name, words[1:]...)
	c.Dir, c.Env = filepath.Join(s.dir, "w"), env
	c.Stdin = strings.NewReader(s.stdin)
	s.stdin = ""
	return c
}

func split(line string) []string {
	var words []string
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			words = append(words, part)
			continue
		}
		words = append(words, strings.Fields(part)...)
	}
	return words
}

func (s *stage) run(line string) string {
	c := s.command(line)
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	err := c.Run()
	return s.show(stdout.String(), stderr.String(), err)
}

// show writes output as a transcript has it.
func (s *stage) show(stdout, stderr string, err error) string {
	var b strings.Builder
	for line := range strings.Lines(stdout) {
		if line = strings.TrimSuffix(line, "\n"); line == "" || strings.ContainsRune("#$&=<^!?", rune(line[0])) {
			line = "| " + line
		}
		b.WriteString(line + "\n")
	}
	for line := range strings.Lines(stderr) {
		b.WriteString("! " + strings.TrimSuffix(line, "\n") + "\n")
	}
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		fmt.Fprintf(&b, "? %d\n", exit.ExitCode())
	} else if err != nil {
		s.t.Error(err)
	}
	return s.normal(b.String())
}

// begin starts a command and waits until it has printed a line.
func (s *stage) begin(line string) string {
	c := s.command(line)
	p := &process{cmd: c, out: new(bytes.Buffer), err: new(bytes.Buffer), finished: make(chan error, 1)}
	c.Stderr = p.err
	pipe, err := c.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		s.t.Fatal(err)
	}
	var first []byte
	for one := make([]byte, 1); len(first) == 0 || first[len(first)-1] != '\n'; first = append(first, one[0]) {
		if _, err := io.ReadFull(pipe, one); err != nil {
			break
		}
	}
	go func() {
		io.Copy(p.out, pipe)
		p.finished <- c.Wait()
	}()
	s.beside = append(s.beside, p)
	return s.normal(string(first))
}

// finish sends the signals, one each fifth of a second, and waits for what runs beside.
func (s *stage) finish(signals ...os.Signal) string {
	if len(s.beside) == 0 {
		s.t.Fatal("nothing runs beside")
	}
	p := s.beside[len(s.beside)-1]
	s.beside = s.beside[:len(s.beside)-1]
	pause := time.NewTicker(200 * time.Millisecond)
	defer pause.Stop()
	for _, sig := range signals {
		p.cmd.Process.Signal(sig)
		select {
		case err := <-p.finished:
			return s.show(p.out.String(), p.err.String(), err)
		case <-pause.C:
		}
	}
	err := <-p.finished // before its output is read
	return s.show(p.out.String(), p.err.String(), err)
}

var changing = []struct {
	is *regexp.Regexp
	to string
}{
	{regexp.MustCompile(`(127\.0\.0\.1|\[::1\]):\d+`), "$1:PORT"},
	{regexp.MustCompile(`port \d+`), "port PORT"},
	{regexp.MustCompile(`process \d+( \([^)]*\))?`), "process PID"},
	{regexp.MustCompile(`"pid":\d+`), `"pid":PID`},
	{regexp.MustCompile(`go1\.[0-9.]+`), "go1.X"},
	{regexp.MustCompile(`,"commit":"[0-9a-f]*"`), ""},
	{regexp.MustCompile(`runs since [^)]*\)`), "runs since TIME"},
	{regexp.MustCompile(`shoal-demo-\d+`), "shoal-demo"},
	{regexp.MustCompile(`shoal-[0-9a-f]{16}\.sock`), "shoal-HASH.sock"},
	{regexp.MustCompile(`(?m)^! time=\S+`), "! time=TIME"},
	{regexp.MustCompile(`"seconds":0\.\d{3,}`), `"seconds":TIME`},
	{regexp.MustCompile(`after \d+\.\d\d s`), "after TIME s"},
}

// normal replaces what differs between runs.
func (s *stage) normal(text string) string {
	text = strings.ReplaceAll(text, s.dir, "$DIR")
	for _, c := range changing {
		text = c.is.ReplaceAllString(text, c.to)
	}
	return text
}
