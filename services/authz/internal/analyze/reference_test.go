package analyze

import (
	"testing"

	"github.com/scopewire/scopewire/services/authz/internal/builtin"
)

// TestDeniedFunctions: names whose functions must never run without a grant.
func TestDeniedFunctions(t *testing.T) {
	a := &analyzer{snap: fixture(t).index()}
	for _, name := range []string{"set_config", "current_setting", "nextval", "currval", "lastval", "setval", "query_to_xml", "table_to_xml", "cursor_to_xml",
		"schema_to_xml", "database_to_xml", "ts_stat", "ts_debug", "ts_parse", "dblink",
		"lo_get", "lo_import", "lo_export", "loread", "lowrite", "pg_read_file", "pg_ls_dir", "pg_notify", "pg_advisory_lock", "pg_cancel_backend",
		"pg_get_viewdef", "pg_get_expr", "has_table_privilege", "row_security_active", "obj_description", "col_description", "format_type", "to_regclass",
		"txid_current", "pg_current_xact_id", "inet_server_addr", "inet_client_addr", "pg_stat_get_activity", "current_query", "pg_export_snapshot",
		"pg_my_temp_schema", "enum_recv", "currtid2",
		"binary_upgrade_set_record_init_privs", "satisfies_hash_partition", "pg_describe_object", "pg_logical_emit_message", "amvalidate", "fmgr_sql_validator"} {
		for _, f := range a.snap.FunctionsNamed(name) {
			if a.classify(f).Class == builtin.Harmless {
				t.Errorf("%s is harmless", name)
			}
		}
	}
}
