package policy

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/builtin"
)

// withPreset is what a token without scopes may do when the preset alone is on.
func withPreset(t *testing.T, name string) *Grants {
	t.Helper()
	return mustParse(t, "presets: ["+name+"]\n").Principal(nil)
}

func relation(name string) access.Object {
	schema, name, _ := strings.Cut(name, ".")
	return access.Object{Kind: access.Table, Schema: schema, Name: name}
}

// TestPresetsAreTheReview: each preset covers what the review says it does, and
// nothing else of the server's own.
func TestPresetsAreTheReview(t *testing.T) {
	want := map[string]struct {
		relations []builtin.RelationClass
		functions []builtin.Class
	}{
		PresetSession:       {relations: []builtin.RelationClass{builtin.Drivers}},
		PresetIntrospection: {relations: []builtin.RelationClass{builtin.Drivers, builtin.Definitions}, functions: []builtin.Class{builtin.Introspection}},
		PresetAdvisoryLocks: {functions: []builtin.Class{builtin.Advisory}},
		PresetMigrations: {
			relations: []builtin.RelationClass{builtin.Drivers, builtin.Definitions},
			functions: []builtin.Class{builtin.Introspection, builtin.Advisory},
		},
	}
	if len(want) != len(presetNames()) {
		t.Fatalf("%d presets are known here, of %d", len(want), len(presetNames()))
	}
	for name, w := range want {
		g := withPreset(t, name)
		for _, class := range []builtin.RelationClass{builtin.Closed, builtin.Drivers, builtin.Definitions} {
			for _, r := range builtin.Relations(class) {
				// A row of what is closed may be counted where some of its columns are open.
				a := access.Access{Action: access.Select, Resolved: relation(r), AllColumns: class == builtin.Closed}
				if ok, _ := g.Covers(a); ok != slices.Contains(w.relations, class) {
					t.Errorf("%s: %s, class %s: %t", name, r, class, ok)
				}
				a.Action = access.Update
				if ok, _ := g.Covers(a); ok {
					t.Errorf("%s: %s may be updated", name, r)
				}
			}
		}
		for _, e := range builtin.All(15) {
			if e.Extension != "" {
				continue
			}
			o := access.Object{Kind: access.Function, Schema: e.Schema, Name: e.Name}
			for _, a := range e.Arguments {
				o.Arguments = append(o.Arguments, formatType(a))
			}
			unlock := e.Name == "pg_advisory_unlock_all" && (name == PresetSession || name == PresetMigrations)
			ok, _ := g.Covers(access.Access{Action: access.Execute, Resolved: o})
			if ok != (unlock || slices.Contains(w.functions, e.Function.Class)) {
				t.Errorf("%s: %s(%s), class %s: %t", name, e.Name, strings.Join(o.Arguments, ", "), e.Function.Class, ok)
			}
			if ok, _ := g.Covers(access.Access{Action: access.Admin, Resolved: o}); ok {
				t.Errorf("%s: admin on %s", name, e.Name)
			}
		}
	}
}

// TestPresetsNameWhatIsClosed: of relations that stay closed, introspection reads the
// columns that name objects, and no other preset does.
func TestPresetsNameWhatIsClosed(t *testing.T) {
	named := builtin.NamedColumns()
	if len(named) == 0 {
		t.Fatal("no column is open in what is closed")
	}
	for _, key := range named {
		i := strings.LastIndexByte(key, '.')
		a := access.Access{Action: access.Select, Resolved: relation(key[:i]), Columns: []string{key[i+1:]}}
		for _, name := range presetNames() {
			ok, _ := withPreset(t, name).Covers(a)
			if want := name == PresetIntrospection || name == PresetMigrations; ok != want {
				t.Errorf("%s: %s: %t", name, key, ok)
			}
		}
	}
}

