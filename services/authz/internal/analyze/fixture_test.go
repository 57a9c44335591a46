package analyze

import (
	"testing"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
	"github.com/scopewire/scopewire/services/authz/internal/catalog/catalogtest"
)

// The OIDs of the fixture's own types.
const (
	oidMood = iota + 17000
	oidMoods
	oidPosint
	oidOwnint
	oidInitcap
	oidPair
	oidOwnints
	oidPosints
)

// rowOfCustomers is the row type of public.customers, the fixture's first relation.
const rowOfCustomers = 22001

// builder assembles the snapshot of testdata/schema.sql.
type builder struct {
	snap catalog.Snapshot
	next catalog.OID
}

// table adds a relation with columns given as name, type OID, name, type OID, ….
func (b *builder) table(schema, name string, kind catalog.RelationKind, columns ...any) *catalog.Relation {
	b.next++
	rel := catalog.Relation{OID: b.next, Schema: schema, Name: name, Kind: kind, Owner: "owner"}
	for i := 0; i+1 < len(columns); i += 2 {
		rel.Columns = append(rel.Columns, catalog.Column{Number: int16(i/2 + 1), Name: columns[i].(string), Type: catalog.OID(columns[i+1].(int))})
	}
	rel.RowType = b.next + 2000
	if kind == catalog.KindSequence {
		rel.RowType = 0
	}
	b.snap.Relations = append(b.snap.Relations, rel)
	return &b.snap.Relations[len(b.snap.Relations)-1]
}

func (b *builder) find(schema, name string) *catalog.Relation {
	for i := range b.snap.Relations {
		if r := &b.snap.Relations[i]; r.Schema == schema && r.Name == name {
			return r
		}
	}
	panic("the fixture has no relation " + schema + "." + name)
}

func (b *builder) child(parent, child string) {
	p, c := b.find("public", parent), b.find("public", child)
	p.Children, c.Parents = append(p.Children, c.OID), append(c.Parents, p.OID)
}

func (b *builder) key(from, to string, onDelete, onUpdate byte) {
	f, t := b.find("public", from), b.find("public", to)
	key := catalog.ForeignKey{Name: from + "_fkey", From: f.OID, To: t.OID, OnDelete: onDelete, OnUpdate: onUpdate, FromColumns: []int16{1}, ToColumns: []int16{1}}
	f.ForeignKeys, t.ReferencedBy = append(f.ForeignKeys, key), append(t.ReferencedBy, key)
}

