package analyze

import (
	"slices"
	"strings"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/builtin"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
	"github.com/scopewire/scopewire/services/authz/internal/resolve"
)

// invoke judges a call of a function, by name or through an operator or cast: those
// are the calls for which PostgreSQL checks EXECUTE (ExecInitFunc). args are the
// arguments in the order of the function's parameters, nil where they are not known;
// types their types after polymorphic resolution, needed for polymorphic functions.
func (a *analyzer) invoke(f *catalog.Function, args []value, types ...catalog.OID) error {
	known := a.classify(f)
	if f.OID < catalog.FirstNormalOID && (f.Name == "current_schema" || f.Name == "current_schemas") {
		a.namesCurrentSchema()
	}
	switch known.Class {
	case builtin.Named, builtin.Channel, builtin.Setting, builtin.Introspection, builtin.Code, builtin.Server:
		// Their literals name things, or are paths or code.
		*a.literally = true
	}
	switch known.Class {
	case builtin.Harmless:
		return nil
	case builtin.Named:
		return a.invokeNaming(f, known, args)
	case builtin.Channel:
		return a.invokeChannel(f, args)
	case builtin.Setting:
		return a.invokeSetting(f, args)
	case builtin.Introspection:
		if strings.HasPrefix(f.Name, "to_reg") && len(known.Names) == 1 {
			// The function is nothing but the name.
			return a.invokeNaming(f, known, args)
		}
		granted := a.needs(access.Execute, a.functionObject(f))
		if f.Name == "pg_get_partition_constraintdef" {
			return a.opensAnyPartition(granted)
		}
		return nil
	case builtin.Advisory, builtin.Code, builtin.Session:
		a.needs(access.Execute, a.functionObject(f))
		return nil
	case builtin.Server:
		a.needs(access.Admin, a.functionObject(f))
		return nil
	case builtin.Unreviewed:
		if f.OID >= catalog.FirstNormalOID {
			return a.executeFunction(f, a.functionObject(f), types...)
		}
	}
	return deny(access.FunctionDenied, "function "+f.Name)
}

// needs records an access on an object that is no relation.
func (a *analyzer) needs(action access.Action, object access.Object) *access.Access {
	return a.current.object(action, object, object)
}

// names resolves names over the path of the text at hand.
func (a *analyzer) names() *resolve.Resolver {
	if a.resolver == nil || len(a.path) != len(a.resolverPath) || len(a.path) > 0 && &a.path[0] != &a.resolverPath[0] {
		a.resolver, a.resolverPath = resolve.New(a.snap, a.path, a.version).Held(a.held.references()), a.path
	}
	return a.resolver
}

// plainNames prints types as format_type does under a path without schemas of users.
func (a *analyzer) plainNames() *resolve.Resolver {
	if a.plain == nil {
		a.plain = resolve.New(a.snap, searchPath{schemaCatalog}, a.version)
	}
	return a.plain
}

// runCast judges one function of a coercion. Input and output functions are called
// without a check; a cast's own function is a call.
func (a *analyzer) runCast(oid catalog.OID, v value, c resolve.Coercion) error {
	f := a.snap.FunctionByOID(oid)
	if f == nil {
		return deny(access.OpaqueCode, "a cast by a function that is not in the catalog")
	}
	for _, to := range a.spelled(c.To, f.Result) {
		if to.Input == oid {
			if v.kind != constant || to.OID != c.To {
				v = value{}
			}
			return a.readText(v, to.OID)
		}
	}
	parameter := catalog.OID(0)
	if len(f.Arguments) > 0 {
		parameter = f.Arguments[0]
	}
	for _, from := range a.spelled(c.From, parameter) {
		if from.Output == oid {
			return a.holds(from.OID)
		}
	}
	a.held.meetFunction(oid)
	if a.readsNames(c.To) {
		// convert has judged what is named.
		return nil
	}
	return a.invoke(f, []value{v})
}

// spelled lists the types whose input or output function a coercion can call: the type
// itself, what it is over, its elements, and the type that the function declares.
func (a *analyzer) spelled(oid, declared catalog.OID) []*catalog.Type {
	var all []*catalog.Type
	for _, oid := range []catalog.OID{oid, a.names().Base(oid), a.names().ElementOf(oid), a.names().Base(a.names().ElementOf(oid)), declared} {
		if t := a.snap.TypeByOID(oid); t != nil {
			all = append(all, t)
		}
	}
	return all
}

