package analyze

import (
	"math"
	"strconv"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
	"github.com/scopewire/scopewire/services/authz/internal/resolve"
)

// value is a bound expression, as far as what follows depends on it: its type, and
// what is known of the value before it is computed.
type value struct {
	typ catalog.OID
	// location is exprLocation: the offset of the leftmost token, -1 for none.
	location int32
	kind     valueKind
	// literal is what a constant says, number a parameter's number.
	literal literal
	number  int32
	// cells are the values of a row constructor, fields the columns of a record whose
	// shape is known, item the range table entry of a whole-row reference.
	cells  []value
	fields []output
	item   *item
	// level is the query level of item.
	level *scope
	// only is what the value is whenever there is one, though it is computed; empty where
	// that is not known.
	only string
}

// literal is what a literal says. Nothing but its class counts where only its type is
// asked for: who looks at the rest takes it from analyzer.says.
type literal string

// says is what a literal says. The unit's decision holds for this text alone then, not
// for all that differ in the values of their literals.
func (a *analyzer) says(l literal) string {
	*a.literally = true
	return string(l)
}

// valueKind is how much of a value is known.
type valueKind uint8

const (
	// computed: nothing. The zero value.
	computed valueKind = iota
	// constant: a literal.
	constant
	// null: the literal NULL.
	null
	// parameter: $n.
	parameter
	// constructed: a row constructor.
	constructed
	// byDefault: DEFAULT, which has no type.
	byDefault
)

// open reports whether the context still has to give the value a type.
func (v value) open() bool { return v.typ == resolve.Unknown }

// typed is a computed value.
func typed(typ catalog.OID, location int32) value { return value{typ: typ, location: location} }

// leftmost is leftmostLoc (nodeFuncs.c).
func leftmost(locations ...int32) int32 {
	found := int32(-1)
	for _, location := range locations {
		if location >= 0 && (found < 0 || location < found) {
			found = location
		}
	}
	return found
}

func leftmostOf(location int32, values []value) int32 {
	for _, v := range values {
		location = leftmost(location, v.location)
	}
	return location
}

// constantValue is make_const.
func constantValue(c *pg_query.A_Const) value {
	v := value{location: c.Location, kind: constant, typ: resolve.Unknown}
	switch {
	case c.Isnull:
		v.kind = null
	case c.GetIval() != nil:
		v.typ, v.literal = resolve.Int4, literal(itoa(int(c.GetIval().Ival)))
	case c.GetBoolval() != nil:
		v.typ, v.kind = resolve.Bool, computed
	case c.GetFval() != nil:
		v.literal = literal(c.GetFval().Fval)
		v.typ = numberType(c.GetFval().Fval)
	case c.GetBsval() != nil:
		v.typ, v.kind = typeBit, computed
	default:
		v.literal = literal(c.GetSval().GetSval())
	}
	return v
}

// numberType is the type of a number that is no int4 literal: int8 if it is an integer
// that fits, else numeric. The grammar leaves large integers and fractions to it.
func numberType(text string) catalog.OID {
	n, err := strconv.ParseInt(strings.ReplaceAll(text, "_", ""), numberBase(text), 64)
	switch {
	case err != nil:
		return resolve.Numeric
	case n >= math.MinInt32 && n <= math.MaxInt32:
		return resolve.Int4
	}
	return resolve.Int8
}

// numberBase is the base for ParseInt: 0 where a prefix says it. A leading zero alone
// says nothing in SQL.
func numberBase(text string) int {
	if len(text) > 2 && text[0] == '0' && !isDigit(text[1]) {
		return 0
	}
	return 10
}

// types lists the types of values.
func types(values []value) []catalog.OID {
	all := make([]catalog.OID, 0, len(values))
	for _, v := range values {
		all = append(all, v.typ)
	}
	return all
}
