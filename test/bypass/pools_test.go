package bypass_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"
)

// What drivers and pools send around a session's use, as they send it. Npgsql: the text of
// NpgsqlConnector.GenerateResetMessage, prepended to the next user's first messages in one
// write. asyncpg: Connection.get_reset_query. ActiveRecord: configure_connection,
// load_additional_types and reset! of its PostgreSQL adapter.
const (
	npgsqlReset  = "SET SESSION AUTHORIZATION DEFAULT;RESET ALL;CLOSE ALL;UNLISTEN *;SELECT pg_advisory_unlock_all();DISCARD SEQUENCES;DISCARD TEMP"
	asyncpgReset = "SELECT pg_advisory_unlock_all();\nCLOSE ALL;\nUNLISTEN *;\nRESET ALL;"
	asyncpgJit   = "SELECT current_setting('jit') AS cur, set_config('jit', 'off', false) AS new"
	railsTypes   = "SELECT t.oid, t.typname, t.typelem, t.typdelim, t.typinput, r.rngsubtype, t.typtype, t.typbasetype\nFROM pg_type as t\n" +
		"LEFT JOIN pg_range as r ON oid = rngtypid\nWHERE\n  t.typname IN ('int2', 'int4', 'int8', 'text', 'timestamptz', 'int4range')\nORDER BY t.oid"
)

// resetMessages are sequences around a reset: what the session held before is there, and
// what the next user sends comes in the same write.
func resetMessages() map[string][]pgproto3.FrontendMessage {
	const rows = "SELECT id, status FROM orders ORDER BY id LIMIT 3"
	is := func(messages ...pgproto3.FrontendMessage) []pgproto3.FrontendMessage { return messages }
	used := func() []pgproto3.FrontendMessage {
		return is(ask("SET statement_timeout = '7s'"), ask("SELECT pg_advisory_unlock_all()"), parse("_p1", rows), bind("", "_p1"), execute(""), sync)
	}
	next := func() []pgproto3.FrontendMessage {
		return is(bind("", "_p1"), execute(""), sync, ask("SHOW statement_timeout"), parse("", rows), bind("", ""), execute(""), sync)
	}
	around := func(reset ...pgproto3.FrontendMessage) []pgproto3.FrontendMessage {
		return append(append(used(), reset...), next()...)
	}
	return map[string][]pgproto3.FrontendMessage{
		"Npgsql, reset and a query":         around(ask(npgsqlReset)),
		"Npgsql, reset twice":               around(ask(npgsqlReset), ask(npgsqlReset)),
		"Npgsql, reset of an open block":    around(ask("BEGIN"), ask("ROLLBACK"), ask(npgsqlReset)),
		"Npgsql, reset of a failed block":   around(ask("BEGIN"), ask("SELECT 1/0"), ask(npgsqlReset), ask("ROLLBACK"), ask(npgsqlReset)),
		"Npgsql, reset within a block":      around(ask("BEGIN"), ask("DECLARE c CURSOR FOR "+rows), ask(npgsqlReset), ask("FETCH c"), ask("ROLLBACK")),
		"Npgsql, reset and an error behind": around(ask(npgsqlReset), parse("", "SELECT 1/0"), bind("", ""), execute(""), sync),
		"Npgsql, DISCARD ALL":               around(ask("DISCARD ALL")),
		"asyncpg, reset":                    around(ask(asyncpgReset)),
		"asyncpg, reset within a block":     around(ask("BEGIN"), ask(asyncpgReset), ask("ROLLBACK")),
		"asyncpg, jit":                      around(parse("__asyncpg_stmt_1__", asyncpgJit), bind("", "__asyncpg_stmt_1__"), execute(""), sync, ask("SHOW jit"), ask(asyncpgReset), ask("SHOW jit")),
		"ActiveRecord, connect": is(ask("SET client_min_messages TO 'warning'"), ask("SET standard_conforming_strings = on"), ask("SET intervalstyle = iso_8601"),
			ask("SET SESSION timezone TO 'UTC'"), ask("SHOW max_identifier_length"), ask("SHOW search_path"), ask(railsTypes), ask(rows)),
		"ActiveRecord, reset": around(ask("BEGIN"), ask("ROLLBACK"), ask("DISCARD ALL"), ask("SET client_min_messages TO 'warning'"), ask("SET SESSION timezone TO 'UTC'")),
	}
}

// TestResetTexts: what pools send to make a session new is answered as the server answers
// it, and what is prepared behind it, or gone, is so here.
func TestResetTexts(t *testing.T) {
	w := world(t)
	server := directWorld(t)
	for name, messages := range resetMessages() {
		t.Run(name, func(t *testing.T) {
			plain, err := directAs(t, server, "wanda").Hijack()
			if err != nil {
				t.Fatal(err)
			}
			want, got := told(t, plain, messages), told(t, hijackAs(t, w, "wanda"), messages)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-server +through Scopewire)\n%s", diff)
			}
		})
	}
}
