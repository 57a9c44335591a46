package analyze

import (
	"slices"
	"strings"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
	"github.com/scopewire/scopewire/services/authz/internal/resolve"
)

// The server looks names up when it comes to a statement, and that may be long after it
// was judged: behind a slow statement of the same pipeline, or behind a lock. Meanwhile
// another session of who may change the schema can have dropped or renamed what a name
// meant. A name without a schema then means what the path has further down, and a call
// another function of the name. What that would touch goes with the statement
// (docs/adr/0031-names-that-may-go.md): policy asks for it of those who may change the
// schema in front.

// eclipse is an object in front of another by name alone.
type eclipse struct {
	// schema is that of the object in front.
	schema string
	// front and behind are relations; without them accesses are what the object behind
	// takes.
	front, behind *catalog.Relation
	accesses      []access.Access
}

// eclipses notes what stands behind a relation that a name was resolved to: the same
// name in the rest of the path.
func (a *analyzer) eclipses(front *catalog.Relation, rest searchPath) {
	if front.OID < catalog.FirstNormalOID || ownTemporary(front.Schema) {
		return
	}
	a.work -= len(rest) + len(a.current.eclipses)/16
	for _, schema := range rest {
		behind := a.snap.RelationByName(schema, front.Name)
		if behind == nil || ownTemporary(behind.Schema) {
			continue
		}
		a.current.eclipse(eclipse{schema: front.Schema, front: front, behind: behind})
	}
}

// eclipse adds one that is not known yet.
func (r *recorder) eclipse(e eclipse) {
	if e.front == nil || !slices.ContainsFunc(r.eclipses, func(have eclipse) bool { return have.front == e.front && have.behind == e.behind }) {
		r.eclipses = append(r.eclipses, e)
	}
}

