package analyze

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/scopewire/scopewire/internal/pgtest"
)

// TestHarmlessFunctions holds the lists against a real server: every overload of a
// function on the list takes and gives data only, and PUBLIC may execute it; every
// operator on the list is there and computes by such code; every type has the OIDs
// that the list says.
func TestHarmlessFunctions(t *testing.T) {
	conn, err := pgconn.Connect(t.Context(), pgtest.NewDatabase(t, ""))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	list := func(names []string) string {
		return "'" + strings.Join(names, "','") + "'"
	}
	rows := func(sql string) []string {
		t.Helper()
		results, err := conn.Exec(t.Context(), sql).ReadAll()
		if err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		var all []string
		for _, row := range results[0].Rows {
			all = append(all, string(row[0]))
		}
		return all
	}
	// Types whose values are looked up, run or point outside.
	const odd = `(t.typname LIKE 'reg%' OR t.typname IN ('internal', 'cstring', 'trigger', 'event_trigger', 'language_handler', 'fdw_handler',
		'index_am_handler', 'table_am_handler', 'tsm_handler', 'refcursor', 'aclitem', 'xml', 'void', 'pg_ddl_command'))`
	bad := rows(`SELECT p.oid::regprocedure::text FROM pg_proc p WHERE pronamespace = 'pg_catalog'::regnamespace AND proname IN (` + list(harmlessFunctions()) + `)
		AND (proacl IS NOT NULL OR prosecdef OR prokind = 'p' OR EXISTS (SELECT FROM pg_type t WHERE t.oid = ANY (proargtypes::oid[] || prorettype) AND ` + odd + `)
		  OR prolang NOT IN (SELECT oid FROM pg_language WHERE lanname IN ('internal', 'sql')) OR proname ~ '^(lo_|pg_(?!typeof|sleep|column_size))')
		AND p.oid::regprocedure::text NOT IN ('pg_sleep(double precision)', 'pg_typeof("any")', 'text(xml)')`)
	if len(bad) > 0 {
		t.Errorf("functions that are not harmless: %v", bad)
	}
	known := rows(`SELECT proname FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace`)
	if absent := missing(harmlessFunctions(), known); len(absent) > 24 {
		t.Errorf("more functions are missing than newer versions and type names account for: %v", absent)
	}
	operators := rows(`SELECT oprname FROM pg_operator WHERE oprnamespace = 'pg_catalog'::regnamespace`)
	if absent := missing(builtinOperators(), operators); len(absent) > 0 {
		t.Errorf("no such operators: %v", absent)
	}
	if absent := missing(operators, builtinOperators()); len(absent) > 0 {
		t.Errorf("operators that are not listed: %v", absent)
	}
	for _, builtin := range builtinTypes() {
		got := rows("SELECT oid::text || ' ' || typarray::text FROM pg_type WHERE typnamespace = 'pg_catalog'::regnamespace AND typname = '" + builtin.name + "'")
		if want := itoa(int(builtin.oid)) + " " + itoa(int(builtin.array)); len(got) != 1 || got[0] != want {
			t.Errorf("type %s: %v, want %s", builtin.name, got, want)
		}
	}
}

func missing(wanted, have []string) []string {
	known := set(have)
	var absent []string
	for _, name := range wanted {
		if !known[name] {
			absent = append(absent, name)
		}
	}
	return absent
}

// TestDeniedFunctions: names that must never come onto the list.
func TestDeniedFunctions(t *testing.T) {
	harmless := set(harmlessFunctions())
	for _, name := range []string{"set_config", "current_setting", "nextval", "currval", "lastval", "setval", "query_to_xml", "table_to_xml", "cursor_to_xml",
		"schema_to_xml", "database_to_xml", "xpath", "ts_stat", "ts_rewrite", "ts_debug", "ts_parse", "to_tsvector", "to_tsquery", "plainto_tsquery", "dblink",
		"lo_get", "lo_import", "lo_export", "loread", "lowrite", "pg_read_file", "pg_ls_dir", "pg_notify", "pg_advisory_lock", "pg_cancel_backend",
		"pg_get_viewdef", "pg_get_expr", "has_table_privilege", "row_security_active", "obj_description", "col_description", "format_type", "to_regclass",
		"txid_current", "pg_current_xact_id", "inet_server_addr", "inet_client_addr", "pg_stat_get_activity", "setseed", "current_query", "pg_export_snapshot",
		"json_populate_record", "jsonb_populate_recordset", "convert", "convert_from", "convert_to", "current_schemas", "pg_my_temp_schema", "enum_recv", "currtid2",
		"binary_upgrade_set_record_init_privs", "satisfies_hash_partition", "pg_describe_object", "pg_logical_emit_message", "amvalidate", "fmgr_sql_validator"} {
		if harmless[name] {
			t.Errorf("%s is on the list", name)
		}
	}
}
