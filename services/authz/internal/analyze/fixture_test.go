package analyze

import (
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// The OIDs of the fixture's own types.
const (
	oidMood = iota + 17000
	oidMoods
	oidPosint
	oidOwnint
	oidInitcap
	oidPair
)

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
func fixture() *builder {
	b := &builder{next: 20000, snap: catalog.Snapshot{Database: "app", ServerVersionNum: 150018, ServerEncoding: "UTF8"}}
	b.snap.Relations = make([]catalog.Relation, 0, 64)
	for i, name := range []string{"pg_catalog", "information_schema", "public", "app", "hr"} {
		b.snap.Schemas = append(b.snap.Schemas, catalog.Schema{OID: catalog.OID(i + 16384), Name: name})
	}
	const r, p = catalog.KindTable, catalog.KindPartitionedTable
	b.table("public", "customers", r, "id", 23, "name", 25, "email", 25).IndexExpressions = []string{"lower(email)"}
	orders := b.table("public", "orders", r, "id", 23, "customer_id", 23, "total", 1700, "note", 25, "tags", 1009, "doc", 3802, "created_at", 1184, "status", oidMood)
	orders.Columns[6].Default = "now()"
	b.table("public", "order_items", r, "order_id", 23, "line", 23, "qty", 23).Checks = []string{"(qty > 0)"}
	b.table("app", "orders", r, "id", 23, "secret", 25)
	b.table("hr", "Mixed Case", r, "Id", 23, "select", 25)
	b.table("hr", "salaries", r, "id", 23, "name", 25, "amount", 1700)
	b.table("public", "events", p, "id", 23, "at", 1082).PartitionKey = "RANGE (at)"
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
	b.table("public", "secured", r, "a", 23).RowSecurity = true
	b.table("public", "triggered", r, "a", 23, "b", 23).Triggers = []catalog.Trigger{{Name: "t", Enabled: 'O'}}
	b.table("public", "ruled", r, "a", 23).Rules = []catalog.Rule{{Name: "r", Enabled: 'O'}}
	b.table("public", "own_default", r, "a", 23, "b", 16).Columns[1].Default = "public.own(1)"
	b.table("public", "own_check", r, "a", 23).Checks = []string{"public.own(a)"}
	b.table("public", "own_index", r, "a", 23).IndexExpressions = []string{"public.own(a)"}
	b.table("public", "own_domain", r, "a", oidOwnint)
	generated := b.table("public", "own_generated", r, "a", 23, "b", 16)
	generated.Columns[1].Generated, generated.Columns[1].Default = 's', "public.own(a)"
	b.table("public", "own_type", r, "a", 23, "other", oidPair)
	b.table("public", "loud_parent", r, "id", 23)
	b.table("public", "loud_child", r, "id", 23).Triggers = []catalog.Trigger{{Name: "t", Enabled: 'O'}}
	b.key("orders", "customers", 'a', 'a')
	b.key("order_items", "orders", 'c', 'a')
	b.key("loud_child", "loud_parent", 'c', 'n')

	catalogTable := func(name string, columns ...any) {
		b.table("pg_catalog", name, r, columns...).OID = catalog.OID(1000 + len(b.snap.Relations))
	}
	catalogTable("pg_class", "oid", 26, "relname", 19)
	catalogTable("pg_type", "oid", 26, "typname", 19, "typinput", 24)
	catalogTable("pg_range", "rngtypid", 26)
	catalogTable("pg_enum", "oid", 26, "enumlabel", 19)
	b.types()
	b.code()
	return b
}

func (b *builder) types() {
	for _, t := range builtinTypes() {
		b.snap.Types = append(b.snap.Types,
			catalog.Type{OID: t.oid, Schema: "pg_catalog", Name: t.name, Kind: 'b', Preferred: t.name == "text"},
			catalog.Type{OID: t.array, Schema: "pg_catalog", Name: "_" + t.name, Kind: 'b', Element: t.oid})
	}
	b.snap.Types = append(b.snap.Types,
		catalog.Type{OID: 2205, Schema: "pg_catalog", Name: "regclass", Kind: 'b'},
		catalog.Type{OID: 24, Schema: "pg_catalog", Name: "regproc", Kind: 'b'},
		catalog.Type{OID: oidMood, Schema: "public", Name: "mood", Kind: 'e'},
		catalog.Type{OID: oidMoods, Schema: "public", Name: "_mood", Kind: 'b', Element: oidMood},
		catalog.Type{OID: oidPosint, Schema: "public", Name: "posint", Kind: 'd', Base: 23, Checks: []string{"(VALUE > 0)"}},
		catalog.Type{OID: oidOwnint, Schema: "public", Name: "ownint", Kind: 'd', Base: 23, Checks: []string{"public.own(VALUE)"}},
		catalog.Type{OID: oidInitcap, Schema: "app", Name: "initcap", Kind: 'd', Base: 25, Checks: []string{"public.own(length(VALUE))"}},
		catalog.Type{OID: oidPair, Schema: "public", Name: "pair", Kind: 'c', Relation: 17200},
		catalog.Type{OID: 17100, Schema: "public", Name: "customers", Kind: 'c', Relation: b.find("public", "customers").OID})
}

func (b *builder) code() {
	b.snap.Functions = append(b.snap.Functions,
		catalog.Function{OID: 18000, Schema: "public", Name: "own", Kind: 'f', Arguments: []catalog.OID{23}, Result: 16, Language: "sql"},
		catalog.Function{OID: 18001, Schema: "app", Name: "upper", Kind: 'f', Arguments: []catalog.OID{25}, Result: 25, Language: "sql"},
		catalog.Function{OID: 18002, Schema: "app", Name: "same", Kind: 'f', Arguments: []catalog.OID{23, 23}, Result: 16, Language: "sql"},
		catalog.Function{OID: 871, Schema: "pg_catalog", Name: "upper", Kind: 'f', Arguments: []catalog.OID{25}, Result: 25, Language: "internal"})
	b.snap.Operators = append(b.snap.Operators,
		catalog.Operator{OID: 96, Schema: "pg_catalog", Name: "=", Left: 23, Right: 23, Result: 16},
		catalog.Operator{OID: 98, Schema: "pg_catalog", Name: "=", Left: 25, Right: 25, Result: 16},
		catalog.Operator{OID: 1209, Schema: "pg_catalog", Name: "~~", Left: 25, Right: 25, Result: 16},
		catalog.Operator{OID: 18100, Schema: "app", Name: "=", Left: 23, Right: 23, Result: 16})
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
