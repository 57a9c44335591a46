package analyze

import (
	"maps"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// accountedFields are the fields of each node type that the walker reads, or that
// change nothing it looks at. A populated field that is not here denies the
// statement, so that what a newer grammar adds is never passed over. A field listed
// here and not read by the walker is a hole: the comment at the end of the line says
// why the reader may ignore it.
//
// Location fields are accounted for everywhere.
func accountedFields() map[string]string {
	return map[string]string{
		"RawStmt": "stmt stmt_location stmt_len",
		// Statements.
		"SelectStmt": "distinct_clause into_clause target_list from_clause where_clause group_clause group_distinct having_clause" +
			" window_clause values_lists sort_clause limit_offset limit_count limit_option locking_clause with_clause op all larg rarg", // group_distinct, limit_option, all: no names
		"InsertStmt":       "relation cols select_stmt on_conflict_clause returning_list with_clause override",
		"UpdateStmt":       "relation target_list where_clause from_clause returning_list with_clause",
		"DeleteStmt":       "relation using_clause where_clause returning_list with_clause",
		"MergeStmt":        "relation source_relation join_condition merge_when_clauses returning_list with_clause",
		"MergeWhenClause":  "match_kind command_type override condition target_list values",
		"CurrentOfExpr":    "cursor_name",
		"TruncateStmt":     "relations restart_seqs behavior",
		"TransactionStmt":  "kind options savepoint_name chain gid", // gid: two-phase commit is denied by kind
		"VariableShowStmt": "name",
		"ExplainStmt":      "query options",
		"DefElem":          "defnamespace defname arg defaction", // arg: values of modes and options, no names
		// Clauses.
		"ResTarget":         "name indirection val",
		"WithClause":        "ctes recursive",
		"CommonTableExpr":   "ctename aliascolnames ctematerialized ctequery search_clause cycle_clause", // ctematerialized: planning
		"CTESearchClause":   "search_col_list search_breadth_first search_seq_column",                    // search_breadth_first: no names
		"CTECycleClause":    "cycle_col_list cycle_mark_column cycle_mark_value cycle_mark_default cycle_path_column",
		"RangeTableSample":  "relation method args repeatable",
		"RangeTableFunc":    "lateral docexpr rowexpr namespaces columns alias",                                // lateral: implied
		"RangeTableFuncCol": "colname type_name for_ordinality is_not_null colexpr coldefexpr",                 // is_not_null: no names
		"JsonTable":         "context_item pathspec passing columns on_error alias lateral",                    // lateral: implied
		"JsonTableColumn":   "coltype name type_name pathspec format wrapper quotes columns on_empty on_error", // format, wrapper, quotes: no names
		"JsonTablePathSpec": "string name name_location",                                                       // name: of a path, for PLAN
		"RangeVar":          "catalogname schemaname relname inh relpersistence alias",                         // relpersistence: of new tables
		"RangeSubselect":    "lateral subquery alias",
		"RangeFunction":     "lateral ordinality is_rowsfrom functions alias coldeflist", // lateral: implied
		"JoinExpr":          "jointype is_natural larg rarg using_clause join_using_alias quals alias",
		"Alias":             "aliasname colnames",
		"ColumnDef":         "colname type_name is_local coll_clause compression storage_name raw_default constraints fdwoptions", // is_local: constant
		"SortBy":            "node sortby_dir sortby_nulls use_op",                                                                // dir, nulls: the type's own order
		"WindowDef":         "name refname partition_clause order_clause frame_options start_offset end_offset",                   // names of windows; frame kinds
		"LockingClause":     "locked_rels strength wait_policy",                                                                   // strength, wait policy: the right is the same
		"OnConflictClause":  "action infer target_list where_clause",
		"InferClause":       "index_elems where_clause conname",
		"IndexElem":         "name expr collation opclass opclassopts ordering nulls_ordering", // options and orderings: no names; the server rejects them in ON CONFLICT
		"GroupingSet":       "kind content",                                                    // kind: no names
		// Expressions.
		"ColumnRef":        "fields",
		"ParamRef":         "number",
		"A_Const":          "ival fval boolval sval bsval isnull",
		"A_Expr":           "kind name lexpr rexpr",
		"BoolExpr":         "boolop args", // boolop: AND, OR, NOT
		"TypeCast":         "arg type_name",
		"TypeName":         "names typmods typemod array_bounds", // typemod: -1
		"CollateClause":    "arg collname",
		"FuncCall":         "funcname args agg_order agg_filter over agg_within_group agg_star agg_distinct func_variadic funcformat", // flags: no names
		"NamedArgExpr":     "arg name argnumber",                                                                                      // name: an argument of a built-in function
		"SubLink":          "sub_link_type testexpr oper_name subselect",
		"NullTest":         "arg nulltesttype",
		"BooleanTest":      "arg booltesttype",
		"CaseExpr":         "arg args defresult",
		"CaseWhen":         "expr result",
		"CoalesceExpr":     "args",
		"MinMaxExpr":       "op args",
		"A_ArrayExpr":      "elements",
		"RowExpr":          "args row_format",
		"GroupingFunc":     "args",
		"A_Indirection":    "arg indirection",
		"A_Indices":        "is_slice lidx uidx", // is_slice: no names
		"A_Star":           "",
		"SQLValueFunction": "op typmod", // typmod: a precision
		"SetToDefault":     "",
		"MultiAssignRef":   "source colno ncolumns", // ncolumns: for the server's error
		"MergeSupportFunc": "msftype",               // msftype: text
		// XML and SQL/JSON.
		"XmlExpr":                   "op name named_args args xmloption", // name: of an element; options: no names
		"XmlSerialize":              "xmloption expr type_name indent",
		"JsonFuncExpr":              "op context_item pathspec passing output on_empty on_error wrapper quotes",
		"JsonScalarExpr":            "expr",
		"JsonParseExpr":             "expr unique_keys",
		"JsonSerializeExpr":         "expr output",
		"JsonObjectConstructor":     "exprs output absent_on_null unique",
		"JsonArrayConstructor":      "exprs output absent_on_null",
		"JsonArrayQueryConstructor": "query output format absent_on_null",
		"JsonAggConstructor":        "output agg_filter agg_order over",
		"JsonObjectAgg":             "constructor arg absent_on_null unique",
		"JsonArrayAgg":              "constructor arg absent_on_null",
		"JsonIsPredicate":           "expr format item_type unique_keys",
		"JsonOutput":                "type_name returning",
		"JsonReturning":             "format",
		"JsonFormat":                "format_type encoding",
		"JsonValueExpr":             "raw_expr format",
		"JsonKeyValue":              "key value",
		"JsonArgument":              "val name", // name: a variable of the path
		"JsonBehavior":              "btype expr",
		// Values.
		"List": "items", "String": "sval", "Integer": "ival", "Float": "fval", "Boolean": "boolval", "BitString": "bsval",
	}
}

// accounted is both lists in one.
func accounted() map[string]string {
	all := accountedFields()
	maps.Copy(all, accountedStatements())
	return all
}

// shape is accounted in the form the check uses.
type shape map[protoreflect.FullName]map[protoreflect.Name]bool

func newShape() shape {
	table := shape{}
	for message, fields := range accounted() {
		names := map[protoreflect.Name]bool{"location": true, "arg_location": true}
		for _, field := range strings.Fields(fields) {
			names[protoreflect.Name(field)] = true
		}
		table[protoreflect.FullName("pg_query."+message)] = names
	}
	return table
}

// checkShape denies a tree that holds anything the walker does not account for.
// Trees are as deep as Limits.Chain at most.
func (a *analyzer) checkShape(message protoreflect.Message) error {
	if message.Descriptor().Name() == "Node" {
		field := message.WhichOneof(message.Descriptor().Oneofs().Get(0))
		if field == nil {
			return nil
		}
		return a.checkShape(message.Get(field).Message())
	}
	fields, ok := a.shape[message.Descriptor().FullName()]
	if !ok {
		return a.unknownShape(message.Descriptor())
	}
	var err error
	message.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		if !fields[field.Name()] {
			err = deny(access.Construct, "field "+string(field.Name())+" of "+string(message.Descriptor().Name()))
			return false
		}
		if field.Message() == nil {
			return true
		}
		if !field.IsList() {
			err = a.checkShape(value.Message())
			return err == nil
		}
		for i := range value.List().Len() {
			if err = a.checkShape(value.List().Get(i).Message()); err != nil {
				return false
			}
		}
		return true
	})
	return err
}

// unknownShape denies by the kind of statement where the node is one.
func (a *analyzer) unknownShape(message protoreflect.MessageDescriptor) error {
	name := string(message.Name())
	if name == "IntoClause" {
		return deny(access.StatementKind, "select into")
	}
	if strings.HasSuffix(name, "Stmt") {
		return deny(access.StatementKind, words(name))
	}
	return deny(access.Construct, words(name))
}