// holds judges the code that a value of a type can run without being called by name:
// input, output, comparison, hashing, subscripting. PostgreSQL checks no right for it.
// What is neither built in nor of a reviewed extension must be trusted, on the type.
func (a *analyzer) holds(oid catalog.OID) error {
	if oid == 0 || oid < catalog.FirstNormalOID && !a.ordersByUsers(oid) {
		return nil
	}
	if err, ok := a.current.held[oid]; ok {
		return err
	}
	if a.current.held == nil {
		a.current.held = map[catalog.OID]error{}
	}
	// A type within itself adds nothing: the catalog has none, but a snapshot is data.
	a.current.held[oid] = nil
	err := a.holdsParts(oid)
	a.current.held[oid] = err
	return err
}

func (a *analyzer) holdsParts(oid catalog.OID) error {
	t := a.snap.TypeByOID(oid)
	if t == nil {
		return deny(access.OpaqueCode, "a type that is not in the catalog")
	}
	if err := a.spend(1 + len(t.Support)); err != nil {
		return err
	}
	// Sorting takes the type's own class first, whatever the type is made of.
	a.trustType(t, a.ownCode(t, t.Kind == 'b' && t.Element == 0))
	switch {
	case t.Kind == 'e', t.OID < catalog.FirstNormalOID:
		return nil
	case t.Kind == 'd':
		return a.holds(t.Base)
	case t.Kind == 'c':
		rel := a.snap.RelationByOID(t.Relation)
		if rel == nil {
			return deny(access.OpaqueCode, "type "+t.Name)
		}
		for _, c := range rel.Columns {
			if err := a.holds(c.Type); err != nil {
				return err
			}
		}
		return nil
	case t.Kind == 'b' && t.Element != 0:
		return a.holds(t.Element)
	case t.Kind == 'm':
		return a.holds(t.Subtype)
	case t.Kind == 'r':
		return a.holds(t.Subtype)
	case t.Kind == 'b':
		return nil
	default:
		return deny(access.OpaqueCode, "type "+t.Name)
	}
}

// ordersByUsers reports whether a type of the server's own is sorted or hashed by an
// operator class that a user made: json has none until somebody makes one.
func (a *analyzer) ordersByUsers(oid catalog.OID) bool {
	for _, method := range []string{"btree", "hash"} {
		if class := a.snap.DefaultClass(method, oid); class != nil && class.OID >= catalog.FirstNormalOID {
			return true
		}
	}
	return false
}

// ownCode reports whether a type runs functions that are not known.
func (a *analyzer) ownCode(t *catalog.Type, io bool) bool {
	functions := t.Support
	if io {
		functions = append([]catalog.OID{t.Input, t.Output}, functions...)
	}
	classes := []*catalog.OperatorClass{a.snap.DefaultClass("btree", t.OID), a.snap.DefaultClass("hash", t.OID)}
	if t.SubtypeClass != 0 {
		classes = append(classes, a.snap.ClassByOID(t.SubtypeClass))
	}
	for _, class := range classes {
		if class != nil {
			functions = append(functions[:len(functions):len(functions)], class.Functions...)
			// Values are compared by the operators' functions as well (TYPECACHE_EQ_OPR).
			for _, oid := range class.FamilyOperators {
				if op := a.snap.OperatorByOID(oid); op != nil && op.Left == t.OID && op.Right == t.OID {
					functions = append(functions, op.Function)
				}
			}
		}
	}
	return slices.ContainsFunc(functions, a.runsOpaque)
}

// runsOpaque reports whether there is a function that may not run unasked.
func (a *analyzer) runsOpaque(oid catalog.OID) bool { return oid != 0 && !a.runsUnasked(oid) }

// runsUnasked reports whether a function may run where no right is checked: one that
// came with the server, or a reviewed one of an extension.
func (a *analyzer) runsUnasked(oid catalog.OID) bool {
	f := a.snap.FunctionByOID(oid)
	if f == nil {
		return false
	}
	if oid < catalog.FirstNormalOID {
		return true
	}
	switch a.classify(f).Class {
	case builtin.Harmless, builtin.Internal:
		return true
	}
	return false
}

