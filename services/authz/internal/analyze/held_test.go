package analyze

import (
	"fmt"
	"os"
	"slices"
	"testing"

	"github.com/scopewire/scopewire/internal/pgtest"
	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// textAnalyzer binds texts of a catalog, for a role that row security binds.
func textAnalyzer(t *testing.T, snap *catalog.Snapshot) *analyzer {
	t.Helper()
	a := &analyzer{literally: new(bool), in: Input{Context: Context{SearchPath: "pg_catalog", Role: "pg_monitor"}}, snap: snap,
		limits: Limits{Work: 1 << 30}.withDefaults(), version: snap.ServerVersionNum, current: &recorder{}}
	if err := a.prepare(); err != nil {
		t.Fatal(err)
	}
	return a
}

// bindAll binds every text of a catalog that did not come with the server, and returns
// how many there are and what is wrong with each that could not be bound.
func bindAll(a *analyzer) (bound int, wrong map[string]error) {
	wrong = map[string]error{}
	note := func(what string, err error) {
		if bound++; err != nil {
			wrong[what] = err
		}
	}
	for i := range a.snap.Relations {
		rel := &a.snap.Relations[i]
		if rel.OID < catalog.FirstNormalOID {
			continue
		}
		name := rel.Schema + "." + rel.Name
		if rel.Definition != "" {
			_, err := a.boundView(rel)
			note("view "+name, err)
		}
		for j := range rel.Columns {
			switch c := &rel.Columns[j]; {
			case c.Default == "":
			case c.Generated != 0:
				note("generated "+name+"."+c.Name, a.stored(columnText(c), rel).err)
			default:
				note("default "+name+"."+c.Name, a.storedDefault(c, rel).err)
			}
		}
		for j, e := range rel.Checks {
			note(fmt.Sprint("check ", name, j), a.stored(e, rel).err)
			note(fmt.Sprint("planned check ", name, j), a.planned(e, rel).err)
		}
		for j, e := range rel.IndexExpressions {
			note(fmt.Sprint("index ", name, j), a.storedOf(e, rel.IndexExpressions, rel, false).err)
		}
		for j, e := range rel.StatisticsExpressions {
			note(fmt.Sprint("statistics ", name, j), a.storedOf(e, rel.StatisticsExpressions, rel, true).err)
		}
		for _, key := range a.storedKeyOf(rel, false) {
			note("key "+name, key.err)
		}
		for j := range rel.Triggers {
			if tr := &rel.Triggers[j]; tr.Condition {
				note("trigger "+name+"."+tr.Name, a.triggerCondition(rel, tr).err)
			}
		}
		for j := range rel.Policies {
			p := &rel.Policies[j]
			for _, text := range []string{p.Using, p.Check} {
				if text != "" {
					_, err := a.policyBound(rel, p, text)
					note("policy "+name+"."+p.Name, err)
				}
			}
		}
	}
	for i := range a.snap.Types {
		t := &a.snap.Types[i]
		if t.OID < catalog.FirstNormalOID || t.Kind != 'd' {
			continue
		}
		if t.Default != "" {
			note("default of "+t.Schema+"."+t.Name, a.typeDefault(t).err)
		}
		for j, e := range t.Checks {
			note(fmt.Sprint("check of ", t.Schema, ".", t.Name, j), a.judgeCheck(e, t.Base))
		}
	}
	for i := range a.snap.Functions {
		f := &a.snap.Functions[i]
		if f.OID < catalog.FirstNormalOID {
			continue
		}
		if f.StandardBody != "" {
			_, err := a.functionBody(f, nil)
			note("body of "+f.Schema+"."+f.Name, err)
		}
		for j := range f.DefaultExpressions {
			_, _, err := a.defaultValue(f, j, nil)
			note(fmt.Sprint("default of ", f.Schema, ".", f.Name, j), err)
		}
	}
	return bound, wrong
}

// forget is a catalog without what texts were resolved to.
func forget(snap *catalog.Snapshot) *catalog.Snapshot {
	s := *snap
	s.Relations, s.Types, s.Functions = slices.Clone(s.Relations), slices.Clone(s.Types), slices.Clone(s.Functions)
	for i := range s.Relations {
		r := &s.Relations[i]
		r.References, r.PartitionKey.References = catalog.References{}, catalog.References{}
		r.Columns, r.Triggers, r.Policies = slices.Clone(r.Columns), slices.Clone(r.Triggers), slices.Clone(r.Policies)
		for j := range r.Columns {
			r.Columns[j].References = catalog.References{}
		}
		for j := range r.Triggers {
			r.Triggers[j].References = catalog.References{}
		}
		for j := range r.Policies {
			r.Policies[j].References = catalog.References{}
		}
		for _, list := range []*[]catalog.Expression{&r.Checks, &r.IndexExpressions, &r.StatisticsExpressions} {
			forgetExpressions(list)
		}
	}
	for i := range s.Types {
		s.Types[i].References = catalog.References{}
		forgetExpressions(&s.Types[i].Checks)
	}
	for i := range s.Functions {
		s.Functions[i].References = catalog.References{}
	}
	s.Index()
	return &s
}

func forgetExpressions(list *[]catalog.Expression) {
	*list = slices.Clone(*list)
	for i := range *list {
		(*list)[i].References = catalog.References{}
	}
}

// TestStoredTextsAreUnderstood binds the texts of a large catalog (every view of the
// server's own as a user's view, every extension of contrib, one text of every kind)
// with what they were resolved to: none must be bound to anything else, and nothing of
// what they were resolved to must be missing.
func TestStoredTextsAreUnderstood(t *testing.T) {
	corpus, err := os.ReadFile("testdata/stored.sql")
	if err != nil {
		t.Fatal(err)
	}
	understood(t, readSnapshot(t, pgtest.NewDatabase(t, string(corpus))), 200)
}

// understood compares binding with and without what texts were resolved to.
func understood(t *testing.T, snap *catalog.Snapshot, least int) {
	t.Helper()
	_, before := bindAll(textAnalyzer(t, forget(snap)))
	bound, after := bindAll(textAnalyzer(t, snap))
	if bound < least {
		t.Errorf("only %d texts were bound", bound)
	}
	for what, err := range after {
		if before[what] == nil {
			t.Errorf("%s: %s", what, err)
		}
	}
	for what, err := range after {
		t.Logf("%s: %s", what, err)
	}
	t.Logf("%d texts, %d not bound, %d without a record", bound, len(after), len(before))
}

// TestStoredTextsKeepTheirMeaning: who makes a better match for what a stored text calls
// changes nothing about it.
func TestStoredTextsKeepTheirMeaning(t *testing.T) {
	const before = `
		CREATE SCHEMA s; SET search_path = s, pg_catalog;
		CREATE TYPE pair AS (a int);
		CREATE FUNCTION f(numeric) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN 1; END';
		CREATE FUNCTION eq(pair, pair) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN true; END';
		CREATE OPERATOR = (LEFTARG = pair, RIGHTARG = pair, FUNCTION = eq);
		CREATE OPERATOR <+> (LEFTARG = numeric, RIGHTARG = numeric, FUNCTION = numeric_add);
		CREATE FUNCTION old(pair) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN 1; END';
		CREATE CAST (pair AS text) WITH FUNCTION old(pair);
		CREATE TABLE t (id int PRIMARY KEY, p pair, made int GENERATED ALWAYS AS (s.f(id)) STORED, CHECK (s.f(id) > 0));
		CREATE TABLE d (id int, n int DEFAULT s.f(1::int), a int);
		CREATE TABLE w (id int);
		CREATE INDEX ON d (s.f(a));
		CREATE FUNCTION fire() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
		CREATE TRIGGER x BEFORE INSERT ON w FOR EACH ROW WHEN (s.f(NEW.id) > 0) EXECUTE FUNCTION fire();
		CREATE DOMAIN small AS int CHECK (s.f(VALUE) > 0);
		CREATE VIEW calls AS SELECT s.f(id) FROM t;
		CREATE VIEW adds AS SELECT id <+> 1 AS x FROM t;
		CREATE VIEW compares AS SELECT p IS DISTINCT FROM p AS x FROM t;
		CREATE VIEW joins AS SELECT id FROM t JOIN (SELECT p FROM t) AS u USING (p);
		CREATE VIEW casts AS SELECT id::text AS x FROM t;
		CREATE VIEW converts AS SELECT p::text AS x FROM t;
		CREATE VIEW prints AS SELECT ROW(1)::pair::text AS x FROM t;
		CREATE FUNCTION body(a int) RETURNS int RETURN s.f(a);
		CREATE FUNCTION given(a int, b int DEFAULT s.f(1::int)) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END';`
	const after = `
		SET search_path = s, pg_catalog;
		CREATE FUNCTION f(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN 2; END';
		CREATE FUNCTION add(int, int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN 2; END';
		CREATE OPERATOR <+> (LEFTARG = int, RIGHTARG = int, FUNCTION = add);
		CREATE FUNCTION new(pair) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN 2; END';
		DROP CAST (pair AS text);
		CREATE CAST (pair AS text) WITH FUNCTION new(pair);`
	dsn := pgtest.NewDatabase(t, before)
	pgtest.Exec(t, dsn, after)
	snap := readSnapshot(t, dsn)
	for _, tc := range []struct{ sql, want string }{
		{"SELECT f(1)", "execute function s.f(integer); "},
		{"SELECT * FROM calls", "execute function s.f(numeric); "},
		{"SELECT * FROM adds", ""},
		{"SELECT * FROM compares", "execute function s.eq(s.pair, s.pair); "},
		{"SELECT * FROM joins", "execute function s.eq(s.pair, s.pair); "},
		{"SELECT * FROM casts", ""},
		{"SELECT * FROM converts", "opaque_code"}, // By a function that no cast calls any more.
		{"SELECT body(1)", "execute function s.body(integer); execute function s.f(numeric); "},
		{"SELECT given(1)", "execute function s.f(numeric); execute function s.given(integer, integer); "},
		{"INSERT INTO t (id) VALUES (1)", "execute function s.f(numeric); "},
		{"INSERT INTO d (id) VALUES (1)", "execute function s.f(numeric); "},
		{"INSERT INTO w (id) VALUES (1)", "execute function s.f(numeric); "},
		{"SELECT 1::small", "execute function s.f(numeric); "},
	} {
		got := Analyze(Input{Text: []byte(tc.sql), Context: Context{SearchPath: "s", Role: "postgres"}}, snap)
		result := string(got.Reason)
		if got.Outcome == access.Judge {
			result = ""
			for _, needed := range got.Statements[0].Accesses {
				if needed.Action == access.Execute {
					needed.Trust = nil
					result += accessText(needed) + "; "
				}
			}
		}
		if result != tc.want {
			t.Errorf("%s: %q (%s), want %q", tc.sql, result, got.Detail, tc.want)
		}
	}
}

// TestRecordsAreHeld: a text that names what it was not stored with, or of which
// something is missing, was not understood.
func TestRecordsAreHeld(t *testing.T) {
	for _, tc := range []struct {
		text string
		refs catalog.References
		ok   bool
	}{
		{"SELECT id FROM public.orders", catalog.References{}, true},
		{"SELECT id FROM public.orders", catalog.References{Recorded: true, Relations: []catalog.OID{1}}, false},
		{"SELECT 1 AS id", catalog.References{Recorded: true, Relations: []catalog.OID{1}}, false},
		{"SELECT 1 AS id", catalog.References{Recorded: true, Functions: []catalog.OID{18003}}, false},
		{"SELECT 1 AS id", catalog.References{Recorded: true, Operators: []catalog.OID{19500}}, false},
		{"SELECT 1 AS id", catalog.References{Recorded: true}, true},
	} {
		b := fixture(t)
		view := b.table("public", "stored", catalog.KindView, "id", 23)
		view.Definition, view.References = tc.text, tc.refs
		orders := b.find("public", "orders").OID
		if len(tc.refs.Relations) > 0 && tc.text == "SELECT 1 AS id" {
			view.References.Relations = []catalog.OID{orders}
		}
		got := Analyze(Input{Text: []byte("SELECT id FROM stored"), Context: publicContext()}, b.index())
		if (got.Outcome == access.Judge) != tc.ok {
			t.Errorf("%s with %+v: %s", tc.text, tc.refs, got.Detail)
		}
	}
}
