package meta

import (
	"go/ast"
	"strconv"
	"strings"
	"testing"
)

// coreNever are standard packages that would give core a clock, a lock, a
// goroutine, the network, the disk or the machine. A trailing slash means the
// whole family.
var coreNever = []string{
	"net", "net/", "os", "os/", "sync", "sync/", "context", "syscall", "runtime", "runtime/", "unsafe", "plugin",
	"log", "log/", "io/fs", "io/ioutil", "path/filepath", "crypto/rand", "crypto/tls", "database/", "expvar", "flag",
	"testing", "testing/", "embed",
}

// corePure are the exceptions to coreNever: they only compute.
var corePure = map[string]bool{"net/netip": true, "net/url": true}

// coreCalls are functions of allowed packages that read the clock, wait, print or
// use the global random source. With an only list everything else is refused.
var coreCalls = map[string]struct{ never, only []string }{
	"time": {never: []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick",
		"Timer", "Ticker", "Local", "LoadLocation"}},
	"fmt": {never: []string{"Print", "Println", "Printf", "Scan", "Scanln", "Scanf"}},
	"math/rand": {never: []string{"Int", "Intn", "Int31", "Int31n", "Int63", "Int63n", "Uint32", "Uint64", "Float32",
		"Float64", "Perm", "Shuffle", "Read", "Seed", "NormFloat64", "ExpFloat64"}},
	"math/rand/v2": {only: []string{"Rand", "New", "Source", "PCG", "NewPCG", "ChaCha8", "NewChaCha8", "Zipf", "NewZipf"}},
}

// TestCoreOnlyComputes keeps I/O, time, locks, goroutines and hidden randomness out
// of every package under internal/core.
func TestCoreOnlyComputes(t *testing.T) {
	tr := sources(t)
	for _, s := range tr.all {
		if s.test || !within(s.dir(), "internal/core") {
			continue
		}
		for imp, line := range s.imports(tr) {
			if why := coreImport(imp); why != "" {
				t.Errorf("%s:%d: core must not import %q: %s", s.path, line, imp, why)
			}
		}
		names := importNames(s)
		ast.Inspect(s.ast, func(n ast.Node) bool {
			if why := coreNode(n, names); why != "" {
				p := tr.fset.Position(n.Pos())
				t.Errorf("%s:%d: core only computes: %s", s.path, p.Line, why)
			}
			return true
		})
	}
}

// coreImport says why core may not import a path, or "".
func coreImport(imp string) string {
	if _, mine := own(imp); mine {
		return "" // TestArrows
	}
	if strings.Contains(strings.SplitN(imp, "/", 2)[0], ".") {
		return "nothing from outside the standard library"
	}
	if corePure[imp] {
		return ""
	}
	for _, n := range coreNever {
		if imp == n || strings.HasSuffix(n, "/") && strings.HasPrefix(imp, n) {
			return "not pure"
		}
	}
	return ""
}

// importNames maps the names a file uses for its imports to their paths.
func importNames(s *source) map[string]string {
	m := map[string]string{}
	for _, i := range s.ast.Imports {
		p, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			continue
		}
		name := p[strings.LastIndex(p, "/")+1:]
		if p == "math/rand/v2" {
			name = "rand"
		}
		if i.Name != nil {
			name = i.Name.Name
		}
		m[name] = p
	}
	return m
}

// coreNode says what is wrong with one syntax node, or "".
func coreNode(n ast.Node, names map[string]string) string {
	switch n := n.(type) {
	case *ast.GoStmt:
		return "no goroutine"
	case *ast.SelectStmt, *ast.SendStmt, *ast.ChanType:
		return "no channel"
	case *ast.SelectorExpr:
		id, ok := n.X.(*ast.Ident)
		if !ok {
			return ""
		}
		rule, ok := coreCalls[names[id.Name]]
		if !ok {
			return ""
		}
		if has(rule.never, n.Sel.Name) || rule.only != nil && !has(rule.only, n.Sel.Name) {
			return "no " + id.Name + "." + n.Sel.Name
		}
	case *ast.CallExpr:
		if id, ok := n.Fun.(*ast.Ident); ok && (id.Name == "println" || id.Name == "print") {
			return "no " + id.Name
		}
	}
	return ""
}

func has(list []string, s string) bool {
	for _, l := range list {
		if l == s {
			return true
		}
	}
	return false
}