// TestPresetsLeaveSecretsOut: what is a secret inside of a definition is read with
// a grant of its own.
func TestPresetsLeaveSecretsOut(t *testing.T) {
	closed := builtin.ClosedColumns()
	if len(closed) == 0 {
		t.Fatal("no column is closed")
	}
	g := withPreset(t, "migrations, introspection, session")
	for _, c := range closed {
		i := strings.LastIndexByte(c, '.')
		o := relation(c[:i])
		for _, a := range []access.Access{
			{Action: access.Select, Resolved: o, Columns: []string{c[i+1:]}},
			{Action: access.Select, Resolved: o, Columns: []string{"oid", c[i+1:]}},
			{Action: access.Select, Resolved: o, AllColumns: true},
		} {
			if ok, by := g.Covers(a); ok {
				t.Errorf("%s is covered by %s: %+v", c, by, a)
			}
		}
		if ok, _ := g.Covers(access.Access{Action: access.Select, Resolved: o, Columns: []string{"oid", "tableoid"}}); !ok && builtin.ClassOf(o.Schema, o.Name) != builtin.Closed {
			t.Errorf("the other columns of %s are not covered", c)
		}
	}
	// A grant of the column by name adds to the preset.
	p := mustParse(t, `presets: [introspection]
scopes:
  s: [{actions: [select], objects: [pg_catalog.pg_subscription], columns: [subconninfo]}]
`)
	a := access.Access{Action: access.Select, Resolved: relation("pg_catalog.pg_subscription"), Columns: []string{"oid", "subconninfo"}}
	if ok, by := p.Principal([]string{"s"}).Covers(a); !ok || by != "scopes.s[0], presets.introspection" {
		t.Errorf("%t by %q", ok, by)
	}
}

// TestPresetsCostAPrincipalNothing: they are there once, whoever has them.
func TestPresetsCostAPrincipalNothing(t *testing.T) {
	p := mustParse(t, "presets: [session, introspection, advisory_locks, migrations]\n")
	if n := testing.AllocsPerRun(100, func() { p.Principal(nil) }); n > 24 {
		t.Errorf("a principal allocates %g times", n)
	}
}

// TestSessionCanBeTakenAway: what pools send between clients is allowed by the preset,
// to whom it is given, and else to nobody.
func TestSessionCanBeTakenAway(t *testing.T) {
	reset := access.Analysis{Outcome: access.Judge, Statements: []access.Statement{{Kind: "discard all", Session: true}}}
	const away = "presets: []\n"
	for name, c := range map[string]struct {
		policy string
		who    Principal
		at     Request
		want   Decision
	}{
		"on by itself":      {want: Decision{Allow: true, Reason: access.Granted, Detail: "presets.session"}},
		"in the list":       {policy: "presets: [introspection, session]\n", want: Decision{Allow: true, Reason: access.Granted, Detail: "presets.session"}},
		"in migrations":     {policy: "presets: [migrations]\n", want: Decision{Allow: true, Reason: access.Granted, Detail: "presets.migrations"}},
		"not in the list":   {policy: "presets: [introspection, advisory_locks]\n", want: Decision{Reason: access.NotGranted, Detail: "discard all without the preset session"}},
		"taken away":        {policy: away, want: Decision{Reason: access.NotGranted, Detail: "discard all without the preset session"}},
		"given to a scope":  {policy: away + "scopes: {s: [{presets: [session]}]}\n", who: Principal{Scopes: []string{"s"}}, want: Decision{Allow: true, Reason: access.Granted, Detail: "scopes.s[0]"}},
		"to nobody else":    {policy: away + "scopes: {s: [{presets: [session]}]}\n", want: Decision{Reason: access.NotGranted, Detail: "discard all without the preset session"}},
		"not by a wildcard": {policy: away + "scopes: {s: [{actions: ['*'], objects: ['*.*', 'setting:*', 'schema:*']}]}\n", who: Principal{Scopes: []string{"s"}}, want: Decision{Reason: access.NotGranted, Detail: "discard all without the preset session"}},
		"not while one fails": {
			policy: away + "scopes: {s: [{presets: [session], when: client.tls}]}\n", who: Principal{Scopes: []string{"s"}}, at: Request{Client: &Client{}},
			want: Decision{Reason: access.ConditionNotMet, Detail: "discard all without the preset session: the condition of scopes.s[0]", Conditional: true},
		},
		"in another database": {
			policy: away, at: Request{Database: "other"},
			who:  Principal{Issuer: "https://idp.example.com", Details: []Detail{{Databases: []string{"app"}, Presets: []string{"session"}}}},
			want: Decision{Reason: access.NotGranted, Detail: "discard all without the preset session"},
		},
		"in its database": {
			policy: away, at: Request{Database: "app"},
			who:  Principal{Issuer: "https://idp.example.com", Details: []Detail{{Databases: []string{"app"}, Presets: []string{"session"}}}},
			want: Decision{Allow: true, Reason: access.Granted, Detail: "authorization_details[0]"},
		},
	} {
		g := mustParse(t, "    trust_authorization_details: all\n"+c.policy).Grants(c.who)
		if diff := cmp.Diff(c.want, g.DecideIn(c.at, reset)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if f := g.ExplainSession(c.at); f.Reason != c.want.Reason || (f.Needed == "") != (c.want.Reason != access.NotGranted) {
			t.Errorf("%s is explained by %+v", name, f)
		}
	}
}
