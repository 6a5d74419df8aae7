package measure

import (
	"encoding/json"
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

// OpenReport makes a report; the run lines are appended to a file unless it is empty.
func OpenReport(lines, markdown string) (Report, func() error, error) {
	r := Report{Markdown: markdown}
	if lines == "" {
		return r, func() error { return nil }, nil
	}
	f, err := os.OpenFile(lines, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return r, nil, fmt.Errorf("measure: %w", err)
	}
	r.Lines = f
	return r, f.Close, nil
}
