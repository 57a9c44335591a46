package analyze

import (
	"slices"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
	"github.com/scopewire/scopewire/services/authz/internal/resolve"
)

// taken reports whether a type of a name stands in the way of a new one: not where it is
// an array, which is moved.
func (a *analyzer) taken(object access.Object) bool {
	t := a.snap.TypeByName(object.Schema, object.Name)
	return t != nil && t.Element == 0
}

// madeEnum shows an enum that was made (DefineEnum of typecmds.c).
func (a *analyzer) madeEnum(object access.Object) {
	if a.taken(object) {
		return
	}
	a.change.known = true
	a.addType(catalog.Type{OID: a.newOID(), Schema: object.Schema, Name: object.Name, Kind: 'e', Category: 'E', Input: procEnumIn, Output: procEnumOut,
		Support: []catalog.OID{procEnumRecv, procEnumSend}})
}

// madeComposite shows a composite type that was made (DefineCompositeType).
func (a *analyzer) madeComposite(d *definition) {
	if a.taken(d.object) || d.unsure || a.relationNamedIn(d.object.Schema, d.object.Name) != nil {
		return
	}
	rel := a.addRelation(catalog.Relation{Schema: d.object.Schema, Name: d.object.Name, Kind: catalog.KindComposite, Columns: d.columns})
	for i := range rel.Columns {
		rel.Columns[i].Number = int16(i + 1) //nolint:gosec // G115: the parser's limits are below.
	}
	a.addRowType(rel)
	a.change.known = true
}

// madeDomain shows a domain that was made (DefineDomain).
func (a *analyzer) madeDomain(object access.Object, base catalog.OID, d *definition) {
	under := a.snap.TypeByOID(base)
	if under == nil || a.taken(object) {
		return
	}
	t := catalog.Type{OID: a.newOID(), Schema: object.Schema, Name: object.Name, Kind: 'd', Category: under.Category, Base: base,
		Input: procDomainIn, Output: under.Output, Support: []catalog.OID{procDomainRecv}, Default: under.Default, References: under.References}
	for _, oid := range under.Support {
		// What a domain takes of its base is told by its name alone: that of the server's own.
		f := a.snap.FunctionByOID(oid)
		if f == nil || oid >= catalog.FirstNormalOID {
			return
		}
		if strings.HasSuffix(f.Name, "send") || strings.HasSuffix(f.Name, "typanalyze") {
			t.Support = append(t.Support, oid)
		}
	}
	for _, c := range d.constraints {
		a.domainConstraint(&t, c)
	}
	a.change.known = !d.unsure
	a.addType(t)
}

// domainConstraint adds a constraint to a domain.
func (a *analyzer) domainConstraint(t *catalog.Type, c madeConstraint) {
	switch c.Contype {
	case pg_query.ConstrType_CONSTR_CHECK:
		t.Checks = append(t.Checks, c.text)
		a.nameOfDomain(t, c.Conname, "check")
	case pg_query.ConstrType_CONSTR_NOTNULL:
		t.NotNull = true
		if a.version >= notNullOfDomainsSince && c.Conname != "" && !notNullName.MatchString(c.Conname) {
			a.nameOfDomain(t, c.Conname, "")
		}
	case pg_query.ConstrType_CONSTR_NULL:
		t.NotNull = false
	case pg_query.ConstrType_CONSTR_DEFAULT:
		if t.Default, t.References = c.text.Text, c.text.References; isNull(c.RawExpr) {
			t.Default, t.References = "", catalog.References{}
		}
	}
}

// notNullOfDomainsSince is the first server_version_num whose domains have NOT NULL as a
// constraint with a name.
const notNullOfDomainsSince = 170000

// nameOfDomain notes the name of a domain's constraint (domainAddCheckConstraint of
// typecmds.c).
func (a *analyzer) nameOfDomain(t *catalog.Type, name, label string) {
	if name == "" {
		taken := a.constraintTaken(t.Schema)
		name = a.firstFree(t.Name, "", label, func(name string) bool { return slices.Contains(t.Constraints, name) || taken(name) })
	}
	t.Constraints = append(t.Constraints, name)
}

