package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// The generators draw from few names, so that rules and accesses meet often.
var (
	schemas = []string{"public", "hr", "pg_catalog", "information_schema", "pg_toast", "pg_temp_1"}
	tables  = []string{"t", "u", "pg_authid"}
	columns = []string{"a", "b", "c"}
	someDo  = []access.Action{access.Select, access.Insert, access.Update, access.Delete, access.Truncate, access.Maintain}
)

// drawGrant writes a grant or deny as a line of the policy file.
func drawGrant(t *rapid.T, label string, deny bool) string {
	schema := rapid.SampledFrom(append([]string{"*"}, schemas...)).Draw(t, label+" schema")
	table := rapid.SampledFrom(append([]string{"*"}, tables...)).Draw(t, label+" table")
	choice := []string{"'*'", "select", "update", "delete", "select, insert"}
	actions := rapid.SampledFrom(choice).Draw(t, label+" actions")
	line := fmt.Sprintf("{actions: [%s], objects: ['%s.%s']", actions, schema, table)
	if strings.HasPrefix(actions, "select") || actions == "update" || deny {
		if cols := rapid.SliceOfNDistinct(rapid.SampledFrom(columns), 0, 3, rapid.ID[string]).Draw(t, label+" columns"); len(cols) > 0 {
			line += ", columns: [" + strings.Join(cols, ", ") + "]"
		}
	}
	return line + "}"
}

func drawAccess(t *rapid.T) access.Access {
	a := access.Access{
		Action: rapid.SampledFrom(someDo).Draw(t, "action"),
		Resolved: access.Object{
			Kind:   access.Table,
			Schema: rapid.SampledFrom(schemas).Draw(t, "schema"),
			Name:   rapid.SampledFrom(tables).Draw(t, "table"),
		},
		AllColumns: rapid.Bool().Draw(t, "all columns"),
	}
	if !a.AllColumns {
		a.Columns = rapid.SliceOfNDistinct(rapid.SampledFrom(columns), 0, 3, rapid.ID[string]).Draw(t, "columns")
		slices.Sort(a.Columns)
	}
	return a
}

func drawLines(t *rapid.T, label string, least int, deny bool) []string {
	var lines []string
	for i := range rapid.IntRange(least, 4).Draw(t, label+" count") {
		lines = append(lines, drawGrant(t, fmt.Sprintf("%s %d", label, i), deny))
	}
	return lines
}

func build(t *rapid.T, grants, denies []string) *Policy {
	text := minimal + "scopes:\n  s: [" + strings.Join(grants, ", ") + "]\n"
	if len(denies) > 0 {
		text += "deny: [" + strings.Join(denies, ", ") + "]\n"
	}
	p, err := Parse([]byte(text))
	if err != nil {
		t.Fatalf("%s\n%s", err, text)
	}
	return p
}

func covers(p *Policy, a access.Access) bool {
	ok, _ := p.Principal([]string{"s"}).Covers(a)
	return ok
}

// TestMoreGrantsNeverAllowLess: with one grant more, what was allowed is
// allowed.
func TestMoreGrantsNeverAllowLess(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		grants, denies := drawLines(t, "grant", 1, false), drawLines(t, "deny", 0, true)
		a := drawAccess(t)
		if covers(build(t, grants, denies), a) &&
			!covers(build(t, append(grants, drawGrant(t, "more", false)), denies), a) {
			t.Fatalf("%+v is no longer allowed", a)
		}
	})
}

// TestMoreDeniesNeverAllowMore: with one deny more, what was not allowed is
// not.
func TestMoreDeniesNeverAllowMore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		grants, denies := drawLines(t, "grant", 1, false), drawLines(t, "deny", 0, true)
		a := drawAccess(t)
		if !covers(build(t, grants, denies), a) &&
			covers(build(t, grants, append(denies, drawGrant(t, "more", true))), a) {
			t.Fatalf("%+v became allowed", a)
		}
	})
}

// TestDenyWins: what one deny says by name is denied whatever is granted.
func TestDenyWins(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		grants, a := drawLines(t, "grant", 1, false), drawAccess(t)
		line := fmt.Sprintf("{actions: [%s], objects: ['%s.%s']}", a.Action, a.Resolved.Schema, a.Resolved.Name)
		p := build(t, grants, []string{line})
		d := p.Principal([]string{"s"}).Decide(access.Analysis{
			Outcome: access.Judge, Statements: []access.Statement{{Accesses: []access.Access{a}}},
		})
		if d.Allow || d.Reason != access.ExplicitDeny {
			t.Fatalf("%+v: %+v", a, d)
		}
	})
}

