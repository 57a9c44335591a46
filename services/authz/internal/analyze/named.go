package analyze

import (
	"slices"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// PREPARE and Parse share their names, and so do DECLARE and Bind. What SQL has made is
// in the context of every request. What messages have made may be much, and hardly any
// text names it: it is asked for where one does. The other way round, what SQL makes is
// described as a Parse message would bring it.

// Named is the text behind a prepared statement or portal of the protocol.
type Named struct {
	// Exists is false for a name that no message has made.
	Exists         bool
	Text           string
	ParameterTypes []catalog.OID
	// SearchPath is the path that a portal's names were looked up over; without PathKnown
	// nothing is known of it.
	SearchPath string
	PathKnown  bool
}

// standsFor is what a name stands for that a message has made.
func (a *analyzer) standsFor(name access.Name) (Named, bool) {
	p := a.in.Context.Named[name]
	return p, p.Exists
}

// unknownNames are the names that a unit uses, that it does not make itself and that
// nothing is known of. They are asked for before anything else is looked at, so that
// asking tells nothing of what else the unit names. Without a map of names there is
// nobody to ask, and none has been made.
func (a *analyzer) unknownNames(statements []*pg_query.RawStmt) []access.Name {
	if a.in.Context.Named == nil {
		return nil
	}
	var unknown []access.Name
	made := map[access.Name]bool{}
	for _, raw := range statements {
		node := raw.Stmt
		// No other statement has one of these in it that runs.
		if e := node.GetExplainStmt(); e != nil {
			node = e.Query
		}
		if c := node.GetCreateTableAsStmt(); c != nil {
			node = c.Query
		}
		var name access.Name
		var known bool
		switch n := node.GetNode().(type) {
		case *pg_query.Node_PrepareStmt:
			made[access.Name{Name: n.PrepareStmt.Name}] = true
			continue
		case *pg_query.Node_DeclareCursorStmt:
			made[access.Name{Cursor: true, Name: n.DeclareCursorStmt.Portalname}] = true
			continue
		case *pg_query.Node_ExecuteStmt:
			name = access.Name{Name: n.ExecuteStmt.Name}
			_, known = a.in.Context.PreparedStatements[name.Name]
		case *pg_query.Node_FetchStmt:
			name = access.Name{Cursor: true, Name: n.FetchStmt.Portalname}
			_, known = a.in.Context.Cursors[name.Name]
		default:
			continue
		}
		_, asked := a.in.Context.Named[name]
		if !known && !asked && !made[name] && !slices.Contains(unknown, name) {
			unknown = append(unknown, name)
		}
	}
	return unknown
}

// lone reads the text of a Parse message again, which is one statement.
func (a *analyzer) lone(text string) (*pg_query.Node, error) {
	b, err := a.behind(text)
	if err != nil {
		return nil, err
	}
	if len(b.tree.Stmts) != 1 {
		return nil, deny(access.Context, "a text behind a name that cannot be read")
	}
	return b.node, nil
}

// queryBehind is the query of the statement at hand, PREPARE … AS query or DECLARE … FOR query:
// what stands behind the first such keyword outside of parentheses, which is reserved
// and so never a name there.
func (a *analyzer) queryBehind(keyword string, types []catalog.OID) *access.Query {
	lex, depth := lexer{text: a.ownText, maxComment: a.limits.CommentNesting}, 0
	for tok := lex.next(); tok.kind != tokenEnd; tok = lex.next() {
		switch word := a.ownText[tok.start:tok.end]; {
		case tok.kind == tokenPunctuation && word == "(":
			depth++
		case tok.kind == tokenPunctuation && word == ")":
			depth--
		case tok.kind == tokenWord && depth == 0 && strings.EqualFold(word, keyword):
			return &access.Query{Text: a.ownText[tok.end:], ParameterTypes: numbers(types), SearchPath: a.in.Context.SearchPath}
		}
	}
	return nil
}

// numbers are OIDs as the contract has them.
func numbers(types []catalog.OID) []uint32 {
	out := make([]uint32, len(types))
	for i, oid := range types {
		out[i] = uint32(oid)
	}
	return out
}
