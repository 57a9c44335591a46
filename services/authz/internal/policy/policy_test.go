package policy

import (
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// decisions is a file of testdata/decide: a policy, and what it answers.
type decisions struct {
	Policy string `yaml:"policy"`
	Cases  []struct {
		Name   string   `yaml:"name"`
		Scopes []string `yaml:"scopes"`
		Action string   `yaml:"action"`
		Object string   `yaml:"object"`
		// Columns is a list, all or any.
		Columns any `yaml:"columns"`
		// Within and Trust are those of the access; a trust is code, or code of
		// an extension as extension/code.
		Within bool     `yaml:"within"`
		Trust  []string `yaml:"trust"`
		// Bearers are the columns of a type, by relation.
		Bearers map[string][]string `yaml:"bearers"`
		// Or are the actions that suffice as well.
		Or []access.Action `yaml:"or"`
		// Who asks beside its scopes, and what is known of the request.
		Issuer   string         `yaml:"issuer"`
		Subject  string         `yaml:"subject"`
		Claims   map[string]any `yaml:"claims"`
		Actors   []string       `yaml:"actors"`
		Details  []Detail       `yaml:"details"`
		Now      string         `yaml:"now"`
		Database string         `yaml:"database"`
		Address  string         `yaml:"address"`
		TLS      bool           `yaml:"tls"`
		// Conditional is whether the answer hung on time or client.
		Conditional bool          `yaml:"conditional"`
		Want        access.Reason `yaml:"want"`
		// By is the rule that decided, where the case says so.
		By string `yaml:"by"`
	} `yaml:"cases"`
}

// object parses an object as a policy would name it.
func object(t *testing.T, s string) access.Object {
	t.Helper()
	p, err := parsePattern(s, nil)
	if err != nil && !strings.Contains(err.Error(), "scopewire") {
		t.Fatal(err)
	}
	o := access.Object{Kind: p.kind, Arguments: p.arguments, Name: p.parts[len(p.parts)-1].ident}
	switch {
	case p.kind == access.Setting:
		var names []string
		for _, q := range p.parts {
			names = append(names, q.ident)
		}
		o.Name = strings.Join(names, ".")
	case len(p.parts) == 2:
		o.Schema = p.parts[0].ident
	}
	return o
}

func TestDecisions(t *testing.T) {
	files, err := filepath.Glob("testdata/decide/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no decisions to test", err)
	}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var d decisions
		if err := yaml.UnmarshalWithOptions(data, &d, yaml.Strict()); err != nil {
			t.Fatal(name, err)
		}
		pol, err := Parse([]byte(d.Policy))
		if err != nil {
			t.Fatalf("%s: %s", name, err)
		}
		for _, c := range d.Cases {
			t.Run(strings.TrimSuffix(filepath.Base(name), ".yaml")+"/"+c.Name, func(t *testing.T) {
				a := access.Access{Action: access.Action(c.Action), Resolved: object(t, c.Object), Within: c.Within, Or: c.Or}
				for _, relation := range slices.Sorted(maps.Keys(c.Bearers)) {
					a.Bearers = append(a.Bearers, access.Bearer{Relation: object(t, relation), Columns: c.Bearers[relation]})
				}
				for _, s := range c.Trust {
					extension, code, ok := strings.Cut(s, "/")
					if !ok {
						extension, code = "", s
					}
					a.Trust = append(a.Trust, access.Trust{Code: code, Extension: extension})
				}
				switch columns := c.Columns.(type) {
				case nil:
				case string:
					a.AllColumns = columns == "all"
					if columns != "all" && columns != "any" {
						t.Fatalf("columns are a list, all or any, not %q", columns)
					}
				case []any:
					for _, v := range columns {
						id, err := parseIdentifier(v.(string))
						if err != nil {
							t.Fatal(err)
						}
						a.Columns = append(a.Columns, id)
					}
				}
				who := Principal{Issuer: c.Issuer, Subject: c.Subject, Scopes: c.Scopes, Claims: c.Claims, Details: c.Details}
				for _, s := range c.Actors {
					who.Actors = append(who.Actors, Actor{Subject: s})
				}
				request := Request{Database: c.Database}
				if c.Now != "" {
					if request.Now, err = time.Parse(time.RFC3339, c.Now); err != nil {
						t.Fatal(err)
					}
				}
				if c.Address != "" {
					request.Client = &Client{Address: netip.MustParseAddr(c.Address), TLS: c.TLS}
				}
				grants := pol.Grants(who)
				got := grants.DecideIn(request, access.Analysis{
					Outcome:    access.Judge,
					Statements: []access.Statement{{Kind: "test", Accesses: []access.Access{a}}},
				})
				if got.Conditional != c.Conditional {
					t.Errorf("conditional is %t", got.Conditional)
				}
				if found := grants.Explain(request, a); c.By != "" && found.by() != c.By {
					t.Errorf("explained by %q, want %q", found.by(), c.By)
				}
				if got.Reason != c.Want || got.Allow != (c.Want == access.Granted) {
					t.Errorf("got %+v, want %s", got, c.Want)
				}
			})
		}
	}
}

