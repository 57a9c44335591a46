package builtin

import (
	"slices"
	"strings"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// firstUnpinnedOID is where the OIDs begin that initdb gives out by itself
// (access/transam.h, FirstUnpinnedObjectId); those below are fixed by pg_proc.dat
// (FirstGenbkiObjectId is in between, and no function has such an OID).
const firstUnpinnedOID catalog.OID = 12000

// Lookup classifies a function of the snapshot, whether it came with the server,
// belongs to one of the reviewed extensions, or neither. What is not exactly the
// function that was reviewed is Unreviewed: another OID, name, language or symbol.
//
// A function that an extension writes in SQL is Unreviewed as well, since its body
// can be analysed like that of any other function.
func Lookup(snap *catalog.Snapshot, f *catalog.Function) Function {
	if f == nil {
		return Function{}
	}
	if f.OID < catalog.FirstNormalOID {
		return ofServer(f, snap.ServerVersionNum/10000)
	}
	if f.Extension == "" {
		return Function{}
	}
	if f.Kind == 'a' {
		return ofAggregate(snap, f)
	}
	candidates := functions().byCode[code{f.Extension, f.Language, f.Library, f.Symbol}]
	for _, r := range candidates {
		if len(r.arguments) == len(f.Arguments) {
			return r.function
		}
	}
	return Function{}
}

// Operator classifies the function behind an operator.
func Operator(snap *catalog.Snapshot, o *catalog.Operator) Function {
	if o == nil {
		return Function{}
	}
	return Lookup(snap, snap.FunctionByOID(o.Function))
}

// Linked classifies what a function in LANGUAGE internal runs, whoever made it: the
// code in the server that its symbol names. CREATE TYPE … AS RANGE makes the
// constructors of a user's range so (typecmds.c, makeRangeConstructors), and a
// superuser can make others. It says nothing about whether the function may be
// called: only what a call that was granted adds to it. Functions of other languages,
// and symbols whose functions differ in class, are Unreviewed.
func Linked(f *catalog.Function) Function {
	if f == nil || f.Language != "internal" || f.Kind == 'a' {
		return Function{}
	}
	if strings.HasPrefix(f.Symbol, "range_constructor") || strings.HasPrefix(f.Symbol, "multirange_constructor") {
		// The server's own ranges are over types whose comparison is known.
		return Function{Class: Harmless, Runs: RunsCompare}
	}
	same := functions().bySymbol[f.Symbol]
	if len(same) == 0 {
		return Function{}
	}
	for _, r := range same {
		if r.function.Class != same[0].function.Class || r.function.Runs != same[0].function.Runs ||
			len(r.arguments) != len(f.Arguments) || len(r.function.Names) > 0 {
			return Function{}
		}
	}
	return same[0].function
}

// ofServer finds a function that came with the server. A superuser can replace
// one and keep its OID, so language and symbol are compared as well.
func ofServer(f *catalog.Function, major int) Function {
	candidates := functions().byName[f.Schema+"."+f.Name]
	if f.OID < firstUnpinnedOID {
		candidates = functions().byOID[f.OID]
	}
	for _, r := range candidates {
		if r.in(major) && r.schema == f.Schema && r.name == f.Name && len(r.arguments) == len(f.Arguments) &&
			r.language == f.Language && r.symbol == f.Symbol {
			return r.function
		}
	}
	return Function{}
}

// ofAggregate finds an aggregate of an extension by name and argument types. It is
// what its support functions are, so each of them has to be reviewed too.
func ofAggregate(snap *catalog.Snapshot, f *catalog.Function) Function {
	arguments := make([]string, 0, len(f.Arguments))
	for _, oid := range f.Arguments {
		t := snap.TypeByOID(oid)
		if t == nil {
			return Function{}
		}
		arguments = append(arguments, t.Name)
	}
	if len(f.Aggregate.Functions) == 0 {
		return Function{}
	}
	for _, oid := range f.Aggregate.Functions {
		switch Lookup(snap, snap.FunctionByOID(oid)).Class {
		case Harmless, Internal:
		default:
			return Function{}
		}
	}
	for _, r := range functions().aggregates[f.Extension+"."+f.Name] {
		if slices.Equal(r.arguments, arguments) {
			return r.function
		}
	}
	return Function{}
}
