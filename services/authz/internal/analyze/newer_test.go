package analyze

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// newerCase is a text that not every version's grammar has.
type newerCase struct {
	SQL string `yaml:"sql"`
	// Since is the first major version that takes it.
	Since int `yaml:"since"`
	// Sent says that an older server is asked, which rejects it, and a newer one than the
	// parser as well, which takes it.
	Sent bool `yaml:"sent,omitempty"`
}

// TestNewerGrammar: what a server's grammar does not have gets the error that the server
// itself gives, and what the parser's does not have never reaches a server that has it.
func TestNewerGrammar(t *testing.T) {
	o := newOracleOf(t, "grammar.sql")
	major := o.snap.ServerVersionNum / 10000
	for _, c := range readYAML[newerCase](t, "grammar.yaml") {
		t.Run(c.SQL, func(t *testing.T) {
			context := publicContext()
			context.ServerVersionNum = o.snap.ServerVersionNum
			got := Analyze(Input{Text: []byte(c.SQL), Context: context}, o.snap)
			if major >= c.Since {
				want := c.Since > parserMajor && !c.Sent
				if rejected := got.Outcome == access.Failed && got.Reason == access.GrammarUnknown; rejected != want || got.Error.SQLState == stateSyntax && !want {
					t.Errorf("analysis: %v %s %s %+v", got.Outcome, got.Reason, got.Detail, got.Error)
				}
				if strings.HasPrefix(c.SQL, "COPY t FROM") {
					return // It would wait for data.
				}
				if err := o.as(t, "public", nil, c.SQL); err != nil && err.Code == stateSyntax {
					t.Errorf("the server: %v", err)
				}
				return
			}
			theirs := o.as(t, "public", nil, c.SQL)
			if theirs == nil || theirs.Code != stateSyntax {
				t.Fatalf("the server takes it: %v", theirs)
			}
			if c.Sent {
				if got.Outcome != access.Judge {
					t.Errorf("analysis: %v %s %s %+v", got.Outcome, got.Reason, got.Detail, got.Error)
				}
				return
			}
			ours := pgconn.PgError{Code: got.Error.SQLState, Message: got.Error.Message, Hint: got.Error.Hint, Position: int32(got.Error.Position)}
			if diff := cmp.Diff(pgconn.PgError{Code: theirs.Code, Message: theirs.Message, Hint: theirs.Hint, Position: theirs.Position}, ours); diff != "" || got.Outcome == access.Judge {
				t.Errorf("outcome %v (-server +ours)\n%s", got.Outcome, diff)
			}
		})
	}
}

// What looks newer and is a call of a function there, or a column.
func TestOlderReadings(t *testing.T) {
	o := newOracleOf(t, "grammar.sql")
	context := publicContext()
	context.ServerVersionNum = 150018
	for _, sql := range []string{
		"SELECT f.value FROM (SELECT 1 AS value) f, u WHERE json_array(f.value) IS NULL",
		"SELECT json_object(value) FROM (SELECT ARRAY['a'] AS value) f",
		"SELECT json_array(true AND value, a.format) FROM (SELECT true AS value, 1 AS format) a",
		"SELECT matched FROM (SELECT 1 AS matched) AS m WHERE NOT matched = 1",
	} {
		if got := Analyze(Input{Text: []byte(sql), Context: context}, o.snap); got.Error.SQLState == stateSyntax {
			t.Errorf("%s: %+v", sql, got.Error)
		}
	}
}
