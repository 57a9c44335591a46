package analyze

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/scopewire/scopewire/internal/pgtest"
	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// oracle is a real PostgreSQL with testdata/schema.sql and a role to which tests
// grant exactly what analysis asks for.
type oracle struct {
	conn *pgconn.PgConn
	snap *catalog.Snapshot
}

func newOracle(t *testing.T) *oracle { return newOracleOf(t, "schema.sql") }

func newOracleOf(t *testing.T, file string) *oracle {
	t.Helper()
	schema, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	dsn := pgtest.NewDatabase(t, pgtest.ServedBy(t, string(schema)))
	conn, err := pgconn.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// Roles outlive databases.
		for _, sql := range []string{"DROP OWNED BY analyze_oracle", "DROP ROLE analyze_oracle"} {
			if _, err := conn.Exec(context.Background(), sql).ReadAll(); err != nil {
				t.Error(err)
			}
		}
		if err := conn.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	o := &oracle{conn: conn}
	o.must(t, "CREATE ROLE analyze_oracle; GRANT USAGE ON SCHEMA public, app, hr TO analyze_oracle")
	// The baseline: PUBLIC's default rights count as revoked.
	o.must(t, "REVOKE EXECUTE ON ALL ROUTINES IN SCHEMA public, app, hr FROM PUBLIC")
	o.snap = readSnapshot(t, dsn)
	return o
}

