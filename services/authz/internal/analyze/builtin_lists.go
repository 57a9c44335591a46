package analyze

// harmlessFunctions are the functions of pg_catalog, all overloads in PostgreSQL 14
// to 18, that read only their arguments and the clock, run no code but built-in
// code, and change nothing. Not here, whatever PUBLIC may execute: what takes SQL
// text, or a name, path, setting or large object to look up; what reads other
// sessions, files, statistics or catalogs; what sets state, locks, signals or
// sends; encodings (they run conversions found over the search path); text search
// with a configuration; XML; what builds rows of a named composite type.
//
// TestHarmlessFunctions holds the list against a real server.
func harmlessFunctions() []string {
	return []string{
		// Aggregates.
		"array_agg", "avg", "bit_and", "bit_or", "bit_xor", "bool_and", "bool_or", "corr", "count", "covar_pop",
		"covar_samp", "every", "json_agg", "json_object_agg", "jsonb_agg", "jsonb_object_agg", "max", "min", "mode",
		"percentile_cont", "percentile_disc", "range_agg", "range_intersect_agg", "regr_avgx", "regr_avgy",
		"regr_count", "regr_intercept", "regr_r2", "regr_slope", "regr_sxx", "regr_sxy", "regr_syy", "stddev",
		"stddev_pop", "stddev_samp", "string_agg", "sum", "var_pop", "var_samp", "variance",
		// Window functions and hypothetical sets.
		"cume_dist", "dense_rank", "first_value", "lag", "last_value", "lead", "nth_value", "ntile", "percent_rank",
		"rank", "row_number",
		// Strings.
		"ascii", "bit_count", "bit_length", "btrim", "char_length", "character_length", "chr", "concat", "concat_ws",
		"decode", "encode", "format", "get_bit", "get_byte", "initcap", "is_normalized", "left", "length",
		"like_escape", "lower", "lpad", "ltrim", "md5", "normalize", "octet_length", "overlay", "parse_ident",
		"position", "quote_ident", "quote_literal", "quote_nullable", "regexp_count", "regexp_instr", "regexp_like",
		"regexp_match", "regexp_matches", "regexp_replace", "regexp_split_to_array", "regexp_split_to_table",
		"regexp_substr", "repeat", "replace", "reverse", "right", "rpad", "rtrim", "set_bit", "set_byte", "sha224",
		"sha256", "sha384", "sha512", "similar_escape", "similar_to_escape", "split_part", "starts_with",
		"string_to_array", "string_to_table", "strpos", "substr", "substring", "to_ascii", "to_hex", "translate",
		"unistr", "upper",
		// Numbers.
		"abs", "acos", "acosd", "acosh", "asin", "asind", "asinh", "atan", "atan2", "atan2d", "atand", "atanh",
		"cbrt", "ceil", "ceiling", "cos", "cosd", "cosh", "cot", "cotd", "degrees", "div", "exp", "factorial",
		"floor", "gcd", "lcm", "ln", "log", "log10", "min_scale", "mod", "num_nonnulls", "num_nulls", "pi", "pow",
		"power", "radians", "random", "round", "scale", "sign", "sin", "sind", "sinh", "sqrt", "tan", "tand", "tanh",
		"to_char", "to_number", "trim_scale", "trunc", "width_bucket",
		// Dates and times.
		"age", "clock_timestamp", "date_bin", "date_part", "date_trunc", "extract", "isfinite", "justify_days",
		"justify_hours", "justify_interval", "make_date", "make_interval", "make_time", "make_timestamp",
		"make_timestamptz", "now", "overlaps", "statement_timestamp", "timeofday", "timezone", "to_date",
		"to_timestamp", "transaction_timestamp",
		// JSON.
		"array_to_json", "json_array_element", "json_array_element_text", "json_array_elements",
		"json_array_elements_text", "json_array_length", "json_build_array", "json_build_object", "json_each",
		"json_each_text", "json_extract_path", "json_extract_path_text", "json_object", "json_object_field",
		"json_object_field_text", "json_object_keys", "json_strip_nulls", "json_to_record", "json_to_recordset",
		"json_typeof", "jsonb_array_element", "jsonb_array_element_text", "jsonb_array_elements",
		"jsonb_array_elements_text", "jsonb_array_length", "jsonb_build_array", "jsonb_build_object", "jsonb_each",
		"jsonb_each_text", "jsonb_extract_path", "jsonb_extract_path_text", "jsonb_insert", "jsonb_object",
		"jsonb_object_field", "jsonb_object_field_text", "jsonb_object_keys", "jsonb_path_exists",
		"jsonb_path_exists_tz", "jsonb_path_match", "jsonb_path_match_tz", "jsonb_path_query",
		"jsonb_path_query_array", "jsonb_path_query_array_tz", "jsonb_path_query_first", "jsonb_path_query_first_tz",
		"jsonb_path_query_tz", "jsonb_pretty", "jsonb_set", "jsonb_set_lax", "jsonb_strip_nulls", "jsonb_to_record",
		"jsonb_to_recordset", "jsonb_typeof", "row_to_json", "to_json", "to_jsonb",
		// Arrays, sets and ranges.
		"array_append", "array_cat", "array_dims", "array_fill", "array_length", "array_lower", "array_ndims",
		"array_position", "array_positions", "array_prepend", "array_remove", "array_replace", "array_to_string",
		"array_upper", "cardinality", "datemultirange", "daterange", "generate_series", "generate_subscripts",
		"int4multirange", "int4range", "int8multirange", "int8range", "isempty", "lower_inc", "lower_inf",
		"multirange", "nummultirange", "numrange", "range_merge", "trim_array", "tsmultirange", "tsrange",
		"tstzmultirange", "tstzrange", "unnest", "upper_inc", "upper_inf",
		// Enums and UUIDs.
		"enum_first", "enum_last", "enum_range", "gen_random_uuid",
		// Networks, geometry and text search over values.
		"abbrev", "area", "array_to_tsvector", "broadcast", "center", "diagonal", "diameter", "family", "height",
		"host", "hostmask", "inet_merge", "inet_same_family", "isclosed", "ishorizontal", "isopen", "isparallel",
		"isperp", "isvertical", "masklen", "netmask", "network", "npoints", "numnode", "path_length", "pclose",
		"popen", "querytree", "radius", "set_masklen", "setweight", "slope", "strip", "ts_delete", "ts_filter",
		"ts_rank", "ts_rank_cd", "tsquery_phrase", "tsvector_to_array", "width",
		// Newer than PostgreSQL 15.
		"any_value", "array_reverse", "array_sample", "array_shuffle", "array_sort", "casefold", "crc32", "crc32c",
		"date_add", "date_subtract", "erf", "erfc", "gamma", "lgamma", "random_normal", "to_bin", "to_oct",
		"uuid_extract_timestamp", "uuid_extract_version", "uuidv4", "uuidv7",
		// Casts written as calls.
		"bool", "bpchar", "date", "float4", "float8", "int2", "int4", "int8", "interval", "numeric", "text", "time",
		"timestamp", "timestamptz", "timetz", "uuid", "varchar",
		// Session constants and rest.
		"current_database", "current_schema", "pg_column_size", "pg_sleep", "pg_typeof", "version",
	}
}

