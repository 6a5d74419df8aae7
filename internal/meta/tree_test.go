package meta

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// module is the module's path: import paths below it are our own rooms.
const module = "shoal"

// source is one Go file of the module, parsed once for all tests.
type source struct {
	path string // slash-separated, from the module's root
	test bool
	text []byte
	ast  *ast.File
}

// dir is the package folder of the file, from the module's root.
func (s *source) dir() string { return path.Dir(s.path) }

// imports lists the file's imports: path → line.
func (s *source) imports(t *tree) map[string]int {
	m := map[string]int{}
	for _, i := range s.ast.Imports {
		if p, err := strconv.Unquote(i.Path.Value); err == nil {
			m[p] = t.fset.Position(i.Pos()).Line
		}
	}
	return m
}

// tree is the parsed module.
type tree struct {
	root string
	fset *token.FileSet
	all  []*source
}

// loadTree walks and parses the module once for the whole test binary.
var loadTree = sync.OnceValues(func() (*tree, error) {
	root, err := filepath.Abs("../..")
	if err != nil {
		return nil, err
	}
	t := &tree{root: root, fset: token.NewFileSet()}
	err = filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return skipFolder(root, p, d.Name())
		}
		if !strings.HasSuffix(p, ".go") {
			return nil
		}
		return t.add(p)
	})
	return t, err
})

// skipFolder leaves out what the go command leaves out too.
func skipFolder(root, p, name string) error {
	if p == root {
		return nil
	}
	if strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata" || name == "vendor" {
		return filepath.SkipDir
	}
	if _, err := os.Stat(filepath.Join(p, "go.mod")); err == nil {
		return filepath.SkipDir
	}
	return nil
}

func (t *tree) add(p string) error {
	text, err := os.ReadFile(p)
	if err != nil {
		return err
	}
	rel, err := filepath.Rel(t.root, p)
	if err != nil {
		return err
	}
	rel = filepath.ToSlash(rel)
	f, err := parser.ParseFile(t.fset, rel, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	t.all = append(t.all, &source{path: rel, test: strings.HasSuffix(rel, "_test.go"), text: text, ast: f})
	return nil
}

// sources gives the parsed module or ends the test.
func sources(tb testing.TB) *tree {
	tb.Helper()
	t, err := loadTree()
	if err != nil {
		tb.Fatalf("meta: %v", err)
	}
	if len(t.all) == 0 {
		tb.Fatal("meta: no Go source found")
	}
	return t
}

// within reports whether a slash-separated path is room or lies beneath it.
func within(p, room string) bool { return p == room || strings.HasPrefix(p, room+"/") }

// own gives the folder of an import path of this module.
func own(imp string) (dir string, ok bool) {
	if imp == module {
		return ".", true
	}
	return strings.CutPrefix(imp, module+"/")
}
