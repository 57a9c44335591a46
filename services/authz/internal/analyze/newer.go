package analyze

import (
	"slices"

	pg_query "github.com/pganalyze/pg_query_go/v6"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// What the parser's grammar has and a server older than it does not is a syntax error
// there. The client gets the server's own, at the token that its grammar stumbles over
// first. What only names a newer option (COPY, VACUUM) goes to the server, which says so
// itself; whatever is not found here is denied where it is bound.

// subqueryNameSince is the first server_version_num that takes a subquery in FROM without
// an alias.
const subqueryNameSince = 160000

// systemUserSince is the first server_version_num with SYSTEM_USER, which is a column's
// name before.
const (
	systemUserSince = 160000
	systemUser      = "system_user"
)

// clauseOf is a clause that a call of an SQL/JSON function can have and no other call:
// its first word, and the words of which one must follow, if any.
type clauseOf struct {
	word    string
	follows []string
}

// newerSyntax is the syntax error of a server that is older than the parser, nil where
// its grammar has all that the trees hold.
func (a *analyzer) newerSyntax(trees []*pg_query.RawStmt) error {
	if a.version/10000 >= parserMajor {
		return nil
	}
	n := &newer{version: a.version, text: a.text}
	for _, raw := range trees {
		n.walk(raw.ProtoReflect(), n.statementTokens(raw))
	}
	return n.err
}

// newer looks for what a server's grammar does not have.
type newer struct {
	version int
	text    string
	// all are the text's tokens, cut when they are first needed.
	all []token
	// err is the error that comes first, order the token at which the grammar has it.
	err   error
	order int
}

func (n *newer) tokens() []token {
	if n.all == nil {
		lex := lexer{text: n.text, maxComment: len(n.text)}
		for tok := lex.next(); tok.kind != tokenEnd; tok = lex.next() {
			n.all = append(n.all, tok)
		}
	}
	return n.all
}

// span is a range of tokens.
type span struct{ from, to int }

// statementTokens are the tokens of a statement; they are cut when a statement is looked
// at that needs them.
func (n *newer) statementTokens(raw *pg_query.RawStmt) func() span {
	return func() span {
		to := len(n.tokens())
		if raw.StmtLen > 0 {
			to = n.tokenAt(raw.StmtLocation + raw.StmtLen)
		}
		return span{n.tokenAt(raw.StmtLocation), to}
	}
}

// tokenAt is the first token at an offset or behind it.
func (n *newer) tokenAt(offset int32) int {
	at, _ := slices.BinarySearchFunc(n.tokens(), int(offset), func(t token, offset int) int { return t.start - offset })
	return at
}

// fault notes that the grammar stumbles over a token.
func (n *newer) fault(at int) {
	if at < 0 || at >= len(n.tokens()) {
		return
	}
	tok := n.tokens()[at]
	n.first(at, fail(access.Syntax, stateSyntax, `syntax error at or near "`+n.text[tok.start:tok.end]+`"`, n.position(at)))
}

// first keeps an error if it comes before what was found.
func (n *newer) first(order int, err error) {
	if n.err == nil || order < n.order {
		n.err, n.order = err, order
	}
}

func (n *newer) position(at int) int {
	return errorPosition(n.text, int32(n.tokens()[at].start)) //nolint:gosec // G115: texts are bounded.
}

// word is a token as a keyword is compared, "" for a literal or a quoted name.
func (n *newer) word(token int) string {
	if token < 0 || token >= len(n.tokens()) {
		return ""
	}
	switch t := n.tokens()[token]; t.kind {
	case tokenWord, tokenPunctuation, tokenOperator:
		return lowerASCII(n.text[t.start:t.end])
	default:
		return ""
	}
}

// sequence finds words that follow one another and returns the place of the first.
func (n *newer) sequence(in span, words ...string) int {
	for i := in.from; i+len(words) <= in.to; i++ {
		found := true
		for j, word := range words {
			found = found && n.word(i+j) == word
		}
		if found {
			return i
		}
	}
	return -1
}

// walk looks at a node and all below it. Trees are as deep as Limits.Chain at most.
func (n *newer) walk(message protoreflect.Message, own func() span) {
	n.look(message.Interface(), own)
	message.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case field.Message() == nil:
		case field.IsList():
			for i := range value.List().Len() {
				n.walk(value.List().Get(i).Message(), own)
			}
		default:
			n.walk(value.Message(), own)
		}
		return true
	})
}

// look looks at one node.
func (n *newer) look(node any, own func() span) {
	switch v := node.(type) {
	case *pg_query.MergeStmt:
		n.merge(v, own())
	case *pg_query.RangeSubselect:
		if n.version < subqueryNameSince && v.Alias == nil {
			n.unnamed(v)
		}
	case *pg_query.FuncCall:
		if v.Funcformat == pg_query.CoercionForm_COERCE_SQL_SYNTAX && len(v.Args) == 1 && funcName(v) == "timezone" {
			n.after(n.sequence(own(), "at", "local"), 1)
		}
	case *pg_query.JsonIsPredicate:
		if n.version < 160000 {
			if at := n.sequence(own(), "is", "json"); at >= 0 {
				n.after(at, 1)
			}
			n.after(n.sequence(own(), "is", "not", "json"), 2)
		}
	case *pg_query.JsonObjectConstructor:
		n.before(160000, v.Location)
	case *pg_query.JsonArrayConstructor:
		n.before(160000, v.Location)
	case *pg_query.JsonArrayQueryConstructor:
		n.before(160000, v.Location)
	case *pg_query.JsonAggConstructor:
		n.before(160000, v.Location)
	case *pg_query.JsonParseExpr:
		n.before(170000, v.Location)
	case *pg_query.JsonSerializeExpr:
		n.before(170000, v.Location)
	case *pg_query.JsonFuncExpr:
		n.before(170000, v.Location)
	case *pg_query.JsonTable:
		n.before(170000, v.Location)
	}
}

