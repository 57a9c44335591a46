package analyze

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog/catalogtest"
)

// What drivers and pools send at connect needs nothing; every other setting what SET of
// it needs, and who the session is cannot be said.
func TestStartupSettings(t *testing.T) {
	snap := catalogtest.Empty(t, 15)
	snap.Index()
	for _, c := range []struct {
		name     string
		settings map[string]string
		denied   bool
		accesses []string
	}{
		{name: "nothing", settings: map[string]string{}},
		{name: "libpq", settings: map[string]string{"application_name": "psql", "client_encoding": "UTF8", "datestyle": "ISO", "timezone": "UTC", "geqo": "off"}},
		{name: "JDBC", settings: map[string]string{"datestyle": "ISO", "timezone": "Europe/Berlin", "client_encoding": "UTF8", "extra_float_digits": "2"}},
		{name: "Npgsql", settings: map[string]string{"client_encoding": "UTF8", "application_name": "app", "search_path": ""}},
		{name: "asyncpg", settings: map[string]string{"client_encoding": "'utf-8'", "jit": "off"}},
		{name: "node-postgres", settings: map[string]string{"client_encoding": "UTF8", "statement_timeout": "5000", "lock_timeout": "1", "idle_in_transaction_session_timeout": "1"}},
		{name: "postgres.js", settings: map[string]string{"idle_session_timeout": "0", "extra_float_digits": "1"}},
		{name: "defaults of transactions", settings: map[string]string{"default_transaction_isolation": "serializable", "default_transaction_read_only": "on"}},
		{name: "pinned", settings: map[string]string{"standard_conforming_strings": "on", "backslash_quote": "safe_encoding"}},
		{name: "pinned to another", settings: map[string]string{"standard_conforming_strings": "off"}, denied: true},
		{name: "another encoding", settings: map[string]string{"client_encoding": "SJIS"}, denied: true},
		{name: "search_path", settings: map[string]string{"search_path": `"$user", public, "Mixed", pg_catalog`}, accesses: []string{"usage schema public", "usage schema Mixed"}},
		{name: "search_path of nothing there", settings: map[string]string{"search_path": "nowhere"}, accesses: []string{"usage schema nowhere"}},
		{name: "search_path that cannot be read", settings: map[string]string{"search_path": `"a`}, denied: true},
		{name: "custom", settings: map[string]string{"app.tenant": "1"}, accesses: []string{"set setting app.tenant"}},
		{name: "guarded", settings: map[string]string{"client_min_messages": "debug5"}, accesses: []string{"set setting client_min_messages"}},
		{name: "system", settings: map[string]string{"session_preload_libraries": "x"}, accesses: []string{"admin setting session_preload_libraries"}},
		{name: "unknown", settings: map[string]string{"no_such_setting": "x"}, accesses: []string{"set setting no_such_setting"}},
		{name: "role", settings: map[string]string{"role": "postgres"}, denied: true},
		{name: "session_authorization", settings: map[string]string{"session_authorization": "postgres"}, denied: true},
		{name: "Scopewire's own", settings: map[string]string{"scopewire.token": "x"}, denied: true},
		{name: "upper case", settings: map[string]string{"Search_Path": "hr"}, denied: true},
		{name: "no name", settings: map[string]string{"": "hr"}, denied: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := Analyze(Input{Startup: c.settings}, snap)
			if (got.Outcome == access.Denied) != c.denied {
				t.Fatalf("%s %s %s", outcomeName(got.Outcome), got.Reason, got.Detail)
			}
			if c.denied {
				return
			}
			var accesses []string
			for _, a := range got.Statements[0].Accesses {
				accesses = append(accesses, accessText(a))
			}
			if diff := cmp.Diff(c.accesses, accesses); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}