// builtinOperators are the names of pg_catalog's operators in PostgreSQL 14 to 18.
// All of them compute from their operands.
func builtinOperators() []string {
	return []string{
		"!!", "!~", "!~*", "!~~", "!~~*", "#", "##", "#-", "#>", "#>>", "%", "&", "&&", "&<", "&<|", "&>", "*", "*<",
		"*<=", "*<>", "*=", "*>", "*>=", "+", "-", "->", "->>", "-|-", "/", "<", "<->", "<<", "<<=", "<<|", "<=",
		"<>", "<@", "<^", "=", ">", ">=", ">>", ">>=", ">^", "?", "?#", "?&", "?-", "?-|", "?|", "?||", "@", "@-@",
		"@>", "@?", "@@", "@@@", "^", "^@", "|", "|&>", "|/", "|>>", "||", "||/", "~", "~*", "~<=~", "~<~", "~=",
		"~>=~", "~>~", "~~", "~~*",
	}
}

// recordFunctions are the harmless functions whose call in FROM yields columns by
// names of its own, whatever its alias.
func recordFunctions() map[string][]string {
	return map[string][]string{
		"json_each":                 {"key", "value"},
		"json_each_text":            {"key", "value"},
		"jsonb_each":                {"key", "value"},
		"jsonb_each_text":           {"key", "value"},
		"json_array_elements":       {"value"},
		"json_array_elements_text":  {"value"},
		"jsonb_array_elements":      {"value"},
		"jsonb_array_elements_text": {"value"},
	}
}

// shownSettings are the settings that SHOW may read: those that the server reports
// to every client by itself, and those that say how values print or how long the
// session may take. Names fold to lower case.
func shownSettings() []string {
	return []string{
		"application_name", "block_size", "bytea_output", "client_encoding", "client_min_messages", "datestyle",
		"default_transaction_deferrable", "default_transaction_isolation", "default_transaction_read_only",
		"extra_float_digits", "idle_in_transaction_session_timeout", "idle_session_timeout", "in_hot_standby",
		"integer_datetimes", "intervalstyle", "is_superuser", "lc_collate", "lc_ctype", "lc_messages", "lc_monetary",
		"lc_numeric", "lc_time", "lock_timeout", "max_identifier_length", "max_index_keys", "row_security",
		"search_path", "server_encoding", "server_version", "server_version_num", "session_authorization",
		"standard_conforming_strings", "statement_timeout", "timezone", "transaction_deferrable",
		"transaction_isolation", "transaction_read_only", "transaction_timeout", "xmlbinary", "xmloption",
	}
}