func (o *oracle) must(t *testing.T, sql string) {
	t.Helper()
	if err := o.run(sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// run executes a text and returns the server's error, if any.
func (o *oracle) run(sql string) error {
	_, err := o.conn.Exec(context.Background(), sql).ReadAll()
	return err
}

// as runs a text in a transaction that is rolled back, under a search_path, as a
// role that holds the grants, or as the superuser without any.
func (o *oracle) as(t *testing.T, path string, grants []string, sql string) *pgconn.PgError {
	t.Helper()
	o.must(t, "BEGIN")
	for _, grant := range grants {
		o.must(t, grant)
	}
	o.must(t, "SELECT pg_catalog.set_config('search_path', '"+strings.ReplaceAll(path, "'", "''")+"', true)")
	if grants != nil {
		o.must(t, "SET LOCAL ROLE analyze_oracle")
	}
	err := o.run(sql)
	o.must(t, "ROLLBACK")
	var pgErr *pgconn.PgError
	if err != nil && !errors.As(err, &pgErr) {
		t.Fatalf("%s: %v", sql, err)
	}
	return pgErr
}

// piece is one right: an action on an object, or on a column of a relation, any
// column, or all.
type piece struct {
	action         access.Action
	kind           access.Kind
	arguments      string
	schema, table  string
	column         string
	any            bool
	alreadyImplied bool
}

func (p piece) grant(o *oracle) string {
	target := quote(p.schema) + "." + quote(p.table)
	if p.kind != access.Table {
		if p.kind == access.Function || p.kind == access.Procedure {
			target += "(" + p.arguments + ")"
		}
		return fmt.Sprintf("GRANT %s ON %s %s TO analyze_oracle", p.action, p.kind, target)
	}
	column := p.column
	if p.any {
		rel := o.snap.RelationByName(p.schema, p.table)
		if len(rel.Columns) > 0 && p.action != access.Delete && p.action != access.Truncate {
			column = rel.Columns[len(rel.Columns)-1].Name
		}
	}
	if column != "" {
		return fmt.Sprintf("GRANT %s (%s) ON %s TO analyze_oracle", p.action, quote(column), target)
	}
	return fmt.Sprintf("GRANT %s ON %s TO analyze_oracle", p.action, target)
}

func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// pieces are the rights that the accesses of a unit name.
func pieces(statements []access.Statement) []piece {
	var all []piece
	seen := map[piece]bool{}
	add := func(p piece) {
		if !seen[p] {
			seen[p] = true
			all = append(all, p)
		}
	}
	named := map[piece]bool{}
	for _, s := range statements {
		for _, a := range s.Accesses {
			// The role has usage of every schema, and what EXPLAIN VERBOSE shows is shown
			// to everybody.
			surplus := s.Kind == "explain" && a.AllColumns
			if a.Resolved.Kind == access.Schema || a.Within || surplus && len(a.Columns) == 0 || beyondPostgres(a) {
				continue
			}
			a.AllColumns = a.AllColumns && !surplus
			p := piece{action: a.Action, kind: a.Resolved.Kind, schema: a.Resolved.Schema, table: a.Resolved.Name,
				arguments: strings.Join(a.Resolved.Arguments, ", ")}
			switch {
			case p.kind != access.Table:
				add(p)
			case a.AllColumns:
				add(p)
			case len(a.Columns) == 0:
				p.any = true
				add(p)
			default:
				if !onlySystem(a.Columns) {
					named[piece{action: a.Action, kind: p.kind, schema: p.schema, table: p.table, any: true}] = true
				}
				for _, column := range a.Columns {
					p.column = column
					add(p)
				}
			}
		}
	}
	for i := range all {
		// Over several statements a named column implies "any column" of another.
		all[i].alreadyImplied = named[all[i]]
	}
	return all
}

// beyondPostgres recognises accesses that PostgreSQL does not ask for, or that PUBLIC
// has: naming an object in a literal, and what comes with the server.
func beyondPostgres(a access.Access) bool {
	return a.Action == access.Any || a.Action == access.Admin || a.Resolved.Kind == access.Setting ||
		a.Resolved.Schema == schemaCatalog && a.Resolved.Kind == access.Function
}

// checkRights holds the accesses of a unit against the server: with exactly those
// rights it does not answer 42501, with any one of them withheld it does.
func (o *oracle) checkRights(t *testing.T, path, sql string, statements []access.Statement, withhold func(i, n int) bool) {
	t.Helper()
	needed := pieces(statements)
	grantsBut := func(skip int) []string {
		grants := []string{"SELECT 1"}
		for i, p := range needed {
			if i != skip && !(p.alreadyImplied) {
				grants = append(grants, p.grant(o))
			}
		}
		return grants
	}
	err := o.as(t, path, grantsBut(-1), sql)
	switch {
	// An ambiguous output name is left to the server: all that it could be is read.
	case err != nil && foreseen(err.Code) && !strings.HasPrefix(err.Message, "ORDER BY"):
		t.Errorf("with all rights named: %s: %s\n%s\n%v", err.Code, err.Message, sql, grantsBut(-1))
		return
	case err != nil && (strings.HasPrefix(err.Code, "42") || strings.HasPrefix(err.Code, "0A")):
		// PostgreSQL finds the grouping wrong before it looks at rights.
		return
	case err != nil && strings.HasPrefix(err.Code, "22"):
		// A literal that its type cannot read: so does it without a right.
		return
	}
	for i, p := range needed {
		// PUBLIC may read the catalogs.
		if p.schema == "pg_catalog" || p.schema == "information_schema" || p.alreadyImplied || !withhold(i, len(needed)) {
			continue
		}
		if err := o.as(t, path, grantsBut(i), sql); err == nil || err.Code != "42501" {
			t.Errorf("without %s: %v\n%s", p.grant(o), err, sql)
		}
	}
}

// foreseen reports whether an error is one that analysis foresees: of names and types.
// The rest of class 42 (grouping, windows, recursion, collations) is left to the server.
func foreseen(code string) bool {
	switch code {
	case "42803", "42P10", "42P13", "42P19", "42P20", "42P21", "42P22", "42701", "42622", "42P11":
		return false
	}
	return strings.HasPrefix(code, "42")
}

// checkError holds an error of analysis against the server's own. Where PostgreSQL
// finds the grouping wrong first, there is nothing to compare.
func (o *oracle) checkError(t *testing.T, path, sql string, want access.Error) {
	t.Helper()
	err := o.as(t, path, nil, sql)
	if err != nil && err.Code != want.SQLState && (strings.HasPrefix(err.Code, "42") && !foreseen(err.Code) || strings.HasPrefix(err.Code, "22")) {
		return
	}
	if err == nil || err.Code != want.SQLState || err.Message != want.Message || int(err.Position) != want.Position || err.Hint != want.Hint || err.Detail != want.Detail {
		t.Errorf("%s\nanalysis: %+v\nserver:   %+v", sql, want, err)
	}
}

// grantable reports whether each access of a unit is one that GRANT can give exactly.
func grantable(statements []access.Statement) bool {
	for _, s := range statements {
		for _, a := range s.Accesses {
			switch a.Action {
			case access.DDL, access.Admin, access.Temporary, access.Maintain, access.Set, access.Listen, access.Notify:
				return false
			}
			if len(a.Or) > 0 || len(a.Trust) > 0 || s.Kind == "copy" && a.Action == access.Insert {
				return false
			}
		}
	}
	return true
}

// harmful recognises texts that would end the server's session or write files, those
// whose functions ask for more than execute, settings that only
// Scopewire knows, and literals that name nothing.
func harmful(sql string) bool {
	for _, name := range []string{"pg_terminate_backend", "lo_export", "pg_read_file", "_to_xml(", "scopewire.", "'x'::regproc"} {
		if strings.Contains(sql, name) {
			return true
		}
	}
	return false
}

// TestOracleCases runs the case files on a real server.
func TestOracleCases(t *testing.T) {
	o := newOracle(t)
	for _, file := range []string{"statements.yaml", "typed.yaml", "legitimate.yaml", "bypass.yaml", "errors.yaml",
		"session.yaml", "tables.yaml", "objects.yaml"} {
		for _, c := range readCases(t, file) {
			// Texts that need another database, server or protocol, or end the transaction.
			if !c.reads(o.snap.ServerVersionNum) || strings.Contains(c.SQL, "app.public") || c.Server != 0 || c.Parse || c.Apart || len(c.Effects) > 0 || harmful(c.SQL) {
				continue
			}
			in := c.input()
			in.Context.ServerVersionNum = o.snap.ServerVersionNum
			got := Analyze(in, o.snap)
			switch got.Outcome {
			case access.Judge:
				if len(got.Statements) > 0 && grantable(got.Statements) {
					o.checkRights(t, in.Context.SearchPath, c.SQL, got.Statements, func(int, int) bool { return !c.surplus(o.snap.ServerVersionNum) })
				}
			case access.Hidden, access.Failed:
				o.checkError(t, in.Context.SearchPath, c.SQL, got.Error)
			}
		}
	}
}