// fixture is the snapshot of testdata/schema.sql on PostgreSQL 15, before Index.
func fixture(t testing.TB) *builder {
	t.Helper()
	b := &builder{next: 20000, snap: *catalogtest.Empty(t, 15)}
	b.snap.Database, b.snap.ServerVersionNum = "app", 150018
	b.snap.Relations = append(make([]catalog.Relation, 0, len(b.snap.Relations)+64), b.snap.Relations...)
	for i, name := range []string{"app", "hr"} {
		b.snap.Schemas = append(b.snap.Schemas, catalog.Schema{OID: catalog.OID(i + 16500), Name: name})
	}
	const r, p = catalog.KindTable, catalog.KindPartitionedTable
	b.table("public", "customers", r, "id", 23, "name", 25, "email", 25).IndexExpressions = texts("lower(email)")
	b.find("public", "customers").Keys = []catalog.Key{{Name: "customers_pkey", Columns: []int16{1}, Primary: true}}
	orders := b.table("public", "orders", r, "id", 23, "customer_id", 23, "total", 1700, "note", 25, "tags", 1009, "doc", 3802, "created_at", 1184, "status", oidMood)
	orders.Columns[6].Default = "now()"
	b.table("public", "order_items", r, "order_id", 23, "line", 23, "qty", 23).Checks = texts("(qty > 0)")
	b.table("app", "orders", r, "id", 23, "secret", 25)
	b.table("hr", "Mixed Case", r, "Id", 23, "select", 25)
	b.table("hr", "salaries", r, "id", 23, "name", 25, "amount", 1700)
	b.table("public", "events", p, "id", 23, "at", 1082).PartitionKey = catalog.Expression{Text: "RANGE (at)"}
	b.table("public", "events_old", r, "id", 23, "at", 1082)
	b.table("public", "events_new", r, "id", 23, "at", 1082)
	b.child("events", "events_old")
	b.child("events", "events_new")
	b.table("public", "base", r, "a", 23, "b", 25)
	b.table("public", "derived", r, "a", 23, "b", 25, "c", 23)
	b.child("base", "derived")
	b.table("public", "nothing", r)
	b.table("public", "serials", r, "id", 23, "x", 23).Columns[0].Default = "nextval('public.serials_id_seq'::regclass)"
	b.table("public", "idents", r, "id", 23, "x", 23).Columns[0].Identity = 'd'
	doubled := b.table("public", "doubled", r, "a", 23, "b", 23)
	doubled.Columns[1].Generated, doubled.Columns[1].Default = 's', "(a * 2)"
	b.table("public", "positive", r, "a", oidPosint, "m", oidMoods)

	b.table("public", "order_view", catalog.KindView, "id", 23).Definition = "SELECT id FROM public.orders"
	b.table("public", "order_matview", catalog.KindMaterializedView, "id", 23)
	b.table("public", "counter", catalog.KindSequence, "last_value", 20)
	b.table("public", "serials_id_seq", catalog.KindSequence, "last_value", 20).OwnedBy = b.find("public", "serials").OID
	b.table("public", "secured", r, "a", 23).RowSecurity = true
	b.table("public", "triggered", r, "a", 23, "b", 23).Triggers = []catalog.Trigger{{Name: "t", Enabled: 'O', Function: 18003,
		Type: triggerRow | triggerBefore | triggerInsert | triggerUpdate | triggerDelete}}
	b.table("public", "ruled", r, "a", 23).Rules = []catalog.Rule{{Name: "r", Enabled: 'O', Event: ruleInsert,
		Definition: "CREATE RULE r AS ON INSERT TO public.ruled DO SELECT 1"}}
	b.table("public", "own_default", r, "a", 23, "b", 16).Columns[1].Default = "public.own(1)"
	b.table("public", "own_check", r, "a", 23).Checks = texts("public.own(a)")
	b.table("public", "own_index", r, "a", 23).IndexExpressions = texts("public.own(a)")
	b.table("public", "own_domain", r, "a", oidOwnint)
	generated := b.table("public", "own_generated", r, "a", 23, "b", 16)
	generated.Columns[1].Generated, generated.Columns[1].Default = 's', "public.own(a)"
	b.table("public", "own_type", r, "a", 23, "other", oidPair)
	b.table("public", "loud_parent", r, "id", 23)
	b.table("public", "loud_child", r, "id", 23).Triggers = []catalog.Trigger{{Name: "t", Enabled: 'O', Function: 18003, Type: triggerRow | triggerDelete}}
	b.key("orders", "customers", 'a', 'a')
	b.key("order_items", "orders", 'c', 'a')
	b.key("loud_child", "loud_parent", 'c', 'n')

	b.types()
	b.code()
	b.globals()
	return b
}

// globals are objects of no schema.
func (b *builder) globals() {
	b.snap.Functions = append(b.snap.Functions,
		catalog.Function{OID: 18004, Schema: "pg_catalog", Name: "plpython3u_inline_handler", Kind: 'f', Arguments: []catalog.OID{2281}, Result: 2278, Language: "c", Extension: "plpython3u"})
	b.snap.Globals = append(b.snap.Globals,
		catalog.Global{Kind: catalog.KindLanguage, OID: 18200, Name: "plpython3u", Inline: 18004},
		catalog.Global{Kind: catalog.KindLanguage, OID: 18201, Name: "plperl", Trusted: true},
		catalog.Global{Kind: catalog.KindWrapper, OID: 18202, Name: "f"},
		catalog.Global{Kind: catalog.KindServer, OID: 18203, Name: "s", Wrapper: 18202},
		catalog.Global{Kind: catalog.KindPublication, OID: 18204, Name: "p"})
	b.snap.Extensions = append(b.snap.Extensions, catalog.Extension{OID: 18205, Name: "hstore", Schema: "public", Version: "1.8"})
	b.snap.EventTriggers = append(b.snap.EventTriggers, catalog.EventTrigger{OID: 18206, Name: "e", Event: "ddl_command_end", Function: 18003, Enabled: 'D'})
}