// after is the fault at a distance from a place that was found.
func (n *newer) after(found, distance int) {
	if found >= 0 {
		n.fault(found + distance)
	}
}

// merge looks at MERGE, which came with 15, RETURNING and BY with 17.
func (n *newer) merge(m *pg_query.MergeStmt, own span) {
	switch {
	case n.version < mergeSince:
		n.fault(n.sequence(own, "merge", "into"))
	case n.version < mergeReturningSince:
		n.after(n.sequence(own, "not", "matched", "by"), 2)
		if len(m.ReturningList) > 0 {
			if at := n.tokenAt(m.ReturningList[0].GetResTarget().GetLocation()) - 1; n.word(at) == "returning" {
				n.fault(at)
			}
		}
	}
}

// before looks for clauses in what an older server can only take for a call of a
// function: name, parentheses, arguments.
func (n *newer) before(since int, location int32) {
	if n.version >= since {
		return
	}
	open := n.tokenAt(location) + 1
	if n.word(open) != "(" {
		return
	}
	depth := 0
	for i := open; i < len(n.tokens()); i++ {
		switch word := n.word(i); {
		case word == "(" || word == "[":
			depth++
		case word == ")" || word == "]":
			if depth--; depth == 0 {
				return
			}
		case depth == 1 && n.clause(i, i == open+1):
			n.fault(i)
			return
		}
	}
}

// unnamed is a subquery in FROM without an alias. The grammar says so when it has read it
// (table_ref of gram.y), so that what is wrong inside comes first.
func (n *newer) unnamed(sub *pg_query.RangeSubselect) {
	inside := leastLocation(sub.Subquery.ProtoReflect())
	if inside <= 0 {
		return
	}
	open, depth := n.tokenAt(inside)-1, 0
	for open >= 0 && (n.word(open) != "(" || !slices.Contains([]string{"select", "values", "table", "with"}, n.word(open+1))) {
		open--
	}
	if open < 0 {
		return
	}
	what, example := "subquery", "SELECT"
	if len(sub.Subquery.GetSelectStmt().GetValuesLists()) > 0 {
		what, example = "VALUES", "VALUES"
	}
	for end := open; end < len(n.tokens()); end++ {
		switch n.word(end) {
		case "(":
			depth++
		case ")":
			depth--
		}
		if depth == 0 {
			v := &verdict{outcome: access.Failed, reason: access.Syntax, detail: "state " + stateSyntax, err: access.Error{SQLState: stateSyntax,
				Message: what + " in FROM must have an alias", Position: n.position(open)}}
			n.first(end, v.hint("For example, FROM ("+example+" ...) [AS] foo."))
			return
		}
	}
}

// leastLocation is the least location in a tree, 0 where none has one.
func leastLocation(message protoreflect.Message) int32 {
	least := int32(0)
	lower := func(at int32) {
		if at > 0 && (least == 0 || at < least) {
			least = at
		}
	}
	message.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case field.Name() == "location":
			lower(int32(value.Int())) //nolint:gosec // G115: the parser's are of 32 bits.
		case field.Message() == nil:
		case field.IsList():
			for i := range value.List().Len() {
				lower(leastLocation(value.List().Get(i).Message()))
			}
		default:
			lower(leastLocation(value.Message()))
		}
		return true
	})
	return least
}

// clause reports whether a clause begins at a token: behind an expression, or as the
// first thing in the parentheses where no expression begins so.
func (n *newer) clause(at int, first bool) bool {
	word := n.word(at)
	if first {
		return word == "returning" || word == "select" || word == "values" && n.word(at+1) == "(" || word == "with" || word == "table"
	}
	for _, c := range jsonClauses() {
		if c.word == word {
			return n.endsExpression(at-1) && (len(c.follows) == 0 || slices.Contains(c.follows, n.word(at+1)))
		}
	}
	return false
}

// endsExpression reports whether an expression can end with a token.
func (n *newer) endsExpression(at int) bool {
	switch n.tokens()[at].kind {
	case tokenOperator:
		return false
	case tokenPunctuation:
		return n.word(at) == ")" || n.word(at) == "]"
	case tokenWord:
		return !slices.Contains([]string{"and", "or", "not", "is", "in", "like", "ilike", "similar", "to", "between", "symmetric", "asymmetric",
			"from", "zone", "escape", "collate", "distinct", "variadic", "all", "when", "then", "else", "case"}, n.word(at))
	default:
		return true
	}
}

// jsonClauses are the clauses of SQL/JSON (gram.y, json_value_expr and what follows).
func jsonClauses() []clauseOf {
	return []clauseOf{
		{word: ":"}, {word: "value"}, {word: "returning"}, {word: "passing"}, {word: "columns"},
		{"format", []string{"json"}},
		{"null", []string{"on"}}, {"absent", []string{"on"}}, {"error", []string{"on"}}, {"empty", []string{"on", "array", "object"}},
		{"true", []string{"on"}}, {"false", []string{"on"}}, {"unknown", []string{"on"}}, {word: "default"},
		{"with", []string{"unique", "wrapper", "array", "conditional", "unconditional"}},
		{"without", []string{"unique", "wrapper", "array", "conditional", "unconditional"}},
		{"keep", []string{"quotes"}}, {"omit", []string{"quotes"}}, {word: "as"},
	}
}

// funcName is the last part of the name of a call.
func funcName(f *pg_query.FuncCall) string {
	if len(f.Funcname) == 0 {
		return ""
	}
	return f.Funcname[len(f.Funcname)-1].GetString_().GetSval()
}
