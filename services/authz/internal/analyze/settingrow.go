package analyze

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/scopewire/scopewire/services/authz/internal/builtin"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
	"github.com/scopewire/scopewire/services/authz/internal/resolve"
)

// pg_settings shows every setting that the login may see, and is closed. JDBC and
// others read one row of it that SHOW would tell as well: SELECT … FROM pg_settings
// WHERE name = 'max_index_keys'. Nothing else may stand in that WHERE, since the
// server may evaluate it on the other rows first, and nothing else in FROM.

// settingRow recognises such a query and returns the view, which need not be granted
// then; nil otherwise.
func (a *analyzer) settingRow(q *pg_query.SelectStmt) *catalog.Relation {
	if len(q.FromClause) != 1 || q.WithClause != nil || len(q.LockingClause) > 0 || relationsIn(q.ProtoReflect()) != 1 {
		return nil
	}
	rv, where := q.FromClause[0].GetRangeVar(), q.WhereClause.GetAExpr()
	if rv == nil || where == nil || where.Kind != pg_query.A_Expr_Kind_AEXPR_OP || rv.Catalogname != "" {
		return nil
	}
	view := a.snap.RelationByName(schemaCatalog, "pg_settings")
	if view == nil || rv.Relname != view.Name || rv.Schemaname != schemaCatalog && (rv.Schemaname != "" || a.lookUp(rv.Relname) != view) {
		return nil
	}
	column, ok := stringNodes(where.Lexpr.GetColumnRef().GetFields())
	if !ok || last(column) != "name" || len(column) > 2 || where.Rexpr.GetAConst().GetSval() == nil || len(rv.GetAlias().GetColnames()) > 0 {
		return nil
	}
	name, ok := stringNodes(where.Name)
	if !ok || last(name) != "=" || len(name) > 1 && name[0] != schemaCatalog {
		return nil
	}
	schema := ""
	if len(name) > 1 {
		schema = name[0]
	}
	*a.literally = true
	found, err := a.names().Operator(schema, "=", resolve.Text, resolve.Unknown)
	if err != nil || schema == "" && !a.path.catalogFirst() || found.Operator.OID >= catalog.FirstNormalOID || !builtin.Readable(where.Rexpr.GetAConst().GetSval().GetSval()) {
		return nil
	}
	return view
}

// settingOfRow is the name in the WHERE of such a query: that of each row that comes out.
func settingOfRow(q *pg_query.SelectStmt) string {
	return q.WhereClause.GetAExpr().GetRexpr().GetAConst().GetSval().GetSval()
}

// free makes an item whose columns and rows may be read without a grant, those of the
// setting of that name.
func (it *item) free(setting string) {
	for i := range it.columns {
		it.columns[i].entry = nil
		if it.columns[i].name == "name" {
			it.columns[i].only = setting
		}
	}
	it.sides, it.system = nil, false
}

// relationsIn counts the relations that a tree names in FROM.
func relationsIn(m protoreflect.Message) int {
	count := 0
	if m.Descriptor().Name() == "RangeVar" {
		count++
	}
	m.Range(func(field protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case field.Message() == nil:
		case field.IsList():
			for i := range v.List().Len() {
				count += relationsIn(v.List().Get(i).Message())
			}
		default:
			count += relationsIn(v.Message())
		}
		return true
	})
	return count
}
