package resolve

import (
	"slices"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// addInput adds the code that reading a value of the type from text runs: its
// input function, those of elements, columns and bounds, and the checks of
// domains among them.
func (r *Resolver) addInput(c *Coercion, oid catalog.OID) *Error {
	return r.walkText(c, oid, true, make(map[catalog.OID]bool))
}

// addOutput adds the code that printing a value of the type runs.
func (r *Resolver) addOutput(c *Coercion, oid catalog.OID) *Error {
	return r.walkText(c, oid, false, make(map[catalog.OID]bool))
}

func (r *Resolver) walkText(c *Coercion, oid catalog.OID, input bool, seen map[catalog.OID]bool) *Error {
	if seen[oid] {
		return nil
	}
	seen[oid] = true
	t := r.snap.TypeByOID(oid)
	if t == nil {
		return r.known(oid)
	}
	function := t.Output
	if input {
		function = t.Input
	}
	if function == 0 {
		return errorf(undefinedFunction, "no %s function available for type %s", direction(input), r.Name(oid))
	}
	if !slices.Contains(c.Functions, function) {
		c.Functions = append(c.Functions, function)
	}
	inner := []catalog.OID{t.Element, t.Subtype}
	switch {
	case t.Kind == 'd':
		inner = append(inner, t.Base)
		if input {
			r.addDomain(c, oid)
		}
	case t.Relation != 0:
		rel := r.snap.RelationByOID(t.Relation)
		if rel == nil {
			return errorf(internalError, "cache lookup failed for relation %d", t.Relation)
		}
		for i := range rel.Columns {
			inner = append(inner, rel.Columns[i].Type)
		}
	case t.Kind == 'r' && input:
		r.addRange(c, t)
	}
	for _, oid := range inner {
		if oid == 0 {
			continue
		}
		if err := r.walkText(c, oid, input, seen); err != nil {
			return err
		}
	}
	return nil
}

// addRange adds what making a range of two bounds runs: it compares them, and
// brings them into canonical form. Of the type's further functions only those of
// a user can be anything but the server's own.
func (r *Resolver) addRange(c *Coercion, t *catalog.Type) {
	var functions []catalog.OID
	if class := r.snap.ClassByOID(t.SubtypeClass); class != nil {
		functions = append(functions, class.Functions...)
	}
	for _, f := range t.Support {
		if f >= catalog.FirstNormalOID {
			functions = append(functions, f)
		}
	}
	for _, f := range functions {
		if !slices.Contains(c.Functions, f) {
			c.Functions = append(c.Functions, f)
		}
	}
}

func direction(input bool) string {
	if input {
		return "input"
	}
	return "output"
}
