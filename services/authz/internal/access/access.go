// Package access holds the words that analysis and policy share: what a
// statement touches, and why it may not. It is pure data.
package access

// Action is what a statement does to an object, by PostgreSQL's privilege
// names and Scopewire's own.
type Action string

// The actions. An action that is none of these is denied.
const (
	Select     Action = "select"
	Insert     Action = "insert"
	Update     Action = "update"
	Delete     Action = "delete"
	Truncate   Action = "truncate"
	References Action = "references"
	Trigger    Action = "trigger"
	Execute    Action = "execute"
	Usage      Action = "usage"
	Temporary  Action = "temporary"
	Connect    Action = "connect"
	Maintain   Action = "maintain"
	Listen     Action = "listen"
	Notify     Action = "notify"
	Set        Action = "set"
	DDL        Action = "ddl"
	Admin      Action = "admin"
)

// Any is no action of a grant. An access under it asks that some action be granted on
// the object: enough to know that the object is there ('orders'::regclass).
const Any Action = "any"

// Actions lists every action, in the order of the documentation.
func Actions() []Action {
	return []Action{Select, Insert, Update, Delete, Truncate, References, Trigger, Execute, Usage,
		Temporary, Connect, Maintain, Listen, Notify, Set, DDL, Admin}
}

// Kind is the namespace an object's name lives in.
type Kind string

// The kinds of object.
const (
	Table     Kind = "table"
	Sequence  Kind = "sequence"
	Function  Kind = "function"
	Procedure Kind = "procedure"
	Schema    Kind = "schema"
	Database  Kind = "database"
	Setting   Kind = "setting"
	Channel   Kind = "channel"
	Type      Kind = "type"
)

// Kinds lists every kind.
func Kinds() []Kind {
	return []Kind{Table, Sequence, Function, Procedure, Schema, Database, Setting, Channel, Type}
}

// Object is a database object's name: unquoted, case-exact, truncated as
// PostgreSQL truncates identifiers.
type Object struct {
	Kind Kind
	// Schema is empty for kinds that live in none, and for a name as written
	// without one.
	Schema string
	Name   string
	// Arguments are a function's argument types as format_type prints them.
	Arguments []string
	// Overloads stands for all functions of the name, whatever their arguments and
	// whether there are any: no grant on one of them covers it, a deny on any speaks
	// against it.
	Overloads bool
}

// Access is one thing a statement touches.
type Access struct {
	Action Action
	// Or are further actions, any of which suffices in Action's place, as LOCK TABLE
	// has it.
	Or []Action
	// Named is the object as written, Resolved as found in the catalog.
	Named, Resolved Object
	// Columns are the columns used under the action, sorted, without duplicates.
	// With none and AllColumns unset, the action is needed on any one column.
	Columns []string
	// AllColumns asks for the action on the whole object.
	AllColumns bool
	// Within marks what PostgreSQL checks against somebody else than the session's
	// role: what a view, a rule or a security definer reads. No grant is needed for
	// it; only an explicit deny speaks about it.
	Within bool
	// Through is by way of what the access is reached, nearest first: views and
	// functions whose text names the object, relations whose triggers, rules,
	// defaults, checks or policies do. At most MaxThrough; empty when the statement
	// alone names it. No verdict depends on it.
	Through []Object
	// Trust says which code would run with the login's rights because of the access:
	// "trigger log of public.orders". When there is any, the action must be granted
	// on the object by a grant with `trusted: true`, or the code's extension be
	// trusted.
	Trust []Trust
	// Bearers are the relations with columns of the type that usage is asked for: who is
	// granted anything on one of these columns has usage of the type. They are for policy
	// alone, and in no contract.
	Bearers []Bearer
}

// Bearer is a relation by those of its columns that are of a type.
type Bearer struct {
	Relation Object
	Columns  []string
}

// Behind is an access that a name would come to if the object that it means were gone: it
// is asked of whoever may change what is in that object's schema, and of nobody else. It is
// for policy alone, and in no contract.
type Behind struct {
	Schema string
	Access Access
}

// MaxThrough bounds Access.Through, which is for people to read.
const MaxThrough = 8

// Trust is code that analysis cannot look into.
type Trust struct {
	// Code names it for audit, without literals.
	Code string
	// Extension is the extension it belongs to, else empty.
	Extension string
}

// Reason is why a statement is not forwarded. The names are those of the
// contract's enum Reason, lower case.
type Reason string

// The reasons.
const (
	Granted         Reason = "granted"
	NotGranted      Reason = "not_granted"
	ExplicitDeny    Reason = "explicit_deny"
	UnknownObject   Reason = "unknown_object"
	StatementKind   Reason = "statement_kind"
	Construct       Reason = "construct"
	FunctionDenied  Reason = "function"
	RelationKind    Reason = "relation_kind"
	OpaqueCode      Reason = "opaque_code"
	SettingDenied   Reason = "setting"
	Protocol        Reason = "protocol"
	Syntax          Reason = "syntax"
	GrammarUnknown  Reason = "grammar_unknown"
	Undefined       Reason = "undefined"
	Limit           Reason = "limit"
	Encoding        Reason = "encoding"
	TokenExpired    Reason = "token_expired"
	Introspection   Reason = "introspection"
	TokenRevoked    Reason = "token_revoked"
	TokenInvalid    Reason = "token_invalid"
	Unavailable     Reason = "unavailable"
	Context         Reason = "context"
	ConditionNotMet Reason = "condition"
)

