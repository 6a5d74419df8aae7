package meta

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"testing"
)

// parseText parses a small source that breaks rules on purpose.
func parseText(t *testing.T, text string) (*tree, *source) {
	t.Helper()
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, "x.go", text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	s := &source{path: "internal/core/x/x.go", text: []byte(text), ast: f}
	return &tree{fset: fset, all: []*source{s}}, s
}

// TestRulesBite shows each rule refusing what it is there to refuse.
func TestRulesBite(t *testing.T) {
	_, s := parseText(t, `package x
import ("time"; r "math/rand/v2"; "fmt")
var c chan int
func F() { go F(); _ = time.Now(); _ = r.IntN(3); fmt.Println(); select {}; _ = r.New(nil); _ = time.Second }
`)
	var got []string
	names := importNames(s)
	ast.Inspect(s.ast, func(n ast.Node) bool {
		if why := coreNode(n, names); why != "" {
			got = append(got, why)
		}
		return true
	})
	want := []string{"no channel", "no goroutine", "no time.Now", "no r.IntN", "no fmt.Println", "no channel"}
	if !slices.Equal(got, want) {
		t.Errorf("core: got %q, want %q", got, want)
	}
	for imp, bad := range map[string]bool{"net": true, "net/http": true, "net/netip": false, "os": true, "crypto/sha1": false,
		"sync/atomic": true, "context": true, "golang.org/x/sys/unix": true, "io": false} {
		if got := coreImport(imp) != ""; got != bad {
			t.Errorf("core may import %s: refused = %v", imp, got)
		}
	}
}

// TestArrowsBite shows which arrows are drawn and which are not.
func TestArrowsBite(t *testing.T) {
	for _, c := range []struct {
		from, to string
		ok       bool
	}{
		{"internal/core/wire", "internal/core/metainfo", true},
		{"internal/core/wire", "internal/adapter/store", false},
		{"internal/adapter/store", "internal/core/metainfo", true},
		{"internal/adapter/store", "internal/adapter/tracker", false},
		{"internal/adapter/store", "internal/adapter/store/inner", true},
		{"internal/node/engine", "internal/adapter/store", true},
		{"internal/node", "internal/door/httpd", false},
		{"internal/door/cli", "internal/node", false},
		{"internal/door/cli", "internal/door/api", true},
		{"internal/sim", "internal/node", false},
		{"cmd/shoal", "internal/door/cli", true},
		{"bench/transfer", "internal/node", false},
	} {
		room, may, ok := roomOf(c.from)
		if !ok {
			t.Fatalf("%s has no room", c.from)
		}
		if got := allowed(c.from, room, c.to, may); got != c.ok {
			t.Errorf("%s → %s: allowed = %v", c.from, c.to, got)
		}
	}
}

// TestSizesBite measures a small source by hand.
func TestSizesBite(t *testing.T) {
	tr, _ := parseText(t, `package x

type I interface { A(); B(); C(); D(); E(); F() }

func (t *T[K]) M(a, b, c int, d func(x, y int), e, f, g string) {
}
`)
	got := map[string]int{}
	for _, s := range measure(tr) {
		got[s.key()] = s.n
	}
	for key, n := range map[string]int{
		"interface internal/core/x/x.go:I":    6,
		"parameters internal/core/x/x.go:T.M": 7,
		"function internal/core/x/x.go:T.M":   2,
		"file internal/core/x/x.go":           6,
		"package internal/core/x":             4,
	} {
		if got[key] != n {
			t.Errorf("%s: %d, want %d", key, got[key], n)
		}
	}
	if !hasWord("a "+unfinished[0]+": b", unfinished[0]) || hasWord("a"+unfinished[0], unfinished[0]) {
		t.Error("hasWord")
	}
}
