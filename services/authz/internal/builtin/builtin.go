// Package builtin says what is known about the objects that come with
// PostgreSQL 14 to 18 and with Debian's contrib extensions: which functions only
// compute, which look names up, which read catalogs, files or other sessions.
//
// Every entry of pg_proc of each major version is classified by review; what is
// not in the lists is Unreviewed, and denied. A function counts as PostgreSQL's
// own only with an OID that initdb gave out, and a contrib function only by
// membership of its extension and its C library and symbol: never by name alone.
// The package is pure.
//
// # Files
//
// data/functions.tsv is what servers have: pg_proc of every version, with the
// functions of the extensions. A test writes it from running servers and fails when
// one has something else. The folder review is what was decided about it, a reason
// over each group of names; review.go says how the files are read.
// docs/reference/builtins.md is written from both.
//
// # A new version
//
//	SCOPEWIRE_TEST_POSTGRES_MAJORS=14,15,16,17,18 go test . -run DataIsWhat -update
//	go test .           # names what has no class
//	go generate .       # the reference shows which names got a new overload
//
// For each new function: read its C code and what that calls. Harmless is what
// computes from its arguments. Anything that opens a relation, reads a catalog by a
// name or OID that an argument gives, looks at other sessions, files or the login, or
// runs code of its arguments' types says so. safety_test.go holds rules that speak
// against a harmless function; whoever overrules one writes the reason there.
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
	// follows (transaction numbers, large objects, its texts); needs execute, granted
	// by name.
	Session
	// Server: files, signals, replication, other sessions, statistics, WAL: needs
	// admin, granted on the function by name.
	Server
	// Internal: cannot be called from SQL, or has no use there: it takes or gives
	// internal, reads a type that comes by OID or a name, is a trigger or a handler.
	// A call by name is denied; the place that runs it (a cast, an index, a trigger)
	// is judged instead, and the function adds nothing to that.
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
	// Or is another privilege that suffices, empty for none.
	Or string
}

// Runs is code of its arguments' types that a function runs besides its own.
type Runs uint8

// What a function can run of a type. The types are those of its arguments with
// what they are made of: elements, columns, bounds, base types.
const (
	// RunsCompare: the default btree operator class, and what builds a range of the
	// type (canonical function).
	RunsCompare Runs = 1 << iota
	// RunsHash: the default hash operator class.
	RunsHash
	// RunsOutput: the output or send function.
	RunsOutput
	// RunsInput: the input functions of the fields of the result, domains' checks
	// included. The result's type comes from an argument or from the column
	// definitions of the call.
	RunsInput
	// RunsCast: a cast to json or text that a user made (to_json looks for one,
	// json.c; quote_literal casts).
	RunsCast
)

// Function is what is known of a function.
type Function struct {
	Class Class
	// Names are the arguments that name objects. Under Named and Setting, each must
	// be a literal. Under Introspection they are another way: where all of them are
	// literals, the objects can be judged instead of asking for the preset.
	Names []Name
	// Runs is further code that a call runs: harmless only if that code is.
	Runs Runs
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
