package analyze

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
	"github.com/scopewire/scopewire/services/authz/internal/resolve"
)

// coerce makes a value one of another type, as coerce_to_target_type does, and judges
// what runs on the way. When there is no such coercion, mismatch says how PostgreSQL
// words it here; nil takes the wording of a cast.
func (a *analyzer) coerce(v value, to catalog.OID, ctx resolve.Context, mismatch func(*resolve.Error) error) (value, error) {
	if v.typ == to {
		return v, nil
	}
	if err := a.spend(4); err != nil {
		return value{}, err
	}
	if v.typ == resolve.Record {
		if fields, base, ok := a.rowType(to); ok {
			return a.coerceRow(v, to, base, fields, ctx)
		}
	}
	found, bad := a.names().Coerce(v.typ, to, ctx)
	if bad != nil {
		if mismatch == nil {
			return value{}, a.wrong(bad, v.location)
		}
		return value{}, mismatch(bad)
	}
	return a.convert(v, found)
}

// wrong is PostgreSQL's error about types or their coercion.
func (a *analyzer) wrong(bad *resolve.Error, location int32) *verdict {
	v := hideColumn(bad.SQLState, bad.Message, errorPosition(a.text, location))
	v.err.Hint, v.err.Detail = bad.Hint, bad.Detail
	return v
}

// unresolved is PostgreSQL's error about a call or operator. Those about polymorphic
// types come without a position (enforce_generic_type_consistency).
func (a *analyzer) unresolved(bad *resolve.Error, location int32) *verdict {
	for _, prefix := range []string{"could not determine", "cannot determine", "argument declared", "arguments declared", "type matched to"} {
		if strings.HasPrefix(bad.Message, prefix) {
			location = -1
		}
	}
	return a.wrong(bad, location)
}

// convert judges a coercion that was found, and returns the value it makes.
func (a *analyzer) convert(v value, c resolve.Coercion) (value, error) {
	to := value{typ: c.To, location: v.location}
	if c.From == c.To || c.To == 0 {
		return v, nil
	}
	if c.Literal {
		return a.adopt(v, c.To)
	}
	if c.Columns {
		fields, base, _ := a.rowType(c.To)
		return a.coerceRow(v, c.To, base, fields, resolve.Implicit)
	}
	if kind, ok := a.nameKind(c.To); ok && !a.readsNames(c.From) {
		// A text becomes the OID of what it names, a number is one: either way the value
		// shows names from now on.
		if err := a.readName(v, kind); err != nil {
			return value{}, err
		}
	}
	for _, oid := range c.Functions {
		if err := a.runCast(oid, v, c); err != nil {
			return value{}, err
		}
	}
	for _, oid := range c.Domains {
		if err := a.checkDomain(oid); err != nil {
			return value{}, err
		}
	}
	if err := a.holds(c.To); err != nil {
		return value{}, err
	}
	if !a.onlyCalls(c) {
		a.dependsOn(c.To)
	}
	if (v.kind == constant || v.kind == null) && len(c.Functions) == 0 {
		// A relabelled constant is the same constant.
		to.kind, to.literal = v.kind, v.literal
	}
	if to.typ == v.typ {
		to.fields, to.cells = v.fields, v.cells
	}
	return to, nil
}

// onlyCalls reports whether a coercion is a call of a cast's function, which leaves no
// trace of the type in an expression.
func (a *analyzer) onlyCalls(c resolve.Coercion) bool {
	t := a.snap.TypeByOID(c.To)
	return t != nil && len(c.Functions) > 0 && len(c.Domains) == 0 && t.Kind != 'd' && t.Element == 0 && !slices.Contains(c.Functions, t.Input)
}

// adopt judges an untyped literal or parameter that takes a type: the type's input
// function reads it (coerce_type, variable_coerce_param_hook).
func (a *analyzer) adopt(v value, to catalog.OID) (value, error) {
	typedAs := value{typ: to, location: v.location, kind: v.kind, literal: v.literal, number: v.number}
	if v.kind == parameter {
		if err := a.bindParameter(v, to); err != nil {
			return value{}, err
		}
	}
	if err := a.holds(to); err != nil {
		return value{}, err
	}
	a.dependsOn(to)
	if v.kind == null {
		// No input function is called, but a domain checks NULL as well.
		return typedAs, a.checkDomains(to)
	}
	a.held.forgetRelation()
	err := a.readText(v, to)
	if kind, ok := a.nameKind(a.names().Base(to)); ok && err == nil {
		a.held.writeLiteral(v, kind)
	}
	return typedAs, err
}