// EffectKind is a way in which a statement changes the session context.
type EffectKind string

// The effects of the statements that are analysed. Opaque stands for anything.
const (
	EffectBegin      EffectKind = "begin"
	EffectCommit     EffectKind = "commit"
	EffectRollback   EffectKind = "rollback"
	EffectSavepoint  EffectKind = "savepoint"
	EffectRelease    EffectKind = "release"
	EffectRollbackTo EffectKind = "rollback_to"
	EffectSet        EffectKind = "set"
	EffectSetLocal   EffectKind = "set_local"
	EffectReset      EffectKind = "reset"
	EffectPrepare    EffectKind = "prepare"
	EffectDeallocate EffectKind = "deallocate"
	EffectDeclare    EffectKind = "declare"
	EffectClose      EffectKind = "close"
	EffectTemp       EffectKind = "temp"
	EffectDDL        EffectKind = "ddl"
	EffectRefresh    EffectKind = "refresh"
	EffectOpaque     EffectKind = "opaque"
)

// Effect is what a statement does to the session when it completes.
type Effect struct {
	Kind EffectKind
	// Name is the setting, savepoint, prepared statement or cursor it is about;
	// empty for all of them (RESET ALL, DEALLOCATE ALL, CLOSE ALL).
	Name string
	// Value is a setting's new value as SHOW would print it, or the text of a
	// prepared statement or cursor.
	Value string
	// Chain is AND CHAIN; Hold is WITH HOLD of a cursor.
	Chain, Hold bool
	// Query is what a prepared statement or cursor stands for, nil of other effects.
	Query *Query
}

// Query is a query that PREPARE or DECLARE gives a name to.
type Query struct {
	// Text is its own text, and ParameterTypes the OIDs of all its parameters' types.
	Text           string
	ParameterTypes []uint32
	// SearchPath is the path a cursor's names were looked up over, as SHOW prints it.
	SearchPath string
}

// Error is the error PostgreSQL itself would give, with nothing in it that the
// client did not send.
type Error struct {
	SQLState string
	Message  string
	// Hint and Detail are "" where PostgreSQL gives none.
	Hint, Detail string
	// Position counts characters from 1; 0 is none.
	Position int
}

// Statement is what analysis found out about one statement.
type Statement struct {
	// Kind is the command in lower case: "select", "insert", "rollback to".
	Kind string
	// Accesses are what it touches.
	Accesses []Access
	// Behind is what its names would touch if what they mean were gone.
	Behind []Behind
	// Effects are what it does to the session.
	Effects []Effect
	// Session marks what pools and drivers send at connect and reset, which touches
	// nothing: RESET ALL, DISCARD ALL and their like. The preset of that name allows
	// it, and policy may take that away.
	Session bool
	// Cursor is the cursor that it reads, whose names were bound when it was declared.
	Cursor string
	// ParameterTypes are the OIDs of the types that a Parse message's parameters were
	// given or found to have.
	ParameterTypes []uint32
	// Normalised is its text with literals replaced and comments removed; empty
	// when it could not be normalised.
	Normalised string
	// TextSHA256 is the digest of its text as sent.
	TextSHA256 [32]byte
}

// Name is a prepared statement, or a cursor, of the session.
type Name struct {
	Cursor bool
	Name   string
}

// Outcome is what analysis says of a whole unit.
type Outcome int

// The outcomes. The zero value denies.
const (
	// Denied: something in the unit is denied whatever is granted.
	Denied Outcome = iota
	// Judge: the accesses of every statement are known; policy decides.
	Judge
	// Failed: PostgreSQL would answer with Analysis.Error; nothing is forwarded.
	Failed
	// Hidden: PostgreSQL would answer with Analysis.Error, which the client may
	// hear only if policy covers every access of Analysis.Requires; else Denied.
	Hidden
	// Refused: a limit was met; Analysis.Error says which.
	Refused
)

// Analysis is the result for a unit.
type Analysis struct {
	Outcome Outcome
	// Reason and Detail say why the outcome is not Judge. Detail is one line for
	// audit, free of literals.
	Reason Reason
	Detail string
	Error  Error
	// Requires are the accesses that must be covered before Error may be told.
	Requires []Access
	// Unknown are the prepared statements and cursors that the unit names and its context
	// does not have: they may be the protocol's. Nothing has been decided then.
	Unknown []Name
	// Statements are the unit's statements as far as they were understood, in
	// order. Only under Judge are they complete.
	Statements []Statement
	// Literal says that more of a literal was looked at than its class (a string, an
	// integer by its size, a number): the analysis is this text's alone, not that of every
	// text with the same fingerprint.
	Literal bool
}
