package analyze

import (
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"
)

// namesOddField reports whether a call is EXTRACT of a field that is no plain word.
// Servers print the field of a stored EXTRACT as it is (get_func_sql_syntax of
// ruleutils.c, which quotes it since 2026), so that the text of a definition would read
// as another one; no such field can be extracted.
func namesOddField(names []string, f *pg_query.FuncCall) bool {
	if last(names) != "extract" || f.Funcformat != pg_query.CoercionForm_COERCE_SQL_SYNTAX || len(f.Args) == 0 {
		return false
	}
	field := lowerASCII(f.Args[0].GetAConst().GetSval().GetSval())
	return field == "" || strings.Trim(field, "abcdefghijklmnopqrstuvwxyz_") != ""
}