// TestWildcardsStayOut: with wildcards alone, nothing of the server's own
// schemas is covered, and everything elsewhere.
func TestWildcardsStayOut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		grants := slices.DeleteFunc(drawLines(t, "grant", 1, false), func(s string) bool {
			return !strings.Contains(s, "'*.")
		})
		grants = append(grants, "{actions: ['*'], objects: ['*.*', 'schema:*']}")
		p := mustBuild(t, grants)
		a := drawAccess(t)
		reserved := strings.HasPrefix(a.Resolved.Schema, "pg_") || a.Resolved.Schema == "information_schema"
		if covers(p, a) == reserved {
			t.Fatalf("%+v: %t", a, covers(p, a))
		}
	})
}

func mustBuild(t *rapid.T, grants []string) *Policy { return build(t, grants, nil) }

// TestAgreesWithTheRules compares the index with the rules applied one by one.
func TestAgreesWithTheRules(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := build(t, drawLines(t, "grant", 1, false), drawLines(t, "deny", 0, true))
		a := drawAccess(t)
		if got, want := covers(p, a), slowCovers(p, a); got != want {
			t.Fatalf("%+v: the index says %t, the rules %t", a, got, want)
		}
	})
}

// slowCovers judges tables by reading the rules literally.
func slowCovers(p *Policy, a access.Access) bool {
	fine := slices.Contains([]access.Action{access.Select, access.Insert, access.Update}, a.Action)
	matches := func(r *rule, narrow bool) bool {
		action := slices.ContainsFunc(r.actions, func(i actionItem) bool {
			return i.action == a.Action || i.action == anyAction && !(narrow && a.Action == access.Admin)
		})
		return action && slices.ContainsFunc(r.objects, func(o pattern) bool {
			s, n := o.parts[0], o.parts[1]
			reserved := a.Resolved.Schema != "public" && a.Resolved.Schema != "hr"
			return (s.ident == a.Resolved.Schema || s.any && !(narrow && reserved)) && (n.any || n.ident == a.Resolved.Name)
		})
	}
	usable := map[string]bool{"a": false, "b": false, "c": false}
	whole := false
	for _, r := range p.scopes["s"] {
		if !matches(r, true) {
			continue
		}
		whole = whole || r.columns == nil
		for _, c := range r.columns {
			usable[c.ident] = true
		}
	}
	for _, r := range p.denies {
		if !matches(r, false) {
			continue
		}
		if r.columns == nil || fine && a.AllColumns {
			return false
		}
		if !fine {
			continue
		}
		for _, c := range r.columns {
			if slices.Contains(a.Columns, c.ident) {
				return false
			}
			usable[c.ident] = false
		}
	}
	switch {
	case whole:
		return true
	case !fine || a.AllColumns:
		return false
	case len(a.Columns) == 0:
		return usable["a"] || usable["b"] || usable["c"]
	default:
		return !slices.ContainsFunc(a.Columns, func(c string) bool { return !usable[c] })
	}
}

// TestScopesAreASet: order and repetition of scopes change nothing.
func TestScopesAreASet(t *testing.T) {
	p := mustParse(t, `
scopes:
  a: [{actions: [select], objects: [public.t], columns: [a]}]
  b: [{actions: [select], objects: [public.t], columns: [b]}]
`)
	a := access.Access{
		Action: access.Select, Columns: []string{"a", "b"},
		Resolved: access.Object{Kind: access.Table, Schema: "public", Name: "t"},
	}
	for _, scopes := range [][]string{{"a", "b"}, {"b", "a"}, {"b", "a", "b", "x"}} {
		ok, rule := p.Principal(scopes).Covers(a)
		if want := "scopes.a[0], scopes.b[0]"; !ok || rule != want {
			t.Errorf("%q: %t by %q", scopes, ok, rule)
		}
	}
}