// eclipsesFunctions notes the other functions that a call could mean by its name and the
// number of its arguments, all that calling them touches included.
func (a *analyzer) eclipsesFunctions(schema, name string, f *catalog.Function, given int) error {
	if f == nil || !a.mayEclipse(f.OID, f.Schema) {
		return nil
	}
	all := a.snap.FunctionsNamed(name)
	if err := a.spend(len(all)); err != nil {
		return err
	}
	for _, other := range all {
		one := 0
		if other.Variadic != 0 {
			one = 1
		}
		if other == f || !a.reaches(schema, other.Schema) ||
			given > len(other.Arguments) && one == 0 || given < len(other.Arguments)-len(other.DefaultExpressions)-one {
			continue
		}
		err := a.judgeBehind(f.Schema, access.Access{Action: access.Execute, Named: a.functionObject(other), Resolved: a.functionObject(other)}, func(inner *analyzer) error {
			return inner.invokeFound(resolve.Found{Function: other, Result: other.Result}, make([]value, len(other.Arguments)))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// runNamed judges the function of an operator that a name was resolved to, and of those
// that stand behind it.
func (a *analyzer) runNamed(schema string, op *catalog.Operator, result catalog.OID, args []value) error {
	if err := a.runOperator(op, result, args); err != nil {
		return err
	}
	return a.eclipsesOperators(schema, op)
}

// eclipsesOperators does the same for operators of users.
func (a *analyzer) eclipsesOperators(schema string, op *catalog.Operator) error {
	if !a.mayEclipse(op.OID, op.Schema) {
		return nil
	}
	for _, other := range a.snap.OperatorsNamed(op.Name) {
		f := a.snap.FunctionByOID(other.Function)
		if other.OID == op.OID || other.OID < catalog.FirstNormalOID || !a.reaches(schema, other.Schema) || f == nil || (other.Left == 0) != (op.Left == 0) {
			continue
		}
		err := a.judgeBehind(op.Schema, access.Access{Action: access.Execute, Named: a.functionObject(f), Resolved: a.functionObject(f)}, func(inner *analyzer) error {
			return inner.runOperator(other, f.Result, make([]value, len(f.Arguments)))
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// eclipsesTypes notes the types behind one that a name was resolved to: reading a value
// of one may run checks, or look another name up.
func (a *analyzer) eclipsesTypes(t *catalog.Type) error {
	if !a.mayEclipse(t.OID, t.Schema) || t.Element != 0 {
		return nil
	}
	passed := false
	for _, schema := range a.path {
		if !passed {
			passed = schema == t.Schema
			continue
		}
		other := a.snap.TypeByName(schema, t.Name)
		if other == nil || ownTemporary(other.Schema) {
			continue
		}
		object := access.Object{Kind: access.Type, Schema: other.Schema, Name: other.Name}
		if err := a.judgeBehind(t.Schema, access.Access{Action: access.Usage, Named: object, Resolved: object}, func(inner *analyzer) error {
			inner.usesType(other.OID)
			return inner.readText(value{}, other.OID)
		}); err != nil {
			return err
		}
		schemas := access.Object{Kind: access.Schema, Name: other.Schema}
		a.current.eclipse(eclipse{schema: t.Schema, accesses: []access.Access{{Action: access.DDL, Named: schemas, Resolved: schemas}}})
	}
	return nil
}

// mayEclipse reports whether an object can go while others of its name stay: nobody takes
// away what came with the server, or another session's temporary objects. Texts of the
// catalog name objects that cannot be dropped without them.
func (a *analyzer) mayEclipse(oid catalog.OID, schema string) bool {
	return oid >= catalog.FirstNormalOID && !ownTemporary(schema) && !a.current.stored && !a.eclipsed
}

// reaches reports whether a name, with or without a schema, can mean what is in another.
func (a *analyzer) reaches(named, schema string) bool {
	if named != "" {
		return named == schema
	}
	return a.path.includes(schema) && !ownTemporary(schema)
}

// judgeBehind judges what stands behind something of a schema. What cannot be judged needs
// trust.
func (a *analyzer) judgeBehind(schema string, otherwise access.Access, judge func(*analyzer) error) error {
	if err := a.spend(1); err != nil {
		return err
	}
	inner := *a
	inner.current, inner.eclipsed, inner.deduced, inner.held = &recorder{}, true, nil, nil
	err := judge(&inner)
	a.work = inner.work
	switch {
	case limited(err):
		return err
	case err != nil:
		addTrust(&otherwise, access.Trust{Code: "what is behind " + otherwise.Resolved.Name})
		a.current.eclipse(eclipse{schema: schema, accesses: []access.Access{otherwise}})
	default:
		a.current.eclipse(eclipse{schema: schema, accesses: inner.current.accesses()})
	}
	return nil
}

// behindAll is what the names of the statement at hand would mean next.
func (a *analyzer) behindAll() []access.Behind {
	var all []access.Behind
	seen := map[string]bool{}
	add := func(schema string, found access.Access) {
		var key strings.Builder
		for _, part := range slices.Concat([]string{schema, string(found.Action), string(found.Resolved.Kind), found.Resolved.Schema, found.Resolved.Name},
			found.Resolved.Arguments, []string{""}, found.Columns) {
			key.WriteString(part + "\x00")
		}
		for _, code := range found.Trust {
			key.WriteString("\x00" + code.Code)
		}
		if found.AllColumns {
			key.WriteString("\x00*")
		}
		if found.Within {
			key.WriteString("\x00within")
		}
		if !seen[key.String()] {
			seen[key.String()] = true
			all = append(all, access.Behind{Schema: schema, Access: found})
		}
	}
	a.work -= len(a.current.eclipses) * len(a.current.entries) / 16
	for _, b := range a.current.bareOrder {
		add(b.schema, b.access())
	}
	for _, e := range a.current.eclipses {
		for _, found := range e.accesses {
			add(e.schema, found)
		}
		if e.front == nil {
			continue
		}
		object := relationObject(e.behind)
		for _, asked := range a.current.entries {
			found := asked.access
			switch {
			case asked.relation == e.front && !found.Within:
				if plain := isPlain(e.behind, found.Action); !plain {
					found.Trust = []access.Trust{{Code: "what is behind " + e.behind.Schema + "." + e.behind.Name}}
				} else {
					found.Trust = nil
				}
				found.AllColumns = object.Kind == access.Table && found.Action != access.Any
			case found.Action == access.DDL && found.Within && sameObject(found.Resolved, relationObject(e.front)):
			case found.Action == access.DDL && found.Resolved.Kind == access.Schema && found.Resolved.Name == e.schema:
				object := access.Object{Kind: access.Schema, Name: e.behind.Schema}
				found.Named, found.Resolved = object, object
				add(e.schema, found)
				continue
			default:
				continue
			}
			found.Resolved, found.Through = object, nil
			add(e.schema, found)
		}
	}
	return all
}

// isPlain reports whether an action on a relation runs nothing of its own.
func isPlain(rel *catalog.Relation, action access.Action) bool {
	if rel.RowSecurity || len(rel.Rules) > 0 {
		return false
	}
	switch rel.Kind {
	case catalog.KindTable, catalog.KindPartitionedTable, catalog.KindMaterializedView, catalog.KindSequence:
	default:
		return false
	}
	switch action {
	case access.Insert, access.Update, access.Delete, access.Truncate:
	default:
		return true
	}
	return len(rel.Triggers)+len(rel.Checks)+len(rel.IndexExpressions)+len(rel.ExclusionOperators)+len(rel.ForeignOperatorClasses)+len(rel.Children)+len(rel.ReferencedBy) == 0 &&
		!slices.ContainsFunc(rel.Columns, func(c catalog.Column) bool { return c.Default != "" })
}
