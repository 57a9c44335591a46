package oracle

import (
	"context"
	"testing"

	"github.com/scopewire/scopewire/internal/pgtest"
	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// TestKeeps: what a definition stores proves a denial of a column that it names or of whose
// whole row it is made, and of no other.
func TestKeeps(t *testing.T) {
	server := pgtest.Start(t)
	d, err := Open(t.Context(), server.ConnString(pgtest.NewDatabaseOn(t, server, "")), []string{"CREATE TABLE public.t (id int, name text)"})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close(context.Background())
	table := access.Object{Kind: access.Table, Schema: "public", Name: "t"}
	role := &Role{Path: "public", Grants: []Grant{{Action: access.Select, Kind: access.Table, Schema: "public", Name: "t", Columns: []string{"name"}}}}
	for sql, want := range map[string]bool{
		"CREATE VIEW w AS SELECT name FROM t":                                                                                   false,
		"CREATE VIEW w AS SELECT name, id FROM t":                                                                               true,
		"CREATE VIEW w AS SELECT name, to_jsonb(t) AS whole FROM t":                                                             true,
		"CREATE VIEW w AS SELECT name FROM t; DROP VIEW w":                                                                      false,
		"CREATE VIEW w AS SELECT name, to_jsonb(t) AS whole FROM t; DROP VIEW w":                                                true,
		"CREATE FUNCTION w() RETURNS text BEGIN ATOMIC SELECT name FROM t; END":                                                 false,
		"CREATE FUNCTION w() RETURNS jsonb BEGIN ATOMIC SELECT to_jsonb(t) FROM t WHERE name = 'x'; END":                        true,
		"CREATE TABLE u (a jsonb); CREATE RULE w AS ON DELETE TO u DO INSERT INTO u SELECT to_jsonb(name) FROM t":               false,
		"CREATE TABLE u (a jsonb); CREATE RULE w AS ON DELETE TO u DO INSERT INTO u SELECT to_jsonb(t) FROM t WHERE name = 'x'": true,
	} {
		got, err := d.keeps(t.Context(), Comparison{Unit: Unit{SQL: sql}, Role: role},
			&access.Access{Action: access.Select, Named: table, Resolved: table, Columns: []string{"id"}})
		if err != nil || got != want {
			t.Errorf("%s: %v, %v", sql, got, err)
		}
	}
}

// TestRefusedAnother: the index of a row that ON CONFLICT leaves out is computed when a
// sequence gives another key.
func TestRefusedAnother(t *testing.T) {
	server := pgtest.Start(t)
	d, err := Open(t.Context(), server.ConnString(pgtest.NewDatabaseOn(t, server, "")), []string{
		"CREATE FUNCTION public.small(int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 < 10'",
		"CREATE FUNCTION public.other(int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 < 10'",
		"CREATE TABLE public.t (id serial PRIMARY KEY, name text)",
		"CREATE INDEX ON public.t (public.small(id))",
		"INSERT INTO public.t VALUES (1), (2), (3)",
	})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close(context.Background())
	role := &Role{Path: "public", Grants: []Grant{
		{Action: access.Insert, Kind: access.Table, Schema: "public", Name: "t"},
		{Action: access.Select, Kind: access.Table, Schema: "public", Name: "t"},
		{Action: access.Usage, Kind: access.Sequence, Schema: "public", Name: "t_id_seq"},
	}}
	for _, tc := range []struct {
		sql, function string
		want          bool
	}{
		{"INSERT INTO t (name) VALUES ('x') ON CONFLICT (id) DO NOTHING", "other", false},
		{"INSERT INTO t VALUES (1) ON CONFLICT (id) DO NOTHING", "small", false},
		{"INSERT INTO t (name) VALUES ('x') ON CONFLICT (id) DO NOTHING", "small", true},
	} {
		// Each begins with keys that are there.
		if answer, err := d.admin.exec(t.Context(), "SELECT pg_catalog.setval('public.t_id_seq', 1, false)"); err != nil || !answer.Ran() {
			t.Fatal(answer, err)
		}
		function := access.Object{Kind: access.Function, Schema: "public", Name: tc.function, Arguments: []string{"integer"}}
		got, err := d.refusedAnother(t.Context(), Comparison{Unit: Unit{SQL: tc.sql}, Role: role}, &access.Access{Action: access.Execute, Named: function, Resolved: function})
		if err != nil || got != tc.want {
			t.Errorf("%s of %s: %v, %v", tc.sql, tc.function, got, err)
		}
	}
}