// TestTemplateReadsOneWay: a scope built from values is read back as those
// values, or not at all.
func TestTemplateReadsOneWay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tmpl, err := parseTemplate("pg:{object}:{action}/{column}")
		if err != nil {
			t.Fatal(err)
		}
		value := rapid.StringMatching(`[a-z:/.*"{}]{0,6}`)
		o, a, c := value.Draw(t, "object"), value.Draw(t, "action"), value.Draw(t, "column")
		got, ok := tmpl.match("pg:" + o + ":" + a + "/" + c)
		plain := o != "" && a != "" && c != "" && !strings.Contains(o, ":") && !strings.Contains(a, "/")
		same := got["object"] == o && got["action"] == a && got["column"] == c
		if plain && !(ok && same) {
			t.Fatalf("read %q as %v", []string{o, a, c}, got)
		}
		if ok && "pg:"+got["object"]+":"+got["action"]+"/"+got["column"] != "pg:"+o+":"+a+"/"+c {
			t.Fatalf("%v does not spell the scope", got)
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(minimal))
	f.Add([]byte(minimal + "scopes: {a: [{actions: [select], objects: ['public.t'], columns: [x]}]}\n"))
	f.Add([]byte(minimal + "scope_templates:\n  \"pg:{object}:{action}\":\n    - actions: [\"{action}\"]\n      objects: [\"{object}\"]\n"))
	f.Add([]byte(minimal + "deny: [{objects: ['private.*']}]\nlogins: {app: {default: x}}\npresets: []\n"))
	f.Add([]byte("scopes: &a [*a]\n"))
	f.Add([]byte("a: [[[[[[[[[[[[[[[[[[[[[[[["))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := Parse(data)
		if err != nil {
			return
		}
		if len(p.Issuers()) == 0 {
			t.Fatal("a policy without issuers was accepted")
		}
		again, err := Parse(data)
		if err != nil || again.Digest() != p.Digest() {
			t.Fatal("the same file was read in two ways")
		}
		// Nothing in any file covers admin on a name that no pattern can spell,
		// or a name without a schema.
		scopes := []string{"pg:public.t:select"}
		for s := range p.scopes {
			scopes = append(scopes, s)
		}
		g := p.Principal(scopes)
		for _, a := range []access.Access{
			{Action: access.Admin, Resolved: access.Object{Kind: access.Database, Name: strings.Repeat("x", 64)}},
			{Action: access.Select, AllColumns: true, Resolved: access.Object{Kind: access.Table, Name: "t"}},
			{Action: "", Resolved: access.Object{Kind: access.Table, Schema: "public", Name: "t"}},
		} {
			if ok, rule := g.Covers(a); ok {
				t.Fatalf("%+v is covered by %s", a, rule)
			}
		}
	})
}

// FuzzPattern: what parses prints as a name that parses to the same.
func FuzzPattern(f *testing.F) {
	for _, s := range []string{"public.orders", `hr."Mixed ""Case"""`, "function:public.f(int, x.y[], timestamptz)", "setting:app.*", "*.*", "schema:s"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := parsePattern(s, nil)
		if err != nil {
			return
		}
		if p.wild() || p.overload {
			return
		}
		o := access.Object{Kind: p.kind, Name: p.parts[len(p.parts)-1].ident}
		if inSchema(p.kind) {
			o.Schema = p.parts[0].ident
		}
		if p.kind == access.Setting {
			o.Name = settingName(p.parts)
		}
		r := &rule{actions: []actionItem{{action: anyAction}}, objects: []pattern{p}}
		found := false
		newIndex([]*rule{r}, access.Actions()).each(firstAction(p.kind), o, false, func(*entry) bool {
			found = true
			return false
		})
		if !found {
			t.Fatalf("%q does not cover what it names: %+v", s, o)
		}
	})
}

func firstAction(k access.Kind) access.Action {
	i := slices.IndexFunc(access.Actions(), func(a access.Action) bool { return applies(a, k) })
	return access.Actions()[i]
}

func BenchmarkCovers(b *testing.B) {
	p, err := Parse([]byte(minimal + `
scopes:
  a: [{actions: [select, insert], objects: [public.t, public.u]}, {actions: [update], objects: ['hr.*'], columns: [a, b, c]}]
deny: [{objects: ['private.*']}]
`))
	if err != nil {
		b.Fatal(err)
	}
	g := p.Principal([]string{"a"})
	a := access.Access{
		Action: access.Update, Columns: []string{"a", "b"},
		Resolved: access.Object{Kind: access.Table, Schema: "hr", Name: "people"},
	}
	b.ReportAllocs()
	for b.Loop() {
		if ok, _ := g.Covers(a); !ok {
			b.Fatal("not covered")
		}
	}
}
