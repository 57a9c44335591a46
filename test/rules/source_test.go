package rules

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// source is a parsed file.
type source struct {
	name      string // relative to the repository
	file      *ast.File
	test      bool
	generated bool
}

func sources(t *testing.T, fset *token.FileSet, p pkg) []source {
	t.Helper()
	var all []source
	base := repository(t)
	for _, group := range []struct {
		names []string
		test  bool
	}{{p.GoFiles, false}, {p.CgoFiles, false}, {p.IgnoredGoFiles, false}, {p.TestGoFiles, true}, {p.XTestGoFiles, true}} {
		for _, name := range group.names {
			full := filepath.Join(p.Dir, name)
			f, err := parser.ParseFile(fset, full, nil, parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			rel, err := filepath.Rel(base, full)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, source{rel, f, group.test || strings.HasSuffix(name, "_test.go"), ast.IsGenerated(f)})
		}
	}
	return all
}

func TestEveryPackageHasOneComment(t *testing.T) {
	for _, p := range packages(t) {
		var with []string
		for _, s := range sources(t, token.NewFileSet(), p) {
			if s.file.Doc == nil || s.test {
				continue
			}
			with = append(with, s.name)
			text := s.file.Doc.Text()
			if p.Name != "main" && !strings.HasPrefix(text, "Package "+p.Name+" ") {
				t.Errorf("%s: the package comment begins with %q", s.name, strings.SplitN(text, "\n", 2)[0])
			}
		}
		if len(with) != 1 {
			t.Errorf("%s has %d package comments %v: one place says what it is for", p.path(), len(with), with)
		}
	}
}

func TestNoInitFunctions(t *testing.T) {
	for _, p := range packages(t) {
		for _, s := range sources(t, token.NewFileSet(), p) {
			for _, d := range s.file.Decls {
				if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
					t.Errorf("%s: func init: importing a package must have no effect", s.name)
				}
			}
		}
	}
}

func TestClockIsInjected(t *testing.T) {
	// The linter checks this too; the pure packages are checked here because a
	// clock in them would make decisions that no test can repeat.
	readers := []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick"}
	for _, p := range packages(t) {
		if !slices.ContainsFunc(pure, p.within) {
			continue
		}
		for _, s := range sources(t, token.NewFileSet(), p) {
			if s.test {
				continue
			}
			ast.Inspect(s.file, func(n ast.Node) bool {
				if sel, ok := n.(*ast.SelectorExpr); ok {
					if x, ok := sel.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains(readers, sel.Sel.Name) {
						t.Errorf("%s uses time.%s: analysis and policy are pure", s.name, sel.Sel.Name)
					}
				}
				return true
			})
		}
	}
}

func TestTestsDoNotSleep(t *testing.T) {
	for _, p := range packages(t) {
		for _, s := range sources(t, token.NewFileSet(), p) {
			if !s.test || usesSynctest(s.file) {
				continue
			}
			ast.Inspect(s.file, func(n ast.Node) bool {
				if sel, ok := n.(*ast.SelectorExpr); ok {
					if x, ok := sel.X.(*ast.Ident); ok && x.Name == "time" && sel.Sel.Name == "Sleep" {
						t.Errorf("%s sleeps outside of testing/synctest: slow on a quick machine, flaky on a slow one", s.name)
					}
				}
				return true
			})
		}
	}
}

// usesSynctest reports whether sleeping is free in the file: time is simulated.
func usesSynctest(f *ast.File) bool {
	return slices.ContainsFunc(f.Imports, func(i *ast.ImportSpec) bool { return i.Path.Value == `"testing/synctest"` })
}
