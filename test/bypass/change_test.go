package bypass_test

import (
	"strings"
	"testing"
	"time"

	"github.com/scopewire/scopewire/cmd/scopewire/demo"
	"github.com/scopewire/scopewire/internal/pgtest"
	"github.com/scopewire/scopewire/test/cluster"
)

// TestSec_T20_EncodingsAreRefused: bytes that are no UTF-8, in which a quote could hide,
// and NUL never reach the server; how settings are kept from doing the same is in
// encoding.yaml, which TestAttacksAreDenied runs.
func TestSec_T20_EncodingsAreRefused(t *testing.T) {
	conn := cluster.Connect(t, world(t), "mallory").PgConn()
	if n := len(load(t, "encoding.yaml")); n < 20 {
		t.Errorf("only %d spellings", n)
	}
	for name, text := range map[string]string{
		"a quote behind a lead byte": "SELECT '\xc0' OR 1=1 --'",
		"an overlong quote":          "SELECT '\xc0\xa7'",
		"a surrogate":                "SELECT '\xed\xa0\x80'",
		"cut off":                    "SELECT '\xe2\x82'",
		"beyond Unicode":             "SELECT '\xf4\x90\x80\x80'",
		"in a name":                  "SELECT \"\xff\"",
		"in a comment":               "SELECT 1 -- \xbf\x27",
	} {
		t.Run(name, func(t *testing.T) {
			query, parse := run(t, conn, text)
			if query != "22021" || parse != "22021" {
				t.Errorf("as a Query %q, as a Parse %q", query, parse)
			}
		})
	}
}

// TestSec_T29_ChangesAfterJudgement: a statement that was prepared and judged is judged
// again once the catalog has changed under it: the table it writes has a trigger now,
// whose code would run with the login's rights.
func TestSec_T29_ChangesAfterJudgement(t *testing.T) {
	w := world(t)
	conn := cluster.Connect(t, w, "wanda").PgConn()
	if _, err := conn.Prepare(t.Context(), "write", "UPDATE orders SET status = 'x' WHERE id = -1", nil); err != nil {
		t.Fatal(err)
	}
	execute := func() string {
		_, err := conn.ExecPrepared(t.Context(), "write", nil, nil, nil).Close()
		if err == nil {
			return ""
		}
		return asPgError(t, err, "write").Code
	}
	if state := execute(); state != "" {
		t.Fatalf("before the change: %q", state)
	}
	owner := w.Postgres.ConnString(demo.Database)
	pgtest.Exec(t, owner, `CREATE FUNCTION spy() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER spy BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION spy()`)
	// The bound for changes from outside is a second; the machine may be slow.
	state := ""
	for deadline := time.Now().Add(10 * time.Second); state != "42501" && time.Now().Before(deadline); {
		if state = execute(); state != "" && state != "42501" {
			t.Fatalf("after the change: %q", state)
		}
	}
	if state != "42501" {
		t.Error("the statement runs on with the decision from before the change")
	}
	for _, sql := range []string{"EXPLAIN ANALYZE UPDATE orders SET status = 'x'", "WITH w AS (UPDATE orders SET status = 'x' RETURNING 1) SELECT 1",
		"PREPARE p AS UPDATE orders SET status = 'x'"} {
		if query, _ := run(t, conn, sql); query != "42501" {
			t.Errorf("%s: %q", strings.Fields(sql)[0], query)
		}
	}
}
