package analyze

import (
	"slices"
	"strings"
	"testing"

	pg_query "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// parserMessages lists every message of the parser's tree by name.
func parserMessages() map[string]protoreflect.MessageDescriptor {
	all := map[string]protoreflect.MessageDescriptor{}
	messages := (&pg_query.ParseResult{}).ProtoReflect().Descriptor().ParentFile().Messages()
	for i := range messages.Len() {
		all[string(messages.Get(i).Name())] = messages.Get(i)
	}
	return all
}

// deniedFields are fields of accounted messages that deny when they are set: raw
// parse trees never set them, or the walker does not handle them.
func deniedFields() map[string]string {
	return map[string]string{
		"CurrentOfExpr":        "xpr cvarno cursor_param",
		"CommonTableExpr":      "cterecursive cterefcount ctecolnames ctecoltypes ctecoltypmods ctecolcollations",
		"ColumnDef":            "inhcount is_not_null is_from_type storage cooked_default identity identity_sequence generated coll_oid",
		"JoinExpr":             "rtindex",
		"IndexElem":            "indexcolname",
		"TypeName":             "setof pct_type type_oid",
		"BoolExpr":             "xpr",
		"SubLink":              "xpr sub_link_id",
		"NullTest":             "xpr argisrow",
		"BooleanTest":          "xpr",
		"CaseExpr":             "xpr casetype casecollid",
		"CaseWhen":             "xpr",
		"CoalesceExpr":         "xpr coalescetype coalescecollid",
		"MinMaxExpr":           "xpr minmaxtype minmaxcollid inputcollid",
		"RowExpr":              "xpr row_typeid colnames",
		"GroupingFunc":         "xpr refs agglevelsup",
		"NamedArgExpr":         "xpr",
		"SQLValueFunction":     "xpr type",
		"XmlExpr":              "xpr arg_names type typmod indent",
		"JsonFuncExpr":         "column_name",
		"JsonParseExpr":        "output",
		"JsonScalarExpr":       "output",
		"JsonBehavior":         "coerce",
		"JsonReturning":        "typid typmod",
		"MergeSupportFunc":     "xpr msfcollid",
		"JsonValueExpr":        "formatted_expr",
		"CTECycleClause":       "cycle_mark_type cycle_mark_typmod cycle_mark_collation cycle_mark_neop",
		"SetToDefault":         "xpr type_id type_mod collation",
		"Constraint":           "inhcount cooked_expr reset_default_tblspc old_conpfeqop old_pktable_oid",
		"TableLikeClause":      "relation_oid",
		"IntoClause":           "view_query",
		"IndexStmt":            "idxcomment index_oid old_number old_create_subid old_first_relfilelocator_subid primary isconstraint deferrable initdeferred transformed exclude_op_names reset_default_tblspc",
		"CreateStatsStmt":      "stxcomment transformed",
		"CallStmt":             "funcexpr outargs",
		"AlterTableCmd":        "recurse",
		"AlterPublicationStmt": "for_all_tables",
		"AlterSeqStmt":         "for_identity",
		"VacuumRelation":       "oid",
		"CreateTableAsStmt":    "is_select_into",
		"CreateStmt":           "constraints",
		"AlterOwnerStmt":       "relation",
		"CreateSeqStmt":        "owner_id for_identity",
	}
}

// TestShapeAccountsForTheParser: each field of each message that the walker handles
// is either read or denied by name here. A new parser that adds one fails this test
// before it can be passed over.
func TestShapeAccountsForTheParser(t *testing.T) {
	messages := parserMessages()
	denied := deniedFields()
	for name, fields := range accounted() {
		message := messages[name]
		if message == nil {
			t.Errorf("the parser has no message %s", name)
			continue
		}
		known := append(strings.Fields(fields), strings.Fields(denied[name])...)
		for i := range message.Fields().Len() {
			field := string(message.Fields().Get(i).Name())
			if field != "location" && field != "arg_location" && !slices.Contains(known, field) {
				t.Errorf("%s.%s is not accounted for", name, field)
			}
		}
		for _, field := range known {
			if message.Fields().ByName(protoreflect.Name(field)) == nil {
				t.Errorf("%s has no field %s", name, field)
			}
		}
	}
	for name := range denied {
		if _, ok := accounted()[name]; !ok {
			t.Errorf("fields of %s are denied, and the message is not handled", name)
		}
	}
}

// TestShapeIsExercised: every field that the walker accounts for occurs in a case
// that is judged, or in one of those that a rule of its own denies. What no case
// fills would be accounted for on paper only.
func TestShapeIsExercised(t *testing.T) {
	seen := map[string]bool{}
	var walk func(protoreflect.Message)
	walk = func(m protoreflect.Message) {
		m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
			seen[string(m.Descriptor().Name())+"."+string(field.Name())] = true
			switch {
			case field.Message() == nil:
			case field.IsList():
				for i := range value.List().Len() {
					walk(value.List().Get(i).Message())
				}
			default:
				walk(value.Message())
			}
			return true
		})
	}
	for _, file := range []string{"statements.yaml", "typed.yaml", "legitimate.yaml", "bypass.yaml", "session.yaml", "tables.yaml", "code.yaml", "objects.yaml", "admin.yaml", "migration.yaml"} {
		for _, c := range readCases(t, file) {
			tree, err := pg_query.Parse(c.SQL)
			if err != nil {
				continue
			}
			for _, raw := range tree.Stmts {
				walk(raw.ProtoReflect())
			}
		}
	}
	for name, fields := range accounted() {
		for _, field := range strings.Fields(fields) {
			if !seen[name+"."+field] {
				t.Errorf("no case has %s.%s", name, field)
			}
		}
	}
}
