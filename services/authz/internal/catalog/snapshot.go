// Package catalog is the model of one database's catalog as analysis sees it: an
// immutable snapshot with look-ups by name and OID.
//
// The package is pure: it holds data and resolves names as PostgreSQL does, and
// knows no network, clock or log. Package snapshotter reads snapshots from a
// server.
package catalog

import "crypto/sha256"

// OID is a PostgreSQL object identifier.
type OID uint32

// FirstNormalOID is the first OID that initdb never gives out
// (access/transam.h, FirstNormalObjectId). Objects below it came with the
// server.
const FirstNormalOID OID = 16384

// FirstUnpinnedOID is the first OID of what can be dropped, and is therefore in
// pg_depend (access/transam.h, FirstUnpinnedObjectId; until 14, where rows of kind p
// say what is pinned, functions and operators below it are all that are).
const FirstUnpinnedOID OID = 12000

// Snapshot is the catalog of one database at one moment, temporary objects and
// statistics left out. It is immutable once Index has been called, and then
// safe for concurrent use.
type Snapshot struct {
	// Database is the database's name.
	Database string
	// ServerVersionNum is server_version_num, 150018 for 15.18.
	ServerVersionNum int
	// ServerEncoding is the database's encoding; anything but UTF8 is not served.
	ServerEncoding string
	// Digest identifies the content, Digest itself left out. See ComputeDigest.
	Digest [sha256.Size]byte
	// Version is the database's component of the epoch, assigned from Digest by
	// the state backend.
	Version uint64

	Schemas   []Schema
	Relations []Relation
	Types     []Type
	Functions []Function
	Operators []Operator
	Casts     []Cast
	// OperatorClasses tell which code sorting, grouping and hashing a type run.
	OperatorClasses []OperatorClass
	Collations      []Collation
	Roles           []Role
	Extensions      []Extension
	// EventTriggers run code at statements that change the catalog.
	EventTriggers []EventTrigger
	// Globals are the languages, foreign-data wrappers, foreign servers and publications.
	Globals  []Global
	Settings []Setting
	// TextSearch identifies the names of text search configurations and dictionaries,
	// which constants in expressions show.
	TextSearch [sha256.Size]byte

	index index
	// rolesDigest is that of RolesDigest.
	rolesDigest string
	// base, own, replaced and temporary are those of an overlay.
	base, own *Snapshot
	replaced  replaced
	temporary string
}

// Schema is a row of pg_namespace.
type Schema struct {
	OID  OID
	Name string
	// ClosedTo are the roles that can log in and have no USAGE on the schema,
	// sorted. Their search_path passes it over.
	ClosedTo []string
}

// RelationKind is pg_class.relkind.
type RelationKind byte

// The kinds of relation that a FROM clause can name, and those it cannot.
const (
	KindTable            RelationKind = 'r'
	KindPartitionedTable RelationKind = 'p'
	KindView             RelationKind = 'v'
	KindMaterializedView RelationKind = 'm'
	KindForeignTable     RelationKind = 'f'
	KindSequence         RelationKind = 'S'
	KindComposite        RelationKind = 'c'
	KindIndex            RelationKind = 'i'
	KindPartitionedIndex RelationKind = 'I'
	KindToast            RelationKind = 't'
)

// Relation is a row of pg_class with what hangs off it. Expressions are as
// pg_get_expr and its kin print them under an empty search_path: every name
// outside pg_catalog is qualified.
//
// Fields with the tag `digest:"-"` hold texts that the server can be kept from
// printing (see Unreadable). What they print is part of Details, and the names in it
// are those of the catalog; so the digest identifies them without them.
type Relation struct {
	OID    OID
	Schema string
	Name   string
	Kind   RelationKind
	// Owner is the owning role's name.
	Owner string
	// Columns are the live user columns in attnum order.
	Columns []Column
	// RowSecurity is relrowsecurity; ForceRowSecurity is relforcerowsecurity, which
	// binds the owner as well.
	RowSecurity, ForceRowSecurity bool
	// Triggers are the triggers that are not internal. Foreign keys' own triggers
	// are in ForeignKeys and ReferencedBy instead.
	Triggers []Trigger
	// Rules are the rewrite rules other than a view's _RETURN.
	Rules []Rule
	// Policies are the row security policies.
	Policies []Policy
	// Checks are the expressions of check constraints, CheckNames their names, and
	// OtherConstraints the names of constraints that are no keys either: of constraint
	// triggers, and of NOT NULL, but for those that the server names so itself. They are
	// empty for what came with the server. A name that is taken is not made up again.
	Checks                       []Expression
	CheckNames, OtherConstraints []string
	// IndexExpressions are expressions and predicates of the relation's indexes: the
	// code a write runs, as are ExclusionOperators, the operators of its exclusion
	// constraints.
	IndexExpressions   []Expression
	ExclusionOperators []OID
	// ForeignOperatorClasses lists the OIDs of operator classes used by its indexes
	// and partition key that did not come with the server, PartitionOperatorClasses
	// those of the partition key alone.
	ForeignOperatorClasses, PartitionOperatorClasses []OID
	// StatisticsExpressions are the expressions of extended statistics, which the
	// planner folds.
	StatisticsExpressions []Expression `digest:"-"`
	// PartitionKey is pg_get_partkeydef, its text empty for what is not partitioned.
	PartitionKey Expression
	// DefaultPartition is set for the default partition of a partitioned table.
	DefaultPartition bool
	// Children are the OIDs of direct inheritance children and partitions.
	Children []OID
	// Parents are the OIDs of direct parents.
	Parents []OID
	// Keys are the constraints that ON CONFLICT can name; empty for what came with the
	// server.
	Keys []Key
	// ForeignKeys point from this relation.
	ForeignKeys []ForeignKey
	// ReferencedBy are the foreign keys that point at this relation.
	ReferencedBy []ForeignKey
	// Definition is a view's query (pg_get_viewdef); empty for tables, and for
	// views that came with the server.
	Definition string `digest:"-"`
	// References are what a view's query was resolved to.
	References References
	// SecurityInvoker is the view's option of that name.
	SecurityInvoker bool
	// CheckOption is the view's option of that name: 'l' local, 'c' cascaded, else 0.
	CheckOption byte
	// RowType is the OID of the relation's composite type, 0 for indexes and
	// sequences without one.
	RowType OID
	// OfType is the composite type of a typed table (reloftype), else 0.
	OfType OID
	// Server is a foreign table's server, else empty.
	Server string
	// OwnedBy is the table that a sequence belongs to (serial, identity), else 0.
	OwnedBy OID
	// IndexOf is the relation that an index is on, else 0.
	IndexOf OID
	// Details identifies what no other field holds and a statement's meaning may
	// still depend on: the bodies of triggers, rules and policies, and the whole
	// rows of columns, constraints, indexes and options; and every text's tree.
	Details [sha256.Size]byte
}

