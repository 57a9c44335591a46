package analyze

import (
	"testing"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
	"github.com/scopewire/scopewire/services/authz/internal/resolve"
)

// TestSettingOfARow: what pg_dump sends sets one setting, or none.
func TestSettingOfARow(t *testing.T) {
	snap := fixture(t).index()
	for sql, want := range map[string]access.Outcome{
		"SELECT set_config(name, 'view, foreign-table', false) FROM pg_settings WHERE name = 'restrict_nonsystem_relation_kind'": access.Judge,
		"SELECT pg_catalog.set_config(s.name, '1', true) FROM pg_catalog.pg_settings s WHERE s.name = 'work_mem'":                access.Judge,
		"SELECT (SELECT set_config(name, '1', true)) FROM pg_settings WHERE name = 'work_mem'":                                   access.Judge,
		"SELECT set_config(name, 'app', false) FROM pg_settings WHERE name = 'search_path'":                                      access.Denied,
		"SELECT set_config(name, 'postgres', false) FROM pg_settings WHERE name = 'role'":                                        access.Denied,
		"SELECT set_config(name, 'off', false) FROM pg_settings WHERE name = 'standard_conforming_strings'":                      access.Denied,
		"SELECT set_config(name, 'debug1', false) FROM pg_settings WHERE name = 'client_min_messages'":                           access.Denied,
	} {
		got := Analyze(Input{Text: []byte(sql), Context: publicContext()}, snap)
		if got.Outcome != want {
			t.Errorf("%s: %s %s", sql, outcomeName(got.Outcome), got.Detail)
			continue
		}
		if want != access.Judge {
			continue
		}
		if st := got.Statements[0]; len(st.Accesses) > 0 || len(st.Effects) != 1 || st.Effects[0].Kind != access.EffectOpaque {
			t.Errorf("%s: %+v", sql, st)
		}
	}
	// Where any row may come, so may any setting.
	for _, sql := range []string{
		"SELECT set_config(name, '1', false) FROM pg_settings",
		"SELECT set_config(setting, '1', false) FROM pg_settings WHERE name = 'work_mem'",
		"SELECT set_config(name || '', '1', false) FROM pg_settings WHERE name = 'work_mem'",
		"SELECT set_config(o.name, '1', false) FROM pg_settings o, pg_settings WHERE pg_settings.name = 'work_mem'",
		"SELECT set_config(name, '1', false) FROM pg_settings WHERE name = 'work_mem' OR true",
		"SELECT set_config(name, '1', false) FROM (VALUES ('role')) AS pg_settings (name) WHERE name = 'work_mem'",
		"WITH pg_settings AS (SELECT 'role' AS name) SELECT set_config(name, '1', false) FROM pg_settings WHERE name = 'work_mem'",
	} {
		got := Analyze(Input{Text: []byte(sql), Context: publicContext()}, snap)
		asks := got.Outcome != access.Judge
		for _, st := range got.Statements {
			for _, a := range st.Accesses {
				asks = asks || a.Action == access.Execute && a.Resolved.Name == "set_config"
			}
		}
		if !asks {
			t.Errorf("%s: free", sql)
		}
	}
}

// Of pg_settings a query may read the row of a setting that SHOW tells, and only when
// nothing else in it could see the other rows.
func TestSettingRow(t *testing.T) {
	asks := func(snap *catalog.Snapshot, sql string) bool {
		t.Helper()
		found := Analyze(Input{Text: []byte(sql), Context: Context{SearchPath: "public", Role: "app"}}, snap)
		if found.Outcome != access.Judge {
			return true
		}
		for _, st := range found.Statements {
			if len(st.Accesses) > 0 {
				return true
			}
		}
		return false
	}
	b := fixture(t)
	snap := &b.snap
	snap.Index()
	for _, sql := range []string{
		"SELECT setting FROM pg_catalog.pg_settings WHERE name='max_index_keys'",
		"SELECT setting FROM pg_settings WHERE name = 'server_version_num'",
		"SELECT s.* FROM pg_settings s WHERE s.name = 'statement_timeout'",
		"SELECT count(*) FROM pg_settings WHERE name OPERATOR(pg_catalog.=) 'TimeZone'",
	} {
		if asks(snap, sql) {
			t.Errorf("%s: not free", sql)
		}
	}
	refused := []string{
		"SELECT setting FROM pg_settings",
		"SELECT setting FROM pg_settings WHERE name = 'data_directory'",
		"SELECT setting FROM pg_settings WHERE name = 'primary_conninfo'",
		"SELECT setting FROM pg_settings WHERE name = 'app.secret'",
		"SELECT setting FROM pg_settings WHERE name <> 'max_index_keys'",
		"SELECT setting FROM pg_settings WHERE setting = 'max_index_keys'",
		"SELECT setting FROM pg_settings WHERE name = 'max_index_keys' OR true",
		"SELECT setting FROM pg_settings WHERE name = 'max_index_keys' AND 1 / length(setting) > 0",
		"SELECT setting FROM pg_settings WHERE name = ANY ('{max_index_keys}')",
		"SELECT setting FROM pg_settings WHERE name = lower('max_index_keys')",
		"SELECT setting FROM pg_settings AS s (setting, name) WHERE name = 'max_index_keys'",
		"SELECT setting FROM pg_settings, public.nothing WHERE name = 'max_index_keys'",
		"SELECT (SELECT max(setting) FROM pg_settings) FROM pg_settings WHERE name = 'max_index_keys'",
		"SELECT (SELECT max(o.setting) FROM pg_settings o) FROM pg_settings WHERE name = 'max_index_keys'",
		"SELECT setting FROM pg_settings WHERE name = 'max_index_keys' UNION SELECT setting FROM pg_settings",
		"SELECT setting FROM pg_settings JOIN pg_settings o USING (name) WHERE name = 'max_index_keys'",
		"SELECT setting FROM pg_settings WHERE name = 'max_index_keys' FOR UPDATE",
		"UPDATE pg_settings SET setting = 'x' WHERE name = 'max_index_keys'",
		"SELECT setting FROM pg_file_settings WHERE name = 'max_index_keys'",
	}
	for _, sql := range refused {
		if !asks(snap, sql) {
			t.Errorf("%s: free", sql)
		}
	}
	// An operator of somebody's own would see every row.
	b = fixture(t)
	snap = &b.snap
	snap.Functions = append(snap.Functions, catalog.Function{OID: 30001, Schema: "public", Name: "spy", Kind: 'f',
		Arguments: []catalog.OID{resolve.Text, resolve.Text}, Result: resolve.Bool, Language: "plpgsql"})
	snap.Operators = append(snap.Operators, catalog.Operator{OID: 30002, Schema: "public", Name: "=", Left: resolve.Text, Right: resolve.Text,
		Result: resolve.Bool, Function: 30001})
	snap.Index()
	const sql = "SELECT setting FROM pg_settings WHERE name = 'max_index_keys'"
	found := Analyze(Input{Text: []byte(sql), Context: Context{SearchPath: "public, pg_catalog", Role: "app"}}, snap)
	if found.Outcome == access.Judge && len(found.Statements[0].Accesses) == 0 {
		t.Error("a user's operator is not asked for")
	}
}
