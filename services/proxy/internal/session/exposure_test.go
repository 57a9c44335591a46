package session_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/scopewire/scopewire/internal/pgtest"
)

// TestExposure: what the server says about an open message is what the client hears;
// where any message of the transaction was closed, it hears the closed form. Texts
// with the word open are open.
func TestExposure(t *testing.T) {
	database := pgtest.NewDatabaseOn(t, pgtest.Start(t), `
		CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child (id int REFERENCES parent DEFERRABLE INITIALLY DEFERRED);
		CREATE FUNCTION speak() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'a word of %', current_database(); RETURN 1; END $$`)
	const (
		whole      = `ErrorResponse ERROR 23503 insert or update on table "child" violates foreign key constraint "child_id_fkey"`
		closed     = "ErrorResponse ERROR 23503 foreign key violation"
		begin      = "BEGIN /* open */"
		commit     = "COMMIT /* open */"
		breaksOpen = "INSERT INTO child VALUES (7) /* open */"
		breaks     = "INSERT INTO child VALUES (7)"
		wrongOpen  = "SELECT 'secret'::int /* open */"
	)
	pipeline := func(sql string) step { return step{prep("", sql), bind("", ""), exec(""), syn} }
	for _, tt := range []struct {
		name  string
		steps []step
		want  []string
	}{
		{"open", []step{{q(wrongOpen)}}, []string{`ErrorResponse ERROR 22P02 invalid input syntax for type integer: "secret"`}},
		{"closed", []step{{q("SELECT 'secret'::int")}}, []string{"ErrorResponse ERROR 22P02 invalid text representation"}},
		{"open notice", []step{{q("SELECT speak() /* open */")}}, []string{"NoticeResponse NOTICE 00000 a word of DB"}},
		{"closed notice", []step{{q("SELECT speak()")}}, []string{"NoticeResponse NOTICE 00000 notice"}},
		{"open at COMMIT", []step{{q(begin)}, {q(breaksOpen)}, {q(commit)}}, []string{whole}},
		{"closed at COMMIT", []step{{q(begin)}, {q(breaks)}, {q(commit)}}, []string{closed}},
		{"closed before, open behind", []step{{q(begin)}, {q(breaks)}, {q(breaksOpen)}, {q(commit)}}, []string{closed}},
		{"open in the next transaction", []step{{q(begin)}, {q(breaks)}, {q("ROLLBACK /* open */")}, {q(breaksOpen)}}, []string{whole}},
		{"open at Sync", []step{pipeline(breaksOpen)}, []string{whole}},
		{"closed at Sync", []step{pipeline(breaks)}, []string{closed}},
		{"closed before in the pipeline", []step{{prep("", breaks), bind("", ""), exec(""), prep("", wrongOpen), bind("", ""), exec(""), syn}},
			[]string{"ErrorResponse ERROR 22P02 invalid text representation"}},
		{"open behind a Sync", []step{append(pipeline("SELECT 1"), pipeline(breaksOpen)...)}, []string{whole}},
		{"Bind", []step{{prep("", "SELECT $1::int /* open */"), &pgproto3.Bind{Parameters: [][]byte{[]byte("secret")}}, syn}},
			[]string{`ErrorResponse ERROR 22P02 invalid input syntax for type integer: "secret"`}},
		{"closed Bind", []step{{prep("", "SELECT $1::int"), &pgproto3.Bind{Parameters: [][]byte{[]byte("secret")}}, syn}},
			[]string{"ErrorResponse ERROR 22P02 invalid text representation"}},
		{"a denial says nothing of it", []step{{q("SELECT denied")}, {q(wrongOpen)}},
			[]string{"ErrorResponse ERROR 42501 permission denied by the access token's scopes", `ErrorResponse ERROR 22P02 invalid input syntax for type integer: "secret"`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, database)
			var got []string
			for _, st := range tt.steps {
				for _, line := range r.client.run(st...) {
					if strings.HasPrefix(line, "ErrorResponse") || strings.HasPrefix(line, "NoticeResponse") {
						got = append(got, strings.ReplaceAll(line, database, "DB"))
					}
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}
