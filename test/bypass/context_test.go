package bypass_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/scopewire/scopewire/cmd/scopewire/demo"
	"github.com/scopewire/scopewire/test/cluster"
)

// contexts has one name, who, in two schemas, of which one is granted; both schemas
// may stand in search_path.
const contexts = `
SET check_function_bodies = off;
CREATE SCHEMA near;
CREATE SCHEMA far;
CREATE TABLE near.who (name text);
INSERT INTO near.who VALUES ('near');
CREATE TABLE far.who (name text);
INSERT INTO far.who VALUES ('canary');
CREATE TABLE far.granted (name text);
CREATE TABLE near.deferred (id int);
GRANT USAGE ON SCHEMA near, far TO shop_app;
GRANT ALL ON ALL TABLES IN SCHEMA near, far TO shop_app;
GRANT CREATE ON SCHEMA near TO shop_app;
CREATE FUNCTION near.read_who() RETURNS text LANGUAGE sql AS 'SELECT max(name) FROM who';
CREATE FUNCTION near.move(text) RETURNS text LANGUAGE plpgsql AS 'BEGIN PERFORM set_config(''search_path'', $1, false); RETURN $1; END';
CREATE FUNCTION near.moved(text) RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN PERFORM set_config(''search_path'', $1, false); RETURN $1; END';
CREATE FUNCTION near.folded(text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM set_config(''search_path'', $1, false); RETURN $1; END';
CREATE FUNCTION near.turned() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN SET search_path = far; RETURN NEW; END';
CREATE CONSTRAINT TRIGGER turned AFTER INSERT ON near.deferred DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION near.turned();
CREATE PROCEDURE near.go(text) LANGUAGE plpgsql AS 'BEGIN PERFORM set_config(''search_path'', $1, false); COMMIT; END';
CREATE FUNCTION near.opens(name text) RETURNS refcursor LANGUAGE plpgsql AS 'DECLARE c refcursor := name; BEGIN OPEN c FOR SELECT * FROM far.who; RETURN c; END';
CREATE FUNCTION near.prepares(name text) RETURNS void LANGUAGE plpgsql AS 'BEGIN EXECUTE format(''DEALLOCATE %I'', name); EXECUTE format(''PREPARE %I AS SELECT * FROM far.who'', name); END';
CREATE FUNCTION near.shadows() RETURNS void LANGUAGE plpgsql AS 'BEGIN CREATE TEMP TABLE who AS SELECT * FROM far.who; END';
ALTER TABLE near.who OWNER TO shop_app;
ALTER TABLE far.who OWNER TO shop_app;
`

const contextScopes = `  walker:
    - {actions: [select], objects: [near.who, far.granted]}
    - {actions: [insert], objects: [near.deferred], trusted: true}
    - {actions: [ddl], objects: ["schema:near"]}
    - {actions: [execute], objects: ["function:near.read_who"]}
    - {actions: [execute], objects: ["function:near.move", "function:near.moved", "function:near.folded", "function:near.opens", "function:near.prepares", "function:near.shadows", "procedure:near.go"], trusted: true}
    - {actions: [set], objects: ["setting:search_path"]}
`

func contextWorld(t *testing.T) *demo.World {
	return cluster.Start(t, demo.Config{SQL: contexts, Scopes: contextScopes,
		Users: []demo.User{{Name: "walt", Scopes: []string{"walker"}, About: "moves about"}}})
}

// walk opens a connection and returns what sends messages on it, each string as a Query.
func walk(t *testing.T, dsn string) func(messages ...any) string {
	t.Helper()
	conn, err := pgconn.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := conn.Hijack()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = raw.Conn.Close() })
	return func(messages ...any) string {
		var all []pgproto3.FrontendMessage
		for _, m := range messages {
			switch m := m.(type) {
			case string:
				all = append(all, &pgproto3.Query{String: m})
			case extended:
				all = append(all, parse("", string(m)), bind("", ""), execute(""))
			case pgproto3.FrontendMessage:
				all = append(all, m)
			}
		}
		return talk(t, raw, all...)
	}
}

// canary is how talk shows a row that holds the word.
const canary = "canary"

func rowOf(m *pgproto3.DataRow) string {
	if slices.ContainsFunc(m.Values, func(v []byte) bool { return strings.Contains(string(v), canary) }) {
		return canary
	}
	return "row"
}

// extended is a statement by the extended protocol.
type extended string

