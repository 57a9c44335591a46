package resolve

import (
	"slices"
	"strings"

	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// Name prints a type as format_type_be does under the search path. What the
// snapshot does not hold is "???".
func (r *Resolver) Name(oid catalog.OID) string {
	if oid == 0 {
		return "-"
	}
	t := r.snap.TypeByOID(oid)
	if t == nil {
		return "???"
	}
	suffix := ""
	// The vectors are stored plainly, and are not shown as arrays.
	if t.Element != 0 && oid != oidvectorOID && oid != int2vectorOID {
		if t = r.snap.TypeByOID(t.Element); t == nil {
			return "???[]"
		}
		suffix = "[]"
	}
	if word := r.keywordType(t.OID); word != "" {
		return word + suffix
	}
	name := r.quoteIdentifier(t.Name)
	if !r.typeVisible(t) {
		schema := t.Schema
		if ownTemporary(schema) {
			// get_namespace_name_or_temp: no other temporary schema is in a snapshot.
			schema = "pg_temp"
		}
		name = r.quoteIdentifier(schema) + "." + name
	}
	return name + suffix
}

// ownTemporary reports whether a schema is the session's own for temporary objects, which
// the path calls pg_temp.
func ownTemporary(schema string) bool { return strings.HasPrefix(schema, "pg_temp_") }

// keywordType is the name of a type that the grammar has a production for
// (format_type_extended).
func (r *Resolver) keywordType(oid catalog.OID) string {
	switch oid {
	case jsonOID:
		if r.version >= 170000 {
			return "json"
		}
		return ""
	case 1560:
		return "bit"
	case Bool:
		return "boolean"
	case 1042:
		return "character"
	case 700:
		return "real"
	case 701:
		return "double precision"
	case 21:
		return "smallint"
	case Int4:
		return "integer"
	case Int8:
		return "bigint"
	case Numeric:
		return "numeric"
	case 1186:
		return "interval"
	case 1083:
		return "time without time zone"
	case 1266:
		return "time with time zone"
	case 1114:
		return "timestamp without time zone"
	case 1184:
		return "timestamp with time zone"
	case 1562:
		return "bit varying"
	case 1043:
		return "character varying"
	default:
		return ""
	}
}

// typeVisible is TypeIsVisible: the type is the first of its name in the path.
func (r *Resolver) typeVisible(t *catalog.Type) bool {
	for _, schema := range r.path {
		if schema == t.Schema || schema == "pg_temp" && ownTemporary(t.Schema) {
			return true
		}
		if r.snap.TypeByName(schema, t.Name) != nil {
			return false
		}
	}
	return t.Schema == "pg_catalog" && !slices.Contains(r.path, "pg_catalog")
}

// quoteIdentifier is quote_identifier of ruleutils.c.
func (r *Resolver) quoteIdentifier(s string) string {
	safe := s != "" && (s[0] >= 'a' && s[0] <= 'z' || s[0] == '_')
	for i := range len(s) {
		c := s[i]
		safe = safe && (c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_')
	}
	if safe && !r.keyword(s) {
		return s
	}
	return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
}

// keyword reports a key word that is not unreserved (kwlist.h).
func (r *Resolver) keyword(s string) bool {
	switch s {
	case "all", "analyse", "analyze", "and", "any", "array", "as", "asc", "asymmetric", "authorization", "between",
		"bigint", "binary", "bit", "boolean", "both", "case", "cast", "char", "character", "check", "coalesce",
		"collate", "collation", "column", "concurrently", "constraint", "create", "cross", "current_catalog",
		"current_date", "current_role", "current_schema", "current_time", "current_timestamp", "current_user", "dec",
		"decimal", "default", "deferrable", "desc", "distinct", "do", "else", "end", "except", "exists", "extract",
		"false", "fetch", "float", "for", "foreign", "freeze", "from", "full", "grant", "greatest", "group",
		"grouping", "having", "ilike", "in", "initially", "inner", "inout", "int", "integer", "intersect", "interval",
		"into", "is", "isnull", "join", "lateral", "leading", "least", "left", "like", "limit", "localtime",
		"localtimestamp", "national", "natural", "nchar", "none", "normalize", "not", "notnull", "null", "nullif",
		"numeric", "offset", "on", "only", "or", "order", "out", "outer", "overlaps", "overlay", "placing", "position",
		"precision", "primary", "real", "references", "returning", "right", "row", "select", "session_user", "setof",
		"similar", "smallint", "some", "substring", "symmetric", "table", "tablesample", "then", "time", "timestamp",
		"to", "trailing", "treat", "trim", "true", "union", "unique", "user", "using", "values", "varchar", "variadic",
		"verbose", "when", "where", "window", "with", "xmlattributes", "xmlconcat", "xmlelement", "xmlexists",
		"xmlforest", "xmlnamespaces", "xmlparse", "xmlpi", "xmlroot", "xmlserialize", "xmltable":
		return true
	case "json_array", "json_arrayagg", "json_object", "json_objectagg", "system_user":
		return r.version >= 160000
	case "json", "json_exists", "json_query", "json_scalar", "json_serialize", "json_table", "json_value",
		"merge_action":
		return r.version >= 170000
	default:
		return false
	}
}

// qualified is NameListToString.
func qualified(schema, name string) string {
	if schema == "" {
		return name
	}
	return schema + "." + name
}

// signature is func_signature_string.
func (r *Resolver) signature(k *call) string {
	var b strings.Builder
	b.WriteString(qualified(k.Schema, k.Name) + "(")
	for i, t := range k.actual {
		if i > 0 {
			b.WriteString(", ")
		}
		if name := k.Arguments[k.written(i)].Name; name != "" {
			b.WriteString(name + " => ")
		}
		b.WriteString(r.Name(t))
	}
	b.WriteByte(')')
	return b.String()
}
