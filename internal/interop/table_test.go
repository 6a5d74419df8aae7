//go:build linux

package interop

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"shoal/bench/clients"
)

// TestTable holds the table of docs/INTEROP.md against what the tests here run with each
// program: what the table says was run, and nothing that is run is left out.
func TestTable(t *testing.T) {
	text, err := os.ReadFile("../../docs/INTEROP.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range foreign() {
		var formats []string
		for _, f := range allFormats {
			if c.Formats&f == 0 {
				continue
			}
			name := f.String()
			if f == clients.Hybrid && c.OnePad {
				name += " (one file)"
			}
			formats = append(formats, name)
		}
		all, links := strings.Join(formats, ", "), "–"
		if c.Magnets {
			links = all
		}
		if want := fmt.Sprintf("| %s | %s | %s | %s | yes |\n", all, all, all, links); !strings.Contains(row(string(text), c.Name), want) {
			t.Errorf("%s: the table says %q, the tests run %q", c.Name, row(string(text), c.Name), want)
		}
	}
}

// row is the line of a table that begins with a name.
func row(text, name string) string {
	for l := range strings.Lines(text) {
		if strings.HasPrefix(l, "| "+name) {
			return l
		}
	}
	return ""
}
