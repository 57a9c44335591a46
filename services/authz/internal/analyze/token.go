package analyze

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"
)

// NewToken is the literal of a text that Analyze has found to bring a token (effect
// refresh), which never has the token itself. It reports false for any other text.
func NewToken(text []byte) ([]byte, bool) {
	tree, err := parse(string(text), string(text), 0)
	if err != nil || len(tree.GetStmts()) != 1 {
		return nil, false
	}
	v := tree.GetStmts()[0].GetStmt().GetVariableSetStmt()
	if v.GetKind() != pg_query.VariableSetKind_VAR_SET_VALUE || lowerASCII(v.GetName()) != settingToken || len(v.GetArgs()) != 1 {
		return nil, false
	}
	literal := v.GetArgs()[0].GetAConst().GetSval()
	if literal == nil {
		return nil, false
	}
	return []byte(literal.GetSval()), true
}
