package meta

import (
	"go/ast"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"testing"
)

// TestPackageDocs wants every package to say what it is, in one place.
func TestPackageDocs(t *testing.T) {
	docs, dirs := map[string]string{}, map[string]string{}
	for _, s := range sources(t).all {
		if s.test {
			continue
		}
		dirs[s.dir()] = s.ast.Name.Name
		if s.ast.Doc != nil {
			docs[s.dir()] += s.ast.Doc.Text()
		}
	}
	for dir, name := range dirs {
		want := "Package " + name + " "
		if name == "main" {
			want = "Command " + path.Base(dir) + " "
		}
		if !strings.HasPrefix(docs[dir], want) {
			t.Errorf("%s: no package doc that begins with %q", dir, want)
		}
	}
}

// TestExportedDocs wants a doc comment on every exported type, function and method,
// and on every exported constant and variable or the group it stands in.
func TestExportedDocs(t *testing.T) {
	tr := sources(t)
	for _, s := range tr.all {
		if s.test || s.ast.Name.Name == "main" {
			continue
		}
		for _, d := range s.ast.Decls {
			for _, n := range undocumented(d) {
				t.Errorf("%s:%d: %s has no doc comment", s.path, tr.fset.Position(n.Pos()).Line, n.Name)
			}
		}
	}
}

// selfEvident are methods whose meaning the standard library has fixed.
var selfEvident = map[string]bool{"String": true, "Error": true, "Unwrap": true, "Len": true, "Less": true, "Swap": true,
	"MarshalJSON": true, "UnmarshalJSON": true, "MarshalText": true, "UnmarshalText": true}

// undocumented lists the exported names of a declaration that say nothing.
func undocumented(d ast.Decl) []*ast.Ident {
	var out []*ast.Ident
	switch d := d.(type) {
	case *ast.FuncDecl:
		typ, _, method := strings.Cut(funcName(d), ".")
		if !d.Name.IsExported() || d.Doc != nil || method && (!ast.IsExported(typ) || selfEvident[d.Name.Name]) {
			return nil
		}
		return []*ast.Ident{d.Name}
	case *ast.GenDecl:
		if d.Tok == token.IMPORT || d.Doc != nil {
			return nil
		}
		for _, spec := range d.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				if spec.Name.IsExported() && spec.Doc == nil {
					out = append(out, spec.Name)
				}
			case *ast.ValueSpec:
				if spec.Names[0].IsExported() && spec.Doc == nil && spec.Comment == nil {
					out = append(out, spec.Names[0])
				}
			}
		}
	}
	return out
}