// walks are sessions at whose end the server reads far.who, on which nothing is granted.
func walks() map[string][]any {
	return map[string][]any{
		"cursor whose function looks up later":      {"BEGIN", "DECLARE c CURSOR FOR SELECT near.read_who() FROM near.who", "SET search_path = far", "FETCH c", "COMMIT"},
		"portal whose function looks up later":      {"BEGIN", parse("p", "SELECT near.read_who() FROM near.who"), bind("p", "p"), sync, "SET search_path = far", execute("p"), sync, "COMMIT"},
		"mover and reader in one statement":         {"SELECT near.move('far'), near.read_who()"},
		"definer mover and reader in one statement": {"SELECT near.moved('far'), near.read_who()"},
		"folded at Bind":                            {parse("f", "SELECT near.folded('far')"), bind("f", "f"), parse("", "SELECT name FROM who"), bind("", ""), execute(""), sync},
		"folded in EXPLAIN":                         {"EXPLAIN SELECT near.folded('far')", "SELECT name FROM who"},
		"deferred trigger":                          {"BEGIN", "INSERT INTO near.deferred VALUES (1)", "SET CONSTRAINTS ALL IMMEDIATE", "SELECT name FROM who", "COMMIT"},
		"deferred trigger at commit":                {"BEGIN", "INSERT INTO near.deferred VALUES (1)", "COMMIT", "SELECT name FROM who"},
		"deferred trigger at sync":                  {extended("INSERT INTO near.deferred VALUES (1)"), sync, extended("SELECT name FROM who"), sync},
		"deferred trigger at sync later":            {extended("INSERT INTO near.deferred VALUES (1)"), extended("SELECT 1"), sync, extended("SELECT name FROM who"), sync},
		"hold cursor at commit":                     {"BEGIN", "DECLARE c CURSOR WITH HOLD FOR SELECT near.move('far')", "COMMIT", "SELECT name FROM who"},
		"portal in part":                            {"BEGIN", parse("", "SELECT near.move(x) FROM (VALUES ('near'), ('far')) v(x)"), bind("p", ""), &pgproto3.Execute{Portal: "p", MaxRows: 1}, &pgproto3.Execute{Portal: "p", MaxRows: 1}, parse("", "SELECT name FROM who"), bind("", ""), execute(""), sync, "COMMIT"},
		"fetch in part":                             {"BEGIN", "DECLARE c CURSOR FOR SELECT near.move(x) FROM (VALUES ('near'), ('far')) v(x)", "FETCH c", "FETCH c", "SELECT name FROM who", "COMMIT"},
		"call":                                      {"CALL near.go('far')", "SELECT name FROM who"},
		"local at end":                              {"SET search_path = far", "BEGIN; SET LOCAL search_path = near; COMMIT; SELECT name FROM who"},
		"implicit local":                            {"SET search_path = far", "SET LOCAL search_path = near; SELECT name FROM who", "SELECT name FROM who"},
		"rollback to":                               {"SET search_path = far", "BEGIN; SAVEPOINT s; SET search_path = near; ROLLBACK TO s; SELECT name FROM who"},
		"rollback to 2":                             {"SET search_path = far", "BEGIN", "SAVEPOINT s", "SET search_path = near", "ROLLBACK TO s; SELECT name FROM who", "ROLLBACK"},
		"rollback to 3":                             {"SET search_path = far", "BEGIN", "SAVEPOINT s", "SET search_path = near", "ROLLBACK TO s", "SELECT name FROM who", "ROLLBACK"},
		"chain":                                     {"SET search_path = far", "BEGIN", "SET LOCAL search_path = near", "COMMIT AND CHAIN", "SELECT name FROM who", "ROLLBACK"},
		"chain 2":                                   {"SET search_path = far", "BEGIN", "SET LOCAL search_path = near", "COMMIT AND CHAIN; SELECT name FROM who", "ROLLBACK"},
		"function that opens a stale cursor":        {"BEGIN", "SAVEPOINT s", "DECLARE c CURSOR FOR SELECT name FROM near.who", "ROLLBACK TO s", "SELECT near.opens('c')", "FETCH c", "COMMIT"},
		"function that opens a stale portal":        {"BEGIN", "SAVEPOINT s", parse("", "SELECT name FROM near.who"), bind("c", ""), sync, "ROLLBACK TO s", "SELECT near.opens('c')", execute("c"), sync, "COMMIT"},
		"function that prepares again":              {"PREPARE x AS SELECT name FROM near.who", "SELECT near.prepares('x')", "EXECUTE x"},
		"function that prepares again, protocol":    {parse("x", "SELECT name FROM near.who"), sync, "SELECT near.prepares('x')", bind("", "x"), execute(""), sync},
		"function that shadows":                     {"SELECT near.shadows()", "SELECT name FROM who"},
		"function that shadows, in pipeline":        {parse("x", "SELECT name FROM who"), sync, extended("SELECT near.shadows()"), bind("", "x"), execute(""), sync},
	}
}

// TestSec_T23_StatementsAreReadAsJudged: whatever moves the session's context, and
// whenever the server looks names up, nothing is read that the token does not cover. Each
// walk reveals the canary when it is sent to the server itself.
func TestSec_T23_StatementsAreReadAsJudged(t *testing.T) {
	w := contextWorld(t)
	token, err := w.Token("walt")
	if err != nil {
		t.Fatal(err)
	}
	for name, messages := range walks() {
		t.Run(name, func(t *testing.T) {
			// Schemas go before what a walk does to them.
			messages = append([]any{"SET search_path = near"}, messages...)
			if got := walk(t, w.ConnString("walt")+" password="+token)(messages...); strings.Contains(got, canary) {
				t.Errorf("through Scopewire: %s", got)
			}
			if got := walk(t, w.Postgres.ConnString(demo.Database))(messages...); !strings.Contains(got, canary) {
				t.Errorf("without Scopewire: %s", got)
			}
		})
	}
}

// TestCatalogChangesEndWithTheirPipeline: the transaction of a pipeline that changed the
// catalog ends with its Sync, and what follows is judged as ever.
func TestCatalogChangesEndWithTheirPipeline(t *testing.T) {
	w := contextWorld(t)
	token, err := w.Token("walt")
	if err != nil {
		t.Fatal(err)
	}
	say := walk(t, w.ConnString("walt")+" password="+token)
	if got := say(parse("", "CREATE TABLE near.made (id int)"), bind("", ""), execute(""), &pgproto3.Close{ObjectType: 'P'}, sync); got != "ready I" {
		t.Fatal(got)
	}
	// The first decision reads the catalog, and may be refused for want of time.
	for range 20 {
		got := say("SELECT name FROM near.who")
		if got == "row ready I" {
			return
		}
		if got != "57P03 ready I" {
			t.Fatal(got)
		}
	}
	t.Error("refused for ever")
}