// coerceRow is coerce_record_to_complex: field by field.
func (a *analyzer) coerceRow(v value, to, base catalog.OID, fields []output, ctx resolve.Context) (value, error) {
	cells, ok := a.cellsOf(v)
	cannot := &resolve.Error{SQLState: stateCannotCoerce,
		Message: "cannot cast type record to " + a.names().Name(to)}
	if !ok {
		return value{}, a.wrong(cannot, v.location)
	}
	if err := a.spend(len(cells)); err != nil {
		return value{}, err
	}
	made := value{typ: to, location: v.location}
	for i := range fields {
		if i == len(cells) {
			cannot.Detail = "Input has too few columns."
			return value{}, a.wrong(cannot, v.location)
		}
		cell, location := cells[i], v.location
		if ctx != resolve.Explicit {
			location = cell.location
		}
		coerced, err := a.coerce(cell, fields[i].typ, ctx, func(*resolve.Error) error {
			cannot.Detail = fmt.Sprintf("Cannot cast type %s to %s in column %d.", a.names().Name(cell.typ), a.names().Name(fields[i].typ), i+1)
			return a.wrong(cannot, location)
		})
		if err != nil {
			return value{}, err
		}
		made.cells = append(made.cells, coerced)
	}
	if len(cells) > len(fields) {
		cannot.Detail = "Input has too many columns."
		return value{}, a.wrong(cannot, v.location)
	}
	// A row made of another stays a row constructor, which comparisons take apart; a
	// domain hides it.
	made.kind = constructed
	a.dependsOn(base)
	if base != to {
		made.kind, made.cells = computed, nil
		a.dependsOn(to)
		if err := a.checkDomains(to); err != nil {
			return value{}, err
		}
	}
	return made, a.holds(to)
}

// cellsOf lists the values in a row: those of a row constructor, or those of a
// whole-row reference to something that is no relation.
func (a *analyzer) cellsOf(v value) ([]value, bool) {
	if v.kind == constructed {
		return v.cells, true
	}
	if v.item == nil {
		return nil, false
	}
	cells := make([]value, 0, len(v.item.columns))
	for _, c := range v.item.columns {
		cells = append(cells, value{typ: c.typ, location: v.location, fields: c.fields})
	}
	return cells, true
}

// rowType says which columns values of a composite type, or of a domain over one,
// have, and which composite type it is; false for what is none.
func (a *analyzer) rowType(oid catalog.OID) ([]output, catalog.OID, bool) {
	base := a.names().Base(oid)
	t := a.snap.TypeByOID(base)
	if t == nil || t.Kind != 'c' {
		return nil, 0, false
	}
	rel := a.snap.RelationByOID(t.Relation)
	if rel == nil {
		return nil, 0, false
	}
	a.held.meetType(base)
	fields := make([]output, 0, len(rel.Columns))
	for _, c := range rel.Columns {
		fields = append(fields, output{name: c.Name, typ: c.Type})
	}
	return fields, base, true
}

// isRow is type_is_rowtype: a composite, a domain over one, or record.
func (a *analyzer) isRow(oid catalog.OID) bool {
	if oid == resolve.Record {
		return true
	}
	t := a.snap.TypeByOID(a.names().Base(oid))
	return t != nil && t.Kind == 'c'
}

// boolean is coerce_to_boolean.
func (a *analyzer) boolean(v value, construct string) error {
	return a.specific(v, resolve.Bool, construct)
}

// specific is coerce_to_specific_type: by assignment, or the construct's own error.
func (a *analyzer) specific(v value, to catalog.OID, construct string) error {
	_, err := a.coerce(v, to, resolve.Assignment, func(*resolve.Error) error {
		return hideColumn(stateDatatypeMismatch, "argument of "+construct+" must be type "+a.names().Name(to)+", not type "+
			a.names().Name(v.typ), errorPosition(a.text, v.location))
	})
	return err
}

// common is select_common_type and coerce_to_common_type over all of values.
func (a *analyzer) common(values []value, construct string) (catalog.OID, error) {
	if err := a.spend(len(values)); err != nil {
		return 0, err
	}
	typ, bad := a.names().Common(types(values), construct)
	if bad != nil {
		return 0, a.wrong(bad, a.mismatched(values))
	}
	return typ, a.toCommon(values, typ, construct)
}

func (a *analyzer) toCommon(values []value, typ catalog.OID, construct string) error {
	for _, v := range values {
		_, err := a.coerce(v, typ, resolve.Implicit, func(*resolve.Error) error {
			return hideColumn(stateCannotCoerce, construct+" could not convert type "+a.names().Name(v.typ)+" to "+a.names().Name(typ),
				errorPosition(a.text, v.location))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// mismatched is where select_common_type points: the first value whose type does not
// go with those before it.
func (a *analyzer) mismatched(values []value) int32 {
	all := types(values)
	n := sort.Search(len(all), func(n int) bool {
		typ, bad := a.names().Common(all[:n+1], "")
		return typ == 0 || bad != nil
	})
	if n == len(all) {
		return -1
	}
	return values[n].location
}

// bindParameter is variable_coerce_param_hook: the first use decides the type.
func (a *analyzer) bindParameter(v value, to catalog.OID) error {
	have := a.deduced.typeOf(v.number)
	switch {
	case have == resolve.Unknown:
		a.deduced.types[v.number-1] = to
	case have != to:
		return hideColumn(stateAmbiguousParam, "inconsistent types deduced for parameter $"+itoa(int(v.number)), errorPosition(a.text, v.location))
	}
	return nil
}

// assign is transformAssignedExpr's coercion: a value for a column.
func (a *analyzer) assign(v value, c output) error {
	_, err := a.coerce(v, c.typ, resolve.Assignment, func(*resolve.Error) error {
		return hideColumn(stateDatatypeMismatch, "column \""+c.name+"\" is of type "+a.names().Name(c.typ)+" but expression is of type "+
			a.names().Name(v.typ), errorPosition(a.text, v.location)).hint(hintRewrite)
	})
	return err
}
