package probe

import (
	"regexp"
	"strings"
	"testing"
)

var (
	literals  = regexp.MustCompile(`'[^']*'`)
	operators = regexp.MustCompile(`OPERATOR\(pg_catalog\.[^)]*\)`)
	calls     = regexp.MustCompile(`([\w.]+)\s*\(`)
	casts     = regexp.MustCompile(`::\s*([\w.]+)`)
	relations = regexp.MustCompile(`(?:FROM|JOIN)\s+([a-z_.]+)\b`)
)

// words are those before a parenthesis that are no functions.
var words = map[string]bool{
	"ARRAY": true, "COALESCE": true, "SELECT": true, "FROM": true, "AND": true, "NOT": true, "THEN": true, "WHEN": true, "WHERE": true,
	"ANY": true, "ALL": true, "": true, "MATERIALIZED": true, "EXISTS": true, "OR": true, "JOIN": true,
}

// TestNothingDependsOnThePath: whatever a client has put on its search_path, the
// query cannot mean it. What the server makes of that is tested by package
// snapshotter.
func TestNothingDependsOnThePath(t *testing.T) {
	for _, kind := range []Kind{Relation, Function, Type, Session} {
		for _, schema := range []string{"pg_temp", "public"} {
			q := Query(kind, schema, "orders")
			bare := operators.ReplaceAllString(literals.ReplaceAllString(q, "''"), "AND")
			if found := regexp.MustCompile(`[=<>~!@#%^&|?*/+-]`).FindAllStringIndex(strings.ReplaceAll(bare, "count(*)", ""), -1); len(found) != 0 {
				t.Errorf("kind %d: an operator that is not qualified, before %q", kind, bare[found[0][0]:][:min(40, len(bare)-found[0][0])])
			}
			// These look their operator up over the path.
			if found := regexp.MustCompile(`\b(IN|BETWEEN|LIKE|NULLIF|USING|IS (NOT )?DISTINCT|CASE [a-z]\w*)\b`).FindString(bare); found != "" {
				t.Errorf("kind %d: %s", kind, found)
			}
			for _, m := range calls.FindAllStringSubmatch(bare, -1) {
				// An alias with a column list looks like a call: o(o), x(operator, number).
				alias := regexp.MustCompile(`(?:AS|ORDINALITY AS) ` + regexp.QuoteMeta(m[1]) + `\(`).MatchString(bare)
				if !strings.HasPrefix(m[1], "pg_catalog.") && !words[m[1]] && !alias {
					t.Errorf("kind %d: %s is called and not qualified", kind, m[1])
				}
			}
			for _, m := range casts.FindAllStringSubmatch(bare, -1) {
				if !strings.HasPrefix(m[1], "pg_catalog.") {
					t.Errorf("kind %d: type %s is not qualified", kind, m[1])
				}
			}
			// A name that WITH gives comes before any relation of the path.
			with := map[string]bool{}
			for _, m := range regexp.MustCompile(`(\w+) AS MATERIALIZED \(`).FindAllStringSubmatch(bare, -1) {
				with[m[1]] = true
			}
			for _, m := range relations.FindAllStringSubmatch(bare, -1) {
				if !strings.HasPrefix(m[1], "pg_catalog.") && !with[m[1]] {
					t.Errorf("kind %d: relation %s is not qualified", kind, m[1])
				}
			}
			if strings.Contains(q, ";") || strings.Contains(q, "orders") {
				t.Errorf("kind %d: the name is in the text", kind)
			}
		}
	}
}

// FuzzQuery: a name is data. It goes in as hexadecimal digits, wherever it comes
// from, and changes nothing else of the text.
func FuzzQuery(f *testing.F) {
	f.Add("public", "orders")
	f.Add("pg_temp", `'; DROP TABLE x; --`)
	f.Add(`a\`, "\x00ü")
	like := Query(Relation, "a", "b")
	shape := regexp.MustCompile(`decode\('[0-9a-f]*', 'hex'\)`)
	f.Fuzz(func(t *testing.T, schema, name string) {
		if schema == tempSchema {
			return
		}
		if shape.ReplaceAllString(Query(Relation, schema, name), "") != shape.ReplaceAllString(like, "") {
			t.Errorf("%q %q", schema, name)
		}
	})
}

func TestUnknownKind(t *testing.T) {
	if q := Query(0, "public", "orders"); strings.Contains(q, "pg_class") || !strings.Contains(q, "(NULL)") {
		t.Error(q)
	}
}
