package session_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"

	auditv1 "github.com/scopewire/scopewire/gen/go/scopewire/audit/v1"
	"github.com/scopewire/scopewire/internal/pgtest"
)

func q(sql string) pgproto3.FrontendMessage { return &pgproto3.Query{String: sql} }

func prep(name, sql string) pgproto3.FrontendMessage { return &pgproto3.Parse{Name: name, Query: sql} }

func bind(portal, name string) pgproto3.FrontendMessage {
	return &pgproto3.Bind{DestinationPortal: portal, PreparedStatement: name}
}

func exec(portal string) pgproto3.FrontendMessage { return &pgproto3.Execute{Portal: portal} }

func descS(name string) pgproto3.FrontendMessage {
	return &pgproto3.Describe{ObjectType: 'S', Name: name}
}

func descP(name string) pgproto3.FrontendMessage {
	return &pgproto3.Describe{ObjectType: 'P', Name: name}
}

func closeS(name string) pgproto3.FrontendMessage {
	return &pgproto3.Close{ObjectType: 'S', Name: name}
}

func closeP(name string) pgproto3.FrontendMessage {
	return &pgproto3.Close{ObjectType: 'P', Name: name}
}

var (
	syn   pgproto3.FrontendMessage = &pgproto3.Sync{}
	flush pgproto3.FrontendMessage = &pgproto3.Flush{}
)

type step []pgproto3.FrontendMessage

// scripts hold a denied text, `SELECT denied`, wherever it may stand. Each step
// is sent at once, its answers awaited.
func scripts() map[string][]step {
	const d = "SELECT denied"
	one := step{prep("", "SELECT v FROM t WHERE id = 1"), descS(""), bind("", ""), exec(""), syn}
	return map[string][]step{
		"autocommit":               {{q(d)}, {q("SELECT 1")}},
		"multi statement":          {{q("INSERT INTO t VALUES (10, 'x'); " + d)}, {q("SELECT count(*) FROM t")}},
		"multi statement in tx":    {{q("BEGIN; INSERT INTO t VALUES (10, 'x'); " + d + "; COMMIT")}, {q("SELECT count(*) FROM t")}},
		"transaction":              {{q("BEGIN")}, {q("INSERT INTO t VALUES (10, 'x')")}, {q(d)}, {q("SELECT 1")}, {q("COMMIT")}, {q("SELECT count(*) FROM t")}},
		"savepoint":                {{q("BEGIN")}, {q("INSERT INTO t VALUES (10, 'x')")}, {q("SAVEPOINT a")}, {q(d)}, {q("ROLLBACK TO a")}, {q("SELECT 1")}, {q("COMMIT")}, {q("SELECT count(*) FROM t")}},
		"chain":                    {{q("BEGIN")}, {q(d)}, {q("COMMIT AND CHAIN")}, {q("SELECT 1")}, {q("ROLLBACK")}},
		"extended":                 {{prep("", d), bind("", ""), exec(""), syn}, one},
		"extended in tx":           {{q("BEGIN")}, {prep("", d), descS(""), bind("", ""), exec(""), syn}, one, {q("ROLLBACK")}, one},
		"implicit transaction":     {{prep("", "INSERT INTO t VALUES (10, 'x')"), bind("", ""), exec(""), prep("", d), bind("", ""), exec(""), syn}, {q("SELECT count(*) FROM t")}},
		"named statement":          {{prep("a", d), syn}, {bind("", "a"), exec(""), syn}, {prep("a", "SELECT 2"), syn}, {bind("", "a"), exec(""), syn}},
		"unnamed is dropped":       {{prep("", "SELECT 1"), syn}, {prep("", d), syn}, {bind("", ""), exec(""), syn}},
		"query drops the unnamed":  {{prep("", "SELECT 1"), syn}, {q(d)}, {bind("", ""), exec(""), syn}},
		"several syncs":            {{prep("", "SELECT 1"), bind("", ""), exec(""), syn, prep("", d), bind("", ""), exec(""), syn, prep("", "SELECT 3"), bind("", ""), exec(""), syn}},
		"several queries":          {{q("SELECT 1"), q(d), q("SELECT 3")}},
		"query inside a pipeline":  {{prep("", d), q("INSERT INTO t VALUES (11, 'y')"), syn}, {q("SELECT count(*) FROM t")}},
		"flush before":             {{prep("", "SELECT 1"), flush, prep("b", d), flush, syn}, one},
		"close after":              {{prep("c", "SELECT 1"), syn}, {prep("", d), closeS("c"), syn}, {bind("", "c"), exec(""), syn}},
		"portal kept in tx":        {{q("BEGIN")}, {prep("", "SELECT id FROM t ORDER BY id"), bind("p", ""), &pgproto3.Execute{Portal: "p", MaxRows: 1}, syn}, {q(d)}, {exec("p"), syn}, {q("ROLLBACK")}, {exec("p"), syn}},
		"duplicate after a denial": {{prep("s", "SELECT 1"), syn}, {prep("s", d), syn}, {bind("", "s"), exec(""), syn}},
		"describe of nothing":      {{descS("nothing"), syn}, {descP("nothing"), syn}, {bind("", "nothing"), syn}, {exec("nothing"), syn}, {closeP("nothing"), syn}},
		"error before":             {{prep("", "SELECT 1/0"), bind("", ""), exec(""), prep("", d), syn}, one},
		"deferred error at sync":   {{prep("", "SELECT 1/(id-1) FROM t"), bind("", ""), exec(""), syn}, {q(d)}},
	}
}

