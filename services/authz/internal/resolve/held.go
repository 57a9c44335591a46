package resolve

import (
	"slices"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// Held makes a resolver for a text that was resolved when it was stored: of functions,
// operators and cast functions it takes what the text refers to and what nobody can
// replace (IsPinnedObject of catalog.c), and nothing that was made since.
//
// What the text called then is among these, and was chosen from more: as the types of
// the arguments are all known in a printed text, each step of func_select_candidate
// keeps those that fit best, which leaving out others does not change.
func (r *Resolver) Held(refs *catalog.References) *Resolver {
	held := *r
	held.refs = refs
	return &held
}

// takes reports whether a function, or an operator, may be what a text means.
func (r *Resolver) takesFunction(oid catalog.OID) bool {
	return r.refs == nil || oid < catalog.FirstUnpinnedOID || includes(r.refs.Functions, oid)
}

func (r *Resolver) takesOperator(oid catalog.OID) bool {
	return r.refs == nil || oid < catalog.FirstUnpinnedOID || includes(r.refs.Operators, oid)
}

func includes(sorted []catalog.OID, oid catalog.OID) bool {
	_, found := slices.BinarySearch(sorted, oid)
	return found
}

// Cast finds the cast between two types, or returns nil. One by a function that the
// text does not call is not there: the text converts in another way.
func (r *Resolver) Cast(source, target catalog.OID) *catalog.Cast {
	c := r.snap.CastBetween(source, target)
	if c != nil && c.Function != 0 && !r.takesFunction(c.Function) {
		return nil
	}
	return c
}

// functionsNamed and operatorsNamed are the snapshot's that the text can mean.
func (r *Resolver) functionsNamed(name string) []*catalog.Function {
	named := r.snap.FunctionsNamed(name)
	if r.refs == nil || !slices.ContainsFunc(named, func(f *catalog.Function) bool { return !r.takesFunction(f.OID) }) {
		return named
	}
	return slices.DeleteFunc(slices.Clone(named), func(f *catalog.Function) bool { return !r.takesFunction(f.OID) })
}

func (r *Resolver) operatorsNamed(name string) []*catalog.Operator {
	named := r.snap.OperatorsNamed(name)
	if r.refs == nil || !slices.ContainsFunc(named, func(o *catalog.Operator) bool { return !r.takesOperator(o.OID) }) {
		return named
	}
	return slices.DeleteFunc(slices.Clone(named), func(o *catalog.Operator) bool { return !r.takesOperator(o.OID) })
}
