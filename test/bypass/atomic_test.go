package bypass_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/scopewire/scopewire/cmd/scopewire/demo"
)

// TestSec_T16_NothingBesideADenial: what is allowed takes no effect beside what is denied in
// one pipeline, transaction or message; names of SQL and of the protocol make no
// difference.
func TestSec_T16_NothingBesideADenial(t *testing.T) {
	w := world(t)
	owner, err := pgx.Connect(t.Context(), w.Postgres.ConnString(demo.Database))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = owner.Close(context.WithoutCancel(t.Context())) })
	written := func(t *testing.T) (rows int) {
		t.Helper()
		if err := owner.QueryRow(t.Context(), "SELECT count(*) FROM orders WHERE status = 'atomic'").Scan(&rows); err != nil {
			t.Fatal(err)
		}
		return rows
	}
	q := func(sql string) pgproto3.FrontendMessage { return &pgproto3.Query{String: sql} }
	const allowed = "UPDATE orders SET status = 'atomic' WHERE id = 1"
	for _, tc := range []struct {
		name     string
		messages []pgproto3.FrontendMessage
		want     string
	}{
		{"a pipeline", []pgproto3.FrontendMessage{parse("", allowed), bind("", ""), execute(""), parse("", hidden), bind("", ""), execute(""), sync}, "42501 ready I"},
		{"a transaction", []pgproto3.FrontendMessage{q("BEGIN"), q(allowed), q(hidden), q("COMMIT")}, "ready T ready T 42501 ready E ready I"},
		{"a message", []pgproto3.FrontendMessage{q(allowed + "; " + hidden)}, "42501 ready I"},
		{"a message, the denied first", []pgproto3.FrontendMessage{q(hidden + "; " + allowed)}, "42501 ready I"},
		{"a transaction in a pipeline", []pgproto3.FrontendMessage{
			parse("", "BEGIN"), bind("", ""), execute(""), parse("", allowed), bind("", ""), execute(""), parse("", hidden), bind("", ""), execute(""), sync, q("COMMIT"),
		}, "42501 ready E ready I"},
		{"a prepared statement", []pgproto3.FrontendMessage{parse("x", allowed), parse("", "EXECUTE x"), bind("", ""), execute(""), parse("", hidden), sync}, "42501 ready I"},
		{"a cursor that writes", []pgproto3.FrontendMessage{
			q("BEGIN"), parse("", allowed+" RETURNING id"), bind("c", ""), sync, q("FETCH 1 FROM c"), q(hidden), q("COMMIT"),
		}, "ready T ready T row ready T 42501 ready E ready I"},
		{"a function call", []pgproto3.FrontendMessage{q("BEGIN"), q(allowed), &pgproto3.FunctionCall{Function: 1215}, q("COMMIT")}, "ready T ready T 42501 ready E ready I"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := talk(t, hijackAs(t, w, "wanda"), tc.messages...); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
			if n := written(t); n != 0 {
				t.Errorf("%d rows were written", n)
			}
		})
	}
	// The same without the denial writes.
	if got := talk(t, hijackAs(t, w, "wanda"), parse("", allowed), bind("", ""), execute(""), sync); got != "ready I" {
		t.Errorf("got %q", got)
	}
	if n := written(t); n != 1 {
		t.Errorf("%d rows were written without a denial", n)
	}
}
