package rules

import (
	"go/ast"
	"go/token"
	"slices"
	"strings"
	"testing"
)

// stateful are package variables that may change, and why.
var stateful = map[string]string{
	"internal/pgtest.shared": "the tests of a process share one server",
}

// TestNoPackageState finds variables of packages that can change: those without
// an initial value, those that hold a lock, a channel or an empty map, and those
// that any function of the package assigns to, indexes into or takes the address
// of. Error values, compiled patterns and tables that are only read pass.
func TestNoPackageState(t *testing.T) {
	for _, p := range packages(t) {
		vars := map[string]string{} // name to file
		var srcs []source
		for _, s := range sources(t, token.NewFileSet(), p) {
			if s.test || s.generated {
				continue
			}
			srcs = append(srcs, s)
			for _, d := range s.file.Decls {
				g, ok := d.(*ast.GenDecl)
				if !ok || g.Tok != token.VAR {
					continue
				}
				for _, spec := range g.Specs {
					v, ok := spec.(*ast.ValueSpec)
					if !ok {
						continue
					}
					for i, name := range v.Names {
						if name.Name == "_" {
							continue
						}
						key := p.path() + "." + name.Name
						if _, ok := stateful[key]; ok {
							continue
						}
						vars[name.Name] = s.name
						var value ast.Expr
						if i < len(v.Values) {
							value = v.Values[i]
						}
						if why := mutable(v, value, g); why != "" {
							t.Errorf("%s: variable %s %s: packages hold no state", s.name, name.Name, why)
						}
					}
				}
			}
		}
		for _, s := range srcs {
			for name, how := range changes(s.file, vars) {
				t.Errorf("%s: package variable %s (of %s) %s: packages hold no state", s.name, name, vars[name], how)
			}
		}
	}
}

// mutable says why a variable is state by its declaration alone.
func mutable(v *ast.ValueSpec, value ast.Expr, g *ast.GenDecl) string {
	if value == nil {
		doc := v.Doc
		if doc == nil {
			doc = g.Doc
		}
		if doc != nil && slices.ContainsFunc(doc.List, func(c *ast.Comment) bool { return strings.HasPrefix(c.Text, "//go:embed ") }) {
			return ""
		}
		return "has no initial value"
	}
	if c, ok := value.(*ast.CallExpr); ok {
		if f, ok := c.Fun.(*ast.Ident); ok && (f.Name == "make" || f.Name == "new") {
			return "is made empty, to be changed"
		}
		if len(c.Args) == 0 {
			return ""
		}
	}
	held := ""
	ast.Inspect(value, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.FuncLit:
			return false // what a function does inside is its own
		case *ast.SelectorExpr:
			if x, ok := n.X.(*ast.Ident); ok && (x.Name == "sync" && !strings.HasPrefix(n.Sel.Name, "Once") || x.Name == "atomic") {
				held = "holds " + x.Name + "." + n.Sel.Name
			}
		}
		return true
	})
	return held
}

// changes finds where functions change variables of the package. A name that is
// declared in the function itself is another variable.
func changes(f *ast.File, vars map[string]string) map[string]string {
	found := map[string]string{}
	note := func(e ast.Expr, local map[string]bool, how string) {
		for {
			switch x := e.(type) {
			case *ast.IndexExpr:
				e = x.X
				continue
			case *ast.SelectorExpr:
				e = x.X
				continue
			case *ast.ParenExpr:
				e = x.X
				continue
			case *ast.StarExpr:
				e = x.X
				continue
			case *ast.Ident:
				if _, ok := vars[x.Name]; ok && !local[x.Name] {
					found[x.Name] = how
				}
			}
			return
		}
	}
	for _, d := range f.Decls {
		fn, ok := d.(*ast.FuncDecl)
		if !ok || fn.Body == nil {
			continue
		}
		local := locals(fn)
		ast.Inspect(fn, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				if n.Tok != token.DEFINE {
					for _, lhs := range n.Lhs {
						note(lhs, local, "is assigned to")
					}
				}
			case *ast.IncDecStmt:
				note(n.X, local, "is assigned to")
			case *ast.UnaryExpr:
				if n.Op == token.AND {
					note(n.X, local, "has its address taken")
				}
			case *ast.CallExpr:
				if id, ok := n.Fun.(*ast.Ident); ok && (id.Name == "delete" || id.Name == "clear") && len(n.Args) > 0 {
					note(n.Args[0], local, "is emptied")
				}
			}
			return true
		})
	}
	return found
}

// locals are the names that a function declares anywhere inside.
func locals(fn *ast.FuncDecl) map[string]bool {
	names := map[string]bool{}
	ast.Inspect(fn, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.AssignStmt:
			if n.Tok == token.DEFINE {
				for _, lhs := range n.Lhs {
					if id, ok := lhs.(*ast.Ident); ok {
						names[id.Name] = true
					}
				}
			}
		case *ast.RangeStmt:
			for _, e := range []ast.Expr{n.Key, n.Value} {
				if id, ok := e.(*ast.Ident); ok && n.Tok == token.DEFINE {
					names[id.Name] = true
				}
			}
		case *ast.ValueSpec:
			for _, id := range n.Names {
				names[id.Name] = true
			}
		case *ast.Field:
			for _, id := range n.Names {
				names[id.Name] = true
			}
		}
		return true
	})
	return names
}