// Column is a row of pg_attribute.
type Column struct {
	Number int16
	Name   string
	Type   OID
	// Modifier is atttypmod, -1 for none.
	Modifier int32
	NotNull  bool
	// Default is the default's or generation's expression; empty for none. References
	// are what it was resolved to.
	Default    string `digest:"-"`
	References References
	// Generated is attgenerated: 0, 's' or 'v'.
	Generated byte
	// Identity is attidentity: 0, 'a' or 'd'.
	Identity byte
}

// Key is a primary key, unique or exclusion constraint.
type Key struct {
	Name string
	// Columns are column numbers; 0 stands for an expression.
	Columns []int16
	// Primary is set for the primary key, which foreign keys point at that name no columns.
	Primary bool
}

// ForeignKey is a foreign key constraint, seen from either end.
type ForeignKey struct {
	Name string
	// From is the referencing relation, To the referenced one.
	From, To OID
	// OnDelete and OnUpdate are confdeltype and confupdtype: 'a' no action, 'r'
	// restrict, 'c' cascade, 'n' set null, 'd' set default.
	OnDelete, OnUpdate byte
	// FromColumns and ToColumns are column numbers, pairwise.
	FromColumns, ToColumns []int16
}

// Type is a row of pg_type.
type Type struct {
	OID    OID
	Schema string
	Name   string
	// Kind is typtype: b base, c composite, d domain, e enum, p pseudo, r range,
	// m multirange.
	Kind byte
	// Category is typcategory, Preferred typispreferred.
	Category  byte
	Preferred bool
	// Element is the element type of a true array type, else 0.
	Element OID
	// Base is the base type of a domain, else 0.
	Base OID
	// Relation is the relation of a composite type, else 0.
	Relation OID
	// Array is the type's array type (typarray), else 0.
	Array OID
	// Subtype is what a range or multirange is over: a range's element type, a
	// multirange's range type; else 0.
	Subtype OID
	// SubtypeClass is the btree operator class that orders a range's element type
	// (rngsubopc), else 0: its functions run when ranges are made or compared.
	SubtypeClass OID
	// Input and Output are the type's text input and output functions. Support are
	// the further functions that using a value can run: receive, send, typmod input,
	// subscripting, a range's canonical and difference functions. Zero ones are left
	// out.
	Input, Output OID
	Support       []OID
	// Owner is the owning role's name; Extension the extension it belongs to, else
	// empty.
	Owner, Extension string
	// Constraints are the names of a domain's constraints, as Relation.OtherConstraints are.
	Constraints []string
	// NotNull is typnotnull of a domain.
	NotNull bool
	// Checks are a domain's check expressions; Default its default expression, and
	// References what that was resolved to, besides what the type itself is made of.
	Checks     []Expression
	Default    string
	References References
	// Details identifies what no other field holds: labels of an enum, what a
	// range is over, input and output functions; and the trees of its checks.
	Details [sha256.Size]byte
}