const minimal = `version: 1
issuers:
  - issuer: https://idp.example.com
    audiences: [postgres]
`

func mustParse(t *testing.T, more string) *Policy {
	t.Helper()
	p, err := Parse([]byte(minimal + more))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestDecideOutcomes(t *testing.T) {
	g := mustParse(t, `
scopes:
  s:
    - actions: [select]
      objects: [public.*]
`).Principal([]string{"s"})
	table := func(schema string) access.Access {
		return access.Access{
			Action: access.Select, AllColumns: true,
			Named: access.Object{Kind: access.Table, Schema: schema, Name: "t"},
		}
	}
	undefined := access.Error{SQLState: "42P01", Message: `relation "t" does not exist`, Position: 15}
	tests := []struct {
		name string
		in   access.Analysis
		want Decision
	}{
		{"the zero value", access.Analysis{}, Decision{Reason: access.NotGranted}},
		{
			"an unknown outcome",
			access.Analysis{Outcome: 99, Statements: []access.Statement{{Accesses: []access.Access{table("public")}}}},
			Decision{Reason: access.Construct, Detail: "analysis gave an outcome that policy does not know"},
		},
		{
			"denied by analysis",
			access.Analysis{Outcome: access.Denied, Reason: access.StatementKind, Detail: "do"},
			Decision{Reason: access.StatementKind, Detail: "do"},
		},
		{
			"denied with a reason that says granted",
			access.Analysis{Outcome: access.Denied, Reason: access.Granted},
			Decision{Reason: access.NotGranted},
		},
		{
			"denied is not judged",
			access.Analysis{Outcome: access.Denied, Reason: access.Construct, Statements: []access.Statement{{Accesses: []access.Access{table("public")}}}},
			Decision{Reason: access.Construct},
		},
		{
			"failed",
			access.Analysis{Outcome: access.Failed, Reason: access.Syntax, Error: access.Error{SQLState: "42601"}},
			Decision{Reason: access.Syntax, Failed: &access.Error{SQLState: "42601"}},
		},
		{
			"refused",
			access.Analysis{Outcome: access.Refused, Reason: access.Limit, Error: access.Error{SQLState: "54000"}},
			Decision{Refused: true, Reason: access.Limit, Failed: &access.Error{SQLState: "54000"}},
		},
		{
			"a limit met after what is granted was found",
			access.Analysis{Outcome: access.Refused, Reason: access.Limit, Error: access.Error{SQLState: "54001"}, Requires: []access.Access{table("public")}},
			Decision{Refused: true, Reason: access.Limit, Failed: &access.Error{SQLState: "54001"}},
		},
		{
			"a limit met after what is not granted was found",
			access.Analysis{Outcome: access.Refused, Reason: access.Limit, Error: access.Error{SQLState: "54001"}, Requires: []access.Access{table("public"), table("private")}},
			Decision{Reason: access.UnknownObject, Detail: "select on private.t"},
		},
		{
			"a missing name that a wildcard covers",
			access.Analysis{Outcome: access.Hidden, Reason: access.Undefined, Error: undefined, Requires: []access.Access{table("public")}},
			Decision{Reason: access.Undefined, Failed: &undefined},
		},
		{
			"a missing name that is not covered",
			access.Analysis{Outcome: access.Hidden, Reason: access.Undefined, Error: undefined, Requires: []access.Access{table("public"), table("private")}},
			Decision{Reason: access.UnknownObject, Detail: "select on private.t"},
		},
		{
			"a hidden error that is none",
			access.Analysis{Outcome: access.Hidden, Reason: access.Undefined, Requires: []access.Access{table("public")}},
			Decision{Reason: access.UnknownObject, Detail: "analysis hides an error that it does not give"},
		},
		{
			"an error that reveals nothing",
			access.Analysis{Outcome: access.Hidden, Reason: access.Undefined, Error: undefined},
			Decision{Reason: access.Undefined, Failed: &undefined},
		},
		{
			"nothing to run",
			access.Analysis{Outcome: access.Judge},
			Decision{Allow: true, Reason: access.Granted},
		},
		{
			"one access of many",
			access.Analysis{Outcome: access.Judge, Statements: []access.Statement{
				{Accesses: []access.Access{table("public")}},
				{Accesses: []access.Access{table("public"), table("private")}},
			}},
			Decision{Reason: access.NotGranted, Detail: "select on private.t"},
		},
		{
			"a name without its schema",
			access.Analysis{Outcome: access.Judge, Statements: []access.Statement{{Accesses: []access.Access{table("")}}}},
			Decision{Reason: access.NotGranted, Detail: "select on t"},
		},
		{
			"the object as resolved decides",
			access.Analysis{Outcome: access.Judge, Statements: []access.Statement{{Accesses: []access.Access{{
				Action:   access.Select,
				Named:    access.Object{Kind: access.Table, Schema: "public", Name: "t"},
				Resolved: access.Object{Kind: access.Table, Schema: "private", Name: "t"},
			}}}}},
			Decision{Reason: access.NotGranted, Detail: "select on private.t"},
		},
		{
			"an access to nothing",
			access.Analysis{Outcome: access.Judge, Statements: []access.Statement{{Accesses: []access.Access{{}}}}},
			Decision{Reason: access.NotGranted, Detail: ` on :""`},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, g.Decide(tt.in)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestLogin(t *testing.T) {
	p := mustParse(t, `
logins:
  app:
    default: app_reader
    by_scope:
      app.write: app_writer
  tenants:
    by_claim: {claim: tenant, logins: {acme: acme_app, umbrella: umbrella_app, also: acme_app}}
    by_scope: {app.write: app_writer}
  both:
    default: app_reader
    by_claim: {claim: tenant, logins: {acme: acme_app}}
`)
	tests := []struct {
		database, user string
		scopes         []string
		tenant         any
		login          string
		ok             bool
	}{
		{"app", "app_reader", nil, nil, "app_reader", true},
		{"app", "alice", nil, nil, "app_reader", true},
		{"app", "", nil, nil, "app_reader", true},
		{"app", "app_writer", nil, nil, "app_reader", true},
		{"app", "app_writer", []string{"app.read"}, nil, "app_reader", true},
		{"app", "app_writer", []string{"app.read", "app.write"}, nil, "app_writer", true},
		{"app", "alice", []string{"app.write"}, nil, "app_reader", true},
		{"other", "app_reader", []string{"app.write"}, nil, "", false},
		{"", "app_reader", nil, nil, "", false},
		{"tenants", "x", nil, "acme", "acme_app", true},
		{"tenants", "umbrella_app", nil, "acme", "acme_app", true},
		{"tenants", "app_writer", []string{"app.write"}, "acme", "app_writer", true},
		{"tenants", "x", nil, "nobody", "", false},
		{"tenants", "x", nil, "", "", false},
		{"tenants", "x", nil, nil, "", false},
		{"tenants", "x", nil, true, "", false},
		{"tenants", "x", nil, map[string]any{"acme": "acme"}, "", false},
		{"tenants", "x", nil, []any{"other", "acme", 1.5}, "acme_app", true},
		{"tenants", "x", nil, []any{"acme", "also"}, "acme_app", true},
		{"tenants", "x", nil, []any{"acme", "umbrella"}, "", false},
		{"both", "x", nil, "acme", "acme_app", true},
		{"both", "x", nil, "other", "app_reader", true},
		{"both", "acme_app", nil, nil, "app_reader", true},
	}
	for _, tt := range tests {
		asked := false
		login, ok := p.Login(tt.database, tt.user, tt.scopes, func() map[string]any {
			asked = true
			return map[string]any{"tenant": tt.tenant}
		})
		if asked && tt.database == "app" {
			t.Error("claims are read though no login asks for one")
		}
		if login != tt.login || ok != tt.ok {
			t.Errorf("Login(%q, %q, %q) = %q, %t; want %q, %t", tt.database, tt.user, tt.scopes, login, ok, tt.login, tt.ok)
		}
	}
}

func TestIssuersAreCopies(t *testing.T) {
	p := mustParse(t, "")
	p.Issuers()[0].Audiences[0] = "other"
	if got := p.Issuers()[0].Audiences[0]; got != "postgres" {
		t.Errorf("audience is now %q", got)
	}
}

func TestDigestIsOfTheFile(t *testing.T) {
	a, b := mustParse(t, ""), mustParse(t, "# a comment\n")
	if a.Digest() == b.Digest() || a.Digest() != mustParse(t, "").Digest() {
		t.Error("the digest does not follow the file")
	}
}
