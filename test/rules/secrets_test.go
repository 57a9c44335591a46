package rules

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"testing"
)

// comparers compare bytes or texts in a time that tells how far they agree.
var comparers = []string{"Equal", "EqualFold", "Compare", "HasPrefix", "HasSuffix", "Contains", "Index"}

// exposes reports whether an expression holds a secret's bytes.
func exposes(e ast.Expr) bool {
	found := false
	ast.Inspect(e, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		if name, ok := call.Fun.(*ast.Ident); ok && name.Name == "len" {
			return false // A length is none.
		}
		sel, ok := call.Fun.(*ast.SelectorExpr)
		if ok && sel.Sel.Name == "ConstantTimeCompare" {
			return false // That is how.
		}
		found = found || ok && sel.Sel.Name == "Expose"
		return true
	})
	return found
}

// leaks are the places of a file that compare a secret in variable time.
func leaks(file *ast.File) (at []token.Pos) {
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.BinaryExpr:
			if slices.Contains([]token.Token{token.EQL, token.NEQ, token.LSS, token.GTR, token.LEQ, token.GEQ}, n.Op) && (exposes(n.X) || exposes(n.Y)) {
				at = append(at, n.Pos())
			}
		case *ast.CallExpr:
			sel, ok := n.Fun.(*ast.SelectorExpr)
			if !ok || !slices.Contains(comparers, sel.Sel.Name) {
				return true
			}
			of, ok := sel.X.(*ast.Ident)
			if ok && slices.Contains([]string{"bytes", "strings", "slices"}, of.Name) && slices.ContainsFunc(n.Args, exposes) {
				at = append(at, n.Pos())
			}
		case *ast.SwitchStmt:
			if n.Tag != nil && exposes(n.Tag) {
				at = append(at, n.Pos())
			}
		}
		return true
	})
	return at
}

// TestSec_T39_SecretsAreComparedInConstantTime: a secret's bytes are had by Expose alone,
// and what has them is compared by secret.Bytes.Equal, which is subtle's.
func TestSec_T39_SecretsAreComparedInConstantTime(t *testing.T) {
	for _, p := range packages(t) {
		fset := token.NewFileSet()
		for _, s := range sources(t, fset, p) {
			if s.test {
				continue
			}
			for _, at := range leaks(s.file) {
				t.Errorf("%s: a secret is compared in variable time: use secret.Bytes.Equal", fset.Position(at))
			}
		}
	}
}

// The rule finds what it is for.
func TestSecretComparisonsAreFound(t *testing.T) {
	for text, want := range map[string]int{
		`string(s.Expose()) == x`: 1, `x != string(s.Expose())`: 1, `bytes.Equal(s.Expose(), x)`: 1, `strings.HasPrefix(string(s.Expose()), x)`: 1,
		`len(s.Expose()) == 0`: 0, `s.Equal(x)`: 0, `subtle.ConstantTimeCompare(s.Expose(), x) == 1`: 0, `hash(s.Expose())`: 0,
	} {
		file := parsed(t, "package p\nvar _ = "+text)
		if got := len(leaks(file)); got != want {
			t.Errorf("%s: found %d times, want %d", text, got, want)
		}
	}
	if got := len(leaks(parsed(t, "package p\nfunc f() { switch string(s.Expose()) { case x: } }"))); got != 1 {
		t.Errorf("a switch: found %d times", got)
	}
}

func parsed(t *testing.T, text string) *ast.File {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "x.go", text, 0)
	if err != nil {
		t.Fatal(err)
	}
	return file
}