// alteredDomain shows what ALTER DOMAIN makes of a domain. Which check has which
// name is not in a snapshot: what is dropped stays, as more than there is.
func (a *analyzer) alteredDomain(d *pg_query.AlterDomainStmt, t *catalog.Type, made []madeConstraint, text catalog.Expression) {
	if t == nil {
		return
	}
	t = a.editedType(t.OID)
	a.change.known = d.Behavior != pg_query.DropBehavior_DROP_CASCADE
	switch d.Subtype {
	case domainDefault:
		if t.Default, t.References = text.Text, text.References; d.Def == nil || isNull(d.Def) {
			t.Default, t.References = "", catalog.References{}
		}
	case domainDropNotNull:
		t.NotNull = false
	case domainSetNotNull:
		t.NotNull = true
	case domainDropConstraint:
		t.Constraints = slices.DeleteFunc(t.Constraints, func(name string) bool { return name == d.Name })
	case domainAddConstraint:
		for _, c := range made {
			a.domainConstraint(t, c)
		}
	}
}

// madeRange shows a range type that was made, its multirange and what makes values of
// both (DefineRange). One that is ordered by other than its subtype's default, or with
// functions of its own, is not followed.
func (a *analyzer) madeRange(object, multi access.Object, subtype catalog.OID, plain bool) {
	class := a.snap.DefaultClass("btree", a.names().Base(subtype))
	if multi.Name == "" {
		multi.Schema, multi.Name = object.Schema, multirangeName(object.Name)
	}
	if class == nil || !plain || a.taken(object) || a.taken(multi) {
		return
	}
	owner := a.in.Context.Role
	r := a.addType(catalog.Type{OID: a.newOID(), Schema: object.Schema, Name: object.Name, Kind: 'r', Category: 'R', Subtype: subtype, SubtypeClass: class.OID,
		Input: procRangeIn, Output: procRangeOut, Support: []catalog.OID{procRangeRecv, procRangeSend, procRangeAnalyze}})
	m := a.addType(catalog.Type{OID: a.newOID(), Schema: multi.Schema, Name: multi.Name, Kind: 'm', Category: 'R', Subtype: r.OID,
		Input: procMultiIn, Output: procMultiOut, Support: []catalog.OID{procMultiRecv, procMultiSend, procMultiAnalyze}})
	constructor := func(t *catalog.Type, symbol string, strict bool, arguments ...catalog.OID) *catalog.Function {
		f := &catalog.Function{OID: a.newOID(), Schema: t.Schema, Name: t.Name, Kind: 'f', Arguments: arguments, Result: t.OID, Language: "internal",
			Volatility: 'i', Owner: owner, Strict: strict, Symbol: symbol}
		a.change.functions[f.OID] = f
		return f
	}
	constructor(r, "range_constructor2", false, subtype, subtype)
	constructor(r, "range_constructor3", false, subtype, subtype, resolve.Text)
	constructor(m, "multirange_constructor0", true)
	constructor(m, "multirange_constructor1", true, r.OID)
	many := constructor(m, "multirange_constructor2", true, r.Array)
	many.Variadic, many.AllArguments, many.ArgumentModes = r.OID, []catalog.OID{r.Array}, []byte{'v'}
	a.change.known = true
}

// multirangeName is makeMultirangeTypeName of pg_type.c, but for names that are taken.
func multirangeName(name string) string {
	if before, after, ok := strings.Cut(name, "range"); ok {
		return truncateName(before + "multirange" + after)
	}
	return clip(name, min(len(name), nameBytes-len("_multirange"))) + "_multirange"
}

// goneTypeAnd takes a type away with what is made of it: the relation of a composite,
// the multirange and constructors of a range.
func (a *analyzer) goneTypeAnd(t *catalog.Type) bool {
	if t.OID < catalog.FirstNormalOID {
		return false
	}
	a.goneType(t)
	switch t.Kind {
	case 'c':
		delete(a.change.relations, t.Relation)
		a.change.gone.relations[t.Relation] = true
	case 'r':
		made := []string{t.Name}
		if m := a.snap.TypeByOID(a.snap.MultirangeOf(t.OID)); m != nil {
			a.goneType(m)
			made = append(made, m.Name)
		}
		for _, name := range made {
			for _, f := range a.snap.FunctionsNamed(name) {
				if strings.HasPrefix(f.Symbol, "range_constructor") && f.Result == t.OID || strings.HasPrefix(f.Symbol, "multirange_constructor") &&
					a.change.gone.types[f.Result] {
					a.change.gone.functions[f.OID] = true
				}
			}
		}
	}
	return true
}