var closedMessage = regexp.MustCompile(`(ErrorResponse|NoticeResponse) (\S+) (\S+) .*`)

// normalise keeps of errors what has to agree: severity and SQLSTATE.
func normalise(lines []string) []string {
	out := make([]string, 0, len(lines))
	for _, l := range lines {
		out = append(out, closedMessage.ReplaceAllString(l, "$1 $2 $3"))
	}
	return out
}

// A denial behaves as a syntax error in the same message does: each script runs
// against PostgreSQL with a syntax error where the denied statement stands, and
// through the session with the denied statement; the transcripts differ in the
// SQLSTATE alone.
func TestDenialBehavesAsSyntaxError(t *testing.T) {
	for name, steps := range scripts() {
		t.Run(name, func(t *testing.T) {
			plain := direct(t, dbname(t))
			var want []string
			for _, st := range steps {
				want = append(want, plain.run(broken(st)...)...)
			}
			for i, l := range want {
				want[i] = asDenied(l)
			}
			r := newRig(t, dbname(t))
			var got []string
			for _, st := range steps {
				got = append(got, r.client.run(st...)...)
			}
			if diff := cmp.Diff(normalise(want), normalise(got)); diff != "" {
				t.Errorf("direct with a syntax error (-) and denied (+):\n%s", diff)
			}
			if r.received("denied") {
				t.Error("the server was sent a denied text")
			}
			denied := 0
			for _, l := range got {
				if strings.Contains(l, "42501") {
					denied++
				}
			}
			if n := len(r.spool.of(auditv1.EventType_EVENT_TYPE_STATEMENT_DENIED)); n < denied {
				t.Errorf("%d denials answered, %d recorded", denied, n)
			}
		})
	}
}

// broken replaces the denied text by one that does not parse.
func broken(st step) step {
	out := make(step, len(st))
	for i, m := range st {
		out[i] = m
		switch m := m.(type) {
		case *pgproto3.Query:
			out[i] = &pgproto3.Query{String: unparsableText(m.String)}
		case *pgproto3.Parse:
			out[i] = &pgproto3.Parse{Name: m.Name, Query: unparsableText(m.Query)}
		case *pgproto3.FunctionCall:
			if m.Function == deniedFunction {
				out[i] = &pgproto3.Query{String: "SELEC broken"}
			}
		}
	}
	return out
}

// asDenied is a line of a transcript with a denial in the place of a syntax error.
func asDenied(line string) string {
	return strings.ReplaceAll(line, "ErrorResponse ERROR 42601", "ErrorResponse ERROR 42501")
}

func unparsableText(sql string) string {
	return strings.NewReplacer("SELECT denied", "SELEC broken", "COPY denied", "COP broken").Replace(sql)
}

// dbname is a database of the test's own, with the schema in it.
func dbname(t *testing.T) string {
	t.Helper()
	return pgtest.NewDatabaseOn(t, pgtest.Start(t), schema)
}