// trustType asks for trust in a type's code.
func (a *analyzer) trustType(t *catalog.Type, opaque bool) {
	if !opaque {
		return
	}
	object := access.Object{Kind: access.Type, Schema: t.Schema, Name: t.Name}
	addTrust(a.needs(access.Usage, object), access.Trust{Code: "type " + t.Schema + "." + t.Name, Extension: t.Extension})
	a.current.opaque = true
}

// checkDomains judges the checks that making a value of a type runs: those of a
// domain and of the domains under it.
func (a *analyzer) checkDomains(oid catalog.OID) error {
	for depth := 0; depth < maxTypeDepth; depth++ {
		t := a.snap.TypeByOID(oid)
		if t == nil || t.Kind != 'd' {
			return nil
		}
		if err := a.checkDomain(oid); err != nil {
			return err
		}
		oid = t.Base
	}
	return deny(access.OpaqueCode, "a domain over itself")
}

// maxTypeDepth bounds how deep types are made of types.
const maxTypeDepth = 64

// runsOfTypes judges the code of types that a built-in function runs beside its own. What
// values of a type run by themselves is judged where they come from; here it is what a
// function looks for: the input of the columns it makes, casts that users made.
func (a *analyzer) runsOfTypes(f *catalog.Function, result catalog.OID, args []value) error {
	runs := a.classify(f).Runs
	// The columns of a record are those of the column definition list.
	if runs&builtin.RunsInput != 0 && result != resolve.Record {
		if err := a.readText(value{}, result); err != nil {
			return err
		}
	}
	if runs&builtin.RunsCast == 0 {
		return nil
	}
	for _, v := range args {
		if err := a.madeJSON(v); err != nil {
			return err
		}
	}
	return nil
}

// madeJSON judges the casts that making JSON or text of a value runs. A constructed row
// is taken apart into its values, a record whose shape is known into its columns.
func (a *analyzer) madeJSON(v value) error {
	for _, cell := range v.cells {
		if err := a.madeJSON(cell); err != nil {
			return err
		}
	}
	for _, c := range v.fields {
		if err := a.castsFrom(c.typ, 0); err != nil {
			return err
		}
	}
	if len(v.cells)+len(v.fields) > 0 && v.typ == resolve.Record {
		return nil
	}
	return a.castsFrom(v.typ, 0)
}

// castsOfRecords judges every cast to JSON that a user made: a record whose shape is
// not known may hold a value of any type.
func (a *analyzer) castsOfRecords() error {
	casts := a.snap.UserCasts()
	if err := a.spend(len(casts)); err != nil {
		return err
	}
	for _, cast := range casts {
		if cast.Target != typeJSON || cast.Function == 0 || a.runsUnasked(cast.Function) {
			continue
		}
		if err := a.castsByItself(cast); err != nil {
			return err
		}
	}
	return nil
}

// castsFrom judges the casts to json and text that users made, of a type and of what it
// is made of (json_categorize_type of json.c).
func (a *analyzer) castsFrom(oid catalog.OID, depth int) error {
	// A cast from a domain is that from what it is over.
	oid = a.names().Base(oid)
	t := a.snap.TypeByOID(oid)
	if t != nil && (t.OID == resolve.Record || t.Element == resolve.Record) {
		return a.castsOfRecords()
	}
	if t == nil || oid < catalog.FirstNormalOID {
		return nil
	}
	if depth > maxTypeDepth {
		return deny(access.OpaqueCode, "a type within itself")
	}
	if err := a.spend(1); err != nil {
		return err
	}
	// To JSON everything in a value is cast, to text the value alone (textanycat).
	targets := []catalog.OID{typeJSON, resolve.Text}
	if depth > 0 {
		targets = targets[:1]
	}
	for _, to := range targets {
		cast := a.snap.CastBetween(oid, to)
		if cast == nil || cast.Function == 0 || a.runsUnasked(cast.Function) {
			continue
		}
		if err := a.castsByItself(cast); err != nil {
			return err
		}
	}
	parts := []catalog.OID{t.Element, t.Subtype}
	if rel := a.snap.RelationByOID(t.Relation); rel != nil {
		for _, c := range rel.Columns {
			parts = append(parts, c.Type)
		}
	}
	for _, part := range parts {
		if err := a.castsFrom(part, depth+1); err != nil {
			return err
		}
	}
	return nil
}