// TestHouseIsDrawn wants every room of the house in the drawing of docs/ARCHITECTURE.md.
func TestHouseIsDrawn(t *testing.T) {
	tr := sources(t)
	text, err := os.ReadFile(filepath.Join(tr.root, "docs/ARCHITECTURE.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := strings.Cut(string(text), "## The house")
	drawing, _, found := strings.Cut(after, "## ")
	if !found {
		t.Fatal("docs/ARCHITECTURE.md has no drawing of the house")
	}
	drawn := map[string]bool{}
	for line := range strings.Lines(drawing) {
		names, _, _ := strings.Cut(strings.TrimSpace(line), "  ") // then what they are
		for _, name := range strings.Fields(names) {
			drawn[strings.TrimSuffix(name, "/")] = true
		}
	}
	for _, s := range tr.all {
		part := strings.Split(s.dir(), "/")
		switch {
		case part[0] != "internal" || len(part) < 2:
		case len(part) == 2 && !drawn[s.dir()]:
			t.Errorf("%s is not drawn", s.dir())
		case len(part) > 2 && !drawn[part[2]]:
			t.Errorf("%s is not drawn", strings.Join(part[:3], "/"))
		}
	}
}

var (
	codeSpan   = regexp.MustCompile("`([^`\n]+)`")
	linkTarget = regexp.MustCompile(`\]\(([^)#\s]+)(#[^)]*)?\)`)
	codeFence  = regexp.MustCompile("(?ms)^```.*?^```")
	pathLike   = regexp.MustCompile(`^\.?[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_.-]+)+/?$`)
	goName     = regexp.MustCompile(`^([a-z][a-z0-9]*)\.([A-Z]\w*)(?:\.([A-Z]\w*))?(?:\(\))?$`)
)

// topFolders are the beginnings by which a quoted path is known as one of ours.
var topFolders = []string{"cmd", "internal", "bench", "docs", "testdata", ".ci"}

// TestQuotedNamesExist checks the documents against the tree: a path or a Go name
// that they quote, and a file that they link to, must be there.
func TestQuotedNamesExist(t *testing.T) {
	tr := sources(t)
	declared := declarations(tr)
	for _, doc := range documents(t, tr.root) {
		text, err := os.ReadFile(filepath.Join(tr.root, doc))
		if err != nil {
			t.Fatal(err)
		}
		prose := codeFence.ReplaceAllString(string(text), "")
		for _, w := range strings.Fields(prose) { // commands too
			w = strings.TrimRight(strings.TrimLeft(w, "`(["), "`)],;:.…")
			checkQuote(t, tr.root, doc, strings.TrimPrefix(w, "./"), nil)
		}
		for _, m := range codeSpan.FindAllStringSubmatch(prose, -1) {
			checkQuote(t, tr.root, doc, m[1], declared)
		}
		for _, m := range linkTarget.FindAllStringSubmatch(prose, -1) {
			if strings.Contains(m[1], ":") {
				continue // another site, or a link of this program
			}
			if _, err := os.Stat(filepath.Join(tr.root, filepath.Dir(doc), m[1])); err != nil {
				t.Errorf("%s links to %s, which is not there", doc, m[1])
			}
		}
	}
}

// documents lists README.md, CHANGELOG.md and what lies in docs.
func documents(t *testing.T, root string) []string {
	t.Helper()
	var out []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			rel, err := filepath.Rel(root, f)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, rel)
		}
	}
	sort.Strings(out)
	return out
}

// checkQuote judges one `quoted` text, or a word of prose. What is neither a path of ours nor a Go name
// of one of our packages is left alone.
func checkQuote(t *testing.T, root, doc, quote string, declared map[string]map[string]bool) {
	t.Helper()
	if top, _, _ := strings.Cut(quote, "/"); pathLike.MatchString(quote) && has(topFolders, top) {
		if _, err := os.Stat(filepath.Join(root, quote)); err != nil {
			t.Errorf("%s quotes %s, which is not there", doc, quote)
		}
		return
	}
	m := goName.FindStringSubmatch(quote)
	if m == nil || declared[m[1]] == nil {
		return
	}
	name := m[2]
	if m[3] != "" {
		name += "." + m[3]
	}
	if !declared[m[1]][name] {
		t.Errorf("%s quotes %s, which package %s does not have", doc, quote, m[1])
	}
}

// declarations lists what each package declares: package name → names, with
// methods and fields as Type.Name.
func declarations(tr *tree) map[string]map[string]bool {
	out := map[string]map[string]bool{}
	for _, s := range tr.all {
		if s.test || s.ast.Name.Name == "main" {
			continue
		}
		names := out[s.ast.Name.Name]
		if names == nil {
			names = map[string]bool{}
			out[s.ast.Name.Name] = names
		}
		for _, d := range s.ast.Decls {
			declare(names, d)
		}
	}
	return out
}

// declare adds the names of one declaration.
func declare(names map[string]bool, d ast.Decl) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		names[funcName(d)] = true
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			switch spec := spec.(type) {
			case *ast.TypeSpec:
				names[spec.Name.Name] = true
				for _, member := range members(spec.Type) {
					names[spec.Name.Name+"."+member] = true
				}
			case *ast.ValueSpec:
				for _, n := range spec.Names {
					names[n.Name] = true
				}
			}
		}
	}
}

// members lists the fields of a struct and the methods of an interface.
func members(e ast.Expr) []string {
	var list *ast.FieldList
	switch e := e.(type) {
	case *ast.StructType:
		list = e.Fields
	case *ast.InterfaceType:
		list = e.Methods
	default:
		return nil
	}
	var out []string
	for _, f := range list.List {
		for _, n := range f.Names {
			out = append(out, n.Name)
		}
	}
	return out
}
