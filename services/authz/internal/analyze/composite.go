package analyze

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
	"github.com/scopewire/scopewire/services/authz/internal/resolve"
)

// project is ParseComplexProjection: a column of a row value; false when the row has
// none of the name, or its columns are not known.
func (a *analyzer) project(v value, name string) (value, bool, error) {
	if v.item != nil {
		c, err := a.itemColumn(v.item, name, v.location)
		if err != nil || c == nil {
			return value{}, false, err
		}
		a.refer(v.level)
		a.read(c)
		return value{typ: c.typ, location: v.location, fields: c.fields}, true, nil
	}
	fields := a.fieldsOf(v)
	if err := a.spend(len(fields)); err != nil {
		return value{}, false, err
	}
	for _, f := range fields {
		if f.name == name {
			return value{typ: f.typ, location: v.location, fields: f.fields}, true, nil
		}
	}
	return value{}, false, nil
}

// fieldsOf lists the columns of a row value, nil when they are not known.
func (a *analyzer) fieldsOf(v value) []output {
	if v.typ == resolve.Record {
		return v.fields
	}
	fields, _, _ := a.rowType(v.typ)
	return fields
}

// attribute is v.name: a column, or else a function of one argument (ParseFuncOrColumn
// without a FuncCall); false when it is neither.
func (a *analyzer) attribute(v value, name string) (value, bool, error) {
	if a.isRow(v.typ) {
		if found, ok, err := a.project(v, name); ok || err != nil {
			return found, ok, err
		}
	}
	asked := resolve.Call{Name: name, Column: true, Arguments: []resolve.Argument{{Type: v.typ}}}
	if err := a.spend(len(a.snap.FunctionsNamed(name))); err != nil {
		return value{}, false, err
	}
	found, bad := a.names().Call(asked)
	if bad != nil {
		return value{}, false, a.wrong(bad, v.location)
	}
	if found.Kind == resolve.NotFound {
		return value{}, false, nil
	}
	made, err := a.invokeResolved(found, []value{v}, v.location)
	return made, true, err
}

// indirection is transformIndirection: subscripts and fields, from left to right.
func (a *analyzer) indirection(s *scope, n *pg_query.A_Indirection) (value, error) {
	v, err := a.bind(s, n.Arg)
	if err != nil {
		return value{}, err
	}
	location := v.location
	var subscripts []*pg_query.A_Indices
	for _, step := range n.Indirection {
		if indices := step.GetAIndices(); indices != nil {
			subscripts = append(subscripts, indices)
			continue
		}
		if step.GetAStar() != nil {
			return value{}, hideColumn(stateUnsupported, "row expansion via \"*\" is not supported here", errorPosition(a.text, location))
		}
		name, ok := stringNode(step)
		if !ok {
			return value{}, deny(access.Construct, "selection of a field")
		}
		if v, err = a.subscript(s, v, subscripts); err != nil {
			return value{}, err
		}
		subscripts = nil
		found, ok, err := a.attribute(v, name)
		if err != nil {
			return value{}, err
		}
		if !ok {
			return value{}, a.unknownAttribute(v, name, location)
		}
		v = found
	}
	return a.subscript(s, v, subscripts)
}

// unknownAttribute is unknown_attribute.
func (a *analyzer) unknownAttribute(v value, name string, location int32) error {
	position := errorPosition(a.text, location)
	switch {
	case v.item != nil:
		return hideColumn(stateUndefinedColumn, "column "+v.item.name+"."+name+" does not exist", position)
	case v.typ == resolve.Record:
		return hideColumn(stateUndefinedColumn, "could not identify column \""+name+"\" in record data type", position)
	case a.isRow(v.typ):
		return hideColumn(stateUndefinedColumn, "column \""+name+"\" not found in data type "+a.names().Name(v.typ), position)
	default:
		return hideColumn(stateWrongObjectType, "column notation ."+name+" applied to type "+a.names().Name(v.typ)+", which is not a composite type", position)
	}
}

