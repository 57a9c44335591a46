// Package resolve finds out which function, operator, cast and type PostgreSQL
// would take for a name and a list of types, over a catalog snapshot.
//
// It is parse analysis without expressions: parse_func.c, parse_oper.c,
// parse_coerce.c, parse_type.c and the look-ups of namespace.c. It decides and
// judges nothing: whether the function found may run is for package analyze to
// say. The package is pure.
package resolve

import "github.com/scopewire/scopewire/services/authz/internal/catalog"

// Types that resolution knows by OID (pg_type.dat).
const (
	Unknown catalog.OID = 705
	Record  catalog.OID = 2249
	Void    catalog.OID = 2278
	Bool    catalog.OID = 16
	Int4    catalog.OID = 23
	Int8    catalog.OID = 20
	Text    catalog.OID = 25
	Numeric catalog.OID = 1700
)

// Resolver resolves names under one search path. It holds no state of a
// statement, and is safe for concurrent use.
type Resolver struct {
	snap    *catalog.Snapshot
	path    []string
	version int
	// sealed: see there.
	sealed bool
	// refs are what a stored text refers to, nil for any other text.
	refs *catalog.References
}

// New makes a resolver. path is the effective search path, pg_catalog included
// where PostgreSQL puts it; version is server_version_num.
func New(snap *catalog.Snapshot, path []string, version int) *Resolver {
	return &Resolver{snap: snap, path: path, version: version, sealed: sealed(version)}
}

// Error is the error that PostgreSQL's parse analysis would give. Its message
// names types, functions and operators as PostgreSQL prints them under the same
// search path, and nothing else.
type Error struct {
	// SQLState is its SQLSTATE: 42883 undefined function, 42725 ambiguous function,
	// 42704 undefined object, 42804 datatype mismatch, 42846 cannot coerce, 42P18
	// indeterminate datatype, 42809 wrong object type, 42601 syntax, 0A000.
	SQLState string
	Message  string
	// Hint and Detail are "" where PostgreSQL gives none.
	Hint, Detail string
	// AtLast says that it points at the last argument, and not at the call.
	AtLast bool
}

func (e *Error) Error() string { return e.SQLState + ": " + e.Message }

// Context is CoercionContext: how willing a coercion is.
type Context int

// The contexts, from the least willing.
const (
	Implicit Context = iota
	Assignment
	Explicit
)

// Coercion is how a value of one type becomes one of another, and the code that
// runs on the way.
type Coercion struct {
	From, To catalog.OID
	// Functions are the OIDs of what runs, in order: cast functions, the input
	// function of the target for a literal or an I/O conversion, the output function
	// of the source for an I/O conversion, the element's own for an array. A
	// relabelling runs nothing. The snapshot of a damaged catalog may not hold them
	// all.
	Functions []catalog.OID
	// Literal says that the source is an untyped literal or parameter: To's input
	// function reads it.
	Literal bool
	// Domains are the domains whose checks run.
	Domains []catalog.OID
	// Columns says that an anonymous row becomes one of a row type: each of its
	// columns is coerced to the one of the same place, which only the caller, who
	// knows their types, can follow (coerce_record_to_complex).
	Columns bool
}

// Argument is an argument of a call.
type Argument struct {
	// Type is its type; Unknown for an untyped literal or parameter.
	Type catalog.OID
	// Parameter says that it is a parameter ($1).
	Parameter bool
	// Name is its name in named notation, else empty.
	Name string
}

// Call is a call as written.
type Call struct {
	// Schema is empty for an unqualified name.
	Schema, Name string
	// Arguments are the arguments; of WITHIN GROUP, those of ORDER BY come last and
	// Ordered counts them.
	Arguments []Argument
	Ordered   int
	// Star is f(*), Variadic an explicit VARIADIC before the last argument, Distinct
	// DISTINCT, WithinGroup WITHIN GROUP, Filter FILTER, Over OVER, OrderBy an ORDER
	// BY among the arguments.
	Star, Variadic, Distinct, WithinGroup, Filter, Over, OrderBy bool
	// Procedure is CALL.
	Procedure bool
	// Column says that the call came from attribute notation (t.f).
	Column bool
	// DefaultType tells the type of the expression that is the default of a
	// polymorphic parameter, by its place among the inputs; 0 when that is not
	// known, which is an error, as is a nil DefaultType. An untyped one is Unknown
	// where anyelement or its like is declared, and otherwise of the polymorphic type
	// itself, as CREATE FUNCTION has coerced it.
	DefaultType func(f *catalog.Function, parameter int) catalog.OID
}

// Kind is what a call turned out to be (FuncDetailCode).
type Kind int

// The kinds of a resolved call.
const (
	// NotFound: there is no such function. The zero value.
	NotFound Kind = iota
	// Cast: a cast written as a call; Result is its type, Coercions[0] how.
	Cast
	// Plain is a function, Procedure a procedure, Aggregate and Window what they say.
	Plain
	Procedure
	Aggregate
	Window
)

// Found is a resolved call.
type Found struct {
	Kind     Kind
	Function *catalog.Function
	// Result is the result type after polymorphic resolution; Set says it returns a
	// set.
	Result catalog.OID
	Set    bool
	// Declared are the parameter types after polymorphic resolution, as many as
	// there are arguments after defaults and VARIADIC; Order maps the arguments as
	// written onto parameters in named notation, nil when they stand in order.
	Declared []catalog.OID
	Order    []int
	// Defaults is how many trailing defaults are used.
	Defaults int
	// Coercions are those of the arguments as written, in order.
	Coercions []Coercion
	// Outputs are the names and types of OUT and TABLE parameters after polymorphic
	// resolution, for functions with more than one or that return record.
	Outputs []Output
	// ResultName is the name of the only OUT parameter, if it has one.
	ResultName string
}

// Output is a column of a function's result.
type Output struct {
	Name string
	Type catalog.OID
}

// FoundOperator is a resolved operator.
type FoundOperator struct {
	Operator *catalog.Operator
	Result   catalog.OID
	// Left and Right are how the operands get there; Left is zero for a prefix
	// operator.
	Left, Right Coercion
}
