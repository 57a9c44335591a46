package analyze

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

// searchConfigurations are the text search configurations of PostgreSQL 14 to 18
// (snowball_create.sql, pg_ts_config.dat) with their dictionaries.
func searchConfigurations() []string {
	names := []string{"simple"}
	for _, language := range []string{"arabic", "armenian", "basque", "catalan", "danish", "dutch", "english", "estonian",
		"finnish", "french", "german", "greek", "hindi", "hungarian", "indonesian", "irish", "italian", "lithuanian",
		"nepali", "norwegian", "portuguese", "romanian", "russian", "serbian", "spanish", "swedish", "tamil", "turkish",
		"yiddish"} {
		names = append(names, language, language+"_stem")
	}
	return names
}