// subscript is transformContainerSubscripts over adjacent subscripts.
func (a *analyzer) subscript(s *scope, v value, steps []*pg_query.A_Indices) (value, error) {
	if len(steps) == 0 {
		return v, nil
	}
	element, slices, err := a.container(v.typ)
	if err != nil {
		return value{}, err
	}
	if element == 0 {
		return value{}, hideColumn(stateDatatypeMismatch, "cannot subscript type "+a.names().Name(v.typ)+" because it does not support subscripting",
			errorPosition(a.text, v.location))
	}
	sliced := false
	for _, step := range steps {
		sliced = sliced || step.IsSlice
		for _, node := range []*pg_query.Node{step.Lidx, step.Uidx} {
			if node == nil {
				continue
			}
			index, err := a.bind(s, node)
			if err != nil {
				return value{}, err
			}
			if err := a.index(v.typ, index, slices); err != nil {
				return value{}, err
			}
		}
	}
	if sliced {
		return typed(a.names().Base(v.typ), v.location), nil
	}
	return typed(element, v.location), nil
}

// container says what subscripting a type yields, and whether its subscripts are those
// of an array; 0 for a type that has none. A subscript handler of an extension's type
// is known by the type.
func (a *analyzer) container(oid catalog.OID) (element catalog.OID, array bool, err error) {
	base := a.names().Base(oid)
	switch base {
	case typeJSONB:
		return typeJSONB, false, nil
	case typeOIDVector:
		return typeOID, true, nil
	case typeInt2Vector:
		return typeInt2, true, nil
	case typeName:
		return typeChar, true, nil
	case typePoint, typeLine:
		return typeFloat8, true, nil
	case typeLseg, typeBox:
		return typePoint, true, nil
	}
	t := a.snap.TypeByOID(base)
	if t == nil {
		return 0, false, deny(access.OpaqueCode, "a type that is not in the catalog")
	}
	if t.Extension == "hstore" && t.Name == "hstore" {
		return resolve.Text, false, nil
	}
	if t.Kind == 'b' && t.Element != 0 {
		return t.Element, true, nil
	}
	if base >= catalog.FirstNormalOID && t.Kind == 'b' && len(t.Support) > 0 {
		return 0, false, deny(access.OpaqueCode, "subscripts of type "+t.Name)
	}
	return 0, false, nil
}

// index judges a subscript: an integer of an array, an integer or text of jsonb and
// hstore (array_subscript_transform, jsonb_subscript_transform).
func (a *analyzer) index(container catalog.OID, index value, array bool) error {
	if array {
		_, err := a.coerce(index, resolve.Int4, resolve.Assignment, func(*resolve.Error) error {
			return hideColumn(stateDatatypeMismatch, "array subscript must have type integer", errorPosition(a.text, index.location))
		})
		return err
	}
	target := resolve.Text
	if a.names().Base(container) == typeJSONB && !index.open() {
		integer, text := a.names().CanCoerce(index.typ, resolve.Int4, resolve.Implicit), a.names().CanCoerce(index.typ, resolve.Text, resolve.Implicit)
		if integer == text {
			return deny(access.Construct, "a subscript of jsonb")
		}
		if integer {
			target = resolve.Int4
		}
	}
	_, err := a.coerce(index, target, resolve.Implicit, nil)
	return err
}

// reach is the type that an assignment to a field or element takes
// (transformAssignmentIndirection).
func (a *analyzer) reach(s *scope, v value, steps []*pg_query.Node) (catalog.OID, error) {
	var subscripts []*pg_query.A_Indices
	for _, step := range steps {
		if indices := step.GetAIndices(); indices != nil {
			subscripts = append(subscripts, indices)
			continue
		}
		name, ok := stringNode(step)
		if !ok {
			return 0, deny(access.Construct, "an assignment to a field")
		}
		var err error
		if v, err = a.subscript(s, v, subscripts); err != nil {
			return 0, err
		}
		subscripts = nil
		fields, _, ok := a.rowType(v.typ)
		if !ok {
			return 0, deny(access.Construct, "an assignment to a field of what is no row")
		}
		found := false
		for _, f := range fields {
			if f.name == name {
				v, found = value{typ: f.typ, location: -1}, true
				break
			}
		}
		if !found {
			return 0, deny(access.Construct, "an assignment to a field that is not there")
		}
	}
	v, err := a.subscript(s, v, subscripts)
	return v.typ, err
}
