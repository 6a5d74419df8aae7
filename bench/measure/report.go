package measure

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
)

// Report is where a benchmark's results go.
type Report struct {
	Lines    io.Writer // one JSON object for each run as it ends; nil: none
	Markdown string    // file that gets the tables; empty: none
}

// Run notes one run.
func (r Report) Run(v any) error {
	if r.Lines == nil {
		return nil
	}
	line, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("measure: %w", err)
	}
	_, err = r.Lines.Write(append(line, '\n'))
	return err
}

// Finish prints the tables to w, and writes them to the markdown file with the
// command that made them and the machine's description.
func (r Report) Finish(w io.Writer, machine string, tables ...*Table) error {
	for _, t := range tables {
		if err := t.Text(w); err != nil {
			return err
		}
	}
	if _, err := fmt.Fprintf(w, "\n%s\n", machine); err != nil || r.Markdown == "" {
		return err
	}
	var b strings.Builder
	for _, t := range tables {
		if err := t.Markdown(&b); err != nil {
			return err
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "Machine: %s.\n", machine)
	return os.WriteFile(r.Markdown, []byte(b.String()), 0o644)
}

// Options are the flags that every benchmark has.
type Options struct {
	JSON, Markdown string
	Runs           int
}

// Flags registers them; runs is the default.
func (o *Options) Flags(runs int) {
	flag.StringVar(&o.JSON, "json", "", "file that gets one JSON line for each run")
	flag.StringVar(&o.Markdown, "markdown", "", "file that gets the tables in markdown")
	flag.IntVar(&o.Runs, "runs", runs, "runs of each row")
}

// Work is one invocation of a benchmark: its folder and where its results go.
type Work struct {
	Report
	Dir  string
	Keep bool // the folder, for the logs of what failed
	json *os.File
}

// Open makes a new folder beneath dir; the lines of runs are appended to their file.
func (o *Options) Open(dir string) (*Work, error) {
	w := &Work{Report: Report{Markdown: o.Markdown}}
	var err error
	if o.JSON != "" {
		if w.json, err = os.OpenFile(o.JSON, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644); err != nil {
			return nil, fmt.Errorf("measure: %w", err)
		}
		w.Lines = w.json
	}
	if w.Dir, err = os.MkdirTemp(dir, "shoal-bench-"); err != nil {
		w.json.Close() // nil is no file, which does not matter here
		return nil, fmt.Errorf("measure: %w", err)
	}
	return w, nil
}

// Close removes the folder, unless it is to be kept.
func (w *Work) Close() error {
	var err error
	if w.json != nil {
		err = w.json.Close()
	}
	if w.Keep {
		return err
	}
	return errors.Join(err, os.RemoveAll(w.Dir))
}
