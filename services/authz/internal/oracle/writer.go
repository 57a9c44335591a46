package oracle

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/scopewire/scopewire/services/authz/internal/access"
)

// Writer makes random statements over a model. Most of them bind.
//
// It keeps to what the planner cannot drop: PostgreSQL does not check the rights of
// a subquery or function that it throws away (in a target of EXISTS, an output that nobody
// reads, a branch that a constant decides, a CTE never named); analysis does.
type Writer struct {
	random *rand.Rand
	model  *Model
	// path are the schemas of the search_path, for unqualified names.
	path []string
	// depth bounds nesting; names are unique by serial.
	depth, serial int
	// flat forbids, in expressions, what has rights of its own: subqueries and the
	// user's functions.
	flat bool
	// aggregates allows them in the expression at hand.
	aggregates bool
	ctes       []source
	// data are the rows of a COPY FROM.
	data string
}

// NewWriter makes a writer whose statements run under the search_path.
func NewWriter(r *rand.Rand, m *Model, path string) *Writer {
	w := &Writer{random: r, model: m}
	for part := range strings.SplitSeq(path, ",") {
		if name := strings.Trim(strings.TrimSpace(part), `"`); name != "" {
			w.path = append(w.path, name)
		}
	}
	return w
}

// source is something of a FROM clause: what it is called, and its columns.
type source struct {
	name    string
	columns []Column
	// relation is set for a plain relation.
	relation *Relation
}

func (w *Writer) pick(options ...string) string { return options[w.random.IntN(len(options))] }

func (w *Writer) chance(percent int) bool { return w.random.IntN(100) < percent }

// one is a random element; nil for an empty list.
func one[T any](w *Writer, list []T) *T {
	if len(list) == 0 {
		return nil
	}
	return &list[w.random.IntN(len(list))]
}

// alias is a fresh alias.
func (w *Writer) alias() string {
	w.serial++
	return fmt.Sprintf("%s%d", w.pick("t", "t", "q", "T", "r"), w.serial)
}

// Unit writes one statement, or a few that belong together.
func (w *Writer) Unit() Unit {
	w.depth, w.serial, w.flat, w.aggregates, w.ctes, w.data = 0, 0, false, false, nil, ""
	sql := w.statement()
	if w.data != "" {
		return Unit{SQL: sql, Data: w.data}
	}
	if w.chance(12) {
		return w.parsed(sql)
	}
	if w.chance(20) {
		sql = w.spelling(sql)
	}
	return Unit{SQL: sql}
}

// parsed is a statement for a Parse message, with parameters in the place of some of its
// literals.
func (w *Writer) parsed(sql string) Unit {
	u := Unit{Parse: true}
	tokens := Tokens(sql)
	for i, t := range tokens {
		literal := strings.Trim(t, "0123456789") == "" || len(t) > 2 && t[0] == '\'' && strings.Count(t, "'") == 2
		// What follows a type's name is its own syntax.
		if literal && i > 0 && !isWord(tokens[i-1]) && tokens[i-1] != "[" && w.chance(50) {
			u.Args = append(u.Args, strings.Trim(t, "'"))
			tokens[i] = fmt.Sprintf("$%d", len(u.Args))
		}
	}
	u.SQL = strings.Join(tokens, " ")
	return u
}

func (w *Writer) statement() string {
	switch n := w.random.IntN(100); {
	case n < 4:
		return w.small()
	case n < 52:
		return w.with(func() string { return w.query(nil, nil) })
	case n < 60:
		return w.with(w.insert)
	case n < 68:
		return w.with(w.update)
	case n < 74:
		return w.with(w.remove)
	case n < 79:
		return w.with(w.merge)
	case n < 82:
		return w.namedCall()
	case n < 86:
		return w.alteration()
	default:
		return w.utility()
	}
}

// relations lists the relations that a filter takes.
func (w *Writer) relations(keep func(Relation) bool) []Relation {
	var all []Relation
	for _, r := range w.model.Relations {
		if keep(r) {
			all = append(all, r)
		}
	}
	return all
}

func readable(r Relation) bool { return r.Kind == access.Table && len(r.Columns) > 0 }

// ident writes a name, bare where that means the same.
func (w *Writer) ident(name string) string {
	plain := name != ""
	for i, c := range name {
		if (c < 'a' || c > 'z') && c != '_' && (i == 0 || c < '0' || c > '9') {
			plain = false
		}
	}
	if !plain || slices.Contains(w.model.Keywords, name) || w.chance(3) {
		return quote(name)
	}
	if w.chance(2) {
		return strings.ToUpper(name)
	}
	return name
}

// relationName writes a relation's name, qualified unless the path finds it so.
func (w *Writer) relationName(schema, name string) string {
	full := w.ident(schema) + "." + w.ident(name)
	for _, s := range w.path {
		if s == schema {
			if w.chance(60) {
				return w.ident(name)
			}
			break
		}
		if slices.ContainsFunc(w.model.Relations, func(r Relation) bool { return r.Schema == s && r.Name == name }) {
			break
		}
	}
	return full
}

// typeName writes a type's name; format_type's needs no help.
func (w *Writer) typeName(t Type) string { return w.ident(t.Schema) + "." + w.ident(t.Name) }

// rowColumns are the columns of a row family, nil for other families.
func (w *Writer) rowColumns(family string) []Column {
	if !strings.HasPrefix(family, "row:") {
		return nil
	}
	for _, t := range w.model.Types {
		if t.Family == family {
			return t.Fields
		}
	}
	for _, r := range w.model.Relations {
		if family == "row:"+r.Schema+"."+r.Name {
			return r.Columns
		}
	}
	return nil
}

// someColumns are names and families for a derived table.
func (w *Writer) someColumns() []Column {
	all := []Column{{Name: "id", Family: "int"}, {Name: "x", Family: "text"}, {Name: "flag", Family: "bool"}, {Name: "n", Family: "num"}}
	return all[:1+w.random.IntN(len(all))]
}
