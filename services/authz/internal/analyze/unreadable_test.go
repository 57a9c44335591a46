package analyze

import (
	"testing"

	"github.com/scopewire/scopewire/internal/pgtest"
	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// TestUnreadableTexts: what reaches a text that was locked when the catalog was read
// has no decision, which is told only to whom the object is granted; the rest of the
// object's statements have one.
func TestUnreadableTexts(t *testing.T) {
	for _, c := range []struct {
		sql     string
		change  func(*builder)
		refused bool
	}{
		{"SELECT id FROM order_view", func(b *builder) { b.find("public", "order_view").Definition = catalog.Unreadable }, true},
		{"SELECT id FROM orders", func(b *builder) { b.find("public", "order_view").Definition = catalog.Unreadable }, false},
		{"INSERT INTO own_check VALUES (1)", func(b *builder) { b.find("public", "own_check").Checks[0].Text = catalog.Unreadable }, true},
		{"SELECT a FROM ruled", func(b *builder) { b.find("public", "ruled").Rules[0].Definition = catalog.Unreadable }, false},
		{"INSERT INTO own_index VALUES (1)", func(b *builder) { b.find("public", "own_index").IndexExpressions[0].Text = catalog.Unreadable }, true},
		{"INSERT INTO own_generated (a) VALUES (1)", func(b *builder) { b.find("public", "own_generated").Columns[1].Default = catalog.Unreadable }, true},
		{"INSERT INTO ruled VALUES (1)", func(b *builder) { b.find("public", "ruled").Rules[0].Definition = catalog.Unreadable }, true},
		{"INSERT INTO triggered VALUES (1)", func(b *builder) {
			trigger := &b.find("public", "triggered").Triggers[0]
			trigger.Condition, trigger.Definition = true, catalog.Unreadable
		}, true},
	} {
		b := fixture(t)
		c.change(b)
		got := Analyze(Input{Text: []byte(c.sql), Context: publicContext()}, b.index())
		if refused := got.Outcome == access.Refused; refused != c.refused {
			t.Errorf("%s: outcome %v, %s", c.sql, got.Outcome, got.Detail)
		}
		if c.refused && (got.Reason != access.Unavailable || got.Error.SQLState != stateCannotConnect || len(got.Requires) == 0) {
			t.Errorf("%s: reason %v, SQLSTATE %s, told to whom is granted %v", c.sql, got.Reason, got.Error.SQLState, got.Requires)
		}
	}
}

// TestUnreadableBody: so has a call of a function whose body was locked, whoever's rights it
// runs with: a deny on what it reads could not be seen.
func TestUnreadableBody(t *testing.T) {
	for _, rights := range []string{"DEFINER", "INVOKER"} {
		snap := readSnapshot(t, pgtest.NewDatabase(t, "CREATE TABLE seen (id int); CREATE FUNCTION shows() RETURNS int LANGUAGE sql SECURITY "+rights+" BEGIN ATOMIC SELECT id FROM seen; END"))
		for i := range snap.Functions {
			if f := &snap.Functions[i]; f.Name == "shows" {
				f.StandardBody = catalog.Unreadable
			}
		}
		got := Analyze(Input{Text: []byte("SELECT shows()"), Context: publicContext()}, snap)
		if got.Outcome != access.Refused || got.Reason != access.Unavailable || len(got.Requires) == 0 {
			t.Errorf("%s: outcome %v, reason %v, told to whom is granted %v", rights, got.Outcome, got.Reason, got.Requires)
		}
	}
}
