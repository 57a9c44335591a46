// Package builtin says what is known about the objects that come with
// PostgreSQL 14 to 18 and with Debian's contrib extensions: which functions only
// compute, which look names up, which read catalogs, files or other sessions.
//
// Every entry of pg_proc of each major version is classified by review; what is
// not in the lists is Unreviewed, and denied. A function counts as PostgreSQL's
// own only with an OID that initdb gave out, and a contrib function only by
// membership of its extension and its C library and symbol: never by name alone.
// The package is pure.
package builtin

// Class is what a function can reach.
type Class uint8

// The classes. The zero value denies.
const (
	// Unreviewed: not in the lists. Denied.
	Unreviewed Class = iota
	// Harmless: computes from its arguments, or tells what every session may know.
	Harmless
	// Named: an argument names an object (nextval, to_regclass, pg_relation_size);
	// judged by the literal, by Function.Names, and denied when it is none.
	Named
	// Setting: current_setting and set_config: an argument names a setting.
	Setting
	// Introspection: reads catalogs; for the preset introspection.
	Introspection
	// Advisory: advisory locks; for the preset advisory_locks.
	Advisory
	// Channel: pg_notify: an argument names a channel.
	Channel
	// Code: runs or reads what an argument says (query_to_xml, ts_stat, cursor
	// functions); needs execute, granted on the function by name.
	Code
	// Session: looks at or changes this session beyond the context that the proxy
	// follows (temporary objects, pg_my_temp_schema, large objects' descriptors);
	// needs execute, granted by name.
	Session
	// Server: files, signals, replication, other sessions, statistics, WAL: needs
	// admin, granted on the function by name.
	Server
	// Internal: cannot be called from SQL, or only with arguments that SQL cannot
	// make (internal, cstring of support functions): type I/O, operator class
	// support, triggers, handlers. A call by name is denied; the place that runs it
	// (a cast, an index) is judged instead.
	Internal
)

// NameKind is the kind of object that an argument names.
type NameKind uint8

// What an argument of a Named function names.
const (
	Relation NameKind = iota + 1 // select on the relation, or what Privilege says
	Sequence                     // usage or update on the sequence, as the function has it
	Routine                      // a function: execute
	TypeName                     // a type: usage
	Schema
	Role
	OperatorName
	CollationName
	ConfigurationName // a text search configuration or dictionary
	SettingName
)

// Name is an argument that names an object.
type Name struct {
	// Argument is its position from 0.
	Argument int
	Kind     NameKind
	// Action is the privilege that PostgreSQL asks for, in its own lower-case name:
	// "usage", "update", "select"; empty where naming needs what looking at the
	// object's definition needs.
	Action string
}

// Function is what is known of a function.
type Function struct {
	Class Class
	Names []Name
	// Lookup says that the result's type looks names up when a literal stands beside
	// it (regtype of pg_typeof).
	Lookup bool
}

// RelationClass is what a system catalog or view holds.
type RelationClass uint8

// The classes of system relations. The zero value denies.
const (
	// Closed: data, secrets, other sessions' activity, or not in the lists
	// (pg_statistic, pg_authid, pg_largeobject, pg_stat_activity, pg_hba_file_rules).
	Closed RelationClass = iota
	// Drivers: what drivers read at connect; preset session.
	Drivers
	// Definitions: what psql, ORMs and JDBC read; preset introspection.
	Definitions
)

// SettingClass is what changing or reading a setting can do.
type SettingClass uint8

// The classes of settings. The zero value denies.
const (
	// Guarded: needs a grant by name to set, and to read unless reported.
	Guarded SettingClass = iota
	// Plain: formats, time-outs, planner and client preferences: may be set and shown
	// by anybody.
	Plain
	// Meaning: changes what SQL means or how values are read (search_path,
	// client_encoding, standard_conforming_strings, …): by rules of its own.
	Meaning
	// Identity: role, session_authorization.
	Identity
	// System: administration; needs admin by name.
	System
	// Custom: a name with a dot that no extension defines.
	Custom
)
