package meta

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/scanner"
	"go/token"
	"os"
	"sort"
	"strconv"
	"strings"
	"testing"
)

// The limits. Test files are free of them: a table may be long.
const (
	maxFunction   = 70   // lines from func to its closing brace
	maxFile       = 500  // lines
	maxPackage    = 3000 // lines that hold code: no blank lines, no comments
	maxInterface  = 5    // methods
	maxParameters = 6    // of one function

	// maxExceptions is how many entries exceptions.txt may have. Lower it when one
	// goes; it is never raised.
	maxExceptions = 0
)

// size is one measured thing.
type size struct {
	kind, where string
	n, limit    int
}

func (s size) key() string { return s.kind + " " + s.where }

// TestSizes keeps the size limits, less what exceptions.txt excuses.
func TestSizes(t *testing.T) {
	tr := sources(t)
	excused := readExceptions(t)
	if len(excused) > maxExceptions {
		t.Errorf("exceptions.txt has %d entries, at most %d: the list may only shrink", len(excused), maxExceptions)
	}
	for _, s := range measure(tr) {
		allowed, listed := excused[s.key()]
		delete(excused, s.key())
		switch {
		case s.n > s.limit && !listed:
			t.Errorf("%s %s: %d, at most %d", s.kind, s.where, s.n, s.limit)
		case s.n > allowed && listed:
			t.Errorf("%s %s: %d, exceptions.txt allows %d", s.kind, s.where, s.n, allowed)
		case s.n <= s.limit && listed:
			t.Errorf("%s %s: %d is within the limit: take it out of exceptions.txt", s.kind, s.where, s.n)
		case s.n < allowed && listed:
			t.Errorf("%s %s: lower its size in exceptions.txt to %d", s.kind, s.where, s.n)
		}
	}
	for key := range excused {
		t.Errorf("exceptions.txt: %s: there is no such thing", key)
	}
}

// readExceptions reads exceptions.txt: "kind where" → size.
func readExceptions(t *testing.T) map[string]int {
	t.Helper()
	text, err := os.ReadFile("exceptions.txt")
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]int{}
	for i, line := range strings.Split(string(text), "\n") {
		f := strings.Fields(line)
		if len(f) == 0 || strings.HasPrefix(f[0], "#") {
			continue
		}
		if len(f) < 4 {
			t.Fatalf("exceptions.txt:%d: want KIND PATH[:NAME] SIZE REASON", i+1)
		}
		n, err := strconv.Atoi(f[2])
		if err != nil {
			t.Fatalf("exceptions.txt:%d: size %q", i+1, f[2])
		}
		m[f[0]+" "+f[1]] = n
	}
	return m
}

// measure lists every function, file, package, interface and parameter list.
func measure(tr *tree) []size {
	var out []size
	packages := map[string]int{}
	for _, s := range tr.all {
		if s.test {
			continue
		}
		packages[s.dir()] += codeLines(s.text)
		out = append(out, size{"file", s.path, bytes.Count(s.text, []byte("\n")), maxFile})
		for _, d := range s.ast.Decls {
			out = append(out, measureDecl(tr, s, d)...)
		}
	}
	for dir, n := range packages {
		out = append(out, size{"package", dir, n, maxPackage})
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].key() < out[j].key() })
	return out
}

// measureDecl measures one top-level declaration and the function types in it.
func measureDecl(tr *tree, s *source, d ast.Decl) []size {
	var out []size
	name := "_"
	switch d := d.(type) {
	case *ast.FuncDecl:
		name = funcName(d)
		lines := tr.fset.Position(d.End()).Line - tr.fset.Position(d.Pos()).Line + 1
		out = append(out, size{"function", s.path + ":" + name, lines, maxFunction})
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			ts, ok := spec.(*ast.TypeSpec)
			if !ok {
				continue
			}
			name = ts.Name.Name
			if i, ok := ts.Type.(*ast.InterfaceType); ok {
				out = append(out, size{"interface", s.path + ":" + name, methods(i), maxInterface})
			}
		}
	}
	worst := 0
	ast.Inspect(d, func(n ast.Node) bool {
		if f, ok := n.(*ast.FuncType); ok && f.Params != nil {
			worst = max(worst, f.Params.NumFields())
		}
		return true
	})
	return append(out, size{"parameters", s.path + ":" + name, worst, maxParameters})
}

// methods counts an interface's own methods; an embedded interface counts as one.
func methods(i *ast.InterfaceType) int {
	n := 0
	for _, f := range i.Methods.List {
		n += max(1, len(f.Names))
	}
	return n
}

// funcName is Name, or Type.Name for a method.
func funcName(d *ast.FuncDecl) string {
	if d.Recv == nil || len(d.Recv.List) == 0 {
		return d.Name.Name
	}
	e := d.Recv.List[0].Type
	for {
		switch x := e.(type) {
		case *ast.StarExpr:
			e = x.X
		case *ast.IndexExpr:
			e = x.X
		case *ast.IndexListExpr:
			e = x.X
		case *ast.Ident:
			return x.Name + "." + d.Name.Name
		default:
			return fmt.Sprintf("%T.%s", e, d.Name.Name)
		}
	}
}

// codeLines counts the lines that hold at least one token.
func codeLines(text []byte) int {
	fset := token.NewFileSet()
	f := fset.AddFile("", -1, len(text))
	var sc scanner.Scanner
	sc.Init(f, text, nil, 0) // comments are not tokens in this mode
	n, last := 0, 0
	for {
		pos, tok, lit := sc.Scan()
		if tok == token.EOF {
			return n
		}
		if tok == token.SEMICOLON && lit == "\n" {
			continue
		}
		first := f.Line(pos)
		end := first + strings.Count(lit, "\n")
		n += end - max(first, last+1) + 1
		last = max(last, end)
	}
}

// TestCodeLines proves the counter on a small text.
func TestCodeLines(t *testing.T) {
	text := "package x\n\n// a comment\nvar a, b = 1, `two\nlines`\n\n/* more\n*/ var c int\nfunc f() { }\n"
	if n := codeLines([]byte(text)); n != 5 {
		t.Errorf("codeLines = %d, want 5", n)
	}
}
