package builtin_test

import (
	"context"
	"os"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/scopewire/scopewire/services/authz/internal/analyze"
	"github.com/scopewire/scopewire/services/authz/internal/builtin"
	"github.com/scopewire/scopewire/services/authz/internal/policy"
)

// TestIntrospectionIsWhatToolsNeed judges the statements of testdata/introspection*.yaml
// by a policy of presets alone, as the whole of authz does.
func TestIntrospectionIsWhatToolsNeed(t *testing.T) {
	type statements struct{ Allow, Deny []string }
	var cases statements
	for _, name := range []string{"introspection", "introspection_tools"} {
		b, err := os.ReadFile("testdata/" + name + ".yaml")
		if err != nil {
			t.Fatal(err)
		}
		var more statements
		if err := yaml.UnmarshalWithOptions(b, &more, yaml.Strict()); err != nil {
			t.Fatal(err)
		}
		cases.Allow, cases.Deny = append(cases.Allow, more.Allow...), append(cases.Deny, more.Deny...)
	}
	p, err := policy.Parse([]byte("version: 1\nissuers: [{issuer: https://idp.example, audiences: [x]}]\npresets: [session, introspection]\n"))
	if err != nil {
		t.Fatal(err)
	}
	grants := p.Principal(nil)
	snap, dsn := builtin.Contrib(t, "CREATE TABLE account (id int PRIMARY KEY, owner text); CREATE VIEW mine AS SELECT id FROM account")
	conn, err := pgconn.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	judge := func(sql string, want bool) {
		if _, err := conn.Exec(t.Context(), sql).ReadAll(); err != nil {
			t.Errorf("%s: the server says %v", sql, err)
		}
		a := analyze.Analyze(analyze.Input{Text: []byte(sql), Context: analyze.Context{
			SearchPath: `"$user", public`, Role: "postgres", ServerVersionNum: snap.ServerVersionNum,
			Settings: map[string]string{"standard_conforming_strings": "on"},
		}}, snap)
		if d := grants.Decide(a); d.Allow != want {
			t.Errorf("allowed %v: %s: %s\n%s", d.Allow, d.Reason, d.Detail, sql)
		}
	}
	for _, sql := range cases.Allow {
		judge(sql, true)
	}
	for _, sql := range cases.Deny {
		judge(sql, false)
	}
}