// Function is a row of pg_proc.
type Function struct {
	OID    OID
	Schema string
	Name   string
	// Kind is prokind: f function, p procedure, a aggregate, w window.
	Kind byte
	// Arguments are the input argument types; Variadic is the element type of
	// a VARIADIC parameter, else 0; Defaults is the number of defaults.
	Arguments []OID
	Variadic  OID
	Defaults  int
	Result    OID
	ReturnSet bool
	// SecurityDefiner is prosecdef; Language is lanname; Volatility is
	// provolatile; Leakproof is proleakproof.
	SecurityDefiner bool
	Language        string
	Volatility      byte
	Leakproof       bool
	Owner           string
	// Extension is the extension that owns it, else empty.
	Extension string
	// AllArguments, ArgumentModes and ArgumentNames describe every parameter,
	// outputs included: proallargtypes, proargmodes (i, o, b, v, t) and proargnames.
	// AllArguments and ArgumentModes are empty when all parameters are inputs;
	// ArgumentNames is empty when none has a name.
	AllArguments  []OID
	ArgumentModes []byte
	ArgumentNames []string
	// DefaultExpressions are the defaults of the last Defaults inputs, as
	// pg_get_expr prints them.
	DefaultExpressions []string
	// Strict is proisstrict.
	Strict bool
	// Library and Symbol are probin and prosrc of a C function; Symbol is prosrc of
	// an internal one, too.
	Library, Symbol string
	// Body is prosrc of an SQL function written as a string; StandardBody is
	// pg_get_function_sqlbody of one written as BEGIN ATOMIC or RETURN. Both are
	// empty for other languages and for functions that came with the server.
	Body         string
	StandardBody string `digest:"-"`
	// References are what StandardBody and DefaultExpressions were resolved to, and what
	// the function itself is made of.
	References References
	// Settings are the settings it runs under (proconfig), as name=value.
	Settings []string
	// SupportFunction is prosupport: the planner runs it.
	SupportFunction OID
	// Aggregate is what pg_aggregate adds; its Kind is 0 for what is none.
	Aggregate Aggregate
	// Details identifies what no other field holds: the body, the library and
	// symbol, the settings it runs under, names and defaults of its parameters.
	Details [sha256.Size]byte
}

// Operator is a row of pg_operator.
type Operator struct {
	OID      OID
	Schema   string
	Name     string
	Left     OID
	Right    OID
	Result   OID
	Function OID
	// Commutator is oprcom, Negator oprnegate, else 0; Hashes is oprcanhash, Merges
	// oprcanmerge.
	Commutator, Negator OID
	Hashes, Merges      bool
	// Restrict and Join are the selectivity estimators (oprrest, oprjoin), else 0.
	Restrict, Join OID
}

// Aggregate is a row of pg_aggregate.
type Aggregate struct {
	// Kind is aggkind: n normal, o ordered set, h hypothetical set.
	Kind byte
	// Direct is aggnumdirectargs.
	Direct int
	// Functions are the functions that computing it runs: transition, final,
	// combine, serialisation, moving-aggregate ones. Zero ones are left out.
	Functions []OID
	// SortOperator is aggsortop, else 0.
	SortOperator OID
}

// OperatorClass is a row of pg_opclass with what its family holds for its input
// type.
type OperatorClass struct {
	OID    OID
	Schema string
	Name   string
	// Method is the access method's name.
	Method string
	// Input is opcintype; Key is opckeytype, else 0.
	Input, Key OID
	// Default is opcdefault.
	Default bool
	Family  OID
	// Functions are the support functions of the family for the input type (amproc),
	// Operators its operators (amopopr): first those with the input type on both
	// sides, by number, then those that have it on one.
	Functions, Operators []OID
	// Numbers and Strategies say what each of them is: amprocnum and amopstrategy,
	// in the order of Functions and Operators.
	Numbers, Strategies []int16
	// FamilyFunctions and FamilyOperators are the support functions and operators of
	// users in the whole family, whatever types they are for; FamilyStrategies are the
	// operators' strategies.
	FamilyFunctions, FamilyOperators []OID
	FamilyStrategies                 []int16
}

// Collation is a row of pg_collation.
type Collation struct {
	OID          OID
	Schema, Name string
}

// Role is a row of pg_roles.
type Role struct {
	OID  OID
	Name string
	// Login is rolcanlogin, Superuser is rolsuper, Inherit is rolinherit,
	// BypassRowSecurity is rolbypassrls.
	Login, Superuser, Inherit, BypassRowSecurity bool
	// SearchPath is the search_path that a session of the role in this database
	// starts with (pg_db_role_setting, then the server's own default), as SHOW prints
	// it; empty when it is not known, which an empty path ("") is not.
	SearchPath string
	// MemberOf are the OIDs of the roles it is directly a member of, sorted.
	MemberOf []OID
	// NotInherited are those of them whose every grant says INHERIT FALSE, sorted
	// (pg_auth_members.inherit_option, since PostgreSQL 16).
	NotInherited []OID
}

// Extension is a row of pg_extension.
type Extension struct {
	OID                   OID
	Name, Schema, Version string
}

// Cast is a row of pg_cast.
type Cast struct {
	OID      OID
	Source   OID
	Target   OID
	Function OID
	// Context is castcontext (e explicit, a assignment, i implicit); Method is
	// castmethod (f function, i input/output, b binary).
	Context, Method byte
}

// Setting is a row of pg_settings that analysis needs by name.
type Setting struct {
	Name string
	// Context is the setting's context: user, superuser, internal, ….
	Context string
}
