package analyze

import (
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"
)

// flattenSetting is the text that SET gives a setting (flatten_set_variable_args of
// guc.c), which SHOW prints for settings that are texts. It reports false for what is
// no list of constants.
func flattenSetting(name string, args []*pg_query.Node) (string, bool) {
	quoted := false
	switch lowerASCII(name) {
	case "search_path", "temp_tablespaces", "local_preload_libraries", "session_preload_libraries", "shared_preload_libraries":
		quoted = true
	}
	var parts []string
	for _, arg := range args {
		interval := arg.GetTypeCast()
		if interval != nil {
			arg = interval.Arg
		}
		constant := arg.GetAConst()
		if constant == nil {
			return "", false
		}
		switch v := constant.Val.(type) {
		case *pg_query.A_Const_Ival:
			parts = append(parts, itoa(int(v.Ival.GetIval())))
		case *pg_query.A_Const_Fval:
			parts = append(parts, v.Fval.GetFval())
		case *pg_query.A_Const_Sval:
			text := v.Sval.GetSval()
			switch {
			case interval != nil:
				text = "INTERVAL " + quoteLiteral(text)
			case quoted:
				text = quoteIdentifier(text)
			}
			parts = append(parts, text)
		default:
			return "", false
		}
	}
	return strings.Join(parts, ", "), len(parts) > 0
}

// quoteIdentifier is quote_identifier (ruleutils.c): plain lower-case names that are no
// keywords stay as they are.
func quoteIdentifier(name string) string {
	plain := name != ""
	for i := range len(name) {
		c := name[i]
		if c != '_' && (c < 'a' || c > 'z') && (i == 0 || c < '0' || c > '9') {
			plain = false
			break
		}
	}
	if plain && !keyword(name) {
		return name
	}
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}

// keyword reports whether a plain name is a keyword that has to be quoted.
func keyword(name string) bool {
	if len(name) > nameBytes {
		return false
	}
	scanned, err := pg_query.Scan(name)
	if err != nil || len(scanned.Tokens) != 1 {
		return true
	}
	switch scanned.Tokens[0].KeywordKind {
	case pg_query.KeywordKind_NO_KEYWORD, pg_query.KeywordKind_UNRESERVED_KEYWORD:
		return false
	default:
		return true
	}
}