// The input and output functions of kinds of types (pg_proc.dat).
const (
	enumIn, enumOut     = 3506, 3507
	arrayIn, arrayOut   = 750, 751
	domainIn            = 2597
	int4Out, textOut    = 43, 47
	recordIn, recordOut = 2290, 2291
)

func (b *builder) types() {
	b.snap.Types = append(b.snap.Types,
		catalog.Type{OID: oidMood, Schema: "public", Name: "mood", Kind: 'e', Category: 'E', Array: oidMoods, Input: enumIn, Output: enumOut},
		catalog.Type{OID: oidMoods, Schema: "public", Name: "_mood", Kind: 'b', Category: 'A', Element: oidMood, Input: arrayIn, Output: arrayOut},
		catalog.Type{OID: oidPosint, Schema: "public", Name: "posint", Kind: 'd', Category: 'N', Base: 23, Array: oidPosints, Checks: texts("(VALUE > 0)"), Input: domainIn, Output: int4Out},
		catalog.Type{OID: oidOwnint, Schema: "public", Name: "ownint", Kind: 'd', Category: 'N', Base: 23, Array: oidOwnints, Checks: texts("public.own(VALUE)"), Input: domainIn, Output: int4Out},
		catalog.Type{OID: oidInitcap, Schema: "app", Name: "initcap", Kind: 'd', Category: 'S', Base: 25, Checks: texts("public.own(length(VALUE))"), Input: domainIn, Output: textOut})
	b.table("public", "pair", catalog.KindComposite, "x", 23, "y", 23).RowType = oidPair
	b.snap.Types = append(b.snap.Types, catalog.Type{OID: oidOwnints, Schema: "public", Name: "_ownint", Kind: 'b', Category: 'A', Element: oidOwnint,
		Input: arrayIn, Output: arrayOut},
		catalog.Type{OID: oidPosints, Schema: "public", Name: "_posint", Kind: 'b', Category: 'A', Element: oidPosint, Input: arrayIn, Output: arrayOut})
	for _, r := range b.snap.Relations {
		if r.OID >= catalog.FirstNormalOID && r.RowType != 0 {
			b.snap.Types = append(b.snap.Types, catalog.Type{OID: r.RowType, Schema: r.Schema, Name: r.Name, Kind: 'c', Category: 'C', Relation: r.OID,
				Array: r.RowType + 3000, Input: recordIn, Output: recordOut},
				catalog.Type{OID: r.RowType + 3000, Schema: r.Schema, Name: "_" + r.Name, Kind: 'b', Category: 'A', Element: r.RowType,
					Input: arrayIn, Output: arrayOut})
		}
	}
}

func (b *builder) code() {
	b.snap.Functions = append(b.snap.Functions,
		catalog.Function{OID: 18000, Schema: "public", Name: "own", Kind: 'f', Arguments: []catalog.OID{23}, Result: 16, Language: "sql", Body: "SELECT $1 > 0"},
		catalog.Function{OID: 18003, Schema: "public", Name: "own_trigger", Kind: 'f', Result: 2279, Language: "plpgsql"},
		catalog.Function{OID: 18001, Schema: "app", Name: "upper", Kind: 'f', Arguments: []catalog.OID{25}, Result: 25, Language: "sql"},
		catalog.Function{OID: 18002, Schema: "app", Name: "same", Kind: 'f', Arguments: []catalog.OID{23, 23}, Result: 16, Language: "sql"})
	b.snap.Operators = append(b.snap.Operators,
		catalog.Operator{OID: 18100, Schema: "app", Name: "=", Left: 23, Right: 23, Result: 16, Function: 18002})
}

// index finishes the snapshot.
func (b *builder) index() *catalog.Snapshot {
	b.snap.Index()
	return &b.snap
}

// publicContext is the context of most tests.
func publicContext() Context {
	return Context{SearchPath: `"$user", public`, Role: "app_login", ServerVersionNum: 150018,
		Settings: map[string]string{"standard_conforming_strings": "on"}}
}

// texts are expressions without a record of what they were resolved to.
func texts(all ...string) []catalog.Expression {
	var out []catalog.Expression
	for _, text := range all {
		out = append(out, catalog.Expression{Text: text})
	}
	return out
}
