package session_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"

	authzv1 "github.com/scopewire/scopewire/gen/go/scopewire/authz/v1"
	"github.com/scopewire/scopewire/services/proxy/internal/decide"
	"github.com/scopewire/scopewire/services/proxy/internal/session"
)

// What the server has bound before, and what is judged now. Each script is about x, which
// is public.x first and a temporary one, which comes first on every path, later.

const shadow = "CREATE TEMP TABLE x (v text); INSERT INTO x VALUES ('temporary')"

func newShadowed(t *testing.T) (*wireClient, *knower) {
	t.Helper()
	r, knows := newKnower(t)
	r.client.run(q("CREATE TABLE public.x (v text)"), q("INSERT INTO x VALUES ('permanent')"))
	// The temporary schema is there before, so that making x moves no path.
	r.client.run(q("CREATE TEMP TABLE other (id int)"))
	return r.client, knows
}

func rows(lines []string) string {
	var out []string
	for _, line := range lines {
		if row, ok := strings.CutPrefix(line, "DataRow "); ok {
			out = append(out, row)
		}
		if strings.HasPrefix(line, "ErrorResponse") {
			out = append(out, strings.Fields(line)[2])
		}
	}
	return strings.Join(out, " ")
}

// TestShadowedPreparedStatements: the server goes on reading what it found first. Behind
// the session it reads what the statement is judged by.
func TestShadowedPreparedStatements(t *testing.T) {
	for _, transaction := range []bool{false, true} {
		t.Run(fmt.Sprintf("transaction %t", transaction), func(t *testing.T) {
			c, _ := newShadowed(t)
			const text = "SELECT v FROM x"
			c.run(prep("named", text), prep("", text), syn, q("PREPARE sql AS "+text))
			c.run(q("EXECUTE sql"), bind("", "named"), exec(""), syn)
			if transaction {
				c.run(q("BEGIN"))
			}
			for part := range strings.SplitSeq(shadow, "; ") {
				c.run(q(part))
			}
			if got := rows(c.run(q(text), q("EXECUTE sql"), bind("", "named"), exec(""), syn)); got != "temporary temporary temporary" {
				t.Errorf("shadowed: %s", got)
			}
			c.run(q("DROP TABLE x"))
			if got := rows(c.run(bind("", "named"), exec(""), syn, q("EXECUTE sql"), q(text))); got != "permanent permanent permanent" {
				t.Errorf("gone again: %s", got)
			}
			// What the server says of a result of another form is the server's to say.
			c.run(prep("all", "SELECT * FROM x"), bind("", "all"), exec(""), syn, q("CREATE TEMP TABLE x (a int, b int)"))
			if got := rows(c.run(bind("", "all"), exec(""), syn)); got != "0A000" {
				t.Errorf("another form: %s", got)
			}
		})
	}
}

// TestShadowedBetweenParseAndBind: between Parse and Bind of one pipeline somebody else
// makes an object that comes first.
func TestShadowedBetweenParseAndBind(t *testing.T) {
	r, knows := newKnower(t)
	c := r.client
	c.run(q("CREATE SCHEMA early"), q("CREATE TABLE public.x (v text)"), q("INSERT INTO x VALUES ('late')"), q("SET search_path = early, public"))
	c.run(prep("", "SELECT v FROM x"), syn)
	other := direct(t, knows.database)
	other.run(q("CREATE TABLE early.x (v text)"), q("INSERT INTO early.x VALUES ('early')"))
	r.fence.Observe(&authzv1.Epoch{Policy: 1, Catalog: map[string]uint64{knows.database: 100}})
	knows.mu.Lock()
	knows.base = 100
	knows.mu.Unlock()
	if got := rows(c.run(bind("", ""), exec(""), syn)); got != "early" {
		t.Errorf("read %s", got)
	}
}

