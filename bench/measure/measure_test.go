package measure

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMedian(t *testing.T) {
	for _, c := range []struct {
		in   []float64
		want float64
	}{{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 2, 3}, 2.5}} {
		if got := Median(c.in); got != c.want {
			t.Errorf("Median(%v) = %v, want %v", c.in, got, c.want)
		}
	}
}

// TestSame finds a changed byte, a missing file, one too many, and nothing else.
func TestSame(t *testing.T) {
	a, b := filepath.Join(t.TempDir(), "x"), filepath.Join(t.TempDir(), "x")
	for _, dir := range []string{a, b} {
		if err := WriteTree(dir); err != nil {
			t.Fatal(err)
		}
	}
	if err := WriteFile(filepath.Join(b, ".pad", "1"), "", 1); err != nil {
		t.Fatal(err)
	}
	if err := Same(a, b); err != nil {
		t.Fatalf("equal trees: %v", err)
	}
	if err := os.Remove(filepath.Join(b, "a b  c.txt")); err != nil {
		t.Fatal(err)
	}
	if err := Same(a, b); err == nil {
		t.Error("a missing file was not found")
	}
	if err := SameButEmpty(a, b); err != nil {
		t.Errorf("a missing empty file: %v", err)
	}
	if err := Same(b, a); err == nil {
		t.Error("a file too much was not found")
	}
	if err := os.WriteFile(filepath.Join(b, "#hash%percent&and=eq+plus"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := SameButEmpty(a, b); err == nil {
		t.Error("a changed file was not found")
	}
}

func TestTable(t *testing.T) {
	tab := &Table{Title: "T", Head: []string{"program", "MB/s"}, Notes: []string{"note"}}
	tab.Add("ünï", 1.0)
	var text, md strings.Builder
	if err := tab.Text(&text); err != nil {
		t.Fatal(err)
	}
	if err := tab.Markdown(&md); err != nil {
		t.Fatal(err)
	}
	if want := "\nT\n\nprogram  MB/s\nünï      1.00\nnote\n"; text.String() != want {
		t.Errorf("text %q, want %q", text.String(), want)
	}
	if want := "### T\n\n| program | MB/s |\n|---|---:|\n| ünï | 1.00 |\n\nnote\n"; md.String() != want {
		t.Errorf("markdown %q, want %q", md.String(), want)
	}
}
