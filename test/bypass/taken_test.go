package bypass_test

import (
	"strings"
	"testing"

	"github.com/scopewire/scopewire/cmd/scopewire/demo"
	"github.com/scopewire/scopewire/test/cluster"
)

// takenNames: the key that near.list gets is not called list_pkey, since a constraint of
// the schema is, but list_pkey1. What list_pkey stands for is far's.
const takenNames = contexts + `
CREATE TABLE near.taken (id int CONSTRAINT list_pkey CHECK (id > 0));
CREATE TABLE near.list (id int NOT NULL);
CREATE TABLE far.list (id int PRIMARY KEY);
ALTER TABLE near.list OWNER TO shop_app;
ALTER TABLE far.list OWNER TO shop_app;
`

// TestSec_T23_NamesMadeUp: a name that the server makes up, in a message, is not mistaken
// for the one that it would make up if that were free.
func TestSec_T23_NamesMadeUp(t *testing.T) {
	w := cluster.Start(t, demo.Config{SQL: takenNames, Scopes: chainScopes, Users: []demo.User{
		{Name: "chaim", Scopes: []string{"chained"}, About: "sends several statements at once"},
	}})
	token, err := w.Token("chaim")
	if err != nil {
		t.Fatal(err)
	}
	const message = "BEGIN; SET LOCAL search_path = near, far; ALTER TABLE near.list ADD PRIMARY KEY (id); ALTER INDEX list_pkey RENAME TO canary; COMMIT"
	const renamed = "SELECT relname FROM pg_class WHERE relnamespace = 'far'::regnamespace AND relname = 'canary'"
	server := walk(t, w.Postgres.ConnString(demo.Database))
	walk(t, w.ConnString("chaim")+" password="+token)(message)
	if got := server(renamed); strings.Contains(got, canary) {
		t.Errorf("through Scopewire an index of far was renamed: %s", got)
	}
	server(message)
	if got := server(renamed); !strings.Contains(got, canary) {
		t.Errorf("without Scopewire it was not: %s", got)
	}
}
