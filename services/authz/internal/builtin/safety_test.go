package builtin

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// justified are the functions that are harmless although a rule of this file
// speaks against them, with the reason.
func justified() map[string]string {
	const (
		chance = "volatile: the clock or random numbers"
		config = "a regconfig or regdictionary is judged where a literal becomes one; the rest has no privileges"
		own    = "tells a session about itself"
	)
	m := map[string]string{
		"pg_typeof":                "gives the type of an expression, which was bound",
		"get_current_ts_config":    "a setting of the session, which anybody may read",
		"pg_is_in_recovery":        "in_hot_standby is reported to every client",
		"setseed":                  "sets this session's random numbers alone",
		"pg_sleep":                 "waits; statement_timeout bounds it",
		"pg_sleep_for":             "waits; statement_timeout bounds it",
		"pg_sleep_until":           "waits; statement_timeout bounds it",
		"pg_backend_pid":           own,
		"pg_size_pretty":           "formats a number",
		"pg_listening_channels":    own,
		"convert":                  "a conversion's function takes internal, so only a superuser made it",
		"convert_from":             "a conversion's function takes internal, so only a superuser made it",
		"convert_to":               "a conversion's function takes internal, so only a superuser made it",
		"pg_visible_in_snapshot":   "reads the snapshot that is its argument",
		"txid_visible_in_snapshot": "reads the snapshot that is its argument",
		"pg_get_keywords":          "a constant",
		"pg_wal_lsn_diff":          "subtracts",
		"pg_size_bytes":            "reads a number",
		"cube.cube_size":           "the volume of a cube",
		"seg.seg_size":             "the length of an interval",
		"timezone":                 "volatile in 14 alone, where it reads the clock for summer time",
		"pg_split_walfile_name":    "takes a string apart",
	}
	for _, name := range strings.Fields("clock_timestamp timeofday gen_random_uuid uuidv4 uuidv7 random random_normal array_sample array_shuffle " +
		"pgcrypto.gen_random_bytes pgcrypto.gen_random_uuid pgcrypto.gen_salt pgcrypto.pgp_sym_encrypt pgcrypto.pgp_sym_encrypt_bytea " +
		"pgcrypto.pgp_pub_encrypt pgcrypto.pgp_pub_encrypt_bytea pgcrypto.fips_mode tablefunc.normal_rand uuid-ossp.uuid_generate_v1 " +
		"uuid-ossp.uuid_generate_v1mc uuid-ossp.uuid_generate_v4") {
		m[name] = chance
	}
	for _, name := range strings.Fields("to_tsvector to_tsquery plainto_tsquery phraseto_tsquery websearch_to_tsquery json_to_tsvector jsonb_to_tsvector " +
		"ts_headline ts_lexize unaccent.unaccent") {
		m[name] = config
	}
	return m
}

// dangerous are the families of functions that read catalogs, files, other
// sessions or run their arguments.
var dangerous = regexp.MustCompile(`^(pg_read_|pg_ls_|pg_stat_|lo_|lo[rw]|.*_to_xml|.*_xmlschema|pg_get_|has_.*_privilege|pg_has_role|` +
	`.*_size$|pg_size_|.*_backend|set_config|current_setting|pg_current_|txid_|pg_sequence|currval|nextval|setval|lastval|pg_notif|` +
	`binary_upgrade|inet_(client|server)|query_|cursor_|ts_stat|pg_options|convert|.*_is_visible|pg_.*snapshot|pg_.*slot|pg_replication|` +
	`pg_(control|show|log|wal|walfile|promote|backup|create|drop|advisory|try|lock|prepared|cursor|blocking|describe|identify|relation|table|index|tablespace|database|` +
	`partition|split|terminate|cancel|export|listening|last|next|stop|start|switch|rotate|reload|import|extension|event)|row_security|obj_|shobj_|col_|format_type|` +
	`acl|make?acl|dblink|database_|schema_|table_to|postgresql_fdw|fmgr_|currtid|pg_input|brin_|gin_clean|crosstab|connectby|xpath_table|xslt)`)

// harmlessByRule are names that a family's pattern catches by accident.
var harmlessByRule = regexp.MustCompile(`^(brin_.*_(in|out)|lo(g|g10|wer|wer_inc|wer_inf)|pg_column_size|` +
	`txid_snapshot_.*|pg_snapshot_.*|query_to_.*)$`)

func TestHarmlessFunctionsAreSafeByRule(t *testing.T) {
	excused, used := justified(), map[string]bool{}
	for _, r := range table(t).all {
		if r.function.Class != Harmless {
			continue
		}
		key := r.name
		if r.extension != "" {
			key = r.extension + "." + r.name
		}
		against := objections(r)
		if len(against) == 0 {
			continue
		}
		used[key] = true
		if excused[key] == "" {
			t.Errorf("%v is harmless, but %s", r, strings.Join(against, " and "))
		}
	}
	for key := range excused {
		if !used[key] {
			t.Errorf("%s is excused from nothing", key)
		}
	}
}

// objections are the rules that speak against a harmless function.
func objections(r reviewed) (against []string) {
	say := func(rule bool, text string) {
		if rule {
			against = append(against, text)
		}
	}
	say(r.supports(), "SQL cannot use it")
	say(!r.public, "PUBLIC may not execute it")
	say(r.volatility == 'v', "it is volatile")
	say(looksUp(r.result), "its result names an object")
	say(slices.ContainsFunc(r.arguments, looksUp), "an argument names an object")
	say(dangerous.MatchString(r.name) && !harmlessByRule.MatchString(r.name), "its family is dangerous")
	return against
}

// What PostgreSQL itself keeps from PUBLIC is open to nobody without a grant by
// name.
func TestRevokedFunctionsNeedAdmin(t *testing.T) {
	n := 0
	for _, r := range table(t).all {
		if r.public {
			continue
		}
		n++
		if c := r.function.Class; c != Server && c != Internal && r.language != "sql" {
			t.Errorf("%v is %v", r, c)
		}
	}
	if n < 50 {
		t.Errorf("only %d functions are revoked from PUBLIC in the data", n)
	}
}

// A function over any type runs what belongs to the type, unless it only moves
// values about.
func TestPolymorphicFunctionsSayWhatTheyRun(t *testing.T) {
	moves := strings.Fields(`any_value any_value_transfn array_agg array_append array_cat array_dims array_fill array_length
		array_lower array_ndims array_prepend array_reverse array_sample array_shuffle array_upper cardinality count
		cume_dist dense_rank percent_rank rank first_value lag last_value lead nth_value generate_subscripts int8dec_any
		int8inc_any isempty lower lower_inc lower_inf upper upper_inc upper_inf num_nonnulls num_nulls pg_collation_for
		pg_column_compression pg_column_size pg_column_toast_chunk_id pg_typeof trim_array unnest
		enum_cmp enum_eq enum_first enum_ge enum_gt enum_larger enum_last enum_le enum_lt enum_ne enum_out enum_range
		enum_send enum_smaller hashenum hashenumextended gin_enum_cmp
		record_image_eq record_image_ge record_image_gt record_image_le record_image_lt record_image_ne btrecordimagecmp`)
	polymorphic := func(typ string) bool { return strings.HasPrefix(typ, "any") || typ == "record" }
	for _, r := range table(t).all {
		if r.function.Class != Harmless || !slices.ContainsFunc(r.arguments, polymorphic) {
			continue
		}
		enum := slices.Contains(r.arguments, "anyenum")
		if r.function.Runs == 0 && !enum && !slices.Contains(moves, r.name) {
			t.Errorf("%v takes any type and says not what it runs of it", r)
		}
	}
}