// TestMovedPortals: a portal or cursor keeps its plan. It is refused when its names mean
// something else than when it was opened, and goes on when they do not.
func TestMovedPortals(t *testing.T) {
	c, _ := newShadowed(t)
	fetch := func(portal string) []pgproto3.FrontendMessage {
		return []pgproto3.FrontendMessage{&pgproto3.Execute{Portal: portal, MaxRows: 1}, syn}
	}
	open := func() {
		c.run(q("BEGIN"), q("INSERT INTO x VALUES ('second'), ('third')"), prep("p", "SELECT v FROM x"), bind("open", "p"), syn,
			q("DECLARE declared CURSOR FOR SELECT v FROM x"))
		if got := rows(append(c.run(fetch("open")...), c.run(q("FETCH declared"))...)); got != "permanent permanent" {
			t.Fatalf("opened: %s", got)
		}
	}
	closed := func() { c.run(q("ROLLBACK"), q("DEALLOCATE ALL")) }
	open()
	c.run(q("CREATE TEMP TABLE more (id int)"), q("CREATE TABLE y (id int)"))
	if got := rows(append(c.run(fetch("open")...), c.run(q("FETCH declared"))...)); got != "second second" {
		t.Errorf("other objects: %s", got)
	}
	c.run(q("SAVEPOINT a"), q("CREATE TEMP TABLE x (v text)"))
	if got := rows(c.run(fetch("open")...)); got != "55000" {
		t.Errorf("portal, shadowed: %s", got)
	}
	if got := rows(c.run(q("ROLLBACK TO a"), q("FETCH declared"))); got != "third" {
		t.Errorf("rolled back: %s", got)
	}
	closed()
	open()
	c.run(q("CREATE TEMP TABLE x (v text)"))
	if got := rows(c.run(q("FETCH declared"))); got != "55000" {
		t.Errorf("cursor, shadowed: %s", got)
	}
	closed()
	open()
	c.run(q("CREATE TEMP TABLE x (v text)"))
	if got := rows(c.run(descP("open"), syn)); got != "55000" {
		t.Errorf("description, shadowed: %s", got)
	}
	closed()
	// Declared and read in one message.
	if got := rows(c.run(q("BEGIN; DECLARE c CURSOR FOR SELECT v FROM x; FETCH c; CLOSE c; DECLARE c CURSOR FOR SELECT 'new'; FETCH c; COMMIT"))); got != "permanent new" {
		t.Errorf("one message: %s", got)
	}
}

// TestTemporaryObjectsOfCodeAreItsOwn: what trusted code has put into the temporary schema
// is not the client's to read, under whatever name; what the client makes beside it is.
func TestTemporaryObjectsOfCodeAreItsOwn(t *testing.T) {
	r, _ := newOwner(t)
	c := r.client
	denied := func(what string, want bool, text string) {
		t.Helper()
		if got := rows(c.run(q(text))); (got == "42501") != want {
			t.Errorf("%s: %s gives %s", what, text, got)
		}
	}
	const code = "DO 'BEGIN CREATE TEMP TABLE theirs AS SELECT 1 AS id; END'"
	c.run(q("CREATE TEMP TABLE mine (id int)"), q(code))
	denied("made by code", true, "SELECT id FROM theirs")
	denied("made before", false, "SELECT id FROM mine")
	denied("tied to it", true, "ALTER TABLE theirs INHERIT mine")
	c.run(q("DO 'BEGIN ALTER TABLE theirs RENAME TO others; END'"))
	denied("renamed", true, "SELECT id FROM others")
	denied("dropped", false, "DISCARD TEMP")
	c.run(q("CREATE TEMP TABLE mine (id int)"))
	denied("made again", false, "SELECT id FROM mine")
	c.run(q("DO 'BEGIN DROP TABLE mine; CREATE TEMP TABLE mine AS SELECT 1 AS id; END'"))
	denied("made again by code", true, "SELECT id FROM mine")
	c.run(q("DISCARD TEMP"), q("BEGIN"), q("DO 'BEGIN END'"), q("CREATE TEMP TABLE mine (id int)"))
	denied("made behind code", false, "SELECT id FROM mine")
	c.run(q("ROLLBACK"))
}

// newOwner is a session whose authorizer says what a SELECT reads from the temporary
// schema.
func newOwner(t *testing.T) (*rig, *owner) {
	t.Helper()
	o := &owner{}
	r := newRig(t, dbname(t), func(_ *session.Params, deps *session.Deps) {
		if j, ok := deps.Authorizer.(*judge); ok {
			o.judge = j
		}
		deps.Authorizer = o
	})
	return r, o
}

type owner struct{ *judge }

func (o *owner) Authorize(ctx context.Context, req *decide.Request) (*decide.Decision, error) {
	d, err := o.judge.Authorize(ctx, req)
	if err != nil {
		return nil, err
	}
	st := ownStatement(string(req.Text))
	if st.GetKind() == "discard" {
		st.Kind = "discard temp"
	}
	if _, name, ok := strings.Cut(string(req.Text), " FROM "); ok && st.GetKind() == "select" {
		st.Accesses = []*authzv1.Access{{Resolved: &authzv1.ObjectName{Schema: "pg_temp", Name: name}}}
	}
	d.Statements = []*authzv1.Statement{st}
	return d, nil
}
