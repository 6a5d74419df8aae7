package meta

import (
	"bytes"
	"go/ast"
	"go/format"
	"regexp"
	"strings"
	"testing"
)

// vague are names that say nothing about what a thing is.
var vague = regexp.MustCompile(`(?i)^(utils?|helpers?|managers?|common|misc|shared|stuff)$`)

// vagueType catches the same words as the last part of a type's name.
var vagueType = regexp.MustCompile(`(Util|Utils|Helper|Helpers|Manager|Info2)$`)

// unfinished are marks of work that was put off. They are built from halves so
// that this file does not contain them.
var unfinished = []string{"TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK", "no" + "lint"}

// requirePeers is the environment variable that turns a skip into a failure.
const requirePeers = "SHOAL_REQUIRE_" + "PEERS"

// maySkip lists the packages whose tests obey requirePeers: only they may skip where
// a program of others is missing.
func maySkip(tr *tree) map[string]bool {
	m := map[string]bool{}
	for _, s := range tr.all {
		if s.test && strings.Contains(string(s.text), requirePeers) {
			m[s.dir()] = true
		}
	}
	return m
}

// TestNames keeps empty words out of package and type names.
func TestNames(t *testing.T) {
	for _, s := range sources(t).all {
		if vague.MatchString(strings.TrimSuffix(s.ast.Name.Name, "_test")) {
			t.Errorf("%s: package %s says nothing", s.path, s.ast.Name.Name)
		}
		ast.Inspect(s.ast, func(n ast.Node) bool {
			if ts, ok := n.(*ast.TypeSpec); ok && vagueType.MatchString(ts.Name.Name) {
				t.Errorf("%s: type %s: name it by what it is", s.path, ts.Name.Name)
			}
			return true
		})
	}
}

// TestNothingPutOff keeps marks of unfinished work, sleeps and skips out.
func TestNothingPutOff(t *testing.T) {
	tr := sources(t)
	skippers := maySkip(tr)
	for _, s := range tr.all {
		for _, group := range s.ast.Comments {
			for _, c := range group.List {
				for _, w := range unfinished {
					if hasWord(c.Text, w) {
						t.Errorf("%s:%d: %s", s.path, tr.fset.Position(c.Pos()).Line, w)
					}
				}
			}
		}
		names := importNames(s)
		ast.Inspect(s.ast, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			id, _ := sel.X.(*ast.Ident)
			line := tr.fset.Position(n.Pos()).Line
			if id != nil && names[id.Name] == "time" && sel.Sel.Name == "Sleep" {
				t.Errorf("%s:%d: wait for an event or a deadline, not for time to pass", s.path, line)
			}
			if s.test && strings.HasPrefix(sel.Sel.Name, "Skip") && id != nil && isTestVar(id.Name) && !skippers[s.dir()] {
				t.Errorf("%s:%d: a test may skip only for a missing foreign program, and must obey "+requirePeers, s.path, line)
			}
			return true
		})
	}
}

// isTestVar tells the usual names of a *testing.T from other receivers.
func isTestVar(name string) bool { return name == "t" || name == "b" || name == "f" || name == "tb" }

// hasWord finds w in text where it is not part of a longer word.
func hasWord(text, w string) bool {
	for rest := text; ; {
		i := strings.Index(rest, w)
		if i < 0 {
			return false
		}
		end := i + len(w)
		if (i == 0 || !letter(rest[i-1])) && (end == len(rest) || !letter(rest[end])) {
			return true
		}
		rest = rest[end:]
	}
}

func letter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// TestFormatted runs gofmt over every file.
func TestFormatted(t *testing.T) {
	for _, s := range sources(t).all {
		want, err := format.Source(s.text)
		if err != nil {
			t.Errorf("%s: %v", s.path, err)
			continue
		}
		if !bytes.Equal(want, s.text) {
			t.Errorf("%s: run gofmt -w on it", s.path)
		}
	}
}
