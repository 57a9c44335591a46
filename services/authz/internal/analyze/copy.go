package analyze

import (
	"fmt"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/scopewire/scopewire/services/authz/internal/access"
	"github.com/scopewire/scopewire/services/authz/internal/catalog"
)

// copyStmt judges COPY (DoCopy of copy.c). Files and programs are the server's: they
// need admin on the database, besides the rights on what is copied.
func (a *analyzer) copyStmt(c *pg_query.CopyStmt) error {
	if err := copyOptions(c.Options); err != nil {
		return err
	}
	switch {
	case c.Filename != "" || c.IsProgram:
		a.ask(access.Admin, a.database())
	case a.namesNoFile():
		// The parser's tree does not tell it from STDIN and STDOUT.
		return deny(access.Construct, "COPY with an empty file name")
	}
	switch {
	case c.Query != nil && c.Relation == nil && !c.IsFrom:
		if err := preparable(c.Query); err != nil {
			return deny(access.StatementKind, "copy "+nodeWords(c.Query))
		}
		_, _, err := a.subquery(nil, c.Query, nil)
		return err
	case c.Query != nil || c.Relation == nil:
		return deny(access.Construct, "a COPY")
	case c.IsFrom:
		return a.copyFrom(c)
	default:
		return a.copyTo(c)
	}
}

// emptyFile says whether a text has TO or FROM with an empty literal behind it, outside
// of parentheses.
type emptyFile struct {
	text  string
	found bool
}

// namesNoFile reports whether a COPY of the text at hand may have an empty file name. It
// looks at each text once.
func (a *analyzer) namesNoFile() bool {
	if a.emptyFile == nil || a.emptyFile.text != a.text {
		a.emptyFile = &emptyFile{text: a.text, found: hasEmptyFile(a.text)}
	}
	return a.emptyFile.found
}

func hasEmptyFile(text string) bool {
	lex, behind, depth := lexer{text: text, maxComment: defaultCommentNesting}, false, 0
	for {
		tok := lex.next()
		if tok.kind == tokenEnd {
			return false
		}
		spelled := text[tok.start:tok.end]
		if behind && tok.kind == tokenString && emptyLiteral(spelled) {
			return true
		}
		switch spelled {
		case "(":
			depth++
		case ")":
			depth--
		}
		word := lowerASCII(spelled)
		behind = depth == 0 && tok.kind == tokenWord && (word == "to" || word == "from")
	}
}

// emptyLiteral reports whether a literal, in quotes of any kind, may be empty.
func emptyLiteral(spelled string) bool {
	if spelled[0] == '$' {
		return len(spelled)%2 == 0 && spelled[:len(spelled)/2] == spelled[len(spelled)/2:]
	}
	_, content, _ := strings.Cut(spelled, "'")
	for {
		// A literal goes on after a line break, and after a comment there.
		before, comment, found := strings.Cut(content, "--")
		if !found {
			break
		}
		content = before + comment[max(0, strings.IndexAny(comment, "\r\n")):]
	}
	return strings.Trim(content, "' \t\n\r\f\v") == ""
}

// copyOptions allows the options that are about the format of the data.
func copyOptions(options []*pg_query.Node) error {
	for _, option := range options {
		switch option.GetDefElem().GetDefname() {
		case "format", "freeze", "delimiter", "null", "default", "header", "quote", "escape",
			"force_quote", "force_not_null", "force_null", "encoding", "convert_selectively", "on_error", "log_verbosity", "reject_limit":
		default:
			return deny(access.Construct, "an option of COPY")
		}
	}
	return nil
}

// copyTo reads one relation, without its children.
func (a *analyzer) copyTo(c *pg_query.CopyStmt) error {
	it, err := a.copied(c, access.Select)
	if err != nil {
		return err
	}
	if err := a.judgeRead(it.entry.relation, false); err != nil {
		return err
	}
	_, err = a.copyColumns(it, c, access.Select)
	return err
}

// copyFrom writes a relation; columns that are not listed take their defaults.
func (a *analyzer) copyFrom(c *pg_query.CopyStmt) error {
	it, err := a.copied(c, access.Insert)
	if err != nil {
		return err
	}
	rel := it.entry.relation
	if err := a.judgeWrite(rel, access.Insert, nil); err != nil {
		return err
	}
	// Where row security binds the login, the server refuses COPY FROM.
	if err := a.rowSecurity(rel, access.Insert); err != nil {
		return err
	}
	if c.WhereClause != nil {
		if err := a.optional(&scope{namespace: []*item{it}, ranges: []*rangeEntry{it.entry}}, c.WhereClause); err != nil {
			return err
		}
	}
	listed, err := a.copyColumns(it, c, access.Insert)
	if err != nil {
		return err
	}
	for i := range rel.Columns {
		c := &rel.Columns[i]
		if listed[c.Name] {
			// The type's input function reads the data, and checks what a domain checks.
			err = a.readText(value{}, c.Type)
		} else {
			err = a.judgeDefault(rel, c, place{access.Insert, rel})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// copied opens the relation of a COPY.
func (a *analyzer) copied(c *pg_query.CopyStmt, action access.Action) (*item, error) {
	rel, err := a.openRelation(c.Relation, action, -1)
	if err != nil {
		return nil, err
	}
	switch rel.Kind {
	case catalog.KindTable, catalog.KindPartitionedTable, catalog.KindForeignTable, catalog.KindMaterializedView:
	default:
		return nil, deny(access.RelationKind, "copy of what is no table")
	}
	named := namedObject(c.Relation)
	a.current.need(action, named, rel)
	return a.relationItem(rel, named, nil)
}

// copyColumns notes the columns listed, or all but generated ones (CopyGetAttnums).
func (a *analyzer) copyColumns(it *item, c *pg_query.CopyStmt, action access.Action) (map[string]bool, error) {
	rel, named := it.entry.relation, it.entry.named
	listed := map[string]bool{}
	for i := range rel.Columns {
		if len(c.Attlist) == 0 && rel.Columns[i].Generated == 0 {
			listed[rel.Columns[i].Name] = true
		}
	}
	for _, node := range c.Attlist {
		name, ok := stringNode(node)
		if !ok {
			return nil, deny(access.Construct, "a column list")
		}
		if err := a.spend(len(rel.Columns)); err != nil {
			return nil, err
		}
		if columnNamed(rel, name) == nil {
			return nil, hide(stateUndefinedColumn, fmt.Sprintf("column \"%s\" of relation \"%s\" does not exist", name, rel.Name), 0)
		}
		listed[name] = true
	}
	for name := range listed {
		a.current.column(action, named, rel, name)
	}
	return listed, nil
}

// columnNamed finds a user column, or returns nil.
func columnNamed(rel *catalog.Relation, name string) *catalog.Column {
	for i := range rel.Columns {
		if rel.Columns[i].Name == name {
			return &rel.Columns[i]
		}
	}
	return nil
}
