package snapshotter

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5"

	"github.com/scopewire/scopewire/internal/pgboot"
	"github.com/scopewire/scopewire/internal/probe"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// ask runs a probe as a proxy does, in a client's session.
func ask(t *testing.T, conn *pgx.Conn, kind probe.Kind, schema, name string) (catalog.Additions, bool) {
	t.Helper()
	var answer *string
	if err := conn.QueryRow(t.Context(), probe.Query(kind, schema, name), pgx.QueryExecModeSimpleProtocol).Scan(&answer); err != nil {
		t.Fatalf("%s.%s: %s", schema, name, err)
	}
	if answer == nil {
		return catalog.Additions{}, false
	}
	a, err := catalog.Describe([]byte(*answer))
	if err != nil {
		t.Fatalf("%s.%s: %s\n%s", schema, name, err, *answer)
	}
	return a, true
}

// same compares a described object with the one of a snapshot. Digests of details
// and catalogs' order apart, they are the same.
func same[T any](t *testing.T, what string, want, got T) {
	t.Helper()
	var zero T
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.IgnoreFields(zero, "Details")); diff != "" {
		t.Errorf("%s (-snapshot +probe):\n%s", what, diff)
	}
}

// TestProbesFindWhatASnapshotHolds asks for every object of two schemas that have
// everything, under a search_path with traps, while the transaction that made them
// is open, and compares with what is read when it has been committed.
func TestProbesFindWhatASnapshotHolds(t *testing.T) {
	eachServer(t, func(t *testing.T, srv *pgboot.Server) {
		f := newFixture(t, srv, `
			CREATE SCHEMA evil; GRANT ALL ON SCHEMA evil TO PUBLIC;
			DO $$ DECLARE t text; o text; BEGIN
				FOREACH t IN ARRAY ARRAY['name', 'oid', '"char"', 'int2', 'int4', 'int8', 'text', 'regproc'] LOOP
					EXECUTE format('CREATE FUNCTION evil.bad(%1$s, %1$s) RETURNS bool LANGUAGE sql AS $f$ SELECT 1/0 = 1 $f$', t);
					FOREACH o IN ARRAY ARRAY['=', '<>', '>', '>=', '~~'] LOOP
						EXECUTE format('CREATE OPERATOR evil.%1$s (LEFTARG = %2$s, RIGHTARG = %2$s, FUNCTION = evil.bad)', o, t);
					END LOOP;
				END LOOP;
			END $$;
			CREATE TABLE evil.pg_class (oid int); CREATE TYPE evil.text AS (a int); CREATE TYPE evil.int8 AS (a int);
			CREATE FUNCTION evil.json_build_object(VARIADIC "any") RETURNS json LANGUAGE internal AS 'json_build_object'`)
		b, err := os.ReadFile("testdata/fields.sql")
		if err != nil {
			t.Fatal(err)
		}
		f.exec(t, "BEGIN")
		f.exec(t, schema(t))
		f.exec(t, strings.ReplaceAll(string(b), "NAME", f.name))
		f.exec(t, "SET LOCAL search_path = evil, pg_catalog, f, app, public")

		// What is asked for is known after the commit only: a second session reads the
		// names in advance.
		var names []struct {
			kind         probe.Kind
			schema, name string
		}
		rows, err := f.admin.Query(t.Context(), `
			SELECT 1, n.nspname::pg_catalog.text, c.relname::pg_catalog.text FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
				WHERE n.nspname OPERATOR(pg_catalog.=) ANY ('{f,app}'::pg_catalog.name[])
			UNION SELECT 2, n.nspname::pg_catalog.text, p.proname::pg_catalog.text FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) p.pronamespace
				WHERE n.nspname OPERATOR(pg_catalog.=) ANY ('{f,app}'::pg_catalog.name[])
			UNION SELECT 3, n.nspname::pg_catalog.text, t.typname::pg_catalog.text FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) t.typnamespace
				WHERE n.nspname OPERATOR(pg_catalog.=) ANY ('{f,app}'::pg_catalog.name[])`, pgx.QueryExecModeSimpleProtocol)
		if err != nil {
			t.Fatal(err)
		}
		var kind int
		var in, name string
		if _, err := pgx.ForEachRow(rows, []any{&kind, &in, &name}, func() error {
			names = append(names, struct {
				kind         probe.Kind
				schema, name string
			}{probe.Kind(kind), in, name})
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		answers := make([]catalog.Additions, len(names))
		for i, n := range names {
			found := false
			if answers[i], found = ask(t, f.admin, n.kind, n.schema, n.name); !found {
				t.Errorf("%s.%s was not found", n.schema, n.name)
			}
		}
		var path string
		if err := f.admin.QueryRow(t.Context(), "SHOW search_path").Scan(&path); err != nil || path != "evil, pg_catalog, f, app, public" {
			t.Errorf("the path is %q afterwards, %v", path, err)
		}
		f.exec(t, "COMMIT")
		defer f.exec(t, strings.ReplaceAll("DROP OWNED BY NAME_a, NAME_b, NAME_c CASCADE; DROP ROLE NAME_a, NAME_b, NAME_c", "NAME", f.name))

		s := fresh(t, f.idle(t), f.name)
		compared := 0
		for i, n := range names {
			a := answers[i]
			for _, r := range a.Relations {
				same(t, "relation "+r.Name, *s.RelationByOID(r.OID), r)
				compared++
			}
			for _, v := range a.Types {
				same(t, "type "+v.Name, *s.TypeByOID(v.OID), v)
				compared++
			}
			for _, fn := range a.Functions {
				same(t, "function "+fn.Name, *s.FunctionByOID(fn.OID), fn)
				compared++
			}
			if a.TempSchema != "" || len(a.Relations)+len(a.Types)+len(a.Functions) == 0 {
				t.Errorf("%s.%s: %+v", n.schema, n.name, a)
			}
		}
		if compared < 150 {
			t.Errorf("only %d objects compared", compared)
		}
	})
}

// TestProbesOfTemporaryObjects asks as a login without rights, in and out of a
// transaction.
func TestProbesOfTemporaryObjects(t *testing.T) {
	eachServer(t, func(t *testing.T, srv *pgboot.Server) {
		f := newFixture(t, srv, "")
		cfg, err := pgx.ParseConfig(srv.ConnString(f.name))
		if err != nil {
			t.Fatal(err)
		}
		cfg.User, cfg.Password = f.cfg.Databases[0].User, f.password
		conn, err := pgx.ConnectConfig(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close(context.Background()) }()
		if _, found := ask(t, conn, probe.Relation, "pg_temp", "mine"); found {
			t.Error("a table that is not there was found")
		}
		const odd = `o"d'd\ ü`
		for _, sql := range []string{
			"CREATE TEMP TABLE mine (id serial, v text DEFAULT 'x')",
			`CREATE TEMP TABLE "` + strings.ReplaceAll(odd, `"`, `""`) + `" ("A b" pg_temp.mine)`,
			"CREATE FUNCTION pg_temp.f(int DEFAULT 3) RETURNS int LANGUAGE sql AS 'SELECT 1'",
			"CREATE FUNCTION pg_temp.f(text) RETURNS int LANGUAGE sql AS 'SELECT 2'",
		} {
			if _, err := conn.Exec(t.Context(), sql); err != nil {
				t.Fatal(err)
			}
		}
		defer f.exec(t, "DROP OWNED BY "+cfg.User)
		s := fresh(t, f.idle(t), f.name)
		a, _ := ask(t, conn, probe.Relation, "pg_temp", "mine")
		b, _ := ask(t, conn, probe.Relation, "pg_temp", odd)
		c, _ := ask(t, conn, probe.Function, "pg_temp", "f")
		d, _ := ask(t, conn, probe.Type, "pg_temp", "mine")
		over := catalog.Overlay(catalog.Overlay(catalog.Overlay(s, a), b), c)
		mine := over.RelationByName("pg_temp", "mine")
		if mine == nil || mine.Columns[0].Default != "nextval('mine_id_seq'::regclass)" || !strings.HasPrefix(a.TempSchema, "pg_temp_") ||
			mine.Schema != a.TempSchema || s.RelationByOID(mine.OID) != nil {
			t.Errorf("the temporary table: %+v", mine)
		}
		if other := over.RelationByName("pg_temp", odd); other == nil || over.TypeByOID(other.Columns[0].Type).Relation != mine.OID {
			t.Errorf("the other table: %+v", other)
		}
		if fs := over.FunctionsNamed("f"); len(fs) != 2 || fs[0].Schema != a.TempSchema {
			t.Errorf("functions: %+v", fs)
		}
		if len(d.Types) != 2 || len(d.Relations) != 1 || d.Types[0].OID != mine.RowType && d.Types[1].OID != mine.RowType {
			t.Errorf("the type: %+v", d)
		}
		for kind := range int(probe.Session) {
			if _, found := ask(t, conn, probe.Kind(kind), "pg_temp", "nobody"); found {
				t.Errorf("kind %d finds what is not there", kind)
			}
		}
	})
}
