package analyze

import (
	"fmt"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/builtin"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// FunctionCall is a FunctionCall message: a function by OID. Its arguments are data
// that analysis does not see.
type FunctionCall struct {
	OID catalog.OID
	// Arguments is how many there are.
	Arguments int
}

// functionCall judges a FunctionCall message (HandleFunctionRequest of fastpath.c):
// usage of the function's schema and execute on it. Where an argument names an object,
// a setting or a channel, nobody knows which: the function itself must be granted.
func (a *analyzer) functionCall(call FunctionCall) error {
	a.current = &recorder{}
	f := a.snap.FunctionByOID(call.OID)
	if f == nil {
		return deny(access.UnknownObject, fmt.Sprintf("function %d", call.OID))
	}
	object := a.functionObject(f)
	switch {
	case f.Kind != 'f' || f.ReturnSet:
		return deny(access.FunctionDenied, "a call of what is no plain function")
	case len(f.Arguments) != call.Arguments:
		return deny(access.FunctionDenied, "a call with another number of arguments")
	}
	if err := a.calledByNumber(f, object); err != nil {
		return err
	}
	if err := a.whole(); err != nil {
		return err
	}
	found := access.Statement{Kind: "function call", Accesses: a.accesses()}
	if a.current.opaque {
		found.Effects = []access.Effect{{Kind: access.EffectOpaque}}
	}
	a.statements = append(a.statements, found)
	return nil
}

func (a *analyzer) calledByNumber(f *catalog.Function, object access.Object) error {
	for _, oid := range f.Arguments {
		// A value arrives in text as well, which the type's input function reads.
		if err := a.judgeType(oid); err != nil || a.readsNames(oid) {
			return deny(access.FunctionDenied, "function "+f.Name+" by number")
		}
	}
	switch builtin.Lookup(a.snap, f).Class {
	case builtin.Harmless:
	case builtin.Introspection, builtin.Advisory, builtin.Code, builtin.Session, builtin.Named, builtin.Channel:
		a.ask(access.Execute, object)
	case builtin.Setting:
		a.ask(access.Execute, object)
		a.current.opaque = f.Name == "set_config"
	case builtin.Server:
		a.ask(access.Admin, object)
	case builtin.Internal:
		return deny(access.FunctionDenied, "function "+f.Name+" by number")
	default:
		if f.OID < catalog.FirstNormalOID {
			return deny(access.FunctionDenied, "function "+f.Name)
		}
		a.current.schema(f.Schema)
		return a.executeFunction(f, object)
	}
	if f.OID >= catalog.FirstNormalOID {
		// One of an extension: the schema and the function are granted like any other.
		a.current.schema(f.Schema)
		a.ask(access.Execute, object)
	}
	return nil
}
