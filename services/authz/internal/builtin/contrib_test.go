package builtin

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/scopewire/scopewire/internal/config"
	"github.com/scopewire/scopewire/internal/pgtest"
	"github.com/scopewire/scopewire/internal/sys"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
	"github.com/scopewire/scopewire/services/authz/internal/snapshotter"
	"github.com/scopewire/scopewire/services/authz/internal/state"
)

// Contrib makes a database, reads its catalog as authz does and returns it with the
// database's URL.
func Contrib(t *testing.T, sql string) (*catalog.Snapshot, string) {
	t.Helper()
	srv, machine := pgtest.Start(t), sys.OS()
	name := pgtest.NewDatabaseOn(t, srv, sql)
	dsn, err := pgconn.ParseConfig(srv.ConnString(name))
	if err != nil {
		t.Fatal(err)
	}
	password := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(password, []byte(dsn.Password), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := snapshotter.New(snapshotter.Config{
		Databases: []snapshotter.Database{{
			Name: name, Host: srv.SocketDir, Port: uint16(srv.Port), User: dsn.User, Password: config.Source{File: password},
		}},
		Interval: config.Duration(time.Hour),
	}, snapshotter.Deps{Sys: machine, Versions: state.NewMemory(machine.Clock), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	defer func() { cancel(); <-done }()
	if err := s.Refresh(ctx, name); err != nil {
		t.Fatal(err)
	}
	snap, _, _ := s.Current(name)
	return snap, srv.ConnString(name)
}

const contribSQL = `
CREATE SCHEMA "Ext";
CREATE EXTENSION btree_gin SCHEMA "Ext"; CREATE EXTENSION btree_gist SCHEMA "Ext"; CREATE EXTENSION citext SCHEMA "Ext";
CREATE EXTENSION cube SCHEMA "Ext"; CREATE EXTENSION hstore; CREATE EXTENSION intagg; CREATE EXTENSION intarray;
CREATE EXTENSION isn; CREATE EXTENSION lo; CREATE EXTENSION ltree; CREATE EXTENSION pg_trgm; CREATE EXTENSION pgcrypto;
CREATE EXTENSION seg; CREATE EXTENSION tablefunc; CREATE EXTENSION unaccent; CREATE EXTENSION dblink;
CREATE EXTENSION pageinspect; CREATE EXTENSION postgres_fdw; CREATE EXTENSION refint; CREATE EXTENSION moddatetime;
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE DOMAIN short AS "Ext".citext CHECK (length(VALUE) < 10);
CREATE DOMAIN named AS regclass;
CREATE TYPE pair AS (a int, b mood);
CREATE TYPE holder AS (a int, c regclass[]);
CREATE TYPE span AS RANGE (subtype = float8);
CREATE FUNCTION mine(text) RETURNS text LANGUAGE internal AS 'lower';
CREATE FUNCTION files(text) RETURNS text LANGUAGE internal AS 'pg_read_file_all';
CREATE FUNCTION forged(text) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN $1; END';
ALTER EXTENSION citext ADD FUNCTION forged(text);
CREATE OR REPLACE FUNCTION moddatetime() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
`

func TestContribIsRecognisedInARealCatalog(t *testing.T) {
	s, _ := Contrib(t, contribSQL)
	for i := range s.Functions {
		f := &s.Functions[i]
		class := Lookup(s, f).Class
		switch {
		case f.Name == "forged" || f.Name == "moddatetime":
			if class != Unreviewed {
				t.Errorf("%s is %v: it is not what came with the extension", f.Name, class)
			}
		case f.Extension != "" && f.Language != "sql" && class == Unreviewed:
			t.Errorf("%s of %s is unreviewed", f.Name, f.Extension)
		case f.Extension == "" && f.OID >= catalog.FirstNormalOID && class != Unreviewed:
			t.Errorf("%s of a user is %v", f.Name, class)
		}
	}
	for name, want := range map[string]Class{
		"citext_eq": Harmless, "crosstab": Code, "dblink_exec": Server, "get_raw_page": Server, "lo_manage": Code,
		"check_primary_key": Code, "set_limit": Session, "gen_salt": Harmless, "max": Harmless, "postgres_fdw_handler": Internal,
	} {
		n := 0
		for _, f := range s.FunctionsNamed(name) {
			if f.Extension == "" {
				continue
			}
			n++
			if got := Lookup(s, f).Class; got != want {
				t.Errorf("%s of %s is %v, want %v", name, f.Extension, got, want)
			}
		}
		if n == 0 {
			t.Errorf("no extension has %s", name)
		}
	}
}

func TestTypesOfUsersAndExtensions(t *testing.T) {
	s, _ := Contrib(t, contribSQL)
	support := strings.Fields("gbtreekey2 gbtreekey4 gbtreekey8 gbtreekey16 gbtreekey32 gbtreekey_var gtrgm ghstore ltree_gist intbig_gkey")
	for i := range s.Types {
		typ := &s.Types[i]
		if typ.Extension != "" && typ.Kind == 'b' && typ.Element == 0 {
			if want := !slices.Contains(support, typ.Name); HarmlessType(s, typ) != want {
				t.Errorf("type %s of %s: harmless is %v", typ.Name, typ.Extension, !want)
			}
		}
	}
	for _, c := range []struct {
		schema, name string
		harmless     bool
		kind         NameKind
		looks        bool
	}{
		{"public", "mood", true, 0, false},
		{"public", "_mood", true, 0, false},
		{"public", "short", true, 0, false},
		{"public", "pair", true, 0, false},
		{"public", "span", false, 0, false},
		{"public", "named", false, Relation, true},
		{"public", "holder", false, 0, true},
		{"pg_catalog", "_regtype", false, 0, true},
		{"pg_catalog", "regrole", false, Role, true},
		{"pg_catalog", "int4range", true, 0, false},
		{"pg_catalog", "pg_class", false, 0, true}, // relacl
	} {
		typ := s.TypeByName(c.schema, c.name)
		if typ == nil {
			t.Fatalf("no type %s", c.name)
		}
		kind, looks := InputLooksUp(s, typ)
		if HarmlessType(s, typ) != c.harmless || kind != c.kind || looks != c.looks {
			t.Errorf("%s: harmless %v, looks up %v %v", c.name, !c.harmless, kind, looks)
		}
	}
	if HarmlessType(s, nil) || !OutputLooksUp(s, nil) {
		t.Error("an unknown type is harmless")
	}
}

func TestLinkedGoesByTheSymbol(t *testing.T) {
	s, _ := Contrib(t, contribSQL)
	for name, want := range map[string]Function{
		"mine": {Class: Harmless}, "files": {Class: Server}, "forged": {}, "span": {Class: Harmless, Runs: RunsCompare},
	} {
		n := 0
		for _, f := range s.FunctionsNamed(name) {
			if f.Schema != "public" {
				continue
			}
			n++
			if got := Linked(f); got.Class != want.Class || got.Runs != want.Runs {
				t.Errorf("%s: %v, want %v", name, got, want)
			}
		}
		if n == 0 {
			t.Errorf("no function %s", name)
		}
	}
}
