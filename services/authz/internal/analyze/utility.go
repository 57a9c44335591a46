package analyze

import (
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// query analyses a statement that binds as a query.
func (a *analyzer) query(kind string, node *pg_query.Node) (access.Statement, error) {
	_, _, err := a.subquery(nil, node, nil)
	return access.Statement{Kind: kind}, err
}

// nodeWords names a node's type in words: "CreateTableAsStmt" is "create table as".
func nodeWords(node *pg_query.Node) string {
	name := nodeType(node)
	if name == "" {
		return "nothing"
	}
	return words(name)
}

// words turns a node type's name into words.
func words(name string) string {
	name = strings.TrimSuffix(name, "Stmt")
	if word, ok := map[string]string{"VariableSet": "set or reset", "Rename": "alter rename", "Drop": "drop", "Create": "create table", "View": "create view"}[name]; ok {
		return word
	}
	var words strings.Builder
	for i, r := range name {
		if r >= 'A' && r <= 'Z' && i > 0 && name[i-1] >= 'a' && name[i-1] <= 'z' {
			words.WriteByte(' ')
		}
		words.WriteRune(r)
	}
	return strings.ReplaceAll(lowerASCII(words.String()), "_", " ")
}
